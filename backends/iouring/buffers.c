/* SPDX-License-Identifier: MIT */
/* buffers.c: see buffers.h. Only the owner calls these functions. */
#include <string.h>
#include <sys/mman.h>

#include "core/assert.h"
#include "core/node.h"
#include "backends/iouring/buffers.h"
#include "backends/iouring/newer.h"

#define WANT_FIRST 16u
/* The least number of provided blocks. Of shared blocks, the current one and the next. */
#define LEAST_WHOLE 8u
#define LEAST_SHARED 2u
/* The limit of bytes in provided buffers, if they are filled as much as recently. */
#define WANT_BYTES (4u << 20)
#define PAGE 4096u
/* How many blocks' memory is returned at a time. */
#define TRIM_BLOCKS 64u
#define SLICES_FIRST 16u

/* ---- the rings ---- */

static size_t ring_bytes(uint32_t entries)
{
	return entries * sizeof(struct io_uring_buf);
}

static size_t arrays_bytes(uint32_t entries)
{
	return entries * (sizeof(struct uring_buffer) + 2 * sizeof(uint16_t));
}

static int open_ring(struct uring_group *g, struct io_uring *ring, enum uring_group_id id, int node)
{
	void *at = mmap(NULL, ring_bytes(g->entries), PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int rc;

	if (at == MAP_FAILED)
		return -ENOMEM;
	weir__node_place(at, ring_bytes(g->entries), node);
	rc = uring_register_buffers(ring, at, g->entries, id,
				    id == URING_SHARED ? URING_PBUF_INC : 0);
	if (rc < 0) {
		munmap(at, ring_bytes(g->entries));
		return rc;
	}
	/*
	 * Without this, fork would make the pages copy-on-write, and the kernel would keep the old.
	 */
	madvise(at, ring_bytes(g->entries), MADV_DONTFORK);
	g->ring = at;
	io_uring_buf_ring_init(g->ring);
	return 0;
}

static void set_want(struct uring_group *g, uint32_t want)
{
	uint32_t most = WANT_BYTES / (g->filled / 16 + PAGE);

	if (most > g->entries)
		most = g->entries;
	g->want = want > most ? most : want < g->least ? g->least : want;
}

static int open_group(struct uring_group *g, struct io_uring *ring, uint32_t entries,
		      enum uring_group_id id, int node)
{
	g->entries = entries;
	g->least = id == URING_SHARED ? LEAST_SHARED : LEAST_WHOLE;
	g->buffer = weir__node_alloc(arrays_bytes(entries), node);
	if (!g->buffer)
		return -ENOMEM;
	g->number = (uint16_t *)(g->buffer + entries);
	g->free = g->number + entries;
	for (uint32_t i = 0; i < entries; i++)
		g->free[i] = (uint16_t)(entries - 1 - i);
	g->free_len = entries;
	set_want(g, id == URING_SHARED ? LEAST_SHARED : WANT_FIRST);
	return open_ring(g, ring, id, node);
}

int weir__uring_buffers_init(struct uring_buffers *b, struct io_uring *ring, uint32_t entries,
			     bool shared, size_t lease_bytes, int node)
{
	int rc = 0;

	weir__lease_pool_init(&b->pool, lease_bytes, node);
	b->still = ring->flags & IORING_SETUP_DEFER_TASKRUN;
	if (entries)
		rc = open_group(&b->group[URING_WHOLE], ring, entries, URING_WHOLE, node);
	if (entries && shared && rc == 0)
		rc = open_group(&b->group[URING_SHARED], ring, entries, URING_SHARED, node);
	if (rc < 0)
		weir__uring_buffers_fini(b);
	return rc;
}

/* Give the blocks that are still in the ring back to the pool. */
static void take_back(struct uring_buffers *b, struct uring_group *g)
{
	for (uint32_t i = 0; i < g->provided; i++) {
		unsigned number = g->number[(g->tail - 1u - i) & (g->entries - 1)];

		weir__uring_buffers_give(b, g->buffer[number].token);
	}
	g->provided = 0;
}

static void close_group(struct uring_buffers *b, struct uring_group *g)
{
	if (g->ring) {
		take_back(b, g);
		munmap(g->ring, ring_bytes(g->entries));
	}
	weir__node_free(g->buffer, arrays_bytes(g->entries), b->pool.node);
	*g = (struct uring_group){ .ring = NULL };
}

void weir__uring_buffers_fini(struct uring_buffers *b)
{
	for (unsigned i = 0; i < URING_GROUPS; i++)
		close_group(b, &b->group[i]);
	weir__lease_pool_fini(&b->pool);
	weir__node_free(b->slice, b->slices * sizeof(*b->slice), b->pool.node);
	b->slice = NULL;
}

/* ---- providing ---- */

static void provide(struct uring_buffers *b, struct uring_group *g)
{
	int mask = io_uring_buf_ring_mask(g->entries), n = 0;
	struct uring_slice block;

	while (g->provided < g->want && weir__uring_buffers_take(b, &block)) {
		uint16_t number = g->free[--g->free_len];

		g->buffer[number] = (struct uring_buffer){ block.data, block.token, 0,
							   (uint16_t)(g->tail & mask) };
		g->number[g->tail++ & mask] = number;
		io_uring_buf_ring_add(g->ring, block.data, block.len, number, mask, n++);
		g->provided++;
	}
	if (n > 0)
		io_uring_buf_ring_advance(g->ring, n);
}

static void refill(struct uring_buffers *b, struct uring_group *g)
{
	uint32_t used;

	if (g->provided >= g->want)
		return;
	used = 16 * (g->want - g->provided);
	g->peak = used > g->peak ? used : g->peak - (g->peak - used) / 64;
	set_want(g, g->peak / 8);
	provide(b, g);
}

void weir__uring_buffers_refill(struct uring_buffers *b)
{
	/* Unused groups have a .want of 0. */
	for (unsigned i = 0; i < URING_GROUPS; i++)
		refill(b, &b->group[i]);
}

bool weir__uring_buffers_more(struct uring_buffers *b, enum uring_group_id id)
{
	struct uring_group *g = &b->group[id];

	if (g->provided == 0) {
		set_want(g, 2 * g->want);
		g->peak = 8 * g->want;
		provide(b, g);
	}
	return g->provided > 0;
}

/* ---- memory that is not needed ---- */

static bool is_excessive(const struct uring_buffers *b, const struct uring_group *g)
{
	return b->still && g->provided > WEIR__LEASE_KEEP && g->cold < g->provided;
}

/* Return the memory of provided blocks; the kernel gets new pages when it fills them. */
static void chill_provided(const struct uring_buffers *b, struct uring_group *g)
{
	for (uint32_t i = 0; i < g->provided; i++) {
		unsigned number = g->number[(g->tail - 1u - i) & (g->entries - 1)];
		const struct uring_buffer *buffer = &g->buffer[number];
		size_t kept = (buffer->used + PAGE - 1) / PAGE * PAGE;

		if (kept < b->pool.bytes)
			madvise(buffer->data + kept, b->pool.bytes - kept, MADV_DONTNEED);
	}
	g->cold = g->provided;
	g->peak = 0;
}

bool weir__uring_buffers_trim(struct uring_buffers *b)
{
	for (unsigned i = 0; i < URING_GROUPS; i++)
		if (is_excessive(b, &b->group[i]))
			chill_provided(b, &b->group[i]);
	return weir__lease_pool_trim(&b->pool, true, TRIM_BLOCKS);
}

bool weir__uring_buffers_excess(const struct uring_buffers *b)
{
	return weir__lease_pool_excess(&b->pool) || is_excessive(b, &b->group[URING_WHOLE]) ||
	       is_excessive(b, &b->group[URING_SHARED]);
}

/* ---- blocks and slices ---- */

bool weir__uring_buffers_take(struct uring_buffers *b, struct uring_slice *ret_slice)
{
	uint32_t token;
	uint8_t *data = weir__lease_pool_take(&b->pool, true, &token);

	if (!data)
		return false;
	*ret_slice = (struct uring_slice){ data, (uint32_t)b->pool.bytes, token, 0 };
	return true;
}

void weir__uring_buffers_give(struct uring_buffers *b, uint32_t token)
{
	weir__lease_pool_give(&b->pool, true, token);
}

/* The kernel is done with the buffer; its reference to the block passes to the last slice. */
static void retire(struct uring_group *g, unsigned number)
{
	g->free[g->free_len++] = (uint16_t)number;
	g->provided--;
	if (g->cold)
		g->cold--;
	g->filled += g->buffer[number].used - g->filled / 16;
}

struct uring_slice weir__uring_buffers_filled(struct uring_buffers *b, enum uring_group_id id,
					      unsigned number, uint32_t len, bool more)
{
	struct uring_group *g = &b->group[id];
	struct uring_buffer *buffer = &g->buffer[number];
	uint32_t room = (uint32_t)b->pool.bytes - buffer->used;
	struct uring_slice slice = { .data = buffer->data + buffer->used,
				     .len = len < room ? len : room,
				     .token = buffer->token };

	WEIR_ASSERT(number < g->entries && g->provided > 0);
	buffer->used += slice.len;
	if (more)
		weir__lease_pool_ref(&b->pool, slice.token);
	else
		retire(g, number);
	return slice;
}

static bool more_places(struct uring_buffers *b)
{
	uint32_t slices = b->slices ? 2 * b->slices : SLICES_FIRST;
	struct uring_slice *bigger = weir__node_alloc(slices * sizeof(*bigger), b->pool.node);

	if (!bigger)
		return false;
	if (b->slice)
		memcpy(bigger, b->slice, b->slices * sizeof(*bigger));
	weir__node_free(b->slice, b->slices * sizeof(*b->slice), b->pool.node);
	for (uint32_t i = b->slices; i < slices; i++)
		bigger[i].next = i + 1 < slices ? i + 2 : 0;
	b->unused = b->slices + 1;
	b->slice = bigger;
	b->slices = slices;
	return true;
}

uint32_t weir__uring_buffers_keep(struct uring_buffers *b, struct uring_slice slice)
{
	uint32_t at;

	if (WEIR_UNLIKELY(!b->unused) && !more_places(b))
		return 0;
	at = b->unused;
	b->unused = b->slice[at - 1].next;
	slice.next = 0;
	b->slice[at - 1] = slice;
	return at;
}

struct uring_slice weir__uring_buffers_unkeep(struct uring_buffers *b, uint32_t at)
{
	struct uring_slice slice = b->slice[at - 1];

	b->slice[at - 1].next = b->unused;
	b->unused = at;
	return slice;
}
