//! What a guardrail's transition says: tripped, burning, recovered, no data. Missing data is never
//! "recovered": it freezes what was, and is told on its own.

use super::{Notice, NoticeKind};
use crate::analyse::{GuardrailState, GuardrailStatus};
use crate::decide::is_tripped;
use crate::ids::notice_id;
use crate::spec::{Experiment, OnMissing};
use crate::time::{Timestamp, ms_between};

/// The notices of one look at a guardrail. `before` is the stored status, absent at the first
/// look; `evaluation_id` is the record that the transition wrote.
pub fn guardrail_notices(
    experiment: &Experiment,
    before: Option<&GuardrailStatus>,
    after: &GuardrailStatus,
    at: Timestamp,
    evaluation_id: &str,
) -> Vec<Notice> {
    let notice = |kind: NoticeKind, detail: Option<String>| Notice {
        id: notice_id(evaluation_id, kind.as_str(), &after.name),
        kind,
        subject: after.name.clone(),
        experiment: experiment.id.clone(),
        at,
        previous: None,
        detail,
    };
    let was_tripped = before.is_some_and(is_tripped);
    let was_burning = before.is_some_and(is_burning);
    let was_silent = before
        .is_some_and(|status| is_overdue(experiment, status, status.evaluated_at.unwrap_or(at)));
    let mut found = Vec::new();
    if is_tripped(after) && !was_tripped {
        found.push(notice(NoticeKind::GuardrailTripped, after.why.clone()));
    }
    let tickets = is_burning(after) && !was_burning;
    if tickets {
        found.push(notice(NoticeKind::GuardrailBurning, after.why.clone()));
    }
    if is_overdue(experiment, after, at) {
        if !was_silent {
            found.push(notice(NoticeKind::GuardrailNoData, after.why.clone()));
        }
    } else if was_silent && !is_missing(after) && !is_tripped(after) {
        found.push(notice(NoticeKind::GuardrailRecovered, Some("data are back".to_owned())));
    } else if (was_tripped || was_burning) && is_calm(after) && !tickets {
        found.push(notice(NoticeKind::GuardrailRecovered, None));
    }
    found
}

/// Neither on nor without data. A lifetime budget that is above its ratio is no alert.
fn is_calm(status: &GuardrailStatus) -> bool {
    !is_tripped(status) && !is_missing(status) && !is_burning(status)
}

/// A ticket of burn rates is on, also while its data are missing.
fn is_burning(status: &GuardrailStatus) -> bool {
    let state = status.frozen.unwrap_or(status.state);
    let has_alerts = status.burn.as_ref().is_some_and(|burn| !burn.alerts.is_empty());
    has_alerts && state == GuardrailState::Burning
}

fn is_missing(status: &GuardrailStatus) -> bool {
    matches!(status.state, GuardrailState::NoData | GuardrailState::SourceError)
}

/// Missing for longer than `missing_for`, where the file wants to hear of it.
fn is_overdue(experiment: &Experiment, status: &GuardrailStatus, at: Timestamp) -> bool {
    let Some(guardrail) = experiment.guardrail(&status.name) else {
        return false;
    };
    let since = status.since.unwrap_or(at);
    guardrail.on_missing != OnMissing::Ignore
        && is_missing(status)
        && ms_between(since, at) >= guardrail.missing_for.ms
}
