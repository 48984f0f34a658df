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
    /// Files that are gone since the last scan; what they said stays in force.
    pub gone: Vec<String>,
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

/// A file as it was last read.
#[derive(Debug, Clone)]
struct Seen {
    hash: String,
    is_broken: bool,
    /// The experiment whose last good revision came from this file.
    id: Option<String>,
    /// Refused because another file has the id: looked at again, since that file may go.
    is_double: bool,
}

/// Why a file was refused.
struct Refusal {
    message: String,
    is_double: bool,
}

impl Portfolio {
    /// The revision in force.
    pub fn get(&self, id: &str) -> Option<Arc<Loaded>> {
        self.by_id.read().ok()?.get(id).cloned()
    }

    /// All experiments in force, by id.
    pub fn all(&self) -> Vec<Arc<Loaded>> {
        self.by_id.read().map(|map| map.values().cloned().collect()).unwrap_or_default()
    }

    /// Puts a revision in force.
    pub fn put(&self, loaded: Loaded) {
        if let Ok(mut map) = self.by_id.write() {
            map.insert(loaded.experiment.id.clone(), Arc::new(loaded));
        }
    }

    /// Puts a stored revision back in force at start, before the folder is read: a file that broke
    /// or went while nothing ran changes nothing.
    pub fn restore(&self, loaded: Loaded) {
        self.see(
            &loaded.file,
            Seen {
                hash: String::new(),
                is_broken: false,
                id: Some(loaded.experiment.id.clone()),
                is_double: false,
            },
        );
        self.put(loaded);
    }

    /// Whether the file was refused when it was last read.
    pub fn is_broken(&self, file: &str) -> bool {
        self.seen_file(file).is_some_and(|seen| seen.is_broken)
    }

    /// Lets the next scan read this file as new: what it said could not be registered.
    pub fn forget(&self, file: &str) {
        if let Some(seen) = self.seen_file(file) {
            let hash = String::new();
            self.see(file, Seen { hash, ..seen });
        }
    }

    /// Whether the revision in force of this file is a whole experiment.
    fn was_finished(&self, file: &str) -> bool {
        let id = self.seen_file(file).and_then(|seen| seen.id);
        id.and_then(|id| self.get(&id)).is_some_and(|loaded| !loaded.experiment.unfinished)
    }

    fn seen_file(&self, file: &str) -> Option<Seen> {
        self.seen.read().ok()?.get(file).cloned()
    }

    fn see(&self, file: &str, seen: Seen) {
        if let Ok(mut map) = self.seen.write() {
            map.insert(file.to_owned(), seen);
        }
    }

    /// Reads the folder and says what is new; blocking.
    pub fn scan(&self, folder: &Path, names: &Names) -> std::io::Result<Scan> {
        let paths = experiment_files(folder)?;
        let queries = query_files(folder)?;
        let query_hash = hash_of(queries.iter().flat_map(|(name, text)| [name, text]));
        let mut scan = Scan::default();
        let name_of = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default();
            name.to_string_lossy().into_owned()
        };
        let present: Vec<String> = paths.iter().map(name_of).collect();
        self.forget_missing(&present, &mut scan);
        for (path, file) in paths.iter().zip(&present) {
            self.scan_file(path, file, &queries, &query_hash, names, &mut scan);
        }
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
        let read = read_listed(path);
        let hash = match &read {
            Ok(text) => hash128(&["file", text, query_hash]),
            Err(error) => hash128(&["unreadable", error]),
        };
        let before = self.seen_file(file);
        let is_known = before.as_ref().is_some_and(|seen| seen.hash == hash);
        if is_known && !before.as_ref().is_some_and(|seen| seen.is_double) {
            return;
        }
        let refused = |message| Refusal { message, is_double: false };
        let outcome = read
            .map_err(|error| refused(format!("{file}: {error}")))
            .and_then(|text| {
                let context = names.context(queries.clone());
                parse_file(file, text, context, self.was_finished(file)).map_err(refused)
            })
            .and_then(|loaded| self.refuse_double(loaded));
        let mut seen = Seen {
            hash: hash.clone(),
            is_broken: outcome.is_err(),
            id: before.and_then(|seen| seen.id),
            is_double: false,
        };
        match outcome {
            Ok(loaded) => {
                seen.id = Some(loaded.experiment.id.clone());
                self.put(loaded.clone());
                scan.loaded.push(loaded);
            }
            Err(refusal) => {
                seen.is_double = refusal.is_double;
                if !is_known {
                    scan.broken.push(Broken {
                        file: file.to_owned(),
                        hash,
                        message: refusal.message,
                    });
                }
            }
        }
        self.see(file, seen);
    }

    /// Two files may not claim one id: the first keeps it for as long as it is there.
    fn refuse_double(&self, loaded: Loaded) -> Result<Loaded, Refusal> {
        let id = &loaded.experiment.id;
        let seen = self.seen.read().ok();
        let other = seen.as_ref().and_then(|seen| {
            seen.iter()
                .find(|(file, seen)| **file != loaded.file && seen.id.as_ref() == Some(id))
                .map(|(file, _)| file)
        });
        match other {
            Some(other) => Err(Refusal {
                message: format!(
                    "{}: the id `{id}` is already used by {other}\nhint: one file is one \
                     experiment; give this one an id of its own",
                    loaded.file
                ),
                is_double: true,
            }),
            None => Ok(loaded),
        }
    }

    fn forget_missing(&self, present: &[String], scan: &mut Scan) {
        let Ok(mut seen) = self.seen.write() else {
            return;
        };
        seen.retain(|file, _| {
            let is_here = present.contains(file);
            if !is_here {
                scan.gone.push(file.clone());
            }
            is_here
        });
    }
}

