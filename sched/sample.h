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

#include "core/task.h"
#include "weir/histogram.h"

struct worker;

/* What a worker has seen. Only what was touched costs memory. */
struct samples {
	struct weir_histogram poll_ns;
	struct weir_histogram latency_ns; /* from wake to run, of the tasks that ran here */
	struct weir_histogram batch;	/* completions that one look at the drivers delivered */
};

/* 0 or -ENOMEM; fini takes what init has not made. [setup] */
int samples_init(struct worker *w, int node);
void samples_fini(struct worker *w);

/* When to take the next sample. */
struct sampler {
	unsigned every;			/* on average; 0 never */
	uint32_t rng;
	uint32_t left;			/* events up to that one */
};

/* [setup] seed: anything but 0 */
void sampler_init(struct sampler *s, unsigned every, uint32_t seed);

/* Draw the distance to the next sample. */
void sampler_next(struct sampler *s);

/*
 * One more event: is it the one? Several threads may share a sampler, which then loses events
 * now and then. [any]
 */
static inline bool sampler_hit(struct sampler *s)
{
	uint32_t left = weir__load(&s->left, WEIR_RELAXED) - 1;

	weir__store(&s->left, left, WEIR_RELAXED);
	return WEIR_UNLIKELY(left == 0);
}

/* A task is made ready, and nobody else has it yet: stamp it. [any] */
WEIR_NOINLINE void sample_wake(struct sampler *s, struct weir_task *task);

/* weir__task_run, timed. [owner] */
WEIR_NOINLINE bool sample_run(struct worker *w, struct weir_task *task, bool poll);

#endif
