//! The imperative line for one claimed slot: the only place that calls the eight steps in order.
//!
//! ```text
//! spec -> plan -> fetch -> contract -> observe -> analyse -> decide -> record -> (deliver)
//! ```
//!
//! No transaction is open while sources are asked. A commit carries the state version it was
//! decided on; when that moved on, `decide` runs again on the same frozen observations without
//! asking anybody again (engine.md 4). Messages are rows of the same transaction.

pub mod beat;
pub mod fetch;
pub mod gather;
pub mod guardrail;
pub mod health;
pub mod human;
mod look;
pub mod policy;
pub mod prune;
pub mod restate;
pub mod say;
pub mod slots;
pub mod sums;
pub mod tracks;
pub mod watch;
pub mod windows;

use std::sync::Arc;

use anyhow::Context as _;
use judge::analyse::{GuardrailState, GuardrailStatus};
use judge::lifecycle::{self, LifeState};
use judge::spec::Guardrail;
use judge::time::Timestamp;

use crate::app::Inner;
use crate::portfolio::Loaded;
use crate::store::{Claim, Commit, Committed, Context, RESTATED_PREFIX, StoreError};

pub use look::dry_run;
pub use say::tell_sources;

/// How often a decision is made again because the state moved on meanwhile.
const MAX_STALE: u32 = 16;

/// Runs one claim to its end: a commit, a release, or an error that leaves the slot due.
pub async fn run(app: &Arc<Inner>, claim: &Claim) -> anyhow::Result<()> {
    let now = app.clock.domain_now();
    let Some(loaded) = app.portfolio.get(&claim.experiment) else {
        // The file is gone: nothing is asked for it until it comes back.
        app.store.release(claim, judge::time::add_ms(now, 60_000)).await?;
        return Ok(());
    };
    let context = app.store.context(&claim.experiment).await?.context("no stored state")?;
    if let Some(of) = claim.track.strip_prefix(RESTATED_PREFIX) {
        return restate::run(app, claim, context, of).await;
    }
    match claim.track.strip_prefix("guardrail:") {
        Some(name) => guardrail::run(app, claim, &loaded, context, name).await,
        None => look::run(app, claim, &loaded, context).await,
    }
}

/// The stored life at an instant: a scheduled experiment runs once its start has come.
fn life_at(context: &Context, at: Timestamp) -> anyhow::Result<LifeState> {
    let stored: LifeState =
        serde_json::from_str(&context.life_json).context("stored life of the experiment")?;
    Ok(lifecycle::at_time(&stored, at))
}

/// One commit, with its time on the metrics. What it ordered is sent at once: a rollback does not
/// wait for the other looks of its turn.
async fn commit_timed(app: &Inner, commit: Commit) -> Result<Committed, StoreError> {
    let began = std::time::Instant::now();
    let has_mail = !commit.outbox.is_empty();
    let committed = app.store.commit(commit).await;
    app.metrics.daemon.commit_took(began.elapsed().as_secs_f64());
    if has_mail && matches!(committed, Ok(Committed::Fresh { .. })) {
        app.worker.notify();
    }
    committed
}

/// Why slots before `next_at` were not judged.
fn missed_reason(app: &Inner, next_at: Timestamp) -> &'static str {
    if next_at < app.started_at {
        "the daemon was not running"
    } else {
        "the evaluation before took too long"
    }
}

/// A guardrail that was never looked at: neither safe nor broken.
pub fn unseen(guardrail: &Guardrail) -> GuardrailStatus {
    GuardrailStatus {
        name: guardrail.name.clone(),
        kind: guardrail.kind.keyword().to_owned(),
        on_trip: guardrail.on_trip,
        state: GuardrailState::Insufficient,
        frozen: None,
        since: None,
        evaluated_at: None,
        value: None,
        limit: None,
        interval: None,
        bad: None,
        total: None,
        budget_left: None,
        why: Some("not looked at yet".to_owned()),
        pending_since: None,
        clearing_since: None,
        control_also: false,
        latched: false,
        burn: None,
        drift: None,
    }
}

/// Stored guardrail states in file order.
fn guardrails_in_order(loaded: &Loaded, context: &Context) -> Vec<GuardrailStatus> {
    let stored = |name: &str| context.guardrails.iter().find(|status| status.name == name).cloned();
    loaded
        .experiment
        .guardrails
        .iter()
        .map(|guardrail| stored(&guardrail.name).unwrap_or_else(|| unseen(guardrail)))
        .collect()
}
