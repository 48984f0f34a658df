//! No credential leaves the daemon but to where it belongs: every kind of receiver is sent against
//! a server that fails and quotes the whole request in its answer, and everything that people can
//! see is searched for what must not be there.

use axum::Router;
use axum::http::{HeaderMap, StatusCode, Uri};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::net::TcpListener;

use super::fakes::daemon::{Daemon, run, text};
use super::fakes::home::Home;
use super::fakes::http::Site;
use super::fakes::process::wait_for;
use super::messages::kinds_of_receivers;

/// Stands in every secret; the demo's and the sample's texts do not have it.
const CANARY: &str = "CANARY";

/// The table of one kind, every secret of it marked; `base` is the failing server. `None`: a kind
/// that nobody told this test about.
fn table(kind: &str, base: &str, home: &Home) -> Option<String> {
    let secret = |name: &str, value: &str| {
        let file = format!("{kind}-{name}");
        home.put(&file, format!("{value}\n"));
        format!("{name} = {{ file = \"{}\" }}", home.path().join(file).display())
    };
    let url = || secret("url", &format!("{base}/services/T0/B0/{CANARY}?key={CANARY}2"));
    let token = || secret("token", &format!("xoxb-{CANARY}"));
    let keys = match kind {
        "webhook" => vec![
            format!("url = \"{base}/hook/{CANARY}?key={CANARY}3\""),
            secret("secret", "whsec_CANARYwebhooksecretCANARYwebhook"),
            secret("proxy", &base.replace("http://", &format!("http://user:{CANARY}@"))),
        ],
        "slack" | "teams" | "discord" | "mattermost" => vec![url()],
        "slack_api" => vec![
            token(),
            secret("signing_secret", CANARY),
            format!("channel = \"C1\"\nurl = \"{base}\""),
        ],
        "github" => {
            vec![token(), "repository = \"o/r\"".to_owned(), format!("url = \"{base}\"")]
        }
        "jira" => {
            vec![token(), format!("url = \"{base}\"\nemail = \"a@b.example\"\nproject = \"OPS\"")]
        }
        "pagerduty" => vec![secret("routing_key", CANARY), format!("url = \"{base}\"")],
        // Nobody listens there: what a mail server says does not come from the settings.
        "email" => vec![
            secret("password", CANARY),
            "host = \"127.0.0.1\"\nport = 1\ntls = \"none\"\nusername = \"u\"".to_owned(),
            "from = \"a@b.example\"\nto = [\"c@d.example\"]".to_owned(),
        ],
        "grafana" => vec![token(), format!("url = \"{base}\"")],
        "template" => {
            vec![url(), "preset = \"google_chat\"".to_owned()]
        }
        _ => return None,
    };
    let keys = keys.join("\n");
    Some(format!("[receivers.to-{kind}.{kind}]\nallow_private = true\n{keys}\n"))
}

/// What a framework's error page says at its worst: the request, its body, and what it decoded.
async fn quote(uri: Uri, headers: HeaderMap, body: String) -> (StatusCode, String) {
    let lines = headers.iter();
    let lines = lines.map(|(name, value)| format!("{name}: {}", value.to_str().unwrap_or("?")));
    let basic = headers.values().filter_map(|it| it.to_str().ok()?.strip_prefix("Basic "));
    let basic = basic.filter_map(|it| STANDARD.decode(it).ok());
    let users = basic.map(|it| format!("user {}", String::from_utf8_lossy(&it)));
    let lines: Vec<_> = users.chain(lines).collect();
    let page = format!("Cannot POST {uri}\n{}\nyou sent {body}", lines.join("\n"));
    (StatusCode::INTERNAL_SERVER_ERROR, page)
}

async fn failing_server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(quote);
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    base
}

