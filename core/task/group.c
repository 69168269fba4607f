/* SPDX-License-Identifier: MIT */
/*
 * group.c: structured concurrency. A group holds the handle of each of its
 * tasks; a task that finishes moves from the live to the done list, and the one
 * waiter takes it from there in the order of finishing. The lock guards the
 * lists and the waiter.
 */
#include "core/task/group.h"

#include <stdlib.h>

#include "core/futex.h"
#include "core/leaf.h"
#include "core/lock.h"
#include "core/task/task.h"
#include "core/time/clock.h"

#define LOOK_AGAIN_NS WEIR_MSEC

/* A task's place in its group: on the live list, then on the done list. */
struct weir__member {
	struct weir__member *next, **pprev;
	struct weir_task *task;		/* the handle is the group's; NULL until filled */
	struct weir_group *group;
};

struct weir_group {
	struct weir__lock lock;
	struct weir_rt *rt;
	struct weir__member *live;
	struct weir__member *done, **done_last;
	size_t len;			/* not joined yet; atomic for weir_group_len */
	struct weir_group_wait *waiter;
	bool closing;			/* being freed: who comes now is aborted at once */
	bool orphan;			/* freed by who could not wait: the last member frees it */
	bool discards;			/* nobody joins: a task that ends leaves no member */
};

static void unlink_member(struct weir__member *m)
{
	WEIR_ASSERT(*m->pprev == m && m->group->len > 0);
	*m->pprev = m->next;
	if (m->next)
		m->next->pprev = m->pprev;
}

static void set_len(struct weir_group *group, size_t len)
{
	weir__store(&group->len, len, WEIR_RELAXED);
}

static int group_new(struct weir_rt *rt, bool discards, struct weir_group **ret_group)
{
	struct weir_group *group;

	if (!rt)
		rt = weir_rt_current();
	if (!rt || weir__rt_is_inherited(rt))
		return -ENXIO;
	group = calloc(1, sizeof *group);
	if (!group)
		return -ENOMEM;
	group->rt = rt;
	group->discards = discards;
	group->done_last = &group->done;
	*ret_group = group;
	return 0;
}

int weir_group_new(struct weir_rt *rt, struct weir_group **ret_group)
{
	return group_new(rt, false, ret_group);
}

int weir_group_new_discarding(struct weir_rt *rt, struct weir_group **ret_group)
{
	return group_new(rt, true, ret_group);
}

/* ---- the task layer's side ---- */

struct weir__member *weir__group_enter(struct weir_group *group)
{
	struct weir__member *m = calloc(1, sizeof *m);

	if (!m)
		return NULL;
	m->group = group;
	weir__lock_take(&group->lock);
	m->next = group->live;
	m->pprev = &group->live;
	if (m->next)
		m->next->pprev = &m->next;
	group->live = m;
	set_len(group, group->len + 1);
	weir__lock_drop(&group->lock);
	return m;
}

void weir__group_fill(struct weir__member *m, struct weir_task *task)
{
	weir__lock_take(&m->group->lock);
	WEIR_ASSERT(!m->task);
	m->task = task;
	/* It is in no queue yet: whoever spawns it will queue it. */
	if (m->group->closing)
		weir_task_abort(task);
	weir__lock_drop(&m->group->lock);
}

/* Under the lock; true: the caller fires the wakeup when it has dropped that. */
static bool take_waiter(struct weir_group *group, struct weir__wakeup *ret_wakeup)
{
	if (!group->waiter)
		return false;
	WEIR_ASSERT(weir__leaf_is_armed(&group->waiter->leaf));
	weir__leaf_waker(&group->waiter->leaf, ret_wakeup);
	group->waiter = NULL;
	return true;
}

void weir__group_leave(struct weir__member *m)
{
	struct weir_group *group = m->group;
	struct weir__wakeup wakeup;
	bool wake, last;

	weir__lock_take(&group->lock);
	unlink_member(m);
	set_len(group, group->len - 1);
	wake = group->len == 0 && take_waiter(group, &wakeup);
	last = group->len == 0 && group->orphan;
	weir__lock_drop(&group->lock);
	free(m);
	if (wake)
		weir__waker_fire(&wakeup);
	if (last)
		free(group);
}

void weir__group_deliver(struct weir__member *m)
{
	struct weir_group *group = m->group;
	struct weir__wakeup wakeup;
	bool wake;

	WEIR_ASSERT(m->task);
	weir__lock_take(&group->lock);
	if (group->orphan || group->discards) {
		weir__lock_drop(&group->lock);
		weir_task_detach(m->task);
		weir__group_leave(m);
		return;
	}
	unlink_member(m);
	m->next = NULL;
	*group->done_last = m;
	group->done_last = &m->next;
	wake = take_waiter(group, &wakeup);
	weir__lock_drop(&group->lock);
	if (wake)
		weir__waker_fire(&wakeup);
}

/* ---- spawning and aborting ---- */

int weir_group_spawn_at(struct weir_group *group, int (*fn)(void *), void *arg,
			const struct weir_location *where, uint64_t *ret_id)
{
	struct weir_task_config cfg = WEIR_TASK_CONFIG_INIT;

	cfg.fn = fn;
	cfg.arg = arg;
	cfg.where = where;
	cfg.group = group;
	cfg.ret_id = ret_id;
	return weir_task_spawn(group->rt, &cfg, NULL);
}

void weir_group_abort(struct weir_group *group)
{
	struct weir__link *ready = NULL;
	struct weir__member *m;

	weir__lock_take(&group->lock);
	for (m = group->live; m; m = m->next)
		if (m->task)
			weir__task_abort_into(m->task, &ready);
	weir__lock_drop(&group->lock);
	weir__task_queue_all(ready);
}

