//! A receiver on port 0: keeps every request's bytes and headers, and answers as it is told.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use tokio::net::TcpListener;

/// One request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) path: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
    /// Whether it was answered with success.
    pub(crate) taken: bool,
}

impl Received {
    /// The message id.
    pub(crate) fn id(&self) -> &str {
        self.headers.get("webhook-id").map_or("", String::as_str)
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// How a receiver answers its n-th request (from 0).
pub(crate) type Manner = Arc<dyn Fn(usize) -> StatusCode + Send + Sync>;

#[derive(Clone)]
struct Shared {
    requests: Arc<Mutex<Vec<Received>>>,
    manner: Manner,
    answers_after: Duration,
}

/// A running receiver.
pub(crate) struct Receiver {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Received>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Receiver {
    /// One that takes everything.
    pub(crate) async fn start() -> Self {
        Self::with_manner(Arc::new(|_| StatusCode::OK)).await
    }

    /// One that answers by the number of the request.
    pub(crate) async fn with_manner(manner: Manner) -> Self {
        Self::slow(manner, Duration::ZERO).await
    }

    /// One that keeps a request at once and answers it later: a sender killed in between does not
    /// know that it was taken.
    pub(crate) async fn slow(manner: Manner, answers_after: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let shared = Shared { requests: requests.clone(), manner, answers_after };
        let router = Router::new().fallback(receive).with_state(shared);
        let task = tokio::spawn(async move {
            axum::serve(listener, router).await.unwrap();
        });
        Self { address, requests, task }
    }

    /// Where it listens.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Everything that came so far.
    pub(crate) fn received(&self) -> Vec<Received> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Slack's answer is the word `ok`; others do not mind it. "Too many" asks for 5 s.
async fn receive(
    State(shared): State<Shared>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let status = keep(&shared, &uri, &headers, &body);
    tokio::time::sleep(shared.answers_after).await;
    if status == StatusCode::TOO_MANY_REQUESTS {
        return (status, [(RETRY_AFTER, "5")], "slow down").into_response();
    }
    (status, "ok").into_response()
}

fn keep(shared: &Shared, uri: &Uri, headers: &HeaderMap, body: &Bytes) -> StatusCode {
    let mut requests = shared.requests.lock().unwrap();
    let status = (shared.manner)(requests.len());
    let text = |value: &axum::http::HeaderValue| value.to_str().unwrap_or_default().to_owned();
    let headers = headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
    requests.push(Received {
        path: uri.path().to_owned(),
        headers,
        body: body.to_vec(),
        taken: status.is_success(),
    });
    status
}
