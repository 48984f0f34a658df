//! The router against a real store in a temporary folder, without a socket.

mod analyze;
mod api;
mod deliveries;
mod flagd;
mod gates;
mod hostile;
mod openapi;
mod pages;
mod policy;
mod problems;
mod signed;
mod slack;
mod writes;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use judge::decide::Verdict;
use judge::ids::evaluation_id;
use judge::lifecycle;
use judge::prose;
use judge::record::EvaluationRecord;
use judge::time::Timestamp;
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::{HttpState, router};
use crate::clock::{Clock, ManualClock};
use crate::cycle::say::word;
use crate::deliver::sample_notices;
use crate::secret::SecretRef;
use crate::settings::{Settings, TokenSettings};
use crate::store::{
    Commit, Committed, LogEntry, NewEvaluation, NewExperiment, Revision, SourceHealth, Store,
};
use crate::telemetry::Metrics;

/// The checkpoint of the sample experiment.
pub(super) const AT: &str = "2026-08-11T00:00:00Z";
/// The sample experiment.
pub(super) const ID: &str = "sample-checklist";

pub(super) fn at() -> Timestamp {
    AT.parse().unwrap()
}

/// Both times, and they stand still.
#[derive(Debug)]
pub(super) struct Still(pub(super) Timestamp);

impl Clock for Still {
    fn domain_now(&self) -> Timestamp {
        self.0
    }

    fn wall_now(&self) -> Timestamp {
        self.0
    }
}

/// A store with its folder, and the pages over it.
pub(super) struct Site {
    folder: tempfile::TempDir,
    pub(super) state: HttpState,
}

/// An answer, read whole.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("not JSON: {}", self.body))
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The document of a problem, after the checks that hold for every one.
    pub(super) fn problem(&self) -> Value {
        assert_eq!(self.header("content-type"), "application/problem+json", "{}", self.body);
        let problem = self.json();
        assert_eq!(problem["status"], self.status.as_u16());
        for key in ["type", "title", "code", "detail", "request_id"] {
            assert!(problem[key].as_str().is_some_and(|text| !text.is_empty()), "{key}: {problem}");
        }
        assert_eq!(problem["request_id"], self.header("x-request-id"));
        problem
    }
}

