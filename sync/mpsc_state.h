/* SPDX-License-Identifier: MIT */
/*
 * mpsc_state.h: the bounded channel without its futures: the ring, the waiting
 * senders and receiver, and who frees the channel.
 *
 * Invariants whenever the guard is free:
 *  - senders wait only while the ring is full and the channel open;
 *  - a receiver waits (.rx) only while the ring is empty and the channel open.
 *
 * A receiver that makes room copies the messages of the first waiting senders
 * into the ring itself. It never reserves a cell for a sender that might be
 * cancelled before it comes.
 *
 * Senders
 *	mpsc_send		0: the message is in the ring; wake *ret_rx, if any.
 *				-EAGAIN: full, and the waiter is queued. -EPIPE: closed
 *	queue_take_back		(guard held) unlinks the waiter unless it was admitted
 * Receiver
 *	mpsc_recv		the number of messages; wake the chain *ret_admitted. 0: the
 *				channel is closed and empty. -EAGAIN: empty, and the waiter
 *				is registered. A woken receiver calls mpsc_recv again: its
 *				wake-up reserves no message
 *	mpsc_rx_take_back	unregisters the waiter unless its wake-up has begun
 * Either
 *	mpsc_close		wake the chain *ret_senders with -EPIPE, and *ret_rx
 *	mpsc_drop_sender	true: that was the last sender, close the channel
 *	mpsc_unref		true: free the channel
 *
 * The caller wakes the returned waits after it has dropped the guard; nobody else
 * can reach them any more. After the last wake the channel may be gone.
 */
#ifndef WEIR_SYNC_MPSC_STATE_H
#define WEIR_SYNC_MPSC_STATE_H

#include <errno.h>
#include <limits.h>

#include "sync/queue_state.h"

#ifndef WEIR_MODEL
#include "weir/sync/mpsc.h"
#include <string.h>
#endif

#ifndef MPSC_SENDER_ORDER
#define MPSC_SENDER_ORDER WEIR_ACQ_REL	/* releases this sender's use, acquires the others' */
#endif
#ifndef MPSC_UNREF_ORDER
#define MPSC_UNREF_ORDER WEIR_ACQ_REL	/* the same before the memory is freed */
#endif
/* Switches for the model's mutants; always 1 in production. */
#ifndef MPSC_SEND_LOOKS_INSIDE
#define MPSC_SEND_LOOKS_INSIDE 1
#endif
#ifndef MPSC_SEND_WAKES
#define MPSC_SEND_WAKES 1
#endif
#ifndef MPSC_RECV_LOOKS_INSIDE
#define MPSC_RECV_LOOKS_INSIDE 1
#endif
#ifndef MPSC_RECV_ADMITS
#define MPSC_RECV_ADMITS 1
#endif
#ifndef MPSC_ADMITTED_LEAVES_QUEUE
#define MPSC_ADMITTED_LEAVES_QUEUE 1
#endif
#ifndef MPSC_CLOSE_TAKES_QUEUE
#define MPSC_CLOSE_TAKES_QUEUE 1
#endif
#ifndef MPSC_CLOSE_TAKES_RX
#define MPSC_CLOSE_TAKES_RX 1
#endif
#ifndef MPSC_RX_CANCEL_LOOKS
#define MPSC_RX_CANCEL_LOOKS 1
#endif

struct weir_mpsc {
	struct weir__wait_queue send_queue;	/* waiting senders */
	WEIR_PLAIN(struct weir__wait *) rx;	/* the waiting receive */
	char *ring;
	size_t bytes;				/* the size of a message */
	size_t capacity;
	WEIR_PLAIN(size_t) head;		/* index of the oldest message */
	WEIR_ATOMIC(size_t) len;		/* written with the guard held */
	WEIR_ATOMIC(bool) closed;		/* written with the guard held */
	/* one for the receiver, one for all senders together */
	WEIR_ATOMIC(uint32_t) refs;
	WEIR_ATOMIC(size_t) senders;
};

#ifndef WEIR_MODEL
/* Reads an atomic cell that is written only with the guard held; the caller holds the guard. */
#define MPSC_HELD(cell) (cell)

static inline void mpsc_copy(void *to, const void *from, size_t bytes)
{
	if (WEIR_LIKELY(bytes == sizeof(uint64_t)))	/* the usual size, copied without a call */
		memcpy(to, from, sizeof(uint64_t));
	else if (bytes)
		memcpy(to, from, bytes);
}

