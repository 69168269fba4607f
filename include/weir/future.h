/* SPDX-License-Identifier: MIT */
/*
 * future.h: what "asynchronous" means in weir.
 *
 * A future is a struct with a poll function that either finishes or keeps a
 * waker and returns WEIR_PENDING. Every awaitable in weir exists once, as a
 * future; the plain-C calls (weir_sleep, weir_tcp_recv) await one on the
 * caller's fiber.
 *
 *	init ──► poll ──► WEIR_PENDING ──(waker called)──► poll ──► result
 *	                     │                               ▲
 *	                     └── cancel (a request) ─────────┘
 *
 * The life of a future:
 *  - After it returned WEIR_PENDING its memory must stay where it is until a
 *    poll returns a result. There is no "drop": to abandon a future, cancel it
 *    and poll until it finishes. The result tells which one won the race: an
 *    operation that completed reports what it did, never -ECANCELED.
 *  - A fiber abandons one with weir_finish, which works in an aborted task too. A
 *    stackless body calls weir_cancel and goes on polling; what is pending when its
 *    task is aborted, or has returned, is abandoned for it: what a result holds is
 *    given back (discard), before fini.
 *  - A future that was never polled may be cancelled: it starts nothing, and its
 *    first poll finishes with -ECANCELED.
 *  - After a result it must not be polled again before its next init.
 *  - A pending leaf future (an operation, a sleep, a lock wait) belongs to the
 *    task that polled it first, and is polled with the same waker until it is
 *    done. weir links it to the task, so that aborting the task cancels it and
 *    waits for it: no operation outlives its task.
 *  - The waker that a poll was given is the one that is called, and by the future
 *    that was polled with it: a future that polls others may give each a waker of
 *    its own, which wakes the task in its turn. What yields, or has no budget left,
 *    calls such a waker when the poll of its task is over.
 *  - Spurious polls are allowed; spurious results are not.
 *
 * Do not: move or free a pending future; poll one future from two tasks; keep a
 * waker without weir_waker_clone.
 */
#ifndef WEIR_FUTURE_H
#define WEIR_FUTURE_H

#include "weir/base.h"

struct weir_task;
struct weir__worker;

/* How a waker works; for those who wake something that is not a weir task. */
struct weir_waker_ops {
	void (*clone)(void *data);	/* one more holder; by weir_waker_clone only */
	void (*wake)(void *data);	/* wake; the holder keeps its hold. [any] */
	void (*drop)(void *data);	/* one holder less */
};

/* Two words: what to do, and to whom. */
struct weir_waker {
	const struct weir_waker_ops *ops;
	void *data;
};

/* What a poll function is given. Never kept: only its waker may be, by clone. */
struct weir_cx {
	struct weir_waker waker;	/* borrowed for the poll */
	struct weir_task *task;		/* being polled; NULL when polled by hand */
	struct weir__worker *worker;	/* polling it; NULL when polled by hand */
};

struct weir_future;

/* The verbs of a future. cancel and discard may be NULL. */
struct weir_future_ops {
	const char *name;
	/* WEIR_PENDING or the result. */
	int (*poll)(struct weir_future *future, struct weir_cx *cx);
	/* Ask a future to finish soon, or not to start. Never frees anything, may be repeated. */
	void (*cancel)(struct weir_future *future);
	/* Give back what an unwanted result holds (an accepted socket, a lease). */
	void (*discard)(struct weir_future *future);
};

struct weir_future {
	const struct weir_future_ops *ops;
};

/* An object's place in one of the core's queues (core/inbox.h). */
struct weir__link {
	struct weir__link *next;
};

/*
 * The base of every future that waits for something outside the task: one that
 * stores the waker. Only weir's own primitives use the members.
 */
struct weir_leaf {
	struct weir_future future;
	struct weir_leaf *armed_next;	/* on the task's armed list while pending */
	struct weir_leaf **armed_pprev;
	struct weir_waker waker;
};

WEIR_BEGIN_DECLS

/**
 * Poll a future once.
 *
 * Thread:   [any] by hand; the task's own worker otherwise
 * Waits:    never
 * Returns:  WEIR_PENDING, or the future's result
 * Since:    0.1
 */
static inline int weir_poll(struct weir_future *future, struct weir_cx *cx)
{
	return future->ops->poll(future, cx);
}

/**
 * Ask a future to finish soon, or not to start; poll it until it does.
 *
 * Thread:   the one that polls it
 * Waits:    never
 * Cancel:   sleeps and sync waits finish at the next poll, operations when the
 *           backend has let go of their buffers
 * Since:    0.1
 */
static inline void weir_cancel(struct weir_future *future)
{
	if (future->ops->cancel)
		future->ops->cancel(future);
}

/**
 * Await a future on the calling fiber.
 *
 * If the task is or was aborted, the future is cancelled and its result is returned:
 * -ECANCELED unless it completed first. One that was not started is not, and this does
 * not wait; one that was (enabled, or polled by another future) is waited for. A future
 * without a cancel verb is waited for when the abort comes meanwhile, and is not polled
 * when it came before.
 *
 * Thread:   [worker], on a fiber
 * Waits:    until the future finishes
 * Returns:  the future's result; -ECANCELED; -EPERM outside a fiber
 * Since:    0.1
 */
WEIR_API int weir_await(struct weir_future *future);

