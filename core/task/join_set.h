/* SPDX-License-Identifier: MIT */
/* join_set.h: what the task layer asks of join sets. See join_set.c. */
#ifndef WEIR_CORE_TASK_JOIN_SET_H
#define WEIR_CORE_TASK_JOIN_SET_H

#include "weir/task.h"

struct weir__member;

/* A place in the set for a task about to be spawned; NULL when memory ran out. [any] */
struct weir__member *weir__join_set_enter(struct weir_join_set *set);
/* The spawn worked: the member holds the task's handle from here on. [any] */
void weir__join_set_fill(struct weir__member *member, struct weir_task *task);
/* It did not. [any] */
void weir__join_set_leave(struct weir__member *member);
/* The task has its result and is about to be complete. [worker] */
void weir__join_set_deliver(struct weir__member *member);

#endif
