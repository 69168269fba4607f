/* SPDX-License-Identifier: MIT */
/*
 * rings.h: makes operations of io_uring fail. Their results are not results of system calls, so
 * seccomp cannot change them. Instead, the liburing functions that submit are wrapped
 * (-Wl,--wrap=), and an entry that is about to be submitted is replaced by a no-op with the desired
 * result.
 */
#ifndef WEIR_TESTS_FAULTS_RINGS_H
#define WEIR_TESTS_FAULTS_RINGS_H

#include <stdbool.h>
#include <stddef.h>

#include "tests/faults/calls.h"

extern const struct faults_call rings_operations[];
extern const size_t rings_operations_len;

/* Whether this kernel can give a no-op a result (Linux 6.10). */
bool rings_can_fail(void);

/* Makes the nth operation with that opcode fail with this errno, counted from now on; with for_good
 * all later ones fail too. nth 0: none fails. */
void rings_fail(int operation, int error, unsigned nth, bool for_good);

/* How many such operations were submitted since rings_fail. */
unsigned rings_submitted(void);
/* The opcode of a submitted operation that is not in the list of rings.c, or -1. */
int rings_unlisted(void);

#endif
