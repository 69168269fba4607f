/* SPDX-License-Identifier: MIT */
/*
 * hundred_tasks.c: 100 tasks on 4 workers. It shows join sets, work stealing and the metrics of
 * each worker. All tasks are spawned on one worker, and the other workers steal their share.
 *
 *	build/examples/hundred_tasks	prints how many turns each worker ran, and ends
 */
#include <stdio.h>

#include "weir/weir.h"

#define TASKS 100
#define TURNS 50
#define WORKERS 4

/* How often one task ran on each worker. */
struct job {
	unsigned turns_on[WORKERS];
};

static unsigned work(unsigned seed)
{
	for (int i = 0; i < 20000; i++)
		seed = seed * 1664525u + 1013904223u;
	return seed;
}

static int job(void *arg)
{
	struct job *self = arg;
	unsigned sum = 1;

	for (int i = 0; i < TURNS; i++) {
		sum = work(sum);
		self->turns_on[weir_rt_worker_index()]++;
		if (weir_yield() < 0)
			return -ECANCELED;
	}
	return sum != 0; /* uses sum, so that the compiler cannot remove the work */
}

static int run(void *arg)
{
	struct job *jobs = arg;
	struct weir_join_set *set;
	int result, done = 0, rc = weir_join_set_new(NULL, &set);

	if (rc < 0)
		return rc;
	for (int i = 0; rc == 0 && i < TASKS; i++)
		rc = weir_join_set_spawn(set, job, &jobs[i], NULL);
	/* Joins the tasks in the order in which they finish. */
	while (rc >= 0 && (rc = weir_join_set_next(set, NULL, &result)) > 0)
		done += result >= 0;
	weir_join_set_free(set);
	printf("%d of %d tasks done\n", done, TASKS);
	return rc < 0 ? rc : done == TASKS ? 0 : -EIO;
}

/* Metrics can also be read while the runtime runs. */
static void report(const struct weir_rt *rt, const struct job *jobs)
{
	for (unsigned w = 0; w < WORKERS; w++) {
		struct weir_worker_metrics metrics = WEIR_WORKER_METRICS_INIT;
		unsigned turns = 0;

		for (int i = 0; i < TASKS; i++)
			turns += jobs[i].turns_on[w];
		weir_metrics_worker(rt, w, &metrics);
		printf("worker %u: %4u turns, %3llu tasks finished, %llu steals\n", w, turns,
		       (unsigned long long)metrics.finished,
		       (unsigned long long)metrics.steal_operations);
	}
}

int main(void)
{
	static struct job jobs[TASKS];
	struct weir_rt_config cfg = WEIR_RT_CONFIG_INIT;
	struct weir_rt *rt;
	int rc;

	cfg.workers = WORKERS;
	rc = weir_rt_new(&cfg, &rt);
	if (rc == 0) {
		rc = weir_rt_block_on(rt, run, jobs);
		report(rt, jobs);
		weir_rt_free(rt);
	}
	return rc < 0 ? fprintf(stderr, "hundred_tasks: %s\n", weir_strerror(rc)), 1 : 0;
}
