/* SPDX-License-Identifier: MIT */
/*
 * join_set.c: structured concurrency. A set holds the handle of each of its
 * tasks. A task that finishes moves from the live list to the done list, and the
 * only waiter takes it from there in the order of finishing. The lock guards the
 * lists and the waiter.
 */
#include "core/task/join_set.h"

#include <stdlib.h>

#include "core/coop.h"
#include "core/futex.h"
#include "core/leaf.h"
#include "core/lock.h"
#include "core/task/task.h"
#include "core/time/clock.h"

#define LOOK_AGAIN_NS WEIR_MSEC

/* A task's entry in its set: on the live list, then on the done list. */
struct weir__member {
	struct weir__member *next, **pprev;
	struct weir_task *task;		/* the set owns the handle; NULL until filled */
	struct weir_join_set *set;
};

struct weir_join_set {
	struct weir__lock lock;
	struct weir_rt *rt;
	struct weir__member *live;
	struct weir__member *done, **done_last;
	size_t len;			/* tasks not joined yet; atomic for weir_join_set_len */
	struct weir_join_set_next_future *waiter;
	bool closing;			/* being freed: new tasks are aborted at once */
	/* freed by a caller that could not wait: the last member frees it */
	bool orphan;
	bool discards;			/* nobody joins: a task that ends leaves no entry */
};

static void unlink_member(struct weir__member *m)
{
	WEIR_ASSERT(*m->pprev == m && m->set->len > 0);
	*m->pprev = m->next;
	if (m->next)
		m->next->pprev = m->pprev;
}

static void set_len(struct weir_join_set *set, size_t len)
{
	weir__store(&set->len, len, WEIR_RELAXED);
}

static int make_set(struct weir_rt *rt, bool discards, struct weir_join_set **ret_set)
{
	struct weir_join_set *set;

	if (!rt)
		rt = weir_rt_current();
	if (!rt || weir__rt_is_inherited(rt))
		return -ENXIO;
	set = calloc(1, sizeof *set);
	if (!set)
		return -ENOMEM;
	set->rt = rt;
	set->discards = discards;
	set->done_last = &set->done;
	*ret_set = set;
	return 0;
}

int weir_join_set_new(struct weir_rt *rt, struct weir_join_set **ret_set)
{
	return make_set(rt, false, ret_set);
}

int weir_join_set_new_discarding(struct weir_rt *rt, struct weir_join_set **ret_set)
{
	return make_set(rt, true, ret_set);
}

/* ---- called by the task layer ---- */

struct weir__member *weir__join_set_enter(struct weir_join_set *set)
{
	struct weir__member *m = calloc(1, sizeof *m);

	if (!m)
		return NULL;
	m->set = set;
	weir__lock_take(&set->lock);
	m->next = set->live;
	m->pprev = &set->live;
	if (m->next)
		m->next->pprev = &m->next;
	set->live = m;
	set_len(set, set->len + 1);
	weir__lock_drop(&set->lock);
	return m;
}

void weir__join_set_fill(struct weir__member *m, struct weir_task *task)
{
	weir__lock_take(&m->set->lock);
	WEIR_ASSERT(!m->task);
	m->task = task;
	/* The task is in no queue yet; its spawner will queue it. */
	if (m->set->closing)
		weir_task_abort(task);
	weir__lock_drop(&m->set->lock);
}

/* Under the lock. True: the caller fires the wakeup after it has dropped the lock. */
static bool take_waiter(struct weir_join_set *set, struct weir__wakeup *ret_wakeup)
{
	if (!set->waiter)
		return false;
	WEIR_ASSERT(weir__leaf_is_armed(&set->waiter->leaf));
	weir__leaf_waker(&set->waiter->leaf, ret_wakeup);
	set->waiter = NULL;
	return true;
}

