//! What finished and running records say together: which proxies predicted, whom to stop first.
//!
//! *Proxies* (statistics.md 1.11): one finished test is one cycle that ended by a look's verdict;
//! a pair is known by the names of its signals. Effects are divided by the aim's change (else the
//! threshold), positive = good. Same engine for every pair: `stats::proxy_validity`.
//! *Kill list* (statistics.md 1.8): one e-value per running experiment against "no outcome is
//! harmed": the mean over its outcomes of `1/(2 sqrt p)`, which turns an always-valid p into an
//! e-value (Vovk & Wang 2021, kappa = 1/2); e-BH over the portfolio, valid under any dependence.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::analyse::{SignalState, SignalView, moments_of};
use crate::decide::{Alarm, AlarmKind};
use crate::observe::{Observation, Sample};
use crate::points::ALL;
use crate::record::{EvaluationRecord, LookInput};
use crate::spec::{Baseline, Compare, Experiment, Role, Signal};
use crate::stats::multiple::{e_benjamini_hochberg, log_mean_e};
use crate::stats::proxy_validity::{LEAST_HITS, LEAST_SLOPE, NoSlope, Opinion, Pair, Validity};

/// False discovery rate of the kill list.
const KILL_ALPHA: f64 = 0.05;

/// One proxy and one outcome of one finished cycle.
#[derive(Debug, Clone, PartialEq)]
pub struct Finished {
    /// Proxy's name.
    pub proxy: String,
    /// Outcome's name.
    pub outcome: String,
    /// Where it comes from: experiment and cycle.
    pub experiment: String,
    /// The standardised effects.
    pub pair: Pair,
}

/// What is known about one proxy and one outcome.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProxyRow {
    /// Proxy's name.
    pub proxy: String,
    /// Outcome's name.
    pub outcome: String,
    /// `predicts`, `does_not_predict`, `unclear` or `not_enough_history`.
    pub opinion: String,
    /// Finished tests with both.
    pub experiments: u64,
    /// Of the tests whose proxy moved: how many, how often the outcome followed.
    pub hits: Option<[u64; 2]>,
    /// `(hits + 1)/(moved + 2)` with the ends of its Wilson interval.
    pub hit_score: Option<[f64; 3]>,
    /// Same sign, of those where both are beyond one standard error.
    pub agreement: [u64; 2],
    /// Noise-corrected slope with the ends of its jackknife interval.
    pub slope: Option<[f64; 3]>,
    /// Noise-corrected correlation.
    pub correlation: Option<f64>,
    /// Why there is no slope, and what the slope takes for granted.
    pub note: String,
    /// The finished tests, `experiment#cycle`.
    pub from: Vec<String>,
}

/// One running experiment on the kill list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KillRow {
    /// Experiment id.
    pub experiment: String,
    /// Natural log of its e-value for harm.
    pub ln_e: f64,
    /// Whether e-BH at 5 % puts it on the list.
    pub listed: bool,
}

/// Every pair of a record whose verdict ended its cycle; none of other records.
pub fn finished(record: &EvaluationRecord) -> Vec<Finished> {
    if !record.decision.ends_cycle || record.track != "look" {
        return Vec::new();
    }
    let input = &record.input;
    let of = |role| record.signals.iter().filter(move |view| view.role == role);
    let mut found = Vec::new();
    for proxy in of(Role::Proxy) {
        for outcome in of(Role::Outcome) {
            let (Some(a), Some(b)) = (standardised(input, proxy), standardised(input, outcome))
            else {
                continue;
            };
            let moved = matches!(proxy.state, SignalState::Met | SignalState::Moving);
            let above = [SignalState::Met, SignalState::Moving, SignalState::Short];
            let pair = Pair {
                proxy: a.0,
                proxy_se: a.1,
                outcome: b.0,
                outcome_se: b.1,
                moved,
                hit: above.contains(&outcome.state) || b.0 >= 1.0,
            };
            found.push(Finished {
                proxy: proxy.name.clone(),
                outcome: outcome.name.clone(),
                experiment: format!("{}#{}", input.experiment.id, input.cycle.number),
                pair,
            });
        }
    }
    found
}

