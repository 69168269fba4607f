/* SPDX-License-Identifier: MIT */
/*
 * task.c: the life of a task, from its block to its completion. See
 * core/task/task.h for the fields and core/task/state.h for the transitions.
 *
 * It does not decide in which queue a ready task waits nor when it runs; the
 * scheduler does, through rt->sched.
 */
#include "core/task/task.h"

#include <string.h>

#include "core/coop.h"
#include "core/fiber/fiber.h"
#include "core/leaf.h"
#include "core/sized.h"
#include "core/task/join_set.h"

#define STATE_BYTES_MAX (64u * 1024)

_Static_assert(offsetof(struct weir_task, state) == offsetof(struct weir__slab_head, state) &&
		       offsetof(struct weir_task, link) == offsetof(struct weir__slab_head, link),
	       "a task begins like a slab block");
_Static_assert(WEIR__TASK_STATE_OFFSET <= 144, "a parked task with a little state fits 192 bytes");

static uint64_t id_blocks;	/* ids handed out to threads, in blocks; atomic */

/* ---- memory ---- */

/* Frees a block whose state is 0 and that is not from the slab of the calling worker. */
static WEIR_NOINLINE void free_remote(struct weir_task *task)
{
	struct weir_rt *rt = task->rt;

	if (task->slab_owner == WEIR__SLAB_FOREIGN)
		weir__slab_free_remote(&rt->foreign, task, task->size_class);
	else
		weir__slab_free_remote(&rt->worker[task->slab_owner]->slab, task,
				       task->size_class);
}

/* w: the calling thread's worker if it is one of the task's runtime, otherwise NULL. */
static inline void task_free_on(struct weir__worker *w, struct weir_task *task)
{
	WEIR_ASSERT(!task->armed && !task->fiber && !task->locals);
	weir__store(&task->state, (uint64_t)0, WEIR_RELAXED);
	if (WEIR_LIKELY(w && w->index == task->slab_owner))
		weir__slab_free(&w->slab, task, task->size_class);
	else
		free_remote(task);
}

static void task_free(struct weir_task *task)
{
	struct weir__worker *w = weir__worker_current();

	task_free_on(w && w->rt == task->rt ? w : NULL, task);
}

/* ---- wakers ---- */

void weir__task_wake(struct weir_task *task)
{
	if (weir__state_wake(&task->state))
		task->rt->sched->schedule(task);
}

static void waker_ref(void *data)
{
	struct weir_task *task = data;

	weir__state_ref(&task->state);
	weir__outside_ref(&task->rt->outside);
}

/*
 * Queues a task that the caller has made ready. Once the task is in a queue, only the count of
 * outside keeps the runtime alive for a thread that is not a worker.
 */
static void queue_ready(struct weir_task *task)
{
	struct weir__worker *w = weir__worker_current();
	struct weir_rt *rt = task->rt;

	if (w && w->rt == rt) {
		rt->sched->schedule(task);
		return;
	}
	weir__outside_begin(&rt->outside);
	rt->sched->schedule(task);
	weir__outside_end(&rt->outside);
}

/* The caller's hold keeps the task's state word readable. */
void weir__task_wake_any(struct weir_task *task)
{
	if (weir__state_wake(&task->state))
		queue_ready(task);
}

static void waker_wake(void *data)
{
	weir__task_wake_any(data);
}

static void waker_unref(void *data)
{
	struct weir_task *task = data;
	struct weir_rt *rt = task->rt;

	if (weir__state_unref(&task->state, 1))
		task_free(task);
	weir__rt_unref(rt);
}

const struct weir_waker_ops weir__task_waker_ops = { waker_ref, waker_wake, waker_unref };
/* Only a mark: leaf.c never calls these. */
const struct weir_waker_ops weir__own_waker_ops = { NULL, NULL, NULL };

/* ---- spawn ---- */

