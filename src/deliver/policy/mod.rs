//! Who hears what, when: routes, silences, digests and quiet hours, as one pure decision.
//!
//! [`decide`] is asked for every notice before its rows are made, and every answer carries its
//! reason, which the row keeps: "why was I not told" is a question to the outbox. The order is
//! fixed: a tripwire is always sent; then silences, then digests, then quiet hours. Quiet hours
//! queue, they never drop.

pub mod again;
pub mod digest;
mod facts;
mod hours;
pub mod links;
mod lint;
mod matcher;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};

use judge::notice::NoticeKind;
use judge::time::Timestamp;

use crate::store::SilenceRow;

pub use facts::{Facts, KINDS, People, Severity, severity};
pub use hours::{Day, DigestHours, QuietHours};
pub use lint::unreachable_routes;
pub use matcher::{Matcher, causes};

/// A rule that adds receivers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Route {
    /// How answers name it.
    pub name: String,
    /// Which notices.
    pub matcher: Matcher,
    /// Who hears them.
    pub to: Vec<String>,
    /// Whether later routes are asked as well.
    pub goes_on: bool,
    /// Whether these receivers take the place of the experiment's own.
    pub only: bool,
    /// Quiet hours of this route.
    pub quiet: Option<String>,
}

/// A daily message in the place of many.
#[derive(Debug, Clone, PartialEq)]
pub struct Digest {
    /// Its one receiver.
    pub to: String,
    /// Which notices it takes.
    pub matcher: Matcher,
    /// When.
    pub hours: DigestHours,
    /// Whether it is sent with nothing new in it.
    pub empty: bool,
}

/// Quiet hours and whose they are.
#[derive(Debug, Clone, PartialEq)]
pub struct Quiet {
    /// When.
    pub hours: QuietHours,
    /// Receivers that have them whichever way a message comes.
    pub receivers: Vec<String>,
}

/// Everything that is configured.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Policy {
    /// In order of the file.
    pub routes: Vec<Route>,
    /// By name.
    pub quiet: BTreeMap<String, Quiet>,
    /// By name.
    pub digests: BTreeMap<String, Digest>,
}

/// A silence in force.
#[derive(Debug, Clone, PartialEq)]
pub struct Silence {
    /// Its id.
    pub id: String,
    /// What it means.
    pub matcher: Matcher,
    /// When it ends (wall time).
    pub ends_at: Timestamp,
    /// Who made it and why, for the reason of what it holds back.
    pub why: String,
}

/// Stored silences as the policy reads them; one that cannot be read holds nothing back.
pub fn silences(rows: &[SilenceRow]) -> Vec<Silence> {
    let read = |row: &SilenceRow| {
        let matcher = serde_json::from_str(&row.matcher_json).ok()?;
        let why = format!("{} ({})", row.reason, row.author);
        Some(Silence { id: row.id.clone(), matcher, ends_at: row.over_at(), why })
    };
    rows.iter().filter_map(read).collect()
}

/// What is in force beside the settings: silences, and whose the experiments are.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Standing {
    /// Silences that have not ended.
    pub silences: Vec<Silence>,
    /// Owners and labels by experiment.
    pub people: BTreeMap<String, People>,
}

/// The newest [`Standing`], shared by all who tell something.
#[derive(Debug, Clone, Default)]
pub struct Shared(Arc<RwLock<Arc<Standing>>>);

impl Shared {
    /// What is in force now.
    pub fn get(&self) -> Arc<Standing> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts what was read in force.
    pub fn put(&self, standing: Standing) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(standing);
    }
}

/// What becomes of a notice at one receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// Sent at once.
    Send,
    /// Sent when quiet hours end.
    Queue {
        /// Their end.
        until: Timestamp,
    },
    /// Part of the digest of that name.
    Digest(String),
    /// Held back by the silence with that id.
    Silenced(String),
    /// Nobody is named.
    NotRouted,
}

