# shellcheck shell=sh
# shellcheck disable=SC2034 # dev and packages_install use them by composed names
# SPDX-License-Identifier: MIT
#
# packages.sh: what the project needs from Debian or Ubuntu, by package name, and how it gets
# there. The one place where packages are listed. Sourced by ./dev.

# The library, the weir command, the examples, ./dev demo.
packages_build='gcc libc6-dev libhwloc-dev libjansson-dev liburing-dev meson ninja-build pkg-config python3'
# ./dev test: the test framework; g++ for the headers-as-C++ test; Google Benchmark's compare.py,
# which has to read what weir bench writes.
packages_test='check g++ libbenchmark-tools python3-scipy'
# ./dev check: sanitizers and fuzzing (clang), model checker, emulated aarch64, linters, stacks of
# hanging tests (gdb).
packages_check='clang llvm clang-format shellcheck relacy-dev gdb valgrind
	gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user-static'
# ./dev check numa: the machines with several memory nodes.
packages_numa='qemu-system-x86'
# ./dev check soak: the load beside the tests.
packages_soak='stress-ng'
# ./dev bench: micro-benchmarks.
packages_bench='libbenchmark-dev g++'

# Prints those of the named packages that are not installed.
packages_missing() {
	for p in "$@"; do
		case $(dpkg-query -W -f '${Status}' "$p" 2>/dev/null) in
		*' installed') ;;
		*) printf '%s ' "$p" ;;
		esac
	done
}

# Installs the named packages as root, through sudo if need be.
packages_apt_get() {
	become=
	if [ "$(id -u)" -ne 0 ]; then
		become=sudo
		command -v sudo >/dev/null 2>&1 || return 1
	fi
	$become apt-get -q update </dev/null &&
		$become env DEBIAN_FRONTEND=noninteractive \
			apt-get -q -y --no-install-recommends install "$@" </dev/null
}

# Installs those of the named packages that are missing, or prints the whole command that does;
# says what it does, and does nothing when all are there.
packages_ensure() {
	missing=$(packages_missing "$@")
	[ -n "$missing" ] || return 0
	echo "==> installing packages: $missing"
	# shellcheck disable=SC2086 # the list is to be split
	packages_apt_get $missing || {
		echo "packages are missing, and could not be installed; as root, run:" >&2
		echo "apt-get update && apt-get install --no-install-recommends $missing" >&2
		return 1
	}
}

# clang's sanitizer runtimes and headers are in a package named after its version, where they are
# not part of clang itself. Without clang apt knows which version it will be.
packages_clang_runtime() {
	version=$(clang -dumpversion 2>/dev/null | sed 's/\..*//')
	[ -n "$version" ] ||
		version=$(apt-cache depends clang 2>/dev/null | sed -n 's/.*Depends: clang-\([0-9]*\)$/\1/p')
	! apt-cache show "libclang-rt-$version-dev" >/dev/null 2>&1 || echo "libclang-rt-$version-dev"
}

# packages_install GROUP...
packages_install() {
	names=
	for group in "$@"; do
		eval "names=\"\$names \$packages_$group\""
	done
	if ! command -v dpkg-query >/dev/null 2>&1; then
		echo "==> not a Debian system: make sure that these, or their like, are installed: $names" >&2
		return 0
	fi
	case " $* " in
	*' check '*) names="$names $(packages_clang_runtime)" ;;
	esac
	# shellcheck disable=SC2086
	packages_ensure $names
}
