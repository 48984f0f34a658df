//! Pings the dead-man's switch while all is well, and says why when it does not.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::app::Inner;
use crate::deliver::heart::{Heart, Pulse, Silence, silence};

/// Runs until the daemon stops; without an address it only waits for that.
pub async fn run(app: Arc<Inner>, token: CancellationToken) -> anyhow::Result<()> {
    let settings = &app.settings.heartbeat;
    let heart = Heart::build(settings).map_err(|cause| anyhow::anyhow!("heartbeat: {cause}"))?;
    let Some(heart) = heart else {
        token.cancelled().await;
        return Ok(());
    };
    let every = Duration::from_secs(settings.every_secs.max(1));
    loop {
        tokio::select! {
            () = token.cancelled() => return Ok(()),
            () = tokio::time::sleep(every) => {}
        }
        beat(&app, &heart).await;
    }
}

/// One ping, or one reason why not.
pub async fn beat(app: &Inner, heart: &Heart) {
    if let Some(why) = held_back(app).await {
        let why = why.as_str();
        tracing::warn!(why, "heartbeat held back");
        app.metrics.daemon.heartbeat("held", why);
        return;
    }
    match heart.ping(app.clock.wall_now()).await {
        Ok(()) => app.metrics.daemon.heartbeat("sent", "ok"),
        Err(error) => {
            let (class, detail) = (error.class.as_str(), &error.detail);
            tracing::warn!(class, detail, "heartbeat not taken");
            app.metrics.daemon.heartbeat("failed", class);
        }
    }
}

async fn held_back(app: &Inner) -> Option<Silence> {
    let Ok(earliest_slot) = app.store.earliest_slot().await else {
        return Some(Silence::Store);
    };
    let pulse = Pulse { earliest_slot, looked_at: app.worker.looked_at() };
    let allowance = Duration::from_secs(app.settings.heartbeat.late_after_secs);
    silence(pulse, app.clock.domain_now(), app.clock.wall_now(), allowance)
}
