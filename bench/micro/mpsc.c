/* SPDX-License-Identifier: MIT */
/*
 * mpsc.c: the bounded channel.
 */
#include "micro.h"

#define CAPACITY 1000
#define MESSAGES 80000
#define ROUND_TRIPS 10000

/* ---- mpsc_bounded ---- */

static struct weir_mpsc *channel;
static unsigned producers;

struct producer {
	size_t number, sent, message;
	bool waiting;
	struct weir_mpsc_send_future send;
};

struct consumer {
	const struct micro_def *def;
	size_t received, message;
	bool started, waiting;
	struct weir_mpsc_recv_future recv;
};

static int producer_poll(void *state, struct weir_cx *cx)
{
	struct producer *producer = state;
	int rc;

	for (; producer->sent < MESSAGES / producers; producer->sent++) {
		if (!producer->waiting) {
			producer->message = producer->number + producer->sent;
			weir_mpsc_send_init(&producer->send, channel, &producer->message);
			producer->waiting = true;
		}
		rc = weir_poll(&producer->send.future, cx);
		if (rc == WEIR_PENDING)
			return WEIR_PENDING;
		micro_must(rc, "send");
		producer->waiting = false;
	}
	weir_mpsc_unref(channel);
	return 0;
}

static int producer_fn(void *arg)
{
	size_t number = (size_t)(uintptr_t)arg;

	for (size_t i = 0; i < MESSAGES / producers; i++) {
		size_t message = number + i;

		micro_must(weir_mpsc_send(channel, &message), "send");
	}
	weir_mpsc_unref(channel);
	return 0;
}

static void producers_start(unsigned count)
{
	static const struct micro_body body = { producer_poll, sizeof(struct producer),
						producer_fn };

	producers = count;
	micro_must(weir_mpsc_new(CAPACITY, sizeof(size_t), &channel), "channel");
	for (unsigned i = 0; i < count; i++) {
		struct producer producer = { .number = i };

		weir_mpsc_ref(channel);
		micro_must(micro_spawn(NULL, &body, &producer, (void *)(uintptr_t)i, NULL),
			   "spawn");
	}
	weir_mpsc_unref(channel);
}

static int consumer_end(size_t received)
{
	weir_mpsc_free(channel);
	return received == MESSAGES ? 0 : -EPROTO;
}

static int consumer_poll(void *state, struct weir_cx *cx)
{
	struct consumer *consumer = state;
	int rc;

	if (!consumer->started)
		producers_start(consumer->def->count);
	consumer->started = true;
	for (;; consumer->received++) {
		if (!consumer->waiting)
			weir_mpsc_recv_init(&consumer->recv, channel, 1, &consumer->message);
		consumer->waiting = true;
		rc = weir_poll(&consumer->recv.future, cx);
		if (rc == WEIR_PENDING)
			return WEIR_PENDING;
		consumer->waiting = false;
		if (rc <= 0)
			break;
	}
	return consumer_end(consumer->received);
}

static int consumer_fn(void *arg)
{
	const struct micro_def *def = arg;
	size_t received = 0, message;

	producers_start(def->count);
	while (weir_mpsc_recv(channel, &message) > 0)
		received++;
	return consumer_end(received);
}

/* ---- mpsc_ping_pong: one message there and back ---- */

/* Each side keeps a copy: the answerer may still use its own when the next batch has begun. */
struct channels {
	struct weir_mpsc *there, *back;
};

struct exchange {
	const struct micro_def *def;	/* only in the driver */
	struct channels ch;
	size_t done, message, answer;
	bool started, sending, receiving;
	struct weir_mpsc_send_future send;
	struct weir_mpsc_recv_future recv;
};

/* Sends the message. Returns the result, or WEIR_PENDING. */
static int exchange_send(struct exchange *exchange, struct weir_mpsc *to, struct weir_cx *cx)
{
	int rc;

	if (!exchange->sending)
		weir_mpsc_send_init(&exchange->send, to, &exchange->message);
	exchange->sending = true;
	rc = weir_poll(&exchange->send.future, cx);
	if (rc != WEIR_PENDING)
		exchange->sending = false;
	return rc;
}

