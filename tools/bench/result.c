/* SPDX-License-Identifier: MIT */
/*
 * result.c: computes the results from the repetitions: merged histograms, medians,
 * differences from the reference with p values, the noise floor, and the verdicts. For
 * every compared figure less is better.
 */
#include <math.h>
#include <stdlib.h>

#include "tools/bench/bench.h"

#define ALPHA 0.05

bool bench_known(const struct weir_histogram *h, double share)
{
	return (double)h->count * (1 - share) >= BENCH_TAIL_SAMPLES - 1e-6;
}

unsigned bench_values(const struct bench_row *row, enum bench_metric metric, double *ret_values)
{
	unsigned len = 0;

	for (unsigned i = 0; i < row->reps_len; i++)
		if (!isnan(row->reps[i].value[metric]))
			ret_values[len++] = row->reps[i].value[metric];
	return len;
}

double bench_median(const struct bench_row *row, enum bench_metric metric)
{
	double values[BENCH_REPS_MAX];
	unsigned len = bench_values(row, metric, values);

	return len ? stats_median(values, len) : NAN;
}

static bool merge(struct bench_row *row)
{
	row->latency = calloc(1, sizeof(*row->latency));
	if (!row->latency)
		return false;
	for (unsigned i = 0; i < row->reps_len; i++) {
		weir_histogram_merge(row->latency, &row->reps[i].latency);
		row->client_bound |= row->reps[i].client_bound;
	}
	return true;
}

/* The noise floor: the bound of the interval of the difference between the two A/A runs. */
static void find_noise(struct bench *b, enum bench_metric metric)
{
	double a[BENCH_REPS_MAX], z[BENCH_REPS_MAX];
	struct stats_interval interval;
	unsigned a_len, z_len;

	b->noise_pct[metric] = NAN;
	if (b->twin == b->backends_len)
		return;
	a_len = bench_values(&b->rows[b->reference], metric, a);
	z_len = bench_values(&b->rows[b->twin], metric, z);
	if (a_len == 0 || z_len == 0)
		return;
	interval = stats_difference_interval(a, a_len, z, z_len, b->cfg.seed);
	b->noise_pct[metric] = fmax(fabs(interval.lo), fabs(interval.hi));
}

static void judge(const struct bench *b, struct bench_row *row, enum bench_metric metric)
{
	double a[BENCH_REPS_MAX], z[BENCH_REPS_MAX], from, difference;
	unsigned a_len = bench_values(&b->rows[b->reference], metric, a);
	unsigned z_len = bench_values(row, metric, z);

	row->difference_pct[metric] = row->p_value[metric] = NAN;
	row->verdict[metric] = NULL;
	from = stats_median(a, a_len);
	if (row == &b->rows[b->reference] || a_len == 0 || z_len == 0 || from == 0)
		return;
	difference = (stats_median(z, z_len) / from - 1) * 100;
	row->difference_pct[metric] = difference;
	row->p_value[metric] = stats_mann_whitney(a, a_len, z, z_len);
	if (row->p_value[metric] >= ALPHA || fabs(difference) < b->noise_pct[metric])
		row->verdict[metric] = "no measurable difference";
	else
		row->verdict[metric] = difference < 0 ? "better" : "worse";
}

bool bench_judge(struct bench *b)
{
	for (unsigned i = 0; i < b->backends_len; i++) {
		if (!merge(&b->rows[i]))
			return false;
		if (b->rows[i].client_bound)
			bench_warn(b, "%s is client-bound: the load was at its limit, or late",
				   b->backends[i].label);
	}
	for (enum bench_metric metric = 0; metric <= BENCH_P999; metric++) {
		find_noise(b, metric);
		for (unsigned i = 0; i < b->backends_len; i++)
			judge(b, &b->rows[i], metric);
	}
	return true;
}
