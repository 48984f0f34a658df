//! Claims, commits, points and context.

use std::collections::BTreeMap;

use judge::analyse::{GuardrailState, GuardrailStatus};
use judge::points::Sums;
use judge::record::{Carry, PlannedLooks, TestState};
use judge::spec::OnTrip;
use judge::time::Window;

use super::*;
use crate::store::StoreError;

pub(in crate::store) async fn a_slot_is_answered_once(store: Store) {
    store.ensure_experiment(experiment("x")).await.unwrap();
    let claims = claim(&store, 100).await;
    let commit = look(&store, &claims[0]).await;
    assert_eq!(number(&store.commit(commit.clone()).await.unwrap()), Some(1));
    assert_eq!(store.commit(commit.clone()).await.unwrap(), Committed::Already);
    // The same slot under a fresh claim and the newest version is answered all the same.
    let mut again = commit;
    again.claim = Some(claim(&store, 200).await.remove(0));
    again.expected_version = store.context("x").await.unwrap().unwrap().state_version;
    again.next_at = Some(at(300));
    assert_eq!(store.commit(again).await.unwrap(), Committed::Already);
    assert_eq!(store.evaluations("x", None, 10).await.unwrap().len(), 1);
    // The cursor moved on nevertheless: an answered slot is never due for ever.
    assert_eq!(store.earliest_due().await.unwrap(), Some(at(300)));
}

pub(in crate::store) async fn a_look_without_a_record_is_answered_once_too(store: Store) {
    store.ensure_experiment(experiment("x")).await.unwrap();
    let claims = claim(&store, 100).await;
    let mut commit = look(&store, &claims[0]).await;
    commit.evaluation = None;
    commit.log.push(entry("verdict", 100));
    assert_eq!(number(&store.commit(commit.clone()).await.unwrap()), None);
    assert_eq!(store.commit(commit).await.unwrap(), Committed::Already);
    let log = store.decisions(crate::store::LogFilter::default()).await.unwrap();
    assert_eq!(log.len(), 1);
}

pub(in crate::store) async fn a_stale_version_writes_nothing(store: Store) {
    store.ensure_experiment(experiment("x")).await.unwrap();
    let claims = claim(&store, 100).await;
    let mut commit = look(&store, &claims[0]).await;
    commit.expected_version -= 1;
    commit.points = vec![fetched("s", vec![proportion("all", 0, 1.0, 2.0)])];
    commit.log.push(entry("verdict", 100));
    assert_eq!(store.commit(commit.clone()).await.unwrap(), Committed::StaleVersion);
    assert_eq!(store.newest_point_end("s").await.unwrap(), None);
    assert!(store.decisions(crate::store::LogFilter::default()).await.unwrap().is_empty());
    // The claim still holds: deciding again on the newest version goes through.
    commit.expected_version += 1;
    assert_eq!(number(&store.commit(commit).await.unwrap()), Some(1));
    assert_eq!(store.newest_point_end("s").await.unwrap(), Some(at(60)));
}

pub(in crate::store) async fn a_claim_that_was_taken_over_is_fenced(store: Store) {
    store.ensure_experiment(experiment("x")).await.unwrap();
    let old = claim(&store, 100).await.remove(0);
    let late = look(&store, &old).await;
    let new = store.claim_due(at(100), at(161), "two", LEASE, 9).await.unwrap().remove(0);
    assert_eq!((new.epoch, new.next_at), (old.epoch + 1, old.next_at));
    assert_eq!(store.commit(late).await.unwrap(), Committed::Fenced);
    assert!(!store.release(&old, at(900)).await.unwrap());
    let commit = look(&store, &new).await;
    assert_eq!(number(&store.commit(commit).await.unwrap()), Some(1));
}

pub(in crate::store) async fn an_expired_lease_is_taken_over(store: Store) {
    store.ensure_experiment(experiment("x")).await.unwrap();
    assert!(claim(&store, 99).await.is_empty(), "not due yet");
    assert_eq!(store.earliest_due().await.unwrap(), Some(at(100)));
    assert_eq!(claim(&store, 100).await.len(), 1);
    assert_eq!(store.earliest_due().await.unwrap(), None, "claimed");
    assert_eq!(store.earliest_lease_end().await.unwrap(), Some(at(160)));
    let early = store.claim_due(at(100), at(159), "two", LEASE, 9).await.unwrap();
    assert!(early.is_empty(), "the lease still runs");
    let taken = store.claim_due(at(100), at(160), "two", LEASE, 9).await.unwrap();
    assert_eq!(taken.len(), 1);
}

