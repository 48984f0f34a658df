//! Evidence modes, tolerance, level, latching, ledger, tau and the methods of the table.

use crate::analyse::fixtures::*;
use crate::analyse::{
    Analysis, GuardrailState, MethodName, SignalState, Truth, UnknownWhy, analyse, ledger,
};
use crate::decide::Finding;
use crate::observe::{Observation, Sample};
use crate::points::{ALL, Sums};
use crate::record::LookInput;
use crate::spec::{
    Amount, AtomKind, Baseline, Compare, EvidenceMode, Experiment, Form, GuardrailKind, Margin,
    NoWorseThan, OnTrip, Role, Rule, Side, Signal, Want,
};
use crate::stats::one_proportion;
use crate::time::Span;

fn outcome(form: Form, want: Want) -> Signal {
    signal("y", Role::Outcome, form, want)
}

fn plus3() -> Rule {
    moves("y", Side::AtLeast, Amount::Absolute(0.03))
}

/// Two arms of a proportion at 27 % -> 35 %, rule `y >= +3pts`.
fn two_arm(mode: EvidenceMode) -> Experiment {
    let mut experiment = experiment(arms(), vec![outcome(Form::Proportion, Want::Up)], plus3());
    experiment.aims = vec![aim("y", 0.27, 0.35)];
    experiment.evidence = mode;
    experiment
}

fn look_at(experiment: Experiment, control: (f64, f64), treatment: (f64, f64)) -> LookInput {
    input(experiment, day(42), vec![("y", two_arms(control, treatment, day(28)))])
}

fn met(mode: EvidenceMode, treated: f64, at_checkpoint: bool) -> (Truth, Option<UnknownWhy>) {
    let look = look_at(two_arm(mode), (1620.0, 6000.0), (treated, 6000.0));
    let analysis = analyse(&look, at_checkpoint);
    (analysis.atoms[0].met, analysis.atoms[0].why)
}

#[test]
fn the_four_modes_differ_where_they_should() {
    // h2 is about 2.7 pts (see the activation story). +3.0 pts exactly: 180 of 6000 more.
    let inconclusive = (Truth::Unknown, Some(UnknownWhy::Inconclusive));
    assert_eq!(met(EvidenceMode::Significant, 1800.0, true), (Truth::True, None));
    assert_eq!(met(EvidenceMode::Proven, 1800.0, true), inconclusive);
    assert_eq!(met(EvidenceMode::NotRefuted, 1800.0, true), (Truth::True, None));
    assert_eq!(met(EvidenceMode::Point, 1800.0, true), (Truth::True, None));
    // +2.9 pts: significant needs the estimate, not_refuted only that +3 is still possible.
    assert_eq!(met(EvidenceMode::Significant, 1794.0, true), inconclusive);
    assert_eq!(met(EvidenceMode::NotRefuted, 1794.0, true), (Truth::True, None));
    assert_eq!(met(EvidenceMode::Point, 1794.0, true), (Truth::False, None));
    // +6 pts: the whole interval [3.3, 8.7] lies beyond +3.
    assert_eq!(met(EvidenceMode::Proven, 1980.0, true), (Truth::True, None));
    // No change: U = 2.65 pts < 3.
    assert_eq!(met(EvidenceMode::Significant, 1620.0, true), (Truth::False, None));
    assert_eq!(met(EvidenceMode::NotRefuted, 1620.0, true), (Truth::False, None));
}

#[test]
fn modes_without_a_test_wait_for_the_checkpoint() {
    let not_now = (Truth::Unknown, Some(UnknownWhy::NotNow));
    assert_eq!(met(EvidenceMode::Point, 1800.0, false), not_now);
    assert_eq!(met(EvidenceMode::NotRefuted, 1800.0, false), not_now);
    assert_eq!(met(EvidenceMode::Significant, 1800.0, false), (Truth::True, None));
    let look = look_at(two_arm(EvidenceMode::Point), (1620.0, 6000.0), (1800.0, 6000.0));
    assert!(judged(&look).atoms[0].no_test);
}

#[test]
fn thresholds_are_reached_at_twelve_digits() {
    // 0.30 - 0.27 is 0.02999999999999997 in floating point and +3 pts in the file.
    let look = look_at(two_arm(EvidenceMode::Point), (27_000.0, 1e5), (30_000.0, 1e5));
    assert_eq!(judged(&look).atoms[0].met, Truth::True);
}

