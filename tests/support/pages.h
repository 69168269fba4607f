/* SPDX-License-Identifier: MIT */
/* pages.h: what the kernel says of a test's memory and of its memory policies; and what it forbids (Linux). */
#ifndef WEIR_TESTS_PAGES_H
#define WEIR_TESTS_PAGES_H

#include <stddef.h>

/*
 * The policy of the mapping that an address is in, as /proc/self/numa_maps has it: "default",
 * "prefer:0". "" when there is no such mapping, or no such file.
 */
const char *testing_policy_of(const void *at);

/*
 * Of all mappings that are placed on a node, the pages that lie there; and those that do not, of
 * which it says on standard error where they are.
 */
size_t testing_count_placed(int node, size_t *ret_elsewhere);

/*
 * From here on, on this thread and those it starts, the calls with which memory is placed fail with
 * that errno; or end the process, if err is 0. -errno where there are no such filters.
 */
int testing_deny_placing(int err);

/* The same for binding threads to CPUs. */
int testing_deny_binding(int err);

#endif
