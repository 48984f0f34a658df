//! The life of an experiment, edge by edge.

use super::*;
use crate::analyse::GuardrailState;
use crate::decide::decide;
use crate::fixture::{Look, checkpoint_at, experiment, guardrail, start, ts};
use crate::spec::OnTrip;
use crate::time::Span;

fn running() -> LifeState {
    first_seen(&experiment(), true, start())
}

fn decision(verdict: Verdict, cause: Cause) -> Decision {
    Decision {
        verdict,
        cause,
        reasons: Vec::new(),
        at_checkpoint: true,
        ends_cycle: false,
        next_look_at: None,
        next_checkpoint_at: None,
    }
}

fn after(verdict: Verdict, cause: Cause) -> LifeState {
    apply_decision(&running(), &decision(verdict, cause), checkpoint_at())
}

fn human(
    state: &LifeState,
    who: &str,
    action: HumanAction,
    is_admin: bool,
) -> Result<LifeState, NotAllowed> {
    let decision = HumanDecision { who: who.into(), because: "I looked".into(), action };
    human_decision(state, &experiment(), &decision, is_admin, ts("2026-08-01T00:00:00Z"))
}

#[test]
fn a_file_is_scheduled_then_runs_and_never_starts_after_its_by() {
    let file = experiment();
    let seen = |now: &str| first_seen(&file, true, ts(now)).life;
    assert_eq!(seen("2026-05-31T23:59:59Z"), Life::Scheduled);
    assert_eq!(seen("2026-06-01T00:00:00Z"), Life::Running);
    assert_eq!(seen("2026-10-01T00:00:00Z"), Life::Running);
    assert_eq!(seen("2026-10-01T00:00:01Z"), Life::Draft);
    assert_eq!(first_seen(&file, false, start()).life, Life::Draft);
    let scheduled = first_seen(&file, true, ts("2026-05-01T00:00:00Z"));
    assert_eq!(at_time(&scheduled, ts("2026-05-31T23:59:59Z")), scheduled);
    let runs = at_time(&scheduled, start());
    assert_eq!((runs.life, runs.since), (Life::Running, start()));
    assert_eq!(runs.cycle, crate::fixture::cycle());
}

#[test]
fn guardrails_outlive_looks_and_end_with_the_run() {
    let lives = [
        (Life::Draft, false, false),
        (Life::Scheduled, false, false),
        (Life::Running, true, true),
        (Life::AwaitingRevision, false, true),
        (Life::Graduated, false, false),
        (Life::Stopped, false, false),
        (Life::Archived, false, false),
        (Life::Paused, false, true),
    ];
    for (life, looks, guardrails) in lives {
        assert_eq!(needs_looks(life), looks, "{life:?}");
        assert_eq!(guardrails_run(life), guardrails, "{life:?}");
        let state = LifeState { life, ..running() };
        assert_eq!(next_look(&experiment(), &state, start()).is_some(), looks, "{life:?}");
    }
}

#[test]
fn verdicts_move_the_life() {
    let life = |verdict, cause| after(verdict, cause).life;
    assert_eq!(life(Verdict::Continue, Cause::Graduate), Life::Graduated);
    assert_eq!(life(Verdict::Continue, Cause::KeepRunning), Life::Running);
    assert_eq!(life(Verdict::Change, Cause::Extend), Life::Running);
    assert_eq!(life(Verdict::Change, Cause::Mechanism), Life::AwaitingRevision);
    assert_eq!(life(Verdict::Hold, Cause::DataMissing), Life::Running);
    assert_eq!(life(Verdict::Collecting, Cause::OnTrack), Life::Running);
    for cause in [Cause::Tripped, Cause::Harmful, Cause::Futile, Cause::NoCyclesLeft] {
        let stopped = after(Verdict::Stop, cause);
        assert_eq!(stopped.life, Life::Stopped);
        assert_eq!(stopped.verdict, Some((Verdict::Stop, cause, checkpoint_at())));
    }
    assert_eq!(after(Verdict::Hold, Cause::Srm).verdict, None);
}

#[test]
fn extend_wait_hold_and_keep_running_move_the_checkpoint_as_said() {
    let next = ts("2026-08-10T00:00:00Z");
    let moved = |verdict, cause| {
        let decision = Decision { next_checkpoint_at: Some(next), ..decision(verdict, cause) };
        let mut open = running();
        open.cycle.open = true;
        apply_decision(&open, &decision, checkpoint_at()).cycle
    };
    let flags = |cycle: Cycle| (cycle.checkpoint_at, cycle.extended, cycle.waited, cycle.open);
    assert_eq!(flags(moved(Verdict::Change, Cause::Extend)), (next, true, false, false));
    let keep = moved(Verdict::Continue, Cause::KeepRunning);
    assert_eq!(flags(keep), (next, false, false, false));
    let wait = moved(Verdict::Collecting, Cause::WaitingForMaturity);
    assert_eq!(flags(wait), (next, false, true, true));
    let hold = moved(Verdict::Hold, Cause::DataMissing);
    assert_eq!(flags(hold), (checkpoint_at(), false, false, true));
    let collecting = moved(Verdict::Collecting, Cause::OnTrack);
    assert_eq!(flags(collecting), (checkpoint_at(), false, false, true));
    // A hold before the checkpoint opens nothing.
    let early = Decision { at_checkpoint: false, ..decision(Verdict::Hold, Cause::Srm) };
    assert!(!apply_decision(&running(), &early, start()).cycle.open);
}

