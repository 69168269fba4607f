/* SPDX-License-Identifier: MIT */
/*
 * load.c: many streams at a time are shut down, closed and reset, on other workers than those
 * that send and receive. Every byte and every end is checked. Beside a companion every other
 * stream is the companion's.
 *
 *	one ──────── bytes ────────► other
 *	  sender      ender       receiver	each on a worker of its own
 */
#include "tests/conformance/conformance.h"

#define PAIRS 20u

enum ending {
	FINISH,				/* a shutdown after the whole send */
	SHUT_DOWN,			/* the others are made while the send is in flight */
	CLOSE,
	RESET,
	CLOSE_RECEIVER,			/* while it receives; the rest ends the sending stream */
	ENDINGS
};

enum role {
	MAKER,
	SENDER,
	RECEIVER,
	ENDER,
	ROLES
};

struct pair {
	enum ending ending;
	const char *host;
	uint8_t *bytes;			/* LARGE_BYTES */
	unsigned worker[ROLES];
	size_t end_at;			/* the ender acts when so many bytes were received */
	bool pauses;			/* the receiver waits for that */
	unsigned delay;			/* how many turns the ender waits */
	struct weir_tcp *one, *other;
	struct waiter sender, receiver;
	struct weir_op send, recv;
	struct weir_notify reached, acted;
	size_t received;
	int sent, end;			/* the results of the send and of the last receive */
};

/* ---- the roles ---- */

static void connect_pair(struct pair *p)
{
	struct weir_listener *listener;
	struct weir_addr addr;

	OK(weir_listener_open(p->host, NULL, &listener));
	OK(weir_listener_addr(listener, &addr));
	OK(weir_tcp_connect_addr(&addr, WEIR_FOREVER, &p->one));
	OK(weir_listener_accept(listener, &p->other));
	weir_listener_close(listener);
}

static int receive(void *arg)
{
	struct pair *p = arg;
	uint8_t buf[4096];
	bool told = false;
	int rc;

	while ((rc = weir_tcp_recv(p->other, buf, sizeof(buf))) > 0) {
		pattern_check(1, p->received, buf, (size_t)rc);
		p->received += (size_t)rc;
		if (told || p->received < p->end_at)
			continue;
		told = true;
		weir_notify_one(&p->reached);
		if (p->pauses)
			OK(weir_notify_wait(&p->acted));
	}
	p->end = rc;
	return 0;
}

static void end_now(struct pair *p)
{
	switch (p->ending) {
	case FINISH:
		p->sent = ended(&p->sender);
		/* fall through */
	case SHUT_DOWN:
		OK(weir_tcp_shutdown(p->one, SHUT_WR));
		return;
	case CLOSE:
		weir_tcp_close(p->one);
		break;
	case RESET:
		weir_tcp_reset(p->one);
		break;
	case CLOSE_RECEIVER:
		weir_tcp_close(p->other);
		p->other = NULL;
		return;
	case ENDINGS:
		ck_abort();
	}
	p->one = NULL;
}

static int end_it(void *arg)
{
	struct pair *p = arg;

	OK(weir_notify_wait(&p->reached));
	turns(p->delay);
	end_now(p);
	weir_notify_one(&p->acted);
	return 0;
}

/* ---- what comes out ---- */

static void check(const struct pair *p)
{
	bool all = p->sent == (int)LARGE_BYTES;

	switch (p->ending) {
	case FINISH:
		ck_assert(all && p->end == 0 && p->received == LARGE_BYTES);
		break;
	case SHUT_DOWN:
		ck_assert(all || p->sent == -EPIPE);
		break;
	case CLOSE:
	case RESET:
		ck_assert(all || p->sent == -ECANCELED);
		break;
	default:
		ck_assert(all || p->sent == -EPIPE || p->sent == -ECONNRESET);
		ck_assert_int_eq(p->end, -ECANCELED);
		ck_assert_uint_le(p->received, p->send.u.io.done);
	}
	if (p->ending == SHUT_DOWN || p->ending == CLOSE) {
		ck_assert_int_eq(p->end, 0);
		ck_assert_uint_eq(p->received, p->send.u.io.done);
	}
	if (p->ending == RESET) {
		ck_assert_int_eq(p->end, -ECONNRESET);
		ck_assert_uint_le(p->received, p->send.u.io.done);
	}
}

/* The receive asks for more than is sent, so it is in flight when its stream is closed. */
static void receive_until_closed(struct pair *p, struct weir_task *ender)
{
	uint8_t *buf = malloc(LARGE_BYTES + 1);

	weir_op_init_recv(&p->recv, weir_tcp_handle(p->other), buf, LARGE_BYTES + 1, WEIR_OP_ALL);
	begin_on(p->worker[RECEIVER], &p->receiver, &p->recv.future);
	pending(&p->receiver);
	weir_notify_one(&p->reached);
	ck_assert_int_eq(finish(ender), 0);
	p->end = ended(&p->receiver);
	p->received = p->recv.u.io.done;
	pattern_check(1, 0, buf, p->received);
	free(buf);
}

static int run_pair(void *arg)
{
	struct weir_task *receiver, *ender;
	struct pair *p = arg;

	weir_notify_init(&p->reached);
	weir_notify_init(&p->acted);
	connect_pair(p);
	weir_op_init_send(&p->send, weir_tcp_handle(p->one), p->bytes, LARGE_BYTES, WEIR_OP_ALL);
	begin_on(p->worker[SENDER], &p->sender, &p->send.future);
	pending(&p->sender);
	ender = spawn_on(p->worker[ENDER], end_it, p);
	if (p->ending == CLOSE_RECEIVER) {
		receive_until_closed(p, ender);
	} else {
		receiver = spawn_on(p->worker[RECEIVER], receive, p);
		ck_assert_int_eq(finish(receiver), 0);
		ck_assert_int_eq(finish(ender), 0);
	}
	if (p->ending != FINISH)
		p->sent = ended(&p->sender);
	check(p);
	close_both(p->one, p->other);
	weir_notify_fini(&p->reached);
	weir_notify_fini(&p->acted);
	return 0;
}

static void draw_pair(struct pair *p, unsigned i, uint64_t *random, uint8_t *bytes)
{
	*p = (struct pair){ .ending = i % ENDINGS, .host = "127.0.0.1:0", .bytes = bytes };
	if (env.caps & TWO_SIDES && i / ENDINGS % 2)
		p->host = "127.0.0.2:0";
	for (int role = 0; role < ROLES; role++)
		p->worker[role] = (unsigned)draw(random, workers());
	p->end_at = 1 + draw(random, LARGE_BYTES / 4);
	p->pauses = p->ending != FINISH && draw(random, 2);
	p->delay = (unsigned)draw(random, 8);
}

CASE(streams_end_under_load, 0)
{
	uint8_t *bytes = malloc(LARGE_BYTES);
	struct weir_task *running[PAIRS];
	struct pair pairs[PAIRS];
	uint64_t random = env.seed;

	if (sends_wait_for_the_peer()) {
		free(bytes);
		return 0;
	}
	pattern_fill(1, 0, bytes, LARGE_BYTES);
	for (unsigned i = 0; i < PAIRS; i++) {
		draw_pair(&pairs[i], i, &random, bytes);
		running[i] = spawn_on(pairs[i].worker[MAKER], run_pair, &pairs[i]);
	}
	for (unsigned i = 0; i < PAIRS; i++)
		ck_assert_int_eq(finish(running[i]), 0);
	free(bytes);
	return 0;
}

void conformance_load(struct conformance_list *list)
{
	BOTH(list, streams_end_under_load);
}
