/* SPDX-License-Identifier: MIT */
/*
 * mpsc.c: the bounded channel: a ring and a line of senders under one guard.
 *
 * Invariants, between two holders of the guard:
 *  - somebody is in line only while the ring is full and the channel open;
 *  - a receiver waits (.rx) only while the ring is empty and the channel open.
 *
 * Whoever makes room copies the first message in line into it himself; so a place
 * is never on its way to somebody who might not come.
 *
 * Why a lock: a lock-free ring with two kinds of waiters needs a locked exchange
 * to claim a cell, and a fence on either side to see the other's waiter: three
 * where this has two, and none where the guard has an owner.
 */
#include "weir/sync/mpsc.h"

#include <stdlib.h>
#include <string.h>

#include "core/coop.h"
#include "sync/queue.h"

struct weir_mpsc {
	struct weir__wait_queue line;	/* senders that wait */
	struct weir__wait *rx;		/* the receive that waits */
	char *ring;
	size_t bytes;
	size_t capacity;
	size_t head;			/* index of the oldest message */
	size_t len;			/* atomic; written with the guard held */
	bool closed;			/* atomic; written with the guard held */
	uint32_t holds;			/* the receiver, and all senders together */
	size_t senders;
};

/* ---- the ring; guard held ---- */

static void copy_message(void *to, const void *from, size_t bytes)
{
	if (WEIR_LIKELY(bytes == sizeof(uint64_t)))	/* mostly: spare it the call */
		memcpy(to, from, sizeof(uint64_t));
	else if (bytes)
		memcpy(to, from, bytes);
}

static void put_locked(struct weir_mpsc *ch, const void *message)
{
	size_t len = ch->len, at = ch->head + len;

	WEIR_ASSERT(len < ch->capacity);
	if (at >= ch->capacity)
		at -= ch->capacity;
	copy_message(ch->ring + at * ch->bytes, message, ch->bytes);
	weir__store(&ch->len, len + 1, WEIR_RELAXED);
}

static void get_locked(struct weir_mpsc *ch, void *ret_message)
{
	size_t len = ch->len - 1, next = ch->head + 1;

	copy_message(ret_message, ch->ring + ch->head * ch->bytes, ch->bytes);
	/* An empty ring starts anew: a short queue stays in the same few cache lines. */
	ch->head = next == ch->capacity || len == 0 ? 0 : next;
	weir__store(&ch->len, len, WEIR_RELAXED);
}

/* Fill the room there is from the line; the senders of it are for wait_finish_chain. */
static struct weir__wait *admit_locked(struct weir_mpsc *ch)
{
	struct weir__wait *admitted = NULL, **end = &admitted, *w;

	while (ch->len < ch->capacity && (w = queue_pop(&ch->line)) != NULL) {
		put_locked(ch, WEIR_CONTAINER_OF(w, struct weir_mpsc_send, wait)->message);
		*end = w;
		end = &w->next;
	}
	return admitted;
}

/* The receive that waits, no longer registered: for wait_finish. */
static struct weir__wait *take_rx_locked(struct weir_mpsc *ch)
{
	struct weir__wait *rx = ch->rx;

	ch->rx = NULL;
	return rx;
}

/* ---- life ---- */

int weir_mpsc_new(size_t capacity, size_t message_bytes, struct weir_mpsc **ret_mpsc)
{
	struct weir_mpsc *ch;

	if (capacity == 0)
		return -EINVAL;
	if (message_bytes && capacity > (SIZE_MAX - sizeof *ch) / message_bytes)
		return -ENOMEM;
	ch = malloc(sizeof *ch + capacity * message_bytes);
	if (!ch)
		return -ENOMEM;
	memset(ch, 0, sizeof *ch);
	queue_init(&ch->line);
	ch->ring = (char *)(ch + 1);
	ch->bytes = message_bytes;
	ch->capacity = capacity;
	ch->holds = 2;
	ch->senders = 1;
	*ret_mpsc = ch;
	return 0;
}

