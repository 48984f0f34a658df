//! Every reference file under `tests/reference/`, field by field, at its stated tolerance.
//!
//! Place in the line: the proof that `stats` computes what independent libraries compute. A
//! runner maps one input and one expected field to our number; the harness walks the expected
//! tree, so a field nobody computes fails the test unless it is skipped with a reason. Counts are
//! printed per file.

#![allow(
    clippy::unwrap_used,
    reason = "a broken reference file or a missing answer must end the test"
)]

#[path = "vectors/fixed.rs"]
mod fixed;
#[path = "vectors/harness.rs"]
mod harness;
#[path = "vectors/large.rs"]
mod large;
#[path = "vectors/plans.rs"]
mod plans;
#[path = "vectors/sequential.rs"]
mod sequential;
#[path = "vectors/series.rs"]
mod series;

use harness::{Got, Runner, Tolerance, run_file};

/// `(file, runner)`; tolerances are those written in the files.
const FILES: &[(&str, Runner)] = &[
    ("asymp_cs", sequential::asymp_cs),
    ("block_bootstrap_hac", series::block_bootstrap_hac),
    ("ewma", series::ewma),
    ("group_sequential", sequential::group_sequential),
    ("info_time_cs", sequential::info_time_cs),
    ("its_hac", series::its_hac),
    ("large_counts", large::large_counts),
    ("mannwhitney", fixed::mannwhitney),
    ("msprt", sequential::msprt),
    ("multiple_testing", plans::multiple_testing),
    ("noninferiority", fixed::noninferiority),
    ("one_proportion", fixed::one_proportion),
    ("poisson_rates", fixed::poisson_rates),
    ("power", plans::power),
    ("ratio_delta", fixed::ratio_delta),
    ("relative_lift_logratio", fixed::relative_lift),
    ("score_two_proportion", fixed::score_two_proportion),
    ("sequential_one_proportion", sequential::one_proportion),
    ("sequential_two_arm", sequential::two_arm),
    ("srm", sequential::srm),
    ("two_proportion", fixed::two_proportion),
    ("welch", fixed::welch),
];

#[test]
fn every_reference_number_is_reproduced_at_its_tolerance() {
    let mut failures = Vec::new();
    let (mut passed, mut skipped, mut refused, mut explained) = (0, 0, 0, 0);
    for (file, runner) in FILES {
        let report = run_file(file, *runner);
        println!(
            "{file:26} passed {:4}  refused {:3}  oracle's slip {:2}  skipped {:2}  failed {}",
            report.passed,
            report.refused,
            report.explained.len(),
            report.skipped.len(),
            report.failed.len()
        );
        for list in [&report.skipped, &report.explained] {
            let mut reasons: Vec<&str> = list.iter().map(|(_, reason)| *reason).collect();
            reasons.sort_unstable();
            reasons.dedup();
            for reason in reasons {
                let fields: Vec<&str> =
                    list.iter().filter(|x| x.1 == reason).map(|x| x.0.as_str()).collect();
                println!("    {} fields ({} first): {reason}", fields.len(), fields[0]);
            }
        }
        explained += report.explained.len();
        passed += report.passed;
        refused += report.refused;
        skipped += report.skipped.len();
        failures.extend(report.failed);
    }
    println!("passed {passed}, refused {refused}, slips {explained}, skipped {skipped}");
    assert!(failures.is_empty(), "{} numbers differ:\n{}", failures.len(), failures.join("\n"));
    assert!(skipped * 50 <= passed + refused + skipped, "more than 2 % of the numbers are skipped");
}

#[test]
fn no_reference_file_is_left_out() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference");
    let mut found: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().into_string().ok())
        .filter_map(|name| name.strip_suffix(".json").map(str::to_owned))
        .collect();
    found.sort();
    let listed: Vec<String> = FILES.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(found, listed);
}

#[test]
fn the_harness_notices_a_wrong_number_and_a_missing_field() {
    let tolerance = Tolerance { rel: 1e-9, abs: 0.0 };
    let expected = serde_json::json!({"a": [1.0, 2.0], "b": "NaN"});
    let good = Got::Map(vec![
        ("a".into(), Got::List(vec![Got::Num(1.0), Got::Num(2.0)])),
        ("b".into(), Got::Refused),
    ]);
    let outcome = harness::compare_tree("x", &expected, &good, tolerance);
    assert_eq!((outcome.passed, outcome.refused, outcome.failed.len()), (2, 1, 0));
    let wrong = Got::Map(vec![("a".into(), Got::List(vec![Got::Num(1.0), Got::Num(2.1)]))]);
    let outcome = harness::compare_tree("x", &expected, &wrong, tolerance);
    assert_eq!(outcome.failed.len(), 2, "one wrong number, one missing field");
}
