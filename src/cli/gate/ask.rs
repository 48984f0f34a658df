//! Where a gate's answer comes from: a daemon, or the store beside it.

use std::time::Duration;

use judge::record::EvaluationRecord;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use serde_json::Value;
use tokio::time::Instant;
use url::Url;

use super::GateArgs;
use crate::cli::open_store;
use crate::cli::output::Failure;
use crate::clock::{Clock as _, SystemClock};
use crate::gate::{self, FlatVerdict};
use crate::http_client;
use crate::settings::Settings;
use crate::store::{Store, StoreError};

/// Beyond the time an answer may be kept back.
const PATIENCE: Duration = Duration::from_secs(15);
/// Largest answer, in bytes: records are far below.
const MAX_BYTES: usize = 4 << 20;
/// How often the store is looked at while waiting.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// Whom to ask.
pub(super) enum Asker {
    /// A daemon over HTTP.
    Daemon(Remote),
    /// The store of the settings.
    Store { settings: Box<Settings>, max_age_secs: Option<i64> },
}

/// A daemon.
pub(super) struct Remote {
    client: reqwest::Client,
    base: Url,
    token: Option<HeaderValue>,
    max_age_secs: Option<i64>,
}

impl Asker {
    /// As the arguments say.
    pub(super) fn of(args: &GateArgs, max_age_secs: Option<i64>) -> Result<Self, Failure> {
        let Some(url) = &args.url else {
            let settings = Box::new(args.settings.settings()?);
            return Ok(Self::Store { settings, max_age_secs });
        };
        let wrong = |why: String| Failure::usage(format!("--url: {why}"));
        let mut base = Url::parse(url).map_err(|error| wrong(error.to_string()))?;
        if !matches!(base.scheme(), "http" | "https") {
            return Err(wrong("write http:// or https://".to_owned()));
        }
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        let client = http_client::client(args.ca.as_deref(), super::POLL + PATIENCE)
            .map_err(|error| Failure::usage(error.to_string()))?;
        let token = args.token_env.as_deref().map(token).transpose()?;
        Ok(Self::Daemon(Remote { client, base, token, max_age_secs }))
    }

    /// The verdict now, or as soon as the state is not `since` any more, at the latest after
    /// `poll`.
    pub(super) async fn ask(
        &self,
        experiment: &str,
        poll: Duration,
        since: Option<i64>,
    ) -> Result<FlatVerdict, Failure> {
        match self {
            Self::Daemon(remote) => remote.ask(experiment, poll, since).await,
            Self::Store { settings, max_age_secs } => {
                let store = open_store(settings)?;
                Ok(of_store(&store, settings, experiment, *max_age_secs, poll, since).await?)
            }
        }
    }

    /// The record of the evaluation a verdict rests on, if it can be had.
    pub(super) async fn record(&self, flat: &FlatVerdict) -> Option<EvaluationRecord> {
        if flat.evaluation == 0 {
            return None;
        }
        match self {
            Self::Daemon(remote) => remote.record(flat).await,
            Self::Store { settings, .. } => {
                let store = open_store(settings).ok()?;
                let found = store.evaluation(&flat.experiment, flat.evaluation).await.ok()??;
                EvaluationRecord::from_json(&found.1).ok()
            }
        }
    }
}

/// The header of the token in that variable.
fn token(name: &str) -> Result<HeaderValue, Failure> {
    let wrong = |why: &str| Failure::usage(format!("--token-env {name}: {why}"));
    let token = std::env::var(name).map_err(|_| wrong("the variable is not set"))?;
    let header = HeaderValue::from_str(&format!("Bearer {}", token.trim()));
    let mut header = header.map_err(|_| wrong("the token has characters a header cannot have"))?;
    header.set_sensitive(true);
    Ok(header)
}

async fn of_store(
    store: &Store,
    settings: &Settings,
    experiment: &str,
    max_age_secs: Option<i64>,
    poll: Duration,
    since: Option<i64>,
) -> Result<FlatVerdict, StoreError> {
    let until = Instant::now() + poll;
    while since.is_some() && Instant::now() < until {
        if store.changes(experiment).await?.unwrap_or(0) != since.unwrap_or(0) {
            break;
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    let standing = if let Some(row) = store.gate_row(experiment).await? {
        let late_ms = settings.gates.late_after_secs.saturating_mul(1_000);
        let late_ms = i64::try_from(late_ms).unwrap_or(i64::MAX);
        gate::standing(&row, SystemClock.domain_now(), late_ms)
    } else {
        let all = store.labels().await?;
        let near = all.into_iter().map(|(id, _)| id).filter(|id| id.contains(experiment));
        gate::no_such(experiment, &near.take(3).collect::<Vec<_>>())
    };
    Ok(gate::flat(&gate::aged(standing, max_age_secs), &settings.external_url()))
}

impl Remote {
    fn url(&self, experiment: &str, rest: &[&str]) -> Result<Url, Failure> {
        let mut url = self.base.clone();
        let mut parts = url
            .path_segments_mut()
            .map_err(|()| Failure::usage("--url: not an address of a daemon".to_owned()))?;
        parts.pop_if_empty().extend(["api", "v1", "experiments", experiment]).extend(rest);
        drop(parts);
        Ok(url)
    }

    async fn ask(
        &self,
        experiment: &str,
        poll: Duration,
        since: Option<i64>,
    ) -> Result<FlatVerdict, Failure> {
        let mut url = self.url(experiment, &["verdict"])?;
        if let Some(since) = since.filter(|_| !poll.is_zero()) {
            url.query_pairs_mut()
                .append_pair("wait", &format!("{}s", poll.as_secs().max(1)))
                .append_pair("since", &since.to_string());
        }
        if let Some(secs) = self.max_age_secs {
            url.query_pairs_mut().append_pair("max_age", &format!("{secs}s"));
        }
        let document = self.get(url).await?;
        serde_json::from_value(document)
            .map_err(|error| Failure::unreachable(format!("the answer is no verdict: {error}")))
    }

    async fn record(&self, flat: &FlatVerdict) -> Option<EvaluationRecord> {
        let number = flat.evaluation.to_string();
        let url = self.url(&flat.experiment, &["evaluations", &number]).ok()?;
        let document = self.get(url).await.ok()?;
        serde_json::from_value(document.get("record")?.clone()).ok()
    }

    async fn get(&self, url: Url) -> Result<Value, Failure> {
        let place = self.base.host_str().unwrap_or_default().to_owned();
        let lost = |error: reqwest::Error| {
            let error = anyhow::Error::from(error.without_url());
            Failure::unreachable(format!("the daemon at {place} cannot be reached: {error:#}"))
        };
        let mut request = self.client.get(url);
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, token.clone());
        }
        let mut response = request.send().await.map_err(lost)?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(lost)? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_BYTES {
                return Err(Failure::unreachable("the answer is too large".to_owned()));
            }
        }
        let document: Option<Value> = serde_json::from_slice(&body).ok();
        match document {
            Some(document) if status.is_success() => Ok(document),
            other => {
                let detail = other.as_ref().and_then(|one| one["detail"].as_str());
                let detail = detail.unwrap_or("no document of a daemon");
                Err(Failure::unreachable(format!("{place} answers {status}: {detail}")))
            }
        }
    }
}
