//! A client that wants to break it: links that are not theirs, previews, names from hell, heads
//! and forms that lie.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use judge::time::add_ms;
use serde_json::{Value, json};

use super::deliveries::row;
use super::{Answer, ID, Site, Still, at};
use crate::deliver::policy::links::{self, Act};
use crate::store::Told;

/// A site with a hold that can be acknowledged.
async fn site() -> Site {
    let mut site = Site::sample().await.with_tokens();
    site.state.clock = Arc::new(Still(at()));
    let mut hold = row("hold", "growth", ID);
    hold.told = Told { topic: "verdict".to_owned(), lasting: true, ..Told::default() };
    let mut trip = row("trip", "growth", ID);
    trip.told = Told { topic: "guardrail:errors".to_owned(), ..Told::default() };
    site.state.store.enqueue(vec![hold, trip]).await.unwrap();
    site
}

/// A link for `notice`, good for a minute and `late_ms` less.
async fn link(site: &Site, act: Act, notice: &str, late_ms: i64) -> String {
    let key = links::key(None, &site.state.store).await.unwrap();
    key.token(act, notice, ID, add_ms(at(), 60_000 - late_ms))
}

async fn call(site: &Site, method: Method, path: &str, body: &str) -> Answer {
    let request = Request::builder().method(method).uri(path);
    let request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    site.send(request.body(Body::from(body.to_owned())).unwrap()).await
}

async fn post_json(site: &Site, path: &str, body: Value) -> Answer {
    let request = Request::post(path)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::AUTHORIZATION, "Bearer token-of-guest");
    site.send(request.body(Body::from(body.to_string())).unwrap()).await
}

async fn acknowledged(site: &Site) -> usize {
    let all = site.get("/api/v1/acknowledgements").await.json();
    all["acknowledgements"].as_array().unwrap().len()
}

#[tokio::test]
async fn a_preview_acknowledges_nothing_however_it_looks() {
    let site = site().await;
    let token = link(&site, Act::Acknowledge, "notice-hold", 0).await;
    let path = format!("/n/{token}");
    for (method, agent, purpose) in [
        (Method::GET, "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)", ""),
        (Method::HEAD, "facebookexternalhit/1.1", ""),
        (Method::GET, "Mozilla/5.0", "prefetch"),
        (Method::OPTIONS, "Mozilla/5.0", ""),
    ] {
        let request = Request::builder().method(&method).uri(&path);
        let request = request.header(header::USER_AGENT, agent).header("sec-purpose", purpose);
        let answer = site.send(request.body(Body::empty()).unwrap()).await;
        assert!(!answer.status.is_server_error(), "{method} {agent}");
        assert_eq!(answer.header("cache-control"), "no-store", "{method} {agent}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer", "{method} {agent}");
    }
    // A scanner that posts what it finds without what the page asks for.
    for body in ["", "token=x&name=a&because=b", &format!("token={token}")] {
        assert!(call(&site, Method::POST, &path, body).await.status.is_client_error(), "{body}");
    }
    assert_eq!(acknowledged(&site).await, 0);
}

