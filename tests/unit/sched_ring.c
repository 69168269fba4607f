/* SPDX-License-Identifier: MIT */
/*
 * sched_ring.c: sched/ring.h with its real size: capacity, order, how much a steal takes and when
 * it takes nothing, and a million items between an owner and a thief. tests/model/ring.cpp checks
 * all schedules and stale values.
 */
#include <pthread.h>
#include <stdlib.h>

#include "sched/ring.h"
#include "tests/support/testing.h"

enum {
	MILLION = 1000000
};

static struct ring ring, thief;

static void *item(uintptr_t k)
{
	return (void *)(k + 1);
}

static uintptr_t number(const void *it)
{
	return (uintptr_t)it - 1;
}

static void setup(void)
{
	ring_init(&ring);
	ring_init(&thief);
}

static void fill(struct ring *r, uintptr_t from, uintptr_t n)
{
	for (uintptr_t k = from; k < from + n; k++)
		ck_assert(ring_push(r, item(k)));
}

static void expect(struct ring *r, uintptr_t from, uintptr_t n)
{
	for (uintptr_t k = from; k < from + n; k++)
		ck_assert_ptr_eq(ring_pop(r), item(k));
	ck_assert_ptr_null(ring_pop(r));
}

START_TEST(fits_256_in_order)
{
	ck_assert_ptr_null(ring_pop(&ring));
	ck_assert_uint_eq(ring_room(&ring), 256);
	fill(&ring, 0, 256);
	ck_assert_uint_eq(ring_len(&ring), 256);
	ck_assert_uint_eq(ring_room(&ring), 0);
	ck_assert(!ring_push(&ring, item(999)));
	ck_assert_ptr_eq(ring_pop(&ring), item(0));
	ck_assert_uint_eq(ring_room(&ring), 1);
	fill(&ring, 256, 1);
	ck_assert(!ring_push(&ring, item(999)));
	expect(&ring, 1, 256);
	ck_assert_uint_eq(ring_len(&ring), 0);
}
END_TEST

START_TEST(counters_wrap)
{
	uint32_t at = UINT32_MAX - 100;
	void *one;

	weir__store(&ring.head, ring_pack(at, at), WEIR_RELAXED);
	weir__store(&ring.tail, at, WEIR_RELAXED);
	fill(&ring, 0, 256);
	ck_assert(!ring_push(&ring, item(999)));
	ck_assert_uint_eq(ring_len(&ring), 256);
	ck_assert_uint_eq(ring_steal(&ring, &thief, &one), 128);
	ck_assert_ptr_eq(one, item(127));
	expect(&thief, 0, 127);
	expect(&ring, 128, 128);
	ck_assert_uint_eq(ring_room(&ring), 256);
}
END_TEST

START_TEST(steals_the_older_half_rounded_up)
{
	static const unsigned lens[] = { 1, 2, 3, 4, 5, 8, 255, 256 };

	for (size_t k = 0; k < sizeof(lens) / sizeof(lens[0]); k++) {
		unsigned half = lens[k] - lens[k] / 2;
		void *one = NULL;

		fill(&ring, 0, lens[k]);
		ck_assert_uint_eq(ring_steal(&ring, &thief, &one), half);
		ck_assert_ptr_eq(one, item(half - 1));
		ck_assert_uint_eq(ring_len(&thief), half - 1);
		expect(&thief, 0, half - 1);
		expect(&ring, half, lens[k] - half);
	}
}
END_TEST

START_TEST(nothing_to_steal)
{
	void *one = &ring;

	ck_assert_uint_eq(ring_steal(&ring, &thief, &one), 0);
	ck_assert_ptr_eq(one, &ring);
}
END_TEST

START_TEST(a_full_thief_is_refused)
{
	void *one;

	fill(&ring, 0, 256);
	fill(&thief, 1000, 129);
	ck_assert_uint_eq(ring_steal(&ring, &thief, &one), 0);
	ck_assert_ptr_eq(ring_pop(&thief), item(1000));
	ck_assert_uint_eq(ring_steal(&ring, &thief, &one), 128);
	ck_assert_uint_eq(ring_len(&thief), 255);
}
END_TEST

/* A thief is suspended in the middle of ring_steal, while it copies. */
START_TEST(one_thief_at_a_time)
{
	uint64_t head;
	void *one;

	fill(&ring, 0, 256);
	ck_assert_uint_eq(ring_claim(&ring, &head), 128);
	ck_assert_uint_eq(ring_len(&ring), 128);
	ck_assert_uint_eq(ring_steal(&ring, &thief, &one), 0);
	ck_assert_ptr_eq(ring_pop(&ring), item(128));
	ck_assert_uint_eq(ring_room(&ring), 0);
	ck_assert(!ring_push(&ring, item(999)));
	ring_unclaim(&ring, head);
	ck_assert_uint_eq(ring_room(&ring), 129);
	ck_assert_uint_eq(ring_steal(&ring, &thief, &one), 64);
	ck_assert_ptr_eq(one, item(192));
}
END_TEST

static unsigned char seen[MILLION];
static bool owner_done;
static bool thief_in_order = true;

static void see(const void *it)
{
	weir__fetch_add(&seen[number(it)], 1, WEIR_RELAXED);
}

static void *steal_all(void *arg)
{
	uintptr_t last = 0;
	void *one, *it;

	(void)arg;
	while (!weir__load(&owner_done, WEIR_ACQUIRE) || ring_len(&ring) > 0) {
		if (!ring_steal(&ring, &thief, &one))
			continue;
		while ((it = ring_pop(&thief)) != NULL) {
			thief_in_order &= number(it) >= last;
			last = number(it);
			see(it);
		}
		thief_in_order &= number(one) >= last;
		last = number(one);
		see(one);
	}
	return NULL;
}

START_TEST(a_million_items_and_a_thief)
{
	pthread_t thread;
	void *it;

	ck_assert_int_eq(pthread_create(&thread, NULL, steal_all, NULL), 0);
	for (uintptr_t k = 0; k < MILLION; k++) {
		while (!ring_push(&ring, item(k)))
			if ((it = ring_pop(&ring)) != NULL)
				see(it);
		if (k % 3 == 0 && (it = ring_pop(&ring)) != NULL)
			see(it);
	}
	while ((it = ring_pop(&ring)) != NULL)
		see(it);
	weir__store(&owner_done, true, WEIR_RELEASE);
	pthread_join(thread, NULL);
	for (size_t k = 0; k < MILLION; k++)
		ck_assert_uint_eq(seen[k], 1);
	ck_assert(thief_in_order);
}
END_TEST

#define CASE(name) TESTING(name, .setup = setup)

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		CASE(fits_256_in_order),
		CASE(counters_wrap),
		CASE(steals_the_older_half_rounded_up),
		CASE(nothing_to_steal),
		CASE(a_full_thief_is_refused),
		CASE(one_thief_at_a_time),
		CASE(a_million_items_and_a_thief),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
