/* SPDX-License-Identifier: MIT */
/*
 * memory.h: memory for the report and the comparison. If there is none, the functions
 * print a message and end the program.
 */
#ifndef TOOLS_BENCH_MEMORY_H
#define TOOLS_BENCH_MEMORY_H

#include <stddef.h>

void *bench_alloc(size_t size);
/* Make room for one more element after count elements, in an array that grows by doubling. */
void *bench_grow(void *array, size_t count, size_t size);
char *bench_copy(const char *text, size_t len);

#endif
