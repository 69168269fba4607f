/* SPDX-License-Identifier: MIT */
/*
 * mailbox.h: requests to an object's home worker: in order, from any thread. A
 * request needs no memory, so it cannot fail.
 *
 * An object has one link, and one word that holds its open requests. The thread
 * that makes the word non-zero queues the link in a worker's inbox; there is only
 * one link, so it is in one inbox at most. A thread that finds the word non-zero
 * does not queue the link. When the link arrives, the worker takes the requests
 * from the word.
 *
 *	object	word	request				who serves it
 *	task	state	NOTIFIED, and it is pinned	the worker that it is pinned to
 *	op	asked	QUEUED: submit it		its handle's home
 *	op	asked	QUEUED: cancel it		the worker it is in flight on
 *	handle	mail	ops to submit, settings and a	its home
 *			shutdown between them, CLOSE
 *	handle	mail	a receiver			the worker that it was given to
 *
 * The rules:
 *
 * 1 A queued object is neither returned to its owner nor freed. If an op gets its
 *   result while it is QUEUED, the result waits until the link has arrived
 *   (op_poll).
 * 2 Ops that must be submitted at home queue in their handle. They are submitted
 *   in the order in which they were started. SET and SHUTDOWN come between the op
 *   that was started before them and the one that was started after them: an op
 *   that is put on a request keeps it in the low bits of its link. CLOSE comes
 *   last, and nothing is requested of a handle after its close.
 * 3 A cancel that finds its op QUEUED travels with it, so it never overtakes the
 *   submit. A cancel that finds the op in flight queues it.
 * 4 A home can change while the link is on its way to the old one. The old home
 *   then passes the link on unchanged. To know that, a worker reads the word,
 *   checks whether it is the home, and takes the word only if it has not changed
 *   since the read: no request in such a word was made for a newer home.
 * 5 While a home serves the requests that it took, SERVED lies at the bottom of
 *   the word. A thread that adds a request meanwhile does not queue the link; the
 *   home queues it again.
 *
 *	mail		put			request R	the link arrives
 *	0		op, queue the link	R, queue	-
 *	ops		op on ops		R on ops	SERVED, the ops are submitted
 *	CLOSE on ops	-			-		SERVED, submitted, and detached
 *	SERVED		op on SERVED		R on SERVED	-; when all is done 0
 *	more on SERVED	op on more on SERVED	R on more	-; when all is done queue the link
 *
 *	asked		start, not at home	cancel		the link arrives
 *	0		QUEUED, in the handle	CANCEL, QUEUED	-
 *	QUEUED		-			QUEUED + CANCEL	0, submitted
 *	QUEUED + CANCEL	-			-		CANCEL, submitted if it was not, and
 *								cancelled if it has no result then
 *
 * Two kinds of instances are called directly, without mail: backends with a lock
 * of their own (WEIR_CAP_POLL_ANY), and the calling worker's own instance when
 * nothing of the object is queued.
 */
#ifndef WEIR_CORE_MAILBOX_H
#define WEIR_CORE_MAILBOX_H

#include <stdbool.h>
#include <stdint.h>

#include "core/inbox.h"

/* One macro for each order, for the model's mutants. */
#ifndef MAILBOX_PUT_ORDER
#define MAILBOX_PUT_ORDER WEIR_ACQ_REL
#endif
#ifndef MAILBOX_REQUEST_ORDER
#define MAILBOX_REQUEST_ORDER WEIR_ACQ_REL
#endif
#ifndef MAILBOX_READ_ORDER
#define MAILBOX_READ_ORDER WEIR_ACQUIRE
#endif
#ifndef MAILBOX_EMPTY_ORDER
#define MAILBOX_EMPTY_ORDER WEIR_ACQUIRE
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
#define MAILBOX_SERVED ((uintptr_t)8)
#endif
#ifndef MAILBOX_BELOW
#define MAILBOX_BELOW(was) (was)
#endif
#ifndef MAILBOX_ON_TOP
#define MAILBOX_ON_TOP(was) ((uintptr_t)0)
#endif

/*
 * Requests in a handle's mail, made after the op to which the other bits point. Those of the ops
 * below it are in the same bits of its link.
 */
#define MAIL_SET ((uintptr_t)1)		/* apply the settings that the handle keeps */
#define MAIL_SHUTDOWN ((uintptr_t)2)	/* SHUT_WR */
#define MAIL_CLOSE ((uintptr_t)4)
#define MAIL_BITS ((uintptr_t)7)
/* The bottom of the mail while its home serves what it took. No op has this address. */
#define MAIL_SERVED MAILBOX_SERVED

