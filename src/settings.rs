//! The daemon's settings: built-in defaults < file < environment < flags, through `config`.
//!
//! Unknown keys and unknown `VERDICTD_*` variables are errors; secrets are references by type
//! (`crate::secret`). [`Loaded::print`] shows every value with the layer it came from.

mod gates;
mod heartbeat;
mod policy;
mod ranges;
mod secrets;
mod shown;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use config::{Config, ConfigError, File, FileFormat, Source as _, Value, ValueKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::deliver::{ActionConfig, ReceiverConfig};
use crate::secret::SecretRef;
use crate::sources::SourceConfig;

pub use gates::{GateSettings, GateToken};
pub use heartbeat::{HeartbeatMethod, HeartbeatSettings};
pub use policy::{DigestSettings, NotifySettings, QuietSettings, RouteSettings};

/// The compiled-in defaults, also the reference of all keys.
pub const DEFAULTS: &str = include_str!("../config/default.toml");

/// Variables of the test suite are not settings.
const TEST_PREFIX: &str = "VERDICTD_TEST_";
const PREFIX: &str = "VERDICTD_";

/// All settings.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The daemon itself.
    pub daemon: DaemonSettings,
    /// The embedded store.
    pub store: StoreSettings,
    /// When work is done.
    pub scheduler: SchedulerSettings,
    /// How messages are sent.
    pub delivery: DeliverySettings,
    /// The dead-man's switch.
    pub heartbeat: HeartbeatSettings,
    /// Pages and API.
    pub http: HttpSettings,
    /// What rollouts ask.
    pub gates: GateSettings,
    /// `/metrics`.
    pub metrics: MetricsSettings,
    /// What is watched over time and over the portfolio.
    pub alarms: AlarmSettings,
    /// Logging.
    pub log: LogSettings,
    /// Repeats, links to acknowledge and snooze.
    pub notify: NotifySettings,
    /// Who hears what beside `notify`, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<RouteSettings>,
    /// Hours in which messages wait, by name.
    pub quiet_hours: BTreeMap<String, QuietSettings>,
    /// Messages that stand for many, by name.
    pub digests: BTreeMap<String, DigestSettings>,
    /// Where numbers come from, by name.
    pub sources: BTreeMap<String, SourceConfig>,
    /// Where messages go, by name.
    pub receivers: BTreeMap<String, ReceiverConfig>,
    /// What a trip can do, by name.
    pub actions: BTreeMap<String, ActionConfig>,
}

/// `[daemon]`
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DaemonSettings {
    /// Folder with experiment files.
    pub experiments: PathBuf,
    /// How often it is looked at.
    pub reload_every_secs: u64,
    /// Default zone.
    pub timezone: String,
    /// Address in links.
    pub external_url: String,
    /// Receivers of operational notices.
    pub operators: Vec<String>,
    /// Identities with all rights.
    pub admins: Vec<String>,
}

/// `[store]`
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StoreSettings {
    /// Database file.
    pub path: PathBuf,
    /// Stored periods that nothing needs any more are kept this long; 0 = for ever.
    pub keep_points_days: u32,
    /// Messages that were told or given up are kept this long; 0 = for ever.
    pub keep_messages_days: u32,
}

/// `[scheduler]`
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SchedulerSettings {
    /// Override of the guardrails' rhythm; 0 = none.
    pub guardrail_every_secs: u64,
    /// Stable jitter of guardrail slots.
    pub jitter: bool,
    /// Evaluations at the same time.
    pub concurrency: usize,
    /// Lease of a claimed slot.
    pub lease_secs: u64,
    /// When a failing source is told.
    pub source_down_after_secs: u64,
    /// Periods re-read by incremental fetches.
    pub lookback_periods: u32,
}

/// `[delivery]`
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeliverySettings {
    /// Waits before each attempt.
    pub ladder_ms: Vec<u64>,
    /// Waits of rollback actions; the last repeats.
    pub action_ladder_ms: Vec<u64>,
    /// When an unconfirmed rollback pages a human.
    pub action_escalate_after_secs: u64,
    /// Deadline of one attempt.
    pub timeout_ms: u64,
    /// Lease of a message.
    pub lease_secs: u64,
    /// Sends at the same time.
    pub concurrency: usize,
    /// Expiry of messages.
    pub expire_after_hours: u64,
    /// Expiry of messages to chats.
    pub chat_expire_after_hours: u64,
    /// Open messages of one endpoint.
    pub queue_rows: u64,
    /// Open bytes of one endpoint.
    pub queue_bytes: u64,
    /// Receiver of notices about delivery itself.
    pub fallback: String,
}

/// `[http]`
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpSettings {
    /// Listen address.
    pub listen: String,
    /// Body limit.
    pub max_body_bytes: usize,
    /// Connections at the same time.
    pub max_connections: usize,
    /// Who may write.
    pub tokens: Vec<TokenSettings>,
}

