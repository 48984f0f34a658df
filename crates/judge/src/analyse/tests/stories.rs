//! The counts of product.md section 2, with their answers derived by hand.
//!
//! Half-widths: `h2 = SE sqrt((1 + 1/r) ln((1+r)/alpha^2))`, `r = (tau/SE)^2` (statistics.md 1.1).

use crate::analyse::fixtures::*;
use crate::analyse::{GuardrailState, MethodName, SignalState, Truth, UnknownWhy};
use crate::observe::{Blocks, Observation};
use crate::points::Sums;
use crate::record::LookInput;
use crate::spec::{
    Amount, AtomKind, Baseline, Compare, Form, GuardrailKind, Margin, NoWorseThan, OnTrip, Role,
    Rule, Side, Want,
};
use crate::time::Span;

fn close_to(seen: f64, wanted: f64, within: f64) {
    assert!((seen - wanted).abs() <= within, "{seen} is not {wanted} +- {within}");
}

fn activation(outcome: f64) -> LookInput {
    let mut proxy = signal("action_x_24h", Role::Proxy, Form::Proportion, Want::Up);
    proxy.from = Some(Baseline::Stated(0.40));
    let mut outcome_signal = signal("activation_14d", Role::Outcome, Form::Proportion, Want::Up);
    outcome_signal.from = Some(Baseline::Stated(0.27));
    outcome_signal.matures_after = Span::days(14);
    let rule = Rule::And(vec![
        moves("action_x_24h", Side::AtLeast, Amount::Relative(0.10)),
        moves("activation_14d", Side::AtLeast, Amount::Absolute(0.03)),
    ]);
    let mut experiment = experiment(arms(), vec![proxy, outcome_signal], rule);
    experiment.aims = vec![aim("activation_14d", 0.27, 0.35)];
    experiment.units_per_week = Some(3000.0);
    let stop = moves("activation_14d", Side::AtMost, Amount::Absolute(-0.01));
    experiment.checkpoint.stop_when = Some(stop);
    let n = 6000.0;
    input(
        experiment,
        day(42),
        vec![
            ("action_x_24h", two_arms((2400.0, n), (2880.0, n), day(41))),
            ("activation_14d", two_arms((1620.0, n), (outcome, n), day(28))),
        ],
    )
}

#[test]
fn activation_cycle_one_moves_the_proxy_and_not_the_outcome() {
    let analysis = judged(&activation(1620.0));
    // Proxy .40 -> .48: SE^2 = (.24 + .2496)/6000, SE = .00903; z = 8.9 excludes 0; +20 % >= 10 %.
    assert_eq!(state_of(&analysis, "action_x_24h"), SignalState::Met);
    let proxy = atom_on(&analysis, "action_x_24h");
    assert_eq!(proxy.met, Truth::True);
    let evidence = proxy.evidence.as_ref().unwrap();
    assert!(evidence.relative);
    close_to(evidence.estimate, 0.20, 1e-12);
    // Outcome .27 -> .27: SE = sqrt(2 x .1971/6000) = .008106; tau = .08, r = 97.4, so
    // h2 = .008106 sqrt(1.01027 x ln(98.4/.0025)) = .008106 x 3.270 = .02651 < .03: flat, false.
    assert_eq!(state_of(&analysis, "activation_14d"), SignalState::Flat);
    let outcome = atom_on(&analysis, "activation_14d");
    assert_eq!(outcome.met, Truth::False);
    let evidence = outcome.evidence.as_ref().unwrap();
    assert_eq!((evidence.estimate, evidence.method), (0.0, MethodName::InformationTime));
    assert_eq!((evidence.tau, evidence.alpha, evidence.sides), (0.08, 0.05, 2));
    close_to(evidence.interval.hi, 0.0265, 5e-5);
    close_to(evidence.interval.lo, -0.0265, 5e-5);
    assert_eq!(analysis.rule.value, Truth::False);
    assert_eq!(analysis.stop_rule.unwrap().value, Truth::Unknown);
    assert!(!analysis.harm[0].harmful);
    assert_eq!(analysis.harm[0].evidence.alpha, 0.025, "one distinct signal has the whole share");
    assert_eq!(analysis.progress, Some(1.0));
    let split = analysis.split.unwrap();
    assert_eq!((split.mismatch, split.counts["control"]), (false, 6000.0));
}

#[test]
fn activation_cycle_two_moves_both() {
    let analysis = judged(&activation(1980.0));
    // .27 -> .33: SE = sqrt((.1971 + .2211)/6000) = .00835, h2 = .0273 < .06 and .06 >= .03.
    assert_eq!(state_of(&analysis, "activation_14d"), SignalState::Met);
    assert_eq!(analysis.rule.value, Truth::True);
    assert!(atom_on(&analysis, "activation_14d").decidable);
}

