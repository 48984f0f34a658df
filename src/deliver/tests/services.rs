//! Every flag service against a fake of it: what turns a flag off, what refuses, what only looks
//! like success. One table row is one documented answer or trap.

use serde_json::{Value, json};

use super::envelope;
use super::fake::{Fake, Reply, Seen};
use crate::deliver::ActionConfig;
use crate::deliver::actions::{Asked, Progress, Reached, build_action};

/// A description of a trip, as the outbox keeps it.
const TRIP: &str = r#"{"action":"off","evaluation":"ev1","experiment":"short","guardrail":"errors",
    "requested":"off"}"#;
const REASON: &str = "verdictd: guardrail errors of experiment short tripped (evaluation ev1)";

struct Service {
    folder: tempfile::TempDir,
}

impl Service {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn secret(&self, name: &str, value: &str) -> Value {
        serde_json::to_value(super::secret(self.folder.path(), name, value)).unwrap()
    }

    fn config(&self, kind: &str, url: &str) -> ActionConfig {
        let token = self.secret("token", "s3cret");
        let own = match kind {
            "launchdarkly" => json!({"url": url, "project": "shop", "environment": "production",
                "flag": "short", "token": token}),
            "launchdarkly_trigger" => json!({
                "url": self.secret("trigger", &format!("{url}/webhook/triggers/1/hidden")),
            }),
            "unleash" => json!({"url": url, "feature": "short", "environment": "production",
                "token": token}),
            "growthbook" => json!({"url": format!("{url}/api"), "feature": "short",
                "environment": "production", "token": token}),
            "growthbook 1" => json!({"url": format!("{url}/api"), "feature": "short",
                "environment": "production", "token": token, "version": 1}),
            "flipt" => json!({"url": url, "flag": "short", "token": token}),
            "flipt 1" => json!({"url": url, "flag": "short", "token": token, "version": 1}),
            "configcat" => json!({"url": url, "setting": "short", "sdk_key": token,
                "user": self.secret("user", "me"), "password": self.secret("password", "hush")}),
            "configcat 1" => json!({"url": url, "setting": "short", "sdk_key": token,
                "user": self.secret("user", "me"), "password": self.secret("password", "hush"),
                "version": 1}),
            "datadog" => json!({"url": url, "feature_flag": "f-1", "environment": "e-1",
                "api_key": token, "app_key": self.secret("app", "hush")}),
            "argo_rollouts" => json!({"url": url, "namespace": "shop", "rollout": "web",
                "token": token}),
            other => panic!("no such service: {other}"),
        };
        let mut table = own;
        table["armed"] = true.into();
        table["allow_private"] = true.into();
        let kind = kind.split(' ').next().unwrap();
        serde_json::from_value(json!({kind: table})).unwrap()
    }

    async fn attempt(&self, config: &ActionConfig, asked: Asked) -> Progress {
        let action = build_action("off", config, None).unwrap();
        let progress = action.attempt(&envelope(TRIP), asked).await;
        for secret in ["s3cret", "hush", "hidden"] {
            assert!(!progress.detail.contains(secret), "{}", progress.detail);
        }
        progress
    }
}

/// One attempt against scripted answers by method.
async fn against(kind: &str, scripts: Vec<(&str, Vec<Reply>)>) -> (Progress, Vec<Seen>) {
    let service = Service::new();
    let fake = Fake::by_method(scripts).await;
    let config = service.config(kind, &fake.url);
    let progress = service.attempt(&config, Asked::No).await;
    (progress, fake.seen())
}

fn ok(json: &Value) -> Reply {
    Reply::status(200, &json.to_string())
}

fn launchdarkly(on: Value) -> Reply {
    ok(&json!({"key": "short", "environments": {"production": {"on": on}, "test": {"on": false}}}))
}

fn growthbook(enabled: Value) -> Reply {
    let environments = json!({"production": {"enabled": enabled}, "dev": {"enabled": false}});
    ok(&json!({"feature": {"id": "short", "environments": environments}}))
}

fn flipt(enabled: Value) -> Reply {
    let payload = json!({"@type": "flipt.core.Flag", "key": "short", "enabled": enabled,
        "type": "BOOLEAN_FLAG_TYPE", "metadata": {"team": "growth"},
        "rollouts": [{"threshold": {"percentage": 30, "value": true}}]});
    let resource = json!({"namespaceKey": "default", "key": "short", "payload": payload});
    ok(&json!({"resource": resource, "revision": "rev7"}))
}