/**
 * Give a future up: cancel it and await its end, also in a task that was aborted.
 *
 * For one that may have been started (a weir_notified that was enabled, a future that
 * another one has polled) and is not wanted any more. One that was not started finishes
 * at once, with -ECANCELED. In a stackless body: weir_cancel, and poll until it finishes.
 *
 * Thread:   [worker], on a fiber
 * Waits:    until the future has let go; for its end, where it has no cancel verb
 * Returns:  the future's result: -ECANCELED unless it completed first; -EPERM outside a fiber
 * Since:    0.1
 */
WEIR_API int weir_finish(struct weir_future *future);

/**
 * Await a future on the calling fiber, up to a deadline.
 *
 * When the deadline passes the future is cancelled and waited for. If it won
 * the race its own result is returned; otherwise -ETIMEDOUT.
 *
 * Thread:   [worker], on a fiber
 * Waits:    up to the deadline (and until the cancelled future has let go)
 * Returns:  the future's result; -ETIMEDOUT; -ECANCELED; -EPERM outside a fiber;
 *           -ENODEV if the runtime has no time driver
 * Since:    0.1
 */
WEIR_API int weir_await_until(struct weir_future *future, uint64_t deadline);

/**
 * Poll a future to its end on a thread that is not a worker, sleeping between.
 *
 * For joining a task, receiving from a channel or taking a lock from plain
 * threads. Leaf futures of the time and I/O drivers need a worker and answer
 * -ENXIO here.
 *
 * Thread:   [any] but a worker
 * Waits:    until the future finishes, or up to the deadline (then the future
 *           is cancelled first)
 * Returns:  the future's result; -ETIMEDOUT; -EPERM on a worker
 * Since:    0.1
 */
WEIR_API int weir_block_on(struct weir_future *future, uint64_t deadline);

/**
 * One more holder of the waker. What is returned may be another waker, which wakes the same task.
 * It stays good for a task that has ended, and when the runtime was freed: it wakes nobody then.
 *
 * Thread:   [any]
 * Since:    0.1
 */
WEIR_API struct weir_waker weir_waker_clone(const struct weir_waker *waker);

/** Wake; the waker stays valid. Thread: [any]. Since: 0.1 */
WEIR_API void weir_waker_wake(const struct weir_waker *waker);

/** Give a cloned waker back; clears it. Does nothing to an empty one. Thread: [any]. Since: 0.1 */
WEIR_API void weir_waker_drop(struct weir_waker *waker);

/**
 * Wait for the first of several futures, cancel the others and wait for them.
 *
 * For one race whose losers nobody wants. A loop over the same futures, as a connection and
 * a queue, uses a weir_select_set (weir/select_set.h): this would cancel the idle one and start it
 * again for each message, which costs an operation system calls.
 *
 * The future finishes with the index of the winner (the lowest one that had a
 * result when the select was polled, unless fair, where the start is drawn); the
 * winner's own result is in results[index]. A loser that completed before its
 * cancel took effect has its real result in results[] too, so nothing that was
 * received or accepted is lost; a cancelled one has -ECANCELED. That goes for futures
 * which were started before the select, too, whether it came to poll them or not. One
 * without a cancel verb that it has not polled is left as it is, with -ECANCELED.
 *
 * A stackless task that is aborted, or returns, while its select or join-all is pending
 * keeps none of the results that this had: what has a discard verb is discarded, and
 * results[] says -ECANCELED then; fini finds the results of the rest there.
 *
 * Thread:   the polling task's
 * Owns:     futures[] and results[] are the caller's and must live as long
 * Cancel:   cancels all; the index of one that completed all the same, else -ECANCELED
 * Returns:  the winner's index; -ECANCELED; -EINVAL for count 0, or without futures or results
 * Since:    0.1
 */
struct weir_select_future {
	struct weir_future future;
	struct weir_future **futures;
	int *results;			/* one per future; WEIR_PENDING while it runs */
	unsigned count;
	unsigned start;			/* first index to poll; fair: set when first polled */
	int winner;			/* -2 before the first poll, -1 until one finished */
	bool fair;
	bool cancelled;			/* all have been asked to stop */
	struct weir_leaf holder;	/* weir's own: results of which the task has not heard */
};

/**
 * Set a select up. Set its member fair after this, if it should not prefer lower indices.
 *
 * Thread:   [any]
 * Since:    0.1
 */
WEIR_API void weir_select_init(struct weir_select_future *select, struct weir_future **futures,
			       int *results, unsigned count);

/**
 * Wait for all of several futures. Finishes with 0 when every one has its result in
 * results[] (errors too: look at them).
 *
 * Thread:   the polling task's
 * Owns:     futures[] and results[] are the caller's and must live as long
 * Cancel:   cancels all that are pending; results[] has what each came to
 * Returns:  0; -ECANCELED if it was cancelled and one of them stopped for that; -EINVAL without
 *           futures or results for a count that is not 0
 * Since:    0.1
 */
struct weir_join_all_future {
	struct weir_future future;
	struct weir_future **futures;
	int *results;
	unsigned count;
	unsigned left;
	bool cancelled;
	struct weir_leaf holder;	/* as in a select */
};

/** Set a join-all up. Thread: [any]. Since: 0.1 */
WEIR_API void weir_join_all_init(struct weir_join_all_future *all, struct weir_future **futures,
				 int *results, unsigned count);

WEIR_END_DECLS

#endif