static int spawn_check(const struct weir_rt *rt, const struct weir_task_config *cfg,
		       struct weir_task **ret_task)
{
	if (cfg->fn ? cfg->poll || cfg->state_bytes || cfg->fini
		    : !cfg->poll || cfg->state_bytes > STATE_BYTES_MAX || cfg->drop)
		return -EINVAL;
	if ((cfg->join_set && ret_task) || (unsigned)cfg->worker > rt->workers)
		return -EINVAL;		/* a negative worker is a huge one */
	return 0;
}

/* Allocates a task from a slab that the caller may use. NULL when memory ran out. */
static inline struct weir_task *task_alloc(struct weir_rt *rt, struct weir__slab *slab,
					   uint16_t slab_owner, size_t state_bytes)
{
	int size_class = weir__slab_class(WEIR__TASK_STATE_OFFSET + state_bytes);
	struct weir_task *task = weir__slab_alloc(slab, (unsigned)size_class);

	if (WEIR_UNLIKELY(!task))
		return NULL;
	task->rt = rt;
	task->slab_owner = slab_owner;
	task->size_class = (uint8_t)size_class;
	return task;
}

static inline void task_init_body(struct weir_task *task, const struct weir_task_config *cfg)
{
	task->flags = (uint8_t)(cfg->flags & (WEIR__TASK_PINNED | WEIR__TASK_UNCONSTRAINED |
					      WEIR__TASK_PLACED));
	task->locals = NULL;
	if (cfg->fn) {
		task->flags |= WEIR__TASK_STACKFUL;
		task->body.fn = cfg->fn;
		task->extra.arg = cfg->arg;
		if (!task->fiber)
			task->drop = cfg->drop;
		return;
	}
	task->body.poll = cfg->poll;
	task->extra.fini = cfg->fini;
	if (cfg->fini)
		task->flags |= WEIR__TASK_CLEANUP;
	if (cfg->state)
		memcpy(weir__task_state(task), cfg->state, cfg->state_bytes);
	else if (cfg->state_bytes)
		memset(weir__task_state(task), 0, cfg->state_bytes);
}

#define ID_BLOCK 1024u

/* Each thread takes ids in blocks, so that spawning shares no counter. */
static uint64_t fresh_id(void)
{
	static _Thread_local uint64_t last;

	if (WEIR_UNLIKELY(last % ID_BLOCK == 0))
		last = weir__fetch_add(&id_blocks, (uint64_t)ID_BLOCK, WEIR_RELAXED);
	return ++last;
}

/* Fills in what task_alloc did not; .fiber, .home and .pinned_to are set. Gives out the handle. */
static inline void task_init(struct weir_task *task, const struct weir_task_config *cfg,
			     struct weir__member *member, struct weir_task **ret_task)
{
	uint64_t id = fresh_id();

	WEIR_ASSERT(task->pinned_to < task->rt->workers);
	task->armed = NULL;
	task->id = id;
	task->name = cfg->name;
	task->where = cfg->where;
	task->member = member;
	task->locals_depth = 0;
	task_init_body(task, cfg);
	/* The release pairs with the acquire of a wake on a stale pointer to this block. */
	weir__store(&task->state, task_state_init(ret_task || member), WEIR_RELEASE);
	if (ret_task)
		*ret_task = task;
	if (cfg->ret_id)
		*cfg->ret_id = id;
	if (member)
		weir__join_set_fill(member, task);
}

/* While memory for stacks is short, a spawn makes the fiber itself, so that it can fail. */
static WEIR_NOINLINE struct weir__fiber *early_fiber(struct weir__worker *w,
						     const struct weir_task_config *cfg)
{
	struct weir__fiber *fiber;

	return weir__fiber_new(&w->stacks, cfg->fn, cfg->arg, &fiber) < 0 ? NULL : fiber;
}

/* A spawn on a worker of the runtime. */
static inline int spawn_here(struct weir__worker *w, const struct weir_task_config *cfg,
			     struct weir_task **ret_task)
{
	struct weir__member *member = NULL;
	struct weir__fiber *fiber = NULL;
	struct weir_task *task;

