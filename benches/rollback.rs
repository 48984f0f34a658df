//! From breach to confirmed rollback: a real daemon, a real Prometheus, a local flag server.
//!
//! Measured from the moment at which the answer with the breach leaves for the daemon to the
//! moment at which the flag, read back by the daemon, says `false`. In between lie the judgement,
//! one durable commit, the lease, the request and the reading. Trips come one by one first, then
//! many at once.
//!
//! ```sh
//! eval "$(scripts/test-setup.sh)"; cargo bench --bench rollback
//! ```

#![expect(clippy::unwrap_used, reason = "a broken harness must end the run")]
#![expect(clippy::print_stdout, reason = "a harness prints its figures")]
#![expect(clippy::print_stderr, reason = "the shared servers tell what they leave")]

#[expect(dead_code, reason = "the harness shares the servers of the tests and needs some of them")]
#[path = "../tests/it/fakes/mod.rs"]
mod fakes;

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Path, RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::{any, get, post};
use tokio::net::TcpListener;

use fakes::daemon::Daemon;
use fakes::home::{Home, Idea};
use fakes::prometheus::Prometheus;

/// Trips one after the other.
const ALONE: usize = 200;
/// Trips at the same time, after those.
const TOGETHER: usize = 50;
const LIMIT: f64 = 400.0;
/// Longest wait for the last confirmation.
const PATIENCE: Duration = Duration::from_mins(2);

/// What is known of one experiment's flag.
#[derive(Debug, Default, Clone, Copy)]
struct Trip {
    broken: bool,
    answered_at: Option<Instant>,
    off: bool,
    confirmed_at: Option<Instant>,
}

#[derive(Debug, Clone)]
struct Stage {
    trips: Arc<Mutex<Vec<Trip>>>,
    prometheus: Arc<str>,
    client: reqwest::Client,
}

