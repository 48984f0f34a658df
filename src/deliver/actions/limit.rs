//! The daily limit of an action: what is beyond it is not sent, and a person is told at once.
//!
//! A tripwire that fires many times a day is a fault of the tripwire or an outage that a person
//! must see; turning things off again and again is not the answer to either. Days are those of
//! the trips (domain time) in the daemon's zone. What was not sent (not armed, over the limit)
//! uses nothing up.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use judge::time::{Timestamp, date_of};
use serde_json::Value;

use super::{ActionConfig, Progress};
use crate::deliver::ErrorClass;
use crate::store::{ActionUse, OutboxItem, Store, StoreError};

/// What to do instead of asking, if the row's day has used the action up.
pub(in crate::deliver) async fn over_limit(
    store: &Store,
    zone: &TimeZone,
    config: &ActionConfig,
    item: &OutboxItem,
) -> Result<Option<Progress>, StoreError> {
    let most = config.arming().max_per_day;
    let row = &item.row;
    let earlier = store.action_uses(&row.endpoint, Some(&row.id), most).await?;
    let today = day_of(&row.content, row.created_at, zone);
    // The newest `most` uses are of today exactly if the oldest of them is.
    let is_used_up = earlier.len() >= most as usize
        && earlier.iter().all(|one| day_of(&one.content, one.created_at, zone) >= today);
    Ok(is_used_up.then(|| {
        let words = format!(
            "the action was used {most} times on {today} already (`max_per_day = {most}`): \
             nothing was sent"
        );
        Progress::not_sent(ErrorClass::OverLimit, words)
    }))
}

/// How often an action was used on the day of `now`, at most `max_per_day`, and its newest use.
pub async fn used_today(
    store: &Store,
    zone: &TimeZone,
    name: &str,
    config: &ActionConfig,
    now: Timestamp,
) -> Result<(usize, Option<ActionUse>), StoreError> {
    let most = config.arming().max_per_day;
    let uses = store.action_uses(name, None, most).await?;
    let today = date_of(now, zone);
    let is_today = |one: &&ActionUse| day_of(&one.content, one.created_at, zone) == today;
    let count = uses.iter().filter(is_today).count();
    Ok((count, uses.into_iter().next()))
}

/// The day of a trip.
fn day_of(content: &str, created_at: Timestamp, zone: &TimeZone) -> Date {
    let content: Value = serde_json::from_str(content).unwrap_or_default();
    let at = content["trip"]["timestamp"].as_str().and_then(|text| text.parse().ok());
    date_of(at.unwrap_or(created_at), zone)
}
