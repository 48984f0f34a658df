//! The zoo: every file of `tests/data/csv_zoo` with its expected points or refusal, and the
//! behaviour of the folder over time.

use std::path::Path;

use judge::contract::points;
use judge::plan::Shape;

use super::*;
use crate::sources::test_support::{columns, request, ts};

/// Asks a source and takes the answer through the contract.
async fn ask(source: &CsvSource, request: &Request) -> Result<Vec<String>, FetchError> {
    let batch = source.fetch(request).await?;
    let points = points(request, &batch).map_err(|refusal| refused(&refusal))?;
    let shown = points.iter().map(|point| {
        let zone = TimeZone::get(&request.need.timezone).unwrap();
        let day = judge::time::date_of(point.start, &zone);
        let [first, second, ..] = point.sums.to_array();
        format!("{day} {} {first} {second}", point.arm)
    });
    Ok(shown.collect())
}

/// One inhabitant: how it is asked and what must come back.
struct Case {
    file: &'static str,
    config: CsvConfig,
    request: Request,
    expected: Result<&'static [&'static str], &'static str>,
}

fn zoo() -> CsvConfig {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/csv_zoo");
    // A fresh checkout is younger than a settled file.
    CsvConfig { stable_for_polls: 1, ..CsvConfig::new(folder) }
}

fn case(file: &'static str, expected: Result<&'static [&'static str], &'static str>) -> Case {
    let mut request = request();
    request.need.query.file = Some(file.to_owned());
    Case { file, config: zoo(), request, expected }
}

impl Case {
    fn with(mut self, change: impl FnOnce(&mut CsvConfig, &mut Request)) -> Self {
        change(&mut self.config, &mut self.request);
        self
    }

    fn value(self) -> Self {
        self.with(|_, request| request.need.shape = Shape::Form(Form::Value))
    }

    fn arms(self) -> Self {
        self.with(|_, request| {
            request.need.arms = vec!["control".to_owned(), "treatment".to_owned()];
        })
    }

    fn berlin(self, start: &'static str, end: &'static str) -> Self {
        self.with(|_, request| {
            request.need.timezone = "Europe/Berlin".to_owned();
            request.need.window.start = ts(start);
            request.need.window.end = ts(end);
        })
    }

    async fn check(self) {
        let source = CsvSource::new(&self.config).unwrap();
        let seen = ask(&source, &self.request).await;
        match (seen, self.expected) {
            (Ok(seen), Ok(expected)) => assert_eq!(seen, expected, "{}", self.file),
            (Err(error), Err(part)) => {
                assert!(error.message.contains(part), "{}: {error}", self.file);
            }
            (seen, expected) => panic!("{}: {seen:?} instead of {expected:?}", self.file),
        }
    }
}

const TWO: &[&str] = &["2026-08-01 all 3 10", "2026-08-02 all 4 12"];

/// One row for both arms, n, mean and variance so far, times in days. By hand: the sums are n
/// times the mean, each less the ones before; the second row lacks a number and is contained in
/// the third; the fourth ends no day.
fn running_totals(expected: Result<&'static [&'static str], &'static str>) -> Case {
    case("running_totals.csv", expected).arms().with(|config, request| {
        config.date_format = Some("days since 2026-08-01".to_owned());
        request.need.shape = Shape::Form(Form::Mean);
        let pairs = [
            ("time", "days"),
            ("n", "count_{arm}"),
            ("mean", "mean_{arm}"),
            ("variance", "variance_{arm}"),
        ];
        request.need.query.columns = columns(&pairs);
        request.need.query.cumulative = true;
    })
}