static inline const void *mpsc_message_of(struct weir__wait *w)
{
	return WEIR_CONTAINER_OF(w, struct weir_mpsc_send_future, wait)->message;
}
#else
#define MPSC_HELD(cell) weir__load(&(cell), WEIR_RELAXED)
#endif

/* [setup] The caller allocates the ring. */
static inline void mpsc_init(struct weir_mpsc *ch, size_t capacity, size_t bytes, void *ring)
{
	queue_init(&ch->send_queue);
	WEIR_WR(ch->rx, (struct weir__wait *)NULL);
	ch->ring = (char *)ring;
	ch->bytes = bytes;
	ch->capacity = capacity;
	WEIR_WR(ch->head, (size_t)0);
	weir__store(&ch->len, (size_t)0, WEIR_RELAXED);
	weir__store(&ch->closed, false, WEIR_RELAXED);
	weir__store(&ch->refs, 2u, WEIR_RELAXED);
	weir__store(&ch->senders, (size_t)1, WEIR_RELAXED);
}

/* [any] A hint; only a holder of the guard knows the exact number. */
static inline size_t mpsc_len(const struct weir_mpsc *ch)
{
	return weir__load(&ch->len, WEIR_RELAXED);
}

/* [any] False is a hint; true is final. */
static inline bool mpsc_closed(const struct weir_mpsc *ch)
{
	return weir__load(&ch->closed, WEIR_RELAXED);
}

/* ---- guard held ---- */

static inline void mpsc_put(struct weir_mpsc *ch, const void *message)
{
	size_t len = MPSC_HELD(ch->len), at = WEIR_RD(ch->head) + len;

	WEIR_ASSERT(len < ch->capacity);
	if (at >= ch->capacity)
		at -= ch->capacity;
	mpsc_copy(ch->ring + at * ch->bytes, message, ch->bytes);
	weir__store(&ch->len, len + 1, WEIR_RELAXED);
}

static inline void mpsc_get(struct weir_mpsc *ch, void *ret_message)
{
	size_t len = MPSC_HELD(ch->len) - 1, head = WEIR_RD(ch->head), next = head + 1;

	WEIR_ASSERT(len < ch->capacity && head < ch->capacity);
	mpsc_copy(ret_message, ch->ring + head * ch->bytes, ch->bytes);
	/*
	 * An emptied ring restarts at index 0, so a short queue stays in the same few cache lines.
	 */
	WEIR_WR(ch->head, next == ch->capacity || len == 0 ? 0 : next);
	weir__store(&ch->len, len, WEIR_RELAXED);
}

/*
 * Moves messages of waiting senders into the free cells. Returns these senders as a chain, to be
 * woken.
 */
static inline struct weir__wait *mpsc_admit(struct weir_mpsc *ch)
{
	struct weir__wait *first = NULL, *last = NULL, *w;

	while (MPSC_HELD(ch->len) < ch->capacity && (w = WEIR_RD(ch->send_queue.head)) != NULL) {
		if (MPSC_ADMITTED_LEAVES_QUEUE)
			queue_unlink(&ch->send_queue, w);
		mpsc_put(ch, mpsc_message_of(w));
		if (last)
			WEIR_WR(last->next, w);
		else
			first = w;
		last = w;
	}
	return first;
}

/* Takes up to max messages; admits waiting senders once, after all of them. */
static inline int mpsc_get_many(struct weir_mpsc *ch, size_t max, char *ret_messages,
				struct weir__wait **ret_admitted)
{
	size_t len = MPSC_HELD(ch->len), n = max < len ? max : len, i;

	if (n > INT_MAX)
		n = INT_MAX;
	for (i = 0; i < n; i++)
		mpsc_get(ch, ret_messages + i * ch->bytes);
	if (!queue_is_empty(&ch->send_queue) && MPSC_RECV_ADMITS)
		*ret_admitted = mpsc_admit(ch);
	return (int)n;
}

/* Unregisters the waiting receive and returns it; NULL if there is none. */
static inline struct weir__wait *mpsc_take_rx(struct weir_mpsc *ch)
{
	struct weir__wait *rx = WEIR_RD(ch->rx);

	WEIR_WR(ch->rx, (struct weir__wait *)NULL);
	return rx;
}

/* ---- the operations; they take the guard ---- */

