/* SPDX-License-Identifier: MIT */
/* node.c: see node.h. */
#include "core/node.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define ALIGN 128u

static void *map(size_t bytes)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0);

	return at == MAP_FAILED ? NULL : at;
}

void *weir__node_alloc(size_t bytes, int node)
{
	void *at;

	if (node >= 0) {
		at = map(bytes);
		if (at)
			weir__node_place(at, bytes, node);
		return at;
	}
	bytes = (bytes + ALIGN - 1) / ALIGN * ALIGN;
	at = aligned_alloc(ALIGN, bytes);
	return at ? memset(at, 0, bytes) : NULL;
}

void weir__node_free(void *at, size_t bytes, int node)
{
	if (node < 0)
		free(at);
	else if (at)
		munmap(at, bytes);
}

int weir__node_check(int node)
{
	size_t bytes = 1;
	void *at = map(bytes);
	int rc;

	if (!at)
		return -ENOMEM;
	rc = weir__os_node_place(at, bytes, node);
	munmap(at, bytes);
	if (rc == 0)
		rc = weir__os_node_prefer(node);
	return rc < 0 ? rc : weir__os_node_prefer(-1);
}
