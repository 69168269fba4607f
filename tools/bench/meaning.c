/* SPDX-License-Identifier: MIT */
/*
 * meaning.c: see meaning.h. Figures are shown in the order of the table.
 */
#include <string.h>

#include "tools/bench/meaning.h"

static const struct bench_meaning metrics[] = {
	{ "items_per_second", "throughput", NULL, QUANTITY_RATE, 1, BENCH_HIGHER, true },
	{ "bytes_per_second", "bytes moved", NULL, QUANTITY_BYTES_RATE, 1, BENCH_HIGHER, false },
	{ "real_time", "latency, mean", "time per request", QUANTITY_NS, 1, BENCH_LOWER, true },
	{ "p50", "latency, p50", NULL, QUANTITY_NS, 1, BENCH_LOWER, true },
	{ "p99", "latency, p99", NULL, QUANTITY_NS, 1, BENCH_LOWER, true },
	{ "p999", "latency, p99.9", NULL, QUANTITY_NS, 1, BENCH_LOWER, true },
	{ "max_ns", "latency, worst", NULL, QUANTITY_NS, 1, BENCH_LOWER, true },
	{ "service_p50_ns", "service time, p50", NULL, QUANTITY_NS, 1, BENCH_LOWER, false },
	{ "service_p99_ns", "service time, p99", NULL, QUANTITY_NS, 1, BENCH_LOWER, false },
	{ "cpu_time", "server CPU per request", NULL, QUANTITY_NS, 1, BENCH_LOWER, false },
	{ "client_cpu_ns_per_req", "client CPU per request", NULL, QUANTITY_NS, 1, BENCH_LOWER,
	  false },
	{ "syscalls_per_req", "system calls per request", NULL, QUANTITY_PLAIN, 1, BENCH_LOWER,
	  true },
	{ "waits_per_req", "waits per request", NULL, QUANTITY_PLAIN, 1, BENCH_LOWER, false },
	{ "ctxsw_per_req", "context switches per request", NULL, QUANTITY_PLAIN, 1, BENCH_LOWER,
	  true },
	{ "batch", "events per wait", NULL, QUANTITY_PLAIN, 1, BENCH_NEITHER, true },
	{ "cycles_per_req", "cycles per request", NULL, QUANTITY_PLAIN, 1, BENCH_LOWER, true },
	{ "instructions_per_req", "instructions per request", NULL, QUANTITY_PLAIN, 1, BENCH_LOWER,
	  true },
	{ "client_busy", "client busy", NULL, QUANTITY_PERCENT, 100, BENCH_NEITHER, false },
	{ "send_lag_ns", "client's lag behind its plan", NULL, QUANTITY_NS, 1, BENCH_NEITHER,
	  false },
	{ "errors", "errors", NULL, QUANTITY_PLAIN, 1, BENCH_LOWER, false },
	{ "unanswered", "unanswered requests", NULL, QUANTITY_PLAIN, 1, BENCH_LOWER, false },
	{ "s/op", "time per operation", NULL, QUANTITY_NS, 1e9, BENCH_LOWER, false },
};

#define METRICS (sizeof(metrics) / sizeof(metrics[0]))

unsigned bench_meaning_order(const char *key)
{
	unsigned i = 0;

	while (i < METRICS && strcmp(metrics[i].key, key) != 0)
		i++;
	return i;
}

bool bench_meaning_known(const char *key)
{
	return bench_meaning_order(key) < METRICS;
}

const char *bench_meaning_key(unsigned i)
{
	return i < METRICS ? metrics[i].key : NULL;
}

const struct bench_meaning *bench_meaning(const char *key)
{
	static struct bench_meaning unknown;
	unsigned i = bench_meaning_order(key);

	if (i < METRICS)
		return &metrics[i];
	unknown = (struct bench_meaning){
		.key = key, .title = key, .quantity = QUANTITY_PLAIN, .factor = 1
	};
	return &unknown;
}

const char *bench_meaning_title(const char *key, bool closed)
{
	const struct bench_meaning *metric = bench_meaning(key);

	return closed && metric->closed_title ? metric->closed_title : metric->title;
}

void bench_meaning_format(const char *key, double value, int digits, char *buf, size_t len)
{
	const struct bench_meaning *metric = bench_meaning(key);

	quantity_format(metric->quantity, value * metric->factor, digits, buf, len);
}