#[test]
fn activation_proxy_interval_is_the_relative_one() {
    let analysis = judged(&activation(1620.0));
    let evidence = atom_on(&analysis, "action_x_24h").evidence.clone().unwrap();
    // No aim on the proxy: tau = 10 % of .40 = .04. At theta: |.48 - .40 theta| = h2(SE(theta)),
    // SE^2 = (.2496 + theta^2 .24)/6000. theta = 1.12: SE = .00957, r = 17.5, h2 = .0311, gap .032.
    assert_eq!(evidence.tau, 0.04);
    assert!(evidence.interval.lo > 0.12 && evidence.interval.lo < 0.13);
    assert!(evidence.interval.hi > 0.27 && evidence.interval.hi < 0.29);
}

fn recruiting() -> LookInput {
    let personalised = signal("personalised", Role::Proxy, Form::Proportion, Want::Up);
    let mut reply = signal("reply_rate", Role::Leading, Form::Proportion, Want::Up);
    reply.from = Some(Baseline::Stated(0.20));
    reply.matures_after = Span::days(14);
    let mut screen = signal("qualified_screen", Role::Outcome, Form::Proportion, Want::Up);
    screen.from = Some(Baseline::Stated(0.06));
    screen.matures_after = Span::days(21);
    let rule = Rule::And(vec![
        at_level("personalised", 0.80),
        moves("reply_rate", Side::AtLeast, Amount::Relative(0.25)),
    ]);
    let mut experiment = experiment(Compare::Baseline, vec![personalised, reply, screen], rule);
    experiment.aims = vec![aim("qualified_screen", 0.06, 0.12)];
    experiment.units_per_week = Some(100.0);
    experiment.checkpoint.when = crate::spec::When::At(day(49));
    input(
        experiment,
        day(49),
        vec![
            ("personalised", one(340.0, 400.0, day(28))),
            ("reply_rate", one(120.0, 400.0, day(28))),
            ("qualified_screen", one(48.0, 400.0, day(28))),
        ],
    )
}

#[test]
fn recruiting_meets_level_reply_rate_and_outcome() {
    let analysis = judged(&recruiting());
    // 340/400 = 85 % >= 80 % with n = 400 >= 30: true by the estimate.
    assert_eq!(atom_on(&analysis, "personalised").met, Truth::True);
    assert_eq!(state_of(&analysis, "personalised"), SignalState::Met);
    // 120/400 = 30 % against 20 %: +50 % >= +25 %; z = .1/sqrt(.16/400) = 5, log e far above 3.
    let reply = atom_on(&analysis, "reply_rate");
    assert_eq!(reply.met, Truth::True);
    let evidence = reply.evidence.as_ref().unwrap();
    assert_eq!(evidence.method, MethodName::OneProportion);
    assert!(evidence.exact_baseline && evidence.uncontrolled && evidence.relative);
    close_to(evidence.estimate, 0.5, 1e-12);
    assert_eq!(evidence.tau, 0.05, "25 % of 20 %");
    // 48/400 = 12 % against 6 %, the aim itself: z = .06/sqrt(.0564/400) = 5.05.
    assert_eq!(state_of(&analysis, "qualified_screen"), SignalState::Met);
    assert_eq!(analysis.rule.value, Truth::True);
    assert!(analysis.split.is_none());
}

fn sales(calls: f64, qualified: f64, weeks: i64) -> LookInput {
    let discovery = signal("discovery", Role::Proxy, Form::Proportion, Want::Up);
    let mut conversion = signal("conversion", Role::Outcome, Form::Proportion, Want::Up);
    conversion.from = Some(Baseline::Stated(0.09));
    conversion.matures_after = Span::days(14);
    let rule = Rule::And(vec![
        at_level("discovery", 0.80),
        moves("conversion", Side::AtLeast, Amount::Absolute(0.03)),
    ]);
    let mut experiment = experiment(Compare::Baseline, vec![discovery, conversion], rule);
    experiment.aims = vec![aim("conversion", 0.09, 0.15)];
    experiment.units_per_week = Some(40.0);
    let at = day(7 * weeks);
    let counted = day(7 * (weeks - 2));
    input(
        experiment,
        at,
        vec![
            ("discovery", one(0.85 * calls, calls, at)),
            ("conversion", one(qualified, calls, counted)),
        ],
    )
}