fn configcat(value: bool, rules: Value) -> Reply {
    ok(&json!({"defaultValue": {"boolValue": value}, "targetingRules": rules}))
}

fn datadog(status: &str, pending: Value) -> Reply {
    let environments = json!([
        {"environment_id": "e-0", "status": "DISABLED"},
        {"environment_id": "e-1", "status": status, "pending_suggestion_id": pending},
    ]);
    ok(&json!({"data": {"id": "f-1", "attributes": {"feature_flag_environments": environments}}}))
}

fn rollout(status: Value) -> Reply {
    ok(&json!({"kind": "Rollout", "status": status}))
}

#[tokio::test]
async fn every_service_is_asked_in_its_own_words_and_its_flag_confirms() {
    let aborted = json!({"abort": true, "abortedAt": "2026-08-11T00:00:00Z", "phase": "Degraded"});
    let v1 = json!({"key": "short", "enabled": true, "name": "Short", "description": "d",
        "metadata": {"a": 1}, "defaultVariant": {"id": "v9", "key": "b"}, "variants": [1, 2]});
    let mut v1_off = v1.clone();
    v1_off["enabled"] = false.into();
    let cc1 = json!({"value": false, "rolloutRules": [], "rolloutPercentageItems": []});
    let cc2 = json!({"defaultValue": {"boolValue": false}, "targetingRules": []});
    let payload = json!({"@type": "flipt.core.Flag", "key": "short", "enabled": false,
        "type": "BOOLEAN_FLAG_TYPE", "metadata": {"team": "growth"},
        "rollouts": [{"threshold": {"percentage": 30, "value": true}}]});
    let put = json!({"key": "short", "payload": payload, "revision": "rev7"});
    let put_v1 = json!({"name": "Short", "description": "d", "metadata": {"a": 1},
        "defaultVariantId": "v9", "enabled": false});
    let toggle = json!({"reason": REASON, "environments": {"production": false}});
    let patch = json!({"environmentKey": "production", "comment": REASON,
        "instructions": [{"kind": "turnFlagOff"}]});
    let done = || vec![Reply::status(200, "{}")];
    for (kind, method, gets, path, body) in [
        (
            "launchdarkly",
            "PATCH",
            vec![launchdarkly(false.into())],
            "/api/v2/flags/shop/short?ignoreConflicts=true",
            patch,
        ),
        (
            "unleash",
            "POST",
            vec![ok(&json!({"name": "production", "enabled": false}))],
            "/api/admin/projects/default/features/short/environments/production/off",
            json!({}),
        ),
        (
            "growthbook",
            "POST",
            vec![growthbook(false.into())],
            "/api/v2/features/short/toggle",
            toggle.clone(),
        ),
        (
            "growthbook 1",
            "POST",
            vec![growthbook(false.into())],
            "/api/v1/features/short/toggle",
            toggle,
        ),
        (
            "flipt",
            "PUT",
            vec![flipt(true.into()), flipt(false.into())],
            "/api/v2/environments/default/namespaces/default/resources",
            put,
        ),
        (
            "flipt 1",
            "PUT",
            vec![ok(&v1), ok(&v1_off)],
            "/api/v1/namespaces/default/flags/short",
            put_v1,
        ),
        ("configcat", "PUT", vec![ok(&cc2)], "/v2/settings/short/value?reason=", cc2.clone()),
        ("configcat 1", "PUT", vec![ok(&cc1)], "/v1/settings/short/value?reason=", cc1.clone()),
        (
            "datadog",
            "POST",
            vec![datadog("ENABLED", Value::Null), datadog("DISABLED", Value::Null)],
            "/api/v2/feature-flags/f-1/environments/e-1/disable",
            json!({}),
        ),
        (
            "argo_rollouts",
            "PATCH",
            vec![rollout(aborted)],
            "/apis/argoproj.io/v1alpha1/namespaces/shop/rollouts/web/status",
            json!({"status": {"abort": true}}),
        ),
    ] {
        let (progress, seen) = against(kind, vec![(method, done()), ("GET", gets)]).await;
        assert_eq!(progress.reached, Reached::Confirmed, "{kind}: {}", progress.detail);
        let change = seen.iter().find(|seen| seen.method == method).unwrap();
        assert!(change.path.starts_with(path), "{kind}: {}", change.path);
        let sent: Value = serde_json::from_str(&change.body).unwrap();
        assert_eq!(sent, body, "{kind}");
        assert_eq!(seen.last().unwrap().method, "GET", "{kind}: the last word is a reading");
        assert!(seen.iter().all(|seen| speaks_for_us(kind, seen)), "{kind}: {seen:?}");
    }
}

