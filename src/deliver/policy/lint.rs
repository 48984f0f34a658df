//! Routes that can never match: found by trying everything that can be said, not by guessing.

use std::collections::BTreeMap;

use judge::decide::{AlarmKind, Cause};
use judge::notice::NoticeKind;

use super::facts::{ALARMS, CAUSES, Facts, KINDS, People, is_verdict, severity};
use super::matcher::{Matcher, cause_word, glob};
use super::{Policy, Route};

/// Routes that no message can reach, one sentence each; `experiments` are the known ones, empty
/// where none are known.
pub fn unreachable_routes(policy: &Policy, experiments: &BTreeMap<String, People>) -> Vec<String> {
    let mut found = Vec::new();
    for (index, route) in policy.routes.iter().enumerate() {
        let earlier = policy.routes.iter().take(index);
        let mut earlier = earlier.filter(|one| !one.goes_on);
        if let Some(shadow) = earlier.find(|one| takes_all_of(&one.matcher, &route.matcher)) {
            found.push(format!(
                "route `{}` can never match: route `{}` before it takes all of it; set `continue \
                 = true` there or put this one first",
                route.name, shadow.name
            ));
        } else if !can_be_said(&route.matcher) {
            found.push(format!(
                "route `{}` can never match: nothing that is said is {}",
                route.name,
                route.matcher.words()
            ));
        } else if !experiments.is_empty() && !is_anybodys(route, experiments) {
            found.push(format!(
                "route `{}` matches no experiment that is known: {}",
                route.name,
                route.matcher.words()
            ));
        }
    }
    found
}

/// Whether an earlier matcher surely means everything that a later one means.
fn takes_all_of(earlier: &Matcher, later: &Matcher) -> bool {
    let pattern = |a: Option<&String>, b: Option<&String>| match (a, b) {
        (None, _) => true,
        (Some(a), Some(b)) => a == b || a == "*" || (!b.contains(['*', '?']) && glob(a, b)),
        (Some(_), None) => false,
    };
    let words = |a: &[String], b: &[String]| {
        a.is_empty()
            || (!b.is_empty() && b.iter().all(|one| a.iter().any(|a| a == one || glob(a, one))))
    };
    let label = |(key, value): (&String, &String)| pattern(Some(value), later.labels.get(key));
    pattern(earlier.experiment.as_ref(), later.experiment.as_ref())
        && pattern(earlier.owner.as_ref(), later.owner.as_ref())
        && earlier.labels.iter().all(label)
        && words(&earlier.verdict, &later.verdict)
        && words(&earlier.cause, &later.cause)
        && words(&earlier.kind, &later.kind)
        && words(&earlier.alarm, &later.alarm)
        && (earlier.severity.is_empty()
            || (!later.severity.is_empty()
                && later.severity.iter().all(|one| earlier.severity.contains(one))))
}

/// Whether any notice there can be is meant, whoever's it is.
fn can_be_said(matcher: &Matcher) -> bool {
    let mut open = matcher.clone();
    (open.experiment, open.owner, open.topic) = (None, None, None);
    open.labels.clear();
    KINDS.into_iter().flat_map(sayings).any(|facts| open.means(&facts))
}

/// Every form that a kind can take.
fn sayings(kind: NoticeKind) -> Vec<Facts> {
    let facts = |cause: Option<Cause>, verdict: Option<&str>, alarm: Option<AlarmKind>, doubt| {
        let cause = cause.map(cause_word);
        let alarms = alarm.map(|alarm| alarm.as_str().to_owned());
        Facts {
            kind,
            experiment: "any".to_owned(),
            people: People::default(),
            verdict: verdict.map(str::to_owned),
            severity: severity(kind, cause.as_deref(), doubt),
            cause,
            alarms: alarms.into_iter().collect(),
            topic: String::new(),
        }
    };
    let alarm = match kind {
        NoticeKind::ProxyWithoutOutcome => Some(AlarmKind::ProxyWithoutOutcome),
        NoticeKind::SplitMismatch => Some(AlarmKind::Srm),
        NoticeKind::SourceDown | NoticeKind::SourceRecovered => Some(AlarmKind::SourceDown),
        NoticeKind::DataStale | NoticeKind::DataRecovered => Some(AlarmKind::Stale),
        _ => None,
    };
    if is_verdict(kind) {
        let word = kind.as_str().rsplit('.').next().unwrap_or_default();
        let own = CAUSES.iter().filter(|(_, verdict)| {
            *verdict == word || (kind == NoticeKind::VerdictRevised && *verdict != "hold")
        });
        return own
            .map(|(cause, verdict)| facts(Some(*cause), Some(verdict), None, false))
            .collect();
    }
    if matches!(kind, NoticeKind::AlarmRaised | NoticeKind::AlarmCleared) {
        return ALARMS.iter().map(|alarm| facts(None, None, Some(*alarm), false)).collect();
    }
    vec![facts(None, None, alarm, false), facts(None, None, alarm, true)]
}

fn is_anybodys(route: &Route, experiments: &BTreeMap<String, People>) -> bool {
    let matcher = &route.matcher;
    if matcher.experiment.is_none() && matcher.owner.is_none() && matcher.labels.is_empty() {
        return true;
    }
    let whose = Matcher {
        experiment: matcher.experiment.clone(),
        owner: matcher.owner.clone(),
        labels: matcher.labels.clone(),
        ..Matcher::default()
    };
    experiments.iter().any(|(id, people)| {
        whose.means(&Facts {
            kind: NoticeKind::Test,
            experiment: id.clone(),
            people: people.clone(),
            verdict: None,
            cause: None,
            alarms: Vec::new(),
            severity: severity(NoticeKind::Test, None, false),
            topic: String::new(),
        })
    })
}