static void unhold(struct weir_mpsc *ch)
{
	/* Release our use, acquire the other side's, before it is freed. */
	if (weir__fetch_sub(&ch->holds, 1u, WEIR_ACQ_REL) != 1)
		return;
	WEIR_ASSERT(!ch->line.head && !ch->rx);
	free(ch);
}

struct weir_mpsc *weir_mpsc_ref(struct weir_mpsc *mpsc)
{
	weir__fetch_add(&mpsc->senders, (size_t)1, WEIR_RELAXED);
	return mpsc;
}

void weir_mpsc_unref(struct weir_mpsc *mpsc)
{
	if (!mpsc || weir__fetch_sub(&mpsc->senders, (size_t)1, WEIR_ACQ_REL) != 1)
		return;
	weir_mpsc_close(mpsc);
	unhold(mpsc);
}

void weir_mpsc_free(struct weir_mpsc *mpsc)
{
	if (!mpsc)
		return;
	weir_mpsc_close(mpsc);
	unhold(mpsc);
}

void weir_mpsc_close(struct weir_mpsc *mpsc)
{
	bool as_owner = weir__guard_take(&mpsc->line.guard);
	struct weir__wait *line = queue_detach(&mpsc->line);
	struct weir__wait *rx = take_rx_locked(mpsc);

	weir__store(&mpsc->closed, true, WEIR_RELAXED);
	weir__guard_drop(&mpsc->line.guard, as_owner);
	wait_finish_chain(line, -EPIPE);
	if (rx)
		wait_finish(rx, 0);
}

size_t weir_mpsc_len(const struct weir_mpsc *mpsc)
{
	return weir__load(&mpsc->len, WEIR_RELAXED);
}

size_t weir_mpsc_capacity(const struct weir_mpsc *mpsc)
{
	return mpsc->capacity;
}

bool weir_mpsc_is_closed(const struct weir_mpsc *mpsc)
{
	return weir__load(&mpsc->closed, WEIR_RELAXED);
}

/* ---- sending ---- */

/* waiter: to be put in line if the channel is full; NULL: not. -EAGAIN: it is full. */
static int send_or_queue(struct weir_mpsc *ch, const void *message, struct weir__wait *waiter)
{
	bool as_owner = weir__guard_take(&ch->line.guard);
	struct weir__wait *rx = NULL;
	int rc = 0;

	if (WEIR_UNLIKELY(ch->closed)) {
		rc = -EPIPE;
	} else if (WEIR_LIKELY(ch->len < ch->capacity)) {
		WEIR_ASSERT(!ch->line.head);
		put_locked(ch, message);
		rx = take_rx_locked(ch);
	} else {
		rc = -EAGAIN;
		if (waiter)
			queue_push(&ch->line, waiter, WAIT_QUEUED);
	}
	weir__guard_drop(&ch->line.guard, as_owner);
	if (rx)
		wait_finish(rx, 0);
	return rc;
}

int weir_mpsc_send_try(struct weir_mpsc *mpsc, const void *message)
{
	return send_or_queue(mpsc, message, NULL);
}

static int send_fast(struct weir_mpsc *ch, const void *message)
{
	if (weir__load(&ch->len, WEIR_RELAXED) >= ch->capacity || !weir__coop_fast())
		return -EAGAIN;
	return weir_mpsc_send_try(ch, message);
}

int weir_mpsc_send(struct weir_mpsc *mpsc, const void *message)
{
	struct weir_mpsc_send send;
	int rc = send_fast(mpsc, message);

	if (WEIR_LIKELY(rc != -EAGAIN))
		return rc;
	weir_mpsc_send_init(&send, mpsc, message);
	return weir_await(&send.wait.leaf.future);
}

