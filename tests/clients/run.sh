#!/usr/bin/env bash
# Runs the official clients against a server with the two small models.
#
#     tests/clients/run.sh [PLUMB]
#
# PLUMB is the binary (default: target/release/plumb). The clients are installed
# into a virtual environment of their own under target/; the models must have
# been pulled. Not part of `cargo xtask test`: the installation alone takes
# longer than two minutes.
set -euo pipefail
root="$(cd "$(dirname "$0")/../.." && pwd)"
plumb="$(realpath "${1:-$root/target/release/plumb}")"
venv="$root/target/clients-venv"
if [ ! -x "$venv/bin/python" ]; then
  python3 -m venv "$venv"
fi
"$venv/bin/pip" install -q -r "$root/tests/clients/requirements.txt"

work="$(mktemp -d)"
server=""
cleanup() {
  [ -z "$server" ] || kill "$server" 2>/dev/null || true
  [ -z "$server" ] || wait "$server" 2>/dev/null || true
  rm -rf "$work"
}
trap cleanup EXIT
mkdir "$work/docs"
printf '# Retention\n\nInvoices are kept for ten years after the end of the financial year.\nDrafts are deleted after 30 days.\n' > "$work/docs/retention.md"
printf 'name = "rules"\n[models]\ngenerator = "smollm2-135m-instruct"\n' > "$work/plumb.toml"
cd "$work"
"$plumb" --quiet add docs
"$plumb" serve --json --listen 127.0.0.1:0 > url.json 2> log.jsonl &
server=$!
until [ -s url.json ]; do kill -0 "$server"; sleep 0.1; done
url="$("$venv/bin/python" -c 'import json; print(json.load(open("url.json"))["url"])')"
until curl -sf "$url/ready" > /dev/null; do kill -0 "$server"; sleep 0.2; done
# The fuzzer goes last: nothing else has to bear with it.
export PLUMB_URL="$url" PLUMB="$plumb" PLUMB_TEST_PROJECT="$work"
"$venv/bin/python" -m pytest -q -p no:cacheprovider "$root/tests/clients"
