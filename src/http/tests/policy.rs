//! Silences and acknowledgements over the API and by form: who may, and what is refused.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use serde_json::{Value, json};

use super::{Answer, ID, Site};

async fn call(site: &Site, method: Method, path: &str, token: &str, body: Value) -> Answer {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::CONTENT_TYPE, "application/json");
    if !token.is_empty() {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    site.send(request.body(Body::from(body.to_string())).unwrap()).await
}

async fn add(site: &Site, token: &str, body: Value) -> Answer {
    call(site, Method::POST, "/api/v1/silences", token, body).await
}

async fn post_form(site: &Site, path: &str, fields: &[(&str, &str)]) -> Answer {
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let request =
        Request::post(path).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    site.send(request.body(Body::from(body)).unwrap()).await
}

#[tokio::test]
async fn a_silence_has_an_end_an_author_and_a_reason() {
    let site = Site::sample().await.with_tokens();
    let good = json!({"match": {"experiment": ID}, "hours": 4, "reason": "we move house"});
    assert_eq!(add(&site, "", good.clone()).await.status, StatusCode::UNAUTHORIZED);
    for (body, words) in [
        (json!({"match": {}, "hours": 4, "reason": "x"}), "must name something"),
        (json!({"match": {"experiment": ID}, "hours": 4, "reason": " "}), "because is required"),
        (json!({"match": {"experiment": ID}, "reason": "x"}), "either `ends_at` or `hours`"),
        (json!({"match": {"experiment": ID}, "hours": 0, "reason": "x"}), "end in the future"),
        (json!({"match": {"experiment": ID}, "hours": 721, "reason": "x"}), "30 days at most"),
        (json!({"match": {"kind": ["x.y"]}, "hours": 4, "reason": "x"}), "`kind` has `x.y`"),
        (json!({"match": {"colour": "red"}, "hours": 4, "reason": "x"}), "colour"),
    ] {
        let refused = add(&site, "token-of-guest", body.clone()).await;
        assert!(refused.status.is_client_error(), "{body}");
        let problem = refused.problem();
        assert!(problem["detail"].as_str().unwrap().contains(words), "{body}: {problem}");
    }
    let made = add(&site, "token-of-guest", good).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    let made = made.json();
    assert_eq!((&made["author"], &made["in_force"]), (&json!("guest"), &json!(true)), "{made}");
    let path = format!("/api/v1/silences/{}", made["id"].as_str().unwrap());
    assert_eq!(site.get(&path).await.json()["reason"], "we move house");
    let anonymous = call(&site, Method::DELETE, &path, "", Value::Null).await;
    assert_eq!(anonymous.status, StatusCode::UNAUTHORIZED);
    let ended = call(&site, Method::DELETE, &path, "token-of-root", Value::Null).await;
    assert_eq!(ended.json()["ended_by"], "root", "{}", ended.body);
    let again = call(&site, Method::DELETE, &path, "token-of-root", Value::Null).await;
    assert!(again.problem()["detail"].as_str().unwrap().contains("is over since"));
    let log = site.get("/api/v1/decisions?limit=2").await.json();
    let kinds: Vec<_> = log["decisions"].as_array().unwrap().iter().map(|it| &it["kind"]).collect();
    assert_eq!(kinds, ["silence.ended", "silence.created"]);
    assert_eq!(log["decisions"][0]["experiment"], ID);
}

#[tokio::test]
async fn a_form_needs_the_mark_of_its_page_and_a_token() {
    let site = Site::sample().await.with_tokens();
    let page = site.get("/silences").await;
    let mark = page.body.split("name=\"mark\" value=\"").nth(1).unwrap();
    let mark = mark.split('"').next().unwrap();
    let fields = |mark, token| {
        vec![
            ("mark", mark),
            ("token", token),
            ("experiment", ID),
            ("label", "team=growth"),
            ("severity", "low, normal"),
            ("hours", "4"),
            ("reason", "we <move> house"),
        ]
    };
    for (mark, token, status) in [
        ("", "token-of-guest", StatusCode::FORBIDDEN),
        ("ack.form.99999999999.AAAA", "token-of-guest", StatusCode::FORBIDDEN),
        (mark, "wrong", StatusCode::UNAUTHORIZED),
    ] {
        let refused = post_form(&site, "/silences", &fields(mark, token)).await;
        assert_eq!(refused.status, status, "{}", refused.body);
        assert!(refused.body.contains("<h1>Not done</h1>"), "a page for a person");
    }
    let made = post_form(&site, "/silences", &fields(mark, "token-of-guest")).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    let page = site.get("/silences").await.body;
    assert!(page.contains("we &lt;move&gt; house") && !page.contains("token-of-guest"));
    let id = page.split("./silences/").nth(1).unwrap().split('/').next().unwrap().to_owned();
    let end = [("mark", mark), ("token", "token-of-root"), ("reason", "done")];
    let ended = post_form(&site, &format!("/silences/{id}/end"), &end).await;
    assert_eq!(ended.status, StatusCode::OK, "{}", ended.body);
    assert!(site.get("/silences").await.body.contains("ended by root"));
}

#[tokio::test]
async fn links_and_acknowledgements_of_nothing_are_refused() {
    let site = Site::sample().await.with_tokens();
    let body = json!({"notice": "0123", "because": "seen"});
    let path = "/api/v1/acknowledgements";
    let unknown = call(&site, Method::POST, path, "token-of-guest", body).await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND, "{}", unknown.body);
    for token in ["x", "ack.1.2", "ack.0123.99999999999.AAAA", "ack.0123.x.AAAA", "a.b.c.d.e"] {
        let answer = site.get(&format!("/n/{token}")).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{token}");
        assert!(answer.body.contains("not one of ours"), "{token}");
    }
    let long = "a".repeat(5_000);
    assert_eq!(site.get(&format!("/n/{long}")).await.status, StatusCode::NOT_FOUND);
}
