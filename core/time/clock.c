/* SPDX-License-Identifier: MIT */
/*
 * clock.c: see clock.h. A test clock is a base time and, while it runs, an offset
 * from the system's clock.
 */
#include "core/time/clock.h"

#include <stdlib.h>
#include <time.h>

#include "core/driver.h"
#include "core/lock.h"
#include "core/worker.h"

struct weir_clock {
	struct weir__lock lock;
	uint64_t at_ns;		/* paused: the time now; running: the time at since_ns */
	uint64_t since_ns;	/* the system's time when it was resumed */
	bool running;		/* written with the lock held, read without; atomic */
	bool no_auto;
	int holds;
	struct weir_rt *rt;
};

uint64_t weir__clock_system(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * WEIR_SEC + (uint64_t)ts.tv_nsec;
}

uint64_t weir_now(void)
{
	struct weir_rt *rt = weir__context()->rt;

	return weir__clock_now(rt ? rt->clock : NULL);
}

int weir_clock_new(struct weir_clock **ret_clock)
{
	struct weir_clock *clock = calloc(1, sizeof *clock);

	if (!clock)
		return -ENOMEM;
	clock->at_ns = WEIR_SEC;
	*ret_clock = clock;
	return 0;
}

void weir_clock_free(struct weir_clock *clock)
{
	free(clock);
}

static uint64_t now_locked(const struct weir_clock *clock)
{
	if (!clock->running)
		return clock->at_ns;
	return weir__clock_add(clock->at_ns, weir__clock_system() - clock->since_ns);
}

uint64_t weir_clock_now(const struct weir_clock *clock)
{
	struct weir_clock *c = (struct weir_clock *)(uintptr_t)clock;
	uint64_t now;

	weir__lock_take(&c->lock);
	now = now_locked(c);
	weir__lock_drop(&c->lock);
	return now;
}

/*
 * Under the lock. Returns the runtime to wake because the clock moves, and keeps it alive until it
 * is woken: the move may end its last task before that. See core/outside.h.
 */
static struct weir_rt *runtime_to_wake(struct weir_clock *clock)
{
	if (clock->rt)
		weir__outside_begin(&clock->rt->outside);
	return clock->rt;
}

static void wake_runtime(struct weir_rt *rt)
{
	unsigned i;

	if (!rt)
		return;
	for (i = 0; i < rt->workers; i++)
		weir__driver_wake(&rt->worker[i]->driver);
	weir__outside_end(&rt->outside);
}

static int set_running(struct weir_clock *clock, bool running)
{
	struct weir_rt *rt = NULL;
	int rc = -EBUSY;

	weir__lock_take(&clock->lock);
	if (clock->running != running) {
		clock->at_ns = now_locked(clock);
		clock->since_ns = weir__clock_system();
		weir__store(&clock->running, running, WEIR_RELAXED);
		rt = runtime_to_wake(clock);
		rc = 0;
	}
	weir__lock_drop(&clock->lock);
	wake_runtime(rt);
	return rc;
}

int weir_clock_pause(struct weir_clock *clock)
{
	return set_running(clock, false);
}

int weir_clock_resume(struct weir_clock *clock)
{
	return set_running(clock, true);
}

int weir_clock_advance(struct weir_clock *clock, uint64_t by_ns)
{
	struct weir_rt *rt = NULL;
	int rc = -EINVAL;

	weir__lock_take(&clock->lock);
	if (!clock->running) {
		/* Clamped below WEIR_FOREVER, so that time never goes back. */
		clock->at_ns = by_ns < WEIR_FOREVER - clock->at_ns ? clock->at_ns + by_ns
								   : WEIR_FOREVER - 1;
		rt = runtime_to_wake(clock);
		rc = 0;
	}
	weir__lock_drop(&clock->lock);
	wake_runtime(rt);
	return rc;
}

void weir_clock_auto_advance(struct weir_clock *clock, bool on)
{
	struct weir_rt *rt;

	weir__lock_take(&clock->lock);
	clock->no_auto = !on;
	rt = on ? runtime_to_wake(clock) : NULL;
	weir__lock_drop(&clock->lock);
	wake_runtime(rt);
}

bool weir__clock_skip_to(struct weir_clock *clock, uint64_t ns)
{
	bool moved;

	if (!clock || ns == WEIR_FOREVER)
		return false;
	weir__lock_take(&clock->lock);
	moved = !clock->running && !clock->no_auto && clock->holds == 0;
	if (moved && ns > clock->at_ns)
		clock->at_ns = ns;
	weir__lock_drop(&clock->lock);
	return moved;
}

void weir__clock_hold(struct weir_clock *clock, int by)
{
	struct weir_rt *rt;

	if (!clock)
		return;
	weir__lock_take(&clock->lock);
	clock->holds += by;
	rt = clock->holds == 0 ? runtime_to_wake(clock) : NULL;
	weir__lock_drop(&clock->lock);
	wake_runtime(rt);
}

static uint64_t transpose(uint64_t t, uint64_t now, uint64_t now_there)
{
	if (t == WEIR_FOREVER || t <= now)
		return t == WEIR_FOREVER ? t : 0;
	return t - now > WEIR_FOREVER - now_there ? WEIR_FOREVER : now_there + (t - now);
}

uint64_t weir__clock_from_system(const struct weir_clock *clock, uint64_t system_ns)
{
	return clock ? transpose(system_ns, weir__clock_system(), weir_clock_now(clock))
		     : system_ns;
}

uint64_t weir__clock_to_system(const struct weir_clock *clock, uint64_t ns)
{
	return clock ? transpose(ns, weir_clock_now(clock), weir__clock_system()) : ns;
}

bool weir__clock_paused(const struct weir_clock *clock)
{
	return clock && !weir__load(&clock->running, WEIR_RELAXED);
}

void weir__clock_attach(struct weir_clock *clock, struct weir_rt *rt)
{
	if (!clock)
		return;
	weir__lock_take(&clock->lock);
	clock->rt = rt;
	weir__lock_drop(&clock->lock);
}

void weir__clock_detach(struct weir_clock *clock, const struct weir_rt *rt)
{
	if (!clock)
		return;
	weir__lock_take(&clock->lock);
	if (clock->rt == rt)
		clock->rt = NULL;
	weir__lock_drop(&clock->lock);
}
