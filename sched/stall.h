/* SPDX-License-Identifier: MIT */
/*
 * stall.h: detects a task that keeps its worker too long.
 *
 * Each worker thread has a timer on its own CPU time, which expires twice within
 * the bound (sched/cputimer.h). The handler compares the current poll with the
 * one at the previous expiry. The poll is a stall as soon as the thread has used
 * the whole bound since the first expiry in that poll. So a stall is never
 * shorter than the bound, and one of 1.5 bounds is never missed. Polls do no work
 * for this, and a sleeping worker costs nothing.
 *
 *	handler		a task runs	compare polls; on a stall store the record and the
 *					backtrace, and set maintain_at
 *			between tasks	forget the last poll
 *			not a worker	disarm the timer
 *	turn_drivers	after the poll	call the hook, unless it was called too often
 *
 * maintain_at makes the worker turn its drivers as soon as the poll returns, which is
 * overdue anyway, and there it finds the note. So the main loop needs no check of
 * its own.
 */
#ifndef WEIR_SCHED_STALL_H
#define WEIR_SCHED_STALL_H

#include "sched/seqlock.h"
#include "weir/metrics.h"

struct runtime;
struct worker;

/*
 * The state of one worker. Its thread writes it: in the handler while a task runs, and otherwise
 * in weir__stall_deliver.
 */
struct stall {
	uint64_t poll;			/* the poll at the last expiry; 0: none */
	uint64_t since_ns;		/* the thread's CPU time at the first expiry in it */
	bool noted;			/* this poll has been recorded as a stall */
	bool pending;			/* a record that has not been delivered */
	struct seqlock lock;		/* for readers of last */
	struct weir_stall last;		/* atomic words */
	uint64_t minute_ns;		/* the start of the minute in which reports are counted */
	unsigned reports;
};

/*
 * Installs the handler, once per process. 0; -EBUSY if a runtime has installed it for another
 * signal; sigaction's errno. [setup]
 */
int weir__stall_prepare(int signo);

/* Starts watching the calling thread, which is about to be the worker. [worker's thread] */
void weir__stall_arm(struct worker *w, bool has_altstack);

/* A stall is over: calls the hook. [owner], between tasks */
void weir__stall_deliver(struct worker *w);

/* True if one more report is allowed now. [owner] */
bool weir__stall_may_report(struct stall *s, uint64_t now_ns);

#endif