size_t weir_group_len(const struct weir_group *group)
{
	return weir__load(&group->len, WEIR_RELAXED);
}

/* ---- waiting ---- */

/* The next that finished, off the list; under the lock. */
static struct weir__member *pop_done(struct weir_group *group)
{
	struct weir__member *m = group->done;

	if (!m)
		return NULL;
	WEIR_ASSERT(m->task && group->len > 0);
	group->done = m->next;
	if (!group->done)
		group->done_last = &group->done;
	set_len(group, group->len - 1);
	return m;
}

static int wait_finish(struct weir_group_wait *wait, struct weir__member *m)
{
	wait->id = m->task->id;
	wait->result = m->task->result;
	weir_task_detach(m->task);
	free(m);
	return 1;
}

/* A task of the group that waited for it would wait for itself. */
static bool is_member(const struct weir_group *group, const struct weir_task *task)
{
	return task && task->member && task->member->group == group;
}

/* The future is armed exactly while it is, or just was, the group's waiter. */
static int wait_poll(struct weir_future *future, struct weir_cx *cx)
{
	struct weir_group_wait *wait =
		WEIR_CONTAINER_OF(future, struct weir_group_wait, leaf.future);
	struct weir_group *group = wait->group;
	bool armed = weir__leaf_is_armed(&wait->leaf);
	struct weir__member *m;
	int rc = WEIR_PENDING;

	if (!armed && is_member(group, weir__task_of_cx(cx)))
		return -EDEADLK;
	if (!armed && wait->cancelled)
		return -ECANCELED;
	if (!armed && !weir_coop_take(cx))
		return WEIR_PENDING;
	weir__lock_take(&group->lock);
	m = pop_done(group);
	if (!m && group->len == 0)
		rc = 0;
	else if (!m && wait->cancelled)
		rc = -ECANCELED;
	else if (!m && !armed && group->waiter)
		rc = -EBUSY;
	if (!m && rc == WEIR_PENDING && !armed) {
		weir_coop_refund(cx);
		weir__leaf_arm(&wait->leaf, cx);
		armed = true;
	}
	if (!m && rc == WEIR_PENDING)
		group->waiter = wait;
	else if (group->waiter == wait)
		group->waiter = NULL;
	weir__lock_drop(&group->lock);
	if (!m && rc == WEIR_PENDING)
		return WEIR_PENDING;
	if (armed)
		weir__leaf_disarm(&wait->leaf);
	return m ? wait_finish(wait, m) : rc;
}

static void wait_cancel(struct weir_future *future)
{
	WEIR_CONTAINER_OF(future, struct weir_group_wait, leaf.future)->cancelled = true;
}

static const struct weir_future_ops wait_ops = { "group_next", wait_poll, wait_cancel, NULL };

void weir_group_wait_init(struct weir_group_wait *wait, struct weir_group *group)
{
	weir__leaf_init(&wait->leaf, &wait_ops);
	wait->group = group;
	wait->id = 0;
	wait->result = 0;
	wait->cancelled = false;
}

int weir_group_next_until(struct weir_group *group, uint64_t deadline, uint64_t *ret_id,
			  int *ret_result)
{
	struct weir_group_wait wait;
	int rc;

	if (weir__rt_is_inherited(group->rt))
		return -ENXIO;
	weir_group_wait_init(&wait, group);
	rc = weir__worker_current() ? weir_await_until(&wait.leaf.future, deadline)
				    : weir_block_on(&wait.leaf.future, deadline);
	if (rc == 1 && ret_id)
		*ret_id = wait.id;
	if (rc == 1 && ret_result)
		*ret_result = wait.result;
	return rc;
}

int weir_group_next(struct weir_group *group, uint64_t *ret_id, int *ret_result)
{
	return weir_group_next_until(group, WEIR_FOREVER, ret_id, ret_result);
}

/* Nobody will join what is there; true: that was all. orphan: what is left goes when it delivers. */
static bool forget(struct weir_group *group, bool orphan)
{
	struct weir__member *m;
	bool last;

	weir__lock_take(&group->lock);
	while ((m = pop_done(group))) {
		weir_task_detach(m->task);
		free(m);
	}
	group->orphan = orphan;
	last = group->len == 0;
	weir__lock_drop(&group->lock);
	return last;
}

/* Without memory for something that can be woken. */
static void wait_looking(struct weir_group *group)
{
	uint32_t never = 0;

	while (!forget(group, false))
		weir__futex_wait(&never, 0, weir__clock_system() + LOOK_AGAIN_NS);
}

/*
 * Waits even when the caller itself was aborted: its tasks must be gone before the group is.
 * A stackless task cannot wait here, and one of the group's own would wait for itself: the group
 * goes with its last task.
 */
void weir_group_free(struct weir_group *group)
{
	struct weir_group_wait wait;
	int rc;

	if (!group || weir__rt_is_inherited(group->rt))
		return;
	weir__lock_take(&group->lock);
	group->closing = true;
	weir__lock_drop(&group->lock);
	weir_group_abort(group);
	do {
		weir_group_wait_init(&wait, group);
		rc = weir__worker_current() ? weir__await_shielded(&wait.leaf.future)
					    : weir_block_on(&wait.leaf.future, WEIR_FOREVER);
	} while (rc == 1);
	/* -EBUSY: freed under another's weir_group_next */
	WEIR_ASSERT(rc == 0 || rc == -ENOMEM || rc == -EPERM || rc == -EDEADLK);
	if (rc == -ENOMEM)
		wait_looking(group);
	if (rc == 0 || rc == -ENOMEM || ((rc == -EPERM || rc == -EDEADLK) && forget(group, true)))
		free(group);
}
