#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs shellcheck on the shell scripts, or exits with 77 (skipped) if it is not installed.
# bench/peers is left out: it holds other people's programs and the scripts that fetch them.
cd "$(dirname "$0")/.." || exit 1
command -v shellcheck >/dev/null 2>&1 || { echo "shellcheck not found (package shellcheck)"; exit 77; }
find . -path './build*' -prune -o -path ./.git -prune -o -path ./bench/peers -prune -o -name '*.sh' -exec \
	shellcheck -x dev .ci/run {} +
