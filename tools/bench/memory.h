/* SPDX-License-Identifier: MIT */
/*
 * memory.h: memory of the report and the comparison, whose only answer to
 * having none is to say so and end.
 */
#ifndef TOOLS_BENCH_MEMORY_H
#define TOOLS_BENCH_MEMORY_H

#include <stddef.h>

void *bench_alloc(size_t size);
/* Room for one more element behind count, in an array that grows by doubling. */
void *bench_grow(void *array, size_t count, size_t size);
char *bench_copy(const char *text, size_t len);

#endif
