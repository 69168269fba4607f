/* SPDX-License-Identifier: MIT */
/* watch.c: see watch.h. Looking after workers that are stuck in a task. */
#include "sched/watch.h"

#include "core/assert.h"
#include "core/clock.h"
#include "core/task_run.h"
#include "sched/worker.h"

static bool is_awake(struct worker *v)
{
	return weir__load(&v->awake, WEIR_RELAXED);
}

/* Whether nobody else is awake and nothing has turned since the last look. */
static bool all_quiet(struct worker *w)
{
	bool quiet = true;
	unsigned i;

	for (i = 0; i < w->rt->base.workers; i++) {
		struct worker *v = worker_at(w->rt, i);
		uint32_t turns = weir__load(&v->base.driver.turns, WEIR_RELAXED);

		if (v == w)
			continue;
		if (is_awake(v) || turns != v->turns_seen)
			quiet = false;
	}
	return quiet;
}

static bool anyone_awake(struct worker *w)
{
	unsigned i;

	for (i = 0; i < w->rt->base.workers; i++) {
		struct worker *v = worker_at(w->rt, i);

		if (v != w && is_awake(v))
			return true;
	}
	return false;
}

static void note_turns(struct worker *w)
{
	unsigned i;

	for (i = 0; i < w->rt->base.workers; i++) {
		struct worker *v = worker_at(w->rt, i);

		v->turns_seen = weir__load(&v->base.driver.turns, WEIR_RELAXED);
	}
}

uint64_t watch_begin(struct worker *w)
{
	struct watch *watch = &w->rt->watch;
	uint64_t every = w->rt->cfg.watch_ns;
	bool quiet;

	if (!w->rt->stealing || every == WEIR_FOREVER || weir__clock_paused(w->rt->cfg.clock) ||
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

/* What has yielded on the stuck worker; a pinned task only comes to that worker's inbox. */
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

/* A worker that is awake and has not turned since the last look. */
static int rescue(struct worker *w, struct worker *v)
{
	struct weir_task *task;
	int n;

	WEIR_ASSERT(v != w &&
		    weir__load(&w->rt->watch.watcher, WEIR_RELAXED) == w->base.index + 1u);
	if (!is_awake(v) || weir__load(&v->base.driver.turns, WEIR_RELAXED) != v->turns_seen)
		return 0;
	n = weir__driver_rescue(&v->base.driver, &w->base) + take_deferred(v);
	task = worker_steal_lifo(v);
	if (task) {
		worker_push(w, task);
		n++;
	}
	if (n)
		weir__count(&w->base.metrics.watches, 1);
	return n;
}

int watch_end(struct worker *w)
{
	struct watch *watch = &w->rt->watch;
	unsigned i;
	int n = 0;

	if (weir__load(&watch->watcher, WEIR_RELAXED) != w->base.index + 1u)
		return 0;
	watch_come_up(watch);
	for (i = 0; i < w->rt->base.workers; i++)
		if (worker_at(w->rt, i) != w)
			n += rescue(w, worker_at(w->rt, i));
	watch_leave(watch);
	return n;
}

static void wake(struct worker *v)
{
	if (weir__parkword_notify(&v->base.driver.parked))
		weir__driver_wake(&v->base.driver);
}

void watch_notice(struct worker *w)
{
	uint32_t watcher = watch_disturb(&w->rt->watch);

	if (WEIR_UNLIKELY(watcher && watcher != w->base.index + 1u))
		wake(worker_at(w->rt, watcher - 1));
}

void watch_pass_on(struct worker *w)
{
	unsigned i;

	if (WEIR_LIKELY(!watch_vacant(&w->rt->watch)) || w->rt->cfg.watch_ns == WEIR_FOREVER)
		return;
	for (i = 0; i < w->rt->base.workers; i++) {
		struct worker *v = worker_at(w->rt, i);

		if (v != w && !is_awake(v)) {
			wake(v);
			return;
		}
	}
}
