/* SPDX-License-Identifier: MIT */
/* local.c: task-local values: a short list on the task, searched by the key's address. */
#include <stdlib.h>

#include "core/task.h"

struct weir__local {
	struct weir__local *next;
	const struct weir_local_key *key;
	void *value;
};

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
	l = find(task, key);
	if (l) {
		old = l->value;
		l->value = value;
		if (key->destroy && old)
			key->destroy(old);
		return 0;
	}
	l = malloc(sizeof *l);
	if (!l)
		return -ENOMEM;
	*l = (struct weir__local){ task->locals, key, value };
	task->locals = l;
	return 0;
}

void *weir_local_get(const struct weir_local_key *key)
{
	struct weir_task *task = weir_task_current();
	struct weir__local *l = task ? find(task, key) : NULL;

	return l ? l->value : NULL;
}

/* A destructor may look at the values that are left, and set some: each is off the list first. */
void weir__local_destroy(struct weir_task *task)
{
	struct weir__local *l;

	while ((l = task->locals)) {
		task->locals = l->next;
		if (l->key->destroy && l->value)
			l->key->destroy(l->value);
		free(l);
	}
}
