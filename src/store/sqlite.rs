//! SQLite behind the facade: one writer thread, a few reader threads, nothing on the runtime.
//!
//! Writes queue up and are committed in groups: each piece of work runs in its own savepoint of
//! one `BEGIN IMMEDIATE` transaction, and is answered only after the commit is on disk
//! (`synchronous=FULL`). Reads run in their own transaction, so that each sees one snapshot.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::types::{ToSql, ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags, params_from_iter};
use tokio::sync::oneshot;

use super::loads::Loads;
use super::sql::{Row, Sql, Val, args, bad};
use super::{StoreError, migrations};

/// How long a writer waits for another process.
const BUSY: Duration = Duration::from_secs(5);
/// How far apart opening is tried while another process opens or closes.
const OPEN_PAUSE: Duration = Duration::from_millis(50);
/// How many pieces of work share one commit.
const GROUP: usize = 64;
/// Files up to this size are checked page by page when they are opened.
const CHECKED_ON_OPEN: u64 = 256 << 20;

/// One connection.
#[derive(Debug)]
pub(super) struct Sqlite {
    connection: Connection,
    path: PathBuf,
    loads: Loads,
}

impl ToSql for Val {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Null => ToSqlOutput::Owned(Value::Null),
            Self::Int(value) => ToSqlOutput::Owned(Value::Integer(*value)),
            Self::Real(value) => ToSqlOutput::Owned(Value::Real(*value)),
            Self::Text(value) => ToSqlOutput::Borrowed(ValueRef::Text(value.as_bytes())),
        })
    }
}

impl Sql for Sqlite {
    fn exec(&self, sql: &str, args: &[Val]) -> Result<u64, StoreError> {
        refuse_nan(args)?;
        let mut statement = self.connection.prepare_cached(sql).map_err(|e| self.explain(e))?;
        let touched = statement.execute(params_from_iter(args)).map_err(|e| self.explain(e))?;
        Ok(touched as u64)
    }

    fn query(&self, sql: &str, args: &[Val]) -> Result<Vec<Row>, StoreError> {
        refuse_nan(args)?;
        let mut statement = self.connection.prepare_cached(sql).map_err(|e| self.explain(e))?;
        let columns: Rc<[String]> = statement.column_names().map(str::to_owned).collect();
        let mut found = statement.query(params_from_iter(args)).map_err(|e| self.explain(e))?;
        let mut rows = Vec::new();
        while let Some(row) = found.next().map_err(|e| self.explain(e))? {
            let mut values = Vec::with_capacity(columns.len());
            for (index, column) in columns.iter().enumerate() {
                let value = row.get_ref(index).map_err(|e| self.explain(e))?;
                values.push(to_val(column, value)?);
            }
            rows.push(Row { columns: Rc::clone(&columns), values });
        }
        Ok(rows)
    }

    fn batch(&self, sql: &str) -> Result<(), StoreError> {
        self.connection.execute_batch(sql).map_err(|e| self.explain(e))
    }

    fn begin_write(&self) -> Result<(), StoreError> {
        // A deferred transaction that turns into a writer fails at once when another one wrote
        // in between, whatever the busy time-out says.
        self.batch("BEGIN IMMEDIATE")
    }

    fn in_transaction(&self) -> bool {
        !self.connection.is_autocommit()
    }

    fn changed_by_others(&self) -> Result<i64, StoreError> {
        let row = self.first("PRAGMA data_version", args![])?;
        row.ok_or_else(|| bad("data_version", "no answer"))?.int("data_version")
    }

    fn loads(&self) -> &Loads {
        &self.loads
    }

    fn self_check(&self) -> Result<Vec<String>, StoreError> {
        let mut problems = Vec::new();
        for row in self.query("PRAGMA integrity_check", args![])? {
            let said = row.text("integrity_check")?;
            if said != "ok" {
                problems.push(said);
            }
        }
        for row in self.query("PRAGMA foreign_key_check", args![])? {
            problems.push(format!(
                "a row of {} refers to a missing row of {}",
                row.text("table")?,
                row.text("parent")?
            ));
        }
        Ok(problems)
    }
}

