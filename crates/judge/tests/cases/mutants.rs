//! The list of planted faults cannot go stale: each text stands exactly once in its file.
//!
//! `scripts/mutants.py` plants them and asks the stories; this only reads (docs/guide/testing.md).

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// One entry of `tests/mutants.txt`; the script has the same reading.
#[derive(Debug, Default)]
struct Mutant {
    name: String,
    file: String,
    text: Vec<String>,
    becomes: Vec<String>,
}

fn list() -> Vec<Mutant> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/mutants.txt");
    let mut found: Vec<Mutant> = Vec::new();
    let mut file = String::new();
    for line in fs::read_to_string(path).unwrap().lines() {
        if let Some(name) = line.strip_prefix("in ") {
            name.clone_into(&mut file);
        } else if let Some(rest) = line.strip_prefix("mutant ") {
            let (name, words) = rest.split_once(": ").unwrap();
            assert!(!words.trim().is_empty(), "{name} does not say what it breaks");
            let (name, file) = (name.to_owned(), file.clone());
            found.push(Mutant { name, file, ..Mutant::default() });
        } else if let Some(text) = line.strip_prefix("- ") {
            found.last_mut().unwrap().text.push(text.to_owned());
        } else if let Some(text) = line.strip_prefix("+ ") {
            found.last_mut().unwrap().becomes.push(text.to_owned());
        } else if line.starts_with("= ") {
            assert!(!found.is_empty(), "a proof of nothing: {line}");
        } else {
            assert!(line.trim().is_empty() || line.starts_with('#'), "cannot read: {line}");
        }
    }
    found
}

#[test]
fn every_mutant_still_has_its_place() {
    let list = list();
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    for mutant in &list {
        let text = mutant.text.join("\n");
        let marks = (text.matches('«').count(), text.matches('»').count());
        let source = fs::read_to_string(sources.join(&mutant.file)).unwrap_or_default();
        let found = source.matches(&text.replace(['«', '»'], "")).count();
        if marks != (1, 1) || found != 1 || mutant.becomes.is_empty() {
            wrong.push(format!("{} stands {found} times in {}", mutant.name, mutant.file));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let names: BTreeSet<_> = list.iter().map(|mutant| &mutant.name).collect();
    assert_eq!(names.len(), list.len(), "a name stands twice");
    assert!(list.len() >= 200, "only {} mutants", list.len());
}
