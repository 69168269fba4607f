/* SPDX-License-Identifier: MIT */
/*
 * park.c: how a worker with nothing to run sleeps, or spins, until something
 * comes.
 *
 * Sleeping loses no wake-up: park_shared and wait_for_events follow the order of
 * steps that sched/idle.h proves. Nothing is run and no mail is taken here: the
 * main loop does that.
 */
#include "core/assert.h"
#include "core/time/clock.h"
#include "sched/worker.h"

static bool anything_arrived(struct worker *w, bool (*until)(void *), void *arg)
{
	return inject_len(&w->group->inject) || !weir__inbox_empty(&w->base.inbox) ||
	       worker_is_done(w, until, arg) ||
	       (runtime_phase(w->rt) == RT_ABORTING && !w->aborted_all);
}

/* How long the worker may sleep. Calling this takes part in the watch. */
static uint64_t sleep_limit(struct worker *w)
{
	uint64_t limit = weir__watch_begin(w),
		 drain = weir__load(&w->rt->drain_deadline, WEIR_RELAXED);

	if (WEIR_LIKELY(drain >= limit))
		return limit;
	return weir__clock_from_system(w->rt->cfg.clock, drain);
}

/* Not with a paused clock, which moves only when the worker waits. */
static bool polls_without_end(struct worker *w)
{
	return w->rt->cfg.spin_ns == WEIR_FOREVER && !weir__clock_paused(w->rt->cfg.clock);
}

/*
 * Polls instead of sleeping. Others regard the worker as asleep, claim it and notify it. But it
 * has not prepared its parkword, so nobody needs to wake its backend: it sees the notify itself.
 */
static void poll_for_events(struct worker *w, bool (*until)(void *), void *arg)
{
	uint64_t limit = sleep_limit(w);
	int n = 0;

	while (n == 0 && !weir__parkword_notified(&w->base.driver.parked) &&
	       !anything_arrived(w, until, arg) && weir__clock_now(w->rt->cfg.clock) < limit) {
		weir__cpu_relax();
		n = weir__driver_poll(&w->base.driver, &w->base, false);
	}
	weir__watch_end(w);
	weir__parkword_finish(&w->base.driver.parked);
}

static void wait_for_events(struct worker *w, bool (*until)(void *), void *arg)
{
	struct weir_worker_metrics *counted = &w->base.metrics;
	int n;

	if (polls_without_end(w)) {
		poll_for_events(w, until, arg);
		return;
	}
	if (!weir__parkword_prepare(&w->base.driver.parked))
		return;
	if (!anything_arrived(w, until, arg)) {
		weir__count(&counted->parks, 1);
		n = weir__driver_wait(&w->base.driver, &w->base, sleep_limit(w));
		n += weir__watch_end(w);
		if (n == 0)
			weir__count(&counted->noop_parks, 1);
	}
	weir__parkword_finish(&w->base.driver.parked);
}

static void leave_idle(struct worker *w)
{
	if (!idle_unpark_self(&w->group->idle, w->base.index))
		w->searching = true;
	watch_set_awake(&w->awake);
	weir__watch_notice(w);
}

static void park_shared(struct worker *w, bool (*until)(void *), void *arg)
{
	bool check;

	WEIR_ASSERT(weir__load(&w->awake, WEIR_RELAXED));
	watch_set_asleep(&w->awake);
	check = idle_park(&w->group->domain->idle, &w->group->idle, w->base.index, w->searching);
	w->searching = false;
	if (!check || !weir__steal_anything(w))
		wait_for_events(w, until, arg);
	leave_idle(w);
}

/*
 * Spins for a while before sleeping, if the configuration says so. Others see a worker that is
 * awake; a searcher goes on searching. True: there is something to do.
 */
static bool spin(struct worker *w, bool (*until)(void *), void *arg)
{
	uint64_t most = w->rt->cfg.spin_ns, end;

	if (WEIR_LIKELY(!most) || most == WEIR_FOREVER)
		return false;
	WEIR_ASSERT(w->spin_ns <= most);
	end = weir__clock_system() + w->spin_ns;
	do {
		if (weir__driver_poll(&w->base.driver, &w->base, false) > 0 ||
		    weir__worker_has_local(w) || anything_arrived(w, until, arg) ||
		    (w->stealing && weir__steal_anything(w))) {
			w->spin_ns = most;
			return true;
		}
		weir__cpu_relax();
	} while (weir__clock_system() < end);
	w->spin_ns = w->spin_ns > most / 16 ? w->spin_ns / 2 : w->spin_ns;
	return false;
}

void weir__worker_park(struct worker *w, bool (*until)(void *), void *arg)
{
	struct weir_rt_config *cfg = &w->rt->cfg;

	WEIR_ASSERT(&w->base == weir__worker_current() && !w->base.cx.task);
	if (cfg->on_worker_park)
		cfg->on_worker_park(cfg->hook_arg, w->base.index);
	if (!weir__worker_has_local(w) && !spin(w, until, arg)) {
		if (w->stealing)
			park_shared(w, until, arg);
		else
			wait_for_events(w, until, arg);
	}
	if (cfg->on_worker_unpark)
		cfg->on_worker_unpark(cfg->hook_arg, w->base.index);
}
