#!/bin/sh
# SPDX-License-Identifier: MIT
#
# run.sh: builds and runs the models of the lock-free headers, as one TAP stream.
#
#	tests/model/run.sh [C++ compiler] [subject...]
#
# Each subject is compiled once; its binary holds the right version, which must
# pass, and the mutants, which must fail (model.h). Two subjects at a time.
set -u

cxx=${1:-c++}
[ $# -gt 0 ] && shift
here=$(cd "$(dirname "$0")" && pwd)
root=$here/../..
subjects=${*:-"task_state ring idle watch parkword inbox mailbox inject oneshot outside guard mpsc"}

if ! echo '#include <relacy/relacy.hpp>' | $cxx -std=c++11 -w -E -x c++ - >/dev/null 2>&1; then
	echo "1..0 # SKIP relacy-dev is not installed"
	exit 0
fi

tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' INT TERM

# Relacy defines the name $ and wants no fortified setjmp.
check()
{
	if $cxx -std=c++11 -O2 -w -U_FORTIFY_SOURCE -I"$root/include" -I"$root" -I"$here" \
		"$here/$1.cpp" -o "$tmp/$1" 2>"$tmp/$1.err"; then
		"$tmp/$1" >"$tmp/$1.tap" 2>>"$tmp/$1.err"
	else
		echo "1..0" >"$tmp/$1.tap"
	fi
	planned=$(sed -n 's/^1\.\.//p' "$tmp/$1.tap")
	[ "${planned:-0}" -gt 0 ] && [ "$planned" -eq "$(grep -c 'ok [0-9]' "$tmp/$1.tap")" ] ||
		echo "not ok - $1: does not compile, or ended early" >>"$tmp/$1.tap"
}

one=
for s in $subjects; do
	check "$s" &
	if [ -n "$one" ]; then
		wait "$one"	# the older of the two
	fi
	one=$!
done
wait

n=0
failed=0
for s in $subjects; do
	while read -r line; do
		case $line in
		"ok "* | "not ok "*)
			n=$((n + 1))
			text=${line#*- }
			case $line in
			ok*) echo "ok $n - $text" ;;
			*) echo "not ok $n - $text"; failed=1 ;;
			esac ;;
		esac
	done <"$tmp/$s.tap"
	sed 's/^/# /' "$tmp/$s.err"
done
echo "1..$n"
exit $failed