fn speaks_for_us(kind: &str, seen: &Seen) -> bool {
    let header = |name: &str| seen.headers.get(name).map_or("", String::as_str);
    match kind.split(' ').next().unwrap() {
        "launchdarkly" => {
            let typed = header("content-type").ends_with("domain-model=launchdarkly.semanticpatch");
            header("authorization") == "s3cret" && (typed || seen.method == "GET")
        }
        "unleash" => header("authorization") == "s3cret",
        "configcat" => {
            // base64 of `me:hush`
            header("authorization") == "Basic bWU6aHVzaA=="
                && header("x-configcat-sdkkey") == "s3cret"
        }
        "datadog" => header("dd-api-key") == "s3cret" && header("dd-application-key") == "hush",
        "argo_rollouts" => {
            let typed = header("content-type") == "application/merge-patch+json";
            header("authorization") == "Bearer s3cret" && (typed || seen.method == "GET")
        }
        _ => header("authorization") == "Bearer s3cret",
    }
}

#[tokio::test]
async fn what_only_looks_like_success_does_not_confirm() {
    let done = || Reply::status(200, "{}");
    let rule = json!([{"conditions": [], "value": {"boolValue": true}}]);
    let v1 = json!({"value": false, "rolloutRules": [],
        "rolloutPercentageItems": [{"percentage": 30, "value": true}]});
    let promoted = json!({"phase": "Healthy", "stableRS": "a", "currentPodHash": "a"});
    for (kind, method, answer, readings, words) in [
        ("launchdarkly", "PATCH", done(), vec![launchdarkly(true.into())], "reads true"),
        ("launchdarkly", "PATCH", done(), vec![launchdarkly(Value::Null)], "reads null"),
        ("launchdarkly", "PATCH", done(), vec![ok(&json!({"environments": {}}))], "has no"),
        ("launchdarkly", "PATCH", done(), vec![Reply::status(200, "<html>")], "not read as JSON"),
        ("launchdarkly", "PATCH", done(), vec![Reply::status(404, "gone")], "HTTP 404"),
        ("unleash", "POST", done(), vec![ok(&json!({"enabled": "false"}))], "reads \"false\""),
        ("unleash", "POST", done(), vec![ok(&json!({}))], "has no enabled"),
        ("growthbook", "POST", done(), vec![growthbook(true.into())], "reads true"),
        ("flipt", "PUT", done(), vec![flipt(true.into())], "payload.enabled reads true"),
        (
            "configcat",
            "PUT",
            Reply::status(204, ""),
            vec![configcat(false, rule)],
            "1 of targetingRules may still serve true",
        ),
        ("configcat", "PUT", done(), vec![configcat(true, json!([]))], "reads true"),
        ("configcat 1", "PUT", done(), vec![ok(&v1)], "rolloutPercentageItems may still serve"),
        ("datadog", "POST", done(), vec![datadog("ENABLED", Value::Null)], "reads ENABLED"),
        (
            "argo_rollouts",
            "PATCH",
            done(),
            vec![rollout(json!({"abort": true}))],
            "the controller has not acted yet",
        ),
        ("argo_rollouts", "PATCH", done(), vec![rollout(promoted)], "fully promoted"),
    ] {
        let (progress, _) = against(kind, vec![(method, vec![answer]), ("GET", readings)]).await;
        assert_eq!(progress.reached, Reached::Accepted, "{kind}: {}", progress.detail);
        assert!(progress.detail.contains(words), "{kind}: {}", progress.detail);
    }
}

