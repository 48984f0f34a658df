//! Files and settings of a running daemon: one broken file stops nobody, a mistake is told once,
//! and a secret is never shown.

use serde_json::Value;

use super::fakes::daemon::{Daemon, run, text};
use super::fakes::home::{Home, Idea};
use super::fakes::http::Site;
use super::fakes::metrics::{Metrics, Mood};
use super::fakes::process::wait_for;
use super::fakes::receiver::Receiver;

const OPERATORS: (&str, &str) = ("VERDICTD_DAEMON__OPERATORS", "[\"hook\"]");

fn hook(receiver: &Receiver) -> String {
    let url = receiver.url("/hook");
    format!("[receivers.hook.webhook]\nurl = \"{url}\"\nallow_private = true\n")
}

/// A running daemon of a home.
fn start(home: &Home, name: &str, variables: &[(&str, &str)]) -> (Daemon, Site) {
    let log = home.path().join(format!("{name}.log"));
    let mut daemon = Daemon::start(&home.settings_path(), variables, log);
    let address = tokio::task::block_in_place(|| daemon.address());
    (daemon, Site::new(&address))
}

fn kinds(receiver: &Receiver, kind: &str) -> usize {
    let received = receiver.received();
    let of_kind = received.iter().filter(|request| request.taken && request.json()["type"] == kind);
    of_kind.count()
}

async fn broken(site: &Site) -> Vec<String> {
    let document = site.json("/api/v1/experiments").await;
    let files = document["broken_files"].as_array().unwrap();
    let name = |file: &Value| file["file"].as_str().unwrap().to_owned();
    files.iter().map(name).collect()
}

async fn wait_broken(site: &Site, wanted: &[&str]) {
    wait_for(&format!("the broken files {wanted:?}"), || async {
        (broken(site).await == wanted).then_some(())
    })
    .await;
}

async fn evaluations(site: &Site, id: &str) -> u64 {
    site.json(&format!("/api/v1/experiments/{id}")).await["evaluations"].as_u64().unwrap()
}

/// The experiment is looked at again from here on.
async fn goes_on(site: &Site, id: &str) {
    let before = evaluations(site, id).await;
    wait_for(&format!("another evaluation of {id}"), || async {
        (evaluations(site, id).await > before).then_some(())
    })
    .await;
}

#[test]
fn check_tells_by_exit_code_and_as_json() {
    let home = Home::new();
    let hook = "[receivers.hook.webhook]\nurl = \"http://127.0.0.1:9\"\nallow_private = true\n";
    home.settings("http://127.0.0.1:9", hook);
    home.experiment(&Idea::default());
    let settings = home.settings_path().display().to_string();
    let folder = home.experiments().display().to_string();
    let check = |more: &[&str]| {
        let arguments = [&["check", "--json", "--config", &settings], more].concat();
        let output = run(&arguments, &[]);
        let document: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        (output.status.code().unwrap(), document, text(&output.stderr))
    };
    let (code, document, said) = check(&[]);
    assert_eq!((code, &document["errors"]), (0, &Value::from(0)), "{document} {said}");
    home.put("experiments/torn.yaml", "experiment: torn\ntitel: Oops\n");
    let (code, document, _) = check(&[&folder]);
    assert_eq!(code, 1, "{document}");
    assert_eq!(document["schema"], "verdictd/check/1");
    assert!(document["errors"].as_u64().unwrap() > 0, "{document}");
    let files = document["files"].as_array().unwrap();
    assert_eq!(files.len(), 2, "{document}");
    let torn = files.iter().find(|file| file["file"].as_str().unwrap().ends_with("torn.yaml"));
    let found = torn.unwrap()["diagnostics"].as_array().unwrap().iter();
    let typo = |it: &&Value| it["message"].as_str().unwrap().contains("titel");
    let typo = found.clone().find(typo).unwrap();
    assert!(typo["code"].as_str().unwrap().starts_with('E'), "{typo}");
    assert_eq!(typo["pos"]["line"], 2, "{typo}");
    assert!(typo["hint"].as_str().unwrap().contains("title"), "{typo}");
    let (code, document, _) = check(&["no-such-file.yaml"]);
    assert_eq!(code, 2, "{document}");
    assert!(document["unreadable"][0].as_str().unwrap().contains("no-such-file"));
    let empty = tempfile::tempdir().unwrap();
    let (code, _, said) = check(&[empty.path().to_str().unwrap()]);
    assert_eq!(code, 2);
    assert!(said.contains("no experiment files"), "{said}");
}

/// A receiver that `serve` takes.
const GOOD: &str = "[receivers.hook.webhook]\nurl = \"https://h.example/x\"\n";

