/* SPDX-License-Identifier: MIT */
/*
 * hugepages.h: the huge pages of a memory node, by size; or of the whole machine, if
 * the kernel has no NUMA support.
 */
#ifndef TOOLS_COMMON_HUGEPAGES_H
#define TOOLS_COMMON_HUGEPAGES_H

#include <stddef.h>
#include <stdint.h>

#define HUGEPAGES_SIZES_MAX 8

struct hugepages {
	uint64_t bytes;			/* of a page */
	uint64_t total, free;
};

/* node: the kernel's number, or -1 for the whole machine. Returns the number of sizes. */
unsigned hugepages_read(const char *root, int node, struct hugepages sizes[HUGEPAGES_SIZES_MAX]);

#endif
