/* SPDX-License-Identifier: MIT */
/*
 * lease_pool.h: the buffers that a backend without buffers of its own lends out.
 *
 * Blocks of one size, from chunks that double in size and are touched only as far
 * as they are used. One owner (the instance's worker) takes and gives without any
 * lock; the block given back last is taken first, so a proxy works in a few warm
 * blocks however many connections it has. Other threads give to a stack that the
 * owner takes over as a whole when its own list is empty.
 *
 *	fresh ──► out ──► hot ──► out …
 *	           │       └── unused for a while ──► cold (no memory) ──► out …
 *	           └── given by another thread ──► remote ──► hot
 *
 * Memory that a burst has touched goes back to the system by weir__lease_pool_trim
 * once nobody has needed it between two trims; chunks stay until fini.
 */
#ifndef WEIR_BACKENDS_LEASE_POOL_H
#define WEIR_BACKENDS_LEASE_POOL_H

#include "weir/base.h"
#include "core/atomic.h"
#include "core/lock.h"

/* Chunk i has WEIR__LEASE_FIRST << i blocks; so many chunks name every token. */
#define WEIR__LEASE_FIRST 16u
#define WEIR__LEASE_CHUNKS 20u
/* Free blocks that keep their memory whatever happens. */
#define WEIR__LEASE_KEEP 16u

struct weir__lease_chunk {
	uint8_t *data;
	uint32_t *next;		/* by block: the link of the list it is on; out: who holds it, less one */
	size_t mapped;
};

/* A list is the number of its first block plus one; 0 is empty. */
struct weir__lease_pool {
	size_t bytes;		/* of a block */
	int node;		/* see core/node.h */
	uint32_t hot;		/* free, memory kept */
	uint32_t hot_len;
	uint32_t low;		/* the least hot_len since the last trim */
	uint32_t cold;		/* free, memory returned */
	uint32_t cold_len;
	struct weir__lock lock;	/* guards fresh, total, and the growing of chunk[] */
	uint32_t fresh;		/* blocks below were taken at least once */
	uint32_t total;
	struct weir__lease_chunk chunk[WEIR__LEASE_CHUNKS];
	uint32_t remote WEIR_ALIGNED(64); /* given by other threads; atomic */
};

/* [setup] bytes is rounded up to whole pages, which will lie on that node (-1: anywhere). */
void weir__lease_pool_init(struct weir__lease_pool *pool, size_t bytes, int node);
/* [setup] Every block must be back. */
void weir__lease_pool_fini(struct weir__lease_pool *pool);

/*
 * A block and its token, or NULL when there is no memory. owner says whether the caller is the
 * pool's owner; of the others, one at a time may take (the caller's lock sees to that).
 */
uint8_t *weir__lease_pool_take(struct weir__lease_pool *pool, bool owner, uint32_t *ret_token);
/*
 * One more who holds a block and will give it back; it is free when all have. [any who holds it]
 */
void weir__lease_pool_hold(struct weir__lease_pool *pool, uint32_t token);
/* [any] */
void weir__lease_pool_give(struct weir__lease_pool *pool, bool owner, uint32_t token);

/*
 * Return the memory of up to max blocks that were not needed since the last trim (or, if all,
 * of any that are free); true if there are more, for another call. [owner]
 */
bool weir__lease_pool_trim(struct weir__lease_pool *pool, bool all, unsigned max);

/* Blocks that somebody holds. Exact when nothing else happens. [owner] */
uint32_t weir__lease_pool_out(const struct weir__lease_pool *pool);

/* Whether a trim could return something. [owner] */
static inline bool weir__lease_pool_excess(const struct weir__lease_pool *pool)
{
	return pool->hot_len > WEIR__LEASE_KEEP ||
	       weir__load(&pool->remote, WEIR_RELAXED) != 0;
}

#endif
