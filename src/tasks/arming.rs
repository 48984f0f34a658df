//! At the start: what changed about who armed which action goes into the decision log, and what
//! is odd about the actions into the log of the daemon.

use crate::app::Inner;
use crate::deliver::actions::{arming_changes, findings};

/// Notes changes once; a second start with the same settings says nothing.
pub async fn note(app: &Inner) -> anyhow::Result<()> {
    for finding in findings(&app.settings.actions) {
        tracing::warn!(action = finding.action, "{}", finding.words);
    }
    let known = app.store.arming().await?;
    let changes = arming_changes(&known, &app.settings.actions, app.clock.domain_now());
    for change in &changes {
        tracing::info!(action = change.action, now = change.word, "arming changed");
    }
    let changes = changes.into_iter().map(|it| (it.action, it.word, it.entry)).collect();
    app.store.set_arming(changes).await?;
    Ok(())
}
