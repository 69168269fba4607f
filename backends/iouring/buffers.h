/* SPDX-License-Identifier: MIT */
/*
 * buffers.h: the blocks of the lease pool that the kernel may fill, and those it has
 * filled and nobody has asked for yet.
 *
 *	pool ──► provided (the kernel's, by number) ──► filled ──► queued ──► lent ──► pool
 *
 * As few as a turn needs are provided at a time: the kernel takes them in order, so
 * that many would be cold ones, and a stream that is read slowly could fill them all.
 * How many that is follows from the turns before.
 */
#ifndef WEIR_BACKENDS_IOURING_BUFFERS_H
#define WEIR_BACKENDS_IOURING_BUFFERS_H

#include <liburing.h>

#include "backends/lease_pool.h"

/* The one group of provided buffers. */
#define URING_GROUP 0

/* A block of the pool, by token. */
struct uring_block {
	uint8_t *data;
	uint32_t start, len;		/* what of it was filled and not yet taken */
	uint32_t next;			/* in a handle's queue: token plus one */
};

struct uring_buffers {
	struct weir__lease_pool pool;
	struct io_uring_buf_ring *ring;	/* NULL: the kernel is given none */
	uint32_t entries;		/* of it, a power of two */
	uint32_t provided;		/* in it now */
	uint32_t want;			/* that there should be */
	uint32_t peak;			/* taken in a turn, of late; times 16 */
	uint32_t filled;		/* bytes in one, of late; times 16 */
	uint32_t cold;			/* of those provided, so many have no memory */
	uint32_t *token;		/* by buffer number; begins the block of all four arrays */
	uint16_t *place;		/* the same: where in the ring it was put */
	uint16_t *number;		/* by place in the ring: which one was put there */
	uint16_t *free;			/* numbers that are not in the ring */
	uint16_t tail;			/* the next place */
	uint32_t free_len;
	struct uring_block *block;	/* by token */
	uint32_t blocks;
};

/* [setup] entries 0: the kernel is given none. node: core/node.h. -errno: the ring is refused. */
int weir__uring_buffers_init(struct uring_buffers *b, struct io_uring *ring, uint32_t entries,
			     size_t lease_bytes, int node);
/* [setup] After the ring is closed. */
void weir__uring_buffers_fini(struct uring_buffers *b);

/* Provide what is wanted. */
void weir__uring_buffers_refill(struct uring_buffers *b);
/* The kernel has found none: provide more. False when there is no memory. */
bool weir__uring_buffers_more(struct uring_buffers *b);

/* Nothing has come for a while: return memory; true if there is more. [owner] */
bool weir__uring_buffers_trim(struct uring_buffers *b);

/* The block that the kernel has filled with len bytes, or with as many as it holds. */
uint32_t weir__uring_buffers_filled(struct uring_buffers *b, unsigned number, uint32_t len);
/* Whether a trim could return something. [owner] */
static inline bool weir__uring_buffers_excess(const struct uring_buffers *b)
{
	return weir__lease_pool_excess(&b->pool) ||
	       (b->provided > WEIR__LEASE_KEEP && b->cold < b->provided);
}
/* The buffer that the kernel fills after that one, in a bundle. */
static inline unsigned weir__uring_buffers_next(const struct uring_buffers *b, unsigned number)
{
	return b->number[(b->place[number] + 1u) & (b->entries - 1)];
}
/* A block that the kernel need not know of; false when there is no memory. */
bool weir__uring_buffers_take(struct uring_buffers *b, uint32_t *ret_token);
/* Back to the pool. [owner] */
void weir__uring_buffers_give(struct uring_buffers *b, uint32_t token);

#endif