/// Whatever `serve` refuses `check` refuses, with the same words.
#[test]
fn check_proves_what_serve_proves() {
    let action = |kind: &str| format!("[actions.off.{kind}");
    let lines = [
        ("receivers.x", "[receivers.x.webhook]\nurl = \"http://u:p@h.example/x\"\n".to_owned()),
        ("receivers.x", "[receivers.x.webhook]\nurl = \"ftp://h.example/x\"\n".to_owned()),
        (
            "receivers.x",
            "[receivers.x.webhook]\nurl = \"https://h.example/x\"\nrate = {per_sec = 1e300, \
             burst = 1}\n"
                .to_owned(),
        ),
        ("actions.off", action("command]\nargv = [\"ls\"]\n")),
        (
            "actions.off",
            action(
                "webhook]\nurl = \"https://h.example\"\nverify = {url = \"https://h.example\", \
                 pointer = \"x\", equals = false}\n",
            ),
        ),
    ];
    for (named, rest) in lines {
        let home = Home::new();
        let rest = format!("{GOOD}{rest}");
        let settings = home.settings("http://127.0.0.1:9", &rest).display().to_string();
        home.experiment(&Idea::default());
        let checked = run(&["check", "--config", &settings], &[]);
        let (out, served) = (text(&checked.stdout), run(&["serve", "--config", &settings], &[]));
        let refused = text(&served.stderr);
        assert_eq!(served.status.code(), Some(2), "{rest}: {refused}");
        let told = out.lines().find_map(|line| line.strip_prefix("settings: error: "));
        let told = told.unwrap_or_else(|| panic!("{rest}: {out}"));
        assert_eq!(checked.status.code(), Some(1), "{rest}: {out}");
        let (place, cause) = told.split_at(named.len());
        assert_eq!(place, named, "{told}");
        assert!(refused.contains(cause.trim_start_matches([':', ' '])), "{told}\n{refused}");
    }
}