#[test]
fn a_trip_ends_the_run_from_every_watched_life_and_latches() {
    let look = Look::early().guardrail(guardrail("errors", OnTrip::Stop), GuardrailState::Tripped);
    let trip = decide(&look.input, &look.analysis).decision;
    let at = look.input.at;
    for life in [Life::Running, Life::AwaitingRevision, Life::Paused] {
        let state = LifeState { life, ..running() };
        let tripped = apply_decision(&state, &trip, at);
        assert_eq!(tripped.life, Life::Stopped);
        assert_eq!(tripped.trips, BTreeMap::from([("errors".to_owned(), at)]));
        // No later look of that cycle replaces it.
        let later = apply_decision(
            &tripped,
            &decision(Verdict::Continue, Cause::Graduate),
            checkpoint_at(),
        );
        assert_eq!(later, tripped);
        let rearmed = human(&tripped, "anyone", HumanAction::Rearm, false).unwrap();
        assert_eq!(rearmed.life, life);
        assert_eq!((rearmed.trips.len(), rearmed.guardrail_epoch), (0, 1));
    }
    let paused = LifeState { life: Life::Paused, ..running() };
    let look = decision(Verdict::Continue, Cause::Graduate);
    assert_eq!(apply_decision(&paused, &look, at), paused);
    let scheduled = LifeState { life: Life::Scheduled, ..running() };
    assert_eq!(apply_decision(&scheduled, &trip, at), scheduled);
}

#[test]
fn the_next_cycle_needs_another_mechanism_and_a_start_after_the_verdict() {
    let waiting = after(Verdict::Change, Cause::Mechanism);
    let now = ts("2026-07-14T10:00:00Z");
    let mut file = experiment();
    file.revision = "r2".into();
    file.start = ts("2026-07-20T00:00:00Z");
    file.checkpoint.when = When::At(ts("2026-08-31T00:00:00Z"));
    let (same, effect) = revised(&waiting, &file, true, now);
    assert_eq!((effect, same.life), (RevisionEffect::SameMechanism, Life::AwaitingRevision));
    assert_eq!((same.revision.as_str(), same.cycle), ("r2", waiting.cycle.clone()));
    file.mechanism.because = "they stall at step two".into();
    let (_, effect) = revised(&waiting, &file, false, now);
    assert_eq!(effect, RevisionEffect::SameCycle);
    let mut early = file.clone();
    early.start = checkpoint_at();
    let (state, effect) = revised(&waiting, &early, true, now);
    assert_eq!((effect, state.life), (RevisionEffect::StartsTooEarly, Life::AwaitingRevision));
    // The refused mechanism is not taken for the old one next time.
    assert_eq!(revised(&state, &file, true, now).1, RevisionEffect::NewCycle);
    let (next, effect) = revised(&waiting, &file, true, now);
    assert_eq!((effect, next.life), (RevisionEffect::NewCycle, Life::Scheduled));
    let cycle = Cycle {
        number: 2,
        started_at: file.start,
        first_started_at: start(),
        checkpoint_at: ts("2026-08-31T00:00:00Z"),
        extended: false,
        waited: false,
        open: false,
        allocation: None,
        held_since: None,
    };
    assert_eq!(next.cycle, cycle);
    assert_eq!(at_time(&next, file.start).life, Life::Running);
    let (late, _) = revised(&waiting, &file, true, ts("2026-07-21T00:00:00Z"));
    assert_eq!(late.life, Life::Running);
}

