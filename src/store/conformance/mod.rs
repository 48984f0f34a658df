//! What every store must do, whatever engine is behind it.
//!
//! Each check gets a fresh, empty [`Store`] and says one thing. `for_each_check!` hands the list
//! to whoever has an engine to test, so that no engine can leave one out.

pub(super) mod decisions;
pub(super) mod delivery;
pub(super) mod endpoints;
pub(super) mod queues;
pub(super) mod rollback;
pub(super) mod work;

use std::time::Duration;

use judge::ids::evaluation_id;
use judge::points::{Point, Sums};
use judge::time::Timestamp;

use super::{
    Claim, Commit, Committed, CursorSpec, Lane, LogEntry, NewEvaluation, NewExperiment, NewPoints,
    OutboxRow, Store, Told,
};

/// Calls a macro with every check as `module::name`.
macro_rules! for_each_check {
    ($with:ident) => {
        $with! {
            work: a_slot_is_answered_once,
            work: a_look_without_a_record_is_answered_once_too,
            work: a_stale_version_writes_nothing,
            work: a_claim_that_was_taken_over_is_fenced,
            work: an_expired_lease_is_taken_over,
            work: a_released_claim_cannot_commit,
            work: a_former_process_is_fenced_off,
            work: a_revived_track_never_repeats_a_slot,
            work: a_new_revision_brings_a_track_forward,
            work: tracks_that_are_not_named_end,
            work: any_interleaving_answers_each_slot_once,
            work: points_are_exact_and_versioned,
            work: old_periods_go_whole_and_in_batches,
            work: numbers_that_are_not_finite_are_refused,
            work: context_is_what_was_committed,
            work: an_unknown_experiment_is_an_error,
            work: a_failing_commit_leaves_nothing,
            work: a_look_that_changes_nothing_is_no_change,
            work: a_clock_that_went_back_puts_nothing_to_sleep,
            delivery: enqueue_is_idempotent,
            delivery: a_retrying_head_blocks_its_partition_only,
            delivery: urgent_rows_jump_the_queue,
            delivery: urgent_rows_keep_their_order,
            delivery: no_all_clear_comes_after_the_next_trip,
            delivery: what_waits_is_due_when_its_receiver_is_well_again,
            delivery: what_waits_for_the_morning_is_in_nobodys_way,
            delivery: what_is_withheld_is_kept_with_its_reason,
            delivery: a_dead_head_unblocks,
            delivery: a_newer_verdict_supersedes_unsent_ones,
            delivery: a_lost_lease_is_taken_over_with_the_same_id,
            delivery: only_the_newest_attempt_can_finish,
            delivery: messages_expire_and_actions_do_not,
            delivery: a_full_queue_drops_the_oldest_visibly,
            delivery: an_action_is_followed_until_confirmed,
            delivery: a_cancelled_action_is_not_asked_for_again,
            delivery: a_row_can_be_sent_again_by_hand,
            delivery: what_follows_from_an_attempt_is_one_transaction,
            delivery: pruning_keeps_what_is_open_and_actions,
            delivery: pruning_keeps_the_newest_word_on_what_lasts,
            delivery: a_conversation_is_remembered_whatever_became_of_it,
            queues: however_few_rows_are_looked_at_the_same_ones_are_next,
            queues: a_long_queue_hides_no_other,
            queues: what_is_said_twice_is_kept_once,
            queues: a_full_queue_is_seen_after_work_that_was_undone,
            endpoints: rooms_bound_what_is_leased_of_each_endpoint,
            endpoints: a_row_that_is_given_back_was_never_attempted,
            endpoints: a_pause_uses_up_no_rung,
            endpoints: the_newest_version_of_an_endpoint_stays,
            endpoints: an_endpoint_is_enabled_by_a_person,
            endpoints: what_died_unsent_is_counted,
            endpoints: what_is_held_back_is_counted_once,
            endpoints: an_outage_is_sent_again_under_the_same_ids,
            endpoints: a_ladder_can_be_climbed_again,
            endpoints: deliveries_are_paged,
            rollback: uses_are_what_was_really_sent,
            rollback: pulled_flags_stay_off_until_they_are_released,
            rollback: a_trip_in_between_is_not_taken_for_seen,
            rollback: arming_is_kept_with_its_entry,
            decisions: evaluations_are_numbered_and_paged,
            decisions: the_log_is_filtered_and_paged,
            decisions: a_decision_is_held_against_the_state_it_saw,
            decisions: an_acknowledgement_counts_once,
            decisions: revisions_and_broken_files_are_kept,
            decisions: sources_are_replaced_by_name,
            decisions: missed_slots_are_rows,
            decisions: the_portfolio_shows_the_newest_and_the_worst,
            decisions: a_slot_of_the_watch_is_answered_once,
            decisions: an_alarm_has_its_place_among_the_changes,
            decisions: a_source_that_is_down_is_one_alarm,
            decisions: a_healthy_store_has_no_problems,
        }
    };
}
pub(super) use for_each_check;

