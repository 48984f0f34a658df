//! A real Prometheus: backfilled with the demo's history it gives the counts of the built-in
//! server and the platform story trips on day nine; taken away and brought back it freezes
//! guardrails without changing a verdict; what it must refuse it refuses by name.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use judge::analyse::{GuardrailState, GuardrailStatus};
use judge::contract;
use judge::plan::{self, Need, Request, Shape, Subject};
use judge::points::{Point, Sums};
use judge::spec::{Context, Experiment, Form, Query, parse};
use judge::time::{SECOND_MS, Span, Timestamp, Window, add_ms};
use verdictd::clock::ManualClock;
use verdictd::demo::data::calendar::{hour_start, midnight};
use verdictd::demo::data::{self, Stories};
use verdictd::demo::flags::{Flags, TOKEN_HEADER};
use verdictd::demo::prometheus::Prometheus as BuiltIn;
use verdictd::demo::stage::EXPERIMENT_FILES;
use verdictd::sources::{self, FetchError, PrometheusConfig, Source, SourceConfig};

use crate::fakes::line::{Line, has_spoken, serve};
use crate::fakes::prometheus::{Prometheus, get};
use crate::fakes::receiver::Receiver;

const SEED: u64 = 1;
const STORY: &str = "platform-quote-cache";

fn story_text() -> &'static str {
    let mut files = EXPERIMENT_FILES.iter();
    let file = files.find(|(name, _)| *name == "platform-quote-cache.yaml");
    file.unwrap().1
}

fn source(url: &str) -> Arc<dyn Source> {
    let config = PrometheusConfig { query_delay_secs: 0, ..PrometheusConfig::new(url) };
    sources::build("prom", &SourceConfig::Prometheus(config)).unwrap()
}

/// Every question of the story over its first days, hour by hour.
fn needs(experiment: &Experiment, window: Window) -> Vec<Need> {
    let signals = experiment.signals.iter();
    let guardrails = experiment.guardrails.iter();
    let signals = signals.map(|signal| Need {
        grain: Span::hours(1),
        ..plan::need_of_signal(experiment, signal, window)
    });
    let guardrails = guardrails.filter_map(|guardrail| {
        plan::need_of_guardrail(experiment, guardrail, Span::hours(1), window)
    });
    signals.chain(guardrails).collect()
}

async fn points(source: &Arc<dyn Source>, need: Need) -> Vec<Point> {
    let request = Request { at: need.window.end, need };
    let batch = source.fetch(&request).await.unwrap();
    contract::points(&request, &batch).unwrap()
}

/// Equal keys and counts. Numbers without counts are computed by different code, and the average
/// of a gauge may or may not hold the sample at the start of its window.
fn assert_same(name: &str, real: &[Point], built_in: &[Point]) {
    let is_gauge = ["queue_depth", "cache_hit_rate"].contains(&name);
    let tolerance = if is_gauge { 0.1 } else { 1e-9 };
    assert_eq!(real.len(), built_in.len(), "{name}");
    for (real, built_in) in real.iter().zip(built_in) {
        let key = |point: &Point| (point.arm.clone(), point.start, point.end);
        assert_eq!(key(real), key(built_in), "{name}");
        match (real.sums, built_in.sums) {
            (Sums::Value { value: a }, Sums::Value { value: b }) => {
                assert!((a - b).abs() <= tolerance * b.abs(), "{name}: {a} {b}");
            }
            (Sums::Rate { events: e, exposure: a }, Sums::Rate { events: f, exposure: b }) => {
                assert!(e == f && (a - b).abs() <= 1e-9 * b, "{name}: {real:?} {built_in:?}");
            }
            (a, b) => assert_eq!(a, b, "{name} at {}", real.start),
        }
    }
}

#[tokio::test]
async fn a_real_prometheus_gives_the_counts_of_the_built_in_server() {
    let real = Prometheus::start(Some(&data::openmetrics(SEED)), &[]);
    let window = Window { start: midnight(0), end: midnight(14) };
    let clock = Arc::new(ManualClock::new(window.end));
    let metrics = Stories::generate(SEED).metrics;
    let built_in = serve(BuiltIn::new(metrics, clock, Vec::new()).router()).await;
    let (real, built_in) = (source(&real.url()), source(&format!("http://{built_in}")));
    let experiment = parse("p.yaml", story_text(), &Context::default()).experiment.unwrap();
    let needs = needs(&experiment, window);
    assert_eq!(needs.len(), 10);
    let mut errors = (0.0, 0.0);
    for need in needs {
        let name = need.subject.name().to_owned();
        let asked = points(&real, need.clone()).await;
        assert!(asked.len() >= 14 * 24, "{name}: {} points", asked.len());
        assert_same(&name, &asked, &points(&built_in, need).await);
        for point in asked.iter().filter(|point| name == "errors" && point.end <= midnight(8)) {
            if let Sums::Proportion { num, den } = point.sums {
                errors = (errors.0 + num, errors.1 + den);
            }
        }
    }
    assert_eq!(errors, (300.0, 384_000.0));
}

