/* SPDX-License-Identifier: MIT */
/*
 * lease_pool.c: see lease_pool.h.
 *
 * Invariants: a block is on one list (hot, cold, remote), lent out, or fresh. The owner
 * writes the links of hot and cold. A link of remote is written by the thread that pushes
 * the block and later by the thread that has taken the whole stack, so there is no ABA
 * problem. The link of a block that is lent out counts its additional holders. A token
 * identifies its block for the life of the pool, so a block is given back without its
 * address.
 *
 * The pool does not measure time: its user calls trim.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "backends/lease_pool.h"
#include "core/assert.h"
#include "core/node.h"
#include "core/os.h"
#include "core/sanitizer.h"

/* The chunk that contains a block, and the block's index in it. */
static inline struct weir__lease_chunk *chunk_of(const struct weir__lease_pool *pool,
						 uint32_t block, uint32_t *ret_at)
{
	unsigned i = 31 - (unsigned)__builtin_clz(block / WEIR__LEASE_FIRST + 1);

	*ret_at = block - ((1u << i) - 1) * WEIR__LEASE_FIRST;
	return (struct weir__lease_chunk *)&pool->chunk[i];
}

static inline uint8_t *data_of(const struct weir__lease_pool *pool, uint32_t block)
{
	uint32_t at;
	struct weir__lease_chunk *c = chunk_of(pool, block, &at);

	return c->data + at * pool->bytes;
}

static inline uint32_t *next_of(const struct weir__lease_pool *pool, uint32_t block)
{
	uint32_t at;
	struct weir__lease_chunk *c = chunk_of(pool, block, &at);

	return &c->next[at];
}

static size_t whole_pages(size_t bytes)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return (bytes + page - 1) / page * page;
}

void weir__lease_pool_init(struct weir__lease_pool *pool, size_t bytes, int node)
{
	*pool = (struct weir__lease_pool){ .bytes = whole_pages(bytes ? bytes : 1), .node = node };
}

void weir__lease_pool_fini(struct weir__lease_pool *pool)
{
	WEIR_ASSERT(weir__lease_pool_out(pool) == 0);
	for (unsigned i = 0; i < WEIR__LEASE_CHUNKS && pool->chunk[i].data; i++) {
		struct weir__lease_chunk *c = &pool->chunk[i];

		weir__asan_unpoison(c->data, c->mapped);
		munmap(c->data, c->mapped);
	}
	*pool = (struct weir__lease_pool){ .bytes = pool->bytes, .node = pool->node };
}

/* Add a chunk of twice the size of the last one. The caller holds the lock. */
static int grow(struct weir__lease_pool *pool)
{
	unsigned i = 31 - (unsigned)__builtin_clz(pool->total / WEIR__LEASE_FIRST + 1);
	uint32_t blocks = WEIR__LEASE_FIRST << i;
	size_t mapped = blocks * pool->bytes + whole_pages(blocks * sizeof(uint32_t));
	void *at;

	if (i >= WEIR__LEASE_CHUNKS)
		return -ENOMEM;
	/* Without huge pages: one used block would keep the memory of 128. */
	at = weir__os_map_sparse(mapped);
	if (!at)
		return -ENOMEM;
	weir__node_place(at, mapped, pool->node);
	pool->chunk[i] = (struct weir__lease_chunk){
		at, (uint32_t *)(void *)((uint8_t *)at + blocks * pool->bytes), mapped
	};
	pool->total += blocks;
	return 0;
}

/* The number of a block that was never used, plus one; 0 if there is no memory. */
static uint32_t take_fresh(struct weir__lease_pool *pool)
{
	uint32_t first = 0;

	weir__lock_take(&pool->lock);
	if (pool->fresh < pool->total || grow(pool) == 0)
		first = ++pool->fresh;
	weir__lock_drop(&pool->lock);
	return first;
}

/*
 * Take all blocks that other threads gave back. The acquire pairs with the release in push_remote.
 */
static uint32_t take_remote(struct weir__lease_pool *pool)
{
	if (weir__load(&pool->remote, WEIR_RELAXED) == 0)
		return 0;
	return weir__xchg(&pool->remote, 0u, WEIR_ACQUIRE);
}

/* Push the chain from first to last. The release pairs with the acquire in take_remote. */
static void push_remote(struct weir__lease_pool *pool, uint32_t first, uint32_t last)
{
	uint32_t top = weir__load(&pool->remote, WEIR_RELAXED);

	do
		*next_of(pool, last - 1) = top;
	while (!weir__cas_weak(&pool->remote, &top, first, WEIR_RELEASE, WEIR_RELAXED));
}

