/* SPDX-License-Identifier: MIT */
/*
 * lease_pool.h: the buffers that a backend without buffers of its own lends out.
 *
 * All blocks have the same size. They come from chunks that double in size; memory is
 * touched only when a block is used. The owner (the instance's worker) takes and gives
 * without a lock. It takes the block that was given back last, so a proxy works in a few
 * cached blocks, whatever its number of connections. Other threads push blocks to a stack,
 * which the owner takes as a whole when its own list is empty.
 *
 *	fresh ──► lent out ──► hot ──► lent out …
 *	             │          └── unused for a while ──► cold (no memory) ──► lent out …
 *	             └── given back by another thread ──► remote ──► hot
 *
 * weir__lease_pool_trim returns the memory of blocks that were not needed since the last
 * trim. Chunks stay mapped until fini.
 */
#ifndef WEIR_BACKENDS_LEASE_POOL_H
#define WEIR_BACKENDS_LEASE_POOL_H

#include "weir/base.h"
#include "core/atomic.h"
#include "core/lock.h"

/* Chunk i has WEIR__LEASE_FIRST << i blocks. */
#define WEIR__LEASE_FIRST 16u
#define WEIR__LEASE_CHUNKS 20u
/* This many free blocks always keep their memory. */
#define WEIR__LEASE_KEEP 16u

struct weir__lease_chunk {
	uint8_t *data;
	uint32_t *next;		/* per block: its link in a list; lent out: its holders - 1 */
	size_t mapped;
};

/* A list is stored as the number of its first block plus one; 0 is the empty list. */
struct weir__lease_pool {
	size_t bytes;		/* of a block */
	int node;		/* see core/node.h */
	uint32_t hot;		/* free blocks with memory */
	uint32_t hot_len;
	uint32_t low;		/* the least hot_len since the last trim */
	uint32_t cold;		/* free blocks whose memory was returned */
	uint32_t cold_len;
	struct weir__lock lock;	/* guards fresh, total, and the growing of chunk[] */
	uint32_t fresh;		/* blocks from here on were never used */
	uint32_t total;
	struct weir__lease_chunk chunk[WEIR__LEASE_CHUNKS];
	uint32_t remote WEIR_ALIGNED(64); /* given by other threads; atomic */
};

/* bytes is rounded up to whole pages; they are placed on that node (-1: anywhere). [setup] */
void weir__lease_pool_init(struct weir__lease_pool *pool, size_t bytes, int node);
/* Every block must have been given back. [setup] */
void weir__lease_pool_fini(struct weir__lease_pool *pool);

/*
 * Take a block; NULL if there is no memory. owner says whether the caller is the pool's owner. Only
 * one other thread at a time may take (a lock of the caller ensures that).
 */
uint8_t *weir__lease_pool_take(struct weir__lease_pool *pool, bool owner, uint32_t *ret_token);
/* Add a reference; _give drops it. The last one frees the block. [a holder of the block] */
void weir__lease_pool_ref(struct weir__lease_pool *pool, uint32_t token);
/* Give a block back. [any] */
void weir__lease_pool_give(struct weir__lease_pool *pool, bool owner, uint32_t token);

/*
 * Return the memory of up to max blocks that were not needed since the last trim; with all, of any
 * free blocks. True if there are more, for another call. [owner]
 */
bool weir__lease_pool_trim(struct weir__lease_pool *pool, bool all, unsigned max);

/*
 * The number of blocks that are lent out; exact only while no other thread uses the pool. [owner]
 */
uint32_t weir__lease_pool_out(const struct weir__lease_pool *pool);

/* Whether a trim could return something. [owner] */
static inline bool weir__lease_pool_excess(const struct weir__lease_pool *pool)
{
	return pool->hot_len > WEIR__LEASE_KEEP ||
	       weir__load(&pool->remote, WEIR_RELAXED) != 0;
}

#endif
