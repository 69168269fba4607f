/* SPDX-License-Identifier: MIT */
/* sync_notify.c: notify, polled by hand, then between threads. */
#include "tests/unit/sync_waker.h"
#include "weir/sync/notify.h"

static struct weir_notify n;
static struct weir_notified_future w[5];
static struct hand h[5];

static void setup(void)
{
	weir_notify_init(&n);
}

static void teardown(void)
{
	int i;

	weir_notify_fini(&n);
	for (i = 0; i < 5; i++)
		ck_assert_int_eq(h[i].refs, 0);
}

static int start(int i)
{
	weir_notified_init(&w[i], &n);
	return POLL(&h[i], &w[i]);
}

START_TEST(one_permit_is_kept_and_no_more)
{
	weir_notify_one(&n);
	weir_notify_one(&n);
	ck_assert_int_eq(start(0), 0);
	ck_assert_int_eq(start(1), WEIR_PENDING);
	weir_notify_one(&n);
	ck_assert_int_eq(h[1].wakes, 1);
	ck_assert_int_eq(POLL(&h[1], &w[1]), 0);
	ck_assert_int_eq(start(2), WEIR_PENDING);
	ck_assert_int_eq(CANCEL(&h[2], &w[2]), -ECANCELED);
	ck_assert_int_eq(weir_notify_wait(&n), -EPERM);
}
END_TEST

START_TEST(one_takes_the_first_and_last_the_last)
{
	int i;

	for (i = 0; i < 4; i++)
		ck_assert_int_eq(start(i), WEIR_PENDING);
	weir_notify_one(&n);
	ck_assert_int_eq(POLL(&h[0], &w[0]), 0);
	weir_notify_last(&n);
	ck_assert_int_eq(h[3].wakes, 1);
	ck_assert_int_eq(POLL(&h[3], &w[3]), 0);
	weir_notify_one(&n);
	ck_assert_int_eq(POLL(&h[1], &w[1]), 0);
	ck_assert_int_eq(h[2].wakes, 0);
	weir_notify_last(&n);
	ck_assert_int_eq(POLL(&h[2], &w[2]), 0);
	weir_notify_last(&n);		/* nobody waits: the permit is kept */
	ck_assert_int_eq(start(4), 0);
}
END_TEST

START_TEST(waiters_wakes_exactly_those_who_wait)
{
	ck_assert_int_eq(start(0), WEIR_PENDING);
	ck_assert_int_eq(start(1), WEIR_PENDING);
	weir_notified_init(&w[2], &n);	/* waits from here on, although it is never polled */
	weir_notify_waiters(&n);
	ck_assert_int_eq(start(3), WEIR_PENDING);
	ck_assert_int_eq(POLL(&h[0], &w[0]), 0);
	ck_assert_int_eq(POLL(&h[1], &w[1]), 0);
	ck_assert_int_eq(POLL(&h[2], &w[2]), 0);
	ck_assert_int_eq(h[3].wakes, 0);
	/* notify_waiters stores no permit, and leaves a stored one alone. */
	ck_assert_int_eq(CANCEL(&h[3], &w[3]), -ECANCELED);
	weir_notify_one(&n);
	weir_notified_init(&w[4], &n);
	weir_notify_waiters(&n);
	ck_assert_int_eq(POLL(&h[4], &w[4]), 0);
	ck_assert_int_eq(start(0), 0);
	ck_assert_int_eq(start(1), WEIR_PENDING);
	ck_assert_int_eq(CANCEL(&h[1], &w[1]), -ECANCELED);
}
END_TEST

/* A waker that starts a new wait while notify_waiters runs. */
static void wait_again(void *data)
{
	(void)data;
	ck_assert_int_eq(start(4), WEIR_PENDING);
}

static void nothing(void *data)
{
	(void)data;
}

