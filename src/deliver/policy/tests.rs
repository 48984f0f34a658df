//! The policy as tables: who hears what, when, and why.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::{date, time};
use jiff::tz::TimeZone;
use judge::notice::NoticeKind as Kind;
use judge::time::{Timestamp, add_ms};

use super::facts::{CAUSES, KINDS};
use super::matcher::glob;
use super::*;
use crate::deliver::payload::{Links, generic};
use crate::deliver::sample_notices;

/// A Wednesday afternoon.
const NOW: &str = "2026-11-25T15:00:00Z";
const HOUR_MS: i64 = 3_600_000;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A notice of an experiment of the growth team.
fn facts(kind: Kind, cause: Option<&str>) -> Facts {
    let verdict = kind.as_str().strip_prefix("experiment.verdict.");
    Facts {
        kind,
        experiment: "checkout-copy".to_owned(),
        people: People {
            owner: "Growth lead".to_owned(),
            contact: "#growth".to_owned(),
            labels: [("team".to_owned(), "growth".to_owned())].into(),
        },
        verdict: verdict.map(str::to_owned),
        cause: cause.map(str::to_owned),
        alarms: Vec::new(),
        severity: severity(kind, cause, false),
        topic: "verdict".to_owned(),
    }
}

fn change() -> Facts {
    facts(Kind::VerdictChange, Some("mechanism"))
}

fn route(name: &str, matcher: serde_json::Value, to: &[&str]) -> Route {
    Route {
        name: name.to_owned(),
        matcher: serde_json::from_value(matcher).unwrap(),
        to: names(to),
        ..Route::default()
    }
}

fn goes_on(route: Route) -> Route {
    Route { goes_on: true, ..route }
}

