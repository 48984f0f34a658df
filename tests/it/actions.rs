//! `verdictd actions` with the real binary: looking changes nothing, turning off wants the name.

use std::io::Write as _;
use std::path::Path;
use std::process::{Output, Stdio};

use super::fakes::daemon::{command, run, text};
use super::fakes::home::{Home, Idea};

/// An action that makes a file, another that nothing can read back, and one that is pulled.
fn home() -> (Home, String) {
    let home = Home::new();
    let mark = home.path().join("is-off");
    let rest = format!(
        "[actions.kill.command]\nargv = [\"/usr/bin/touch\", \"{0}\"]\n\
         verify_argv = [\"/usr/bin/test\", \"-e\", \"{0}\"]\narmed = true\narmed_by = \"ana\"\n\
         armed_because = \"game day 4\"\n[actions.blind.command]\nargv = [\"/bin/true\"]\n\
         [actions.pulled.flagd.flags.short]\n",
        mark.display()
    );
    let settings = home.settings("http://127.0.0.1:9", &rest);
    (home, settings.display().to_string())
}

fn typed(settings: &str, name: &str) -> Output {
    let mut command = command();
    command.args(["actions", "test", "kill", "--really-off", "--by", "ana", "--config", settings]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(format!("{name}\n").as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn said(output: &Output) -> String {
    text(&output.stdout)
}

#[test]
fn actions_are_listed_with_who_armed_them() {
    let (_home, settings) = home();
    let list = said(&run(&["actions", "list", "--config", &settings], &[]));
    let kill = "kill\n  command, armed by ana, 0 of 10 today, never used\n  turns off what \
                /usr/bin/touch turns off\n  armed because game day 4\n";
    assert!(list.contains(kill), "{list}");
    assert!(list.contains("blind\n  command, not armed"), "{list}");
    assert!(list.contains("cannot be read back: it is never confirmed"), "{list}");
    let json = said(&run(&["actions", "list", "--json", "--config", &settings], &[]));
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["schema"], "verdictd/actions/1");
    assert_eq!(json["actions"][1]["name"], "kill");
}

#[test]
fn a_test_only_looks_and_really_off_wants_the_name() {
    let (home, settings) = home();
    let mark = home.path().join("is-off");
    let test = run(&["actions", "test", "kill", "--config", &settings], &[]);
    assert_eq!(test.status.code(), Some(1), "it is not off");
    let words = said(&test);
    assert!(words.contains("reads      not off") && words.contains("nothing was sent"), "{words}");
    assert!(words.contains("would send run /usr/bin/touch"), "{words}");
    let wrong = typed(&settings, "kil");
    assert_eq!(wrong.status.code(), Some(2));
    assert!(!Path::new(&mark).exists(), "nothing was sent");
    let right = typed(&settings, "kill");
    let words = said(&right);
    assert_eq!(right.status.code(), Some(0), "{words}");
    for step in ["requested ", "accepted ", "confirmed "] {
        assert!(words.contains(step), "{words}");
    }
    assert!(mark.exists());
    let log = said(&run(&["log", "--config", &settings], &[]));
    assert!(log.contains("ana: turned off what /usr/bin/touch turns off"), "{log}");
    let again = run(&["actions", "test", "kill", "--config", &settings], &[]);
    assert_eq!(again.status.code(), Some(0), "now it is off");
}

#[test]
fn only_pulled_flags_that_are_off_can_be_released() {
    let (_home, settings) = home();
    let release = |name: &str| {
        run(
            &["actions", "release", name, "--by", "a", "--because", "b", "--config", &settings],
            &[],
        )
    };
    let kill = release("kill");
    assert!(text(&kill.stderr).contains("is not pulled from here"), "{kill:?}");
    let pulled = release("pulled");
    assert!(text(&pulled.stderr).contains("are not off"), "{pulled:?}");
    assert_eq!((kill.status.code(), pulled.status.code()), (Some(2), Some(2)));
}

#[test]
fn a_check_says_which_action_cannot_be_read_back() {
    let (home, settings) = home();
    home.experiment(&Idea::default());
    let check = run(&["check", "--config", &settings], &[]);
    let words = said(&check);
    assert_eq!(check.status.code(), Some(1), "{words}");
    assert!(words.contains("warning: action blind: nothing can read the flag back"), "{words}");
    assert!(!words.contains("action kill"), "{words}");
}
