//! The five stories, played once for the whole test process: both seeds at the same time, and
//! everything that their stores and receivers held at the end, as plain values.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::OnceLock;

use judge::plan;
use judge::points::Point;
use judge::record::EvaluationRecord;
use judge::time::{Span, Window};
use verdictd::demo::data::LAST_DAY;
use verdictd::demo::data::calendar::midnight;
use verdictd::demo::receiver::Received;
use verdictd::demo::{self, DemoOptions, DemoOutcome};
use verdictd::store::{
    ActionView, Delivery, DeliveryFilter, EvaluationRow, OutboxStat, SourceHealth, Store,
};

/// Seeds that are played.
pub(crate) const SEEDS: [u64; 2] = [1, 2];

/// More rows than any story has.
const ALL: usize = 1_000_000;

/// One evaluation with its frozen record.
#[derive(Debug)]
pub(crate) struct Evaluation {
    pub(crate) row: EvaluationRow,
    pub(crate) record: EvaluationRecord,
}

/// What one experiment left in the store.
#[derive(Debug)]
pub(crate) struct Left {
    /// Oldest first.
    pub(crate) evaluations: Vec<Evaluation>,
    pub(crate) actions: Vec<ActionView>,
    /// Newest points by signal or guardrail name.
    pub(crate) points: BTreeMap<String, Vec<Point>>,
    pub(crate) missed: u64,
}

/// One play and what it left behind.
#[derive(Debug)]
pub(crate) struct Played {
    pub(crate) seed: u64,
    pub(crate) outcome: DemoOutcome,
    pub(crate) experiments: BTreeMap<String, Left>,
    pub(crate) deliveries: Vec<Delivery>,
    pub(crate) outbox: Vec<OutboxStat>,
    pub(crate) sources: Vec<SourceHealth>,
    pub(crate) damage: Vec<String>,
}

impl Played {
    /// What an experiment left.
    pub(crate) fn left(&self, experiment: &str) -> &Left {
        &self.experiments[experiment]
    }

    /// Messages that reached one receiver.
    pub(crate) fn received(&self, receiver: &str) -> Vec<&Received> {
        let all = self.outcome.received.iter();
        all.filter(|message| message.receiver == receiver).collect()
    }
}

/// Both plays; the first caller plays them, the others wait.
pub(crate) fn both() -> &'static [Played] {
    static PLAYED: OnceLock<Vec<Played>> = OnceLock::new();
    PLAYED.get_or_init(|| {
        let threads = SEEDS.map(|seed| std::thread::spawn(move || play(seed)));
        threads.map(|thread| thread.join().unwrap()).into()
    })
}

/// Plays one seed and reads its store; the folder is gone afterwards.
fn play(seed: u64) -> Played {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let options = DemoOptions {
            seed,
            keep_open: false,
            listen: "127.0.0.1:0".to_owned(),
            dir: Some(folder.path().to_owned()),
            quiet: true,
        };
        let outcome = demo::run(options).await.unwrap();
        eprintln!("seed {seed}: played in {:.1} s", outcome.seconds);
        read(seed, outcome, &folder.path().join("demo.db")).await
    })
}

async fn read(seed: u64, outcome: DemoOutcome, path: &Path) -> Played {
    let store = Store::open_read_only(path).unwrap();
    let mut experiments = BTreeMap::new();
    for row in store.experiments().await.unwrap() {
        experiments.insert(row.id.clone(), left(&store, &row.id).await);
    }
    let filter = DeliveryFilter { limit: ALL, ..DeliveryFilter::default() };
    Played {
        seed,
        outcome,
        experiments,
        deliveries: store.deliveries(filter).await.unwrap(),
        outbox: store.outbox_stats().await.unwrap(),
        sources: store.sources().await.unwrap(),
        damage: store.integrity_check().await.unwrap(),
    }
}

async fn left(store: &Store, id: &str) -> Left {
    let mut evaluations = Vec::new();
    for row in store.evaluations(id, None, ALL).await.unwrap() {
        let (_, json) = store.evaluation(id, row.number).await.unwrap().unwrap();
        let record = EvaluationRecord::from_json(&json).unwrap();
        evaluations.push(Evaluation { row, record });
    }
    evaluations.reverse();
    let window = Window { start: midnight(-28), end: midnight(LAST_DAY + 28) };
    let mut points = BTreeMap::new();
    for (name, series) in store.context(id).await.unwrap().unwrap().series {
        points.insert(name, store.points(&series, window).await.unwrap());
    }
    if let Some(newest) = evaluations.last() {
        for guardrail in &newest.record.input.experiment.guardrails {
            let experiment = &newest.record.input.experiment;
            // The demo looks at guardrails every hour; other sources than Prometheus count days.
            let grain = match guardrail.kind.source() {
                Some(("prom", _)) => Span::hours(1),
                _ => Span::days(1),
            };
            if let Some(need) = plan::need_of_guardrail(experiment, guardrail, grain, window) {
                let found = store.points(&need.series_id, window).await.unwrap();
                points.insert(guardrail.name.clone(), found);
            }
        }
    }
    let missed = store.missed(id).await.unwrap();
    Left {
        evaluations,
        actions: store.action_state(id).await.unwrap(),
        points,
        missed: missed.iter().map(|missed| missed.count).sum(),
    }
}