/// Basic credentials are the canary in base64.
fn search(place: &str, shown: &str) {
    let basic = "YUBiLmV4YW1wbGU6eG94Yi1DQU5BUlk";
    for mark in [CANARY, basic, "dXNlcjpDQU5BUlk"] {
        if let Some(at) = shown.find(mark) {
            let line = shown[..at].lines().count().max(1) - 1;
            panic!("{place} shows a secret: {}", shown.lines().nth(line).unwrap_or_default());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_of_any_receiver_is_shown_anywhere() {
    let home = Home::new();
    let base = failing_server().await;
    let kinds = kinds_of_receivers();
    let tables = kinds.iter().map(|kind| {
        let found = table(kind, &base, &home);
        found.unwrap_or_else(|| panic!("`{kind}` is new: give it a table with its secrets here"))
    });
    let settings = home.settings("http://127.0.0.1:9", &tables.collect::<String>());
    // A broken file is told to every operator.
    home.put("experiments/broken.yaml", "experiment: [");
    let names: Vec<_> = kinds.iter().map(|kind| format!("\"to-{kind}\"")).collect();
    let operators = format!("[{}]", names.join(", "));
    let variables = [
        ("VERDICTD_DAEMON__OPERATORS", operators.as_str()),
        ("VERDICTD_LOG__LEVEL", "trace"),
        ("RUST_BACKTRACE", "1"),
    ];
    let mut daemon = Daemon::start(&settings, &variables, home.path().join("daemon.log"));
    let site = Site::new(&tokio::task::block_in_place(|| daemon.address()));
    let attempted = wait_for("an attempt of every receiver", || async {
        let listed = site.get("/api/v1/deliveries?limit=500").await.json();
        let rows = listed["deliveries"].as_array().unwrap();
        let of = |kind: &String| {
            let name = format!("to-{kind}");
            rows.iter().any(|row| row["endpoint"] == name && row["attempts"][0]["detail"] != "")
        };
        kinds.iter().all(of).then_some(listed)
    })
    .await;
    // The answers were kept, so there was something to search.
    assert!(attempted.to_string().contains("Cannot POST"), "{attempted}");
    for path in ["/api/v1/deliveries?limit=500", "/metrics", "/", "/log", "/alarms", "/nowhere"] {
        search(path, &site.get(path).await.body);
    }
    daemon.stop();
    // Libraries log warnings only, at whatever level (`src/deliver/tests/redaction.rs` hears all).
    assert!(daemon.log().contains("to-webhook"), "no attempt is logged: {}", daemon.log());
    search("the log", &daemon.log());

    let config = settings.display().to_string();
    let command = |arguments: &[&str]| {
        let all = [arguments, &["--config", &config]].concat();
        let output = tokio::task::block_in_place(|| run(&all, &[]));
        let shown = text(&output.stdout) + &text(&output.stderr);
        search(&all.join(" "), &shown);
        shown
    };
    assert!(command(&["config", "print"]).contains("receivers.to-webhook.webhook.url"));
    for kind in &kinds {
        let name = format!("to-{kind}");
        let said = command(&["notify", "test", &name]);
        assert!(said.contains("REFUSED"), "{kind}: {said}");
        command(&["notify", "render", &name]);
    }
}

/// What cannot be used at the start is named by its place, never by its content.
#[test]
fn an_unusable_secret_is_not_quoted() {
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{CANARY}\n-----END PRIVATE KEY-----\n");
    for (name, content, key) in [
        ("key.pem", pem.as_str(), "client_cert = \"FILE\"\nclient_key = \"FILE\""),
        ("key.pem", &format!("{CANARY}\n"), "ca_file = \"FILE\""),
        ("proxy", &format!("{CANARY}://user:{CANARY}@x"), "proxy = { file = \"FILE\" }"),
        ("secret", CANARY, "secret = { file = \"FILE\" }"),
        ("secret", &format!("whsec_{CANARY}"), "private_key = { file = \"FILE\" }"),
    ] {
        let home = Home::new();
        home.put(name, content);
        let key = key.replace("FILE", &home.path().join(name).display().to_string());
        let url = format!("http://127.0.0.1:9/{CANARY}");
        let table =
            format!("[receivers.it.webhook]\nurl = \"{url}\"\nallow_private = true\n{key}\n");
        let settings = home.settings("http://127.0.0.1:9", &table).display().to_string();
        let output = run(&["notify", "test", "it", "--config", &settings], &[]);
        assert!(!output.status.success());
        search(&key, &(text(&output.stdout) + &text(&output.stderr)));
    }
}

/// Proxies of the environment are not asked: they would see every URL.
#[tokio::test(flavor = "multi_thread")]
async fn no_proxy_is_taken_from_the_environment() {
    let home = Home::new();
    let proxy = super::fakes::receiver::Receiver::start().await;
    let target = super::fakes::receiver::Receiver::start().await;
    let url = target.url("/hook");
    let table = format!("[receivers.it.webhook]\nurl = \"{url}\"\nallow_private = true\n");
    let settings = home.settings("http://127.0.0.1:9", &table).display().to_string();
    let address = proxy.url("");
    let names = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"];
    let variables = names.map(|name| (name, address.as_str()));
    let arguments = ["notify", "test", "it", "--config", &settings];
    let output = tokio::task::block_in_place(|| run(&arguments, &variables));
    assert!(output.status.success(), "{}", text(&output.stdout));
    assert!(proxy.received().is_empty());
    assert!(target.received().len() >= 20);
}
