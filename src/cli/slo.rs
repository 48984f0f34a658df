//! `verdictd slo`: what an OpenSLO file, or an `slo` guardrail of an experiment file, becomes.
//!
//! Prints objective, period, budget in events and minutes, burn-rate alerts with what they need to
//! fire, and the queries. Formulas (monitoring of SLOs): an alert with factor `f` over the long
//! window `w` fires above an error ratio of `f B`; at a constant ratio `E` it takes `f B w / E`,
//! and never comes when `E <= f B`; it spends `f w / P` of the budget of a period `P` first.

mod rules;

use std::path::{Path, PathBuf};

use clap::Args;
use judge::prose::{count, format_level};
use judge::spec::openslo::{ImportedSlo, SloMethod};
use judge::spec::{
    self, BadCount, BudgetPeriod, BurnRule, BurnSeverity, CalendarUnit, Diagnostic, Form, Severity,
    Slo,
};
use judge::time::Span;
use serde_json::{Value, json};

use super::SettingsArgs;
use super::check::context;
use super::output::{Failure, say, say_json, wrapped};
use crate::cycle::say::word;
use crate::portfolio;

/// Error ratios whose detection time is shown.
const RATIOS: [f64; 3] = [1.0, 0.1, 0.01];
const LABEL: &str = "            ";

/// Show what an OpenSLO file or the slo guardrails of an experiment file become
#[derive(Debug, Args)]
pub(super) struct SloArgs {
    /// An OpenSLO file or an experiment file
    file: PathBuf,
    /// Only the objective, SLO or guardrail of this name
    #[arg(long, value_name = "NAME")]
    objective: Option<String>,
    /// Events a day, for the budget in events
    #[arg(long, value_name = "EVENTS")]
    per_day: Option<f64>,
    #[command(flatten)]
    settings: SettingsArgs,
    /// One JSON document instead of text
    #[arg(long)]
    json: bool,
    /// The same alerts as Prometheus recording and alerting rules, instead of text
    #[arg(long, conflicts_with = "json")]
    rules: bool,
}

/// One objective, whatever it was written in.
#[derive(Debug)]
struct Shown {
    name: String,
    service: Option<String>,
    objective: f64,
    slice: Option<Span>,
    budget: BudgetPeriod,
    timezone: Option<String>,
    source: Option<String>,
    /// Length of one period of the counts.
    grain: Span,
    bad: String,
    total: String,
    alerts: Vec<(BurnRule, Option<String>)>,
    min_events: f64,
    keep_firing_for: Span,
    or_bad: Option<BadCount>,
    notes: Vec<String>,
}

/// Exit code 0 when everything can be kept, 1 with findings, 2 when the file cannot be read.
pub(super) fn run(args: SloArgs) -> Result<u8, Failure> {
    if args.per_day.is_some_and(|events| !(events > 0.0 && events.is_finite())) {
        return Err(Failure::usage("--per-day: write a number of events above 0"));
    }
    let name = args.file.display().to_string();
    let text = portfolio::read_bounded(&args.file)
        .map_err(|error| Failure::usage(format!("{name}: {error}")))?;
    let (mut shown, diagnostics) = if spec::is_openslo(&text) {
        let read = spec::read_openslo(&text);
        (read.slos.into_iter().map(Shown::imported).collect(), read.diagnostics)
    } else {
        of_experiment(&args, &name, &text)?
    };
    let known: Vec<String> = shown.iter().map(|one: &Shown| one.name.clone()).collect();
    if let Some(wanted) = &args.objective {
        shown.retain(|one| one.answers_to(wanted));
        if shown.is_empty() && !known.is_empty() {
            let known = known.join(", ");
            return Err(Failure::usage(format!("{name} has no `{wanted}`; it has {known}")));
        }
    }
    if args.rules {
        say(&rules::text(&name, &shown).map_err(Failure::usage)?);
    } else if args.json {
        say_json(&document(&name, &shown, &diagnostics, args.per_day));
    } else {
        print_text(&name, &text, &shown, &diagnostics, args.per_day);
    }
    let has_errors = diagnostics.iter().any(|one| one.severity == Severity::Error);
    let is_fine = shown.iter().all(|one| one.trouble().is_none());
    Ok(u8::from(has_errors || shown.is_empty() || !is_fine))
}

