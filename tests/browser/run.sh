#!/usr/bin/env bash
# Drives the web page in Chromium, against a fresh `plumb serve` with the two
# default models, and runs the unit tests of its scripts before.
#
#     tests/browser/run.sh [PLUMB]
#
# PLUMB is the binary (default: target/release/plumb). Needs node 20 with npm,
# Chromium (CHROMIUM names it if it is not found), and the default models pulled;
# GENERATOR names another generator, and with QUOTES=1 none words the answers,
# which is quick.
# What drives the browser is installed under target/. With SHOTS=FOLDER the
# pictures of the guide are written there. Not part of `cargo xtask test`: it
# takes longer than a minute.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
root="$(cd "$here/../.." && pwd)"
plumb="$(realpath "${1:-$root/target/release/plumb}")"
chromium="${CHROMIUM:-$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)}"
if [ -z "$chromium" ]; then
  echo "no Chromium was found: install it, or name it in CHROMIUM" >&2
  exit 2
fi
node --test "$here/unit/"

tools="$root/target/browser"
mkdir -p "$tools"
if ! cmp -s "$here/package.json" "$tools/package.json"; then
  cp "$here/package.json" "$tools/package.json"
  npm install --prefix "$tools" --no-audit --no-fund --no-package-lock --silent
fi
export PLUMB="$plumb" CHROMIUM="$chromium" BROWSER_TOOLS="$tools"
node --test --test-concurrency=1 "$here/page.test.mjs"