#[test]
fn evidence_latches_and_says_when_it_has_drifted() {
    let mut look = look_at(two_arm(EvidenceMode::Significant), (540.0, 2000.0), (680.0, 2000.0));
    let first = judged(&look);
    // +7 pts at 2,000: SE .0146, h2 .0452: excluded.
    assert_eq!((first.atoms[0].met, first.atoms[0].latched), (Truth::True, false));
    look.carry = first.carry;
    // Later +3.1 pts at 3,000: SE .0117, h2 .037: reached, no longer excluded, still latched.
    let later = two_arms((810.0, 3000.0), (903.0, 3000.0), day(28));
    look.observations.insert("y".to_owned(), later);
    let second = judged(&look);
    let atom = &second.atoms[0];
    assert_eq!((atom.met, atom.latched, atom.drifted), (Truth::True, true, true));
    let p_seq = first.atoms[0].evidence.as_ref().map(|evidence| evidence.p_seq);
    let drifted = Finding::Drifted { signal: "y".to_owned(), atom: Some(atom.text.clone()), p_seq };
    assert_eq!(second.findings, [drifted]);
    // The state uses the current interval.
    assert_eq!(state_of(&second, "y"), SignalState::Inconclusive);
    // Another target opens a new epoch: no latch, and a finding with the count of earlier ones.
    look.experiment.aims = vec![aim("y", 0.27, 0.40)];
    look.carry = second.carry;
    let third = judged(&look);
    assert_eq!((third.atoms[0].met, third.atoms[0].latched), (Truth::Unknown, false));
    let retargeted = Finding::Retargeted {
        signal: "y".to_owned(),
        earlier: 1,
        tau: Some(0.13),
        alpha: Some(0.05),
    };
    assert_eq!(third.findings, vec![retargeted]);
    // Another query is another definition, counted on.
    look.experiment.signals[0].source = "another".to_owned();
    look.carry = third.carry;
    let redefined = Finding::DefinitionChanged { signal: "y".to_owned(), earlier: 2 };
    assert_eq!(judged(&look).findings, vec![redefined]);
}

#[test]
fn an_edit_that_changes_no_statistics_carries_over() {
    let mut look = look_at(two_arm(EvidenceMode::Significant), (540.0, 2000.0), (680.0, 2000.0));
    look.carry = judged(&look).carry;
    look.experiment.title = "A better title".to_owned();
    look.experiment.owner.name = "Somebody else".to_owned();
    let analysis = judged(&look);
    assert!(analysis.atoms[0].latched && analysis.findings.is_empty());
    assert!(analysis.carry.values().all(|state| state.looks == 2 && state.earlier_epochs == 0));
}

fn tolerant(treated: f64) -> Analysis {
    let rule = atom("y", AtomKind::Tolerance, Side::AtLeast, Amount::Absolute(-0.02));
    let experiment = experiment(arms(), vec![outcome(Form::Proportion, Want::Up)], rule);
    judged(&look_at(experiment, (16_000.0, 20_000.0), (treated, 20_000.0)))
}

#[test]
fn tolerance_asks_only_for_the_bad_side() {
    // SE = sqrt(2 x .16/20000) = .004, tau = .02, r = 25: one-sided h1 is about .0116 < .02.
    let same = tolerant(16_000.0);
    assert_eq!(same.atoms[0].met, Truth::True);
    let evidence = same.atoms[0].evidence.as_ref().unwrap();
    assert_eq!((evidence.sides, evidence.alpha, evidence.tau), (1, 0.05, 0.02));
    assert!(evidence.interval.hi_unbounded() && evidence.interval.lo > -0.012);
    // -1 pt: the bound -2.2 pts is beyond. -4 pts: the whole interval is.
    assert_eq!(tolerant(15_800.0).atoms[0].met, Truth::Unknown);
    assert_eq!(tolerant(15_200.0).atoms[0].met, Truth::False);
}

fn levelled(num: f64, den: f64, min_n: Option<u64>, mode: EvidenceMode) -> Analysis {
    let mut proxy = signal("y", Role::Proxy, Form::Proportion, Want::Up);
    proxy.min_n = min_n;
    let mut experiment = experiment(Compare::Baseline, vec![proxy], at_level("y", 0.80));
    experiment.units_per_week = Some(100.0);
    experiment.evidence = mode;
    judged(&input(experiment, day(42), vec![("y", one(num, den, day(28)))]))
}