#[tokio::test]
async fn what_waiting_cannot_mend_is_refused_at_once() {
    let pending = || datadog("ENABLED", "s-1".into());
    let on = || datadog("ENABLED", Value::Null);
    for (kind, method, answer, readings, class, words) in [
        (
            "launchdarkly",
            "PATCH",
            Reply::status(405, "approval is required"),
            vec![],
            "needs_approval",
            "requires approvals",
        ),
        ("launchdarkly", "PATCH", Reply::status(401, "who"), vec![], "auth_error", "HTTP 401"),
        ("launchdarkly", "PATCH", Reply::status(404, "no flag"), vec![], "client_error", "404"),
        ("launchdarkly_trigger", "POST", Reply::status(404, "no"), vec![], "client_error", "404"),
        ("unleash", "POST", Reply::status(403, "no"), vec![], "auth_error", "change request"),
        ("growthbook", "POST", Reply::status(403, "no"), vec![], "auth_error", "approvals apply"),
        ("datadog", "POST", Reply::status(202, "{}"), vec![on()], "needs_approval", "approve it"),
        (
            "datadog",
            "POST",
            Reply::status(200, "{}"),
            vec![pending()],
            "needs_approval",
            "approve it",
        ),
        ("datadog", "POST", Reply::status(403, "{}"), vec![on()], "auth_error", "config_write"),
        ("argo_rollouts", "PATCH", Reply::status(403, "{}"), vec![], "auth_error", "may not"),
        ("argo_rollouts", "PATCH", Reply::status(404, "{}"), vec![], "client_error", "HTTP 404"),
        ("configcat", "PUT", Reply::status(400, "kind"), vec![], "client_error", "HTTP 400"),
        (
            "flipt",
            "PUT",
            Reply::status(400, "read-only"),
            vec![flipt(true.into())],
            "client_error",
            "HTTP 400",
        ),
    ] {
        let (progress, seen) = against(kind, vec![(method, vec![answer]), ("GET", readings)]).await;
        assert_eq!(progress.reached, Reached::Refused, "{kind}: {}", progress.detail);
        assert_eq!(progress.class, class, "{kind}");
        assert!(progress.detail.contains(words), "{kind}: {}", progress.detail);
        let posts = seen.iter().filter(|seen| seen.method == "POST").count();
        assert!(words != "approve it" || posts <= 1, "{kind}: one approval is enough");
    }
}

#[tokio::test]
async fn what_may_mend_itself_is_asked_for_again() {
    let limited = || Reply::with_header(429, "retry-after: 7", "slow down");
    for (kind, method, answer, readings, class) in [
        ("launchdarkly", "PATCH", Reply::status(409, "conflict"), vec![], "client_error"),
        ("launchdarkly", "PATCH", limited(), vec![], "rate_limited"),
        ("unleash", "POST", Reply::status(503, ""), vec![], "server_error"),
        ("growthbook", "POST", limited(), vec![], "rate_limited"),
        ("configcat", "PUT", limited(), vec![], "rate_limited"),
        ("flipt", "PUT", Reply::status(409, "revision"), vec![flipt(true.into())], "client_error"),
        ("flipt", "PUT", Reply::status(200, ""), vec![Reply::status(500, "")], "server_error"),
        ("flipt", "PUT", Reply::status(200, ""), vec![ok(&json!({"resource": {}}))], "unconfirmed"),
        ("flipt 1", "PUT", Reply::status(200, ""), vec![ok(&json!([]))], "unconfirmed"),
        ("datadog", "POST", Reply::status(200, ""), vec![ok(&json!({"data": {}}))], "unconfirmed"),
    ] {
        let (progress, _) = against(kind, vec![(method, vec![answer]), ("GET", readings)]).await;
        assert_eq!(progress.reached, Reached::Requested, "{kind}: {}", progress.detail);
        assert_eq!(progress.class, class, "{kind}");
    }
}

#[tokio::test]
async fn a_trigger_is_blind_without_a_token_and_sees_with_one() {
    let service = Service::new();
    let fired = || vec![Reply::status(202, "")];
    let readings = vec![launchdarkly(false.into())];
    let fake = Fake::by_method(vec![("POST", fired()), ("GET", readings)]).await;
    let config = service.config("launchdarkly_trigger", &fake.url);
    assert!(!config.reads_back());
    let progress = service.attempt(&config, Asked::No).await;
    assert_eq!((progress.reached, progress.class), (Reached::Blind, "no_read_back"));
    assert!(progress.detail.contains("cannot be read back"), "{}", progress.detail);
    let body: Value = serde_json::from_str(&fake.seen()[0].body).unwrap();
    assert_eq!(body, json!({"eventName": REASON}));

    let mut table = serde_json::to_value(&config).unwrap();
    let read = json!({"url": fake.url, "project": "shop", "environment": "production",
        "flag": "short", "token": service.secret("token", "s3cret")});
    table["launchdarkly_trigger"]["read"] = read;
    let config: ActionConfig = serde_json::from_value(table).unwrap();
    assert!(config.reads_back());
    let progress = service.attempt(&config, Asked::No).await;
    assert_eq!(progress.reached, Reached::Confirmed, "{}", progress.detail);
}

