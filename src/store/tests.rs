//! The SQLite engine under the conformance suite, and what only a file can do wrong.

use std::path::{Path, PathBuf};

use rusqlite::Connection;
use tempfile::TempDir;

use super::conformance::{
    self, at, claim, cursor, experiment, fetched, look, message, number, proportion,
};
use super::sql::{Sql, args};
use super::{Commit, Committed, DeliveryFilter, Store, StoreError, StoreOptions, migrations};

fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("verdictd.db");
    (folder, path)
}

macro_rules! on_sqlite {
    ($($module:ident: $check:ident,)*) => {
        $(
            #[tokio::test]
            async fn $check() {
                let (_folder, path) = folder();
                conformance::$module::$check(Store::open(&path).unwrap()).await;
            }
        )*
    };
}
conformance::for_each_check!(on_sqlite);

/// Copies the file with its log, as a power cut would leave them on the disk.
fn power_cut(path: &Path, to: &Path) {
    for suffix in ["", "-wal"] {
        let name = |base: &Path| PathBuf::from(format!("{}{suffix}", base.display()));
        std::fs::copy(name(path), name(to)).unwrap();
    }
}

#[tokio::test]
async fn what_was_answered_survives_a_power_cut_and_what_was_not_does_not() {
    let (folder, path) = folder();
    let store = Store::open(&path).unwrap();
    store.ensure_experiment(experiment("x")).await.unwrap();
    let claims = claim(&store, 100).await;
    store.commit(look(&store, &claims[0]).await).await.unwrap();
    let copy = folder.path().join("cut.db");
    let (from, to) = (path.clone(), copy.clone());
    store
        .write(move |sql| {
            sql.exec("UPDATE experiments SET title = 'half' WHERE id = ?1", args!["x"])?;
            sql.exec("DELETE FROM evaluations", args![])?;
            power_cut(&from, &to);
            Ok(())
        })
        .await
        .unwrap();
    let after = Store::open(&copy).unwrap();
    assert_eq!(after.experiments().await.unwrap()[0].title, "A title");
    assert_eq!(after.evaluations("x", None, 9).await.unwrap().len(), 1);
    assert!(after.integrity_check().await.unwrap().is_empty());
}

/// Half of some work.
fn half(sql: &dyn Sql) {
    sql.exec("UPDATE experiments SET title = 'half'", args![]).unwrap();
}

#[tokio::test]
async fn work_that_panics_or_fails_leaves_nothing_and_ends_nothing() {
    let (_folder, path) = folder();
    let store = Store::open(&path).unwrap();
    store.ensure_experiment(experiment("x")).await.unwrap();
    let panicked = store
        .write(|sql| -> Result<(), StoreError> {
            half(sql);
            panic!("on purpose")
        })
        .await;
    assert_eq!(panicked, Err(StoreError::Panicked));
    let failed = store
        .write(|sql| -> Result<(), StoreError> {
            half(sql);
            sql.exec("INSERT INTO nowhere VALUES (1)", args![]).map(drop)
        })
        .await;
    assert!(matches!(failed, Err(StoreError::Database(_))));
    let read = store.read(|_| -> Result<(), StoreError> { panic!("on purpose") }).await;
    assert_eq!(read, Err(StoreError::Panicked));
    assert_eq!(store.experiments().await.unwrap()[0].title, "A title");
    assert!(store.ensure_experiment(experiment("y")).await.unwrap(), "and it goes on");
}

#[tokio::test]
async fn one_failing_work_of_a_group_does_not_touch_the_others() {
    let (_folder, path) = folder();
    let store = Store::open(&path).unwrap();
    let insert = |id: &'static str, keep: bool| {
        let store = store.clone();
        async move {
            store
                .write(move |sql| {
                    super::cursors::running(sql, id)?;
                    sql.exec("INSERT INTO counters VALUES (?1, 0)", args![id])?;
                    if keep { Ok(()) } else { Err(StoreError::Closed) }
                })
                .await
        }
    };
    // Holds the writer, so that the next three wait and share one commit.
    let (open, gate) = std::sync::mpsc::channel::<()>();
    let blocker = store.write(move |_| gate.recv().map_err(|_| StoreError::Closed));
    let work = async { tokio::join!(insert("a", true), insert("b", false), insert("c", true)) };
    let opener = async { open.send(()).unwrap() };
    let (blocked, (a, b, c), ()) = tokio::join!(blocker, work, opener);
    assert_eq!((blocked, a, b, c), (Ok(()), Ok(()), Err(StoreError::Closed), Ok(())));
    let names = store
        .read(|sql| {
            let rows = sql.query("SELECT name FROM counters ORDER BY name", args![])?;
            rows.iter().map(|row| row.text("name")).collect::<Result<Vec<_>, _>>()
        })
        .await;
    assert_eq!(names.unwrap(), ["a", "c", "log", "outbox"]);
}

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let (_folder, path) = folder();
    let store = Store::open(&path).unwrap();
    store.ensure_experiment(experiment("x")).await.unwrap();
    let former = claim(&store, 100).await.remove(0);
    let mut commit = look(&store, &former).await;
    commit.points = vec![fetched("s", vec![proportion("all", 0, 1.0, 3.0)])];
    commit.more_cursors = vec![cursor("guardrail:errors", 130)];
    store.commit(commit.clone()).await.unwrap();
    let before = store.context("x").await.unwrap();
    drop(store);
    let store = Store::open(&path).unwrap();
    assert_eq!(store.context("x").await.unwrap(), before);
    assert_eq!(store.newest_point_end("s").await.unwrap(), Some(at(60)));
    assert_eq!(store.earliest_due().await.unwrap(), Some(at(130)));
    assert_eq!(store.commit(commit).await.unwrap(), Committed::Already);
}

