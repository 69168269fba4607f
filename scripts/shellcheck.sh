#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs shellcheck over the shell scripts; 77, a skip, where there is none. bench/peers is other
# people's programs and how to get them.
cd "$(dirname "$0")/.." || exit 1
command -v shellcheck >/dev/null 2>&1 || { echo "shellcheck not found (package shellcheck)"; exit 77; }
find . -path './build*' -prune -o -path ./.git -prune -o -path ./bench/peers -prune -o -name '*.sh' -exec \
	shellcheck -x dev .ci/run {} +