fn only(route: Route) -> Route {
    Route { only: true, ..route }
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// `notify: [own]`, operators `ops`, and the receivers of the tests.
fn rulings(facts: &Facts, policy: &Policy, silences: &[Silence], now: Timestamp) -> Vec<Ruling> {
    let known: BTreeSet<String> =
        names(&["own", "ops", "chat", "mail", "tickets"]).into_iter().collect();
    let standing = Standing { silences: silences.to_vec(), people: BTreeMap::new() };
    decide(
        facts,
        Ground {
            policy,
            standing: &standing,
            notify: &names(&["own"]),
            operators: &names(&["ops"]),
            receivers: &known,
            now,
        },
    )
}

fn heard(facts: &Facts, routes: &[Route]) -> Vec<String> {
    let policy = Policy { routes: routes.to_vec(), ..Policy::default() };
    let said = rulings(facts, &policy, &[], at(NOW));
    said.into_iter().map(|ruling| ruling.receiver).collect()
}

#[test]
fn routes_are_asked_in_order_and_the_first_ends_it_unless_it_goes_on() {
    let any = serde_json::json!({});
    let growth = serde_json::json!({"labels": {"team": "growth"}});
    let sales = serde_json::json!({"labels": {"team": "sales"}});
    let loud = serde_json::json!({"severity": ["high", "page"]});
    for (routes, wanted) in [
        (vec![], vec!["own"]),
        (vec![route("a", any.clone(), &["chat"])], vec!["chat", "own"]),
        (
            vec![route("a", growth.clone(), &["chat"]), route("b", any.clone(), &["mail"])],
            vec!["chat", "own"],
        ),
        (
            vec![
                goes_on(route("a", growth.clone(), &["chat"])),
                route("b", any.clone(), &["mail"]),
            ],
            vec!["chat", "mail", "own"],
        ),
        (
            vec![
                goes_on(route("a", growth.clone(), &["chat"])),
                route("b", sales.clone(), &["tickets"]),
                route("c", loud.clone(), &["mail"]),
                route("d", any.clone(), &["ops"]),
            ],
            vec!["chat", "mail", "own"],
        ),
        (vec![only(route("a", growth.clone(), &["chat"]))], vec!["chat"]),
        (vec![only(route("a", sales.clone(), &["chat"]))], vec!["own"]),
        (
            vec![goes_on(only(route("a", growth, &["chat"]))), route("b", loud, &["chat", "mail"])],
            vec!["chat", "mail"],
        ),
        (vec![only(route("a", any, &[]))], vec![""]),
        (vec![route("a", sales, &["chat", "nobody"])], vec!["own"]),
    ] {
        assert_eq!(heard(&change(), &routes), wanted, "{routes:?}");
    }
}

#[test]
fn matchers_mean_what_they_say() {
    let tripped = facts(Kind::VerdictStop, Some("tripped"));
    let mut two = facts(Kind::AlarmRaised, None);
    two.alarms = names(&["overdue_review", "theatre:errors"]);
    let mut nobodys = facts(Kind::SourceDown, None);
    nobodys.experiment = String::new();
    let change = change();
    for (matcher, facts, wanted) in [
        (serde_json::json!({"experiment": "checkout-*"}), &change, true),
        (serde_json::json!({"experiment": "checkout"}), &change, false),
        (serde_json::json!({"experiment": "*"}), &nobodys, false),
        (serde_json::json!({"owner": "growth*"}), &change, false),
        (serde_json::json!({"owner": "Growth*"}), &change, true),
        (serde_json::json!({"owner": "#growth"}), &change, true),
        (serde_json::json!({"labels": {"team": "g*"}}), &change, true),
        (serde_json::json!({"labels": {"team": "growth", "x": "*"}}), &change, false),
        (serde_json::json!({"verdict": ["stop", "change"]}), &change, true),
        (serde_json::json!({"verdict": ["stop"]}), &change, false),
        (serde_json::json!({"verdict": ["stop"]}), &two, false),
        (serde_json::json!({"cause": ["tripped"]}), &tripped, true),
        (serde_json::json!({"kind": ["experiment.verdict.*"]}), &tripped, true),
        (serde_json::json!({"kind": ["guardrail.*", "alarm.raised"]}), &two, true),
        (serde_json::json!({"alarm": ["theatre"]}), &two, true),
        (serde_json::json!({"alarm": ["thrash.*"]}), &two, false),
        (serde_json::json!({"severity": ["page"]}), &tripped, true),
        (serde_json::json!({"severity": ["low", "normal"]}), &tripped, false),
        (serde_json::json!({"verdict": ["stop"], "labels": {"team": "sales"}}), &tripped, false),
    ] {
        let read: Matcher = serde_json::from_value(matcher.clone()).unwrap();
        assert_eq!(read.means(facts), wanted, "{matcher} {:?}", facts.kind);
        assert_eq!(read.faults(), Vec::<String>::new(), "{matcher}");
    }
    let half: Matcher = serde_json::from_value(serde_json::json!({"alarm": ["theatre"]})).unwrap();
    assert!(!half.covers(&two), "a silence must not hide an alarm that it does not name");
    let both = serde_json::json!({"alarm": ["theatre", "overdue_*"]});
    assert!(serde_json::from_value::<Matcher>(both).unwrap().covers(&two));
    for (pattern, text, wanted) in [
        ("", "", true),
        ("*", "", true),
        ("a*c*e", "abcde", true),
        ("a*c*e", "abcd", false),
        ("?b", "ab", true),
        ("?", "", false),
        ("*a", "aaab", false),
        ("**a", "aaaa", true),
    ] {
        assert_eq!(glob(pattern, text), wanted, "{pattern} on {text}");
    }
}

fn silence(matcher: serde_json::Value) -> Silence {
    Silence {
        id: "sil_1".to_owned(),
        matcher: serde_json::from_value(matcher).unwrap(),
        ends_at: add_ms(at(NOW), HOUR_MS),
        why: "moving house (ana)".to_owned(),
    }
}

/// Every night from 14:00 UTC on, so that NOW is inside.
fn always_quiet() -> BTreeMap<String, Quiet> {
    let hours = QuietHours {
        zone: TimeZone::UTC,
        days: Vec::new(),
        from: time(14, 0, 0, 0),
        to: time(8, 0, 0, 0),
        holidays: Vec::new(),
    };
    let receivers = names(&["own", "ops", "chat"]);
    [("nights".to_owned(), Quiet { hours, receivers })].into()
}

fn digests() -> BTreeMap<String, Digest> {
    let hours = DigestHours { zone: TimeZone::UTC, days: Vec::new(), at: time(9, 0, 0, 0) };
    let matcher = Matcher::default();
    [("own".to_owned(), Digest { to: "own".to_owned(), matcher, hours, empty: false })].into()
}

#[test]
fn nothing_holds_a_tripwire_back_or_takes_a_receiver_from_it() {
    let policy = Policy {
        routes: vec![only(route("away", serde_json::json!({}), &["chat"]))],
        quiet: always_quiet(),
        digests: digests(),
    };
    let mute = [silence(serde_json::json!({"experiment": "*"}))];
    let stop = facts(Kind::VerdictStop, Some("tripped"));
    for facts in [
        facts(Kind::GuardrailTripped, None),
        facts(Kind::ActionFailed, None),
        facts(Kind::ActionConfirmed, None),
        stop.clone(),
    ] {
        let said = rulings(&facts, &policy, &mute, at(NOW));
        let who: Vec<_> = said.iter().map(|ruling| ruling.receiver.as_str()).collect();
        assert_eq!(who, ["chat", "ops", "own"], "{:?}", facts.kind);
        assert!(said.iter().all(|ruling| ruling.fate == Fate::Send), "{said:?}");
        assert!(said[2].reason.contains("a tripwire is never held back"), "{said:?}");
    }
    // Another stop is no tripwire: the same rules hold it back.
    let calm = facts(Kind::VerdictStop, Some("futile"));
    let said = rulings(&calm, &policy, &mute, at(NOW));
    assert_eq!(said.len(), 1);
    assert_eq!(said[0].fate, Fate::Silenced("sil_1".to_owned()));
    assert!(said[0].reason.contains("moving house (ana)"), "{said:?}");
}

#[test]
fn silences_come_before_digests_and_digests_before_quiet_hours() {
    let quiet = Policy { quiet: always_quiet(), ..Policy::default() };
    let both = Policy { digests: digests(), ..quiet.clone() };
    let own = serde_json::json!({"labels": {"team": "growth"}});
    let others = serde_json::json!({"labels": {"team": "sales"}});
    let hold = facts(Kind::VerdictHold, Some("data_missing"));
    let morning = Fate::Queue { until: at("2026-11-26T08:00:00Z") };
    let silenced = Fate::Silenced("sil_1".to_owned());
    for (facts, policy, matcher, wanted) in [
        (&hold, &Policy::default(), &others, Fate::Send),
        (&hold, &quiet, &others, morning.clone()),
        (&hold, &both, &others, Fate::Digest("own".to_owned())),
        (&hold, &both, &own, silenced.clone()),
        // A change is too loud for a digest, not for the night.
        (&change(), &both, &others, morning),
        (&change(), &both, &own, silenced),
    ] {
        let said = rulings(facts, policy, &[silence(matcher.clone())], at(NOW));
        assert_eq!(said[0].fate, wanted, "{:?} {matcher}", facts.kind);
    }
    let over = Silence { ends_at: at(NOW), ..silence(own) };
    assert_eq!(rulings(&hold, &Policy::default(), &[over], at(NOW))[0].fate, Fate::Send);
}

#[test]
fn quiet_hours_of_a_route_hold_for_what_comes_by_it_alone() {
    let mut quiet = always_quiet();
    quiet.get_mut("nights").unwrap().receivers.clear();
    let mut by_route = route("night", serde_json::json!({}), &["chat", "own"]);
    by_route.quiet = Some("nights".to_owned());
    let policy = Policy { routes: vec![by_route], quiet, ..Policy::default() };
    let said = rulings(&change(), &policy, &[], at(NOW));
    assert!(matches!(said[0].fate, Fate::Queue { .. }), "chat hears it by the route: {said:?}");
    assert_eq!(said[1].fate, Fate::Send, "own hears it by `notify` as well: {said:?}");
}

/// Quiet hours that began at 14:00 UTC and end at that hour of the next day.
fn quiet_to(hour: i8, receivers: &[&str]) -> Quiet {
    let mut quiet = always_quiet().remove("nights").unwrap();
    quiet.hours.to = time(hour, 0, 0, 0);
    quiet.receivers = names(receivers);
    quiet
}

#[test]
fn of_several_ways_the_one_that_opens_first_is_taken() {
    let by = |name: &str, quiet: Option<&str>| {
        let mut by = route(name, serde_json::json!({}), &["chat"]);
        (by.goes_on, by.quiet) = (true, quiet.map(str::to_owned));
        by
    };
    let end = |hour: u8| Fate::Queue { until: at(&format!("2026-11-26T{hour:02}:00:00Z")) };
    let (late, early) = (by("a", Some("late")), by("b", Some("early")));
    for (routes, own, wanted) in [
        (vec![late.clone()], None, end(9)),
        (vec![late.clone(), early.clone()], None, end(6)),
        (vec![early.clone(), late.clone()], None, end(6)),
        // The receiver's own quiet hours hold whichever way is open.
        (vec![late.clone(), early.clone()], Some(8), end(8)),
        // ... and where both ways are shut again by then, the first of them ends it.
        (vec![late.clone(), early.clone()], Some(5), end(6)),
        (vec![late.clone(), by("c", None)], None, Fate::Send),
        (vec![late, by("c", None)], Some(7), end(7)),
    ] {
        let mut quiet: BTreeMap<String, Quiet> =
            [("late".to_owned(), quiet_to(9, &[])), ("early".to_owned(), quiet_to(6, &[]))].into();
        if let Some(hour) = own {
            quiet.insert("own".to_owned(), quiet_to(hour, &["chat"]));
        }
        let policy = Policy { routes, quiet, ..Policy::default() };
        let said = rulings(&change(), &policy, &[], at(NOW));
        assert_eq!(said[0].receiver, "chat");
        assert_eq!(said[0].fate, wanted, "{said:?}");
    }
}

#[test]
fn of_several_digests_the_one_that_is_due_first_takes_it() {
    let mut digests = digests();
    let mut early = digests["own"].clone();
    early.hours.at = time(7, 0, 0, 0);
    digests.insert("z-early".to_owned(), early);
    let policy = Policy { digests, ..Policy::default() };
    let said = rulings(&facts(Kind::VerdictHold, None), &policy, &[], at(NOW));
    assert_eq!(said[0].fate, Fate::Digest("z-early".to_owned()), "{said:?}");
}

#[test]
fn verdicts_and_causes_are_no_patterns() {
    for (matcher, is_good) in [
        (serde_json::json!({"verdict": ["stop"], "cause": ["harmful"]}), true),
        (serde_json::json!({"verdict": ["sto*"]}), false),
        (serde_json::json!({"cause": ["*"]}), false),
        (serde_json::json!({"kind": ["guardrail.*"], "alarm": ["*", "x*"]}), false),
        (serde_json::json!({"kind": ["guardrail.*"], "alarm": ["purgatory.*", "s*"]}), true),
    ] {
        let read: Matcher = serde_json::from_value(matcher.clone()).unwrap();
        assert_eq!(read.faults().is_empty(), is_good, "{matcher}: {:?}", read.faults());
    }
}

#[test]
fn nobody_is_an_answer_with_a_reason() {
    let reason = |notify: &[&str], routes: Vec<Route>| {
        let ground = Ground {
            policy: &Policy { routes, ..Policy::default() },
            standing: &Standing::default(),
            notify: &names(notify),
            operators: &[],
            receivers: &names(&["chat"]).into_iter().collect(),
            now: at(NOW),
        };
        let said = decide(&change(), ground).remove(0);
        assert_eq!((said.receiver.as_str(), &said.fate), ("", &Fate::NotRouted));
        said.reason
    };
    assert_eq!(reason(&[], vec![]), "`notify` names nobody and no route matches");
    let gone = reason(&["gone"], vec![]);
    assert_eq!(gone, "`notify` names receivers that do not exist: gone");
    let replaced = reason(&["chat"], vec![only(route("mute", serde_json::json!({}), &[]))]);
    assert_eq!(replaced, "route `mute` replaces `notify` and names nobody");
}

#[test]
fn quiet_hours_end_by_the_clock_on_the_wall() {
    let berlin = TimeZone::get("Europe/Berlin").unwrap();
    let weekdays = vec![Day::Mon, Day::Tue, Day::Wed, Day::Thu, Day::Fri];
    let nights = QuietHours {
        zone: berlin.clone(),
        days: Vec::new(),
        from: time(19, 0, 0, 0),
        to: time(8, 0, 0, 0),
        holidays: vec![date(2026, 12, 25), date(2026, 12, 26)],
    };
    let work = QuietHours { days: weekdays, ..nights.clone() };
    let weekend = QuietHours {
        days: vec![Day::Sat, Day::Sun],
        from: time(0, 0, 0, 0),
        to: time(0, 0, 0, 0),
        ..nights.clone()
    };
    let small = |from, to| QuietHours { from, to, holidays: Vec::new(), ..nights.clone() };
    let gap = small(time(1, 0, 0, 0), time(2, 30, 0, 0));
    for (hours, now, until) in [
        (&nights, "2026-11-25T17:59:59Z", None),
        (&nights, "2026-11-25T18:00:00Z", Some("2026-11-26T07:00:00Z")),
        (&nights, "2026-11-26T02:00:00Z", Some("2026-11-26T07:00:00Z")),
        (&nights, "2026-11-26T07:00:00Z", None),
        // The night in which the clocks go forward, and the one in which they go back.
        (&nights, "2026-03-28T20:00:00Z", Some("2026-03-29T06:00:00Z")),
        (&nights, "2026-10-24T20:00:00Z", Some("2026-10-25T07:00:00Z")),
        // 02:30 does not exist on 29 March: 03:30 is when it would be.
        (&gap, "2026-03-29T00:30:00Z", Some("2026-03-29T01:30:00Z")),
        // 02:30 comes twice on 25 October: the first one ends it.
        (&gap, "2026-10-25T00:10:00Z", Some("2026-10-25T00:30:00Z")),
        (&gap, "2026-10-25T01:10:00Z", None),
        // Friday's stretch ends on Saturday; Saturday begins none.
        (&work, "2026-11-27T22:00:00Z", Some("2026-11-28T07:00:00Z")),
        (&work, "2026-11-28T22:00:00Z", None),
        // A whole weekend is one stretch.
        (&weekend, "2026-11-28T12:00:00Z", Some("2026-11-29T23:00:00Z")),
        // Christmas: the night, two holidays and the night after them.
        (&nights, "2026-12-24T19:00:00Z", Some("2026-12-27T07:00:00Z")),
    ] {
        assert_eq!(hours.until(at(now)), until.map(at), "{now}");
    }
    let for_ever = small(time(0, 0, 0, 0), time(0, 0, 0, 0));
    let end = for_ever.until(at(NOW)).unwrap();
    assert!(end > at("2027-11-25T00:00:00Z"), "quiet all day every day ends after a year: {end}");
}

#[test]
fn a_digest_has_one_slot_a_day_and_none_on_other_days() {
    let berlin = TimeZone::get("Europe/Berlin").unwrap();
    let daily = DigestHours { zone: berlin, days: Vec::new(), at: time(9, 0, 0, 0) };
    let monday = DigestHours { days: vec![Day::Mon], ..daily.clone() };
    for (hours, now, slot, next) in [
        (&daily, "2026-11-25T07:59:59Z", "2026-11-24T08:00:00Z", "2026-11-25T08:00:00Z"),
        (&daily, "2026-11-25T08:00:00Z", "2026-11-25T08:00:00Z", "2026-11-26T08:00:00Z"),
        (&daily, "2026-03-29T12:00:00Z", "2026-03-29T07:00:00Z", "2026-03-30T07:00:00Z"),
        (&monday, "2026-11-25T12:00:00Z", "2026-11-23T08:00:00Z", "2026-11-30T08:00:00Z"),
    ] {
        assert_eq!(hours.slot(at(now)), Some(at(slot)), "{now}");
        assert_eq!(hours.next(at(now)), Some(at(next)), "{now}");
    }
}

#[test]
fn routes_that_can_never_match_are_named() {
    let any = serde_json::json!({});
    let growth = serde_json::json!({"labels": {"team": "growth"}});
    let loud = serde_json::json!({"labels": {"team": "growth"}, "severity": ["high"]});
    let known: BTreeMap<String, People> = [("checkout-copy".to_owned(), change().people)].into();
    for (routes, words) in [
        (vec![route("a", any.clone(), &[]), route("b", growth.clone(), &[])], "before it takes"),
        (vec![route("a", growth.clone(), &[]), route("b", loud.clone(), &[])], "before it takes"),
        (vec![route("a", loud.clone(), &[]), route("b", growth.clone(), &[])], ""),
        (vec![goes_on(route("a", any.clone(), &[])), route("b", growth.clone(), &[])], ""),
        (vec![route("a", growth.clone(), &[]), route("b", any, &[])], ""),
        (
            vec![route("a", serde_json::json!({"verdict": ["stop"], "cause": ["extend"]}), &[])],
            "nothing that is said",
        ),
        (
            vec![route("a", serde_json::json!({"kind": ["alarm.*"], "severity": ["page"]}), &[])],
            "nothing that is said",
        ),
        (
            vec![route("a", serde_json::json!({"alarm": ["srm"], "verdict": ["hold"]}), &[])],
            "nothing that is said",
        ),
        (vec![route("a", serde_json::json!({"alarm": ["srm"], "severity": ["low"]}), &[])], ""),
        (vec![route("a", serde_json::json!({"cause": ["harmful"]}), &[])], ""),
        (vec![route("a", serde_json::json!({"experiment": "sales-*"}), &[])], "no experiment"),
    ] {
        let policy = Policy { routes: routes.clone(), ..Policy::default() };
        let found = unreachable_routes(&policy, &known);
        assert_eq!(found.is_empty(), words.is_empty(), "{routes:?}: {found:?}");
        assert!(found.iter().all(|one| one.contains(words)), "{found:?}");
    }
}

#[test]
fn facts_of_every_sample_are_what_its_message_says() {
    let mut seen = BTreeSet::new();
    for sample in sample_notices(at(NOW)) {
        let content = generic(&sample.notice, sample.record.as_ref(), &Links::default(), 1);
        let facts = Facts::of(&sample.notice, &content, None);
        assert!(KINDS.contains(&facts.kind), "{:?} is missing in KINDS", facts.kind);
        assert!(!facts.topic.is_empty(), "{facts:?}");
        assert_eq!(facts.verdict.is_some(), facts.topic == "verdict" && facts.cause.is_some());
        if sample.record.is_some() {
            assert_eq!(facts.people.labels["team"], "growth", "{facts:?}");
            assert!(!facts.people.owner.is_empty());
        }
        assert_eq!(facts.is_tripwire(), facts.is_tripwire() && !facts.is_lasting());
        seen.insert((facts.kind.as_str(), facts.severity));
    }
    assert!(seen.contains(&("experiment.verdict.stop", Severity::Page)), "{seen:?}");
    assert!(seen.contains(&("guardrail.burning", Severity::Normal)), "{seen:?}");
    assert!(seen.contains(&("data.recovered", Severity::Low)), "{seen:?}");
    let stops = CAUSES.iter().filter(|(_, verdict)| *verdict == "stop").count();
    assert_eq!((stops, CAUSES.len()), (5, 17));
}

#[test]
fn a_silence_of_tripwires_alone_could_hold_nothing() {
    for (matcher, can) in [
        (serde_json::json!({"kind": ["guardrail.tripped"]}), false),
        (serde_json::json!({"kind": ["guardrail.tripped", "action.*"]}), false),
        (serde_json::json!({"severity": ["page"]}), false),
        (serde_json::json!({"kind": ["*.stop"], "cause": ["tripped"]}), false),
        // A revision of such a stop is no tripwire.
        (serde_json::json!({"cause": ["tripped"]}), true),
        // A verdict that its cause does not belong to is none.
        (serde_json::json!({"verdict": ["hold"], "cause": ["harmful"]}), false),
        (serde_json::json!({"kind": ["guardrail.*"]}), true),
        (serde_json::json!({"severity": ["low"]}), true),
        (serde_json::json!({"verdict": ["stop"]}), true),
        (serde_json::json!({"experiment": "copy", "cause": ["harmful"]}), true),
        (serde_json::json!({"labels": {"team": "growth"}}), true),
        (serde_json::json!({"alarm": ["overdue_review"]}), true),
        (serde_json::json!({"topic": "verdict"}), true),
    ] {
        let read: Matcher = serde_json::from_value(matcher.clone()).unwrap();
        assert_eq!(read.can_hold(), can, "{matcher}");
    }
}

#[test]
fn news_of_delivery_itself_goes_to_whoever_looks_after_it() {
    let policy = Policy::default();
    let (standing, receivers) = (Standing::default(), ["ops".to_owned()].into());
    let ops = ["ops".to_owned()];
    let mut ground = Ground {
        policy: &policy,
        standing: &standing,
        notify: &ops,
        operators: &[],
        receivers: &receivers,
        now: at(NOW),
    };
    let degraded = facts(Kind::EndpointDegraded, None);
    let told = decide(&degraded, ground);
    assert_eq!(told[0].receiver, "ops");
    assert!(told[0].reason.starts_with("`delivery.fallback`"), "{told:?}");
    ground.notify = &[];
    let nobody = decide(&degraded, ground);
    assert!(nobody[0].reason.starts_with("neither `delivery.fallback` nor"), "{nobody:?}");
}
