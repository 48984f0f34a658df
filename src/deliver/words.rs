//! What a message says: headline, because, what happens next.
//!
//! Verdicts take their sentences from the judge's prose, which every surface shares; this file
//! adds the sentences of notices that are not verdicts (guardrails, alarms, sources, actions).

use judge::analyse::SignalView;
use judge::decide::{Alarm, AlarmCause, AlarmKind, AlarmSeverity};
use judge::notice::{Notice, NoticeKind};
use judge::prose;
use judge::record::EvaluationRecord;
use judge::spec::Role;

use super::numbers::{change_words, guardrail_line};

/// The three parts of a message, unclipped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Words {
    /// State word, name, one number against its rule.
    pub(super) headline: String,
    /// One sentence.
    pub(super) reason: String,
    /// What happens next, one line each.
    pub(super) next: Vec<String>,
}

/// Words of a notice; total: a notice without its record still says what it knows.
pub(super) fn words(notice: &Notice, record: Option<&EvaluationRecord>) -> Words {
    let said = match (notice.kind, record) {
        (
            NoticeKind::VerdictContinue
            | NoticeKind::VerdictChange
            | NoticeKind::VerdictStop
            | NoticeKind::VerdictHold,
            Some(record),
        ) => verdict(record),
        (NoticeKind::VerdictRevised, Some(record)) => revised(notice, record),
        (
            NoticeKind::GuardrailTripped
            | NoticeKind::GuardrailBurning
            | NoticeKind::GuardrailRecovered
            | NoticeKind::GuardrailNoData,
            Some(record),
        ) => guardrail(notice, record),
        (NoticeKind::ProxyWithoutOutcome | NoticeKind::SplitMismatch, Some(record)) => {
            alarm(notice, record)
        }
        (NoticeKind::AlarmRaised, Some(record)) => match raised(notice, record) {
            // Its detail is the same sentence in one line, for lists.
            Some(said) => return said,
            None => plain_words(notice, Some(record)),
        },
        _ => plain_words(notice, record),
    };
    with_detail(said, notice)
}

/// Free words of the notice follow the reason, unless they are the reason. How sure an alarm is
/// stands in its headline.
fn with_detail(mut said: Words, notice: &Notice) -> Words {
    if matches!(notice.kind, NoticeKind::ProxyWithoutOutcome | NoticeKind::SplitMismatch) {
        return said;
    }
    if let Some(detail) = notice.detail.as_deref().filter(|detail| !said.reason.contains(*detail)) {
        said.reason = joined(&said.reason, detail);
    }
    said
}

/// Two sentences, or one with a semicolon where the second begins like half of one.
fn joined(reason: &str, detail: &str) -> String {
    let detail = detail.trim();
    if detail.is_empty() {
        return reason.to_owned();
    }
    let stop = if detail.ends_with(['.', '!', '?']) { "" } else { "." };
    if reason.is_empty() || !detail.starts_with(|first: char| first.is_lowercase()) {
        format!("{reason} {detail}{stop}").trim_start().to_owned()
    } else {
        format!("{}; {detail}{stop}", reason.trim_end_matches('.'))
    }
}

