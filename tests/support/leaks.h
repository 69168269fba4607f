/* SPDX-License-Identifier: MIT */
/*
 * leaks.h: between the leak check (leaks.c) and the wrapped allocator
 * (wrap_malloc.c), which is linked in only where the build can wrap it.
 */
#ifndef WEIR_TESTS_LEAKS_H
#define WEIR_TESTS_LEAKS_H

#include <stddef.h>

/* From now on blocks count. What was allocated before does not. */
void testing__heap_begin(void);

/* Blocks that are still there; writes a line for each of the first few into text. */
size_t testing__heap_report(char *text, size_t cap);

#endif
