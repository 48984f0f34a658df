//! A fake Prometheus on port 0 that answers as it is told, also badly.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::json;
use tokio::net::TcpListener;

/// What it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    /// 100 in even seconds, 900 in odd ones.
    Flip,
    /// 100 always.
    Calm,
    /// 900 always.
    Slow,
    /// A log-in page.
    Html,
    /// JSON that ends in the middle.
    HalfJson,
    /// Bytes that are no text.
    Garbage,
    /// A body that never ends.
    Endless,
    /// A well-formed answer with numbers that are none.
    NotNumbers,
    /// An error status with an error document.
    Failing,
}

/// A running fake.
#[derive(Debug)]
pub(crate) struct Metrics {
    address: SocketAddr,
    mood: Arc<Mutex<Mood>>,
    asked: Arc<Mutex<Vec<f64>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Metrics {
    /// Starts one in that mood.
    pub(crate) async fn start(mood: Mood) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mood = Arc::new(Mutex::new(mood));
        let asked = Arc::<Mutex<Vec<f64>>>::default();
        let router = Router::new().fallback(answer).with_state((mood.clone(), asked.clone()));
        let task = tokio::spawn(async move {
            axum::serve(listener, router).await.unwrap();
        });
        Self { address, mood, asked, task }
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The length in seconds of every stretch that was asked for since the last call.
    pub(crate) fn take_asked(&self) -> Vec<f64> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }

    /// Changes the mood.
    pub(crate) fn set(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }
}

impl Drop for Metrics {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The mood, and what was asked.
type Shared = (Arc<Mutex<Mood>>, Arc<Mutex<Vec<f64>>>);

async fn answer(State((mood, asked)): State<Shared>, body: Bytes) -> Response {
    let mood = *mood.lock().unwrap();
    let form: BTreeMap<String, String> = url::form_urlencoded::parse(&body).into_owned().collect();
    let instant = |key: &str| form.get(key).and_then(|text| text.parse::<f64>().ok());
    if let (Some(start), Some(end)) = (instant("start"), instant("end")) {
        asked.lock().unwrap().push(end - start);
    }
    let text = |kind: &str, body: &[u8]| {
        let kind = [(header::CONTENT_TYPE, kind.to_owned())];
        (kind, body.to_vec()).into_response()
    };
    match mood {
        Mood::Flip | Mood::Calm | Mood::Slow => samples(mood, &form),
        Mood::Html => text("text/html", b"<!doctype html><title>Log in</title>"),
        Mood::HalfJson => text("application/json", br#"{"status":"success","data":{"resu"#),
        Mood::Garbage => text("application/json", &[0xff, 0x00, 0xfe, b'{', 0x80, 0x00]),
        Mood::NotNumbers => text(
            "application/json",
            br#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},
                "value":[{"a":1},["NaN"]]}]}}"#,
        ),
        Mood::Endless => {
            let head = Bytes::from_static(br#"{"status":"success","data":["#);
            let more = Bytes::from(vec![b' '; 64 * 1024]);
            let stream = futures_util::stream::iter(
                std::iter::once(head).chain(std::iter::repeat(more)).map(Ok::<_, std::io::Error>),
            );
            Body::from_stream(stream).into_response()
        }
        Mood::Failing => {
            let body = json!({"status": "error", "errorType": "internal", "error": "disk"});
            (StatusCode::INTERNAL_SERVER_ERROR, axum::Json(body)).into_response()
        }
    }
}

fn samples(mood: Mood, form: &BTreeMap<String, String>) -> Response {
    let number = |key: &str| form.get(key).and_then(|text| text.parse::<f64>().ok());
    let value = |at: f64| {
        let is_odd = (at as i64).rem_euclid(2) == 1;
        let is_slow = mood == Mood::Slow || (mood == Mood::Flip && is_odd);
        let value = if is_slow { "900" } else { "100" };
        json!([at, value])
    };
    let data = if let Some(at) = number("time") {
        let result = json!([{"metric": {}, "value": value(at)}]);
        json!({"resultType": "vector", "result": result})
    } else {
        let (start, end) = (number("start").unwrap(), number("end").unwrap());
        let step = number("step").unwrap();
        let count = ((end - start) / step) as usize + 1;
        let values: Vec<_> = (0..count).map(|n| value(start + step * n as f64)).collect();
        let result = json!([{"metric": {}, "values": values}]);
        json!({"resultType": "matrix", "result": result})
    };
    axum::Json(json!({"status": "success", "data": data})).into_response()
}
