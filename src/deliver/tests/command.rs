//! Programs that turn a flag off: real processes, their ends, and what they cannot do to us.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::{envelope, secret};
use crate::deliver::ActionConfig;
use crate::deliver::actions::{Asked, Progress, Reached, build_action};

const TRIP: &str = r#"{"action":"off","evaluation":"ev1","experiment":"short","guardrail":"it's"}"#;

fn config(more: &Value) -> ActionConfig {
    let mut table = json!({"armed": true, "argv": ["/bin/true"], "verify_argv": ["/bin/true"]});
    table.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(json!({"command": table})).unwrap()
}

async fn run(more: Value) -> Progress {
    let action = build_action("off", &config(&more), None).unwrap();
    action.attempt(&envelope(TRIP), Asked::No).await
}

fn sh(script: &str) -> Value {
    json!(["/bin/sh", "-c", script])
}

#[tokio::test]
async fn exit_codes_say_how_far_it_got() {
    for (argv, verify, reached, words) in [
        (sh("exit 0"), sh("echo flag is off"), Reached::Confirmed, "says off: flag is off"),
        (sh("exit 0"), sh("echo still on; exit 1"), Reached::Accepted, "says not off: still on"),
        (sh("exit 0"), sh("exit 1"), Reached::Accepted, "says not off"),
        (sh("exit 0"), sh("echo broken >&2; exit 3"), Reached::Accepted, "exit code 3: broken"),
        (sh("exit 0"), json!(["/nonexistent/x"]), Reached::Accepted, "cannot start"),
        (sh("echo no rights >&2; exit 4"), sh("exit 0"), Reached::Requested, "exit code 4: no"),
        (sh("kill -9 $$"), sh("exit 0"), Reached::Requested, "ended by a signal"),
        (json!(["/nonexistent/x"]), sh("exit 0"), Reached::Refused, "cannot start /nonexistent/x"),
        (sh("exit 0"), json!([]), Reached::Blind, "cannot be read back"),
    ] {
        let progress = run(json!({"argv": argv, "verify_argv": verify})).await;
        assert_eq!(progress.reached, reached, "{argv}: {}", progress.detail);
        assert!(progress.detail.contains(words), "{argv}: {}", progress.detail);
        assert!(!progress.detail.ends_with(": "), "{argv}: {:?}", progress.detail);
    }
}

#[tokio::test]
async fn it_sees_the_trip_and_what_is_named_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let key = secret(folder.path(), "key", "s3cret");
    let seen = folder.path().join("seen");
    let script = format!("env | sort > {0}; pwd >> {0}; cat >> {0}", seen.display());
    let more = json!({"argv": ["/bin/sh", "-c", script], "env": {"MODE": "fast"},
        "secret_env": {"KEY": key}, "working_dir": folder.path()});
    assert_eq!(run(more).await.reached, Reached::Confirmed);
    let text = std::fs::read_to_string(seen).unwrap();
    for line in [
        "KEY=s3cret",
        "MODE=fast",
        "VERDICTD_ACTION=off",
        "VERDICTD_EXPERIMENT=short",
        "VERDICTD_GUARDRAIL=it's",
        "VERDICTD_EVALUATION=ev1",
        TRIP,
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    let folder = folder.path().canonicalize().unwrap().display().to_string();
    assert!(text.contains(&folder), "{text}");
    assert!(!text.contains("HOME=") && !text.contains("CARGO"), "{text}");
}

#[tokio::test]
async fn arguments_are_no_shell() {
    let more = json!({"argv": ["/bin/echo", "$(id); `id` > /tmp/x"], "verify_argv":
        ["/bin/echo", "$HOME", "; exit 1"]});
    let progress = run(more).await;
    assert_eq!(progress.reached, Reached::Confirmed);
    assert!(progress.detail.ends_with("$HOME ; exit 1"), "{}", progress.detail);
}

#[tokio::test]
async fn secrets_in_its_output_are_struck_out_and_floods_are_cut() {
    let folder = tempfile::tempdir().unwrap();
    let key = secret(folder.path(), "key", "s3cret");
    let more = json!({"argv": sh("echo \"$KEY: wrong $KEY\"; exit 1"), "secret_env": {"KEY": key}});
    let progress = run(more).await;
    assert_eq!(progress.detail, "exit code 1: ***: wrong ***");
    let flood = "i=0; while [ $i -lt 3000 ]; do echo 0123456789012345678901234567890123456789; \
                 i=$((i+1)); done; exit 1";
    let progress = run(json!({"argv": sh(flood)})).await;
    assert_eq!(progress.reached, Reached::Requested);
    assert!(progress.detail.len() <= 2 * 1024, "{}", progress.detail.len());
}

/// Whether a process still runs (a zombie does not).
fn runs(pid: &str) -> bool {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid.trim()).join("stat"));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

#[tokio::test]
async fn at_the_deadline_its_children_die_too() {
    let folder = tempfile::tempdir().unwrap();
    let pids = folder.path().join("pids");
    let script = format!("sleep 300 & echo $! > {0}; echo $$ >> {0}; wait", pids.display());
    let progress = run(json!({"argv": sh(&script), "timeout_ms": 300})).await;
    assert_eq!((progress.reached, progress.class), (Reached::Requested, "timeout"));
    assert!(progress.detail.contains("was killed"), "{}", progress.detail);
    let pids = std::fs::read_to_string(pids).unwrap();
    assert_eq!(pids.lines().count(), 2, "{pids}");
    // A kill is delivered, not awaited: the system ends them in its own time.
    let gone = async {
        while pids.lines().any(runs) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), gone).await.unwrap();
}

#[tokio::test]
async fn what_it_leaves_behind_does_not_hold_us() {
    let began = std::time::Instant::now();
    let progress = run(json!({"argv": sh("sleep 3 & exit 0"), "timeout_ms": 60_000})).await;
    assert_eq!(progress.reached, Reached::Confirmed, "{}", progress.detail);
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}

#[test]
fn a_wrong_command_is_refused_with_what_to_write() {
    let verify = json!({"url": "https://x", "pointer": "/a", "equals": 1});
    for (more, words) in [
        (json!({"argv": []}), "`argv` is empty"),
        (json!({"argv": ["sh"]}), "`sh` must be an absolute path"),
        (json!({"verify_argv": ["./check"]}), "`verify_argv`: `./check` must be"),
        (json!({"verify": verify}), "exclude each other"),
        (json!({"env": {"A=B": "c"}}), "no name of an environment variable"),
        (json!({"argv": ["/bin/x\0"]}), "zero byte"),
    ] {
        let refused = build_action("off", &config(&more), None).unwrap_err().to_string();
        assert!(refused.contains(words), "{refused}");
    }
}
