#!/bin/bash
# SPDX-License-Identifier: MIT
# build.sh SUITE CRATES_DIR OUT_DIR [CPU jobs]: builds the three programs against
# the Debian crate sources that fetch-crates.sh put in CRATES_DIR, offline.
set -eu
suite=$1 crates=$(cd "$2" && pwd) out=$3 jobs=${4:-2}
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$out/src-$suite" "$out/bin"
out=$(cd "$out" && pwd)
cp -r "$here/Cargo.toml" "$here/src" "$out/src-$suite/"
rm -f "$out/src-$suite/Cargo.lock"
cd "$out/src-$suite"
nice cargo build --release --offline -j "$jobs" \
  --config 'source.crates-io.replace-with="debian"' \
  --config "source.debian.directory=\"$crates/unpacked/usr/share/cargo/registry\"" \
  --target-dir "$out/target-$suite" 
for b in echo proxy micro; do cp "$out/target-$suite/release/tokio-$b" "$out/bin/tokio-$b-$suite"; done
v=$(basename "$crates"/unpacked/usr/share/cargo/registry/tokio-[0-9]*)
echo "$v" > "$out/bin/tokio-$suite.version"
echo "built $v"