#[test]
fn check_names_the_secrets_that_are_not_there() {
    let home = Home::new();
    let tokens = "[[http.tokens]]\nname = \"alice\"\ntoken = {env = \"ALICE_TOKEN\"}\n";
    let rest = format!("{GOOD}{tokens}");
    let settings = home.settings("http://127.0.0.1:9", &rest).display().to_string();
    home.experiment(&Idea::default());
    let check = |variables: &[(&str, &str)]| {
        let output = run(&["check", "--config", &settings], variables);
        // A pipeline has no secrets: that is no finding.
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        text(&output.stdout)
    };
    let words = "settings: warning: `http.tokens[alice].token`: secret: ";
    assert!(check(&[]).contains(&format!("{words}environment variable ALICE_TOKEN is not set")));
    assert!(check(&[("ALICE_TOKEN", "")]).contains(&format!("{words}env ALICE_TOKEN is empty")));
    let there = check(&[("ALICE_TOKEN", "hunter2")]);
    assert!(!there.contains("secret") && !there.contains("hunter2"), "{there}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_file_stops_nobody_and_is_told_once() {
    let home = Home::new();
    let (metrics, receiver) = (Metrics::start(Mood::Flip).await, Receiver::start().await);
    home.settings(&metrics.url(), &hook(&receiver));
    home.experiment(&Idea::default());
    home.put("experiments/torn.yaml", "experiment: torn\ntitel: Oops\n");
    let (mut daemon, site) = start(&home, "first", &[OPERATORS]);
    wait_broken(&site, &["torn.yaml"]).await;
    goes_on(&site, "copy").await;
    let revision = |document: Value| document["revision"].as_str().unwrap().to_owned();
    let path = "/api/v1/experiments/copy";
    let good = revision(site.json(path).await);

    home.put("experiments/copy.yaml", "experiment: [half\n");
    wait_broken(&site, &["copy.yaml", "torn.yaml"]).await;
    goes_on(&site, "copy").await;
    assert_eq!(revision(site.json(path).await), good, "the last good one stays");
    daemon.reload();
    daemon.reload();
    goes_on(&site, "copy").await;
    daemon.kill();

    let (mut daemon, site) = start(&home, "second", &[OPERATORS]);
    wait_broken(&site, &["copy.yaml", "torn.yaml"]).await;
    goes_on(&site, "copy").await;
    assert_eq!(revision(site.json(path).await), good, "a restart changes nothing");
    assert_eq!(kinds(&receiver, "file.broken"), 2, "each content once");
    daemon.kill();

    // Mended while nothing ran.
    std::fs::remove_file(home.experiments().join("torn.yaml")).unwrap();
    home.experiment(&Idea { title: "Even clearer copy", ..Idea::default() });
    let (mut daemon, site) = start(&home, "third", &[OPERATORS]);
    wait_broken(&site, &[]).await;
    goes_on(&site, "copy").await;
    let mended = site.json(path).await;
    assert_ne!(revision(mended.clone()), good);
    assert_eq!(mended["title"], "Even clearer copy");
    assert_eq!(kinds(&receiver, "file.broken"), 2);
    daemon.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hangup_reads_the_files_at_once() {
    let home = Home::new();
    let (metrics, receiver) = (Metrics::start(Mood::Calm).await, Receiver::start().await);
    home.settings(&metrics.url(), &hook(&receiver));
    home.experiment(&Idea::default());
    let rarely = ("VERDICTD_DAEMON__RELOAD_EVERY_SECS", "86400");
    let (mut daemon, site) = start(&home, "daemon", &[rarely]);
    home.experiment(&Idea { id: "second", ..Idea::default() });
    daemon.reload();
    wait_for("the second experiment", || async {
        let answer = site.get("/api/v1/experiments/second").await;
        (answer.status == 200).then_some(())
    })
    .await;
    daemon.stop();
    assert!(daemon.log().contains("SIGHUP"), "{}", daemon.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_of_two_files_keeps_the_id_while_it_is_there() {
    let home = Home::new();
    let (metrics, receiver) = (Metrics::start(Mood::Flip).await, Receiver::start().await);
    home.settings(&metrics.url(), &hook(&receiver));
    home.experiment(&Idea::default());
    let (mut daemon, site) = start(&home, "daemon", &[OPERATORS]);
    let twin = super::fakes::home::experiment(&Idea { title: "The twin", ..Idea::default() });
    home.put("experiments/a-twin.yaml", twin);
    wait_broken(&site, &["a-twin.yaml"]).await;
    let document = site.json("/api/v1/experiments").await;
    let said = document["broken_files"][0]["diagnostics"].to_string();
    assert!(said.contains("already used by copy.yaml"), "{said}");
    assert_eq!(document["experiments"][0]["title"], "Clearer copy");
    daemon.kill();
    let (mut daemon, site) = start(&home, "again", &[OPERATORS]);
    goes_on(&site, "copy").await;
    let document = site.json("/api/v1/experiments").await;
    assert_eq!(document["experiments"][0]["title"], "Clearer copy");
    assert_eq!(broken(&site).await, ["a-twin.yaml"]);
    std::fs::remove_file(home.experiments().join("copy.yaml")).unwrap();
    wait_broken(&site, &[]).await;
    let document = site.json("/api/v1/experiments").await;
    assert_eq!(document["experiments"][0]["title"], "The twin");
    assert_eq!(kinds(&receiver, "file.broken"), 1, "told once over two runs");
    daemon.stop();
}

#[test]
fn unknown_variables_and_keys_are_errors_that_name_them() {
    for (name, value, word) in [
        ("VERDICTD_LISTEN", "127.0.0.1:1", "VERDICTD_LISTEN"),
        ("VERDICTD_HTTP__LISTN", "127.0.0.1:1", "listn"),
        ("VERDICTD_HTTP__MAX_BODY_BYTES", "many", "max_body_bytes"),
    ] {
        for command in [["config", "print"].as_slice(), &["serve"], &["status"]] {
            let output = run(command, &[(name, value)]);
            let said = text(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{name}: {said}");
            assert!(said.contains(word), "{name}: {said}");
        }
    }
    let output = run(&["config", "print", "--set", "http.nope=1"], &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("nope"));
}

#[test]
fn config_print_shows_every_value_with_its_origin() {
    let home = Home::new();
    let settings = home.settings("http://127.0.0.1:9", "");
    let settings = settings.display().to_string();
    let variables = [("VERDICTD_LOG__LEVEL", "warn")];
    let arguments = ["config", "print", "--config", &settings, "--set", "log.format=json"];
    let output = run(&arguments, &variables);
    let printed = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let line = |key: &str| {
        let found = printed.lines().find(|line| line.starts_with(&format!("{key} = ")));
        found.unwrap_or_else(|| panic!("no {key} in\n{printed}")).to_owned()
    };
    assert!(line("log.level").ends_with("# environment"));
    assert!(line("log.format").ends_with("# flag"));
    assert!(line("scheduler.jitter").ends_with("verdictd.toml"));
    assert!(line("metrics.max_experiments").ends_with("# default"));
    let output = run(&[arguments.as_slice(), &["--json"]].concat(), &variables);
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["schema"], "verdictd/config/1");
    let of_level = |entry: &&Value| entry["key"] == "log.level";
    let level = document["settings"].as_array().unwrap().iter().find(of_level);
    assert_eq!(level.unwrap()["origin"], "environment");
}

const TOKEN: &str = "hidden-token-5e0f4c";
const SIGNING: &str = "whsec_aGlkZGVuLXNpZ25pbmctc2VjcmV0LW9mLXRlc3Rz";
const BEARER: &str = "hidden-bearer-91aa27";

/// A literal where a reference belongs is refused without repeating it.
#[test]
fn a_literal_secret_is_refused_and_not_repeated() {
    let home = Home::new();
    let rest = format!("[[http.tokens]]\nname = \"ci\"\ntoken = \"{TOKEN}\"\n");
    let settings = home.settings("http://127.0.0.1:9", &rest);
    let settings = settings.display().to_string();
    for command in [["config", "print"].as_slice(), &["serve"], &["check"]] {
        let output = run(&[command, &["--config", &settings]].concat(), &[]);
        assert_eq!(output.status.code(), Some(2));
        let said = text(&output.stderr);
        assert!(!said.contains(TOKEN), "{said}");
        assert!(said.contains("env = \"NAME\""), "{said}");
        assert!(!text(&output.stdout).contains(TOKEN));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_ever_shown() {
    let home = Home::new();
    let (metrics, receiver) = (Metrics::start(Mood::Flip).await, Receiver::start().await);
    let signing = home.path().join("signing");
    std::fs::write(&signing, SIGNING).unwrap();
    let rest = format!(
        "secret = {{ file = \"{}\" }}\n[sources.prom.prometheus.auth.bearer]\n\
         token = {{ env = \"METRICS_TOKEN\" }}\n[[http.tokens]]\nname = \"growth-lead\"\n\
         token = {{ env = \"CI_TOKEN\" }}\n[log]\nlevel = \"trace\"\n",
        signing.display()
    );
    let settings = home.settings(&metrics.url(), &(hook(&receiver) + &rest));
    home.experiment(&Idea::default());
    let secrets = [("CI_TOKEN", TOKEN), ("METRICS_TOKEN", BEARER)];
    let (mut daemon, site) = start(&home, "daemon", &secrets);
    goes_on(&site, "copy").await;
    metrics.set(Mood::Failing);
    let mut shown = vec![ask_everything(&site).await];
    wait_for("signed messages", || async {
        let received = receiver.received();
        let signed = |name: &str| received.iter().any(|it| it.headers.contains_key(name));
        signed("webhook-signature").then_some(())
    })
    .await;
    let settings = settings.display().to_string();
    for command in [
        ["config", "print"].as_slice(),
        &["config", "print", "--json"],
        &["notify", "test", "hook"],
        &["status"],
        &["log"],
        &["explain", "copy", "--json"],
    ] {
        let output = run(&[command, &["--config", &settings]].concat(), &secrets);
        assert_eq!(output.status.code(), Some(0), "{command:?} {output:?}");
        shown.push(text(&output.stdout) + &text(&output.stderr));
    }
    daemon.stop();
    shown.push(daemon.log());
    shown.extend(receiver.received().iter().map(|request| text(&request.body)));
    for text in shown {
        let key = SIGNING.trim_start_matches("whsec_");
        for secret in [TOKEN, BEARER, key, "hidden-signing-secret"] {
            assert!(!text.contains(secret), "{secret} is shown in:\n{text}");
        }
    }
}

/// Every page and endpoint, also as an authenticated and as a refused caller.
async fn ask_everything(site: &Site) -> String {
    let mut shown = String::new();
    for path in [
        "/",
        "/x/copy",
        "/x/copy/e/1",
        "/log",
        "/metrics",
        "/readyz",
        "/api/v1/experiments",
        "/api/v1/experiments/copy",
        "/api/v1/experiments/copy/verdict",
        "/api/v1/experiments/copy/evaluations",
        "/api/v1/experiments/copy/evaluations/1",
        "/api/v1/decisions",
        "/api/v1/sources",
        "/api/v1/deliveries",
    ] {
        let answer = site.get(path).await;
        assert_eq!(answer.status, 200, "{path} {answer:?}");
        shown.extend([format!("{:?}\n", answer.headers), answer.body.clone()]);
    }
    for (token, status) in [(TOKEN, 422), ("wrong", 401)] {
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        let body = br#"{"experiment": "copy", "decision": "objects", "because": " "}"#;
        let method = reqwest::Method::POST;
        let answer = site.send(method, "/api/v1/decisions", &headers, body.to_vec()).await;
        assert_eq!(answer.status, status, "{answer:?}");
        shown += &answer.body;
    }
    shown
}
