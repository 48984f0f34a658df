//! A small server that speaks the Prometheus HTTP API on the demo's counts.
//!
//! It stands at the demo's clock: nothing later than the domain instant exists, and inside an
//! outage it answers 503. Everything else is told the way Prometheus tells it, errors included.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use judge::time::{SECOND_MS, Span, Timestamp, Window, add_ms};
use serde_json::{Value, json};

use super::data::Metrics;
use super::promql::{self, Expression};
use crate::clock::SharedClock;

/// Prometheus refuses more points per series.
const MAX_POINTS: i64 = 11_000;

/// What the server answers from.
#[derive(Debug)]
pub struct Prometheus {
    metrics: Metrics,
    clock: SharedClock,
    outages: Vec<Window>,
}

impl Prometheus {
    /// A server on these counts, away during the outages (domain time).
    pub fn new(metrics: Metrics, clock: SharedClock, outages: Vec<Window>) -> Self {
        Self { metrics, clock, outages }
    }

    /// Its routes.
    pub fn router(self) -> Router {
        let query = get(get_query).post(post_query);
        let range = get(get_range).post(post_range);
        Router::new()
            .route("/api/v1/query", query)
            .route("/api/v1/query_range", range)
            .route("/-/ready", get(ready))
            .route("/api/v1/status/buildinfo", get(buildinfo))
            .with_state(Arc::new(self))
    }

    fn is_away(&self) -> bool {
        let now = self.clock.domain_now();
        self.outages.iter().any(|outage| outage.start <= now && now < outage.end)
    }

    fn instant(&self, asked: &Asked) -> Result<Value, String> {
        let expression = promql::parse(&asked.query)?;
        let at = match &asked.time {
            Some(time) => instant("time", time)?,
            None => self.clock.domain_now(),
        };
        let result: Vec<Value> = self
            .answers(&expression, at)
            .into_iter()
            .map(|(arm, value)| json!({"metric": labels(arm), "value": sample(at, value)}))
            .collect();
        Ok(json!({"resultType": "vector", "result": result}))
    }

    fn range(&self, asked: &Asked) -> Result<Value, String> {
        let expression = promql::parse(&asked.query)?;
        let field = |name: &str, value: &Option<String>| {
            value.clone().ok_or_else(|| format!("invalid parameter \"{name}\": missing"))
        };
        let start = instant("start", &field("start", &asked.start)?)?;
        let end = instant("end", &field("end", &asked.end)?)?;
        let step_ms = step(&field("step", &asked.step)?)?;
        let count = (end.as_millisecond() - start.as_millisecond()) / step_ms + 1;
        if end < start {
            return Err("end timestamp must not be before start time".to_owned());
        }
        if count > MAX_POINTS {
            return Err("exceeded maximum resolution of 11,000 points per timeseries".to_owned());
        }
        let mut series: BTreeMap<Option<&'static str>, Vec<Value>> = BTreeMap::new();
        for index in 0..count {
            let at = add_ms(start, index * step_ms);
            for (arm, value) in self.answers(&expression, at) {
                series.entry(arm).or_default().push(sample(at, value));
            }
        }
        let result: Vec<Value> = series
            .into_iter()
            .map(|(arm, values)| json!({"metric": labels(arm), "values": values}))
            .collect();
        Ok(json!({"resultType": "matrix", "result": result}))
    }

    /// Never the future.
    fn answers(&self, expression: &Expression, at: Timestamp) -> Vec<promql::Answer> {
        if at > self.clock.domain_now() {
            return Vec::new();
        }
        expression.at(&self.metrics, at)
    }
}

/// Parameters of both query routes; Prometheus ignores what it does not know.
#[derive(Debug, Default)]
struct Asked {
    query: String,
    time: Option<String>,
    start: Option<String>,
    end: Option<String>,
    step: Option<String>,
}

impl Asked {
    /// From a query string or a form body, which are written alike.
    fn read(text: &str) -> Self {
        let mut asked = Self::default();
        for (name, value) in url::form_urlencoded::parse(text.as_bytes()) {
            let value = value.into_owned();
            match name.as_ref() {
                "query" => asked.query = value,
                "time" => asked.time = Some(value),
                "start" => asked.start = Some(value),
                "end" => asked.end = Some(value),
                "step" => asked.step = Some(value),
                _ => {}
            }
        }
        asked
    }
}

type Shared = State<Arc<Prometheus>>;

async fn get_query(State(server): Shared, RawQuery(text): RawQuery) -> Response {
    answer(&server, server.instant(&Asked::read(&text.unwrap_or_default())))
}

async fn post_query(State(server): Shared, body: String) -> Response {
    answer(&server, server.instant(&Asked::read(&body)))
}

async fn get_range(State(server): Shared, RawQuery(text): RawQuery) -> Response {
    answer(&server, server.range(&Asked::read(&text.unwrap_or_default())))
}

async fn post_range(State(server): Shared, body: String) -> Response {
    answer(&server, server.range(&Asked::read(&body)))
}

