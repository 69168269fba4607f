/* SPDX-License-Identifier: MIT */
/*
 * mpsc.c: the bounded channel: futures and plain calls over sync/mpsc_state.h,
 * which has the ring, the wait queue of senders, and the guard around both.
 *
 * Why a lock: a lock-free ring with two kinds of waiters would need a locked
 * exchange to claim a cell and a fence on each side to see the other side's
 * waiter. That is three expensive instructions for each message; the guard costs
 * two, and none while it has an owner.
 */
#include "weir/sync/mpsc.h"

#include <stdlib.h>

#include "core/coop.h"
#include "sync/mpsc_state.h"
#include "sync/queue.h"

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
	mpsc_init(ch, capacity, message_bytes, ch + 1);
	*ret_mpsc = ch;
	return 0;
}

static void unref(struct weir_mpsc *ch)
{
	if (!mpsc_unref(ch))
		return;
	WEIR_ASSERT(queue_is_empty(&ch->send_queue) && !ch->rx);
	free(ch);
}

struct weir_mpsc *weir_mpsc_ref(struct weir_mpsc *mpsc)
{
	mpsc_add_sender(mpsc);
	return mpsc;
}

void weir_mpsc_unref(struct weir_mpsc *mpsc)
{
	if (!mpsc || !mpsc_drop_sender(mpsc))
		return;
	weir_mpsc_close(mpsc);
	unref(mpsc);
}

void weir_mpsc_free(struct weir_mpsc *mpsc)
{
	if (!mpsc)
		return;
	weir_mpsc_close(mpsc);
	unref(mpsc);
}

void weir_mpsc_close(struct weir_mpsc *mpsc)
{
	struct weir__wait *senders, *rx;

	mpsc_close(mpsc, &senders, &rx);
	weir__wait_finish_chain(senders, -EPIPE);
	if (rx)
		weir__wait_finish(rx, 0);
}

size_t weir_mpsc_len(const struct weir_mpsc *mpsc)
{
	return mpsc_len(mpsc);
}

size_t weir_mpsc_capacity(const struct weir_mpsc *mpsc)
{
	return mpsc->capacity;
}

bool weir_mpsc_is_closed(const struct weir_mpsc *mpsc)
{
	return mpsc_closed(mpsc);
}

/* ---- sending ---- */

static int send_or_queue(struct weir_mpsc *ch, const void *message, struct weir__wait *waiter)
{
	struct weir__wait *rx = NULL;
	int rc;

	if (WEIR_UNLIKELY(!message && ch->bytes))
		return -EINVAL;
	rc = mpsc_send(ch, message, waiter, &rx);
	if (rx)
		weir__wait_finish(rx, 0);
	return rc;
}

int weir_mpsc_send_try(struct weir_mpsc *mpsc, const void *message)
{
	return send_or_queue(mpsc, message, NULL);
}

static int send_fast(struct weir_mpsc *ch, const void *message)
{
	if (mpsc_len(ch) >= ch->capacity || !weir__coop_fast())
		return -EAGAIN;
	return weir_mpsc_send_try(ch, message);
}

int weir_mpsc_send(struct weir_mpsc *mpsc, const void *message)
{
	struct weir_mpsc_send_future send;
	int rc = send_fast(mpsc, message);

	if (WEIR_LIKELY(rc != -EAGAIN))
		return rc;
	weir_mpsc_send_init(&send, mpsc, message);
	return weir_await(&send.future);
}

int weir_mpsc_send_until(struct weir_mpsc *mpsc, const void *message, uint64_t deadline)
{
	struct weir_mpsc_send_future send;
	int rc = send_fast(mpsc, message);

	if (WEIR_LIKELY(rc != -EAGAIN))
		return rc;
	weir_mpsc_send_init(&send, mpsc, message);
	return weir_await_until(&send.future, deadline);
}

static int send_poll(struct weir_future *future, struct weir_cx *cx)
{
	struct weir_mpsc_send_future *send =
		WEIR_CONTAINER_OF(future, struct weir_mpsc_send_future, future);
	int rc = weir__wait_begin(&send->wait, cx);

	if (rc != WAIT_START)
		return rc;
	rc = weir_mpsc_send_try(send->mpsc, send->message);
	if (rc != -EAGAIN)
		return wait_now(&send->wait, rc);
	weir__leaf_arm(&send->wait.leaf, cx);
	rc = send_or_queue(send->mpsc, send->message, &send->wait);
	if (rc != -EAGAIN)
		return wait_now(&send->wait, rc);
	weir__coop_refund(cx);
	return WEIR_PENDING;
}

