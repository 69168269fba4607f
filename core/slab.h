/* SPDX-License-Identifier: MIT */
/*
 * slab.h: where tasks live: blocks of a few sizes, carved from chunks that stay
 * mapped while the runtime exists.
 *
 * That makes task memory type-stable, which two things rest on: a late wake of
 * a task that has gone finds a valid state word (0 means a free block), and the
 * chunks are the registry of all tasks, so that spawning touches no list.
 *
 *	alloc [owner] ──► block in use ──► free [owner]   ──► free list of its size
 *	                                └► free [any other] ──► remote inbox ──► (alloc) ─┘
 *
 * A block begins with a 64-bit state word and a struct weir__link; while it is
 * free the word is 0 and the link is the slab's.
 */
#ifndef WEIR_CORE_SLAB_H
#define WEIR_CORE_SLAB_H

#include "weir/base.h"
#include "core/inbox.h"

#define WEIR__SLAB_CLASSES 18

struct weir__slab_head {
	uint64_t state;
	struct weir__link link;
};

struct weir__slab_chunk {
	struct weir__slab_chunk *next;
	size_t bytes;		/* of the mapping */
	uint32_t block_bytes;
	uint32_t used;		/* blocks carved so far; atomic, for the walk */
	uint32_t blocks;
};

struct weir__slab {
	struct weir__link *free[WEIR__SLAB_CLASSES];
	struct weir__slab_chunk *fresh[WEIR__SLAB_CLASSES];	/* not wholly carved yet */
	struct weir__slab_chunk *chunks;	/* atomic, for the walk */
	unsigned small_chunks;
	int node;		/* see core/node.h */
	struct weir__inbox remote;
};

/* Chunks will lie on that node; -1: anywhere. [setup] */
void weir__slab_init(struct weir__slab *slab, int node);
/* Unmaps everything; every block must be free or given up. [setup] */
void weir__slab_fini(struct weir__slab *slab);

/* The class of a size; -EINVAL when it is larger than the largest block. */
int weir__slab_class(size_t bytes);

/* A block of a class, with state 0; NULL when memory ran out. [owner] */
void *weir__slab_alloc(struct weir__slab *slab, unsigned size_class);

/* [owner]; the block's state word is 0 already. */
void weir__slab_free(struct weir__slab *slab, void *block, unsigned size_class);
/* The same; the owner takes it in when it runs out. [any] */
void weir__slab_free_remote(struct weir__slab *slab, void *block, unsigned size_class);

/*
 * Call visit for every block ever carved, free or not: look at its state word, with acquire where
 * the caller is not the owner. [any]
 */
void weir__slab_walk(struct weir__slab *slab, void (*visit)(void *block, void *arg), void *arg);
#endif
