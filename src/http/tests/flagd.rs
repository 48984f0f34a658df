//! `/flagd/flags.json` as flagd asks for it: tags, tokens, and who is noted as having it.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::{Value, json};

use super::{Answer, Site, at};
use crate::store::{LogEntry, Store};

impl Site {
    fn with_flags(mut self, name: &str, token: Option<&str>, flag: &str) -> Self {
        let mut settings = (*self.state.settings).clone();
        let mut own = json!({"flags": {flag: {}}});
        if let Some(token) = token {
            let path = self.folder.path().join(name);
            std::fs::write(&path, token).unwrap();
            own["token"] = json!({"file": path});
        }
        let config = serde_json::from_value(json!({"flagd": own})).unwrap();
        settings.actions.insert(name.to_owned(), config);
        self.state.settings = Arc::new(settings);
        self
    }

    async fn pull(&self, method: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = Request::builder().method(method).uri("/flagd/flags.json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Body::empty()).unwrap()).await
    }
}

fn default_of(answer: &Answer, flag: &str) -> Value {
    answer.json()["flags"][flag]["defaultVariant"].clone()
}

async fn seen_by(store: &Store) -> Option<String> {
    store.pulled().await.unwrap().remove(0).seen_by
}

#[tokio::test]
async fn a_copy_that_is_current_is_not_sent_again() {
    let site = Site::empty().with_flags("off", None, "checkout");
    let first = site.pull("GET", &[]).await;
    assert_eq!((first.status, default_of(&first, "checkout")), (StatusCode::OK, "on".into()));
    assert_eq!(first.header("content-type"), "application/json");
    assert_eq!(first.header("cache-control"), "no-cache");
    let tag = first.header("etag").to_owned();
    for named in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}"), "*".to_owned()] {
        let again = site.pull("GET", &[("if-none-match", &named)]).await;
        assert_eq!((again.status, again.body.as_str()), (StatusCode::NOT_MODIFIED, ""), "{named}");
        assert_eq!(again.header("etag"), tag);
    }
    let other = site.pull("GET", &[("if-none-match", "\"x\"")]).await;
    assert_eq!(other.status, StatusCode::OK);
}

#[tokio::test]
async fn after_a_trip_off_is_served_until_a_person_releases_it() {
    let site = Site::empty().with_flags("off", None, "checkout");
    let store = &site.state.store;
    let before = site.pull("GET", &[]).await.header("etag").to_owned();
    store.pull_off("off", "msg_1", at()).await.unwrap();
    let head = site.pull("HEAD", &[("user-agent", "curl")]).await;
    assert_ne!(head.header("etag"), before);
    assert_eq!(seen_by(store).await, None, "a HEAD is no copy");
    let agent = ("user-agent", "flagd/0.11");
    let after = site.pull("GET", &[("if-none-match", &before), agent]).await;
    assert_eq!((after.status, default_of(&after, "checkout")), (StatusCode::OK, "off".into()));
    assert_eq!(seen_by(store).await.as_deref(), Some("flagd/0.11"));
    site.pull("GET", &[("user-agent", "later")]).await;
    assert_eq!(seen_by(store).await.as_deref(), Some("flagd/0.11"), "the first one is kept");
    let entry = LogEntry {
        at: at(),
        kind: "action.released".to_owned(),
        who: Some("ana".to_owned()),
        verdict: None,
        because: None,
        text: "ana: released".to_owned(),
        evaluation_id: None,
    };
    assert!(store.release_pulled("off", entry.clone()).await.unwrap());
    assert!(!store.release_pulled("off", entry).await.unwrap(), "it is not off any more");
    assert_eq!(site.pull("GET", &[]).await.header("etag"), before);
}

#[tokio::test]
async fn not_modified_is_proof_as_well() {
    let site = Site::empty().with_flags("off", None, "checkout");
    let store = &site.state.store;
    store.pull_off("off", "msg_1", at()).await.unwrap();
    let tag = site.pull("GET", &[("user-agent", "one")]).await.header("etag").to_owned();
    // Another trip changes nothing in the file: a client that has it has the new rollback too.
    store.pull_off("off", "msg_2", at()).await.unwrap();
    assert_eq!(seen_by(store).await, None);
    let again = site.pull("GET", &[("if-none-match", &tag), ("user-agent", "two")]).await;
    assert_eq!(again.status, StatusCode::NOT_MODIFIED);
    assert_eq!(seen_by(store).await.as_deref(), Some("two"));
}

#[tokio::test]
async fn a_set_with_a_token_is_shown_to_who_has_it() {
    let site = Site::empty().with_flags("closed", Some("s3cret"), "a");
    assert_eq!(site.pull("GET", &[]).await.status, StatusCode::UNAUTHORIZED);
    let wrong = site.pull("GET", &[("authorization", "Bearer s3cre")]).await;
    assert_eq!(wrong.problem()["code"], "no_token");
    // The scheme has no case.
    let small = site.pull("GET", &[("authorization", "bearer s3cret")]).await;
    assert_eq!(small.status, StatusCode::OK);
    let right = site.pull("GET", &[("authorization", "Bearer s3cret")]).await;
    assert_eq!(default_of(&right, "a"), "on");
    let site = site.with_flags("open", None, "b");
    let open = site.pull("GET", &[]).await;
    assert_eq!((default_of(&open, "a"), default_of(&open, "b")), (Value::Null, "on".into()));
    // Who does not see a set does not confirm it.
    site.state.store.pull_off("closed", "msg_1", at()).await.unwrap();
    site.pull("GET", &[]).await;
    assert_eq!(seen_by(&site.state.store).await, None);
}

#[tokio::test]
async fn without_such_an_action_there_is_no_such_page() {
    assert_eq!(Site::empty().pull("GET", &[]).await.status, StatusCode::NOT_FOUND);
}