#[test]
fn sales_at_160_calls_is_inconclusive_and_needs_about_100_more() {
    let analysis = judged(&sales(160.0, 23.0, 6));
    let atom = atom_on(&analysis, "conversion");
    assert_eq!((atom.met, atom.why), (Truth::Unknown, Some(UnknownWhy::Inconclusive)));
    assert_eq!(state_of(&analysis, "conversion"), SignalState::Inconclusive);
    // At 15 % the exact interval first excludes 9 % at 261 calls; four more weeks bring 160.
    assert!(atom.decidable, "320 calls are expected, 261 are enough");
    assert_eq!(atom.needs_more, Some(101.0));
    assert_eq!(analysis.rule.value, Truth::Unknown);
}

#[test]
fn sales_at_320_calls_is_met() {
    let analysis = judged(&sales(320.0, 50.0, 10));
    // 50/320 = 15.6 %: +6.6 pts >= 3; z = .0663/sqrt(.0819/320) = 4.14.
    assert_eq!(atom_on(&analysis, "conversion").met, Truth::True);
    assert_eq!(state_of(&analysis, "conversion"), SignalState::Met);
    assert_eq!(analysis.rule.value, Truth::True);
}

fn blocks(mean: f64, sd: f64) -> Blocks {
    Blocks { mean, sd, count: 64, block_len: 10, lag1: 0.02, refused: None }
}

fn platform() -> LookInput {
    let mut p95 = signal("quote_p95", Role::Proxy, Form::Value, Want::Down);
    p95.from = Some(Baseline::Stated(450.0));
    let mut timeouts = signal("checkout_timeouts", Role::Outcome, Form::Proportion, Want::Down);
    timeouts.from = Some(Baseline::Stated(0.018));
    let mut tickets = signal("tickets_per_1k", Role::Outcome, Form::Rate, Want::Down);
    tickets.from = Some(Baseline::Stated(12.0));
    tickets.min_effect = Some(2.0);
    let rule = Rule::And(vec![
        moves("quote_p95", Side::AtMost, Amount::Relative(-0.25)),
        moves("checkout_timeouts", Side::AtMost, Amount::Relative(-0.50)),
    ]);
    let mut experiment = experiment(arms(), vec![p95, timeouts, tickets], rule);
    experiment.aims = vec![aim("quote_p95", 450.0, 250.0), aim("checkout_timeouts", 0.018, 0.006)];
    // Treatment 260 +- 20, control 450 +- 30, differences -190 +- 20 over 64 blocks.
    let value = |blocks: Blocks| {
        let mut sample = sample(Sums::Value { value: blocks.mean });
        sample.blocks = Some(blocks);
        sample
    };
    let (held, treated) = (value(blocks(450.0, 30.0)), value(blocks(260.0, 20.0)));
    let mut latency = seen(vec![("control", held), ("treatment", treated)], day(42));
    if let Observation::Ok(observed) = &mut latency {
        observed.paired = Some(blocks(-190.0, 20.0));
    }
    let rate = |events| sample(Sums::Rate { events, exposure: 100.0 });
    let tickets = seen(vec![("control", rate(1200.0)), ("treatment", rate(1180.0))], day(42));
    input(
        experiment,
        day(42),
        vec![
            ("quote_p95", latency),
            ("checkout_timeouts", two_arms((900.0, 50_000.0), (350.0, 50_000.0), day(42))),
            ("tickets_per_1k", tickets),
        ],
    )
}

#[test]
fn platform_judges_paired_blocks_and_shares_harm_over_its_outcomes() {
    let analysis = judged(&platform());
    let latency = atom_on(&analysis, "quote_p95");
    assert_eq!(latency.met, Truth::True);
    let evidence = latency.evidence.as_ref().unwrap();
    assert_eq!(evidence.method, MethodName::PairedBlocks);
    // 260/450 - 1 = -42.2 %.
    close_to(evidence.estimate, -190.0 / 450.0, 1e-12);
    assert_eq!(evidence.tau, 200.0);
    assert_eq!(evidence.n["treatment"], 64.0);
    // The Fieller end at theta = .5778 + x: sd of y - theta x from cov = (400+900-400)/2 = 450:
    // 400 + .334 x 900 - 1.156 x 450 = 180.4, SE = 13.4/8 x 1.019 = 1.71, h2 about 1.71 x 3.94,
    // so about 6.7/450 = 1.5 % on each side.
    close_to(evidence.interval.hi - evidence.estimate, 0.015, 0.001);
    close_to(evidence.estimate - evidence.interval.lo, 0.015, 0.001);
    // 1.8 % -> .7 %: -61 % reaches -50 % and excludes no change.
    assert_eq!(atom_on(&analysis, "checkout_timeouts").met, Truth::True);
    assert_eq!(state_of(&analysis, "checkout_timeouts"), SignalState::Met);
    // 12 -> 11.8 per 1k: SE = sqrt(1200 + 1180)/100 = .488, h2 = .488 x 3.02 with tau = 2: U of
    // the improvement .2 + 1.48 < 2: no meaningful effect.
    assert_eq!(state_of(&analysis, "tickets_per_1k"), SignalState::Flat);
    assert_eq!(analysis.harm.len(), 2);
    close_to(analysis.harm[0].evidence.alpha, 0.0125, 1e-15);
    assert!(analysis.harm.iter().all(|check| !check.harmful));
}

