//! Silences, acknowledgements, digests and the key of links: what holds messages back, and what
//! becomes of them afterwards.
//!
//! Everything that a change brings with it (log entry, messages, rows it takes) is written in the
//! transaction of the change, so that a crash leaves it done or not begun.

use judge::time::Timestamp;

use super::queue::{self, ROW_COLUMNS, outbox_row};
use super::sql::{Row, Sql, args};
use super::{LogEntry, OutboxRow, Store, StoreError, commit};

/// Newest silences of a list.
const MOST_SILENCES: usize = 200;
/// Rows that one silence, digest or round of repeats hands back at most.
const MOST_ROWS: usize = 5_000;

/// A silence as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SilenceRow {
    /// `sil_` and a hash.
    pub id: String,
    /// What it means (JSON).
    pub matcher_json: String,
    /// Who made it.
    pub author: String,
    /// Whether the name comes from a token or the terminal, not from a form behind a link.
    pub authenticated: bool,
    /// Why.
    pub reason: String,
    /// When it was made (wall time).
    pub created_at: Timestamp,
    /// When it ends by itself (wall time).
    pub ends_at: Timestamp,
    /// When it was ended by hand.
    pub ended_at: Option<Timestamp>,
    /// By whom.
    pub ended_by: Option<String>,
    /// How many messages it held back so far.
    pub withheld: u64,
}

impl SilenceRow {
    /// When it stopped or will stop to hold.
    pub fn over_at(&self) -> Timestamp {
        self.ended_at.map_or(self.ends_at, |ended_at| ended_at.min(self.ends_at))
    }
}

/// An acknowledgement of one notice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AckRow {
    /// Which notice.
    pub notice_id: String,
    /// Its partition.
    pub partition: String,
    /// What it is about.
    pub topic: String,
    /// Who.
    pub who: String,
    /// Whether the name comes from a token or the terminal.
    pub authenticated: bool,
    /// Why, or what is done about it.
    pub because: String,
    /// When (wall time).
    pub at: Timestamp,
}

/// A log entry with the experiment or partition it belongs to.
pub type Entry = (String, LogEntry);

