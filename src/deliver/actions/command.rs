//! A program on this machine turns the flag off, and another one (or a URL) confirms.
//!
//! Never a shell: `argv` is the program and its arguments as they are, the program by its absolute
//! path. The environment is cleared; it gets what is named, and four facts of the trip
//! (`VERDICTD_ACTION`, `_EXPERIMENT`, `_GUARDRAIL`, `_EVALUATION`); the trip's description comes as
//! JSON on standard input. It runs in a process group of its own, which is killed whole at the
//! deadline. Output is read up to a bound, and secrets that it repeats are struck out. Exit code
//! 0 means accepted; anything else is tried again. It must be safe to run twice.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Client;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::time::{Instant, timeout_at};

use super::verify::{Verify, VerifyConfig};
use super::{Act, ActionKind, Place, no_read_back};
use crate::deliver::exchange::{ANSWER_CAP, cut, misconfigured};
use crate::deliver::receivers::Envelope;
use crate::deliver::{BoxFuture, ErrorClass, SendError, Then};
use crate::secret::{Secret, SecretRef};

/// How long output is waited for after the program itself has ended.
const OUTPUT_GRACE: Duration = Duration::from_millis(250);

/// `[actions.<name>.command]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommandConfig {
    /// Program (absolute path) and arguments; no shell reads them.
    pub argv: Vec<String>,
    /// Where it runs; `/` without it.
    #[serde(default)]
    pub working_dir: Option<PathBuf>,
    /// Its environment, beside the trip's facts; nothing is inherited.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Variables whose values are secrets.
    #[serde(default)]
    pub secret_env: BTreeMap<String, SecretRef>,
    /// Its deadline in milliseconds; `delivery.timeout_ms` without it.
    #[serde(default)]
    pub timeout_ms: Option<u64>,
    /// Program that reads the flag back: exit code 0 is off, 1 is not off, others are unknown.
    #[serde(default)]
    pub verify_argv: Vec<String>,
    /// How soon `verify_argv` runs again, in milliseconds.
    #[serde(default = "default_interval_ms")]
    pub interval_ms: u64,
    /// URL that reads the flag back, instead of a program.
    #[serde(default)]
    pub verify: Option<VerifyConfig>,
}

fn default_interval_ms() -> u64 {
    1_000
}

impl ActionKind for CommandConfig {
    fn act(&self, place: &Place<'_>) -> Result<Arc<dyn Act>, String> {
        absolute("argv", &self.argv)?;
        if !self.verify_argv.is_empty() {
            absolute("verify_argv", &self.verify_argv)?;
        }
        if !self.verify_argv.is_empty() && self.verify.is_some() {
            return Err("`verify_argv` and `verify` exclude each other".to_owned());
        }
        let names = self.env.keys().chain(self.secret_env.keys());
        if let Some(name) = names.into_iter().find(|name| name.is_empty() || name.contains('=')) {
            return Err(format!("`{name}` is no name of an environment variable"));
        }
        let verify = self.verify.as_ref().map(|it| Verify::new(it, place.network)).transpose()?;
        let client = verify.as_ref().map(|_| place.network.client()).transpose()?;
        Ok(Arc::new(Program { config: self.clone(), verify: verify.zip(client) }))
    }

    fn verify_interval_ms(&self) -> u64 {
        self.verify.as_ref().map_or(self.interval_ms, |verify| verify.interval_ms)
    }

    fn target(&self) -> String {
        let program = self.argv.first().map_or("a program", String::as_str);
        format!("what {program} turns off")
    }

    fn reads_back(&self) -> bool {
        self.verify.is_some() || !self.verify_argv.is_empty()
    }
}

fn absolute(key: &str, argv: &[String]) -> Result<(), String> {
    match argv.first() {
        None => Err(format!("`{key}` is empty; write [\"/path/of/program\", \"argument\"]")),
        Some(program) if !Path::new(program).is_absolute() => {
            Err(format!("`{key}`: `{program}` must be an absolute path"))
        }
        Some(_) if argv.iter().any(|text| text.contains('\0')) => {
            Err(format!("`{key}` has a zero byte"))
        }
        Some(_) => Ok(()),
    }
}

#[derive(Debug)]
struct Program {
    config: CommandConfig,
    verify: Option<(Verify, Client)>,
}

/// A program that has ended by itself.
struct Ended {
    /// `None`: by a signal.
    code: Option<i32>,
    /// What it wrote, without secrets.
    output: String,
}

impl Ended {
    /// What it means, and what it wrote about that if it wrote anything.
    fn said(&self, meaning: &str) -> String {
        if self.output.is_empty() {
            meaning.to_owned()
        } else {
            format!("{meaning}: {}", self.output)
        }
    }
}

impl Program {
    async fn turn_off(&self, envelope: &Envelope) -> Result<Option<u16>, SendError> {
        let ended = self.run(&self.config.argv, envelope).await?;
        match ended.code {
            Some(0) => Ok(None),
            Some(code) => Err(failed(ended.said(&format!("exit code {code}")))),
            None => Err(failed(ended.said("ended by a signal"))),
        }
    }

    async fn read(&self, envelope: &Envelope) -> Result<String, SendError> {
        if let Some((verify, client)) = &self.verify {
            return verify.read(verify.request(client), envelope).await;
        }
        if self.config.verify_argv.is_empty() {
            return Err(no_read_back("neither `verify_argv` nor `verify` is set"));
        }
        let ended = self.run(&self.config.verify_argv, envelope).await?;
        let program = &self.config.verify_argv[0];
        match ended.code {
            Some(0) => Ok(ended.said(&format!("{program} says off"))),
            Some(1) => Err(unconfirmed(ended.said(&format!("{program} says not off")))),
            Some(code) => {
                Err(unconfirmed(ended.said(&format!("{program} ended with exit code {code}"))))
            }
            None => Err(unconfirmed(ended.said(&format!("{program} ended by a signal")))),
        }
    }

