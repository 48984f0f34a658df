//! `thrash`: two portfolio cycles in which something ran and nothing was killed or dared.

use crate::decide::{Alarm, AlarmKind};
use crate::lifecycle::Life;
use crate::time::start_of_day;
use crate::time::{DAY_MS, Span, Timestamp, add_ms, aligned_slot, date_of, ms_between};

use super::{Rules, Watched};

/// Starts of the cycle before the last, the last and the present one: calendar months of the zone
/// (UTC where its name is unknown), or `days` long ones counted from the epoch.
pub fn portfolio_cycles(at: Timestamp, days: u32, timezone: &str) -> [Timestamp; 3] {
    if days > 0 {
        let every = Span::days(i64::from(days));
        let present = aligned_slot(at, every, 0);
        return [add_ms(present, -2 * every.ms), add_ms(present, -every.ms), present];
    }
    let zone = jiff::tz::TimeZone::get(timezone).unwrap_or(jiff::tz::TimeZone::UTC);
    let first = date_of(at, &zone).first_of_month();
    [2, 1, 0].map(|back| {
        let month = first.checked_sub(jiff::Span::new().months(back)).unwrap_or(first);
        start_of_day(month, &zone)
    })
}

/// "Two consecutive portfolio cycles without one stop, or without one declared deviation". The two
/// whole cycles before the present one count, if an experiment ran in each; what happens in the
/// present one clears at once.
pub(super) fn alarms(watched: &[Watched], rules: &Rules, at: Timestamp) -> Vec<Alarm> {
    let [from, middle, until] = rules.cycles;
    let first = watched.iter().filter(|one| ran(one, from, middle)).count();
    let second = watched.iter().filter(|one| ran(one, middle, until)).count();
    if first == 0 || second == 0 || until > at {
        return Vec::new();
    }
    let within = |moment: Timestamp| moment >= from && moment <= at;
    let stops = watched.iter().flat_map(|one| &one.log).filter(|act| within(act.at));
    let stops = stops.filter(|act| is_stop(&act.kind, act.verdict.as_deref())).count();
    let dared = watched.iter().filter(|one| {
        let said = one.experiment.deviation.as_deref();
        within(one.life.cycle.started_at) && said.is_some_and(|said| !said.trim().is_empty())
    });
    let numbered = |kind, clears: &str| {
        Alarm::new(kind, "", clears)
            .since(until)
            .number("cycles", 2.0)
            .number("days", ms_between(from, at) as f64 / DAY_MS as f64)
            .number("ran_first", first as f64)
            .number("ran_second", second as f64)
    };
    let mut found = Vec::new();
    if stops == 0 {
        let clears = "one stop: what does not work is ended";
        found.push(numbered(AlarmKind::NoKills, clears));
    }
    if dared.count() == 0 {
        let clears = "one experiment that begins with a declared `deviation`";
        found.push(numbered(AlarmKind::NoDeviation, clears));
    }
    found
}

/// Whether it was in a running life at some time of `[from, until)`.
fn ran(one: &Watched, from: Timestamp, until: Timestamp) -> bool {
    let began = one.life.cycle.first_started_at.max(one.first_seen_at);
    let over = matches!(one.life.life, Life::Graduated | Life::Stopped | Life::Archived);
    let never =
        matches!(one.life.life, Life::Draft | Life::Scheduled) && one.life.cycle.number == 1;
    !never && began < until && (!over || one.life.since >= from)
}

/// A verdict to stop, or a person who stopped.
fn is_stop(kind: &str, verdict: Option<&str>) -> bool {
    let by_judge = kind == "verdict" && verdict.is_some_and(|said| said.starts_with("stop"));
    by_judge || kind == "stop"
}