int weir_mpsc_send_until(struct weir_mpsc *mpsc, const void *message, uint64_t deadline)
{
	struct weir_mpsc_send send;
	int rc = send_fast(mpsc, message);

	if (WEIR_LIKELY(rc != -EAGAIN))
		return rc;
	weir_mpsc_send_init(&send, mpsc, message);
	return weir_await_until(&send.wait.leaf.future, deadline);
}

static int send_poll(struct weir_future *future, struct weir_cx *cx)
{
	struct weir_mpsc_send *send =
		WEIR_CONTAINER_OF(future, struct weir_mpsc_send, wait.leaf.future);
	int rc = wait_begin(&send->wait, cx);

	if (rc != WAIT_START)
		return rc;
	rc = weir_mpsc_send_try(send->mpsc, send->message);
	if (rc != -EAGAIN)
		return wait_now(&send->wait, rc);
	weir__leaf_arm(&send->wait.leaf, cx);
	rc = send_or_queue(send->mpsc, send->message, &send->wait);
	if (rc != -EAGAIN)
		return wait_now(&send->wait, rc);
	weir_coop_refund(cx);
	return WEIR_PENDING;
}

static void send_cancel(struct weir_future *future)
{
	struct weir_mpsc_send *send =
		WEIR_CONTAINER_OF(future, struct weir_mpsc_send, wait.leaf.future);

	wait_cancel_simply(&send->wait, &send->mpsc->line);
}

static const struct weir_future_ops send_ops = { "mpsc send", send_poll, send_cancel, NULL };

void weir_mpsc_send_init(struct weir_mpsc_send *send, struct weir_mpsc *mpsc, const void *message)
{
	wait_init(&send->wait, &send_ops);
	send->mpsc = mpsc;
	send->message = message;
}

/* ---- receiving ---- */

/* Guard held. As many as there are, up to max; the line moves up once per message. */
static int get_many_locked(struct weir_mpsc *ch, size_t max, char *ret_messages,
			   struct weir__wait **ret_admitted)
{
	size_t n = max < ch->len ? max : ch->len, i;

	if (n > INT_MAX)
		n = INT_MAX;
	for (i = 0; i < n; i++)
		get_locked(ch, ret_messages + i * ch->bytes);
	if (ch->line.head)
		*ret_admitted = admit_locked(ch);
	return (int)n;
}

/* waiter: to be registered if there is nothing; NULL: not. -EAGAIN: there is nothing. */
static int recv_or_wait(struct weir_mpsc *ch, size_t max, void *ret_messages,
			struct weir__wait *waiter)
{
	bool as_owner = weir__guard_take(&ch->line.guard);
	struct weir__wait *admitted = NULL;
	int rc;

	if (WEIR_LIKELY(ch->len > 0)) {
		rc = get_many_locked(ch, max, ret_messages, &admitted);
	} else if (ch->closed) {
		rc = 0;
	} else if (waiter && ch->rx) {
		rc = -EBUSY;
	} else {
		rc = -EAGAIN;
		if (waiter) {
			ch->rx = waiter;
			weir__store(&waiter->state, (uint32_t)WAIT_QUEUED, WEIR_RELAXED);
		}
	}
	weir__guard_drop(&ch->line.guard, as_owner);
	if (admitted)
		wait_finish_chain(admitted, 0);
	return rc;
}

int weir_mpsc_recv_try(struct weir_mpsc *mpsc, void *ret_message)
{
	return recv_or_wait(mpsc, 1, ret_message, NULL);
}

static int recv_fast(struct weir_mpsc *ch, size_t max, void *ret_messages)
{
	if (weir__load(&ch->len, WEIR_RELAXED) == 0 || !weir__coop_fast())
		return -EAGAIN;
	return recv_or_wait(ch, max, ret_messages, NULL);
}