fn accepted() -> Vec<Case> {
    vec![
        case("tidy.csv", Ok(TWO)),
        case("blank_rows.csv", Ok(TWO)),
        case("header_only.csv", Ok(&[])),
        case("bom_semicolon.csv", Ok(&["2026-08-01 all 1234.5 0", "2026-08-02 all -0.25 0"]))
            .value()
            .with(|config, _| {
                config.delimiter = ';';
                config.decimal = ',';
                config.grouping = Some('.');
                config.date_format = Some("%d.%m.%Y".to_owned());
            }),
        case(
            "mapped_arms.csv",
            Ok(&[
                "2026-08-01 control 3 10",
                "2026-08-01 treatment 5 11",
                "2026-08-02 control 4 12",
            ]),
        )
        .arms()
        .with(|_, request| {
            let pairs = [("time", "tag"), ("arm", "Gruppe"), ("num", "Erfolge"), ("den", "Alle")];
            request.need.query.columns = columns(&pairs);
        }),
        running_totals(Ok(&[
            "2026-08-01 control 10 20",
            "2026-08-01 treatment 12 36",
            "2026-08-03 control 10 20",
            "2026-08-03 treatment 10 30",
        ])),
        case("segments.csv", Ok(&["2026-08-01 all 3 30", "2026-08-02 all 3 30"])),
        case("segments.csv", Ok(&["2026-08-01 all 2 20"])).with(|_, request| {
            request.need.query.only = columns(&[("segment", "B")]);
        }),
        case("hourly.csv", Ok(&["2026-08-01 all 3 11", "2026-08-02 all 4 7"]))
            .berlin("2026-07-31T22:00:00Z", "2026-08-07T22:00:00Z"),
        case(
            "restated_*.csv",
            Ok(&["2026-08-01 all 3 10", "2026-08-02 all 2 9", "2026-08-03 all 5 11"]),
        ),
    ]
}

fn accepted_forms() -> Vec<Case> {
    vec![
        case("totals_fit.csv", Ok(&["2026-08-01 control 3 10", "2026-08-01 treatment 4 11"]))
            .arms(),
        case("gaps.csv", Ok(&["2026-08-01 all 7.5 0", "2026-08-04 all 8 0"])).value(),
        case("percent.csv", Ok(&["2026-08-01 all 0.125 0"]))
            .value()
            .with(|config, _| config.percent = true),
        case("repeated_lines.csv", Ok(&["2026-08-01 all 4 15"])),
        case("snapshot.csv", Ok(&["2026-08-07 all 0.1 0"])).value(),
        case("outside.csv", Ok(&["2026-08-07 all 3 10"])),
        case("no_such_file_*.csv", Ok(&[])),
    ]
}

fn refusals() -> Vec<Case> {
    vec![
        case("unknown_arm.csv", Err("unknown_arm.csv:3, column arm, \"pilot\"")).arms(),
        case("unknown_arm.csv", Err("arm is control, pilot")),
        case("totals_wrong.csv", Err("totals_wrong.csv:4, column num, \"8\": the totals row")),
        case("lost_time.csv", Err("lost_time.csv:3, column num, \"4\": the totals row")),
        case("short_row.csv", Err("short_row.csv:3: 2 cells where the header has 3")),
        case("long_row.csv", Err("long_row.csv:2: 4 cells")),
        case("thousands.csv", Err("thousands.csv:2, column num, \"1,378\": a mark that can be")),
        case("us_dates.csv", Err("\"03/04/2026\": not an ISO date or time (it can be 2026-04-03")),
        case("nan_count.csv", Err("nan_count.csv:2, column num, \"nan\": not a finite number")),
        case("percent.csv", Err("set percent = true in the source")).value(),
        case("cut_off.csv", Err("file still being written")),
        case("not_utf8.csv", Err("not_utf8.csv:2: not UTF-8")),
        case("missing_column.csv", Err("no column \"den\" (there are time, num, all)")),
        case("single_units.csv", Err("single_units.csv:4: a row of a single unit that repeats")),
        case("quoted_breaks.csv", Err("quoted_breaks.csv:4, column num, \"oops\": not a number")),
        case("snapshot.csv", Err("no column \"num\"")),
    ]
}

