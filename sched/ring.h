/* SPDX-License-Identifier: MIT */
/*
 * ring.h: the ring, a worker's stealable run queue: the owner pushes and pops, and
 * any worker steals half.
 *
 * The algorithm is the bounded queue of Tokio's multi-thread scheduler (after
 * Go's): one producer, and a head of two counters packed in 64 bits.
 *
 *	      steal      real                 tail
 *	        |          |                    |
 *	   -----+==========+####################+------->  counters, taken modulo RING_CAP
 *	         being       waiting to be
 *	         copied by   popped or stolen
 *	         one thief
 *
 *  - steal == real: no thief. A thief claims items by moving real. Only after it
 *    has copied them does it move steal up to real. The owner must not write
 *    beyond steal + RING_CAP, so it cannot overwrite items that are being copied.
 *  - steal != real: a second thief leaves at once.
 *  - Counters are 32 bits wide and only grow. So a full ring differs from an
 *    empty one, and a delayed thief cannot mistake an old head for a new one.
 *
 * Memory orders. There are only two transfers:
 *	A	slot contents: tail, released by push and steal (into), acquired by steal
 *	B	slot reuse: head, released by a thief that is done, acquired by push
 *		and by steal (into); the exchanges in between are read-modify-writes
 *		and continue the release sequence
 * Pop and the claim need no order. So a thief may see a head that is newer than
 * the tail it sees. Then it counts more than RING_CAP items and leaves.
 *
 * It does not handle overflow or wake-ups, and never touches what an item points
 * to.
 */
#ifndef WEIR_SCHED_RING_H
#define WEIR_SCHED_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/assert.h"
#include "core/atomic.h"
#include "weir/base.h"

#ifndef RING_CAP
#define RING_CAP 256u	/* a power of two */
#endif
#define RING_MASK (RING_CAP - 1u)

#ifndef RING_TAIL_RELEASE
#define RING_TAIL_RELEASE WEIR_RELEASE		/* A */
#endif
#ifndef RING_INTO_TAIL_RELEASE
#define RING_INTO_TAIL_RELEASE WEIR_RELEASE	/* A */
#endif
#ifndef RING_TAIL_ACQUIRE
#define RING_TAIL_ACQUIRE WEIR_ACQUIRE		/* A */
#endif
#ifndef RING_DONE_RELEASE
#define RING_DONE_RELEASE WEIR_RELEASE		/* B */
#endif
#ifndef RING_HEAD_ACQUIRE
#define RING_HEAD_ACQUIRE WEIR_ACQUIRE		/* B */
#endif
#ifndef RING_INTO_HEAD_ACQUIRE
#define RING_INTO_HEAD_ACQUIRE WEIR_ACQUIRE	/* B */
#endif
/* Switches for the model's mutants; always 1 in production. */
#ifndef RING_ONE_THIEF
#define RING_ONE_THIEF 1
#endif
#ifndef RING_ROOM_BY_STEAL
#define RING_ROOM_BY_STEAL 1
#endif
#ifndef RING_CHECK_STALE_TAIL
#define RING_CHECK_STALE_TAIL 1
#endif
#ifndef RING_CHECK_INTO
#define RING_CHECK_INTO 1
#endif

struct ring {
	WEIR_ATOMIC(uint64_t) head WEIR_ALIGNED(64);	/* steal << 32 | real */
	WEIR_ATOMIC(uint32_t) tail;			/* written by the owner only */
	WEIR_PLAIN(void *) slots[RING_CAP];
};

static inline uint64_t ring_pack(uint32_t steal, uint32_t real)
{
	return (uint64_t)steal << 32 | real;
}

static inline uint32_t ring_steal_of(uint64_t head)
{
	return (uint32_t)(head >> 32);
}

static inline uint32_t ring_real_of(uint64_t head)
{
	return (uint32_t)head;
}

/* [setup] */
static inline void ring_init(struct ring *r)
{
	weir__store(&r->head, (uint64_t)0, WEIR_RELAXED);
	weir__store(&r->tail, (uint32_t)0, WEIR_RELAXED);
}

/* Slots that may be written, given a head and the owner's own tail. */
static inline uint32_t ring_free_slots(uint64_t head, uint32_t tail)
{
	return RING_CAP - (tail - (RING_ROOM_BY_STEAL ? ring_steal_of(head) : ring_real_of(head)));
}

/* [owner] How many pushes are sure to succeed. */
static inline unsigned ring_room(struct ring *r)
{
	return ring_free_slots(weir__load(&r->head, WEIR_RELAXED),
			       weir__load(&r->tail, WEIR_RELAXED));
}