pub(super) const HOLDER: &str = "one";
pub(super) const LEASE: Duration = Duration::from_mins(1);

/// An instant, in seconds.
pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

pub(super) fn experiment(id: &str) -> NewExperiment {
    NewExperiment {
        id: id.to_owned(),
        first_seen_at: at(1),
        life_json: r#"{"life":"running"}"#.to_owned(),
        revision: "r1".to_owned(),
        title: "A title".to_owned(),
        labels_json: "{}".to_owned(),
        cursors: vec![cursor("look", 100)],
    }
}

pub(super) fn cursor(track: &str, next_at: i64) -> CursorSpec {
    CursorSpec { track: track.to_owned(), next_at: at(next_at) }
}

/// Claims everything that is due, as [`HOLDER`].
pub(super) async fn claim(store: &Store, now: i64) -> Vec<Claim> {
    store.claim_due(at(now), at(now), HOLDER, LEASE, 100).await.unwrap()
}

pub(super) fn evaluation(experiment: &str, track: &str, slot: i64) -> NewEvaluation {
    NewEvaluation {
        id: evaluation_id(experiment, track, at(slot), 0),
        track: track.to_owned(),
        scheduled_at: at(slot),
        data_as_of: Some(at(slot - 30)),
        fetched_at: Some(at(slot)),
        recorded_at: at(slot + 1),
        restatement_no: 0,
        revises: None,
        verdict: "collecting".to_owned(),
        cause: "on_track".to_owned(),
        headline: "On track.".to_owned(),
        json: format!(r#"{{"slot":{slot}}}"#),
    }
}

/// An evaluation of the claimed slot, due again 100 s later.
pub(super) async fn look(store: &Store, claim: &Claim) -> Commit {
    let version = store.context(&claim.experiment).await.unwrap().unwrap().state_version;
    let slot = claim.next_at;
    let mut commit = Commit::new(&claim.experiment, version, 1);
    commit.claim = Some(claim.clone());
    commit.slot = Some(slot);
    commit.next_at = Some(judge::time::add_ms(slot, 100_000));
    commit.evaluation = Some(evaluation(&claim.experiment, &claim.track, slot.as_second()));
    commit
}

/// The evaluation number of a fresh commit.
pub(super) fn number(committed: &Committed) -> Option<u64> {
    match committed {
        Committed::Fresh { number, .. } => *number,
        other => panic!("not fresh: {other:?}"),
    }
}

pub(super) fn proportion(arm: &str, start: i64, num: f64, den: f64) -> Point {
    Point {
        arm: arm.to_owned(),
        start: at(start),
        end: at(start + 60),
        sums: Sums::Proportion { num, den },
    }
}

pub(super) fn fetched(series_id: &str, points: Vec<Point>) -> NewPoints {
    NewPoints { series_id: series_id.to_owned(), points, fetched_at: at(500) }
}

pub(super) fn message(id: &str, kind: &str, sequence: i64) -> OutboxRow {
    OutboxRow {
        id: id.to_owned(),
        endpoint: "chat".to_owned(),
        partition: "x".to_owned(),
        kind: kind.to_owned(),
        urgent: false,
        lane: Lane::Message,
        notice_id: format!("notice-{id}"),
        body: "0123456789".to_owned(),
        content: "{}".to_owned(),
        created_at: at(10),
        not_before: at(10),
        expires_at: at(100_000),
        final_state: false,
        sequence,
        conversation: None,
        told: Told::default(),
    }
}

pub(super) fn entry(kind: &str, when: i64) -> LogEntry {
    LogEntry {
        at: at(when),
        kind: kind.to_owned(),
        who: Some("product-lead".to_owned()),
        verdict: Some("continue".to_owned()),
        because: Some("we looked".to_owned()),
        text: "Aim\nMechanism\nSignals".to_owned(),
        evaluation_id: None,
    }
}
