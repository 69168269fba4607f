/* SPDX-License-Identifier: MIT */
/*
 * histogram.c: see weir/histogram.h. The index of a value's bucket is made of its
 * exponent and the seven bits behind the leading one, so it costs a shift and an
 * add.
 *
 * One thread stores every member, and others load them. H1: the count is stored
 * last, with release, so that a reader that has seen a sample sees the range that
 * includes it. A reader adds up the buckets that it finds and does not rely on
 * their sum being equal to count.
 */
#include <string.h>

#include "weir/histogram.h"
#include "core/atomic.h"

#define STEPS (1u << WEIR_HISTOGRAM_STEP_BITS)

static inline uint64_t get(const uint64_t *cell)
{
	return weir__load(cell, WEIR_RELAXED);
}

static inline void add(uint64_t *cell, uint64_t n)
{
	weir__store(cell, *cell + n, WEIR_RELAXED);
}

/* H1, pairs with count_of. */
static inline void add_count(struct weir_histogram *h, uint64_t n)
{
	weir__store(&h->count, h->count + n, WEIR_RELEASE);
}

static inline uint64_t count_of(const struct weir_histogram *h)
{
	return weir__load(&h->count, WEIR_ACQUIRE);
}

static inline unsigned bucket_of(uint64_t value)
{
	unsigned shift;

	if (value < STEPS)
		return (unsigned)value;
	shift = 63u - (unsigned)__builtin_clzll(value) - WEIR_HISTOGRAM_STEP_BITS;
	return ((shift + 1) << WEIR_HISTOGRAM_STEP_BITS) + (unsigned)(value >> shift) - STEPS;
}

/* The largest value in a bucket. */
static uint64_t top_of(unsigned bucket)
{
	unsigned shift = bucket >> WEIR_HISTOGRAM_STEP_BITS;

	if (shift == 0)
		return bucket;
	return ((uint64_t)(bucket % STEPS + STEPS + 1) << (shift - 1)) - 1;
}

/* The number of samples that a reader can see. */
static uint64_t seen_of(const struct weir_histogram *h)
{
	uint64_t seen = get(&h->overflows);

	for (unsigned i = 0; i < WEIR_HISTOGRAM_BUCKETS; i++)
		seen += get(&h->buckets[i]);
	return seen;
}

/* Stored before the count, see H1. */
static void widen(struct weir_histogram *h, uint64_t min, uint64_t max)
{
	if (h->count == 0 || min < h->min)
		weir__store(&h->min, min, WEIR_RELAXED);
	if (max > h->max)
		weir__store(&h->max, max, WEIR_RELAXED);
}

void weir_histogram_init(struct weir_histogram *h)
{
	memset(h, 0, sizeof(*h));
}

void weir_histogram_add(struct weir_histogram *h, uint64_t value)
{
	widen(h, value, value);
	if (WEIR_LIKELY(value < WEIR_HISTOGRAM_LIMIT))
		add(&h->buckets[bucket_of(value)], 1);
	else
		add(&h->overflows, 1);
	add(&h->sum, value);
	add_count(h, 1);
}

void weir_histogram_merge(struct weir_histogram *h, const struct weir_histogram *from)
{
	uint64_t n, moved = get(&from->overflows);

	if (count_of(from) == 0)
		return;
	widen(h, get(&from->min), get(&from->max));
	add(&h->overflows, moved);
	for (unsigned i = 0; i < WEIR_HISTOGRAM_BUCKETS; i++) {
		n = get(&from->buckets[i]);
		if (n == 0)
			continue;
		add(&h->buckets[i], n);
		moved += n;
	}
	add(&h->sum, get(&from->sum));
	add_count(h, moved);
}

/* The quantile as a rank from 1 to count: the smallest rank for which rank / count >= share. */
static uint64_t rank_of(double share, uint64_t count)
{
	/* Allows for a rounding error: 0.07 of 100 is the seventh sample, not the eighth. */
	double exact = share * (double)count * (1 - 1e-14);
	uint64_t rank = (uint64_t)exact;

	if ((double)rank < exact)
		rank++;
	if (rank == 0)
		return 1;
	return rank < count ? rank : count;
}

uint64_t weir_histogram_quantile(const struct weir_histogram *h, double share)
{
	uint64_t known = count_of(h), min = get(&h->min), max = get(&h->max), seen = 0;
	uint64_t count = known ? seen_of(h) : 0, rank, top;

	if (count == 0 || share <= 0)
		return min;
	if (share >= 1)
		return max;
	rank = rank_of(share, count);
	for (unsigned i = 0; i < WEIR_HISTOGRAM_BUCKETS; i++) {
		seen += get(&h->buckets[i]);
		if (seen < rank)
			continue;
		top = top_of(i);
		return top < max ? top : max;
	}
	return max;
}

double weir_histogram_mean(const struct weir_histogram *h)
{
	uint64_t count = count_of(h);

	return count ? (double)get(&h->sum) / (double)count : 0;
}

bool weir_histogram_next(const struct weir_histogram *h, unsigned *cursor, uint64_t *ret_top,
			 uint64_t *ret_count)
{
	uint64_t n = 0, max = get(&h->max), top;

	while (*cursor < WEIR_HISTOGRAM_BUCKETS && (n = get(&h->buckets[*cursor])) == 0)
		++*cursor;
	if (*cursor < WEIR_HISTOGRAM_BUCKETS) {
		top = top_of(*cursor);
		*ret_top = top < max ? top : max;
	} else if (*cursor == WEIR_HISTOGRAM_BUCKETS && (n = get(&h->overflows)) > 0) {
		*ret_top = max;
	} else {
		return false;
	}
	*ret_count = n;
	++*cursor;
	return true;
}
