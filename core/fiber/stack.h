/* SPDX-License-Identifier: MIT */
/*
 * stack.h: memory for fiber stacks. core/fiber/overflow.h reports overflows.
 *
 *	region  |hdr|guard stack 0|guard stack 1| ... |guard stack n-1|   process-wide
 *	           ^ lowest page, or pages, of each slot, no access
 *
 *	     weir__stack_get                       weir__stack_put
 *	  hot list -> reserve -> region         hot list -> (too many) -> region
 *	  (pages kept)  (no pages yet)          newest first     pages freed
 *
 * Stacks are carved from regions of 64 MiB, so the number of memory mappings does
 * not grow with the number of fibers. Guards are markers in the page tables
 * (MADV_GUARD_INSTALL, Linux 6.13), which cost no mapping. Older systems use
 * mprotect, which costs two mappings for each stack. There only as many stacks
 * are allowed as fit into half of vm.max_map_count; the next one is refused.
 *
 * A region lies on one memory node, and so do the stacks of a pool.
 *
 * A pool belongs to one worker and is not locked. Regions belong to the process,
 * so a stack may be put into another pool than it came from (fibers migrate).
 * Address space that has become a region stays one until the process ends; its
 * pages are freed.
 *
 * Don'ts: a frame larger than the guard may step over it without touching it.
 * Build code that has such frames with -fstack-clash-protection, or make guards
 * wider, which takes address space and page tables. This file knows no tasks or
 * fibers.
 */
#ifndef WEIR_CORE_FIBER_STACK_H
#define WEIR_CORE_FIBER_STACK_H

#include "weir/base.h"

#define WEIR__STACK_BYTES_DEFAULT (64u * 1024)
#define WEIR__STACK_BYTES_MAX (1ul << 30)
#define WEIR__STACK_RESERVE 32

struct weir__stack_region;

/* One stack: bytes are usable from low upwards; the guard lies just below low. */
struct weir__stack {
	char *low;
	size_t bytes;
	struct weir__stack_region *region;
};

struct weir__stack_link;

struct weir__stack_pool {
	/* the hot list: free stacks that keep their pages; the links lie inside them */
	struct weir__stack_link *newest;
	struct weir__stack_link *oldest;
	unsigned hot;				/* length of that list */
	unsigned hot_max;			/* above this the oldest eighth lose their pages */
	unsigned reserved;			/* entries in reserve */
	unsigned order;				/* stack_bytes = page size << order */
	size_t guard;				/* bytes of a guard */
	int node;				/* the memory node of its stacks; see core/node.h */
	const char *reason;			/* why the last get failed; NULL if it did not */
	struct weir__stack reserve[WEIR__STACK_RESERVE];
};

/*
 * stack_bytes includes one page of guard and is rounded up to a power of two of at least four
 * pages; 0 means WEIR__STACK_BYTES_DEFAULT. guard_bytes is rounded up to pages; guard pages beyond
 * the first are added to stack_bytes. node -1: anywhere. Allocates nothing yet. Returns 0; -EINVAL
 * if one is above WEIR__STACK_BYTES_MAX. Thread: [setup] or [owner].
 */
int weir__stack_pool_init(struct weir__stack_pool *pool, size_t stack_bytes, size_t guard_bytes,
			  int node);

/*
 * Returns every free stack to its region and frees its pages. Stacks in use may be put into
 * another pool later. Thread: [setup] or [owner].
 */
void weir__stack_pool_fini(struct weir__stack_pool *pool);

/*
 * Takes a stack, the most recently freed one if there is any. Its contents are undefined. Returns
 * 0; -ENOMEM with pool->reason set. Thread: [owner].
 */
int weir__stack_get(struct weir__stack_pool *pool, struct weir__stack *ret_stack);

/*
 * Takes back a stack that came from any pool; nothing may run on it or point into it. A stack of
 * another size, guard or node than the pool's goes straight to its region. Thread: [owner] of
 * pool.
 */
void weir__stack_put(struct weir__stack_pool *pool, struct weir__stack stack);

/* Returns the oldest free stacks to their regions until keep are left. Thread: [owner]. */
void weir__stack_pool_trim(struct weir__stack_pool *pool, unsigned keep);

/*
 * True if the address is in the guard of one of weir's stacks. *ret_stack_bytes is then the size
 * of that stack, as stack_bytes counts it; ret_stack_bytes may be NULL. Async-signal-safe. Thread:
 * [any].
 */
bool weir__stack_is_guard(const void *addr, size_t *ret_stack_bytes);

/* For tests: pretend to be an older kernel, or one with another limit. Atomic. */
struct weir__stack_hooks {
	bool no_guard_install;			/* use mprotect even if madvise could */
	unsigned long max_map_count;		/* 0: ask the kernel */
};
extern struct weir__stack_hooks weir__stack_hooks;

#endif
