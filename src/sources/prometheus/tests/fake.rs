//! A fake Prometheus API on a free port, and the answers it can give.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, Response, Uri};

use super::{PrometheusConfig, PrometheusSource};

/// One request as the fake saw it.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) path: String,
    pub(super) form: BTreeMap<String, String>,
    pub(super) headers: HeaderMap,
}

pub(super) type Reply = (u16, &'static [(&'static str, &'static str)], String);

/// A fake API that answers with `reply` and remembers what it was asked.
pub(super) struct Fake {
    pub(super) url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Fake {
    pub(super) async fn start(
        reply: impl Fn(&Asked) -> Reply + Clone + Send + Sync + 'static,
    ) -> Self {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&asked);
        let app = Router::new().fallback(move |uri: Uri, headers: HeaderMap, body: Bytes| {
            let form = url::form_urlencoded::parse(&body).into_owned().collect();
            let one = Asked { path: uri.path().to_owned(), form, headers };
            let (status, headers, body) = reply(&one);
            seen.lock().unwrap().push(one);
            let mut response = Response::builder().status(status);
            for (name, value) in headers {
                response = response.header(*name, *value);
            }
            std::future::ready(response.body(body).unwrap())
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { url, asked }
    }

    pub(super) fn source(&self) -> PrometheusSource {
        PrometheusSource::new(&PrometheusConfig::new(&self.url)).unwrap()
    }

    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

/// A success with one sample per asked instant; `series` are (labels, value) pairs.
pub(super) fn matrix(asked: &Asked, series: &[(&str, &str)]) -> Reply {
    let number = |name: &str| asked.form[name].parse::<f64>().unwrap();
    let times: Vec<f64> = if asked.form.contains_key("time") {
        vec![number("time")]
    } else {
        let (start, end, step) = (number("start"), number("end"), number("step"));
        let count = ((end - start) / step).round() as usize + 1;
        (0..count).map(|index| start + step * index as f64).collect()
    };
    let series: Vec<String> = series
        .iter()
        .map(|(labels, value)| {
            let samples: Vec<String> =
                times.iter().map(|time| format!("[{time},\"{value}\"]")).collect();
            format!("{{\"metric\":{{{labels}}},\"values\":[{}]}}", samples.join(","))
        })
        .collect();
    (200, &[("content-type", "application/json")], success(&series.join(",")))
}

pub(super) fn success(series: &str) -> String {
    format!(
        "{{\"status\":\"success\",\"data\":{{\"resultType\":\"matrix\",\"result\":[{series}]}}}}"
    )
}

pub(super) fn error(status: u16, kind: &str, text: &str) -> Reply {
    let body = format!("{{\"status\":\"error\",\"errorType\":\"{kind}\",\"error\":\"{text}\"}}");
    (status, &[("content-type", "application/json")], body)
}
