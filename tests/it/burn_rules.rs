//! `verdictd slo --rules` against the judge: on one history the rules of Prometheus fire at the
//! same minutes as our alerts, by `promtool test rules`.
//!
//! Dense traffic, so that no test of chance delays one of the two, and minutes after the longest
//! window is full: before, rules extrapolate and we count unmeasured time as time without errors.

use std::fmt::Write as _;
use std::process::Command;

use judge::analyse::{BurnAlert, GuardrailStatus};
use judge::guardrails::{self, BurnInput, GuardrailInput, Slots};
use judge::lifecycle;
use judge::points::{ALL, Point, Sums};
use judge::record::Carry;
use judge::spec::{self, Context, Experiment};
use judge::time::{Span, add_ms};

use super::fakes::daemon::binary;

const EXPERIMENT: &str = "experiment: rules
title: The same page twice
owner: {name: Nobody, contact: \"#nobody\"}
can_stop: [tester]
aim: {signal: outcome, behaviour: users do it, from: 27%, to: 35%, by: 2027-06-30}
mechanism: {we_believe: another page, will_move: outcome, because: it is clearer}
reversible: yes
if_it_works: the team keeps it
compare: {design: baseline}
start: 2027-01-04
plan: {units_per_week: 1400}
signals:
  step: {role: proxy, form: proportion, want: up, from: 40%, matures_after: 0d, source: prom,
    query: {num: a, den: b}}
  outcome: {role: outcome, form: proportion, want: up, from: 27%, matures_after: 0d, source: prom,
    query: {num: a, den: b}}
checkpoint: {at: 2027-02-28, continue_when: step >= +10% and outcome >= +3pts}
guardrails:
  errors:
    slo:
      objective: 99.9%
      source: prom
      bad: 'sum(increase(errors_total{job=\"shop\"}[{{grain}}]))'
      total: 'sum(increase(requests_total{job=\"shop\"}[{{grain}}]))'
      scope: service
      budget: {rolling: 28d}
      burn:
        - {severity: page, factor: 14.4, long: 1h, short: 5m}
        - {severity: page, factor: 6, long: 6h, short: 30m, for: 3m}
        - {severity: ticket, factor: 1, long: 3h, short: 10m}
    on_trip: alert
    every: 1m
rollback: {plan: https://wiki.example.com/undo}
review: {every: 7d, minutes: 15}
";

/// Requests of a minute.
const TOTAL: i64 = 100_000;
/// The longest window is full.
const FULL: i64 = 370;

/// Bad requests minute by minute: calm, an hour at 2 %, calm, ten minutes of outage, calm, hours at
/// 0.3 %, calm.
fn history() -> Vec<i64> {
    let parts = [(400, 10), (60, 2_000), (120, 10), (10, TOTAL), (90, 10), (200, 300), (120, 10)];
    parts.iter().flat_map(|(minutes, bad)| vec![*bad; *minutes]).collect()
}

fn experiment() -> Experiment {
    let parsed = spec::parse("rules.yaml", EXPERIMENT, &Context::default());
    parsed.experiment.unwrap_or_else(|| panic!("{:?}", parsed.diagnostics))
}

/// Which alerts are on at each minute, as the judge has it.
fn ours(experiment: &Experiment, bad: &[i64]) -> Vec<Vec<BurnAlert>> {
    let guardrail = experiment.guardrail("errors").unwrap();
    let state = lifecycle::first_seen(experiment, true, experiment.start);
    let (mut slots, mut stored) = (Slots::default(), None::<GuardrailStatus>);
    let mut on = Vec::new();
    for (minute, bad) in (0..).zip(bad) {
        let at = |minute: i64| add_ms(experiment.start, minute * 60_000);
        let sums = Sums::Proportion { num: *bad as f64, den: TOTAL as f64 };
        let (start, end) = (at(minute), at(minute + 1));
        slots.lay(&[Point { arm: ALL.to_owned(), start, end, sums }]);
        let outcome = guardrails::judge(&GuardrailInput {
            experiment,
            guardrail,
            cycle: &state.cycle,
            at: end,
            every: Span::seconds(60),
            grain: Span::seconds(60),
            lateness: Span::ZERO,
            points: &[],
            control: &[],
            burn: BurnInput { slots: Some(&slots), ..BurnInput::default() },
            failure: None,
            stored: stored.clone(),
            carry: &Carry::new(),
        });
        on.push(outcome.status.burn.clone().unwrap().alerts);
        stored = Some(outcome.status);
    }
    on
}

/// A counter in the notation of rule tests: it starts at nothing and holds each minute's sum.
fn counter(each: impl Iterator<Item = i64>) -> String {
    let mut sum = 0;
    let mut text = "0".to_owned();
    for more in each {
        sum += more;
        write!(text, " {sum}").unwrap();
    }
    text
}

#[test]
fn prometheus_fires_at_the_minutes_at_which_the_judge_does() {
    let promtool = std::env::var("VERDICTD_TEST_PROMTOOL").expect("VERDICTD_TEST_PROMTOOL");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rules.yaml");
    std::fs::write(&file, EXPERIMENT).unwrap();
    let made = Command::new(binary()).arg("slo").arg(&file).arg("--rules").output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let rules = String::from_utf8(made.stdout).unwrap();
    std::fs::write(folder.path().join("made.rules.yml"), &rules).unwrap();

    let (experiment, bad) = (experiment(), history());
    let ours = ours(&experiment, &bad);
    let mut text = format!(
        "rule_files: [made.rules.yml]\nevaluation_interval: 1m\ntests:\n  - interval: 1m\n    \
         input_series:\n      - {{series: 'errors_total{{job=\"shop\"}}', values: '{}'}}\n      - \
         {{series: 'requests_total{{job=\"shop\"}}', values: '{}'}}\n    alert_rule_test:\n",
        counter(bad.iter().copied()),
        counter(bad.iter().map(|_| TOTAL)),
    );
    let (mut fired, mut checked) = ([0; 3], 0);
    for (minute, alerts) in (1..).zip(&ours).filter(|(minute, _)| *minute >= FULL) {
        writeln!(text, "      - eval_time: {minute}m\n        alertname: VerdictdBurnRate")
            .unwrap();
        let mut expected = String::new();
        for (index, alert) in alerts.iter().enumerate().filter(|(_, alert)| alert.firing) {
            fired[index] += 1;
            let severity = if index < 2 { "page" } else { "ticket" };
            let (long, short) = [("1h", "5m"), ("6h", "30m"), ("3h", "10m")][index];
            let factor = alert.factor;
            let summary =
                format!("errors burns more than {factor} times its budget over {long} and {short}");
            writeln!(
                expected,
                "          - exp_labels: {{slo: errors, severity: {severity}, window: {long}}}\n\
                 {:12}exp_annotations: {{summary: \"{summary}\"}}",
                ""
            )
            .unwrap();
        }
        let none = expected.is_empty();
        writeln!(text, "        exp_alerts:{}", if none { " []" } else { "" }).unwrap();
        text.push_str(&expected);
        checked += 1;
    }
    std::fs::write(folder.path().join("test.yml"), &text).unwrap();
    let run = |what: &[&str]| {
        let output =
            Command::new(&promtool).args(what).current_dir(folder.path()).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "{what:?}: {:.4000}", String::from_utf8_lossy(&said));
    };
    run(&["check", "rules", "made.rules.yml"]);
    run(&["test", "rules", "test.yml"]);
    assert!(fired.iter().all(|minutes| *minutes > 5 && *minutes < checked / 2), "{fired:?}");
    eprintln!("{checked} minutes, on in {fired:?}: the rules of Prometheus agree with each");
}
