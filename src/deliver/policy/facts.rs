//! What a policy can ask about a notice: its kind, whose it is, how loud it is, what it is about.
//!
//! Made from the generic message, so that every room that tells something is judged alike.

use std::collections::BTreeMap;

use judge::decide::{AlarmKind, Cause};
use judge::notice::{Notice, NoticeKind};
use judge::spec::Experiment;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How loud a notice is. Louder is greater.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Good news and suspicions: all-clears, data that are back, suspected alarms.
    Low,
    /// Worth reading today.
    Normal,
    /// Somebody must act: stop, change, a verdict that was revised, a fault.
    High,
    /// Users are being hurt, or the way back failed.
    Page,
}

impl Severity {
    /// The word in settings, messages and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
            Self::Page => "page",
        }
    }
}

/// Whose an experiment is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct People {
    /// Owner's name or role.
    pub owner: String,
    /// Owner's channel or address.
    pub contact: String,
    /// Labels of the file.
    pub labels: BTreeMap<String, String>,
}

impl People {
    /// As the file says.
    pub fn of(experiment: &Experiment) -> Self {
        Self {
            owner: experiment.owner.name.clone(),
            contact: experiment.owner.contact.clone(),
            labels: experiment.labels.clone(),
        }
    }
}

/// A notice as a policy sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// What it is.
    pub kind: NoticeKind,
    /// Experiment id; empty for sources, files and the portfolio.
    pub experiment: String,
    /// Whose the experiment is.
    pub people: People,
    /// `continue`, `change`, `stop`, `hold`; of verdicts only.
    pub verdict: Option<String>,
    /// Which row of the verdict table; of verdicts only.
    pub cause: Option<String>,
    /// Alarms that it raises or clears.
    pub alarms: Vec<String>,
    /// How loud.
    pub severity: Severity,
    /// What it is about, within its experiment: later news of the same thing have the same topic.
    pub topic: String,
}

impl Facts {
    /// Of a notice and its generic message; `people` is asked first, since a message that had to
    /// be shortened may have lost its labels.
    pub fn of(notice: &Notice, content: &Value, people: Option<&People>) -> Self {
        let data = &content["data"];
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let is_verdict = is_verdict(notice.kind);
        let verdict = text(&data["verdict"]).filter(|_| is_verdict);
        let cause = text(&data["cause"]).filter(|_| is_verdict);
        let alarms = alarms(notice, !data["evaluation"].is_null());
        let suspected = notice.detail.as_deref() == Some("suspected");
        Self {
            severity: severity(notice.kind, cause.as_deref(), suspected),
            topic: topic(notice, &alarms),
            kind: notice.kind,
            experiment: notice.experiment.clone(),
            people: people.cloned().unwrap_or_else(|| people_of(data)),
            verdict,
            cause,
            alarms,
        }
    }

    /// What no rule may hold back: a trip, the stop that follows from it, and how its rollback
    /// went.
    pub fn is_tripwire(&self) -> bool {
        self.severity == Severity::Page || self.kind == NoticeKind::ActionConfirmed
    }

    /// Whether it says that something is wrong and stays so until it is over.
    pub fn is_lasting(&self) -> bool {
        !self.is_tripwire()
            && matches!(
                self.kind,
                NoticeKind::VerdictHold
                    | NoticeKind::EngineFault
                    | NoticeKind::GuardrailBurning
                    | NoticeKind::GuardrailNoData
                    | NoticeKind::ProxyWithoutOutcome
                    | NoticeKind::SplitMismatch
                    | NoticeKind::AlarmRaised
                    | NoticeKind::DataStale
                    | NoticeKind::SourceDown
                    | NoticeKind::FileBroken
            )
    }
}

fn people_of(data: &Value) -> People {
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let labels = data["labels"].as_object().into_iter().flatten();
    People {
        owner: word(&data["experiment"]["owner"]),
        contact: word(&data["experiment"]["contact"]),
        labels: labels.map(|(key, value)| (key.clone(), word(value))).collect(),
    }
}

/// Whether it is about a verdict of an experiment.
pub(super) fn is_verdict(kind: NoticeKind) -> bool {
    kind.as_str().starts_with("experiment.verdict.")
}

/// How loud a kind is; the stop of a trip is as loud as the trip.
pub fn severity(kind: NoticeKind, cause: Option<&str>, suspected: bool) -> Severity {
    match kind {
        NoticeKind::GuardrailTripped | NoticeKind::ActionFailed => Severity::Page,
        NoticeKind::VerdictStop if cause == Some("tripped") => Severity::Page,
        NoticeKind::VerdictStop
        | NoticeKind::VerdictChange
        | NoticeKind::VerdictRevised
        | NoticeKind::ActionConfirmed
        | NoticeKind::EngineFault
        | NoticeKind::EndpointDisabled => Severity::High,
        NoticeKind::GuardrailRecovered
        | NoticeKind::AlarmCleared
        | NoticeKind::DataRecovered
        | NoticeKind::SourceRecovered
        | NoticeKind::EndpointRecovered
        | NoticeKind::ClockAgreed => Severity::Low,
        _ if suspected => Severity::Low,
        _ => Severity::Normal,
    }
}

