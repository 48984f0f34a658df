//! Rows before the checkpoint.

use super::*;
use crate::analyse::{GuardrailState, SignalState, Truth};
use crate::fixture::{checkpoint_at, guardrail, ts};
use crate::spec::OnTrip;

#[test]
fn before_the_checkpoint_it_collects_whatever_the_rule_says() {
    let decision = outcome(&Look::early()).decision;
    assert_eq!((decision.verdict, decision.cause), ON_TRACK);
    assert!(!decision.at_checkpoint && !decision.ends_cycle);
    assert_eq!(decision.next_look_at, Some(ts("2026-06-21T00:00:00Z")));
    assert_eq!(decision.next_checkpoint_at, Some(checkpoint_at()));
    let failing = Look::early().atom(0, Truth::False).state("o", SignalState::Flat);
    assert_eq!(row(&failing), ON_TRACK);
}

#[test]
fn stops_and_untrusted_data_do_not_wait_for_the_checkpoint() {
    let tripped = Look::early().guardrail(guardrail("e", OnTrip::Stop), GuardrailState::Tripped);
    assert_eq!(row(&tripped), TRIPPED);
    assert_eq!(row(&Look::early().harmed("o")), HARMFUL);
    assert_eq!(row(&Look::early().split(true)), SRM);
    let held = outcome(&Look::early().split(true)).decision;
    assert_eq!(held.next_checkpoint_at, Some(checkpoint_at()));
    let changed = Look::early().with(|input, _| input.unacknowledged.push("p".into()));
    assert_eq!(row(&changed), CHANGED);
}

#[test]
fn futility_stops_early_only_where_the_file_says_so() {
    let flat = Look::early().state("o", SignalState::Flat).state("p", SignalState::Flat);
    assert_eq!(row(&flat), ON_TRACK);
    let early = |input: &mut crate::record::LookInput, _: &mut crate::analyse::Analysis| {
        input.experiment.checkpoint.early_stop_futility = true;
    };
    assert_eq!(row(&flat.with(early)), FUTILE);
}

#[test]
fn progress_is_the_planned_information_else_the_slowest_atom_else_time() {
    let share = |look: &Look| match reasons(look)[0] {
        Reason::Progress { share, days_left } => (share, days_left),
        _ => panic!("progress comes first"),
    };
    // 19 of 42 days; 23 are left.
    assert_eq!(share(&Look::early()), (19.0 / 42.0, 23.0));
    // 12,000 units of the 16,000 that the atom needs.
    let atom = Look::early().decidable(1, 4_000.0);
    assert_eq!(share(&atom).0, 0.75);
    let planned = atom.with(|_, analysis| analysis.progress = Some(0.4));
    assert_eq!(share(&planned).0, 0.4);
    let over = planned.with(|_, analysis| analysis.progress = Some(1.7));
    assert_eq!(share(&over).0, 1.0);
}

#[test]
fn a_sample_that_cannot_come_in_time_is_called_so() {
    // 12,000 matured units of `o` in the 28 days to 29 June... here: counted to 8 June, 7 days,
    // so about 1,714 a day; from 8 June to 13 July less 14 days are 21 days: 36,000 more.
    let look = |needs: f64| {
        Look::early().decidable(1, needs).with(|input, _| {
            let observed = crate::fixture::observed(ts("2026-06-08T00:00:00Z"));
            let ok = crate::observe::Observation::Ok(Box::new(observed));
            input.observations.insert("o".into(), ok);
        })
    };
    assert_eq!(row(&look(35_999.0)), ON_TRACK);
    assert_eq!(row(&look(36_001.0)), UNREACHABLE);
    assert_eq!(
        reasons(&look(36_001.0))[1],
        Reason::NeedsMore { signal: "o".into(), units: 36_001.0 }
    );
    // Another branch of an OR can still make it.
    let or = look(36_001.0).atom(0, Truth::Unknown).with(|_, analysis| {
        analysis.rule.op = "or".into();
        analysis.atoms[0].needs_more = Some(1.0);
    });
    assert_eq!(row(&or), ON_TRACK);
    // A rule that is false for another reason is not "unreachable".
    assert_eq!(row(&look(36_001.0).atom(0, Truth::False)), ON_TRACK);
    // Without units there is no rate.
    let none = look(36_001.0).immature("o", "2026-06-25T00:00:00Z").decidable(1, 36_001.0);
    assert_eq!(row(&none), ON_TRACK);
}