	if (cfg->fn && WEIR_UNLIKELY(w->stacks.reason) && !(fiber = early_fiber(w, cfg)))
		return -ENOMEM;
	if (cfg->join_set && !(member = weir__join_set_enter(cfg->join_set)))
		goto fail;
	task = task_alloc(w->rt, &w->slab, w->index, cfg->state_bytes);
	if (WEIR_UNLIKELY(!task))
		goto fail;
	weir__count(&w->metrics.spawned, 1);
	task->fiber = fiber;
	task->home = w->index;
	task->pinned_to = (uint8_t)(cfg->worker ? cfg->worker - 1 : w->index);
	task_init(task, cfg, member, ret_task);
	w->rt->sched->schedule(task);
	return 0;
fail:
	if (member)
		weir__join_set_leave(member);
	if (fiber)
		weir__fiber_free(&w->stacks, fiber);
	return -ENOMEM;
}

/*
 * Begins a count of outside, which ends when the task is queued. Fails also if the runtime is
 * closed.
 */
static int task_alloc_foreign(struct weir_rt *rt, size_t state_bytes, struct weir_task **ret_task)
{
	struct weir_task *task = NULL;
	int rc = -ESHUTDOWN;

	weir__lock_take(&rt->foreign_lock);
	if (!weir__load(&rt->closed, WEIR_RELAXED)) {
		task = task_alloc(rt, &rt->foreign, WEIR__SLAB_FOREIGN, state_bytes);
		rc = task ? 0 : -ENOMEM;
	}
	if (task) {
		weir__outside_begin(&rt->outside);
		weir__store(&rt->foreign_spawned, rt->foreign_spawned + 1, WEIR_RELAXED);
		*ret_task = task;
	}
	weir__lock_drop(&rt->foreign_lock);
	return rc;
}

/*
 * A shutdown that walked the foreign slab before the state was stored has missed this task. Pairs
 * with close_runtime, which stores closed, fences and walks the slab; here the state is stored,
 * then a fence, then closed is read.
 */
static void abort_if_closed(struct weir_task *task)
{
	weir__fence(WEIR_SEQ_CST);
	if (WEIR_UNLIKELY(weir__load(&task->rt->closed, WEIR_RELAXED)))
		weir_task_abort(task);
}

/* A spawn by any other thread. */
static WEIR_NOINLINE int spawn_foreign(struct weir_rt *rt, const struct weir_task_config *cfg,
				       struct weir_task **ret_task)
{
	struct weir__member *member = NULL;
	struct weir_task *task;
	int rc;

	if (WEIR_UNLIKELY(weir__rt_is_inherited(rt)))
		return -ENXIO;
	if ((cfg->flags & (WEIR_TASK_PINNED | WEIR_TASK_PLACED)) && !cfg->worker)
		return -EINVAL;
	if (cfg->join_set && !(member = weir__join_set_enter(cfg->join_set)))
		return -ENOMEM;
	rc = task_alloc_foreign(rt, cfg->state_bytes, &task);
	if (WEIR_UNLIKELY(rc < 0)) {
		if (member)
			weir__join_set_leave(member);
		return rc;
	}
	task->fiber = NULL;
	task->home = WEIR__TASK_NO_HOME;
	task->pinned_to = (uint8_t)(cfg->worker ? cfg->worker - 1 : 0);
	task_init(task, cfg, member, ret_task);
	abort_if_closed(task);
	rt->sched->schedule(task);
	weir__outside_end(&rt->outside);
	return 0;
}

static inline int spawn(struct weir_rt *rt, const struct weir_task_config *cfg,
			struct weir_task **ret_task)
{
	struct weir__context *c = weir__context();
	struct weir__worker *w = c->worker;
	int rc;

	if (!rt)
		rt = c->rt;
	if (WEIR_UNLIKELY(!rt))
		return -ENXIO;
	rc = spawn_check(rt, cfg, ret_task);
	if (WEIR_UNLIKELY(rc < 0))
		return rc;
	if (WEIR_UNLIKELY(weir__load(&rt->closed, WEIR_ACQUIRE)))
		return -ESHUTDOWN;
	return WEIR_LIKELY(w && w->rt == rt) ? spawn_here(w, cfg, ret_task)
					     : spawn_foreign(rt, cfg, ret_task);
}

