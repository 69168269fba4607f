/* SPDX-License-Identifier: MIT */
/*
 * stats.c: see stats.h.
 */
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "tools/bench/stats.h"

#define RESAMPLES 2000
#define EXACT_MAX 32

uint64_t stats_random(uint64_t *seed)
{
	uint64_t z = *seed += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

/* ---- one set ---- */

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double median_of_sorted(const double *sorted, unsigned len)
{
	if (len == 0)
		return 0;
	return (sorted[(len - 1) / 2] + sorted[len / 2]) / 2;
}

static void sort_copy(double *to, const double *values, unsigned len)
{
	if (len == 0)
		return;
	memcpy(to, values, len * sizeof(*to));
	qsort(to, len, sizeof(*to), compare);
}

double stats_median(const double *values, unsigned len)
{
	double sorted[STATS_MAX];

	sort_copy(sorted, values, len);
	return median_of_sorted(sorted, len);
}

double stats_mean(const double *values, unsigned len)
{
	double sum = 0;

	for (unsigned i = 0; i < len; i++)
		sum += values[i];
	return len ? sum / len : 0;
}

double stats_min(const double *values, unsigned len)
{
	double min = len ? values[0] : 0;

	for (unsigned i = 1; i < len; i++)
		min = values[i] < min ? values[i] : min;
	return min;
}

double stats_max(const double *values, unsigned len)
{
	double max = len ? values[0] : 0;

	for (unsigned i = 1; i < len; i++)
		max = values[i] > max ? values[i] : max;
	return max;
}

double stats_stddev(const double *values, unsigned len)
{
	double mean = stats_mean(values, len), sum = 0;

	for (unsigned i = 0; i < len; i++)
		sum += (values[i] - mean) * (values[i] - mean);
	return len > 1 ? sqrt(sum / (len - 1)) : 0;
}

double stats_cv(const double *values, unsigned len)
{
	double mean = stats_mean(values, len);

	return mean != 0 ? stats_stddev(values, len) / fabs(mean) : 0;
}

double stats_mad(const double *values, unsigned len)
{
	double median = stats_median(values, len), off[STATS_MAX];

	for (unsigned i = 0; i < len; i++)
		off[i] = fabs(values[i] - median);
	return stats_median(off, len);
}

/* ---- bootstrap ---- */

static double resampled_median(const double *values, unsigned len, uint64_t *seed)
{
	double drawn[STATS_MAX];

	for (unsigned i = 0; i < len; i++)
		drawn[i] = values[stats_random(seed) % len];
	qsort(drawn, len, sizeof(*drawn), compare);
	return median_of_sorted(drawn, len);
}

/* The middle 95 % of the estimates. */
static struct stats_interval middle(double *estimates)
{
	qsort(estimates, RESAMPLES, sizeof(*estimates), compare);
	return (struct stats_interval){ estimates[RESAMPLES / 40],
					estimates[RESAMPLES - 1 - RESAMPLES / 40] };
}

struct stats_interval stats_median_interval(const double *values, unsigned len, uint64_t seed)
{
	double estimates[RESAMPLES];

	if (len == 0)
		return (struct stats_interval){ 0, 0 };
	for (unsigned i = 0; i < RESAMPLES; i++)
		estimates[i] = resampled_median(values, len, &seed);
	return middle(estimates);
}

struct stats_interval stats_difference_interval(const double *a, unsigned a_len, const double *b,
						unsigned b_len, uint64_t seed)
{
	double estimates[RESAMPLES], from, to;

	if (a_len == 0 || b_len == 0)
		return (struct stats_interval){ 0, 0 };
	for (unsigned i = 0; i < RESAMPLES; i++) {
		from = resampled_median(a, a_len, &seed);
		to = resampled_median(b, b_len, &seed);
		estimates[i] = from != 0 ? (to / from - 1) * 100 : 0;
	}
	return middle(estimates);
}

/* ---- Mann-Whitney ---- */

struct ranked {
	double value;
	bool first;			/* it is of the first set */
};

static int compare_ranked(const void *a, const void *b)
{
	return compare(&((const struct ranked *)a)->value, &((const struct ranked *)b)->value);
}

/* U of the first set, by mid-ranks; *ret_ties: the sum of t^3 - t over groups of equal values. */
static double u_statistic(const double *a, unsigned a_len, const double *b, unsigned b_len,
			  double *ret_ties)
{
	struct ranked all[2 * STATS_MAX];
	unsigned len = a_len + b_len;
	double ranks = 0;

	for (unsigned i = 0; i < len; i++)
		all[i] = (struct ranked){ i < a_len ? a[i] : b[i - a_len], i < a_len };
	qsort(all, len, sizeof(*all), compare_ranked);
	*ret_ties = 0;
	for (unsigned i = 0, end; i < len; i = end) {
		for (end = i + 1; end < len && all[end].value == all[i].value;)
			end++;
		for (unsigned k = i; k < end; k++)
			ranks += all[k].first ? (i + 1 + end) / 2.0 : 0;
		*ret_ties += pow(end - i, 3) - (end - i);
	}
	return ranks - a_len * (a_len + 1) / 2.0;
}

/*
 * The share of all ways to interleave the two sets in which U is at most u. ways[k] is the number
 * of choices of ranks whose U is k: the coefficients of the Gaussian binomial (a + b over a),
 * multiplied up factor by factor.
 */
static double share_at_most(unsigned u, unsigned a_len, unsigned b_len)
{
	double ways[EXACT_MAX * EXACT_MAX + 1] = { 1 }, all = 0, low = 0;
	unsigned top = a_len * b_len;

	for (unsigned i = 1; i <= a_len; i++) {
		for (unsigned k = top; k >= b_len + i; k--)
			ways[k] -= ways[k - b_len - i];
		for (unsigned k = i; k <= top; k++)
			ways[k] += ways[k - i];
	}
	for (unsigned k = 0; k <= top; k++) {
		all += ways[k];
		low += k <= u ? ways[k] : 0;
	}
	return low / all;
}

static double approximate(double u, double ties, unsigned a_len, unsigned b_len)
{
	double product = (double)a_len * b_len, len = a_len + b_len;
	double variance = product / 12 * (len + 1 - ties / (len * (len - 1)));
	double off = fabs(u - product / 2) - 0.5;

	if (variance <= 0)
		return 1;
	return off <= 0 ? 1 : erfc(off / sqrt(2 * variance));
}

double stats_mann_whitney(const double *a, unsigned a_len, const double *b, unsigned b_len)
{
	double ties, u, least, p;

	if (a_len == 0 || b_len == 0)
		return 1;
	u = u_statistic(a, a_len, b, b_len, &ties);
	if (ties > 0 || a_len > EXACT_MAX || b_len > EXACT_MAX)
		return approximate(u, ties, a_len, b_len);
	least = fmin(u, (double)a_len * b_len - u);
	p = 2 * share_at_most((unsigned)least, a_len, b_len);
	return p < 1 ? p : 1;
}