impl Store {
    /// Makes a silence with its log entry; gives back the one that is there where its id is known.
    pub async fn add_silence(
        &self,
        silence: SilenceRow,
        entry: Entry,
    ) -> Result<Option<SilenceRow>, StoreError> {
        self.write(move |sql| {
            let fresh = sql.exec(
                "INSERT INTO silences (id, matcher_json, author, authenticated, reason, created_at,
                     ends_at, settled) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0)
                 ON CONFLICT (id) DO NOTHING",
                args![
                    &silence.id,
                    &silence.matcher_json,
                    &silence.author,
                    silence.authenticated,
                    &silence.reason,
                    silence.created_at,
                    silence.ends_at,
                ],
            )?;
            if fresh == 0 {
                return one_silence(sql, &silence.id);
            }
            commit::append_log(sql, &entry.0, &entry.1)?;
            Ok(None)
        })
        .await
    }

    /// Ends a silence by hand; `false` where there is none that holds.
    pub async fn end_silence(
        &self,
        id: &str,
        who: &str,
        at: Timestamp,
        entry: Entry,
    ) -> Result<bool, StoreError> {
        let (id, who) = (id.to_owned(), who.to_owned());
        self.write(move |sql| {
            let ended = sql.exec(
                "UPDATE silences SET ended_at = ?2, ended_by = ?3
                 WHERE id = ?1 AND ended_at IS NULL AND ends_at > ?2",
                args![&id, at, &who],
            )?;
            if ended > 0 {
                commit::append_log(sql, &entry.0, &entry.1)?;
            }
            Ok(ended > 0)
        })
        .await
    }

    /// Silences that hold at `now`.
    pub async fn silences(&self, now: Timestamp) -> Result<Vec<SilenceRow>, StoreError> {
        self.read(move |sql| {
            let rows = sql.query(
                &format!(
                    "{SILENCES} WHERE s.settled = 0 AND s.ended_at IS NULL AND s.ends_at > ?1
                     ORDER BY s.ends_at, s.id"
                ),
                args![now],
            )?;
            rows.iter().map(silence).collect()
        })
        .await
    }

    /// Every silence, newest first.
    pub async fn all_silences(&self) -> Result<Vec<SilenceRow>, StoreError> {
        self.read(|sql| {
            let text = format!("{SILENCES} ORDER BY s.created_at DESC, s.id LIMIT ?1");
            sql.query(&text, args![MOST_SILENCES])?.iter().map(silence).collect()
        })
        .await
    }

    /// One silence.
    pub async fn silence(&self, id: &str) -> Result<Option<SilenceRow>, StoreError> {
        let id = id.to_owned();
        self.read(move |sql| one_silence(sql, &id)).await
    }

    /// Silences that are over and whose end was not looked at yet.
    pub async fn unsettled_silences(&self, now: Timestamp) -> Result<Vec<SilenceRow>, StoreError> {
        self.read(move |sql| {
            let rows = sql.query(
                &format!(
                    "{SILENCES} WHERE s.settled = 0 AND (s.ended_at IS NOT NULL OR s.ends_at <= ?1)
                     ORDER BY s.ends_at, s.id"
                ),
                args![now],
            )?;
            rows.iter().map(silence).collect()
        })
        .await
    }

    /// What a silence held back and nobody heard since: the newest row of each thing at each
    /// endpoint, where that newest row is the silence's.
    pub async fn unheard_of(&self, silence: &str) -> Result<Vec<OutboxRow>, StoreError> {
        let silence = silence.to_owned();
        self.read(move |sql| {
            let rows = sql.query(
                &format!(
                    "SELECT {ROW_COLUMNS} FROM outbox o WHERE o.withheld_by = ?1
                         AND o.state = 'silenced' AND NOT EXISTS (
                             SELECT 1 FROM outbox n WHERE n.partition_key = o.partition_key
                                 AND n.endpoint = o.endpoint AND n.topic = o.topic
                                 AND n.lane = o.lane AND n.position > o.position)
                     ORDER BY o.position LIMIT ?2"
                ),
                args![&silence, MOST_ROWS],
            )?;
            rows.iter().map(outbox_row).collect()
        })
        .await
    }

    /// The newest word on one lasting thing at each endpoint, told or not.
    pub async fn lasting_of(
        &self,
        topic: &str,
        partition: Option<&str>,
    ) -> Result<Vec<OutboxRow>, StoreError> {
        let (topic, partition) = (topic.to_owned(), partition.map(str::to_owned));
        self.read(move |sql| {
            let rows = sql.query(
                &format!(
                    "SELECT {ROW_COLUMNS} FROM outbox o WHERE o.lasting = 1 AND o.topic = ?1
                         AND (CAST(?2 AS TEXT) IS NULL OR o.partition_key = ?2)
                         AND o.endpoint <> '' AND NOT EXISTS (
                             SELECT 1 FROM outbox n WHERE n.partition_key = o.partition_key
                                 AND n.endpoint = o.endpoint AND n.topic = o.topic
                                 AND n.lane = o.lane AND n.position > o.position)
                     ORDER BY o.position LIMIT ?3"
                ),
                args![&topic, partition.as_ref(), MOST_ROWS],
            )?;
            rows.iter().map(outbox_row).collect()
        })
        .await
    }

    /// Closes the books of a silence that is over: its last messages, its log entry.
    pub async fn settle_silence(
        &self,
        id: &str,
        rows: Vec<OutboxRow>,
        entry: Option<Entry>,
    ) -> Result<(), StoreError> {
        let (id, options) = (id.to_owned(), self.options);
        self.write(move |sql| {
            let first = sql.exec(
                "UPDATE silences SET settled = 1 WHERE id = ?1 AND settled = 0",
                args![&id],
            )?;
            if first == 0 {
                return Ok(());
            }
            queue::enqueue(sql, &rows, &options)?;
            match &entry {
                Some((experiment, entry)) => commit::append_log(sql, experiment, entry),
                None => Ok(()),
            }
        })
        .await
    }

    /// Writes an acknowledgement with its log entry; gives back the one that is there already.
    pub async fn acknowledge_notice(
        &self,
        ack: AckRow,
        entry: LogEntry,
    ) -> Result<Option<AckRow>, StoreError> {
        self.write(move |sql| {
            let fresh = sql.exec(
                "INSERT INTO acks (notice_id, partition_key, topic, who, authenticated, because, at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (notice_id) DO NOTHING",
                args![
                    &ack.notice_id,
                    &ack.partition,
                    &ack.topic,
                    &ack.who,
                    ack.authenticated,
                    &ack.because,
                    ack.at,
                ],
            )?;
            if fresh == 0 {
                return one_ack(sql, &ack.notice_id);
            }
            commit::append_log(sql, &ack.partition, &entry)?;
            Ok(None)
        })
        .await
    }

    /// The acknowledgement of a notice.
    pub async fn acknowledgement(&self, notice: &str) -> Result<Option<AckRow>, StoreError> {
        let notice = notice.to_owned();
        self.read(move |sql| one_ack(sql, &notice)).await
    }

    /// Acknowledgements, newest first.
    pub async fn acknowledgements(
        &self,
        partition: Option<&str>,
        limit: usize,
    ) -> Result<Vec<AckRow>, StoreError> {
        let partition = partition.map(str::to_owned);
        self.read(move |sql| {
            let rows = sql.query(
                "SELECT notice_id, partition_key, topic, who, authenticated, because, at FROM acks
                 WHERE (CAST(?1 AS TEXT) IS NULL OR partition_key = ?1)
                 ORDER BY at DESC, notice_id LIMIT ?2",
                args![partition.as_ref(), limit],
            )?;
            rows.iter().map(ack).collect()
        })
        .await
    }

    /// The newest row of a notice, whoever it went to.
    pub async fn notice_row(&self, notice: &str) -> Result<Option<OutboxRow>, StoreError> {
        let notice = notice.to_owned();
        self.read(move |sql| {
            let row = sql.first(
                &format!(
                    "SELECT {ROW_COLUMNS} FROM outbox WHERE notice_id = ?1 AND lane = 'message'
                     ORDER BY position DESC LIMIT 1"
                ),
                args![&notice],
            )?;
            row.as_ref().map(outbox_row).transpose()
        })
        .await
    }

    /// The newest word on each lasting thing at each endpoint, told before `before`, where nobody
    /// acknowledged it.
    pub async fn lasting_rows(&self, before: Timestamp) -> Result<Vec<OutboxRow>, StoreError> {
        self.read(move |sql| {
            let rows = sql.query(
                &format!(
                    "SELECT {ROW_COLUMNS} FROM outbox o WHERE o.lasting = 1 AND o.created_at <= ?1
                         AND o.state IN ('delivered', 'dead') AND NOT EXISTS (
                             SELECT 1 FROM outbox n WHERE n.partition_key = o.partition_key
                                 AND n.endpoint = o.endpoint AND n.topic = o.topic
                                 AND n.lane = o.lane AND n.position > o.position)
                         AND NOT EXISTS (SELECT 1 FROM acks a WHERE a.notice_id = o.notice_id)
                     ORDER BY o.position LIMIT ?2"
                ),
                args![before, MOST_ROWS],
            )?;
            rows.iter().map(outbox_row).collect()
        })
        .await
    }

    /// The newest slot of a digest.
    pub async fn digest_slot(&self, name: &str) -> Result<Option<Timestamp>, StoreError> {
        let name = name.to_owned();
        self.read(move |sql| slot_of(sql, &name)).await
    }

    /// What a digest has to say: the rows that wait for it, oldest first.
    pub async fn digest_rows(&self, name: &str) -> Result<Vec<OutboxRow>, StoreError> {
        let name = name.to_owned();
        self.read(move |sql| {
            let rows = sql.query(
                &format!(
                    "SELECT {ROW_COLUMNS} FROM outbox WHERE withheld_by = ?1 AND state = 'digest'
                         AND superseded_by IS NULL ORDER BY position LIMIT ?2"
                ),
                args![&name, MOST_ROWS],
            )?;
            rows.iter().map(outbox_row).collect()
        })
        .await
    }

    /// Answers a slot of a digest once: its message, if there is one, and the rows it stands for.
    /// `false` when the slot was answered already.
    pub async fn commit_digest(
        &self,
        name: &str,
        expected: Option<Timestamp>,
        slot: Timestamp,
        message: Option<OutboxRow>,
        said: Vec<String>,
    ) -> Result<bool, StoreError> {
        let (name, options) = (name.to_owned(), self.options);
        self.write(move |sql| {
            let before = slot_of(sql, &name)?;
            if before != expected || before.is_some_and(|before| before >= slot) {
                return Ok(false);
            }
            sql.exec(
                "INSERT INTO digests (name, last_slot) VALUES (?1, ?2)
                 ON CONFLICT (name) DO UPDATE SET last_slot = excluded.last_slot",
                args![&name, slot],
            )?;
            let Some(message) = message else { return Ok(true) };
            for id in &said {
                sql.exec(
                    "UPDATE outbox SET superseded_by = ?2 WHERE id = ?1",
                    args![id, &message.id],
                )?;
            }
            queue::enqueue(sql, std::slice::from_ref(&message), &options)?;
            Ok(true)
        })
        .await
    }

    /// A key by name, made of `fresh` where there is none yet.
    pub async fn key(&self, name: &str, fresh: &str) -> Result<String, StoreError> {
        let (name, fresh) = (name.to_owned(), fresh.to_owned());
        self.write(move |sql| {
            sql.exec(
                "INSERT INTO keys (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO NOTHING",
                args![&name, &fresh],
            )?;
            let row = sql.first("SELECT value FROM keys WHERE name = ?1", args![&name])?;
            row.map_or(Ok(fresh), |row| row.text("value"))
        })
        .await
    }
}

