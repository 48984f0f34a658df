//! The real daemon: in process on a manual clock, or as the real binary for crashes.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use super::process::{Server, wait_until};

/// The binary under test.
pub(crate) fn binary() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_verdictd"))
}

/// The binary with a clean environment: the test suite's own variables are not settings.
pub(crate) fn command() -> Command {
    let mut command = Command::new(binary());
    command.env_clear();
    for name in ["PATH", "HOME", "TMPDIR", "LANG"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command
}

/// Runs one command to its end, with nothing on standard input.
pub(crate) fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = command();
    command.args(arguments).envs(variables.iter().copied());
    command.stdin(Stdio::null()).output().unwrap()
}

/// What a command wrote, as text.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// `verdictd serve` as its own process.
#[derive(Debug)]
pub(crate) struct Daemon {
    server: Server,
    log: PathBuf,
}

impl Daemon {
    /// Starts it with a settings file; secrets come from the given variables.
    pub(crate) fn start(settings: &Path, secrets: &[(&str, &str)], log: PathBuf) -> Self {
        let mut command = command();
        command.arg("serve").arg("--config").arg(settings);
        for (name, value) in secrets {
            command.env(name, value);
        }
        let server = Server::start(command, &log);
        Self { server, log }
    }

    /// Waits for the line that says where it listens.
    pub(crate) fn address(&mut self) -> String {
        let mark = "listening on http://";
        wait_until("the daemon to listen", || {
            let text = std::fs::read_to_string(&self.log).unwrap_or_default();
            assert!(self.server.is_running(), "the daemon ended:\n{text}");
            let at = text.find(mark)? + mark.len();
            Some(text.get(at..)?.lines().next()?.trim().to_owned())
        })
    }

    /// SIGHUP: read the files now.
    pub(crate) fn reload(&self) {
        self.server.signal("HUP");
    }

    /// kill -9.
    pub(crate) fn kill(&mut self) {
        self.server.kill();
    }

    /// SIGTERM, and waits for the end.
    pub(crate) fn stop(&mut self) {
        self.server.stop();
    }

    /// What it logged so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}
