/* SPDX-License-Identifier: MIT */
/* group.h: what the task layer asks of groups. See group.c. */
#ifndef WEIR_CORE_TASK_GROUP_H
#define WEIR_CORE_TASK_GROUP_H

#include "weir/task.h"

struct weir__member;

/* A place in the group for a task about to be spawned; NULL when memory ran out. [any] */
struct weir__member *weir__group_enter(struct weir_group *group);
/* The spawn worked: the member holds the task's handle from here on. [any] */
void weir__group_fill(struct weir__member *member, struct weir_task *task);
/* It did not. [any] */
void weir__group_leave(struct weir__member *member);
/* The task has its result and is about to be complete. [worker] */
void weir__group_deliver(struct weir__member *member);

#endif
