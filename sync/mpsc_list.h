/* SPDX-License-Identifier: MIT */
/*
 * mpsc_list.h: the lock-free core of the bounded channel: a ring of cells with
 * a stamp each, any number of senders, one receiver, elements copied in and out.
 *
 * The algorithm is Vyukov's bounded queue, with the laps of crossbeam's
 * ArrayQueue so that the capacity is exact (any number from 1, no division):
 * a position is lap | index, laps go up in steps of lap_step, a power of two
 * above cap.
 *
 *	stamp == position		free, for the sender that gets this position
 *	stamp == position + 1		full, for the receiver at this position
 *	stamp == position + lap_step	free again, in the next lap
 *
 * A send is one exchange on tail; a receive is none. The element changes hands
 * by the stamp alone: released by push, acquired by pop (A); the cell's reuse the
 * same way back (B). tail and head need no order.
 *
 * False is an answer of the moment. A sender that is to wait for room, or a
 * receiver for an element, makes itself known first and then tries once more,
 * both sides with a fence in between (sync/mpsc.c). Also, pop returns false
 * while a sender that got an earlier position is still writing: that sender
 * wakes the receiver after its push, as every sender does.
 *
 * Owns nothing: the cells are the caller's, mpsc_ring_bytes of them. Does not
 * do: waiting, closing, counting senders.
 */
#ifndef WEIR_SYNC_MPSC_LIST_H
#define WEIR_SYNC_MPSC_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "core/assert.h"
#include "core/atomic.h"
#include "weir/base.h"

#ifndef MPSC_FULL_RELEASE
#define MPSC_FULL_RELEASE WEIR_RELEASE	/* A */
#endif
#ifndef MPSC_FULL_ACQUIRE
#define MPSC_FULL_ACQUIRE WEIR_ACQUIRE	/* A */
#endif
#ifndef MPSC_FREE_RELEASE
#define MPSC_FREE_RELEASE WEIR_RELEASE	/* B */
#endif
#ifndef MPSC_FREE_ACQUIRE
#define MPSC_FREE_ACQUIRE WEIR_ACQUIRE	/* B */
#endif

/* The element follows its stamp; the model checker's is one watched integer. */
#ifdef WEIR_MODEL
struct mpsc_cell {
	WEIR_ATOMIC(uint64_t) stamp;
	WEIR_PLAIN(unsigned) elem;
};
#else
struct mpsc_cell {
	uint64_t stamp;
};
#endif

struct mpsc_ring {
	WEIR_ATOMIC(uint64_t) tail WEIR_ALIGNED(64);	/* the senders' */
	char *cells;					/* the rest is constant after init */
	size_t stride;
	size_t elem_bytes;
	uint64_t cap;
	uint64_t lap_step;
	WEIR_ATOMIC(uint64_t) head WEIR_ALIGNED(64);	/* written by the receiver only */
};

static inline size_t mpsc_ring_stride(size_t elem_bytes)
{
#ifdef WEIR_MODEL
	return elem_bytes ? sizeof(struct mpsc_cell) : 0;
#else
	return sizeof(struct mpsc_cell) + ((elem_bytes + 7) & ~(size_t)7);
#endif
}

/* The memory that init needs; 0 when that is more than a size can say. Aligned as uint64_t. */
static inline size_t mpsc_ring_bytes(size_t cap, size_t elem_bytes)
{
	if (elem_bytes > SIZE_MAX / 2 || cap > SIZE_MAX / mpsc_ring_stride(elem_bytes))
		return 0;
	return cap * mpsc_ring_stride(elem_bytes);
}

static inline struct mpsc_cell *mpsc_ring_cell(struct mpsc_ring *r, uint64_t pos)
{
	return (struct mpsc_cell *)(void *)(r->cells + (pos & (r->lap_step - 1)) * r->stride);
}

/* The position after pos: the next index, or index 0 of the next lap. */
static inline uint64_t mpsc_ring_next(const struct mpsc_ring *r, uint64_t pos)
{
	uint64_t index = pos & (r->lap_step - 1);

	return index + 1 < r->cap ? pos + 1 : pos - index + r->lap_step;
}

static inline void mpsc_cell_write(struct mpsc_cell *cell, const void *elem, size_t bytes)
{
#ifdef WEIR_MODEL
	WEIR_WR(cell->elem, *(const unsigned *)elem);
	(void)bytes;
#else
	if (bytes == sizeof(uint64_t))	/* a pointer, mostly: spare it the call */
		memcpy(cell + 1, elem, sizeof(uint64_t));
	else
		memcpy(cell + 1, elem, bytes);
#endif
}

