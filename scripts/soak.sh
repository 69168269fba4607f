#!/bin/sh
# SPDX-License-Identifier: MIT
#
# soak.sh BUILD: runs the tests that take too long for CI, for hours, in a build folder with tests:
#  - long sweeps over the simulated backend and the simulated wire, and the cases that need "slow";
#  - under a load on every CPU (stress-ng), the whole suite ten times, and each test that has failed
#    at random before 300 times: of the programs that take long only the cases that have failed.
# It stops at the first step that fails.
#
# WEIR_SOAK_RUNS and WEIR_SOAK_REPEATS replace 10 and 300. The last line says what was done; the
# logs are in BUILD/meson-logs.
set -eu
build=$1
runs=${WEIR_SOAK_RUNS:-10}
repeats=${WEIR_SOAK_REPEATS:-300}
# A meson test, and the cases of it that have failed; without any, the whole program.
flaky='
api_policies polling_without_end polling_alone polling_without_stealing
backends_lease_pool
conformance_io_uring_zero-copy=4096_4 a_send_is_closed closing_ends_both_directions shutting_down_ends_what_waits
core_fiber_stack
core_futex
core_futex_table
core_task
core_task_join_set
core_time
tools_bench_load an_open_loop_sees_a_stall_in_all_it_delays a_closed_loop_hardly_sees_it
topo_hwloc a_damaged_file_is_refused_or_read
weir_bench test_a_against_a
weir_drain_epoll test_limit_pauses_accepting
weir_outlets_epoll test_full_file
'

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
"$build/tests/stack/stack_sweep" 0 100000
WEIR_TEST_SLOW=1 repeat 1 slow --suite unit

if command -v stress-ng >/dev/null 2>&1; then
	stress-ng --cpu 0 --quiet &
	load=$!
	trap 'kill "$load" 2>/dev/null || true' EXIT
else
	say 'no stress-ng (package stress-ng): the repeated runs have no load beside them'
fi
repeat "$runs" whole
echo "$flaky" | while read -r program cases; do
	[ -z "$program" ] || repeat "$repeats" "$program" --setup everything --test-args "$cases" "$program"
done
say "passed: sweeps, slow cases, the whole suite $runs times, each flaky test $repeats times"
