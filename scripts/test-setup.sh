#!/usr/bin/env bash
# Installs what the tests need and prints, on stdout, the exports that they read:
#
#   eval "$(scripts/test-setup.sh)"      then e.g.  cargo test --locked --workspace
#
# Everything else goes to stderr. What is already there is used as it is; a variable that is already
# set wins. No server is started here: the tests start theirs (CONTRIBUTING.md, "Test servers").
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf 'setup: %s\n' "$*" >&2; }
die() {
    printf 'setup: error: %s\n' "$*" >&2
    exit 1
}

# --- locating -------------------------------------------------------------------------------

# find_program NAME [PRESET]: the absolute path of a program, or nothing.
find_program() {
    local name=$1 preset=${2:-}
    if [[ -n $preset ]]; then
        [[ -x $preset ]] || die "$preset is not an executable $name"
        echo "$preset"
    else
        command -v "$name" || true
    fi
}

# The newest folder that holds both server programs of PostgreSQL, or nothing. Debian keeps them out
# of PATH, one folder per version.
find_pg_bin() {
    local preset=${VERDICTD_TEST_PG_BIN:-} found='' folder
    if [[ -n $preset ]]; then
        [[ -x $preset/postgres && -x $preset/initdb ]] || die "$preset lacks postgres or initdb"
        echo "$preset"
        return
    fi
    while read -r folder; do
        if [[ -x $folder/postgres && -x $folder/initdb ]]; then
            found=$folder
        fi
    done < <(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V)
    if [[ -z $found ]] && command -v initdb >/dev/null; then
        found=$(dirname "$(command -v initdb)")
    fi
    echo "$found"
}

python_has_venv() { python3 -c 'import ensurepip, venv' 2>/dev/null; }

# --- installing -----------------------------------------------------------------------------

as_root() {
    if ((EUID == 0)); then
        "$@"
    elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
        sudo -n "$@"
    elif command -v sudo >/dev/null && [[ -t 2 ]]; then
        sudo "$@"
    else
        die "not root and no sudo without a password; run this once as root: $*"
    fi
}

missing_packages() {
    if [[ -z $(find_program prometheus "${VERDICTD_TEST_PROMETHEUS:-}") ]] ||
        [[ -z $(find_program promtool "${VERDICTD_TEST_PROMTOOL:-}") ]]; then
        echo prometheus
    fi
    if [[ -z $(find_pg_bin) ]]; then
        echo postgresql
    fi
    if [[ -z ${VERDICTD_TEST_PYTHON:-} ]] && ! python_has_venv; then
        echo python3
        echo python3-venv
    fi
    # npm of Debian brings hundreds of packages: only where there is none.
    if [[ -z $(find_program node "${VERDICTD_TEST_NODE:-}") ]]; then
        echo nodejs
    fi
    if [[ -z ${VERDICTD_TEST_NODE_DIR:-} ]] && ! command -v npm >/dev/null; then
        echo npm
    fi
    # The certificates of the TLS tests.
    if ! command -v openssl >/dev/null; then
        echo openssl
    fi
    # The bundled SQLite and the TLS library are compiled from C.
    if ! command -v cc >/dev/null; then
        echo gcc
        echo libc6-dev
    fi
}

