/* SPDX-License-Identifier: MIT */
/*
 * tools_bench_stats.c: the statistics of weir bench, compared with published values and with
 * exhaustive counts, and tested on random data.
 */
#include <math.h>

#include "tests/support/testing.h"
#include "tools/bench/stats.h"

#define LEN(array) ((unsigned)TESTING_COUNT(array))

static void assert_near(double got, double want, double tolerance)
{
	ck_assert_msg(fabs(got - want) <= tolerance, "%.9g is not %.9g", got, want);
}

static double uniform(uint64_t *seed)
{
	return (double)(stats_random(seed) >> 11) / 9007199254740992.0;
}

START_TEST(figures_of_one_set)
{
	static const double seven[] = { 1, 1, 2, 2, 4, 6, 9 };
	static const double eight[] = { 9, 4, 2, 4, 5, 4, 7, 5 };

	assert_near(stats_median(seven, 7), 2, 0);
	assert_near(stats_mad(seven, 7), 1, 0);
	assert_near(stats_median(eight, 8), 4.5, 0);
	assert_near(stats_mean(eight, 8), 5, 0);
	assert_near(stats_stddev(eight, 8), 2.13808993529939517, 1e-12);
	assert_near(stats_cv(eight, 8), 0.427617987059879, 1e-12);
	assert_near(stats_min(eight, 8), 2, 0);
	assert_near(stats_max(eight, 8), 9, 0);
}
END_TEST

START_TEST(sets_of_none_and_one)
{
	static const double one[] = { 7 };
	struct stats_interval interval = stats_median_interval(one, 1, 1);

	ck_assert(stats_median(one, 0) == 0 && stats_mean(one, 0) == 0 && stats_mad(one, 0) == 0);
	ck_assert(stats_median(one, 1) == 7 && stats_stddev(one, 1) == 0 && stats_cv(one, 1) == 0);
	ck_assert(interval.lo == 7 && interval.hi == 7);
	ck_assert(stats_mann_whitney(one, 1, one, 0) == 1);
	ck_assert(stats_mann_whitney(one, 1, one, 1) == 1);
}
END_TEST

/* The examples of SciPy's manual, and values found by counting. */
START_TEST(mann_whitney_known_values)
{
	static const double males[] = { 19, 22, 16, 29, 24 }, females[] = { 20, 11, 17, 12 };
	static const double low[] = { 1, 2, 3, 4, 5, 6, 7 }, high[] = { 8, 9, 10, 11, 12, 13, 14 };
	static const double same[] = { 3, 3, 3 };

	assert_near(stats_mann_whitney(males, 5, females, 4), 1.0 / 9, 1e-12);
	assert_near(stats_mann_whitney(females, 4, males, 5), 1.0 / 9, 1e-12);
	assert_near(stats_mann_whitney(low, 7, high, 7), 2.0 / 3432, 1e-12);
	assert_near(stats_mann_whitney(same, 3, same, 3), 1, 0);
}
END_TEST

/* With ties: U = 2.5, 8 values, groups of 3 and of 2; by hand from Lehmann's variance. */
START_TEST(mann_whitney_with_ties)
{
	static const double a[] = { 1, 2, 2, 3 }, b[] = { 2, 3, 4, 5 };
	double variance = 16.0 / 12 * (9 - (24.0 + 6.0) / (8 * 7));

	assert_near(stats_mann_whitney(a, 4, b, 4), erfc((8 - 2.5 - 0.5) / sqrt(2 * variance)),
		    1e-12);
}
END_TEST

/* Returns U for a set of ranks, given as bits. */
static unsigned u_of(unsigned ranks, unsigned len)
{
	unsigned below = 0, u = 0;

	for (unsigned i = 0; i < len; i++) {
		if (ranks & 1u << i)
			u += below;
		else
			below++;
	}
	return u;
}

