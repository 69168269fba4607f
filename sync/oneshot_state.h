/* SPDX-License-Identifier: MIT */
/*
 * oneshot_state.h: the state word of a oneshot channel: one sender, one receiver,
 * a plain value and a plain waker. The end that leaves last frees the channel.
 *
 *	VALUE_SENT	the sender has sent: the value is there
 *	NO_VALUE	the sender has dropped: there will be no value
 *	RX_WAITING	the receiver's waker is stored
 *	TX_CLOSED	the sender has left: it touches the channel no more
 *	RX_CLOSED	the receiver has left: it touches the channel no more
 *
 * Sender, once
 *	write the value; weir__oneshot_send(word, true)	  (or send(word, false) to drop it)
 *		SENT		the sender has left and must not touch the channel
 *		SENT_WAKE	copy the waker; weir__oneshot_tx_done = true: free the channel;
 *				then call the copy
 *		REFUSED		the receiver has left: keep the value, free the channel
 * Receiver
 *	weir__oneshot_poll
 *		VALUE, NO_VALUE	(take the value;) weir__oneshot_rx_done = true: free the channel
 *		PENDING		write the waker; weir__oneshot_rx_wait = false: poll again
 *	to replace the waker: weir__oneshot_rx_unwait (false: poll again), write, rx_wait
 *	to give up: weir__oneshot_rx_cancel = true: the receiver has left, the sender frees;
 *		false: too late, the sender has sent or dropped; poll says which
 *
 * The receiver may touch the waker while RX_WAITING is clear. Nobody may while it
 * is set, except a sender that has found it set in its send. What the waker
 * points to must survive the sender's late call (as with a join waker,
 * core/task/state.h).
 *
 * Cost: one exchange in all if the value is sent before the receive, three if the
 * receiver waits first.
 */
#ifndef WEIR_SYNC_ONESHOT_STATE_H
#define WEIR_SYNC_ONESHOT_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/assert.h"
#include "core/atomic.h"

#define WEIR__ONESHOT_VALUE_SENT 1u
#define WEIR__ONESHOT_NO_VALUE 2u
#define WEIR__ONESHOT_RX_WAITING 4u
#define WEIR__ONESHOT_TX_CLOSED 8u
#define WEIR__ONESHOT_RX_CLOSED 16u

#ifndef ONESHOT_SEND_ORDER
/* releases the value; acquires the waker, or a refusal */
#define ONESHOT_SEND_ORDER WEIR_ACQ_REL
#endif
#ifndef ONESHOT_SEND_FAIL_ACQUIRE
#define ONESHOT_SEND_FAIL_ACQUIRE WEIR_ACQUIRE	/* acquires a refusal: the receiver has left */
#endif
#ifndef ONESHOT_POLL_ACQUIRE
#define ONESHOT_POLL_ACQUIRE WEIR_ACQUIRE	/* acquires the value, and the sender's TX_CLOSED */
#endif
#ifndef ONESHOT_WAIT_RELEASE
#define ONESHOT_WAIT_RELEASE WEIR_RELEASE	/* releases the waker */
#endif
#ifndef ONESHOT_TX_DONE_ORDER
#define ONESHOT_TX_DONE_ORDER WEIR_ACQ_REL
#endif
#ifndef ONESHOT_RX_DONE_ORDER
#define ONESHOT_RX_DONE_ORDER WEIR_ACQ_REL
#endif
#ifndef ONESHOT_RX_CANCEL_RELEASE
#define ONESHOT_RX_CANCEL_RELEASE WEIR_RELEASE
#endif
/* Switch for the model's mutants; always 1 in production. */
#ifndef ONESHOT_TX_STAYS_FOR_WAKER
#define ONESHOT_TX_STAYS_FOR_WAKER 1
#endif

enum weir__oneshot_tx {
	WEIR__ONESHOT_SENT,
	WEIR__ONESHOT_SENT_WAKE,
	WEIR__ONESHOT_REFUSED
};

enum weir__oneshot_rx {
	WEIR__ONESHOT_RX_PENDING,
	WEIR__ONESHOT_RX_VALUE,
	WEIR__ONESHOT_RX_NO_VALUE
};

/* [setup] The creator passes the two ends on by its own means. */
static inline void weir__oneshot_init(WEIR_ATOMIC(uint32_t) *word)
{
	weir__store(word, 0u, WEIR_RELAXED);
}

