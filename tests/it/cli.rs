//! Every command of the real binary: results on standard output, exit codes as documented, plain
//! text in pipes, and no panic whatever it is given.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;
use std::process::{Output, Stdio};
use std::sync::Arc;

use axum::http::StatusCode;
use serde_json::Value;

use super::fakes::daemon::{command, run, text};
use super::fakes::home::{Home, Idea, day_text};
use super::fakes::metrics::{Metrics, Mood};
use super::fakes::receiver::Receiver;

/// A home whose sources and receiver answer, and the settings argument for every command.
struct Desk {
    home: Home,
    receiver: Receiver,
    settings: String,
    _metrics: Metrics,
}

impl Desk {
    async fn new(receiver: Receiver) -> Self {
        let home = Home::new();
        let metrics = Metrics::start(Mood::Calm).await;
        let url = receiver.url("/hook");
        let hook = format!("[receivers.hook.webhook]\nurl = \"{url}\"\nallow_private = true\n");
        let settings = home.settings(&metrics.url(), &hook);
        home.experiment(&Idea::default());
        Self { settings: settings.display().to_string(), home, receiver, _metrics: metrics }
    }

    async fn ready() -> Self {
        Self::new(Receiver::start().await).await
    }

    fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let all = [arguments, &["--config", &self.settings]].concat();
        told(&tokio::task::block_in_place(|| run(&all, &[])))
    }

    /// A command that succeeds.
    fn ok(&self, arguments: &[&str]) -> String {
        let (code, out, error) = self.run(arguments);
        assert_eq!(code, 0, "{arguments:?}: {out}{error}");
        out
    }

    /// A command that fails with that code, and what it says.
    fn fails(&self, code: i32, arguments: &[&str]) -> String {
        let (got, out, error) = self.run(arguments);
        assert_eq!(got, code, "{arguments:?}: {out}{error}");
        assert_eq!(out, "", "{arguments:?}: data although it failed");
        error
    }
}