/* waiter: queued if the channel is full; may be NULL. The caller has set *ret_rx to NULL. */
static inline int mpsc_send(struct weir_mpsc *ch, const void *message, struct weir__wait *waiter,
			    struct weir__wait **ret_rx)
{
	bool was_closed = !MPSC_SEND_LOOKS_INSIDE && mpsc_closed(ch);
	bool as_owner = weir__guard_take(&ch->send_queue.guard);
	int rc = 0;

	if (WEIR_UNLIKELY(MPSC_SEND_LOOKS_INSIDE ? MPSC_HELD(ch->closed) : was_closed)) {
		rc = -EPIPE;
	} else if (WEIR_LIKELY(MPSC_HELD(ch->len) < ch->capacity)) {
		WEIR_ASSERT(queue_is_empty(&ch->send_queue));
		mpsc_put(ch, message);
		if (MPSC_SEND_WAKES)
			*ret_rx = mpsc_take_rx(ch);
	} else {
		rc = -EAGAIN;
		if (waiter)
			queue_link(&ch->send_queue, waiter, WAIT_QUEUED);
	}
	weir__guard_drop(&ch->send_queue.guard, as_owner);
	return rc;
}

/*
 * waiter: registered if the ring is empty; may be NULL. The caller has set *ret_admitted to NULL.
 */
static inline int mpsc_recv(struct weir_mpsc *ch, size_t max, void *ret_messages,
			    struct weir__wait *waiter, struct weir__wait **ret_admitted)
{
	bool nothing = !MPSC_RECV_LOOKS_INSIDE && mpsc_len(ch) == 0 && !mpsc_closed(ch);
	bool as_owner = weir__guard_take(&ch->send_queue.guard);
	int rc;

	if (WEIR_LIKELY(MPSC_HELD(ch->len) > 0) && !nothing) {
		rc = mpsc_get_many(ch, max, (char *)ret_messages, ret_admitted);
	} else if (MPSC_HELD(ch->closed) && !nothing) {
		rc = 0;
	} else if (waiter && WEIR_RD(ch->rx)) {
		rc = -EBUSY;
	} else {
		rc = -EAGAIN;
		if (waiter) {
			WEIR_WR(ch->rx, waiter);
			weir__store(&waiter->state, (uint32_t)WAIT_QUEUED, WEIR_RELAXED);
		}
	}
	weir__guard_drop(&ch->send_queue.guard, as_owner);
	return rc;
}

/* [the poller of w] w is registered, or its wake-up has begun. */
static inline void mpsc_rx_take_back(struct weir_mpsc *ch, struct weir__wait *w)
{
	bool as_owner = weir__guard_take(&ch->send_queue.guard);

	if (WEIR_RD(ch->rx) == w || !MPSC_RX_CANCEL_LOOKS) {
		WEIR_WR(ch->rx, (struct weir__wait *)NULL);
		weir__store(&w->state, (uint32_t)WAIT_CANCELLED, WEIR_RELAXED);
	}
	weir__guard_drop(&ch->send_queue.guard, as_owner);
}

/* May be called more than once. */
static inline void mpsc_close(struct weir_mpsc *ch, struct weir__wait **ret_senders,
			      struct weir__wait **ret_rx)
{
	bool as_owner = weir__guard_take(&ch->send_queue.guard);

	*ret_senders = MPSC_CLOSE_TAKES_QUEUE ? queue_detach(&ch->send_queue) : NULL;
	*ret_rx = MPSC_CLOSE_TAKES_RX ? mpsc_take_rx(ch) : NULL;
	weir__store(&ch->closed, true, WEIR_RELAXED);
	weir__guard_drop(&ch->send_queue.guard, as_owner);
}

static inline void mpsc_add_sender(struct weir_mpsc *ch)
{
	weir__fetch_add(&ch->senders, (size_t)1, WEIR_RELAXED);
}

/* True if it was the last sender. */
static inline bool mpsc_drop_sender(struct weir_mpsc *ch)
{
	return weir__fetch_sub(&ch->senders, (size_t)1, MPSC_SENDER_ORDER) == 1;
}

/* Called once by the receiver and once by the last sender, both after closing. True: free it. */
static inline bool mpsc_unref(struct weir_mpsc *ch)
{
	return weir__fetch_sub(&ch->refs, 1u, MPSC_UNREF_ORDER) == 1;
}

#endif
