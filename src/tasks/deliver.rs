//! Sends what the outbox holds until the daemon stops; in-flight attempts are finished.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::app::Inner;

/// Runs the delivery worker.
pub async fn run(app: Arc<Inner>, token: CancellationToken) -> anyhow::Result<()> {
    app.worker.run(token).await?;
    Ok(())
}
