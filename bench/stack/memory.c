/* SPDX-License-Identifier: MIT */
/* memory.c: see memory.h. */
#include <stdlib.h>
#include <sys/mman.h>

#include "memory.h"

#define CHUNK_BYTES ((size_t)2 << 20)	/* a huge page */

struct memory_piece {
	struct memory_piece *next;
};

/* The header of a chunk, in its first cache line. */
struct memory_chunk {
	struct memory_chunk *next;
};

static size_t rounded(size_t bytes, size_t unit)
{
	return (bytes + unit - 1) / unit * unit;
}

/* Allocates whole huge pages. The kernel may use ordinary pages instead. */
static void *pages(size_t bytes)
{
	void *at = aligned_alloc(CHUNK_BYTES, rounded(bytes, CHUNK_BYTES));

	if (at != NULL)
		(void)madvise(at, rounded(bytes, CHUNK_BYTES), MADV_HUGEPAGE);
	return at;
}

static int more(struct memory *memory)
{
	struct memory_chunk *chunk = pages(CHUNK_BYTES);

	if (chunk == NULL)
		return -1;
	chunk->next = memory->chunks;
	memory->chunks = chunk;
	memory->at = (char *)chunk + MEMORY_LINE;
	memory->end = (char *)chunk + CHUNK_BYTES;
	return 0;
}

void *memory_alloc(struct memory *memory, size_t bytes)
{
	size_t lines = rounded(bytes, MEMORY_LINE) / MEMORY_LINE;
	struct memory_piece *piece;

	if (lines >= MEMORY_LISTS)
		return pages(bytes);
	piece = memory->unused[lines];
	if (piece != NULL) {
		memory->unused[lines] = piece->next;
		return piece;
	}
	if ((size_t)(memory->end - memory->at) < lines * MEMORY_LINE && more(memory) < 0)
		return NULL;
	piece = (struct memory_piece *)(void *)memory->at;
	memory->at += lines * MEMORY_LINE;
	return piece;
}

void memory_free(struct memory *memory, void *piece, size_t bytes)
{
	size_t lines = rounded(bytes, MEMORY_LINE) / MEMORY_LINE;
	struct memory_piece *mine = piece;

	if (lines >= MEMORY_LISTS) {
		free(piece);
		return;
	}
	mine->next = memory->unused[lines];
	memory->unused[lines] = mine;
}

void memory_fini(struct memory *memory)
{
	struct memory_chunk *chunk;

	while ((chunk = memory->chunks) != NULL) {
		memory->chunks = chunk->next;
		free(chunk);
	}
}