#[test]
fn a_level_needs_enough_units_and_is_refuted_by_its_interval() {
    let significant = EvidenceMode::Significant;
    let of = |num, den| levelled(num, den, None, significant);
    assert_eq!(of(82.0, 100.0).atoms[0].met, Truth::True);
    assert_eq!(state_of(&of(82.0, 100.0), "y"), SignalState::Met);
    // 24 of 29 is 83 %, but 30 units are wanted: one more will do.
    let few = of(24.0, 29.0);
    assert_eq!(
        (few.atoms[0].met, few.atoms[0].why),
        (Truth::Unknown, Some(UnknownWhy::Insufficient))
    );
    assert_eq!((few.atoms[0].needs_more, few.atoms[0].decidable), (Some(1.0), true));
    assert_eq!(state_of(&few, "y"), SignalState::TooEarly);
    // 75 of 100: below, not provably; 60 of 100 is (z = -5).
    assert_eq!(of(75.0, 100.0).atoms[0].met, Truth::Unknown);
    assert_eq!(state_of(&of(75.0, 100.0), "y"), SignalState::Inconclusive);
    assert_eq!(of(60.0, 100.0).atoms[0].met, Truth::False);
    assert_eq!(state_of(&of(60.0, 100.0), "y"), SignalState::Below);
    assert_eq!(levelled(82.0, 100.0, Some(200), significant).atoms[0].met, Truth::Unknown);
    // `proven` wants the interval too.
    assert_eq!(levelled(82.0, 100.0, None, EvidenceMode::Proven).atoms[0].met, Truth::Unknown);
    assert_eq!(levelled(98.0, 100.0, None, EvidenceMode::Proven).atoms[0].met, Truth::True);
    let evidence = of(82.0, 100.0).atoms[0].evidence.clone().unwrap();
    assert_eq!((evidence.estimate, evidence.comparison), (0.82, None));
    assert!(evidence.interval.lo > 0.6 && evidence.interval.hi < 1.0);
}

fn method_of(compare: Compare, signal: Signal, seen: Observation) -> MethodName {
    let to = if signal.form == Form::Proportion { 0.35 } else { 15.0 };
    let from = if signal.form == Form::Proportion { 0.27 } else { 10.0 };
    let rule = moves("y", Side::AtLeast, Amount::Relative(0.10));
    let mut experiment = experiment(compare, vec![signal], rule);
    experiment.aims = vec![aim("y", from, to)];
    let analysis = judged(&input(experiment, day(42), vec![("y", seen)]));
    analysis.atoms[0].evidence.as_ref().unwrap().method
}

fn uneven(mut sample: Sample, phi: f64) -> Sample {
    sample.phi = Some(phi);
    sample
}

#[test]
fn every_row_of_the_method_table() {
    use MethodName::{InformationTime, OneProportion, OneRate, RareEvents};
    let stated = |form, level| {
        let mut signal = outcome(form, Want::Up);
        signal.from = Some(Baseline::Stated(level));
        signal
    };
    let proportion = || stated(Form::Proportion, 0.27);
    let mean = || sample(Sums::Mean { n: 200.0, sum: 2200.0, sum_sq: 26_000.0 });
    let rate = || sample(Sums::Rate { events: 120.0, exposure: 10.0 });
    let single = |sample| seen(vec![(ALL, sample)], day(42));
    let both =
        |sample: Sample| seen(vec![("control", sample.clone()), ("treatment", sample)], day(42));
    let base = Compare::Baseline;
    let arms_of = |signal, seen| method_of(arms(), signal, seen);
    let stated_of = |signal, seen| method_of(base.clone(), signal, seen);
    assert_eq!(arms_of(proportion(), both(share(30.0, 100.0))), InformationTime);
    assert_eq!(arms_of(proportion(), both(share(9.0, 100.0))), RareEvents);
    assert_eq!(arms_of(proportion(), both(share(95.0, 100.0))), RareEvents);
    assert_eq!(arms_of(stated(Form::Mean, 10.0), both(mean())), InformationTime);
    assert_eq!(arms_of(stated(Form::Rate, 10.0), both(rate())), InformationTime);
    assert_eq!(stated_of(proportion(), single(share(30.0, 100.0))), OneProportion);
    let even = uneven(share(30.0, 100.0), 1.5);
    assert_eq!(stated_of(proportion(), single(even)), OneProportion);
    let spread = uneven(share(30.0, 100.0), 1.6);
    assert_eq!(stated_of(proportion(), single(spread)), OneProportion);
    assert_eq!(stated_of(stated(Form::Mean, 10.0), single(mean())), InformationTime);
    assert_eq!(stated_of(stated(Form::Rate, 10.0), single(rate())), OneRate);
    let mut counted = proportion();
    counted.from = Some(Baseline::Counted { x: 270.0, n: 1000.0, as_of: None });
    assert_eq!(stated_of(counted, single(share(30.0, 100.0))), InformationTime);
}

