/* SPDX-License-Identifier: MIT */
/*
 * mailbox.h: how an object's home is asked for something: in order, from any
 * thread, without memory, so that it cannot fail.
 *
 * An object has one link and one word of what it is asked for. Who makes that word
 * more than zero puts the link into the inbox of a worker, the only one that it has;
 * who finds it so already leaves it at that. The worker takes what the word says
 * when the link has come.
 *
 *	object	word	asked for			who serves it
 *	task	state	NOTIFIED, and it is pinned	the worker that it is pinned to
 *	op	asked	QUEUED: submit, or cancel	its handle's home; the worker it is in flight on
 *	handle	mail	ops to submit, then CLOSE	its home
 *	handle	mail	a receiver			the worker that it was given to
 *
 * The rules:
 *  1 What is queued is neither given back to its owner nor freed. A result that
 *    comes while its op is QUEUED waits until the link has come (op_poll).
 *  2 Ops that must be submitted at home queue in their handle. So they are
 *    submitted in the order in which they were started, and before CLOSE, which
 *    comes last: nothing is asked of a handle after its close.
 *  3 A cancel finds its op QUEUED, and is taken along with it: it never overtakes
 *    the submit. Or it finds the op in flight, and queues it.
 *  4 A home can change while the link is on its way to the old one, which then
 *    passes it on as it is. It looks whether it is the home before it takes, and
 *    takes only the word that it had seen then: whoever asked knew no newer home.
 *  5 While a home serves what it has taken, the word says SERVED: who asks
 *    meanwhile does not queue the link; it goes round once more.
 *
 *	mail		put			close		the link comes
 *	0		op, queue the link	CLOSE, queue	-
 *	ops		op + ops		ops + CLOSE	SERVED, the ops are submitted
 *	ops + CLOSE	-			-		SERVED, submitted, and detached
 *	SERVED		SERVED + op		SERVED + CLOSE	-; when all is done 0
 *	SERVED + more	SERVED + op + more	SERVED + CLOSE	-; when all is done queue the link
 *
 *	asked		start, not at home	cancel		the link comes
 *	0		QUEUED, in the handle	CANCEL, QUEUED	-
 *	QUEUED		-			QUEUED + CANCEL	0, submitted
 *	QUEUED + CANCEL	-			-		submitted, if it was not; cancelled, if
 *								it has no result then; CANCEL
 *
 * Backends that lock themselves (WEIR_CAP_POLL_ANY) are called directly, and so is the
 * instance of the calling worker, when nothing of the object is queued.
 */
#ifndef WEIR_CORE_MAILBOX_H
#define WEIR_CORE_MAILBOX_H

#include <stdbool.h>
#include <stdint.h>

#include "core/inbox.h"

/* Each on its own, for the model's mutants. */
#ifndef MAILBOX_PUT_ORDER
#define MAILBOX_PUT_ORDER WEIR_ACQ_REL
#endif
#ifndef MAILBOX_CLOSE_ORDER
#define MAILBOX_CLOSE_ORDER WEIR_ACQ_REL
#endif
#ifndef MAILBOX_LOOK_ORDER
#define MAILBOX_LOOK_ORDER WEIR_ACQUIRE
#endif
#ifndef MAILBOX_DONE_ORDER
#define MAILBOX_DONE_ORDER WEIR_RELEASE
#endif
#ifndef MAILBOX_CANCEL_ORDER
#define MAILBOX_CANCEL_ORDER WEIR_ACQUIRE
#endif
#ifndef MAILBOX_ASKED_ORDER
#define MAILBOX_ASKED_ORDER WEIR_RELEASE
#endif
#ifndef MAILBOX_BACK_ORDER
#define MAILBOX_BACK_ORDER WEIR_ACQUIRE
#endif
#ifndef MAILBOX_SERVED
#define MAILBOX_SERVED ((uintptr_t)2)
#endif

/* In a handle's mail; the rest is the op that was put last. */
#define MAIL_CLOSE ((uintptr_t)1)
#define MAIL_SERVED MAILBOX_SERVED
#define MAIL_BITS ((uintptr_t)3)

/* What a link in a worker's inbox is in. */
enum weir__mail {
	WEIR__MAIL_TASK = 0,
	WEIR__MAIL_OP,
	WEIR__MAIL_HANDLE,
	WEIR__MAIL_GIVEN		/* a handle that was given away */
};

static inline struct weir__link *weir__mail_tag(struct weir__link *link, enum weir__mail what)
{
	return (struct weir__link *)((uintptr_t)link | (uintptr_t)what);
}

static inline enum weir__mail weir__mail_what(const struct weir__link *tagged)
{
	return (enum weir__mail)((uintptr_t)tagged & INBOX_TAG);
}

/*
 * [any] An op, by its link, is to be submitted. True: the caller queues the handle's link; else the
 * handle may be gone. Release and acquire, as the others: for whoever serves it; and of who served
 * it last, who was done with the link.
 */
