//! `verdictd check`: the same parser and lint as the daemon, for people and for CI.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;
use judge::spec::{self, Context, Diagnostic, Experiment, Severity, SourcePos};
use judge::watch;
use serde_json::json;

use super::SettingsArgs;
use super::output::{Failure, USAGE, say, say_json};
use crate::cycle;
use crate::deliver::actions::{Finding, findings};
use crate::deliver::policy::{People, unreachable_routes};
use crate::deliver::unbuildable;
use crate::portfolio::{self, Names};
use crate::settings::Settings;
use crate::sources;
use crate::store::Store;

/// Check experiment files
#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// Files or folders; default: the folder of the settings
    files: Vec<PathBuf>,
    #[command(flatten)]
    settings: SettingsArgs,
    /// One JSON document instead of text
    #[arg(long)]
    json: bool,
}

/// What was found in one file.
struct Checked {
    file: String,
    text: String,
    /// The experiment, if the file has come to one.
    experiment: Option<Experiment>,
    diagnostics: Vec<Diagnostic>,
}

/// What is odd about the settings themselves.
#[derive(Default)]
struct Odd {
    /// Routes that nothing reaches.
    routes: Vec<String>,
    /// Actions that cannot do what they promise.
    actions: Vec<Finding>,
    /// What the daemon would refuse at its start.
    refused: Vec<String>,
    /// Secrets that this environment does not have; a pipeline rarely has any.
    secrets: Vec<String>,
}

impl Odd {
    fn is_fault(&self) -> bool {
        !self.routes.is_empty()
            || !self.refused.is_empty()
            || self.actions.iter().any(|finding| finding.is_fault)
    }
}

/// Exit code 0 clean, 1 findings, 2 when a file cannot be read.
pub(super) async fn run(args: CheckArgs) -> Result<u8, Failure> {
    // Without --config names of sources and receivers stay unchecked, and the check says so.
    let settings = args.settings.settings()?;
    let names = args.settings.config.as_ref().map(|_| &settings);
    let paths = if args.files.is_empty() {
        vec![settings.daemon.experiments.clone()]
    } else {
        args.files.clone()
    };
    let (mut checked, mut unreadable) = (Vec::new(), Vec::new());
    for (path, read) in expand(&paths)? {
        match check_file(&path, read, names) {
            Ok(file) => checked.push(file),
            Err(message) => unreadable.push(message),
        }
    }
    refuse_doubles(&mut checked);
    if let Some(settings) = names {
        warn_of_proxies(&mut checked, settings).await;
    }
    let odd = names.map(|settings| odd(settings, &checked)).unwrap_or_default();
    if args.json {
        print_json(&checked, &unreadable, &odd);
    } else {
        print_text(&checked, &unreadable, &odd);
    }
    let has_findings = odd.is_fault() || checked.iter().any(|file| !file.diagnostics.is_empty());
    Ok(if unreadable.is_empty() { u8::from(has_findings) } else { USAGE })
}

/// Asks the settings everything that the daemon's start asks them.
fn odd(settings: &Settings, checked: &[Checked]) -> Odd {
    let sources = settings.sources.iter().filter_map(|(name, config)| {
        sources::build(name, config).err().map(|error| format!("sources.{name}: {error}"))
    });
    Odd {
        routes: idle_routes(settings, checked),
        actions: findings(&settings.actions),
        refused: sources.chain(unbuildable(settings)).collect(),
        secrets: settings.missing_secrets(),
    }
}

/// Routes of the settings that no message about these files can reach.
fn idle_routes(settings: &Settings, checked: &[Checked]) -> Vec<String> {
    let Ok(policy) = settings.policy() else { return Vec::new() };
    let people = checked.iter().filter_map(|file| {
        let experiment = file.experiment.as_ref()?;
        Some((experiment.id.clone(), People::of(experiment)))
    });
    unreachable_routes(&policy, &people.collect())
}

/// How a file is read: one that was named is read wherever it is, one of a folder as the daemon
/// reads it.
type Read = fn(&Path) -> Result<String, String>;

