/* SPDX-License-Identifier: MIT */
/*
 * seqlock.h: a few words that one writer changes together, and that others read
 * without making the writer wait. The words themselves are stored and loaded one
 * by one, relaxed.
 *
 *	writer	begin; stores; end
 *	reader	do { seq = begin; loads } while (retry(seq))
 *
 * The number is odd while the writer writes. A reader that has loaded a word of a
 * later write finds, after its fence, the number of that write or a later one.
 */
#ifndef WEIR_SCHED_SEQLOCK_H
#define WEIR_SCHED_SEQLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "core/atomic.h"

struct seqlock {
	uint32_t number;		/* atomic */
};

/* [writer] */
static inline void seqlock_write_begin(struct seqlock *s)
{
	weir__store(&s->number, s->number + 1, WEIR_RELAXED);
	/* Pairs with the fence in seqlock_read_retry. */
	weir__fence(WEIR_RELEASE);
}

/* [writer] Pairs with the acquire in seqlock_read_begin. */
static inline void seqlock_write_end(struct seqlock *s)
{
	weir__store(&s->number, s->number + 1, WEIR_RELEASE);
}

/* [any] */
static inline uint32_t seqlock_read_begin(const struct seqlock *s)
{
	uint32_t number;

	while ((number = weir__load(&s->number, WEIR_ACQUIRE)) & 1)
		weir__cpu_relax();
	return number;
}

/* [any] True: the words are not all from one write. */
static inline bool seqlock_read_retry(const struct seqlock *s, uint32_t number)
{
	weir__fence(WEIR_ACQUIRE);
	return weir__load(&s->number, WEIR_RELAXED) != number;
}

#endif
