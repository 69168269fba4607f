/* SPDX-License-Identifier: MIT */
/*
 * schedule.c: which queue a ready task goes to, and which worker that wakes.
 *
 *	woken or spawned by			goes to
 *	a task on a worker of the runtime	that worker's LIFO slot
 *	a driver of a worker			that worker's queue, in order
 *	its own yield				its worker's deferred list (core/task/run.h), then
 *						that worker's queue (worker.c)
 *	any other thread			the inject queue of a group; one sleeper is woken
 *	(a pinned task)				its own worker's queue, always
 *	(a placed task)				the same, the first time
 */
#include "sched/worker.h"

#include "core/assert.h"
#include "core/leaf.h"
#include "core/mailbox.h"
#include "core/task/blocking.h"

static void notify_worker(struct worker *w)
{
	if (weir__parkword_notify(&w->base.driver.parked))
		weir__driver_wake(&w->base.driver);
}

void weir__schedule_wake_one(struct runtime *rt, struct group *group, int near)
{
	int i = idle_pick(&group->domain->idle, &group->idle, near);

	WEIR_ASSERT(group->domain->stealing && i < (int)rt->base.workers);
	if (i >= 0)
		notify_worker(worker_at(rt, (unsigned)i));
}

void weir__schedule_wake_all(struct runtime *rt)
{
	unsigned i;

	for (i = 0; i < rt->base.workers; i++)
		notify_worker(worker_at(rt, i));
}

static void post_to(struct worker *to, struct weir__link *tagged)
{
	if (weir__inbox_push(&to->base.inbox, tagged))
		notify_worker(to);
}

/* Counts and perhaps samples a wake; nobody else has the task yet. */
static void count_local(struct worker *here, struct weir_task *task)
{
	uint64_t count = here->base.metrics.local_schedules;

	weir__count(&here->base.metrics.local_schedules, 1);
	if (sampler_is_due(&here->wake_sampler, (uint32_t)count))
		weir__sample_wake(&here->wake_sampler, (uint32_t)count, task);
}

/*
 * Counts without a locked instruction: threads at the same time may lose a count, which does no
 * harm.
 */
static void count_remote(struct runtime *rt, struct weir_task *task)
{
	uint32_t count = weir__load(&rt->remote_wakes, WEIR_RELAXED);

	weir__store(&rt->remote_wakes, count + 1, WEIR_RELAXED);
	if (sampler_is_due(&rt->wake_sampler, count))
		weir__sample_wake(&rt->wake_sampler, count, task);
}

static WEIR_NOINLINE void schedule_pinned(struct worker *here, struct weir_task *task)
{
	struct runtime *rt = runtime_of(task->rt);
	struct worker *home = worker_at(rt, task->pinned_to);

	WEIR_ASSERT(task->pinned_to < rt->base.workers);
	task->flags &= (uint8_t)~WEIR__TASK_PLACED;
	if (home == here) {
		count_local(home, task);
		weir__worker_push_own(home, task);
		return;
	}
	count_remote(rt, task);
	post_to(home, weir__mail_tag(&task->link, WEIR__MAIL_TASK));
}

static WEIR_NOINLINE void schedule_remote(struct weir_task *task)
{
	struct runtime *rt = runtime_of(task->rt);
	struct group *group;
	unsigned i;

	/*
	 * A forked child has none of the parent's workers, and may have a copy of a lock that is
	 * never dropped.
	 */
	if (WEIR_UNLIKELY(weir__rt_is_inherited(task->rt)))
		return;
	if (task->flags & (WEIR__TASK_PINNED | WEIR__TASK_PLACED)) {
		schedule_pinned(NULL, task);
		return;
	}
	group = weir__domains_group_here(rt);
	count_remote(rt, task);
	weir__inject_push(&group->inject, &task->link);
	if (group->domain->stealing)
		weir__schedule_wake_one(rt, group, -1);
	else
		for (i = 0; i < group->idle.workers; i++)
			notify_worker(worker_at(rt, group->idle.first + i));
}

static void schedule_here(struct worker *w, struct weir_task *task)
{
	bool polling = w->base.cx.task != NULL, displaced;

	count_local(w, task);
	if (!polling || w->rt->cfg.no_lifo) {
		weir__worker_push(w, task);
		displaced = polling;
	} else {
		displaced = weir__worker_push_lifo(w, task);
	}
	/*
	 * Tasks that the drivers wake are shared when their batch is complete. A single task in
	 * the slot is not worth waking anybody.
	 */
	if (displaced && w->stealing)
		weir__schedule_wake_one(w->rt, w->group, w->base.index);
}

static void schedule(struct weir_task *task)
{
	struct weir__worker *here = weir__worker_current();

	if (WEIR_UNLIKELY(!here || here->rt != task->rt))
		schedule_remote(task);
	else if (WEIR_UNLIKELY(task->flags & (WEIR__TASK_PINNED | WEIR__TASK_PLACED)))
		schedule_pinned(worker_of(here), task);
	else
		schedule_here(worker_of(here), task);
}

static void post(struct weir_rt *base, unsigned index, struct weir__link *tagged)
{
	WEIR_ASSERT(index < base->workers);
	post_to(worker_at(runtime_of(base), index), tagged);
}

static int blocking_push(struct weir_rt *base, struct weir_blocking_future *job)
{
	return weir__pool_push(&runtime_of(base)->pool, job);
}

static bool blocking_remove(struct weir_rt *base, struct weir_blocking_future *job)
{
	return weir__pool_remove(&runtime_of(base)->pool, job);
}

static void notify(struct weir_rt *base, unsigned worker)
{
	notify_worker(worker_at(runtime_of(base), worker));
}

static void io_failed(struct weir__worker *base, int err)
{
	struct runtime *rt = worker_of(base)->rt;

	weir__store(&rt->io_error, err, WEIR_RELAXED);
	if (rt->cfg.on_io_error)
		rt->cfg.on_io_error(rt->cfg.hook_arg, base->index, err);
}

const struct weir__sched_ops weir__schedule_ops = {
	schedule, post, notify, blocking_push, blocking_remove, weir__runtime_free_memory, io_failed
};
