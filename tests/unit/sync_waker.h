/* SPDX-License-Identifier: MIT */
/*
 * sync_waker.h: polls futures by hand with a waker that counts, for the tests of sync/.
 */
#ifndef WEIR_TESTS_SYNC_WAKER_H
#define WEIR_TESTS_SYNC_WAKER_H

#include <pthread.h>
#include <stdlib.h>

#include "tests/support/testing.h"
#include "weir/future.h"

/* Used by one thread, except in stress tests, which do not read the counters. */
struct hand {
	int wakes;
	int refs;			/* those that were not given up */
};

static inline void hand_ref(void *data)
{
	((struct hand *)data)->refs++;
}

static inline void hand_wake(void *data)
{
	((struct hand *)data)->wakes++;
}

static inline void hand_unref(void *data)
{
	((struct hand *)data)->refs--;
}

static const struct weir_waker_ops hand_ops = { hand_ref, hand_wake, hand_unref };

static inline int hand_poll(struct hand *hand, struct weir_future *future)
{
	struct weir_cx cx = { { &hand_ops, hand }, NULL, NULL };

	return weir_poll(future, &cx);
}

static inline int hand_cancel(struct hand *hand, struct weir_future *future)
{
	weir_cancel(future);
	return hand_poll(hand, future);
}

/* The same for the futures of sync/, whose member is `future`. */
#define POLL(hand, f) hand_poll((hand), &(f)->future)
#define CANCEL(hand, f) hand_cancel((hand), &(f)->future)
#define DISCARD(f) (f)->future.ops->discard(&(f)->future)
#define BLOCK(f) weir_block_on(&(f)->future, WEIR_FOREVER)

/* Runs fn(&arg[i]) on `count` threads, and waits for them. */
static inline void run_threads(size_t count, void *(*fn)(void *), void *args, size_t arg_bytes)
{
	pthread_t *threads = malloc(count * sizeof *threads);
	size_t i;

	for (i = 0; i < count; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, fn,
						(char *)args + i * arg_bytes), 0);
	for (i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
	free(threads);
}

/* A random generator for the stress tests, with a seed per thread, so that runs are repeatable. */
static inline unsigned next_random(unsigned *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 16;
}

#endif
