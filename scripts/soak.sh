#!/bin/sh
# SPDX-License-Identifier: MIT
#
# soak.sh BUILD: runs the tests that take too long for CI, for hours, in a build folder with tests:
#  - long sweeps over the simulated backend, and the cases that need "slow";
#  - under a load on every CPU (stress-ng), the whole suite ten times, and each program that has
#    failed at random before 300 times.
# It stops at the first step that fails.
#
# WEIR_SOAK_RUNS and WEIR_SOAK_REPEATS replace 10 and 300. The last line says what was done; the
# logs are in BUILD/meson-logs.
set -eu
build=$1
runs=${WEIR_SOAK_RUNS:-10}
repeats=${WEIR_SOAK_REPEATS:-300}
flaky='api_policies backends_lease_pool conformance_io_uring_zero-copy=4096_4 core_futex
	core_futex_table core_task_join_set core_fiber_stack core_task core_time topo_hwloc tools_bench_load
	weir_bench'

say() {
	echo "==> soak: $*"
}

# repeat N LOG [MESON TEST OPTION...]: runs the tests N times, and stops at the first failure.
repeat() {
	times=$1
	log=$2
	shift 2
	say "$log: $times times"
	meson test -C "$build" --no-rebuild --print-errorlogs --logbase "testlog-soak-$log" --repeat "$times" \
		--num-processes "$((2 * $(nproc)))" "$@" </dev/null
}

say 'sweeps'
"$build/tests/sim/sweep" 0 4000
"$build/tests/sim/sweep" --multi 0 400
WEIR_TEST_SLOW=1 repeat 1 slow --suite unit

if command -v stress-ng >/dev/null 2>&1; then
	stress-ng --cpu 0 --quiet &
	load=$!
	trap 'kill "$load" 2>/dev/null || true' EXIT
else
	say 'no stress-ng (package stress-ng): the repeated runs have no load beside them'
fi
repeat "$runs" whole
# shellcheck disable=SC2086 # the list must be split
repeat "$repeats" flaky --setup everything $flaky
say "passed: sweeps, slow cases, the whole suite $runs times, each flaky program $repeats times"