/// One `[[http.tokens]]`.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenSettings {
    /// The identity this token speaks for; compared with `can_stop`.
    pub name: String,
    /// The bearer token.
    #[serde(default)]
    pub token: Option<SecretRef>,
    /// What signs this identity's requests after Standard Webhooks: `whsec_`, or the public key
    /// `whpk_`.
    #[serde(default)]
    pub signing_secret: Option<SecretRef>,
    /// Whether it may do everything.
    #[serde(default)]
    pub admin: bool,
}

/// `[metrics]`
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MetricsSettings {
    /// Experiments with series of their own.
    pub max_experiments: usize,
}

/// `[alarms]`
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AlarmSettings {
    /// How often; 0 = never.
    pub every_secs: u64,
    /// Days of a portfolio cycle; 0 = the calendar month.
    pub portfolio_cycle_days: u32,
    /// Days between audits of a definition.
    pub audit_every_days: u32,
    /// Hours after its date within which a review may be written down.
    pub review_grace_hours: u32,
    /// Hours within which a guardrail must have been evaluated once.
    pub guardrail_grace_hours: u32,
}

/// `[log]`
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogSettings {
    /// Level.
    pub level: LogLevel,
    /// Format.
    pub format: LogFormat,
}

/// How much is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// How it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum LogFormat {
    Text,
    Json,
}

/// Why the settings could not be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// Syntax, type or unknown key, with its file or variable.
    #[error("settings: {0}")]
    Invalid(String),
    /// A file that is not there.
    #[error("settings: cannot read {path}: {cause}")]
    NoFile {
        /// Which.
        path: PathBuf,
        /// The system's word.
        cause: String,
    },
}

/// Settings with the origin of every value.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// What is in force.
    pub settings: Settings,
    /// Dotted key, value, layer.
    origins: Vec<(String, Value, String)>,
}

/// One layer: its name and its flattened values.
struct Layer {
    name: String,
    values: config::Map<String, Value>,
    /// Keys are dotted paths (environment, flags), not sections (texts).
    is_paths: bool,
}

/// Loads all layers. `overrides` are flags: dotted key and value.
pub fn load(
    file: Option<&Path>,
    environment: &[(String, String)],
    overrides: &[(String, String)],
) -> Result<Loaded, SettingsError> {
    let mut layers = vec![text_layer("default", DEFAULTS)?];
    if let Some(path) = file {
        let text = std::fs::read_to_string(path).map_err(|error| SettingsError::NoFile {
            path: path.to_owned(),
            cause: error.to_string(),
        })?;
        layers.push(text_layer(&path.display().to_string(), &text)?);
    }
    layers.push(environment_layer(environment)?);
    layers.push(flag_layer(overrides));
    merge(layers)
}

fn text_layer(name: &str, text: &str) -> Result<Layer, SettingsError> {
    let source = File::from_str(text, FileFormat::Toml);
    let values = source.collect().map_err(|error| invalid(name, &error))?;
    Ok(Layer { name: name.to_owned(), values, is_paths: false })
}

/// `VERDICTD_SECTION__KEY=value` becomes `section.key`; values are read as TOML where they parse.
fn environment_layer(environment: &[(String, String)]) -> Result<Layer, SettingsError> {
    let mut values = config::Map::new();
    for (name, text) in environment {
        if !name.starts_with(PREFIX) || name.starts_with(TEST_PREFIX) {
            continue;
        }
        let Some((section, key)) = name[PREFIX.len()..].split_once("__") else {
            return Err(SettingsError::Invalid(format!(
                "environment variable {name} is not a setting; write VERDICTD_SECTION__KEY"
            )));
        };
        let key = format!("{section}.{}", key.replace("__", ".")).to_lowercase();
        values.insert(key, toml_value(&format!("environment {name}"), text));
    }
    Ok(Layer { name: "environment".to_owned(), values, is_paths: true })
}

fn flag_layer(overrides: &[(String, String)]) -> Layer {
    let entries = overrides
        .iter()
        .map(|(key, text)| (key.clone(), Value::new(Some(&"flag".to_owned()), text.as_str())));
    Layer { name: "flag".to_owned(), values: entries.collect(), is_paths: true }
}

/// A bare word stays text; numbers, booleans, lists and tables are read as TOML.
fn toml_value(origin: &str, text: &str) -> Value {
    let parsed = File::from_str(&format!("value = {text}"), FileFormat::Toml).collect();
    match parsed {
        Ok(mut table) => table.remove("value").unwrap_or_else(|| text.into()),
        Err(_) => Value::new(Some(&origin.to_owned()), text),
    }
}

