/* SPDX-License-Identifier: MIT */
/*
 * steal.c: benchmarks of work stealing. With a single worker nothing is stolen: steal_latency then
 * measures a spawn, and fan_out the work itself.
 */
#include <stdatomic.h>

#include "micro.h"

#define STEALS 100
#define FANS 64
#define WORK_NS 2000

/* ---- steal_latency: from a spawn on a busy worker until another one runs it ---- */

static atomic_uint ran;

static int note_ran(void *state, struct weir_cx *cx)
{
	(void)state;
	(void)cx;
	atomic_fetch_add_explicit(&ran, 1, memory_order_release);
	return 0;
}

static int nothing(void *state, struct weir_cx *cx)
{
	(void)state;
	(void)cx;
	return 0;
}

/* The second spawn moves the first task from the LIFO slot to the queue, where it can be stolen. */
static int steal_latency(void *state, struct weir_cx *cx)
{
	static const struct micro_body note_body = { note_ran, 0, NULL };
	static const struct micro_body nothing_body = { nothing, 0, NULL };
	bool alone = weir_rt_workers(weir_rt_current()) == 1;

	(void)state;
	(void)cx;
	for (unsigned i = 0; i < STEALS; i++) {
		unsigned before = atomic_load_explicit(&ran, memory_order_acquire);

		micro_must(micro_spawn(NULL, &note_body, NULL, NULL, NULL), "spawn");
		micro_must(micro_spawn(NULL, &nothing_body, NULL, NULL, NULL), "spawn");
		while (!alone && atomic_load_explicit(&ran, memory_order_acquire) == before)
			;
	}
	return 0;
}

/* ---- fan_out: tasks of a few microseconds, spawned at once, all joined ---- */

static int work_for_a_while(void *state, struct weir_cx *cx)
{
	uint64_t end = micro_now_ns() + WORK_NS;

	(void)state;
	(void)cx;
	while (micro_now_ns() < end)
		;
	return 0;
}

const struct micro_def micro_steal_defs[] = {
	{ .name = "steal_latency",
	  .ops = STEALS,
	  .driver = { steal_latency, sizeof(const struct micro_def *), NULL } },
	{ .name = "fan_out",
	  .ops = FANS,
	  .driver = MICRO_JOIN_MANY,
	  .count = FANS,
	  .child = { work_for_a_while, 0, NULL } },
	{ 0 },
};
