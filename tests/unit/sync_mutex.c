/* SPDX-License-Identifier: MIT */
/* sync_mutex.c: the mutex, polled by hand, then between threads. */
#include <string.h>

#include "tests/unit/sync_waker.h"
#include "weir/sync/mutex.h"

START_TEST(a_free_mutex_is_locked_at_once)
{
	struct weir_mutex m;
	struct weir_mutex_lock_future w;
	struct hand h = { 0, 0 };

	weir_mutex_init(&m);
	weir_mutex_lock_init(&w, &m);
	ck_assert_int_eq(POLL(&h, &w), 0);
	ck_assert_int_eq(weir_mutex_lock_try(&m), -EAGAIN);
	weir_mutex_unlock(&m);
	ck_assert_int_eq(weir_mutex_lock_try(&m), 0);
	weir_mutex_unlock(&m);
	ck_assert_int_eq(h.refs, 0);
	weir_mutex_fini(&m);
}
END_TEST

START_TEST(it_is_handed_over_in_order)
{
	struct weir_mutex m;
	struct weir_mutex_lock_future w[5];
	struct hand h[5] = { { 0, 0 } };
	int i, k;

	weir_mutex_init(&m);
	ck_assert_int_eq(weir_mutex_lock_try(&m), 0);
	for (i = 0; i < 5; i++) {
		weir_mutex_lock_init(&w[i], &m);
		ck_assert_int_eq(POLL(&h[i], &w[i]), WEIR_PENDING);
		ck_assert_int_eq(POLL(&h[i], &w[i]), WEIR_PENDING);
		ck_assert_int_eq(h[i].refs, 1);
	}
	for (i = 0; i < 5; i++) {
		weir_mutex_unlock(&m);
		for (k = 0; k < 5; k++)
			ck_assert_int_eq(h[k].wakes, k <= i);
		/* Nobody can lock it between the unlock and the poll of the new holder. */
		ck_assert_int_eq(weir_mutex_lock_try(&m), -EAGAIN);
		ck_assert_int_eq(POLL(&h[i], &w[i]), 0);
		ck_assert_int_eq(h[i].refs, 0);
	}
	weir_mutex_unlock(&m);
	weir_mutex_fini(&m);
}
END_TEST

START_TEST(a_cancelled_waiter_leaves_the_queue)
{
	struct weir_mutex m;
	struct weir_mutex_lock_future w[3];
	struct hand h[3] = { { 0, 0 } };
	int i;

	weir_mutex_init(&m);
	ck_assert_int_eq(weir_mutex_lock_try(&m), 0);
	for (i = 0; i < 3; i++) {
		weir_mutex_lock_init(&w[i], &m);
		ck_assert_int_eq(POLL(&h[i], &w[i]), WEIR_PENDING);
	}
	ck_assert_int_eq(CANCEL(&h[1], &w[1]), -ECANCELED);
	ck_assert_int_eq(h[1].refs, 0);
	DISCARD(&w[1]);			/* it was not granted the lock: this must not unlock */
	ck_assert_int_eq(weir_mutex_lock_try(&m), -EAGAIN);
	weir_mutex_unlock(&m);
	ck_assert_int_eq(POLL(&h[0], &w[0]), 0);
	weir_mutex_unlock(&m);
	ck_assert_int_eq(h[1].wakes, 0);
	ck_assert_int_eq(POLL(&h[2], &w[2]), 0);
	weir_mutex_unlock(&m);
	weir_mutex_fini(&m);
}
END_TEST

START_TEST(a_grant_that_won_against_cancel_is_kept_and_can_be_discarded)
{
	struct weir_mutex m;
	struct weir_mutex_lock_future w[2];
	struct hand h[2] = { { 0, 0 } };

	weir_mutex_init(&m);
	ck_assert_int_eq(weir_mutex_lock_try(&m), 0);
	weir_mutex_lock_init(&w[0], &m);
	weir_mutex_lock_init(&w[1], &m);
	ck_assert_int_eq(POLL(&h[0], &w[0]), WEIR_PENDING);
	ck_assert_int_eq(POLL(&h[1], &w[1]), WEIR_PENDING);
	weir_mutex_unlock(&m);
	ck_assert_int_eq(CANCEL(&h[0], &w[0]), 0);
	ck_assert_int_eq(h[1].wakes, 0);
	DISCARD(&w[0]);
	ck_assert_int_eq(h[1].wakes, 1);
	ck_assert_int_eq(POLL(&h[1], &w[1]), 0);
	weir_mutex_unlock(&m);
	weir_mutex_fini(&m);
}
END_TEST

START_TEST(one_cancelled_before_its_first_poll_takes_nothing)
{
	struct weir_mutex m;
	struct weir_mutex_lock_future w;
	struct hand h = { 0, 0 };

	weir_mutex_init(&m);
	weir_mutex_lock_init(&w, &m);
	ck_assert_int_eq(CANCEL(&h, &w), -ECANCELED);
	ck_assert_int_eq(weir_mutex_lock_try(&m), 0);
	weir_mutex_unlock(&m);
	weir_mutex_fini(&m);
}
END_TEST

