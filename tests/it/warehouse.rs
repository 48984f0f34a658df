//! A real PostgreSQL as the warehouse: the shipped SQL gives exactly the points of the exports,
//! the activation story is judged from it through a crash of the server, and what must be refused
//! is refused without a word of the password.

use std::collections::BTreeMap;
use std::sync::Arc;

use judge::contract;
use judge::decide::AlarmKind;
use judge::observe::Observation;
use judge::plan::{self, Need, Request};
use judge::points::{Point, Sums};
use judge::record::EvaluationRecord;
use judge::spec::{Context, Experiment, Query, parse};
use judge::time::{Span, Window};
use verdictd::demo::data::calendar::midnight;
use verdictd::demo::data::{self, LAST_DAY, Stories};
use verdictd::demo::prometheus::Prometheus;
use verdictd::demo::stage::{self, EXPERIMENT_FILES};
use verdictd::secret::SecretRef;
use verdictd::sources::{
    self, CsvConfig, FetchClass, FetchError, PostgresConfig, Source, SourceConfig,
};

use crate::fakes::line::{Line, has_spoken, serve};
use crate::fakes::postgres::{PASSWORD, Postgres};
use crate::fakes::receiver::Receiver;

const SEED: u64 = 1;
const STORY: &str = "activation-action-x";

const FILE: &str = "activation-action-x.yaml";

/// The story's file and every query file beside it.
fn story_files() -> Vec<(&'static str, &'static str)> {
    let files = EXPERIMENT_FILES.iter().copied();
    let is_ours = |name: &str| name == FILE || !stage::is_experiment(name);
    files.filter(|(name, _)| is_ours(name)).collect()
}

fn story() -> Experiment {
    let files = story_files();
    let (_, text) = files.iter().find(|(name, _)| *name == FILE).unwrap();
    let texts = files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
    let context =
        Context { default_timezone: "UTC".into(), files: texts.collect(), ..Context::default() };
    parse(FILE, text, &context).experiment.unwrap()
}

/// All questions of the story that go to the warehouse.
fn needs(experiment: &Experiment) -> Vec<Need> {
    let window = Window { start: midnight(0), end: midnight(LAST_DAY) };
    let signals = experiment.signals.iter();
    let guardrails = experiment.guardrails.iter();
    let needs = signals.map(|signal| plan::need_of_signal(experiment, signal, window)).chain(
        guardrails.filter_map(|guardrail| {
            plan::need_of_guardrail(experiment, guardrail, Span::days(1), window)
        }),
    );
    needs.filter(|need| need.source == "warehouse").collect()
}

fn request(need: Need) -> Request {
    Request { at: midnight(LAST_DAY + 28), need }
}

async fn points(source: &Arc<dyn Source>, need: Need) -> Vec<Point> {
    let request = request(need);
    let batch = source.fetch(&request).await.unwrap();
    contract::points(&request, &batch).unwrap()
}

