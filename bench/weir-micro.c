/* SPDX-License-Identifier: MIT */
/*
 * weir-micro: runs the micro-benchmarks of peers/MICRO.md and prints one JSON line per figure.
 *
 *	weir-micro [--workers N | --current-thread] [--fiber] [--secs S]
 *	           [--only PREFIX[,PREFIX]] [--mem-tasks N] [--label NAME] [--set OPTION=VALUE]...
 *
 * The batches are in micro/. This file reads the options, repeats the batches and times them.
 */
#include <string.h>

#include "bench/micro/micro.h"
#include "bench/options.h"

static struct weir_rt_config rt_cfg = WEIR_RT_CONFIG_INIT;
static struct weir_place_config place = WEIR_PLACE_CONFIG_INIT;
static const char *only = "", *label = "weir";
static char kind[16] = "ct";
static double secs = 1.0;
static size_t mem_tasks = 1000000;
static struct weir_rt *rt;

/* Whether the name begins with one of the prefixes of --only. */
static bool wanted(const char *name)
{
	const char *prefix = only;

	if (!*only)
		return true;
	for (; *prefix; prefix += *prefix == ',') {
		size_t len = strcspn(prefix, ",");

		if (len && !strncmp(name, prefix, len))
			return true;
		prefix += len;
	}
	return false;
}

static void line(const char *name, double value, const char *unit, const char *extra)
{
	printf("{\"peer\":\"%s\",\"rt\":\"%s\",\"name\":\"%s\",\"value\":%.2f,\"unit\":\"%s\"%s}\n",
	       label, kind, name, value, unit, extra);
	fflush(stdout);
}

static double seconds_since(uint64_t start)
{
	return (double)(micro_now_ns() - start) / 1e9;
}

/* Repeats the batch for secs, after warming up for 15 % of that time. */
static void bench(const struct micro_def *def)
{
	uint64_t start = micro_now_ns(), cpu, ops = 0, batches = 0;
	double best = 1e300, ns;
	char extra[160];

	while (seconds_since(start) < secs * 0.15)
		micro_run(rt, def);
	cpu = micro_cpu_ns();
	start = micro_now_ns();
	do {
		uint64_t batch = micro_now_ns();

		micro_run(rt, def);
		ns = (double)(micro_now_ns() - batch) / (double)def->ops;
		best = ns < best ? ns : best;
		ops += def->ops;
		batches++;
	} while (seconds_since(start) < secs);
	ns = seconds_since(start) * 1e9 / (double)ops;
	snprintf(extra, sizeof(extra), ",\"best\":%.2f,\"cpu\":%.2f,\"ops\":%llu,\"batches\":%llu",
		 best, (double)(micro_cpu_ns() - cpu) / (double)ops, (unsigned long long)ops,
		 (unsigned long long)batches);
	line(def->name, ns, "ns/op", extra);
}

static void bench_tables(void)
{
	for (const struct micro_def *const *table = micro_tables; *table; table++)
		for (const struct micro_def *def = *table; def->name; def++)
			if (wanted(def->name))
				bench(def);
}

static void timers(void)
{
	struct micro_timer_1m million;
	struct micro_timer_fire fire;
	char extra[160];

	if (wanted("timer_1m")) {
		micro_timer_1m(rt, &million);
		line("timer_1m_create", million.create_ns, "ns/op", "");
		line("timer_1m_cancel", million.cancel_ns, "ns/op", "");
		line("timer_1m_bytes", million.bytes, "B/timer", "");
	}
	if (wanted("timer_fire_100k")) {
		micro_timer_fire(rt, &fire);
		snprintf(extra, sizeof(extra),
			 ",\"late_us_p50\":%.0f,\"late_us_p99\":%.0f,\"late_us_max\":%.0f",
			 fire.late_us[0], fire.late_us[1], fire.late_us[2]);
		line("timer_fire_100k", fire.cpu_ns, "cpu-ns/op", extra);
	}
}

static void memory(const char *name, bool sleeping)
{
	char extra[64];

	if (!wanted(name))
		return;
	snprintf(extra, sizeof(extra), ",\"tasks\":%zu", mem_tasks);
	line(name, micro_mem_tasks(rt, mem_tasks, sleeping), "B/task", extra);
}

/* Takes one flag and its value, if it has one. Returns how many words it took; 0 if unknown. */
static int take_flag(char **argv)
{
	const char *value = argv[1];

	if (!strcmp(argv[0], "--fiber"))
		return micro_fibers = true, 1;
	if (!strcmp(argv[0], "--current-thread"))
		return micro_current = true, 1;
	if (!value)
		return 0;
	if (!strcmp(argv[0], "--workers"))
		return rt_cfg.workers = (unsigned)strtoul(value, NULL, 10), 2;
	if (!strcmp(argv[0], "--secs"))
		return secs = strtod(value, NULL), 2;
	if (!strcmp(argv[0], "--mem-tasks"))
		return mem_tasks = strtoul(value, NULL, 10), 2;
	if (!strcmp(argv[0], "--only"))
		return only = value, 2;
	if (!strcmp(argv[0], "--label"))
		return label = value, 2;
	if (!strcmp(argv[0], "--set"))
		return options_set(&rt_cfg, &place, value) ? 2 : 0;
	return 0;
}

int main(int argc, char **argv)
{
	int rc;

	rt_cfg.workers = 1;
	for (int i = 1, words; i < argc; i += words) {
		words = take_flag(argv + i);
		if (!words)
			return fprintf(stderr, "weir-micro: unknown or incomplete option: %s %s\n",
				       argv[i], i + 1 < argc ? argv[i + 1] : ""),
			       2;
	}
	if (micro_current) {
		rt_cfg.sched = WEIR_SCHED_CURRENT;
		rt_cfg.workers = 0;
	} else {
		snprintf(kind, sizeof(kind), "mt%u", rt_cfg.workers);
	}
	rt_cfg.place = &place;
	rc = weir_rt_new(&rt_cfg, &rt);
	if (rc < 0)
		return fprintf(stderr, "weir-micro: %s\n", weir_rt_why()), 1;
	bench_tables();
	timers();
	memory("mem_task_parked", false);
	memory("mem_task_sleep", true);
	rc = weir_rt_shutdown(rt, 60 * WEIR_SEC);
	weir_rt_free(rt);
	weir_topo_free((struct weir_topo *)(uintptr_t)rt_cfg.topo);
	return rc < 0 ? fprintf(stderr, "weir-micro: shutdown: %s\n", weir_strerror(rc)), 1 : 0;
}
