/* SPDX-License-Identifier: MIT */
/*
 * cputimer.h: sends the calling thread a signal each time it has used a certain
 * CPU time. A thread that sleeps, or waits for a CPU, gets none.
 *
 * The timer belongs to the thread: it is made when it is first armed, and is gone
 * when the thread ends, or in a forked child. One file per system implements
 * this.
 */
#ifndef WEIR_SCHED_CPUTIMER_H
#define WEIR_SCHED_CPUTIMER_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Arms the timer: a signal every period_ns. Does nothing if it is already armed with that period.
 * 0; -EAGAIN if the system has no timer left; -ENOTSUP if it has no such timers. [any]
 */
int weir__cputimer_arm(int signo, uint64_t period_ns);

/* Stops the timer. [any], async-signal-safe */
void weir__cputimer_disarm(void);

/* True if a signal comes from such a timer. [any], async-signal-safe */
bool weir__cputimer_sent(const siginfo_t *info);

/* The CPU time that the calling thread has used, in ns. [any], async-signal-safe */
uint64_t weir__cputimer_now(void);

#endif