/// One receiver's share of a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ruling {
    /// Who; empty where nobody is.
    pub receiver: String,
    /// What.
    pub fate: Fate,
    /// Why, as a sentence.
    pub reason: String,
}

/// What a decision stands on.
#[derive(Debug, Clone, Copy)]
pub struct Ground<'a> {
    /// Configured.
    pub policy: &'a Policy,
    /// In force.
    pub standing: &'a Standing,
    /// The experiment's own receivers; of notices about delivery itself, whoever looks after it.
    pub notify: &'a [String],
    /// Receivers of operational notices.
    pub operators: &'a [String],
    /// Receivers that exist.
    pub receivers: &'a BTreeSet<String>,
    /// Wall time.
    pub now: Timestamp,
}

/// How a receiver came to be named.
#[derive(Debug, Default)]
struct Heard {
    because: Vec<String>,
    /// The quiet hours of each way; a way without any is always open.
    quiet: Vec<Option<String>>,
}

/// Who hears a notice, when, and why: one ruling per receiver in order of name, or one that says
/// that nobody does.
pub fn decide(facts: &Facts, ground: Ground<'_>) -> Vec<Ruling> {
    let heard = receivers(facts, ground);
    if heard.is_empty() {
        return vec![Ruling {
            receiver: String::new(),
            fate: Fate::NotRouted,
            reason: not_routed(facts, ground),
        }];
    }
    let rule = |(receiver, heard): (String, Heard)| {
        let (fate, held) = fate(facts, &receiver, &heard, ground);
        let mut reason = heard.because.join("; ");
        if let Some(held) = held {
            reason = format!("{reason}; {held}");
        }
        Ruling { receiver, fate, reason }
    };
    heard.into_iter().map(rule).collect()
}

/// Everybody who is named, with the ways that lead there.
fn receivers(facts: &Facts, ground: Ground<'_>) -> BTreeMap<String, Heard> {
    let mut heard: BTreeMap<String, Heard> = BTreeMap::new();
    let mut add = |names: &[String], because: &str, quiet: Option<&String>| {
        for name in names.iter().filter(|name| ground.receivers.contains(*name)) {
            let way = heard.entry(name.clone()).or_default();
            if !way.because.iter().any(|known| known == because) {
                way.because.push(because.to_owned());
                way.quiet.push(quiet.cloned());
            }
        }
    };
    let routes = taken(facts, ground.policy);
    let is_replaced = routes.iter().any(|route| route.only);
    let is_operational = is_operational(facts.kind) && !ground.operators.is_empty();
    if facts.is_tripwire() {
        add(ground.notify, "`notify` of the experiment", None);
        add(ground.operators, "operators hear every tripwire", None);
    } else if !is_replaced && is_operational {
        add(ground.operators, "operators", None);
    } else if !is_replaced && facts.kind.is_about_delivery() {
        add(ground.notify, "`delivery.fallback`, else the operators", None);
    } else if !is_replaced {
        add(ground.notify, "`notify` of the experiment", None);
    }
    for route in routes {
        add(&route.to, &format!("route `{}`", route.name), route.quiet.as_ref());
    }
    heard
}

/// Routes that take a notice: the first that matches, and those after it while they go on.
fn taken<'a>(facts: &Facts, policy: &'a Policy) -> Vec<&'a Route> {
    let mut routes = Vec::new();
    if facts.kind == NoticeKind::Test {
        return routes;
    }
    for route in policy.routes.iter().filter(|route| route.matcher.means(facts)) {
        routes.push(route);
        if !route.goes_on {
            break;
        }
    }
    routes
}

/// Notices that are about the machine, not about an experiment's verdict.
fn is_operational(kind: NoticeKind) -> bool {
    matches!(
        kind,
        NoticeKind::SourceDown
            | NoticeKind::SourceRecovered
            | NoticeKind::FileBroken
            | NoticeKind::EngineFault
    )
}

