/* SPDX-License-Identifier: MIT */
/*
 * pages.h: reads from the kernel on which nodes a test's memory lies and which policies it has, and
 * forbids the system calls that place memory or bind threads (Linux).
 */
#ifndef WEIR_TESTS_PAGES_H
#define WEIR_TESTS_PAGES_H

#include <stddef.h>

/*
 * Returns the memory policy of the mapping that holds the address, as /proc/self/numa_maps writes
 * it: "default", "prefer:0". Returns "" if there is no such mapping or no such file.
 */
const char *testing_policy_of(const void *at);

/*
 * Looks at all mappings whose policy prefers the node. Returns how many of their pages lie on it,
 * and stores how many lie elsewhere; the mappings of those are printed on standard error.
 */
size_t testing_count_placed(int node, size_t *ret_elsewhere);

/*
 * From now on, on this thread and the threads it starts, the system calls that place memory fail
 * with err, or end the process if err is 0. Returns -errno if such filters are not available.
 */
int testing_deny_placing(int err);

/* The same for the system calls that bind threads to CPUs. */
int testing_deny_binding(int err);

#endif
