/* SPDX-License-Identifier: MIT */
/*
 * oneshot.c: the oneshot channel over sync/oneshot_state.h. What that header
 * calls the waker is here the receiver's leaf, which lies in the receive future.
 * So the receiver stays pending until the sender has set TX_CLOSED: by then the
 * sender has copied the waker and touches neither the leaf nor the channel any
 * more.
 */
#include "weir/sync/oneshot.h"

#include <stdlib.h>
#include <string.h>

#include "weir/task.h"
#include "core/coop.h"
#include "core/leaf.h"
#include "sync/oneshot_state.h"

static void copy_value(void *to, const void *from, size_t bytes)
{
	if (WEIR_LIKELY(bytes == sizeof(uint64_t)))	/* the usual size, copied without a call */
		memcpy(to, from, sizeof(uint64_t));
	else if (bytes)
		memcpy(to, from, bytes);
}

void weir_oneshot_init(struct weir_oneshot *oneshot, void *value, size_t value_bytes)
{
	weir__oneshot_init(&oneshot->word);
	oneshot->heap = false;
	oneshot->value_bytes = value_bytes;
	oneshot->value = value;
	oneshot->rx = NULL;
}

int weir_oneshot_new(size_t value_bytes, struct weir_oneshot **ret_oneshot)
{
	struct weir_oneshot *ch;

	if (value_bytes > SIZE_MAX - sizeof *ch)
		return -ENOMEM;
	ch = malloc(sizeof *ch + value_bytes);
	if (!ch)
		return -ENOMEM;
	weir_oneshot_init(ch, ch + 1, value_bytes);
	ch->heap = true;
	*ret_oneshot = ch;
	return 0;
}

/* Called by whichever end leaves last. */
static void release(struct weir_oneshot *ch)
{
	if (ch->heap)
		free(ch);
}

static int send_or_drop(struct weir_oneshot *ch, bool value)
{
	struct weir__wakeup wakeup;

	switch (weir__oneshot_send(&ch->word, value)) {
	case WEIR__ONESHOT_SENT:
		return 0;
	case WEIR__ONESHOT_SENT_WAKE:
		weir__leaf_waker(ch->rx, &wakeup);
		if (weir__oneshot_tx_done(&ch->word))
			release(ch);
		weir__waker_fire(&wakeup);
		return 0;
	default:
		/* The receiver has left and never looks again; this was the last use. */
		release(ch);
		return -EPIPE;
	}
}

int weir_oneshot_send(struct weir_oneshot *oneshot, const void *value)
{
	if (WEIR_UNLIKELY(!value && oneshot->value_bytes)) {
		send_or_drop(oneshot, false);
		return -EINVAL;
	}
	copy_value(oneshot->value, value, oneshot->value_bytes);
	return send_or_drop(oneshot, true);
}

void weir_oneshot_drop(struct weir_oneshot *oneshot)
{
	if (oneshot)
		send_or_drop(oneshot, false);
}

bool weir_oneshot_is_closed(const struct weir_oneshot *oneshot)
{
	return weir__load(&oneshot->word, WEIR_RELAXED) & WEIR__ONESHOT_RX_CLOSED;
}

/*
 * The sender has sent or dropped, and left. Takes the value, if any; the receiver leaves with
 * this.
 */
static inline int take(struct weir_oneshot *ch, enum weir__oneshot_rx outcome, void *ret_value)
{
	int rc = outcome == WEIR__ONESHOT_RX_VALUE ? 0 : -EPIPE;

	if (rc == 0 && ret_value && ret_value != ch->value)
		copy_value(ret_value, ch->value, ch->value_bytes);
	if (weir__oneshot_rx_done(&ch->word))
		release(ch);
	return rc;
}

int weir_oneshot_recv_try(struct weir_oneshot *oneshot, void *ret_value)
{
	enum weir__oneshot_rx outcome = weir__oneshot_poll(&oneshot->word);

	return outcome == WEIR__ONESHOT_RX_PENDING ? -EAGAIN : take(oneshot, outcome, ret_value);
}