pub(in crate::store) async fn a_released_claim_cannot_commit(store: Store) {
    store.ensure_experiment(experiment("x")).await.unwrap();
    let claimed = claim(&store, 100).await.remove(0);
    let commit = look(&store, &claimed).await;
    assert!(store.release(&claimed, at(150)).await.unwrap());
    assert_eq!(store.earliest_due().await.unwrap(), Some(at(150)));
    assert_eq!(store.commit(commit).await.unwrap(), Committed::Fenced);
}

pub(in crate::store) async fn a_former_process_is_fenced_off(store: Store) {
    store.ensure_experiment(experiment("x")).await.unwrap();
    let former = claim(&store, 100).await.remove(0);
    let commit = look(&store, &former).await;
    assert_eq!(store.release_holder("somebody else").await.unwrap(), 0);
    assert_eq!(store.release_holder(HOLDER).await.unwrap(), 1);
    assert_eq!(claim(&store, 100).await.len(), 1, "free at once, before the lease ends");
    assert_eq!(store.commit(commit).await.unwrap(), Committed::Fenced);
}

pub(in crate::store) async fn a_revived_track_never_repeats_a_slot(store: Store) {
    store.ensure_experiment(experiment("x")).await.unwrap();
    let first = claim(&store, 100).await.remove(0);
    let mut last = look(&store, &first).await;
    last.evaluation = None;
    last.next_at = None;
    assert_eq!(number(&store.commit(last.clone()).await.unwrap()), None);
    assert_eq!(store.earliest_due().await.unwrap(), None, "the track ended");
    assert!(store.ensure_experiment(experiment("x")).await.unwrap(), "and is revived");
    let revived = claim(&store, 100).await.remove(0);
    assert!(revived.epoch > first.epoch, "an old claim must not match a new one");
    assert_eq!(revived.last_slot, Some(at(100)));
    let repeat = look(&store, &revived).await;
    assert_eq!(store.commit(repeat).await.unwrap(), Committed::Already);
}

pub(in crate::store) async fn a_new_revision_brings_a_track_forward(store: Store) {
    store.ensure_experiment(experiment("x")).await.unwrap();
    let version = store.context("x").await.unwrap().unwrap().state_version;
    assert!(!store.ensure_experiment(experiment("x")).await.unwrap(), "nothing changed");
    assert_eq!(store.context("x").await.unwrap().unwrap().state_version, version);
    let mut edited = experiment("x");
    edited.cursors = vec![cursor("look", 50)];
    assert!(!store.ensure_experiment(edited.clone()).await.unwrap(), "same revision");
    edited.revision = "r2".to_owned();
    assert!(store.ensure_experiment(edited.clone()).await.unwrap());
    assert_eq!(store.earliest_due().await.unwrap(), Some(at(50)));
    assert_eq!(store.context("x").await.unwrap().unwrap().state_version, version + 1);
    // Later is left to the scheduler, which knows what it would skip.
    edited.revision = "r3".to_owned();
    edited.cursors = vec![cursor("look", 500)];
    store.ensure_experiment(edited).await.unwrap();
    assert_eq!(store.earliest_due().await.unwrap(), Some(at(50)));
}

pub(in crate::store) async fn tracks_that_are_not_named_end(store: Store) {
    let mut new = experiment("x");
    new.cursors.push(cursor("guardrail:errors", 100));
    store.ensure_experiment(new).await.unwrap();
    let claims = claim(&store, 100).await;
    let tracks: Vec<_> = claims.iter().map(|claim| claim.track.as_str()).collect();
    assert_eq!(tracks, ["guardrail:errors", "look"]);
    let late = look(&store, &claims[0]).await;
    store.ensure_experiment(experiment("x")).await.unwrap();
    assert_eq!(store.commit(late).await.unwrap(), Committed::Fenced);
    let left = store.claim_due(at(1000), at(1000), "two", LEASE, 9).await.unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].track, "look");
}

/// A small deterministic generator: the order of steps is the only thing that is random.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides as u64) as usize
    }
}

