//! What comes late and what goes: a file whose checkpoint has passed is judged at its first look,
//! and old periods are deleted when nothing needs them. The whole daemon on a clock of its own.

use std::sync::Arc;

use judge::decide::{Cause, Verdict};
use judge::lifecycle::{HumanAction, HumanDecision};
use judge::record::EvaluationRecord;
use judge::time::{DAY_MS, Timestamp, Window, add_ms};
use verdictd::app::App;
use verdictd::clock::{Clock as _, ManualClock, SystemClock};
use verdictd::cycle::human::{self, Decree};
use verdictd::store::{DeliveryFilter, Lane, OutboxRow, Told, Withheld};

use super::fakes::home::{Home, Idea, day_text, experiment};
use super::fakes::metrics::{Metrics, Mood};

pub(super) const CALM: &str = "  quiet: {threshold: {source: prom, value: p95_ms, \
     at_most: 4000}, every: 1h, on_trip: alert}\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checkpoint_that_has_passed_is_judged_first() {
    let (home, metrics) = (Home::new(), Metrics::start(Mood::Calm).await);
    let text = experiment(&Idea { guardrails: CALM, notify: "", ..Idea::default() });
    let passed = text.replace("every: 7d\n  cycles", &format!("at: {}\n  cycles", day_text(-1)));
    assert_ne!(passed, text);
    home.put("experiments/copy.yaml", passed);
    let path = home.settings(&metrics.url(), "");
    let settings = verdictd::settings::load(Some(&path), &[], &[]).unwrap().settings;
    // The checkpoint was at the end of yesterday; the file is first seen this afternoon.
    let midnight: Timestamp = format!("{}T00:00:00Z", day_text(0)).parse().unwrap();
    let clock = Arc::new(ManualClock::new(add_ms(midnight, 15 * 3_600_000)));
    let app = App::start_manual(settings, clock, None).await.unwrap();
    app.settle().await.unwrap();
    let rows = app.store().evaluations("copy", None, 100).await.unwrap();
    let mut seen = Vec::new();
    for row in rows.iter().rev() {
        let (_, json) = app.store().evaluation("copy", row.number).await.unwrap().unwrap();
        let record = EvaluationRecord::from_json(&json).unwrap();
        seen.push((record.track, record.decision.verdict, record.decision.cause));
    }
    // The guardrail's own first state may stand before it: such a record decides nothing.
    let looks: Vec<_> = seen.iter().filter(|(track, ..)| track == "look").collect();
    let verdict = ("look".to_owned(), Verdict::Continue, Cause::Graduate);
    assert_eq!(looks, [&verdict], "{seen:?}");
    let others = seen.iter().filter(|(track, ..)| track != "look");
    assert!(others.clone().all(|(track, ..)| track == "guardrail:quiet"), "{seen:?}");
    app.shutdown().await.unwrap();
}

/// Two weeks of two arms and two signals.
async fn stored(app: &App) -> usize {
    let all = Window { start: Timestamp::UNIX_EPOCH, end: Timestamp::MAX };
    let mut count = 0;
    for (series, _) in app.store().series_before(Timestamp::MAX).await.unwrap() {
        count += app.store().points(&series, all).await.unwrap().len();
    }
    count
}

/// With a retention of two days everything that the run still needs stays, however old; two days
/// after a person has stopped it, it goes. The verdicts with their inputs stay.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_periods_go_when_nothing_needs_them() {
    let (home, metrics) = (Home::new(), Metrics::start(Mood::Calm).await);
    home.experiment(&Idea { guardrails: CALM, notify: "", ..Idea::default() });
    let path = home.settings(&metrics.url(), "");
    let flags = [("store.keep_points_days".to_owned(), "2".to_owned())];
    let settings = verdictd::settings::load(Some(&path), &[], &flags).unwrap().settings;
    let start: Timestamp = format!("{}T00:00:00Z", day_text(-7)).parse().unwrap();
    let clock = Arc::new(ManualClock::new(start));
    let app = App::start_manual(settings, clock.clone(), None).await.unwrap();
    for day in 0..=6 {
        clock.advance_to(add_ms(start, day * DAY_MS + 3_600_000));
        app.settle().await.unwrap();
    }
    let before = stored(&app).await;
    assert!(before >= 2 * 2 * 6, "six days are needed until the checkpoint: {before}");
    let decision = HumanDecision {
        who: "growth-lead".to_owned(),
        because: "we know enough".to_owned(),
        action: HumanAction::Stop,
    };
    let at = add_ms(start, 6 * DAY_MS + 7_200_000);
    let decree = Decree { experiment: "copy", decision, is_admin: false, evaluation_id: None, at };
    human::decide(app.store(), decree).await.unwrap();
    clock.advance_to(add_ms(at, DAY_MS));
    app.settle().await.unwrap();
    assert_eq!(stored(&app).await, before, "a person may still overrule");
    let evaluations = app.store().evaluations("copy", None, 100).await.unwrap().len();
    clock.advance_to(add_ms(at, 4 * DAY_MS));
    app.settle().await.unwrap();
    assert!(stored(&app).await < before / 2, "of {before}");
    let rows = app.store().evaluations("copy", None, 100).await.unwrap();
    assert_eq!(rows.len(), evaluations);
    let (_, json) = app.store().evaluation("copy", rows[0].number).await.unwrap().unwrap();
    let record = EvaluationRecord::from_json(&json).unwrap();
    let again = judge::decide::reproduce(&record);
    assert_eq!(again, judge::decide::Reproduction::Same, "explainable without its points");
    app.shutdown().await.unwrap();
}

/// A message that was closed ten days ago, and one of today.
fn closed(id: &str, days: i64) -> OutboxRow {
    let made = add_ms(SystemClock.wall_now(), -days * DAY_MS);
    OutboxRow {
        id: id.to_owned(),
        endpoint: "chat".to_owned(),
        partition: "copy".to_owned(),
        kind: "data.stale".to_owned(),
        urgent: false,
        lane: Lane::Message,
        notice_id: id.to_owned(),
        body: "{}".to_owned(),
        content: "{}".to_owned(),
        created_at: made,
        not_before: made,
        expires_at: made,
        final_state: false,
        sequence: 1,
        conversation: None,
        told: Told { withheld: Some(Withheld::NoReceiver), ..Told::default() },
    }
}

/// Old messages go by themselves, unless they are kept for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_messages_go_and_new_ones_stay() {
    let (home, metrics) = (Home::new(), Metrics::start(Mood::Calm).await);
    let path = home.settings(&metrics.url(), "");
    for (days, left) in [("0", &["old", "new"][..]), ("5", &["new"])] {
        let flags = [("store.keep_messages_days".to_owned(), days.to_owned())];
        let settings = verdictd::settings::load(Some(&path), &[], &flags).unwrap().settings;
        let clock = Arc::new(ManualClock::new(SystemClock.domain_now()));
        let app = App::start_manual(settings, clock, None).await.unwrap();
        app.store().enqueue(vec![closed("old", 10), closed("new", 0)]).await.unwrap();
        app.settle().await.unwrap();
        let mut rows = app.store().deliveries(DeliveryFilter::default()).await.unwrap();
        rows.sort_by_key(|row| row.row.created_at);
        let ids: Vec<_> = rows.iter().map(|row| row.row.id.as_str()).collect();
        assert_eq!(ids, left, "kept for {days} days");
        app.shutdown().await.unwrap();
    }
}
