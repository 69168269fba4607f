/* SPDX-License-Identifier: MIT */
/*
 * left.c: says what a shutdown that ran out of time has left behind, for
 * weir_rt_why: the number of tasks and blocking jobs, and the first few tasks by
 * name.
 *
 * A task may still be running. Of such a task only constant fields are read: its
 * id and where it was spawned. Once no thread runs tasks any more, its name and
 * what it waits for are read as well. Nothing is spawned any more, so a block
 * that holds a task will not hold another one.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/assert.h"
#include "core/task/task.h"
#include "sched/worker.h"

#define NAMED_TASKS 4u
#define NAMED_LEAVES 3u			/* of one task that waits for several things */

struct left {
	/* running ones first: the others may wait for them */
	struct weir_task *task[NAMED_TASKS];
	unsigned named, tasks;
};

static void look(void *block, void *arg)
{
	struct weir_task *task = block;
	struct left *left = arg;
	/* Pairs with the store in spawn, which publishes the fields. */
	uint64_t state = weir__load(&task->state, WEIR_ACQUIRE);
	bool running = state & TASK_RUNNING;

	if (TASK_REFS(state) == 0 || (state & TASK_COMPLETE))
		return;
	left->tasks++;
	if (left->named < NAMED_TASKS)
		left->named++;
	else if (!running)
		return;
	if (running)
		memmove(&left->task[1], &left->task[0], (left->named - 1) * sizeof(task));
	left->task[running ? 0 : left->named - 1] = task;
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

/* A sentence that is being built; cut off when full. */
struct text {
	char at[900];
	size_t len;
};

static void add(struct text *text, const char *fmt, ...) WEIR_PRINTF(2, 3);

static void add(struct text *text, const char *fmt, ...)
{
	size_t room = sizeof(text->at) - text->len;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text->at + text->len, room, fmt, ap);
	va_end(ap);
	WEIR_ASSERT(n >= 0);
	text->len += (size_t)n < room ? (size_t)n : room - 1;
}

static void add_waits(struct text *text, const struct weir_task *task)
{
	const struct weir_leaf *leaf = task->armed;
	unsigned i;

	for (i = 0; leaf && i < NAMED_LEAVES; i++, leaf = leaf->armed_next)
		add(text, "%s%s", i ? ", " : ", waits for: ", leaf->future.ops->name);
}

static void add_task(struct text *text, const struct weir_task *task, bool at_rest)
{
	const struct weir_location none = { "?", "?", 0 };
	const struct weir_location *where = task->where ? task->where : &none;

	add(text, "; task %llu \"%s\", spawned at %s:%d", (unsigned long long)task->id,
	    at_rest ? weir_task_name(task) : where->func, where->file, where->line);
	if (at_rest)
		add_waits(text, task);
	else if (weir__load(&task->state, WEIR_RELAXED) & TASK_RUNNING)
		add(text, ", is running");
}

void weir__runtime_say_left(struct runtime *rt)
{
	struct weir_metrics pool = WEIR_METRICS_INIT;
	struct left left = { .tasks = 0 };
	struct text text = { .len = 0 };
	unsigned i, jobs;
	bool at_rest;

	for (i = 0; i < rt->base.workers; i++)
		weir__slab_walk(&rt->base.worker[i]->slab, look, &left);
	weir__lock_take(&rt->base.foreign_lock);
	weir__slab_walk(&rt->base.foreign, look, &left);
	weir__lock_drop(&rt->base.foreign_lock);
	weir__pool_metrics(&rt->pool, &pool);
	jobs = (unsigned)(pool.blocking_threads - pool.blocking_idle);
	at_rest = jobs == 0 && threads_are_over(rt);
	add(&text, "shutdown ran out of time; tasks left: %u, blocking jobs: %u", left.tasks, jobs);
	for (i = 0; i < left.named; i++)
		add_task(&text, left.task[i], at_rest);
	if (left.tasks > left.named)
		add(&text, "; %u more", left.tasks - left.named);
	weir__runtime_refuse(0, "%s", text.at);
}