static inline void mpsc_cell_read(struct mpsc_cell *cell, void *elem, size_t bytes)
{
#ifdef WEIR_MODEL
	*(unsigned *)elem = WEIR_RD(cell->elem);
	(void)bytes;
#else
	if (bytes == sizeof(uint64_t))
		memcpy(elem, cell + 1, sizeof(uint64_t));
	else
		memcpy(elem, cell + 1, bytes);
#endif
}

/* [setup] cells: mpsc_ring_bytes(cap, elem_bytes) bytes; cap is at least 1. */
static inline void mpsc_ring_init(struct mpsc_ring *r, size_t cap, size_t elem_bytes, void *cells)
{
	uint64_t k;

	WEIR_ASSERT(cap > 0);
	r->cells = (char *)cells;
	r->stride = mpsc_ring_stride(elem_bytes);
	r->elem_bytes = elem_bytes;
	r->cap = cap;
	for (r->lap_step = 1; r->lap_step <= cap; r->lap_step *= 2)
		;
	for (k = 0; k < cap; k++)
		weir__store(&mpsc_ring_cell(r, k)->stamp, k, WEIR_RELAXED);
	weir__store(&r->tail, (uint64_t)0, WEIR_RELAXED);
	weir__store(&r->head, (uint64_t)0, WEIR_RELAXED);
}

/* [any] Copies the element in; false when the ring is full. */
static inline bool mpsc_ring_push(struct mpsc_ring *r, const void *elem)
{
	uint64_t tail = weir__load(&r->tail, WEIR_RELAXED), seen;
	struct mpsc_cell *cell;
	int64_t ahead;

	for (;;) {
		cell = mpsc_ring_cell(r, tail);
		ahead = (int64_t)(weir__load(&cell->stamp, MPSC_FREE_ACQUIRE) - tail);
		if (ahead < 0)
			return false;
		if (ahead > 0) {	/* another sender has this position already */
			seen = tail;
			tail = weir__load(&r->tail, WEIR_RELAXED);
			if (seen == tail)
				weir__cpu_relax();
		} else if (weir__cas_weak(&r->tail, &tail, mpsc_ring_next(r, tail), WEIR_RELAXED,
					  WEIR_RELAXED)) {
			break;
		}
	}
	mpsc_cell_write(cell, elem, r->elem_bytes);
	weir__store(&cell->stamp, tail + 1, MPSC_FULL_RELEASE);
	return true;
}

/* [receiver] Copies the oldest element out; false when there is none (yet). */
static inline bool mpsc_ring_pop(struct mpsc_ring *r, void *elem)
{
	uint64_t head = weir__load(&r->head, WEIR_RELAXED);
	struct mpsc_cell *cell = mpsc_ring_cell(r, head);

	if (weir__load(&cell->stamp, MPSC_FULL_ACQUIRE) != head + 1)
		return false;
	mpsc_cell_read(cell, elem, r->elem_bytes);
	weir__store(&cell->stamp, head + r->lap_step, MPSC_FREE_RELEASE);
	weir__store(&r->head, mpsc_ring_next(r, head), WEIR_RELAXED);
	return true;
}

/* [any] How many positions are taken; exact when nobody is at work, otherwise of the moment. */
static inline size_t mpsc_ring_len(struct mpsc_ring *r)
{
	uint64_t head = weir__load(&r->head, WEIR_RELAXED);
	uint64_t tail = weir__load(&r->tail, WEIR_RELAXED);
	uint64_t mask = r->lap_step - 1;
	int64_t laps = (int64_t)((tail & ~mask) - (head & ~mask)) >> __builtin_ctzll(r->lap_step);
	int64_t n = laps * (int64_t)r->cap + (int64_t)(tail & mask) - (int64_t)(head & mask);

	if (n <= 0)
		return 0;
	return (uint64_t)n < r->cap ? (size_t)n : (size_t)r->cap;
}

/* [receiver] Whether pop would return false. */
static inline bool mpsc_ring_empty(struct mpsc_ring *r)
{
	uint64_t head = weir__load(&r->head, WEIR_RELAXED);

	return weir__load(&mpsc_ring_cell(r, head)->stamp, WEIR_RELAXED) != head + 1;
}

#endif
