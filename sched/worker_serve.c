/* SPDX-License-Identifier: MIT */
/*
 * worker_serve.c: makes a thread the worker, runs the main loop and ends that
 * again; and binds a thread to the worker's CPUs. It also calls the start and
 * stop hooks of the worker, perhaps on different threads, because a worker may
 * move from thread to thread (in_place.c).
 */
#include "core/assert.h"
#include "core/fiber/overflow.h"
#include "topo/cpus.h"
#include "sched/worker.h"

/* If the system refuses (a CPU has gone), the thread stays as it is, which only costs speed. */
void weir__worker_bind(struct worker *w, bool is_worker)
{
	const struct weir_plan_worker *place = &w->rt->base.plan->workers[w->base.index];

	if (w->rt->binds && place->bound)
		(void)weir__cpus_bind_self(is_worker ? &place->cpus : &w->rt->unbound);
}

static void enter(struct worker *w)
{
	struct weir__context *c = weir__context();

	WEIR_ASSERT(!c->worker && w->base.index < w->rt->base.workers);
	c->worker = &w->base;
	c->rt = &w->rt->base;
	watch_set_awake(&w->awake);
	weir__watch_notice(w);
	busy_begin(&w->busy);
}

static void call_start_hook(struct worker *w)
{
	if (w->hooked)
		return;
	w->hooked = true;
	if (w->rt->cfg.on_worker_start)
		w->rt->cfg.on_worker_start(w->rt->cfg.hook_arg, w->base.index);
}

void weir__worker_stopped(struct worker *w)
{
	if (!w->hooked || runtime_phase(w->rt) < RT_STOPPING)
		return;
	w->hooked = false;
	if (w->rt->cfg.on_worker_stop)
		w->rt->cfg.on_worker_stop(w->rt->cfg.hook_arg, w->base.index);
}

/* The thread is the worker up to here, unless a task has blocked in place. */
static WEIR_NOINLINE void leave(struct worker *w)
{
	struct weir__context *c = weir__context();

	WEIR_ASSERT(!c->worker || c->worker == &w->base);
	if (c->worker) {
		if (w->stall.pending)
			weir__stall_deliver(w);
		weir__worker_stopped(w);
		busy_end(&w->busy);
	}
	c->worker = NULL;
}

void weir__worker_serve(struct worker *w, bool (*until)(void *arg), void *arg)
{
	struct weir__altstack alt;
	bool has_alt = weir__stack_altstack_init(&alt) == 0;

	enter(w);
	/*
	 * A timer that is still armed from an earlier turn disarms itself if it finds no worker.
	 * From here on it finds one.
	 */
	weir__stall_arm(w, has_alt);
	call_start_hook(w);
	weir__worker_run(w, until, arg);
	leave(w);
	if (has_alt)
		weir__stack_altstack_fini(&alt);
}
