//! The command line: one file per command; data to standard output, everything else to standard
//! error, plain text when piped, exit codes of `docs/reference/exit-codes.md`.

mod actions;
mod analyze;
mod check;
mod completions;
mod config_print;
mod decide;
mod deliveries;
mod demo;
mod endpoints;
mod eval;
mod explain;
mod gate;
mod log;
mod new;
mod notify;
mod notify_policy;
mod output;
mod plan;
mod power;
mod replay;
mod serve;
mod silence;
mod slo;
mod status;
mod test;
/// Opens the store for reading, beside a running daemon.
fn open_store(settings: &Settings) -> Result<Store, Failure> {
    let path = &settings.store.path;
    if !path.exists() {
        let path = path.display();
        return Err(Failure::unreachable(format!(
            "there is no store at {path} yet; `verdictd serve` makes it, store.path names it"
        )));
    }
    Ok(Store::open_read_only(path)?)
}

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::settings::{self, Loaded, Settings};
use crate::store::Store;
use output::Failure;

/// Makes experiments decide themselves.
#[derive(Debug, Parser)]
#[command(name = "verdictd", version, about, term_width = 80)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// Where the settings come from.
#[derive(Debug, Clone, Default, Args)]
pub struct SettingsArgs {
    /// Settings file (TOML); defaults and VERDICTD_SECTION__KEY variables apply as well
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Override one setting, for example --set http.listen=127.0.0.1:9000
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon
    Serve(serve::ServeArgs),
    /// Check experiment files: every mistake at once, with line, cause and fix
    Check(check::CheckArgs),
    /// Print dates, queries, error rates and sizes that follow from a file
    Plan(plan::PlanArgs),
    /// Say how many units, how much time and what chance a file has
    Power(power::PowerArgs),
    /// Evaluate experiments now, or as of an instant
    Eval(eval::EvalArgs),
    /// Go by a verdict in a pipeline: wait for it, exit with its code, write a summary
    Gate(gate::GateArgs),
    /// Show why an evaluation said what it said
    Explain(explain::ExplainArgs),
    /// List experiments with verdict and reason, worst first
    Status(status::StatusArgs),
    /// Show the decision log
    Log(log::LogArgs),
    /// The statistics engine on summary numbers: JSON lines, or one question
    Analyze(analyze::AnalyzeArgs),
    /// Record a human decision
    Decide(decide::DecideArgs),
    /// Show what an OpenSLO file or the slo guardrails of an experiment file become
    Slo(slo::SloArgs),
    /// Run case directories: an experiment, its numbers, the expected verdicts
    Test(test::TestArgs),
    /// Play experiment files over history: what would have been said, and when
    Replay(replay::ReplayArgs),
    /// Show deliveries with every attempt; send dead ones again
    Deliveries(deliveries::DeliveriesArgs),
    /// Show how receivers do; enable one again
    Endpoints(endpoints::EndpointsArgs),
    /// Work with receivers
    #[command(subcommand)]
    Notify(notify::NotifyCommand),
    /// Work with rollback actions
    #[command(subcommand)]
    Actions(actions::ActionsCommand),
    /// Hold messages back for a while
    #[command(subcommand)]
    Silence(silence::SilenceCommand),
    /// Play the five stories on a fast clock
    Demo(demo::DemoArgs),
    /// Work with settings
    #[command(subcommand)]
    Config(config_print::ConfigCommand),
    /// Write an experiment file from a template
    New(new::NewArgs),
    /// Print shell completions
    Completions(completions::CompletionsArgs),
}

/// Parses the arguments, runs the command, and maps what happened to an exit code.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let outcome = match runtime {
        Ok(runtime) => {
            let outcome = runtime.block_on(run(cli.command));
            // A blocked reader or sender must not keep the process alive.
            runtime.shutdown_timeout(std::time::Duration::from_secs(5));
            outcome
        }
        Err(error) => Err(Failure::from(anyhow::Error::from(error))),
    };
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(failure) => failure.report(),
    }
}

async fn run(command: Command) -> Result<u8, Failure> {
    match command {
        Command::Serve(args) => serve::run(args).await,
        Command::Check(args) => check::run(args).await,
        Command::Plan(args) => plan::run(args),
        Command::Power(args) => power::run(args),
        Command::Eval(args) => eval::run(args).await,
        Command::Gate(args) => gate::run(args).await,
        Command::Explain(args) => explain::run(args).await,
        Command::Status(args) => status::run(args).await,
        Command::Log(args) => log::run(args).await,
        Command::Analyze(args) => analyze::run(args),
        Command::Decide(args) => decide::run(args).await,
        Command::Slo(args) => slo::run(args),
        Command::Test(args) => test::run(args),
        Command::Replay(args) => replay::run(args).await,
        Command::Deliveries(args) => deliveries::run(args).await,
        Command::Endpoints(args) => endpoints::run(args).await,
        Command::Notify(command) => notify::run(command).await,
        Command::Actions(command) => actions::run(command).await,
        Command::Silence(command) => silence::run(command).await,
        Command::Demo(args) => demo::run(args).await,
        Command::Config(command) => config_print::run(command),
        Command::New(args) => new::run(args),
        Command::Completions(args) => Ok(completions::run(args)),
    }
}

impl SettingsArgs {
    /// Loads all layers.
    fn load(&self) -> Result<Loaded, Failure> {
        let mut overrides = Vec::new();
        for text in &self.overrides {
            let Some((key, value)) = text.split_once('=') else {
                return Err(Failure::usage(format!("--set {text}: write KEY=VALUE")));
            };
            overrides.push((key.to_owned(), value.to_owned()));
        }
        let environment: Vec<(String, String)> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        settings::load(self.config.as_deref(), &environment, &overrides)
            .map_err(|error| Failure::usage(error.to_string()))
    }

    /// Loads all layers and keeps what is in force.
    fn settings(&self) -> Result<Settings, Failure> {
        Ok(self.load()?.settings)
    }
}
