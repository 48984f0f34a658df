//! The scheduler: claims due cursors, runs their evaluations side by side, sleeps until the next.
//!
//! Slots are rows in the store, so a restart loses none; two replicas never judge one slot,
//! because a claim is a lease with a fencing epoch.

use std::sync::Arc;
use std::time::Duration;

use judge::time::ms_between;
use tokio_util::sync::CancellationToken;

use crate::app::Inner;
use crate::cycle;
use crate::store::Claim;

/// Longest sleep: a safety net under every wake-up.
const MAX_SLEEP: Duration = Duration::from_secs(5);
/// Pause after a turn that failed, such as on a full disk.
const FAILED_SLEEP: Duration = Duration::from_secs(1);
/// Claims per turn.
const BATCH: usize = 64;

/// Runs until the daemon stops; what is in flight is finished.
pub async fn run(app: Arc<Inner>, token: CancellationToken) -> anyhow::Result<()> {
    let mut watch = ClockWatch::new(&app);
    let mut went_back = true;
    while !token.is_cancelled() {
        went_back |= watch.look(&app) < 0;
        let turn = match turn(&app, went_back).await {
            Ok(done) => Some(done),
            Err(error) => {
                let trouble = format!("scheduler turn failed: {error:#}");
                tracing::error!("{trouble}");
                app.metrics.turn_ended(Some(trouble));
                None
            }
        };
        if turn.is_some() {
            went_back = false;
            app.metrics.turn_ended(None);
        }
        let sleep = match turn {
            Some(0) => until_next(&app).await,
            Some(_) => continue,
            None => FAILED_SLEEP,
        };
        tokio::select! {
            () = token.cancelled() => {}
            () = app.wake.notified(), if turn.is_some() => {}
            () = tokio::time::sleep(sleep) => {}
        }
    }
    Ok(())
}

/// One turn; at start and whenever the clock went back, after what that left behind was mended.
async fn turn(app: &Arc<Inner>, went_back: bool) -> anyhow::Result<usize> {
    if went_back {
        cycle::tracks::pull_back(app).await?;
    }
    run_due(app).await
}

/// Runs everything due at the clock's instant once; says how many evaluations ran.
pub async fn run_due(app: &Arc<Inner>) -> anyhow::Result<usize> {
    cycle::beat::refresh(app).await?;
    let lease = Duration::from_secs(app.settings.scheduler.lease_secs);
    let (domain_now, wall_now) = (app.clock.domain_now(), app.clock.wall_now());
    let claims = app.store.claim_due(domain_now, wall_now, &app.holder, lease, BATCH).await?;
    let count = claims.len();
    let permits = Arc::new(tokio::sync::Semaphore::new(app.settings.scheduler.concurrency.max(1)));
    let mut running = tokio::task::JoinSet::new();
    // Cursors of one experiment share its state: they run one after the other.
    for claims in by_experiment(claims) {
        let (app, permits) = (app.clone(), permits.clone());
        running.spawn(async move {
            let _permit = permits.acquire_owned().await;
            for claim in claims {
                run_one(&app, claim).await;
            }
        });
    }
    while let Some(joined) = running.join_next().await {
        if let Err(error) = joined {
            tracing::error!(%error, "an evaluation task was cut; its lease will expire");
        }
    }
    if count > 0 {
        cycle::tell_sources(app).await?;
        app.worker.notify();
        return Ok(count);
    }
    // Last: what the looks of this instant have decided is no thrash.
    let watched = cycle::watch::run_due(app).await?;
    let beaten = cycle::beat::run_due(app).await?;
    let pruned = if watched == 0 { cycle::prune::run_due(app).await? } else { 0 };
    Ok(watched + beaten + pruned)
}

fn by_experiment(claims: Vec<Claim>) -> Vec<Vec<Claim>> {
    let mut groups = std::collections::BTreeMap::<String, Vec<Claim>>::new();
    for claim in claims {
        groups.entry(claim.experiment.clone()).or_default().push(claim);
    }
    let mut groups: Vec<Vec<Claim>> = groups.into_values().collect();
    // Guardrails first: a look must not continue past a tripwire that is due and not read yet.
    for claims in &mut groups {
        claims.sort_by_key(|claim| claim.track == "look");
    }
    groups
}

async fn run_one(app: &Arc<Inner>, claim: Claim) {
    let lag_ms = ms_between(claim.next_at, app.clock.domain_now());
    app.metrics.scheduler_lag(lag_ms.max(0) as f64 / 1000.0);
    let began = std::time::Instant::now();
    let outcome = cycle::run(app, &claim).await;
    app.metrics.daemon.evaluation_took(began.elapsed().as_secs_f64());
    if let Err(error) = outcome {
        tracing::error!(
            experiment.id = claim.experiment,
            track = claim.track,
            error = format!("{error:#}"),
            "evaluation failed; the slot stays due and its lease expires"
        );
        app.metrics.evaluation("error");
    }
}

async fn until_next(app: &Inner) -> Duration {
    let next = app.store.earliest_due().await.ok().flatten();
    let wait_ms = next.map_or(i64::MAX, |next| ms_between(app.clock.domain_now(), next));
    Duration::from_millis(u64::try_from(wait_ms.max(0)).unwrap_or(0))
        .clamp(Duration::from_millis(5), MAX_SLEEP)
}

/// Compares the wall clock with what really passed: a jump is counted, and one back is mended.
#[derive(Debug)]
struct ClockWatch {
    wall_ms: i64,
    passed: std::time::Instant,
}

impl ClockWatch {
    /// Smaller differences are drift and scheduling.
    const JUMP_MS: i64 = 2_000;

    fn new(app: &Inner) -> Self {
        Self { wall_ms: app.clock.wall_now().as_millisecond(), passed: std::time::Instant::now() }
    }

    /// By how many milliseconds it jumped.
    fn look(&mut self, app: &Inner) -> i64 {
        let now = Self::new(app);
        let passed_ms = i64::try_from(now.passed.duration_since(self.passed).as_millis());
        let jump_ms = now.wall_ms - self.wall_ms - passed_ms.unwrap_or(0);
        if jump_ms.abs() > Self::JUMP_MS {
            tracing::warn!(jump_ms, "the wall clock jumped");
            app.metrics.daemon.clock_jumped(jump_ms as f64 / 1000.0);
        }
        *self = now;
        if jump_ms.abs() > Self::JUMP_MS { jump_ms } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guardrails_are_read_before_the_look_of_their_experiment() {
        let claim = |experiment: &str, track: &str| Claim {
            experiment: experiment.to_owned(),
            track: track.to_owned(),
            last_slot: None,
            next_at: judge::time::Timestamp::UNIX_EPOCH,
            epoch: 1,
        };
        let groups = by_experiment(vec![
            claim("a", "look"),
            claim("b", "look"),
            claim("a", "guardrail:errors"),
            claim("a", "guardrail:mails"),
        ]);
        let tracks = |group: &[Claim]| -> Vec<String> {
            group.iter().map(|claim| claim.track.clone()).collect()
        };
        assert_eq!(tracks(&groups[0]), ["guardrail:errors", "guardrail:mails", "look"]);
        assert_eq!(tracks(&groups[1]), ["look"]);
    }
}
