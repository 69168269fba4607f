#!/bin/sh
# SPDX-License-Identifier: MIT
#
# soak.sh BUILD: what takes too long for CI, on a build with tests: long sweeps over the simulated
# backend, the cases that need "slow"; and beside a load that takes every CPU (stress-ng) the whole
# suite ten times, and each program that was once red by chance 300 times. Hours. It ends at the
# first step that fails.
#
# WEIR_SOAK_RUNS and WEIR_SOAK_REPEATS take the places of 10 and 300. What was done is said at the
# end; the logs are in BUILD/meson-logs.
set -eu
build=$1
runs=${WEIR_SOAK_RUNS:-10}
repeats=${WEIR_SOAK_REPEATS:-300}
once_red='api_policies backends_lease_pool conformance_io_uring_zero-copy=4096_4 core_futex
	core_futex_table core_task_join_set core_fiber_stack core_task core_time topo_hwloc tools_bench_load
	weir_bench'

say() {
	echo "==> soak: $*"
}

# repeat N LOG [MESON TEST OPTION...]: stops at the first that fails.
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
	say 'no stress-ng (package stress-ng): the repeated runs are made without a load beside them'
fi
repeat "$runs" whole
# shellcheck disable=SC2086 # the list is to be split
repeat "$repeats" once-red --setup everything $once_red
say "sweeps and slow cases passed; $runs whole runs, $repeats of each that was once red"