fn support() -> LookInput {
    let root = signal("root_cause", Role::Proxy, Form::Proportion, Want::Up);
    let mut resolved = signal("resolved_48h", Role::Outcome, Form::Proportion, Want::Up);
    resolved.from = Some(Baseline::Window(Span::days(28)));
    resolved.matures_after = Span::hours(48);
    let mut csat = signal("csat", Role::Guardrail, Form::Proportion, Want::Up);
    csat.from = Some(Baseline::Window(Span::days(28)));
    let rule = Rule::And(vec![
        at_level("root_cause", 0.70),
        moves("resolved_48h", Side::AtLeast, Amount::Absolute(0.10)),
    ]);
    let mut experiment = experiment(Compare::Baseline, vec![root, resolved, csat], rule);
    experiment.aims = vec![aim("resolved_48h", 0.55, 0.65)];
    experiment.units_per_week = Some(200.0);
    let kind = NoWorseThan {
        signal: "csat".to_owned(),
        margin: Margin::Absolute(0.02),
        require_proven: false,
    };
    let kind = GuardrailKind::NoWorseThan(kind);
    experiment.guardrails = vec![guardrail("csat", kind, OnTrip::Alert)];
    let mut outcome = one(552.0, 1000.0, day(35));
    let mut satisfied = one(320.0, 400.0, day(35));
    for (observation, x, n) in [(&mut outcome, 660.0, 1200.0), (&mut satisfied, 400.0, 500.0)] {
        if let Observation::Ok(observed) = observation {
            observed.baseline = Some(share(x, n));
        }
    }
    let root = one(740.0, 1000.0, day(35));
    input(
        experiment,
        day(35),
        vec![("root_cause", root), ("resolved_48h", outcome), ("csat", satisfied)],
    )
}

#[test]
fn support_tags_more_and_resolves_no_more() {
    let analysis = judged(&support());
    assert_eq!(atom_on(&analysis, "root_cause").met, Truth::True);
    let atom = atom_on(&analysis, "resolved_48h");
    let evidence = atom.evidence.as_ref().unwrap();
    // .552 - .55: SE^2 = .2473/1000 + .2475/1200, SE = .0213; tau = .10, r = 22.0;
    // h2 = .0213 sqrt(1.0454 x ln(23.0/.0025)) = .0213 x 3.089 = .0658; U = .0678 < .10: flat.
    close_to(evidence.estimate, 0.002, 1e-12);
    close_to(evidence.interval.hi, 0.0678, 2e-4);
    assert!(evidence.uncontrolled && !evidence.exact_baseline);
    assert_eq!(atom.met, Truth::False);
    assert_eq!(state_of(&analysis, "resolved_48h"), SignalState::Flat);
    assert_eq!(analysis.rule.value, Truth::False);
    // CSAT 80 % before and now: SE = .0269 cannot exclude -2 pts: unproven, and only shown.
    assert_eq!(analysis.guardrails[0].state, GuardrailState::Unproven);
    assert_eq!(state_of(&analysis, "csat"), SignalState::Shown);
}

#[test]
fn support_without_the_resolution_file_leaves_the_rule_unknown() {
    let mut input = support();
    let why = "no rows since the start".to_owned();
    let missing = Observation::NoData { since: None, why };
    input.observations.insert("resolved_48h".to_owned(), missing);
    let analysis = judged(&input);
    let atom = atom_on(&analysis, "resolved_48h");
    assert_eq!((atom.met, atom.why), (Truth::Unknown, Some(UnknownWhy::NoData)));
    assert_eq!(state_of(&analysis, "resolved_48h"), SignalState::NoData);
    assert_eq!(analysis.rule.value, Truth::Unknown);
    assert_eq!(analysis.atoms[0].kind, AtomKind::Level);
}
