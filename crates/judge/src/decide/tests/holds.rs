//! Rows that wait: hold and `waiting_for_maturity`.

use super::*;
use crate::analyse::{SignalState, Truth};
use crate::fixture::{leaf, ts};
use crate::observe::Observation;
use crate::spec::Role;

#[test]
fn a_mismatched_split_holds_where_arms_are_used() {
    let look = Look::passing().split(true);
    assert_eq!(row(&look), SRM);
    assert_eq!(reasons(&look), [Reason::SplitMismatch { p: 0.000_1 }]);
    assert_eq!(row(&Look::passing().split(false)), GRADUATE);
    let by_baseline = look.with(|input, _| {
        for signal in &mut input.experiment.signals {
            signal.compare = Some(crate::spec::Compare::Baseline);
        }
    });
    assert_eq!(row(&by_baseline), GRADUATE);
}

#[test]
fn a_changed_definition_holds_only_for_used_signals() {
    let changed =
        |name: &str| Look::passing().with(|input, _| input.unacknowledged.push(name.into()));
    assert_eq!(row(&changed("p")), CHANGED);
    assert_eq!(row(&changed("o")), CHANGED);
    assert_eq!(row(&changed("shown_only")), GRADUATE);
    // An outcome counts without being named by the rule.
    let unnamed = changed("o").with(|input, _| {
        let rule = &mut input.experiment.checkpoint.continue_when;
        let crate::spec::Rule::And(rules) = rule else { panic!() };
        rules.truncate(1);
    });
    assert_eq!(row(&unnamed), CHANGED);
    // The split is named first when both hold.
    assert_eq!(row(&changed("p").split(true)), SRM);
    assert_eq!(reasons(&changed("p").split(true)).len(), 2);
}

#[test]
fn missing_data_hold_when_the_root_is_unknown_because_of_them() {
    let look = Look::passing().missing("o");
    assert_eq!(row(&look), MISSING);
    assert_eq!(reasons(&look), [Reason::DataMissing { signal: "o".into(), since: None }]);
    // A false root, no outcome known and the only one missing: it could be futile.
    assert_eq!(row(&Look::passing().missing("o").atom(0, Truth::False)), MISSING);
    // The same with a missing proxy and a live outcome: the verdict cannot change.
    let settled = Look::passing().missing("p").atom(1, Truth::False);
    assert_eq!(row(&settled), MECHANISM);
    // An inconclusive partner does not make the missing one harmless.
    assert_eq!(row(&Look::passing().missing("p").atom(1, Truth::Unknown)), MISSING);
    let down = Look::passing().missing("p").with(|input, _| {
        let since = ts("2026-07-10T00:00:00Z");
        let error =
            Observation::SourceError { class: "timeout".into(), cause: "no answer".into(), since };
        input.observations.insert("p".into(), error);
    });
    assert_eq!(row(&down), MISSING);
    let since = Some(ts("2026-07-10T00:00:00Z"));
    assert_eq!(reasons(&down), [Reason::DataMissing { signal: "p".into(), since }]);
    // A signal without an observation is missing too.
    let none = Look::passing().atom(0, Truth::Unknown).with(|input, _| {
        input.observations.remove("p");
    });
    assert_eq!(row(&none), MISSING);
}

#[test]
fn missing_data_hold_when_the_root_is_true_and_an_outcome_is_missing() {
    let only_proxy = Look::passing().missing("o").with(|_, analysis| {
        analysis.atoms.truncate(1);
        analysis.rule = leaf(0);
    });
    assert_eq!(row(&only_proxy), MISSING);
    // A missing leading signal never matters there.
    let leading = Look::passing().with(|input, analysis| {
        let mut view = analysis.signals[0].clone();
        view.name = "l".into();
        view.role = Role::Leading;
        view.state = SignalState::NoData;
        analysis.signals.push(view);
        input.observations.remove("l");
    });
    assert_eq!(row(&leading), GRADUATE);
}

#[test]
fn missing_data_hold_when_they_could_make_it_futile() {
    let flat = || Look::passing().state("o", SignalState::Flat).atom(1, Truth::False);
    let look = flat().missing("p");
    assert_eq!(row(&look), MISSING);
    assert_eq!(reasons(&look), [Reason::DataMissing { signal: "p".into(), since: None }]);
    assert_eq!(row(&look.state("o", SignalState::Short)), MECHANISM);
    // Before the checkpoint nothing is held for missing data.
    assert_eq!(row(&flat().missing("p").at("2026-07-12T00:00:00Z")), ON_TRACK);
}

#[test]
fn an_immature_outcome_moves_the_checkpoint_once() {
    let look = Look::passing().immature("o", "2026-07-20T00:00:00Z");
    let decision = outcome(&look).decision;
    assert_eq!((decision.verdict, decision.cause), WAITING);
    let until = ts("2026-07-20T00:00:00Z");
    assert_eq!(decision.next_checkpoint_at, Some(until));
    assert_eq!(decision.next_look_at, Some(ts("2026-07-14T00:00:00Z")));
    assert_eq!(decision.reasons, [Reason::WaitsForMaturity { signal: "o".into(), until }]);
    assert!(!decision.ends_cycle);
    let waiting = |at: &str| {
        look.clone().at(at).with(|input, _| {
            input.cycle.waited = true;
            input.cycle.open = true;
            input.cycle.checkpoint_at = until;
        })
    };
    let again = waiting("2026-07-19T00:00:00Z");
    assert_eq!(row(&again), WAITING);
    assert_eq!(outcome(&again).decision.next_checkpoint_at, Some(until));
    // Once only: still immature at the moved checkpoint is decided.
    assert_eq!(row(&waiting("2026-07-20T00:00:00Z")), MECHANISM);
    // A proxy is not waited for.
    assert_eq!(row(&Look::passing().immature("p", "2026-07-20T00:00:00Z")), MECHANISM);
}
