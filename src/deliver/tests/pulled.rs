//! Flags that are pulled from us, and the daily limit: over a real store.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use judge::notice::NoticeKind;
use judge::time::{DAY_MS, Timestamp, add_ms};
use serde_json::{Value, json};

use super::at;
use crate::clock::{Clock as _, SystemClock};
use crate::deliver::actions::flagd::{flag_file, sets};
use crate::deliver::actions::{build_action, findings};
use crate::deliver::enqueue::{ActionOrder, action_row};
use crate::deliver::payload::Links;
use crate::deliver::{ActionConfig, Worker, sample_notices};
use crate::settings::Settings;
use crate::store::{Delivery, DeliveryFilter, DeliveryState, LogEntry, Store};

fn flagd(more: &Value) -> ActionConfig {
    let mut table = json!({"armed": true, "flags": {"checkout": {
        "variants": {"new": "b", "old": "a"}, "on": "new", "off": "old",
        "targeting": {"if": [{"in": ["@x", {"var": "email"}]}, "new", "old"]},
    }}});
    table.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(json!({"flagd": table})).unwrap()
}

struct Bench {
    _folder: tempfile::TempDir,
    store: Store,
    settings: Settings,
}

impl Bench {
    fn new(config: ActionConfig) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store.db")).unwrap();
        let mut settings = Settings::defaults().unwrap();
        settings.actions.insert("off".to_owned(), config);
        Self { _folder: folder, store, settings }
    }

    /// Orders the action for a trip of that instant.
    async fn trip(&self, number: u32, at: Timestamp) -> String {
        let samples = sample_notices(at);
        let found = samples.into_iter().find(|it| it.notice.kind == NoticeKind::GuardrailTripped);
        let mut trip = found.unwrap();
        let mut record = trip.record.take().unwrap();
        record.id = format!("{}-{number}", record.id);
        let config = &self.settings.actions["off"];
        let order = ActionOrder { action: "off", config, trip: &trip.notice, record: &record };
        let row = action_row(order, &Links::default(), SystemClock.wall_now(), 7);
        let id = row.id.clone();
        self.store.enqueue(vec![row]).await.unwrap();
        id
    }

    async fn settle(&self) {
        let clock = Arc::new(SystemClock);
        let worker = Worker::build(&self.settings, self.store.clone(), clock, "one").unwrap();
        let worker = Arc::new(worker);
        while worker.drain_due(SystemClock.wall_now()).await.unwrap() > 0 {}
    }

    async fn delivery(&self, id: &str) -> Delivery {
        let filter = DeliveryFilter { id: Some(id.to_owned()), ..DeliveryFilter::default() };
        self.store.deliveries(filter).await.unwrap().remove(0)
    }
}

fn served(bench: &Bench, off: &[&str]) -> Value {
    let off: BTreeSet<String> = off.iter().map(ToString::to_string).collect();
    serde_json::from_str(&flag_file(sets(&bench.settings.actions), &off).body).unwrap()
}

#[test]
fn a_tripped_flag_stays_enabled_and_serves_off_to_everybody() {
    let bench = Bench::new(flagd(&json!({})));
    let on = served(&bench, &[]);
    assert_eq!(on["flags"]["checkout"]["defaultVariant"], "new");
    assert!(on["flags"]["checkout"]["targeting"]["if"].is_array());
    let off = served(&bench, &["off"]);
    let want = json!({"state": "ENABLED", "defaultVariant": "old",
        "variants": {"new": "b", "old": "a"}});
    assert_eq!(off["flags"]["checkout"], want);
    let tag = |off: &BTreeSet<String>| flag_file(sets(&bench.settings.actions), off).etag;
    let (none, tripped) = (BTreeSet::new(), ["off".to_owned()].into());
    assert_eq!(tag(&none), tag(&none), "the same file has the same tag");
    assert_ne!(tag(&none), tag(&tripped));
    assert!(tag(&none).starts_with('"') && tag(&none).ends_with('"'), "strong");
}

