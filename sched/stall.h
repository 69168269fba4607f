/* SPDX-License-Identifier: MIT */
/*
 * stall.h: noticing a task that holds its worker.
 *
 * Each thread that is a worker has a timer on its own CPU time, which expires twice
 * within the bound (sched/cputimer.h). The handler compares the poll under way with
 * that of the expiry before: as soon as a whole bound of CPU time lies between the
 * first expiry in a poll and now, the poll is a stall. So a stall is never shorter
 * than the bound, and one of one and a half bounds is never missed. Nothing is done
 * for it in a poll, and nothing at all while the worker sleeps.
 *
 *	handler		task runs	compare; note: the record, the backtrace, look_at
 *			between tasks	forget
 *			no worker	disarm: the thread has become something else
 *	turn_drivers	after the poll	deliver: the hook, unless there were too many
 *
 * look_at makes the worker turn its drivers first thing when it has its thread back,
 * which is overdue, and finds the note there: the loop needs no look of its own.
 */
#ifndef WEIR_SCHED_STALL_H
#define WEIR_SCHED_STALL_H

#include "sched/seqlock.h"
#include "weir/metrics.h"

struct runtime;
struct worker;

/* Of one worker. Written by its thread: in the handler while a task runs, else by weir__stall_deliver. */
struct stall {
	uint64_t poll;			/* under way at the last expiry; 0 none */
	uint64_t since_ns;		/* the thread's CPU time at the first expiry in it */
	bool noted;			/* this poll is a stall, and known as one */
	bool pending;			/* a note that has not been delivered */
	struct seqlock lock;		/* for those who read last meanwhile */
	struct weir_stall last;		/* atomic words */
	uint64_t minute_ns;		/* when the minute began in which reports are counted */
	unsigned reports;
};

/*
 * Install the handler, once per process. 0; -EBUSY when a runtime has installed it for another
 * signal; sigaction's errno. [setup]
 */
int weir__stall_prepare(int signo);

/* The calling thread is about to be the worker: watch it. [worker's thread] */
void weir__stall_arm(struct worker *w, bool has_altstack);

/* A stall is over: tell the hook. [owner], between tasks */
void weir__stall_deliver(struct worker *w);

/* Whether one more report is allowed, now. [owner] */
bool weir__stall_may_report(struct stall *s, uint64_t now_ns);

#endif