/// The `slo` guardrails of an experiment file; other faults of the file are `check`'s to tell.
fn of_experiment(
    args: &SloArgs,
    name: &str,
    text: &str,
) -> Result<(Vec<Shown>, Vec<Diagnostic>), Failure> {
    let settings = args.settings.settings()?;
    let names = args.settings.config.as_ref().map(|_| &settings);
    let folder = args.file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let files = portfolio::query_files(folder.unwrap_or(Path::new("."))).unwrap_or_default();
    let parsed = spec::parse(name, text, &context(names, files));
    let mut shown = Vec::new();
    for guardrail in parsed.experiment.iter().flat_map(|experiment| &experiment.guardrails) {
        if let Some(slo) = guardrail.kind.slo() {
            let zone = parsed.experiment.as_ref().map(|experiment| experiment.timezone.clone());
            let keep_firing_for = guardrail.keep_firing_for;
            let one = Shown::guardrail(&guardrail.name, slo, zone, guardrail.every);
            shown.push(Shown { keep_firing_for, ..one });
        }
    }
    let errors = parsed.diagnostics.into_iter().filter(|one| one.severity == Severity::Error);
    let errors: Vec<Diagnostic> = errors.collect();
    if shown.is_empty() && errors.is_empty() {
        return Err(Failure::usage(format!("{name} has no guardrail of the kind slo")));
    }
    Ok((shown, errors))
}

impl Shown {
    fn imported(slo: ImportedSlo) -> Self {
        let source = slo.source_ref.clone().or_else(|| slo.source_kind.clone());
        let slice = match slo.method {
            SloMethod::Occurrences => None,
            SloMethod::Timeslices { slice } => Some(slice),
        };
        let name = slo.label();
        let (mut alerts, mut notes) = (slo.alerts, slo.notes);
        let mut of_table = Vec::new();
        if let (true, Some(found)) = (alerts.is_empty(), spec::default_alerts(slo.budget)) {
            let table = found.table;
            notes.push(format!("the file has no alert: those of the table `{table}` are used"));
            of_table.extend(found.alerts.into_iter().map(|rule| (rule, None)));
        }
        let written = alerts.drain(..).map(|alert| (alert.rule, Some(alert.policy)));
        Self {
            name,
            service: slo.service,
            objective: slo.objective,
            slice,
            budget: slo.budget,
            timezone: slo.timezone,
            source,
            grain: slice.unwrap_or(Span::seconds(30)),
            bad: slo.bad,
            total: slo.total,
            alerts: written.chain(of_table).collect(),
            min_events: 0.0,
            keep_firing_for: Span::ZERO,
            or_bad: None,
            notes,
        }
    }

    fn guardrail(name: &str, slo: &Slo, timezone: Option<String>, every: Option<Span>) -> Self {
        let column = |name: &str| {
            let file = slo.query.sql.clone().or_else(|| slo.query.file.clone());
            slo.query.columns.get(name).cloned().or(file).unwrap_or_default()
        };
        let is_calendar = matches!(slo.budget, BudgetPeriod::Calendar(_));
        let rules = slo.burn.iter().flat_map(|burn| burn.alerts.iter().cloned());
        Self {
            name: name.to_owned(),
            service: None,
            objective: slo.objective,
            slice: slo.slice,
            budget: slo.budget,
            timezone: timezone.filter(|_| is_calendar),
            source: Some(slo.source.clone()),
            grain: slo.grain(every),
            bad: column("bad"),
            total: column("total"),
            alerts: rules.map(|rule| (rule, None)).collect(),
            min_events: slo.burn.as_ref().map_or(0.0, |burn| burn.min_events),
            keep_firing_for: Span::ZERO,
            or_bad: slo.burn.as_ref().and_then(|burn| burn.or_bad),
            notes: Vec::new(),
        }
    }

    fn answers_to(&self, name: &str) -> bool {
        self.name == name || self.name.split('/').any(|part| part == name)
    }

    /// `1 - objective` as the decimal that was meant.
    fn budget_share(&self) -> f64 {
        judge::record::round12(1.0 - self.objective)
    }

    /// The error ratio above which an alert fires.
    fn fires_above(&self, rule: &BurnRule) -> f64 {
        judge::record::round12(rule.factor * self.budget_share())
    }

    fn can_fire(&self, rule: &BurnRule) -> bool {
        self.fires_above(rule) < 1.0
    }

    /// Whether its windows hold one period of the counts.
    fn sees(&self, rule: &BurnRule) -> bool {
        rule.long >= self.grain
    }

