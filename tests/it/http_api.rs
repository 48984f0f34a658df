//! The daemon as its callers see it: API, problems, decisions with tokens, pages, message links.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::fakes::daemon::Daemon;
use super::fakes::home::{Home, Idea};
use super::fakes::http::{Answer, Site};
use super::fakes::metrics::{Metrics, Mood};
use super::fakes::process::wait_for;
use super::fakes::receiver::Receiver;

/// Markup and control characters in a text that people see.
const HOSTILE: &str = "</title><script>alert(1)</script> & \u{202e}\"'{{ x }}";

/// A daemon with one experiment that has a verdict.
struct Running {
    daemon: Daemon,
    site: Site,
    receiver: Receiver,
    metrics: Metrics,
    _home: Home,
}

impl Running {
    async fn start() -> Self {
        Self::with(&Idea::default(), TOKENS).await
    }

    async fn with(idea: &Idea<'_>, rest: &str) -> Self {
        let home = Home::new();
        // Calm at the first look, so that its verdict is always the same.
        let (metrics, receiver) = (Metrics::start(Mood::Calm).await, Receiver::start().await);
        let url = receiver.url("/hook");
        let hook = format!("[receivers.hook.webhook]\nurl = \"{url}\"\nallow_private = true\n");
        let settings = home.settings(&metrics.url(), &(hook + rest));
        home.experiment(idea);
        let secrets = [("LEAD_TOKEN", "lead"), ("GUEST_TOKEN", "guest")];
        let log = home.path().join("daemon.log");
        let mut daemon = Daemon::start(&settings, &secrets, log);
        let address = tokio::task::block_in_place(|| daemon.address());
        let running = Self { daemon, site: Site::new(&address), receiver, metrics, _home: home };
        let path = format!("/api/v1/experiments/{}", idea.id);
        wait_for("the first verdict", || async {
            let answer = running.site.get(&path).await;
            (answer.status == 200 && answer.json()["last"]["track"] == "look").then_some(())
        })
        .await;
        running.metrics.set(Mood::Flip);
        running
    }

    async fn decide(&self, token: Option<&str>, body: Value) -> Answer {
        self.post(token, body.to_string().into_bytes(), "application/json").await
    }

    async fn post(&self, token: Option<&str>, body: Vec<u8>, kind: &str) -> Answer {
        let bearer = format!("Bearer {}", token.unwrap_or_default());
        let mut headers = vec![("content-type", kind)];
        if token.is_some() {
            headers.push(("authorization", &bearer));
        }
        let path = "/api/v1/decisions";
        self.site.send(Method::POST, path, &headers, body).await
    }

    /// Nothing of what was asked made a handler panic.
    fn stop(mut self) {
        self.daemon.stop();
        assert!(!self.daemon.log().contains("panicked"), "{}", self.daemon.log());
    }
}

const TOKENS: &str = "[[http.tokens]]\nname = \"growth-lead\"\ntoken = { env = \"LEAD_TOKEN\" }\n\
                      [[http.tokens]]\nname = \"guest\"\ntoken = { env = \"GUEST_TOKEN\" }\n";

