//! `verdictd power`: how many units, how long, and with what chance.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use judge::planning::{PowerPlan, Question, chance_words, change_words, power_plan, sentence};
use judge::spec::Experiment;
use serde_json::json;

use super::SettingsArgs;
use super::check::read_experiment;
use super::output::{Failure, say, say_json, wrapped};

/// Say how many units, how much time and what chance a file has
#[derive(Debug, Args)]
pub(super) struct PowerArgs {
    /// Experiment files
    #[arg(required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    settings: SettingsArgs,
    /// Wanted chance that the rule passes when the aim comes true
    #[arg(long, default_value = "80%", value_parser = share)]
    power: f64,
    /// Units per week over all arms, in place of `plan.units_per_week`
    #[arg(long, value_name = "UNITS", value_parser = positive)]
    rate: Option<f64>,
    /// Standard deviation of one unit of a mean or ratio signal
    #[arg(long = "spread", value_name = "SIGNAL=SD", value_parser = spread)]
    spreads: Vec<(String, f64)>,
    /// One JSON document instead of text
    #[arg(long)]
    json: bool,
}

/// `80%` or `0.8`, strictly between nothing and certainty.
fn share(text: &str) -> Result<f64, String> {
    let number = match text.strip_suffix('%') {
        Some(percent) => percent.trim().parse::<f64>().map(|percent| percent / 100.0),
        None => text.parse(),
    };
    match number {
        Ok(share) if share > 0.0 && share < 1.0 => Ok(share),
        _ => Err("write a chance between 0 and 1, for example 80% or 0.8".to_owned()),
    }
}

fn positive(text: &str) -> Result<f64, String> {
    match text.replace(',', "").parse::<f64>() {
        Ok(number) if (1e-6..=1e12).contains(&number) => Ok(number),
        _ => Err("write a number above 0, at most 1e12".to_owned()),
    }
}

fn spread(text: &str) -> Result<(String, f64), String> {
    let (name, sd) = text.split_once('=').ok_or("write SIGNAL=SD, for example basket=12.5")?;
    Ok((name.trim().to_owned(), positive(sd.trim())?))
}

/// Exit code 0 when it could be said, 2 when a file cannot be read.
pub(super) fn run(args: PowerArgs) -> Result<u8, Failure> {
    let settings = args.settings.settings()?;
    let names = args.settings.config.as_ref().map(|_| &settings);
    let question = Question {
        power: args.power,
        units_per_week: args.rate,
        spreads: args.spreads.into_iter().collect(),
    };
    let mut plans = Vec::new();
    for path in &args.files {
        let experiment = read_experiment(path, names)?;
        known_spreads(&experiment, &question.spreads)?;
        let plan = power_plan(&experiment, &question);
        plans.push((experiment, plan));
    }
    if args.json {
        let files: Vec<_> = plans
            .iter()
            .map(|(experiment, plan)| json!({"experiment": experiment.id, "plan": plan}))
            .collect();
        say_json(&json!({"schema": "verdictd/power/1", "files": files}));
        return Ok(0);
    }
    for (experiment, plan) in &plans {
        say(&text(experiment, plan));
    }
    Ok(0)
}

fn known_spreads(experiment: &Experiment, spreads: &BTreeMap<String, f64>) -> Result<(), Failure> {
    match spreads.keys().find(|name| experiment.signal(name).is_none()) {
        None => Ok(()),
        Some(name) => {
            let id = &experiment.id;
            Err(Failure::usage(format!("--spread {name}: `{id}` has no signal of that name")))
        }
    }
}

/// The whole answer as text.
pub(super) fn text(experiment: &Experiment, plan: &PowerPlan) -> String {
    let mut out = format!("{}: {}\n", experiment.id, experiment.checkpoint.continue_when);
    let whole = whole(plan);
    out.push_str(&wrapped("  ", "  ", &whole));
    for atom in &plan.atoms {
        let words = sentence(atom, plan.power, plan.units_per_week);
        out.push_str(&wrapped("  ", "    ", &format!("{}: {words}", atom.text)));
        if let Some(found) = atom.detectable {
            let (smallest, percent) = (change_words(atom, found), plan.power * 100.0);
            let words = format!("smallest effect found with {percent:.0} %: {smallest}");
            out.push_str(&wrapped("    ", "    ", &words));
        }
    }
    out
}

/// The chance of the rule: what it takes for granted, and what it leaves out.
fn whole(plan: &PowerPlan) -> String {
    let Some(chance) = plan.chance else {
        return "The chance of the whole rule is not known from the file.".to_owned();
    };
    let held = match plan.assumed.as_slice() {
        [] => String::new(),
        held => format!(" and {} holds", held.join(" and ")),
    };
    let words =
        format!("If the aim comes true{held}, the rule passes with {}", chance_words(chance));
    match plan.left_out.as_slice() {
        [] => format!("{words}."),
        others => {
            let others = others.join(" or ");
            format!("{words} without {others}, which would do too and which no aim is about.")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chances_and_spreads_are_read_as_people_write_them() {
        assert_eq!(share("80%"), Ok(0.8));
        assert_eq!(share("0.9"), Ok(0.9));
        for bad in ["0", "1", "100%", "-5%", "NaN", "inf", "eighty"] {
            assert!(share(bad).is_err(), "{bad}");
        }
        assert_eq!(spread("basket = 12.5"), Ok(("basket".to_owned(), 12.5)));
        assert_eq!(positive("12,000"), Ok(12_000.0));
        for bad in ["basket", "basket=", "basket=-1", "basket=NaN"] {
            assert!(spread(bad).is_err(), "{bad}");
        }
    }
}
