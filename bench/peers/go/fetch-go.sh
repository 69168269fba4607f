#!/bin/bash
# SPDX-License-Identifier: MIT
# Gets Debian's Go toolchain of a suite, unpacked into a folder (nothing is installed):
#   fetch-go.sh SUITE DIR      the go command is then DIR/unpacked/usr/lib/go-X.Y/bin/go
# Uses the private apt tree made by ../tokio/fetch-crates.sh SUITE for the same suite:
#   APT_CONFIG names its apt.conf.
set -eu
suite=${1:?suite}; dir=${2:?folder}
: "${APT_CONFIG:?APT_CONFIG must name the apt.conf made by fetch-crates.sh}"
export APT_CONFIG
mkdir -p "$dir/debs" "$dir/unpacked"
go=$(apt-cache depends golang-go | sed -n 's/.*Depends: \(golang-[0-9.]*-go\)$/\1/p' | head -n 1)
cd "$dir/debs"
apt-get download -qq "$go" "${go%-go}-src"
for d in *.deb; do dpkg -x "$d" "$dir/unpacked"; done
"$dir/unpacked/usr/lib/go-$(echo "$go" | sed 's/golang-\(.*\)-go/\1/')/bin/go" version
