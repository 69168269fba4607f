/* SPDX-License-Identifier: MIT */
/*
 * memory.h: the memory of an end of the cable: huge pages, in whole cache lines, like the memory of
 * a driver. Freed memory goes to a list of its size, last in, first out.
 */
#ifndef WEIR_BENCH_STACK_MEMORY_H
#define WEIR_BENCH_STACK_MEMORY_H

#include <stddef.h>

#define MEMORY_LINE 64u
#define MEMORY_LISTS 64u		/* for sizes up to 4 KiB; others have their own chunk */

struct memory {
	struct memory_chunk *chunks;
	char *at, *end;			/* the unused part of the newest chunk */
	struct memory_piece *unused[MEMORY_LISTS];
};

void *memory_alloc(struct memory *memory, size_t bytes);
void memory_free(struct memory *memory, void *piece, size_t bytes);
void memory_fini(struct memory *memory);

#endif