#[tokio::test]
async fn a_link_that_is_not_as_it_was_made_does_nothing() {
    let site = site().await;
    let good = link(&site, Act::Acknowledge, "notice-hold", 0).await;
    let old = link(&site, Act::Acknowledge, "notice-hold", 60_000).await;
    let fields = |token: &str| format!("token={token}&name=eve&because=mine");
    let of_other = link(&site, Act::Acknowledge, "notice-hold", 0).await.replace("hold", "trip");
    let mut forged = vec![of_other, good.replacen("ack", "snooze", 1), format!("{good}A")];
    forged.extend((1..good.len()).step_by(7).map(|end| good[..end].to_owned()));
    forged.push(good.to_uppercase());
    for token in &forged {
        for method in [Method::GET, Method::POST] {
            let answer = call(&site, method, &format!("/n/{token}"), &fields(token)).await;
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{token}");
            assert!(!answer.body.contains(good.rsplit('.').next().unwrap()), "{token}");
        }
    }
    for method in [Method::GET, Method::POST] {
        let answer = call(&site, method, &format!("/n/{old}"), &fields(&old)).await;
        assert_eq!(answer.status, StatusCode::GONE, "{}", answer.body);
    }
    // A mark of a form is no link, and a link is no mark.
    let page = site.get("/silences").await.body;
    let mark = page.split("name=\"mark\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    let answer = call(&site, Method::POST, &format!("/n/{mark}"), &fields(mark)).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    let form = format!("mark={good}&token=token-of-guest&experiment={ID}&hours=1&reason=x");
    assert_eq!(call(&site, Method::POST, "/silences", &form).await.status, StatusCode::FORBIDDEN);
    assert_eq!(acknowledged(&site).await, 0);
    let first = call(&site, Method::POST, &format!("/n/{good}"), &fields(&good)).await;
    assert_eq!(first.status, StatusCode::OK, "{}", first.body);
    let second = call(&site, Method::POST, &format!("/n/{good}"), &fields(&good)).await;
    assert_eq!(second.status, StatusCode::CONFLICT);
    assert_eq!(acknowledged(&site).await, 1);
}

#[tokio::test]
async fn a_snooze_over_the_api_is_made_once_with_a_name_and_an_end() {
    let site = site().await;
    let path = "/api/v1/snoozes";
    let good = json!({"notice": "notice-hold", "because": "tomorrow", "hours": 3});
    let anonymous = Request::post(path).header(header::CONTENT_TYPE, "application/json");
    let anonymous = site.send(anonymous.body(Body::from(good.to_string())).unwrap()).await;
    assert_eq!(anonymous.status, StatusCode::UNAUTHORIZED);
    for (body, status, words) in [
        (json!({"notice": "nothing", "because": "x"}), 404, "no message says"),
        (json!({"notice": "notice-trip", "because": "x"}), 422, "nothing to snooze"),
        (json!({"notice": "notice-hold", "because": " \n"}), 422, "because is required"),
        (json!({"notice": "notice-hold", "because": "x", "hours": 0}), 422, "1 to 720"),
        (json!({"notice": "notice-hold", "because": "x", "hours": u64::MAX}), 422, "1 to 720"),
        (json!({"notice": "notice-hold", "because": "x", "who": "eve"}), 422, "unknown field"),
    ] {
        let answer = post_json(&site, path, body.clone()).await;
        assert_eq!(answer.status.as_u16(), status, "{body}");
        let problem = answer.problem();
        assert!(problem["detail"].as_str().unwrap().contains(words), "{body}: {problem}");
    }
    let made = post_json(&site, path, good.clone()).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    let made = made.json();
    assert_eq!(
        (&made["author"], &made["ends_at"]),
        (&json!("guest"), &json!("2026-08-11T03:00:00Z"))
    );
    assert_eq!(made["match"], json!({"topic": "verdict"}), "its own thing and nothing else");
    let again = post_json(&site, path, good).await;
    assert_eq!(again.problem()["code"], "already_snoozed");
    // The link of the same notice says so, too.
    let token = link(&site, Act::Snooze, "notice-hold", 0).await;
    assert!(site.get(&format!("/n/{token}")).await.body.contains("already snoozed by guest"));
}

#[tokio::test]
async fn names_from_hell_are_text() {
    let site = site().await;
    for hostile in [
        "%3Cscript%3Ealert(1)%3C%2Fscript%3E",
        "..%2F..%2Fetc%2Fpasswd",
        "%00",
        "%0D%0Aset-cookie%3A%20a%3Db",
        "%E2%80%AEevil%F0%9F%92%A3",
        "%FF%FE",
        "'%20OR%201=1--",
        &"%F0%9F%92%A3".repeat(2_000),
    ] {
        for path in [
            format!("/x/{hostile}"),
            format!("/x/{hostile}/e/1"),
            format!("/log?experiment={hostile}"),
            format!("/n/{hostile}"),
            format!("/gate/{hostile}"),
            format!("/api/v1/experiments/{hostile}"),
            format!("/api/v1/experiments/{hostile}/verdict"),
            format!("/api/v1/told?experiment={hostile}"),
            format!("/api/v1/silences/{hostile}"),
            format!("/api/v1/deliveries?state={hostile}"),
        ] {
            let answer = site.get(&path).await;
            assert!(!answer.status.is_server_error(), "{path}: {}", answer.body);
            assert!(!answer.headers.contains_key("set-cookie"), "{path}");
            let kind = answer.header("content-type");
            let is_shown = kind.starts_with("text/html") && answer.body.contains("<script>");
            assert!(!kind.is_empty() && !is_shown, "{path} {kind}: {}", answer.body);
            assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        }
    }
}

#[tokio::test]
async fn what_a_caller_sends_stands_in_no_header_and_no_log_as_it_is() {
    let site = site().await;
    let long = "x".repeat(200);
    for (sent, is_kept) in [
        ("build-7f3a/12", true),
        ("a b", false),
        ("\"quoted\"", false),
        ("=1+cmd|'x'", false),
        ("", false),
        (long.as_str(), false),
    ] {
        let request = Request::get("/nothing").header("x-request-id", sent);
        let answer = site.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.problem()["request_id"] == sent, is_kept, "{sent}");
    }
    let twice = Request::get("/nothing").header("x-request-id", "a").header("x-request-id", "b");
    let answer = site.send(twice.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.headers.get_all("x-request-id").iter().count(), 1);
    // A token in a url is never said back, whatever is wrong with the request.
    for path in [
        "/gate/sample-checklist?token=s3cret&door=back",
        "/gate/sample-checklist?token=s3cret&token=s3cret",
        "/gate/sample-checklist?token=s3cret&since=x",
        "/api/v1/decisions?token=s3cret",
        "/gate/promote?token=s3cret",
        "/nowhere?token=s3cret",
    ] {
        let answer = site.get(path).await;
        assert!(!answer.body.contains("s3cret"), "{path}: {}", answer.body);
    }
}