/// `(effect, standard error)` over the wanted change, positive = good.
fn standardised(input: &LookInput, view: &SignalView) -> Option<(f64, f64)> {
    let signal = input.experiment.signal(&view.name)?;
    let Some(Observation::Ok(observed)) = input.observations.get(&view.name) else {
        return None;
    };
    let compare = signal.compare.as_ref().unwrap_or(&input.experiment.compare);
    let (treatment, comparison) = match compare {
        Compare::Arms { control, treatment, .. } => {
            (observed.arms.get(treatment)?, moments_of(observed.arms.get(control)?)?)
        }
        _ => (observed.arms.get(ALL)?, baseline(signal, observed.baseline.as_ref())?),
    };
    let treatment = moments_of(treatment)?;
    let wanted = wanted(input, view, comparison.0)?;
    let effect = (treatment.0 - comparison.0) * signal.want.sign() / wanted;
    let se = (treatment.1 + comparison.1).sqrt() / wanted;
    (effect.is_finite() && se.is_finite()).then_some((effect, se))
}

fn baseline(signal: &Signal, measured: Option<&Sample>) -> Option<(f64, f64)> {
    if let Some(sample) = measured {
        return moments_of(sample);
    }
    match signal.from? {
        Baseline::Stated(level) => Some((level, 0.0)),
        Baseline::Counted { x, n, .. } if n > 0.0 => Some((x / n, x / n * ((n - x) / n) / n)),
        Baseline::Counted { .. } | Baseline::Window(_) => None,
    }
}

/// The change that was wanted: the aim's, else the rule's threshold; a level is a change from
/// the comparison.
fn wanted(input: &LookInput, view: &SignalView, comparison: f64) -> Option<f64> {
    let aim = input.experiment.aim_on(&view.name);
    let aimed = aim.and_then(|aim| Some((aim.to? - aim.from?).abs()));
    let threshold = view.threshold.and_then(|threshold| {
        let evidence = view.evidence.as_ref()?;
        Some(match evidence.comparison {
            None => (threshold - comparison).abs(),
            Some(_) if evidence.relative => (threshold * comparison).abs(),
            Some(_) => threshold.abs(),
        })
    });
    aimed.or(threshold).filter(|wanted| *wanted > 0.0)
}

/// What the finished tests say about every pair of names.
pub fn proxies(finished: &[Finished]) -> Vec<ProxyRow> {
    let mut pairs: BTreeMap<(&str, &str), Vec<&Finished>> = BTreeMap::new();
    for one in finished {
        pairs.entry((&one.proxy, &one.outcome)).or_default().push(one);
    }
    pairs.into_iter().map(|((proxy, outcome), tests)| row(proxy, outcome, &tests)).collect()
}

fn row(proxy: &str, outcome: &str, tests: &[&Finished]) -> ProxyRow {
    let pairs: Vec<Pair> = tests.iter().map(|test| test.pair).collect();
    let validity = Validity::of(&pairs);
    let opinion = match validity.opinion() {
        Opinion::Predicts => "predicts",
        Opinion::DoesNotPredict => "does_not_predict",
        Opinion::Unclear => "unclear",
        Opinion::NotEnoughHistory => "not_enough_history",
    };
    let note = match validity.slope {
        Ok(_) => "covariance of the two estimates within an experiment unknown, taken as 0".into(),
        Err(NoSlope::TooFew) => format!(
            "not enough history: a hit score needs {LEAST_HITS} tests whose proxy moved, a slope \
             {LEAST_SLOPE} tests"
        ),
        Err(NoSlope::TooNoisy) => {
            "not enough history: the proxies differ by little more than their noise".into()
        }
    };
    ProxyRow {
        proxy: proxy.to_owned(),
        outcome: outcome.to_owned(),
        opinion: opinion.to_owned(),
        experiments: validity.experiments as u64,
        hits: validity.hits.map(|hits| [hits.moved as u64, hits.hits as u64]),
        hit_score: validity.hits.map(|hits| [hits.score, hits.interval.lo, hits.interval.hi]),
        agreement: [validity.agreement.0 as u64, validity.agreement.1 as u64],
        slope: validity.slope.ok().map(|slope| [slope.slope, slope.interval.lo, slope.interval.hi]),
        correlation: validity.slope.ok().and_then(|slope| slope.correlation),
        note,
        from: tests.iter().map(|test| test.experiment.clone()).collect(),
    }
}