/* [any] The number of items; outdated at once. A result of 0 is reliable only after a fence. */
static inline unsigned ring_len(struct ring *r)
{
	uint64_t head = weir__load(&r->head, WEIR_RELAXED);
	uint32_t n = weir__load(&r->tail, WEIR_RELAXED) - ring_real_of(head);

	if ((int32_t)n < 0)
		return 0;
	return n < RING_CAP ? n : RING_CAP;
}

/* [owner] False if the ring is full, or if a thief still copies from the slot. */
static inline bool ring_push(struct ring *r, void *item)
{
	uint64_t head = weir__load(&r->head, RING_HEAD_ACQUIRE);
	uint32_t tail = weir__load(&r->tail, WEIR_RELAXED);

	WEIR_ASSERT(ring_free_slots(head, tail) <= RING_CAP);
	if (WEIR_UNLIKELY(ring_free_slots(head, tail) == 0))
		return false;
	WEIR_WR(r->slots[tail & RING_MASK], item);
	weir__store(&r->tail, tail + 1u, RING_TAIL_RELEASE);
	return true;
}

/* [owner] Pops the oldest item; NULL if empty. */
static inline void *ring_pop(struct ring *r)
{
	uint64_t head = weir__load(&r->head, WEIR_RELAXED), next;
	uint32_t tail = weir__load(&r->tail, WEIR_RELAXED), real;

	do {
		real = ring_real_of(head);
		if (real == tail)
			return NULL;
		next = ring_steal_of(head) == real ? ring_pack(real + 1u, real + 1u)
						   : ring_pack(ring_steal_of(head), real + 1u);
	} while (!weir__cas_weak(&r->head, &head, next, WEIR_RELAXED, WEIR_RELAXED));
	return WEIR_RD(r->slots[real & RING_MASK]);
}

/* Claims the older half of victim, rounded up; returns the number and the new head. */
static inline uint32_t ring_claim(struct ring *victim, uint64_t *ret_head)
{
	uint64_t head = weir__load(&victim->head, WEIR_RELAXED), next;
	uint32_t n;

	do {
		if (RING_ONE_THIEF && ring_steal_of(head) != ring_real_of(head))
			return 0;
		n = weir__load(&victim->tail, RING_TAIL_ACQUIRE) - ring_real_of(head);
		if (n == 0 || (RING_CHECK_STALE_TAIL && n > RING_CAP))
			return 0;
		n -= n / 2;
		next = ring_pack(ring_steal_of(head), ring_real_of(head) + n);
	} while (!weir__cas_weak(&victim->head, &head, next, WEIR_RELAXED, WEIR_RELAXED));
	*ret_head = next;
	return n;
}

/*
 * Ends a claim after the copy, so that the owner may reuse the slots. The owner may have popped
 * meanwhile.
 */
static inline void ring_unclaim(struct ring *victim, uint64_t head)
{
	uint32_t real;

	do
		real = ring_real_of(head);
	while (!weir__cas_weak(&victim->head, &head, ring_pack(real, real), RING_DONE_RELEASE,
			       WEIR_RELAXED));
}

/*
 * [owner of into] Moves the older half of victim, rounded up, to into, except the last item, which
 * the thief runs: *ret_one. Returns the number including that one; 0 if there is nothing, another
 * thief is at work, or into is more than half full.
 */
static inline unsigned ring_steal(struct ring *victim, struct ring *into, void **ret_one)
{
	uint32_t tail = weir__load(&into->tail, WEIR_RELAXED), from, n, k;
	uint64_t head = weir__load(&into->head, RING_INTO_HEAD_ACQUIRE);

	WEIR_ASSERT(victim != into);
	if (RING_CHECK_INTO && ring_free_slots(head, tail) < RING_CAP / 2)
		return 0;
	n = ring_claim(victim, &head);
	if (n == 0)
		return 0;
	WEIR_ASSERT(n <= RING_CAP / 2);
	from = ring_real_of(head) - n;
	for (k = 0; k + 1 < n; k++)
		WEIR_WR(into->slots[(tail + k) & RING_MASK],
			WEIR_RD(victim->slots[(from + k) & RING_MASK]));
	*ret_one = WEIR_RD(victim->slots[(from + k) & RING_MASK]);
	ring_unclaim(victim, head);
	if (n > 1)
		weir__store(&into->tail, tail + n - 1u, RING_INTO_TAIL_RELEASE);
	return n;
}

#endif