/// Every column of a silence, with the count of what it held back.
const SILENCES: &str = "SELECT s.id, s.matcher_json, s.author, s.authenticated, s.reason, \
    s.created_at, s.ends_at, s.ended_at, s.ended_by, \
    (SELECT COUNT(*) FROM outbox o WHERE o.withheld_by = s.id) AS withheld FROM silences s";

fn one_silence(sql: &dyn Sql, id: &str) -> Result<Option<SilenceRow>, StoreError> {
    let row = sql.first(&format!("{SILENCES} WHERE s.id = ?1"), args![id])?;
    row.as_ref().map(silence).transpose()
}

fn silence(row: &Row) -> Result<SilenceRow, StoreError> {
    Ok(SilenceRow {
        id: row.text("id")?,
        matcher_json: row.text("matcher_json")?,
        author: row.text("author")?,
        authenticated: row.flag("authenticated")?,
        reason: row.text("reason")?,
        created_at: row.time("created_at")?,
        ends_at: row.time("ends_at")?,
        ended_at: row.opt_time("ended_at")?,
        ended_by: row.opt_text("ended_by")?,
        withheld: row.count("withheld")?,
    })
}

fn one_ack(sql: &dyn Sql, notice: &str) -> Result<Option<AckRow>, StoreError> {
    let row = sql.first(
        "SELECT notice_id, partition_key, topic, who, authenticated, because, at FROM acks
         WHERE notice_id = ?1",
        args![notice],
    )?;
    row.as_ref().map(ack).transpose()
}

fn ack(row: &Row) -> Result<AckRow, StoreError> {
    Ok(AckRow {
        notice_id: row.text("notice_id")?,
        partition: row.text("partition_key")?,
        topic: row.text("topic")?,
        who: row.text("who")?,
        authenticated: row.flag("authenticated")?,
        because: row.text("because")?,
        at: row.time("at")?,
    })
}

fn slot_of(sql: &dyn Sql, name: &str) -> Result<Option<Timestamp>, StoreError> {
    let row = sql.first("SELECT last_slot FROM digests WHERE name = ?1", args![name])?;
    row.map(|row| row.time("last_slot")).transpose()
}
