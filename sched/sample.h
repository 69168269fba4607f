/* SPDX-License-Identifier: MIT */
/*
 * sample.h: how long polls take, and how long woken tasks wait to run: of one in so
 * many, so that the clock is not read for the others.
 *
 * A poll is sampled by the worker that runs it. A wake is sampled where the task is
 * made ready: it gets a stamp while it is the waker's alone, takes it along, and
 * whoever runs it takes it off. The distance from one sample to the next is random:
 * tasks that take turns would otherwise keep their places in the sample.
 */
#ifndef WEIR_SCHED_SAMPLE_H
#define WEIR_SCHED_SAMPLE_H

#include "core/task/task.h"
#include "weir/histogram.h"

struct worker;

/* What a worker has seen. Only what was touched costs memory. */
struct samples {
	struct weir_histogram poll_ns;
	struct weir_histogram latency_ns; /* from wake to run, of the tasks that ran here */
	struct weir_histogram batch;	/* completions that one look at the drivers delivered */
};

/* 0 or -ENOMEM; fini takes what init has not made. [setup] */
int weir__samples_init(struct worker *w, int node);
void weir__samples_fini(struct worker *w);

/* When to take the next sample: others count the events, from 0; the sampler looks at their count. */
struct sampler {
	unsigned every;			/* on average; 0 never */
	uint32_t rng;
	uint32_t at;			/* the count at which it is due */
};

/* [setup] seed: anything but 0 */
void weir__sampler_init(struct sampler *s, unsigned every, uint32_t seed);

/* Draw the distance to the next sample. */
void weir__sampler_next(struct sampler *s, uint32_t count);

/* Whether the event with this count is the one; weir__sampler_next comes next. [any] */
static inline bool sampler_is_due(const struct sampler *s, uint32_t count)
{
	return WEIR_UNLIKELY((int32_t)(count - weir__load(&s->at, WEIR_RELAXED)) >= 0);
}

/* A task is made ready, and nobody else has it yet: stamp it. [any] */
WEIR_NOINLINE void weir__sample_wake(struct sampler *s, uint32_t count, struct weir_task *task);

/* A task is about to be polled: time it. [owner] */
void weir__sample_poll(struct sampler *s, uint32_t count, struct weir_task *task);

/* weir__task_run for a task that is stamped or timed. [owner] */
WEIR_NOINLINE bool weir__sample_run(struct worker *w, struct weir_task *task);

#endif
