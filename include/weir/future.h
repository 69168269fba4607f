/* SPDX-License-Identifier: MIT */
/*
 * future.h: what "asynchronous" means in weir.
 *
 * A future is a struct with a poll function. A poll either finishes and returns the
 * result, or keeps a waker and returns WEIR_PENDING; the waker says when to poll again.
 * Everything that can be awaited exists once, as a future. The plain C calls
 * (weir_sleep, weir_tcp_recv) await one on the caller's fiber.
 *
 *	init ──► poll ──► WEIR_PENDING ──(waker called)──► poll ──► result
 *	                     │                               ▲
 *	                     └── cancel (a request) ─────────┘
 *
 * The life of a future:
 *  - After it has returned WEIR_PENDING its memory must stay where it is until a poll
 *    returns a result. A future cannot be dropped. To abandon it, cancel it and poll
 *    until it finishes. The result says which came first: an operation that completed
 *    reports what it did, and not -ECANCELED.
 *  - On a fiber, weir_finish abandons a future, also in an aborted task. A stackless
 *    body calls weir_cancel and continues to poll. What is pending when a stackless
 *    task is aborted, or returns, is abandoned for it: before fini, what a result
 *    holds is released (discard).
 *  - A future that was never polled may be cancelled. It starts nothing, and its first
 *    poll finishes with -ECANCELED. (One without a cancel verb ignores it.)
 *  - After a result it must not be polled again before its next init.
 *  - A pending leaf future (an operation, a sleep, a lock wait) belongs to the
 *    task that polled it first, and must be polled with the same waker until it is
 *    done. weir links it to the task, so that aborting the task cancels it and
 *    waits for it: no operation outlives its task.
 *  - A future calls the waker that its poll was given. So a future that polls others
 *    may give each of them a waker of its own, which in turn wakes the task. A future
 *    that yields, or has no budget left, calls such a waker when the poll of its task
 *    is over.
 *  - Spurious polls are allowed; spurious results are not.
 *
 * Do not: move or free a pending future; poll one future from two tasks; keep a
 * waker without weir_waker_ref.
 */
#ifndef WEIR_FUTURE_H
#define WEIR_FUTURE_H

#include "weir/base.h"

struct weir_task;
struct weir__worker;

/* How a waker works. For programs that wake something other than a weir task. */
struct weir_waker_ops {
	void (*ref)(void *data);	/* take a reference; called by weir_waker_ref only */
	void (*wake)(void *data);	/* wake; the reference stays. [any] */
	void (*unref)(void *data);	/* drop a reference */
};

/* Two words: what to do, and to whom. */
struct weir_waker {
	const struct weir_waker_ops *ops;
	void *data;
};

/* What a poll function is given. It is valid for this poll; weir_waker_ref keeps the waker. */
struct weir_cx {
	struct weir_waker waker;	/* borrowed for the poll */
	struct weir_task *task;		/* the task that polls; NULL when polled by hand */
	struct weir__worker *worker;	/* its worker; NULL when polled by hand */
};

struct weir_future;

