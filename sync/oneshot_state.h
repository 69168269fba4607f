/* SPDX-License-Identifier: MIT */
/*
 * oneshot_state.h: the state word of a oneshot channel: one sender, one
 * receiver, a plain value, a plain waker, and the last one out frees it.
 *
 *	VALUE_SENT	the sender has spoken: the value is there
 *	NO_VALUE	the sender has spoken: there will be none
 *	RX_WAITING	the receiver's waker is stored
 *	TX_CLOSED	the sender is out: it touches the channel no more
 *	RX_CLOSED	the receiver is out: it touches the channel no more
 *
 * Sender, once
 *	write the value; weir__oneshot_send(word, true)	  (or send(word, false) to drop it)
 *		SENT		out; the channel is not the sender's any more
 *		SENT_WAKE	copy the waker; weir__oneshot_tx_done = true: free the channel;
 *				then call the copy
 *		REFUSED		the receiver is gone: take the value back, free the channel
 * Receiver
 *	weir__oneshot_poll
 *		VALUE, CLOSED	(take the value;) weir__oneshot_rx_done = true: free the channel
 *		PENDING		write the waker; weir__oneshot_rx_wait = false: poll again
 *	a new waker: weir__oneshot_rx_unwait (false: poll again), write, rx_wait
 *	giving up: weir__oneshot_rx_cancel = true: out, the sender frees; false: it has spoken,
 *		go by poll, which says VALUE or CLOSED
 *
 * The waker belongs to the receiver while RX_WAITING is clear, to nobody while
 * it is set, and to the sender once it has spoken and found it set. What it
 * points to must be there for the sender's late call (as with a join waker,
 * core/task/state.h).
 *
 * Cost: sent before it is received, one exchange in all; received first, three.
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
#define ONESHOT_SEND_ORDER WEIR_ACQ_REL		/* the value out; the waker, or a refusal, in */
#endif
#ifndef ONESHOT_SEND_FAIL_ACQUIRE
#define ONESHOT_SEND_FAIL_ACQUIRE WEIR_ACQUIRE	/* a refusal in: the receiver is out */
#endif
#ifndef ONESHOT_POLL_ACQUIRE
#define ONESHOT_POLL_ACQUIRE WEIR_ACQUIRE	/* the value in, and the sender's leave */
#endif
#ifndef ONESHOT_WAIT_RELEASE
#define ONESHOT_WAIT_RELEASE WEIR_RELEASE	/* the waker out */
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
/* Switch for the model's mutants; 1 in the real thing. */
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

/* [setup] The maker hands the two halves on by means of its own. */
static inline void weir__oneshot_init(WEIR_ATOMIC(uint32_t) *word)
{
	weir__store(word, 0u, WEIR_RELAXED);
}

/* [sender] Once. Releases the value to poll; acquires the waker from rx_wait. */
static inline enum weir__oneshot_tx weir__oneshot_send(WEIR_ATOMIC(uint32_t) *word, bool value)
{
	uint32_t spoken = value ? WEIR__ONESHOT_VALUE_SENT : WEIR__ONESHOT_NO_VALUE;
	uint32_t cur = 0, next = spoken | WEIR__ONESHOT_TX_CLOSED;	/* the likely case first */

	while (!weir__cas_weak(word, &cur, next, ONESHOT_SEND_ORDER, ONESHOT_SEND_FAIL_ACQUIRE)) {
		if (cur & WEIR__ONESHOT_RX_CLOSED)
			return WEIR__ONESHOT_REFUSED;
		next = cur | spoken | WEIR__ONESHOT_TX_CLOSED;
		if (ONESHOT_TX_STAYS_FOR_WAKER && (cur & WEIR__ONESHOT_RX_WAITING))
			next = cur | spoken;
	}
	return cur & WEIR__ONESHOT_RX_WAITING ? WEIR__ONESHOT_SENT_WAKE : WEIR__ONESHOT_SENT;
}

/* [sender] After SENT_WAKE, the waker is copied. True: the receiver is out, free the channel. */
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

/* Replaces the whole word, in which only the sender can have changed anything. */
static inline bool weir__oneshot_rx_set(WEIR_ATOMIC(uint32_t) *word, uint32_t from, uint32_t to)
{
	return weir__cas(word, &from, to, ONESHOT_WAIT_RELEASE, WEIR_RELAXED);
}

/* [receiver] The waker is written. False: the sender has spoken meanwhile, poll. */
static inline bool weir__oneshot_rx_wait(WEIR_ATOMIC(uint32_t) *word)
{
	return weir__oneshot_rx_set(word, 0u, WEIR__ONESHOT_RX_WAITING);
}

/* [receiver] Takes the waker back. False: the sender has spoken, leave the waker alone and poll. */
static inline bool weir__oneshot_rx_unwait(WEIR_ATOMIC(uint32_t) *word)
{
	return weir__oneshot_rx_set(word, WEIR__ONESHOT_RX_WAITING, 0u);
}

/* [receiver] After the sender has spoken and the value is taken. True: free the channel. */
static inline bool weir__oneshot_rx_done(WEIR_ATOMIC(uint32_t) *word)
{
	if (weir__load(word, ONESHOT_POLL_ACQUIRE) & WEIR__ONESHOT_TX_CLOSED)
		return true;
	return weir__fetch_or(word, WEIR__ONESHOT_RX_CLOSED, ONESHOT_RX_DONE_ORDER) &
	       WEIR__ONESHOT_TX_CLOSED;
}

/* [receiver] Gives up. True: out. False: the sender has spoken; poll, then rx_done. */
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