fn not_routed(facts: &Facts, ground: Ground<'_>) -> String {
    let named = ground.notify.iter().filter(|name| !ground.receivers.contains(*name));
    let unknown: Vec<_> = named.cloned().collect();
    if !unknown.is_empty() {
        return format!("`notify` names receivers that do not exist: {}", unknown.join(", "));
    }
    let only = taken(facts, ground.policy).into_iter().find(|route| route.only);
    match only {
        Some(route) => format!("route `{}` replaces `notify` and names nobody", route.name),
        None if facts.kind.is_about_delivery() => {
            "neither `delivery.fallback` nor `daemon.operators` names anybody, and no route matches"
                .to_owned()
        }
        None => "`notify` names nobody and no route matches".to_owned(),
    }
}

/// What becomes of it at a receiver that is named, and the rule that holds it back.
fn fate(
    facts: &Facts,
    receiver: &str,
    heard: &Heard,
    ground: Ground<'_>,
) -> (Fate, Option<String>) {
    let Ground { policy, standing, now, .. } = ground;
    if facts.kind == NoticeKind::Test {
        return (Fate::Send, None);
    }
    if facts.is_tripwire() {
        let held = standing.silences.iter().any(|it| now < it.ends_at && it.matcher.covers(facts))
            || quiet_until(receiver, heard, policy, now).is_some();
        let words = "a tripwire is never held back".to_owned();
        return (Fate::Send, held.then_some(words));
    }
    let silence = standing.silences.iter().find(|it| now < it.ends_at && it.matcher.covers(facts));
    if let Some(silence) = silence {
        let held = format!("silence {} until {}: {}", silence.id, silence.ends_at, silence.why);
        return (Fate::Silenced(silence.id.clone()), Some(held));
    }
    if facts.severity <= Severity::Normal {
        let digests = policy.digests.iter();
        let digests = digests.filter(|(_, it)| it.to == receiver && it.matcher.means(facts));
        // Of several the one that is due first.
        let due = |digest: &Digest| digest.hours.next(now).unwrap_or(Timestamp::MAX);
        if let Some((name, digest)) = digests.min_by_key(|(_, digest)| due(digest)) {
            let due = digest.hours.next(now).map_or_else(String::new, |at| format!(" at {at}"));
            return (Fate::Digest(name.clone()), Some(format!("digest `{name}`{due}")));
        }
    }
    match quiet_until(receiver, heard, policy, now) {
        Some((name, until)) => {
            (Fate::Queue { until }, Some(format!("quiet hours `{name}` until {until}")))
        }
        None => (Fate::Send, None),
    }
}

/// Rules that may hand a message to each other before it is sent all the same.
const MOST_TURNS: usize = 400;

/// The first instant at which no quiet hours of the receiver itself hold and at least one way to
/// it is open, with the rule that ended last; `None` where that is now. Of several routes the one
/// whose quiet hours end first is taken: who is named twice is told once, and then.
fn quiet_until(
    receiver: &str,
    heard: &Heard,
    policy: &Policy,
    now: Timestamp,
) -> Option<(String, Timestamp)> {
    let own = policy.quiet.iter().filter(|(_, it)| it.receivers.iter().any(|one| one == receiver));
    let own: Vec<&String> = own.map(|(name, _)| name).collect();
    let mut found: Option<(String, Timestamp)> = None;
    for _ in 0..MOST_TURNS {
        let at = found.as_ref().map_or(now, |(_, until)| *until);
        let end = |name: &String| {
            let until = policy.quiet.get(name)?.hours.until(at)?;
            Some((name.clone(), until))
        };
        let by_own = own.iter().filter_map(|name| end(name)).max_by_key(|(_, until)| *until);
        // A way without quiet hours, or outside of them, is open.
        let ways = heard.quiet.iter().map(|way| way.as_ref().and_then(end));
        let ways: Option<Vec<_>> = ways.collect();
        let by_way = ways.unwrap_or_default().into_iter().min_by_key(|(_, until)| *until);
        match by_own.or(by_way) {
            Some(later) => found = Some(later),
            None => break,
        }
    }
    found
}