#[test]
fn rare_events_judge_no_change_exactly_and_both_directions_alike() {
    // 1 against 40 events at 1,000 each: share .0244 of 41 at q = 1/2, z = -6.09. The Beta(50, 50)
    // mixture has variance .25/101, r = .406: log e is about -.17 + .5 x 37.1 x .289 = 5.2 > 3.0.
    let mut experiment = two_arm(EvidenceMode::Significant);
    experiment.aims = vec![aim("y", 0.03, 0.01)];
    experiment.signals[0].want = Want::Down;
    experiment.checkpoint.continue_when = moves("y", Side::AtMost, Amount::Relative(-0.5));
    let analysis = judged(&look_at(experiment, (40.0, 1000.0), (1.0, 1000.0)));
    let evidence = analysis.atoms[0].evidence.as_ref().unwrap();
    assert_eq!(evidence.method, MethodName::RareEvents);
    assert_eq!(analysis.atoms[0].met, Truth::True);
    assert!(evidence.relative && evidence.interval.hi < 0.0 && evidence.interval.lo >= -1.0);
    assert_eq!(state_of(&analysis, "y"), SignalState::Met);
}

/// 28 days in four weeks and the prior: 30 degrees of freedom, t 3.927970 (scipy) for a normal 3.5,
/// so phi 4 counts 640 of 2,000 as 508.1/4 of 1,587.8/4: the exact interval of those.
#[test]
fn uneven_stated_counts_are_fewer() {
    let wide = 4.0 * (3.927_970 / 3.5_f64).powi(2);
    let interval = |phi: Option<f64>| {
        let mut signal = outcome(Form::Proportion, Want::Up);
        signal.from = Some(Baseline::Stated(0.27));
        let mut experiment = experiment(Compare::Baseline, vec![signal], plus3());
        experiment.aims = vec![aim("y", 0.27, 0.35)];
        let counted = Sample { phi, ..share(640.0, 2_000.0) };
        let seen = seen(vec![(ALL, counted)], day(42));
        let analysis = judged(&input(experiment, day(42), vec![("y", seen)]));
        let evidence = analysis.atoms[0].evidence.clone().unwrap();
        (evidence.interval, evidence.phi)
    };
    let (uneven, phi) = interval(Some(4.0));
    let prior = one_proportion::prior_tau(0.27, 0.08);
    let wanted = one_proportion::interval(prior, 640.0 / wide, 2_000.0 / wide, 0.05);
    assert!((uneven.lo - (wanted.lo - 0.27)).abs() < 1e-6, "{uneven:?} {wanted:?}");
    assert!((uneven.hi - (wanted.hi - 0.27)).abs() < 1e-6, "{uneven:?} {wanted:?}");
    assert!((phi.unwrap() - wide).abs() < 1e-5, "{phi:?}");
    // Counts whose periods say nothing have the prior: a phi of 2 with six degrees of freedom.
    let (unknown, phi) = interval(None);
    assert!((phi.unwrap() - 2.0 * (6.879_470 / 3.5_f64).powi(2)).abs() < 1e-5, "{phi:?}");
    assert!(unknown.hi - unknown.lo > uneven.hi - uneven.lo);
    let (even, phi) = interval(Some(1.0));
    assert!(phi.is_none() && even.hi - even.lo < uneven.hi - uneven.lo);
}

