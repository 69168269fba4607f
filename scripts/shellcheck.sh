#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs shellcheck over every shell script of the project; 77, a skip, where there is none.
cd "$(dirname "$0")/.." || exit 1
command -v shellcheck >/dev/null 2>&1 || { echo "shellcheck not found (package shellcheck)"; exit 77; }
find . -path './build*' -prune -o -path ./.git -prune -o -name '*.sh' -exec \
	shellcheck -x dev .ci/run {} +