/* Compares p with a count over all ways to divide the ranks 1 to 9 into sets of 4 and 5. */
START_TEST(mann_whitney_is_exact)
{
	double a[4], b[5];

	for (unsigned ranks = 0; ranks < 1u << 9; ranks++) {
		unsigned a_len = 0, b_len = 0, u, least, at_most = 0, all = 0;
		double p;

		if (__builtin_popcount(ranks) != 4)
			continue;
		for (unsigned i = 0; i < 9; i++) {
			if (ranks & 1u << i)
				a[a_len++] = i;
			else
				b[b_len++] = i;
		}
		u = u_of(ranks, 9);
		least = u < 20 - u ? u : 20 - u;
		for (unsigned other = 0; other < 1u << 9; other++) {
			if (__builtin_popcount(other) != 4)
				continue;
			all++;
			at_most += u_of(other, 9) <= least;
		}
		p = fmin(1, 2.0 * at_most / all);
		assert_near(stats_mann_whitney(a, 4, b, 5), p, 1e-12);
	}
}
END_TEST

/* Just inside and just outside of the exact range the two methods agree. */
START_TEST(mann_whitney_exact_and_approximate_agree)
{
	double a[33], b[33], exact, approximate;
	uint64_t seed = (uint64_t)_i + 1;

	for (unsigned i = 0; i < 33; i++) {
		a[i] = uniform(&seed);
		b[i] = uniform(&seed) + 0.1;
	}
	exact = stats_mann_whitney(a, 32, b, 32);
	a[32] = 0.5;
	b[32] = 0.6;
	approximate = stats_mann_whitney(a, 33, b, 33);
	assert_near(exact, approximate, 0.05);
	ck_assert(exact > 0 && exact <= 1);
}
END_TEST

/*
 * Of pairs of sets that do not differ, one in twenty seems to; of pairs that do, nearly all are
 * found.
 */
START_TEST(mann_whitney_errs_as_often_as_it_says)
{
	double a[9], b[9], c[9];
	unsigned wrong = 0, found = 0;
	uint64_t seed = 5;

	for (unsigned round = 0; round < 4000; round++) {
		for (unsigned i = 0; i < 9; i++) {
			a[i] = uniform(&seed);
			b[i] = uniform(&seed);
			c[i] = uniform(&seed) + 0.7;
		}
		wrong += stats_mann_whitney(a, 9, b, 9) < 0.05;
		found += stats_mann_whitney(a, 9, c, 9) < 0.05;
	}
	ck_assert_msg(wrong > 100 && wrong < 220, "%u of 4000", wrong);
	ck_assert_msg(found > 3600, "%u of 4000", found);
}
END_TEST

/* At least 90 % of the intervals contain the true median. With 15 values they are not exact. */
START_TEST(bootstrap_interval_covers_the_median)
{
	struct stats_interval interval;
	unsigned covered = 0;
	double values[15];
	uint64_t seed = 11;

	for (unsigned round = 0; round < 300; round++) {
		for (unsigned i = 0; i < LEN(values); i++)
			values[i] = -log(1 - uniform(&seed));
		interval = stats_median_interval(values, LEN(values), round);
		ck_assert(interval.lo <= interval.hi);
		ck_assert(interval.lo <= stats_median(values, LEN(values)));
		ck_assert(interval.hi >= stats_median(values, LEN(values)));
		covered += interval.lo <= log(2) && interval.hi >= log(2);
	}
	ck_assert_msg(covered >= 270 && covered < 300, "%u of 300", covered);
}
END_TEST

START_TEST(bootstrap_is_repeatable_and_finds_a_difference)
{
	double a[9], b[9];
	struct stats_interval one, two, difference;
	uint64_t seed = 3;

	for (unsigned i = 0; i < 9; i++) {
		a[i] = 100 + uniform(&seed);
		b[i] = 80 + uniform(&seed);
	}
	one = stats_median_interval(a, 9, 7);
	two = stats_median_interval(a, 9, 7);
	ck_assert(one.lo == two.lo && one.hi == two.hi);
	difference = stats_difference_interval(a, 9, b, 9, 7);
	ck_assert(difference.lo > -22 && difference.hi < -18 && difference.lo < difference.hi);
	difference = stats_difference_interval(a, 9, a, 9, 7);
	ck_assert(difference.lo <= 0 && difference.hi >= 0);
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(figures_of_one_set),
		TESTING(sets_of_none_and_one),
		TESTING(mann_whitney_known_values),
		TESTING(mann_whitney_with_ties),
		TESTING(mann_whitney_is_exact),
		TESTING(mann_whitney_exact_and_approximate_agree, .rounds = 5),
		TESTING(mann_whitney_errs_as_often_as_it_says),
		TESTING(bootstrap_interval_covers_the_median),
		TESTING(bootstrap_is_repeatable_and_finds_a_difference),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
