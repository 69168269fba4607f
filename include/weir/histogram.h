/* SPDX-License-Identifier: MIT */
/*
 * histogram.h: how often which value was seen, in a fixed amount of memory.
 *
 * It is log-linear: each value below 128 has a bucket; above, each power of two is
 * divided into 128 equal buckets. A quantile is the largest value of its bucket (or the
 * maximum, if that is less). So it is never below the true one, and above it by less
 * than one part in 128.
 *
 * Values from 2^40 on (18 minutes in ns) are counted as overflow: they are in
 * count, sum and max, and a quantile among them is the maximum.
 *
 *	zeroed memory ──► weir_histogram_add … ──► weir_histogram_quantile
 *	                          └── weir_histogram_merge into another
 *
 * One thread adds. Any thread may read or merge meanwhile; it sees some members
 * earlier than others. Nothing is allocated.
 *
 * Do not: average quantiles of two histograms (merge them); quote a quantile with
 * fewer than some hundred samples beyond it.
 */
#ifndef WEIR_HISTOGRAM_H
#define WEIR_HISTOGRAM_H

#include "weir/base.h"

#define WEIR_HISTOGRAM_STEP_BITS 7
#define WEIR_HISTOGRAM_VALUE_BITS 40
#define WEIR_HISTOGRAM_LIMIT (1ull << WEIR_HISTOGRAM_VALUE_BITS)
#define WEIR_HISTOGRAM_BUCKETS                                                                     \
	((WEIR_HISTOGRAM_VALUE_BITS - WEIR_HISTOGRAM_STEP_BITS + 1) << WEIR_HISTOGRAM_STEP_BITS)

/* All zero is an empty histogram. About 34 KiB. */
struct weir_histogram {
	uint64_t count;			/* samples, overflows among them */
	uint64_t sum;			/* modulo 2^64 */
	uint64_t min, max;		/* exact; 0 while empty */
	uint64_t overflows;		/* samples of WEIR_HISTOGRAM_LIMIT or more */
	uint64_t buckets[WEIR_HISTOGRAM_BUCKETS];
};

WEIR_BEGIN_DECLS

/** Empty it. Thread: the one that adds. Since: 0.1 */
WEIR_API void weir_histogram_init(struct weir_histogram *h);

/** Count one value. Thread: the one that adds. Since: 0.1 */
WEIR_API void weir_histogram_add(struct weir_histogram *h, uint64_t value);

/**
 * Add all that another one has counted, as if it had been added here.
 *
 * Thread:   that which adds to h; from may be written meanwhile
 * Since:    0.1
 */
WEIR_API void weir_histogram_merge(struct weir_histogram *h, const struct weir_histogram *from);

/**
 * The least value that a share of all samples does not exceed; share 0 is the minimum, 1 the
 * maximum, both exact.
 *
 * Thread:   [any]
 * Returns:  at least the true quantile, less than 1/128 above it; 0 when empty
 * Since:    0.1
 */
WEIR_API uint64_t weir_histogram_quantile(const struct weir_histogram *h, double share);

/** The mean; 0 when empty. Exact while the sum stays below 2^64. Thread: [any]. Since: 0.1 */
WEIR_API double weir_histogram_mean(const struct weir_histogram *h);

/**
 * Walk the buckets that are not empty, from the lowest. *cursor begins as 0. The overflows come
 * last, as one bucket whose top is the maximum.
 *
 * Thread:   [any]
 * Returns:  true with the largest value of the next bucket and its count; false after the last
 * Since:    0.1
 */
WEIR_API bool weir_histogram_next(const struct weir_histogram *h, unsigned *cursor,
				  uint64_t *ret_top, uint64_t *ret_count);

WEIR_END_DECLS

#endif
