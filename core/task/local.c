/* SPDX-License-Identifier: MIT */
/*
 * local.c: task-local values: a short list on the task, searched by the key's
 * address.
 *
 * A destructor may set values, whose destructors may set values again. The task's
 * depth counts how many destructors led to the code that runs now. At DEPTH_MAX
 * nothing can be set, so every chain ends. This holds for nested destructors (a
 * value is replaced) as well as for a sequence of values at the task's end.
 */
#include <stdlib.h>

#include "core/task/task.h"

struct weir__local {
	struct weir__local *next;
	const struct weir_local_key *key;
	void *value;
	uint8_t depth;			/* the task's depth when the value was set */
};

#define DEPTH_MAX 3

static void destroy(struct weir_task *task, const struct weir_local_key *key, void *value,
		    uint8_t depth)
{
	uint8_t before = task->locals_depth;

	if (!key->destroy || !value)
		return;
	WEIR_ASSERT(depth < DEPTH_MAX && before <= DEPTH_MAX);
	task->locals_depth = (uint8_t)(depth + 1);
	key->destroy(value);
	task->locals_depth = before;
}

static struct weir__local *find(struct weir_task *task, const struct weir_local_key *key)
{
	struct weir__local *l;

	for (l = task->locals; l; l = l->next)
		if (l->key == key)
			return l;
	return NULL;
}

int weir_local_set(const struct weir_local_key *key, void *value)
{
	struct weir_task *task = weir_task_current();
	struct weir__local *l;
	void *old;

	if (!task)
		return -EPERM;
	if (task->locals_depth == DEPTH_MAX)
		return -EBUSY;
	l = find(task, key);
	if (l) {
		old = l->value;
		l->value = value;
		l->depth = task->locals_depth;
		destroy(task, key, old, l->depth);
		return 0;
	}
	l = malloc(sizeof *l);
	if (!l)
		return -ENOMEM;
	*l = (struct weir__local){ task->locals, key, value, task->locals_depth };
	task->locals = l;
	return 0;
}

void *weir_local_get(const struct weir_local_key *key)
{
	struct weir_task *task = weir_task_current();
	struct weir__local *l = task ? find(task, key) : NULL;

	return l ? l->value : NULL;
}

/* A destructor may read the remaining values and set new ones, so each value is unlinked first. */
void weir__local_destroy(struct weir_task *task)
{
	struct weir__local *l;

	while ((l = task->locals)) {
		task->locals = l->next;
		destroy(task, l->key, l->value, l->depth);
		free(l);
	}
}