async fn ready(State(server): Shared) -> Response {
    if server.is_away() {
        return away();
    }
    "Prometheus Server is Ready.\n".into_response()
}

async fn buildinfo(State(server): Shared) -> Response {
    answer(&server, Ok(json!({"version": "2.42.0", "branch": "demo", "goVersion": "none"})))
}

fn answer(server: &Prometheus, data: Result<Value, String>) -> Response {
    if server.is_away() {
        return away();
    }
    match data {
        Ok(data) => axum::Json(json!({"status": "success", "data": data})).into_response(),
        Err(error) => {
            let body = json!({"status": "error", "errorType": "bad_data", "error": error});
            (StatusCode::BAD_REQUEST, axum::Json(body)).into_response()
        }
    }
}

fn away() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable").into_response()
}

fn labels(arm: Option<&str>) -> Value {
    arm.map_or_else(|| json!({}), |arm| json!({"arm": arm}))
}

fn sample(at: Timestamp, value: f64) -> Value {
    let seconds = at.as_millisecond() as f64 / SECOND_MS as f64;
    let text = if value.is_nan() { "NaN".to_owned() } else { value.to_string() };
    json!([seconds, text])
}

/// Unix seconds with a fraction, or RFC 3339.
fn instant(name: &str, text: &str) -> Result<Timestamp, String> {
    let wrong = || format!("invalid parameter \"{name}\": cannot parse {text:?} to a timestamp");
    match text.parse::<f64>() {
        Ok(seconds) if seconds.is_finite() => {
            let ms = (seconds * SECOND_MS as f64).round();
            Timestamp::from_millisecond(ms as i64).map_err(|_| wrong())
        }
        _ => text.parse().map_err(|_| wrong()),
    }
}

/// Seconds or a duration.
fn step(text: &str) -> Result<i64, String> {
    let ms = match text.parse::<f64>() {
        Ok(seconds) if seconds.is_finite() => Some((seconds * SECOND_MS as f64) as i64),
        _ => Span::parse(text).map(|span| span.ms),
    };
    ms.filter(|ms| *ms > 0).ok_or_else(|| format!("invalid parameter \"step\": {text:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::demo::data::calendar::{hour_start, midnight};
    use axum::body::Body;
    use axum::http::Request;
    use tower::util::ServiceExt as _;

    const BAD: &str = "sum(increase(http_requests_total{arm=\"flagged\",code=~\"5..\"}[1h]))";

    async fn ask(day: i64, path: &str, form: &[(&str, &str)]) -> (StatusCode, Value) {
        let clock = Arc::new(ManualClock::new(midnight(day)));
        let outage = Window { start: midnight(5), end: hour_start(5 * 24 + 4) };
        let server = Prometheus::new(Metrics::generate(1), clock, vec![outage]);
        let mut body = url::form_urlencoded::Serializer::new(String::new());
        let request =
            Request::post(path).header("content-type", "application/x-www-form-urlencoded");
        let request = request.body(Body::from(body.extend_pairs(form).finish())).unwrap();
        let response = server.router().oneshot(request).await.unwrap();
        let status = response.status();
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 24).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap_or_default())
    }

    fn seconds(at: Timestamp) -> String {
        at.as_second().to_string()
    }

    #[tokio::test]
    async fn a_range_adds_up_to_the_counts_and_ends_at_the_clock() {
        let (start, end) = (seconds(hour_start(1)), seconds(midnight(30)));
        let form = [("query", BAD), ("start", &start), ("end", &end), ("step", "3600")];
        let (status, body) = ask(8, "/api/v1/query_range", &form).await;
        assert_eq!(status, StatusCode::OK);
        let values = body["data"]["result"][0]["values"].as_array().unwrap();
        assert_eq!(values.len(), 8 * 24, "nothing later than the domain clock");
        let number = |value: &Value| value[1].as_str().unwrap().parse::<f64>().unwrap();
        assert_eq!(values.iter().map(number).sum::<f64>(), 300.0);
    }

    #[tokio::test]
    async fn the_future_is_empty_and_the_unknown_is_bad_data() {
        let time = seconds(midnight(7));
        let form = [("query", BAD), ("time", time.as_str())];
        let (status, body) = ask(6, "/api/v1/query", &form).await;
        assert_eq!((status, &body["data"]["result"]), (StatusCode::OK, &json!([])));
        let (status, body) = ask(6, "/api/v1/query", &[("query", "up")]).await;
        assert_eq!((status, &body["errorType"]), (StatusCode::BAD_REQUEST, &json!("bad_data")));
        let form = [("query", BAD), ("start", "0"), ("end", "99999"), ("step", "1")];
        let (status, _) = ask(6, "/api/v1/query_range", &form).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "too many points");
    }

    #[tokio::test]
    async fn an_outage_answers_503() {
        let (status, _) = ask(5, "/api/v1/query", &[("query", BAD)]).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    }
}