impl Site {
    /// Nothing in it.
    pub(super) fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = Settings::defaults().unwrap();
        settings.http.max_body_bytes = 2_000;
        let state = HttpState {
            store: Store::open(&folder.path().join("verdictd.db")).unwrap(),
            settings: Arc::new(settings),
            clock: Arc::new(ManualClock::new(at())),
            metrics: Arc::new(Metrics::new(10)),
            ready: Arc::new(AtomicBool::new(true)),
            external_url: "http://daemon".into(),
            waiting: Arc::new(Semaphore::new(2)),
            stop: CancellationToken::new(),
        };
        Self { folder, state }
    }

    /// The sample experiment with one evaluation that says `continue`.
    pub(super) async fn sample() -> Self {
        let site = Self::empty();
        site.add(sample_record(Verdict::Continue)).await;
        site
    }

    /// Tokens for `product-lead` (in `can_stop`), `guest` and the administrator `root`.
    pub(super) fn with_tokens(mut self) -> Self {
        let mut settings = (*self.state.settings).clone();
        for (name, admin) in [("product-lead", false), ("guest", false), ("root", true)] {
            let path = self.folder.path().join(name);
            std::fs::write(&path, format!("token-of-{name}\n")).unwrap();
            let token: SecretRef =
                serde_json::from_value(serde_json::json!({"file": path})).unwrap();
            settings.http.tokens.push(TokenSettings {
                name: name.to_owned(),
                token: Some(token),
                signing_secret: None,
                admin,
            });
        }
        self.state.settings = Arc::new(settings);
        self
    }

    /// Stores what the daemon stores when a file arrives and a look is done.
    pub(super) async fn add(&self, record: EvaluationRecord) {
        let store = &self.state.store;
        let experiment = &record.input.experiment;
        let mut life = lifecycle::first_seen(experiment, true, record.input.cycle.started_at);
        life.verdict = Some((record.decision.verdict, record.decision.cause, record.input.at));
        let revision = Revision {
            experiment: experiment.id.clone(),
            revision: experiment.revision.clone(),
            file: format!("{}.yaml", experiment.id),
            text: "experiment: ...".to_owned(),
            model_json: serde_json::to_string(experiment).unwrap(),
            seen_at: at(),
        };
        store.save_revision(revision).await.unwrap();
        let new = NewExperiment {
            id: experiment.id.clone(),
            first_seen_at: life.since,
            life_json: serde_json::to_string(&life).unwrap(),
            revision: experiment.revision.clone(),
            title: experiment.title.clone(),
            labels_json: serde_json::to_string(&experiment.labels).unwrap(),
            cursors: Vec::new(),
        };
        store.ensure_experiment(new).await.unwrap();
        let context = store.context(&experiment.id).await.unwrap().unwrap();
        let mut commit = Commit::new(&experiment.id, context.state_version, 1);
        commit.slot = Some(record.input.at);
        commit.guardrails = record.guardrails.clone();
        commit.log = vec![LogEntry {
            at: record.input.at,
            kind: "verdict".to_owned(),
            who: None,
            verdict: Some(word(&record.decision.verdict)),
            because: None,
            text: format!("Aim\nMechanism\n{}", prose::headline(&record)),
            evaluation_id: Some(record.id.clone()),
        }];
        commit.evaluation = Some(NewEvaluation {
            id: record.id.clone(),
            track: record.track.clone(),
            scheduled_at: record.input.at,
            data_as_of: record.data_as_of(),
            fetched_at: Some(record.input.at),
            recorded_at: record.input.at,
            restatement_no: 0,
            revises: None,
            verdict: word(&record.decision.verdict),
            cause: word(&record.decision.cause),
            headline: prose::headline(&record),
            json: record.to_json(),
        });
        let committed = store.commit(commit).await.unwrap();
        assert!(matches!(committed, Committed::Fresh { .. }), "{committed:?}");
    }

    /// Any request.
    pub(super) async fn send(&self, request: Request<Body>) -> Answer {
        let response = router(self.state.clone()).oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, 4 * 1024 * 1024).await.unwrap();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: String::from_utf8(bytes.to_vec()).unwrap(),
        }
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    /// Records a decision as the owner of `token`.
    pub(super) async fn decide(&self, token: Option<&str>, body: &str) -> Answer {
        let mut request = Request::builder()
            .method(Method::POST)
            .uri("/api/v1/decisions")
            .header(header::CONTENT_TYPE, "application/json");
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        self.send(request.body(Body::from(body.to_owned())).unwrap()).await
    }
}

/// One of the sample records.
pub(super) fn sample_record(verdict: Verdict) -> EvaluationRecord {
    let mut records = sample_notices(at()).into_iter().filter_map(|sample| sample.record);
    records.find(|record| record.decision.verdict == verdict).unwrap()
}

/// The same numbers under another id and title.
pub(super) fn named(mut record: EvaluationRecord, id: &str, title: &str) -> EvaluationRecord {
    record.id = evaluation_id(id, "look", record.input.at, 0);
    record.input.experiment.id = id.to_owned();
    record.input.experiment.title = title.to_owned();
    record
}

/// A source that fails since the checkpoint.
pub(super) fn failing_source(name: &str) -> SourceHealth {
    SourceHealth {
        name: name.to_owned(),
        kind: "prometheus".to_owned(),
        last_ok_at: Some(at()),
        failing_since: Some(at()),
        class: Some("timeout".to_owned()),
        cause: Some("no answer within 30 s".to_owned()),
        told: true,
    }
}