#[tokio::test]
async fn a_token_counts_once_and_whole() {
    let site = site().await;
    let decide = |tokens: &[&str]| {
        let mut request = Request::post("/api/v1/acknowledgements")
            .header(header::CONTENT_TYPE, "application/json");
        for token in tokens {
            request = request.header(header::AUTHORIZATION, *token);
        }
        let body = json!({"notice": "nothing", "because": "x"}).to_string();
        request.body(Body::from(body)).unwrap()
    };
    for (tokens, status) in [
        (&["Bearer token-of-guest"][..], StatusCode::NOT_FOUND),
        (&["bearer token-of-guest"][..], StatusCode::NOT_FOUND),
        (&["Bearer token-of-guest", "Bearer token-of-guest"][..], StatusCode::UNAUTHORIZED),
        (&["Bearer wrong", "Bearer token-of-guest"][..], StatusCode::UNAUTHORIZED),
        (&["Basic token-of-guest"][..], StatusCode::UNAUTHORIZED),
        (&["Bearer"][..], StatusCode::UNAUTHORIZED),
        (&["token-of-guest"][..], StatusCode::UNAUTHORIZED),
        (&["Bearer token-of-gu\u{eb}st"][..], StatusCode::UNAUTHORIZED),
        (&[][..], StatusCode::UNAUTHORIZED),
    ] {
        assert_eq!(site.send(decide(tokens)).await.status, status, "{tokens:?}");
    }
}

/// A browser that another site made send a form has no token, and no cookie that would do.
#[tokio::test]
async fn a_form_of_another_site_writes_nothing() {
    let site = site().await;
    let page = site.get("/silences").await;
    assert!(!page.headers.contains_key("set-cookie"), "there is no session to ride on");
    for (name, value) in [
        ("x-frame-options", "DENY"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
    ] {
        assert_eq!(page.header(name), value);
    }
    assert!(page.header("content-security-policy").contains("form-action 'self'"));
    assert!(!page.headers.contains_key("access-control-allow-origin"));
    // Anybody can fetch the mark; without a token it opens nothing, and without it no token does.
    let mark = page.body.split("name=\"mark\" value=\"").nth(1).unwrap();
    let mark = mark.split('"').next().unwrap();
    let silence = format!("experiment={ID}&hours=1&reason=x");
    for (fields, status) in [
        (format!("mark={mark}&{silence}"), StatusCode::UNAUTHORIZED),
        (format!("mark={mark}&token=wrong&{silence}"), StatusCode::UNAUTHORIZED),
        (format!("token=token-of-guest&{silence}"), StatusCode::FORBIDDEN),
    ] {
        let answer = call(&site, Method::POST, "/silences", &fields).await;
        assert_eq!(answer.status, status, "{fields}: {}", answer.body);
    }
    // The API takes no form and no plain text, which a browser may send unasked.
    for kind in ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data"] {
        let request = Request::post("/api/v1/decisions")
            .header(header::AUTHORIZATION, "Bearer token-of-root")
            .header(header::CONTENT_TYPE, kind);
        let answer = site.send(request.body(Body::from("{}")).unwrap()).await;
        assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{kind}");
    }
}
