/* SPDX-License-Identifier: MIT */
/*
 * node.h: memory on a chosen NUMA node, for the data of one worker.
 *
 * A node is the kernel's number, or -1. With -1 memory is not placed: the machine
 * has one node, the worker's thread may run anywhere, or placement is forbidden.
 * Then these functions use the heap and cost no system call.
 *
 * With a node each block is a mapping of its own, so use it for few and
 * long-lived blocks. Slabs, stacks and lease pools make their own mappings and
 * place them with weir__node_place.
 */
#ifndef WEIR_CORE_NODE_H
#define WEIR_CORE_NODE_H

#include "weir/base.h"
#include "core/os.h"

/*
 * Returns zeroed memory, aligned to 128 bytes, or NULL. Free it with the same bytes and node.
 * [any]
 */
void *weir__node_alloc(size_t bytes, int node);
/* at may be NULL. [any] */
void weir__node_free(void *at, size_t bytes, int node);

/*
 * Checks that this thread may place memory on the node. 0, or the errno of the call that failed.
 * [any]
 */
int weir__node_check(int node);

/*
 * Places a fresh mapping. weir__node_check has found out that this works; if it fails all the
 * same, the memory is usable, only farther away. [any]
 */
static inline void weir__node_place(void *at, size_t bytes, int node)
{
	if (WEIR_UNLIKELY(node >= 0))
		(void)weir__os_node_place(at, bytes, node);
}

#endif
