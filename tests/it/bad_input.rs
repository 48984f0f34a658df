//! Whatever sources, exports, files and callers send: nothing panics, the others go on, and what
//! was recorded stays.

use std::io::Write as _;

use reqwest::Method;
use serde_json::Value;

use super::fakes::daemon::Daemon;
use super::fakes::home::{Home, Idea, day_text};
use super::fakes::http::Site;
use super::fakes::metrics::{Metrics, Mood};
use super::fakes::process::wait_for;
use super::fakes::receiver::Receiver;

/// A daemon with one experiment whose sources are well, and whatever is put beside it.
struct Running {
    daemon: Daemon,
    site: Site,
    receiver: Receiver,
    home: Home,
    good: Metrics,
    bad: Metrics,
}

/// A guardrail that asks the source which will misbehave.
const ON_BAD: &str = "  latency: {threshold: {source: bad, value: p95_ms, at_most: 400}, \
                      every: 1s, missing_for: 1s, on_trip: alert}\n";

impl Running {
    async fn start() -> Self {
        let home = Home::new();
        let (good, bad) = (Metrics::start(Mood::Flip).await, Metrics::start(Mood::Flip).await);
        let receiver = Receiver::start().await;
        let rest = format!(
            "[sources.bad.prometheus]\nurl = \"{}\"\nquery_delay_secs = 0\ntimeout_secs = 1\n\
             max_body_bytes = 1000000\n[receivers.hook.webhook]\nurl = \"{}\"\n\
             allow_private = true\n",
            bad.url(),
            receiver.url("/hook")
        );
        let settings = home.settings(&good.url(), &rest);
        home.experiment(&Idea::default());
        let variables = [("VERDICTD_SCHEDULER__SOURCE_DOWN_AFTER_SECS", "1")];
        let log = home.path().join("daemon.log");
        let mut daemon = Daemon::start(&settings, &variables, log);
        let address = tokio::task::block_in_place(|| daemon.address());
        let running = Self { daemon, site: Site::new(&address), receiver, home, good, bad };
        running.goes_on("copy").await;
        running
    }

    async fn count(&self, id: &str) -> u64 {
        let answer = self.site.get(&format!("/api/v1/experiments/{id}")).await;
        if answer.status == 404 {
            return 0;
        }
        answer.json()["evaluations"].as_u64().unwrap()
    }

    async fn goes_on(&self, id: &str) {
        let before = self.count(id).await;
        wait_for(&format!("another evaluation of {id}"), || async {
            (self.count(id).await > before).then_some(())
        })
        .await;
    }

    async fn broken(&self) -> Vec<Value> {
        let document = self.site.json("/api/v1/experiments").await;
        document["broken_files"].as_array().unwrap().clone()
    }

    /// Why the guardrail of an experiment has no number, once it says so in that state.
    async fn guardrail_says(&self, id: &str, state: &str) -> String {
        let path = format!("/api/v1/experiments/{id}");
        wait_for(&format!("{id} in {state}"), || async {
            let document = self.site.get(&path).await.json();
            let rail = &document["guardrails"][0];
            (rail["state"] == state).then(|| rail["why"].as_str().unwrap_or_default().to_owned())
        })
        .await
    }

    /// Ends it; nothing panicked, nothing recorded is lost, and what was told was recorded.
    async fn stop(mut self) -> Home {
        tokio::task::block_in_place(|| self.daemon.stop());
        let log = self.daemon.log();
        assert!(!log.contains("panicked"), "{log}");
        let store = self.home.store();
        assert_eq!(store.integrity_check().await.unwrap(), Vec::<String>::new());
        self.home
    }
}

/// Every wrong answer freezes its own guardrail and nobody else's, and says why.
#[tokio::test(flavor = "multi_thread")]
async fn wrong_answers_of_a_source_freeze_only_their_own_guardrails() {
    let running = Running::start().await;
    running.home.experiment(&Idea { id: "beside", guardrails: ON_BAD, ..Idea::default() });
    running.goes_on("beside").await;
    for (mood, word) in [
        (Mood::Html, "web page"),
        (Mood::HalfJson, ""),
        (Mood::Garbage, ""),
        (Mood::Endless, "larger than"),
        (Mood::NotNumbers, ""),
        (Mood::Failing, "500"),
    ] {
        running.bad.set(mood);
        let why = running.guardrail_says("beside", "source_error").await;
        assert!(why.contains(word) && why.len() > 10, "{mood:?}: {why}");
        assert!(why.len() < 1_000, "{mood:?}: {why}");
        running.goes_on("copy").await;
        running.bad.set(Mood::Calm);
        running.guardrail_says("beside", "ok").await;
    }
    // It stays away: told as down once, while the other source is up.
    running.bad.set(Mood::Failing);
    running.guardrail_says("beside", "source_error").await;
    let sources = running.site.json("/api/v1/sources").await;
    let up = |name: &str| {
        let rows = sources["sources"].as_array().unwrap().iter();
        rows.clone().find(|row| row["name"] == name).unwrap()["up"].clone()
    };
    assert_eq!((up("bad"), up("prom")), (Value::from(false), Value::from(true)));
    let told = wait_for("the notice about the source", || async {
        let received = running.receiver.received();
        let mut bodies = received.iter().map(super::fakes::receiver::Received::json);
        bodies.find(|body| body["type"] == "source.down")
    })
    .await;
    assert!(told.to_string().contains("bad"), "{told}");
    running.good.set(Mood::Calm);
    running.stop().await;
}

