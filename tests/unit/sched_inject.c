/* SPDX-License-Identifier: MIT */
/*
 * sched_inject.c: the inject queue: order, chains, closing, and four threads at once.
 */
#include <pthread.h>
#include <stdlib.h>

#include "sched/inject.h"
#include "tests/support/testing.h"

enum {
	N = 10,
	THREADS = 2,
	EACH = 200000
};

struct item {
	struct weir__link link;		/* first */
	unsigned value;
};

static unsigned value_of(const struct weir__link *link)
{
	return ((const struct item *)(const void *)link)->value;
}

static void make_items(struct item *items, unsigned n)
{
	for (unsigned k = 0; k < n; k++)
		items[k].value = k;
}

START_TEST(first_in_first_out)
{
	struct inject q;
	struct item items[N];

	weir__inject_init(&q);
	make_items(items, N);
	ck_assert_ptr_null(weir__inject_pop(&q));
	for (unsigned k = 0; k < N; k++) {
		ck_assert(weir__inject_push(&q, &items[k].link));
		ck_assert_uint_eq(inject_len(&q), k + 1);
	}
	for (unsigned k = 0; k < N; k++)
		ck_assert_uint_eq(value_of(weir__inject_pop(&q)), k);
	ck_assert_ptr_null(weir__inject_pop(&q));
	ck_assert_uint_eq(inject_len(&q), 0);
	ck_assert(weir__inject_push(&q, &items[0].link));
	ck_assert_ptr_eq(weir__inject_pop(&q), &items[0].link);
}
END_TEST

START_TEST(chains_keep_the_order)
{
	struct inject q;
	struct item items[N];
	struct weir__link *link;

	weir__inject_init(&q);
	make_items(items, N);
	for (unsigned k = 1; k < 5; k++)
		items[k].link.next = &items[k + 1].link;
	items[5].link.next = &items[9].link;	/* ignored: the chain ends at `last` */
	ck_assert(weir__inject_push(&q, &items[0].link));
	ck_assert(weir__inject_push_chain(&q, &items[1].link, &items[5].link, 5));
	ck_assert(weir__inject_push_chain(&q, NULL, NULL, 0));
	ck_assert(weir__inject_push(&q, &items[6].link));
	ck_assert_uint_eq(inject_len(&q), 7);

	ck_assert_uint_eq(weir__inject_pop_chain(&q, 0, &link), 0);
	ck_assert_ptr_null(link);
	ck_assert_uint_eq(weir__inject_pop_chain(&q, 4, &link), 4);
	for (unsigned k = 0; k < 4; k++, link = link->next)
		ck_assert_uint_eq(value_of(link), k);
	ck_assert_ptr_null(link);
	ck_assert_uint_eq(inject_len(&q), 3);
	ck_assert_uint_eq(weir__inject_pop_chain(&q, 100, &link), 3);
	for (unsigned k = 4; k < 7; k++, link = link->next)
		ck_assert_uint_eq(value_of(link), k);
	ck_assert_ptr_null(link);
	ck_assert_uint_eq(weir__inject_pop_chain(&q, 100, &link), 0);
	ck_assert_ptr_null(link);
}
END_TEST

START_TEST(closed_takes_nothing_and_gives_the_rest)
{
	struct inject q;
	struct item items[N];

	weir__inject_init(&q);
	make_items(items, N);
	ck_assert(weir__inject_push(&q, &items[0].link));
	ck_assert(weir__inject_push(&q, &items[1].link));
	weir__inject_close(&q);
	ck_assert(!weir__inject_push(&q, &items[2].link));
	items[2].link.next = &items[3].link;
	ck_assert(!weir__inject_push_chain(&q, &items[2].link, &items[3].link, 2));
	ck_assert_uint_eq(inject_len(&q), 2);
	ck_assert_uint_eq(value_of(weir__inject_pop(&q)), 0);
	ck_assert_uint_eq(value_of(weir__inject_pop(&q)), 1);
	ck_assert_ptr_null(weir__inject_pop(&q));
}
END_TEST

static struct inject shared;
static struct item *shared_items;
static unsigned char *taken;
static size_t n_taken;

static void *push_all(void *arg)
{
	size_t from = *(size_t *)arg * EACH;

	for (size_t k = from; k < from + EACH; k += 2) {
		shared_items[k].link.next = &shared_items[k + 1].link;
		if (k % 3)
			weir__inject_push_chain(&shared, &shared_items[k].link,
						&shared_items[k + 1].link, 2);
		else if (weir__inject_push(&shared, &shared_items[k].link))
			weir__inject_push(&shared, &shared_items[k + 1].link);
	}
	return NULL;
}

/* Takes items until all are taken, and checks that each producer's items arrive in order. */
static void *pop_all(void *ret_in_order)
{
	unsigned last[THREADS] = { 0 };
	struct weir__link *link, *next;

	while (weir__load(&n_taken, WEIR_RELAXED) < (size_t)THREADS * EACH) {
		weir__inject_pop_chain(&shared, 7, &link);
		for (; link; link = next) {
			unsigned v = value_of(link), *prev = &last[v / EACH];

			next = link->next;
			if (*prev > v)
				*(bool *)ret_in_order = false;
			*prev = v;
			weir__fetch_add(&taken[v], 1, WEIR_RELAXED);
			weir__fetch_add(&n_taken, 1, WEIR_RELAXED);
		}
	}
	return NULL;
}

START_TEST(many_threads_lose_nothing)
{
	pthread_t threads[2 * THREADS];
	size_t ids[THREADS];
	bool in_order[THREADS];

	weir__inject_init(&shared);
	shared_items = calloc((size_t)THREADS * EACH, sizeof(*shared_items));
	taken = calloc((size_t)THREADS * EACH, 1);
	ck_assert(shared_items && taken);
	make_items(shared_items, THREADS * EACH);
	for (size_t k = 0; k < THREADS; k++) {
		ids[k] = k;
		in_order[k] = true;
		ck_assert_int_eq(pthread_create(&threads[k], NULL, push_all, &ids[k]), 0);
		ck_assert_int_eq(pthread_create(&threads[THREADS + k], NULL, pop_all,
						&in_order[k]), 0);
	}
	for (size_t k = 0; k < 2 * THREADS; k++)
		pthread_join(threads[k], NULL);
	for (size_t k = 0; k < (size_t)THREADS * EACH; k++)
		ck_assert_uint_eq(taken[k], 1);
	ck_assert(in_order[0] && in_order[1]);
	ck_assert_uint_eq(inject_len(&shared), 0);
	free(shared_items);
	free(taken);
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(first_in_first_out),
		TESTING(chains_keep_the_order),
		TESTING(closed_takes_nothing_and_gives_the_rest),
		TESTING(many_threads_lose_nothing),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
