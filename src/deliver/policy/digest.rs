//! The message of a digest: every experiment of its reader, worst first, and what is new.

use std::collections::BTreeMap;

use judge::ids;
use judge::record::canonical_json;
use judge::time::{Timestamp, add_ms};
use serde_json::{Value, json};

use crate::deliver::ReceiverConfig;
use crate::deliver::clip::json_text;
use crate::deliver::payload::{MAX_BYTES, SCHEMA};
use crate::store::{Lane, OutboxRow, Told};

/// The event type of a digest.
pub const DIGEST_KIND: &str = "digest";
/// Experiments in one message at most; the rest is counted.
const MOST_EXPERIMENTS: usize = 40;
/// Pieces of news of one experiment at most; the rest is counted.
const MOST_NEWS: usize = 5;

/// Where an experiment stands.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Standing {
    /// Id, or the partition of something else (`source:x`).
    pub id: String,
    /// `stop`, `hold`, ...; empty before the first look.
    pub verdict: String,
    /// Its headline, or its life.
    pub says: String,
    /// Whether a guardrail is tripped.
    pub tripped: bool,
    /// Headlines since the last digest, oldest first.
    pub news: Vec<String>,
}

/// Tripped, stop, hold or change: somebody has to look.
pub(in crate::deliver) fn is_urgent(verdict: &str, is_tripped: bool) -> bool {
    is_tripped || matches!(verdict, "stop" | "hold" | "change")
}

impl Standing {
    /// Tripped, stop, hold, change, then the rest; within that what has news comes first.
    fn rank(&self) -> (u8, bool, &str) {
        let rank = match self.verdict.as_str() {
            _ if self.tripped => 0,
            "stop" => 1,
            "hold" => 2,
            "change" => 3,
            "continue" => 5,
            _ => 4,
        };
        (rank, self.news.is_empty(), &self.id)
    }

    fn line(&self) -> String {
        let news = match self.news.len() {
            0 => String::new(),
            count if count > MOST_NEWS => {
                let shown = self.news.get(count - MOST_NEWS..).unwrap_or_default();
                format!(" New: {} more; {}", count - MOST_NEWS, shown.join("; "))
            }
            _ => format!(" New: {}", self.news.join("; ")),
        };
        json_text(&format!("{}: {}.{news}", self.id, self.says.trim_end_matches('.')), 600)
    }
}

/// What a digest is made of.
#[derive(Debug, Clone)]
pub struct Contents<'a> {
    /// Its name in the settings.
    pub name: &'a str,
    /// Its slot.
    pub slot: Timestamp,
    /// The slot before.
    pub since: Option<Timestamp>,
    /// Experiments and what else there is news of, in any order.
    pub standings: Vec<Standing>,
    /// Where links lead; empty = nowhere.
    pub external_url: &'a str,
}

/// News by partition, from the headlines of the rows that wait.
pub fn news(rows: &[OutboxRow]) -> BTreeMap<String, Vec<String>> {
    let mut news: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in rows {
        let content: Value = serde_json::from_str(&row.content).unwrap_or_default();
        let headline = content["data"]["headline"].as_str().unwrap_or(&row.kind).to_owned();
        let headline = headline.replacen(&format!(" - {}:", row.partition), ":", 1);
        news.entry(row.partition.clone()).or_default().push(headline);
    }
    news
}

/// The message of a slot; the same slot is always the same id.
pub fn message(contents: &Contents<'_>) -> Value {
    let mut standings = contents.standings.clone();
    standings.sort_by(|a, b| a.rank().cmp(&b.rank()));
    let (total, news) =
        (standings.len(), standings.iter().map(|one| one.news.len()).sum::<usize>());
    let urgent = standings.iter().filter(|one| is_urgent(&one.verdict, one.tripped)).count();
    let mut most = MOST_EXPERIMENTS;
    loop {
        let shown = standings.iter().take(most);
        let mut lines: Vec<Value> = shown.clone().map(|one| one.line().into()).collect();
        if total > most {
            lines.push(format!("and {} more", total - most).into());
        }
        let experiments: Vec<Value> = shown
            .map(|one| {
                json!({
                    "id": json_text(&one.id, 200),
                    "verdict": one.verdict,
                    "tripped": one.tripped,
                    "new": one.news.len(),
                })
            })
            .collect();
        let message = envelope(contents, [total, urgent, news], lines, experiments);
        if canonical_json(&message).len() <= MAX_BYTES || most == 0 {
            return message;
        }
        most /= 2;
    }
}

fn envelope(
    contents: &Contents<'_>,
    [total, urgent, news]: [usize; 3],
    lines: Vec<Value>,
    experiments: Vec<Value>,
) -> Value {
    let name = contents.name;
    let since = contents.since.map(|at| at.strftime("%Y-%m-%d %H:%M UTC").to_string());
    let since = since.map_or_else(|| "so far".to_owned(), |since| format!("since {since}"));
    let mut links = serde_json::Map::new();
    if !contents.external_url.is_empty() {
        links.insert("portfolio".into(), format!("{}/", contents.external_url).into());
        links.insert("log".into(), format!("{}/log", contents.external_url).into());
    }
    json!({
        "type": DIGEST_KIND,
        "timestamp": contents.slot.to_string(),
        "data": {
            "schema": SCHEMA,
            "sequence": contents.slot.as_millisecond(),
            "notice": notice_id(name, contents.slot),
            "headline": json_text(
                &format!(
                    "DIGEST - {name}: {}, {urgent} {} somebody",
                    counted(total, "experiment"),
                    if urgent == 1 { "needs" } else { "need" },
                ),
                300,
            ),
            "reason": format!("{} {since}; the worst comes first.", counted(news, "message")),
            "next": lines,
            "digest": {"name": name, "experiments": experiments},
            "links": links,
        },
    })
}

/// `1 message`, `2 messages`.
fn counted(count: usize, word: &str) -> String {
    if count == 1 { format!("1 {word}") } else { format!("{count} {word}s") }
}

fn notice_id(name: &str, slot: Timestamp) -> String {
    ids::hash128(&["digest", name, &slot.as_millisecond().to_string()])
}

/// The row of a digest.
pub fn row(
    contents: &Contents<'_>,
    endpoint: &str,
    receiver: &ReceiverConfig,
    not_before: Timestamp,
    expire_ms: i64,
    now: Timestamp,
) -> OutboxRow {
    let content = message(contents);
    let notice_id = notice_id(contents.name, contents.slot);
    OutboxRow {
        id: ids::message_id(&notice_id, endpoint),
        endpoint: endpoint.to_owned(),
        partition: format!("digest:{}", contents.name),
        kind: DIGEST_KIND.to_owned(),
        urgent: false,
        lane: Lane::Message,
        notice_id,
        body: receiver.render(&content),
        content: canonical_json(&content),
        created_at: now,
        not_before,
        expires_at: add_ms(not_before, expire_ms),
        final_state: true,
        sequence: contents.slot.as_millisecond(),
        conversation: None,
        told: Told {
            reason: format!("digest `{}` of {}", contents.name, contents.slot),
            topic: format!("digest:{}", contents.name),
            severity: "normal".to_owned(),
            ..Told::default()
        },
    }
}
