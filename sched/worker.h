/* SPDX-License-Identifier: MIT */
/*
 * worker.h: a worker's run queues and its place in the schedule. The mechanism's
 * half (drivers, budget, memory) is struct weir__worker, the first member.
 *
 * Ready tasks wait in one of these, and are taken in this order:
 *
 *	lifo		the task that the last one woke; at most lifo_max in a row
 *	ring, overflow	in the order in which they became ready, stealable. The ring holds
 *			the oldest 256; what does not fit follows in the overflow list and
 *			moves up as the ring drains, so nobody is served twice before the
 *			last is served once
 *	own		the same order for what nobody may steal: pinned tasks, and all
 *			tasks where nobody steals (a domain of one worker, steal off)
 *	inject		the queue of the worker's group: what other threads made ready
 *
 * Who has nothing in all these steals: sched/steal.h. The queues of other groups are
 * part of that; a busy worker looks there only for what is neglected.
 */
#ifndef WEIR_SCHED_WORKER_H
#define WEIR_SCHED_WORKER_H

#include "core/task/task.h"
#include "core/worker.h"
#include "sched/busy.h"
#include "sched/inject.h"
#include "sched/ring.h"
#include "sched/runtime.h"
#include "sched/sample.h"
#include "sched/stall.h"
#include "sched/steal.h"
#include "sched/watch.h"

/* A list that only the owner touches. */
struct own_queue {
	struct weir__link *first, *last;
	size_t len;			/* atomic, for the metrics */
};

struct worker {
	struct weir__worker base;
	struct runtime *rt;

	/* The owner's. */
	struct weir_task *lifo;		/* stealable when the owner is stuck, so atomic */
	unsigned lifo_left;		/* LIFO polls before another task must run */
	struct own_queue own;
	bool own_next;			/* take turns between own and ring */
	bool stealing;			/* of its domain: others may take from its ring and slot */
	bool searching;
	bool hooked;			/* started, and on_worker_stop has not been called */
	bool aborted_all;		/* this worker has cancelled its tasks (shutdown) */
	uint32_t look_at;		/* the tick of the earliest of the next three; see stall.h */
	uint32_t turn_at;		/* the next look at the drivers */
	uint32_t inject_at;		/* the next look at the inject queue */
	struct sampler poll_sampler;	/* the next poll that is timed */
	unsigned turn_interval, inject_interval;
	uint32_t polled_at;		/* tick of the last driver poll */
	uint64_t stats_from_ns;		/* when the running stretch began */
	uint32_t stats_from_tick;
	uint64_t spin_ns;		/* how long to look around before the next sleep */
	double poll_ns;			/* mean length of a poll (EWMA) */
	uint32_t rng;
	struct group *group;
	struct steal_order order;
	struct steal_neglect neglect;

	struct sampler wake_sampler;
	struct samples *samples;	/* NULL: none are taken */
	struct stall stall;

	/* Shared. */
	struct busy busy;
	struct ring ring;
	struct inject overflow;
	WEIR_ATOMIC(uint32_t) awake;	/* not in park; for the watcher */
	uint32_t turns_seen;		/* the watcher's note of driver.turns */
	uint32_t thread_over;		/* the thread that start_threads made is about to end; futex */
} WEIR_ALIGNED(128);

static inline struct worker *worker_of(struct weir__worker *base)
{
	return WEIR_CONTAINER_OF(base, struct worker, base);
}

/* The time in polls: so many so far. [owner] */
static inline uint32_t worker_tick(const struct worker *w)
{
	return (uint32_t)w->base.metrics.polls;
}

static inline bool worker_is_due(uint32_t tick, uint32_t at)
{
	return (int32_t)(tick - at) >= 0;
}

static inline struct worker *worker_at(struct runtime *rt, unsigned i)
{
	return worker_of(rt->base.worker[i]);
}

/* worker_new.c */
int weir__worker_new(struct runtime *rt, unsigned index, struct worker **ret_worker);
/* Its drivers and stacks; the tasks' memory stays until weir__worker_free. */
void weir__worker_close(struct worker *w);
void weir__worker_free(struct worker *w);

/*
 * THE main loop: run tasks until the runtime stops, until() says so (may be NULL), or a task
 * that blocks in place has handed the worker to another thread.
 */
void weir__worker_run(struct worker *w, bool (*until)(void *arg), void *arg);

/* Make this thread the worker, run the loop, stop being it. The context keeps the runtime. */
void weir__worker_serve(struct worker *w, bool (*until)(void *arg), void *arg);

/* The stop hook, if the worker has started and the runtime stops. [the worker's thread, or none runs] */
void weir__worker_stopped(struct worker *w);

/* queue.c: the ready queues of a worker. [owner], except weir__worker_steal_from's victim. */
void weir__worker_push(struct worker *w, struct weir_task *task);
void weir__worker_push_chain(struct worker *w, struct weir__link *first, struct weir__link *last,
			     unsigned n);
void weir__worker_push_lifo(struct worker *w, struct weir_task *task);
struct weir_task *weir__worker_take_lifo(struct worker *w);
/* The slot, unless it has had its share. */
static inline struct weir_task *worker_next_lifo(struct worker *w)
{
	return weir__load(&w->lifo, WEIR_RELAXED) ? weir__worker_take_lifo(w) : NULL;
}

/* Of ring, overflow and own; the slot has its share again. */
struct weir_task *weir__worker_next_local(struct worker *w);
/* A group's share for one worker: one task to run, the rest to its queue. */
struct weir_task *weir__worker_next_injected(struct worker *w, struct group *group);
struct weir_task *weir__worker_steal_from(struct worker *w, struct worker *victim, unsigned tier);
struct weir_task *weir__worker_steal_lifo(struct worker *victim);
bool weir__worker_has_local(struct worker *w);
size_t weir__worker_queue_len(struct worker *w);
/* A pinned task that others have woken. */
void weir__worker_push_arrived(struct worker *w, struct weir_task *task);

/* Take in what others have sent here. [owner, or the shutdown that stands in for it] */
void weir__worker_take_mail(struct worker *w);

#endif
