#!/bin/bash
# SPDX-License-Identifier: MIT
# Gets the Debian crate sources the tokio programs need (Debian packages only,
# through apt, unpacked with dpkg -x into a folder; nothing is installed).
#   fetch-crates.sh SUITE DIR        SUITE: trixie (stable), sid (newest)
# The mirror is the one this machine's own apt already uses for Debian.
set -eu
suite=${1:?suite}; dir=${2:?folder}
uri=$(sed -n 's/^URIs: *\([^ ]*\/debian\)\/*$/\1/p; s/^deb \(\[[^]]*\] \)\{0,1\}\([^ ]*\/debian\)\/* .*/\2/p' \
      /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list 2>/dev/null | head -n 1)
[ -n "$uri" ] || { echo "no Debian mirror in this machine's apt sources" >&2; exit 1; }
mkdir -p "$dir"/apt/etc/parts "$dir"/apt/state/lists/partial "$dir"/apt/cache/archives/partial "$dir"/debs "$dir"/unpacked
dir=$(cd "$dir" && pwd)
: > "$dir"/apt/state/status
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $uri $suite main" > "$dir"/apt/etc/sources.list
cat > "$dir"/apt/apt.conf <<C
Dir::Etc::sourcelist "$dir/apt/etc/sources.list";
Dir::Etc::sourceparts "$dir/apt/etc/parts";
Dir::State "$dir/apt/state";
Dir::State::status "$dir/apt/state/status";
Dir::Cache "$dir/apt/cache";
APT::Sandbox::User "root";
Acquire::Languages "none";
C
export APT_CONFIG=$dir/apt/apt.conf
apt-get update -qq
cd "$dir"/debs
for p in tokio mio socket2 libc bytes pin-project-lite parking-lot parking-lot-core \
         lock-api scopeguard smallvec cfg-if log autocfg signal-hook-registry; do
  apt-get download -qq librust-$p-dev
done
# Named by one suite's tokio and not the other's (some only for a cfg we do not set; cargo wants to see them).
for p in socket2-0.5 backtrace addr2line gimli miniz-oxide adler2 adler object memchr rustc-demangle flate2 crc32fast; do
  apt-get download -qq librust-$p-dev 2>/dev/null || true
done
for d in *.deb; do dpkg -x "$d" "$dir"/unpacked; done
ls "$dir"/unpacked/usr/share/cargo/registry
