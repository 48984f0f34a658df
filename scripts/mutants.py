#!/usr/bin/env python3
"""Plants faults in the judge and asks whether a story of tests/cases notices each of them.

    scripts/mutants.py                 every mutant of tests/mutants.txt
    scripts/mutants.py --only TEXT     those whose name contains TEXT (may be repeated)
    scripts/mutants.py --list          names and words, nothing is built
    scripts/mutants.py --jobs N        threads that play stories (default: processors)
    scripts/mutants.py --folder DIR    where the copy and its build live (default: a temporary
                                       folder; a kept one is quicker the next time)

The workspace's `judge` is copied, every mutant is written into the copy beside the original
expression as `match planted() { 17 => mutant, _ => original }`, and all of it is compiled once.
Then each mutant is switched on in turn, in its own thread, and the cases are played until one comes
out otherwise than its expected.txt (killed, by that story) or all do not (survived). A panic is a kill:
the daemon would hold with `engine_fault`. Without a mutant every story must hold.

A mutant with a proof that no story can see it is planted too and counted apart: a kill would refute
the proof. Ends with `killed N / planted M`; exit code 1 if one survived, 2 if the list does not fit
the code, a proof is refuted or a mutant does not compile. Standard library only; the list's format is at its head.
"""
import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIST = ROOT / "tests/mutants.txt"
SOURCES = "crates/judge/src"

SWITCH = """

thread_local! {
    static PLANTED: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
}

/// The mutant of this thread.
pub(crate) fn planted() -> u32 {
    PLANTED.get()
}

/// Switches a mutant on in this thread; 0 is none.
pub fn plant(number: u32) {
    PLANTED.set(number);
}
"""

RUNNER = r"""
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Mutex;
use std::time::Instant;

type Case = (String, BTreeMap<String, String>);

fn cases() -> Vec<Case> {
    let root = std::env::var("MUTANTS_CASES").unwrap();
    let mut found = Vec::new();
    for entry in std::fs::read_dir(Path::new(&root)).unwrap() {
        let folder = entry.unwrap().path();
        if !folder.join("case.yaml").is_file() {
            continue;
        }
        let files = std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path());
        let text = |path: std::path::PathBuf| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, std::fs::read_to_string(path).unwrap())
        };
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        found.push((name, files.map(text).collect()));
    }
    found.sort();
    found
}

fn holds(case: &Case) -> bool {
    let played = catch_unwind(AssertUnwindSafe(|| judge::case::run(&case.1)));
    matches!(played, Ok(Ok(result)) if result.passed())
}

#[test]
fn plant_them_all() {
    std::panic::set_hook(Box::new(|_| {}));
    judge::plant(0);
    let mut timed = Vec::new();
    let mut broken = Vec::new();
    for case in cases() {
        let began = Instant::now();
        if !holds(&case) {
            broken.push(case.0.clone());
        }
        timed.push((began.elapsed(), case));
    }
    println!("MUTANT BROKEN {}", broken.join(" "));
    if !broken.is_empty() {
        return;
    }
    // The quickest stories first: most mutants are killed by many.
    timed.sort_by_key(|(elapsed, _)| *elapsed);
    let wanted: Vec<u32> = std::env::var("MUTANTS_RUN").unwrap().split(',')
        .map(|number| number.parse().unwrap()).collect();
    let jobs: usize = std::env::var("MUTANTS_JOBS").unwrap().parse().unwrap();
    let next = AtomicUsize::new(0);
    let out = Mutex::new(());
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                while let Some(number) = wanted.get(next.fetch_add(1, Ordering::Relaxed)) {
                    // A thread of its own: the judge keeps per thread what follows from a file,
                    // and what one mutant made of it must not kill the next.
                    let killer = std::thread::scope(|alone| {
                        let played = alone.spawn(|| {
                            judge::plant(*number);
                            timed.iter().find(|(_, case)| !holds(case))
                        });
                        played.join().unwrap()
                    });
                    let killer = killer.map_or("", |(_, case)| case.0.as_str());
                    let _held = out.lock().unwrap();
                    println!("MUTANT {number} {killer}");
                }
            });
        }
    });
}
"""


