/* SPDX-License-Identifier: MIT */
/*
 * histogram.c: see histogram.h. Values below 32 have a bucket each; above, the
 * bucket is the exponent and the five bits behind the leading one.
 */
#include "tools/histogram.h"

#define STEPS (1u << HISTOGRAM_STEP_BITS)

static unsigned bucket_of(uint64_t value)
{
	unsigned shift;

	if (value < STEPS)
		return (unsigned)value;
	shift = 63u - (unsigned)__builtin_clzll(value) - HISTOGRAM_STEP_BITS;
	return ((shift + 1) << HISTOGRAM_STEP_BITS) + (unsigned)(value >> shift) - STEPS;
}

/* The largest value in a bucket. */
static uint64_t top_of(unsigned bucket)
{
	unsigned shift = bucket >> HISTOGRAM_STEP_BITS;

	if (shift == 0)
		return bucket;
	return ((uint64_t)(bucket % STEPS + STEPS + 1) << (shift - 1)) - 1;
}

void histogram_add(struct histogram *h, uint64_t value)
{
	h->buckets[bucket_of(value)]++;
	h->count++;
}

void histogram_merge(struct histogram *h, const struct histogram *from)
{
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		h->buckets[i] += from->buckets[i];
	h->count += from->count;
}

uint64_t histogram_quantile(const struct histogram *h, double share)
{
	uint64_t wanted = (uint64_t)(share * (double)h->count), seen = 0;

	if (h->count == 0)
		return 0;
	if ((double)wanted < share * (double)h->count || wanted == 0)
		wanted++;
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		seen += h->buckets[i];
		if (seen >= wanted)
			return top_of(i);
	}
	return top_of(HISTOGRAM_BUCKETS - 1);
}
