//! The experiments in force: files read, last good revisions kept, broken files reported.
//!
//! The folder is read by content hash. One broken file never stops the others, and an experiment
//! whose file breaks keeps its last good revision. This room only reads and parses; what a new
//! revision means for a running experiment is decided by `judge::lifecycle`, and written by
//! `tasks::reload`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};

use judge::ids::hash128;
use judge::spec::{self, Context, Diagnostic, Experiment};

/// Largest experiment or query file, in bytes.
const MAX_FILE_BYTES: u64 = 256 * 1024;
/// Most files read from one folder.
const MAX_FILES: usize = 20_000;

/// One experiment as its file says it.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// File name within the folder.
    pub file: String,
    /// The text that was parsed.
    pub text: String,
    /// The experiment.
    pub experiment: Experiment,
    /// Findings and warnings of this revision.
    pub diagnostics: Vec<Diagnostic>,
}

/// A file that was refused.
#[derive(Debug, Clone)]
pub struct Broken {
    /// File name within the folder.
    pub file: String,
    /// Content hash, so that a file is reported once per content.
    pub hash: String,
    /// Rendered diagnostics.
    pub message: String,
}

/// What a scan of the folder found new or changed.
#[derive(Debug, Default)]
pub struct Scan {
    /// New or changed files that parsed.
    pub loaded: Vec<Loaded>,
    /// New or changed files that did not.
    pub broken: Vec<Broken>,
    /// Files that were broken and are gone or good now.
    pub mended: Vec<String>,
}

/// Names the daemon knows, for the diagnostics.
#[derive(Debug, Clone, Default)]
pub struct Names {
    /// Default zone.
    pub timezone: String,
    /// Sources with their kind.
    pub sources: Option<BTreeMap<String, String>>,
    /// Receivers.
    pub receivers: Option<std::collections::BTreeSet<String>>,
    /// Actions.
    pub actions: Option<std::collections::BTreeSet<String>>,
}

impl Names {
    /// The parser's context for files of one folder.
    pub fn context(&self, files: BTreeMap<String, String>) -> Context {
        Context {
            default_timezone: self.timezone.clone(),
            sources: self.sources.clone(),
            receivers: self.receivers.clone(),
            actions: self.actions.clone(),
            files,
        }
    }
}

/// Experiments by id, shared by all tasks.
#[derive(Debug, Default)]
pub struct Portfolio {
    by_id: RwLock<BTreeMap<String, Arc<Loaded>>>,
    seen: RwLock<BTreeMap<String, Seen>>,
}

#[derive(Debug, Clone)]
struct Seen {
    hash: String,
    is_broken: bool,
}

impl Portfolio {
    /// The revision in force.
    pub fn get(&self, id: &str) -> Option<Arc<Loaded>> {
        self.by_id.read().ok()?.get(id).cloned()
    }

    /// All experiments in force, by id.
    pub fn all(&self) -> Vec<Arc<Loaded>> {
        self.by_id
            .read()
            .map(|map| map.values().cloned().collect())
            .unwrap_or_default()
    }

    /// Puts a revision in force.
    pub fn put(&self, loaded: Loaded) {
        if let Ok(mut map) = self.by_id.write() {
            map.insert(loaded.experiment.id.clone(), Arc::new(loaded));
        }
    }

    /// Reads the folder and says what is new; blocking.
    pub fn scan(&self, folder: &Path, names: &Names) -> std::io::Result<Scan> {
        let paths = experiment_files(folder)?;
        let queries = query_files(folder)?;
        let query_hash = hash_of(queries.iter().flat_map(|(name, text)| [name, text]));
        let mut scan = Scan::default();
        let mut present = Vec::new();
        for path in paths {
            let file = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            present.push(file.clone());
            self.scan_file(&path, &file, &queries, &query_hash, names, &mut scan);
        }
        self.forget_missing(&present, &mut scan);
        Ok(scan)
    }

