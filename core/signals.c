/* SPDX-License-Identifier: MIT */
/*
 * signals.c: the signal layer of the driver stack.
 *
 * One sigaction handler counts deliveries per signal, raises the process-wide
 * generation and wakes the first worker of every runtime that listens. It does
 * nothing else, and all of that is async-signal-safe. A worker that turns its
 * drivers sees the generation and wakes the listeners (os/signal.c).
 *
 * It does not use signalfd. That would require the signal to be blocked in every
 * thread of the process, also in those that are not weir's. It would also give
 * each delivery to one reader, while several runtimes must see it
 * (docs/decisions/).
 */
#include "core/signals.h"

#include <string.h>

#include "core/driver.h"
#include "core/leaf.h"
#include "core/worker.h"
#include "weir/signal.h"

#define RUNTIMES 64u

uint32_t weir__signal_generation;
int weir__signal_of_stalls;
static uint32_t deliveries[NSIG];		/* atomic */
static struct weir_rt *runtimes[RUNTIMES];	/* atomic */
static uint32_t handlers_running;		/* atomic: handlers that may be using runtimes[] */
static struct weir__lock install_lock;
static bool installed[NSIG];

static void on_signal(int signo)
{
	int saved = errno;
	unsigned i;

	weir__fetch_add(&handlers_running, 1u, WEIR_SEQ_CST);
	weir__fetch_add(&deliveries[signo], 1u, WEIR_RELAXED);
	/* Pairs with weir__signals_pending. */
	weir__fetch_add(&weir__signal_generation, 1u, WEIR_RELEASE);
	for (i = 0; i < RUNTIMES; i++) {
		struct weir_rt *rt = weir__load(&runtimes[i], WEIR_SEQ_CST);

		if (rt)
			weir__driver_wake(&rt->worker[0]->driver);
	}
	weir__fetch_sub(&handlers_running, 1u, WEIR_SEQ_CST);
	errno = saved;
}

static int install(int signo)
{
	struct sigaction sa;
	int rc = 0;

	weir__lock_take(&install_lock);
	if (!installed[signo]) {
		memset(&sa, 0, sizeof sa);
		sa.sa_handler = on_signal;
		sa.sa_flags = SA_RESTART | SA_ONSTACK;
		sigfillset(&sa.sa_mask);
		rc = sigaction(signo, &sa, NULL) < 0 ? -errno : 0;
		installed[signo] = rc == 0;
	}
	weir__lock_drop(&install_lock);
	return rc;
}

static int attach_runtime(struct weir_rt *rt)
{
	unsigned i;
	int rc = -EMFILE;

	weir__lock_take(&install_lock);
	if (rt->signal_slot)
		rc = 0;
	for (i = 0; rc < 0 && i < RUNTIMES; i++) {
		if (runtimes[i] && !weir__rt_is_inherited(runtimes[i]))
			continue;
		rt->signal_slot = i + 1;
		weir__store(&runtimes[i], rt, WEIR_SEQ_CST);
		rc = 0;
	}
	weir__lock_drop(&install_lock);
	return rc;
}

int weir__signals_listen(struct weir_rt *rt, int signo)
{
	int rc = attach_runtime(rt);

	return rc < 0 ? rc : install(signo);
}

uint32_t weir__signals_count(int signo)
{
	return weir__load(&deliveries[signo], WEIR_ACQUIRE);
}

void weir__signals_detach(struct weir_rt *rt)
{
	if (!rt->signal_slot)
		return;
	weir__lock_take(&install_lock);
	weir__store(&runtimes[rt->signal_slot - 1], (struct weir_rt *)NULL, WEIR_SEQ_CST);
	rt->signal_slot = 0;
	weir__lock_drop(&install_lock);
	/* A handler that has read the slot may still be about to wake the worker. */
	while (weir__load(&handlers_running, WEIR_SEQ_CST))
		weir__cpu_relax();
}

/*
 * Takes the waker of one waiting listener whose signal came. The caller fires it without the lock.
 */
static bool take_due(struct weir_rt *rt, struct weir__wakeup *ret_wakeup)
{
	struct weir_signal *s;

	weir__lock_take(&rt->signal_lock);
	for (s = rt->signals; s; s = s->next)
		if (s->waiting && s->seen != weir__load(&deliveries[s->signo], WEIR_RELAXED)) {
			s->waiting = false;	/* its next poll finishes */
			weir__leaf_waker(&s->leaf, ret_wakeup);
			break;
		}
	weir__lock_drop(&rt->signal_lock);
	return s != NULL;
}

int weir__signals_deliver(struct weir_rt *rt)
{
	struct weir__wakeup wakeup;
	int woken = 0;

	/* The acquire makes the counts visible that the handler raised before the generation. */
	weir__store(&rt->signal_seen, weir__load(&weir__signal_generation, WEIR_ACQUIRE),
		    WEIR_RELAXED);
	while (take_due(rt, &wakeup)) {
		weir__waker_fire(&wakeup);
		woken++;
	}
	return woken;
}
