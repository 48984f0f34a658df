//! What a look says, given what was said before: transitions only, in a fixed order.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Notice, NoticeKind, guardrail_notices};
use crate::analyse::SignalState;
use crate::decide::{AlarmKind, AlarmSeverity, Cause, Verdict};
use crate::ids::notice_id;
use crate::lifecycle::{Life, guardrails_run, schedule};
use crate::observe::{Observation, is_of_source};
use crate::prose::alarm_line;
use crate::record::EvaluationRecord;
use crate::spec::{GuardrailKind, Role, eligible_of};
use crate::time::{DAY_MS, Timestamp, add, ms_between};

/// The key of the alarm that freezes while its signals are missing.
const PROXY_WITHOUT_OUTCOME: &str = "proxy_without_outcome";

/// Alarms that are told when they come and when they go.
const TOLD: [&str; 4] = ["proxy_without_outcome", "srm", "multiple_exposure", "theatre"];

/// What was last said about an experiment; the store keeps it beside the life.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct LastSaid {
    /// The newest final verdict.
    pub verdict: Option<VerdictSaid>,
    /// Alarms that are on, by kind and subject.
    pub alarms: BTreeMap<String, AlarmSaid>,
    /// The hold it is in.
    pub hold: Option<HoldSaid>,
    /// Signals whose missing data were told.
    pub stale: BTreeSet<String>,
    /// Signals that were missing at the newest look for a short while only: not told yet.
    pub silent: BTreeSet<String>,
}

/// A gap that is shorter when it is first seen is told at the second look that sees it: one lost
/// scrape is no news. (What was missing is frozen either way; only the words wait.)
const FLAP_MS: i64 = DAY_MS;

impl LastSaid {
    /// Since when alarms are on, by key: an input of the next look.
    pub fn alarms_since(&self) -> BTreeMap<String, Timestamp> {
        self.alarms.iter().map(|(key, said)| (key.clone(), said.since)).collect()
    }
}

/// A final verdict that was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerdictSaid {
    /// What.
    pub verdict: Verdict,
    /// Which row.
    pub cause: Cause,
    /// Its slot.
    pub at: Timestamp,
    /// Its evaluation.
    pub evaluation: String,
}

/// An alarm that is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlarmSaid {
    /// How sure it was when it was told loudest.
    pub severity: AlarmSeverity,
    /// The first look of this stretch at which it was on.
    pub since: Timestamp,
}

/// A hold that goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldSaid {
    /// Why.
    pub cause: Cause,
    /// The first look of this stretch that was held.
    pub since: Timestamp,
    /// Whether it was told before the checkpoint.
    pub told: bool,
    /// Whether it was told at the checkpoint.
    pub told_at_checkpoint: bool,
}

/// Everything there is to say after a look. `life` is the one before the decision was applied:
/// a run that is over says nothing new, except that an old verdict is revised.
pub fn notices(record: &EvaluationRecord, previous: Option<&LastSaid>, life: Life) -> Vec<Notice> {
    speak(record, previous, life).0
}

/// What has been said once those notices are committed.
pub fn said_after(record: &EvaluationRecord, previous: Option<&LastSaid>, life: Life) -> LastSaid {
    speak(record, previous, life).1
}

fn speak(
    record: &EvaluationRecord,
    previous: Option<&LastSaid>,
    life: Life,
) -> (Vec<Notice>, LastSaid) {
    let mut speaker =
        Speaker { record, said: previous.cloned().unwrap_or_default(), notices: Vec::new() };
    if record.revises.is_some() {
        speaker.revised();
        return (speaker.notices, speaker.said);
    }
    if !guardrails_run(life) {
        return (speaker.notices, speaker.said);
    }
    speaker.verdict();
    // A guardrail's own track saw no signal: only looks speak about data and alarms.
    if !record.track.starts_with("guardrail:") {
        speaker.hold();
        speaker.guardrails();
        speaker.alarms();
        speaker.data();
    }
    (speaker.notices, speaker.said)
}

struct Speaker<'a> {
    record: &'a EvaluationRecord,
    said: LastSaid,
    notices: Vec<Notice>,
}