START_TEST(a_wait_that_begins_during_notify_waiters_is_not_woken)
{
	static const struct weir_waker_ops ops = { nothing, wait_again, nothing };
	struct weir_cx cx = { { &ops, NULL }, NULL, NULL };

	weir_notified_init(&w[0], &n);
	ck_assert_int_eq(weir_poll(&w[0].future, &cx), WEIR_PENDING);
	ck_assert_int_eq(start(1), WEIR_PENDING);
	weir_notify_waiters(&n);
	ck_assert_int_eq(weir_poll(&w[0].future, &cx), 0);
	ck_assert_int_eq(POLL(&h[1], &w[1]), 0);
	ck_assert_int_eq(h[4].wakes, 0);
	ck_assert_int_eq(POLL(&h[4], &w[4]), WEIR_PENDING);
	ck_assert_int_eq(CANCEL(&h[4], &w[4]), -ECANCELED);
}
END_TEST

/* A waker that cancels another waiter of the same batch. */
static void cancel_second(void *data)
{
	(void)data;
	weir_cancel(&w[1].future);
}

START_TEST(a_cancel_in_the_middle_of_waiters_comes_too_late)
{
	static const struct weir_waker_ops ops = { nothing, cancel_second, nothing };
	struct weir_cx cx = { { &ops, NULL }, NULL, NULL };

	weir_notified_init(&w[0], &n);
	ck_assert_int_eq(weir_poll(&w[0].future, &cx), WEIR_PENDING);
	ck_assert_int_eq(start(1), WEIR_PENDING);
	ck_assert_int_eq(start(2), WEIR_PENDING);
	weir_notify_waiters(&n);
	ck_assert_int_eq(weir_poll(&w[0].future, &cx), 0);
	ck_assert_int_eq(POLL(&h[1], &w[1]), 0);
	ck_assert_int_eq(POLL(&h[2], &w[2]), 0);
}
END_TEST

START_TEST(a_cancelled_waiter_uses_nothing_up)
{
	ck_assert_int_eq(start(0), WEIR_PENDING);
	ck_assert_int_eq(start(1), WEIR_PENDING);
	ck_assert_int_eq(CANCEL(&h[0], &w[0]), -ECANCELED);
	DISCARD(&w[0]);			/* it was not notified: this must pass nothing on */
	ck_assert_int_eq(h[1].wakes, 0);
	weir_notify_one(&n);
	ck_assert_int_eq(POLL(&h[1], &w[1]), 0);
}
END_TEST

START_TEST(a_discarded_notification_is_passed_on)
{
	int i;

	for (i = 0; i < 4; i++)
		ck_assert_int_eq(start(i), WEIR_PENDING);
	weir_notify_one(&n);
	ck_assert_int_eq(CANCEL(&h[0], &w[0]), 0);
	DISCARD(&w[0]);			/* passes it on to the first waiter */
	ck_assert_int_eq(h[1].wakes, 1);
	weir_notify_last(&n);
	ck_assert_int_eq(CANCEL(&h[3], &w[3]), 0);
	DISCARD(&w[3]);			/* passes it on to the last waiter */
	ck_assert_int_eq(h[2].wakes, 1);
	ck_assert_int_eq(POLL(&h[1], &w[1]), 0);
	ck_assert_int_eq(POLL(&h[2], &w[2]), 0);
	DISCARD(&w[2]);			/* nobody waits: the permit is kept */
	ck_assert_int_eq(start(0), 0);
	ck_assert_int_eq(start(1), WEIR_PENDING);
	weir_notify_waiters(&n);
	ck_assert_int_eq(POLL(&h[1], &w[1]), 0);
	DISCARD(&w[1]);			/* from notify_waiters: not passed on */
	ck_assert_int_eq(start(0), WEIR_PENDING);
	ck_assert_int_eq(CANCEL(&h[0], &w[0]), -ECANCELED);
}
END_TEST

