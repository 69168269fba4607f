/* SPDX-License-Identifier: MIT */
/* watch.c: see watch.h. Takes care of workers that are stuck in a task. */
#include "sched/watch.h"

#include "core/assert.h"
#include "core/task/run.h"
#include "core/time/clock.h"
#include "sched/worker.h"

static bool is_awake(struct worker *v)
{
	return weir__load(&v->awake, WEIR_RELAXED);
}

static struct watch *watch_of(struct worker *w)
{
	return &w->group->domain->watch;
}

/* A sibling: one of the other workers of the domain. */
static struct worker *sibling(struct worker *w, unsigned i)
{
	return worker_at(w->rt, w->order.victims[i]);
}

/* True if no sibling is awake and no drivers have turned since the last check. */
static bool all_quiet(struct worker *w)
{
	bool quiet = true;
	unsigned i;

	for (i = 0; i < w->order.len; i++) {
		struct worker *v = sibling(w, i);
		uint32_t turns = weir__load(&v->base.driver.turns, WEIR_RELAXED);

		if (is_awake(v) || turns != v->turns_seen)
			quiet = false;
	}
	return quiet;
}

static bool anyone_awake(struct worker *w)
{
	unsigned i;

	for (i = 0; i < w->order.len; i++)
		if (is_awake(sibling(w, i)))
			return true;
	return false;
}

static void note(struct worker *v)
{
	v->turns_seen = weir__load(&v->base.driver.turns, WEIR_RELAXED);
}

static void note_turns(struct worker *w)
{
	unsigned i;

	note(w);
	for (i = 0; i < w->order.len; i++)
		note(sibling(w, i));
}

uint64_t weir__watch_begin(struct worker *w)
{
	struct watch *watch = watch_of(w);
	uint64_t every = w->rt->cfg.watch_ns;
	bool quiet;

	if (!w->stealing || every == WEIR_FOREVER || weir__clock_paused(w->rt->cfg.clock) ||
	    !watch_claim(watch, w->base.index))
		return WEIR_FOREVER;
	WEIR_ASSERT(!is_awake(w));
	quiet = all_quiet(w);
	note_turns(w);
	if (quiet) {
		watch_go_deep(watch);
		if (!anyone_awake(w))
			return WEIR_FOREVER;
		watch_come_up(watch);
	}
	return weir__clock_add(weir__clock_system(), every);
}

/* Takes the tasks that yielded on the stuck worker. A pinned task goes to that worker's inbox. */
static int take_deferred(struct worker *v)
{
	struct weir__link *link, *next, *last;
	int n = 0;

	if (!weir__load(&v->base.deferred.len, WEIR_RELAXED))
		return 0;
	weir__deferred_take(&v->base.deferred, &link, &last);
	for (; link; link = next, n++) {
		next = link->next;
		v->rt->base.sched->schedule(weir__task_of_link(link));
	}
	return n;
}

/* Rescues v if it is awake and has not turned its drivers since the last check. */
static int rescue(struct worker *w, struct worker *v)
{
	struct weir_task *task;
	int n;

	WEIR_ASSERT(v != w &&
		    weir__load(&watch_of(w)->watcher, WEIR_RELAXED) == w->base.index + 1u);
	if (!is_awake(v) || weir__load(&v->base.driver.turns, WEIR_RELAXED) != v->turns_seen)
		return 0;
	n = weir__driver_rescue(&v->base.driver, &w->base) + take_deferred(v);
	task = weir__worker_steal_lifo(v);
	if (task) {
		weir__worker_push(w, task);
		n++;
	}
	if (n)
		weir__count(&w->base.metrics.watches, 1);
	return n;
}

int weir__watch_end(struct worker *w)
{
	struct watch *watch = watch_of(w);
	unsigned i;
	int n = 0;

	if (weir__load(&watch->watcher, WEIR_RELAXED) != w->base.index + 1u)
		return 0;
	watch_come_up(watch);
	for (i = 0; i < w->order.len; i++)
		n += rescue(w, sibling(w, i));
	watch_leave(watch);
	return n;
}

static void wake(struct worker *v)
{
	if (weir__parkword_notify(&v->base.driver.parked))
		weir__driver_wake(&v->base.driver);
}

void weir__watch_notice(struct worker *w)
{
	uint32_t watcher = watch_disturb(watch_of(w));

	if (WEIR_UNLIKELY(watcher && watcher != w->base.index + 1u))
		wake(worker_at(w->rt, watcher - 1));
}

void weir__watch_pass_on(struct worker *w)
{
	unsigned i;

	if (WEIR_LIKELY(!watch_vacant(watch_of(w))) || w->rt->cfg.watch_ns == WEIR_FOREVER)
		return;
	for (i = 0; i < w->order.len; i++)
		if (!is_awake(sibling(w, i))) {
			wake(sibling(w, i));
			return;
		}
}
