/* SPDX-License-Identifier: MIT */
/*
 * histogram.h: how often which time was seen, log-linear: 32 steps in each power
 * of two, so that a quantile is off by at most one part in 32. One writer.
 */
#ifndef TOOLS_HISTOGRAM_H
#define TOOLS_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_STEP_BITS 5
#define HISTOGRAM_BUCKETS ((64 - HISTOGRAM_STEP_BITS + 1) << HISTOGRAM_STEP_BITS)

struct histogram {
	uint64_t count;
	uint32_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *h, uint64_t value);
/* Add all of another one. */
void histogram_merge(struct histogram *h, const struct histogram *from);
/* The least value that a share of all (0 to 1) does not exceed; 0 when empty. */
uint64_t histogram_quantile(const struct histogram *h, double share);

#endif
