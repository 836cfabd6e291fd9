#!/bin/sh
# The load table beside llama.cpp's server, and the soak, one after the other. Let
# nothing else run on the machine.
#
#   bench/serve/run.sh PLUMB PEER_PYTHON OUT_FOLDER [ROUNDS] [SOAK_SECONDS]
#
# PLUMB is the program, PEER_PYTHON a Python with the package xllamacpp, OUT_FOLDER
# gets load.md, load.json, soak.md and soak.json. Three rounds and ten minutes
# without the last two. SmolLM2-135M-Instruct and all-MiniLM-L6-v2 must be pulled.
set -eu
plumb=$1 python=$2 out=$3 rounds=${4:-3} seconds=${5:-600}
here=$(dirname "$0")
status=0
python3 "$here/compare.py" --plumb "$plumb" --peer-python "$python" --out "$out/load" \
    --rounds "$rounds" || status=1
python3 "$here/soak.py" --plumb "$plumb" --out "$out/soak" --seconds "$seconds" || status=1
exit $status
