/* SPDX-License-Identifier: MIT */
/*
 * leaks.h: the interface of the wrapped allocator (wrap_malloc.c) to the leak check (leaks.c). The
 * wrapped allocator is linked in only where the build can wrap malloc.
 */
#ifndef WEIR_TESTS_LEAKS_H
#define WEIR_TESTS_LEAKS_H

#include <stddef.h>

/* Start counting: blocks that were allocated before are not leaks. */
void testing__heap_begin(void);

/* Returns how many blocks are still allocated, and describes the first few of them in text. */
size_t testing__heap_report(char *text, size_t cap);

#endif