void weir__join_set_leave(struct weir__member *m)
{
	struct weir_join_set *set = m->set;
	struct weir__wakeup wakeup;
	bool wake, last;

	weir__lock_take(&set->lock);
	unlink_member(m);
	set_len(set, set->len - 1);
	wake = set->len == 0 && take_waiter(set, &wakeup);
	last = set->len == 0 && set->orphan;
	weir__lock_drop(&set->lock);
	free(m);
	if (wake)
		weir__waker_fire(&wakeup);
	if (last)
		free(set);
}

void weir__join_set_deliver(struct weir__member *m)
{
	struct weir_join_set *set = m->set;
	struct weir__wakeup wakeup;
	bool wake;

	WEIR_ASSERT(m->task);
	weir__lock_take(&set->lock);
	if (set->orphan || set->discards) {
		weir__lock_drop(&set->lock);
		weir_task_detach(m->task);
		weir__join_set_leave(m);
		return;
	}
	unlink_member(m);
	m->next = NULL;
	*set->done_last = m;
	set->done_last = &m->next;
	wake = take_waiter(set, &wakeup);
	weir__lock_drop(&set->lock);
	if (wake)
		weir__waker_fire(&wakeup);
}

/* ---- spawning and aborting ---- */

int weir_join_set_spawn_at(struct weir_join_set *set, int (*fn)(void *), void *arg,
			   const struct weir_location *where, uint64_t *ret_id)
{
	struct weir_task_config cfg = WEIR_TASK_CONFIG_INIT;

	cfg.fn = fn;
	cfg.arg = arg;
	cfg.where = where;
	cfg.join_set = set;
	cfg.ret_id = ret_id;
	return weir_task_spawn(set->rt, &cfg, NULL);
}

void weir_join_set_abort(struct weir_join_set *set)
{
	struct weir__link *ready = NULL;
	struct weir__member *m;

	weir__lock_take(&set->lock);
	for (m = set->live; m; m = m->next)
		if (m->task)
			weir__task_abort_into(m->task, &ready);
	weir__lock_drop(&set->lock);
	weir__task_queue_all(ready);
}

size_t weir_join_set_len(const struct weir_join_set *set)
{
	return weir__load(&set->len, WEIR_RELAXED);
}

/* ---- waiting ---- */

/* Under the lock. Unlinks and returns the next task that finished, or NULL. */
static struct weir__member *pop_done(struct weir_join_set *set)
{
	struct weir__member *m = set->done;

	if (!m)
		return NULL;
	WEIR_ASSERT(m->task && set->len > 0);
	set->done = m->next;
	if (!set->done)
		set->done_last = &set->done;
	set_len(set, set->len - 1);
	return m;
}

static int wait_finish(struct weir_join_set_next_future *wait, struct weir__member *m)
{
	wait->id = m->task->id;
	wait->result = m->task->result;
	weir_task_detach(m->task);
	free(m);
	return 1;
}

/* A task of the set must not wait for the set: it would wait for itself. */
static bool is_member(const struct weir_join_set *set, const struct weir_task *task)
{
	return task && task->member && task->member->set == set;
}

/* The future is armed only while it is the set's waiter, or has just been taken as such. */
static int wait_poll(struct weir_future *future, struct weir_cx *cx)
{
	struct weir_join_set_next_future *wait =
		WEIR_CONTAINER_OF(future, struct weir_join_set_next_future, future);
	struct weir_join_set *set = wait->set;
	bool armed = weir__leaf_is_armed(&wait->leaf);
	struct weir__member *m;
	int rc = WEIR_PENDING;

	if (!armed && is_member(set, weir__task_of_cx(cx)))
		return -EDEADLK;
	if (!armed && wait->cancelled)
		return -ECANCELED;
	if (!armed && !weir__coop_take(cx))
		return WEIR_PENDING;
	weir__lock_take(&set->lock);
	m = pop_done(set);
	if (!m && set->len == 0)
		rc = 0;
	else if (!m && wait->cancelled)
		rc = -ECANCELED;
	else if (!m && !armed && set->waiter)
		rc = -EBUSY;
	if (!m && rc == WEIR_PENDING && !armed) {
		weir__coop_refund(cx);
		weir__leaf_arm(&wait->leaf, cx);
		armed = true;
	}
	if (!m && rc == WEIR_PENDING)
		set->waiter = wait;
	else if (set->waiter == wait)
		set->waiter = NULL;
	weir__lock_drop(&set->lock);
	if (!m && rc == WEIR_PENDING)
		return WEIR_PENDING;
	if (armed)
		weir__leaf_disarm(&wait->leaf);
	return m ? wait_finish(wait, m) : rc;
}

