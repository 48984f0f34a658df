//! What there is to say after an evaluation: the last pure step, deterministic and deduplicated.
//!
//! A [`Notice`] is typed; the rooms that deliver it render JSON and prose from it. Notices are
//! made from the record and from what was last said, so the same look never says a thing twice.

mod guardrail;
mod said;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use self::guardrail::guardrail_notices;
pub(crate) use self::said::verdict_text;
pub use self::said::{AlarmSaid, HoldSaid, LastSaid, VerdictSaid, notices, said_after};

use crate::time::Timestamp;

/// Event types of the payload (delivery 2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum NoticeKind {
    /// `experiment.verdict.continue`
    #[serde(rename = "experiment.verdict.continue")]
    VerdictContinue,
    /// `experiment.verdict.change`
    #[serde(rename = "experiment.verdict.change")]
    VerdictChange,
    /// `experiment.verdict.stop`
    #[serde(rename = "experiment.verdict.stop")]
    VerdictStop,
    /// `experiment.verdict.hold`
    #[serde(rename = "experiment.verdict.hold")]
    VerdictHold,
    /// `experiment.verdict.revised`
    #[serde(rename = "experiment.verdict.revised")]
    VerdictRevised,
    /// `guardrail.tripped`
    #[serde(rename = "guardrail.tripped")]
    GuardrailTripped,
    /// `guardrail.burning`: a ticket; the budget goes too fast or is spent.
    #[serde(rename = "guardrail.burning")]
    GuardrailBurning,
    /// `guardrail.recovered`
    #[serde(rename = "guardrail.recovered")]
    GuardrailRecovered,
    /// `guardrail.no_data`
    #[serde(rename = "guardrail.no_data")]
    GuardrailNoData,
    /// `proxy.without_outcome`
    #[serde(rename = "proxy.without_outcome")]
    ProxyWithoutOutcome,
    /// `split.mismatch`
    #[serde(rename = "split.mismatch")]
    SplitMismatch,
    /// `alarm.raised`: another alarm of product.md 4.6 is on.
    #[serde(rename = "alarm.raised")]
    AlarmRaised,
    /// `alarm.cleared`: its all-clear.
    #[serde(rename = "alarm.cleared")]
    AlarmCleared,
    /// `data.stale`: data of one experiment's signals went missing.
    #[serde(rename = "data.stale")]
    DataStale,
    /// `data.recovered`
    #[serde(rename = "data.recovered")]
    DataRecovered,
    /// `source.down`: one grouped notice per source.
    #[serde(rename = "source.down")]
    SourceDown,
    /// `source.recovered`
    #[serde(rename = "source.recovered")]
    SourceRecovered,
    /// `action.confirmed`
    #[serde(rename = "action.confirmed")]
    ActionConfirmed,
    /// `action.failed`: unconfirmed for 60 s.
    #[serde(rename = "action.failed")]
    ActionFailed,
    /// `file.broken`: an experiment file was refused; the last good revision stays.
    #[serde(rename = "file.broken")]
    FileBroken,
    /// `engine.fault`
    #[serde(rename = "engine.fault")]
    EngineFault,
    /// `endpoint.degraded`: a receiver failed several times in a row and is only probed.
    #[serde(rename = "endpoint.degraded")]
    EndpointDegraded,
    /// `endpoint.disabled`: nothing more is sent to a receiver until somebody enables it.
    #[serde(rename = "endpoint.disabled")]
    EndpointDisabled,
    /// `endpoint.recovered`
    #[serde(rename = "endpoint.recovered")]
    EndpointRecovered,
    /// `delivery.dropped`: messages went unsent because they were too old or the queue was full.
    #[serde(rename = "delivery.dropped")]
    DeliveryDropped,
    /// `clock.skewed`: a receiver's clock and ours differ too much for signatures.
    #[serde(rename = "clock.skewed")]
    ClockSkewed,
    /// `clock.agreed`: its all-clear.
    #[serde(rename = "clock.agreed")]
    ClockAgreed,
    /// `test`: a test send.
    #[serde(rename = "test")]
    Test,
}

impl NoticeKind {
    /// The wire name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::VerdictContinue => "experiment.verdict.continue",
            Self::VerdictChange => "experiment.verdict.change",
            Self::VerdictStop => "experiment.verdict.stop",
            Self::VerdictHold => "experiment.verdict.hold",
            Self::VerdictRevised => "experiment.verdict.revised",
            Self::GuardrailTripped => "guardrail.tripped",
            Self::GuardrailBurning => "guardrail.burning",
            Self::GuardrailRecovered => "guardrail.recovered",
            Self::GuardrailNoData => "guardrail.no_data",
            Self::ProxyWithoutOutcome => "proxy.without_outcome",
            Self::SplitMismatch => "split.mismatch",
            Self::AlarmRaised => "alarm.raised",
            Self::AlarmCleared => "alarm.cleared",
            Self::DataStale => "data.stale",
            Self::DataRecovered => "data.recovered",
            Self::SourceDown => "source.down",
            Self::SourceRecovered => "source.recovered",
            Self::ActionConfirmed => "action.confirmed",
            Self::ActionFailed => "action.failed",
            Self::FileBroken => "file.broken",
            Self::EngineFault => "engine.fault",
            Self::EndpointDegraded => "endpoint.degraded",
            Self::EndpointDisabled => "endpoint.disabled",
            Self::EndpointRecovered => "endpoint.recovered",
            Self::DeliveryDropped => "delivery.dropped",
            Self::ClockSkewed => "clock.skewed",
            Self::ClockAgreed => "clock.agreed",
            Self::Test => "test",
        }
    }

    /// About verdictd's own delivery: told to whoever runs it, and never about its own telling.
    pub fn is_about_delivery(self) -> bool {
        matches!(
            self,
            Self::EndpointDegraded
                | Self::EndpointDisabled
                | Self::EndpointRecovered
                | Self::DeliveryDropped
                | Self::ClockSkewed
                | Self::ClockAgreed
        )
    }

    /// Tripwires and action results jump the queue.
    pub fn is_urgent(self) -> bool {
        matches!(self, Self::GuardrailTripped | Self::ActionConfirmed | Self::ActionFailed)
    }
}

/// One thing to say, before it is addressed to an endpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Notice {
    /// `hash128(evaluation_id, kind, subject)`.
    pub id: String,
    /// What it is.
    pub kind: NoticeKind,
    /// Signal, guardrail, source or empty.
    pub subject: String,
    /// Experiment id; empty for source and file notices.
    pub experiment: String,
    /// When it became true (a slot, in domain time).
    pub at: Timestamp,
    /// The verdict it replaces, as `verdict: cause`.
    pub previous: Option<String>,
    /// Free words where the record does not hold them (source error, broken file).
    pub detail: Option<String>,
}
