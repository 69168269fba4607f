/* SPDX-License-Identifier: MIT */
/*
 * current.c: the current-thread scheduler. It has one worker and no thread of its
 * own: one thread in block_on takes the turn and is the worker until its root
 * function has returned. Other threads in block_on wait until their root returns
 * or the turn is free.
 */
#include <stdlib.h>

#include "core/assert.h"
#include "core/os.h"
#include "core/time/clock.h"
#include "sched/worker.h"

/*
 * A function that block_on runs. The caller and the task share it: after a shutdown that ran out
 * of time the caller is gone, but the task may still finish.
 */
struct root {
	struct runtime *rt;
	struct weir_task *task;
	int (*fn)(void *arg);
	void *arg;
	int result;
	bool done;		/* fn has returned; atomic, written under turn_lock */
	bool left;		/* the caller is gone; under turn_lock */
};

static int root_main(void *arg)
{
	struct root *root = arg;
	struct runtime *rt = root->rt;
	int result = root->fn(root->arg);
	bool left;

	pthread_mutex_lock(&rt->turn_lock);
	WEIR_ASSERT(!root->done);
	left = root->left;
	root->result = result;
	weir__store(&root->done, true, WEIR_RELEASE);
	pthread_cond_broadcast(&rt->turn_free);
	pthread_mutex_unlock(&rt->turn_lock);
	if (left)
		free(root);
	return result;
}

/* A task that got no stack is complete without having run. */
static bool root_is_done(void *arg)
{
	struct root *root = arg;

	return weir__load(&root->done, WEIR_ACQUIRE) || weir_task_is_complete(root->task);
}

static struct root *root_new(struct runtime *rt, int (*fn)(void *), void *arg, int *ret_err)
{
	struct root *root = malloc(sizeof *root);

	*ret_err = -ENOMEM;
	if (!root)
		return NULL;
	*root = (struct root){ .rt = rt, .fn = fn, .arg = arg };
	*ret_err = weir_rt_spawn(&rt->base, root_main, root, &root->task);
	if (*ret_err == 0)
		return root;
	free(root);
	return NULL;
}

/* Ends the caller's part, with turn_lock held. */
static int root_leave(struct root *root)
{
	int result = root->result;

	if (!root_is_done(root)) {
		weir_task_detach(root->task);
		root->left = true;
		return -ESHUTDOWN;
	}
	if (root->done)
		weir_task_detach(root->task);
	else
		weir_task_join(root->task, &result);
	free(root);
	return result;
}

/*
 * Makes this thread the worker until until(arg) is true. Called with turn_lock held, and returns
 * with it held.
 */
static void take_turn(struct runtime *rt, bool (*until)(void *), void *arg)
{
	WEIR_ASSERT(!rt->turn_taken && rt->base.workers == 1);
	rt->turn_taken = true;
	pthread_mutex_unlock(&rt->turn_lock);
	weir__worker_serve(worker_at(rt, 0), until, arg);
	pthread_mutex_lock(&rt->turn_lock);
	rt->turn_taken = false;
	pthread_cond_broadcast(&rt->turn_free);
}

int weir__current_block_on(struct runtime *rt, int (*fn)(void *), void *arg)
{
	struct weir_rt *entered = weir__context()->rt;
	int rc;
	struct root *root = root_new(rt, fn, arg, &rc);

	if (!root)
		return rc;
	pthread_mutex_lock(&rt->turn_lock);
	while (!root_is_done(root) && runtime_phase(rt) < RT_STOPPING) {
		if (rt->turn_taken)
			pthread_cond_wait(&rt->turn_free, &rt->turn_lock);
		else
			take_turn(rt, root_is_done, root);
	}
	rc = root_leave(root);
	pthread_mutex_unlock(&rt->turn_lock);
	weir__context()->rt = entered;
	return rc;
}

static bool drained(void *arg)
{
	struct runtime *rt = arg;

	return weir__runtime_alive(rt) == 0 ||
	       weir__clock_system() >= weir__load(&rt->drain_deadline, WEIR_RELAXED);
}

void weir__current_drain(struct runtime *rt, uint64_t deadline)
{
	struct weir_rt *entered = weir__context()->rt;

	pthread_mutex_lock(&rt->turn_lock);
	/* A thread in block_on may be the worker now, and must see the deadline. */
	weir__store(&rt->drain_deadline, deadline, WEIR_RELAXED);
	while (!drained(rt)) {
		if (!rt->turn_taken)
			take_turn(rt, drained, rt);
		else if (weir__os_cond_wait(&rt->turn_free, &rt->turn_lock, deadline) < 0)
			break;
	}
	pthread_mutex_unlock(&rt->turn_lock);
	weir__context()->rt = entered;
}

/*
 * Waits until no thread is the worker. When the runtime stops, nobody may be in block_on, so the
 * worker's end is done here.
 */
int weir__current_stop(struct runtime *rt, uint64_t deadline)
{
	int rc = 0;

	pthread_mutex_lock(&rt->turn_lock);
	while (rt->turn_taken && rc == 0)
		rc = weir__os_cond_wait(&rt->turn_free, &rt->turn_lock, deadline);
	pthread_mutex_unlock(&rt->turn_lock);
	if (rc == 0)
		weir__worker_stopped(worker_at(rt, 0));
	return rc;
}
