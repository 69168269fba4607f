/* SPDX-License-Identifier: MIT */
/*
 * sample.h: measures how long polls take and how long woken tasks wait to run. It
 * samples one in many, so that the clock is not read for the others.
 *
 * The worker that runs a poll samples it. A wake is sampled where the task is
 * made ready: the waker stamps the task while nobody else has it, and the worker
 * that runs the task reads the stamp. The distance from one sample to the next is
 * random: with a fixed one, tasks that alternate could always be, or never be, in
 * the sample.
 */
#ifndef WEIR_SCHED_SAMPLE_H
#define WEIR_SCHED_SAMPLE_H

#include "core/task/task.h"
#include "weir/histogram.h"

struct worker;

/* The samples of a worker. Only touched pages cost memory. */
struct samples {
	struct weir_histogram poll_ns;
	struct weir_histogram latency_ns; /* from wake to run, of tasks that ran here */
	struct weir_histogram batch;	/* completions per poll of the drivers */
};

/* 0 or -ENOMEM. fini also accepts a worker whose init failed. [setup] */
int weir__samples_init(struct worker *w, int node);
void weir__samples_fini(struct worker *w);

/* Decides when to take the next sample. Others count the events, from 0, and pass the count. */
struct sampler {
	unsigned every;			/* on average; 0: never */
	uint32_t rng;
	uint32_t at;			/* the count at which the next sample is due */
};

/* [setup] seed must not be 0. */
void weir__sampler_init(struct sampler *s, unsigned every, uint32_t seed);

/* Draws the distance to the next sample. */
void weir__sampler_next(struct sampler *s, uint32_t count);

/* True if the event with this count is to be sampled; call weir__sampler_next then. [any] */
static inline bool sampler_is_due(const struct sampler *s, uint32_t count)
{
	return WEIR_UNLIKELY((int32_t)(count - weir__load(&s->at, WEIR_RELAXED)) >= 0);
}

/* Stamps a task that is being made ready, while nobody else has it. [any] */
WEIR_NOINLINE void weir__sample_wake(struct sampler *s, uint32_t count, struct weir_task *task);

/* Marks a task whose next poll is to be timed. [owner] */
void weir__sample_poll(struct sampler *s, uint32_t count, struct weir_task *task);

/* weir__task_run for a task that is stamped or timed. [owner] */
WEIR_NOINLINE bool weir__sample_run(struct worker *w, struct weir_task *task);

#endif
