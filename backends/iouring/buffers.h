/* SPDX-License-Identifier: MIT */
/*
 * buffers.h: the blocks of the lease pool that the kernel may fill, and what it has
 * put into them and nobody has asked for yet.
 *
 *	pool ──► provided (the kernel's, by number) ──► slices ──► queued ──► lent ──► pool
 *
 * A slice is what one receive has put into a block: all that this block will ever hold,
 * or, of a group with shared blocks, the next part of it. Each slice is one who holds the
 * block (weir__lease_pool_hold), and so is the kernel until it has filled it to the end:
 * the last of them gives it back, from whatever thread.
 *
 * As few as a turn needs are provided at a time: the kernel takes them in order, so
 * that many would be cold ones, and a stream that is read slowly could fill them all.
 * How many that is follows from the turns before.
 */
#ifndef WEIR_BACKENDS_IOURING_BUFFERS_H
#define WEIR_BACKENDS_IOURING_BUFFERS_H

#include <liburing.h>

#include "backends/lease_pool.h"

/* The groups of provided buffers, by the kernel's number for them. */
enum uring_group_id {
	URING_WHOLE,			/* a block is one receive's */
	URING_SHARED,			/* … and the next one's, as long as it has room */
	URING_GROUPS
};

struct uring_slice {
	uint8_t *data;
	uint32_t len;
	uint32_t token;			/* of its block */
	uint32_t next;			/* in a handle's queue: place plus one */
};

/* One that the kernel has, or had, by number. */
struct uring_buffer {
	uint8_t *data;
	uint32_t token;
	uint32_t used;			/* bytes of it */
	uint16_t place;			/* in the ring */
};

struct uring_group {
	struct io_uring_buf_ring *ring;	/* NULL: the kernel is given none */
	uint32_t entries;		/* of it, a power of two */
	uint32_t provided;		/* in it now */
	uint32_t want, least;		/* that there should be */
	uint32_t peak;			/* taken in a turn, of late; times 16 */
	uint32_t filled;		/* bytes in one, of late; times 16 */
	uint32_t cold;			/* of those provided, so many have no memory */
	struct uring_buffer *buffer;	/* by number; begins the memory of all three arrays */
	uint16_t *number;		/* by place in the ring: which one was put there */
	uint16_t tail;			/* the next place */
	uint16_t *free;			/* numbers that are not in the ring */
	uint32_t free_len;
};

struct uring_buffers {
	struct weir__lease_pool pool;
	bool still;			/* the kernel fills them only when it is called for that */
	struct uring_group group[URING_GROUPS];
	struct uring_slice *slice;	/* queued ones, by place */
	uint32_t slices;
	uint32_t unused;		/* a list of places: the first plus one */
};

/*
 * [setup] entries: of each group; 0: the kernel is given no buffers. shared: there is that group,
 * too. node: core/node.h. -errno when a ring is refused.
 */
int weir__uring_buffers_init(struct uring_buffers *b, struct io_uring *ring, uint32_t entries,
			     bool shared, size_t lease_bytes, int node);
/* [setup] After the ring is closed. */
void weir__uring_buffers_fini(struct uring_buffers *b);

/* Provide the buffers that were asked for. */
void weir__uring_buffers_refill(struct uring_buffers *b);
/* The kernel has found none: provide more. False when there is no memory. */
bool weir__uring_buffers_more(struct uring_buffers *b, enum uring_group_id id);

/*
 * Nothing has come for a while, and whatever the kernel has filled is delivered: return memory; true
 * if there is more. What is provided keeps its memory where the kernel may fill it at any time: it
 * could be filled, and lost, while we are at it. [owner]
 */
bool weir__uring_buffers_trim(struct uring_buffers *b);
/* Whether a trim could return something. [owner] */
bool weir__uring_buffers_excess(const struct uring_buffers *b);

/*
 * What the kernel has put into a buffer: len bytes, or as many as there was room for. more: it will
 * go on with that buffer.
 */
struct uring_slice weir__uring_buffers_filled(struct uring_buffers *b, enum uring_group_id id,
					      unsigned number, uint32_t len, bool more);
/* The buffer that the kernel fills after that one, in a bundle. */
static inline unsigned weir__uring_buffers_next(const struct uring_group *g, unsigned number)
{
	return g->number[(g->buffer[number].place + 1u) & (g->entries - 1)];
}

/* A block that the kernel need not know of, as a slice with all its room; false: no memory. */
bool weir__uring_buffers_take(struct uring_buffers *b, struct uring_slice *ret_slice);
/* [owner] */
void weir__uring_buffers_give(struct uring_buffers *b, uint32_t token);

/* Keep a slice where it has a place, for a queue; that, plus one; 0: no memory. */
uint32_t weir__uring_buffers_keep(struct uring_buffers *b, struct uring_slice slice);
/* Take it out again. */
struct uring_slice weir__uring_buffers_unkeep(struct uring_buffers *b, uint32_t at);

#endif
