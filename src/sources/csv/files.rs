//! Which files answer a query, and whether they are finished.
//!
//! Invariants: nothing outside the folder is read (neither by `..` nor through a link), partial
//! files are never read, and the newest file comes first: by the date in its name, then by its
//! time of change, then by name.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use judge::spec::Query;
use judge::time::Timestamp;

use super::config::CsvConfig;
use crate::sources::{FetchClass, FetchError};

/// Most files that answer one query.
const MAX_FILES: usize = 2_000;

/// A finished file and its bytes.
pub(super) struct Finished {
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
}

/// A file as the folder lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Listed {
    path: PathBuf,
    name: String,
    stamp: Stamp,
}

/// What changes when a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    bytes: u64,
    changed_ms: i64,
}

impl Stamp {
    fn of(metadata: &std::fs::Metadata) -> Self {
        let changed = metadata.modified().unwrap_or(UNIX_EPOCH);
        Self { bytes: metadata.len(), changed_ms: unix_ms(changed) }
    }
}

fn unix_ms(at: SystemTime) -> i64 {
    match at.duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
        Err(before) => -i64::try_from(before.duration().as_millis()).unwrap_or(i64::MAX),
    }
}

/// How often a fresh file has been seen unchanged.
#[derive(Debug, Default)]
pub(super) struct Watch {
    seen: Mutex<HashMap<PathBuf, (Stamp, u32)>>,
}

impl Watch {
    /// Whether the file may be read now.
    fn is_stable(&self, config: &CsvConfig, file: &Listed, wall_now: Timestamp) -> bool {
        let age_ms = wall_now.as_millisecond().saturating_sub(file.stamp.changed_ms);
        let settled_ms = i64::try_from(config.settled_after_secs.saturating_mul(1_000));
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if settled_ms.is_ok_and(|settled| age_ms >= settled) {
            seen.remove(&file.path);
            return true;
        }
        let (stamp, polls) = seen.entry(file.path.clone()).or_insert((file.stamp, 0));
        *polls = if *stamp == file.stamp { polls.saturating_add(1) } else { 1 };
        *stamp = file.stamp;
        *polls >= config.stable_for_polls
    }
}

/// The patterns that answer a query: a name within the folder, `*` in its last part.
pub(super) fn patterns(config: &CsvConfig, query: &Query) -> Result<Vec<String>, FetchError> {
    let wrong = |message: String| Err(FetchError::new(FetchClass::UserError, message));
    let Some(file) = query.file.as_deref() else {
        return wrong("a CSV source needs `file:`, a name in its folder".to_owned());
    };
    let is_sql = Path::new(file).extension().is_some_and(|kind| kind.eq_ignore_ascii_case("sql"));
    if is_sql || query.sql.is_some() {
        let stem = Path::new(file).file_stem().and_then(|stem| stem.to_str());
        return match stem {
            Some(stem) if config.answers_sql && is_sql => {
                Ok(vec![format!("{stem}.csv"), format!("{stem}_*.csv")])
            }
            _ => wrong(format!("{file}: a CSV source runs no SQL (unless answers_sql is set)")),
        };
    }
    let parts: Vec<Component<'_>> = Path::new(file).components().collect();
    let plain = parts.iter().all(|part| matches!(part, Component::Normal(_)));
    let star_before_last = file.rsplit_once('/').is_some_and(|(folders, _)| folders.contains('*'));
    if parts.is_empty() || !plain || file.contains('\\') || star_before_last {
        return wrong(format!("{file:?}: write a name within the folder, * only in its last part"));
    }
    Ok(vec![file.to_owned()])
}