    /// Why its alerts do not do what they should, if so.
    fn trouble(&self) -> Option<String> {
        let rules = || self.alerts.iter().map(|(rule, _)| rule);
        let pages = || rules().filter(|rule| rule.severity == BurnSeverity::Page);
        let period = self.budget.nominal()?;
        if !rules().all(|rule| self.can_fire(rule)) {
            let words = "an alert can never fire: lower its factor or the objective";
            return Some(words.to_owned());
        }
        if pages().any(|rule| !rule.is_beyond_budget()) {
            let words = "a page would stop a service that keeps its objective: write a factor \
                         above 1";
            return Some(words.to_owned());
        }
        if pages().count() == 0 {
            return Some(format!(
                "no alert pages, so it trips only when the budget of {period} is spent: write \
                 `burn:` by hand, or a longer period"
            ));
        }
        let grain = self.grain;
        (!pages().any(|rule| self.sees(rule))).then(|| {
            format!(
                "no alert that pages can be judged in periods of {grain}: it trips only when the \
                 budget of {period} is spent"
            )
        })
    }

    /// How long an alert needs at a constant error ratio; `None` when it never fires.
    fn detection(&self, rule: &BurnRule, ratio: f64) -> Option<Span> {
        let above = self.fires_above(rule);
        (ratio > above).then(|| {
            let ms = above * rule.long.ms as f64 / ratio;
            let ms = (ms.ceil() as i64).max(1) + rule.hold_for.ms;
            // Long periods are seen when they are over, short ones nearly at once.
            let step_ms = if self.grain > Span::seconds(60) { self.grain.ms } else { 1 };
            Span { ms: (ms + step_ms - 1) / step_ms * step_ms }
        })
    }

    /// Share of the budget that is gone when an alert fires on a full long window.
    fn spends(&self, rule: &BurnRule) -> Option<f64> {
        let period = self.budget.nominal()?;
        Some(judge::record::round12(rule.factor * rule.long.ms as f64 / period.ms as f64))
    }

    /// Minutes of nothing but errors that the budget of one period holds.
    fn minutes(&self) -> Option<f64> {
        let period = self.budget.nominal()?;
        Some(judge::record::round12(self.budget_share() * period.ms as f64 / 60_000.0))
    }

    /// Bad events (or slices) that the budget of one period holds.
    fn events(&self, per_day: Option<f64>) -> Option<f64> {
        let per_day = match self.slice {
            Some(slice) => Some(86_400_000.0 / slice.ms as f64),
            None => per_day,
        };
        Some(judge::record::round12(
            self.budget_share() * per_day? * self.budget.nominal()?.as_days(),
        ))
    }
}

fn print_text(
    name: &str,
    text: &str,
    shown: &[Shown],
    diagnostics: &[Diagnostic],
    per_day: Option<f64>,
) {
    for one in shown {
        say(&text_of(one, per_day));
        say("\n");
    }
    say(&spec::render(name, text, diagnostics));
}

/// One objective as text.
fn text_of(one: &Shown, per_day: Option<f64>) -> String {
    let share = |x: f64| format_level(x, Form::Proportion, None);
    let mut out = format!("{}\n", one.name);
    let mut row = |label: &str, text: &str| {
        out.push_str(&wrapped(&format!("  {label:<10}"), LABEL, text));
    };
    if let Some(service) = &one.service {
        row("service", service);
    }
    let percent = judge::record::round12(one.objective * 100.0);
    let what = one.slice.map_or_else(
        || format!("{percent} % of events good"),
        |slice| format!("{percent} % of slices of {slice} good"),
    );
    row("objective", &what);
    row("period", &period_words(one));
    row("budget", &budget_words(one, per_day));
    row("source", one.source.as_deref().unwrap_or("not named"));
    row("bad", &one.bad);
    row("total", &one.total);
    for (rule, policy) in &one.alerts {
        row("alert", &alert_words(one, rule, policy.as_deref(), &share));
    }
    let feasible = match one.trouble() {
        Some(trouble) => trouble,
        None if one.alerts.is_empty() => {
            "exact test of the whole lifetime at every look, false alarms at most 1 %".to_owned()
        }
        None if one.alerts.iter().all(|(rule, _)| one.sees(rule)) => {
            "every alert can fire".to_owned()
        }
        None => format!("every alert over {} or more can fire", one.grain),
    };
    row("feasible", &feasible);
    for note in &one.notes {
        row("note", note);
    }
    out
}

fn period_words(one: &Shown) -> String {
    let unit = |unit: CalendarUnit| word(&unit);
    match one.budget {
        BudgetPeriod::Lifetime => "the experiment's lifetime".to_owned(),
        BudgetPeriod::Rolling(span) => format!("rolling {span}"),
        BudgetPeriod::Calendar(kind) => {
            let zone = one.timezone.as_deref().unwrap_or("UTC");
            format!("calendar {} in {zone}", unit(kind))
        }
    }
}