#[tokio::test(flavor = "multi_thread")]
async fn the_api_tells_experiments_evaluations_and_the_flat_verdict() {
    let running = Running::start().await;
    let site = &running.site;
    assert_eq!(site.get("/healthz").await.body, "ok\n");
    assert_eq!(site.get("/readyz").await.status, 200);
    let list = site.json("/api/v1/experiments").await;
    assert_eq!(list["schema"], "verdictd/experiments/1");
    assert_eq!(list["experiments"][0]["id"], "copy");
    let one = site.json("/api/v1/experiments/copy").await;
    assert_eq!(one["life"], "running");
    assert!(one["record"]["decision"].is_object(), "{one}");
    let verdict = site.json("/api/v1/experiments/copy/verdict").await;
    let fields = verdict.as_object().unwrap();
    for key in ["experiment", "verdict", "cause", "final", "reason", "life", "sequence"] {
        assert!(fields.contains_key(key) && !fields[key].is_null(), "{key} {verdict}");
    }
    assert!(fields.values().all(|it| !it.is_object() && !it.is_array()), "flat: {verdict}");

    wait_for("three evaluations", || async {
        let rows = site.json("/api/v1/experiments/copy/evaluations").await;
        (rows["evaluations"].as_array().unwrap().len() >= 3).then_some(())
    })
    .await;
    let page = site.json("/api/v1/experiments/copy/evaluations?limit=1").await;
    assert_eq!(page["evaluations"].as_array().unwrap().len(), 1);
    let before = page["next_before"].as_u64().unwrap();
    let path = format!("/api/v1/experiments/copy/evaluations?limit=1&before={before}");
    let older = site.json(&path).await;
    assert_eq!(older["evaluations"][0]["number"], before - 1);
    let first = site.json("/api/v1/experiments/copy/evaluations/1").await;
    assert_eq!(first["record"]["id"], first["id"]);
    wait_for("both sources to be known as up", || async {
        let document = site.json("/api/v1/sources").await;
        let sources = document["sources"].as_array().unwrap();
        let is_up = |source: &Value| source["up"] == true && source["last_ok_at"].is_string();
        (sources.len() == 2 && sources.iter().all(is_up)).then_some(())
    })
    .await;
    let metrics = site.get("/metrics").await.body;
    assert!(metrics.contains("source=\"warehouse\""), "{metrics}");
    wait_for("a delivery", || async {
        let rows = site.json("/api/v1/deliveries?state=delivered").await;
        (!rows["deliveries"].as_array().unwrap().is_empty()).then_some(())
    })
    .await;
    running.stop();
}

