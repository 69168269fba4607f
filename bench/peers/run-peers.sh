#!/bin/bash
# SPDX-License-Identifier: MIT
# Builds what is missing and runs every peer: run-peers.sh [OUT_DIR] [run-peers.py options]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=$(realpath -m "${1:-$here/out}"); shift || true
make -s -C "$here" OUT="$out" all
cd "$out"
ulimit -n "$(ulimit -Hn)"
exec python3 "$here/run-peers.py" --bin "$out/bin" "$@"
