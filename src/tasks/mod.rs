//! Background tasks: each an idempotent function without input that may run at any time.
//!
//! A task that panics or fails is reported and started again; its work is claimed in the store,
//! so nothing it had begun is lost or done twice.

use std::future::Future;
use std::pin::Pin;

use tokio_util::sync::CancellationToken;

pub mod arming;
pub mod deliver;
pub mod evaluate;
pub mod heartbeat;
pub mod reload;

/// A task's future.
pub type BoxTask = Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send>>;

/// Runs a task and says why it ended, unless the daemon is stopping.
pub async fn supervise(name: &'static str, task: BoxTask, token: CancellationToken) {
    match task.await {
        Ok(()) if token.is_cancelled() => tracing::debug!(task = name, "task stopped"),
        Ok(()) => tracing::error!(task = name, "task ended by itself"),
        Err(error) => {
            tracing::error!(task = name, error = format!("{error:#}"), "task failed");
            // Without this task the daemon would look alive and decide nothing.
            token.cancel();
        }
    }
}
