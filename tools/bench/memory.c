/* SPDX-License-Identifier: MIT */
/*
 * memory.c: see memory.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/bench/memory.h"
#include "tools/common/command.h"

static void *checked(void *memory)
{
	if (memory)
		return memory;
	fputs("weir bench: out of memory\n", stderr);
	exit(EXIT_FAILED);
}

void *bench_alloc(size_t size)
{
	return checked(malloc(size ? size : 1));
}

void *bench_grow(void *array, size_t count, size_t size)
{
	if (count & (count - 1))
		return array;
	return checked(realloc(array, (count ? 2 * count : 1) * size));
}

char *bench_copy(const char *text, size_t len)
{
	char *copy = bench_alloc(len + 1);

	memcpy(copy, text, len);
	copy[len] = '\0';
	return copy;
}
