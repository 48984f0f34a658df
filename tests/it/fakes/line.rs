//! The real line in process on a clock of the test: settings as a user writes them, files in a
//! temporary folder, a receiver, a flag server; nothing runs that the test did not call.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use judge::record::EvaluationRecord;
use judge::time::Timestamp;
use tokio::net::TcpListener;
use verdictd::app::App;
use verdictd::clock::ManualClock;
use verdictd::store::{Delivery, DeliveryFilter, EvaluationRow};

/// Serves a router on a free loopback port for as long as the runtime lives.
pub(crate) async fn serve(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    address
}

/// A stopped or running daemon with its folder.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) clock: Arc<ManualClock>,
    folder: tempfile::TempDir,
    app: Option<App>,
}

impl Line {
    /// A folder with experiment files at an instant; the daemon is not started yet.
    pub(crate) fn new(at: Timestamp, files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let experiments = folder.path().join("experiments");
        std::fs::create_dir(&experiments).unwrap();
        for (name, text) in files {
            std::fs::write(experiments.join(name), text).unwrap();
        }
        let clock = Arc::new(ManualClock::new(at));
        Self { clock, folder, app: None }
    }

    /// Where everything is.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A secret's file, as TOML.
    pub(crate) fn secret(&self, name: &str, value: &str) -> String {
        let path = self.path(name);
        std::fs::write(&path, value).unwrap();
        format!("{{ file = {:?} }}", path.display().to_string())
    }

    /// Writes the settings: the given text and this folder's places.
    pub(crate) fn configure(&self, text: &str) {
        let quoted = |path: &Path| format!("{:?}", path.display().to_string());
        let (experiments, store) = (self.path("experiments"), self.path("verdictd.db"));
        let text = format!(
            "[daemon]\nexperiments = {}\n[store]\npath = {}\n{text}",
            quoted(&experiments),
            quoted(&store)
        );
        std::fs::write(self.path("verdictd.toml"), text).unwrap();
    }

    /// Starts the daemon with the settings, its page on a free port.
    pub(crate) async fn start(&mut self) {
        let file = self.path("verdictd.toml");
        let settings = verdictd::settings::load(Some(&file), &[], &[]).unwrap().settings;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let clock = self.clock.clone();
        let app = App::start_manual(settings, clock, Some(listener)).await.unwrap();
        self.app = Some(app);
    }

    /// Stops it; store and files stay.
    pub(crate) async fn stop(&mut self) {
        let app = self.app.take().unwrap();
        app.shutdown().await.unwrap();
    }

    /// The running daemon.
    pub(crate) fn app(&self) -> &App {
        self.app.as_ref().unwrap()
    }

    /// Does all work at the clock's instant.
    pub(crate) async fn settle(&self) {
        self.app().settle().await.unwrap();
    }

    /// Goes from due instant to due instant up to `end`; stops early when `done` says so.
    pub(crate) async fn run_until(&self, end: Timestamp, done: impl AsyncFn(&App) -> bool) -> bool {
        loop {
            self.settle().await;
            if done(self.app()).await {
                return true;
            }
            let due = self.app().next_due().await.unwrap();
            let Some(due) = due.filter(|due| *due <= end) else {
                self.clock.advance_to(end);
                self.settle().await;
                return done(self.app()).await;
            };
            self.clock.advance_to(due);
        }
    }

    /// Goes to `end`, whatever happens.
    pub(crate) async fn run_to(&self, end: Timestamp) {
        self.run_until(end, async |_: &App| false).await;
    }

    /// The evaluations of an experiment, oldest first.
    pub(crate) async fn evaluations(&self, id: &str) -> Vec<(EvaluationRow, EvaluationRecord)> {
        let store = self.app().store();
        let mut evaluations = Vec::new();
        for row in store.evaluations(id, None, 100_000).await.unwrap() {
            let (row, json) = store.evaluation(id, row.number).await.unwrap().unwrap();
            evaluations.push((row, EvaluationRecord::from_json(&json).unwrap()));
        }
        evaluations.reverse();
        evaluations
    }

    /// Every row of the outbox.
    pub(crate) async fn deliveries(&self) -> Vec<Delivery> {
        let filter = DeliveryFilter { limit: 100_000, ..DeliveryFilter::default() };
        self.app().store().deliveries(filter).await.unwrap()
    }
}

/// Whether the newest evaluation said something.
pub(crate) async fn has_spoken(app: &App, id: &str) -> bool {
    let newest = app.store().evaluations(id, None, 1).await.unwrap();
    newest.first().is_some_and(|row| row.verdict != "collecting")
}
