//! Laws that hold for every input: Kleene logic, mirror symmetry, finiteness, monotone p.

use proptest::prelude::*;

use crate::analyse::fixtures::*;
use crate::analyse::{Analysis, Evidence, Truth, analyse};
use crate::observe::Observation;
use crate::record::LookInput;
use crate::spec::{Amount, Baseline, Compare, EvidenceMode, Form, Role, Rule, Side, Want};
use crate::time::Timestamp;

const ALL_TRUTHS: [Truth; 3] = [Truth::True, Truth::False, Truth::Unknown];

#[test]
fn kleene_laws() {
    for a in ALL_TRUTHS {
        assert_eq!(!!a, a);
        assert_eq!(a.and(Truth::True), a);
        assert_eq!(a.or(Truth::False), a);
        assert_eq!(a.and(Truth::False), Truth::False);
        assert_eq!(a.or(Truth::True), Truth::True);
        for b in ALL_TRUTHS {
            assert_eq!(a.and(b), b.and(a));
            assert_eq!(!(a.and(b)), (!a).or(!b));
            for c in ALL_TRUTHS {
                assert_eq!(a.and(b.or(c)), a.and(b).or(a.and(c)));
                assert_eq!(a.and(b).and(c), a.and(b.and(c)));
            }
        }
    }
}

#[test]
fn unknown_spreads_but_a_false_branch_decides() {
    let analysis = judged(&input(
        two_signals(Rule::And(vec![up("a"), Rule::Not(Box::new(up("b")))])),
        day(42),
        vec![("a", two_arms((400.0, 1000.0), (410.0, 1000.0), day(42)))],
    ));
    // `b` was never observed; `a` is inconclusive: unknown AND NOT unknown.
    assert_eq!(analysis.rule.value, Truth::Unknown);
    assert_eq!(analysis.rule.nodes[1].op, "not");
    assert_eq!(analysis.rule.nodes[1].nodes[0].atom, Some(1));
}

fn up(signal: &str) -> Rule {
    moves(signal, Side::AtLeast, Amount::Absolute(0.03))
}

fn two_signals(rule: Rule) -> crate::spec::Experiment {
    let a = signal("a", Role::Proxy, Form::Proportion, Want::Up);
    let b = signal("b", Role::Outcome, Form::Proportion, Want::Up);
    experiment(arms(), vec![a, b], rule)
}

/// One outcome, upwards or mirrored (failures counted, lower is better).
fn mirrored(down: bool, compare: Compare, from: f64, threshold: Amount) -> crate::spec::Experiment {
    let (want, side) = if down { (Want::Down, Side::AtMost) } else { (Want::Up, Side::AtLeast) };
    let flip = |amount: f64| if down { -amount } else { amount };
    let threshold = match threshold {
        Amount::Absolute(change) => Amount::Absolute(flip(change)),
        other => other,
    };
    let mut outcome = signal("y", Role::Outcome, Form::Proportion, want);
    let from = if down { 1.0 - from } else { from };
    outcome.from = Some(Baseline::Stated(from));
    let rule = moves("y", side, threshold);
    let mut experiment = experiment(compare, vec![outcome], rule);
    experiment.aims = vec![aim("y", from, from + flip(0.08))];
    experiment.checkpoint.stop_when = Some(moves(
        "y",
        if down { Side::AtLeast } else { Side::AtMost },
        Amount::Absolute(flip(-0.01)),
    ));
    experiment
}

fn evidences(analysis: &Analysis) -> Vec<Evidence> {
    let atoms = analysis.atoms.iter().chain(&analysis.stop_atoms);
    let shown = analysis.signals.iter().filter_map(|view| view.evidence.clone());
    let harm = analysis.harm.iter().map(|check| check.evidence.clone());
    atoms.filter_map(|view| view.evidence.clone()).chain(shown).chain(harm).collect()
}

fn assert_finite(analysis: &Analysis) {
    for evidence in evidences(analysis) {
        let numbers = [
            evidence.estimate,
            evidence.interval.lo,
            evidence.interval.hi,
            evidence.alpha,
            evidence.tau,
            evidence.p_seq,
        ];
        assert!(numbers.iter().all(|number| number.is_finite()), "{evidence:?}");
        assert!(evidence.interval.lo <= evidence.interval.hi, "{evidence:?}");
        assert!((0.0..=1.0).contains(&evidence.p_seq));
        assert!(evidence.comparison.is_none_or(f64::is_finite));
        assert!(evidence.level.is_none_or(f64::is_finite));
    }
    for atom in &analysis.atoms {
        assert!(atom.needs_more.is_none_or(|more| more.is_finite() && more >= 0.0));
    }
}

fn counts() -> impl Strategy<Value = (f64, f64)> {
    (1_u32..5000, 0.0_f64..=1.0).prop_map(|(n, share)| {
        let n = f64::from(n);
        ((n * share).floor(), n)
    })
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * (1.0 + a.abs().max(b.abs()))
}

