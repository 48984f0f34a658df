//! `verdictd serve`: the daemon, until SIGINT or SIGTERM.

use std::sync::Arc;

use clap::Args;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::filter::LevelFilter;

use super::SettingsArgs;
use super::output::{Failure, complain};
use crate::app::App;
use crate::clock::SystemClock;
use crate::settings::{LogFormat, LogLevel, Settings};
use crate::telemetry;

/// Run the daemon
#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    #[command(flatten)]
    settings: SettingsArgs,
    /// Listen here instead of http.listen
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
}

/// Runs until a signal.
pub(super) async fn run(args: ServeArgs) -> Result<u8, Failure> {
    let mut settings = args.settings.settings()?;
    if let Some(listen) = args.listen {
        settings.http.listen = listen;
    }
    start_log(&settings);
    let listener = TcpListener::bind(&settings.http.listen).await.map_err(|error| {
        Failure::usage(format!("cannot listen on {}: {error}", settings.http.listen))
    })?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(anyhow::Error::from)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(anyhow::Error::from)?;
    // From here on a SIGHUP is a reload; before its task listens it must not end the process.
    let _hangup = signal(SignalKind::hangup()).map_err(anyhow::Error::from)?;
    let app = App::start(settings, Arc::new(SystemClock), Some(listener)).await?;
    if let Some(address) = app.address() {
        complain(&format!("verdictd: listening on http://{address}"));
    }
    let failed = tokio::select! {
        _ = interrupt.recv() => false,
        _ = terminate.recv() => false,
        () = app.failed() => true,
    };
    complain("verdictd: stopping; what is in flight is finished");
    app.shutdown().await?;
    if failed { Err(Failure::usage("a task failed; the log says which")) } else { Ok(0) }
}

/// Starts logging as the settings say.
pub(super) fn start_log(settings: &Settings) {
    let level = match settings.log.level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    telemetry::init_log(level, settings.log.format == LogFormat::Json);
}
