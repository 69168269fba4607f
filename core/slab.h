/* SPDX-License-Identifier: MIT */
/*
 * slab.h: the memory of tasks: blocks of a few sizes, carved from chunks that
 * stay mapped while the runtime exists.
 *
 * So task memory is type-stable: it holds tasks or free blocks, and nothing else.
 * Two things depend on that. A late wake of a task that is gone finds a valid state
 * word (0 means a free block). And the chunks serve as the registry of all tasks,
 * so that spawning touches no list.
 *
 *	alloc [owner] ──► block in use ──► free [owner]   ──► free list of its size
 *	                                └► free [any other] ──► remote list ──► (alloc) ─┘
 *
 * A block begins with a 64-bit state word and a struct weir__link. While it is
 * free, the word is 0 and the slab uses the link.
 */
#ifndef WEIR_CORE_SLAB_H
#define WEIR_CORE_SLAB_H

#include "weir/base.h"
#include "core/assert.h"
#include "core/inbox.h"
#include "core/sanitizer.h"

#define WEIR__SLAB_CLASSES 18

struct weir__slab_head {
	uint64_t state;
	struct weir__link link;
};

struct weir__slab_chunk {
	struct weir__slab_chunk *next;
	size_t bytes;		/* the size of the mapping */
	uint32_t block_bytes;
	uint32_t used;		/* blocks carved so far; atomic, for the walk */
	uint32_t blocks;
};

struct weir__slab {
	struct weir__link *free[WEIR__SLAB_CLASSES];
	/* chunks that still have blocks to carve */
	struct weir__slab_chunk *fresh[WEIR__SLAB_CLASSES];
	struct weir__slab_chunk *chunks;	/* atomic, for the walk */
	unsigned small_chunks;
	int node;		/* see core/node.h */
	struct weir__inbox remote;
};

/* The chunks will lie on that memory node; -1: anywhere. [setup] */
void weir__slab_init(struct weir__slab *slab, int node);
/* Unmaps all chunks. Every block must be free or abandoned. [setup] */
void weir__slab_fini(struct weir__slab *slab);

extern const uint32_t weir__slab_bytes[WEIR__SLAB_CLASSES];	/* the size of a class's blocks */

/* Sizes of small blocks are multiples of 64 bytes, and have the first classes. */
#define WEIR__SLAB_SMALLEST 128u
#define WEIR__SLAB_STEP 64u
#define WEIR__SLAB_STEPS_END 640u

/* The class of a size beyond the steps. */
int weir__slab_class_large(size_t bytes);

/* The class of a size; -EINVAL if it is larger than the largest block. */
static inline int weir__slab_class(size_t bytes)
{
	if (WEIR_UNLIKELY(bytes > WEIR__SLAB_STEPS_END))
		return weir__slab_class_large(bytes);
	return bytes <= WEIR__SLAB_SMALLEST
		       ? 0
		       : (int)((bytes - WEIR__SLAB_SMALLEST + WEIR__SLAB_STEP - 1) /
			       WEIR__SLAB_STEP);
}

/* Allocates a block when the free list of its class is empty. */
void *weir__slab_alloc_slow(struct weir__slab *slab, unsigned size_class);

/* Returns a block of a class, with state 0; NULL when memory ran out. [owner] */
static inline void *weir__slab_alloc(struct weir__slab *slab, unsigned size_class)
{
	struct weir__link *link;
	struct weir__slab_head *head;

	WEIR_ASSERT(size_class < WEIR__SLAB_CLASSES);
	link = slab->free[size_class];
	if (WEIR_UNLIKELY(!link))
		return weir__slab_alloc_slow(slab, size_class);
	slab->free[size_class] = link->next;
	head = WEIR_CONTAINER_OF(link, struct weir__slab_head, link);
	weir__asan_unpoison(head, weir__slab_bytes[size_class]);
	return head;
}

/* Frees a block whose state word is 0 already. [owner] */
static inline void weir__slab_free(struct weir__slab *slab, void *block, unsigned size_class)
{
	struct weir__slab_head *head = block;

	WEIR_ASSERT(size_class < WEIR__SLAB_CLASSES);
	weir__asan_poison(head + 1, weir__slab_bytes[size_class] - sizeof *head);
	head->link.next = slab->free[size_class];
	slab->free[size_class] = &head->link;
}

/* The same from any thread; the owner collects the block when its free list is empty. [any] */
void weir__slab_free_remote(struct weir__slab *slab, void *block, unsigned size_class);

/*
 * Calls visit for every block ever carved, free or not. visit checks the block's state word, with
 * acquire if the caller is not the owner. [any]
 */
void weir__slab_walk(struct weir__slab *slab, void (*visit)(void *block, void *arg), void *arg);
#endif
