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
//! `deliveries`, `reads`, `sources`, `alarms`. They speak SQL through `sql` only; `sqlite` is the
//! engine.

mod alarms;
mod commit;
#[cfg(test)]
mod conformance;
mod conversations;
mod cursors;
mod deliveries;
mod experiments;
mod migrations;
mod outbox;
mod outbox_types;
mod points;
mod queue;
mod reads;
mod sources;
mod sql;
mod sqlite;
mod state;
#[cfg(test)]
mod tests;
mod types;

use std::path::Path;
use std::sync::Arc;

use sql::Sql;
use sqlite::Pool;

pub use alarms::{Watch, WatchCommit};
pub use conversations::Known;
pub use outbox_types::*;
pub use types::*;

/// A cheap handle to one open store; clones share it.
#[derive(Debug, Clone)]
pub struct Store {
    pool: Arc<Pool>,
    options: StoreOptions,
}

impl Store {
    /// Opens the file, creating and migrating it as needed.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Self::open_with(path, StoreOptions::default())
    }

    /// Opens the file with other bounds than the default ones.
    pub fn open_with(path: &Path, options: StoreOptions) -> Result<Self, StoreError> {
        Ok(Self { pool: Arc::new(Pool::open(path, options.readers)?), options })
    }

    /// Opens an existing file beside a running daemon; every write is [`StoreError::ReadOnly`].
    pub fn open_read_only(path: &Path) -> Result<Self, StoreError> {
        let options = StoreOptions { readers: 1, ..StoreOptions::default() };
        Ok(Self { pool: Arc::new(Pool::open_read_only(path)?), options })
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