int weir_oneshot_close(struct weir_oneshot *oneshot, void *ret_value)
{
	if (weir__oneshot_rx_cancel(&oneshot->word))
		return -EPIPE;
	return take(oneshot, weir__oneshot_poll(&oneshot->word), ret_value);
}

static bool recv_fast(struct weir_oneshot *ch)
{
	return weir__oneshot_poll(&ch->word) != WEIR__ONESHOT_RX_PENDING && weir__coop_fast();
}

int weir_oneshot_recv(struct weir_oneshot *oneshot, void *ret_value)
{
	struct weir_oneshot_recv_future recv;

	if (WEIR_LIKELY(recv_fast(oneshot)))
		return weir_oneshot_recv_try(oneshot, ret_value);
	weir_oneshot_recv_init(&recv, oneshot, ret_value);
	return weir_await(&recv.future);
}

int weir_oneshot_recv_until(struct weir_oneshot *oneshot, uint64_t deadline, void *ret_value)
{
	struct weir_oneshot_recv_future recv;

	if (WEIR_LIKELY(recv_fast(oneshot)))
		return weir_oneshot_recv_try(oneshot, ret_value);
	weir_oneshot_recv_init(&recv, oneshot, ret_value);
	return weir_await_until(&recv.future, deadline);
}

static int finish(struct weir_oneshot_recv_future *recv, enum weir__oneshot_rx outcome)
{
	if (weir__leaf_is_armed(&recv->leaf))
		weir__leaf_disarm(&recv->leaf);
	return take(recv->oneshot, outcome, recv->ret_value);
}

/* The sender has neither sent nor dropped yet. */
static int wait_for_sender(struct weir_oneshot_recv_future *recv, struct weir_cx *cx)
{
	struct weir_oneshot *ch = recv->oneshot;

	if (recv->cancelled) {
		if (weir__leaf_is_armed(&recv->leaf))
			weir__leaf_disarm(&recv->leaf);
		return -ECANCELED;
	}
	if (weir__leaf_is_armed(&recv->leaf))
		return WEIR_PENDING;
	if (!weir__coop_take(cx))
		return WEIR_PENDING;
	weir__leaf_arm(&recv->leaf, cx);
	ch->rx = &recv->leaf;
	if (!weir__oneshot_rx_wait(&ch->word))
		return finish(recv, weir__oneshot_poll(&ch->word));
	weir__coop_refund(cx);
	return WEIR_PENDING;
}

static int recv_poll(struct weir_future *future, struct weir_cx *cx)
{
	struct weir_oneshot_recv_future *recv =
		WEIR_CONTAINER_OF(future, struct weir_oneshot_recv_future, future);
	enum weir__oneshot_rx outcome;

	if (WEIR_UNLIKELY(recv->cancelled && !weir__leaf_is_armed(&recv->leaf)))
		return -ECANCELED;
	/* Pairs with the exchanges of weir__oneshot_send and weir__oneshot_tx_done. */
	outcome = weir__oneshot_poll(&recv->oneshot->word);
	if (outcome == WEIR__ONESHOT_RX_PENDING)
		return wait_for_sender(recv, cx);
	if (!(weir__load(&recv->oneshot->word, WEIR_ACQUIRE) & WEIR__ONESHOT_TX_CLOSED))
		return WEIR_PENDING;	/* the sender is about to wake the receiver */
	return weir__coop_take(cx) ? finish(recv, outcome) : WEIR_PENDING;
}

static void recv_cancel(struct weir_future *future)
{
	struct weir_oneshot_recv_future *recv =
		WEIR_CONTAINER_OF(future, struct weir_oneshot_recv_future, future);

	if (!weir__leaf_is_armed(&recv->leaf) || weir__oneshot_rx_unwait(&recv->oneshot->word))
		recv->cancelled = true;
}

static const struct weir_future_ops recv_ops = { "oneshot", recv_poll, recv_cancel, NULL };

void weir_oneshot_recv_init(struct weir_oneshot_recv_future *recv, struct weir_oneshot *oneshot,
			    void *ret_value)
{
	weir__leaf_init(&recv->leaf, &recv_ops);
	recv->oneshot = oneshot;
	recv->ret_value = ret_value;
	recv->cancelled = false;
}