/* For a program that was compiled against another version of the struct. */
static WEIR_NOINLINE int spawn_resized(struct weir_rt *rt, const struct weir_task_config *cfg,
				       struct weir_task **ret_task)
{
	struct weir_task_config full = WEIR_TASK_CONFIG_INIT;
	int rc = weir__sized_read(&full, cfg);

	if (rc == 0)
		return weir_task_spawn(rt, &full, ret_task);
	if (rc == -E2BIG && full.drop)
		full.drop(full.arg);
	return rc;
}

int weir_task_spawn(struct weir_rt *rt, const struct weir_task_config *cfg,
		    struct weir_task **ret_task)
{
	int rc;

	if (WEIR_UNLIKELY(!cfg || cfg->size != sizeof *cfg))
		return spawn_resized(rt, cfg, ret_task);
	rc = spawn(rt, cfg, ret_task);
	if (WEIR_UNLIKELY(rc < 0) && cfg->drop)
		cfg->drop(cfg->arg);
	return rc;
}

static inline int spawn_fn(struct weir_rt *rt, int (*fn)(void *), void *arg, void (*drop)(void *),
			   const struct weir_location *where, struct weir_task **ret_task)
{
	struct weir_task_config cfg = WEIR_TASK_CONFIG_INIT;

	cfg.fn = fn;
	cfg.arg = arg;
	cfg.drop = drop;
	cfg.where = where;
	return weir_task_spawn(rt, &cfg, ret_task);
}

int weir_spawn_or_drop_at(struct weir_rt *rt, int (*fn)(void *), void *arg, void (*drop)(void *),
			  const struct weir_location *where, struct weir_task **ret_task)
{
	return spawn_fn(rt, fn, arg, drop, where, ret_task);
}

int weir_spawn_at(struct weir_rt *rt, int (*fn)(void *), void *arg,
		  const struct weir_location *where, struct weir_task **ret_task)
{
	return spawn_fn(rt, fn, arg, NULL, where, ret_task);
}

void weir__task_away(struct weir__worker *w, struct weir_task *task)
{
	if (weir__load(&task->home, WEIR_RELAXED) == WEIR__TASK_NO_HOME)
		weir__store(&task->home, w->index, WEIR_RELAXED);
	else
		weir__count(&w->metrics.away_polls, 1);
}

/* ---- its end ---- */

/*
 * Cancels the pending leaves on the first call and polls them. Returns the task's result once no
 * leaf is armed.
 */
static int unwind(struct weir_task *task, struct weir_cx *cx)
{
	struct weir_leaf *leaf, *next;

	if (!(task->flags & WEIR__TASK_UNWINDING)) {
		task->flags |= WEIR__TASK_UNWINDING;
		for (leaf = task->armed; leaf; leaf = next) {
			next = leaf->armed_next;
			weir_cancel(&leaf->future);
		}
	}
	for (leaf = task->armed; leaf; leaf = next) {
		next = leaf->armed_next;
		if (weir_poll(&leaf->future, cx) != WEIR_PENDING && leaf->future.ops->discard)
			leaf->future.ops->discard(&leaf->future);
	}
	return task->armed ? WEIR_PENDING : task->result;
}

int weir__task_unwind(struct weir__worker *w, struct weir_task *task, int result)
{
	if (!(task->flags & WEIR__TASK_UNWINDING))
		task->result = result;
	w->budget = WEIR__BUDGET_NONE;
	return unwind(task, &w->cx);
}

int weir__task_make_fiber(struct weir__worker *w, struct weir_task *task)
{
	void (*drop)(void *arg) = task->drop;
	int rc;

	WEIR_ASSERT(!task->fiber && (task->flags & WEIR__TASK_STACKFUL));
	task->locals = NULL;
	rc = weir__fiber_new(&w->stacks, task->body.fn, task->extra.arg, &task->fiber);
	if (WEIR_UNLIKELY(rc < 0) && drop)
		drop(task->extra.arg);
	return rc;
}

int weir__task_end_fiber(struct weir__worker *w, struct weir_task *task)
{
	int result = weir__fiber_result(task->fiber);

	WEIR_ASSERT(!task->armed && w->cx.task == task);
	weir__fiber_free(&w->stacks, task->fiber);
	task->fiber = NULL;
	return result;
}