/// SQLite would store NaN as NULL: refuse it by name instead.
fn refuse_nan(args: &[Val]) -> Result<(), StoreError> {
    match args.iter().position(|value| matches!(value, Val::Real(real) if real.is_nan())) {
        Some(index) => Err(StoreError::NotFinite(format!("parameter {}", index + 1))),
        None => Ok(()),
    }
}

fn to_val(column: &str, value: ValueRef<'_>) -> Result<Val, StoreError> {
    Ok(match value {
        ValueRef::Null => Val::Null,
        ValueRef::Integer(value) => Val::Int(value),
        ValueRef::Real(value) => Val::Real(value),
        ValueRef::Text(bytes) => {
            let text = std::str::from_utf8(bytes);
            Val::Text(text.map_err(|_| bad(column, "text that is not UTF-8"))?.into())
        }
        ValueRef::Blob(_) => return Err(bad(column, "bytes where none belong")),
    })
}

impl Sqlite {
    /// Opens for writing: creates, checks and migrates the file.
    fn open_writer(path: &Path, durable: bool) -> Result<Self, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let sqlite = Self::connect(path, flags)?;
        sqlite.refuse_damage()?;
        sqlite.batch("PRAGMA journal_mode = WAL")?;
        sqlite.batch(&format!("PRAGMA synchronous = {}", if durable { "FULL" } else { "OFF" }))?;
        migrations::migrate(&sqlite)?;
        Ok(sqlite)
    }

    /// A connection as it is, without our schema.
    #[cfg(test)]
    pub(super) fn of_test(connection: Connection, path: &Path) -> Self {
        Self { connection, path: path.to_owned(), loads: Loads::default() }
    }

    /// Opens a reader of a file that a writer has prepared.
    fn open_reader(path: &Path) -> Result<Self, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let sqlite = Self::connect(path, flags)?;
        sqlite.batch("PRAGMA query_only = ON")?;
        Ok(sqlite)
    }

    fn connect(path: &Path, flags: OpenFlags) -> Result<Self, StoreError> {
        let connection = Connection::open_with_flags(path, flags).map_err(|error| {
            StoreError::Open { path: path.to_owned(), cause: error.to_string() }
        })?;
        let sqlite = Self { connection, path: path.to_owned(), loads: Loads::default() };
        sqlite.connection.busy_timeout(BUSY).map_err(|e| sqlite.explain(e))?;
        sqlite.connection.set_prepared_statement_cache_capacity(256);
        // Plans do not depend on values: otherwise most statements are compiled anew at each use.
        sqlite
            .connection
            .set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)
            .map_err(|e| sqlite.explain(e))?;
        sqlite.batch("PRAGMA foreign_keys = ON")?;
        Ok(sqlite)
    }

    /// Says at the door, not in the middle of the night, that a file is not ours or is broken.
    fn refuse_damage(&self) -> Result<(), StoreError> {
        let corrupt = |cause: String| StoreError::Corrupt { path: self.path.clone(), cause };
        let tables = self.query(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
            args![],
        )?;
        let mut names = Vec::new();
        for row in &tables {
            names.push(row.text("name")?);
        }
        if !names.is_empty() && !names.iter().any(|name| name == "schema_migrations") {
            return Err(corrupt("it holds another application's tables".to_owned()));
        }
        let size = std::fs::metadata(&self.path).map_or(0, |meta| meta.len());
        if size > CHECKED_ON_OPEN {
            return Ok(());
        }
        for row in self.query("PRAGMA quick_check(1)", args![])? {
            let said = row.text("quick_check")?;
            if said != "ok" {
                return Err(corrupt(said));
            }
        }
        Ok(())
    }

    fn explain(&self, error: rusqlite::Error) -> StoreError {
        let text = error.to_string();
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::Busy(text),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                StoreError::Corrupt { path: self.path.clone(), cause: text }
            }
            Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
                StoreError::Open { path: self.path.clone(), cause: text }
            }
            Some(ErrorCode::ReadOnly) => StoreError::ReadOnly,
            _ => StoreError::Database(text),
        }
    }
}

