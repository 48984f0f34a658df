//! Alarms that only time raises: waiting for a revision or for "default updated?" too long.

use std::collections::BTreeMap;

use super::{Life, LifeState};
use crate::decide::{Alarm, AlarmKind, AlarmSeverity};
use crate::spec::Experiment;
use crate::time::{DAY_MS, Span, Timestamp, ms_between};

/// `purgatory` for `awaiting_revision` and `default updated?` left open longer than one review
/// interval (a week where the file states none).
pub fn overdue(experiment: &Experiment, state: &LifeState, now: Timestamp) -> Option<Alarm> {
    let clears = match state.life {
        Life::AwaitingRevision => "a revision with another mechanism, or a stop",
        Life::Graduated if !state.default_updated => "somebody saying that the default was updated",
        _ => return None,
    };
    let allowed = experiment.review.as_ref().map_or(Span::days(7), |review| review.every);
    let open_ms = ms_between(state.since, now);
    (open_ms > allowed.ms).then(|| Alarm {
        kind: AlarmKind::Purgatory,
        severity: AlarmSeverity::Confirmed,
        subject: String::new(),
        numbers: BTreeMap::from([
            ("days_open".to_owned(), open_ms as f64 / DAY_MS as f64),
            ("days_allowed".to_owned(), allowed.as_days()),
        ]),
        clears: clears.to_owned(),
        knowable_at: None,
    })
}
