/* SPDX-License-Identifier: MIT */
/*
 * worker.h: a worker's run queues and its part in scheduling. The mechanism's
 * part (drivers, budget, memory) is struct weir__worker, the first member.
 *
 * Ready tasks wait in one of these queues, and are taken in this order:
 *
 *	lifo		the task that the last one woke; at most lifo_max in a row
 *	ring, overflow	in the order in which they became ready, stealable. The ring holds
 *			the oldest 256; the rest follows in the overflow list and moves up
 *			as the ring drains, so no task runs twice before the last has run
 *			once
 *	own		in the same order, tasks that nobody may steal: pinned tasks, or all
 *			tasks if nobody steals (a domain of one worker, steal off)
 *	inject		the queue of the worker's group: what other threads made ready
 *	deferred	tasks that yielded. They move behind the others in ring or own: after
 *			a poll of the drivers, or when all queues above are empty
 *
 * A worker that finds none of these steals: sched/steal.h. That includes the
 * inject queues of other groups. A busy worker takes from those only what is
 * neglected.
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

/* A list that only the owner changes. */
struct own_queue {
	struct weir__link *first, *last;
	size_t len;			/* atomic, for the metrics */
};

struct worker {
	struct weir__worker base;
	struct runtime *rt;

	/* Only the owner uses these. */
	struct weir_task *lifo;		/* atomic: stealable when the owner is stuck */
	unsigned lifo_left;		/* LIFO polls left before another task must run */
	struct own_queue own;
	bool own_next;			/* alternates between own and ring */
	bool stealing;			/* others of its domain may take from its ring and slot */
	bool searching;
	bool hooked;			/* on_worker_start was called, and on_worker_stop was not */
	bool aborted_all;		/* this worker has aborted its tasks (shutdown) */
	/* the tick of the earliest of the next three; see stall.h */
	uint32_t maintain_at;
	uint32_t turn_at;		/* when to poll the drivers next */
	uint32_t inject_at;		/* when to check the inject queue next */
	struct sampler poll_sampler;	/* the next poll that is timed */
	unsigned turn_interval, inject_interval;
	uint32_t polled_at;		/* tick of the last driver poll */
	uint64_t stats_from_ns;		/* when the current busy stretch began */
	uint32_t stats_from_tick;
	uint64_t spin_ns;		/* how long to spin before the next sleep */
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
	uint32_t turns_seen;		/* driver.turns at the watcher's last check */
	uint32_t thread_over;		/* the thread from start_threads is about to end; futex */
} WEIR_ALIGNED(128);

static inline struct worker *worker_of(struct weir__worker *base)
{
	return WEIR_CONTAINER_OF(base, struct worker, base);
}

/* The time, counted in polls. [owner] */
static inline uint32_t worker_tick(const struct worker *w)
{
	return (uint32_t)w->base.metrics.polls;
}

static inline bool worker_is_due(uint32_t tick, uint32_t at)
{
	return (int32_t)(tick - at) >= 0;
}

static inline bool worker_is_done(struct worker *w, bool (*until)(void *), void *arg)
{
	return (until && until(arg)) || runtime_phase(w->rt) >= RT_STOPPING;
}

static inline struct worker *worker_at(struct runtime *rt, unsigned i)
{
	return worker_of(rt->base.worker[i]);
}

/* worker_new.c */
int weir__worker_new(struct runtime *rt, unsigned index, struct worker **ret_worker);
/* Frees drivers and stacks; the tasks' memory stays until weir__worker_free. */
void weir__worker_close(struct worker *w);
void weir__worker_free(struct worker *w);

/*
 * THE main loop: runs tasks until the runtime stops, until(arg) is true (until may be NULL), or a
 * task that blocks in place has moved the worker to another thread.
 */
void weir__worker_run(struct worker *w, bool (*until)(void *arg), void *arg);

/*
 * park.c: sleeps or spins until there may be something to do, or until(arg) is true, between the
 * hooks for it. [owner]
 */
void weir__worker_park(struct worker *w, bool (*until)(void *arg), void *arg);

/*
 * worker_serve.c: makes this thread the worker for one run of the loop. Its context keeps the
 * runtime afterwards.
 */
void weir__worker_serve(struct worker *w, bool (*until)(void *arg), void *arg);

/* Binds this thread to the worker's CPUs, or back to those of other threads, if workers are bound. */
void weir__worker_bind(struct worker *w, bool is_worker);

/*
 * Calls the stop hook if the worker has started and the runtime stops. [the worker's thread, or
 * none runs]
 */
void weir__worker_stopped(struct worker *w);

/* queue.c: the run queues of a worker. [owner], except weir__worker_steal_from's victim. */
void weir__worker_push(struct worker *w, struct weir_task *task);
void weir__worker_push_chain(struct worker *w, struct weir__link *first, struct weir__link *last,
			     unsigned n);
/* True if that moved another task from the slot to the queue. */
bool weir__worker_push_lifo(struct worker *w, struct weir_task *task);
struct weir_task *weir__worker_take_lifo(struct worker *w);
/* Takes from the slot unless it has used up its share. */
static inline struct weir_task *worker_next_lifo(struct worker *w)
{
	return weir__load(&w->lifo, WEIR_RELAXED) ? weir__worker_take_lifo(w) : NULL;
}

/* Takes from ring, overflow or own, and renews the slot's share. */
struct weir_task *weir__worker_next_local(struct worker *w);
/* Takes one worker's share of a group's inject queue: returns one task, queues the rest here. */
struct weir_task *weir__worker_next_injected(struct worker *w, struct group *group);
struct weir_task *weir__worker_steal_from(struct worker *w, struct worker *victim, unsigned tier);
struct weir_task *weir__worker_steal_lifo(struct worker *victim);
bool weir__worker_has_local(struct worker *w);
size_t weir__worker_queue_len(struct worker *w);
/* Queues a task that nobody may steal; the second form, one that another thread has sent here. */
void weir__worker_push_own(struct worker *w, struct weir_task *task);
void weir__worker_push_arrived(struct worker *w, struct weir_task *task);

/* Takes the mail that others have sent here. [owner, or the shutdown that stands in for it] */
void weir__worker_take_mail(struct worker *w);

#endif