/// Reads every file that answers, newest first.
pub(super) fn read(
    config: &CsvConfig,
    watch: &Watch,
    patterns: &[String],
    wall_now: Timestamp,
) -> Result<Vec<Finished>, FetchError> {
    let root = config.folder.canonicalize().map_err(|error| unreadable(&config.folder, &error))?;
    let mut listed = Vec::new();
    for pattern in patterns {
        list(&root, pattern, &mut listed)?;
    }
    if listed.len() > MAX_FILES {
        let message = format!("{}: more than {MAX_FILES} files", patterns.join(", "));
        return Err(FetchError::new(FetchClass::CostGuard, message));
    }
    listed.sort_by_cached_key(|file| {
        std::cmp::Reverse((date_in(&file.name), file.stamp.changed_ms, file.name.clone()))
    });
    listed.dedup();
    let total: u64 = listed.iter().map(|file| file.stamp.bytes).sum();
    if total > config.max_body_bytes {
        let message = format!(
            "{}: {total} bytes where at most {} are read: archive old files or raise \
             max_body_bytes",
            patterns.join(", "),
            config.max_body_bytes
        );
        return Err(FetchError::new(FetchClass::CostGuard, message));
    }
    // Every file is looked at, so that all of them count this poll.
    let fresh: Vec<&Listed> =
        listed.iter().filter(|file| !watch.is_stable(config, file, wall_now)).collect();
    if let Some(file) = fresh.first() {
        return Err(unfinished(&file.name, "it has just changed"));
    }
    listed.iter().map(read_one).collect()
}

fn read_one(file: &Listed) -> Result<Finished, FetchError> {
    use std::io::Read as _;
    let unreadable = |error: &std::io::Error| unreadable(&file.path, error);
    let open = std::fs::File::open(&file.path).map_err(|error| unreadable(&error))?;
    let mut bytes = Vec::new();
    (&open)
        .take(file.stamp.bytes + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| unreadable(&error))?;
    let now = Stamp::of(&open.metadata().map_err(|error| unreadable(&error))?);
    if now != file.stamp || bytes.len() as u64 != file.stamp.bytes {
        return Err(unfinished(&file.name, "it changed while it was read"));
    }
    if !bytes.ends_with(b"\n") {
        return Err(unfinished(&file.name, "its last line has no end"));
    }
    Ok(Finished { name: file.name.clone(), bytes })
}

fn list(root: &Path, pattern: &str, listed: &mut Vec<Listed>) -> Result<(), FetchError> {
    let (below, last) = pattern.rsplit_once('/').unwrap_or(("", pattern));
    let folder = root.join(below);
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(unreadable(&folder, &error)),
    };
    for entry in entries {
        let entry = entry.map_err(|error| unreadable(&folder, &error))?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        if !matches_glob(last, &name) || is_partial(&name) {
            continue;
        }
        let path = match entry.path().canonicalize() {
            Ok(path) => path,
            // Gone since it was listed: as if it had never been there.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(unreadable(&entry.path(), &error)),
        };
        if !path.starts_with(root) {
            let message = format!("{name}: a link that leads out of the folder is not read");
            return Err(FetchError::new(FetchClass::UserError, message));
        }
        let metadata = path.metadata().map_err(|error| unreadable(&path, &error))?;
        if metadata.is_file() {
            listed.push(Listed { path, name, stamp: Stamp::of(&metadata) });
        }
    }
    Ok(())
}

fn unreadable(path: &Path, error: &std::io::Error) -> FetchError {
    let class = match error.kind() {
        std::io::ErrorKind::PermissionDenied => FetchClass::Auth,
        // Its folder is gone, and with it everything that anybody asks: the source does not answer.
        _ => FetchClass::Transient,
    };
    FetchError::new(class, format!("{}: {error}", path.display()))
}

fn unfinished(name: &str, why: &str) -> FetchError {
    FetchError::new(FetchClass::Transient, format!("{name}: file still being written: {why}"))
}

/// Names that writers give to unfinished files.
fn is_partial(name: &str) -> bool {
    let lower = name.to_lowercase();
    let ends = [".part", ".tmp", ".swp", ".crdownload", "~"];
    name.starts_with('.') || name.starts_with("~$") || ends.iter().any(|end| lower.ends_with(end))
}