static inline bool weir__mail_put(WEIR_ATOMIC(uintptr_t) *mail, struct weir__link *op)
{
	uintptr_t was = weir__load(mail, WEIR_RELAXED);

	do
		WEIR_WR(op->next, (struct weir__link *)(was & ~MAIL_BITS));
	while (!weir__cas_weak(mail, &was, (uintptr_t)op | (was & MAIL_BITS), MAILBOX_PUT_ORDER,
			       WEIR_RELAXED));
	return was == 0;
}

/* [any] The handle is to be closed. True: the caller queues its link. */
static inline bool weir__mail_close(WEIR_ATOMIC(uintptr_t) *mail)
{
	return weir__fetch_or(mail, MAIL_CLOSE, MAILBOX_CLOSE_ORDER) == 0;
}

/* [any] Whether anything is asked for. */
static inline bool weir__mail_is_empty(WEIR_ATOMIC(uintptr_t) *mail)
{
	return weir__load(mail, WEIR_RELAXED) == 0;
}

/* The ops of a mail, the first first. */
static inline struct weir__link *weir__mail_ops(uintptr_t mail)
{
	struct weir__link *op = (struct weir__link *)(mail & ~MAIL_BITS), *next, *first = NULL;

	for (; op; op = next) {
		next = WEIR_RD(op->next);
		WEIR_WR(op->next, first);
		first = op;
	}
	return first;
}

/* [where the link has come] What is asked for. Now the caller looks whether it is the home (4). */
static inline uintptr_t weir__mail_look(WEIR_ATOMIC(uintptr_t) *mail)
{
	return weir__load(mail, MAILBOX_LOOK_ORDER);
}

/* [home] True: *seen is the caller's to serve. False: it says more now, so look once more. */
static inline bool weir__mail_take(WEIR_ATOMIC(uintptr_t) *mail, uintptr_t *seen)
{
	return weir__cas(mail, seen, MAIL_SERVED, MAILBOX_LOOK_ORDER, MAILBOX_LOOK_ORDER);
}

/*
 * [home] The ops that were taken are submitted. False: more is asked for, the caller queues the link
 * again; else the handle may be gone. The release pairs with put and close, which use the link.
 */
static inline bool weir__mail_done(WEIR_ATOMIC(uintptr_t) *mail)
{
	uintptr_t served = MAIL_SERVED;

	return weir__cas(mail, &served, (uintptr_t)0, MAILBOX_DONE_ORDER, WEIR_RELAXED);
}

/* ---- an op's word ---- */

enum {
	ASKED_CANCEL = 1u << 0,		/* it is not wanted any more */
	ASKED_QUEUED = 1u << 1		/* its link is in a queue */
};

/* [its task] Before its link is queued, in its handle or for a cancel. */
static inline void weir__asked_queue(WEIR_ATOMIC(uint8_t) *asked)
{
	weir__fetch_or(asked, (uint8_t)ASKED_QUEUED, WEIR_RELAXED);
}

/*
 * [its task] It is not wanted any more. True: the caller asks the backend, or has it asked; false: that
 * was done, or is done when it is submitted. The acquire pairs with take: it shows the backend.
 */
static inline bool weir__asked_cancel(WEIR_ATOMIC(uint8_t) *asked)
{
	return !(weir__fetch_or(asked, (uint8_t)ASKED_CANCEL, MAILBOX_CANCEL_ORDER) &
		 (ASKED_CANCEL | ASKED_QUEUED));
}

/*
 * [home] Of an op that is about to be submitted. True: nobody cancelled it, and it may be gone as soon as it is
 * submitted. False: a cancel came along, and it stays QUEUED until that is done; what it finds at once
 * is its result all the same.
 */
static inline bool weir__asked_leave(WEIR_ATOMIC(uint8_t) *asked)
{
	uint8_t queued = ASKED_QUEUED;

	return weir__cas(asked, &queued, (uint8_t)0, MAILBOX_ASKED_ORDER, WEIR_RELAXED);
}

/*
 * [where its link has come] True: it is not wanted any more. An op that has its result may be gone
 * after this. The release pairs with cancel, and with is_queued.
 */
static inline bool weir__asked_take(WEIR_ATOMIC(uint8_t) *asked)
{
	return weir__fetch_and(asked, (uint8_t)~ASKED_QUEUED, MAILBOX_ASKED_ORDER) & ASKED_CANCEL;
}

static inline bool weir__asked_is_cancelled(WEIR_ATOMIC(uint8_t) *asked)
{
	return weir__load(asked, WEIR_RELAXED) & ASKED_CANCEL;
}

/* [its task] Whether it must be left where it is. */
static inline bool weir__asked_is_queued(WEIR_ATOMIC(uint8_t) *asked)
{
	return weir__load(asked, MAILBOX_BACK_ORDER) & ASKED_QUEUED;
}

#endif