    fn scan_file(
        &self,
        path: &Path,
        file: &str,
        queries: &BTreeMap<String, String>,
        query_hash: &str,
        names: &Names,
        scan: &mut Scan,
    ) {
        let read = read_bounded(path);
        let hash = match &read {
            Ok(text) => hash128(&["file", text, query_hash]),
            Err(error) => hash128(&["unreadable", error]),
        };
        let before = self
            .seen
            .read()
            .ok()
            .and_then(|seen| seen.get(file).cloned());
        if before.as_ref().is_some_and(|seen| seen.hash == hash) {
            return;
        }
        let outcome = read
            .map_err(|error| format!("{file}: {error}"))
            .and_then(|text| parse_file(file, text, names.context(queries.clone())))
            .and_then(|loaded| self.refuse_double(loaded));
        let is_broken = outcome.is_err();
        if before.is_some_and(|seen| seen.is_broken) && !is_broken {
            scan.mended.push(file.to_owned());
        }
        match outcome {
            Ok(loaded) => scan.loaded.push(loaded),
            Err(message) => {
                scan.broken.push(Broken {
                    file: file.to_owned(),
                    hash: hash.clone(),
                    message,
                });
            }
        }
        if let Ok(mut seen) = self.seen.write() {
            seen.insert(file.to_owned(), Seen { hash, is_broken });
        }
    }

    /// Two files may not claim one id: the first keeps it.
    fn refuse_double(&self, loaded: Loaded) -> Result<Loaded, String> {
        match self.get(&loaded.experiment.id) {
            Some(other) if !other.file.is_empty() && other.file != loaded.file => Err(format!(
                "{}: the id `{}` is already used by {}\nhint: one file is one experiment; give \
                 this one an id of its own",
                loaded.file, loaded.experiment.id, other.file
            )),
            _ => {
                self.put(loaded.clone());
                Ok(loaded)
            }
        }
    }

    fn forget_missing(&self, present: &[String], scan: &mut Scan) {
        let Ok(mut seen) = self.seen.write() else {
            return;
        };
        seen.retain(|file, state| {
            let is_here = present.contains(file);
            if !is_here && state.is_broken {
                scan.mended.push(file.clone());
            }
            is_here
        });
    }
}

/// Parses one text; `Err` holds the rendered diagnostics.
pub fn parse_file(file: &str, text: String, context: Context) -> Result<Loaded, String> {
    let parsed = spec::parse(file, &text, &context);
    match parsed.experiment {
        Some(experiment) => Ok(Loaded {
            file: file.to_owned(),
            text,
            experiment,
            diagnostics: parsed.diagnostics,
        }),
        None => Err(spec::render(file, &text, &parsed.diagnostics)),
    }
}

/// Experiment files of a folder (not its subfolders), sorted by name.
pub fn experiment_files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let is_yaml = [".yaml", ".yml", ".json"]
            .iter()
            .any(|ending| name.ends_with(ending));
        let is_other = name.starts_with('.') || name.ends_with(".schema.json");
        if is_yaml && !is_other && path.is_file() && paths.len() < MAX_FILES {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// Texts of the `.sql` files of a folder, by file name.
pub fn query_files(folder: &Path) -> std::io::Result<BTreeMap<String, String>> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "sql")
            && let Ok(text) = read_bounded(&path)
        {
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            files.insert(name, text);
        }
    }
    Ok(files)
}

/// Reads a text file of bounded size.
pub fn read_bounded(path: &Path) -> Result<String, String> {
    let length = std::fs::metadata(path)
        .map_err(|error| error.to_string())?
        .len();
    if length > MAX_FILE_BYTES {
        return Err(format!(
            "{length} bytes; a file may have at most {MAX_FILE_BYTES}"
        ));
    }
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    String::from_utf8(bytes).map_err(|_| "is not UTF-8 text".to_owned())
}

fn hash_of<'a>(parts: impl Iterator<Item = &'a String>) -> String {
    hash128(&parts.map(String::as_str).collect::<Vec<_>>())
}
