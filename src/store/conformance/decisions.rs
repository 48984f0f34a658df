//! Evaluations, the decision log, files and sources.

use std::collections::BTreeMap;

use judge::analyse::GuardrailState;
use judge::decide::{Alarm, AlarmKind};
use judge::watch::{Kept, Step};

use super::work::status;
use super::*;
use crate::store::{
    BrokenFile, DeliveryFilter, LogFilter, Missed, Revision, SourceHealth, WatchCommit, Watching,
};

pub(in crate::store) async fn evaluations_are_numbered_and_paged(store: Store) {
    for id in ["x", "y"] {
        store.ensure_experiment(experiment(id)).await.unwrap();
    }
    for now in [100, 200, 300] {
        for claim in claim(&store, now).await {
            let commit = look(&store, &claim).await;
            assert_eq!(number(&store.commit(commit).await.unwrap()), Some(now as u64 / 100));
        }
    }
    let page = store.evaluations("x", None, 2).await.unwrap();
    let numbers: Vec<_> = page.iter().map(|row| row.number).collect();
    assert_eq!(numbers, [3, 2]);
    let rest = store.evaluations("x", Some(2), 10).await.unwrap();
    assert_eq!((rest.len(), rest[0].scheduled_at), (1, at(100)));
    let (row, json) = store.evaluation("x", 2).await.unwrap().unwrap();
    assert_eq!((row.data_as_of, json.as_str()), (Some(at(170)), r#"{"slot":200}"#));
    let (same, _) = store.evaluation_by_id(&row.id).await.unwrap().unwrap();
    assert_eq!(same, row);
    assert_eq!(store.evaluation("x", 4).await.unwrap(), None);
    // A restatement of an old slot is a new record that names the old one.
    let mut revised = evaluation("x", "look", 100);
    revised.id = evaluation_id("x", "look", at(100), 1);
    revised.restatement_no = 1;
    revised.revises = Some(rest[0].id.clone());
    revised.data_as_of = None;
    let version = store.context("x").await.unwrap().unwrap().state_version;
    let mut commit = Commit::new("x", version, 1);
    commit.evaluation = Some(revised);
    assert_eq!(number(&store.commit(commit.clone()).await.unwrap()), Some(4));
    assert_eq!(store.commit(commit).await.unwrap(), Committed::Already);
    let newest = store.evaluations("x", None, 1).await.unwrap().remove(0);
    assert_eq!(newest.revises.as_deref(), Some(rest[0].id.as_str()));
    assert_eq!(newest.data_as_of, None, "unknown stays unknown");
}

pub(in crate::store) async fn the_log_is_filtered_and_paged(store: Store) {
    for id in ["x", "y"] {
        store.ensure_experiment(experiment(id)).await.unwrap();
        let mut commit = Commit::new(id, 1, 1);
        commit.log = vec![entry("verdict", 10), entry("verdict", 20)];
        store.commit(commit).await.unwrap();
    }
    let all = store.decisions(LogFilter::default()).await.unwrap();
    assert_eq!(all.len(), 4);
    assert!(all.is_sorted_by(|newer, older| newer.id > older.id));
    assert_eq!(all[3].entry, entry("verdict", 10));
    let mut filter = LogFilter { experiment: Some("x".to_owned()), ..LogFilter::default() };
    assert_eq!(store.decisions(filter.clone()).await.unwrap().len(), 2);
    filter.since = Some(at(20));
    assert_eq!(store.decisions(filter).await.unwrap().len(), 1);
    let next = LogFilter { before: Some(all[1].id), limit: 1, ..LogFilter::default() };
    assert_eq!(store.decisions(next).await.unwrap(), all[2..3]);
}

pub(in crate::store) async fn a_decision_is_held_against_the_state_it_saw(store: Store) {
    store.ensure_experiment(experiment("x")).await.unwrap();
    let decided = store.record_decision("x", entry("confirmed", 10), 1).await.unwrap();
    assert_eq!(number(&decided), None);
    let late = store.record_decision("x", entry("overruled", 11), 1).await.unwrap();
    assert_eq!(late, Committed::StaleVersion);
    let log = store.decisions(LogFilter::default()).await.unwrap();
    assert_eq!((log.len(), log[0].entry.kind.as_str()), (1, "confirmed"));
}

pub(in crate::store) async fn an_acknowledgement_counts_once(store: Store) {
    store.ensure_experiment(experiment("x")).await.unwrap();
    for _ in 0..2 {
        store.acknowledge("x", "csat", "s2", "ana", "new survey", at(10)).await.unwrap();
    }
    let context = store.context("x").await.unwrap().unwrap();
    assert_eq!((context.acknowledged, context.state_version), (vec!["s2".to_owned()], 2));
    let log = store.decisions(LogFilter::default()).await.unwrap();
    assert_eq!((log.len(), log[0].entry.because.as_deref()), (1, Some("new survey")));
    assert!(store.acknowledge("nobody", "csat", "s2", "ana", "why", at(10)).await.is_err());
}

pub(in crate::store) async fn revisions_and_broken_files_are_kept(store: Store) {
    let revision = |revision: &str, seen: i64| Revision {
        experiment: "x".to_owned(),
        revision: revision.to_owned(),
        file: "x.yaml".to_owned(),
        text: "experiment: x".to_owned(),
        model_json: "{}".to_owned(),
        seen_at: at(seen),
    };
    for (name, seen) in [("b", 1), ("a", 2), ("b", 3)] {
        store.save_revision(revision(name, seen)).await.unwrap();
    }
    assert_eq!(store.revisions("x").await.unwrap(), [revision("b", 1), revision("a", 2)]);
    let broken = |hash: &str, seen: i64| BrokenFile {
        file: "y.yaml".to_owned(),
        revision_hash: hash.to_owned(),
        diagnostics_text: format!("{hash} is wrong"),
        seen_at: at(seen),
    };
    store.put_broken(broken("h1", 1)).await.unwrap();
    store.put_broken(broken("h1", 2)).await.unwrap();
    assert_eq!(store.broken_files().await.unwrap(), [broken("h1", 1)], "broken since 1");
    store.put_broken(broken("h2", 3)).await.unwrap();
    assert_eq!(store.broken_files().await.unwrap(), [broken("h2", 3)]);
    assert!(store.clear_broken("y.yaml").await.unwrap());
    assert!(!store.clear_broken("y.yaml").await.unwrap());
    assert!(store.broken_files().await.unwrap().is_empty());
}

pub(in crate::store) async fn sources_are_replaced_by_name(store: Store) {
    let mut health = SourceHealth {
        name: "prom".to_owned(),
        kind: "prometheus".to_owned(),
        last_ok_at: None,
        failing_since: Some(at(10)),
        class: Some("timeout".to_owned()),
        cause: Some("no answer in 10 s".to_owned()),
        told: true,
    };
    store.put_source(health.clone()).await.unwrap();
    assert_eq!(store.get_source("prom").await.unwrap(), Some(health.clone()));
    health.last_ok_at = Some(at(20));
    (health.failing_since, health.class, health.cause) = (None, None, None);
    health.told = false;
    store.put_source(health.clone()).await.unwrap();
    assert_eq!(store.sources().await.unwrap(), [health]);
    assert_eq!(store.get_source("csv").await.unwrap(), None);
}

pub(in crate::store) async fn missed_slots_are_rows(store: Store) {
    store.ensure_experiment(experiment("x")).await.unwrap();
    let missed = Missed {
        track: "look".to_owned(),
        from: at(100),
        to: at(300),
        count: 3,
        reason: "down".to_owned(),
    };
    let claims = claim(&store, 400).await;
    let mut commit = look(&store, &claims[0]).await;
    commit.missed.push(missed.clone());
    store.commit(commit).await.unwrap();
    assert_eq!(store.missed("x").await.unwrap(), [missed]);
}

pub(in crate::store) async fn the_portfolio_shows_the_newest_and_the_worst(store: Store) {
    for id in ["x", "y"] {
        store.ensure_experiment(experiment(id)).await.unwrap();
    }
    let claims = claim(&store, 100).await;
    let mut commit = look(&store, &claims[0]).await;
    let states = [GuardrailState::Ok, GuardrailState::Burning, GuardrailState::NoData];
    commit.guardrails =
        ["a", "b", "c"].iter().zip(states).map(|(name, state)| status(name, state)).collect();
    store.commit(commit).await.unwrap();
    let rows = store.experiments().await.unwrap();
    assert_eq!((rows[0].id.as_str(), rows[1].id.as_str()), ("x", "y"));
    assert_eq!(rows[0].worst_guardrail, Some(GuardrailState::Burning));
    let last = rows[0].last.as_ref().unwrap();
    assert_eq!((last.number, last.headline.as_str()), (1, "On track."));
    assert_eq!((rows[1].worst_guardrail, rows[1].last.clone()), (None, None));
}

pub(in crate::store) async fn a_slot_of_the_watch_is_answered_once(store: Store) {
    let alarm = Alarm::new(AlarmKind::Toothless, "", "a rollback action").since(at(90));
    let kept = Kept {
        experiment: "x".to_owned(),
        key: alarm.key(),
        raised_at: at(100),
        cleared_at: None,
        alarm,
    };
    let commit = |slot: i64, expected: Option<i64>, step: Step| WatchCommit {
        slot: at(slot),
        expected: expected.map(at),
        step,
        report_json: format!("{{\"slot\":{slot}}}"),
        outbox: vec![message(&format!("m{slot}"), "alarm.raised", slot)],
        versions: BTreeMap::new(),
    };
    let raise = Step { raised: vec![kept.clone()], ..Step::default() };
    assert_eq!(
        store.commit_watch(commit(100, None, raise.clone())).await.unwrap(),
        Watching::Fresh
    );
    // Neither the same slot nor one made from an older reading writes anything.
    assert_eq!(
        store.commit_watch(commit(100, None, raise.clone())).await.unwrap(),
        Watching::Answered
    );
    assert_eq!(
        store.commit_watch(commit(100, Some(100), raise.clone())).await.unwrap(),
        Watching::Answered
    );
    assert_eq!(store.commit_watch(commit(300, Some(50), raise)).await.unwrap(), Watching::Answered);
    assert_eq!(store.open_alarms().await.unwrap(), std::slice::from_ref(&kept));
    assert_eq!(store.watch().await.unwrap().unwrap().last_slot, at(100));
    assert_eq!(store.deliveries(DeliveryFilter::default()).await.unwrap().len(), 1);
    let over = Kept { cleared_at: Some(at(200)), ..kept };
    let clear = Step { cleared: vec![over.clone()], ..Step::default() };
    assert_eq!(store.commit_watch(commit(200, Some(100), clear)).await.unwrap(), Watching::Fresh);
    assert_eq!(store.open_alarms().await.unwrap(), []);
    assert_eq!(store.cleared_alarms().await.unwrap(), [over]);
    assert_eq!(store.watch().await.unwrap().unwrap().report_json, "{\"slot\":200}");
}

pub(in crate::store) async fn an_alarm_has_its_place_among_the_changes(store: Store) {
    store.ensure_experiment(experiment("x")).await.unwrap();
    let version = async || store.context("x").await.unwrap().unwrap().state_version;
    let read_at = version().await;
    let commit = |slot: i64, version: i64| WatchCommit {
        slot: at(slot),
        expected: (slot > 100).then(|| at(slot - 100)),
        step: Step::default(),
        report_json: "{}".to_owned(),
        outbox: vec![message(&format!("m{slot}"), "alarm.raised", version + 1)],
        versions: BTreeMap::from([("x".to_owned(), version)]),
    };
    assert_eq!(store.commit_watch(commit(100, read_at)).await.unwrap(), Watching::Fresh);
    assert_eq!(version().await, read_at + 1, "the next change comes after the alarm");
    let stale = store.commit_watch(commit(200, read_at)).await.unwrap();
    assert_eq!(stale, Watching::StaleVersion, "somebody changed it meanwhile");
    assert_eq!(store.watch().await.unwrap().unwrap().last_slot, at(100), "nothing was written");
    assert_eq!(store.deliveries(DeliveryFilter::default()).await.unwrap().len(), 1);
    assert_eq!(store.commit_watch(commit(200, read_at + 1)).await.unwrap(), Watching::Fresh);
}

pub(in crate::store) async fn a_source_that_is_down_is_one_alarm(store: Store) {
    let down = |experiment: &str, since: i64| {
        let alarm = Alarm::new(AlarmKind::SourceDown, "prom", "an answer of the source");
        let alarm = alarm.since(at(since)).number("served", 2.0);
        let (experiment, key) = (experiment.to_owned(), alarm.key());
        Kept { experiment, key, raised_at: at(since), cleared_at: None, alarm }
    };
    let raised = vec![down("x", 95), down("y", 90)];
    let step = Step { raised, ..Step::default() };
    let (report_json, outbox) = ("{}".to_owned(), Vec::new());
    let versions = BTreeMap::new();
    let commit = WatchCommit { slot: at(100), expected: None, step, report_json, outbox, versions };
    store.commit_watch(commit).await.unwrap();
    let on = store.alarms_on().await.unwrap();
    assert_eq!(on.len(), 1);
    assert_eq!((on[0].experiment.as_str(), on[0].alarm.since), ("", Some(at(90))));
    let number = |name: &str| on[0].alarm.numbers[name];
    assert_eq!((number("served"), number("experiments")), (4.0, 2.0));
}

pub(in crate::store) async fn a_healthy_store_has_no_problems(store: Store) {
    evaluations_are_numbered_and_paged(store.clone()).await;
    assert_eq!(store.integrity_check().await.unwrap(), Vec::<String>::new());
}
