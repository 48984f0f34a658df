//! Plays every folder of `tests/cases` through the pure line and compares its timeline.
//!
//! `UPDATE_GOLDEN=1` rewrites `expected.txt`; read the difference before you commit it. A folder
//! without a case, or a file that no case reads, fails: nothing here may go stale unseen.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "the test reads and writes its own folders; the purity guard is for the crate"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use judge::case::{CASE_FILE, CaseResult, EXPECTED_FILE, run};
use judge::decide::{Reproduction, flips, reproduce};
use judge::record::EvaluationRecord;

#[path = "cases/mutants.rs"]
mod mutants;
#[path = "cases/reached.rs"]
mod reached;

/// The issue asks for at least this many.
const AT_LEAST: usize = 60;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cases")
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.sort();
    found
}

/// Every case; `check` and `openslo` hold goldens of files, which have their own tests.
fn case_folders() -> impl Iterator<Item = PathBuf> {
    let folders = entries(&root()).into_iter().filter(|path| path.is_dir());
    folders.filter(|path| !path.ends_with("check") && !path.ends_with("openslo"))
}

fn texts(folder: &Path) -> BTreeMap<String, String> {
    let named = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
    entries(folder).iter().map(|path| (named(path), fs::read_to_string(path).unwrap())).collect()
}

/// Every case with its play, played once for all tests of this binary.
fn played() -> &'static [(PathBuf, Result<CaseResult, String>)] {
    static PLAYED: OnceLock<Vec<(PathBuf, Result<CaseResult, String>)>> = OnceLock::new();
    PLAYED.get_or_init(|| {
        let play = |folder: PathBuf| {
            let result = run(&texts(&folder));
            (folder, result)
        };
        case_folders().map(play).collect()
    })
}

/// The evaluations of every case, with its name.
fn records() -> impl Iterator<Item = (String, &'static EvaluationRecord)> {
    played().iter().flat_map(|(folder, result)| {
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        result.as_ref().unwrap().records.iter().map(move |record| (name.clone(), record))
    })
}

#[test]
fn every_case_comes_out_as_its_story_says() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut failures = Vec::new();
    let mut count = 0;
    for (folder, result) in played() {
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        match result {
            Err(error) => failures.push(format!("{name}: {error}")),
            Ok(result) if update => {
                fs::write(folder.join(EXPECTED_FILE), &result.got).unwrap();
            }
            Ok(result) if !result.passed() => {
                failures.push(format!("{name}: {}\n{}", result.story, result.difference()));
            }
            Ok(_) => {}
        }
        count += 1;
    }
    assert!(failures.is_empty(), "{} of {count} cases:\n{}", failures.len(), failures.join("\n"));
    assert!(count >= AT_LEAST, "only {count} cases");
}

#[test]
fn nothing_in_the_folders_goes_unread() {
    let mut stray = Vec::new();
    for folder in case_folders() {
        let files = texts(&folder);
        let case = files.get(CASE_FILE).cloned().unwrap_or_default();
        for name in files.keys() {
            let is_fixed = [CASE_FILE, EXPECTED_FILE, "experiment.yaml"].contains(&name.as_str());
            if !is_fixed && !case.contains(name.as_str()) {
                stray.push(folder.join(name));
            }
        }
        // An update in the same process may not have written its files yet.
        let updates = std::env::var_os("UPDATE_GOLDEN").is_some();
        let needed: &[&str] = if updates { &[CASE_FILE] } else { &[CASE_FILE, EXPECTED_FILE] };
        for needed in needed.iter().copied() {
            if !files.contains_key(needed) {
                stray.push(folder.join(format!("{needed} is missing")));
            }
        }
    }
    assert!(stray.is_empty(), "{stray:?}");
}

#[test]
fn every_stored_evaluation_follows_from_its_own_frozen_input() {
    let (mut checked, mut differing) = (0, Vec::new());
    for (name, record) in records() {
        let stored = EvaluationRecord::from_json(&record.to_json()).unwrap();
        let again = reproduce(&stored);
        checked += 1;
        if again != Reproduction::Same {
            differing.push(format!("{name} {}: {again:?}", stored.input.at));
        }
    }
    assert!(differing.is_empty(), "{} of {checked}:\n{}", differing.len(), differing.join("\n"));
    assert!(checked > 100, "only {checked} evaluations");
}

#[test]
fn what_is_said_to_flip_a_verdict_is_another_verdict() {
    let mut seen = 0;
    for (_, record) in records().filter(|(_, record)| record.track == "look") {
        let now = (record.decision.verdict, record.decision.cause);
        let flips = flips(record);
        assert!(flips.iter().all(|flip| (flip.verdict, flip.cause) != now));
        seen += flips.len();
    }
    assert!(seen > 100, "only {seen} flips");
}