/// Three holders claim, commit, commit late, repeat and release in any order, with leases that
/// run out under them.
pub(in crate::store) async fn any_interleaving_answers_each_slot_once(store: Store) {
    for seed in 1..=12_u64 {
        let id = format!("x{seed}");
        store.ensure_experiment(experiment(&id)).await.unwrap();
        let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let (mut now, mut open, mut fresh) = (100, Vec::<Commit>::new(), 0);
        for _ in 0..120 {
            match dice.roll(7) {
                0 => now += 40,
                1 | 2 => {
                    let holder = ["one", "two", "three"][dice.roll(3)];
                    let due = store.claim_due(at(now), at(now), holder, LEASE, 1).await.unwrap();
                    for claim in due.iter().filter(|claim| claim.experiment == id) {
                        open.push(look(&store, claim).await);
                    }
                }
                3..=5 if !open.is_empty() => {
                    // Not taken out: the same commit may come again, or too late.
                    let newest = open.len() - 1 - dice.roll(open.len().min(3));
                    let commit = open[newest].clone();
                    let committed = store.commit(commit).await.unwrap();
                    fresh += usize::from(matches!(committed, Committed::Fresh { .. }));
                }
                6 if !open.is_empty() => {
                    let commit = &open[dice.roll(open.len())];
                    let claim = commit.claim.clone().unwrap();
                    store.release(&claim, claim.next_at).await.unwrap();
                }
                _ => {}
            }
        }
        let evaluations = store.evaluations(&id, None, 1000).await.unwrap();
        assert_eq!(evaluations.len(), fresh, "seed {seed}: every fresh commit is one record");
        assert!(fresh > 0, "seed {seed} must get somewhere");
        let mut slots: Vec<_> = evaluations.iter().map(|row| row.scheduled_at).collect();
        slots.dedup();
        assert_eq!(slots.len(), fresh, "seed {seed}: no slot twice");
        assert!(slots.is_sorted_by(|newer, older| newer > older), "seed {seed}: in order");
        // Out of the way of the next seed.
        let mut done = experiment(&id);
        done.cursors.clear();
        store.ensure_experiment(done).await.unwrap();
    }
}

/// 2^53: counts are exact up to here.
const LARGEST: f64 = 9_007_199_254_740_992.0;

/// The oldest go first, at most a batch, with every version; what is newer stays, and so do other
/// series and the evaluation.
pub(in crate::store) async fn old_periods_go_whole_and_in_batches(store: Store) {
    store.ensure_experiment(experiment("x")).await.unwrap();
    let claims = claim(&store, 100).await;
    let mut commit = look(&store, &claims[0]).await;
    let series =
        |num: f64| (0..10).map(|minute| proportion("all", minute * 60, num, 9.0)).collect();
    // Said once, restated, and another series.
    let said = [("s", 1.0), ("s", 2.0), ("other", 3.0)];
    commit.points = said.map(|(name, num)| fetched(name, series(num))).to_vec();
    store.commit(commit).await.unwrap();
    let all = Window { start: at(0), end: at(10_000) };
    let left = async |name: &str| store.points(name, all).await.unwrap().len();
    let old = store.series_before(at(240)).await.unwrap();
    assert_eq!(old, [("other".to_owned(), at(60)), ("s".to_owned(), at(60))]);
    // Four periods end by second 240: three of them in two versions, then the last.
    assert_eq!(store.prune_points("s", at(240), 3).await.unwrap(), 6);
    assert_eq!(store.points("s", all).await.unwrap()[0].start, at(180));
    assert_eq!(store.prune_points("s", at(240), 3).await.unwrap(), 2);
    assert_eq!(store.prune_points("s", at(240), 3).await.unwrap(), 0);
    assert_eq!((left("s").await, left("other").await), (6, 10));
    assert_eq!(store.newest_point_end("s").await.unwrap(), Some(at(600)));
    assert_eq!(store.evaluations("x", None, 9).await.unwrap().len(), 1);
    assert!(store.integrity_check().await.unwrap().is_empty());
}

pub(in crate::store) async fn points_are_exact_and_versioned(store: Store) {
    store.ensure_experiment(experiment("x")).await.unwrap();
    let points: Vec<_> = (0..10_000_u32)
        .map(|i| {
            let mut point = proportion("all", i64::from(i) * 60, 0.1 * f64::from(i), 0.0);
            point.sums = Sums::Proportion { num: f64::from(i) / 3.0, den: LARGEST - f64::from(i) };
            point
        })
        .collect();
    let mut commit = Commit::new("x", 1, 1);
    commit.points = vec![fetched("s", points.clone())];
    let first = store.commit(commit.clone()).await.unwrap();
    assert!(matches!(&first, Committed::Fresh { restated, .. } if restated.is_empty()));
    let all = Window { start: at(0), end: at(600_000) };
    assert_eq!(store.points("s", all).await.unwrap(), points);
    // The same again writes nothing; one other sum is one new version.
    commit.expected_version += 1;
    commit.points[0].points[7].sums = Sums::Proportion { num: 1.0, den: 2.0 };
    let second = store.commit(commit).await.unwrap();
    let Committed::Fresh { restated, .. } = second else { panic!("{second:?}") };
    assert_eq!(restated.len(), 1);
    assert_eq!((restated[0].version, restated[0].before), (2, points[7].sums));
    let two = Window { start: at(7 * 60), end: at(9 * 60) };
    let read = store.points("s", two).await.unwrap();
    assert_eq!(read.len(), 2, "half-open, whole periods");
    assert_eq!(read[0].sums, Sums::Proportion { num: 1.0, den: 2.0 }, "newest wins");
    assert_eq!(read[1], points[8]);
    assert_eq!(store.newest_point_end("s").await.unwrap(), Some(at(600_000)));
    assert!(store.points("other", all).await.unwrap().is_empty());
}