static void clean_up(struct weir__worker *w, struct weir_task *task)
{
	weir__coop_wake_late(w);
	if (!(task->flags & WEIR__TASK_STACKFUL) && task->extra.fini)
		task->extra.fini(weir__task_state(task));
	weir__local_destroy(task);
}

void weir__task_complete(struct weir__worker *w, struct weir_task *task, int result)
{
	uint64_t now;

	WEIR_ASSERT(w->cx.task == task && !task->armed && !task->fiber);
	if ((task->flags & WEIR__TASK_CLEANUP) || task->locals)
		clean_up(w, task);
	WEIR_ASSERT(!w->late.len && !task->locals);
	w->cx.task = NULL;
	task->result = result;
	weir__store(&w->metrics.finished, w->metrics.finished + 1, WEIR_RELEASE);
	if (task->member)
		weir__join_set_deliver(task->member);
	now = weir__state_complete(&task->state);
	if (now & TASK_JOIN_WAKER) {
		weir__join_wake(task);
		if (weir__state_unref(&task->state, 2))
			task_free_on(w, task);
	} else if (TASK_REFS(now) == 0) {
		task_free_on(w, task);
	}
}

/* ---- what tasks may ask about themselves ---- */

struct weir_task *weir_task_current(void)
{
	const struct weir__context *c = weir__context();

	return c->worker ? c->worker->cx.task : c->task;
}

uint64_t weir_task_id(const struct weir_task *task)
{
	return task ? task->id : 0;
}

const char *weir_task_name(const struct weir_task *task)
{
	if (!task)
		return "";
	return task->name ? task->name : task->where ? task->where->func : "task";
}

const struct weir_location *weir_task_where(const struct weir_task *task)
{
	return task ? task->where : NULL;
}

bool weir_task_cancelled(void)
{
	struct weir_task *task = weir_task_current();

	return task && weir__task_is_cancelled(task);
}

bool weir_task_unconstrained(bool on)
{
	struct weir__worker *w = weir__worker_current();
	struct weir_task *task = w ? w->cx.task : NULL;
	bool was;

	if (!task)
		return false;
	was = task->flags & WEIR__TASK_UNCONSTRAINED;
	task->flags &= (uint8_t)~WEIR__TASK_UNCONSTRAINED;
	if (on)
		task->flags |= WEIR__TASK_UNCONSTRAINED;
	if (on != was)
		w->budget = on ? WEIR__BUDGET_NONE : w->rt->budget;
	return was;
}

/* ---- handles ---- */

void weir_task_abort(struct weir_task *task)
{
	if (task && weir__state_cancel(&task->state))
		queue_ready(task);
}

void weir__task_abort_into(struct weir_task *task, struct weir__link **ready)
{
	if (!weir__state_cancel(&task->state))
		return;
	/*
	 * The task holds a queue reference but is in no queue yet, so its link is free for this
	 * chain.
	 */
	task->link.next = *ready;
	*ready = &task->link;
}

void weir__task_queue_all(struct weir__link *ready)
{
	struct weir__link *next;

	for (; ready; ready = next) {
		next = ready->next;
		queue_ready(weir__task_of_link(ready));
	}
}

static void abort_visit(void *block, void *arg)
{
	weir__task_abort_into(block, arg);
}

struct weir__link *weir__task_abort_all(struct weir__slab *slab)
{
	struct weir__link *ready = NULL;

	weir__slab_walk(slab, abort_visit, &ready);
	return ready;
}

bool weir_task_is_complete(const struct weir_task *task)
{
	return weir__load(&task->state, WEIR_ACQUIRE) & TASK_COMPLETE;
}

void weir__task_detach(struct weir__worker *w, struct weir_task *task)
{
	if (weir__state_detach(&task->state))
		task_free_on(w && w->rt == task->rt ? w : NULL, task);
}

void weir_task_detach(struct weir_task *task)
{
	if (task)
		weir__task_detach(weir__worker_current(), task);
}
