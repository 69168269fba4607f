/* SPDX-License-Identifier: MIT */
/*
 * state.h: the state word of a task. This comment is the specification.
 *
 *	bit	name		set by				cleared by
 *	0	RUNNING		start				suspend, complete
 *	1	NOTIFIED	init, wake, cancel		start, complete
 *	2	COMPLETE	complete			-
 *	3	CANCELLED	cancel				-
 *	4	JOIN_INTEREST	init(joinable)			detach
 *	5	JOIN_WAKER	set_join_waker			clear_join_waker, detach
 *	8..63	reference count, in steps of TASK_REF
 *
 * Who may call what
 *	[any]		wake, cancel, ref: any thread, also with a stale pointer
 *	[a ref holder]	unref
 *	[runner]	start, suspend, complete: the worker that popped the task from a queue,
 *			until the task is suspended or complete
 *	[joiner]	set_join_waker, clear_join_waker, detach: the holder of the handle
 *
 * References
 *	life	held from spawn until complete, so that a task which nobody wakes survives
 *	queue	held while the task is in a run queue; the runner takes it over and keeps it
 *		while the task runs (then called running); suspend drops it or returns it
 *		to the queue
 *	handle	held by the joiner until detach
 *	others	taken by ref; a leaf's waker needs none
 *
 * Life cycle
 *	        wake: +queue              start                  suspend, NOTIFIED
 *	idle ------------> NOTIFIED ---------------> RUNNING -------------> NOTIFIED
 *	  ^	             (queued)                  |  |
 *	  +--------------------------------------------+  +---> COMPLETE
 *	            suspend: -running                       -life -running
 *
 * Stale wakes. The memory of tasks is type-stable, and a free slot holds 0. A
 * wake may come for a task that is gone, which does nothing, or for the next
 * task in its slot, which is a spurious poll. So wake, cancel and ref start from
 * a loaded value and do nothing while the count is 0. Between unref = true and
 * the store of 0 the flags are meaningless.
 *
 * Why a wake of a NOTIFIED task still writes. The poll that a wake requests must
 * see what the waking thread wrote before the wake. That poll acquires from the
 * last write before start. A wake that only loaded "already NOTIFIED", which may
 * be outdated, would release nothing, and the poll could miss what was written.
 *
 * Plain fields, and who owns them
 *	the task's body		the runner; suspend releases it, start acquires it
 *	result			the runner before complete; the joiner once it has seen
 *				COMPLETE
 *	join waker		the joiner while JOIN_WAKER and COMPLETE are both clear; the
 *				runner if complete returned a value with JOIN_WAKER. A joiner
 *				that has seen COMPLETE must not touch it. What the waker points
 *				to must outlive the runner's call: a task of the same runtime
 *				does (type-stable memory); any other waker has a reference, which
 *				the runner gives up.
 */
#ifndef WEIR_CORE_TASK_STATE_H
#define WEIR_CORE_TASK_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/assert.h"
#include "core/atomic.h"
#include "weir/base.h"

#define TASK_RUNNING ((uint64_t)1)
#define TASK_NOTIFIED ((uint64_t)2)
#define TASK_COMPLETE ((uint64_t)4)
#define TASK_CANCELLED ((uint64_t)8)
#define TASK_JOIN_INTEREST ((uint64_t)16)
#define TASK_JOIN_WAKER ((uint64_t)32)
#define TASK_REF ((uint64_t)256)
#define TASK_REFS(state) ((state) / TASK_REF)

/* One macro for each order, for the model's mutants. */
#ifndef STATE_WAKE_ORDER
#define STATE_WAKE_ORDER WEIR_ACQ_REL
#endif
#ifndef STATE_START_ORDER
#define STATE_START_ORDER WEIR_ACQUIRE
#endif
#ifndef STATE_YIELDED_ACQUIRE
#define STATE_YIELDED_ACQUIRE WEIR_ACQUIRE
#endif
#ifndef STATE_SUSPEND_ORDER
#define STATE_SUSPEND_ORDER WEIR_RELEASE
#endif
#ifndef STATE_COMPLETE_ORDER
#define STATE_COMPLETE_ORDER WEIR_ACQ_REL
#endif
#ifndef STATE_SET_WAKER_ORDER
#define STATE_SET_WAKER_ORDER WEIR_ACQ_REL
#endif
#ifndef STATE_JOIN_ACQUIRE
#define STATE_JOIN_ACQUIRE WEIR_ACQUIRE
#endif
#ifndef STATE_REF_ACQUIRE
#define STATE_REF_ACQUIRE WEIR_ACQUIRE
#endif
#ifndef STATE_UNREF_ORDER
#define STATE_UNREF_ORDER WEIR_ACQ_REL
#endif
#ifndef STATE_CANCEL_ORDER
#define STATE_CANCEL_ORDER WEIR_ACQ_REL
#endif
#ifndef STATE_DETACH_ORDER
#define STATE_DETACH_ORDER WEIR_ACQ_REL
#endif
/* Switches for the model's mutants; always 1 in production. */
#ifndef STATE_WAKE_ALWAYS_WRITES
#define STATE_WAKE_ALWAYS_WRITES 1
#endif
#ifndef STATE_CHECK_FREE
#define STATE_CHECK_FREE 1
#endif
#ifndef STATE_KEEP_REFS_FOR_JOINER
#define STATE_KEEP_REFS_FOR_JOINER 1
#endif

