//! Telling a thing once more: when a silence ends and it is still wrong, or when it stays wrong
//! for long. The old message with new words, under an id that follows from the old one.

use judge::ids;
use judge::record::canonical_json;
use judge::time::{Timestamp, add_ms};
use serde_json::{Value, json};

use super::{Facts, Fate, People, Ruling};
use crate::deliver::ReceiverConfig;
use crate::deliver::clip::json_text;
use crate::store::{OutboxRow, Told, Withheld};

/// Whether something that is still wrong is told again.
pub fn is_due(told_at: Timestamp, repeat_after_ms: i64, now: Timestamp) -> bool {
    repeat_after_ms > 0 && add_ms(told_at, repeat_after_ms) <= now
}

/// The facts of a row, from its content.
pub fn facts_of(row: &OutboxRow, people: Option<&People>) -> Option<Facts> {
    let content: Value = serde_json::from_str(&row.content).ok()?;
    let kind = serde_json::from_value(row.kind.clone().into()).ok()?;
    let text = |key: &str| content["data"][key].as_str().unwrap_or_default().to_owned();
    let experiment = content["data"]["experiment"]["id"].as_str().unwrap_or_default();
    let notice = judge::notice::Notice {
        id: row.notice_id.clone(),
        kind,
        subject: text("subject"),
        experiment: experiment.to_owned(),
        at: row.created_at,
        previous: None,
        detail: None,
    };
    let facts = Facts::of(&notice, &content, people);
    Some(Facts { topic: row.told.topic.clone(), ..facts })
}

/// The row that says it again; `why` is a sentence, `links` puts fresh ones in.
pub fn again(
    old: &OutboxRow,
    receiver: &ReceiverConfig,
    ruling: &Ruling,
    why: &str,
    expire_ms: i64,
    now: Timestamp,
    links: &dyn Fn(&mut Value),
) -> OutboxRow {
    let mut content: Value = serde_json::from_str(&old.content).unwrap_or_default();
    let data = &mut content["data"];
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let headline = word(&data["headline"]);
    let headline = headline.strip_prefix("STILL - ").unwrap_or(&headline);
    let first = data["again"]["first_told_at"].as_str().map(str::to_owned);
    let first = first.unwrap_or_else(|| old.created_at.to_string());
    let reason = match data["again"]["reason"].as_str() {
        Some(reason) => reason.to_owned(),
        None => word(&data["reason"]),
    };
    data["headline"] = json_text(&format!("STILL - {headline}"), 300).into();
    data["reason"] = json_text(&format!("{why} {reason}"), 2_000).into();
    data["again"] = json!({"first_told_at": first, "why": why, "reason": reason});
    links(&mut content);
    let not_before = match &ruling.fate {
        Fate::Queue { until } => *until,
        _ => now,
    };
    OutboxRow {
        id: ids::message_id(&ids::hash128(&["again", &old.id]), &old.endpoint),
        body: receiver.render(&content),
        content: canonical_json(&content),
        created_at: now,
        not_before,
        expires_at: add_ms(not_before, expire_ms),
        told: Told {
            reason: format!("{}; {why}", ruling.reason),
            withheld: match &ruling.fate {
                Fate::Silenced(id) => Some(Withheld::Silence(id.clone())),
                Fate::Digest(name) => Some(Withheld::Digest(name.clone())),
                _ => None,
            },
            ..old.told.clone()
        },
        ..old.clone()
    }
}