#[test]
fn other_edits_stay_in_the_cycle() {
    let mut file = experiment();
    file.revision = "r2".into();
    file.mechanism.because = "another reason".into();
    file.start = ts("2026-06-02T00:00:00Z");
    file.checkpoint.when = When::At(ts("2026-07-20T00:00:00Z"));
    let (state, effect) = revised(&running(), &file, true, ts("2026-06-10T00:00:00Z"));
    assert_eq!((effect, state.life), (RevisionEffect::SameCycle, Life::Running));
    assert_eq!((state.cycle.number, state.cycle.started_at), (1, start()));
    assert_eq!(state.cycle.checkpoint_at, ts("2026-07-20T00:00:00Z"));
    assert_eq!(state.mechanism.because, "another reason");
    // A checkpoint that a verdict moved stays where the verdict put it.
    for flag in [
        |cycle: &mut Cycle| cycle.extended = true,
        |cycle: &mut Cycle| cycle.waited = true,
        |cycle: &mut Cycle| cycle.open = true,
    ] {
        let mut moved = running();
        flag(&mut moved.cycle);
        let (state, _) = revised(&moved, &file, true, ts("2026-06-10T00:00:00Z"));
        assert_eq!(state.cycle.checkpoint_at, checkpoint_at());
    }
    // A rhythm goes on after the newest verdict of the cycle.
    file.checkpoint.when = When::Every(Span::days(7));
    let kept = Decision {
        next_checkpoint_at: Some(ts("2026-06-15T00:00:00Z")),
        ..decision(Verdict::Continue, Cause::KeepRunning)
    };
    let kept = apply_decision(&running(), &kept, ts("2026-06-08T00:00:00Z"));
    let (state, _) = revised(&kept, &file, true, ts("2026-06-10T00:00:00Z"));
    assert_eq!(state.cycle.checkpoint_at, ts("2026-06-15T00:00:00Z"));
    // Before the start the file is simply read anew; after the end it changes nothing.
    let scheduled = first_seen(&experiment(), true, ts("2026-05-01T00:00:00Z"));
    let (state, _) = revised(&scheduled, &file, true, ts("2026-05-02T00:00:00Z"));
    assert_eq!(state.cycle.started_at, file.start);
    let stopped = after(Verdict::Stop, Cause::Futile);
    assert_eq!(revised(&stopped, &file, true, start()), (stopped, RevisionEffect::Over));
}

#[test]
fn humans_need_a_name_a_because_and_the_right_to_stop() {
    let state = running();
    assert_eq!(human(&state, " ", HumanAction::Objects, false), Err(NotAllowed::NoName));
    let silent =
        HumanDecision { who: "lead".into(), because: String::new(), action: HumanAction::Stop };
    let refused = human_decision(&state, &experiment(), &silent, true, start());
    assert_eq!(refused, Err(NotAllowed::NoBecause));
    assert_eq!(human(&state, "x", HumanAction::Stop, false), Err(NotAllowed::MayNotStop));
    assert_eq!(human(&state, "x", HumanAction::Objects, false), Ok(state.clone()));
    assert_eq!(human(&state, "lead", HumanAction::Stop, false).unwrap().life, Life::Stopped);
    assert_eq!(human(&state, "root", HumanAction::Stop, true).unwrap().life, Life::Stopped);
    let stopped = after(Verdict::Stop, Cause::Futile);
    assert_eq!(human(&stopped, "lead", HumanAction::Stop, false), Err(NotAllowed::WrongLife));
    assert_eq!(human(&state, "lead", HumanAction::Confirm, false), Err(NotAllowed::NoVerdict));
    assert_eq!(human(&stopped, "lead", HumanAction::Confirm, false), Ok(stopped.clone()));
}

#[test]
fn a_verdict_can_be_overruled_but_a_trip_must_be_rearmed() {
    let action = HumanAction::OverruleContinue;
    let waiting = after(Verdict::Change, Cause::Mechanism);
    let again = human(&waiting, "lead", action, false).unwrap();
    // One interval (28 days) from the decision on 1 August.
    assert_eq!(again.life, Life::Running);
    assert_eq!(again.cycle.checkpoint_at, ts("2026-08-29T00:00:00Z"));
    assert_eq!(human(&running(), "lead", action, false), Err(NotAllowed::NoVerdict));
    let kept = after(Verdict::Continue, Cause::KeepRunning);
    assert_eq!(human(&kept, "lead", action, false), Err(NotAllowed::WrongLife));
    let mut tripped = after(Verdict::Stop, Cause::Tripped);
    tripped.trips.insert("errors".into(), start());
    assert_eq!(human(&tripped, "lead", action, false), Err(NotAllowed::Tripped));
    let change = HumanAction::OverruleChange;
    assert_eq!(human(&tripped, "lead", change, false), Err(NotAllowed::Tripped));
    let changed = human(&kept, "lead", change, false).unwrap();
    assert_eq!(changed.life, Life::AwaitingRevision);
    assert_eq!(human(&waiting, "lead", change, false), Err(NotAllowed::WrongLife));
    assert_eq!(human(&running(), "lead", change, false), Err(NotAllowed::NoVerdict));
    let nothing = human(&running(), "lead", HumanAction::Rearm, false);
    assert_eq!(nothing, Err(NotAllowed::NothingTripped));
}