#[tokio::test]
async fn an_abort_falls_back_to_the_resource_without_its_status() {
    let aborted = json!({"abort": true, "abortedAt": "2026-08-11T00:00:00Z", "phase": "Degraded"});
    let patches = vec![Reply::status(404, "{}"), Reply::status(200, "{}")];
    let scripts = vec![("PATCH", patches), ("GET", vec![rollout(aborted)])];
    let (progress, seen) = against("argo_rollouts", scripts).await;
    assert_eq!(progress.reached, Reached::Confirmed, "{}", progress.detail);
    assert!(seen[0].path.ends_with("/rollouts/web/status"));
    assert!(seen[1].path.ends_with("/rollouts/web"));
}

#[tokio::test]
async fn what_a_person_did_meanwhile_is_read_before_asking_again() {
    let service = Service::new();
    let readings = vec![datadog("DISABLED", Value::Null)];
    let fake = Fake::by_method(vec![("GET", readings)]).await;
    let config = service.config("datadog", &fake.url);
    let progress = service.attempt(&config, Asked::Again).await;
    assert_eq!(progress.reached, Reached::Confirmed, "{}", progress.detail);
    assert_eq!(fake.seen().len(), 1, "nothing was asked for");
}

#[tokio::test]
async fn a_long_document_is_read_whole_and_an_endless_one_is_no_reading() {
    let long = "x".repeat(200 * 1024);
    let document = |on: bool| {
        let environments = json!({"production": {"on": on}});
        Reply::status(200, &json!({"aaa": long, "environments": environments}).to_string())
    };
    let patched = || vec![Reply::status(200, "{}")];
    let scripts = vec![("PATCH", patched()), ("GET", vec![document(false)])];
    let (progress, _) = against("launchdarkly", scripts).await;
    assert_eq!(progress.reached, Reached::Confirmed, "{}", progress.detail);
    let endless = Reply::broken(200, super::fake::After::Endless);
    let scripts = vec![("PATCH", patched()), ("GET", vec![endless])];
    let (progress, _) = against("launchdarkly", scripts).await;
    assert_eq!(progress.reached, Reached::Accepted);
    assert!(progress.detail.contains("longer than 1 MiB"), "{}", progress.detail);
}

#[test]
fn names_cannot_reach_another_resource() {
    let service = Service::new();
    let mut table = serde_json::to_value(service.config("unleash", "http://127.0.0.1:1")).unwrap();
    for (key, value, words) in [
        ("url", json!("http://127.0.0.1:1/?a=b"), "must end with its path"),
        ("url", json!("ftp://127.0.0.1"), "only http and https"),
        ("max_per_day", json!(0), "`max_per_day` is 0"),
    ] {
        let before = table["unleash"][key].take();
        table["unleash"][key] = value;
        let config: ActionConfig = serde_json::from_value(table.clone()).unwrap();
        let refused = build_action("off", &config, None).unwrap_err().to_string();
        assert!(refused.contains(words), "{refused}");
        match before {
            Value::Null => drop(table["unleash"].as_object_mut().unwrap().remove(key)),
            before => table["unleash"][key] = before,
        }
    }
    for kind in ["growthbook", "flipt", "configcat"] {
        let mut table = serde_json::to_value(service.config(kind, "http://127.0.0.1:1")).unwrap();
        table[kind]["version"] = 3.into();
        let config: ActionConfig = serde_json::from_value(table).unwrap();
        let refused = build_action("off", &config, None).unwrap_err().to_string();
        assert!(refused.contains("write 1 or 2"), "{refused}");
    }
}

#[tokio::test]
async fn a_slash_in_a_name_stays_a_name() {
    let service = Service::new();
    let fake = Fake::by_method(vec![
        ("POST", vec![Reply::status(200, "")]),
        ("GET", vec![ok(&json!({"enabled": false}))]),
    ])
    .await;
    let mut table = serde_json::to_value(service.config("unleash", &fake.url)).unwrap();
    table["unleash"]["feature"] = "../a/b?c#d".into();
    let config: ActionConfig = serde_json::from_value(table).unwrap();
    assert_eq!(service.attempt(&config, Asked::No).await.reached, Reached::Confirmed);
    let path = &fake.seen()[0].path;
    assert!(path.contains("/features/..%2Fa%2Fb%3Fc%23d/environments/"), "{path}");
}
