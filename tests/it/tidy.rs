//! House rules that a machine can check: heads, lengths, layers, purity, no leftovers.

use std::path::{Path, PathBuf};

/// Longest function, in lines.
const MAX_FN_LINES: usize = 70;
/// Longest line, in characters.
const MAX_LINE: usize = 100;

/// Which rooms of `judge` a room may not name (architecture.md 3.4).
const JUDGE_LAYERS: &[(&str, &[&str])] = &[
    ("time", &["spec", "stats", "plan", "observe", "analyse", "decide", "guardrails", "record"]),
    ("points", &["spec", "stats", "plan", "observe", "analyse", "decide", "guardrails", "record"]),
    ("spec", &["stats", "plan", "observe", "analyse", "decide", "guardrails", "record", "notice"]),
    ("stats", &["spec", "plan", "observe", "analyse", "decide", "guardrails", "record", "notice"]),
    ("plan", &["stats", "observe", "analyse", "decide", "guardrails", "record", "notice"]),
    ("contract", &["stats", "observe", "analyse", "decide", "guardrails", "record", "notice"]),
    ("guardrails", &["notice", "prose"]),
    ("analyse", &["notice", "prose", "lifecycle"]),
    ("decide", &["notice", "prose"]),
    ("planning", &["decide", "guardrails", "record", "notice", "lifecycle"]),
];

/// Which rooms of the daemon a room may not name.
const DAEMON_LAYERS: &[(&str, &[&str])] = &[
    ("sources", &["store", "deliver", "http", "cli", "app", "cycle", "tasks", "demo"]),
    ("store", &["sources", "deliver", "http", "cli", "app", "cycle", "tasks", "demo"]),
    ("deliver", &["sources", "http", "cli", "app", "cycle", "tasks", "demo"]),
    ("cycle", &["http", "cli", "demo"]),
    ("gate", &["sources", "deliver", "http", "cli", "app", "tasks", "demo"]),
    ("tasks", &["http", "cli", "demo"]),
    ("telemetry", &["http", "cli", "app", "cycle", "tasks", "demo"]),
    ("http", &["sources", "cli", "app", "demo"]),
    ("settings", &["http", "cli", "app", "cycle", "tasks", "demo"]),
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            if !path.ends_with("target") {
                rust_files(&path, found);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn sources() -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    for folder in ["src", "crates", "tests", "benches"] {
        rust_files(&root().join(folder), &mut files);
    }
    files.sort();
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap();
        (path, text)
    };
    files.into_iter().map(read).collect()
}

fn check(name: &str, faults: Vec<String>) {
    assert!(faults.is_empty(), "{name}: {} faults\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn every_module_says_what_it_is() {
    let is_headless = |text: &str| !text.trim_start().starts_with("//!");
    let faults = sources().into_iter().filter(|(_, text)| is_headless(text));
    check("files without a //! head", faults.map(|(path, _)| path.display().to_string()).collect());
}

#[test]
fn lines_fit_the_page() {
    let mut faults = Vec::new();
    for (path, text) in sources() {
        for (index, line) in text.lines().enumerate() {
            if line.chars().count() > MAX_LINE {
                faults.push(format!("{}:{}", path.display(), index + 1));
            }
        }
    }
    check("lines over 100 characters", faults);
}

#[test]
fn functions_fit_one_screen() {
    let mut faults = Vec::new();
    for (path, text) in sources() {
        for (line, name, length) in functions(&text) {
            if length > MAX_FN_LINES {
                faults.push(format!("{}:{line} `{name}` has {length} lines", path.display()));
            }
        }
    }
    check("functions over 70 lines", faults);
}

/// Functions by formatted indentation: `fn` opens, the brace at the same depth closes.
fn functions(text: &str) -> Vec<(usize, String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let trimmed = line.trim_start();
        let Some(at) = trimmed.find("fn ") else {
            continue;
        };
        let before = trimmed.get(..at).unwrap_or("x");
        let is_head = before.split_whitespace().all(|word| {
            matches!(word, "pub" | "pub(crate)" | "pub(super)" | "async" | "const" | "unsafe")
        });
        if !is_head || trimmed.ends_with(';') {
            continue;
        }
        let indent = line.len() - trimmed.len();
        let close = format!("{}}}", " ".repeat(indent));
        let name = trimmed.get(at + 3..).unwrap_or("").split(['(', '<']).next().unwrap_or("");
        let end = lines.iter().skip(index).position(|line| *line == close);
        if let Some(length) = end {
            found.push((index + 1, name.to_owned(), length + 1));
        }
    }
    found
}

#[test]
fn layers_import_downward_only() {
    let mut faults = Vec::new();
    for (path, text) in sources() {
        let relative = path.strip_prefix(root()).unwrap().display().to_string();
        let (layers, inside) = if let Some(rest) = relative.strip_prefix("crates/judge/src/") {
            (JUDGE_LAYERS, rest.to_owned())
        } else if let Some(rest) = relative.strip_prefix("src/") {
            (DAEMON_LAYERS, rest.to_owned())
        } else {
            continue;
        };
        let room = inside.split(['/', '.']).next().unwrap_or_default();
        let Some((_, forbidden)) = layers.iter().find(|(name, _)| *name == room) else {
            continue;
        };
        for (index, line) in production_lines(&text) {
            for name in *forbidden {
                if line.contains(&format!("crate::{name}::"))
                    || line.contains(&format!("crate::{name};"))
                {
                    faults.push(format!("{relative}:{index}: `{room}` may not use `{name}`"));
                }
            }
        }
    }
    check("imports that point upward", faults);
}

/// Lines before the test module; comments left out.
fn production_lines(text: &str) -> Vec<(usize, &str)> {
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line));
    lines
        .take_while(|(_, line)| !line.starts_with("#[cfg(test)]"))
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .collect()
}

#[test]
fn only_the_tables_crate_names_polars() {
    let faults = sources().into_iter().filter(|(path, text)| {
        !path.starts_with(root().join("crates/tables"))
            && !path.ends_with("tidy.rs")
            && text.contains("polars::")
    });
    check("polars outside crates/tables", faults.map(|(p, _)| p.display().to_string()).collect());
}

#[test]
fn the_judge_stays_pure() {
    let manifest = std::fs::read_to_string(root().join("crates/judge/Cargo.toml")).unwrap();
    let normal = manifest.split("[dev-dependencies]").next().unwrap();
    for banned in ["tokio", "reqwest", "polars", "axum", "tracing", "rand", "rusqlite"] {
        let is_named =
            normal.lines().any(|line| line.split(['=', '.', ' ']).next() == Some(banned));
        assert!(!is_named, "crates/judge may not depend on {banned}");
    }
}

#[test]
fn nothing_is_left_unfinished() {
    // Written in halves, so that the list does not find itself.
    let marks = [
        concat!("to", "do!("),
        concat!("unimple", "mented!("),
        concat!("db", "g!("),
        concat!("#[ig", "nore"),
        concat!("#[should", "_panic"),
        concat!("FIX", "ME"),
        concat!("XX", "X"),
    ];
    let mut faults = Vec::new();
    for (path, text) in sources() {
        for (index, line) in text.lines().enumerate() {
            if marks.iter().any(|mark| line.contains(mark)) {
                faults.push(format!("{}:{}: {}", path.display(), index + 1, line.trim()));
            }
        }
    }
    check("unfinished work", faults);
}
