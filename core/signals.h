/* SPDX-License-Identifier: MIT */
/*
 * signals.h: the signal layer of the driver stack. The handler raises
 * a process-wide generation; a worker that sees it ahead of its runtime's hands
 * the deliveries out to the runtime's listeners.
 */
#ifndef WEIR_CORE_SIGNALS_H
#define WEIR_CORE_SIGNALS_H

#include "core/atomic.h"
#include "core/rt.h"

extern uint32_t weir__signal_generation;	/* atomic */

/* The one that the stall detector of this process uses, which nobody can listen to; 0 none; atomic. */
extern int weir__signal_of_stalls;

/* Whether something came that this runtime has not looked at. [worker] */
static inline bool weir__signals_pending(struct weir_rt *rt)
{
	return weir__load(&rt->signals, WEIR_RELAXED) &&
	       weir__load(&weir__signal_generation, WEIR_ACQUIRE) !=
		       weir__load(&rt->signal_seen, WEIR_RELAXED);
}

/* From here on the handler counts this signal, and wakes the runtime. 0; -EMFILE; sigaction's errno. */
int weir__signals_listen(struct weir_rt *rt, int signo);

/* How often it came since then. [any] */
uint32_t weir__signals_count(int signo);

/* Wake the listeners whose signal came; how many. [worker] */
int weir__signals_deliver(struct weir_rt *rt);

/* Forget a runtime: the handler will not wake it any more. [setup] */
void weir__signals_detach(struct weir_rt *rt);

#endif