class Wrong(Exception):
    """The list does not fit the code."""


@dataclass
class Mutant:
    """`text` holds the expression between the marks; `becomes` replaces that expression."""

    number: int
    name: str
    words: str
    file: str
    text: str
    becomes: str
    proof: str

    def span(self, source):
        """Where the expression stands: (start, end)."""
        before, rest = self.text.split("«")
        expression, after = rest.split("»")
        whole = before + expression + after
        count = source.count(whole)
        if count != 1:
            raise Wrong(f"{self.name}: its text stands {count} times in {self.file}:\n{whole}")
        start = source.index(whole) + len(before)
        return start, start + len(expression)


def read_list():
    """Paragraphs `mutant NAME: WORDS`, `in FILE`, `- text` lines, `+ text` lines."""
    found, file = [], None
    name = words = None
    minus, plus, proof = [], [], []

    def finish():
        nonlocal name, minus, plus, proof
        if name is not None:
            text = "\n".join(minus)
            if text.count("«") != 1 or text.count("»") != 1 or not plus:
                raise Wrong(f"{name}: needs one «expression» and its replacement")
            becomes, why = "\n".join(plus), " ".join(proof)
            found.append(Mutant(len(found) + 1, name, words, file, text, becomes, why))
        name, minus, plus, proof = None, [], [], []

    for line in LIST.read_text().splitlines():
        if line.startswith("in "):
            finish()
            file = line[3:].strip()
        elif line.startswith("mutant "):
            finish()
            name, words = line[7:].split(": ", 1)
        elif line.startswith("- "):
            minus.append(line[2:])
        elif line.startswith("+ "):
            plus.append(line[2:])
        elif line.startswith("= "):
            proof.append(line[2:])
        elif line.strip() and not line.startswith("#"):
            raise Wrong(f"tests/mutants.txt: cannot read `{line}`")
    finish()
    names = [mutant.name for mutant in found]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise Wrong(f"names that stand twice: {sorted(twice)}")
    return found


def planted(source, mutants):
    """The source with every mutant beside its original. Spans may nest, never overlap."""
    spans = {}
    for mutant in mutants:
        spans.setdefault(mutant.span(source), []).append(mutant)
    order = sorted(spans, key=lambda span: (span[0], -span[1]))

    def render(start, end, inner):
        out, at = [], start
        while inner:
            span = inner[0]
            if span[0] < at or span[1] > end:
                names = [mutant.name for mutant in spans[span]]
                raise Wrong(f"{names}: overlaps another expression without lying inside it")
            nested = [other for other in inner[1:] if other[0] < span[1]]
            inner = inner[1 + len(nested):]
            out.append(source[at:span[0]])
            original = render(span[0], span[1], nested)
            arms = "".join(f"{m.number} => {{ {m.becomes} }} " for m in spans[span])
            out.append(f"(match crate::planted() {{ {arms}_ => {{ {original} }} }})")
            at = span[1]
        out.append(source[at:end])
        return "".join(out)

    return render(0, len(source), order)