pub(in crate::store) async fn numbers_that_are_not_finite_are_refused(store: Store) {
    store.ensure_experiment(experiment("x")).await.unwrap();
    for bad in [f64::NAN, f64::INFINITY] {
        let mut commit = Commit::new("x", 1, 1);
        commit.points = vec![fetched("s", vec![proportion("all", 0, bad, 1.0)])];
        let refused = store.commit(commit).await.unwrap_err();
        assert!(matches!(refused, StoreError::NotFinite(_)), "{refused}");
    }
    assert_eq!(store.newest_point_end("s").await.unwrap(), None);
}

pub(super) fn status(name: &str, state: GuardrailState) -> GuardrailStatus {
    GuardrailStatus {
        name: name.to_owned(),
        kind: "slo".to_owned(),
        on_trip: OnTrip::Stop,
        state,
        frozen: None,
        since: Some(at(90)),
        evaluated_at: Some(at(100)),
        value: Some(0.001),
        limit: None,
        interval: None,
        bad: Some(3.0),
        total: Some(4000.0),
        budget_left: None,
        why: None,
        pending_since: None,
        clearing_since: None,
        control_also: false,
        latched: state == GuardrailState::Tripped,
        burn: None,
        drift: None,
    }
}

fn test_state(epoch: &str, ln_p: f64) -> TestState {
    TestState {
        epoch: epoch.to_owned(),
        tau: 0.1 + 0.2,
        alpha: 0.05,
        ln_p,
        looks: 3,
        opened_at: at(50),
        earlier_epochs: 0,
        planned: None,
    }
}

/// The planned looks of a signal, as `look: weekly` leaves them behind.
fn planned() -> Option<Box<PlannedLooks>> {
    let window = serde_json::json!({"start": at(0), "end": at(50)});
    let looks = serde_json::json!({
        "observed": {
            "arms": {}, "baseline": null, "paired": null, "window": window,
            "data_as_of": at(50), "waiting": 0.0, "digest": "d",
        },
        "judged_at": at(50), "week": 3, "checkpoint": at(60),
        "fractions": [0.25, 1.0 / 3.0], "overrun": false,
    });
    serde_json::from_value(looks).unwrap()
}

