/* SPDX-License-Identifier: MIT */
/*
 * wait.h: how a readiness backend waits in its poller, for readiness.c only. The
 * lock is not held.
 *
 * The owner gives back leased memory that is not used: a little every so many polls, and
 * the rest when it would sleep for long.
 */
#ifndef WEIR_BACKENDS_READINESS_WAIT_H
#define WEIR_BACKENDS_READINESS_WAIT_H

#include "backends/readiness/readiness.h"

struct weir__worker;

/* Wait for the owner, into r->events. The number of events, 0 after the deadline or a signal, or -errno. */
int weir__readiness_wait_owner(struct weir__readiness *r, uint64_t deadline, bool busy);

/* The same for another worker, into its own events. */
int weir__readiness_wait_sibling(struct weir__readiness *r, struct weir__worker *w,
				 struct weir__event *events, int max, uint64_t deadline);

#endif
