/* SPDX-License-Identifier: MIT */
/*
 * node.h: memory on a memory node, for what a worker has to itself.
 *
 * A node is the kernel's number, or -1: memory is not placed, because the machine has one node,
 * the worker's thread may run anywhere, or it is forbidden. Then all this is the heap, and costs no
 * system call.
 *
 * With a node each block is a mapping of its own, so it is for few and long-lived ones. Slabs,
 * stacks and lease pools map for themselves, and place what they map (weir__node_place).
 */
#ifndef WEIR_CORE_NODE_H
#define WEIR_CORE_NODE_H

#include "weir/base.h"
#include "core/os.h"

/* Zeroed, at a multiple of 128 bytes; NULL: no memory. Freed with the same bytes and node. [any] */
void *weir__node_alloc(size_t bytes, int node);
/* NULL is allowed. [any] */
void weir__node_free(void *at, size_t bytes, int node);

/* Whether this thread may place memory there: 0, or the negative errno of what cannot. [any] */
int weir__node_check(int node);

/*
 * Of a fresh mapping. That it can be was found out by weir__node_check; should it fail all the
 * same, the memory is as good, but far. [any]
 */
static inline void weir__node_place(void *at, size_t bytes, int node)
{
	if (WEIR_UNLIKELY(node >= 0))
		(void)weir__os_node_place(at, bytes, node);
}

#endif
