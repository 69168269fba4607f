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
 * Who may do what
 *	[any]		wake, cancel, ref		also on a stale pointer
 *	a ref's holder	unref
 *	[runner]	start, suspend, complete: whoever popped the task from a queue, until
 *			it is suspended or complete
 *	[joiner]	set_join_waker, clear_join_waker, detach: the holder of the handle
 *
 * References
 *	life	from spawn until complete: a task that nobody wakes stays
 *	queue	while it is in a run queue; the runner takes it over and keeps it while it
 *		runs (then called running); suspend drops it or gives it back to the queue
 *	handle	the joiner's, until detach
 *	others	by ref; a waker needs none
 *
 * A life
 *	        wake: +queue              start                  suspend, NOTIFIED
 *	idle ------------> NOTIFIED ---------------> RUNNING -------------> NOTIFIED
 *	  ^	             (queued)                  |  |
 *	  +--------------------------------------------+  +---> COMPLETE
 *	            suspend: -running                       -life -running
 *
 * Stale wakes. The memory of tasks is type-stable and a free slot holds 0. A
 * wake may come for a task that is gone, or for the next task in its slot: the
 * first does nothing, the second is a spurious poll. So wake, cancel and ref
 * start from a loaded value and do nothing while the count is 0; and between
 * unref = true and the store of 0 the flags mean nothing.
 *
 * Why wake on a NOTIFIED task still exchanges. What the waker wrote before it
 * must be seen by the poll that it asks for. That poll acquires from the last
 * exchange before start, so a wake that only loaded "already NOTIFIED" (maybe
 * a value of the past) would hand over nothing, and the poll could miss it.
 *
 * Plain fields next to the word
 *	the task's body		the runner's; suspend releases, start acquires
 *	result			written by the runner before complete; the joiner's once it has
 *				seen COMPLETE; freed by whoever drops the last reference
 *	join waker		the joiner's while JOIN_WAKER is clear and COMPLETE is not; the
 *				runner's when complete returned a value with JOIN_WAKER. A
 *				joiner that has seen COMPLETE leaves it alone. What the waker
 *				points to must outlive the runner's call of it: a task of the
 *				same runtime does (type-stable); anything else is held by the
 *				waker, and the runner drops that hold.
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

/* Each order on its own, for the model's mutants. */
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
/* Switches for the model's mutants; 1 in the real thing. */
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
	WEIR__AFTER_IDLE,		/* nothing to do; it may run elsewhere already */
	WEIR__AFTER_RESCHEDULE		/* the caller queues it, with its reference */
};

/*
 * What a new task starts with: queued, life + queue (+ handle) references.
 * Stored with WEIR_RELEASE into a slot that held 0, when all fields are set;
 * pairs with the acquire of wake, cancel and ref on a stale pointer.
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
 * [runner] Before the poll; the flags as they were found. A task that yielded
 * kept RUNNING, and the queue that held it handed it over: nothing is written
 * then, and a wake that came meanwhile stays NOTIFIED for suspend to find.
 * Acquires from wake, cancel (also when it yielded) and suspend.
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
 * [runner] After a poll that returned pending. The life reference keeps the
 * task, but on IDLE the caller may not touch it any more: it may run elsewhere.
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
 * [runner] The result is written; returns the word as it is now.
 *	JOIN_WAKER set		life and running are kept: copy the join waker, call it, then
 *				unref(word, 2)
 *	TASK_REFS == 0		it was the last reference: the caller frees the slot
 *	otherwise		the caller may not touch the task any more
 */
static inline uint64_t weir__state_complete(WEIR_ATOMIC(uint64_t) *word)
{
	uint64_t cur = weir__load(word, WEIR_RELAXED), next;

	do {
		WEIR_ASSERT((cur & (TASK_RUNNING | TASK_COMPLETE)) == TASK_RUNNING);
		next = (cur & ~(TASK_RUNNING | TASK_NOTIFIED)) | TASK_COMPLETE;
		if (!STATE_KEEP_REFS_FOR_JOINER || !(cur & TASK_JOIN_WAKER))
			next -= 2 * TASK_REF;
		/* Release: the result. Acquire: the join waker, or all others' use of the slot. */
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

/* [joiner] The join waker is written. False: complete already, take the result at once. */
static inline bool weir__state_set_join_waker(WEIR_ATOMIC(uint64_t) *word)
{
	WEIR_ASSERT(!(weir__load(word, WEIR_RELAXED) & TASK_JOIN_WAKER));
	return weir__state_flip_join_waker(word);
}

/* [joiner] Takes the join waker back, to change it. False: complete, leave it alone. */
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

/* [any] Asks the task to end. True: schedule it, as with wake. No-op when complete or free. */
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
		/* Release: the joiner's last use. Acquire: everybody's, for the one who frees. */
	} while (!weir__cas_weak(word, &cur, next, STATE_DETACH_ORDER, WEIR_RELAXED));
	return TASK_REFS(next) == 0;
}

#endif
