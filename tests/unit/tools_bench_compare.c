/* SPDX-License-Identifier: MIT */
/*
 * tools_bench_compare.c: when two figures count as different, and when not.
 */
#include <math.h>

#include "tests/support/testing.h"
#include "tools/bench/compare.h"

static double low[] = { 10.0, 10.1, 10.2, 10.3, 10.4, 10.5, 10.6 };
static double high[] = { 12.0, 12.1, 12.2, 12.3, 12.4, 12.5, 12.6 };
static double mixed[] = { 9.9, 10.15, 10.25, 10.3, 10.35, 10.45, 10.9 };

static struct bench_figure figure(double *samples, size_t count, enum bench_better better)
{
	return (struct bench_figure){
		.key = (char *)"p99",
		.better = better,
		.samples = samples,
		.count = count,
		.median = stats_median(samples, (unsigned)count),
		.low = NAN,
		.high = NAN,
		.p_value = NAN,
	};
}

START_TEST(a_clear_difference_is_better_or_worse)
{
	struct bench_figure a = figure(low, 7, BENCH_LOWER), b = figure(high, 7, BENCH_LOWER);
	struct bench_comparison c = bench_compare(&a, &b, 0);

	ck_assert_int_eq(c.verdict, BENCH_WORSE);
	ck_assert_double_lt(c.p_value, 0.001);
	ck_assert_double_eq_tol(c.ratio, 12.3 / 10.3, 1e-9);
	ck_assert(!c.overlap);
	ck_assert_int_eq(bench_compare(&b, &a, 0).verdict, BENCH_BETTER);
}
END_TEST

START_TEST(which_way_is_better_is_the_figures)
{
	struct bench_figure a = figure(low, 7, BENCH_HIGHER), b = figure(high, 7, BENCH_HIGHER);

	ck_assert_int_eq(bench_compare(&a, &b, 0).verdict, BENCH_BETTER);
	b.better = BENCH_NEITHER;
	ck_assert_int_eq(bench_compare(&a, &b, 0).verdict, BENCH_DIFFERENT);
}
END_TEST

START_TEST(what_overlaps_is_no_measurable_difference)
{
	struct bench_figure a = figure(low, 7, BENCH_LOWER), b = figure(mixed, 7, BENCH_LOWER);
	struct bench_comparison c = bench_compare(&a, &b, 0);

	ck_assert_int_eq(c.verdict, BENCH_SAME);
	ck_assert(c.overlap && c.p_value > BENCH_ALPHA);
	ck_assert_str_eq(bench_verdict_words(c.verdict), "no measurable difference");
}
END_TEST

START_TEST(a_difference_below_the_noise_floor_does_not_count)
{
	struct bench_figure a = figure(low, 7, BENCH_LOWER), b = figure(high, 7, BENCH_LOWER);

	ck_assert_int_eq(bench_compare(&a, &b, 19).verdict, BENCH_WORSE);
	ck_assert_int_eq(bench_compare(&a, &b, 20).verdict, BENCH_SAME);
}
END_TEST

/* With three repetitions each, p is never below 0.1. */
START_TEST(of_three_repetitions_nothing_can_be_told)
{
	struct bench_figure a = figure(low, 3, BENCH_LOWER), b = figure(high, 3, BENCH_LOWER);

	ck_assert_int_eq(bench_compare(&a, &b, 0).verdict, BENCH_CANNOT_TELL);
	a.count = b.count = 4;
	ck_assert_int_eq(bench_compare(&a, &b, 0).verdict, BENCH_WORSE);
}
END_TEST

START_TEST(without_repetitions_the_intervals_decide)
{
	struct bench_figure a = figure(low, 7, BENCH_LOWER), b = figure(high, 7, BENCH_LOWER);

	a.count = b.count = 0;
	ck_assert_int_eq(bench_compare(&a, &b, 0).verdict, BENCH_CANNOT_TELL);
	a.low = 10, a.high = 10.6, b.low = 12, b.high = 12.6;
	ck_assert_int_eq(bench_compare(&a, &b, 0).verdict, BENCH_WORSE);
	b.low = 10.5;
	ck_assert_int_eq(bench_compare(&a, &b, 0).verdict, BENCH_SAME);
}
END_TEST

START_TEST(what_was_zero_has_no_ratio)
{
	double zeros[7] = { 0 };
	struct bench_figure a = figure(zeros, 7, BENCH_LOWER), b = figure(low, 7, BENCH_LOWER);
	struct bench_comparison c = bench_compare(&a, &b, 0);
	char text[48];

	ck_assert(isnan(c.ratio));
	ck_assert_int_eq(c.verdict, BENCH_WORSE);
	bench_change_format(&c, text, sizeof(text));
	ck_assert_str_eq(text, "from 0");
	ck_assert_int_eq(bench_compare(&a, &a, 0).verdict, BENCH_SAME);
}
END_TEST

START_TEST(the_files_own_verdict_is_taken)
{
	struct bench_figure a = figure(low, 7, BENCH_LOWER), b = figure(high, 7, BENCH_LOWER);
	struct bench_file file = { 0 };
	struct bench_comparison c;

	b.verdict = "no measurable difference";
	b.p_value = 0.5;
	c = bench_compare_given(&file, &a, &b);
	ck_assert_int_eq(c.verdict, BENCH_SAME);
	ck_assert_double_eq(c.p_value, 0.5);
	b.verdict = NULL;
	ck_assert_int_eq(bench_compare_given(&file, &a, &b).verdict, BENCH_WORSE);
}
END_TEST

START_TEST(p_values_are_short)
{
	char text[48];

	bench_p_format(0.0002, text, sizeof(text));
	ck_assert_str_eq(text, "<0.001");
	bench_p_format(0.0214, text, sizeof(text));
	ck_assert_str_eq(text, "0.021");
	bench_p_format(0.731, text, sizeof(text));
	ck_assert_str_eq(text, "0.73");
	bench_p_format(NAN, text, sizeof(text));
	ck_assert_str_eq(text, "n/a");
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(a_clear_difference_is_better_or_worse),
		TESTING(which_way_is_better_is_the_figures),
		TESTING(what_overlaps_is_no_measurable_difference),
		TESTING(a_difference_below_the_noise_floor_does_not_count),
		TESTING(of_three_repetitions_nothing_can_be_told),
		TESTING(without_repetitions_the_intervals_decide),
		TESTING(what_was_zero_has_no_ratio),
		TESTING(the_files_own_verdict_is_taken),
		TESTING(p_values_are_short),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
