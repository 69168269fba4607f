/* SPDX-License-Identifier: MIT */
/* sync_semaphore.c: the semaphore, polled by hand, then between threads. */
#include "tests/unit/sync_waker.h"
#include "weir/sync/semaphore.h"

static struct weir_sem sem;
static struct weir_sem_acquire_future w[6];
static struct hand h[6];

static int start(int i, size_t count)
{
	weir_sem_acquire_init(&w[i], &sem, count);
	return POLL(&h[i], &w[i]);
}

START_TEST(permits_are_counted)
{
	ck_assert_int_eq(weir_sem_init(&sem, 5), 0);
	ck_assert_int_eq(weir_sem_acquire_try(&sem, 3), 0);
	ck_assert_uint_eq(weir_sem_available(&sem), 2);
	ck_assert_int_eq(weir_sem_acquire_try(&sem, 3), -EAGAIN);
	ck_assert_int_eq(weir_sem_acquire_try(&sem, 0), 0);
	ck_assert_int_eq(weir_sem_release(&sem, 3), 0);
	ck_assert_uint_eq(weir_sem_available(&sem), 5);
	ck_assert_uint_eq(weir_sem_forget(&sem, 2), 2);
	ck_assert_uint_eq(weir_sem_forget(&sem, 9), 3);
	ck_assert_int_eq(weir_sem_acquire_try(&sem, 1), -EAGAIN);
	ck_assert_int_eq(weir_sem_acquire(&sem, 1), -EPERM);
	weir_sem_fini(&sem);
}
END_TEST

START_TEST(too_many_permits_are_refused)
{
	ck_assert_int_eq(weir_sem_init(&sem, WEIR_SEM_MAX + 1), -EINVAL);
	ck_assert_int_eq(weir_sem_init(&sem, WEIR_SEM_MAX), 0);
	ck_assert_int_eq(weir_sem_release(&sem, 1), -EOVERFLOW);
	ck_assert_uint_eq(weir_sem_available(&sem), WEIR_SEM_MAX);
	ck_assert_int_eq(weir_sem_acquire_try(&sem, WEIR_SEM_MAX + 1), -EINVAL);
	ck_assert_int_eq(start(0, WEIR_SEM_MAX + 1), -EINVAL);
	ck_assert_int_eq(weir_sem_acquire_try(&sem, WEIR_SEM_MAX), 0);
}
END_TEST

START_TEST(nobody_overtakes_one_that_waits_for_many)
{
	weir_sem_init(&sem, 2);
	ck_assert_int_eq(start(0, 3), WEIR_PENDING);
	ck_assert_int_eq(start(1, 1), WEIR_PENDING);
	ck_assert_int_eq(weir_sem_acquire_try(&sem, 1), -EAGAIN);
	weir_sem_release(&sem, 1);
	ck_assert_int_eq(h[0].wakes, 1);
	ck_assert_int_eq(h[1].wakes, 0);
	ck_assert_int_eq(POLL(&h[0], &w[0]), 0);
	ck_assert_int_eq(POLL(&h[1], &w[1]), WEIR_PENDING);
	weir_sem_release(&sem, 3);
	ck_assert_int_eq(POLL(&h[1], &w[1]), 0);
	ck_assert_uint_eq(weir_sem_available(&sem), 2);
	ck_assert_int_eq(h[0].refs + h[1].refs, 0);
	weir_sem_fini(&sem);
}
END_TEST

START_TEST(one_release_serves_several_in_order)
{
	int i;

	weir_sem_init(&sem, 0);
	for (i = 0; i < 5; i++)
		ck_assert_int_eq(start(i, 2), WEIR_PENDING);
	weir_sem_release(&sem, 7);
	for (i = 0; i < 5; i++)
		ck_assert_int_eq(POLL(&h[i], &w[i]), i < 3 ? 0 : WEIR_PENDING);
	ck_assert_uint_eq(weir_sem_available(&sem), 1);
	ck_assert_int_eq(weir_sem_acquire_try(&sem, 1), -EAGAIN);
	weir_sem_release(&sem, 3);
	ck_assert_int_eq(POLL(&h[3], &w[3]), 0);
	ck_assert_int_eq(POLL(&h[4], &w[4]), 0);
	weir_sem_fini(&sem);
}
END_TEST

START_TEST(cancelling_the_first_in_line_serves_those_behind_it)
{
	weir_sem_init(&sem, 2);
	ck_assert_int_eq(start(0, 5), WEIR_PENDING);
	ck_assert_int_eq(start(1, 1), WEIR_PENDING);
	ck_assert_int_eq(start(2, 1), WEIR_PENDING);
	ck_assert_int_eq(start(3, 1), WEIR_PENDING);
	ck_assert_int_eq(CANCEL(&h[0], &w[0]), -ECANCELED);
	DISCARD(&w[0]);			/* it has no permits: this must release none */
	ck_assert_int_eq(POLL(&h[1], &w[1]), 0);
	ck_assert_int_eq(POLL(&h[2], &w[2]), 0);
	ck_assert_int_eq(POLL(&h[3], &w[3]), WEIR_PENDING);
	ck_assert_uint_eq(weir_sem_available(&sem), 0);
	weir_sem_release(&sem, 1);
	ck_assert_int_eq(POLL(&h[3], &w[3]), 0);
	weir_sem_fini(&sem);
}
END_TEST