fn refusals_of_rows() -> Vec<Case> {
    vec![
        case("half_missing.csv", Err("half_missing.csv:3, column num, \"\": nothing beside")),
        case("value_twice.csv", Err("2 rows for one period")).value(),
        case("more_than_all.csv", Err("more_than_all.csv:2, column num, \"11\": num is more")),
        case("two_headers.csv", Err("2 columns are named \"den\"")),
        case("fraction.csv", Err("fraction.csv:2, column num, \"1.5\": a count with a fraction")),
        case("clock_change.csv", Err("clock_change.csv:3, column time, \"2026-03-29 02:30\""))
            .berlin("2026-03-27T23:00:00Z", "2026-03-29T22:00:00Z"),
        case("tidy.csv", Err("tidy.csv:1: no column \"segment\"")).with(|_, request| {
            request.need.query.only = columns(&[("segment", "B")]);
        }),
        case("tidy.csv", Err("query column nun is not one of")).with(|_, request| {
            request.need.query.columns = columns(&[("nun", "num")]);
        }),
        case("../csv_zoo/tidy.csv", Err("a name within the folder")),
        case("falling_totals.csv", Err("falling_totals.csv:3: a running total that falls"))
            .with(|_, request| request.need.query.cumulative = true),
        running_totals(Err("no total stands at the end of a period of 1d")).with(|config, _| {
            config.date_format = Some("hours since 2026-08-01".to_owned());
        }),
        running_totals(Err("date_format counts an unknown unit")).with(|config, _| {
            config.date_format = Some("weeks since 2026-08-01".to_owned());
        }),
    ]
}

#[tokio::test]
async fn the_zoo_is_accepted_where_it_is_sound() {
    for case in accepted().into_iter().chain(accepted_forms()) {
        case.check().await;
    }
}

#[tokio::test]
async fn the_zoo_is_refused_with_file_line_column_and_fix() {
    for case in refusals().into_iter().chain(refusals_of_rows()) {
        case.check().await;
    }
}

#[test]
fn every_inhabitant_of_the_zoo_is_asked() {
    let asked: Vec<&str> = [accepted(), accepted_forms(), refusals(), refusals_of_rows()]
        .into_iter()
        .flatten()
        .map(|case| case.file)
        .collect();
    for entry in std::fs::read_dir(zoo().folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let known = asked.contains(&name.as_str()) || name.starts_with("restated_");
        assert!(known || name == "README.md", "{name}");
    }
}

fn tidy(folder: &Path, name: &str, num: u32) {
    let text = format!("time,num,den\n2026-08-01,{num},10\n");
    std::fs::write(folder.join(name), text).unwrap();
}

fn of(file: &str) -> Request {
    let mut request = request();
    request.need.query.file = Some(file.to_owned());
    request
}

#[tokio::test]
async fn a_fresh_file_is_read_when_it_has_stood_still_for_two_polls() {
    let folder = tempfile::tempdir().unwrap();
    let config = CsvConfig { settled_after_secs: 3_600, ..CsvConfig::new(folder.path()) };
    let source = CsvSource::new(&config).unwrap();
    tidy(folder.path(), "a.csv", 3);
    let error = ask(&source, &of("a.csv")).await.unwrap_err();
    assert_eq!(error.class, FetchClass::Transient);
    tidy(folder.path(), "a.csv", 7_777);
    assert!(ask(&source, &of("a.csv")).await.is_err());
    tidy(folder.path(), "a.csv", 3);
    assert!(ask(&source, &of("a.csv")).await.is_err());
    assert_eq!(ask(&source, &of("a.csv")).await.unwrap(), ["2026-08-01 all 3 10"]);
}

#[tokio::test]
async fn an_old_file_is_read_at_first_sight() {
    let folder = tempfile::tempdir().unwrap();
    let source = CsvSource::new(&CsvConfig::new(folder.path())).unwrap();
    tidy(folder.path(), "a.csv", 3);
    let old = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    let file = std::fs::File::options().append(true).open(folder.path().join("a.csv")).unwrap();
    file.set_modified(old).unwrap();
    assert_eq!(ask(&source, &of("a.csv")).await.unwrap().len(), 1);
}