#[tokio::test]
async fn two_handles_on_one_file_share_the_work() {
    let (_folder, path) = folder();
    let (one, two) = (Store::open(&path).unwrap(), Store::open(&path).unwrap());
    one.ensure_experiment(experiment("x")).await.unwrap();
    let both = tokio::join!(claim(&one, 100), claim(&two, 100));
    assert_eq!(both.0.len() + both.1.len(), 1, "only one of them gets it");
    let claims = [both.0, both.1].concat();
    let commit = look(&two, &claims[0]).await;
    let both = tokio::join!(one.commit(commit.clone()), two.commit(commit));
    let fresh = [both.0.unwrap(), both.1.unwrap()];
    assert_eq!(fresh.iter().filter(|done| **done == Committed::Already).count(), 1);
    assert_eq!(two.evaluations("x", None, 9).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_full_queue_is_seen_whoever_filled_it() {
    let (_folder, path) = folder();
    let options = StoreOptions { queue_rows: 3, ..StoreOptions::default() };
    let (one, two) =
        (Store::open_with(&path, options).unwrap(), Store::open_with(&path, options).unwrap());
    let enqueue = async |store: &Store, id: &str, sequence| {
        store.enqueue(vec![message(id, "data.stale", sequence)]).await.unwrap();
    };
    enqueue(&one, "m1", 1).await;
    enqueue(&two, "m2", 2).await;
    enqueue(&two, "m3", 3).await;
    enqueue(&one, "m4", 4).await;
    let stats = two.outbox_stats().await.unwrap();
    assert_eq!((stats[0].pending, stats[0].dead), (3, 1), "what another process added counts");
}

/// As it was before bodies had a table of their own (0010).
#[tokio::test]
async fn an_older_outbox_keeps_its_bytes() {
    let (_folder, path) = folder();
    {
        let raw = Connection::open(&path).unwrap();
        let sqlite = super::sqlite::Sqlite::of_test(raw, &path);
        migrations::migrate_up_to(8, &sqlite).unwrap();
        for (id, position, body) in [("same", 1_i64, "{\"a\":1}"), ("other", 2, "for people")] {
            sqlite
                .exec(
                    "INSERT INTO outbox (id, endpoint, partition_key, sequence, position, kind,
                         urgent, lane, notice_id, body, content, bytes, created_at, not_before,
                         expires_at, final_state, state, next_at, attempts, manual, collapsed)
                     VALUES (?1, 'hook', 'x', ?2, ?2, 'x.y', 0, 'message', 'n', ?3, ?4, 20, 10,
                         10, 99, 0, 'pending', 10, 0, 0, 0)",
                    args![id, position, body, "{\"a\":1}"],
                )
                .unwrap();
        }
        sqlite.exec("UPDATE counters SET value = 2 WHERE name = 'outbox'", args![]).unwrap();
    }
    let store = Store::open(&path).unwrap();
    let rows = store.deliveries(DeliveryFilter::default()).await.unwrap();
    let said: Vec<_> =
        rows.iter().map(|row| (row.row.body.as_str(), row.row.content.as_str())).collect();
    assert_eq!(said, [("for people", "{\"a\":1}"), ("{\"a\":1}", "{\"a\":1}")]);
    assert_eq!(store.outbox_stats().await.unwrap()[0].pending, 2);
    store.enqueue(vec![message("new", "x.y", 3)]).await.unwrap();
    assert!(store.integrity_check().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_reader_beside_the_daemon_cannot_write() {
    let (_folder, path) = folder();
    assert!(matches!(Store::open_read_only(&path), Err(StoreError::Open { .. })));
    let store = Store::open(&path).unwrap();
    store.ensure_experiment(experiment("x")).await.unwrap();
    let reader = Store::open_read_only(&path).unwrap();
    assert_eq!(reader.experiments().await.unwrap().len(), 1);
    let refused = reader.ensure_experiment(experiment("y")).await;
    assert_eq!(refused, Err(StoreError::ReadOnly));
    store.ensure_experiment(experiment("y")).await.unwrap();
    assert_eq!(reader.experiments().await.unwrap().len(), 2, "it sees what is committed");
}

#[tokio::test]
async fn a_newer_or_other_schema_is_refused() {
    let (_folder, path) = folder();
    drop(Store::open(&path).unwrap());
    let raw = Connection::open(&path).unwrap();
    let newer = migrations::NEWEST + 1;
    raw.execute("INSERT INTO schema_migrations VALUES (?1, 'later', 'x')", [newer]).unwrap();
    let refused = Store::open(&path).unwrap_err();
    assert_eq!(refused, StoreError::NewerSchema { found: newer, known: migrations::NEWEST });
    assert!(refused.to_string().contains("newer verdictd"), "{refused}");
    assert_eq!(Store::open_read_only(&path).unwrap_err(), refused);
    raw.execute_batch("DELETE FROM schema_migrations WHERE name = 'later'").unwrap();
    raw.execute_batch("UPDATE schema_migrations SET checksum = 'other'").unwrap();
    let refused = Store::open(&path).unwrap_err();
    assert_eq!(refused, StoreError::ChangedMigration { version: 1 });
    raw.execute_batch("DELETE FROM schema_migrations").unwrap();
    let refused = Store::open_read_only(&path).unwrap_err();
    assert_eq!(refused, StoreError::OlderSchema { found: 0, known: migrations::NEWEST });
}

#[tokio::test]
async fn a_file_that_is_not_ours_or_is_damaged_is_refused() {
    let (folder, path) = folder();
    std::fs::write(&path, "this is no database, however long it may be ".repeat(100)).unwrap();
    let refused = Store::open(&path).unwrap_err();
    assert!(matches!(refused, StoreError::Corrupt { .. }), "{refused}");
    assert!(refused.to_string().contains("backup"), "{refused}");

    let other = folder.path().join("other.db");
    Connection::open(&other).unwrap().execute_batch("CREATE TABLE theirs (a)").unwrap();
    let refused = Store::open(&other).unwrap_err();
    assert!(refused.to_string().contains("another application"), "{refused}");

    let damaged = folder.path().join("damaged.db");
    let store = Store::open(&damaged).unwrap();
    store.ensure_experiment(experiment("x")).await.unwrap();
    let mut commit = Commit::new("x", 1, 1);
    let points = (0..500).map(|i| proportion("all", i * 60, 1.0, 2.0)).collect();
    commit.points = vec![fetched("s", points)];
    assert_eq!(number(&store.commit(commit).await.unwrap()), None);
    drop(store);
    let mut bytes = std::fs::read(&damaged).unwrap();
    let tail = bytes.len() - 4096 * 3;
    bytes[tail..].fill(0xA5);
    std::fs::write(&damaged, bytes).unwrap();
    let refused = Store::open(&damaged).unwrap_err();
    assert!(matches!(refused, StoreError::Corrupt { .. }), "{refused}");
}

#[tokio::test]
async fn getters_never_make_a_number_of_nothing() {
    let (_folder, path) = folder();
    let store = Store::open(&path).unwrap();
    let problems = store
        .read(|sql| {
            let row = sql.first(
                "SELECT NULL AS empty, 1.5 AS half, '7' AS word, -1 AS below, 2 AS two,
                     9223372036854775807 AS huge",
                args![],
            )?;
            let row = row.unwrap();
            Ok([
                row.int("empty").unwrap_err(),
                row.real("empty").unwrap_err(),
                row.text("empty").unwrap_err(),
                row.time("empty").unwrap_err(),
                row.int("half").unwrap_err(),
                row.int("word").unwrap_err(),
                row.real("word").unwrap_err(),
                row.real("two").unwrap_err(),
                row.count("below").unwrap_err(),
                row.flag("two").unwrap_err(),
                row.time("huge").unwrap_err(),
                row.small("huge").unwrap_err(),
                row.int("absent").unwrap_err(),
            ])
        })
        .await
        .unwrap();
    assert!(problems.iter().all(|problem| matches!(problem, StoreError::BadValue { .. })));
}

#[tokio::test]
async fn a_damaged_record_concerns_its_experiment_only() {
    let (_folder, path) = folder();
    let store = Store::open(&path).unwrap();
    for id in ["x", "y"] {
        store.ensure_experiment(experiment(id)).await.unwrap();
    }
    store
        .write(|sql| {
            sql.exec("INSERT INTO guardrails VALUES ('x', 'g', 'ok', '{half')", args![]).map(drop)
        })
        .await
        .unwrap();
    let refused = store.context("x").await.unwrap_err();
    assert!(matches!(refused, StoreError::BadValue { .. }), "{refused}");
    assert!(store.context("y").await.unwrap().is_some());
    assert_eq!(store.experiments().await.unwrap().len(), 2);
}

#[test]
fn processes_that_start_together_on_a_new_file_all_get_it() {
    for _ in 0..5 {
        let (_folder, path) = folder();
        let start = std::sync::Barrier::new(4);
        std::thread::scope(|scope| {
            let open = || {
                start.wait();
                Store::open(&path).map(drop)
            };
            let opened = [(); 4].map(|()| scope.spawn(open));
            for handle in opened {
                assert_eq!(handle.join().unwrap(), Ok(()));
            }
        });
    }
}
