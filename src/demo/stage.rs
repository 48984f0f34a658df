//! What happens around the daemon, in domain time: exports, revisions, outages.
//!
//! The daemon only sees files and servers. The stage writes each day's exports when the clock
//! passes midnight (never a row that was not known then), drops the second revisions in after the
//! first verdicts, and knows when the metrics server is away.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use judge::time::{HOUR_MS, Timestamp, Window, add_ms};

use super::data::calendar::{day_of, hour_start, midnight};
use super::data::{Files, LAST_DAY, RESOLUTION_DAY, Stories};

macro_rules! story_file {
    ($name:literal) => {
        ($name, include_str!(concat!("../../config/experiments/", $name)))
    };
}

/// The five stories with the SQL they name, as shipped.
pub const EXPERIMENT_FILES: &[(&str, &str)] = &[
    story_file!("activation-action-x.yaml"),
    story_file!("platform-quote-cache.yaml"),
    story_file!("recruiting-touches.yaml"),
    story_file!("sales-discovery.yaml"),
    story_file!("support-root-cause.yaml"),
    story_file!("action_x.sql"),
    story_file!("activation.sql"),
    story_file!("csat.sql"),
    story_file!("fast_start.sql"),
    story_file!("mails.sql"),
];

const ACTIVATION_REVISION: &str =
    include_str!("../../config/experiments/revisions/activation-action-x.yaml");
const SUPPORT_REVISION: &str =
    include_str!("../../config/experiments/revisions/support-root-cause.yaml");

/// Whether a file is an experiment, not one of its queries.
pub fn is_experiment(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension == "yaml")
}

/// Something the audience should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Happening {
    /// When, in domain time.
    pub at: Timestamp,
    /// One sentence.
    pub text: String,
}

/// A file that somebody edits.
#[derive(Debug, Clone, Copy)]
struct Revision {
    at: Timestamp,
    file: &'static str,
    text: &'static str,
    who: &'static str,
}

/// The script and how far it has been played.
#[derive(Debug)]
pub struct Stage {
    stories: Arc<Stories>,
    experiments: PathBuf,
    data: PathBuf,
    revisions: Vec<Revision>,
    outage: Window,
    written: Files,
    played_to: Timestamp,
}

/// When the curtain rises: the evening before the first start.
pub fn opening() -> Timestamp {
    add_ms(midnight(0), -6 * HOUR_MS)
}

/// The metrics server is away on day 6 from 08:00 to 12:00.
pub fn outage() -> Window {
    Window { start: hour_start(5 * 24 + 8), end: hour_start(5 * 24 + 12) }
}

/// Nothing happens after this.
pub fn curtain() -> Timestamp {
    midnight(LAST_DAY + 1)
}

impl Stage {
    /// Puts the story files into place; exports come with the first [`Self::apply_due`].
    pub fn set(stories: Arc<Stories>, experiments: &Path, data: &Path) -> std::io::Result<Self> {
        std::fs::create_dir_all(experiments)?;
        for (name, text) in EXPERIMENT_FILES {
            put(&experiments.join(name), text)?;
        }
        for folder in ["activation", "recruiting", "sales", "support"] {
            std::fs::create_dir_all(data.join(folder))?;
        }
        let revisions = vec![
            Revision {
                at: hour_start(38 * 24 + 10),
                file: "support-root-cause.yaml",
                text: SUPPORT_REVISION,
                who: "support writes a new mechanism: the root cause picks the team",
            },
            Revision {
                at: hour_start(44 * 24 + 9),
                file: "activation-action-x.yaml",
                text: ACTIVATION_REVISION,
                who: "growth writes a new mechanism: Action X opens with the user's own data",
            },
        ];
        Ok(Self {
            stories,
            experiments: experiments.to_owned(),
            data: data.to_owned(),
            revisions,
            outage: outage(),
            written: Files::new(),
            played_to: Timestamp::MIN,
        })
    }

    /// The next instant after `at` at which something happens.
    pub fn next_after(&self, at: Timestamp) -> Option<Timestamp> {
        let tomorrow = midnight(day_of(at) + 1);
        let revisions = self.revisions.iter().map(|revision| revision.at);
        let all = revisions.chain([tomorrow, self.outage.start, self.outage.end]);
        all.filter(|instant| *instant > at && *instant <= curtain()).min()
    }

