//! The store: what must survive a crash at any instruction, behind one handle.
//!
//! Place in the line: after `record` and before `deliver`; the scheduler claims work here and
//! commits whole evaluations, the delivery workers lease what there is to send, the pages read.
//!
//! Signatures (every method is async unless it says `fn`; all errors are [`StoreError`]):
//!
//! ```text
//! fn open(path: &Path); fn open_with(path, StoreOptions); fn open_read_only(path)
//! save_revision(Revision); revisions(&str) -> Vec<Revision>
//! put_broken(BrokenFile); clear_broken(file: &str); broken_files() -> Vec<BrokenFile>
//! ensure_experiment(NewExperiment) -> bool (something changed)
//! experiments() -> Vec<ExperimentRow>; context(&str) -> Option<Context>
//! claim_due(domain_now, wall_now, holder: &str, lease: Duration, limit) -> Vec<Claim>
//! release(&Claim, next_at) -> bool; release_holder(holder: &str) -> u64
//! earliest_due() -> Option<Timestamp>; earliest_lease_end() -> Option<Timestamp>
//! points(series_id: &str, Window) -> Vec<Point>; newest_point_end(&str) -> Option<Timestamp>
//! commit(Commit) -> Committed; record_decision(experiment, LogEntry, expected: i64) -> Committed
//! enqueue(Vec<OutboxRow>) (source and file notices; same id twice is once)
//! lease_outbox(wall_now, holder: &str, lease_until, limit) -> Vec<OutboxItem>
//! finish_attempt(Attempt) -> Finished; redeliver(id: &str, wall_now) -> bool
//! earliest_outbox() -> Option<Timestamp>; outbox_stats() -> Vec<OutboxStat>
//! deliveries(DeliveryFilter) -> Vec<Delivery>; action_state(experiment) -> Vec<ActionView>
//! evaluations(&str, before: Option<u64>, limit) -> Vec<EvaluationRow>
//! evaluation(&str, n: u64), evaluation_by_id(&str) -> Option<(EvaluationRow, String)>
//! decisions(LogFilter) -> Vec<LogRow>; missed(&str) -> Vec<Missed>
//! get_source(&str) -> Option<SourceHealth>; put_source(SourceHealth); sources()
//! acknowledge(experiment, subject, series_id, who, because, at)
//! prune(before) -> u64; integrity_check() -> Vec<String> (problems)
//! ```

mod outbox_types;
mod types;

pub use outbox_types::*;
pub use types::*;
