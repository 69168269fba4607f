/* SPDX-License-Identifier: MIT */
/*
 * core_guard.c: the guard. A thread that says it is a worker may become an
 * owner; how it loses that against others is what is tested.
 */
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "core/guard.h"
#include "tests/support/testing.h"

static int a_worker;			/* only its address is used */

static void be_a_worker(void)
{
	weir__context()->worker = (struct weir__worker *)(void *)&a_worker;
}

static bool take_and_drop(struct weir__guard *g)
{
	bool as_owner = weir__guard_take(g);

	weir__guard_drop(g, as_owner);
	return as_owner;
}

static void *from_elsewhere(void *arg)
{
	be_a_worker();
	ck_assert(!take_and_drop(arg));
	return NULL;
}

static void touch_from_elsewhere(struct weir__guard *g)
{
	pthread_t t;

	ck_assert_int_eq(pthread_create(&t, NULL, from_elsewhere, g), 0);
	pthread_join(t, NULL);
}

/* Whether this machine has membarrier(2); without it there are no owners to test. */
static bool owners_exist(void)
{
	struct weir__guard g;

	weir__guard_enable();
	be_a_worker();
	weir__guard_init(&g);
	take_and_drop(&g);
	if (take_and_drop(&g))
		return true;
	testing_skip("no membarrier(2)");
	return false;
}

START_TEST(the_first_worker_becomes_the_owner_until_somebody_else_comes)
{
	struct weir__guard g;

	if (!owners_exist())
		return;
	weir__guard_init(&g);
	ck_assert(!take_and_drop(&g));
	ck_assert(take_and_drop(&g));
	ck_assert(take_and_drop(&g));
	touch_from_elsewhere(&g);
	ck_assert(!take_and_drop(&g));
	ck_assert(!take_and_drop(&g));
	touch_from_elsewhere(&g);
}
END_TEST

START_TEST(without_enable_nobody_owns)
{
	struct weir__guard g;

	be_a_worker();
	weir__guard_init(&g);
	take_and_drop(&g);
	ck_assert(!take_and_drop(&g));
}
END_TEST

START_TEST(a_thread_that_is_no_worker_does_not_own)
{
	struct weir__guard g;

	weir__guard_enable();
	weir__guard_init(&g);
	take_and_drop(&g);
	ck_assert(!take_and_drop(&g));
}
END_TEST

START_TEST(only_so_many_ownerships_end)
{
	struct weir__guard g;
	int i, owned = 0;

	if (!owners_exist())
		return;
	for (i = 0; i < 100; i++) {
		weir__guard_init(&g);
		take_and_drop(&g);
		owned += take_and_drop(&g);
		touch_from_elsewhere(&g);
	}
	ck_assert_int_eq(owned, 32);
}
END_TEST

enum {
	GUARDS = 30,
	EACH = 20000
};

static struct {
	struct weir__guard guard;
	unsigned long count;		/* plain: the guard is what protects it */
	unsigned started;		/* atomic */
} cell[GUARDS];

static void *count_as_owner(void *arg)
{
	int i, k;
	bool as_owner;

	(void)arg;
	be_a_worker();
	for (i = 0; i < GUARDS; i++)
		for (k = 0; k < EACH; k++) {
			as_owner = weir__guard_take(&cell[i].guard);
			cell[i].count++;
			weir__guard_drop(&cell[i].guard, as_owner);
			if (k == 1000)
				__atomic_store_n(&cell[i].started, 1, __ATOMIC_RELEASE);
		}
	return NULL;
}

/* Breaks in while the owner is at it. */
static void *count_as_intruder(void *arg)
{
	int i, k;
	bool as_owner;

	(void)arg;
	for (i = 0; i < GUARDS; i++) {
		while (!__atomic_load_n(&cell[i].started, __ATOMIC_ACQUIRE))
			;
		for (k = 0; k < EACH; k++) {
			as_owner = weir__guard_take(&cell[i].guard);
			ck_assert(!as_owner);
			cell[i].count++;
			weir__guard_drop(&cell[i].guard, as_owner);
		}
	}
	return NULL;
}

START_TEST(nobody_is_inside_with_the_owner)
{
	pthread_t owner, intruder;
	int i;

	if (!owners_exist())
		return;
	weir__context()->worker = NULL;
	for (i = 0; i < GUARDS; i++)
		weir__guard_init(&cell[i].guard);
	ck_assert_int_eq(pthread_create(&owner, NULL, count_as_owner, NULL), 0);
	ck_assert_int_eq(pthread_create(&intruder, NULL, count_as_intruder, NULL), 0);
	pthread_join(owner, NULL);
	pthread_join(intruder, NULL);
	for (i = 0; i < GUARDS; i++)
		ck_assert_uint_eq(cell[i].count, 2 * EACH);
}
END_TEST

static int intruder_is_in;		/* atomic */

static void *break_in(void *arg)
{
	struct weir__guard *g = arg;
	bool as_owner = weir__guard_take(g);

	__atomic_store_n(&intruder_is_in, 1, __ATOMIC_RELAXED);
	weir__guard_drop(g, as_owner);
	return NULL;
}

START_TEST(an_intruder_waits_until_the_owner_is_out)
{
	const void *me = weir__context();
	struct weir__guard g;
	bool as_owner;
	pthread_t t;
	int i;

	if (!owners_exist())
		return;
	weir__guard_init(&g);
	take_and_drop(&g);
	as_owner = weir__guard_take(&g);
	ck_assert(as_owner);
	ck_assert_int_eq(pthread_create(&t, NULL, break_in, &g), 0);
	while (__atomic_load_n(&g.owner, __ATOMIC_RELAXED) == me)
		sched_yield();
	/* It is at the door now; give it every chance to come in too early. */
	for (i = 0; i < 10000; i++) {
		ck_assert_int_eq(__atomic_load_n(&intruder_is_in, __ATOMIC_RELAXED), 0);
		sched_yield();
	}
	weir__guard_drop(&g, as_owner);
	pthread_join(t, NULL);
	ck_assert_int_eq(intruder_is_in, 1);
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(the_first_worker_becomes_the_owner_until_somebody_else_comes),
		TESTING(without_enable_nobody_owns),
		TESTING(a_thread_that_is_no_worker_does_not_own),
		TESTING(only_so_many_ownerships_end),
		TESTING(an_intruder_waits_until_the_owner_is_out),
		TESTING(nobody_is_inside_with_the_owner, .needs = "2cpus", .rounds = 5,
			.timeout_s = 60),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