fn merge(layers: Vec<Layer>) -> Result<Loaded, SettingsError> {
    let mut builder = Config::builder();
    let mut origins: BTreeMap<String, (Value, String)> = BTreeMap::new();
    for layer in &layers {
        for (key, value) in flatten(&layer.values) {
            origins.insert(key, (value, layer.name.clone()));
        }
        if !layer.is_paths {
            builder = builder.add_source(Collected(layer.values.clone()));
            continue;
        }
        for (key, value) in &layer.values {
            check_path(&layer.name, key)?;
            builder = builder
                .set_override(key, value.clone())
                .map_err(|error| invalid(&layer.name, &error))?;
        }
    }
    let merged = builder.build().map_err(|error| invalid("merge", &error))?;
    let settings: Settings = merged.try_deserialize().map_err(|error| {
        let place = blame(&error, &layers);
        invalid(&place, &error)
    })?;
    let mut faults = ranges::faults(&settings);
    for (name, receiver) in &settings.receivers {
        faults.extend(receiver.faults().into_iter().map(|it| format!("receivers.{name}: {it}")));
    }
    if !faults.is_empty() {
        return Err(SettingsError::Invalid(faults.join("\n")));
    }
    let origins = origins.into_iter().map(|(key, (value, layer))| (key, value, layer)).collect();
    Ok(Loaded { settings, origins })
}

/// A dotted path of names. An index would be obeyed by filling the list up to it.
fn check_path(layer: &str, key: &str) -> Result<(), SettingsError> {
    let is_name = |part: &str| {
        let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        !part.is_empty() && part.bytes().all(is_letter)
    };
    if key.split('.').all(is_name) {
        return Ok(());
    }
    Err(SettingsError::Invalid(format!(
        "{layer}: `{key}` is not a key; write section.key in letters, digits, _ and -"
    )))
}

/// Values that were already read.
#[derive(Debug, Clone)]
struct Collected(config::Map<String, Value>);

impl config::Source for Collected {
    fn clone_into_box(&self) -> Box<dyn config::Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<config::Map<String, Value>, ConfigError> {
        Ok(self.0.clone())
    }
}

/// The newest layer that is not the defaults is where a type error came from.
fn blame(_error: &ConfigError, layers: &[Layer]) -> String {
    let changed =
        layers.iter().rev().find(|layer| layer.name != "default" && !layer.values.is_empty());
    changed.map_or_else(|| "default".to_owned(), |layer| layer.name.clone())
}

fn invalid(place: &str, error: &ConfigError) -> SettingsError {
    SettingsError::Invalid(format!("{place}: {error}"))
}

/// Dotted leaf keys of a table.
fn flatten(values: &config::Map<String, Value>) -> Vec<(String, Value)> {
    fn walk(prefix: &str, value: &Value, leaves: &mut Vec<(String, Value)>) {
        match &value.kind {
            ValueKind::Table(table) => {
                for (key, child) in table {
                    walk(&format!("{prefix}.{}", shown::toml_key(key)), child, leaves);
                }
            }
            _ => leaves.push((prefix.to_owned(), value.clone())),
        }
    }
    let mut leaves = Vec::new();
    for (key, value) in values {
        walk(key, value, &mut leaves);
    }
    leaves
}

/// An address with scheme, host and port only.
fn without_path(value: &str) -> String {
    let shown = without_credentials(value);
    let Some((scheme, rest)) = shown.split_once("://") else { return shown };
    match rest.split_once(['/', '?', '#']) {
        Some((host, path)) if !path.is_empty() => format!("{scheme}://{host}/…"),
        _ => shown,
    }
}

/// An address without user, password and query, any of which may be a credential.
pub fn without_credentials(value: &str) -> String {
    let Some((scheme, rest)) = value.split_once("://") else { return value.to_owned() };
    let authority = rest.find(['/', '?', '#', '"']).unwrap_or(rest.len());
    let rest = match rest.get(..authority).and_then(|host| host.rfind('@')) {
        Some(at) => format!("***{}", rest.get(at..).unwrap_or_default()),
        None => rest.to_owned(),
    };
    match rest.split_once('?') {
        Some((path, _)) => format!("{scheme}://{path}?***"),
        None => format!("{scheme}://{rest}"),
    }
}

impl Settings {
    /// The compiled-in defaults alone.
    pub fn defaults() -> Result<Self, SettingsError> {
        Ok(load(None, &[], &[])?.settings)
    }