def write(path, text):
    """Only where it differs: an untouched file need not be compiled again."""
    if not path.exists() or path.read_text() != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def copy(folder, mutants):
    """A workspace of `judge` alone, with the mutants in it."""
    manifest = (ROOT / "Cargo.toml").read_text()
    shared = manifest[manifest.index("[workspace.package]"):manifest.index("[workspace.lints")]
    profile = "\n[profile.dev]\ndebug = false\nincremental = false\nopt-level = 1\n"
    head = '[workspace]\nmembers = ["crates/judge"]\nresolver = "3"\n\n'
    write(folder / "Cargo.toml", head + shared + profile)
    if not (folder / "Cargo.lock").exists():
        shutil.copy(ROOT / "Cargo.lock", folder)
    crate = (ROOT / "crates/judge/Cargo.toml").read_text()
    crate = crate[:crate.index("[dev-dependencies]")].replace("[lints]\nworkspace = true\n", "")
    write(folder / "crates/judge/Cargo.toml", crate)
    by_file = {}
    for mutant in mutants:
        by_file.setdefault(mutant.file, []).append(mutant)
    known = set()
    for path in sorted((ROOT / SOURCES).rglob("*")):
        if not path.is_file():
            continue
        name = path.relative_to(ROOT / SOURCES).as_posix()
        text = path.read_text()
        if name in by_file:
            text = planted(text, by_file.pop(name))
        if name == "lib.rs":
            text = "#![allow(unused_parens, unused_braces, unreachable_code)]\n" + text + SWITCH
        target = folder / SOURCES / name
        write(target, text)
        known.add(target)
    if by_file:
        raise Wrong(f"no such files: {sorted(by_file)}")
    for stale in set((folder / SOURCES).rglob("*.rs")) - known:
        stale.unlink()
    write(folder / "crates/judge/tests/mutants.rs", RUNNER)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", action="append", default=[], metavar="TEXT")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    everything = read_list()
    mutants = [m for m in everything if not options.only or any(t in m.name for t in options.only)]
    if options.list:
        for mutant in mutants:
            print(f"{mutant.name}: {mutant.words} ({mutant.file})")
        return 0
    if not mutants:
        raise Wrong("no mutant has such a name")
    made = None if options.folder else tempfile.mkdtemp(prefix="mutants-")
    try:
        return run(options.folder or Path(made), everything, mutants, options.jobs)
    finally:
        if made:
            shutil.rmtree(made, ignore_errors=True)


def run(folder, everything, mutants, jobs):
    folder = folder.resolve()
    copy(folder, everything)
    settings = dict(
        os.environ,
        CARGO_TARGET_DIR=str(folder / "target"),
        MUTANTS_CASES=str(ROOT / "tests/cases"),
        MUTANTS_RUN=",".join(str(mutant.number) for mutant in mutants),
        MUTANTS_JOBS=str(jobs),
    )
    cargo = ["cargo", "test", "--quiet", "-p", "judge", "--test", "mutants"]
    if subprocess.run([*cargo, "--no-run"], cwd=folder, env=settings).returncode:
        raise Wrong("a mutant does not compile; its `match crate::planted()` is named above")
    by_number = {mutant.number: mutant for mutant in mutants}
    killed, survived, equivalent, refuted = 0, [], [], []
    command = [*cargo, "--", "--nocapture"]
    with subprocess.Popen(
        command, cwd=folder, env=settings, stdout=subprocess.PIPE, text=True
    ) as process:
        for line in process.stdout:
            # libtest writes its own dots on the same lines.
            found = re.search(r"MUTANT (\w+) ?(.*)$", line.rstrip("\n"))
            if not found:
                continue
            number, story = found.groups()
            if number == "BROKEN":
                if story:
                    raise Wrong(f"without a mutant these stories do not hold: {story}")
                continue
            mutant = by_number.pop(int(number))
            if mutant.proof:
                (refuted if story else equivalent).append(mutant)
                print(f"equivalent {mutant.name}: {mutant.proof}", flush=True)
            elif story:
                killed += 1
                print(f"killed    {mutant.name} by {story}", flush=True)
            else:
                survived.append(mutant)
                print(f"SURVIVED  {mutant.name}: {mutant.words} ({mutant.file})", flush=True)
    if by_number:
        raise Wrong(f"not played: {sorted(mutant.name for mutant in by_number.values())}")
    if refuted:
        raise Wrong(f"said to be equivalent and killed: {[mutant.name for mutant in refuted]}")
    for mutant in survived:
        print(f"survivor: {mutant.name}: {mutant.words}")
    counted = len(mutants) - len(equivalent)
    apart = f", {len(equivalent)} more are equivalent" if equivalent else ""
    print(f"killed {killed} / planted {counted}{apart}")
    return 1 if survived else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Wrong as wrong:
        print(f"mutants: {wrong}", file=sys.stderr)
        sys.exit(2)