/// A piece of work that writes.
trait WriteJob: Send {
    /// Does it inside a savepoint; whether it is to be kept.
    fn run(&mut self, sql: &dyn Sql) -> bool;
    /// Answers the caller once the fate of the transaction is known.
    fn finish(self: Box<Self>, committed: &Result<(), StoreError>);
}

type ReadJob = Box<dyn FnOnce(&dyn Sql) + Send>;

struct Write<T, F> {
    work: Option<F>,
    out: Option<Result<T, StoreError>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> WriteJob for Write<T, F>
where
    T: Send,
    F: FnOnce(&dyn Sql) -> Result<T, StoreError> + Send,
{
    fn run(&mut self, sql: &dyn Sql) -> bool {
        self.out = self.work.take().map(|work| guarded(sql, work));
        matches!(self.out, Some(Ok(_)))
    }

    fn finish(self: Box<Self>, committed: &Result<(), StoreError>) {
        let out = match (self.out, committed) {
            (Some(Err(own)), _) => Err(own),
            (_, Err(lost)) => Err(lost.clone()),
            (Some(Ok(out)), Ok(())) => Ok(out),
            (None, Ok(())) => Err(StoreError::Closed),
        };
        // A caller that went away does not want to know.
        drop(self.reply.send(out));
    }
}

/// A panic in the work ends the work, not the thread.
fn guarded<T>(
    sql: &dyn Sql,
    work: impl FnOnce(&dyn Sql) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(|| work(sql))).unwrap_or(Err(StoreError::Panicked))
}

/// Switching a new file to its write-ahead log, and removing that log on the last close, answer
/// "busy" at once to everybody else, whatever the busy time-out says: try again.
fn patiently<T>(open: impl Fn() -> Result<T, StoreError>) -> Result<T, StoreError> {
    let give_up = Instant::now() + BUSY;
    loop {
        match open() {
            Err(StoreError::Busy(_)) if Instant::now() < give_up => {
                std::thread::sleep(OPEN_PAUSE);
            }
            other => return other,
        }
    }
}

/// The threads of one open file.
#[derive(Debug)]
pub(super) struct Pool {
    writer: Option<Sender<Box<dyn WriteJob>>>,
    readers: Option<Sender<ReadJob>>,
    threads: Vec<JoinHandle<()>>,
}

impl Pool {
    /// Opens for writing, with that many readers.
    pub(super) fn open(path: &Path, readers: usize, durable: bool) -> Result<Self, StoreError> {
        let sqlite = patiently(|| Sqlite::open_writer(path, durable))?;
        let mut pool = Self::open_readers(path, readers)?;
        let (sender, jobs) = channel();
        pool.writer = Some(sender);
        pool.spawn("store-writer", move || write_loop(&sqlite, &jobs))?;
        Ok(pool)
    }

    /// Opens for reading only; the file must have our schema.
    pub(super) fn open_read_only(path: &Path) -> Result<Self, StoreError> {
        patiently(|| migrations::require_current(&Sqlite::open_reader(path)?))?;
        Self::open_readers(path, 1)
    }

    fn open_readers(path: &Path, readers: usize) -> Result<Self, StoreError> {
        let (sender, jobs) = channel::<ReadJob>();
        let jobs = Arc::new(Mutex::new(jobs));
        let mut pool = Self { writer: None, readers: Some(sender), threads: Vec::new() };
        for _ in 0..readers.max(1) {
            let sqlite = Sqlite::open_reader(path)?;
            let jobs = Arc::clone(&jobs);
            pool.spawn("store-reader", move || read_loop(&sqlite, &jobs))?;
        }
        Ok(pool)
    }