/// The row in one plain sentence.
pub fn proxy_sentence(row: &ProxyRow) -> String {
    let (proxy, outcome) = (&row.proxy, &row.outcome);
    let said = match row.opinion.as_str() {
        "predicts" => "predicted",
        "does_not_predict" => "did not predict",
        "unclear" => "may or may not predict",
        _ => return format!("{proxy} -> {outcome}: {} ({} tests).", row.note, row.experiments),
    };
    let mut parts = vec![format!("{proxy} {said} {outcome} in {} finished tests", row.experiments)];
    if let (Some([moved, hits]), Some([score, lo, hi])) = (row.hits, row.hit_score) {
        parts.push(format!(
            "of {moved} that moved {hits} were followed (score {score:.2}, share {lo:.2} to \
             {hi:.2})"
        ));
    }
    if let Some([slope, lo, hi]) = row.slope {
        parts.push(format!("slope {slope:.2} ({lo:.2} to {hi:.2})"));
    }
    format!("{}; {}.", parts.join("; "), row.note)
}

/// Pairs of the file whose proxy did not predict its outcome in finished tests: the name of the
/// proxy, and the sentence about it.
pub fn discredited(experiment: &Experiment, rows: &[ProxyRow]) -> Vec<(String, String)> {
    let is_pair = |row: &&ProxyRow| {
        row.opinion == "does_not_predict"
            && experiment.proxies().any(|proxy| proxy.name == row.proxy)
            && experiment.outcomes().any(|outcome| outcome.name == row.outcome)
    };
    rows.iter().filter(is_pair).map(|row| (row.proxy.clone(), proxy_sentence(row))).collect()
}

/// `proxy_does_not_predict`.
pub(super) fn alarm(row: &ProxyRow) -> Option<Alarm> {
    if row.opinion != "does_not_predict" {
        return None;
    }
    let pair = format!("{} -> {}", row.proxy, row.outcome);
    let clears = "later tests in which the outcome follows the proxy";
    let mut alarm = Alarm::new(AlarmKind::ProxyDoesNotPredict, &pair, clears)
        .number("experiments", row.experiments as f64);
    if let (Some([moved, hits]), Some([score, lo, hi])) = (row.hits, row.hit_score) {
        alarm = alarm.number("moved", moved as f64).number("hits", hits as f64);
        alarm = alarm.number("hit_score", score).number("hit_lower", lo).number("hit_upper", hi);
    }
    if let Some([slope, lo, hi]) = row.slope {
        alarm = alarm.number("slope", slope).number("slope_lower", lo).number("slope_upper", hi);
    }
    Some(alarm)
}

/// e-BH over the newest looks of running experiments; largest e-value first.
pub fn kill_list(running: &[&EvaluationRecord]) -> Vec<KillRow> {
    let ln_e: Vec<f64> = running.iter().map(|record| ln_e_of_harm(record)).collect();
    let listed = e_benjamini_hochberg(&ln_e, KILL_ALPHA);
    let rows = running.iter().zip(ln_e).zip(listed);
    let mut rows: Vec<KillRow> = rows
        .map(|((record, ln_e), listed)| KillRow {
            experiment: record.input.experiment.id.clone(),
            ln_e,
            listed,
        })
        .collect();
    rows.sort_by(|a, b| b.ln_e.total_cmp(&a.ln_e).then(a.experiment.cmp(&b.experiment)));
    rows
}

/// Log of the mean e-value over the tests for harm; 0 (no evidence) without one.
fn ln_e_of_harm(record: &EvaluationRecord) -> f64 {
    let tests = record.carry.iter().filter(|(id, _)| id.starts_with("harm|"));
    let ln_e: Vec<f64> =
        tests.map(|(_, test)| -core::f64::consts::LN_2 - 0.5 * test.ln_p.min(0.0)).collect();
    if ln_e.is_empty() { 0.0 } else { log_mean_e(&ln_e) }
}

/// The list in one sentence.
pub fn kill_sentence(rows: &[KillRow]) -> String {
    let listed: Vec<&str> =
        rows.iter().filter(|row| row.listed).map(|row| row.experiment.as_str()).collect();
    let of = rows.len();
    if listed.is_empty() {
        return format!("No running experiment is on the kill list (e-BH at 5 % over {of}).");
    }
    format!(
        "Stop these first: {}; at most 5 % of such a list are there by chance (e-BH over {of} \
         running experiments' e-values for harm).",
        listed.join(", ")
    )
}