START_TEST(outside_a_fiber_lock_is_refused)
{
	struct weir_mutex m;

	weir_mutex_init(&m);
	ck_assert_int_eq(weir_mutex_lock(&m), -EPERM);
	ck_assert_int_eq(weir_mutex_lock_until(&m, WEIR_FOREVER), -EPERM);
	ck_assert_int_eq(weir_mutex_lock_try(&m), 0);
	weir_mutex_unlock(&m);
	weir_mutex_fini(&m);
}
END_TEST

static struct {
	struct weir_mutex m;
	unsigned long count;		/* not atomic: the mutex protects it */
} shared;

static void *lock_a_lot(void *arg)
{
	unsigned seed = *(unsigned *)arg;
	unsigned long done = 0;
	struct weir_mutex_lock_future w;
	uint64_t deadline;

	while (done < 3000) {
		weir_mutex_lock_init(&w, &shared.m);
		/* A quarter give up at once: a deadline in the past cancels the wait. */
		deadline = next_random(&seed) % 4 == 0 ? 0 : WEIR_FOREVER;
		if (weir_block_on(&w.future, deadline) != 0)
			continue;
		shared.count++;
		done++;
		weir_mutex_unlock(&shared.m);
	}
	return NULL;
}

START_TEST(threads_exclude_each_other_and_none_is_forgotten)
{
	unsigned seeds[4] = { 1, 2, 3, 4 };

	weir_mutex_init(&shared.m);
	shared.count = 0;
	run_threads(4, lock_a_lot, seeds, sizeof seeds[0]);
	ck_assert_uint_eq(shared.count, 4 * 3000);
	ck_assert_int_eq(weir_mutex_lock_try(&shared.m), 0);
	weir_mutex_unlock(&shared.m);
	weir_mutex_fini(&shared.m);
}
END_TEST

struct counted {
	struct weir_mutex m;
	int users;
};

static void *last_one_frees(void *arg)
{
	struct counted *c = *(struct counted **)arg;
	struct weir_mutex_lock_future w;
	bool last;

	weir_mutex_lock_init(&w, &c->m);
	ck_assert_int_eq(BLOCK(&w), 0);
	last = --c->users == 0;
	weir_mutex_unlock(&c->m);
	if (last)
		free(c);
	return NULL;
}

/* Only a sanitizer can fail this test: unlock must not touch memory that the next holder frees. */
START_TEST(the_last_holder_may_free_it)
{
	struct counted *args[3];
	int round, i;

	for (round = 0; round < 200; round++) {
		args[0] = malloc(sizeof *args[0]);
		weir_mutex_init(&args[0]->m);
		args[0]->users = 3;
		for (i = 1; i < 3; i++)
			args[i] = args[0];
		run_threads(3, last_one_frees, args, sizeof args[0]);
	}
}
END_TEST

static struct weir_mutex *doomed;
static struct weir_mutex_lock_future doomed_wait;

/* A waker that runs the woken task at once, to its end. */
static void lock_unlock_free(void *data)
{
	(void)data;
	ck_assert_int_eq(POLL(NULL, &doomed_wait), 0);
	weir_mutex_unlock(doomed);
	weir_mutex_fini(doomed);
	memset(doomed, 0xff, sizeof *doomed);
	free(doomed);
	doomed = NULL;
}

static void nothing(void *data)
{
	(void)data;
}

START_TEST(unlock_does_not_touch_the_mutex_after_its_wake)
{
	static const struct weir_waker_ops ops = { nothing, lock_unlock_free, nothing };
	struct weir_cx cx = { { &ops, NULL }, NULL, NULL };

	doomed = malloc(sizeof *doomed);
	weir_mutex_init(doomed);
	ck_assert_int_eq(weir_mutex_lock_try(doomed), 0);
	weir_mutex_lock_init(&doomed_wait, doomed);
	ck_assert_int_eq(weir_poll(&doomed_wait.future, &cx), WEIR_PENDING);
	weir_mutex_unlock(doomed);
	ck_assert_ptr_null(doomed);
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(a_free_mutex_is_locked_at_once),
		TESTING(it_is_handed_over_in_order),
		TESTING(a_cancelled_waiter_leaves_the_queue),
		TESTING(a_grant_that_won_against_cancel_is_kept_and_can_be_discarded),
		TESTING(one_cancelled_before_its_first_poll_takes_nothing),
		TESTING(outside_a_fiber_lock_is_refused),
		TESTING(threads_exclude_each_other_and_none_is_forgotten),
		TESTING(unlock_does_not_touch_the_mutex_after_its_wake),
		TESTING(the_last_holder_may_free_it),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
