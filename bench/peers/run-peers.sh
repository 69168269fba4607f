#!/bin/bash
# SPDX-License-Identifier: MIT
# Builds what is missing and runs every peer: run-peers.sh [OUT_DIR] [run-peers.py options]
set -eu
case ${1:-} in
-h | --help)
	sed -n '3s/^# //p' "$0"
	echo 'OUT_DIR is out/ beside it, unless given. The options:'
	exec python3 "$(dirname "$0")/run-peers.py" --help
	;;
esac
here=$(cd "$(dirname "$0")" && pwd)
out=$(realpath -m "${1:-$here/out}"); shift || true
make -s -C "$here" OUT="$out" all
cd "$out"
ulimit -n "$(ulimit -Hn)"
exec python3 "$here/run-peers.py" --bin "$out/bin" "$@"