/// What is asked, the status and the code of the answer.
const WRONG_PATHS: &[(&str, u16, &str)] = &[
    ("/nope", 404, "not_found"),
    ("/api/v1/nope", 404, "not_found"),
    ("/api/v1/experiments/cop", 404, "not_found"),
    ("/api/v1/experiments/..%2F..%2Fetc", 404, "not_found"),
    ("/api/v1/experiments/%00", 404, "not_found"),
    ("/api/v1/experiments/copy/verdict?wait=61s", 422, "invalid"),
    ("/api/v1/experiments/copy/verdict?max_age=old", 422, "invalid"),
    ("/gate/copy?door=back", 422, "invalid"),
    ("/api/v1/experiments/none/evaluations", 404, "not_found"),
    ("/api/v1/experiments/copy/evaluations/99999", 404, "not_found"),
    ("/api/v1/experiments/copy/evaluations/18446744073709551615", 404, "not_found"),
    ("/api/v1/experiments/copy/evaluations/-1", 400, "request"),
    ("/api/v1/experiments/copy/evaluations/one", 400, "request"),
    ("/api/v1/experiments/copy/evaluations?limit=0", 422, "invalid"),
    ("/api/v1/experiments/copy/evaluations?limit=201", 422, "invalid"),
    ("/api/v1/experiments/copy/evaluations?limit=-1", 400, "request"),
    ("/api/v1/experiments/copy/evaluations?limit=many", 400, "request"),
    ("/api/v1/experiments/copy/evaluations?limits=1", 400, "request"),
    ("/api/v1/experiments/copy/evaluations?before=1e9", 400, "request"),
    ("/api/v1/decisions?since=yesterday", 400, "request"),
    ("/api/v1/decisions?limit=501", 422, "invalid"),
    ("/api/v1/deliveries?state=lost", 422, "invalid"),
    ("/x/none", 404, "not_found"),
    ("/x/copy/e/99999", 404, "not_found"),
    ("/x/copy/e/none", 404, "not_found"),
    ("/x/none/e/1", 404, "not_found"),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_error_is_a_problem_with_a_code_and_a_request_id() {
    let running = Running::start().await;
    let site = &running.site;
    for (path, status, code) in WRONG_PATHS {
        let answer = site.get(path).await;
        assert_eq!(answer.status, *status, "{path} {answer:?}");
        assert_eq!(answer.problem(), *code, "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert!(!answer.header("x-request-id").is_empty(), "{path}");
    }
    let near = site.get("/api/v1/experiments/cop").await.json();
    assert!(near["detail"].as_str().unwrap().contains("did you mean copy"), "{near}");
    for method in [Method::DELETE, Method::PUT, Method::POST] {
        let answer = site.send(method, "/api/v1/experiments", &[], Vec::new()).await;
        assert_eq!(answer.status, 405);
        assert_eq!(answer.problem(), "method_not_allowed");
    }
    let named = site.send(Method::GET, "/nope", &[("x-request-id", "abc-1")], Vec::new()).await;
    assert_eq!(named.json()["request_id"], "abc-1");
    running.stop();
}

fn decision(action: &str, because: &str) -> Value {
    json!({"experiment": "copy", "decision": action, "because": because})
}

/// Who sends what, and the status and code of the refusal.
fn refused_decisions() -> Vec<(Option<&'static str>, Value, u16, &'static str)> {
    let guest = Some("guest");
    let mut nobody = decision("objects", "x");
    nobody["experiment"] = json!("none");
    let mut posing = decision("stop", "x");
    posing["who"] = json!("growth-lead");
    vec![
        (None, decision("objects", "x"), 401, "no_token"),
        (Some("wrong"), decision("objects", "x"), 401, "wrong_token"),
        (Some("Bearer lead"), decision("objects", "x"), 401, "wrong_token"),
        (guest, decision("stop", "users wait"), 403, "not_allowed"),
        (guest, decision("rearm", "x"), 409, "not_allowed"),
        (guest, decision("objects", "  "), 422, "not_allowed"),
        (guest, decision("objects", &"x".repeat(2_001)), 422, "invalid"),
        (guest, decision("explode", "x"), 422, "invalid"),
        (guest, nobody, 404, "not_found"),
        (guest, posing, 422, "body"),
        (guest, json!([1, 2]), 422, "body"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn decisions_need_a_token_and_follow_the_rules() {
    let running = Running::start().await;
    for (token, body, status, code) in refused_decisions() {
        let answer = running.decide(token, body.clone()).await;
        assert_eq!(answer.status, status, "{token:?} {body} {answer:?}");
        assert_eq!(answer.problem(), code, "{body}");
    }
    let log = running.site.json("/api/v1/decisions?experiment=copy&limit=500").await;
    let by_people = |log: &Value| {
        let rows = log["decisions"].as_array().unwrap().clone();
        rows.into_iter().filter(|row| !row["who"].is_null()).collect::<Vec<_>>()
    };
    assert!(by_people(&log).is_empty(), "a refused decision is not one: {log}");

    let taken = running.decide(Some("guest"), decision("objects", "too few")).await;
    assert_eq!(taken.status, 201, "{taken:?}");
    assert_eq!(taken.json()["who"], "guest", "the token's name");
    let taken = running.decide(Some("lead"), decision("stop", "users wait")).await;
    assert_eq!((taken.status, taken.json()["who"].as_str()), (201, Some("growth-lead")));
    let verdict = running.site.json("/api/v1/experiments/copy/verdict").await;
    assert_eq!((&verdict["life"], &verdict["final"]), (&json!("stopped"), &json!(true)));
    let log = running.site.json("/api/v1/decisions?experiment=copy&limit=500").await;
    let kinds: Vec<_> = by_people(&log).iter().map(|row| row["kind"].clone()).collect();
    assert_eq!(kinds, ["stop", "objects"], "newest first");
    running.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_are_bounded_and_hostile_bodies_are_refused() {
    let running = Running::start().await;
    let json = "application/json";
    let deep = [b"[".repeat(30_000), b"]".repeat(30_000)].concat();
    for (body, kind, status) in [
        (b"".to_vec(), json, 400),
        (b"{".to_vec(), json, 400),
        (b"\xff\xfe\x00{".to_vec(), json, 400),
        (b"experiment=copy".to_vec(), "application/x-www-form-urlencoded", 415),
        (b"{}".to_vec(), json, 422),
        (b"null".to_vec(), json, 422),
        (deep, json, 422),
    ] {
        let length = body.len();
        let answer = running.post(Some("lead"), body, kind).await;
        assert!(
            answer.status == status || (status == 422 && answer.status == 400),
            "{length} bytes of {kind}: {answer:?}"
        );
        assert_eq!(answer.problem(), "body", "{answer:?}");
    }
    let headers = [("content-type", json), ("authorization", "Bearer lead")];
    for length in [70_000, 5_000_000] {
        // The daemon answers and hangs up; whether the answer arrives before is the network's.
        let answer = wait_for("an answer to a body that is too large", || async {
            let body = vec![b' '; length];
            let path = "/api/v1/decisions";
            let sent = running.site.attempt(Method::POST, path, &headers, body).await;
            sent.ok()
        })
        .await;
        assert_eq!((answer.status, answer.problem().as_str()), (413, "body"));
    }
    assert_eq!(running.site.get("/readyz").await.status, 200);
    running.stop();
}

/// Without tokens nobody writes, not even with one.
#[tokio::test(flavor = "multi_thread")]
async fn writing_is_off_without_tokens() {
    let running = Running::with(&Idea::default(), "").await;
    let body = json!({"experiment": "copy", "decision": "objects", "because": "x"});
    let answer = running.decide(Some("lead"), body).await;
    assert_eq!((answer.status, answer.problem().as_str()), (403, "writing_off"));
    running.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_render_and_escape_what_users_wrote() {
    let quoted = serde_json::to_string(HOSTILE).unwrap();
    let idea = Idea { title: &quoted, ..Idea::default() };
    let running = Running::with(&idea, TOKENS).await;
    let because = "<img src=x onerror=alert(2)>";
    let body = json!({"experiment": "copy", "decision": "objects", "because": because});
    assert_eq!(running.decide(Some("guest"), body).await.status, 201);
    for path in ["/", "/x/copy", "/x/copy/e/1", "/log", "/log?experiment=copy"] {
        let answer = running.site.get(path).await;
        assert_eq!(answer.status, 200, "{path} {answer:?}");
        assert!(answer.header("content-type").starts_with("text/html"), "{path}");
        let policy = answer.header("content-security-policy");
        assert!(policy.contains("default-src 'none'"), "{path} {policy}");
        assert!(answer.body.contains("</html>"), "{path} is whole");
        for bad in ["<script", "<img", "alert(1)</title>"] {
            assert!(!answer.body.contains(bad), "{path} has {bad}");
        }
    }
    let page = running.site.get("/x/copy").await.body;
    assert!(page.contains("&lt;script&gt;alert(1)"), "shown as text");
    let log = running.site.get("/log").await.body;
    assert!(log.contains("&lt;img src=x"), "{log}");
    assert_eq!(running.site.get("/assets/style.css").await.status, 200);
    running.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_link_of_a_page_resolves() {
    let running = Running::start().await;
    let base = url::Url::parse("http://daemon/").unwrap();
    let mut waiting = vec![base.clone(), base.join("/log?experiment=copy").unwrap()];
    let mut seen = std::collections::BTreeSet::new();
    while let Some(at) = waiting.pop() {
        if !seen.insert(at.clone()) || seen.len() > 60 {
            continue;
        }
        let path = &at[url::Position::BeforePath..url::Position::AfterQuery];
        let answer = running.site.get(path).await;
        assert_eq!(answer.status, 200, "{path}");
        for link in answer.body.split("href=\"").skip(1) {
            let link = link.split('"').next().unwrap();
            let target = at.join(link).unwrap();
            assert_eq!(target.host(), base.host(), "{path} leads outside: {link}");
            if target.path() != at.path() {
                waiting.push(target);
            }
        }
    }
    assert!(seen.len() > 5, "{seen:?}");
    running.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn links_of_messages_lead_to_pages() {
    let running = Running::start().await;
    let verdict = wait_for("the verdict's message", || async {
        let received = running.receiver.received();
        let mut bodies = received.iter().map(super::fakes::receiver::Received::json);
        bodies.find(|body| body["data"]["links"]["evaluation"].is_string())
    })
    .await;
    let links = verdict["data"]["links"].as_object().unwrap();
    assert!(links.len() >= 3, "{links:?}");
    let client = verdictd::http_client::client(None, Duration::from_secs(30)).unwrap();
    for (name, link) in links {
        let link = link.as_str().unwrap();
        if link.contains("wiki.example.com") {
            continue;
        }
        let response = client.get(link).send().await.unwrap();
        assert_eq!(response.status().as_u16(), 200, "{name}: {link}");
        let page = response.text().await.unwrap();
        let wanted = if name == "log" { "Decision log" } else { "Clearer copy" };
        assert!(page.contains(wanted), "{name}: {link}\n{page}");
    }
    let other = running.site.get("/log?experiment=none").await;
    assert!(other.body.contains("Nothing was decided yet."), "{other:?}");
    running.stop();
}
