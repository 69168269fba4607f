/* SPDX-License-Identifier: MIT */
/*
 * gbench.cc: runs the batches of peers/MICRO.md under Google Benchmark, on one worker, each as
 * NAME/stackless and NAME/fiber. An iteration is one batch; items are the operations in it.
 *
 * Only weir-micro runs the benchmarks that are not batches (timer_1m, timer_fire_100k, mem_task).
 */
#include <benchmark/benchmark.h>

#include <string>

#include "micro.h"

static struct weir_rt *rt;

static void run(benchmark::State &state, const struct micro_def *def, bool fibers)
{
	micro_fibers = fibers;
	for (auto _ : state)
		micro_run(rt, def);
	state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * def->ops));
	state.counters["s/op"] = benchmark::Counter(
		static_cast<double>(def->ops),
		benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

static void declare(const struct micro_def *def, bool fibers)
{
	std::string name = std::string(def->name) + (fibers ? "/fiber" : "/stackless");

	benchmark::RegisterBenchmark(name.c_str(), run, def, fibers)
		->MeasureProcessCPUTime()
		->UseRealTime()
		->Unit(benchmark::kMicrosecond);
}

int main(int argc, char **argv)
{
	struct weir_rt_config cfg = {};

	benchmark::Initialize(&argc, argv);
	if (benchmark::ReportUnrecognizedArguments(argc, argv))
		return 2;
	for (const struct micro_def *const *table = micro_tables; *table; table++)
		for (const struct micro_def *def = *table; def->name; def++) {
			declare(def, false);
			if (def->batch || def->driver.fn)
				declare(def, true);
		}
	cfg.size = sizeof(cfg);
	cfg.workers = 1;
	micro_must(weir_rt_new(&cfg, &rt), "weir_rt_new");
	benchmark::RunSpecifiedBenchmarks();
	weir_rt_free(rt);
	return 0;
}
