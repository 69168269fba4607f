#!/bin/sh
# SPDX-License-Identifier: MIT
#
# packages_advice.sh ROOT: without root and without sudo, ./dev prints one command that installs
# all that is missing, and who has run it is not asked again. On a machine of stubs: dpkg-query
# knows the packages that apt-get has put into a file.
set -eu
cd "$1"
machine=$(mktemp -d)
trap 'rm -rf "$machine"' EXIT

stub() {
	printf '#!%s\n%s\n' "$(command -v sh)" "$2" >"$machine/$1"
	chmod +x "$machine/$1"
}
stub id 'echo 1000'
stub apt-cache 'case "$*" in "depends clang") echo "  Depends: clang-14" ;; esac'
stub apt-get "for p in \"\$@\"; do echo \"\$p\" >>'$machine/installed'; done"
stub dpkg-query "for p in \"\$@\"; do :; done
while read -r line; do [ \"\$line\" != \"\$p\" ] || echo 'install ok installed'; done <'$machine/installed'"
ln -s "$(command -v sed)" "$machine/sed"
: >"$machine/installed"

ask() {
	PATH=$machine "$(command -v sh)" -c '. scripts/packages.sh; packages_install build test check' 2>&1
}
fail() {
	echo "$1:" >&2
	echo "$said" >&2
	exit 1
}

said=$(ask) && fail 'without packages it is content'
command=$(echo "$said" | grep '^apt-get ') || fail 'no command is printed'
[ "$(echo "$command" | wc -l)" -eq 1 ] || fail 'not one command'
(
	# shellcheck disable=SC2123 # nothing but the stubs
	PATH=$machine
	eval "$command"
)
said=$(ask) || fail 'after its own advice it asks again'
[ -z "$said" ] || fail 'all is there, and it says something'
