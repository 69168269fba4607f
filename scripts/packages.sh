# shellcheck shell=sh
# shellcheck disable=SC2034 # dev and packages_install use them by composed names
# SPDX-License-Identifier: MIT
#
# packages.sh: lists the Debian and Ubuntu packages that the project needs, and installs them. ./dev
# sources it. Packages are listed nowhere else.

# For the library, the weir command, the examples and ./dev demo.
packages_build='gcc libc6-dev libhwloc-dev libjansson-dev liburing-dev meson ninja-build pkg-config python3'
# For ./dev test: the test framework; g++ to compile the headers as C++; Google Benchmark's
# compare.py, which must be able to read what weir bench writes; what talks to the TCP/IP stack over
# a TAP device.
packages_test='check g++ libbenchmark-tools python3-scipy curl iproute2 iputils-ping nftables'
# For ./dev check: sanitizers and fuzzing (clang), the model checker, emulated aarch64, linters, and
# gdb for the stacks of hanging tests.
packages_check='clang llvm clang-format shellcheck relacy-dev gdb valgrind
	gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user-static'
# For ./dev check numa: the emulator for machines with several memory nodes.
packages_numa='qemu-system-x86'
# For ./dev check soak: the load that runs beside the tests.
packages_soak='stress-ng'
# For ./dev bench: the micro-benchmarks; lwIP, beside which the TCP/IP stack is measured.
packages_bench='libbenchmark-dev g++ liblwip-dev'

# Prints those of the named packages that are not installed.
packages_missing() {
	for p in "$@"; do
		case $(dpkg-query -W -f '${Status}' "$p" 2>/dev/null) in
		*' installed') ;;
		*) printf '%s ' "$p" ;;
		esac
	done
}

# Installs the named packages, through sudo if this user is not root.
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

# Installs the named packages that are missing, and says so. Where that fails, prints the command to
# run as root. Does nothing when all are installed.
packages_ensure() {
	missing=$(packages_missing "$@")
	[ -n "$missing" ] || return 0
	echo "==> installing packages: $missing"
	# shellcheck disable=SC2086 # the list must be split
	packages_apt_get $missing || {
		echo "packages are missing and could not be installed; as root, run:" >&2
		echo "apt-get update && apt-get install --no-install-recommends $missing" >&2
		return 1
	}
}

# Prints the name of the package with clang's sanitizer runtimes, if they are not part of clang
# itself. The name contains clang's version; where clang is not installed yet, apt is asked for it.
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
		echo "==> not a Debian system: make sure that the counterparts of these are installed: $names" >&2
		return 0
	fi
	case " $* " in
	*' check '*) names="$names $(packages_clang_runtime)" ;;
	esac
	# shellcheck disable=SC2086
	packages_ensure $names
}