#[tokio::test]
async fn without_dates_in_names_the_last_change_wins_and_partial_files_are_ignored() {
    let folder = tempfile::tempdir().unwrap();
    let config = CsvConfig { stable_for_polls: 1, ..CsvConfig::new(folder.path()) };
    let source = CsvSource::new(&config).unwrap();
    for (name, num, age) in [("a_1.csv", 1, 10), ("a_2.csv", 2, 20), ("a_3.csv.part", 3, 0)] {
        tidy(folder.path(), name, num);
        let at = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000 - age);
        let file = std::fs::File::options().append(true).open(folder.path().join(name)).unwrap();
        file.set_modified(at).unwrap();
    }
    assert_eq!(ask(&source, &of("a_*")).await.unwrap(), ["2026-08-01 all 1 10"]);
}

#[tokio::test]
async fn exports_stand_in_for_a_warehouse_when_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = CsvConfig { stable_for_polls: 1, ..CsvConfig::new(folder.path()) };
    tidy(folder.path(), "activation.csv", 3);
    tidy(folder.path(), "activation_2026-08-02.csv", 4);
    tidy(folder.path(), "activations.csv", 9);
    let mut request = of("activation.sql");
    request.need.query.sql = Some("select 1".to_owned());
    let source = CsvSource::new(&config).unwrap();
    assert_eq!(ask(&source, &request).await.unwrap_err().class, FetchClass::UserError);
    config.answers_sql = true;
    let source = CsvSource::new(&config).unwrap();
    assert_eq!(ask(&source, &request).await.unwrap(), ["2026-08-01 all 4 10"]);
}

#[cfg(unix)]
#[tokio::test]
async fn links_out_of_the_folder_are_refused() {
    let (folder, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    tidy(outside.path(), "a.csv", 3);
    let target = outside.path().join("a.csv");
    std::os::unix::fs::symlink(target, folder.path().join("a.csv")).unwrap();
    let source = CsvSource::new(&CsvConfig::new(folder.path())).unwrap();
    let error = ask(&source, &of("a.csv")).await.unwrap_err();
    assert!(error.message.contains("leads out of the folder"), "{error}");
}

#[tokio::test]
async fn too_many_bytes_are_a_cost_guard_and_a_missing_folder_is_named() {
    let folder = tempfile::tempdir().unwrap();
    tidy(folder.path(), "a.csv", 3);
    let config = CsvConfig { max_body_bytes: 10, ..CsvConfig::new(folder.path()) };
    let source = CsvSource::new(&config).unwrap();
    source.probe().await.unwrap();
    assert_eq!(ask(&source, &of("a.csv")).await.unwrap_err().class, FetchClass::CostGuard);
    let gone = folder.path().join("gone");
    let source = CsvSource::new(&CsvConfig::new(&gone)).unwrap();
    let error = ask(&source, &of("a.csv")).await.unwrap_err();
    assert!(error.message.contains("gone"), "{error}");
    assert_eq!(error.class, FetchClass::Transient);
    assert_eq!(source.probe().await.unwrap_err().class, FetchClass::Transient);
}

#[test]
fn contradictory_formats_are_refused() {
    let wrong = |change: fn(&mut CsvConfig)| {
        let mut config = CsvConfig::new("x");
        change(&mut config);
        CsvSource::new(&config).unwrap_err()
    };
    assert!(wrong(|config| config.delimiter = 'é').contains("delimiter"));
    assert!(wrong(|config| config.decimal = ';').contains("decimal"));
    assert!(wrong(|config| config.grouping = Some('.')).contains("same character"));
    assert!(wrong(|config| config.grouping = Some('0')).contains("separator"));
    assert!(wrong(|config| config.timezone = Some("Mars".into())).contains("Mars"));
}

#[test]
fn places_follow_the_newest_file() {
    let files =
        ["new.csv", "old.csv"].map(|name| Finished { name: name.to_owned(), bytes: Vec::new() });
    let total = |file| Total {
        period_ms: ts("2026-08-01T00:00:00Z").as_millisecond(),
        arm: String::new(),
        values: vec![1.0, 2.0],
        rows: 1,
        file,
        line: 9,
    };
    let seen = Seen { time: true, arm: false };
    let batch = batch(&request(), &files, seen, &[total(0), total(1)]).unwrap();
    let places: Vec<&str> = batch.rows.iter().map(|row| row.place.as_str()).collect();
    assert_eq!(places, ["new.csv:9", "old.csv:9"]);
}