impl Speaker<'_> {
    fn say(&mut self, kind: NoticeKind, subject: &str, detail: Option<String>) {
        let previous = self.said.verdict.as_ref();
        self.notices.push(Notice {
            id: notice_id(&self.record.id, kind.as_str(), subject),
            kind,
            subject: subject.to_owned(),
            experiment: self.record.input.experiment.id.clone(),
            at: self.record.input.at,
            previous: previous.map(|said| verdict_text(said.verdict, said.cause)),
            detail,
        });
    }

    fn keep_verdict(&mut self) {
        let decision = &self.record.decision;
        self.said.verdict = Some(VerdictSaid {
            verdict: decision.verdict,
            cause: decision.cause,
            at: self.record.input.at,
            evaluation: self.record.id.clone(),
        });
    }

    /// "Late or restated data never flips a sent verdict silently": the old one is named. A
    /// restatement that comes to the same verdict says nothing.
    fn revised(&mut self) {
        let decision = &self.record.decision;
        let Some(said) = &self.said.verdict else {
            return;
        };
        let is_that_one = self.record.revises.as_ref() == Some(&said.evaluation);
        if is_that_one && (said.verdict, said.cause) != (decision.verdict, decision.cause) {
            let now = verdict_text(decision.verdict, decision.cause);
            self.say(NoticeKind::VerdictRevised, "", Some(now));
            self.keep_verdict();
        }
    }

    /// Every final verdict once: the same evaluation is never told again.
    fn verdict(&mut self) {
        let kind = match self.record.decision.verdict {
            Verdict::Continue => NoticeKind::VerdictContinue,
            Verdict::Change => NoticeKind::VerdictChange,
            Verdict::Stop => NoticeKind::VerdictStop,
            Verdict::Hold | Verdict::Collecting => return,
        };
        let told = self.said.verdict.as_ref();
        if told.is_some_and(|said| said.evaluation == self.record.id) {
            return;
        }
        self.say(kind, "", None);
        self.keep_verdict();
    }

    /// A hold is told at the checkpoint at once, before it after `hold_notify_after`, once each.
    fn hold(&mut self) {
        let decision = &self.record.decision;
        if decision.verdict != Verdict::Hold {
            self.said.hold = None;
            return;
        }
        let (at, cause) = (self.record.input.at, decision.cause);
        let same = self.said.hold.filter(|hold| hold.cause == cause);
        let mut hold =
            same.unwrap_or(HoldSaid { cause, since: at, told: false, told_at_checkpoint: false });
        let experiment = &self.record.input.experiment;
        let zone = schedule::zone_of(experiment);
        let due = at >= add(hold.since, experiment.checkpoint.hold_notify_after, &zone);
        let kind = match cause {
            Cause::EngineFault => NoticeKind::EngineFault,
            _ => NoticeKind::VerdictHold,
        };
        if decision.at_checkpoint && !hold.told_at_checkpoint {
            hold.told_at_checkpoint = true;
            self.say(kind, "", None);
        } else if !decision.at_checkpoint && due && !hold.told {
            hold.told = true;
            self.say(kind, "", None);
        }
        self.said.hold = Some(hold);
    }

    /// `no_worse_than` is judged in the look itself, so the look tells its transitions.
    fn guardrails(&mut self) {
        let input = &self.record.input;
        for after in &self.record.guardrails {
            let guardrail = input.experiment.guardrail(&after.name);
            let judged_here =
                guardrail.is_some_and(|one| matches!(one.kind, GuardrailKind::NoWorseThan(_)));
            if judged_here {
                let before = input.guardrails.iter().find(|status| status.name == after.name);
                let id = &self.record.id;
                let told = guardrail_notices(&input.experiment, before, after, input.at, id);
                self.notices.extend(told);
            }
        }
    }

    /// `proxy_without_outcome` when it is new or louder, `srm` and `theatre` when they are new, and
    /// an all-clear for each of them. The others are kept with their since and shown, not sent:
    /// `data`, `hold` and whoever asks the sources speak for them.
    fn alarms(&mut self) {
        let mut on = BTreeMap::new();
        for alarm in &self.record.alarms {
            let key = alarm.key();
            let before = self.said.alarms.get(&key).copied();
            let louder = before.is_none_or(|said| alarm.severity > said.severity);
            let kind = match alarm.kind {
                AlarmKind::ProxyWithoutOutcome => Some(NoticeKind::ProxyWithoutOutcome),
                AlarmKind::Srm => Some(NoticeKind::SplitMismatch),
                AlarmKind::Theatre | AlarmKind::MultipleExposure => Some(NoticeKind::AlarmRaised),
                _ => None,
            };
            if let Some(kind) = kind.filter(|_| louder) {
                let detail = match (kind, alarm.severity) {
                    (NoticeKind::AlarmRaised, _) => alarm_line(alarm),
                    (_, AlarmSeverity::Suspected) => "suspected".to_owned(),
                    (_, AlarmSeverity::Confirmed) => "confirmed".to_owned(),
                };
                self.say(kind, &alarm.subject, Some(detail));
            }
            // The loudest telling of a stretch stands: doubt in between is no reason to tell again.
            let severity = before.map_or(alarm.severity, |said| said.severity.max(alarm.severity));
            let began = alarm.since.unwrap_or(self.record.input.at);
            let since = before.map_or(began, |said| said.since);
            on.insert(key, AlarmSaid { severity, since });
        }
        // Missing data freeze what was known: no all-clear and no second telling after it.
        let frozen = self.said.alarms.iter().filter(|(key, _)| self.is_frozen(key));
        for (key, said) in frozen {
            on.entry(key.clone()).or_insert(*said);
        }
        let before = std::mem::replace(&mut self.said.alarms, on);
        for key in before.keys().filter(|key| is_told(key)) {
            if !self.said.alarms.contains_key(key) {
                self.say(NoticeKind::AlarmCleared, key, None);
            }
        }
    }

    /// Whether what an alarm is about could not be seen at this look.
    fn is_frozen(&self, key: &str) -> bool {
        if let Some(signal) = key.strip_prefix("theatre:") {
            let input = &self.record.input;
            let observed = input.observations.get(signal);
            let eligible = input.beside.get(&eligible_of(signal));
            return !matches!(observed, None | Some(Observation::Ok(_)))
                || eligible.is_some_and(|eligible| eligible.counted().is_none());
        }
        key == PROXY_WITHOUT_OUTCOME && self.is_blind()
    }

    /// Whether a proxy or an outcome could not be seen at this look.
    fn is_blind(&self) -> bool {
        let judged = [Role::Proxy, Role::Outcome];
        let signals = self.record.signals.iter();
        let mut judged = signals.filter(|signal| judged.contains(&signal.role));
        judged.any(|signal| signal.state == SignalState::NoData)
    }

    /// Missing data once, with an all-clear. A source that is down is told once for all its
    /// experiments by whoever asked it, so only empty answers and refused ones are told here. A
    /// short gap waits for a second look, unless a checkpoint needs the data now.
    fn data(&mut self) {
        for (name, observation) in &self.record.input.observations {
            let was_told = self.said.stale.contains(name);
            match observation {
                Observation::NoData { since: Some(since), .. }
                    if !was_told && self.is_flap(name, *since) =>
                {
                    self.said.silent.insert(name.clone());
                }
                Observation::SourceError { class, cause, .. }
                    if !was_told && !is_of_source(class) =>
                {
                    self.say(NoticeKind::DataStale, name, Some(format!("{class}: {cause}")));
                    self.said.stale.insert(name.clone());
                }
                Observation::NoData { why, .. } if !was_told => {
                    self.said.silent.remove(name);
                    self.say(NoticeKind::DataStale, name, Some(why.clone()));
                    self.said.stale.insert(name.clone());
                }
                Observation::NoData { .. } | Observation::SourceError { .. } => {}
                _ if self.said.silent.remove(name) => {}
                _ if was_told => {
                    self.say(NoticeKind::DataRecovered, name, None);
                    self.said.stale.remove(name);
                }
                _ => {}
            }
        }
    }
}

impl Speaker<'_> {
    /// Missing for a short while, seen for the first time, and nothing hangs on it now.
    fn is_flap(&self, signal: &str, since: Timestamp) -> bool {
        let short = ms_between(since, self.record.input.at) < FLAP_MS;
        short && !self.record.decision.at_checkpoint && !self.said.silent.contains(signal)
    }
}

fn is_told(key: &str) -> bool {
    TOLD.iter().any(|told| key.starts_with(told))
}

/// `verdict: cause`, as in payloads.
pub(crate) fn verdict_text(verdict: Verdict, cause: Cause) -> String {
    let word = |value: serde_json::Result<serde_json::Value>| {
        value.ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
    };
    let verdict = word(serde_json::to_value(verdict));
    let cause = word(serde_json::to_value(cause));
    format!("{verdict}: {cause}")
}