enum weir__after {
	WEIR__AFTER_IDLE,		/* nothing to do; it may already run elsewhere */
	WEIR__AFTER_RESCHEDULE		/* the caller queues it, with its reference */
};

/*
 * The state of a new task: queued, with life + queue (+ handle) references. It is stored with
 * WEIR_RELEASE into a slot that held 0, after all fields are set; this pairs with the acquire of
 * wake, cancel and ref on a stale pointer.
 */
static inline uint64_t task_state_init(bool joinable)
{
	return joinable ? TASK_NOTIFIED | TASK_JOIN_INTEREST | 3 * TASK_REF
			: TASK_NOTIFIED | 2 * TASK_REF;
}

/* [any] True: the caller must put the task into a queue; it holds the queue's reference. */
static inline bool weir__state_wake(WEIR_ATOMIC(uint64_t) *word)
{
	uint64_t cur = weir__load(word, WEIR_RELAXED), next;
	bool idle;

	do {
		if ((cur & TASK_COMPLETE) || (STATE_CHECK_FREE && TASK_REFS(cur) == 0))
			return false;
		if (!STATE_WAKE_ALWAYS_WRITES && (cur & TASK_NOTIFIED))
			return false;
		idle = !(cur & (TASK_RUNNING | TASK_NOTIFIED));
		next = (cur | TASK_NOTIFIED) + (idle ? TASK_REF : 0);
		/* Release: for start. Acquire: the slot's fields, see task_state_init. */
	} while (!weir__cas_weak(word, &cur, next, STATE_WAKE_ORDER, WEIR_RELAXED));
	return idle;
}

/*
 * [runner] Called before the poll; returns the flags as they were. A task that yielded has kept
 * RUNNING, and its queue has passed it on in order: then this writes nothing, and a wake that came
 * meanwhile stays NOTIFIED for suspend to find. Acquires from wake, cancel (also after a yield)
 * and suspend.
 */
static inline uint64_t weir__state_start(WEIR_ATOMIC(uint64_t) *word)
{
	uint64_t cur = weir__load(word, STATE_YIELDED_ACQUIRE);

	if (cur & TASK_RUNNING)
		return cur;
	WEIR_ASSERT((cur & (TASK_NOTIFIED | TASK_COMPLETE)) == TASK_NOTIFIED);
	/* NOTIFIED is set and RUNNING is clear, so one subtraction turns one into the other. */
	return weir__fetch_sub(word, TASK_NOTIFIED - TASK_RUNNING, STATE_START_ORDER);
}

/*
 * [runner] Called after a poll that returned pending. The life reference keeps the task alive, but
 * after IDLE the caller must not touch it: it may run elsewhere.
 */
static inline enum weir__after weir__state_suspend(WEIR_ATOMIC(uint64_t) *word)
{
	uint64_t cur = weir__load(word, WEIR_RELAXED), next;

	do {
		WEIR_ASSERT(cur & TASK_RUNNING);
		next = cur & ~TASK_RUNNING;
		if (!(cur & TASK_NOTIFIED))
			next -= TASK_REF;
		/* Release: the body, for the next start. */
	} while (!weir__cas_weak(word, &cur, next, STATE_SUSPEND_ORDER, WEIR_RELAXED));
	return cur & TASK_NOTIFIED ? WEIR__AFTER_RESCHEDULE : WEIR__AFTER_IDLE;
}

/*
 * [runner] Called when the result is written; returns the new word.
 *	JOIN_WAKER set		the references life and running are kept: copy the join waker, call
 *				it, then unref(word, 2)
 *	TASK_REFS == 0		that was the last reference: the caller frees the slot
 *	otherwise		the caller must not touch the task any more
 */