fn config(postgres: &Postgres, folder: &tempfile::TempDir, password: &str) -> PostgresConfig {
    let file = folder.path().join("password");
    std::fs::write(&file, password).unwrap();
    PostgresConfig {
        port: postgres.port(),
        password: Some(SecretRef::File(file)),
        sslmode: serde_json::from_str(r#""disable""#).unwrap(),
        ..PostgresConfig::new("127.0.0.1", "postgres", "postgres")
    }
}

fn source(config: &PostgresConfig) -> Arc<dyn Source> {
    sources::build("warehouse", &SourceConfig::Postgres(config.clone())).unwrap()
}

#[tokio::test]
async fn every_sql_file_gives_exactly_the_points_of_the_exports() {
    let postgres = Postgres::start();
    postgres.run(&data::activation_sql(SEED));
    let folder = tempfile::tempdir().unwrap();
    let warehouse = source(&config(&postgres, &folder, PASSWORD));
    for (name, text) in data::data_files(SEED) {
        if let Some(name) = name.strip_prefix("activation/") {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
    }
    let csv: CsvConfig = serde_json::from_value(serde_json::json!({
        "folder": folder.path(), "answers_sql": true, "stable_for_polls": 1,
    }))
    .unwrap();
    let exports = sources::build("exports", &SourceConfig::Csv(csv)).unwrap();
    let needs = needs(&story());
    let names: Vec<_> = needs.iter().map(|need| need.subject.name().to_owned()).collect();
    let all = ["action_x_24h", "fast_start", "csat", "activation_14d", "mails"];
    assert_eq!(names, all);
    let mut totals = BTreeMap::new();
    for need in needs {
        let name = need.subject.name().to_owned();
        let asked = points(&warehouse, need.clone()).await;
        assert_eq!(asked, points(&exports, need).await, "{name}");
        assert!(asked.len() >= 28, "{name}: {} points", asked.len());
        for point in asked {
            let Sums::Proportion { num, den } = point.sums else { panic!("{point:?}") };
            let total = totals.entry((name.clone(), point.arm)).or_insert((0.0, 0.0));
            *total = (total.0 + num, total.1 + den);
        }
    }
    // Both cycles together.
    let total = |name: &str, arm: &str| totals[&(name.to_owned(), arm.to_owned())];
    assert_eq!(total("action_x_24h", "control"), (4_800.0, 12_000.0));
    assert_eq!(total("action_x_24h", "checklist"), (5_760.0, 12_000.0));
    assert_eq!(total("activation_14d", "control"), (3_240.0, 12_000.0));
    assert_eq!(total("activation_14d", "checklist"), (3_600.0, 12_000.0));
}

/// The story's files and a daemon that reads PostgreSQL and the built-in metrics server.
async fn line(postgres: &Postgres, receiver: &Receiver) -> Line {
    let line = Line::new(midnight(0), &story_files());
    let metrics = Stories::generate(SEED).metrics;
    let prometheus = Prometheus::new(metrics, line.clock.clone(), Vec::new());
    let prometheus = serve(prometheus.router()).await;
    let password = line.secret("password", PASSWORD);
    let chat = line.secret("chat", &receiver.url("/slack/growth-chat"));
    let signing = line.secret("signing", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    let (port, tickets) = (postgres.port(), receiver.url("/hooks/tickets"));
    line.configure(&format!(
        "[scheduler]\nguardrail_every_secs = 86400\njitter = false\n\
         [sources.warehouse.postgres]\nhost = \"127.0.0.1\"\nport = {port}\n\
         user = \"postgres\"\ndbname = \"postgres\"\nsslmode = \"disable\"\n\
         password = {password}\n\
         [sources.prom.prometheus]\nurl = \"http://{prometheus}\"\nquery_delay_secs = 0\n\
         [receivers.growth-chat.slack]\nurl = {chat}\nallow_private = true\n\
         [receivers.tickets.webhook]\nurl = \"{tickets}\"\nsecret = {signing}\n\
         allow_private = true\n\
         [actions.turn-off-checklist.webhook]\nurl = \"{tickets}\"\nallow_private = true\n\
         verify = {{ url = \"{tickets}\", pointer = \"/enabled\", equals = false }}\n"
    ));
    line
}

/// The first cycle: the proxy moved, the outcome did not.
fn assert_counts(record: &EvaluationRecord) {
    for (signal, arm, num) in [
        ("action_x_24h", "control", 2_400.0),
        ("action_x_24h", "checklist", 2_880.0),
        ("activation_14d", "control", 1_620.0),
        ("activation_14d", "checklist", 1_620.0),
    ] {
        let observed = record.input.observations[signal].counted().unwrap();
        let expected = Sums::Proportion { num, den: 6_000.0 };
        assert_eq!(observed.arms[arm].sums, expected, "{signal} of {arm}");
    }
}

#[tokio::test]
async fn the_activation_story_survives_a_crash_of_the_warehouse() {
    let mut postgres = Postgres::start();
    postgres.run(&data::activation_sql(SEED));
    let receiver = Receiver::start().await;
    let mut line = line(&postgres, &receiver).await;
    line.start().await;
    line.run_to(midnight(10)).await;
    postgres.kill();
    line.run_to(midnight(12)).await;
    let evaluations = line.evaluations(STORY).await;
    let (row, record) = evaluations.iter().rfind(|(row, _)| row.track == "look").unwrap();
    assert_eq!((row.scheduled_at, row.verdict.as_str()), (midnight(12), "collecting"));
    for (name, observation) in &record.input.observations {
        let Observation::SourceError { class, since, .. } = observation else {
            panic!("{name}: {observation:?}")
        };
        assert_eq!((class.as_str(), *since), ("transient", midnight(11)), "{name}");
    }
    postgres.resume();
    assert!(line.run_until(midnight(50), async |app| has_spoken(app, STORY).await).await);
    let evaluations = line.evaluations(STORY).await;
    let (row, record) = evaluations.last().unwrap();
    assert_eq!(row.scheduled_at, midnight(42));
    assert_eq!((row.verdict.as_str(), row.cause.as_str()), ("change", "mechanism"));
    assert_counts(record);
    let alarms: Vec<_> = record.alarms.iter().map(|alarm| alarm.kind).collect();
    assert!(alarms.contains(&AlarmKind::ProxyWithoutOutcome), "{alarms:?}");
    for kind in ["source.down", "source.recovered", "experiment.verdict.change"] {
        let rows = line.deliveries().await;
        let rows = rows.iter().filter(|one| one.row.kind == kind);
        let mut endpoints: Vec<_> = rows.map(|one| one.row.endpoint.clone()).collect();
        endpoints.sort_unstable();
        assert_eq!(endpoints, ["growth-chat", "tickets"], "{kind}");
    }
    let bodies = receiver.received();
    assert!(bodies.iter().all(|one| one.taken));
    let leaks = bodies.iter().filter(|one| String::from_utf8_lossy(&one.body).contains(PASSWORD));
    assert_eq!(leaks.count(), 0);
    line.stop().await;
}

/// What the source says to a statement of somebody's own.
async fn answer(config: &PostgresConfig, sql: &str) -> Result<(), FetchError> {
    let mut need = needs(&story()).remove(0);
    need.query = Query { sql: Some(sql.to_owned()), ..Query::default() };
    source(config).fetch(&request(need)).await.map(|_| ())
}

#[tokio::test]
async fn what_a_source_must_not_do_is_refused_by_the_server() {
    let postgres = Postgres::start();
    postgres.run(
        "create table t (time date, arm text, num int, den int); \
                  insert into t values ('2026-06-01', 'control', 1, 2);",
    );
    let folder = tempfile::tempdir().unwrap();
    let config = config(&postgres, &folder, PASSWORD);
    let all = "select time, arm, num, den from t";
    answer(&config, all).await.unwrap();
    for writing in [
        "delete from t returning time, arm, num, den",
        "with gone as (delete from t returning *) select time, arm, num, den from gone",
        "insert into t values ('2026-06-02', 'control', 1, 2) returning time, arm, num, den",
        "create table u as select * from t",
    ] {
        let error = answer(&config, writing).await.unwrap_err();
        assert_eq!(error.class, FetchClass::UserError, "{writing}: {error}");
        assert!(error.message.contains("25006"), "{writing}: {error}");
    }
    let two = answer(&config, "commit; delete from t").await.unwrap_err();
    assert_eq!(two.class, FetchClass::UserError, "{two}");
    // Nothing of it happened: a check that fails ends psql with an error.
    postgres
        .run("do $$ begin if (select count(*) from t) <> 1 then raise 'changed'; end if; end $$");
    let hasty = PostgresConfig { statement_timeout_secs: 1, ..config.clone() };
    let slow = "select time, arm, num, den from t, pg_sleep(60)";
    let began = std::time::Instant::now();
    let error = answer(&hasty, slow).await.unwrap_err();
    assert_eq!(error.class, FetchClass::Timeout, "{error}");
    assert!(began.elapsed().as_secs() < 30, "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_wrong_password_is_an_auth_failure_that_does_not_show_it() {
    let postgres = Postgres::start();
    let folder = tempfile::tempdir().unwrap();
    let wrong = "correct-horse-battery";
    let config = config(&postgres, &folder, wrong);
    for error in
        [answer(&config, "select 1").await.unwrap_err(), source(&config).probe().await.unwrap_err()]
    {
        assert_eq!(error.class, FetchClass::Auth, "{error}");
        let shown = format!("{error} {error:?} {config:?}");
        assert!(!shown.contains(wrong) && !shown.contains(PASSWORD), "{shown}");
    }
}