    fn spawn(&mut self, name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), StoreError> {
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(run);
        self.threads.push(thread.map_err(|error| StoreError::Database(error.to_string()))?);
        Ok(())
    }

    /// Runs work that writes; it is on disk when this returns `Ok`.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Sql) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let writer = self.writer.as_ref().ok_or(StoreError::ReadOnly)?;
        let job = Write { work: Some(work), out: None, reply };
        writer.send(Box::new(job)).map_err(|_| StoreError::Closed)?;
        answer.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Runs work that reads, from one snapshot.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Sql) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let readers = self.readers.as_ref().ok_or(StoreError::Closed)?;
        let job: ReadJob = Box::new(move |sql| {
            let out = sql.batch("BEGIN").and_then(|()| {
                let out = guarded(sql, work);
                let ended = sql.batch("ROLLBACK");
                out.and_then(|out| ended.map(|()| out))
            });
            drop(reply.send(out));
        });
        readers.send(job).map_err(|_| StoreError::Closed)?;
        answer.await.unwrap_or(Err(StoreError::Closed))
    }
}

impl Drop for Pool {
    /// Waits for work that was accepted: what a caller was promised is done.
    fn drop(&mut self) {
        self.writer = None;
        self.readers = None;
        for thread in self.threads.drain(..) {
            // The loops catch panics of the work; a panic of their own has nothing to say here.
            drop(thread.join());
        }
    }
}

fn read_loop(sqlite: &Sqlite, jobs: &Mutex<Receiver<ReadJob>>) {
    loop {
        let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match next {
            Ok(job) => job(sqlite),
            Err(_) => return,
        }
    }
}

fn write_loop(sqlite: &Sqlite, jobs: &Receiver<Box<dyn WriteJob>>) {
    while let Ok(first) = jobs.recv() {
        let mut group = vec![first];
        group.extend(jobs.try_iter().take(GROUP - 1));
        let committed = run_group(sqlite, &mut group);
        for job in group {
            job.finish(&committed);
        }
    }
    // Helps the planner of the next start; failing to is no loss.
    drop(sqlite.batch("PRAGMA optimize"));
}

fn run_group(sql: &dyn Sql, group: &mut [Box<dyn WriteJob>]) -> Result<(), StoreError> {
    sql.begin_write()?;
    let outcome = run_jobs(sql, group).and_then(|()| sql.batch("COMMIT"));
    if outcome.is_err() {
        sql.loads().forget();
        if sql.in_transaction() {
            sql.batch("ROLLBACK")?;
        }
    }
    outcome
}

fn run_jobs(sql: &dyn Sql, group: &mut [Box<dyn WriteJob>]) -> Result<(), StoreError> {
    for job in group {
        sql.batch("SAVEPOINT work")?;
        let keep = job.run(sql);
        if !sql.in_transaction() {
            // A full disk or an I/O error ends the whole transaction, not only this work.
            return Err(StoreError::Database("the transaction was lost".to_owned()));
        }
        if keep {
            sql.batch("RELEASE work")?;
        } else {
            sql.batch("ROLLBACK TO work; RELEASE work")?;
            sql.loads().forget();
        }
    }
    Ok(())
}

/// `VACUUM INTO` reads one snapshot, whoever writes meanwhile.
pub(super) fn copy_to(path: &Path, target: &Path) -> Result<(), StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open_error = |error: rusqlite::Error| StoreError::Open {
        path: path.to_owned(),
        cause: error.to_string(),
    };
    let connection = Connection::open_with_flags(path, flags).map_err(open_error)?;
    let target = target.to_string_lossy().into_owned();
    connection.execute("VACUUM INTO ?1", [target]).map_err(open_error)?;
    Ok(())
}