int weir_mpsc_recv_many_until(struct weir_mpsc *mpsc, size_t max, uint64_t deadline,
			      void *ret_messages)
{
	struct weir_mpsc_recv recv;
	int rc;

	if (max == 0)
		return -EINVAL;
	rc = recv_fast(mpsc, max, ret_messages);
	if (WEIR_LIKELY(rc != -EAGAIN))
		return rc;
	weir_mpsc_recv_init(&recv, mpsc, max, ret_messages);
	return weir_await_until(&recv.wait.leaf.future, deadline);
}

int weir_mpsc_recv_many(struct weir_mpsc *mpsc, size_t max, void *ret_messages)
{
	return weir_mpsc_recv_many_until(mpsc, max, WEIR_FOREVER, ret_messages);
}

int weir_mpsc_recv(struct weir_mpsc *mpsc, void *ret_message)
{
	return weir_mpsc_recv_many_until(mpsc, 1, WEIR_FOREVER, ret_message);
}

int weir_mpsc_recv_until(struct weir_mpsc *mpsc, uint64_t deadline, void *ret_message)
{
	return weir_mpsc_recv_many_until(mpsc, 1, deadline, ret_message);
}

/*
 * DONE says no more than "look again": a woken receive takes its messages here, not when it
 * was woken, so that none is lost with a receive that is given up.
 */
static int recv_poll(struct weir_future *future, struct weir_cx *cx)
{
	struct weir_mpsc_recv *recv =
		WEIR_CONTAINER_OF(future, struct weir_mpsc_recv, wait.leaf.future);
	struct weir__wait *w = &recv->wait;
	uint32_t state = weir__load(&w->state, WEIR_ACQUIRE);
	int rc = 0;

	if (state == WAIT_QUEUED || state == WAIT_CANCELLED)
		return wait_begin(w, cx);
	if (recv->max == 0)
		return -EINVAL;
	if (!weir_coop_take(cx))
		return WEIR_PENDING;
	if (!weir__leaf_is_armed(&w->leaf)) {
		rc = recv_or_wait(recv->mpsc, recv->max, recv->ret_messages, NULL);
		if (rc != -EAGAIN)
			return wait_now(w, rc);
		weir__leaf_arm(&w->leaf, cx);
	}
	rc = recv_or_wait(recv->mpsc, recv->max, recv->ret_messages, recv->cancelled ? NULL : w);
	if (rc == -EAGAIN && recv->cancelled)
		rc = -ECANCELED;
	if (rc != -EAGAIN)
		return wait_now(w, rc);
	weir_coop_refund(cx);
	return WEIR_PENDING;
}

static void recv_cancel(struct weir_future *future)
{
	struct weir_mpsc_recv *recv =
		WEIR_CONTAINER_OF(future, struct weir_mpsc_recv, wait.leaf.future);
	struct weir__wait *w = &recv->wait;
	uint32_t state = weir__load(&w->state, WEIR_RELAXED);
	bool as_owner;

	if (state == WAIT_IDLE)
		weir__store(&w->state, (uint32_t)WAIT_CANCELLED, WEIR_RELAXED);
	recv->cancelled = true;
	if (state != WAIT_QUEUED)
		return;
	as_owner = weir__guard_take(&recv->mpsc->line.guard);
	if (recv->mpsc->rx == w) {
		recv->mpsc->rx = NULL;
		weir__store(&w->state, (uint32_t)WAIT_CANCELLED, WEIR_RELAXED);
	}
	weir__guard_drop(&recv->mpsc->line.guard, as_owner);
}

static const struct weir_future_ops recv_ops = { "mpsc receive", recv_poll, recv_cancel, NULL };

void weir_mpsc_recv_init(struct weir_mpsc_recv *recv, struct weir_mpsc *mpsc, size_t max,
			 void *ret_messages)
{
	wait_init(&recv->wait, &recv_ops);
	recv->mpsc = mpsc;
	recv->ret_messages = ret_messages;
	recv->max = max;
	recv->cancelled = false;
}
