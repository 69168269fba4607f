/* SPDX-License-Identifier: MIT */
/*
 * cputimer.h: a signal to the calling thread for each stretch of CPU time that it
 * has used. A thread that sleeps, or that waits for a CPU, gets none.
 *
 * The timer is the thread's: made when it is first armed, and gone with the thread,
 * or in a forked child. One file per system implements this.
 */
#ifndef WEIR_SCHED_CPUTIMER_H
#define WEIR_SCHED_CPUTIMER_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * From now on, every period_ns. Costs nothing where it is armed so already. 0; -EAGAIN when the
 * system has no timer left; -ENOTSUP where there is no such thing. [any]
 */
int weir__cputimer_arm(int signo, uint64_t period_ns);

/* No more. [any], async-signal-safe */
void weir__cputimer_disarm(void);

/* Whether a signal comes from such a timer. [any], async-signal-safe */
bool weir__cputimer_sent(const siginfo_t *info);

/* The CPU time that the calling thread has used, in ns. [any], async-signal-safe */
uint64_t weir__cputimer_now(void);

#endif
