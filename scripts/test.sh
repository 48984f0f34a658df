#!/usr/bin/env bash
# The README's second command: installs what the tests need, then runs everything.
#
#   scripts/test.sh            all steps, in order; stops at the first failure
#   scripts/test.sh STEP...    only these: verifiers fmt clippy test doc deploy supply-chain
#
# Works as root or with sudo, with or without a terminal. VERDICTD_TEST_* variables that are set
# already win over what would be installed (scripts/test-setup.sh).
#
# What compiles twice, and what does not:
#   - `cargo run -- demo` (the first command) and `cargo test` share profile, flags and features, so
#     the dependencies are compiled for both once. A dev-dependency that asks a shared crate for a
#     feature more would break this: Cargo.toml then names that feature among the normal ones.
#   - clippy and doc need metadata only, which Cargo keeps apart from compiled code: each dependency
#     is checked (no code generation) once for the two of them and compiled once for the tests.
#     Build scripts and procedural macros are shared by all steps.
#   - The workspace's own crates are checked by clippy, compiled as library and as tests, and
#     documented: four passes over our code, none over the dependencies.
# So no step may set RUSTFLAGS, another profile or other features: that would compile all of it
# anew. RUSTDOCFLAGS reaches only rustdoc, and is set only where the documentation is built.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
exec </dev/null

readonly all_steps=(verifiers fmt clippy test doc deploy supply-chain)
current='start'
summary=()
warnings=()

finish() {
    local code=$?
    printf '\n=== summary ===\n'
    if ((${#summary[@]})); then
        printf '%s\n' "${summary[@]}"
    fi
    if ((${#warnings[@]})); then
        printf 'WARNING: %s\n' "${warnings[@]}"
    fi
    if ((code == 0)); then
        echo "all passed in ${SECONDS} s"
    else
        echo "FAILED in step: $current (after ${SECONDS} s)"
    fi
}

# run_step NAME: prints a heading, runs the step's function, notes its wall time. The function is
# called plainly, not in a condition, so that any failing command in it ends the script.
run_step() {
    local started=$SECONDS
    current=$1
    printf '\n=== %s ===\n' "$current"
    "step_${current//-/_}"
    summary+=("$(printf '%-13s %5d s' "$current" $((SECONDS - started)))")
    printf -- '--- %s: ok, %d s\n' "$current" $((SECONDS - started))
}

warn() {
    warnings+=("$1")
    printf 'WARNING: %s\n' "$1" >&2
}

# --- steps ----------------------------------------------------------------------------------

step_setup() {
    if ! command -v cargo >/dev/null && [[ -x $HOME/.cargo/bin/cargo ]]; then
        PATH=$HOME/.cargo/bin:$PATH
    fi
    if ! command -v cargo >/dev/null; then
        echo 'cargo was not found: install Rust first (https://rustup.rs)' >&2
        return 1
    fi
    local exports
    exports=$(bash scripts/test-setup.sh)
    eval "$exports"
    printf '%s\n' "$exports"
}

step_verifiers() { "$VERDICTD_TEST_PYTHON" -B -m unittest discover --start-directory tests/py; }

step_fmt() { cargo fmt --all --check; }

step_clippy() { cargo clippy --locked --workspace --all-targets -- -D warnings; }

step_test() { cargo test --locked --workspace; }

step_doc() {
    RUSTDOCFLAGS=-Dwarnings \
        cargo doc --locked --workspace --no-deps --document-private-items
}

step_deploy() {
    local folder=deploy/prometheus
    "$VERDICTD_TEST_PROMTOOL" check rules "$folder/verdictd.rules.yml"
    "$VERDICTD_TEST_PROMTOOL" test rules "$folder/verdictd.rules.test.yml"
    "$VERDICTD_TEST_PROMTOOL" check config "$folder/scrape.yml"
    if command -v systemd-analyze >/dev/null; then
        check_unit deploy/systemd/verdictd.service
    else
        warn 'systemd-analyze is missing: the systemd unit was not checked'
    fi
}

# The unit names the installed binary, which a build machine does not have: check a copy that runs
# another one. `verify` only warns of a misspelt key and still succeeds, so any word about the unit
# is a failure. The exposure level must stay at 2.0 or below (0 to 10, less is better).
check_unit() {
    local folder said code=0
    folder=$(mktemp -d)
    sed 's|/usr/local/bin/verdictd|/bin/true|' "$1" >"$folder/verdictd.service"
    said=$(systemd-analyze verify --man=no "$folder/verdictd.service" 2>&1) || code=$?
    if ((code != 0)) || [[ $said == *verdictd.service* ]]; then
        printf '%s\n' "$said"
        code=1
    fi
    systemd-analyze security --offline=true --threshold=20 --no-pager \
        "$folder/verdictd.service" | tail -n 1 || code=$?
    rm -rf "$folder"
    return "$code"
}

step_supply_chain() {
    if ! command -v cargo-deny >/dev/null; then
        warn 'cargo-deny is not on PATH: THE SUPPLY CHAIN WAS NOT CHECKED (scripts/supply-chain.sh)'
        return
    fi
    bash scripts/supply-chain.sh 2>&1 | tee "$log"
    local line
    while read -r line; do
        warnings+=("$line")
    done < <(grep -o 'ADVISORIES WERE NOT CHECKED.*' "$log")
}

# --- main -----------------------------------------------------------------------------------

main() {
    local steps=("$@") step
    if ((${#steps[@]} == 0)); then
        steps=("${all_steps[@]}")
    fi
    for step in "${steps[@]}"; do
        if [[ " ${all_steps[*]} " != *" $step "* ]]; then
            echo "unknown step: $step (steps: ${all_steps[*]})" >&2
            exit 2
        fi
    done
    log=$(mktemp)
    readonly log
    trap 'finish; rm -f "$log"' EXIT
    run_step setup
    for step in "${steps[@]}"; do
        run_step "$step"
    done
}

main "$@"
