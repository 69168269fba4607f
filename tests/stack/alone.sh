#!/bin/sh
# SPDX-License-Identifier: MIT
#
# alone.sh ROOT: checks that stack/ and the example that embeds it compile without the rest of weir, by
# the command in stack/README.md.
set -eu
command=$(sed -n 's/^    \(cc .*\)/\1/p' "$1/stack/README.md")
alone=$(mktemp -d)
trap 'rm -rf "$alone"' EXIT
mkdir "$alone/examples"
cp -R "$1/stack" "$alone"
cp -R "$1/examples/stack" "$alone/examples"
cd "$alone"
eval "$command -Wall -Wextra -Werror -O0"
test -x tap_http