/// Two weeks of an export, as it should be.
fn export() -> String {
    let days = (0..14).map(|day| {
        let date = day_text(day - 7);
        format!("{date},control,400,1000\n{date},treatment,500,1000\n")
    });
    "day,arm,num,den\n".to_owned() + &days.collect::<String>()
}

/// The look of an experiment on a damaged export holds or goes on; it never ends the daemon.
#[tokio::test(flavor = "multi_thread")]
async fn damaged_exports_are_refused_with_their_reason() {
    let running = Running::start().await;
    let whole = export();
    let damages: [(&str, Vec<u8>); 9] = [
        ("empty", Vec::new()),
        ("head-only", b"day,arm,num,den\n".to_vec()),
        ("binary", (0..=255_u8).cycle().take(20_000).collect()),
        ("nul", whole.replace("400", "4\u{0}0").into_bytes()),
        ("quote", whole.replacen("400", "\"400", 1).into_bytes()),
        ("cut", whole.as_bytes()[..whole.len() - 7].to_vec()),
        ("words", whole.replace("500", "many").into_bytes()),
        ("huge", whole.replace("500", &"9".repeat(400)).into_bytes()),
        ("columns", whole.replace("day,arm", "tag,group").into_bytes()),
    ];
    for (name, bytes) in damages {
        let yaml = super::fakes::home::experiment(&Idea {
            id: name,
            guardrails: "  quiet: {threshold: {source: prom, value: p95_ms, at_most: 4000}, \
                         every: 1h, on_trip: alert}\n",
            ..Idea::default()
        });
        running.home.put(&format!("data/{name}.csv"), bytes);
        let file = format!("file: {name}.csv");
        let yaml = yaml.replace("file: started.csv", &file);
        running.home.put(&format!("experiments/{name}.yaml"), yaml);
    }
    for name in ["empty", "binary", "nul", "words", "huge", "columns"] {
        let path = format!("/api/v1/experiments/{name}");
        let document = wait_for(&format!("a look at {name}"), || async {
            let answer = running.site.get(&path).await;
            (answer.status == 200 && answer.json()["record"].is_object()).then(|| answer.json())
        })
        .await;
        let seen = &document["record"]["input"]["observations"]["started"];
        assert!(seen.get("ok").is_none(), "{name}: {seen}");
        let verdict = &document["record"]["decision"]["verdict"];
        assert_ne!(*verdict, "continue", "{name}: {verdict}");
    }
    running.goes_on("copy").await;
    running.stop().await;
}

/// 100 MB without a line end are refused by their size, not read.
#[tokio::test(flavor = "multi_thread")]
async fn a_line_of_a_hundred_megabytes_is_refused() {
    let running = Running::start().await;
    let path = running.home.data().join("line.csv");
    let mut file = std::io::BufWriter::new(std::fs::File::create(&path).unwrap());
    file.write_all(b"day,arm,num,den\n").unwrap();
    let block = vec![b'7'; 1_000_000];
    for _ in 0..100 {
        file.write_all(&block).unwrap();
    }
    file.flush().unwrap();
    let yaml = super::fakes::home::experiment(&Idea { id: "line", ..Idea::default() });
    let yaml = yaml.replace("file: started.csv", "file: line.csv");
    running.home.put("experiments/line.yaml", yaml);
    let document = wait_for("a look at the line", || async {
        let answer = running.site.get("/api/v1/experiments/line").await;
        (answer.status == 200 && answer.json()["record"].is_object()).then(|| answer.json())
    })
    .await;
    let seen = document["record"]["input"]["observations"]["started"].to_string();
    assert!(seen.contains("source_error"), "{seen}");
    assert!(seen.contains("bytes"), "says what is too large: {seen}");
    running.goes_on("copy").await;
    running.stop().await;
}