fn budget_words(one: &Shown, per_day: Option<f64>) -> String {
    let unit = if one.slice.is_some() { "slices" } else { "events" };
    let budget = one.budget_share();
    let mut text = format!("{} of 1,000,000 {unit} may be bad", count(budget * 1e6));
    if let Some(minutes) = one.minutes() {
        let minutes = format_level(minutes, Form::Value, Some("minutes"));
        text = format!("{text}; {minutes} of nothing but errors in a period");
    }
    if let Some(events) = one.events(per_day) {
        text = format!("{text}; {} bad {unit} in a period", count(events));
    }
    text
}

fn alert_words(
    one: &Shown,
    rule: &BurnRule,
    policy: Option<&str>,
    share: &dyn Fn(f64) -> String,
) -> String {
    let does = match rule.severity {
        BurnSeverity::Page => "page",
        BurnSeverity::Ticket => "ticket",
    };
    let mut text = format!(
        "{does}: {} x over {} and {}",
        spec::rate_text(rule.factor, 4),
        rule.long,
        rule.short
    );
    if rule.hold_for > Span::ZERO {
        text = format!("{text} for {}", rule.hold_for);
    }
    if let Some(policy) = policy {
        text = format!("{text} ({policy})");
    }
    let above = one.fires_above(rule);
    if !one.can_fire(rule) {
        text = format!("{text}; needs {} bad: it can never fire", share(above));
        return text;
    }
    if !one.sees(rule) {
        return format!("{text}; cannot be judged: the source counts in periods of {}", one.grain);
    }
    text = format!("{text}; fires above {} bad", share(above));
    if let Some(spent) = one.spends(rule) {
        text = format!("{text}, {} of the budget gone", share(spent));
    }
    for ratio in RATIOS {
        let after = one.detection(rule, ratio).map_or_else(|| "never".to_owned(), rounded);
        text = format!("{text}; at {} bad {after}", share(ratio));
    }
    text
}

/// A detection time to two units.
fn rounded(span: Span) -> String {
    let seconds = span.ms as f64 / 1_000.0;
    match seconds {
        s if s < 100.0 => format!("after {s:.0} s"),
        s if s < 6_000.0 => format!("after {:.0} min", s / 60.0),
        s if s < 172_800.0 => format!("after {:.1} h", s / 3_600.0),
        s => format!("after {:.1} d", s / 86_400.0),
    }
}

fn document(
    name: &str,
    shown: &[Shown],
    diagnostics: &[Diagnostic],
    per_day: Option<f64>,
) -> Value {
    let alert = |one: &Shown, rule: &BurnRule, policy: &Option<String>| {
        let detects = RATIOS.map(|ratio| {
            let seconds = one.detection(rule, ratio).map(|span| span.ms as f64 / 1_000.0);
            json!({"bad_share": ratio, "after_seconds": seconds})
        });
        json!({
            "severity": rule.severity,
            "factor": rule.factor,
            "long": rule.long.to_string(),
            "short": rule.short.to_string(),
            "for": rule.hold_for.to_string(),
            "policy": policy,
            "fires_above": one.fires_above(rule),
            "spends": one.spends(rule),
            "can_fire": one.can_fire(rule),
            "can_be_judged": one.sees(rule),
            "detects": detects,
        })
    };
    let slos: Vec<Value> = shown
        .iter()
        .map(|one| {
            let alerts: Vec<Value> =
                one.alerts.iter().map(|(rule, policy)| alert(one, rule, policy)).collect();
            json!({
                "name": one.name,
                "service": one.service,
                "objective": one.objective,
                "slice": one.slice.map(|slice| slice.to_string()),
                "period": period_words(one),
                "budget": one.budget_share(),
                "budget_minutes": one.minutes(),
                "budget_events": one.events(per_day),
                "source": one.source,
                "bad": one.bad,
                "total": one.total,
                "alerts": alerts,
                "trouble": one.trouble(),
                "notes": one.notes,
            })
        })
        .collect();
    let errors = diagnostics.iter().filter(|one| one.severity == Severity::Error).count();
    json!({
        "schema": "verdictd/slo/1",
        "file": name,
        "slos": slos,
        "diagnostics": diagnostics,
        "errors": errors,
        "warnings": diagnostics.len() - errors,
    })
}

#[cfg(test)]
mod tests;
