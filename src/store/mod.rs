//! The store: what must survive a crash at any instruction, behind one handle.
//!
//! Place in the line: after `record` and before `deliver`. The scheduler claims work here and
//! commits whole evaluations, the delivery workers lease what there is to send, the pages read.
//!
//! Invariants:
//! * one transaction holds whole evaluations, never a part of one (`commit`);
//! * a slot (experiment, track, scheduled_at) is answered at most once, for ever;
//! * a holder whose claim or lease was taken over can no longer write (epoch, attempt number);
//! * points are append-only per version, the newest version wins on read;
//! * an outbox row is enqueued once per id, and leaves only by a recorded state.
//!
//! Concern by concern: `experiments`, `cursors`, `points`, `commit`, `state` (sequential state
//! and guardrails), `outbox` (leases and attempts), `queue` (enqueue, supersede, bounds),
//! `redeliver` (sending again), `endpoints` (circuits), `policy` (silences, acknowledgements,
//! digests), `standing` (what gates ask), `rollback`, `deliveries`, `reads`, `sources`, `alarms`.
//! They speak SQL through `sql` only; `sqlite` is the engine.

mod alarms;
mod commit;
#[cfg(test)]
mod conformance;
mod conversations;
mod cursors;
mod deliveries;
mod endpoint_types;
mod endpoints;
mod experiments;
mod migrations;
mod outbox;
mod outbox_types;
mod points;
mod policy;
mod prune;
mod queue;
mod reads;
mod redeliver;
mod rollback;
mod skewed;
mod sources;
mod sql;
mod sqlite;
mod standing;
mod state;
#[cfg(test)]
mod tests;
mod types;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sql::Sql;
use sqlite::Pool;
use tokio::sync::watch;

pub use alarms::{Watch, WatchCommit, Watching};
pub use conversations::Known;
pub use endpoint_types::*;
pub use outbox_types::*;
pub use policy::{AckRow, Entry, SilenceRow};
pub use redeliver::{MOST_REDELIVERED, Redeliver};
pub use rollback::{ActionUse, Pulled};
pub use standing::{Decreed, GateRow};
pub use types::*;

/// A cheap handle to one open store; clones share it.
#[derive(Debug, Clone)]
pub struct Store {
    pool: Arc<Pool>,
    options: StoreOptions,
    place: Arc<Place>,
    news: Arc<watch::Sender<u64>>,
}

/// The file that was opened: a path may come to name another one, or none.
#[derive(Debug)]
struct Place {
    path: PathBuf,
    id: Option<(u64, u64)>,
}

impl Place {
    fn of(path: &Path) -> Arc<Self> {
        Arc::new(Self { path: path.to_owned(), id: file_id(path) })
    }
}

fn news() -> Arc<watch::Sender<u64>> {
    Arc::new(watch::Sender::new(0))
}

/// Device and inode.
fn file_id(path: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino()))
}

impl Store {
    /// Opens the file, creating and migrating it as needed.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Self::open_with(path, StoreOptions::default())
    }

    /// Opens the file with other bounds than the default ones.
    pub fn open_with(path: &Path, options: StoreOptions) -> Result<Self, StoreError> {
        let pool = Arc::new(Pool::open(path, options.readers, options.durable)?);
        Ok(Self { pool, options, place: Place::of(path), news: news() })
    }

    /// Opens an existing file beside a running daemon; every write is [`StoreError::ReadOnly`].
    pub fn open_read_only(path: &Path) -> Result<Self, StoreError> {
        let options = StoreOptions { readers: 1, ..StoreOptions::default() };
        let pool = Arc::new(Pool::open_read_only(path)?);
        Ok(Self { pool, options, place: Place::of(path), news: news() })
    }

    /// Whether what is committed would still be there tomorrow: the path names the file that was
    /// opened, and it takes a write.
    pub async fn check_writable(&self) -> Result<(), StoreError> {
        let path = &self.place.path;
        match file_id(path) {
            None => {
                let what = format!("the store's file {} is gone", path.display());
                return Err(StoreError::Database(what));
            }
            now if now != self.place.id => {
                let what = format!("{} is another file than the one in use", path.display());
                return Err(StoreError::Database(what));
            }
            Some(_) => {}
        }
        self.write(|sql| {
            sql.exec("UPDATE counters SET value = value WHERE name = 'log'", sql::args![]).map(drop)
        })
        .await
    }

    /// Changes whenever this process committed something about an experiment: a reader that waits
    /// looks again then. What other processes write is not told here.
    pub fn news(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }

    /// Wakes everybody who waits for news.
    fn tell_news(&self) {
        self.news.send_modify(|count| *count = count.wrapping_add(1));
    }

    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Sql) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.pool.write(work).await
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Sql) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.pool.read(work).await
    }
}

/// Writes a consistent copy of a store into a new file, also while a daemon works on it.
pub fn copy_to(path: &Path, target: &Path) -> Result<(), StoreError> {
    sqlite::copy_to(path, target)
}