/* The verbs of a future. cancel and discard may be NULL. */
struct weir_future_ops {
	const char *name;
	/* WEIR_PENDING or the result. */
	int (*poll)(struct weir_future *future, struct weir_cx *cx);
	/* Ask a future to finish soon, or not to start. It frees nothing, and may be repeated. */
	void (*cancel)(struct weir_future *future);
	/* Release what a result holds (an accepted socket, a lease) that nobody takes. */
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
 * The base of a future that waits for something outside the task, and therefore stores
 * the waker. Only weir's own primitives use the members.
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
 * Thread:   [any] by hand; otherwise the task's own worker
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
 * Cancel:   sleeps and waits of weir/sync finish at the next poll, operations when the
 *           backend no longer uses their buffers
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
 * If the task is aborted, before this or meanwhile, the future is cancelled and its result
 * is returned: -ECANCELED unless it completed first. A future that was not started is not
 * started, and this does not wait. One that was started before (enabled, or polled by another
 * future) is waited for. A future without a cancel verb is waited for if the abort comes
 * meanwhile, and is not polled if it came before.
 *
 * Thread:   [worker], on a fiber
 * Waits:    until the future finishes
 * Returns:  the future's result; -ECANCELED; -EPERM outside a fiber
 * Since:    0.1
 */
WEIR_API int weir_await(struct weir_future *future);

/**
 * Abandon a future: cancel it and await its end, also in a task that was aborted.
 *
 * Use it for a future that may have been started (weir_notified_enable, or a poll by another
 * future) and is not needed any more. One that was not started finishes at once, with
 * -ECANCELED. In a stackless body call weir_cancel, and poll until the future finishes.
 *
 * Thread:   [worker], on a fiber
 * Waits:    until the cancelled future finishes; without a cancel verb, until it is done
 * Returns:  the future's result: -ECANCELED unless it completed first; -EPERM outside a fiber
 * Since:    0.1
 */
WEIR_API int weir_finish(struct weir_future *future);

/**
 * Await a future on the calling fiber, up to a deadline.
 *
 * When the deadline passes, the future is cancelled and waited for. If it completed
 * first, its own result is returned; otherwise -ETIMEDOUT.
 *
 * Thread:   [worker], on a fiber
 * Waits:    up to the deadline, then until the cancelled future finishes
 * Returns:  the future's result; -ETIMEDOUT; -ECANCELED; -EPERM outside a fiber;
 *           -ENODEV if the runtime has no time driver
 * Since:    0.1
 */
WEIR_API int weir_await_until(struct weir_future *future, uint64_t deadline);

/**
 * Poll a future to its end on a thread that is not a worker; the thread sleeps meanwhile.
 *
 * A plain thread uses it to join a task, to receive from a channel or to take a lock.
 * Sleeps and operations need a worker: they return -ENXIO here.
 *
 * Thread:   [any] but a worker
 * Waits:    until the future finishes; after the deadline it is cancelled, and finishes
 * Returns:  the future's result; -ETIMEDOUT; -EPERM on a worker
 * Since:    0.1
 */
WEIR_API int weir_block_on(struct weir_future *future, uint64_t deadline);

/**
 * Take a reference to a waker. What is returned may be another waker, which wakes the same task.
 * It stays valid after its task has ended and its runtime was freed; then it wakes nobody.
 *
 * Thread:   [any]
 * Since:    0.1
 */
WEIR_API struct weir_waker weir_waker_ref(const struct weir_waker *waker);

/** Wake; the waker stays valid. Thread: [any]. Since: 0.1 */
WEIR_API void weir_waker_wake(const struct weir_waker *waker);

/** Give a reference up, and clear the waker; nothing for an empty one. Thread: [any]. Since: 0.1 */
WEIR_API void weir_waker_unref(struct weir_waker *waker);

/**
 * Wait for the first of several futures, cancel the others and wait for them.
 *
 * Use it for one race whose losers are not needed. For a loop over the same futures, such as
 * a connection and a queue, use a weir_select_set (weir/select_set.h): a select would cancel
 * the idle one and start it again for each message, which costs an operation system calls.
 *
 * The future finishes with the index of the winner; the winner's own result is in
 * results[index]. If several have a result when the select polls them, the one with the lowest
 * index wins, or with fair set the first from an index that is drawn at random.
 *
 * A loser that completed before its cancel took effect has its real result in results[] too,
 * so nothing that was received or accepted is lost. A cancelled one has -ECANCELED. Both hold also
 * for futures that were started before the select, whether it has polled them or not. A
 * future without a cancel verb that the select has not polled is left as it is, with -ECANCELED.
 *
 * If a stackless task is aborted, or returns, while its select or join-all is pending, the
 * results that this had are discarded, if the future has a discard verb: results[] says
 * -ECANCELED then. fini finds the other results there.
 *
 * Thread:   the polling task's
 * Owns:     futures[] and results[] are the caller's and must live as long
 * Cancel:   cancels all; finishes with the index of one that completed all the same, otherwise
 *           with -ECANCELED
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
	bool cancelled;			/* all futures were cancelled */
	struct weir_leaf holder;	/* weir's own: discards results if the task is aborted */
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
 * Wait for all of several futures. It finishes with 0 when each has its result in results[].
 * Results may be errors, so look at them.
 *
 * Thread:   the polling task's
 * Owns:     futures[] and results[] are the caller's and must live as long
 * Cancel:   cancels all that are pending; results[] has the result of each
 * Returns:  0; -ECANCELED if it was cancelled and at least one future stopped because of that;
 *           -EINVAL without futures or results for a count that is not 0
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