    async fn run(&self, argv: &[String], envelope: &Envelope) -> Result<Ended, SendError> {
        let own = self.config.timeout_ms.map(Duration::from_millis);
        let deadline = Instant::now() + own.unwrap_or(envelope.timeout);
        let (mut command, secrets) = self.command(argv, envelope)?;
        let mut child = command
            .spawn()
            .map_err(|error| misconfigured(format!("cannot start {}: {error}", argv[0])))?;
        let group = Group::of(&child);
        let input = child.stdin.take();
        let description = envelope.body.clone();
        // A program that reads nothing closes the pipe: that is its right.
        let write = async move {
            if let Some(mut input) = input {
                drop(input.write_all(description.as_bytes()).await);
            }
        };
        let (out, err) = (bounded(child.stdout.take()), bounded(child.stderr.take()));
        let reading = tokio::spawn(async move { tokio::join!(out, err) });
        let writing = tokio::spawn(write);
        let ended = timeout_at(deadline, child.wait()).await;
        writing.abort();
        let Ok(ended) = ended else {
            group.kill();
            drop(child.wait().await);
            reading.abort();
            return Err(SendError {
                then: Then::Retry { after: None },
                class: ErrorClass::Timeout,
                status: None,
                detail: format!("{} did not end within its deadline and was killed", argv[0]),
            });
        };
        let ended = ended.map_err(|error| failed(format!("cannot wait for it: {error}")))?;
        // What it left behind may hold its output open for ever.
        let grace = (Instant::now() + OUTPUT_GRACE).min(deadline.max(Instant::now()));
        let aborter = reading.abort_handle();
        let output = if let Ok(Ok((out, err))) = timeout_at(grace, reading).await {
            format!("{out}{err}")
        } else {
            aborter.abort();
            String::from("(its output did not end)")
        };
        Ok(Ended { code: ended.code(), output: cut(&struck(output.trim(), &secrets)) })
    }

    fn command(
        &self,
        argv: &[String],
        envelope: &Envelope,
    ) -> Result<(Command, Vec<Secret>), SendError> {
        let mut command = Command::new(&argv[0]);
        command
            .args(&argv[1..])
            .current_dir(self.config.working_dir.as_deref().unwrap_or(Path::new("/")))
            .env_clear()
            .envs(facts(&envelope.body))
            .envs(&self.config.env)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        let mut secrets = Vec::new();
        for (name, reference) in &self.config.secret_env {
            let secret = reference.read().map_err(misconfigured)?;
            command.env(name, secret.expose());
            secrets.push(secret);
        }
        Ok((command, secrets))
    }
}

/// The trip's facts as variables, without what a variable cannot hold.
fn facts(body: &str) -> Vec<(String, String)> {
    let said: Value = serde_json::from_str(body).unwrap_or_default();
    let fact = |key: &str| {
        let value = said[key].as_str()?.replace('\0', "");
        Some((format!("VERDICTD_{}", key.to_uppercase()), value))
    };
    ["action", "experiment", "guardrail", "evaluation"].into_iter().filter_map(fact).collect()
}

/// Reads up to the bound, and goes on reading so that the writer is not blocked.
async fn bounded(pipe: Option<impl AsyncRead + Unpin>) -> String {
    let Some(mut pipe) = pipe else {
        return String::new();
    };
    let (mut kept, mut buffer) = (Vec::new(), vec![0; 8 * 1024]);
    while let Ok(read @ 1..) = pipe.read(&mut buffer).await {
        let room = (ANSWER_CAP - kept.len()).min(read);
        kept.extend_from_slice(&buffer[..room]);
    }
    String::from_utf8_lossy(&kept).into_owned()
}

fn struck(text: &str, secrets: &[Secret]) -> String {
    let values = secrets.iter().map(|secret| secret.expose().trim());
    values
        .filter(|value| !value.is_empty())
        .fold(text.to_owned(), |text, value| text.replace(value, "***"))
}

fn failed(detail: String) -> SendError {
    SendError {
        then: Then::Retry { after: None },
        class: ErrorClass::NotAccepted,
        status: None,
        detail: cut(&detail),
    }
}

fn unconfirmed(detail: String) -> SendError {
    SendError { class: ErrorClass::Unconfirmed, ..failed(detail) }
}

/// The process group of a child: killed whole, so that its own children do not outlive it.
#[derive(Debug, Clone, Copy)]
struct Group(Option<rustix::process::Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        Self(id.and_then(rustix::process::Pid::from_raw))
    }

    fn kill(self) {
        if let Some(group) = self.0 {
            // It may have ended in this very moment.
            let killed = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
            if let Err(error) = killed {
                tracing::debug!(%error, "nothing left to kill");
            }
        }
    }
}

impl Act for Program {
    fn ask<'a>(&'a self, envelope: &'a Envelope) -> BoxFuture<'a, Result<Option<u16>, SendError>> {
        Box::pin(self.turn_off(envelope))
    }

    fn read_back<'a>(&'a self, envelope: &'a Envelope) -> BoxFuture<'a, Result<String, SendError>> {
        Box::pin(self.read(envelope))
    }

    fn intent(&self) -> String {
        format!("run {}", self.config.argv.join(" "))
    }
}