/// Parses one text; `Err` holds the rendered diagnostics. What only lacks something is a draft,
/// unless there is a finished revision to stay with.
fn parse_file(
    file: &str,
    text: String,
    context: Context,
    was_finished: bool,
) -> Result<Loaded, String> {
    let parsed = spec::parse(file, &text, &context);
    let draft = parsed.draft.filter(|_| !was_finished);
    match parsed.experiment.or(draft) {
        Some(experiment) => {
            Ok(Loaded { file: file.to_owned(), text, experiment, diagnostics: parsed.diagnostics })
        }
        None => Err(spec::render(file, &text, &parsed.diagnostics)),
    }
}

/// Experiment files of a folder (not its subfolders), sorted by name.
pub fn experiment_files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let is_yaml = [".yaml", ".yml", ".json"].iter().any(|ending| name.ends_with(ending));
        let is_other = name.starts_with('.') || name.ends_with(".schema.json");
        let is_experiment = is_yaml && !is_other && path.is_file() && !is_openslo(&path);
        if is_experiment && paths.len() < MAX_FILES {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// OpenSLO files lie beside the experiments that name them; what cannot be read is none.
fn is_openslo(path: &Path) -> bool {
    read_listed(path).is_ok_and(|text| spec::is_openslo(&text))
}

/// Texts of the `.sql` and OpenSLO files of a folder, by file name.
pub fn query_files(folder: &Path) -> std::io::Result<BTreeMap<String, String>> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let ending = path.extension().unwrap_or_default().to_string_lossy().into_owned();
        let is_text = path.is_file() && ["sql", "yaml", "yml", "json"].contains(&ending.as_str());
        if let Some(text) = is_text.then(|| read_listed(&path).ok()).flatten()
            && (ending == "sql" || spec::is_openslo(&text))
        {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            files.insert(name, text);
        }
    }
    Ok(files)
}

/// Reads a file that stands in the listing of its folder. A link may lead to another place in the
/// folder (a mounted ConfigMap is made of such), never out of it: whoever may put files there
/// could show anything that the daemon can read.
pub fn read_listed(path: &Path) -> Result<String, String> {
    let real = |path: &Path| path.canonicalize().map_err(|error| error.to_string());
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let (folder, file) = (real(folder.unwrap_or(Path::new(".")))?, real(path)?);
    if !file.starts_with(&folder) {
        return Err("is a link out of the folder; put the file itself there".to_owned());
    }
    read_bounded(&file)
}

/// Reads a text file of bounded size; what has no length of its own (a device) is bounded too.
pub fn read_bounded(path: &Path) -> Result<String, String> {
    use std::io::Read as _;
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(format!("larger than {MAX_FILE_BYTES} bytes, the most a file may have"));
    }
    String::from_utf8(bytes).map_err(|_| "is not UTF-8 text".to_owned())
}

fn hash_of<'a>(parts: impl Iterator<Item = &'a String>) -> String {
    hash128(&parts.map(String::as_str).collect::<Vec<_>>())
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_out_of_the_folder_are_refused_and_show_nothing() {
        let (folder, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let secret = outside.path().join("passwd");
        std::fs::write(&secret, "root:x:0:0:root").unwrap();
        symlink(&secret, folder.path().join("passwd.yaml")).unwrap();
        symlink(&secret, folder.path().join("query.sql")).unwrap();
        // A mounted ConfigMap: files are links into a folder that is itself behind a link.
        let data = folder.path().join("..2026_12_01");
        std::fs::create_dir(&data).unwrap();
        std::fs::write(data.join("a.yaml"), "experiment: a\n").unwrap();
        symlink("..2026_12_01", folder.path().join("..data")).unwrap();
        symlink("..data/a.yaml", folder.path().join("a.yaml")).unwrap();
        let scan = Portfolio::default().scan(folder.path(), &Names::default()).unwrap();
        let told: Vec<&str> = scan.broken.iter().map(|broken| broken.message.as_str()).collect();
        assert!(told[0].starts_with("error[") && told[0].contains("a.yaml"), "{told:?}");
        assert_eq!(told[1], "passwd.yaml: is a link out of the folder; put the file itself there");
        assert!(!told.concat().contains("root:"), "{told:?}");
        assert!(query_files(folder.path()).unwrap().is_empty());
    }
}