pub(in crate::store) async fn context_is_what_was_committed(store: Store) {
    store.ensure_experiment(experiment("x")).await.unwrap();
    let claims = claim(&store, 100).await;
    let mut commit = look(&store, &claims[0]).await;
    let carry = Carry::from([
        ("atom a".to_owned(), test_state("e1", -1.0 / 3.0)),
        ("planned|a".to_owned(), TestState { planned: planned(), ..test_state("e1", 0.0) }),
        ("harm".to_owned(), test_state("e1", f64::NEG_INFINITY)),
    ]);
    commit.carry = Some(carry.clone());
    commit.guardrails = vec![status("a", GuardrailState::Ok), status("b", GuardrailState::Tripped)];
    commit.life_json = Some("life".to_owned());
    commit.series = BTreeMap::from([("action_x".to_owned(), "s1".to_owned())]);
    store.commit(commit).await.unwrap();
    let context = store.context("x").await.unwrap().unwrap();
    assert_eq!(context.carry, carry);
    assert_eq!(context.guardrails.len(), 2);
    assert_eq!(context.guardrails[1], status("b", GuardrailState::Tripped));
    assert_eq!((context.life_json.as_str(), context.last_said_json.as_str()), ("life", "{}"));
    assert_eq!(context.series["action_x"], "s1");
    assert_eq!((context.evaluation_count, context.cycle), (1, 1));
    assert_eq!(context.newest_record.as_deref(), Some(r#"{"slot":100}"#));
    // A new epoch of one test replaces it and leaves the other alone; a new cycle starts empty.
    let mut next = Commit::new("x", context.state_version, 1);
    next.carry = Some(Carry::from([("atom a".to_owned(), test_state("e2", 0.0))]));
    store.commit(next).await.unwrap();
    let context = store.context("x").await.unwrap().unwrap();
    assert_eq!(context.carry["atom a"], test_state("e2", 0.0));
    assert_eq!(context.carry["harm"], carry["harm"]);
    store.commit(Commit::new("x", context.state_version, 2)).await.unwrap();
    let context = store.context("x").await.unwrap().unwrap();
    assert_eq!((context.cycle, context.carry.len()), (2, 0));
}

pub(in crate::store) async fn an_unknown_experiment_is_an_error(store: Store) {
    assert_eq!(store.context("nobody").await.unwrap(), None);
    let error = store.commit(Commit::new("nobody", 1, 1)).await.unwrap_err();
    assert_eq!(error, StoreError::UnknownExperiment("nobody".to_owned()));
}

/// The last write of a commit fails: none of the earlier ones may stand.
pub(in crate::store) async fn a_failing_commit_leaves_nothing(store: Store) {
    store.ensure_experiment(experiment("x")).await.unwrap();
    let before = store.context("x").await.unwrap();
    let claims = claim(&store, 100).await;
    let mut commit = look(&store, &claims[0]).await;
    commit.points = vec![fetched("s", vec![proportion("all", 0, 1.0, 2.0)])];
    commit.log.push(entry("verdict", 100));
    commit.outbox.push(message("m1", "experiment.verdict.stop", 2));
    let mut broken = commit.clone();
    broken.carry = Some(Carry::from([("t".to_owned(), test_state("e", f64::NAN))]));
    assert!(matches!(store.commit(broken).await, Err(StoreError::NotFinite(_))));
    assert_eq!(store.context("x").await.unwrap(), before);
    assert_eq!(store.newest_point_end("s").await.unwrap(), None);
    assert!(store.outbox_stats().await.unwrap().is_empty());
    assert_eq!(number(&store.commit(commit).await.unwrap()), Some(1), "no number was spent");
}

pub(in crate::store) async fn a_look_that_changes_nothing_is_no_change(store: Store) {
    store.ensure_experiment(experiment("x")).await.unwrap();
    let version = async || store.context("x").await.unwrap().unwrap().state_version;
    let changes = async || store.changes("x").await.unwrap().unwrap();
    let before = changes().await;
    for slot in [100, 200] {
        let claim = claim(&store, slot).await.remove(0);
        let mut quiet = look(&store, &claim).await;
        quiet.evaluation = None;
        store.commit(quiet).await.unwrap();
    }
    assert_eq!((changes().await, version().await), (before, before + 2));
    let loud = claim(&store, 300).await.remove(0);
    store.commit(look(&store, &loud).await).await.unwrap();
    assert_eq!(changes().await, version().await, "a change has the number of its version");
    assert_eq!(store.gate_row("x").await.unwrap().unwrap().changes, before + 3);
    assert_eq!(store.changes("unknown").await.unwrap(), None);
}

pub(in crate::store) async fn a_clock_that_went_back_puts_nothing_to_sleep(store: Store) {
    store.ensure_experiment(experiment("x")).await.unwrap();
    let far = claim(&store, 50_000).await.remove(0);
    let mut ahead = look(&store, &far).await;
    ahead.slot = Some(at(50_000));
    ahead.next_at = Some(at(50_100));
    ahead.evaluation = Some(evaluation("x", &far.track, 50_000));
    let late =
        OutboxRow { created_at: at(50_000), not_before: at(50_060), ..message("m1", "k", 1) };
    ahead.outbox = vec![late];
    store.commit(ahead).await.unwrap();
    assert!(store.ahead_of(at(50_000)).await.unwrap().is_empty(), "the clock runs on");
    assert!(claim(&store, 1_000).await.is_empty(), "this is what it is about");
    assert_eq!(store.ahead_of(at(1_000)).await.unwrap(), ["x"]);
    let now = at(1_000);
    assert_eq!(store.pull_back("x", vec![cursor("look", 1_000)], now).await.unwrap(), 1);
    assert_eq!(store.pull_back_waits(now, now).await.unwrap(), 1);
    assert_eq!(store.earliest_outbox().await.unwrap(), Some(at(1_060)), "as long as it would have");
    let again = claim(&store, 1_000).await.remove(0);
    assert_eq!(again.next_at, at(1_000));
    assert_eq!(number(&store.commit(look(&store, &again).await).await.unwrap()), Some(2));
    assert!(store.ahead_of(now).await.unwrap().is_empty());
    // The slot that was answered ahead of its time stays answered.
    let mut far_again = claim(&store, 60_000).await.remove(0);
    far_again.next_at = at(50_000);
    let twice = store.commit(look(&store, &far_again).await).await.unwrap();
    assert_eq!(twice, Committed::Already);
}