#[test]
fn overdispersion_widens_a_measured_baseline() {
    let measure = |phi: f64| {
        let mut signal = outcome(Form::Proportion, Want::Up);
        signal.from = Some(Baseline::Window(Span::days(28)));
        let mut experiment = experiment(Compare::Baseline, vec![signal], plus3());
        experiment.aims = vec![aim("y", 0.27, 0.35)];
        let mut seen = seen(vec![(ALL, uneven(share(300.0, 1000.0), phi))], day(42));
        if let Observation::Ok(observed) = &mut seen {
            observed.baseline = Some(uneven(share(270.0, 1000.0), phi));
        }
        let analysis = judged(&input(experiment, day(42), vec![("y", seen)]));
        let interval = analysis.atoms[0].evidence.as_ref().unwrap().interval;
        interval.hi - interval.lo
    };
    assert!(measure(4.0) > 1.5 * measure(1.0));
    assert_eq!(measure(0.5), measure(1.0), "phi below 1 never narrows");
}

#[test]
fn the_ledger_follows_the_rule_book() {
    let mut experiment = two_arm(EvidenceMode::Significant);
    let proxy = signal("a", Role::Proxy, Form::Proportion, Want::Up);
    let other = signal("b", Role::Outcome, Form::Proportion, Want::Up);
    experiment.signals.extend([proxy, other]);
    experiment.checkpoint.continue_when = Rule::And(vec![
        plus3(),
        Rule::Or(vec![moves("a", Side::AtLeast, Amount::Relative(0.1)), at_level("a", 0.5)]),
    ]);
    experiment.checkpoint.stop_when = Some(moves("a", Side::AtMost, Amount::Absolute(-0.01)));
    let kind = || {
        GuardrailKind::NoWorseThan(NoWorseThan {
            signal: "b".to_owned(),
            margin: Margin::Absolute(0.02),
            require_proven: false,
        })
    };
    experiment.guardrails = vec![
        guardrail("g", kind(), OnTrip::Stop),
        guardrail("h", kind(), OnTrip::Stop),
        guardrail("i", kind(), OnTrip::Alert),
    ];
    let lines = ledger(&experiment);
    let alpha = |purpose: &str| {
        let line = lines.iter().find(|line| line.purpose.starts_with(purpose));
        line.map(|line| (line.alpha, line.sides))
            .unwrap_or_else(|| panic!("{purpose} in {lines:?}"))
    };
    assert_eq!(alpha("atom y"), (0.05, 2));
    assert_eq!(alpha("atom a"), (0.025, 2));
    assert_eq!(alpha("signal b"), (0.05, 2));
    // y and b are outcomes, a stands in stop_when: three signals share 0.025.
    assert_eq!(alpha("harm a"), (0.025 / 3.0, 1));
    assert_eq!(alpha("guardrail g ok"), (0.05, 1));
    assert_eq!(alpha("guardrail g trip"), (0.025, 1));
    assert_eq!(alpha("guardrail i trip"), (0.05, 1));
    assert_eq!(alpha("split"), (0.001, 1));
    assert!(lines.iter().all(|line| !line.rule.is_empty()));
}

#[test]
fn harm_needs_its_margin_and_stop_when_its_threshold() {
    let stopped = |margin: f64, treated: f64| {
        let mut experiment = two_arm(EvidenceMode::Significant);
        experiment.signals[0].harm_margin = margin;
        experiment.checkpoint.stop_when = Some(moves("y", Side::AtMost, Amount::Absolute(-0.04)));
        let analysis = analyse(&look_at(experiment, (1620.0, 6000.0), (treated, 6000.0)), false);
        (
            analysis.harm[0].harmful,
            analysis.stop_rule.unwrap().value,
            state_of_first(&analysis.signals),
        )
    };
    // -3 pts at h1 of about 2.5 pts: harm; the threshold of -4 pts is not reached.
    assert_eq!(stopped(0.0, 1440.0), (true, Truth::Unknown, SignalState::Harm));
    assert_eq!(stopped(0.05, 1440.0), (false, Truth::Unknown, SignalState::Harm));
    assert_eq!(stopped(0.0, 1380.0), (true, Truth::True, SignalState::Harm));
    assert_eq!(stopped(0.0, 1980.0), (false, Truth::False, SignalState::Met));
}

fn state_of_first(signals: &[crate::analyse::SignalView]) -> SignalState {
    signals[0].state
}

#[test]
fn short_is_real_but_too_small() {
    // +0.5 pt at a million per arm: h2 is about .25 pt, far below +3 pts.
    let look = look_at(two_arm(EvidenceMode::Significant), (270_000.0, 1e6), (275_000.0, 1e6));
    let analysis = judged(&look);
    assert_eq!(state_of(&analysis, "y"), SignalState::Short);
    assert_eq!(analysis.atoms[0].met, Truth::False);
}