/* Move all blocks that other threads gave back to the hot list. [owner] */
static void drain_remote(struct weir__lease_pool *pool)
{
	uint32_t block = take_remote(pool), next;

	for (; block; block = next) {
		next = *next_of(pool, block - 1);
		*next_of(pool, block - 1) = pool->hot;
		pool->hot = block;
		pool->hot_len++;
	}
}

static uint32_t take_owner(struct weir__lease_pool *pool)
{
	uint32_t first;

	if (WEIR_UNLIKELY(!pool->hot))
		drain_remote(pool);
	first = pool->hot;
	if (WEIR_LIKELY(first)) {
		pool->hot = *next_of(pool, first - 1);
		if (--pool->hot_len < pool->low)
			pool->low = pool->hot_len;
		return first;
	}
	first = pool->cold;
	if (!first)
		return take_fresh(pool);
	pool->cold = *next_of(pool, first - 1);
	pool->cold_len--;
	return first;
}

/* For another thread: take the first block that was given back, and put the others back. */
static uint32_t take_other(struct weir__lease_pool *pool)
{
	uint32_t first = take_remote(pool), rest, last;

	if (!first)
		return take_fresh(pool);
	rest = *next_of(pool, first - 1);
	if (!rest)
		return first;
	for (last = rest; *next_of(pool, last - 1);)
		last = *next_of(pool, last - 1);
	push_remote(pool, rest, last);
	return first;
}

uint8_t *weir__lease_pool_take(struct weir__lease_pool *pool, bool owner, uint32_t *ret_token)
{
	uint32_t first = owner ? take_owner(pool) : take_other(pool);
	uint8_t *data;

	if (!first)
		return NULL;
	data = data_of(pool, first - 1);
	*next_of(pool, first - 1) = 0;
	weir__asan_unpoison(data, pool->bytes);
	*ret_token = first - 1;
	return data;
}

void weir__lease_pool_ref(struct weir__lease_pool *pool, uint32_t token)
{
	weir__fetch_add(next_of(pool, token), 1u, WEIR_RELAXED);
}

/*
 * Drop one reference; true if it was the last. The acquires pair with the release of other holders'
 * drops: they have finished reading the block.
 */
static bool unref(struct weir__lease_pool *pool, uint32_t token)
{
	uint32_t *others = next_of(pool, token);

	return weir__load(others, WEIR_ACQUIRE) == 0 ||
	       weir__fetch_sub(others, 1u, WEIR_ACQ_REL) == 0;
}

void weir__lease_pool_give(struct weir__lease_pool *pool, bool owner, uint32_t token)
{
	if (!unref(pool, token))
		return;
	weir__asan_poison(data_of(pool, token), pool->bytes);
	if (!owner) {
		push_remote(pool, token + 1, token + 1);
		return;
	}
	*next_of(pool, token) = pool->hot;
	pool->hot = token + 1;
	pool->hot_len++;
}

/* Return the memory of a chain of hot blocks to the system, and move them to the cold list. */
static void chill(struct weir__lease_pool *pool, uint32_t block)
{
	uint32_t next;

	for (; block; block = next) {
		next = *next_of(pool, block - 1);
		weir__os_discard(data_of(pool, block - 1), pool->bytes);
		*next_of(pool, block - 1) = pool->cold;
		pool->cold = block;
		pool->cold_len++;
		pool->hot_len--;
	}
}

bool weir__lease_pool_trim(struct weir__lease_pool *pool, bool all, unsigned max)
{
	uint32_t unused, batch, *link = &pool->hot;

	drain_remote(pool);
	unused = all ? pool->hot_len : pool->low;
	unused = unused > WEIR__LEASE_KEEP ? unused - WEIR__LEASE_KEEP : 0;
	batch = unused < max ? unused : max;
	if (batch > 0) {
		/* The blocks that were unused longest are at the end. */
		for (uint32_t i = pool->hot_len - batch; i > 0; i--)
			link = next_of(pool, *link - 1);
		chill(pool, *link);
		*link = 0;
	}
	if (batch < unused) {
		pool->low -= pool->low < batch ? pool->low : batch;
		return true;
	}
	pool->low = pool->hot_len;
	return false;
}

uint32_t weir__lease_pool_out(const struct weir__lease_pool *pool)
{
	uint32_t in = pool->hot_len + pool->cold_len;

	for (uint32_t b = weir__load(&pool->remote, WEIR_ACQUIRE); b; b = *next_of(pool, b - 1))
		in++;
	return pool->fresh - in;
}
