//! How much delivery costs: messages from the store to a local receiver, durable, with the
//! daemon's own settings, metrics and log.
//!
//! `cargo bench --bench delivery` runs everything and prints figures, no verdicts: what is fast
//! enough is not a test. The receiver is a process of its own, so that each CPU time (user and
//! system, of the whole process) is one side's alone; both are printed. A burst is committed
//! first and sent then; the cost of either is counted, also as their sum. `seed` and `run` are the
//! same steps one by one, for `tests/load/side_by_side.py`.

#![expect(clippy::print_stdout, reason = "figures are this program's purpose")]
#![expect(clippy::unwrap_used, reason = "a bench stops at the first surprise")]

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::{get, post};
use axum::serve::ListenerExt as _;
use judge::ids;
use judge::time::{Timestamp, add_ms};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_util::sync::CancellationToken;
use verdictd::clock::{Clock as _, SharedClock, SystemClock};
use verdictd::deliver::Worker;
use verdictd::settings::{Settings, load};
use verdictd::store::{Lane, OutboxRow, Store};
use verdictd::telemetry::Metrics;

/// Messages of the burst.
const MESSAGES: usize = 10_000;
/// Experiments they belong to: order is kept inside each. `seed` uses the first.
const PARTITIONS: [usize; 2] = [500, 20];
/// Messages of the steady part, one at a time.
const PACED: usize = 2_000;
const PACE: Duration = Duration::from_millis(5);
/// A body as long as a verdict's.
const BODY_BYTES: usize = 2_000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    match arguments.as_slice() {
        ["receiver"] => runtime.block_on(receive()),
        ["seed", store, count] => runtime.block_on(async {
            let store = Store::open(Path::new(store)).unwrap();
            seed(&store, count.parse().unwrap(), PARTITIONS[0]).await;
        }),
        ["run", store, url] => runtime.block_on(async {
            let cost = deliver(Path::new(store), url).await;
            println!("{cost}");
        }),
        _ => runtime.block_on(bench()),
    }
}

/// The whole run.
async fn bench() {
    let folder = tempfile::tempdir().unwrap();
    for partitions in PARTITIONS {
        let receiver = Receiver::start();
        println!("{MESSAGES} messages of {BODY_BYTES} bytes, {partitions} experiments");
        let path = folder.path().join(format!("burst-{partitions}.db"));
        let (began, cpu) = (micros(), cpu_ms());
        seed(&Store::open(&path).unwrap(), MESSAGES, partitions).await;
        let seeded = cost(began, cpu);
        let sent = deliver(&path, &receiver.url).await;
        report("burst", &sent, &receiver.stats().await, None);
        let both = secs(&seeded, "cpu_secs") + secs(&sent, "cpu_secs");
        println!(
            "  committed before that in {:.2} s wall, {:.2} s CPU; with it {:.0} per CPU second",
            secs(&seeded, "wall_secs"),
            secs(&seeded, "cpu_secs"),
            MESSAGES as f64 / both
        );
    }
    let receiver = Receiver::start();
    let path = folder.path().join("paced.db");
    let (cost, sent) = paced(&path, &receiver.url).await;
    report("paced", &cost, &receiver.stats().await, Some(&sent));
}

fn secs(cost: &Value, name: &str) -> f64 {
    cost[name].as_f64().unwrap()
}

fn report(name: &str, cost: &Value, stats: &Value, sent: Option<&HashMap<String, i64>>) {
    let count = stats["ids"].as_object().unwrap().len();
    let (cpu, wall) = (secs(cost, "cpu_secs"), secs(cost, "wall_secs"));
    println!(
        "{name}: {count} distinct of {} requests, {} connections, {wall:.2} s wall, \
         {cpu:.2} s CPU ({:.2} s of the receiver): {:.0} per CPU second, {:.0} per second",
        stats["requests"],
        stats["connections"],
        secs(stats, "cpu_secs"),
        count as f64 / cpu,
        count as f64 / wall
    );
    let start = cost["started_us"].as_i64().unwrap();
    let mut waits: Vec<i64> = stats["ids"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(id, at)| at.as_i64().unwrap() - sent.map_or(start, |sent| sent[id]))
        .collect();
    waits.sort_unstable();
    let at = |share: f64| waits[((waits.len() - 1) as f64 * share) as usize] as f64 / 1_000.0;
    let from = if sent.is_some() { "commit" } else { "start" };
    println!(
        "  from {from} to receipt: p50 {:.2} ms, p99 {:.2} ms, most {:.2} ms",
        at(0.5),
        at(0.99),
        at(1.0)
    );
}

/// Rows as the daemon's commits make them.
fn rows(from: usize, count: usize, partitions: usize) -> Vec<OutboxRow> {
    let now = SystemClock.wall_now();
    let body =
        json!({"type": "guardrail.burning", "fill": "x".repeat(BODY_BYTES - 45)}).to_string();
    let row = |number: usize| OutboxRow {
        id: ids::message_id(&format!("bench-{number}"), "sink"),
        endpoint: "sink".to_owned(),
        partition: format!("experiment-{}", number % partitions),
        kind: "guardrail.burning".to_owned(),
        urgent: false,
        lane: Lane::Message,
        notice_id: format!("bench-{number}"),
        body: body.clone(),
        content: body.clone(),
        created_at: now,
        not_before: now,
        expires_at: add_ms(now, 3_600_000),
        final_state: true,
        sequence: i64::try_from(number / partitions).unwrap(),
        conversation: None,
        told: verdictd::store::Told::default(),
    };
    (from..from + count).map(row).collect()
}