START_TEST(an_enabled_wait_is_queued_before_its_poll)
{
	weir_notified_init(&w[0], &n);
	ck_assert(!weir_notified_enable(&w[0]));
	ck_assert(!weir_notified_enable(&w[0]));
	ck_assert_int_eq(start(1), WEIR_PENDING);
	weir_notify_one(&n);
	ck_assert_int_eq(h[1].wakes, 0);
	ck_assert(weir_notified_enable(&w[0]));
	ck_assert_int_eq(POLL(&h[0], &w[0]), 0);
	/* If it is polled before it is notified, it is woken like any other. */
	weir_notified_init(&w[2], &n);
	ck_assert(!weir_notified_enable(&w[2]));
	ck_assert_int_eq(POLL(&h[2], &w[2]), WEIR_PENDING);
	weir_notify_last(&n);
	ck_assert_int_eq(h[2].wakes, 1);
	ck_assert_int_eq(POLL(&h[2], &w[2]), 0);
	ck_assert_int_eq(CANCEL(&h[1], &w[1]), -ECANCELED);
	/* Enabling takes a permit at once, and the wait can be cancelled. */
	weir_notify_one(&n);
	weir_notified_init(&w[3], &n);
	ck_assert(weir_notified_enable(&w[3]));
	ck_assert_int_eq(POLL(&h[3], &w[3]), 0);
	weir_notified_init(&w[4], &n);
	ck_assert(!weir_notified_enable(&w[4]));
	ck_assert_int_eq(CANCEL(&h[4], &w[4]), -ECANCELED);
}
END_TEST

static struct weir_notify ping, pong;
static unsigned long turns;		/* not atomic: the notifies order the accesses */

static void *play(void *arg)
{
	struct weir_notify *mine = *(int *)arg ? &pong : &ping;
	struct weir_notify *other = *(int *)arg ? &ping : &pong;
	struct weir_notified_future wait;
	int i;

	for (i = 0; i < 5000; i++) {
		weir_notified_init(&wait, mine);
		if (i % 3 == 0)
			weir_notified_enable(&wait);
		ck_assert_int_eq(BLOCK(&wait), 0);
		turns++;
		weir_notify_one(other);
	}
	return NULL;
}

START_TEST(two_threads_take_turns)
{
	int args[2] = { 0, 1 };

	weir_notify_init(&ping);
	weir_notify_init(&pong);
	turns = 0;
	weir_notify_one(&ping);
	run_threads(2, play, args, sizeof args[0]);
	ck_assert_uint_eq(turns, 10000);
}
END_TEST

static int ready;			/* atomic */

static void *wait_until_ready(void *arg)
{
	struct weir_notified_future wait;

	(void)arg;
	for (;;) {
		weir_notified_init(&wait, &n);
		if (__atomic_load_n(&ready, __ATOMIC_ACQUIRE))
			return NULL;
		ck_assert_int_eq(BLOCK(&wait), 0);
	}
}

START_TEST(waiters_misses_none_that_looked_after_its_init)
{
	int args[4] = { 0 }, round;
	pthread_t t[4];
	size_t i;

	for (round = 0; round < 200; round++) {
		ready = 0;
		for (i = 0; i < 4; i++)
			ck_assert_int_eq(pthread_create(&t[i], NULL, wait_until_ready,
							&args[i]), 0);
		__atomic_store_n(&ready, 1, __ATOMIC_RELEASE);
		weir_notify_waiters(&n);
		for (i = 0; i < 4; i++)
			pthread_join(t[i], NULL);
	}
}
END_TEST

#define HERE .setup = setup, .teardown = teardown

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(one_permit_is_kept_and_no_more, HERE),
		TESTING(one_takes_the_first_and_last_the_last, HERE),
		TESTING(waiters_wakes_exactly_those_who_wait, HERE),
		TESTING(a_wait_that_begins_during_notify_waiters_is_not_woken, HERE),
		TESTING(a_cancel_in_the_middle_of_waiters_comes_too_late, HERE),
		TESTING(a_cancelled_waiter_uses_nothing_up, HERE),
		TESTING(a_discarded_notification_is_passed_on, HERE),
		TESTING(an_enabled_wait_is_queued_before_its_poll, HERE),
		TESTING(two_threads_take_turns, HERE),
		TESTING(waiters_misses_none_that_looked_after_its_init, HERE),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
