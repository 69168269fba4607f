/* SPDX-License-Identifier: MIT */
/*
 * left.c: what a shutdown that ran out of time has left behind, as the sentence of weir_rt_why.
 *
 * A task may still be running: of such a one only what is static is read, its id and where it was
 * spawned. Nothing is spawned any more, so a block that holds a task will hold no other.
 */
#include "core/assert.h"
#include "core/task.h"
#include "sched/worker.h"

struct left {
	struct weir_task *task;		/* one of them; one that runs, if any does */
	bool running;
	unsigned tasks;
};

static void look(void *block, void *arg)
{
	struct weir_task *task = block;
	struct left *left = arg;
	/* Pairs with the store in spawn: the fields are there. */
	uint64_t state = weir__load(&task->state, WEIR_ACQUIRE);

	if (TASK_REFS(state) == 0 || (state & TASK_COMPLETE))
		return;
	left->tasks++;
	if (left->task && (left->running || !(state & TASK_RUNNING)))
		return;
	left->task = task;
	left->running = state & TASK_RUNNING;
}

static bool threads_are_over(struct runtime *rt)
{
	bool over;

	for (unsigned i = 0; i < rt->base.workers; i++)
		if (rt->started[i])
			return false;
	pthread_mutex_lock(&rt->turn_lock);
	over = !rt->turn_taken;
	pthread_mutex_unlock(&rt->turn_lock);
	return over;
}

static void say(const struct left *left, bool names, unsigned jobs)
{
	const struct weir_location none = { "?", "?", 0 };
	const struct weir_task *task = left->task;
	const struct weir_location *where = task->where ? task->where : &none;

	runtime_refuse(
		0,
		"task %llu \"%s\", spawned at %s:%d, has not ended (tasks left: %u, blocking "
		"jobs: %u)",
		(unsigned long long)task->id, names ? weir_task_name(task) : where->func,
		where->file, where->line, left->tasks, jobs);
}

void runtime_say_left(struct runtime *rt)
{
	struct weir_metrics pool = WEIR_METRICS_INIT;
	struct left left = { .task = NULL };
	unsigned jobs;

	for (unsigned i = 0; i < rt->base.workers; i++)
		weir__slab_walk(&rt->base.worker[i]->slab, look, &left);
	weir__lock_take(&rt->base.foreign_lock);
	weir__slab_walk(&rt->base.foreign, look, &left);
	weir__lock_drop(&rt->base.foreign_lock);
	pool_metrics(&rt->pool, &pool);
	jobs = (unsigned)(pool.blocking_threads - pool.blocking_idle);
	if (left.task)
		say(&left, jobs == 0 && threads_are_over(rt), jobs);
	else
		runtime_refuse(0,
			       "the blocking pool has not ended (tasks left: 0, blocking jobs: %u)",
			       jobs);
}
