//! Where the demo's messages arrive: chat rooms that answer like Slack, and a ticket system.
//!
//! `POST /slack/{name}` takes Block Kit and answers the word `ok`; `POST /hooks/{name}` takes a
//! Standard Webhooks message and checks its signature with code of its own (HMAC from the hash
//! function up), so that the sender's code cannot vouch for itself.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::sync::broadcast;

/// Bytes of one block of SHA-256.
const BLOCK: usize = 64;
/// Largest body taken.
const MAX_BODY: usize = 256 * 1024;
/// Messages a slow listener may lag behind.
const CHANNEL: usize = 1_024;

/// One message that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// Receiver name from the path.
    pub receiver: String,
    /// `webhook-id`, empty for chat messages.
    pub id: String,
    /// The `webhook-` headers as they came; a chat message has none.
    pub headers: BTreeMap<String, String>,
    /// The body as it came.
    pub body: String,
    /// Whether the signature held; `None` for chat messages, which carry none.
    pub signed: Option<bool>,
}

/// Takes messages and shows them; clones share them.
#[derive(Debug, Clone)]
pub struct Receiver {
    received: Arc<Mutex<Vec<Received>>>,
    events: broadcast::Sender<Received>,
    key: Arc<[u8]>,
}

impl Receiver {
    /// A receiver that knows the signing secret (`whsec_` and base64).
    pub fn new(secret: &str) -> anyhow::Result<Self> {
        let encoded = secret.strip_prefix("whsec_").unwrap_or(secret);
        let key = STANDARD.decode(encoded)?.into();
        let (events, _) = broadcast::channel(CHANNEL);
        Ok(Self { received: Arc::default(), events, key })
    }

    /// Its routes.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/slack/{name}", post(chat))
            .route("/hooks/{name}", post(hook))
            .layer(DefaultBodyLimit::max(MAX_BODY))
            .with_state(self.clone())
    }

    /// Messages from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<Received> {
        self.events.subscribe()
    }

    /// Everything that arrived, oldest first.
    pub fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn take(&self, received: Received) {
        let mut all = self.received.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(received.clone());
        drop(all);
        // Nobody listening is fine: the list keeps it.
        drop(self.events.send(received));
    }
}

async fn chat(
    State(receiver): State<Receiver>,
    Path(name): Path<String>,
    body: String,
) -> Response {
    let is_message = serde_json::from_str::<Value>(&body)
        .is_ok_and(|body| body.get("text").or_else(|| body.get("blocks")).is_some());
    if !is_message {
        return (StatusCode::BAD_REQUEST, "invalid_payload").into_response();
    }
    receiver.take(Received {
        receiver: name,
        id: String::new(),
        headers: BTreeMap::new(),
        body,
        signed: None,
    });
    "ok".into_response()
}

async fn hook(
    State(receiver): State<Receiver>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let headers: BTreeMap<String, String> = headers
        .iter()
        .filter(|(name, _)| name.as_str().starts_with("webhook-"))
        .filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())))
        .collect();
    let header = |name: &str| headers.get(name).cloned().unwrap_or_default();
    let id = header("webhook-id");
    let content = [format!("{id}.{}.", header("webhook-timestamp")).as_bytes(), &body].concat();
    let expected = format!("v1,{}", STANDARD.encode(hmac_sha256(&receiver.key, &content)));
    let signed = header("webhook-signature").split(' ').any(|entry| entry == expected);
    let text = String::from_utf8_lossy(&body).into_owned();
    receiver.take(Received { receiver: name, id, headers, body: text, signed: Some(signed) });
    if signed {
        StatusCode::NO_CONTENT.into_response()
    } else {
        (StatusCode::UNAUTHORIZED, "the signature does not hold").into_response()
    }
}

/// RFC 2104 over SHA-256.
fn hmac_sha256(key: &[u8], content: &[u8]) -> [u8; 32] {
    let mut block = [0_u8; BLOCK];
    if key.len() > BLOCK {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let pad = |with: u8| block.map(|byte| byte ^ with);
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(content).finalize();
    Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use axum::http::Request;
    use tower::util::ServiceExt as _;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    async fn status(receiver: &Receiver, request: Request<Body>) -> StatusCode {
        receiver.router().oneshot(request).await.unwrap().status()
    }

    /// Message and signature are the example of the Standard Webhooks specification.
    #[tokio::test]
    async fn the_example_of_the_specification_verifies_and_a_changed_body_does_not() {
        let receiver = Receiver::new(SECRET).unwrap();
        for (body, expected) in [
            (r#"{"test": 2432232314}"#, StatusCode::NO_CONTENT),
            (r#"{"test": 2432232315}"#, StatusCode::UNAUTHORIZED),
        ] {
            let request = Request::post("/hooks/tickets")
                .header("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek")
                .header("webhook-timestamp", "1614265330")
                .header("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
                .body(Body::from(body))
                .unwrap();
            assert_eq!(status(&receiver, request).await, expected);
        }
        let signed: Vec<_> = receiver.received().iter().map(|message| message.signed).collect();
        assert_eq!(signed, [Some(true), Some(false)]);
    }

    #[tokio::test]
    async fn chat_answers_ok_and_publishes() {
        let receiver = Receiver::new(SECRET).unwrap();
        let mut events = receiver.subscribe();
        let request = Request::post("/slack/growth-chat").body(Body::from(r#"{"text":"hi"}"#));
        let response = receiver.router().oneshot(request.unwrap()).await.unwrap();
        let body = axum::body::to_bytes(response.into_body(), 16).await.unwrap();
        assert_eq!(&body[..], b"ok");
        assert_eq!(events.recv().await.unwrap().receiver, "growth-chat");
        let request = Request::post("/slack/growth-chat").body(Body::from("no json"));
        assert_eq!(status(&receiver, request.unwrap()).await, StatusCode::BAD_REQUEST);
    }
}
