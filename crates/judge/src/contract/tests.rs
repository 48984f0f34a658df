//! Tests of the contract step: every rule of its head, both ways.

mod properties;

use super::*;
use crate::plan::{Need, Subject};
use crate::spec::Query;
use crate::time::{Span, Window};

fn ts(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn request(shape: Shape, arms: &[&str]) -> Request {
    let need = Need {
        experiment: "exp".into(),
        subject: Subject::Signal("s".into()),
        series_id: "id".into(),
        source: "src".into(),
        query: Query::default(),
        shape,
        window: Window { start: ts("2026-08-01T00:00:00Z"), end: ts("2026-08-08T00:00:00Z") },
        grain: Span::days(1),
        arms: arms.iter().map(ToString::to_string).collect(),
        timezone: "UTC".into(),
    };
    Request { need, at: ts("2026-08-08T00:00:00Z") }
}

fn cell(text: &str) -> Cell {
    match text {
        "" => Cell::Missing,
        "NaN" => Cell::NonFinite,
        _ => Cell::Text(text.to_owned()),
    }
}

/// Columns and rows as `a,b,c` lines.
fn batch(lines: &[&str]) -> Batch {
    let split = |line: &str| line.split(',').map(str::to_owned).collect::<Vec<_>>();
    let rows = lines[1..].iter().enumerate().map(|(index, line)| Row {
        cells: split(line).iter().map(|text| cell(text)).collect(),
        place: format!("row {}", index + 1),
    });
    Batch { columns: split(lines[0]), rows: rows.collect(), ..Batch::default() }
}

const PROPORTION: Shape = Shape::Form(Form::Proportion);
const VALUE: Shape = Shape::Form(Form::Value);

fn read(shape: Shape, arms: &[&str], lines: &[&str]) -> Result<Vec<Point>, Refusal> {
    points(&request(shape, arms), &batch(lines))
}

fn refused(shape: Shape, arms: &[&str], lines: &[&str], part: &str) -> Refusal {
    let refusal = read(shape, arms, lines).unwrap_err();
    assert!(refusal.to_string().contains(part), "{refusal} lacks {part:?}");
    refusal
}

#[test]
fn rows_become_points_ordered_by_period_and_arm() {
    let lines = ["Time,ARM,den,num", "2026-08-02,b,10,3", "2026-08-01,b,10,2", "2026-08-01,a,9,1"];
    let points = read(PROPORTION, &["a", "b"], &lines).unwrap();
    let seen: Vec<_> = points.iter().map(|p| (p.start, p.arm.as_str(), p.sums)).collect();
    let sums = |num, den| Sums::Proportion { num, den };
    assert_eq!(
        seen,
        [
            (ts("2026-08-01T00:00:00Z"), "a", sums(1.0, 9.0)),
            (ts("2026-08-01T00:00:00Z"), "b", sums(2.0, 10.0)),
            (ts("2026-08-02T00:00:00Z"), "b", sums(3.0, 10.0)),
        ]
    );
    assert_eq!(points[0].end, ts("2026-08-02T00:00:00Z"));
}

#[test]
fn an_empty_answer_is_no_data_not_an_error() {
    assert_eq!(points(&request(PROPORTION, &[]), &Batch::default()), Ok(Vec::new()));
}

#[test]
fn columns_are_exactly_the_shapes() {
    refused(PROPORTION, &[], &["time,num", "2026-08-01,1"], "column den is missing");
    refused(PROPORTION, &[], &["num,den", "1,2"], "column time is missing");
    refused(PROPORTION, &["a"], &["time,num,den", "2026-08-01,1,2"], "column arm is missing");
    refused(PROPORTION, &[], &["time,num,den,x", "2026-08-01,1,2,3"], "time, num, den");
    refused(PROPORTION, &[], &["time,num,den,NUM", "2026-08-01,1,2,3"], "two columns");
    refused(PROPORTION, &[], &["time,num,den", "2026-08-01,1"], "2 cells for 3 columns");
}

#[test]
fn a_snapshot_without_time_gets_the_newest_complete_period() {
    let points = read(VALUE, &[], &["value", "0.1"]).unwrap();
    assert_eq!(points[0].start, ts("2026-08-07T00:00:00Z"));
    assert_eq!(points[0].sums, Sums::Value { value: 0.1 });
    refused(VALUE, &[], &["value", "1", "2"], "twice with different numbers");
    let limit = read(Shape::UnitsOver, &[], &["units,over", "100,2"]).unwrap();
    assert_eq!(limit[0].sums, Sums::Proportion { num: 2.0, den: 100.0 });
}

#[test]
fn arms_match_exactly_and_a_missing_arm_is_simply_no_point() {
    let columns = "time,arm,num,den";
    let one = read(PROPORTION, &["a", "b"], &[columns, "2026-08-01,a,1,2"]).unwrap();
    assert_eq!(one.len(), 1);
    let refusal = refused(PROPORTION, &["a", "b"], &[columns, "2026-08-01,A,1,2"], "a, b");
    assert_eq!((refusal.column.as_deref(), refusal.value.as_deref()), (Some("arm"), Some("A")));
    refused(PROPORTION, &["a"], &[columns, "2026-08-01,,1,2"], "without an arm");
}

#[test]
fn several_series_are_refused_by_name_when_one_is_needed() {
    let columns = "time,arm,num,den";
    let lines = [columns, "2026-08-01,x,1,2", "2026-08-02,y,1,2"];
    refused(PROPORTION, &[], &lines, "arm is x, y");
    let one = read(PROPORTION, &[], &[columns, "2026-08-01,x,1,2"]).unwrap();
    assert_eq!(one[0].arm, ALL);
}

#[test]
fn times_are_read_in_the_needs_zone_and_must_start_a_period() {
    let mut request = request(PROPORTION, &[]);
    request.need.timezone = "Europe/Berlin".into();
    let window = Window { start: ts("2026-07-31T22:00:00Z"), end: ts("2026-08-07T22:00:00Z") };
    request.need.window = window;
    let times =
        ["2026-08-01", "2026-08-01T00:00", "2026-08-01 00:00:00+02", "2026-07-31T22:00:00Z"];
    for time in times {
        let batch = batch(&["time,num,den", &format!("{time},1,2")]);
        assert_eq!(points(&request, &batch).unwrap()[0].start, window.start, "{time}");
    }
    let batch = batch(&["time,num,den", "2026-08-01T00:00:00Z,1,2"]);
    let refusal = points(&request, &batch).unwrap_err().to_string();
    assert!(refusal.contains("not the start of a period of 1d in Europe/Berlin"), "{refusal}");
}

#[test]
fn times_that_cannot_be_read_are_refused() {
    for time in ["01.08.2026", "20260801", "2026-13-01", "2026-08-01T25:00", "yesterday", "1"] {
        let line = format!("{time},1,2");
        let refusal = refused(PROPORTION, &[], &["time,num,den", &line], "column time");
        assert_eq!(refusal.value.as_deref(), Some(time));
    }
    refused(PROPORTION, &[], &["time,num,den", ",1,2"], "no time");
}

#[test]
fn a_clock_time_that_does_not_exist_or_exists_twice_is_refused() {
    let zone = jiff::tz::TimeZone::get("Europe/Berlin").unwrap();
    assert!(instant("2026-03-29T02:30", &zone).is_err());
    assert!(instant("2026-10-25 02:30:00", &zone).is_err());
    assert_eq!(instant("2026-10-25T02:30:00+01:00", &zone), Ok(ts("2026-10-25T01:30:00Z")));
    assert!(instant("2026-10-25T02:30:00+01:00garbage", &zone).is_err());
}

#[test]
fn a_query_that_ignores_the_window_is_caught() {
    for time in ["2026-07-31", "2026-08-08"] {
        let line = format!("{time},1,2");
        refused(PROPORTION, &[], &["time,num,den", &line], "ignores {{start}}");
    }
}

#[test]
fn a_period_that_is_not_over_is_not_a_point_yet() {
    let lines = ["time,num,den", "2026-08-01,1,2", "2026-08-02,1,2"];
    let mut request = request(PROPORTION, &[]);
    let mut batch = batch(&lines);
    batch.complete_up_to = Some(ts("2026-08-02T12:00:00Z"));
    assert_eq!(points(&request, &batch).unwrap().len(), 1);
    batch.complete_up_to = None;
    request.need.window.end = ts("2026-08-02T10:00:00Z");
    assert_eq!(points(&request, &batch).unwrap().len(), 1);
}

#[test]
fn counts_are_whole_finite_and_ordered() {
    let one = |num: &str, den: &str| format!("2026-08-01,{num},{den}");
    let bad = [
        ("1.5", "2", "a fraction"),
        ("-1", "2", "negative"),
        ("3", "2", "num is more than den (2)"),
        ("NaN", "2", "not a finite"),
        ("1", "", "nothing beside numbers"),
        ("1,000", "2000", "cells"),
        ("10%", "20", "not a number"),
        ("1e400", "2", "not a number"),
        ("0x10", "20", "not a number"),
        (".5", "2", "not a number"),
        ("9007199254740993", "9007199254740993", "beyond 2^53"),
    ];
    for (num, den, part) in bad {
        refused(PROPORTION, &[], &["time,num,den", &one(num, den)], part);
    }
    for (num, den) in [("0", "0"), ("2", "2.000"), ("1e2", "+200"), ("1", "9007199254740992")] {
        read(PROPORTION, &[], &["time,num,den", &one(num, den)]).unwrap();
    }
}

#[test]
fn extrapolated_floats_are_rounded_to_whole_events() {
    let row = |bad, total| Row {
        cells: vec![Cell::Text("2026-08-01".into()), Cell::Num(bad), Cell::Num(total)],
        place: "series".into(),
    };
    let columns = ["time", "bad", "total"].map(str::to_owned).to_vec();
    let batch = Batch { columns, rows: vec![row(1.125, 20.25)], ..Batch::default() };
    let points = points(&request(Shape::BadTotal, &[]), &batch).unwrap();
    assert_eq!(points[0].sums, Sums::Proportion { num: 1.0, den: 20.0 });
}

#[test]
fn gaps_are_dropped_but_never_become_zero() {
    let lines = ["time,value", "2026-08-01,NaN", "2026-08-02,", "2026-08-03,7"];
    let points = read(VALUE, &[], &lines).unwrap();
    assert_eq!(points.len(), 1);
    let gap = read(PROPORTION, &[], &["time,num,den", "2026-08-01,,"]).unwrap();
    assert!(gap.is_empty());
}

#[test]
fn duplicates_are_dropped_when_identical_and_refused_when_not() {
    let columns = "time,num,den";
    let same = [columns, "2026-08-01,1,2", "2026-08-01,1.0,2"];
    assert_eq!(read(PROPORTION, &[], &same).unwrap().len(), 1);
    let differ = [columns, "2026-08-01,1,2", "2026-08-01,1,3"];
    let refusal = refused(PROPORTION, &[], &differ, "also at row 1");
    assert_eq!(refusal.place, "row 2");
    refused(PROPORTION, &[], &[columns, "2026-08-01,1,2", "2026-08-01,,"], "also at row 1");
}

#[test]
fn moments_must_fit_together() {
    let mean = Shape::Form(Form::Mean);
    let columns = "time,n,sum,sum_sq";
    read(mean, &[], &[columns, "2026-08-01,4,2,1"]).unwrap();
    refused(mean, &[], &[columns, "2026-08-01,4,3,1"], "negative variance");
    refused(mean, &[], &[columns, "2026-08-01,4,0,-1"], "negative number");
    refused(mean, &[], &[columns, "2026-08-01,0,3,9"], "negative variance");
    let ratio = Shape::Form(Form::Ratio);
    let columns = "time,n,num,den,num_sq,den_sq,cross";
    read(ratio, &[], &[columns, "2026-08-01,2,3,4,5,8,6"]).unwrap();
    refused(ratio, &[], &[columns, "2026-08-01,2,3,4,5,8,7"], "column cross");
    let rate = Shape::Form(Form::Rate);
    read(rate, &[], &["time,events,exposure", "2026-08-01,3,2.5"]).unwrap();
    refused(rate, &[], &["time,events,exposure", "2026-08-01,3,0"], "without exposure");
}

#[test]
fn optional_columns_must_fit_too() {
    let skewed = Shape::Detailed { share: false, cubes: true, covariate: false };
    let columns = "time,n,sum,sum_sq,sum_cu";
    let read_one = read(skewed, &[], &[columns, "2026-08-01,3,6,14,36"]).unwrap();
    assert_eq!(read_one[0].sums.extra().cubes, Some(36.0));
    refused(skewed, &[], &[columns, "2026-08-01,3,6,14,60"], "column sum_cu");
    let known = Shape::Detailed { share: true, cubes: false, covariate: true };
    let columns = "time,num,den,cov_sum,cov_sq,cov_cross";
    let read_one = read(known, &[], &[columns, "2026-08-01,2,4,10,30,7"]).unwrap();
    assert_eq!(read_one[0].sums.plain(), Sums::Proportion { num: 2.0, den: 4.0 });
    refused(known, &[], &[columns, "2026-08-01,2,4,10,20,7"], "column cov_sq");
    refused(known, &[], &[columns, "2026-08-01,2,4,10,30,9"], "column cov_cross");
    refused(known, &[], &["time,num,den", "2026-08-01,2,4"], "column cov_sum is missing");
}

#[test]
fn warnings_make_the_answer_partial() {
    let mut batch = batch(&["time,num,den", "2026-08-01,1,2"]);
    batch.warnings = vec!["store 2 did not answer".into()];
    let refusal = points(&request(PROPORTION, &[]), &batch).unwrap_err();
    assert!(refusal.to_string().contains("partial answer: store 2"), "{refusal}");
}

#[test]
fn too_many_rows_are_refused_unless_the_window_has_as_many_periods() {
    let rows = (0..=MAX_ROWS).map(|index| Row {
        cells: vec![
            Cell::Time(crate::time::add_ms(ts("2026-08-01T00:00:00Z"), index as i64 * 30_000)),
            Cell::Num(1.0),
        ],
        place: format!("row {index}"),
    });
    let columns = vec!["time".to_owned(), "value".to_owned()];
    let batch = Batch { columns, rows: rows.collect(), ..Batch::default() };
    let mut request = request(VALUE, &[]);
    let refusal = points(&request, &batch).unwrap_err();
    assert!(refusal.to_string().contains("10001 rows"), "{refusal}");
    request.need.grain = Span::seconds(30);
    assert_eq!(points(&request, &batch).unwrap().len(), MAX_ROWS + 1);
}

#[test]
fn periods_follow_the_calendar_across_a_clock_change() {
    let mut need = request(VALUE, &[]).need;
    need.timezone = "Europe/Berlin".into();
    need.window = Window { start: ts("2026-03-27T23:00:00Z"), end: ts("2026-03-30T22:00:00Z") };
    let grid = Grid::of(&need).unwrap();
    let hours: Vec<i64> = grid
        .periods(need.window)
        .map(|period| crate::time::ms_between(period.start, period.end) / 3_600_000)
        .collect();
    assert_eq!(hours, [24, 23, 24]);
    let open = Window { start: ts("2026-03-28T10:00:00Z"), end: ts("2026-03-30T10:00:00Z") };
    assert_eq!(grid.periods(open).count(), 1);
}

#[test]
fn a_value_asked_for_between_periods_is_that_of_the_newest_one() {
    let window = Window { start: ts("2026-08-06T10:00:00Z"), end: ts("2026-08-07T10:00:00Z") };
    let mut value = request(VALUE, &[]);
    value.need.window = window;
    assert_eq!(Grid::of(&value.need).unwrap().window().start, ts("2026-08-06T00:00:00Z"));
    let lines = ["time,value", "2026-08-06,7", "2026-08-07,9"];
    let seen = points(&value, &batch(&lines)).unwrap();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].sums, Sums::Value { value: 7.0 });
    let mut counts = request(PROPORTION, &[]);
    counts.need.window = window;
    let refusal = points(&counts, &batch(&["time,num,den", "2026-08-06,1,2"])).unwrap_err();
    assert!(refusal.to_string().contains("outside"), "{refusal}");
}

#[test]
fn a_zone_that_does_not_exist_is_refused_not_guessed() {
    let mut request = request(VALUE, &[]);
    request.need.timezone = "Mars/Base".into();
    let refusal = points(&request, &batch(&["value", "1"])).unwrap_err();
    assert!(refusal.to_string().contains("Mars/Base"), "{refusal}");
}
