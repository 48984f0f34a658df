//! `verdictd test`: the format of `tests/cases`, for users' own files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;
use judge::case;

use super::output::{Failure, complain, say};

/// Run case directories
#[derive(Debug, Args)]
pub(super) struct TestArgs {
    /// Case directories, or folders of them
    #[arg(required = true)]
    folders: Vec<PathBuf>,
    /// Write what came out as the new expectation
    #[arg(long)]
    update: bool,
}

/// Exit code 0 when all pass, 1 when one does not, 2 when a case cannot be read.
pub(super) fn run(args: TestArgs) -> Result<u8, Failure> {
    let mut cases = Vec::new();
    for folder in &args.folders {
        find_cases(folder, &mut cases).map_err(anyhow::Error::from)?;
    }
    if cases.is_empty() {
        return Err(Failure::usage("no case.yaml found; docs/guide/testing.md shows the format"));
    }
    let (mut passed, mut failed) = (0_u32, 0_u32);
    for folder in cases {
        match run_case(&folder, args.update)? {
            None => passed += 1,
            Some(difference) => {
                failed += 1;
                complain(&format!("FAILED {}\n{difference}", folder.display()));
            }
        }
    }
    say(&format!("{passed} passed, {failed} failed\n"));
    Ok(u8::from(failed > 0))
}

fn find_cases(folder: &Path, cases: &mut Vec<PathBuf>) -> std::io::Result<()> {
    if folder.join("case.yaml").is_file() {
        cases.push(folder.to_owned());
        return Ok(());
    }
    let mut inside: Vec<PathBuf> =
        std::fs::read_dir(folder)?.flatten().map(|entry| entry.path()).collect();
    inside.sort();
    for path in inside.into_iter().filter(|path| path.is_dir()) {
        find_cases(&path, cases)?;
    }
    Ok(())
}

/// Runs one case; the difference when it does not hold.
fn run_case(folder: &Path, update: bool) -> Result<Option<String>, Failure> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder).map_err(anyhow::Error::from)?.flatten() {
        let path = entry.path();
        if path.is_file() {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let text = crate::portfolio::read_bounded(&path)
                .map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
            files.insert(name, text);
        }
    }
    let got = case::run(&files)
        .map_err(|error| Failure::usage(format!("{}: {error}", folder.display())))?;
    if got.passed() {
        return Ok(None);
    }
    if update {
        std::fs::write(folder.join("expected.txt"), &got.got).map_err(anyhow::Error::from)?;
        return Ok(None);
    }
    Ok(Some(got.difference()))
}
