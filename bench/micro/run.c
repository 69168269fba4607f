/* SPDX-License-Identifier: MIT */
/*
 * run.c: runs a batch, and holds the driver that most definitions share.
 */
#include <string.h>
#include <time.h>

#include "micro.h"

/* Room for the largest driver's state. */
#define DRIVER_BYTES 1024

bool micro_fibers, micro_current;

const struct micro_def *const micro_tables[] = {
	micro_spawn_defs,
	micro_sync_defs,
	micro_mpsc_defs,
	micro_select_defs,
	micro_time_defs,
	micro_steal_defs,
	NULL,
};

void micro_must(int rc, const char *what)
{
	if (rc >= 0)
		return;
	fprintf(stderr, "micro: %s: %s\n", what, weir_strerror(rc));
	exit(1);
}

uint64_t micro_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * WEIR_SEC + (uint64_t)ts.tv_nsec;
}

uint64_t micro_cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * WEIR_SEC + (uint64_t)ts.tv_nsec;
}

int micro_spawn(struct weir_rt *rt, const struct micro_body *body, const void *state, void *arg,
		struct weir_task **ret_task)
{
	struct weir_task_config cfg = WEIR_TASK_CONFIG_INIT;

	if (micro_fibers && body->fn) {
		cfg.fn = body->fn;
		cfg.arg = arg;
	} else {
		cfg.poll = body->poll;
		cfg.state = state;
		cfg.state_bytes = body->state_bytes;
	}
	return weir_task_spawn(rt, &cfg, ret_task);
}

/* The root task of block_on. It runs the driver as a task of its own. */
static int spawn_and_join_driver(void *arg)
{
	const struct micro_def *def = arg;
	char state[DRIVER_BYTES] = { 0 };
	struct weir_task *task;
	int rc, result = 0;

	if (def->driver.state_bytes > sizeof(state))
		return -EINVAL;
	memcpy(state, &def, sizeof(def));
	rc = micro_spawn(NULL, &def->driver, state, (void *)(uintptr_t)def, &task);
	if (rc < 0)
		return rc;
	rc = weir_task_join(task, &result);
	return rc < 0 ? rc : result;
}

void micro_run(struct weir_rt *rt, const struct micro_def *def)
{
	if (def->batch)
		micro_must(def->batch(rt), def->name);
	else
		micro_must(weir_rt_block_on(rt, spawn_and_join_driver, (void *)(uintptr_t)def),
			   def->name);
}

/* ---- spawn many, join each ---- */

static struct weir_task **spawn_children(const struct micro_def *def)
{
	struct weir_task **tasks = calloc(def->count, sizeof(*tasks));

	micro_must(tasks ? 0 : -ENOMEM, def->name);
	if (def->setup)
		def->setup();
	for (unsigned i = 0; i < def->count; i++)
		micro_must(micro_spawn(NULL, &def->child, NULL, NULL, &tasks[i]), def->name);
	return tasks;
}

int micro_join_many_poll(void *state, struct weir_cx *cx)
{
	struct micro_join_many *many = state;

	if (!many->tasks)
		many->tasks = spawn_children(many->def);
	for (; many->at < many->def->count; many->at++) {
		if (!many->waiting)
			weir_join_init(&many->join, many->tasks[many->at]);
		many->waiting = true;
		if (weir_poll(&many->join.future, cx) == WEIR_PENDING)
			return WEIR_PENDING;
		micro_must(many->join.result, many->def->name);
		many->waiting = false;
	}
	free(many->tasks);
	return 0;
}

int micro_join_many_fn(void *arg)
{
	const struct micro_def *def = arg;
	struct weir_task **tasks = spawn_children(def);
	int result = 0;

	for (unsigned i = 0; i < def->count; i++) {
		micro_must(weir_task_join(tasks[i], &result), def->name);
		micro_must(result, def->name);
	}
	free(tasks);
	return 0;
}