impl Stage {
    fn with<T>(&self, work: impl FnOnce(&mut Vec<Trip>) -> T) -> T {
        work(&mut self.trips.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn router(&self) -> Router {
        Router::new()
            .route("/metrics", get(exposition))
            .route("/flags/{number}", get(read))
            .route("/flags/{number}/off", post(turn_off))
            .route("/prometheus/{*path}", any(forward))
            .with_state(self.clone())
    }
}

async fn exposition(State(stage): State<Stage>) -> String {
    let mut text = "# TYPE p95_ms gauge\n".to_owned();
    let broken: Vec<bool> = stage.with(|trips| trips.iter().map(|trip| trip.broken).collect());
    for (number, broken) in broken.iter().enumerate() {
        let value = if *broken { 900 } else { 200 };
        writeln!(text, "p95_ms{{exp=\"e{number}x\"}} {value}").unwrap();
    }
    text
}

async fn read(State(stage): State<Stage>, Path(number): Path<usize>) -> impl IntoResponse {
    let off = stage.with(|trips| {
        let trip = &mut trips[number];
        if trip.off && trip.confirmed_at.is_none() {
            trip.confirmed_at = Some(Instant::now());
        }
        trip.off
    });
    ([(header::CONTENT_TYPE, "application/json")], format!("{{\"enabled\":{}}}", !off))
}

async fn turn_off(State(stage): State<Stage>, Path(number): Path<usize>) -> &'static str {
    stage.with(|trips| trips[number].off = true);
    "{}"
}

/// Passes a question on to Prometheus and notes when an answer with a breach leaves.
async fn forward(
    State(stage): State<Stage>,
    Path(path): Path<String>,
    RawQuery(query): RawQuery,
    body: String,
) -> impl IntoResponse {
    let url = format!("{}/{path}?{}", stage.prometheus, query.unwrap_or_default());
    let form = "application/x-www-form-urlencoded";
    let request = if body.is_empty() {
        stage.client.get(url)
    } else {
        stage.client.post(url).header(header::CONTENT_TYPE, form).body(body)
    };
    let answer = request.send().await.unwrap();
    let status = StatusCode::from_u16(answer.status().as_u16()).unwrap();
    let text = answer.text().await.unwrap();
    if let Some(number) = breach(&text) {
        let now = Instant::now();
        stage.with(|trips| trips[number].answered_at.get_or_insert(now).to_owned());
    }
    (status, [(header::CONTENT_TYPE, "application/json")], text)
}

/// The experiment whose newest value in an answer is beyond the limit.
fn breach(text: &str) -> Option<usize> {
    let json: serde_json::Value = serde_json::from_str(text).ok()?;
    let series = json["data"]["result"].get(0)?;
    let newest = series.get("value").or_else(|| series["values"].as_array()?.last())?;
    let value: f64 = newest[1].as_str()?.parse().ok()?;
    let name = series["metric"]["exp"].as_str()?;
    let number = name.strip_prefix('e')?.strip_suffix('x')?.parse().ok()?;
    (value > LIMIT).then_some(number)
}

fn settings(address: &str) -> String {
    let mut text = "[delivery]\nconcurrency = 16\n".to_owned();
    for number in 0..ALONE + TOGETHER {
        write!(
            text,
            "[actions.off-{number}.webhook]\nurl = \"http://{address}/flags/{number}/off\"\n\
             allow_private = true\narmed = true\narmed_by = \"the harness\"\n\
             verify = {{ url = \"http://{address}/flags/{number}\", pointer = \"/enabled\", \
             equals = false }}\n"
        )
        .unwrap();
    }
    text
}

fn write_experiments(home: &Home) {
    for number in 0..ALONE + TOGETHER {
        let id = format!("idea-{number}");
        let guardrails = format!(
            "  latency: {{threshold: {{source: prom, value: 'p95_ms{{exp=\"e{number}x\"}}', \
             at_most: {LIMIT}}}, every: 5s, on_trip: stop}}\n"
        );
        let idea = Idea { id: &id, guardrails: &guardrails, notify: "", ..Idea::default() };
        let text =
            fakes::home::experiment(&idea).replace("turn-off-copy", &format!("off-{number}"));
        home.put(&format!("experiments/{id}.yaml"), text);
    }
}

/// Waits until a condition holds, and says how it stands meanwhile.
async fn until(what: &str, patience: Duration, is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < patience, "{what}: not within {patience:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Milliseconds at a share of the sorted times.
fn quantile(times: &[f64], share: f64) -> f64 {
    times[((times.len() as f64 * share).ceil() as usize).clamp(1, times.len()) - 1]
}

fn tell(what: &str, trips: &[Trip]) {
    let took = |trip: &Trip| {
        Some(trip.confirmed_at?.duration_since(trip.answered_at?).as_secs_f64() * 1_000.0)
    };
    let mut times: Vec<f64> = trips.iter().filter_map(took).collect();
    times.sort_by(f64::total_cmp);
    assert_eq!(times.len(), trips.len(), "every trip is confirmed");
    println!(
        "{what}: {} trips, p50 {:.1} ms, p90 {:.1} ms, p99 {:.1} ms, longest {:.1} ms",
        times.len(),
        quantile(&times, 0.5),
        quantile(&times, 0.9),
        quantile(&times, 0.99),
        quantile(&times, 1.0),
    );
}

async fn run(stage: Stage, mut daemon: Daemon) {
    let (first, rest) = (0..ALONE, ALONE..ALONE + TOGETHER);
    let confirmed = |range: std::ops::Range<usize>| {
        let stage = stage.clone();
        move || stage.with(|trips| trips[range.clone()].iter().all(|it| it.confirmed_at.is_some()))
    };
    daemon.address();
    // The first looks at the checkpoints are over, and every guardrail was read once.
    tokio::time::sleep(Duration::from_secs(15)).await;
    for number in first.clone() {
        stage.with(|trips| trips[number].broken = true);
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    until("trips one by one", PATIENCE, confirmed(first.clone())).await;
    stage.with(|trips| trips[rest.clone()].iter_mut().for_each(|trip| trip.broken = true));
    until("trips at once", PATIENCE, confirmed(rest.clone())).await;
    stage.with(|trips| {
        tell("one by one", &trips[first]);
        tell("at once", &trips[rest]);
    });
    daemon.stop();
}

fn main() {
    rustls::crypto::ring::default_provider().install_default().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let prometheus = Prometheus::start(None, std::slice::from_ref(&address));
    let stage = Stage {
        trips: Arc::new(Mutex::new(vec![Trip::default(); ALONE + TOGETHER])),
        prometheus: prometheus.url().into(),
        client: reqwest::Client::builder().no_proxy().build().unwrap(),
    };
    let router = stage.router();
    runtime.spawn(async move { axum::serve(listener, router).await });
    let home = Home::new();
    write_experiments(&home);
    let path = home.settings(&format!("http://{address}/prometheus"), &settings(&address));
    let daemon = Daemon::start(&path, &[], home.path().join("daemon.log"));
    runtime.block_on(run(stage, daemon));
    let count = ALONE + TOGETHER;
    println!("{count} experiments in one daemon, guardrails every 5 s, scrapes every second");
}