fn expand(paths: &[PathBuf]) -> Result<Vec<(PathBuf, Read)>, Failure> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let found = portfolio::experiment_files(path)
                .map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
            if found.is_empty() {
                let hint = "`verdictd new --template product my-test` writes a first one";
                return Err(Failure::usage(format!(
                    "no experiment files in {}; {hint}",
                    path.display()
                )));
            }
            files.extend(found.into_iter().map(|path| (path, portfolio::read_listed as Read)));
        } else {
            files.push((path.clone(), portfolio::read_bounded as Read));
        }
    }
    Ok(files)
}

fn check_file(path: &Path, read: Read, settings: Option<&Settings>) -> Result<Checked, String> {
    let name = path.display().to_string();
    let text = read(path).map_err(|error| format!("{name}: {error}"))?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let queries = portfolio::query_files(folder.unwrap_or(Path::new("."))).unwrap_or_default();
    let parsed = spec::check(&name, &text, &context(settings, queries), None);
    let (experiment, diagnostics) = (parsed.experiment, parsed.diagnostics);
    Ok(Checked { file: name, text, experiment, diagnostics })
}

/// A proxy that did not predict its outcome before, by the finished tests of the store. Without a
/// store there is no history; one that cannot be read is told, and the rest of the check stands.
async fn warn_of_proxies(checked: &mut [Checked], settings: &Settings) {
    if !settings.store.path.exists() {
        return;
    }
    let rows = match Store::open_read_only(&settings.store.path) {
        Ok(store) => cycle::watch::proxies(&store).await.map_err(|error| format!("{error:#}")),
        Err(error) => Err(error.to_string()),
    };
    let rows = match rows {
        Ok(rows) => rows,
        Err(error) => {
            let words = format!("verdictd: proxies were not checked against the store: {error}");
            return super::output::complain(&words);
        }
    };
    for file in checked {
        let experiment = file.experiment.as_ref();
        let found = experiment.map(|experiment| watch::discredited(experiment, &rows));
        for (proxy, sentence) in found.unwrap_or_default() {
            let message = format!("proxy `{proxy}` did not predict its outcome before");
            let hint = "find a proxy that moves before the outcome does, or prove this one anew; \
                        `verdictd status --proxies` shows the history";
            let pos = signal_line(&file.text, &proxy);
            let warning = Diagnostic::new("W0119", pos, message).cause(sentence).hint(hint);
            file.diagnostics.push(warning);
        }
    }
}

/// The line that begins a signal.
fn signal_line(text: &str, name: &str) -> SourcePos {
    let lines = (1..).zip(text.lines()).skip_while(|(_, line)| !line.starts_with("signals:"));
    let is_it =
        |line: &str| line.trim_start().strip_prefix(name).is_some_and(|rest| rest.starts_with(':'));
    let found = lines.skip(1).find(|(_, line)| is_it(line));
    found.map_or(SourcePos::FIRST, |(line, text)| {
        let before = text.chars().take_while(|c| c.is_whitespace()).count();
        let column = u32::try_from(before).unwrap_or(0) + 1;
        let length = u32::try_from(name.chars().count()).unwrap_or(0);
        SourcePos { line, column, end_column: column + length }
    })
}

/// Two files may not claim one id: the daemon keeps the first and refuses the others.
fn refuse_doubles(checked: &mut [Checked]) {
    let mut first: BTreeMap<String, String> = BTreeMap::new();
    for file in checked {
        let Some(id) = file.experiment.as_ref().map(|it| it.id.clone()) else { continue };
        let Some(other) = first.get(&id) else {
            first.insert(id, file.file.clone());
            continue;
        };
        if *other == file.file {
            continue;
        }
        let message = format!("the id `{id}` is already used by {other}");
        let hint = "one file is one experiment; give this one an id of its own";
        file.diagnostics.push(Diagnostic::new("E0410", id_line(&file.text), message).hint(hint));
    }
}

