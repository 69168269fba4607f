/* SPDX-License-Identifier: MIT */
/*
 * buffers.h: the blocks of the lease pool that are provided to the kernel, and received
 * bytes that no op has taken yet.
 *
 *	pool ──► provided to the kernel, by number ──► slices ──► queued ──► lent out ──► pool
 *
 * A slice is the part of a block that one receive has filled: usually the only one in its
 * block, or, in the group with shared blocks, the next part. Each slice holds its block
 * (weir__lease_pool_ref), and so does the kernel until it has filled the block. The last
 * holder gives the block back, on any thread.
 *
 * Only as many blocks as a turn needs are provided, estimated from earlier turns. The
 * kernel uses them in order, so with many blocks each one would have left the cache, and a
 * slowly read stream could fill them all.
 */
#ifndef WEIR_BACKENDS_IOURING_BUFFERS_H
#define WEIR_BACKENDS_IOURING_BUFFERS_H

#include <liburing.h>

#include "backends/lease_pool.h"

/* The buffer groups; the value is the kernel's group ID. */
enum uring_group_id {
	URING_WHOLE,			/* each block is used for one receive */
	URING_SHARED,			/* a block is used for further receives while it has room */
	URING_GROUPS
};

struct uring_slice {
	uint8_t *data;
	uint32_t len;
	uint32_t token;			/* of its block */
	uint32_t next;			/* the next in a handle's queue: place plus one */
};

/* A block that is or was provided to the kernel. */
struct uring_buffer {
	uint8_t *data;
	uint32_t token;
	uint32_t used;			/* how many bytes are filled */
	uint16_t place;			/* its place in the ring */
};

struct uring_group {
	struct io_uring_buf_ring *ring;	/* NULL: no buffers are provided */
	uint32_t entries;		/* the size of the ring, a power of two */
	uint32_t provided;		/* blocks in the ring now */
	uint32_t want, least;		/* how many there should be, and at least */
	uint32_t peak;			/* recent peak of blocks used in a turn, times 16 */
	uint32_t filled;		/* recent average of bytes in a block, times 16 */
	uint32_t cold;			/* provided blocks whose memory was returned */
	struct uring_buffer *buffer;	/* by number; all three arrays are one allocation */
	uint16_t *number;		/* by place in the ring: the block's number */
	uint16_t tail;			/* the next place */
	uint16_t *free;			/* numbers that are not in the ring */
	uint32_t free_len;
};

struct uring_buffers {
	struct weir__lease_pool pool;
	bool still;			/* the kernel fills buffers only during our system calls */
	struct uring_group group[URING_GROUPS];
	struct uring_slice *slice;	/* queued slices, by place */
	uint32_t slices;
	uint32_t unused;		/* the list of unused places: the first plus one */
};

/*
 * entries: the size of each group; 0: no buffers are provided. shared: also create that group.
 * node: see core/node.h. Returns -errno if a ring is refused. [setup]
 */
int weir__uring_buffers_init(struct uring_buffers *b, struct io_uring *ring, uint32_t entries,
			     bool shared, size_t lease_bytes, int node);
/* After the ring is closed. [setup] */
void weir__uring_buffers_fini(struct uring_buffers *b);

/* Provide blocks until each group has as many as it should. */
void weir__uring_buffers_refill(struct uring_buffers *b);
/* The kernel has run out of buffers: provide more. False if there is no memory. */
bool weir__uring_buffers_more(struct uring_buffers *b, enum uring_group_id id);

/*
 * Return memory after a time without completions, when all completions are delivered; true if there
 * is more to return. If the kernel may fill buffers at any time, provided blocks keep their memory:
 * discarding it could lose bytes that arrive in that moment. [owner]
 */
bool weir__uring_buffers_trim(struct uring_buffers *b);
/* Whether a trim could return memory. [owner] */
bool weir__uring_buffers_excess(const struct uring_buffers *b);

/*
 * The slice that the kernel has filled in a buffer: len bytes, or as many as there was room for.
 * more: it will use the rest of that buffer.
 */
struct uring_slice weir__uring_buffers_filled(struct uring_buffers *b, enum uring_group_id id,
					      unsigned number, uint32_t len, bool more);
/* In a bundle, the buffer that the kernel fills after this one. */
static inline unsigned weir__uring_buffers_next(const struct uring_group *g, unsigned number)
{
	return g->number[(g->buffer[number].place + 1u) & (g->entries - 1)];
}

/*
 * Take a block that is not provided to the kernel, as a slice of the whole block; false: no memory.
 */
bool weir__uring_buffers_take(struct uring_buffers *b, struct uring_slice *ret_slice);
/* Drop a slice's reference to its block. [owner] */
void weir__uring_buffers_give(struct uring_buffers *b, uint32_t token);

/* Store a slice for a queue. Returns its place plus one; 0: no memory. */
uint32_t weir__uring_buffers_keep(struct uring_buffers *b, struct uring_slice slice);
/* Remove a stored slice and return it. */
struct uring_slice weir__uring_buffers_unkeep(struct uring_buffers *b, uint32_t at);

#endif
