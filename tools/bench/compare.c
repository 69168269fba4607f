/* SPDX-License-Identifier: MIT */
/*
 * compare.c: see compare.h.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tools/bench/compare.h"

/* A fixed seed: the same file always gives the same intervals. */
#define SEED 1

static const char *const words[] = {
	[BENCH_CANNOT_TELL] = "too few repetitions",
	[BENCH_SAME] = "no measurable difference",
	[BENCH_BETTER] = "better",
	[BENCH_WORSE] = "worse",
	[BENCH_DIFFERENT] = "different",
};

const char *bench_verdict_words(enum bench_verdict verdict)
{
	return words[verdict];
}

void bench_change_format(const struct bench_comparison *comparison, char *buf, size_t len)
{
	double change = comparison->change_pct;

	if (isnan(change))
		snprintf(buf, len, "n/a");
	else if (isinf(change))
		snprintf(buf, len, "from 0");
	else if (fabs(change) >= 1e5)
		snprintf(buf, len, "\303\227%.3g", comparison->ratio);
	else if (fabs(change) < 0.05)
		snprintf(buf, len, "0 %%");
	else
		snprintf(buf, len, "%s%.*f %%", change < 0 ? "\342\210\222" : "+",
			 fabs(change) < 9.95, fabs(change));
}

void bench_p_format(double p_value, char *buf, size_t len)
{
	if (isnan(p_value))
		snprintf(buf, len, "n/a");
	else if (p_value < 0.001)
		snprintf(buf, len, "<0.001");
	else
		snprintf(buf, len, p_value < 0.0995 ? "%.3f" : "%.2f", p_value);
}

bool bench_interval(const struct bench_figure *figure, struct stats_interval *ret_interval)
{
	if (isfinite(figure->low) && isfinite(figure->high)) {
		*ret_interval = (struct stats_interval){ figure->low, figure->high };
		return true;
	}
	if (figure->count < 2)
		return false;
	*ret_interval = stats_median_interval(figure->samples, (unsigned)figure->count, SEED);
	return true;
}

/*
 * Whether p can be below ALPHA at all: for two sets that do not overlap it is 2 divided by the
 * binomial coefficient (a + b choose a).
 */
static bool enough(size_t a, size_t b)
{
	double ways = 1;

	for (size_t i = 1; i <= a; i++)
		ways = ways * (double)(b + i) / (double)i;
	return a > 0 && b > 0 && 2 / ways < BENCH_ALPHA;
}

static enum bench_verdict direction(enum bench_better better, double change_pct)
{
	if (better == BENCH_NEITHER)
		return BENCH_DIFFERENT;
	return (change_pct < 0) == (better == BENCH_LOWER) ? BENCH_BETTER : BENCH_WORSE;
}

/* Compare only the medians, without a test. */
static struct bench_comparison sizes(const struct bench_figure *old,
				     const struct bench_figure *new)
{
	struct bench_comparison c = { NAN, NAN, NAN, false, BENCH_CANNOT_TELL };
	struct stats_interval a, b;

	if (old->median > 0 && isfinite(new->median)) {
		c.ratio = new->median / old->median;
		c.change_pct = (c.ratio - 1) * 100;
	} else if (old->median == 0 && isfinite(new->median)) {
		c.change_pct = new->median == 0 ? 0 : copysign(INFINITY, new->median);
	}
	if (bench_interval(old, &a) && bench_interval(new, &b))
		c.overlap = a.lo <= b.hi && b.lo <= a.hi;
	return c;
}

struct bench_comparison bench_compare(const struct bench_figure *old,
				      const struct bench_figure *new, double floor_pct)
{
	struct bench_comparison c = sizes(old, new);
	struct stats_interval unused;
	bool differ;

	if (enough(old->count, new->count)) {
		c.p_value = stats_mann_whitney(old->samples, (unsigned)old->count, new->samples,
					       (unsigned)new->count);
		differ = c.p_value < BENCH_ALPHA;
	} else if (old->count == 0 && new->count == 0 && bench_interval(old, &unused) &&
		   bench_interval(new, &unused)) {
		differ = !c.overlap;
	} else {
		return c;
	}
	if (!differ || !(fabs(c.change_pct) > floor_pct))
		c.verdict = BENCH_SAME;
	else
		c.verdict = direction(new->better, c.change_pct);
	return c;
}

struct bench_comparison bench_compare_given(const struct bench_file *file,
					    const struct bench_figure *old,
					    const struct bench_figure *new)
{
	struct bench_comparison c;

	if (!new->verdict)
		return bench_compare(old, new, bench_file_floor(file, new->key));
	c = sizes(old, new);
	c.p_value = new->p_value;
	if (!enough(old->count, new->count) && old->count > 0)
		c.verdict = BENCH_CANNOT_TELL;
	else if (strcmp(new->verdict, "better") == 0)
		c.verdict = BENCH_BETTER;
	else if (strcmp(new->verdict, "worse") == 0)
		c.verdict = BENCH_WORSE;
	else
		c.verdict = BENCH_SAME;
	return c;
}