/* The kind of object that a link in a worker's inbox belongs to. */
enum weir__mail {
	WEIR__MAIL_TASK = 0,
	WEIR__MAIL_OP,
	WEIR__MAIL_HANDLE,
	WEIR__MAIL_GIVEN		/* a handle on its way to a receiver */
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
 * [any] Adds an op, by its link, to be submitted. True: the caller queues the handle's link.
 * False: the handle may be gone. As in the other functions, the release publishes the op to the
 * home that serves it, and the acquire sees that the home which served last is done with the link.
 */
static inline bool weir__mail_put(WEIR_ATOMIC(uintptr_t) *mail, struct weir__link *op)
{
	uintptr_t was = weir__load(mail, WEIR_RELAXED);

	do
		WEIR_WR(op->next, (struct weir__link *)MAILBOX_BELOW(was));
	while (!weir__cas_weak(mail, &was, (uintptr_t)op | MAILBOX_ON_TOP(was), MAILBOX_PUT_ORDER,
			       WEIR_RELAXED));
	return was == 0;
}

/* [any] Requests MAIL_SET, MAIL_SHUTDOWN or MAIL_CLOSE. True: the caller queues the handle's link. */
static inline bool weir__mail_request(WEIR_ATOMIC(uintptr_t) *mail, uintptr_t what)
{
	return weir__fetch_or(mail, what, MAILBOX_REQUEST_ORDER) == 0;
}

/*
 * [home] True if nothing is requested. The acquire pairs with done: if the home has moved to the
 * caller's worker, what the old home did for the last requests is over.
 */
static inline bool weir__mail_is_empty(WEIR_ATOMIC(uintptr_t) *mail)
{
	return weir__load(mail, MAILBOX_EMPTY_ORDER) == 0;
}

/* The op that a word points to, by its link; NULL if there is none. */
static inline struct weir__link *weir__mail_op(uintptr_t mail)
{
	mail &= ~MAIL_BITS;
	return mail == MAIL_SERVED ? NULL : (struct weir__link *)mail;
}

/*
 * The mail in the order in which it was put: a word with the requests that come first, and the op
 * behind them, whose link is such a word again.
 */
static inline uintptr_t weir__mail_in_order(uintptr_t mail)
{
	uintptr_t later = 0, below;
	struct weir__link *op;

	for (; (op = weir__mail_op(mail)) != NULL; mail = below) {
		below = (uintptr_t)WEIR_RD(op->next);
		WEIR_WR(op->next, (struct weir__link *)(later | (mail & MAIL_BITS)));
		later = (uintptr_t)op;
	}
	return later | (mail & MAIL_BITS);
}

/*
 * [where the link has arrived] Reads the requests. The caller then checks whether it is the home
 * (rule 4).
 */
static inline uintptr_t weir__mail_read(WEIR_ATOMIC(uintptr_t) *mail)
{
	return weir__load(mail, MAILBOX_READ_ORDER);
}

/*
 * [home] True: the caller serves *seen. False: the word has changed and *seen is new; check again.
 */
static inline bool weir__mail_take(WEIR_ATOMIC(uintptr_t) *mail, uintptr_t *seen)
{
	return weir__cas(mail, seen, MAIL_SERVED, MAILBOX_READ_ORDER, MAILBOX_READ_ORDER);
}

/*
 * [home] Called when the taken ops are submitted. False: there are new requests, and the caller
 * queues the link again. True: the handle may be gone. The release pairs with put and request, which
 * use the link.
 */
static inline bool weir__mail_done(WEIR_ATOMIC(uintptr_t) *mail)
{
	uintptr_t served = MAIL_SERVED;

	return weir__cas(mail, &served, (uintptr_t)0, MAILBOX_DONE_ORDER, WEIR_RELAXED);
}

/* ---- an op's word ---- */

enum {
	ASKED_CANCEL = 1u << 0,		/* it is cancelled */
	ASKED_QUEUED = 1u << 1		/* its link is in a queue */
};

/* [its task] Called before the op's link is queued, in its handle or for a cancel. */
static inline void weir__asked_queue(WEIR_ATOMIC(uint8_t) *asked)
{
	weir__fetch_or(asked, (uint8_t)ASKED_QUEUED, WEIR_RELAXED);
}

/*
 * [its task] Cancels the op. True: the caller cancels it at the backend, or sends it there. False:
 * that has happened already, or will when the op is submitted. The acquire pairs with take: it
 * makes op->backend visible.
 */
static inline bool weir__asked_cancel(WEIR_ATOMIC(uint8_t) *asked)
{
	return !(weir__fetch_or(asked, (uint8_t)ASKED_CANCEL, MAILBOX_CANCEL_ORDER) &
		 (ASKED_CANCEL | ASKED_QUEUED));
}

/*
 * [home] Called just before an op is submitted. True: nobody cancelled it, and it may be gone as
 * soon as it is submitted. False: it was cancelled, and stays QUEUED until the cancel is done. If
 * the submit completes it at once, that result still counts.
 */
static inline bool weir__asked_leave(WEIR_ATOMIC(uint8_t) *asked)
{
	uint8_t queued = ASKED_QUEUED;

	return weir__cas(asked, &queued, (uint8_t)0, MAILBOX_ASKED_ORDER, WEIR_RELAXED);
}

/*
 * [where its link has arrived] True: the op is cancelled. An op that has its result may be gone
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

/* [its task] True: the op is queued, and must stay where it is. */
static inline bool weir__asked_is_queued(WEIR_ATOMIC(uint8_t) *asked)
{
	return weir__load(asked, MAILBOX_BACK_ORDER) & ASKED_QUEUED;
}

#endif
