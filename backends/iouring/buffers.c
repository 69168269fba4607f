/* SPDX-License-Identifier: MIT */
/* buffers.c: see buffers.h. Only the owner is here, but for leases that come back. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/assert.h"
#include "core/node.h"
#include "backends/iouring/buffers.h"

#define WANT_FIRST 16u
#define WANT_LEAST 8u
/* What the provided buffers may come to hold, as full as they are of late. */
#define WANT_BYTES (4u << 20)
#define PAGE 4096u
/* Blocks whose memory is returned at a time. */
#define TRIM_BLOCKS 64u

static size_t ring_bytes(uint32_t entries)
{
	return entries * sizeof(struct io_uring_buf);
}

static size_t arrays_bytes(uint32_t entries)
{
	return entries * (sizeof(uint32_t) + 3 * sizeof(uint16_t));
}

static int open_ring(struct uring_buffers *b, struct io_uring *ring, uint32_t entries)
{
	struct io_uring_buf_reg reg = { .ring_entries = entries, .bgid = URING_GROUP };
	void *at = mmap(NULL, ring_bytes(entries), PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int rc;

	if (at == MAP_FAILED)
		return -ENOMEM;
	weir__node_place(at, ring_bytes(entries), b->pool.node);
	reg.ring_addr = (uintptr_t)at;
	rc = io_uring_register_buf_ring(ring, &reg, 0);
	if (rc < 0) {
		munmap(at, ring_bytes(entries));
		return rc;
	}
	/* After a fork this process must keep the pages that the kernel knows. */
	madvise(at, ring_bytes(entries), MADV_DONTFORK);
	b->ring = at;
	io_uring_buf_ring_init(b->ring);
	return 0;
}

static void set_want(struct uring_buffers *b, uint32_t want)
{
	uint32_t most = WANT_BYTES / (b->filled / 16 + PAGE);

	if (most > b->entries)
		most = b->entries;
	b->want = want > most ? most : want < WANT_LEAST ? WANT_LEAST : want;
}

int weir__uring_buffers_init(struct uring_buffers *b, struct io_uring *ring, uint32_t entries,
			     size_t lease_bytes, int node)
{
	int rc;

	weir__lease_pool_init(&b->pool, lease_bytes, node);
	if (!entries)
		return 0;
	b->entries = entries;
	b->token = weir__node_alloc(arrays_bytes(entries), node);
	rc = b->token ? open_ring(b, ring, entries) : -ENOMEM;
	if (rc < 0) {
		weir__uring_buffers_fini(b);
		return rc;
	}
	b->free = (uint16_t *)(b->token + entries);
	b->place = b->free + entries;
	b->number = b->place + entries;
	for (uint32_t i = 0; i < entries; i++)
		b->free[i] = (uint16_t)(entries - 1 - i);
	b->free_len = entries;
	set_want(b, WANT_FIRST);
	return 0;
}

/* The blocks that are still in the ring go back. */
static void take_back(struct uring_buffers *b)
{
	bool *is_free = calloc(b->entries, sizeof(*is_free));

	for (uint32_t i = 0; is_free && i < b->free_len; i++)
		is_free[b->free[i]] = true;
	for (uint32_t i = 0; is_free && i < b->entries; i++)
		if (!is_free[i])
			weir__uring_buffers_give(b, b->token[i]);
	free(is_free);
}

void weir__uring_buffers_fini(struct uring_buffers *b)
{
	if (b->ring) {
		take_back(b);
		munmap(b->ring, ring_bytes(b->entries));
		b->ring = NULL;
	}
	weir__lease_pool_fini(&b->pool);
	weir__node_free(b->token, arrays_bytes(b->entries), b->pool.node);
	weir__node_free(b->block, b->blocks * sizeof(*b->block), b->pool.node);
	b->token = NULL;
	b->free = b->place = b->number = NULL;
	b->block = NULL;
}

static bool room_for(struct uring_buffers *b, uint32_t token)
{
	uint32_t blocks = b->blocks ? b->blocks : WEIR__LEASE_FIRST;
	struct uring_block *block;

	if (WEIR_LIKELY(token < b->blocks))
		return true;
	while (blocks <= token)
		blocks *= 2;
	block = weir__node_alloc(blocks * sizeof(*block), b->pool.node);
	if (!block)
		return false;
	if (b->block)
		memcpy(block, b->block, b->blocks * sizeof(*block));
	weir__node_free(b->block, b->blocks * sizeof(*block), b->pool.node);
	b->block = block;
	b->blocks = blocks;
	return true;
}

bool weir__uring_buffers_take(struct uring_buffers *b, uint32_t *ret_token)
{
	uint8_t *data = weir__lease_pool_take(&b->pool, true, ret_token);

	if (!data)
		return false;
	if (!room_for(b, *ret_token)) {
		weir__uring_buffers_give(b, *ret_token);
		return false;
	}
	b->block[*ret_token].data = data;
	return true;
}

void weir__uring_buffers_give(struct uring_buffers *b, uint32_t token)
{
	weir__lease_pool_give(&b->pool, true, token);
}

static void provide(struct uring_buffers *b)
{
	int mask = io_uring_buf_ring_mask(b->entries), n = 0;
	uint32_t token;

	while (b->provided < b->want && weir__uring_buffers_take(b, &token)) {
		uint16_t number = b->free[--b->free_len];

		b->token[number] = token;
		b->place[number] = b->tail & mask;
		b->number[b->tail++ & mask] = number;
		io_uring_buf_ring_add(b->ring, b->block[token].data, (unsigned)b->pool.bytes,
				      number, mask, n++);
		b->provided++;
	}
	if (n > 0)
		io_uring_buf_ring_advance(b->ring, n);
}

void weir__uring_buffers_refill(struct uring_buffers *b)
{
	uint32_t used;

	if (b->provided >= b->want)
		return;
	used = 16 * (b->want - b->provided);
	b->peak = used > b->peak ? used : b->peak - (b->peak - used) / 64;
	set_want(b, b->peak / 8);
	provide(b);
}

bool weir__uring_buffers_more(struct uring_buffers *b)
{
	if (b->provided == 0) {
		set_want(b, 2 * b->want);
		b->peak = 8 * b->want;
		provide(b);
	}
	return b->provided > 0;
}

/* The memory of those that the kernel has: it gets fresh pages when it fills them. */
static void chill_provided(struct uring_buffers *b)
{
	for (uint32_t i = 0; i < b->provided; i++) {
		unsigned number = b->number[(b->tail - 1u - i) & (b->entries - 1)];

		madvise(b->block[b->token[number]].data, b->pool.bytes, MADV_DONTNEED);
	}
	b->cold = b->provided;
	b->peak = 0;
}

bool weir__uring_buffers_trim(struct uring_buffers *b)
{
	if (b->provided > WEIR__LEASE_KEEP && b->cold < b->provided)
		chill_provided(b);
	return weir__lease_pool_trim(&b->pool, true, TRIM_BLOCKS);
}

uint32_t weir__uring_buffers_filled(struct uring_buffers *b, unsigned number, uint32_t len)
{
	uint32_t token = b->token[number];
	struct uring_block *block = &b->block[token];

	WEIR_ASSERT(number < b->entries && b->provided > 0);
	if (len > b->pool.bytes)
		len = (uint32_t)b->pool.bytes;
	b->free[b->free_len++] = (uint16_t)number;
	b->provided--;
	if (b->cold)
		b->cold--;
	b->filled += len - b->filled / 16;
	block->start = 0;
	block->len = len;
	block->next = 0;
	return token;
}
