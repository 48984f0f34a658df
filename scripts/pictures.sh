#!/usr/bin/env bash
# Draws the messages of docs/guide/messages.md into docs/pictures/ from what the program renders.
#
#   scripts/pictures.sh            needs Debian's chromium and python3; VERDICTD=path skips the build
#
# The pages are drawn by scripts/pictures.py from `verdictd notify render` and photographed by a
# browser without a window, in a profile of its own. Look at each picture before you commit it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly folder=docs/pictures
command -v chromium >/dev/null || {
    echo 'pictures: chromium is missing: apt-get install chromium' >&2
    exit 1
}
if [[ -z ${VERDICTD:-} ]]; then
    cargo build --locked --bin verdictd
    VERDICTD=${CARGO_TARGET_DIR:-target}/debug/verdictd
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cat >"$work/verdictd.toml" <<TOML
[daemon]
external_url = "https://verdictd.example.com"
[receivers.slack.slack]
url = { file = "none" }
[receivers.teams.teams]
url = { file = "none" }
[receivers.email.email]
host = "mail.example.com"
from = "verdictd@example.com"
to = ["growth@example.com"]
TOML

browser() {
    chromium --headless --no-sandbox --disable-gpu --disable-quic --no-first-run \
        --disable-background-networking --disable-component-update --disable-sync \
        --user-data-dir="$work/profile" --hide-scrollbars "$@" 2>"$work/browser.log"
}

# picture FORM NAME SCALE TYPE...    (no TYPE: all of them)
picture() {
    local form=$1 name=$2 scale=$3 page="file://$work/page.html" width height
    shift 3
    width=$(python3 scripts/pictures.py "$form" "$work/page.html" "$@" <"$work/$form.jsonl")
    height=$(browser --window-size="$width,1000" --dump-dom "$page" |
        sed -n 's/.*data-height="\([0-9]*\)".*/\1/p')
    browser --window-size="$width,$height" --force-device-scale-factor="$scale" \
        --screenshot="$folder/$name.png" "$page" >/dev/null
    python3 scripts/png_palette.py "$folder/$name.png"
    echo "$folder/$name.png: $(stat -c %s "$folder/$name.png") bytes"
}

for form in slack teams email; do
    "$VERDICTD" notify render "$form" --config "$work/verdictd.toml" >"$work/$form.jsonl"
done

picture slack slack 1 guardrail.tripped experiment.verdict.continue
picture teams teams 1 guardrail.tripped experiment.verdict.change
picture email email 1 experiment.verdict.stop
for form in slack teams email; do
    picture "$form" "$form-all" 0.5
done
