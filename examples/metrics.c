/* SPDX-License-Identifier: MIT */
/*
 * metrics.c: what a runtime reports about itself. It shows the stall detector, which names a task
 * that holds its worker for too long, and the counters and latency samples of each worker.
 *
 *	build/examples/metrics		provokes a stall, prints the report and the metrics, ends
 */
#include <stdio.h>

#include "weir/weir.h"

#define WORKERS 2
#define TASKS 2000

/* Called on the worker, after the task has yielded at last. */
static void on_stall(void *arg, const struct weir_stall *stall)
{
	(void)arg;
	printf("stall: task %s, spawned at %s:%d, held worker %u for %llu ms of CPU time\n",
	       stall->task_name, stall->where->file, stall->where->line, (unsigned)stall->worker,
	       (unsigned long long)(stall->cpu_ns / WEIR_MSEC));
}

/* Computes without yielding until the stall detector has counted a stall. */
static int compute(void *arg)
{
	struct weir_worker_metrics m = WEIR_WORKER_METRICS_INIT;

	(void)arg;
	do
		weir_metrics_worker(weir_rt_current(), (unsigned)weir_rt_worker_index(), &m);
	while (m.stalls == 0);
	return 0;
}

static int yield_ten_times(void *arg)
{
	(void)arg;
	for (int i = 0; i < 10; i++)
		if (weir_yield() < 0)
			return -ECANCELED;
	return 0;
}

static int run(void *arg)
{
	struct weir_metrics m = WEIR_METRICS_INIT;
	struct weir_join_set *set;
	int rc = weir_join_set_new(NULL, &set);

	(void)arg;
	if (rc < 0)
		return rc;
	if (weir_metrics_get(weir_rt_current(), &m) == 0 && m.stall_error == 0)
		rc = weir_join_set_spawn(set, compute, NULL, NULL);
	for (int i = 0; rc == 0 && i < TASKS; i++)
		rc = weir_join_set_spawn(set, yield_ten_times, NULL, NULL);
	while (rc >= 0 && (rc = weir_join_set_next(set, NULL, NULL)) > 0)
		;
	weir_join_set_free(set);
	return rc;
}

static void report_worker(const struct weir_rt *rt, unsigned worker)
{
	struct weir_worker_metrics m = WEIR_WORKER_METRICS_INIT;

	if (weir_metrics_worker(rt, worker, &m) == 0)
		printf("worker %u: %llu polls, %llu away from home, %llu steals, %llu parks, "
		       "busy for %llu us\n",
		       worker, (unsigned long long)m.polls, (unsigned long long)m.away_polls,
		       (unsigned long long)m.steals, (unsigned long long)m.parks,
		       (unsigned long long)(m.busy_ns / WEIR_USEC));
}

/* Adds the histograms of all workers into one. */
static void report_latency(const struct weir_rt *rt)
{
	static struct weir_histogram h;

	for (unsigned i = 0; i < WORKERS; i++)
		weir_metrics_schedule_latency(rt, i, &h);
	printf("latency from wake to run, %llu samples: median %llu ns, p99 %llu ns\n",
	       (unsigned long long)h.count, (unsigned long long)weir_histogram_quantile(&h, 0.5),
	       (unsigned long long)weir_histogram_quantile(&h, 0.99));
}

int main(void)
{
	struct weir_rt_config cfg = WEIR_RT_CONFIG_INIT;
	struct weir_metrics m = WEIR_METRICS_INIT;
	struct weir_rt *rt;
	int rc;

	cfg.workers = WORKERS;
	cfg.on_stall = on_stall;
	rc = weir_rt_new(&cfg, &rt);
	if (rc == 0) {
		rc = weir_rt_block_on(rt, run, NULL);
		weir_metrics_get(rt, &m);
		printf("%u workers on %s\n", m.workers, m.backend);
		for (unsigned i = 0; i < WORKERS; i++)
			report_worker(rt, i);
		report_latency(rt);
		weir_rt_free(rt);
	}
	return rc < 0 ? fprintf(stderr, "metrics: %s\n", weir_strerror(rc)), 1 : 0;
}