/// The line that names the experiment.
fn id_line(text: &str) -> SourcePos {
    let mut lines = (1..).zip(text.lines());
    let found = lines.find(|(_, line)| line.starts_with("experiment:"));
    found.map_or(SourcePos::FIRST, |(line, text)| SourcePos {
        line,
        column: 1,
        end_column: u32::try_from(text.chars().count()).unwrap_or(0) + 1,
    })
}

/// Reads one file for a command that needs a whole experiment; what is broken is told as `check`
/// tells it. A draft is good enough: what it lacks is not what the command is asked.
pub(super) fn read_experiment(
    path: &Path,
    settings: Option<&Settings>,
) -> Result<Experiment, Failure> {
    let name = path.display().to_string();
    let text = portfolio::read_bounded(path)
        .map_err(|error| Failure::usage(format!("{name}: {error}")))?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let queries = portfolio::query_files(folder.unwrap_or(Path::new("."))).unwrap_or_default();
    let parsed = spec::check(&name, &text, &context(settings, queries), None);
    let diagnostics = &parsed.diagnostics;
    parsed.experiment.ok_or_else(|| {
        let errors: Vec<_> = diagnostics.iter().filter(|one| is_error(one)).cloned().collect();
        Failure::usage(format!("this file cannot be read\n{}", spec::render(&name, &text, &errors)))
    })
}

pub(super) fn context(settings: Option<&Settings>, files: BTreeMap<String, String>) -> Context {
    let names = match settings {
        None => Names { timezone: "UTC".to_owned(), ..Names::default() },
        Some(settings) => Names {
            timezone: settings.daemon.timezone.clone(),
            sources: Some(
                settings
                    .sources
                    .iter()
                    .map(|(name, source)| (name.clone(), source.dialect().to_owned()))
                    .collect(),
            ),
            receivers: Some(settings.receivers.keys().cloned().collect()),
            actions: Some(settings.actions.keys().cloned().collect()),
        },
    };
    names.context(files)
}

fn print_text(checked: &[Checked], unreadable: &[String], odd: &Odd) {
    for file in checked {
        if !file.diagnostics.is_empty() {
            say(&spec::render(&file.file, &file.text, &file.diagnostics));
            say("\n");
        }
    }
    for finding in &odd.actions {
        let word = if finding.is_fault { "warning" } else { "note" };
        say(&format!("{word}: action {}: {}\n", finding.action, finding.words));
    }
    for message in unreadable {
        super::output::complain(&format!("verdictd: {message}"));
    }
    for message in &odd.refused {
        say(&format!("settings: error: {message}\n"));
    }
    for message in &odd.routes {
        say(&format!("settings: warning: {message}\n"));
    }
    for message in &odd.secrets {
        say(&format!("settings: warning: {message}; here at least\n"));
    }
    let errors = count(checked, is_error) + odd.refused.len();
    let warnings = count(checked, |diagnostic| !is_error(diagnostic));
    let warnings = warnings + odd.routes.len() + odd.secrets.len();
    let files = checked.len();
    say(&format!("{files} files checked: {errors} errors, {warnings} warnings\n"));
}

fn is_error(diagnostic: &Diagnostic) -> bool {
    diagnostic.severity == Severity::Error
}

fn count(checked: &[Checked], wanted: impl Fn(&Diagnostic) -> bool) -> usize {
    checked.iter().flat_map(|file| &file.diagnostics).filter(|d| wanted(d)).count()
}

fn print_json(checked: &[Checked], unreadable: &[String], odd: &Odd) {
    let files: Vec<_> = checked
        .iter()
        .map(|file| json!({"file": file.file, "diagnostics": file.diagnostics}))
        .collect();
    let actions: Vec<_> = odd
        .actions
        .iter()
        .map(|it| json!({"action": it.action, "words": it.words, "is_fault": it.is_fault}))
        .collect();
    say_json(&json!({
        "schema": "verdictd/check/1",
        "files": files,
        "actions": actions,
        "unreadable": unreadable,
        "routes": odd.routes,
        "refused": odd.refused,
        "secrets": odd.secrets,
        "errors": count(checked, is_error) + odd.refused.len(),
        "warnings": count(checked, |diagnostic| !is_error(diagnostic)),
    }));
}