START_TEST(permits_that_won_against_cancel_are_kept_and_can_be_discarded)
{
	weir_sem_init(&sem, 0);
	ck_assert_int_eq(start(0, 2), WEIR_PENDING);
	weir_sem_release(&sem, 2);
	ck_assert_int_eq(CANCEL(&h[0], &w[0]), 0);
	ck_assert_uint_eq(weir_sem_available(&sem), 0);
	DISCARD(&w[0]);
	ck_assert_uint_eq(weir_sem_available(&sem), 2);
	weir_sem_fini(&sem);
}
END_TEST

START_TEST(close_wakes_all_and_refuses_later_ones)
{
	weir_sem_init(&sem, 1);
	ck_assert_int_eq(start(0, 2), WEIR_PENDING);
	ck_assert_int_eq(start(1, 1), WEIR_PENDING);
	weir_sem_close(&sem);
	ck_assert(weir_sem_is_closed(&sem));
	ck_assert_int_eq(h[0].wakes, 1);
	ck_assert_int_eq(h[1].wakes, 1);
	ck_assert_int_eq(POLL(&h[0], &w[0]), -ESHUTDOWN);
	ck_assert_int_eq(CANCEL(&h[1], &w[1]), -ESHUTDOWN);
	DISCARD(&w[0]);
	ck_assert_int_eq(weir_sem_acquire_try(&sem, 1), -ESHUTDOWN);
	ck_assert_int_eq(start(2, 1), -ESHUTDOWN);
	ck_assert_int_eq(weir_sem_release(&sem, 1), 0);
	ck_assert_uint_eq(weir_sem_available(&sem), 2);
	weir_sem_close(&sem);
	weir_sem_fini(&sem);
}
END_TEST

static size_t in_use;			/* atomic: permits that the threads hold in all */

static void *acquire_a_lot(void *arg)
{
	unsigned seed = *(unsigned *)arg;
	struct weir_sem_acquire_future wait;
	int done = 0;
	size_t n;

	while (done < 3000) {
		n = next_random(&seed) % 4;
		weir_sem_acquire_init(&wait, &sem, n);
		if (weir_block_on(&wait.future,
				  next_random(&seed) % 4 == 0 ? 0 : WEIR_FOREVER) != 0)
			continue;
		ck_assert_uint_le(__atomic_add_fetch(&in_use, n, __ATOMIC_RELAXED), 4);
		__atomic_sub_fetch(&in_use, n, __ATOMIC_RELAXED);
		weir_sem_release(&sem, n);
		done++;
	}
	return NULL;
}

START_TEST(threads_never_have_more_than_there_is_and_lose_none)
{
	unsigned seeds[4] = { 1, 2, 3, 4 };

	weir_sem_init(&sem, 4);
	run_threads(4, acquire_a_lot, seeds, sizeof seeds[0]);
	ck_assert_uint_eq(weir_sem_available(&sem), 4);
	weir_sem_fini(&sem);
}
END_TEST

static void *wait_for_close(void *arg)
{
	struct weir_sem_acquire_future wait;

	(void)arg;
	weir_sem_acquire_init(&wait, &sem, 2);
	ck_assert_int_eq(BLOCK(&wait), -ESHUTDOWN);
	return NULL;
}

static void *close_it(void *arg)
{
	(void)arg;
	weir_sem_release(&sem, 1);
	weir_sem_close(&sem);
	return NULL;
}

START_TEST(threads_are_all_woken_by_close)
{
	int args[4] = { 0 }, round;
	pthread_t closer;

	for (round = 0; round < 100; round++) {
		weir_sem_init(&sem, 0);
		ck_assert_int_eq(pthread_create(&closer, NULL, close_it, NULL), 0);
		run_threads(4, wait_for_close, args, sizeof args[0]);
		pthread_join(closer, NULL);
		weir_sem_fini(&sem);
	}
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(permits_are_counted),
		TESTING(too_many_permits_are_refused),
		TESTING(nobody_overtakes_one_that_waits_for_many),
		TESTING(one_release_serves_several_in_order),
		TESTING(cancelling_the_first_in_line_serves_those_behind_it),
		TESTING(permits_that_won_against_cancel_are_kept_and_can_be_discarded),
		TESTING(close_wakes_all_and_refuses_later_ones),
		TESTING(threads_never_have_more_than_there_is_and_lose_none),
		TESTING(threads_are_all_woken_by_close),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
