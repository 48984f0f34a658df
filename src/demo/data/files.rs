//! The CSV files as they stand at 00:00 of a day: what the exporting systems would have written.
//!
//! Realistic mess, none of which may change a count: a byte order mark and quoted headers in one
//! kind, a total row everywhere, odd row order, a day that an older file states as it was and a
//! newer one restates, and a half-written `.tmp` beside.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::activation::{ARMS, Activation};
use super::calendar::date_of;
use super::cohorts::{CohortDay, Cohorts};
use super::draw::Cell;
use super::{ANSWERS, RESOLUTION_DAY, SUPPORT_SECOND, Stories};

/// Relative path to text.
pub type Files = BTreeMap<String, String>;

/// Every file of every story at 00:00 of `today`.
pub(super) fn at(stories: &Stories, today: i64) -> Files {
    let mut files = Files::new();
    activation(&stories.activation, today, &mut files);
    let (recruiting, sales) = (&stories.recruiting, &stories.sales);
    weekly("recruiting", &recruiting.candidates, today, Style::Quoted, &mut files);
    weekly("recruiting", &recruiting.messages, today, Style::Plain, &mut files);
    weekly("sales", &sales.calls, today, Style::Backwards, &mut files);
    weekly("sales", &sales.follow_ups, today, Style::Plain, &mut files);
    weekly("support", &stories.support.tickets, today, Style::Plain, &mut files);
    weekly(
        "support",
        &resolution(&stories.support.resolution, today),
        today,
        Style::Backwards,
        &mut files,
    );
    half_written(today, &mut files);
    files
}

/// The help desk's second export broke: it brings nothing of the first cycle before it is mended.
fn resolution(cohorts: &Cohorts, today: i64) -> Cohorts {
    let is_there =
        |day: &&CohortDay| today >= RESOLUTION_DAY || !(0..SUPPORT_SECOND).contains(&day.day);
    Cohorts { days: cohorts.days.iter().filter(is_there).cloned().collect(), ..cohorts.clone() }
}

/// How an exporting system writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Plain,
    /// Byte order mark, every field in quotes, CR LF.
    Quoted,
    /// Newest row first.
    Backwards,
}

fn weekly(folder: &str, cohorts: &Cohorts, today: i64, style: Style, files: &mut Files) {
    let mut weeks: BTreeMap<i64, Vec<&CohortDay>> = BTreeMap::new();
    for day in cohorts.days.iter().filter(|day| day.day < today) {
        weeks.entry(day.day.div_euclid(7)).or_default().push(day);
    }
    let restated = restated_day(cohorts);
    for (week, days) in weeks {
        let row = |day: &CohortDay, as_of: i64| -> (i64, Vec<u32>) {
            (day.day, (0..cohorts.columns.len()).map(|index| day.seen(index, as_of)).collect())
        };
        let mut rows: Vec<_> = days
            .iter()
            .map(|day| match restated {
                // This file was not written again after the day's first export.
                Some(restated) if restated == day.day => row(day, day.day + 1),
                _ => row(day, today),
            })
            .collect();
        let carried = cohorts.days.iter().find(|day| Some(day.day) == restated);
        if let Some(day) = carried.filter(|day| day.day.div_euclid(7) + 1 == week) {
            rows.push(row(day, today));
        }
        if style == Style::Backwards {
            rows.reverse();
        }
        let name = format!("{folder}/{}_{}.csv", cohorts.prefix, date_of(week * 7));
        files.insert(name, text(cohorts.columns, &rows, style));
    }
}

/// The last day of the first week of an export whose cohorts mature: the next file restates it.
fn restated_day(cohorts: &Cohorts) -> Option<i64> {
    let matures = |day: &&CohortDay| day.known.iter().any(|known| known.len() > 1);
    cohorts.days.iter().filter(matures).map(|day| day.day).rfind(|day| (0..7).contains(day))
}

fn text(columns: &[&str], rows: &[(i64, Vec<u32>)], style: Style) -> String {
    let mut lines = vec![["date"].iter().chain(columns).map(ToString::to_string).collect()];
    for (day, counts) in rows {
        let mut line: Vec<String> = vec![date_of(*day).to_string()];
        line.extend(counts.iter().map(ToString::to_string));
        lines.push(line);
    }
    let sum = |index: usize| rows.iter().map(|(_, counts)| counts[index]).sum::<u32>().to_string();
    let mut total = vec!["Total".to_owned()];
    total.extend((0..columns.len()).map(sum));
    lines.push(total);
    let mut text = String::new();
    if style == Style::Quoted {
        text.push('\u{feff}');
    }
    for line in lines {
        if style == Style::Quoted {
            let quoted: Vec<String> = line.iter().map(|field| format!("\"{field}\"")).collect();
            text.push_str(&quoted.join(","));
            text.push_str("\r\n");
        } else {
            text.push_str(&line.join(","));
            text.push('\n');
        }
    }
    text
}

/// The warehouse's answers, one file per SQL file.
fn activation(story: &Activation, today: i64, files: &mut Files) {
    for (name, event, hours) in ANSWERS {
        let cells = story.within(event, hours, today);
        files.insert(format!("activation/{name}.csv"), answer(&cells));
    }
    files.insert("activation/csat.csv".to_owned(), answer(&story.csat(today)));
    let mut mails = "time,units,over\n".to_owned();
    for (day, (over, units)) in story.mails(today) {
        writeln_to(&mut mails, format_args!("{},{units},{over}", date_of(day)));
    }
    files.insert("activation/mails.csv".to_owned(), mails);
}

fn answer(cells: &BTreeMap<(i64, usize), Cell>) -> String {
    let mut text = "time,arm,num,den\n".to_owned();
    for ((day, arm), (num, den)) in cells {
        writeln_to(&mut text, format_args!("{},{},{num},{den}", date_of(*day), ARMS[*arm]));
    }
    text
}

/// Writing to a text cannot fail.
pub(super) fn writeln_to(text: &mut String, line: std::fmt::Arguments<'_>) {
    if writeln!(text, "{line}").is_err() {
        text.push('\n');
    }
}

/// An upload that broke off: no source may read it.
fn half_written(today: i64, files: &mut Files) {
    if today > 15 {
        let cut = "date,calls,with_checklist,fit_confirmed,demos_up_to_10_min,qua";
        files.insert("sales/calls_2026-06-15.csv.tmp".to_owned(), cut.to_owned());
    }
}
