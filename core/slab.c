/* SPDX-License-Identifier: MIT */
/*
 * slab.c: see slab.h. Sizes of small blocks are multiples of 64 bytes, so that a
 * task of 128 bytes with a little state wastes little; larger ones are powers of
 * two.
 *
 * The link of a free block serves the free list. The rest of a free block is
 * poisoned under AddressSanitizer.
 */
#include "core/slab.h"

#include <string.h>
#include <sys/mman.h>

#include "core/assert.h"
#include "core/node.h"
#include "core/os.h"

#define CHUNK_BYTES (256u * 1024)
#define CHUNK_HEAD 64u
#define SMALL_BLOCK 8192u		/* larger blocks come eight to a chunk */
/* after this many small chunks (4 MiB) a slab grows by huge pages */
#define HUGE_FROM 16u
#define HUGE_BYTES (2u * 1024 * 1024)

const uint32_t weir__slab_bytes[WEIR__SLAB_CLASSES] = {
	128,  192,  256,  320,	384,  448,  512,   576,	  640,
	768,  1024, 1536, 2048, 4096, 8192, 16384, 32768, 131072,
};

void weir__slab_init(struct weir__slab *slab, int node)
{
	memset(slab, 0, sizeof *slab);
	slab->node = node;
	weir__inbox_init(&slab->remote);
}

void weir__slab_fini(struct weir__slab *slab)
{
	struct weir__slab_chunk *c, *next;

	for (c = slab->chunks; c; c = next) {
		next = c->next;
		weir__asan_unpoison(c, c->bytes);
		munmap(c, c->bytes);
	}
	weir__slab_init(slab, slab->node);
}

int weir__slab_class_large(size_t bytes)
{
	unsigned i;

	for (i = 0; i < WEIR__SLAB_CLASSES; i++)
		if (bytes <= weir__slab_bytes[i])
			return (int)i;
	return -EINVAL;
}

static void *map(size_t bytes)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return at == MAP_FAILED ? NULL : at;
}

/*
 * Maps one huge page where the system has them: many tasks then cost few page faults and TLB
 * entries.
 */
static void *map_huge(void)
{
	char *at = map(2 * HUGE_BYTES);
	size_t head;

	if (!at)
		return NULL;
	head = -(uintptr_t)at % HUGE_BYTES;
	if (head)
		munmap(at, head);
	munmap(at + head + HUGE_BYTES, HUGE_BYTES - head);
	weir__os_want_huge(at + head, HUGE_BYTES);
	return at + head;
}

static bool chunk_new(struct weir__slab *slab, unsigned size_class)
{
	uint32_t block = weir__slab_bytes[size_class];
	bool huge = block <= SMALL_BLOCK && slab->small_chunks >= HUGE_FROM;
	size_t bytes = huge		      ? HUGE_BYTES
		       : block <= SMALL_BLOCK ? CHUNK_BYTES
					      : (size_t)block * 8 + 4096;
	struct weir__slab_chunk *c = huge ? map_huge() : map(bytes);

	if (!c)
		return false;
	weir__node_place(c, bytes, slab->node);
	slab->small_chunks += block <= SMALL_BLOCK;
	c->bytes = bytes;
	c->block_bytes = block;
	c->blocks = (uint32_t)((bytes - CHUNK_HEAD) / block);
	WEIR_ASSERT(c->blocks > 0);
	c->next = slab->chunks;
	/* Pairs with the load in weir__slab_walk. */
	weir__store(&slab->chunks, c, WEIR_RELEASE);
	slab->fresh[size_class] = c;
	return true;
}

static void *chunk_block(struct weir__slab_chunk *c, uint32_t i)
{
	return (char *)c + CHUNK_HEAD + (size_t)i * c->block_bytes;
}

static void *carve(struct weir__slab *slab, unsigned size_class)
{
	struct weir__slab_chunk *c = slab->fresh[size_class];

	if (!c || c->used == c->blocks) {
		if (!chunk_new(slab, size_class))
			return NULL;
		c = slab->fresh[size_class];
	}
	WEIR_ASSERT(c->block_bytes == weir__slab_bytes[size_class] && c->used < c->blocks);
	weir__store(&c->used, c->used + 1, WEIR_RELAXED);
	return chunk_block(c, c->used - 1);
}

/* A block that is being returned to its owner; only the owner reads what follows the head. */
struct returned {
	struct weir__slab_head head;
	unsigned size_class;
};

static void take_remote(struct weir__slab *slab)
{
	struct weir__link *link = weir__inbox_take(&slab->remote), *next;

	for (; link; link = next) {
		struct returned *block = WEIR_CONTAINER_OF(link, struct returned, head.link);

		next = link->next;
		weir__slab_free(slab, block, block->size_class);
	}
}

void *weir__slab_alloc_slow(struct weir__slab *slab, unsigned size_class)
{
	take_remote(slab);
	return slab->free[size_class] ? weir__slab_alloc(slab, size_class)
				      : carve(slab, size_class);
}

void weir__slab_free_remote(struct weir__slab *slab, void *block, unsigned size_class)
{
	struct returned *back = block;

	WEIR_ASSERT(size_class < WEIR__SLAB_CLASSES);
	back->size_class = size_class;
	weir__inbox_push(&slab->remote, &back->head.link);
}

void weir__slab_walk(struct weir__slab *slab, void (*visit)(void *block, void *arg), void *arg)
{
	struct weir__slab_chunk *c;
	uint32_t i, used;

	for (c = weir__load(&slab->chunks, WEIR_ACQUIRE); c; c = c->next) {
		used = weir__load(&c->used, WEIR_RELAXED);
		for (i = 0; i < used; i++)
			visit(chunk_block(c, i), arg);
	}
}