fn at() -> Timestamp {
    day(42)
}

fn stated(counts: (f64, f64)) -> LookInput {
    let experiment = mirrored(false, Compare::Baseline, 0.27, Amount::Absolute(0.03));
    input(experiment, at(), vec![("y", one(counts.0, counts.1, day(42)))])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn want_down_is_the_mirror_image(control in counts(), treatment in counts()) {
        let flipped = |(x, n): (f64, f64)| (n - x, n);
        let threshold = Amount::Absolute(0.03);
        let straight = judged(&input(
            mirrored(false, arms(), 0.27, threshold),
            at(),
            vec![("y", two_arms(control, treatment, day(42)))],
        ));
        let turned = judged(&input(
            mirrored(true, arms(), 0.27, threshold),
            at(),
            vec![("y", two_arms(flipped(control), flipped(treatment), day(42)))],
        ));
        prop_assert_eq!(straight.signals[0].state, turned.signals[0].state);
        prop_assert_eq!(straight.rule.value, turned.rule.value);
        prop_assert_eq!(
            straight.stop_rule.map(|rule| rule.value),
            turned.stop_rule.map(|rule| rule.value)
        );
        let (a, b) = (&straight.atoms[0].evidence, &turned.atoms[0].evidence);
        if let (Some(a), Some(b)) = (a, b) {
            prop_assert!(near(a.estimate, -b.estimate));
            prop_assert!(near(a.interval.lo, -b.interval.hi), "{:?} {:?}", a, b);
            prop_assert!(near(a.p_seq, b.p_seq));
        }
    }

    #[test]
    fn a_stated_baseline_is_mirrored_too(seen in counts()) {
        let straight = judged(&stated(seen));
        let experiment = mirrored(true, Compare::Baseline, 0.27, Amount::Absolute(0.03));
        let turned = one(seen.1 - seen.0, seen.1, day(42));
        let turned = judged(&input(experiment, at(), vec![("y", turned)]));
        prop_assert_eq!(straight.signals[0].state, turned.signals[0].state);
        prop_assert_eq!(straight.atoms[0].met, turned.atoms[0].met);
        prop_assert_eq!(straight.atoms[0].needs_more, turned.atoms[0].needs_more);
    }

    #[test]
    fn nothing_leaves_that_is_not_finite(
        control in counts(),
        treatment in counts(),
        relative in any::<bool>(),
        mode in 0_usize..4,
    ) {
        let threshold =
            if relative { Amount::Relative(0.10) } else { Amount::Absolute(0.03) };
        let modes = [
            EvidenceMode::Significant,
            EvidenceMode::Proven,
            EvidenceMode::NotRefuted,
            EvidenceMode::Point,
        ];
        for compare in [arms(), Compare::Baseline] {
            let seen = match compare {
                Compare::Arms { .. } => two_arms(control, treatment, day(42)),
                _ => one(treatment.0, treatment.1, day(42)),
            };
            let mut experiment = mirrored(false, compare, 0.27, threshold);
            experiment.evidence = modes[mode];
            assert_finite(&judged(&input(experiment, at(), vec![("y", seen)])));
        }
    }

    #[test]
    fn p_only_falls_along_a_path_and_a_second_look_at_the_same_changes_nothing(
        steps in prop::collection::vec(counts(), 1..8),
    ) {
        let mut look = stated((0.0, 1.0));
        let mut total = (0.0, 0.0);
        let mut before: Option<f64> = None;
        for step in steps {
            total = (total.0 + step.0, total.1 + step.1);
            look.observations.insert("y".to_owned(), one(total.0, total.1, day(42)));
            let analysis = analyse(&look, false);
            prop_assert_eq!(&analysis, &analyse(&look, false));
            let p = analysis.atoms[0].evidence.as_ref().unwrap().p_seq;
            prop_assert!(before.is_none_or(|before| p <= before));
            look.carry.clone_from(&analysis.carry);
            let again = analyse(&look, false);
            prop_assert_eq!(again.atoms[0].evidence.as_ref().unwrap().p_seq, p);
            prop_assert_eq!(again.atoms[0].met, analysis.atoms[0].met);
            prop_assert_eq!(&again.signals, &analysis.signals);
            before = Some(p);
        }
    }

    #[test]
    fn a_missing_signal_is_never_true_or_false(seen in counts()) {
        let rule = Rule::And(vec![up("a"), up("b")]);
        let observed = vec![
            ("a", two_arms(seen, seen, day(42))),
            ("b", Observation::NoData { since: None, why: "gone".to_owned() }),
        ];
        let analysis = judged(&input(two_signals(rule), at(), observed));
        prop_assert_eq!(analysis.atoms[1].met, Truth::Unknown);
        prop_assert_ne!(analysis.rule.value, Truth::True);
    }
}