fn told(output: &Output) -> (i32, String, String) {
    let code = output.status.code().unwrap_or(-1);
    (code, text(&output.stdout), text(&output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn eval_judges_by_hand() {
    let desk = Desk::ready().await;
    let (code, out, _) = desk.run(&["eval", "--dry-run", "--json", "--exit-code"]);
    assert_eq!(code, 0, "continue: {out}");
    let document: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(document["schema"], "verdictd/eval/1");
    assert_eq!(document["evaluations"][0]["decision"]["verdict"], "continue");
    assert!(!desk.home.store_path().exists(), "a dry run leaves no store");
    let early = format!("{}T00:00:00Z", day_text(-4));
    let (code, out, error) = desk.run(&["eval", "copy", "--at", &early, "--exit-code"]);
    assert_eq!(code, 75, "collecting: {out}{error}");
    assert!(!desk.home.store_path().exists(), "--at leaves no store");
    assert!(desk.receiver.received().is_empty(), "a dry run sends nothing");

    let first = desk.ok(&["eval", "copy", "--exit-code"]);
    assert!(first.starts_with("CONTINUE"), "{first}");
    let sent = desk.receiver.received();
    assert_eq!(sent.len(), 1, "{sent:?}");
    let again = desk.ok(&["eval"]);
    assert_eq!(again, first, "the slot was judged once");
    assert_eq!(desk.receiver.received().len(), 1);
    let said = desk.fails(2, &["eval", "none"]);
    assert!(said.contains("there are: copy"), "{said}");
    desk.fails(2, &["eval", "--at", "yesterday"]);
}

#[test]
fn power_and_plan_say_what_a_file_needs_before_it_runs() {
    let file = "config/experiments/activation-action-x.yaml";
    let (code, out, error) = told(&run(&["power", file], &[]));
    assert_eq!((code, error.as_str()), (0, ""));
    let flat = out.split_whitespace().collect::<Vec<_>>().join(" ");
    let sentence = "+8.0 pts, your aim, needs about 1,000 per arm for 80 %; at 3,000 a week that \
                    is 3 weeks, in time for your date in 6 weeks";
    assert!(flat.contains(sentence), "{out}");
    assert!(flat.contains("exactly +3.0 pts would pass about half the time at any size"), "{out}");
    let (_, slow, _) = told(&run(&["power", file, "--rate", "400"], &[]));
    let slow = slow.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(slow.contains("at 400 a week that is 8 weeks, and your date is in 6 weeks"), "{slow}");
    let (_, json, _) = told(&run(&["power", file, "--json", "--power", "90%"], &[]));
    let document: Value = serde_json::from_str(&json).unwrap();
    let needed = &document["files"][0]["plan"]["atoms"][1]["needed"];
    assert!((needed.as_f64().unwrap() - 2_522.0).abs() < 10.0, "{needed}");

    let (code, plan, _) = told(&run(&["plan", file], &[]));
    assert_eq!(code, 0);
    for part in ["2026-07-13 00:00  checkpoint", "alpha ledger", "harm activation_14d", "power"] {
        assert!(plan.contains(part), "{part} is not in {plan}");
    }
    for (arguments, words) in [
        (vec!["power", "no-such.yaml"], "no-such.yaml"),
        (vec!["power", file, "--spread", "basket=1"], "no signal of that name"),
        (vec!["power", file, "--power", "1"], "chance between 0 and 1"),
        (vec!["plan", "tests/cases/check/anchors.yaml"], "cannot be read"),
    ] {
        let (code, out, error) = told(&run(&arguments, &[]));
        assert_eq!((code, out.as_str()), (2, ""), "{arguments:?}: {error}");
        assert!(error.contains(words), "{arguments:?}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn explain_status_and_log_read_the_store() {
    let desk = Desk::ready().await;
    for reading in [["status"].as_slice(), &["log"], &["explain", "copy"]] {
        desk.fails(69, reading);
    }
    desk.ok(&["eval"]);
    let newest = desk.ok(&["explain", "copy"]);
    for part in ["rule", "guardrails", "alpha ledger", "started", "finished", "latency"] {
        assert!(newest.contains(part), "{part} in {newest}");
    }
    assert!(newest.starts_with("CONTINUE"), "a look, no guardrail's transition: {newest}");
    let (row, _) = desk.home.store().standing("copy").await.unwrap().unwrap();
    let number = row.number;
    assert_eq!(desk.ok(&["explain", &format!("copy@{number}")]), newest);
    assert_eq!(desk.ok(&["explain", &row.id]), newest, "as messages print it");
    let record: Value = serde_json::from_str(&desk.ok(&["explain", "copy@1", "--json"])).unwrap();
    assert!(record["decision"].is_object(), "{record}");
    for wrong in ["copy@99", "copy@", "copy@one", "none", "@1"] {
        desk.fails(2, &["explain", wrong]);
    }
    let table = desk.ok(&["status"]);
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[0].starts_with("EXPERIMENT  LIFE"), "{table}");
    assert!(lines[1].starts_with("copy ") && lines[1].contains("continue:"), "{table}");
    let document: Value = serde_json::from_str(&desk.ok(&["status", "--json"])).unwrap();
    assert_eq!(document["experiments"][0]["verdict"], "continue");
    let log = desk.ok(&["log", "copy"]);
    assert!(log.contains("copy verdict (verdictd)"), "{log}");
    let document: Value = serde_json::from_str(&desk.ok(&["log", "--json"])).unwrap();
    assert_eq!(document["entries"][0]["experiment"], "copy");
    assert_eq!(desk.ok(&["log", "none"]), "");
    desk.fails(2, &["log", "--limit", "0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn decide_asks_who_may_say_stop() {
    let desk = Desk::ready().await;
    desk.fails(2, &["decide", "copy", "stop", "--because", "x", "--by", "growth-lead"]);
    desk.ok(&["eval"]);
    let decide = |action: &'static str, by: &'static str, because: &'static str| {
        ["decide", "copy", action, "--because", because, "--by", by]
    };
    let refused = desk.fails(2, &decide("stop", "guest", "because I say so"));
    assert!(refused.contains("can_stop") || refused.contains("stop"), "{refused}");
    desk.fails(2, &decide("objects", "guest", " "));
    desk.fails(2, &decide("objects", "", "too few"));
    desk.fails(2, &decide("explode", "guest", "x"));
    desk.fails(2, &["decide", "copy", "stop", "--by", "growth-lead"]);
    let taken = desk.ok(&decide("objects", "guest", "too few"));
    assert!(taken.contains("guest: objects"), "{taken}");
    desk.ok(&decide("stop", "growth-lead", "users wait"));
    let log = desk.ok(&["log", "copy"]);
    assert!(log.contains("copy stop (growth-lead)"), "{log}");
    assert!(log.contains("because users wait"), "{log}");
    assert!(!log.contains("because I say so"), "refused decisions are none: {log}");
    assert!(desk.ok(&["status"]).contains("stopped"));
    desk.fails(2, &decide("stop", "growth-lead", "again"));
}

#[test]
fn test_runs_the_case_folders() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let is_case = |entry: &std::fs::DirEntry| entry.path().join("case.yaml").is_file();
    let count = std::fs::read_dir(&cases).unwrap().flatten().filter(is_case).count();
    let (code, out, error) = told(&run(&["test", cases.to_str().unwrap()], &[]));
    assert_eq!((code, out), (0, format!("{count} passed, 0 failed\n")), "{error}");

    let copy = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(cases.join("both-move-graduates")).unwrap().flatten() {
        std::fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
    }
    let expected = copy.path().join("expected.txt");
    let folder = copy.path().to_str().unwrap();
    let wanted = std::fs::read_to_string(&expected).unwrap();
    std::fs::write(&expected, wanted.replace("continue", "stop")).unwrap();
    let (code, out, error) = told(&run(&["test", folder], &[]));
    assert_eq!((code, out.as_str()), (1, "0 passed, 1 failed\n"));
    assert!(error.contains("FAILED"), "{error}");
    assert_eq!(run(&["test", folder, "--update"], &[]).status.code(), Some(0));
    assert_eq!(std::fs::read_to_string(&expected).unwrap(), wanted);
    let empty = tempfile::tempdir().unwrap();
    assert_eq!(run(&["test", empty.path().to_str().unwrap()], &[]).status.code(), Some(2));
}

#[test]
fn new_writes_a_file_that_check_leads_through() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().to_str().unwrap();
    for template in ["product", "recruiting", "sales", "platform", "support"] {
        let id = format!("my-{template}");
        let arguments = ["new", &id, "--template", template, "--dir", dir];
        let (code, out, error) = told(&run(&arguments, &[]));
        assert_eq!(code, 0, "{error}");
        let file = folder.path().join(format!("{id}.yaml"));
        assert!(out.contains(file.to_str().unwrap()), "{out}");
        let (code, out, _) = told(&run(&["check", file.to_str().unwrap()], &[]));
        assert_eq!(code, 1, "blanks are findings: {out}");
        assert!(out.contains('<') && out.contains(':'), "{out}");
        let before = std::fs::read(&file).unwrap();
        assert_eq!(run(&arguments, &[]).status.code(), Some(2), "never overwrites");
        assert_eq!(std::fs::read(&file).unwrap(), before);
    }
    for id in ["", "Oops", "a/b", "../up", "a b", &"x".repeat(65)] {
        let code = run(&["new", id, "--dir", dir], &[]).status.code();
        assert_eq!(code, Some(2), "{id}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn notify_test_sends_marked_samples() {
    let desk = Desk::ready().await;
    let out = desk.ok(&["notify", "test", "hook"]);
    let received = desk.receiver.received();
    assert_eq!(out.lines().count(), received.len(), "{out}");
    assert!(out.lines().all(|line| line.starts_with("taken")), "{out}");
    let ids: std::collections::BTreeSet<_> =
        received.iter().map(super::fakes::receiver::Received::id).collect();
    assert_eq!(ids.len(), received.len());
    let said = desk.fails(2, &["notify", "test", "none"]);
    assert!(said.contains("hook"), "{said}");
    let refusing = Receiver::with_manner(Arc::new(|_| StatusCode::FORBIDDEN)).await;
    let desk = Desk::new(refusing).await;
    let (code, out, _) = desk.run(&["notify", "test", "hook"]);
    assert_eq!(code, 1, "{out}");
    assert!(out.contains("REFUSED") && out.contains("403"), "{out}");
}

#[test]
fn completions_cover_every_command() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let (code, out, _) = told(&run(&["completions", shell], &[]));
        assert_eq!(code, 0);
        for word in ["serve", "explain", "decide", "notify", "--because"] {
            let word = if shell == "fish" { word.trim_start_matches('-') } else { word };
            assert!(out.contains(word), "{shell} lacks {word}");
        }
    }
    assert_eq!(run(&["completions", "tcsh"], &[]).status.code(), Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_pipe_ends_quietly() {
    let desk = Desk::ready().await;
    desk.ok(&["eval"]);
    let config = ["--config", desk.settings.as_str()];
    for arguments in [
        ["completions", "bash"].as_slice(),
        &["config", "print", config[0], config[1]],
        &["explain", "copy", "--json", config[0], config[1]],
        &["status", config[0], config[1]],
        &["log", config[0], config[1]],
        &["check", config[0], config[1]],
        &["--help"],
    ] {
        let mut child = command();
        child.args(arguments).stdin(Stdio::null());
        let mut child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = tokio::task::block_in_place(|| child.wait_with_output()).unwrap();
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {said}");
        assert_eq!(said, "", "{arguments:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pipes_get_plain_text() {
    let desk = Desk::ready().await;
    desk.ok(&["eval"]);
    desk.home.put("experiments/torn.yaml", "experiment: torn\ntitel: Oops\n");
    let colours = [
        [("TERM", "xterm-256color"), ("COLORTERM", "truecolor")],
        [("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")],
    ];
    for variables in colours {
        for arguments in [
            ["status"].as_slice(),
            &["explain", "copy"],
            &["log"],
            &["check"],
            &["eval", "--dry-run"],
            &["config", "print"],
        ] {
            let all = [arguments, &["--config", &desk.settings]].concat();
            let output = tokio::task::block_in_place(|| run(&all, &variables));
            let both = text(&output.stdout) + &text(&output.stderr);
            assert!(both.len() > 40, "{arguments:?} says something");
            assert!(!both.contains('\u{1b}'), "{arguments:?}: {both}");
        }
        let output = run(&["--help"], &variables);
        assert!(!text(&output.stdout).contains('\u{1b}'));
    }
    let forced = [["status"].as_slice(), &["--config", &desk.settings]].concat();
    let output = run(&forced, &[("CLICOLOR_FORCE", "1")]);
    assert!(text(&output.stdout).contains('\u{1b}'), "colour when it is forced");
}

/// Words nobody means.
fn hostile_words() -> Vec<OsString> {
    let texts = [
        "",
        "-",
        "--",
        "---",
        "-x",
        "--json=maybe",
        "none/..",
        "/dev/null",
        "/dev/zero",
        "/proc/self/mem",
        "%s%n%n",
        "\u{202e}evil",
        "💥",
        "a\nb",
        "\u{1b}[31m",
        "copy@",
        "@",
        "@1",
        "copy@-1",
        "copy@18446744073709551616",
        "' OR 1=1 --",
        "=",
        "a=b",
        "--set",
        "--set==",
        "--set=a",
        "--set=.=1",
        "--set=a.b.c=1",
        "--set=[=1",
        "--set=a[99999999]=1",
        "--set=http.tokens=x",
        "--set=sources.x=1",
        "--set=store.path=/",
        "--config",
        "--config=.",
        "--config=/dev/null",
        "--at=9999-12-31T23:59:59Z",
        "--at=-9999-01-01T00:00:00Z",
        "--limit=1",
        "--limit=99999999999",
        "--because=",
        "--by=",
        "@file",
        "~",
        "$(id)",
        "nul",
        "NaN",
        "-1",
        "1e309",
    ];
    let mut words: Vec<OsString> = texts.iter().map(OsString::from).collect();
    words.push(OsString::from("x".repeat(100_000)));
    words.push(OsString::from_vec(vec![0xff, 0xfe, b'a']));
    words
}

#[tokio::test(flavor = "multi_thread")]
async fn no_argument_makes_it_panic() {
    let desk = Desk::ready().await;
    desk.ok(&["eval"]);
    let commands: [&[&str]; 10] = [
        &["check"],
        &["eval", "--dry-run"],
        &["explain"],
        &["status"],
        &["log"],
        &["decide", "copy"],
        &["config", "print"],
        &["new", "--dir", "/proc/none"],
        &["completions"],
        &["notify", "test"],
    ];
    let words = hostile_words();
    let mut tried = 0;
    for (number, first) in commands.iter().enumerate() {
        for (index, word) in words.iter().enumerate() {
            let mut command = command();
            command.args(*first).arg(word);
            // Every second one with a second word and with settings of its own.
            if (number + index) % 2 == 0 {
                command.arg(&words[(index * 7 + number) % words.len()]);
                command.args(["--config", &desk.settings]);
            }
            command.current_dir(desk.home.path()).stdin(Stdio::null());
            let output = tokio::task::block_in_place(|| command.output()).unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            let code = output.status.code();
            assert!(!said.contains("panicked"), "{first:?} {word:?}: {said}");
            assert!(matches!(code, Some(0 | 1 | 2 | 69)), "{first:?} {word:?}: {code:?} {said}");
            tried += 1;
        }
    }
    assert!(tried > 400, "{tried}");
}

/// A number in `0..bound` from a running state (xorshift).
fn draw(state: &mut u64, bound: usize) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (*state % bound as u64) as usize
}

/// A text with some of its bytes replaced, doubled, cut out or swapped for words of its language.
fn damaged(whole: &[u8], state: &mut u64) -> Vec<u8> {
    let words: [&[u8]; 12] = [
        b": ",
        b"- ",
        b"{",
        b"[",
        b"\"",
        b"&a *a",
        b"\t",
        b"\0",
        b"\xff",
        b"99999999999999999999",
        b"\n  ",
        b"!!binary",
    ];
    let mut bytes = whole.to_vec();
    for _ in 0..=draw(state, 6) {
        let at = draw(state, bytes.len());
        let end = (at + draw(state, 40)).min(bytes.len());
        let word = words[draw(state, words.len())];
        match draw(state, 4) {
            0 => bytes.truncate(at.max(1)),
            1 => drop(bytes.splice(at..end, [])),
            2 => drop(bytes.splice(at..at, word.iter().copied())),
            _ => drop(bytes.splice(at..end, word.iter().copied())),
        }
        if bytes.is_empty() {
            bytes.push(b'x');
        }
    }
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn no_file_makes_it_panic() {
    let desk = Desk::ready().await;
    let whole = std::fs::read(desk.home.experiments().join("copy.yaml")).unwrap();
    let mut state = 0x5eed;
    for number in 0..300 {
        let text = damaged(&whole, &mut state);
        desk.home.put(&format!("experiments/damaged-{number}.yaml"), text);
    }
    let (code, out, error) = desk.run(&["check", "--json"]);
    assert!(matches!(code, 1 | 2), "{code} {error}");
    assert!(!error.contains("panicked"), "{error}");
    let document: Value = serde_json::from_str(&out).unwrap();
    let (files, unread) = (&document["files"], &document["unreadable"]);
    let seen = files.as_array().unwrap().len() + unread.as_array().unwrap().len();
    assert_eq!(seen, 301);
    let (code, _, error) = desk.run(&["eval", "--dry-run"]);
    assert_eq!(code, 0, "{error}");
    assert!(!error.contains("panicked"), "{error}");

    let whole = std::fs::read(desk.home.settings_path()).unwrap();
    for number in 0..60 {
        let name = format!("settings-{number}.toml");
        desk.home.put(&name, damaged(&whole, &mut state));
        let path = desk.home.path().join(&name).display().to_string();
        let output = run(&["config", "print", "--config", &path], &[]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!said.contains("panicked"), "{name}: {said}");
        assert!(matches!(output.status.code(), Some(0 | 2)), "{name}: {said}");
    }
}