    /// The address links of messages start with, without a trailing slash.
    pub fn external_url(&self) -> String {
        if self.daemon.external_url.is_empty() {
            format!("http://{}", self.http.listen)
        } else {
            self.daemon.external_url.trim_end_matches('/').to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(key: &str, value: &str) -> (String, String) {
        (key.to_owned(), value.to_owned())
    }

    #[test]
    fn layers_override_in_order_and_origins_say_so() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("verdictd.toml");
        std::fs::write(&file, "[http]\nlisten = \"127.0.0.1:1\"\nmax_body_bytes = 5\n").unwrap();
        let env = [pair("VERDICTD_HTTP__LISTEN", "127.0.0.1:2"), pair("HOME", "/root")];
        let loaded = load(Some(&file), &env, &[]).unwrap();
        assert_eq!(loaded.settings.http.listen, "127.0.0.1:2");
        assert_eq!(loaded.settings.http.max_body_bytes, 5);
        let flags = [pair("http.listen", "127.0.0.1:3")];
        let loaded = load(Some(&file), &env, &flags).unwrap();
        assert_eq!(loaded.settings.http.listen, "127.0.0.1:3");
        let origin = |key: &str| {
            loaded.origins.iter().find(|(name, ..)| name == key).map(|(.., layer)| layer.clone())
        };
        assert_eq!(origin("http.listen").unwrap(), "flag");
        assert_eq!(origin("store.path").unwrap(), "default");
        assert!(origin("http.max_body_bytes").unwrap().ends_with("verdictd.toml"));
        assert!(loaded.print().contains("http.listen = \"127.0.0.1:3\""));
    }

    #[test]
    fn the_default_file_and_the_fields_name_the_same_keys() {
        fn leaves(prefix: &str, value: &serde_json::Value, found: &mut Vec<String>) {
            let Some(table) = value.as_object() else {
                found.push(prefix.to_owned());
                return;
            };
            for (key, value) in table {
                let key = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                leaves(&key, value, found);
            }
        }
        let loaded = load(None, &[], &[]).unwrap();
        let mut fields = Vec::new();
        let settings = serde_json::to_value(&loaded.settings).unwrap();
        leaves("", &settings, &mut fields);
        fields.sort();
        let file: Vec<String> = loaded.origins.iter().map(|(key, ..)| key.clone()).collect();
        assert_eq!(fields, file);
        // Every key has a comment of its own above it: docs/reference/settings.md is made of them.
        let lines: Vec<&str> = DEFAULTS.lines().collect();
        for pair in lines.windows(2).filter(|pair| pair[1].contains(" = ")) {
            let is_told = pair[0].starts_with('#') || pair[1].starts_with('#');
            assert!(is_told, "no comment above {}", pair[1]);
        }
    }

    #[test]
    fn unknown_keys_and_variables_are_errors_that_name_them() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("verdictd.toml");
        std::fs::write(&file, "[http]\nlistn = \"x\"\n").unwrap();
        let error = load(Some(&file), &[], &[]).unwrap_err().to_string();
        assert!(error.contains("listn") && error.contains("verdictd.toml"), "{error}");
        let error = load(None, &[pair("VERDICTD_LISTEN", "x")], &[]).unwrap_err().to_string();
        assert!(error.contains("VERDICTD_LISTEN"), "{error}");
        for key in ["a[4000000000]", "http..listen", "", "http.listen "] {
            let error = load(None, &[], &[pair(key, "1")]).unwrap_err().to_string();
            assert!(error.contains("is not a key"), "{error}");
        }
        let error = load(None, &[pair("VERDICTD_HTTP__NOPE", "1")], &[]).unwrap_err().to_string();
        assert!(error.contains("nope") && error.contains("environment"), "{error}");
    }

    #[test]
    fn credentials_in_addresses_are_not_printed() {
        let shown = without_credentials("https://user:pw@example.com/x?key=k");
        assert_eq!(shown, "https://***@example.com/x?***");
        assert_eq!(without_credentials("http://a.example/p@q"), "http://a.example/p@q");
        assert_eq!(without_credentials("verdictd.db"), "verdictd.db");
        assert_eq!(without_path("https://hooks.example/services/T/B"), "https://hooks.example/…");
        assert_eq!(without_path("https://hooks.example?key=k"), "https://hooks.example/…");
        assert_eq!(without_path("https://jira.example/"), "https://jira.example/");
        assert_eq!(without_path("a, b/c"), "a, b/c");
    }

    #[test]
    fn a_literal_secret_is_refused_without_quoting_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("verdictd.toml");
        let loaded = |token: &str| {
            let text = format!("[[http.tokens]]\nname = \"a\"\ntoken = {token}\n");
            std::fs::write(&file, text).unwrap();
            load(Some(&file), &[], &[])
        };
        for literal in [
            "\"hunter2\"",
            "{literal = \"hunter2\"}",
            "{env = \"A\", file = \"hunter2\"}",
            "{env = [\"hunter2\"]}",
        ] {
            let error = loaded(literal).unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
            assert!(error.contains("{env = ") && error.contains("tokens"), "{error}");
        }
        let token = &loaded("{env = \"A\"}").unwrap().settings.http.tokens[0].token;
        assert_eq!(*token, Some(SecretRef::Env("A".to_owned())));
    }
}