/// `*` stands for any run of characters.
fn matches_glob(pattern: &str, name: &str) -> bool {
    let Some((head, mut rest)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(mut name) = name.strip_prefix(head) else {
        return false;
    };
    while let Some((part, after)) = rest.split_once('*') {
        let Some(found) = name.find(part) else {
            return false;
        };
        name = &name[found + part.len()..];
        rest = after;
    }
    name.ends_with(rest)
}

/// The first `YYYY-MM-DD` or `YYYYMMDD` in a name, as `YYYYMMDD`.
fn date_in(name: &str) -> Option<u32> {
    let bytes = name.as_bytes();
    let number = |text: String| {
        let (month, day) = (text[4..6].parse::<u8>().ok()?, text[6..8].parse::<u8>().ok()?);
        ((1..=12).contains(&month) && (1..=31).contains(&day)).then(|| text.parse().ok())?
    };
    (0..bytes.len()).find_map(|start| {
        let fresh = start == 0 || !bytes[start - 1].is_ascii_digit();
        let part = |length: usize| {
            let part = bytes.get(start..start + length)?;
            let ends = bytes.get(start + length).is_none_or(|next| !next.is_ascii_digit());
            (fresh && ends).then_some(part)
        };
        if part(10).is_some_and(dashed) {
            return number(name[start..start + 10].replace(['-', '_'], ""));
        }
        if part(8).is_some_and(|part| part.iter().all(u8::is_ascii_digit)) {
            return number(name[start..start + 8].to_owned());
        }
        None
    })
}

/// `DDDD-DD-DD`.
fn dashed(part: &[u8]) -> bool {
    part.iter().enumerate().all(|(index, byte)| match index {
        4 | 7 => matches!(byte, b'-' | b'_'),
        _ => byte.is_ascii_digit(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_patterns() {
        for (pattern, name, expected) in [
            ("a.csv", "a.csv", true),
            ("a.csv", "b.csv", false),
            ("a_*.csv", "a_2026.csv", true),
            ("a_*.csv", "a.csv", false),
            ("*", "x", true),
            ("a*b*c", "a1b2c", true),
            ("a*b*c", "a1c2b", false),
            ("ab*ba", "aba", false),
        ] {
            assert_eq!(matches_glob(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn dates_in_names_order_files() {
        assert_eq!(date_in("a_2026-08-01.csv"), Some(20_260_801));
        assert_eq!(date_in("20260801T06.csv"), Some(20_260_801));
        assert_eq!(date_in("a_2026_08_01.csv"), Some(20_260_801));
        for name in ["a.csv", "a_20261301.csv", "120260801.csv", "a_202608011.csv", "é2026"] {
            assert_eq!(date_in(name), None, "{name}");
        }
    }

    #[test]
    fn partial_files_are_known_by_name() {
        for name in [".a.csv", "~$a.csv", "a.csv.part", "a.csv.TMP", "a.csv~"] {
            assert!(is_partial(name), "{name}");
        }
        assert!(!is_partial("a.csv"));
    }

    #[test]
    fn patterns_stay_within_the_folder() {
        let query = |file: &str| Query { file: Some(file.to_owned()), ..Query::default() };
        let mut config = CsvConfig::new("x");
        for bad in ["../a.csv", "/etc/passwd", "a/../b", "", "a*/b.csv", "a\\b.csv"] {
            assert!(patterns(&config, &query(bad)).is_err(), "{bad}");
        }
        assert_eq!(patterns(&config, &query("in/a_*.csv")).unwrap(), ["in/a_*.csv"]);
        assert!(patterns(&config, &Query::default()).is_err());
        assert!(patterns(&config, &query("a.sql")).is_err());
        config.answers_sql = true;
        assert_eq!(patterns(&config, &query("q/a.sql")).unwrap(), ["a.csv", "a_*.csv"]);
    }
}
