/* SPDX-License-Identifier: MIT */
/*
 * wait.h: how a readiness backend waits in its poller; for readiness.c only. The lock is
 * not held.
 *
 * The owner also returns unused memory of the lease pool: a few blocks every TRIM_POLLS
 * polls, and the rest before it sleeps for long.
 */
#ifndef WEIR_BACKENDS_READINESS_WAIT_H
#define WEIR_BACKENDS_READINESS_WAIT_H

#include "backends/readiness/readiness.h"

struct weir__worker;

/*
 * Wait as the owner; events are stored in r->events. Returns their number, 0 after the deadline or
 * a signal, or -errno.
 */
int weir__readiness_wait_owner(struct weir__readiness *r, uint64_t deadline, bool busy);

/* The same for another worker, into an array of its own. */
int weir__readiness_wait_sibling(struct weir__readiness *r, struct weir__worker *w,
				 struct weir__event *events, int max, uint64_t deadline);

#endif
