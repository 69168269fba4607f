/* SPDX-License-Identifier: MIT */
/* join_set.h: what the task layer calls in join_set.c. */
#ifndef WEIR_CORE_TASK_JOIN_SET_H
#define WEIR_CORE_TASK_JOIN_SET_H

#include "weir/task.h"

struct weir__member;

/* Makes an entry for a task that is about to be spawned; NULL when memory ran out. [any] */
struct weir__member *weir__join_set_enter(struct weir_join_set *set);
/* The spawn succeeded: the entry holds the task's handle from here on. [any] */
void weir__join_set_fill(struct weir__member *member, struct weir_task *task);
/* The spawn failed: removes the entry. [any] */
void weir__join_set_leave(struct weir__member *member);
/* The task has its result and is about to be complete. [worker] */
void weir__join_set_deliver(struct weir__member *member);

#endif