static int exchange_recv(struct exchange *exchange, struct weir_mpsc *from, size_t *message,
			 struct weir_cx *cx)
{
	int rc;

	if (!exchange->receiving)
		weir_mpsc_recv_init(&exchange->recv, from, 1, message);
	exchange->receiving = true;
	rc = weir_poll(&exchange->recv.future, cx);
	if (rc != WEIR_PENDING)
		exchange->receiving = false;
	return rc;
}

static int answerer_end(const struct channels *ch)
{
	weir_mpsc_free(ch->there);
	weir_mpsc_unref(ch->back);
	return 0;
}

static int answerer_poll(void *state, struct weir_cx *cx)
{
	struct exchange *exchange = state;
	int rc;

	for (;;) {
		if (!exchange->sending) {
			rc = exchange_recv(exchange, exchange->ch.there, &exchange->message, cx);
			if (rc == WEIR_PENDING)
				return WEIR_PENDING;
			if (rc <= 0)
				return answerer_end(&exchange->ch);
		}
		rc = exchange_send(exchange, exchange->ch.back, cx);
		if (rc == WEIR_PENDING)
			return WEIR_PENDING;
		micro_must(rc, "send");
	}
}

static int answerer_fn(void *arg)
{
	struct channels ch = *(struct channels *)arg;
	size_t message;

	while (weir_mpsc_recv(ch.there, &message) > 0)
		micro_must(weir_mpsc_send(ch.back, &message), "send");
	return answerer_end(&ch);
}

/*
 * ch must stay valid until the first answer: an answerer that is a fiber copies it when it starts.
 */
static void answerer_start(struct channels *ch)
{
	static const struct micro_body body = { answerer_poll, sizeof(struct exchange),
						answerer_fn };
	struct exchange answerer = { 0 };

	micro_must(weir_mpsc_new(1, sizeof(size_t), &ch->there), "channel");
	micro_must(weir_mpsc_new(1, sizeof(size_t), &ch->back), "channel");
	answerer.ch = *ch;
	micro_must(micro_spawn(NULL, &body, &answerer, ch, NULL), "spawn");
}

static int asker_end(const struct channels *ch)
{
	weir_mpsc_free(ch->back);
	weir_mpsc_unref(ch->there);
	return 0;
}

static int asker_poll(void *state, struct weir_cx *cx)
{
	struct exchange *exchange = state;
	int rc;

	if (!exchange->started)
		answerer_start(&exchange->ch);
	exchange->started = true;
	for (; exchange->done < ROUND_TRIPS; exchange->done++) {
		if (!exchange->receiving) {
			exchange->message = exchange->done;
			rc = exchange_send(exchange, exchange->ch.there, cx);
			if (rc == WEIR_PENDING)
				return WEIR_PENDING;
			micro_must(rc, "send");
		}
		rc = exchange_recv(exchange, exchange->ch.back, &exchange->answer, cx);
		if (rc == WEIR_PENDING)
			return WEIR_PENDING;
		micro_must(rc == 1 && exchange->answer == exchange->done ? 0 : -EPROTO, "answer");
	}
	return asker_end(&exchange->ch);
}

static int asker_fn(void *arg)
{
	struct channels ch;
	size_t answer = 0;

	(void)arg;
	answerer_start(&ch);
	for (size_t i = 0; i < ROUND_TRIPS; i++) {
		micro_must(weir_mpsc_send(ch.there, &i), "send");
		micro_must(weir_mpsc_recv(ch.back, &answer) == 1 && answer == i ? 0 : -EPROTO,
			   "answer");
	}
	return asker_end(&ch);
}

#define CONSUMER { consumer_poll, sizeof(struct consumer), consumer_fn }

const struct micro_def micro_mpsc_defs[] = {
	{ .name = "mpsc_bounded_1p", .ops = MESSAGES, .driver = CONSUMER, .count = 1 },
	{ .name = "mpsc_bounded_8p", .ops = MESSAGES, .driver = CONSUMER, .count = 8 },
	{ .name = "mpsc_ping_pong",
	  .ops = ROUND_TRIPS,
	  .driver = { asker_poll, sizeof(struct exchange), asker_fn } },
	{ 0 },
};
