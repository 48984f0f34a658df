//! The statistics engine over HTTP: the bytes of the command line.

use axum::body::Body;
use axum::http::{Request, StatusCode};

use super::{Answer, Site};

const LINE: &str = r#"{"id":1,"method":"contrast","estimate":0.06,"se":0.0084,"tau":0.03}"#;
const BAD: &str = r#"{"id":2,"method":"contrast","estimate":0.06}"#;

async fn post(site: &Site, body: &str) -> Answer {
    let request = Request::post("/api/v1/analyze").body(Body::from(body.to_owned())).unwrap();
    site.send(request).await
}

#[tokio::test]
async fn one_object_an_array_and_lines_are_answered_without_a_token() {
    let site = Site::empty();
    let one = post(&site, LINE).await;
    assert_eq!((one.status, one.header("content-type")), (StatusCode::OK, "application/json"));
    let mut direct = Vec::new();
    judge::ask::envelope::answer_line(LINE.as_bytes(), 1, &mut direct);
    assert_eq!(one.body.trim_end().as_bytes(), direct);
    assert!(one.json()["answer"]["log_e"].as_f64().unwrap() > 20.0);
    let array = post(&site, &format!("[{LINE},{BAD}]")).await;
    assert_eq!(array.status, StatusCode::OK);
    assert_eq!(array.json()[0], one.json());
    assert_eq!(array.json()[1]["line"], 2);
    let lines = post(&site, &format!("{BAD}\n{LINE}\n")).await;
    assert_eq!(lines.header("content-type"), "application/jsonl");
    assert!(lines.body.ends_with(&one.body), "{}", lines.body);
}

#[tokio::test]
async fn what_has_no_answer_says_so() {
    let site = Site::empty();
    let bad = post(&site, BAD).await;
    assert_eq!(bad.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(bad.body.contains("missing field `se`"), "{}", bad.body);
    // Lists of which nothing has an answer say so for each, and never fail themselves.
    for list in ["[1]".to_owned(), "[null,{}]".to_owned(), format!("[{BAD},{BAD}]")] {
        let bad = post(&site, &list).await;
        assert_eq!(bad.status, StatusCode::UNPROCESSABLE_ENTITY, "{list}");
        let answers = bad.json();
        let answers = answers.as_array().unwrap();
        assert!(answers.iter().all(|one| one["error"].is_object()), "{list}: {answers:?}");
    }
    let lines = post(&site, &format!("{BAD}\n{BAD}\n")).await;
    assert_eq!(lines.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(lines.body.lines().count(), 2, "{}", lines.body);
    let empty = post(&site, "\n").await;
    assert_eq!(empty.status, StatusCode::BAD_REQUEST);
    assert_eq!(empty.problem()["code"], "empty");
    let large = post(&site, &format!("{LINE}\n").repeat(2_000)).await;
    assert_eq!(large.status, StatusCode::PAYLOAD_TOO_LARGE);
    large.problem();
}

#[tokio::test]
async fn the_methods_are_listed() {
    let site = Site::empty();
    let all = site.get("/api/v1/analyze/methods").await.json();
    assert_eq!(all["methods"].as_array().unwrap().len(), judge::ask::METHODS.len());
    let one = site.get("/api/v1/analyze/methods/welch").await.json();
    assert_eq!(one["method"], "welch");
    assert_eq!(one["input"]["properties"]["method"]["const"], "welch");
    let none = site.get("/api/v1/analyze/methods/welsh").await;
    assert_eq!(none.status, StatusCode::NOT_FOUND);
    assert!(none.problem()["detail"].as_str().unwrap().contains("did you mean `welch`?"));
}
