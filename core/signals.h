/* SPDX-License-Identifier: MIT */
/*
 * signals.h: the signal layer of the driver stack. The handler raises a
 * process-wide generation. A worker that sees it ahead of its runtime's own
 * generation delivers the signals to the runtime's listeners.
 */
#ifndef WEIR_CORE_SIGNALS_H
#define WEIR_CORE_SIGNALS_H

#include "core/atomic.h"
#include "core/rt.h"

extern uint32_t weir__signal_generation;	/* atomic */

/*
 * The signal that this process's stall detector uses, 0 for none. Nobody can listen to it. Atomic.
 */
extern int weir__signal_of_stalls;

/* True if a signal came that this runtime has not delivered yet. [worker] */
static inline bool weir__signals_pending(struct weir_rt *rt)
{
	return weir__load(&rt->signals, WEIR_RELAXED) &&
	       weir__load(&weir__signal_generation, WEIR_ACQUIRE) !=
		       weir__load(&rt->signal_seen, WEIR_RELAXED);
}

/* Makes the handler count this signal and wake the runtime. 0; -EMFILE; sigaction's errno. */
int weir__signals_listen(struct weir_rt *rt, int signo);

/* How often the signal came since then. [any] */
uint32_t weir__signals_count(int signo);

/* Wakes the listeners whose signal came, and returns their number. [worker] */
int weir__signals_deliver(struct weir_rt *rt);

/* Removes a runtime: the handler will not wake it any more. [setup] */
void weir__signals_detach(struct weir_rt *rt);

#endif