#[test]
fn constant_and_zero_variance_are_not_evidence() {
    let means = |control: f64, treatment: f64| {
        let constant = |value: f64| {
            sample(Sums::Mean { n: 200.0, sum: 200.0 * value, sum_sq: 200.0 * value * value })
        };
        let rule = moves("y", Side::AtLeast, Amount::Absolute(1.0));
        let experiment = experiment(arms(), vec![outcome(Form::Mean, Want::Up)], rule);
        let seen =
            seen(vec![("control", constant(control)), ("treatment", constant(treatment))], day(42));
        let analysis = judged(&input(experiment, day(42), vec![("y", seen)]));
        (state_of(&analysis, "y"), analysis.atoms[0].why)
    };
    assert_eq!(means(5.0, 5.0), (SignalState::Inconclusive, Some(UnknownWhy::Inconclusive)));
    assert_eq!(means(5.0, 9.0), (SignalState::Invalid, Some(UnknownWhy::Invalid)));
}

#[test]
fn a_wrong_split_is_found_and_stays_found() {
    let mut look = look_at(two_arm(EvidenceMode::Significant), (540.0, 2000.0), (680.0, 2600.0));
    let first = judged(&look).split.unwrap();
    // 2000 : 2600 at 50 % each: z = 600/sqrt(4600) = 8.8.
    assert!(first.mismatch && first.p_seq < 1e-10);
    look.carry = judged(&look).carry;
    look.observations.insert("y".to_owned(), two_arms((540.0, 2000.0), (540.0, 2000.0), day(28)));
    assert!(judged(&look).split.unwrap().mismatch, "latched");
    look.carry.clear();
    assert!(!judged(&look).split.unwrap().mismatch);
    // Fewer than 100 units say nothing.
    look.observations.insert("y".to_owned(), two_arms((5.0, 10.0), (30.0, 89.0), day(28)));
    assert_eq!(judged(&look).split.unwrap().p_seq, 1.0);
}

fn guarded(on_trip: OnTrip, treated: f64) -> (GuardrailState, bool) {
    let mut experiment = two_arm(EvidenceMode::Significant);
    let kind = NoWorseThan {
        signal: "y".to_owned(),
        margin: Margin::Absolute(0.02),
        require_proven: false,
    };
    experiment.guardrails = vec![guardrail("g", GuardrailKind::NoWorseThan(kind), on_trip)];
    let look = look_at(experiment, (16_000.0, 20_000.0), (treated, 20_000.0));
    let status = &judged(&look).guardrails[0];
    (status.state, status.latched)
}

#[test]
fn no_worse_than_is_ok_unproven_or_tripped() {
    // h1 of about 1.16 pts (SE .004, tau .02): 0 is ok, -1 unproven, -2.5 tripped.
    assert_eq!(guarded(OnTrip::Alert, 16_000.0), (GuardrailState::Ok, false));
    assert_eq!(guarded(OnTrip::Alert, 15_800.0), (GuardrailState::Unproven, false));
    assert_eq!(guarded(OnTrip::Alert, 15_500.0), (GuardrailState::Tripped, false));
    assert_eq!(guarded(OnTrip::Stop, 15_500.0), (GuardrailState::Tripped, true));
    // At exactly the margin with the interval beyond no change: tripped.
    assert_eq!(guarded(OnTrip::Alert, 15_600.0).0, GuardrailState::Tripped);
}

#[test]
fn a_signal_without_tau_is_only_shown() {
    let mut experiment = two_arm(EvidenceMode::Significant);
    experiment.signals.push(signal("load", Role::Leading, Form::Mean, Want::Down));
    let mut look = look_at(experiment, (1620.0, 6000.0), (1800.0, 6000.0));
    let mean = || sample(Sums::Mean { n: 500.0, sum: 900.0, sum_sq: 4000.0 });
    let load = seen(vec![("control", mean()), ("treatment", mean())], day(42));
    look.observations.insert("load".to_owned(), load);
    let analysis = judged(&look);
    assert_eq!(state_of(&analysis, "load"), SignalState::Shown);
    assert!(analysis.signals[1].evidence.is_some());
}
