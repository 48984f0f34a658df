//! The files of a replay: revisions by experiment, in the order they were named.
//!
//! The first file of an experiment is there from the beginning; each further one is put into its
//! place when the cycle before has ended and waits for a revision.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use judge::spec::{self, Context, Experiment, Severity};

use crate::portfolio;
use crate::settings::Settings;

/// Why a replay cannot begin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FilesError(pub String);

/// One revision.
#[derive(Debug, Clone)]
pub(super) struct Revision {
    pub(super) text: String,
    pub(super) experiment: Experiment,
}

/// Everything that was named.
#[derive(Debug, Default)]
pub struct Files {
    /// Revisions by experiment, first to last.
    pub(super) revisions: BTreeMap<String, Vec<Revision>>,
    /// SQL files beside them.
    pub(super) queries: BTreeMap<String, String>,
}

impl Files {
    /// Reads files and folders of files. Names of sources must be in the settings; receivers and
    /// actions need not be, since nothing is sent.
    pub fn read(paths: &[PathBuf], settings: &Settings) -> Result<Self, FilesError> {
        let mut files = Self::default();
        for path in paths {
            if path.is_dir() {
                let found =
                    portfolio::experiment_files(path).map_err(|error| told(path, &error))?;
                if found.is_empty() {
                    return Err(told(path, &"no experiment files there"));
                }
                for path in found {
                    files.add(&path, settings)?;
                }
            } else {
                files.add(path, settings)?;
            }
        }
        Ok(files)
    }

    fn add(&mut self, path: &Path, settings: &Settings) -> Result<(), FilesError> {
        let text = portfolio::read_bounded(path).map_err(|error| told(path, &error))?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        let queries = portfolio::query_files(folder).map_err(|error| told(folder, &error))?;
        let dialects = settings.sources.iter();
        let context = Context {
            default_timezone: settings.daemon.timezone.clone(),
            sources: Some(
                dialects.map(|(name, one)| (name.clone(), one.dialect().to_owned())).collect(),
            ),
            receivers: None,
            actions: None,
            // A revision kept in a folder of its own asks the queries of the file before it.
            files: self
                .queries
                .iter()
                .chain(&queries)
                .map(|(k, v)| (k.clone(), v.clone()))
                .collect(),
        };
        let name = path.display().to_string();
        let mut parsed = spec::check(&name, &text, &context, None);
        parsed.diagnostics.retain(|found| found.severity == Severity::Error);
        let Some(experiment) = parsed.experiment.filter(|_| parsed.diagnostics.is_empty()) else {
            let hint = "names of sources come from --config or --set sources.NAME.csv.folder=...";
            let found = spec::render(&name, &text, &parsed.diagnostics);
            return Err(FilesError(format!("the file does not run:\n{found}{hint}")));
        };
        for (name, text) in queries {
            match self.queries.get(&name) {
                Some(other) if *other != text => {
                    let why = format!("another `{name}` lies beside another file");
                    return Err(told(path, &why));
                }
                _ => drop(self.queries.insert(name, text)),
            }
        }
        let revisions = self.revisions.entry(experiment.id.clone()).or_default();
        revisions.push(Revision { text, experiment });
        Ok(())
    }

    /// Every revision.
    pub(super) fn all(&self) -> impl Iterator<Item = &Experiment> {
        self.revisions.values().flatten().map(|revision| &revision.experiment)
    }

    /// Receivers the files name.
    pub(super) fn receivers(&self) -> BTreeSet<String> {
        self.all().flat_map(|experiment| experiment.notify.clone()).collect()
    }

    /// Actions the files name.
    pub(super) fn actions(&self) -> BTreeSet<String> {
        self.all().filter_map(|experiment| experiment.rollback.action.clone()).collect()
    }
}

fn told(path: &Path, why: &impl std::fmt::Display) -> FilesError {
    FilesError(format!("{}: {why}", path.display()))
}
