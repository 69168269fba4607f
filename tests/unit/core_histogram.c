/* SPDX-License-Identifier: MIT */
/*
 * core_histogram.c: compares weir/histogram.h with a sorted array: the documented error, merging,
 * overflow, and reading while another thread adds.
 */
#include <pthread.h>
#include <stdlib.h>

#include "tests/support/testing.h"
#include "weir/histogram.h"
#include "core/atomic.h"

#define SAMPLES 20000

static struct weir_histogram h, part[4];

static uint64_t next_number(uint64_t *seed)
{
	uint64_t z = *seed += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

/* Draws a value. Every magnitude is equally likely, and some values overflow. */
static uint64_t any_value(uint64_t *seed)
{
	uint64_t n = next_number(seed);

	return n >> (20 + next_number(seed) % 44);
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

START_TEST(empty_it_answers_zero)
{
	unsigned cursor = 0;
	uint64_t top, n;

	weir_histogram_init(&h);
	ck_assert_uint_eq(weir_histogram_quantile(&h, 0.5), 0);
	ck_assert_uint_eq(weir_histogram_quantile(&h, 1), 0);
	ck_assert(weir_histogram_mean(&h) == 0);
	ck_assert(!weir_histogram_next(&h, &cursor, &top, &n));
	weir_histogram_merge(&h, &part[0]);
	ck_assert_uint_eq(h.count, 0);
	ck_assert_uint_eq(h.min, 0);
}
END_TEST

START_TEST(small_values_are_exact)
{
	weir_histogram_init(&h);
	for (uint64_t i = 1; i <= 100; i++)
		weir_histogram_add(&h, i);
	for (unsigned i = 1; i <= 100; i++)
		ck_assert_uint_eq(weir_histogram_quantile(&h, i / 100.0), i);
	ck_assert_uint_eq(weir_histogram_quantile(&h, 0), 1);
	ck_assert_uint_eq(weir_histogram_quantile(&h, -1), 1);
	ck_assert_uint_eq(weir_histogram_quantile(&h, 7), 100);
	ck_assert(weir_histogram_mean(&h) == 50.5);
}
END_TEST

/* The top of each value's bucket is at least the value, and less than 1/128 above it. */
START_TEST(a_single_value_is_off_by_less_than_one_in_128)
{
	uint64_t seed = (uint64_t)_i + 1, value, got;

	for (unsigned i = 0; i < 3000; i++) {
		value = i < 80 ? (1ull << i / 2) - (i % 2) : any_value(&seed);
		weir_histogram_init(&h);
		weir_histogram_add(&h, value);
		weir_histogram_add(&h, value * 2 + 1);
		got = weir_histogram_quantile(&h, 0.5);
		if (value >= WEIR_HISTOGRAM_LIMIT) {
			ck_assert_uint_eq(h.overflows, 2);
			ck_assert_uint_eq(got, value * 2 + 1);
			continue;
		}
		ck_assert_uint_ge(got, value);
		ck_assert_msg((got - value) * 128 <= value, "%llu for %llu",
			      (unsigned long long)got, (unsigned long long)value);
	}
}
END_TEST

START_TEST(quantiles_keep_the_bound_against_a_sorted_array)
{
	static const double shares[] = { 0.001, 0.07, 0.1, 0.25, 0.5, 0.9, 0.99, 0.999, 0.9999 };
	uint64_t *values = malloc(SAMPLES * sizeof(*values)), seed = (uint64_t)_i + 77;

	ck_assert_ptr_nonnull(values);
	weir_histogram_init(&h);
	for (unsigned i = 0; i < SAMPLES; i++) {
		values[i] = any_value(&seed) % WEIR_HISTOGRAM_LIMIT;
		weir_histogram_add(&h, values[i]);
	}
	qsort(values, SAMPLES, sizeof(*values), compare);
	for (unsigned i = 0; i < TESTING_COUNT(shares); i++) {
		unsigned rank = (unsigned)(shares[i] * SAMPLES + 0.9999);
		uint64_t want = values[rank - 1], got = weir_histogram_quantile(&h, shares[i]);

		ck_assert_uint_ge(got, want);
		ck_assert_uint_le((got - want) * 128, want);
	}
	ck_assert_uint_eq(h.min, values[0]);
	ck_assert_uint_eq(weir_histogram_quantile(&h, 1), values[SAMPLES - 1]);
	free(values);
}
END_TEST

static void assert_same(const struct weir_histogram *a, const struct weir_histogram *b)
{
	ck_assert_uint_eq(a->count, b->count);
	ck_assert_uint_eq(a->sum, b->sum);
	ck_assert_uint_eq(a->min, b->min);
	ck_assert_uint_eq(a->max, b->max);
	ck_assert_uint_eq(a->overflows, b->overflows);
	for (unsigned i = 0; i < WEIR_HISTOGRAM_BUCKETS; i++)
		ck_assert_uint_eq(a->buckets[i], b->buckets[i]);
}

/* The result must not depend on how the values are split, or on their order. */
START_TEST(merging_parts_is_adding_all)
{
	static struct weir_histogram merged;
	uint64_t seed = (uint64_t)_i + 5, value;

	weir_histogram_init(&h);
	weir_histogram_init(&merged);
	for (unsigned i = 0; i < 4; i++)
		weir_histogram_init(&part[i]);
	for (unsigned i = 0; i < SAMPLES; i++) {
		value = any_value(&seed);
		weir_histogram_add(&h, value);
		weir_histogram_add(&part[next_number(&seed) % (3 + _i % 2)], value);
	}
	ck_assert_uint_gt(h.overflows, 0);
	for (unsigned i = 0; i < 4; i++)
		weir_histogram_merge(&merged, &part[(i + (unsigned)_i) % 4]);
	assert_same(&h, &merged);
}
END_TEST

START_TEST(the_walk_gives_every_sample_once_upwards)
{
	uint64_t seed = 3, top = 0, last = 0, n, sum = 0;
	unsigned cursor = 0;
	bool first = true;

	weir_histogram_init(&h);
	for (unsigned i = 0; i < SAMPLES; i++)
		weir_histogram_add(&h, any_value(&seed));
	while (weir_histogram_next(&h, &cursor, &top, &n)) {
		ck_assert(first || top > last);
		ck_assert_uint_gt(n, 0);
		sum += n;
		last = top;
		first = false;
	}
	ck_assert_uint_eq(sum, SAMPLES);
	ck_assert_uint_eq(last, h.max);
}
END_TEST

static void *writer(void *arg)
{
	bool *done = arg;
	uint64_t seed = 9;

	for (unsigned i = 0; i < 200000; i++)
		weir_histogram_add(&h, 1000 + next_number(&seed) % 1000);
	weir__store(done, true, WEIR_RELEASE);		/* pairs with the acquire below */
	return NULL;
}

START_TEST(a_reader_beside_the_writer_sees_values_that_were_added)
{
	static struct weir_histogram copy;
	pthread_t thread;
	bool done = false;
	uint64_t got;

	weir_histogram_init(&h);
	ck_assert_int_eq(pthread_create(&thread, NULL, writer, &done), 0);
	while (!weir__load(&done, WEIR_ACQUIRE)) {
		weir_histogram_init(&copy);
		weir_histogram_merge(&copy, &h);
		got = weir_histogram_quantile(&copy, 0.5);
		ck_assert(copy.count == 0 || (got >= 1000 && got < 2000));
	}
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert_uint_eq(h.count, 200000);
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(empty_it_answers_zero),
		TESTING(small_values_are_exact),
		TESTING(a_single_value_is_off_by_less_than_one_in_128, .rounds = 3),
		TESTING(quantiles_keep_the_bound_against_a_sorted_array, .rounds = 10),
		TESTING(merging_parts_is_adding_all, .rounds = 4),
		TESTING(the_walk_gives_every_sample_once_upwards),
		TESTING(a_reader_beside_the_writer_sees_values_that_were_added),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