#[tokio::test]
async fn a_pulled_rollback_is_confirmed_when_a_client_has_it() {
    let bench = Bench::new(flagd(&json!({})));
    let id = bench.trip(1, at()).await;
    bench.settle().await;
    let waiting = bench.delivery(&id).await;
    assert_eq!(waiting.state, DeliveryState::Accepted);
    let detail = waiting.attempts[0].detail.clone().unwrap();
    assert!(detail.contains("no client has fetched"), "{detail}");
    let pulled = bench.store.pulled().await.unwrap();
    assert_eq!((pulled.len(), pulled[0].outbox_id.as_str()), (1, id.as_str()));
    bench.store.pull_seen(pulled, "flagd/0.11", SystemClock.wall_now()).await.unwrap();
    bench.store.redeliver(&id, SystemClock.wall_now()).await.unwrap();
    bench.settle().await;
    let confirmed = bench.delivery(&id).await;
    assert_eq!(confirmed.state, DeliveryState::Confirmed);
    let detail = confirmed.attempts[1].detail.clone().unwrap();
    assert!(detail.starts_with("flagd/0.11 has flags.json with them off"), "{detail}");
    // A person turns it on again: nobody is told any more that it is off.
    let entry = LogEntry {
        at: at(),
        kind: "action.released".to_owned(),
        who: Some("ana".to_owned()),
        verdict: None,
        because: None,
        text: "ana: released".to_owned(),
        evaluation_id: None,
    };
    assert!(bench.store.release_pulled("off", entry).await.unwrap());
    let state = bench.store.action_state(&confirmed.row.partition).await.unwrap();
    let detail = state[0].detail.as_deref().unwrap();
    assert!(detail.starts_with("released by ana at 2026-"), "{detail}");
}

#[tokio::test]
async fn a_second_trip_wants_to_be_seen_anew() {
    let bench = Bench::new(flagd(&json!({})));
    let first = bench.trip(1, at()).await;
    bench.settle().await;
    let served = bench.store.pulled().await.unwrap();
    let second = bench.trip(2, at()).await;
    bench.settle().await;
    // A client that was served before the second trip does not confirm it.
    bench.store.pull_seen(served, "late", SystemClock.wall_now()).await.unwrap();
    let pulled = bench.store.pulled().await.unwrap();
    assert_eq!((pulled[0].outbox_id.as_str(), pulled[0].seen_at), (second.as_str(), None));
    assert_ne!(first, second);
}

#[tokio::test]
async fn beyond_its_daily_limit_an_action_is_not_sent_and_a_person_is_told() {
    let bench = Bench::new(flagd(&json!({"max_per_day": 2})));
    let mut ids = Vec::new();
    for number in 1..=3 {
        ids.push(bench.trip(number, at()).await);
    }
    bench.settle().await;
    let mut states = Vec::new();
    for id in &ids {
        states.push(bench.delivery(id).await.state);
    }
    let (taken, not_sent) = (DeliveryState::Accepted, DeliveryState::Dead);
    assert_eq!(states, [taken, taken, not_sent]);
    let refused = &bench.delivery(&ids[2]).await.attempts[0];
    assert_eq!(refused.class.as_deref(), Some("over_limit"));
    let detail = refused.detail.as_deref().unwrap();
    assert!(detail.contains("used 2 times on 2026-08-11 already"), "{detail}");
    let log = bench.store.decisions(crate::store::LogFilter::default()).await.unwrap();
    let told = log.iter().find(|row| row.entry.kind == "action.failed").unwrap();
    assert!(told.entry.text.contains("verdictd did not, and will not"), "{}", told.entry.text);
    // The next day begins with none used; what was not sent used nothing up.
    let tomorrow = bench.trip(4, add_ms(at(), DAY_MS)).await;
    bench.settle().await;
    assert_eq!(bench.delivery(&tomorrow).await.state, taken);
}

#[test]
fn a_wrong_set_of_flags_is_refused() {
    for (flags, words) in [
        (json!({}), "name at least one"),
        (json!({"a": {"on": "x"}}), "`on` names the variant `x`"),
        (json!({"a": {"off": "x"}}), "`off` names the variant `x`"),
        (json!({"a": {"variants": {"on": true, "off": "no"}}}), "must be of one type"),
        (json!({"a": {"variants": {"on": [1], "off": [2]}}}), "must be of one type"),
        (json!({"a": {"targeting": "if"}}), "must be a table"),
    ] {
        let config = flagd(&json!({"flags": flags}));
        let refused = build_action("off", &config, None).unwrap_err().to_string();
        assert!(refused.contains(words), "{refused}");
    }
}

#[test]
fn what_is_odd_about_actions_is_said_at_check_time() {
    let blind = json!({"command": {"argv": ["/bin/true"], "armed": true, "armed_by": "ana"}});
    let actions: BTreeMap<String, ActionConfig> = [
        ("a".to_owned(), flagd(&json!({}))),
        ("b".to_owned(), flagd(&json!({"armed": false}))),
        ("c".to_owned(), serde_json::from_value(blind).unwrap()),
    ]
    .into();
    let found = findings(&actions);
    let said: Vec<_> = found.iter().map(|it| (it.action.as_str(), it.is_fault)).collect();
    assert_eq!(said, [("a", false), ("c", true), ("b", true)]);
    assert!(found[0].words.contains("`armed_by` does not say"), "{}", found[0].words);
    assert!(found[1].words.contains("nothing can read the flag back"), "{}", found[1].words);
    assert!(found[2].words.contains("also served by action `a`"), "{}", found[2].words);
}