static void wait_cancel(struct weir_future *future)
{
	WEIR_CONTAINER_OF(future, struct weir_join_set_next_future, future)->cancelled = true;
}

static const struct weir_future_ops wait_ops = { "join_set_next", wait_poll, wait_cancel, NULL };

void weir_join_set_next_init(struct weir_join_set_next_future *wait, struct weir_join_set *set)
{
	weir__leaf_init(&wait->leaf, &wait_ops);
	wait->set = set;
	wait->id = 0;
	wait->result = 0;
	wait->cancelled = false;
}

int weir_join_set_next_until(struct weir_join_set *set, uint64_t deadline, uint64_t *ret_id,
			     int *ret_result)
{
	struct weir_join_set_next_future wait;
	int rc;

	if (weir__rt_is_inherited(set->rt))
		return -ENXIO;
	weir_join_set_next_init(&wait, set);
	rc = weir__worker_current() ? weir_await_until(&wait.future, deadline)
				    : weir_block_on(&wait.future, deadline);
	if (rc == 1 && ret_id)
		*ret_id = wait.id;
	if (rc == 1 && ret_result)
		*ret_result = wait.result;
	return rc;
}

int weir_join_set_next(struct weir_join_set *set, uint64_t *ret_id, int *ret_result)
{
	return weir_join_set_next_until(set, WEIR_FOREVER, ret_id, ret_result);
}

/*
 * Drops the finished tasks, because nobody will join them. orphan: tasks that are still live are
 * dropped when they finish. True if none is left.
 */
static bool forget(struct weir_join_set *set, bool orphan)
{
	struct weir__member *m;
	bool last;

	weir__lock_take(&set->lock);
	while ((m = pop_done(set))) {
		weir_task_detach(m->task);
		free(m);
	}
	set->orphan = orphan;
	last = set->len == 0;
	weir__lock_drop(&set->lock);
	return last;
}

/* Polls: there is no memory for a parker that could be woken. */
static void wait_by_polling(struct weir_join_set *set)
{
	uint32_t never = 0;

	while (!forget(set, false))
		weir__futex_wait(&never, 0, weir__clock_system() + LOOK_AGAIN_NS);
}

/*
 * Waits even if the caller was aborted, because its tasks must be gone before the set is. A
 * stackless task cannot wait here, and a task of this set would wait for itself: then the last
 * task frees the set.
 */
void weir_join_set_free(struct weir_join_set *set)
{
	struct weir_join_set_next_future wait;
	int rc;

	if (!set || weir__rt_is_inherited(set->rt))
		return;
	weir__lock_take(&set->lock);
	set->closing = true;
	weir__lock_drop(&set->lock);
	weir_join_set_abort(set);
	do {
		weir_join_set_next_init(&wait, set);
		rc = weir__worker_current() ? weir__await_shielded(&wait.future)
					    : weir_block_on(&wait.future, WEIR_FOREVER);
	} while (rc == 1);
	/* -EBUSY would mean that another task is in weir_join_set_next */
	WEIR_ASSERT(rc == 0 || rc == -ENOMEM || rc == -EPERM || rc == -EDEADLK);
	if (rc == -ENOMEM)
		wait_by_polling(set);
	if (rc == 0 || rc == -ENOMEM || ((rc == -EPERM || rc == -EDEADLK) && forget(set, true)))
		free(set);
}
