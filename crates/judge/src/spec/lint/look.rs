//! Look plans and named methods: what cannot be judged as written, and what will surprise.

use super::{Finding, change_is_judged, days_to_checkpoint, signal_place};
use crate::spec::method::{Design, MethodName, fitting};
use crate::spec::model::{Experiment, Form, LookPlan, Signal, When};

pub(super) fn look(experiment: &Experiment, found: &mut Vec<Finding>) {
    for signal in &experiment.signals {
        method(experiment, signal, found);
    }
    match experiment.checkpoint.look {
        LookPlan::Always => {}
        LookPlan::Once => once(experiment, found),
        LookPlan::Weekly(looks) => weekly(experiment, looks, found),
    }
}

/// A method that does not fit what the file says about the signal.
fn method(experiment: &Experiment, signal: &Signal, found: &mut Vec<Finding>) {
    let Some(named) = signal.method else {
        return;
    };
    let look = experiment.checkpoint.look;
    // Without a comparison only a level can be judged.
    let design = Design::of(experiment, signal).unwrap_or(Design::Stated);
    let fits = fitting(design, signal.form, look);
    if fits.contains(&named) {
        return;
    }
    let form = serde_json::to_value(signal.form).unwrap_or_default();
    let message = format!(
        "`{}` does not fit `{}`: a {} against {}, {}",
        named.name(),
        signal.name,
        form.as_str().unwrap_or_default(),
        design.words(),
        look_words(look)
    );
    let names: Vec<String> = fits.iter().map(|fit| format!("`{}`", fit.name())).collect();
    let automatic = fits.first().map_or("", |fit| fit.name());
    let hint = format!("fitting: {}; without `method` it is `{automatic}`", names.join(", "));
    let cause = if named == MethodName::MannWhitney {
        "it needs raw samples, which only `verdictd analyze` is given"
    } else {
        named.about().chosen
    };
    let place = format!("{}.method", signal_place(signal));
    found.push(Finding::new("D0119", place, message).cause(cause).hint(hint));
}

fn look_words(look: LookPlan) -> &'static str {
    match look {
        LookPlan::Always => "judged at every look",
        LookPlan::Once => "judged once",
        LookPlan::Weekly(_) => "judged in planned weekly looks",
    }
}

fn once(experiment: &Experiment, found: &mut Vec<Finding>) {
    let checkpoint = &experiment.checkpoint;
    if matches!(checkpoint.when, When::Every(_)) {
        let message = "`look: once` judges the first checkpoint of a cycle; later ones repeat it";
        let hint = "write `at:` with one date, or leave `look` out to judge at every checkpoint";
        found.push(Finding::new("W0118", "checkpoint.look", message).hint(hint));
    }
    if checkpoint.early_stop_futility {
        let message = "`early_stop: futility` has nothing to read before the only look";
        let hint = "leave one of the two out; harm still stops at any look";
        found.push(Finding::new("W0118", "checkpoint.early_stop", message).hint(hint));
    }
}

fn weekly(experiment: &Experiment, looks: u32, found: &mut Vec<Finding>) {
    let days = days_to_checkpoint(experiment);
    let weeks = (days / 7.0) as u32;
    if looks > weeks.max(1) {
        let message =
            format!("`weekly x{looks}` plans more looks than the {weeks} weeks to the checkpoint");
        let hint = format!("write `weekly x{}`, or move `at`", weeks.max(2));
        found.push(Finding::new("W0118", "checkpoint.look", message).hint(hint));
    }
    if experiment.units_per_week.is_some() {
        return;
    }
    let counted = |signal: &&Signal| {
        !matches!(signal.form, Form::Value | Form::Rate)
            && (change_is_judged(experiment, signal)
                || experiment.checkpoint.continue_when.names(&signal.name))
    };
    if let Some(signal) = experiment.signals.iter().find(counted) {
        let message = format!("weekly looks at `{}` without a plan of its units", signal.name);
        let finding = Finding::new("D0120", "checkpoint.look", message)
            .cause("alpha is spent by the share of the planned units that is in")
            .hint("add `plan: {units_per_week: 3000}`, or leave `look` out");
        found.push(finding);
    }
}