/// A daemon with the platform story, one endpoint of each kind and an armed rollback.
fn configured(at: Timestamp, prometheus: &str, flags: &str, receiver: &Receiver) -> Line {
    let line = Line::new(at, &[("platform-quote-cache.yaml", story_text())]);
    let chat = line.secret("chat", &receiver.url("/slack/platform-chat"));
    let signing = line.secret("signing", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    let token = line.secret("token", "flag-token");
    let tickets = receiver.url("/hooks/tickets");
    line.configure(&format!(
        "[scheduler]\nguardrail_every_secs = 3600\njitter = false\n\
         [sources.prom.prometheus]\nurl = \"{prometheus}\"\nquery_delay_secs = 0\n\
         [receivers.platform-chat.slack]\nurl = {chat}\nallow_private = true\n\
         [receivers.tickets.webhook]\nurl = \"{tickets}\"\nsecret = {signing}\n\
         allow_private = true\n\
         [actions.turn-off-quote-cache.webhook]\nurl = \"{flags}/off\"\narmed = true\n\
         secret_headers = {{ {TOKEN_HEADER} = {token} }}\nallow_private = true\n\
         verify = {{ url = \"{flags}\", pointer = \"/enabled\", equals = false, \
         interval_ms = 50 }}\n"
    ));
    line
}

/// Requests of the flagged arm up to an instant, straight from the generated counts.
fn counted(code: Option<&str>, at: Timestamp) -> u32 {
    let metrics = Stories::generate(SEED).metrics;
    let is_it = |labels: &data::Labels| {
        let has = |key: &str, value: &str| labels.iter().any(|(k, v)| *k == key && *v == value);
        has("arm", "flagged") && code.is_none_or(|code| has("code", code))
    };
    let counters = metrics.counters.iter();
    let counters = counters.filter(|one| one.name == "http_requests_total" && is_it(&one.labels));
    let until = |first: i64| {
        let ms = at.as_millisecond() - hour_start(first).as_millisecond();
        usize::try_from(ms / 3_600_000).unwrap()
    };
    let sums = counters.map(|one| {
        let skipped = usize::try_from(-one.first_hour).unwrap();
        one.hours[skipped..until(one.first_hour)].iter().sum::<u32>()
    });
    sums.sum()
}

#[tokio::test]
async fn the_platform_story_trips_on_day_nine_from_a_real_prometheus() {
    let prometheus = Prometheus::start(Some(&data::openmetrics(SEED)), &[]);
    let clock = Arc::new(ManualClock::new(midnight(0)));
    let flags = Flags::new(&["quote-cache"], "flag-token", clock);
    let server = serve(flags.router()).await;
    let receiver = Receiver::start().await;
    let flag = format!("http://{server}/flags/quote-cache");
    let mut line = configured(midnight(0), &prometheus.url(), &flag, &receiver);
    line.start().await;
    let tripped = line.run_until(midnight(10), async |app| has_spoken(app, STORY).await);
    assert!(tripped.await);
    let evaluations = line.evaluations(STORY).await;
    let (row, record) = evaluations.last().unwrap();
    assert_eq!((row.verdict.as_str(), row.cause.as_str()), ("stop", "tripped"));
    let (day_nine, day_ten) = (midnight(8), midnight(9));
    assert!((day_nine..day_ten).contains(&row.scheduled_at), "{}", row.scheduled_at);
    let status = record.guardrails.iter().find(|one| one.name == "errors").unwrap();
    assert_eq!(status.state, GuardrailState::Tripped);
    let counted = |code| counted(code, row.scheduled_at);
    let expected = (Some(f64::from(counted(Some("500")))), Some(f64::from(counted(None))));
    assert_eq!((status.bad, status.total), expected);
    assert_eq!(flags.is_on("quote-cache"), Some(false));
    let what: Vec<_> = flags.calls().iter().map(|call| call.what).collect();
    assert_eq!(what, ["off", "read"]);
    for kind in ["experiment.verdict.stop", "guardrail.tripped", "action.confirmed"] {
        let rows = line.deliveries().await;
        let rows = rows.iter().filter(|one| one.row.kind == kind);
        let mut endpoints: Vec<_> = rows.map(|one| one.row.endpoint.clone()).collect();
        endpoints.sort_unstable();
        assert_eq!(endpoints, ["platform-chat", "tickets"], "{kind}");
    }
    assert!(receiver.received().iter().all(|one| one.taken));
    assert_timed(&line).await;
    line.stop().await;
}

/// The histogram of one confirmed rollback, as it is scraped.
async fn assert_timed(line: &Line) {
    let address = line.app().address().unwrap().to_string();
    let scraped = tokio::task::spawn_blocking(move || get(&address, "/metrics")).await.unwrap();
    let (status, text) = scraped.unwrap();
    assert_eq!(status, 200);
    let count = "verdictd_rollback_confirmed_seconds_count{action=\"turn-off-quote-cache\"} 1";
    assert!(text.contains(count), "{text}");
}

/// Two experiments that read one source, with guardrails every second.
fn busy_text(id: &str) -> String {
    let text = story_text().replace(STORY, id).replace("start: 2026-06-01", "start: 2026-06-01\n");
    let at = text.find("guardrails:").unwrap();
    let end = text.find("rollback:").unwrap();
    let guardrails = "guardrails:\n  errors:\n    slo:\n      objective: 99.9%\n      \
         source: prom\n      bad: sum(increase(busy_requests_total{code=\"500\"}[2s]))\n      \
         total: sum(increase(busy_requests_total[2s]))\n      budget: lifetime\n    \
         on_trip: stop\n    every: 1s\n  load:\n    threshold:\n      source: prom\n      \
         value: max(busy_load)\n      at_most: 5\n    on_trip: alert\n    every: 1s\n";
    format!("{}{guardrails}{}", &text[..at], &text[end..])
}

/// A counter and a gauge with a sample every second.
fn busy_history(start: Timestamp, seconds: i64) -> String {
    let mut text = "# TYPE busy_requests counter\n".to_owned();
    for (code, step) in [("200", 100), ("500", 0)] {
        for second in 0..seconds {
            let (at, sum) = (start.as_second() + second, step * second);
            let line = format!("busy_requests_total{{code=\"{code}\"}} {sum} {at}");
            writeln!(text, "{line}").unwrap();
        }
    }
    text.push_str("# TYPE busy_load gauge\n");
    for second in 0..seconds {
        writeln!(text, "busy_load 3 {}", start.as_second() + second).unwrap();
    }
    text.push_str("# EOF\n");
    text
}

async fn advance(line: &Line, seconds: i64) {
    use verdictd::clock::Clock as _;
    for _ in 0..seconds {
        line.clock.advance_to(add_ms(line.clock.domain_now(), SECOND_MS));
        line.settle().await;
    }
}

async fn states(line: &Line, ids: [&str; 2]) -> BTreeMap<String, GuardrailStatus> {
    let mut states = BTreeMap::new();
    for id in ids {
        let context = line.app().store().context(id).await.unwrap().unwrap();
        for status in context.guardrails {
            states.insert(format!("{id} {}", status.name), status);
        }
    }
    states
}

async fn told(line: &Line, kind: &str) -> Vec<String> {
    let rows = line.deliveries().await;
    let rows = rows.iter().filter(|one| one.row.kind == kind);
    let mut endpoints: Vec<_> = rows.map(|one| one.row.endpoint.clone()).collect();
    endpoints.sort_unstable();
    endpoints
}

async fn verdicts(line: &Line, ids: [&str; 2]) -> Vec<(String, Timestamp)> {
    let mut verdicts = Vec::new();
    for id in ids {
        let evaluations = line.evaluations(id).await;
        let spoken = evaluations.iter().map(|(row, _)| row);
        let spoken = spoken.filter(|row| row.verdict != "collecting");
        verdicts.extend(spoken.map(|row| (row.verdict.clone(), row.scheduled_at)));
    }
    verdicts
}

#[tokio::test]
async fn a_source_that_goes_away_freezes_guardrails_and_is_told_once_per_endpoint() {
    let ids = ["busy-one", "busy-two"];
    let start = hour_start(10);
    let history = busy_history(add_ms(start, -60 * SECOND_MS), 600);
    let mut prometheus = Prometheus::start(Some(&history), &[]);
    let receiver = Receiver::start().await;
    let mut line = configured(start, &prometheus.url(), "http://127.0.0.1:9/f", &receiver);
    std::fs::remove_file(line.path("experiments/platform-quote-cache.yaml")).unwrap();
    for id in ids {
        std::fs::write(line.path(&format!("experiments/{id}.yaml")), busy_text(id)).unwrap();
    }
    let settings = std::fs::read_to_string(line.path("verdictd.toml")).unwrap();
    let settings = settings.replace("jitter = false", "jitter = false\nsource_down_after_secs = 5");
    std::fs::write(line.path("verdictd.toml"), settings).unwrap();
    line.start().await;
    advance(&line, 10).await;
    let before = states(&line, ids).await;
    assert_eq!(before.len(), 4, "{before:?}");
    assert!(before.values().all(|one| one.state == GuardrailState::Ok), "{before:#?}");
    prometheus.stop();
    advance(&line, 8).await;
    let during = states(&line, ids).await;
    for (name, status) in &during {
        let seen = (status.state, status.frozen);
        let frozen = (GuardrailState::SourceError, Some(GuardrailState::Ok));
        assert_eq!(seen, frozen, "{name}");
        assert_eq!(status.since, Some(add_ms(start, 11 * SECOND_MS)), "{name}");
    }
    let endpoints = ["platform-chat", "tickets"];
    assert_eq!(told(&line, "source.down").await, endpoints);
    assert!(told(&line, "source.recovered").await.is_empty());
    prometheus.resume();
    advance(&line, 10).await;
    let after = states(&line, ids).await;
    assert!(after.values().all(|one| one.state == GuardrailState::Ok), "{after:#?}");
    assert_eq!(told(&line, "source.down").await, endpoints);
    assert_eq!(told(&line, "source.recovered").await, endpoints);
    assert_eq!(verdicts(&line, ids).await, []);
    assert!(told(&line, "guardrail.no_data").await.is_empty());
    downtime(&mut line, ids).await;
}

/// The daemon itself is away for a minute: its slots are recorded as missed, with the reason.
async fn downtime(line: &mut Line, ids: [&str; 2]) {
    use verdictd::clock::Clock as _;
    for id in ids {
        assert!(line.app().store().missed(id).await.unwrap().is_empty(), "{id}");
    }
    line.stop().await;
    let left_at = line.clock.domain_now();
    line.clock.advance_to(add_ms(left_at, 60 * SECOND_MS));
    line.start().await;
    line.settle().await;
    for id in ids {
        let missed = line.app().store().missed(id).await.unwrap();
        let tracks: Vec<_> = missed.iter().map(|one| one.track.as_str()).collect();
        assert_eq!(tracks, ["guardrail:errors", "guardrail:load"], "{id}");
        for one in missed {
            let expected = (add_ms(left_at, SECOND_MS), add_ms(left_at, 59 * SECOND_MS), 59);
            assert_eq!((one.from, one.to, one.count), expected, "{id}");
            assert_eq!(one.reason, "the daemon was not running", "{id}");
        }
    }
    let after = states(line, ids).await;
    assert!(after.values().all(|one| one.state == GuardrailState::Ok), "{after:#?}");
    assert_eq!(verdicts(line, ids).await, []);
    line.stop().await;
}

/// One column of a signal without arms.
fn question(promql: &str, window: Window, grain: Span) -> Request {
    let columns = BTreeMap::from([("value".to_owned(), promql.to_owned())]);
    Request {
        at: window.end,
        need: Need {
            experiment: "exp".into(),
            subject: Subject::Signal("s".into()),
            series_id: "id".into(),
            source: "prom".into(),
            query: Query { columns, ..Query::default() },
            shape: Shape::Form(Form::Value),
            window,
            grain,
            arms: Vec::new(),
            timezone: "UTC".into(),
        },
    }
}

async fn refused(source: &Arc<dyn Source>, request: &Request) -> String {
    let answer: Result<_, FetchError> = source.fetch(request).await;
    match answer {
        Err(error) => error.to_string(),
        Ok(batch) => contract::points(request, &batch).unwrap_err().to_string(),
    }
}

#[tokio::test]
async fn several_series_are_refused_by_name_and_long_windows_are_asked_in_parts() {
    let start = hour_start(0);
    let prometheus = Prometheus::start(Some(&busy_history(start, 300)), &[]);
    let source = source(&prometheus.url());
    let window = Window { start, end: add_ms(start, 240 * SECOND_MS) };
    let two = question("busy_requests_total", window, Span::seconds(60));
    let error = refused(&source, &two).await;
    for part in ["more than one series", "code", "\"200\"", "\"500\""] {
        assert!(error.contains(part), "{part}: {error}");
    }
    let wrong = question("sum(busy_requests_total", window, Span::seconds(60));
    let error = refused(&source, &wrong).await;
    assert!(error.contains("parse error"), "{error}");
    // The real server takes 11,000 points at once and no more.
    let count = 25_000_i64;
    let window = Window { start, end: add_ms(start, count * 60 * SECOND_MS) };
    let path = format!(
        "/api/v1/query_range?query=vector(1)&step=60&start={}&end={}",
        start.as_second() + 60,
        window.end.as_second()
    );
    assert_eq!(prometheus.get(&path).0, 400);
    let found = points(&source, question("vector(7)", window, Span::seconds(60)).need).await;
    assert_eq!(found.len(), 25_000);
    assert_eq!(found.last().unwrap().end, window.end);
    assert!(found.iter().all(|point| point.sums == Sums::Value { value: 7.0 }));
}
