//! No credential of an action leaves the daemon but to where it belongs: every kind acts against a
//! server that fails and quotes the whole request, and what it says and logs is searched. (For
//! receivers the whole daemon is searched: `tests/it/redaction.rs`.)

use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::{HeaderMap, StatusCode, Uri};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{envelope, secret};
use crate::deliver::ActionConfig;
use crate::deliver::actions::{Asked, build_action};

const CANARY: &str = "CANARY";

/// The table of one kind, every secret of it marked. A kind that is not here fails the test.
fn table(kind: &str, base: &str, folder: &Path) -> Option<Value> {
    let file = |name: &str| json!(secret(folder, &format!("{kind}-{name}"), CANARY));
    let hidden = json!(secret(folder, &format!("{kind}-url"), &format!("{base}/on/{CANARY}")));
    let own = match kind {
        "webhook" => json!({
            "url": format!("{base}/off/{CANARY}?key={CANARY}"),
            "secret_headers": {"x-token": file("token")},
            "secret": secret(folder, "signing", "whsec_CANARYwebhooksecretCANARYwebhook"),
            "verify": {"url": format!("{base}/flag/{CANARY}"), "pointer": "/on", "equals": false},
        }),
        "argo_rollouts" => {
            json!({"url": base, "namespace": "n", "rollout": "r", "token": file("token")})
        }
        "command" => json!({
            "argv": ["/bin/sh", "-c", "echo \"$KEY\" >&2; exit 1"],
            "secret_env": {"KEY": file("key")},
            "verify_argv": ["/bin/false"],
        }),
        "configcat" => json!({"url": base, "setting": "s", "sdk_key": file("sdk_key"),
            "user": file("user"), "password": file("password")}),
        "datadog" => json!({"url": base, "feature_flag": "f", "environment": "e",
            "api_key": file("api_key"), "app_key": file("app_key")}),
        // Pulled: nothing is sent.
        "flagd" => return Some(Value::Null),
        "flipt" => json!({"url": base, "environment": "e", "namespace": "n", "flag": "f",
            "token": file("token")}),
        "growthbook" => {
            json!({"url": base, "feature": "f", "environment": "e", "token": file("token")})
        }
        "launchdarkly" => json!({"url": base, "project": "p", "environment": "e", "flag": "f",
            "token": file("token")}),
        "launchdarkly_trigger" => json!({"url": hidden}),
        "unleash" => json!({"url": base, "project": "p", "feature": "f", "environment": "e",
            "token": file("token")}),
        _ => return None,
    };
    Some(own)
}

fn kinds() -> Vec<String> {
    let schema = schemars::schema_for!(ActionConfig);
    let variants = schema.get("oneOf").and_then(Value::as_array).unwrap();
    variants.iter().map(|it| it["required"][0].as_str().unwrap().to_owned()).collect()
}

async fn failing_server() -> String {
    async fn quote(uri: Uri, headers: HeaderMap, body: String) -> (StatusCode, String) {
        let basic = headers.values().filter_map(|it| it.to_str().ok()?.strip_prefix("Basic "));
        let users: Vec<_> = basic.filter_map(|it| STANDARD.decode(it).ok()).collect();
        let users: Vec<_> = users.iter().map(|it| String::from_utf8_lossy(it)).collect();
        let page = format!("Cannot do {uri} for {users:?}\n{headers:#?}\nyou sent {body}");
        (StatusCode::INTERNAL_SERVER_ERROR, page)
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        axum::serve(listener, Router::new().fallback(quote)).await.unwrap();
    });
    base
}

/// Everything that this thread logs, whatever its level and origin.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_secret_of_any_action_is_said_or_logged() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    tracing::trace!("the log is read");
    let folder = tempfile::tempdir().unwrap();
    let base = failing_server().await;
    let mut said = Vec::new();
    for kind in kinds() {
        let table = table(&kind, &base, folder.path());
        let mut table = table.unwrap_or_else(|| {
            panic!("`{kind}` is new: give it a table with its secrets here");
        });
        let Some(keys) = table.as_object_mut() else {
            continue;
        };
        keys.insert("allow_private".to_owned(), true.into());
        for (key, value) in [("armed", true), ("dry_run", true)] {
            keys.insert(key.to_owned(), value.into());
        }
        let config: ActionConfig = serde_json::from_value(json!({&kind: keys})).unwrap();
        let dry = build_action(&kind, &config, None).unwrap();
        said.push(format!("{:?}", dry.attempt(&envelope("{}"), Asked::No).await));
        table["dry_run"] = false.into();
        let config: ActionConfig = serde_json::from_value(json!({&kind: table})).unwrap();
        let action = build_action(&kind, &config, None).unwrap();
        for asked in [Asked::No, Asked::Taken] {
            said.push(format!("{:?}", action.attempt(&envelope("{}"), asked).await));
        }
    }
    let said = said.join("\n");
    assert!(said.contains("dry run") && said.contains("HTTP 500"), "{said}");
    assert!(!said.contains(CANARY), "{said}");
    let logged = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(logged.contains("the log is read"));
    let line = logged.lines().find(|line| line.contains(CANARY));
    assert_eq!(line, None);
}