static void send_cancel(struct weir_future *future)
{
	struct weir_mpsc_send_future *send =
		WEIR_CONTAINER_OF(future, struct weir_mpsc_send_future, future);

	weir__wait_cancel_simply(&send->wait, &send->mpsc->send_queue);
}

static const struct weir_future_ops send_ops = { "mpsc send", send_poll, send_cancel, NULL };

void weir_mpsc_send_init(struct weir_mpsc_send_future *send, struct weir_mpsc *mpsc,
			 const void *message)
{
	wait_init(&send->wait, &send_ops);
	send->mpsc = mpsc;
	send->message = message;
}

/* ---- receiving ---- */

static int recv_or_wait(struct weir_mpsc *ch, size_t max, void *ret_messages,
			struct weir__wait *waiter)
{
	struct weir__wait *admitted = NULL;
	int rc;

	if (WEIR_UNLIKELY(!ret_messages && ch->bytes))
		return -EINVAL;
	rc = mpsc_recv(ch, max, ret_messages, waiter, &admitted);
	if (admitted)
		weir__wait_finish_chain(admitted, 0);
	return rc;
}

int weir_mpsc_recv_try(struct weir_mpsc *mpsc, void *ret_message)
{
	return recv_or_wait(mpsc, 1, ret_message, NULL);
}

static int recv_fast(struct weir_mpsc *ch, size_t max, void *ret_messages)
{
	if (mpsc_len(ch) == 0 || !weir__coop_fast())
		return -EAGAIN;
	return recv_or_wait(ch, max, ret_messages, NULL);
}

int weir_mpsc_recv_many_until(struct weir_mpsc *mpsc, size_t max, uint64_t deadline,
			      void *ret_messages)
{
	struct weir_mpsc_recv_future recv;
	int rc;

	if (max == 0)
		return -EINVAL;
	rc = recv_fast(mpsc, max, ret_messages);
	if (WEIR_LIKELY(rc != -EAGAIN))
		return rc;
	weir_mpsc_recv_init(&recv, mpsc, max, ret_messages);
	return weir_await_until(&recv.future, deadline);
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
 * A woken receive holds no message yet: DONE only tells it to look again. It takes its messages in
 * this poll, so a receive that is cancelled after its wake-up loses none.
 */
static int recv_poll(struct weir_future *future, struct weir_cx *cx)
{
	struct weir_mpsc_recv_future *recv =
		WEIR_CONTAINER_OF(future, struct weir_mpsc_recv_future, future);
	struct weir__wait *w = &recv->wait;
	uint32_t state = wait_state(w);
	int rc = 0;

	if (state == WAIT_QUEUED || state == WAIT_CANCELLED)
		return weir__wait_begin(w, cx);
	if (recv->max == 0)
		return -EINVAL;
	if (recv->cancelled)
		return wait_now(w, -ECANCELED);
	if (!weir__coop_take(cx))
		return WEIR_PENDING;
	if (!weir__leaf_is_armed(&w->leaf)) {
		rc = recv_or_wait(recv->mpsc, recv->max, recv->ret_messages, NULL);
		if (rc != -EAGAIN)
			return wait_now(w, rc);
		weir__leaf_arm(&w->leaf, cx);
	}
	rc = recv_or_wait(recv->mpsc, recv->max, recv->ret_messages, w);
	if (rc != -EAGAIN)
		return wait_now(w, rc);
	weir__coop_refund(cx);
	return WEIR_PENDING;
}

static void recv_cancel(struct weir_future *future)
{
	struct weir_mpsc_recv_future *recv =
		WEIR_CONTAINER_OF(future, struct weir_mpsc_recv_future, future);
	struct weir__wait *w = &recv->wait;
	uint32_t state = weir__load(&w->state, WEIR_RELAXED);

	if (state == WAIT_IDLE)
		weir__store(&w->state, (uint32_t)WAIT_CANCELLED, WEIR_RELAXED);
	recv->cancelled = true;
	if (state == WAIT_QUEUED)
		mpsc_rx_take_back(recv->mpsc, w);
}

static const struct weir_future_ops recv_ops = { "mpsc receive", recv_poll, recv_cancel, NULL };

void weir_mpsc_recv_init(struct weir_mpsc_recv_future *recv, struct weir_mpsc *mpsc, size_t max,
			 void *ret_messages)
{
	wait_init(&recv->wait, &recv_ops);
	recv->mpsc = mpsc;
	recv->ret_messages = ret_messages;
	recv->max = max;
	recv->cancelled = false;
}