/* [sender] Once. Releases the value to poll; acquires the waker from rx_wait. */
static inline enum weir__oneshot_tx weir__oneshot_send(WEIR_ATOMIC(uint32_t) *word, bool value)
{
	uint32_t sent = value ? WEIR__ONESHOT_VALUE_SENT : WEIR__ONESHOT_NO_VALUE;
	uint32_t cur = 0, next = sent | WEIR__ONESHOT_TX_CLOSED;	/* the likely case first */

	while (!weir__cas_weak(word, &cur, next, ONESHOT_SEND_ORDER, ONESHOT_SEND_FAIL_ACQUIRE)) {
		if (cur & WEIR__ONESHOT_RX_CLOSED)
			return WEIR__ONESHOT_REFUSED;
		next = cur | sent | WEIR__ONESHOT_TX_CLOSED;
		if (ONESHOT_TX_STAYS_FOR_WAKER && (cur & WEIR__ONESHOT_RX_WAITING))
			next = cur | sent;
	}
	return cur & WEIR__ONESHOT_RX_WAITING ? WEIR__ONESHOT_SENT_WAKE : WEIR__ONESHOT_SENT;
}

/*
 * [sender] After SENT_WAKE, once the waker is copied. True: the receiver has left, free the
 * channel.
 */
static inline bool weir__oneshot_tx_done(WEIR_ATOMIC(uint32_t) *word)
{
	return weir__fetch_or(word, WEIR__ONESHOT_TX_CLOSED, ONESHOT_TX_DONE_ORDER) &
	       WEIR__ONESHOT_RX_CLOSED;
}

/* [receiver] */
static inline enum weir__oneshot_rx weir__oneshot_poll(WEIR_ATOMIC(uint32_t) *word)
{
	uint32_t cur = weir__load(word, ONESHOT_POLL_ACQUIRE);

	if (cur & WEIR__ONESHOT_VALUE_SENT)
		return WEIR__ONESHOT_RX_VALUE;
	return cur & WEIR__ONESHOT_NO_VALUE ? WEIR__ONESHOT_RX_NO_VALUE : WEIR__ONESHOT_RX_PENDING;
}

/* Replaces the whole word, which only the sender can have changed since. */
static inline bool weir__oneshot_rx_set(WEIR_ATOMIC(uint32_t) *word, uint32_t from, uint32_t to)
{
	return weir__cas(word, &from, to, ONESHOT_WAIT_RELEASE, WEIR_RELAXED);
}

/* [receiver] After the waker is written. False: the sender has sent or dropped, poll again. */
static inline bool weir__oneshot_rx_wait(WEIR_ATOMIC(uint32_t) *word)
{
	return weir__oneshot_rx_set(word, 0u, WEIR__ONESHOT_RX_WAITING);
}

/*
 * [receiver] Takes the waker back. False: the sender has sent or dropped; leave the waker alone,
 * poll.
 */
static inline bool weir__oneshot_rx_unwait(WEIR_ATOMIC(uint32_t) *word)
{
	return weir__oneshot_rx_set(word, WEIR__ONESHOT_RX_WAITING, 0u);
}

/*
 * [receiver] After poll has said VALUE or NO_VALUE and the value is taken. True: free the channel.
 */
static inline bool weir__oneshot_rx_done(WEIR_ATOMIC(uint32_t) *word)
{
	if (weir__load(word, ONESHOT_POLL_ACQUIRE) & WEIR__ONESHOT_TX_CLOSED)
		return true;
	return weir__fetch_or(word, WEIR__ONESHOT_RX_CLOSED, ONESHOT_RX_DONE_ORDER) &
	       WEIR__ONESHOT_TX_CLOSED;
}

/*
 * [receiver] Gives up. True: it has left. False: the sender has sent or dropped; poll, then
 * rx_done.
 */
static inline bool weir__oneshot_rx_cancel(WEIR_ATOMIC(uint32_t) *word)
{
	uint32_t cur = weir__load(word, WEIR_RELAXED);

	do {
		if (cur & (WEIR__ONESHOT_VALUE_SENT | WEIR__ONESHOT_NO_VALUE))
			return false;
	} while (!weir__cas_weak(word, &cur, cur | WEIR__ONESHOT_RX_CLOSED,
				 ONESHOT_RX_CANCEL_RELEASE, WEIR_RELAXED));
	return true;
}

#endif
