/* SPDX-License-Identifier: MIT */
/*
 * gbench.cc: what a packet costs in the TCP/IP stack, over a cable inside the process. An item is a
 * packet that one instance sends and the other receives; s/op is per packet, out and in.
 */
#include <benchmark/benchmark.h>

#include "cable.h"

static void udp_echo(benchmark::State &state)
{
	struct cable *cable = cable_new();

	if (cable == nullptr) {
		state.SkipWithError("no memory");
		return;
	}
	for (auto _ : state)
		if (cable_udp_echo(cable, static_cast<unsigned>(state.range(0))) != 0) {
			state.SkipWithError("the answer did not come back");
			break;
		}
	state.SetItemsProcessed(state.iterations() * 2);
	state.counters["s/op"] = benchmark::Counter(
		2, benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
	cable_free(cable);
}

BENCHMARK(udp_echo)->Arg(64)->Arg(512)->Arg(1472);
BENCHMARK_MAIN();