async fn seed(store: &Store, count: usize, partitions: usize) {
    for from in (0..count).step_by(100) {
        store.enqueue(rows(from, 100.min(count - from), partitions)).await.unwrap();
    }
}

/// The daemon's settings with one receiver.
fn settings(folder: &Path, url: &str) -> Settings {
    let path = folder.join("bench.toml");
    let text = format!("[receivers.sink.webhook]\nurl = \"{url}/hook\"\nallow_private = true\n");
    std::fs::write(&path, text).unwrap();
    load(Some(&path), &[], &[]).unwrap().settings
}

fn worker(store: &Store, path: &Path, url: &str) -> Arc<Worker> {
    verdictd::telemetry::init_log(tracing_subscriber::filter::LevelFilter::INFO, false);
    let settings = settings(path.parent().unwrap(), url);
    let clock: SharedClock = Arc::new(SystemClock);
    let worker = Worker::build(&settings, store.clone(), clock, "bench").unwrap();
    Arc::new(worker.with_metrics(Arc::new(Metrics::new(10))))
}

/// Sends everything in the store; what it cost.
async fn deliver(path: &Path, url: &str) -> Value {
    let store = Store::open(path).unwrap();
    store.release_holder("bench").await.unwrap();
    let worker = worker(&store, path, url);
    let stop = CancellationToken::new();
    let (began, cpu) = (micros(), cpu_ms());
    let task = tokio::spawn({
        let (worker, stop) = (worker.clone(), stop.clone());
        async move { worker.run(stop).await }
    });
    while store.outbox_stats().await.unwrap().iter().any(|stat| stat.pending > 0) {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let cost = cost(began, cpu);
    stop.cancel();
    task.await.unwrap().unwrap();
    cost
}

/// One message at a time, each committed at its own instant.
async fn paced(path: &Path, url: &str) -> (Value, HashMap<String, i64>) {
    let store = Store::open(path).unwrap();
    let worker = worker(&store, path, url);
    let stop = CancellationToken::new();
    let task = tokio::spawn({
        let (worker, stop) = (worker.clone(), stop.clone());
        async move { worker.run(stop).await }
    });
    let (began, cpu) = (micros(), cpu_ms());
    let mut sent = HashMap::new();
    let mut ticks = tokio::time::interval(PACE);
    for number in 0..PACED {
        ticks.tick().await;
        let row = rows(number, 1, PARTITIONS[0]);
        let id = row[0].id.clone();
        store.enqueue(row).await.unwrap();
        sent.insert(id, micros());
        worker.notify();
    }
    while store.outbox_stats().await.unwrap().iter().any(|stat| stat.pending > 0) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let cost = cost(began, cpu);
    stop.cancel();
    task.await.unwrap().unwrap();
    (cost, sent)
}

fn cost(began_us: i64, cpu: u64) -> Value {
    json!({
        "started_us": began_us,
        "wall_secs": (micros() - began_us) as f64 / 1e6,
        "cpu_secs": (cpu_ms() - cpu) as f64 / 1e3,
    })
}

/// Wall clock in microseconds: sender and receiver run on one machine.
fn micros() -> i64 {
    let now: Timestamp = SystemClock.wall_now();
    now.as_microsecond()
}

/// User and system time of this process so far (Linux; clock ticks of 10 ms).
fn cpu_ms() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let after = stat.rsplit_once(')').unwrap().1;
    let fields: Vec<&str> = after.split_whitespace().collect();
    let ticks = |index: usize| fields[index].parse::<u64>().unwrap();
    (ticks(11) + ticks(12)) * 10
}

/// The receiver's process.
struct Receiver {
    child: Child,
    url: String,
}

impl Receiver {
    fn start() -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        let mut child = command.arg("receiver").stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { child, url: line.trim().to_owned() }
    }

    async fn stats(&self) -> Value {
        // By hand: the daemon's client is not meant for this, and another one needs its own TLS.
        let address = self.url.trim_start_matches("http://");
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /stats HTTP/1.0\r\n\r\n").await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        serde_json::from_str(text.split_once("\r\n\r\n").unwrap().1).unwrap()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        // It has nothing to say; the bench is over.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[derive(Default)]
struct Seen {
    requests: AtomicU64,
    connections: AtomicU64,
    ids: Mutex<HashMap<String, i64>>,
}

async fn receive() {
    let seen = Arc::new(Seen::default());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("http://{}", listener.local_addr().unwrap());
    let counting = seen.clone();
    let listener = listener.tap_io(move |_| {
        counting.connections.fetch_add(1, Ordering::Relaxed);
    });
    let router = axum::Router::new()
        .route("/hook", post(taken))
        .route("/stats", get(stats))
        .with_state(seen);
    axum::serve(listener, router).await.unwrap();
}

async fn taken(State(seen): State<Arc<Seen>>, headers: HeaderMap) -> &'static str {
    seen.requests.fetch_add(1, Ordering::Relaxed);
    let id = headers["webhook-id"].to_str().unwrap().to_owned();
    seen.ids.lock().unwrap().entry(id).or_insert_with(micros);
    "ok"
}

async fn stats(State(seen): State<Arc<Seen>>) -> Json<Value> {
    Json(json!({
        "requests": seen.requests.load(Ordering::Relaxed),
        "connections": seen.connections.load(Ordering::Relaxed) - 1,
        "ids": *seen.ids.lock().unwrap(),
        "cpu_secs": cpu_ms() as f64 / 1e3,
    }))
}
