//! A daemon's home in a temporary folder: experiment files, exports and settings, dated around
//! today so that a run is due at once.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use judge::time::{DAY_MS, Timestamp, add_ms};
use verdictd::clock::{Clock as _, SystemClock};
use verdictd::store::Store;

/// The folder and what lies in it.
#[derive(Debug)]
pub(crate) struct Home {
    folder: tempfile::TempDir,
}

/// What an experiment file of the tests says.
#[derive(Debug, Clone)]
pub(crate) struct Idea<'a> {
    /// Experiment id and file name.
    pub(crate) id: &'a str,
    /// Title, as a YAML scalar.
    pub(crate) title: &'a str,
    /// Guardrails, one per line.
    pub(crate) guardrails: &'a str,
    /// Receivers, comma separated.
    pub(crate) notify: &'a str,
}

impl Default for Idea<'_> {
    fn default() -> Self {
        Self { id: "copy", title: "Clearer copy", guardrails: FLIPPING, notify: "hook" }
    }
}

/// A guardrail that a flipping source trips and clears every second.
pub(crate) const FLIPPING: &str = "  latency: {threshold: {source: prom, value: p95_ms, \
     at_most: 400}, every: 1s, on_trip: alert}\n";

impl Home {
    /// An empty home with exports of the last two weeks.
    pub(crate) fn new() -> Self {
        let home = Self { folder: tempfile::tempdir().unwrap() };
        std::fs::create_dir(home.experiments()).unwrap();
        std::fs::create_dir(home.data()).unwrap();
        home.export("started.csv", [400, 500]);
        home.export("finished.csv", [270, 360]);
        home
    }

    /// The folder.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Experiment files.
    pub(crate) fn experiments(&self) -> PathBuf {
        self.path().join("experiments")
    }

    /// Exports.
    pub(crate) fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    /// The store's file.
    pub(crate) fn store_path(&self) -> PathBuf {
        self.path().join("verdictd.db")
    }

    /// The store, beside a running daemon.
    pub(crate) fn store(&self) -> Store {
        Store::open_read_only(&self.store_path()).unwrap()
    }

    /// The settings file.
    pub(crate) fn settings_path(&self) -> PathBuf {
        self.path().join("verdictd.toml")
    }

    /// Writes settings: this home, any free port, the given rest.
    pub(crate) fn settings(&self, prometheus: &str, rest: &str) -> PathBuf {
        let folder = self.path().display();
        let text = format!(
            "[daemon]\nexperiments = \"{folder}/experiments\"\nreload_every_secs = 1\n\
             [store]\npath = \"{folder}/verdictd.db\"\n\
             [http]\nlisten = \"127.0.0.1:0\"\n\
             [alarms]\nevery_secs = 0\n\
             [scheduler]\njitter = false\nlease_secs = 2\n\
             [sources.prom.prometheus]\nurl = \"{prometheus}\"\nquery_delay_secs = 0\n\
             timeout_secs = 2\nmax_body_bytes = 4000000\n\
             [sources.warehouse.csv]\nfolder = \"{folder}/data\"\nstable_for_polls = 1\n\
             settled_after_secs = 0\n\
             [actions.turn-off-copy.webhook]\nurl = \"http://127.0.0.1:9/off\"\n\
             allow_private = true\narmed = false\nverify = {{ url = \"http://127.0.0.1:9/on\", \
             pointer = \"/on\", equals = false }}\n{rest}"
        );
        std::fs::write(self.settings_path(), text).unwrap();
        self.settings_path()
    }

    /// Writes a whole file in one step, as an editor that renames does.
    pub(crate) fn put(&self, name: &str, text: impl AsRef<[u8]>) {
        let draft = self.path().join(format!("{}.draft", name.replace('/', "-")));
        std::fs::write(&draft, text).unwrap();
        std::fs::rename(draft, self.path().join(name)).unwrap();
    }

    /// Writes an experiment file.
    pub(crate) fn experiment(&self, idea: &Idea<'_>) {
        self.put(&format!("experiments/{}.yaml", idea.id), experiment(idea));
    }

    /// Two weeks of 1,000 units a day in two arms.
    fn export(&self, name: &str, numbers: [u32; 2]) {
        let mut text = "day,arm,num,den\n".to_owned();
        for day in 0..14 {
            let date = day_text(day - 7);
            for (arm, number) in ["control", "treatment"].iter().zip(numbers) {
                writeln!(text, "{date},{arm},{number},1000").unwrap();
            }
        }
        self.put(&format!("data/{name}"), text);
    }
}

/// The UTC date so many days from today.
pub(crate) fn day_text(days: i64) -> String {
    let now: Timestamp = SystemClock.wall_now();
    add_ms(now, days * DAY_MS).strftime("%Y-%m-%d").to_string()
}

/// An experiment whose first weekly checkpoint is today.
pub(crate) fn experiment(idea: &Idea<'_>) -> String {
    let (start, by) = (day_text(-7), day_text(40));
    let Idea { id, title, guardrails, notify } = idea;
    let signal = |name: &str, role: &str, from: &str| {
        format!(
            "  {name}:\n    role: {role}\n    form: proportion\n    want: up\n    \
             from: {from}\n    matures_after: 1d\n    source: warehouse\n    \
             query: {{file: {name}.csv, time: day, arm: arm, num: num, den: den}}\n"
        )
    };
    let signals = signal("started", "proxy", "40%") + &signal("finished", "outcome", "27%");
    format!(
        "experiment: {id}\ntitle: {title}\nowner: {{name: Growth lead, contact: \"#growth\"}}\n\
         can_stop: [growth-lead]\naim:\n  signal: finished\n  behaviour: new users finish what \
         they came for\n  from: 27%\n  to: 35%\n  by: {by}\nmechanism:\n  we_believe: clearer \
         copy on the first page\n  will_move: finished\n  because: they see what comes next\n\
         reversible: yes\nif_it_works: growth makes it the default\ntimezone: UTC\ncompare:\n  \
         design: arms\n  control: control\n  treatment: treatment\nstart: {start}\n\
         plan: {{units_per_week: 14000}}\nsignals:\n{signals}checkpoint:\n  every: 7d\n  \
         cycles: 2\n  continue_when: started >= +10% and finished >= +3pts\nguardrails:\n\
         {guardrails}rollback: {{plan: https://wiki.example.com/undo, action: turn-off-copy}}\n\
         review: {{every: 7d, minutes: 15}}\nnotify: [{notify}]\n"
    )
}
