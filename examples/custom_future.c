/* SPDX-License-Identifier: MIT */
/*
 * custom_future.c: how to write a future of your own. This one finishes when it has been raised
 * a given number of times. Like every future it works with await, deadlines and select.
 *
 * The contract is in weir/future.h. In short: poll either returns the result, or stores the waker
 * with a reference and returns WEIR_PENDING; cancel asks the future to finish soon; the code that
 * makes the future ready wakes the stored waker.
 *
 *	build/examples/custom_future	shows one future that finishes and one that times out
 */
#include <pthread.h>
#include <stdio.h>

#include "weir/weir.h"

/* Counts up to a goal. Any thread may call tally_raise; hence the lock. */
struct tally {
	struct weir_future future; /* may stand anywhere: WEIR_CONTAINER_OF finds the tally */
	pthread_mutex_t lock;
	struct weir_waker waker;   /* wakes the task that waits; empty while none does */
	unsigned count, goal;
	bool cancelled;
};

static int tally_poll(struct weir_future *future, struct weir_cx *cx)
{
	struct tally *self = WEIR_CONTAINER_OF(future, struct tally, future);
	int rc = WEIR_PENDING;

	pthread_mutex_lock(&self->lock);
	if (self->count >= self->goal)
		rc = (int)self->count;
	else if (self->cancelled)
		rc = -ECANCELED;
	else if (!self->waker.ops)
		self->waker = weir_waker_ref(&cx->waker);
	pthread_mutex_unlock(&self->lock);
	if (rc != WEIR_PENDING)
		weir_waker_unref(&self->waker);
	return rc;
}

/* Called by the polling task, which polls again right afterwards: there is no need to wake it. */
static void tally_cancel(struct weir_future *future)
{
	struct tally *self = WEIR_CONTAINER_OF(future, struct tally, future);

	pthread_mutex_lock(&self->lock);
	self->cancelled = true;
	pthread_mutex_unlock(&self->lock);
}

static const struct weir_future_ops tally_ops = {
	.name = "tally",
	.poll = tally_poll,
	.cancel = tally_cancel,
};

static void tally_init(struct tally *self, unsigned goal)
{
	*self = (struct tally){ .future.ops = &tally_ops, .goal = goal };
	pthread_mutex_init(&self->lock, NULL);
}

/*
 * [any] Wakes while it holds the lock: once the lock is released, the waiting task may finish and
 * destroy the tally.
 */
static void tally_raise(struct tally *self)
{
	pthread_mutex_lock(&self->lock);
	if (++self->count == self->goal && self->waker.ops)
		weir_waker_wake(&self->waker);
	pthread_mutex_unlock(&self->lock);
}

/* ---- how it is used ---- */

static int raise_later(void *arg)
{
	int rc = weir_sleep(WEIR_MSEC);

	if (rc == 0)
		tally_raise(arg);
	return rc;
}

static int run(void *arg)
{
	struct weir_join_set *set;
	struct tally tally;
	int got, late, rc = weir_join_set_new(NULL, &set);

	(void)arg;
	if (rc < 0)
		return rc;
	tally_init(&tally, 10);
	for (int i = 0; rc == 0 && i < 10; i++)
		rc = weir_join_set_spawn(set, raise_later, &tally, NULL);
	got = rc < 0 ? rc : weir_await(&tally.future);
	printf("ten tasks raised it: %d\n", got);
	weir_join_set_free(set);
	pthread_mutex_destroy(&tally.lock);

	/* Nobody raises this one. At the deadline weir cancels it and waits for it to finish. */
	tally_init(&tally, 1);
	late = weir_await_until(&tally.future, weir_deadline_in(5 * WEIR_MSEC));
	printf("nobody raised it: %s\n", weir_strerror(late));
	pthread_mutex_destroy(&tally.lock);
	return got == 10 && late == -ETIMEDOUT ? 0 : -EIO;
}

int main(void)
{
	struct weir_rt_config cfg = WEIR_RT_CONFIG_INIT;
	int rc = weir_rt_run(&cfg, run, NULL);

	return rc < 0 ? fprintf(stderr, "custom_future: %s\n", weir_strerror(rc)), 1 : 0;
}
