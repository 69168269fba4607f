/* SPDX-License-Identifier: MIT */
/*
 * rings.h: operations of io_uring that fail. What the kernel answers in a ring is no system call's
 * result, so this takes an entry that is about to be submitted and puts a no-op with the wanted
 * result in its place. The functions of liburing that submit are wrapped (-Wl,--wrap=).
 */
#ifndef WEIR_TESTS_FAULTS_RINGS_H
#define WEIR_TESTS_FAULTS_RINGS_H

#include <stdbool.h>
#include <stddef.h>

#include "tests/faults/calls.h"

extern const struct faults_call rings_operations[];
extern const size_t rings_operations_len;

/* Whether this kernel lets a no-op have a result (Linux 6.10). */
bool rings_can_fail(void);

/* The nth operation of that number from now on fails with this errno, and with for_good all that
 * follow; nth 0: none does. */
void rings_fail(int operation, int error, unsigned nth, bool for_good);

/* How many of that operation were submitted since rings_fail, and one that is not on the list;
 * -1: there was none. */
unsigned rings_submitted(void);
int rings_unlisted(void);

#endif