install_packages() {
    local missing
    mapfile -t missing < <(missing_packages)
    if ((${#missing[@]} == 0)); then
        say 'Debian packages: nothing to install'
        return
    fi
    command -v apt-get >/dev/null ||
        die "missing: ${missing[*]}; this is no Debian: install them and set VERDICTD_TEST_*"
    say "Debian packages: installing ${missing[*]}"
    as_root bash scripts/apt-quietly.sh "${missing[@]}" >&2
}

# Makes the virtual environment anew whenever the pinned list or the interpreter has changed, or a
# former run was cut short (the stamp is written last).
python_env() {
    local venv=$1 stamp=$1/.verdictd-stamp want
    want=$(python3 -c 'import sys; print(sys.version, sys.executable)' |
        cat - tests/py/requirements.txt | sha256sum)
    if [[ -x $venv/bin/python && -f $stamp && $(<"$stamp") == "$want" ]]; then
        say "Python environment: $venv is current"
        return
    fi
    say "Python environment: creating $venv"
    rm -rf "$venv"
    python3 -m venv "$venv" >&2
    PIP_ROOT_USER_ACTION=ignore "$venv/bin/python" -m pip install --quiet \
        --disable-pip-version-check --no-input --requirement tests/py/requirements.txt >&2
    printf '%s\n' "$want" >"$stamp"
}

# The packages of tests/js and the schema of Atlassian's documents. The package that carries the
# schema depends on a whole editor: it is fetched alone, and only that file is taken out of it.
readonly adf_package=@atlaskit/adf-schema@57.7.22

node_env() {
    local folder=$1 stamp=$1/.verdictd-stamp want packed
    want=$(cat tests/js/package.json - <<<"$adf_package" | sha256sum)
    if [[ -f $stamp && $(<"$stamp") == "$want" ]]; then
        say "Node packages: $folder is current"
        return
    fi
    say "Node packages: installing into $folder"
    rm -rf "$folder"
    mkdir -p "$folder"
    cp tests/js/package.json "$folder/"
    (
        cd "$folder"
        npm install --no-audit --no-fund --no-package-lock --ignore-scripts --loglevel=error
        packed=$(npm pack --silent --ignore-scripts "$adf_package")
        tar -xzf "$packed" --strip-components=4 package/dist/json-schema/v1/full.json
        mv full.json adf-schema.json
        rm "$packed"
    ) >&2
    printf '%s\n' "$want" >"$stamp"
}

# --- main -----------------------------------------------------------------------------------

main() {
    # A wrong preset ends the script here, before anything is installed in its place.
    find_program prometheus "${VERDICTD_TEST_PROMETHEUS:-}" >/dev/null
    find_program promtool "${VERDICTD_TEST_PROMTOOL:-}" >/dev/null
    find_pg_bin >/dev/null
    find_program node "${VERDICTD_TEST_NODE:-}" >/dev/null
    install_packages
    local prometheus promtool pg_bin python venv node node_dir
    prometheus=$(find_program prometheus "${VERDICTD_TEST_PROMETHEUS:-}")
    promtool=$(find_program promtool "${VERDICTD_TEST_PROMTOOL:-}")
    pg_bin=$(find_pg_bin)
    [[ -n $prometheus && -n $promtool && -n $pg_bin ]] ||
        die 'prometheus, promtool or postgres is still missing after the installation'
    python=${VERDICTD_TEST_PYTHON:-}
    if [[ -z $python ]]; then
        venv=${CARGO_TARGET_DIR:-target}/venv
        python_env "$venv"
        python=$(cd "$venv" && pwd)/bin/python
    fi
    node=$(find_program node "${VERDICTD_TEST_NODE:-}")
    [[ -n $node ]] || die 'node is still missing after the installation'
    node_dir=${VERDICTD_TEST_NODE_DIR:-}
    if [[ -z $node_dir ]]; then
        node_dir=${CARGO_TARGET_DIR:-target}/node
        node_env "$node_dir"
        node_dir=$(cd "$node_dir" && pwd)
    fi
    say "node $("$node" --version)"
    say "$("$prometheus" --version 2>&1 | head -n 1)"
    say "$("$pg_bin/postgres" --version)"
    say "$("$python" --version)"
    printf 'export %s=%q\n' \
        VERDICTD_TEST_PROMETHEUS "$prometheus" VERDICTD_TEST_PROMTOOL "$promtool" \
        VERDICTD_TEST_PG_BIN "$pg_bin" VERDICTD_TEST_PYTHON "$python" \
        VERDICTD_TEST_NODE "$node" VERDICTD_TEST_NODE_DIR "$node_dir"
}

main "$@"
