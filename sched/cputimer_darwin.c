/* SPDX-License-Identifier: MIT */
/* cputimer_darwin.c: sched/cputimer.h on macOS, which has no timers on a thread's CPU time. */
#include "sched/cputimer.h"

#include <errno.h>
#include <stddef.h>

int weir__cputimer_arm(int signo, uint64_t period_ns)
{
	(void)signo;
	(void)period_ns;
	return -ENOTSUP;
}

void weir__cputimer_disarm(void)
{
}

bool weir__cputimer_sent(const siginfo_t *info)
{
	(void)info;
	return false;
}

uint64_t weir__cputimer_now(void)
{
	return 0;
}