#[test]
fn a_pause_comes_back_to_where_it_was() {
    let waiting = after(Verdict::Change, Cause::Mechanism);
    for state in [running(), waiting] {
        let paused = human(&state, "lead", HumanAction::Pause, false).unwrap();
        assert_eq!(paused.life, Life::Paused);
        let again = human(&paused, "lead", HumanAction::Pause, false);
        assert_eq!(again, Err(NotAllowed::WrongLife));
        let resumed = human(&paused, "lead", HumanAction::Resume, false).unwrap();
        assert_eq!((resumed.life, resumed.resumes_to), (state.life, None));
    }
    let resumed = human(&running(), "lead", HumanAction::Resume, false);
    assert_eq!(resumed, Err(NotAllowed::WrongLife));
    let over = after(Verdict::Stop, Cause::Futile);
    assert_eq!(human(&over, "lead", HumanAction::Pause, false), Err(NotAllowed::WrongLife));
}

#[test]
fn what_graduated_can_be_said_to_be_the_default() {
    let graduated = after(Verdict::Continue, Cause::Graduate);
    let updated = human(&graduated, "lead", HumanAction::DefaultUpdated, false).unwrap();
    assert!(updated.default_updated && !graduated.default_updated);
    let wrong = human(&running(), "lead", HumanAction::DefaultUpdated, false);
    assert_eq!(wrong, Err(NotAllowed::WrongLife));
    let archived = human(&graduated, "lead", HumanAction::Archive, false).unwrap();
    assert_eq!(archived.life, Life::Archived);
    assert_eq!(human(&archived, "lead", HumanAction::Archive, false), Err(NotAllowed::WrongLife));
}

#[test]
fn looks_come_daily_at_midnight_and_at_the_checkpoint() {
    let mut file = experiment();
    let look = |file: &Experiment, state: &LifeState, after: &str| {
        next_look(file, state, ts(after)).unwrap().to_string()
    };
    assert_eq!(look(&file, &running(), "2026-05-01T00:00:00Z"), "2026-06-02T00:00:00Z");
    assert_eq!(look(&file, &running(), "2026-06-02T00:00:00Z"), "2026-06-03T00:00:00Z");
    assert_eq!(look(&file, &running(), "2026-06-02T23:59:59Z"), "2026-06-03T00:00:00Z");
    file.checkpoint.look_every = Span::days(5);
    // Aligned to the start: 11 July, then the checkpoint, then 16 July.
    assert_eq!(look(&file, &running(), "2026-07-10T00:00:00Z"), "2026-07-11T00:00:00Z");
    assert_eq!(look(&file, &running(), "2026-07-11T00:00:00Z"), "2026-07-13T00:00:00Z");
    assert_eq!(look(&file, &running(), "2026-07-13T00:00:00Z"), "2026-07-16T00:00:00Z");
    file.checkpoint.look_every = Span::hours(6);
    assert_eq!(look(&file, &running(), "2026-06-01T00:00:00Z"), "2026-06-01T06:00:00Z");
    assert_eq!(look(&file, &running(), "2026-06-01T11:59:00Z"), "2026-06-01T12:00:00Z");
    // Midnight is that of the file's zone, over the change of clocks.
    file.checkpoint.look_every = Span::days(1);
    file.timezone = "Europe/Berlin".into();
    let mut state = running();
    state.cycle.started_at = ts("2026-10-23T22:00:00Z");
    state.cycle.checkpoint_at = ts("2026-12-01T00:00:00Z");
    assert_eq!(look(&file, &state, "2026-10-24T22:00:00Z"), "2026-10-25T23:00:00Z");
}

#[test]
fn checkpoints_follow_the_file() {
    let mut file = experiment();
    assert_eq!(first_seen(&file, true, start()).cycle.checkpoint_at, checkpoint_at());
    let fortnight = Span::days(14);
    file.checkpoint.when = When::Every(fortnight);
    let next = |file: &Experiment, after| checkpoint_after(file, fortnight, start(), after);
    assert_eq!(next(&file, ts("2026-01-01T00:00:00Z")), ts("2026-06-15T00:00:00Z"));
    assert_eq!(next(&file, ts("2026-06-15T00:00:00Z")), ts("2026-06-29T00:00:00Z"));
    assert_eq!(first_seen(&file, true, start()).cycle.checkpoint_at, ts("2026-06-15T00:00:00Z"));
    assert_eq!(schedule::interval(&file), Span::days(14));
    // A date: 42 days less the outcome's 14.
    assert_eq!(schedule::interval(&experiment()), Span::days(28));
    file.checkpoint.when = When::At(ts("2026-06-10T00:00:00Z"));
    assert_eq!(schedule::interval(&file), Span::days(1));
    // At the end of time the end of time is next.
    assert_eq!(next(&file, Timestamp::MAX), Timestamp::MAX);
}
