//! How many messages wait for each endpoint at most: what is remembered between two counts.
//!
//! Every enqueue has to know whether a queue is full, and counting ten thousand rows for each new
//! one would make a long outage costlier the longer it lasts. What is kept is an upper bound: the
//! last exact count, and what was added since by this connection. Rows that leave need not be
//! told. Whatever else could make it too low forgets everything: another process that wrote, a row
//! that is opened again, work that is undone.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use super::sql::Sql;
use super::{StoreError, StoreOptions};

/// Open messages of one endpoint.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Load {
    pub(super) rows: u64,
    pub(super) bytes: u64,
}

impl Load {
    /// Whether that many may wait.
    pub(super) fn fits(self, options: &StoreOptions) -> bool {
        self.rows <= options.queue_rows && self.bytes <= options.queue_bytes
    }
}

/// The bounds that one connection knows.
#[derive(Debug, Default)]
pub(super) struct Loads {
    most: RefCell<BTreeMap<String, Load>>,
    /// The file's state as others left it.
    version: Cell<Option<i64>>,
}

impl Loads {
    /// Adds to what is known of an endpoint, and gives the new bound; `None` where nothing is.
    pub(super) fn grown(
        &self,
        sql: &dyn Sql,
        endpoint: &str,
        by: Load,
    ) -> Result<Option<Load>, StoreError> {
        let version = sql.changed_by_others()?;
        if self.version.replace(Some(version)) != Some(version) {
            self.forget();
        }
        let mut most = self.most.borrow_mut();
        let Some(known) = most.get_mut(endpoint) else { return Ok(None) };
        known.rows = known.rows.saturating_add(by.rows);
        known.bytes = known.bytes.saturating_add(by.bytes);
        Ok(Some(*known))
    }

    /// They were counted just now, within this transaction.
    pub(super) fn counted(&self, endpoint: &str, load: Load) {
        self.most.borrow_mut().insert(endpoint.to_owned(), load);
    }

    /// Rows came back that were not enqueued, or work was undone after a count.
    pub(super) fn forget(&self) {
        self.most.borrow_mut().clear();
    }
}