/// Keys of the alarms that a notice is about; a look's own theatre names its signal only.
fn alarms(notice: &Notice, has_record: bool) -> Vec<String> {
    let word = |kind: AlarmKind| kind.as_str().to_owned();
    match notice.kind {
        NoticeKind::ProxyWithoutOutcome => vec![word(AlarmKind::ProxyWithoutOutcome)],
        NoticeKind::SplitMismatch => vec![word(AlarmKind::Srm)],
        NoticeKind::SourceDown | NoticeKind::SourceRecovered => vec![word(AlarmKind::SourceDown)],
        NoticeKind::DataStale | NoticeKind::DataRecovered => vec![word(AlarmKind::Stale)],
        NoticeKind::AlarmRaised if has_record => {
            vec![format!("{}:{}", AlarmKind::Theatre.as_str(), notice.subject)]
        }
        NoticeKind::AlarmRaised | NoticeKind::AlarmCleared => {
            notice.subject.split(", ").map(str::to_owned).collect()
        }
        _ => Vec::new(),
    }
}

/// One word for everything that is said about the same thing.
fn topic(notice: &Notice, alarms: &[String]) -> String {
    let subject = &notice.subject;
    match notice.kind {
        NoticeKind::EngineFault => "verdict".to_owned(),
        kind if is_verdict(kind) => "verdict".to_owned(),
        NoticeKind::GuardrailTripped
        | NoticeKind::GuardrailBurning
        | NoticeKind::GuardrailRecovered
        | NoticeKind::GuardrailNoData => format!("guardrail:{subject}"),
        NoticeKind::DataStale | NoticeKind::DataRecovered => format!("data:{subject}"),
        NoticeKind::SourceDown | NoticeKind::SourceRecovered => format!("source:{subject}"),
        NoticeKind::ActionConfirmed | NoticeKind::ActionFailed => format!("action:{subject}"),
        NoticeKind::FileBroken => format!("file:{subject}"),
        NoticeKind::EndpointDegraded
        | NoticeKind::EndpointDisabled
        | NoticeKind::EndpointRecovered => format!("endpoint:{subject}"),
        NoticeKind::ClockSkewed | NoticeKind::ClockAgreed => format!("clock:{subject}"),
        NoticeKind::ProxyWithoutOutcome
        | NoticeKind::SplitMismatch
        | NoticeKind::AlarmRaised
        | NoticeKind::AlarmCleared => format!("alarm:{}", alarms.join(", ")),
        kind => format!("{}:{subject}", kind.as_str()),
    }
}

/// The name of an alarm without what it is about (`theatre:errors` is `theatre`).
pub(super) fn alarm_name(key: &str) -> &str {
    key.split(':').next().unwrap_or(key)
}

/// Every kind that a route can name.
pub const KINDS: [NoticeKind; 28] = [
    NoticeKind::VerdictContinue,
    NoticeKind::VerdictChange,
    NoticeKind::VerdictStop,
    NoticeKind::VerdictHold,
    NoticeKind::VerdictRevised,
    NoticeKind::GuardrailTripped,
    NoticeKind::GuardrailBurning,
    NoticeKind::GuardrailRecovered,
    NoticeKind::GuardrailNoData,
    NoticeKind::ProxyWithoutOutcome,
    NoticeKind::SplitMismatch,
    NoticeKind::AlarmRaised,
    NoticeKind::AlarmCleared,
    NoticeKind::DataStale,
    NoticeKind::DataRecovered,
    NoticeKind::SourceDown,
    NoticeKind::SourceRecovered,
    NoticeKind::ActionConfirmed,
    NoticeKind::ActionFailed,
    NoticeKind::FileBroken,
    NoticeKind::EngineFault,
    NoticeKind::EndpointDegraded,
    NoticeKind::EndpointDisabled,
    NoticeKind::EndpointRecovered,
    NoticeKind::DeliveryDropped,
    NoticeKind::ClockSkewed,
    NoticeKind::ClockAgreed,
    NoticeKind::Test,
];

/// Every alarm that a route can name.
pub(super) const ALARMS: [AlarmKind; 15] = [
    AlarmKind::ProxyWithoutOutcome,
    AlarmKind::ProxyDoesNotPredict,
    AlarmKind::Theatre,
    AlarmKind::Srm,
    AlarmKind::DefinitionChanged,
    AlarmKind::Stale,
    AlarmKind::SourceDown,
    AlarmKind::Purgatory,
    AlarmKind::NoKills,
    AlarmKind::NoDeviation,
    AlarmKind::StatusOnly,
    AlarmKind::Toothless,
    AlarmKind::GuardrailNeverEvaluated,
    AlarmKind::OverdueReview,
    AlarmKind::OverdueAudit,
];

/// Every cause with the verdict it belongs to (the verdict table of the product).
pub(super) const CAUSES: [(Cause, &str); 17] = [
    (Cause::Tripped, "stop"),
    (Cause::Harmful, "stop"),
    (Cause::Futile, "stop"),
    (Cause::NoCyclesLeft, "stop"),
    (Cause::PastBy, "stop"),
    (Cause::Mechanism, "change"),
    (Cause::Extend, "change"),
    (Cause::Graduate, "continue"),
    (Cause::KeepRunning, "continue"),
    (Cause::Srm, "hold"),
    (Cause::Imbalance, "hold"),
    (Cause::DefinitionChanged, "hold"),
    (Cause::DataMissing, "hold"),
    (Cause::EngineFault, "hold"),
    (Cause::OnTrack, "collecting"),
    (Cause::CannotBeReached, "collecting"),
    (Cause::WaitingForMaturity, "collecting"),
];
