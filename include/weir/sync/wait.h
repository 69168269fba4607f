/* SPDX-License-Identifier: MIT */
/*
 * sync/wait.h: what the primitives of weir/sync are made of. Nothing here is for
 * users; it is public because their structs live in callers' memory.
 *
 *	guard	the small lock around a primitive's fields (core/guard.h)
 *	queue	who waits, first come first served
 *	wait	the common part of every sync future: the leaf and its place in the queue
 *
 * A pending wait is linked into the primitive: neither may move or go away.
 */
#ifndef WEIR_SYNC_WAIT_H
#define WEIR_SYNC_WAIT_H

#include "weir/base.h"
#include "weir/future.h"

struct weir__guard {
	uint32_t held;			/* atomic; the lock of everybody */
	uint32_t busy;			/* atomic; the lock of the owner alone */
	const void *owner;		/* atomic; NULL: none yet */
};

struct weir__wait {
	union {				/* one memory: every future answers to .future */
		struct weir_future future;
		struct weir_leaf leaf;
	};
	struct weir__wait *next, *prev;
	uint32_t state;			/* atomic; sync/queue_state.h */
	uint32_t round;			/* the queue's when linked, else 0 */
	int result;			/* once done */
};

struct weir__wait_queue {
	struct weir__guard guard;
	struct weir__wait *head, *tail;
	uint32_t round;			/* never 0; changes when all are detached at once */
};

#endif
