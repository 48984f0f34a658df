#!/bin/sh
# N analyses (default 100000) through verdictd analyze, and the same through gbstats, scipy and
# statsmodels, on one core each; prints a table and fails when the engines disagree.
# Needs python3 with venv and a package index. VERDICTD=path skips the build of the program;
# VERDICTD=none leaves the program out: its JSON column is then that of the library, in process.
# BENCH=path is the library's bench, built before (cargo bench -p judge --bench analyze --no-run).
set -eu
cd "$(dirname "$0")/.."
count=${1:-100000}
target=${CARGO_TARGET_DIR:-target}
venv=${VENV:-$target/bench-venv}
if ! "$venv/bin/python" -c 'import gbstats, scipy, statsmodels' 2>/dev/null; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet gbstats==0.8.0 scipy statsmodels
fi
if [ -z "${VERDICTD:-}" ]; then
    cargo build --release --bin verdictd
    VERDICTD=$target/release/verdictd
fi
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
"$venv/bin/python" scripts/bench_analyze.py ask "$count" "$work"
for kind in sequential welch z_test; do
    if [ -n "${BENCH:-}" ]; then
        "$BENCH" "$work/$kind.jsonl" "$work/$kind.answers" > "$work/$kind.library.json"
    else
        cargo bench --quiet -p judge --bench analyze -- "$work/$kind.jsonl" \
            "$work/$kind.answers" > "$work/$kind.library.json"
    fi
done
"$venv/bin/python" scripts/bench_analyze.py run "$count" "$work" "$VERDICTD"
