/* SPDX-License-Identifier: MIT */
/*
 * blocking.h (core): the states of a blocking job, shared by its future and the
 * pool that runs it.
 *
 *	IDLE ──push──► QUEUED ──► RUNNING ──► DONE
 *	                  └─ removed ──► CANCELLED
 *
 * The pool's lock guards QUEUED. DONE is published with release, and the job may
 * be gone after it. A detached job lies on the heap and is freed after its run.
 */
#ifndef WEIR_CORE_TASK_BLOCKING_H
#define WEIR_CORE_TASK_BLOCKING_H

#include "weir/blocking.h"

enum weir__blocking_state {
	WEIR__BLOCKING_IDLE = 0,
	WEIR__BLOCKING_QUEUED,
	WEIR__BLOCKING_RUNNING,
	WEIR__BLOCKING_DONE,
	WEIR__BLOCKING_CANCELLED,
	WEIR__BLOCKING_REFUSED,		/* unlinked by a shutdown, to be finished without a run */
};

/*
 * Finishes a job that has run, or never will: its future gets result. The job may be gone then.
 * [any]
 */
void weir__blocking_finish(struct weir_blocking_future *job, int result);

#endif