fn verdict(record: &EvaluationRecord) -> Words {
    Words {
        headline: prose::headline(record),
        reason: prose::because(record),
        next: lines(&prose::what_next(record)),
    }
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

fn revised(notice: &Notice, record: &EvaluationRecord) -> Words {
    let said = verdict(record);
    let previous = notice.previous.as_deref().unwrap_or("an earlier verdict");
    let reason = match prose::revision(record) {
        Some(numbers) => format!("{} {numbers}", said.reason),
        None => format!("Restated data changed \"{previous}\". {}", said.reason),
    };
    Words { headline: format!("REVISED to {}", said.headline), reason, next: said.next }
}

fn guardrail(notice: &Notice, record: &EvaluationRecord) -> Words {
    let experiment = &record.input.experiment;
    let name = &notice.subject;
    let status = record.guardrails.iter().find(|status| status.name == *name);
    let state = match notice.kind {
        NoticeKind::GuardrailTripped => "TRIPPED",
        NoticeKind::GuardrailBurning => "BURNING",
        NoticeKind::GuardrailRecovered => "RECOVERED",
        _ => "NO DATA",
    };
    let seen = status.and_then(|status| Some((status.value?, status.limit?)));
    let headline = match seen {
        Some((value, limit)) => {
            let (value, limit) = prose::Written::of_guardrail(experiment, name).pair(value, limit);
            format!("{state} - {}: {name} {value}, limit {limit}", experiment.id)
        }
        None => format!("{state} - {}: {name}", experiment.id),
    };
    let line = status.map_or_else(String::new, |status| guardrail_line(experiment, status));
    let reason = match notice.kind {
        NoticeKind::GuardrailTripped => {
            format!("Guardrail {name} of \"{}\" is broken: {line}.", experiment.title)
        }
        NoticeKind::GuardrailBurning => {
            format!(
                "Guardrail {name} of \"{}\" spends its budget too fast: {line}.",
                experiment.title
            )
        }
        NoticeKind::GuardrailRecovered => {
            format!(
                "Guardrail {name} of \"{}\" is inside its limit again: {line}.",
                experiment.title
            )
        }
        _ => format!(
            "Guardrail {name} of \"{}\" cannot be evaluated: {line}. Its last state stays.",
            experiment.title
        ),
    };
    Words { headline, reason, next: guardrail_next(notice, record) }
}

fn guardrail_next(notice: &Notice, record: &EvaluationRecord) -> Vec<String> {
    let line = match notice.kind {
        NoticeKind::GuardrailBurning => {
            "Nothing is stopped yet: somebody should look while there is budget left."
        }
        NoticeKind::GuardrailNoData => {
            "Somebody should look at its source; it is judged again with the first data."
        }
        NoticeKind::GuardrailRecovered => "Nothing to do: it is watched as before.",
        _ => "",
    };
    if !line.is_empty() {
        return vec![line.to_owned()];
    }
    let rollback = &record.input.experiment.rollback;
    let stops = record
        .guardrails
        .iter()
        .any(|status| status.name == notice.subject && status.on_trip == judge::spec::OnTrip::Stop);
    match (&rollback.action, &rollback.plan) {
        (Some(action), _) if stops => {
            vec![format!("Rollback action {action} is requested; its result will be told.")]
        }
        (_, Some(plan)) if plan.contains("://") => {
            vec!["A person must act; the rollback plan is among the links.".to_owned()]
        }
        (_, Some(plan)) => vec![format!("A person must act. Rollback plan: {plan}")],
        _ => vec!["There is no rollback action: a person must act.".to_owned()],
    }
}

fn alarm(notice: &Notice, record: &EvaluationRecord) -> Words {
    let wanted = match notice.kind {
        NoticeKind::SplitMismatch => AlarmKind::Srm,
        _ => AlarmKind::ProxyWithoutOutcome,
    };
    let mut on = record.alarms.iter().filter(|alarm| alarm.kind == wanted);
    let found = on.clone().find(|alarm| alarm.subject == notice.subject).or_else(|| on.next());
    let experiment = &record.input.experiment;
    let (word, what) = match wanted {
        AlarmKind::Srm => ("SPLIT", "the observed split differs from the planned one"),
        _ => ("ALARM", "the proxy moved and no outcome did"),
    };
    let sure = match found.map(|alarm| alarm.severity) {
        Some(AlarmSeverity::Suspected) => " (suspected)",
        Some(AlarmSeverity::Confirmed) => " (confirmed)",
        None => "",
    };
    let because = match found {
        Some(alarm) if wanted == AlarmKind::Srm => Some(prose::alarm_sentence(alarm)),
        Some(alarm) => proxy_words(alarm, record),
        None => None,
    };
    let because = because.unwrap_or_else(|| what.to_owned());
    Words {
        headline: format!("{word} - {}: {what}{sure}", experiment.id),
        reason: format!("In \"{}\", {because}.", experiment.title),
        next: found.map(clears).unwrap_or_default(),
    }
}

/// `action_x_24h moved +20.0 % (...) and no outcome did: activation_14d +0.2 pts (...)`.
fn proxy_words(alarm: &Alarm, record: &EvaluationRecord) -> Option<String> {
    let signals = &record.signals;
    let proxy = signals.iter().find(|view| view.name == alarm.subject)?;
    let proxy = format!("{} moved {}", proxy.name, change_words(proxy)?);
    let outcome = |view: &SignalView| Some(format!("{} {}", view.name, change_words(view)?));
    let outcomes = signals.iter().filter(|view| view.role == Role::Outcome);
    let outcomes: Vec<String> = outcomes.filter_map(outcome).collect();
    let colon = if outcomes.is_empty() { "" } else { ": " };
    Some(format!("{proxy} and no outcome did{colon}{}", outcomes.join(", ")))
}

fn clears(alarm: &Alarm) -> Vec<String> {
    let mut next = Vec::new();
    if let Some(at) = alarm.knowable_at {
        next.push(format!("Knowable at {}.", day(at)));
    }
    if !alarm.clears.is_empty() {
        next.push(format!("It clears with this: {}.", alarm.clears.trim_end_matches('.')));
    }
    next
}

/// An instant to the minute, in UTC.
pub(super) fn day(at: judge::time::Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// Notices that are not about one verdict, guardrail or alarm.
fn plain_words(notice: &Notice, record: Option<&EvaluationRecord>) -> Words {
    let subject = &notice.subject;
    let about = record.map_or(notice.experiment.as_str(), |it| it.input.experiment.id.as_str());
    let (word, what) = match notice.kind {
        NoticeKind::DataStale => ("NO DATA", format!("data of {subject} went missing")),
        NoticeKind::DataRecovered => ("DATA BACK", format!("data of {subject} are back")),
        NoticeKind::SourceDown => ("SOURCE DOWN", format!("source {subject} does not answer")),
        NoticeKind::SourceRecovered => ("SOURCE BACK", format!("source {subject} answers again")),
        NoticeKind::ActionConfirmed => ("ROLLED BACK", format!("action {subject} is confirmed")),
        NoticeKind::ActionFailed => {
            ("ROLLBACK UNCONFIRMED", format!("action {subject} is not confirmed"))
        }
        NoticeKind::FileBroken => {
            ("FILE REFUSED", format!("{subject} has errors; the last good revision stays"))
        }
        NoticeKind::EngineFault => ("FAULT", "the judge failed on this experiment".to_owned()),
        NoticeKind::EndpointDegraded => {
            ("RECEIVER FAILS", format!("{subject} failed several times in a row"))
        }
        NoticeKind::EndpointDisabled => {
            ("RECEIVER OFF", format!("nothing more is sent to {subject}"))
        }
        NoticeKind::EndpointRecovered => {
            ("RECEIVER BACK", format!("{subject} takes messages again"))
        }
        NoticeKind::DeliveryDropped => {
            ("MESSAGES UNSENT", format!("messages to {subject} were given up unsent"))
        }
        NoticeKind::ClockSkewed => {
            ("CLOCK", format!("the clock of {subject} and ours differ by more than 2 minutes"))
        }
        NoticeKind::ClockAgreed => {
            ("CLOCK AGREES", format!("the clock of {subject} and ours agree again"))
        }
        NoticeKind::Test => ("TEST", "this is a test send; nothing happened".to_owned()),
        NoticeKind::VerdictContinue => ("CONTINUE", String::new()),
        NoticeKind::VerdictChange => ("CHANGE", String::new()),
        NoticeKind::VerdictStop => ("STOP", String::new()),
        NoticeKind::VerdictHold => ("HOLD", String::new()),
        NoticeKind::VerdictRevised => ("REVISED", String::new()),
        NoticeKind::GuardrailTripped => ("TRIPPED", format!("guardrail {subject}")),
        NoticeKind::GuardrailBurning => ("BURNING", format!("guardrail {subject}")),
        NoticeKind::GuardrailRecovered => ("RECOVERED", format!("guardrail {subject}")),
        NoticeKind::GuardrailNoData => ("NO DATA", format!("guardrail {subject}")),
        NoticeKind::ProxyWithoutOutcome => ("ALARM", "a proxy moved, no outcome did".to_owned()),
        NoticeKind::SplitMismatch => ("SPLIT", "the split differs from the plan".to_owned()),
        NoticeKind::AlarmRaised => ("ALARM", alarm_words(subject)),
        NoticeKind::AlarmCleared => ("ALL CLEAR", format!("{} is over", alarm_words(subject))),
    };
    let parts = [about, what.as_str()];
    let said: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    let is_action = matches!(notice.kind, NoticeKind::ActionConfirmed | NoticeKind::ActionFailed);
    let reason = match (what.is_empty() || is_action, notice.detail.as_deref()) {
        (true, Some(detail)) => joined("", detail),
        (true, None) if !is_action => format!("{word} {about}."),
        // A name keeps its letters.
        _ if !subject.is_empty() && what.starts_with(subject.as_str()) => format!("{what}."),
        _ => sentence(&what, subject),
    };
    Words {
        headline: format!("{word} - {}", said.join(": ")),
        reason,
        next: plain_next(notice.kind),
    }
}

/// The key of an alarm as words.
fn alarm_words(key: &str) -> String {
    match key.strip_prefix("srm") {
        Some("") => "split mismatch".to_owned(),
        Some(of) if of.starts_with(':') => format!("split mismatch of {}", &of[1..]),
        _ => key.replace(['_', '.'], " ").replace(':', ": "),
    }
}

/// An alarm that a look raised, as its record has it.
fn raised(notice: &Notice, record: &EvaluationRecord) -> Option<Words> {
    let told = [AlarmKind::Theatre, AlarmKind::MultipleExposure];
    let mut alarms = record.alarms.iter().filter(|alarm| told.contains(&alarm.kind));
    let alarm = alarms.find(|alarm| alarm.subject == notice.subject)?;
    let experiment = &record.input.experiment;
    let what = match (alarm.kind, alarm.cause) {
        (AlarmKind::Theatre, Some(AlarmCause::EmptyWin)) => {
            format!("{} got better by less than what matters", alarm.subject)
        }
        (AlarmKind::Theatre, _) => format!("{} got better for the wrong reason", alarm.subject),
        _ => "too many units saw more than one arm".to_owned(),
    };
    Some(Words {
        headline: format!("ALARM - {}: {what}", experiment.id),
        reason: format!("In \"{}\", {}.", experiment.title, prose::alarm_sentence(alarm)),
        next: clears(alarm),
    })
}

/// With a capital and a full stop; a name at the beginning keeps its letters.
fn sentence(text: &str, name: &str) -> String {
    if !name.is_empty() && text.starts_with(name) {
        return format!("{text}.");
    }
    let mut chars = text.chars();
    chars
        .next()
        .map_or_else(String::new, |first| format!("{}{}.", first.to_uppercase(), chars.as_str()))
}

fn plain_next(kind: NoticeKind) -> Vec<String> {
    let line = match kind {
        NoticeKind::DataStale | NoticeKind::SourceDown => {
            "States are frozen, nothing is decided from missing data; an all-clear follows."
        }
        NoticeKind::DataRecovered | NoticeKind::SourceRecovered => {
            "Nothing to do: looks go on with the data that came."
        }
        NoticeKind::EngineFault => "It is tried again at the next look.",
        NoticeKind::EndpointRecovered => "Nothing to do: what waited is sent now.",
        NoticeKind::AlarmCleared | NoticeKind::ClockAgreed => "Nothing to do.",
        NoticeKind::ActionConfirmed => "The flag stays as it is until a person turns it on again.",
        NoticeKind::ActionFailed => "A person must check the flag now; verdictd goes on trying.",
        NoticeKind::FileBroken => "Run `verdictd check` on the file.",
        NoticeKind::EndpointDegraded => {
            "It is probed with one message at a time; the others wait and lose no attempt."
        }
        NoticeKind::EndpointDisabled => {
            "What is queued waits. Put it right, then run `verdictd endpoints enable NAME` or \
             change its settings."
        }
        NoticeKind::DeliveryDropped => {
            "`verdictd deliveries --state dead` lists them, `verdictd deliveries resend` sends \
             them again."
        }
        NoticeKind::ClockSkewed => {
            "Check the time synchronisation of both: receivers refuse signatures older than \
             5 minutes."
        }
        _ => return Vec::new(),
    };
    vec![line.to_owned()]
}
