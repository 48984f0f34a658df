//! Values that parse and cannot work: said at the start, with the key and what it may be.

use jiff::tz::TimeZone;

use super::Settings;

/// Longest age or delay that makes sense, in seconds.
const YEAR_SECS: u64 = 31_536_000;

/// Every setting outside its range, one sentence each.
pub(super) fn faults(settings: &Settings) -> Vec<String> {
    let mut found = Vec::new();
    let mut range = |key: &str, value: u64, least: u64, most: u64| {
        if !(least..=most).contains(&value) {
            found.push(format!("`{key}` is {value}; it may be {least} to {most}"));
        }
    };
    let (scheduler, delivery) = (&settings.scheduler, &settings.delivery);
    range("daemon.reload_every_secs", settings.daemon.reload_every_secs, 1, 86_400);
    range("scheduler.concurrency", scheduler.concurrency as u64, 1, 1_024);
    range("scheduler.lease_secs", scheduler.lease_secs, 1, 86_400);
    range("scheduler.lookback_periods", u64::from(scheduler.lookback_periods), 0, 1_000);
    range("store.keep_points_days", u64::from(settings.store.keep_points_days), 0, 36_500);
    range("store.keep_messages_days", u64::from(settings.store.keep_messages_days), 0, 36_500);
    range("delivery.concurrency", delivery.concurrency as u64, 1, 1_024);
    range("delivery.timeout_ms", delivery.timeout_ms, 1, 600_000);
    range("delivery.lease_secs", delivery.lease_secs, 1, 86_400);
    range("delivery.expire_after_hours", delivery.expire_after_hours, 1, 8_760);
    range("delivery.chat_expire_after_hours", delivery.chat_expire_after_hours, 1, 8_760);
    range("delivery.queue_rows", delivery.queue_rows, 1, 10_000_000);
    range("delivery.queue_bytes", delivery.queue_bytes, 100_000, 1 << 40);
    range("heartbeat.every_secs", settings.heartbeat.every_secs, 1, 86_400);
    range("heartbeat.late_after_secs", settings.heartbeat.late_after_secs, 1, 86_400);
    let notify = &settings.notify;
    range("notify.repeat_after_hours", notify.repeat_after_hours, 0, 8_760);
    range("notify.link_valid_hours", notify.link_valid_hours, 1, 8_760);
    range("notify.snooze_hours", notify.snooze_hours, 1, 720);
    range("http.max_body_bytes", settings.http.max_body_bytes as u64, 1, 1 << 30);
    range("http.max_connections", settings.http.max_connections as u64, 1, 100_000);
    let gates = &settings.gates;
    range("gates.rollout_max_age_secs", gates.rollout_max_age_secs, 0, YEAR_SECS);
    range("gates.promote_max_age_secs", gates.promote_max_age_secs, 0, YEAR_SECS);
    range("gates.rollback_max_age_secs", gates.rollback_max_age_secs, 1, YEAR_SECS);
    range("gates.late_after_secs", gates.late_after_secs, 1, YEAR_SECS);
    range("gates.max_waiting", gates.max_waiting as u64, 1, 10_000);
    if delivery.lease_secs.saturating_mul(1_000) <= delivery.timeout_ms {
        let (lease, timeout) = (delivery.lease_secs, delivery.timeout_ms);
        found.push(format!(
            "`delivery.lease_secs` is {lease}; it must exceed the deadline, `delivery.timeout_ms` \
             = {timeout}, or a message is sent twice"
        ));
    }
    for token in &settings.http.tokens {
        if token.token.is_none() && token.signing_secret.is_none() {
            let name = &token.name;
            found.push(format!("`http.tokens`: `{name}` has neither `token` nor `signing_secret`"));
        }
    }
    let zone = &settings.daemon.timezone;
    if TimeZone::get(zone).is_err() {
        found.push(format!(
            "`daemon.timezone` is `{zone}`, which is no time zone; write an IANA name such as \
             `Europe/Berlin`, or `UTC`"
        ));
    }
    let fallback = &delivery.fallback;
    if !fallback.is_empty() && !settings.receivers.contains_key(fallback) {
        found.push(format!("`delivery.fallback` is `{fallback}`, which is no receiver"));
    }
    for (key, ladder) in [
        ("delivery.ladder_ms", &delivery.ladder_ms),
        ("delivery.action_ladder_ms", &delivery.action_ladder_ms),
    ] {
        if ladder.is_empty() {
            found.push(format!("`{key}` is empty; write at least one wait, such as [0]"));
        }
    }
    found.extend(settings.policy().err().into_iter().flatten());
    found
}

#[cfg(test)]
mod tests {
    use crate::settings::load;

    fn fault(key: &str, value: &str) -> String {
        let flags = [(key.to_owned(), value.to_owned())];
        load(None, &[], &flags).map(|_| ()).unwrap_err().to_string()
    }

    #[test]
    fn values_that_cannot_work_are_refused_with_their_range() {
        assert!(load(None, &[], &[]).is_ok());
        let zero = fault("scheduler.concurrency", "0");
        assert!(zero.contains("`scheduler.concurrency` is 0; it may be 1 to 1024"), "{zero}");
        let zone = fault("daemon.timezone", "Mars/Olympus");
        assert!(zone.contains("`daemon.timezone` is `Mars/Olympus`, which is no time"), "{zone}");
        let tokens = ("VERDICTD_HTTP__TOKENS".to_owned(), "[{name = \"alice\"}]".to_owned());
        let idle = load(None, &[tokens], &[]).map(|_| ()).unwrap_err().to_string();
        assert!(idle.contains("`alice` has neither `token` nor `signing_secret`"), "{idle}");
        let short = fault("delivery.lease_secs", "1");
        assert!(short.contains("must exceed the deadline, `delivery.timeout_ms` = "), "{short}");
        let slow = fault("delivery.timeout_ms", "600001");
        assert!(slow.contains("it may be 1 to 600000"), "{slow}");
    }
}
