/* SPDX-License-Identifier: MIT */
/*
 * stats.h: statistics of a few repetitions: robust figures (median, MAD), their
 * uncertainty (bootstrap interval), and whether two sets differ (rank test). No function
 * assumes a normal distribution, and none changes its input arrays.
 *
 * Sources: MAD: Hampel 1974, "The influence curve and its role in robust estimation".
 * Bootstrap: Efron 1979, "Bootstrap methods: another look at the jackknife" (percentile
 * interval). U test: Mann and Whitney 1947, "On a test of whether one of two random
 * variables is stochastically larger than the other"; with ties the variance of
 * Lehmann 1975, "Nonparametrics", chapter 1.
 */
#ifndef TOOLS_BENCH_STATS_H
#define TOOLS_BENCH_STATS_H

#include <stdint.h>

/* The largest number of values in a set. */
#define STATS_MAX 256

struct stats_interval {
	double lo, hi;
};

/* The mean and other figures of up to STATS_MAX values; 0 for an empty set. */
double stats_mean(const double *values, unsigned len);
double stats_median(const double *values, unsigned len);
double stats_min(const double *values, unsigned len);
double stats_max(const double *values, unsigned len);
/* The sample standard deviation (n - 1); 0 for fewer than two values. */
double stats_stddev(const double *values, unsigned len);
/* The standard deviation divided by the mean; 0 if the mean is 0. */
double stats_cv(const double *values, unsigned len);
/* The median of the absolute deviations from the median, not scaled. */
double stats_mad(const double *values, unsigned len);

/* 95 % bootstrap interval of the median; the seed makes it repeatable. */
struct stats_interval stats_median_interval(const double *values, unsigned len, uint64_t seed);

/* The same for the difference of two medians, in per cent of the first. */
struct stats_interval stats_difference_interval(const double *a, unsigned a_len, const double *b,
						unsigned b_len, uint64_t seed);

/*
 * The two-sided p value of the Mann-Whitney U test: exact for up to 32 values in each set
 * without ties, else by the normal approximation with continuity correction. 1 for an empty set
 * and for sets in which all values are the same.
 */
double stats_mann_whitney(const double *a, unsigned a_len, const double *b, unsigned b_len);

/* Pseudo-random numbers: Vigna's splitmix64; updates the seed. */
uint64_t stats_random(uint64_t *seed);

#endif