    /// Does everything due up to `at`; says what people should hear about.
    pub fn apply_due(&mut self, at: Timestamp) -> std::io::Result<Vec<Happening>> {
        let from = self.played_to;
        let is_due = |instant: Timestamp| from < instant && instant <= at;
        let mut happenings = Vec::new();
        let mut say = |at: Timestamp, text: &str| {
            happenings.push(Happening { at, text: text.to_owned() });
        };
        self.export(day_of(at))?;
        if is_due(midnight(RESOLUTION_DAY)) {
            say(midnight(RESOLUTION_DAY), "the missing resolution export has arrived");
        }
        for revision in self.revisions.iter().filter(|revision| is_due(revision.at)) {
            put(&self.experiments.join(revision.file), revision.text)?;
            say(revision.at, revision.who);
        }
        if is_due(self.outage.start) {
            say(self.outage.start, "the metrics server goes away");
        }
        if is_due(self.outage.end) {
            say(self.outage.end, "the metrics server is back");
        }
        self.played_to = at;
        Ok(happenings)
    }

    /// Writes the files that differ from what stands there.
    fn export(&mut self, day: i64) -> std::io::Result<()> {
        if self.played_to != Timestamp::MIN && day == day_of(self.played_to) {
            return Ok(());
        }
        let files = self.stories.files_at(day);
        for (name, text) in &files {
            if self.written.get(name) != Some(text) {
                put(&self.data.join(name), text)?;
            }
        }
        self.written = files;
        Ok(())
    }
}

/// Whole or not at all: a reader never sees half a file.
fn put(path: &Path, text: &str) -> std::io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    let part = path.with_file_name(name);
    std::fs::write(&part, text)?;
    std::fs::rename(part, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage(folder: &Path) -> Stage {
        let stories = Arc::new(Stories::generate(1));
        Stage::set(stories, &folder.join("experiments"), &folder.join("data")).unwrap()
    }

    #[test]
    fn every_happening_comes_once_and_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let mut stage = stage(folder.path());
        let (mut at, mut told) = (opening(), Vec::new());
        told.extend(stage.apply_due(at).unwrap());
        while let Some(next) = stage.next_after(at) {
            assert!(next > at);
            at = next;
            told.extend(stage.apply_due(at).unwrap());
        }
        assert_eq!(at, curtain());
        assert!(told.is_sorted_by_key(|happening| happening.at));
        assert_eq!(told.len(), 5, "{told:?}");
    }

    #[test]
    fn exports_hold_nothing_of_the_future_and_are_restated() {
        let folder = tempfile::tempdir().unwrap();
        let mut stage = stage(folder.path());
        let path = folder.path().join("data/recruiting/candidates_2026-06-01.csv");
        stage.apply_due(midnight(3)).unwrap();
        let early = std::fs::read_to_string(&path).unwrap();
        assert!(early.contains("2026-06-03") && !early.contains("2026-06-04"), "{early}");
        stage.apply_due(midnight(25)).unwrap();
        let late = std::fs::read_to_string(&path).unwrap();
        let row = |text: &str| text.lines().find(|line| line.contains("06-01")).unwrap().to_owned();
        assert_ne!(row(&early), row(&late), "replies came in");
    }

    #[test]
    fn revisions_change_mechanism_and_dates_only_after_the_first_verdict() {
        for (name, revised) in [
            ("activation-action-x.yaml", ACTIVATION_REVISION),
            ("support-root-cause.yaml", SUPPORT_REVISION),
        ] {
            let (_, first) = EXPERIMENT_FILES.iter().find(|(file, _)| *file == name).unwrap();
            let line = |text: &str, key: &str| {
                text.lines().find(|line| line.trim_start().starts_with(key)).unwrap().to_owned()
            };
            for key in ["we_believe:", "start:", "at:"] {
                assert_ne!(line(first, key), line(revised, key), "{name} {key}");
            }
            for key in ["experiment:", "continue_when:", "cycles:", "will_move:"] {
                assert_eq!(line(first, key), line(revised, key), "{name} {key}");
            }
        }
    }
}