static inline uint64_t weir__state_complete(WEIR_ATOMIC(uint64_t) *word)
{
	uint64_t cur = weir__load(word, WEIR_RELAXED), next;

	do {
		WEIR_ASSERT((cur & (TASK_RUNNING | TASK_COMPLETE)) == TASK_RUNNING);
		next = (cur & ~(TASK_RUNNING | TASK_NOTIFIED)) | TASK_COMPLETE;
		if (!STATE_KEEP_REFS_FOR_JOINER || !(cur & TASK_JOIN_WAKER))
			next -= 2 * TASK_REF;
		/* Release: the result. Acquire: the join waker, or all other uses of the slot. */
	} while (!weir__cas_weak(word, &cur, next, STATE_COMPLETE_ORDER, WEIR_RELAXED));
	return next;
}

/* [a ref's holder] Drops n references. True: they were the last, the caller frees the slot. */
static inline bool weir__state_unref(WEIR_ATOMIC(uint64_t) *word, unsigned n)
{
	uint64_t old = weir__fetch_sub(word, n * TASK_REF, STATE_UNREF_ORDER);

	WEIR_ASSERT(TASK_REFS(old) >= n);
	return TASK_REFS(old) == n;
}

/* [joiner] True: the task is complete and its result may be taken. */
static inline bool weir__state_is_complete(WEIR_ATOMIC(uint64_t) *word)
{
	return weir__load(word, STATE_JOIN_ACQUIRE) & TASK_COMPLETE;
}

/*
 * Sets or clears JOIN_WAKER unless COMPLETE is seen. Releases the join waker to
 * complete; acquires the result from it.
 */
static inline bool weir__state_flip_join_waker(WEIR_ATOMIC(uint64_t) *word)
{
	uint64_t cur = weir__load(word, STATE_JOIN_ACQUIRE);

	do {
		if (cur & TASK_COMPLETE)
			return false;
	} while (!weir__cas_weak(word, &cur, cur ^ TASK_JOIN_WAKER, STATE_SET_WAKER_ORDER,
				 STATE_JOIN_ACQUIRE));
	return true;
}

/*
 * [joiner] Called when the join waker is written. False: complete already, take the result at
 * once.
 */
static inline bool weir__state_set_join_waker(WEIR_ATOMIC(uint64_t) *word)
{
	WEIR_ASSERT(!(weir__load(word, WEIR_RELAXED) & TASK_JOIN_WAKER));
	return weir__state_flip_join_waker(word);
}

/* [joiner] Takes the join waker back, to change it. False: complete, so it must not be touched. */
static inline bool weir__state_clear_join_waker(WEIR_ATOMIC(uint64_t) *word)
{
	return weir__state_flip_join_waker(word);
}

/* [any] Takes a reference; false when the slot is free. Pairs with task_state_init's store. */
static inline bool weir__state_ref(WEIR_ATOMIC(uint64_t) *word)
{
	uint64_t cur = weir__load(word, WEIR_RELAXED);

	do {
		if (STATE_CHECK_FREE && TASK_REFS(cur) == 0)
			return false;
	} while (!weir__cas_weak(word, &cur, cur + TASK_REF, STATE_REF_ACQUIRE, WEIR_RELAXED));
	return true;
}

/*
 * [any] Requests that the task end. True: schedule it, as with wake. Does nothing when complete or
 * free.
 */
static inline bool weir__state_cancel(WEIR_ATOMIC(uint64_t) *word)
{
	uint64_t cur = weir__load(word, WEIR_RELAXED), next;
	bool idle;

	do {
		if ((cur & (TASK_COMPLETE | TASK_CANCELLED)) ||
		    (STATE_CHECK_FREE && TASK_REFS(cur) == 0))
			return false;
		idle = !(cur & (TASK_RUNNING | TASK_NOTIFIED));
		next = (cur | TASK_CANCELLED | TASK_NOTIFIED) + (idle ? TASK_REF : 0);
	} while (!weir__cas_weak(word, &cur, next, STATE_CANCEL_ORDER, WEIR_RELAXED));
	return idle;
}

/* [joiner] Gives the handle up. True: it was the last reference, the caller frees the slot. */
static inline bool weir__state_detach(WEIR_ATOMIC(uint64_t) *word)
{
	uint64_t cur = weir__load(word, WEIR_RELAXED), next;

	do {
		next = (cur & ~TASK_JOIN_INTEREST) - TASK_REF;
		if (!(cur & TASK_COMPLETE))
			next &= ~TASK_JOIN_WAKER;
		/*
		 * Release: the joiner's last use. Acquire: all other uses, before the slot is
		 * freed.
		 */
	} while (!weir__cas_weak(word, &cur, next, STATE_DETACH_ORDER, WEIR_RELAXED));
	return TASK_REFS(next) == 0;
}

#endif
