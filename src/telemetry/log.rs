//! Logs: a sentence that can be read alone, and fields that can be searched.

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt};

/// Starts logging to standard error; a second call in one process changes nothing.
pub fn init(level: LevelFilter, is_json: bool) {
    // Libraries speak only when something is wrong.
    let targets = Targets::new()
        .with_default(LevelFilter::WARN)
        .with_target("verdictd", level)
        .with_target("judge", level);
    let registry = tracing_subscriber::registry();
    let started = if is_json {
        let layer = fmt::layer().json().with_writer(std::io::stderr).with_filter(targets);
        registry.with(layer).try_init()
    } else {
        let layer = fmt::layer().with_ansi(false).with_writer(std::io::stderr).with_filter(targets);
        registry.with(layer).try_init()
    };
    if started.is_err() {
        tracing::debug!("logging was started before");
    }
}