/// Files made to exhaust a parser are refused at once; the good one beside them runs on.
#[tokio::test(flavor = "multi_thread")]
async fn hostile_files_are_broken_files() {
    let running = Running::start().await;
    let mut laughs = "a: &a [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (one, next) in ('a'..='y').zip('b'..='z') {
        let many = format!("*{one}, ").repeat(9);
        laughs.extend([&*next.to_string(), ": &", &next.to_string(), " [", &many, "]\n"]);
    }
    let good = super::fakes::home::experiment(&Idea { id: "later", ..Idea::default() });
    let hostile: [(&str, Vec<u8>); 12] = [
        // Sixty thousand mistakes on one line.
        ("aliases.yaml", format!("a: [{}]\n", "*a, ".repeat(60_000)).into_bytes()),
        ("laughs.yaml", laughs.into_bytes()),
        ("deep.yaml", "[".repeat(100_000).into_bytes()),
        ("deep-map.yaml", "a: {".repeat(50_000).into_bytes()),
        ("dashes.yaml", "- ".repeat(100_000).into_bytes()),
        ("deep.json", "{\"a\":".repeat(40_000).into_bytes()),
        ("large.yaml", vec![b'a'; 300_000]),
        ("binary.yaml", vec![0xff, 0xfe, 0, 1, 2, 3]),
        ("nul.yaml", good.replace("Clearer", "Cle\u{0}arer").into_bytes()),
        ("merge.yaml", b"<<: &x {<<: *x}\n".to_vec()),
        ("tags.yaml", b"!!python/object/apply:os.system ['true']\n".to_vec()),
        ("key.yaml", format!("? {}\n: 1\n", "[".repeat(5_000)).into_bytes()),
    ];
    for (name, bytes) in &hostile {
        running.home.put(&format!("experiments/{name}"), bytes);
    }
    wait_for("every hostile file as broken", || async {
        let broken = running.broken().await;
        (broken.len() == hostile.len()).then_some(())
    })
    .await;
    for file in running.broken().await {
        let said = file["diagnostics"].as_str().unwrap();
        assert!(!said.is_empty() && said.len() < 40_000, "{} bytes", said.len());
    }
    running.home.put("experiments/later.yaml", good);
    running.goes_on("later").await;
    running.goes_on("copy").await;
    for page in ["/", "/metrics", "/x/copy"] {
        assert_eq!(running.site.get(page).await.status, 200, "{page}");
    }
    running.stop().await;
}

/// Callers that send nonsense get a 4xx, and the evaluations go on meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn hostile_requests_are_answered() {
    let running = Running::start().await;
    let long = "a".repeat(6_000);
    for path in [
        "/x/%ff%fe",
        "/x/%00/e/1",
        "/x/copy/e/%F0%9F%92%A5",
        "/x/copy/e/-1",
        "/x/copy/e/99999999999999999999999",
        "/x/../../etc/passwd",
        "/x/copy'%20OR%201=1--",
        "/log?experiment=%27%3B%20DROP%20TABLE%20log%3B--",
        "/log?experiment=a&experiment=b",
        "/api/v1/decisions?before=99999999999999999999",
        "/api/v1/deliveries?experiment=%ff",
        &format!("/x/{long}"),
        &format!("/log?experiment={long}"),
    ] {
        let answer = running.site.get(path).await;
        assert!(answer.status < 500, "{path:.60} {answer:?}");
    }
    for method in ["TRACE", "OPTIONS", "PROPFIND", "X"] {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let answer = running.site.send(method, "/", &[], vec![0; 100]).await;
        assert!(answer.status < 500, "{answer:?}");
    }
    raw_requests(&running).await;
    running.goes_on("copy").await;
    let home = running.stop().await;
    let rows = home.store().evaluations("copy", None, 10).await.unwrap();
    assert!(!rows.is_empty(), "what was recorded stays");
}

/// What no client library sends: half requests, no HTTP at all, headers without end.
async fn raw_requests(running: &Running) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let log = running.daemon.log();
    let mark = "listening on http://";
    let at = log.find(mark).unwrap() + mark.len();
    let address = log[at..].lines().next().unwrap().trim().to_owned();
    let headers = "X-A: b\r\n".repeat(20_000);
    for bytes in [
        b"\x16\x03\x01\x02\x00\x01\x00".to_vec(),
        b"GET / HTTP/9.9\r\n\r\n".to_vec(),
        b"GET /\r\n".to_vec(),
        b"POST /api/v1/decisions HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n".to_vec(),
        b"POST /api/v1/decisions HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n{".to_vec(),
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n".to_vec(),
        format!("GET / HTTP/1.1\r\n{headers}\r\n").into_bytes(),
        vec![0; 100_000],
    ] {
        let mut stream = tokio::net::TcpStream::connect(&address).await.unwrap();
        // The daemon may hang up while it is still being talked to.
        let written = stream.write_all(&bytes).await.is_ok();
        let mut answer = Vec::new();
        if written && stream.shutdown().await.is_ok() {
            let reading = stream.read_to_end(&mut answer);
            let patience = std::time::Duration::from_secs(30);
            let read = tokio::time::timeout(patience, reading).await;
            assert!(read.is_ok(), "no end for {:?}", &bytes[..7]);
        }
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(!answer.starts_with("HTTP/1.1 5"), "{answer}");
        assert_eq!(running.site.get("/healthz").await.status, 200);
    }
}
