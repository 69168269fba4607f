/* SPDX-License-Identifier: MIT */
/*
 * race.c: races between the cancel of an operation and its result, many times for each kind: the
 * event comes first, the cancel comes first, or two tasks cause them at once. Either the operation
 * gets the bytes (or the connection), or it is cancelled and the next operation gets them; never
 * both, and never neither. A cancelled operation does not touch its memory afterwards.
 */
#include <unistd.h>

#include "tests/conformance/scene.h"

#define ROUNDS 60
#define STEP 1000			/* bytes that an event brings */
#define CANARY 0xa5

enum order {
	EVENT_FIRST,
	CANCEL_FIRST,
	TOGETHER,
	ORDERS
};

struct race {
	struct scene s;
	struct weir_tcp *near;		/* the other end for ACCEPT and CONNECT */
	size_t sent, taken;		/* bytes sent and received in the operation's direction */
	uint64_t random;
	struct weir_notify stop;
	struct weir_notified_future stopped;
	struct weir_future *futures[2];
	int results[2];
	struct weir_select_future select;
	struct waiter waiter;
};

static void race_open(struct race *r, enum scene_kind kind)
{
	memset(r, 0, sizeof(*r));
	r->random = env.seed;
	if (kind == SCENE_CONNECT) {
		r->s.kind = kind;
		r->s.listener = open_listener(&r->s.addr);
		return;
	}
	scene_open(&r->s, kind);
	if (scene_sends(kind)) {
		r->s.len = STEP;
		r->s.flags = 0;
	}
}

/* Fills a stream until it takes no more bytes, or only very few at a time. */
static void fill(struct race *r)
{
	int rc;

	do {
		pattern_fill(SCENE_OUT, r->sent, r->s.buf, STEP);
		rc = weir_tcp_send_try(r->s.one, r->s.buf, STEP);
		r->sent += rc > 0 ? (size_t)rc : 0;
	} while (rc > 0);
	ck_assert_int_eq(rc, -EAGAIN);
	pattern_fill(SCENE_OUT, r->sent, r->s.buf, STEP);
}

static void race_begin(struct race *r)
{
	struct scene *s = &r->s;

	if (s->kind == SCENE_CONNECT)
		OK(weir_tcp_new(AF_INET, &s->one));
	else if (scene_sends(s->kind))
		fill(r);
	weir_notify_init(&r->stop);
	weir_notified_init(&r->stopped, &r->stop);
	r->futures[0] = scene_start(s);
	r->futures[1] = &r->stopped.future;
	weir_select_init(&r->select, r->futures, r->results, 2);
	begin(&r->waiter, &r->select.future);
	pending(&r->waiter);
}

/* Causes the event for which the operation waits. */
static int event(void *arg)
{
	struct race *r = arg;
	struct scene *s = &r->s;

	if (s->kind == SCENE_ACCEPT) {
		OK(weir_tcp_connect_addr(&s->addr, WEIR_FOREVER, &r->near));
	} else if (s->kind == SCENE_POLL) {
		ck_assert_int_eq((int)write(s->pipe[1], "x", 1), 1);
	} else if (scene_receives(s->kind)) {
		pattern_send(s->other, SCENE_IN, r->sent, STEP);
		r->sent += STEP;
	} else if (scene_sends(s->kind)) {
		pattern_recv(s->other, SCENE_OUT, r->taken, r->sent - r->taken);
		r->taken = r->sent;
	}
	return 0;
}

static int race_run(struct race *r, enum order order)
{
	struct weir_task *task = NULL;
	int rc;

	switch (order) {
	case EVENT_FIRST:
		event(r);
		turns(draw(&r->random, 6));
		weir_notify_one(&r->stop);
		break;
	case CANCEL_FIRST:
		weir_notify_one(&r->stop);
		turns(draw(&r->random, 6));
		event(r);
		break;
	default:
		task = spawn(event, r);
		turns(draw(&r->random, 3));
		weir_notify_one(&r->stop);
		ck_assert_int_eq(finish(task), 0);
	}
	rc = ended(&r->waiter);
	ck_assert_msg(rc == 0 || rc == 1, "the select ended with %d", rc);
	weir_notify_fini(&r->stop);
	return r->results[0];
}

/* ---- checking the outcome ---- */

/* Checks the bytes that the operation received. Returns how many it took from the stream. */
static size_t received(struct race *r, int rc)
{
	struct scene *s = &r->s;
	const uint8_t *data = s->kind == SCENE_LEASE ? s->lease.data : s->buf;
	size_t n = s->kind == SCENE_EXACT ? scene_done(s) : rc > 0 ? (size_t)rc : 0;

	if (s->kind == SCENE_LEASE)
		ck_assert(rc > 0 ? s->lease.len == (uint32_t)rc : !s->lease.data);
	else if (s->kind != SCENE_PEEK)
		ck_assert_uint_eq(scene_done(s), n);
	pattern_check(SCENE_IN, r->taken, data, n);
	weir_lease_return(&s->lease);
	return s->kind == SCENE_PEEK ? 0 : n;
}

/*
 * Receives the remaining bytes; with leases, if the operation was leased, as backends have a path
 * for it.
 */
static void receive_the_rest(struct race *r)
{
	struct scene *s = &r->s;
	int rc;

	while (s->kind == SCENE_LEASE && r->taken < r->sent) {
		rc = weir_tcp_recv_lease(s->one, &s->lease);
		ck_assert_int_gt(rc, 0);
		r->taken += received(r, rc);
	}
	pattern_recv(s->one, SCENE_IN, r->taken, r->sent - r->taken);
	r->taken = r->sent;
}

/* The backend must not write to the buffer after the operation has ended. */
static void settle_receive(struct race *r, int rc)
{
	struct scene *s = &r->s;

	r->taken += received(r, rc);
	memset(s->buf, CANARY, s->len);
	receive_the_rest(r);
	for (size_t i = 0; i < s->len; i++)
		if (s->buf[i] != CANARY)
			ck_abort_msg("byte %zu of the buffer changed after the operation ended", i);
}

static void settle_send(struct race *r, int rc)
{
	size_t n = scene_done(&r->s);

	/* A lease is sent whole, so its cancel may come after some of the bytes. */
	if (rc > 0 || r->s.kind != SCENE_SEND_LEASE)
		ck_assert_uint_eq(n, rc > 0 ? (size_t)rc : 0);
	r->sent += n;
	pattern_recv(r->s.other, SCENE_OUT, r->taken, r->sent - r->taken);
	r->taken = r->sent;
}

static void settle_accept(struct race *r, int rc)
{
	struct scene *s = &r->s;

	if (rc < 0) {
		ck_assert_ptr_null(s->one);
		OK(weir_listener_accept(s->listener, &s->one));
	}
	pattern_send(s->one, 3, 0, 100);
	pattern_recv(r->near, 3, 0, 100);
	close_both(s->one, r->near);
	s->one = NULL;
	/* There must not be a second connection. */
	rc = weir_listener_accept_until(s->listener, 0, &s->one);
	ck_assert_int_eq(rc, -ETIMEDOUT);
}

/* After a cancelled connect, the connection may or may not be in the listener's queue. */
static void settle_connect(struct race *r, int rc)
{
	struct scene *s = &r->s;

	if (rc == 0) {
		OK(weir_listener_accept(s->listener, &r->near));
		pattern_send(s->one, 3, 0, 100);
		pattern_recv(r->near, 3, 0, 100);
		weir_tcp_close(r->near);
	} else {
		weir_listener_close(s->listener);
		s->listener = open_listener(&s->addr);
	}
	weir_tcp_close(s->one);
	s->one = NULL;
}

static void settle_poll(struct race *r, int rc)
{
	char byte;

	ck_assert(rc == -ECANCELED || rc == WEIR_READABLE);
	ck_assert_int_eq(weir_fd_wait(r->s.fd, WEIR_READABLE, WEIR_FOREVER), WEIR_READABLE);
	ck_assert_int_eq((int)read(r->s.pipe[0], &byte, 1), 1);
	ck_assert_int_eq(weir_fd_wait(r->s.fd, WEIR_READABLE, 0), -ETIMEDOUT);
}

static void settle(struct race *r, int rc)
{
	ck_assert_msg(rc >= 0 || rc == -ECANCELED, "unexpected result: %s", weir_strerror(rc));
	switch (r->s.kind) {
	case SCENE_ACCEPT:
		settle_accept(r, rc);
		break;
	case SCENE_CONNECT:
		settle_connect(r, rc);
		break;
	case SCENE_POLL:
		settle_poll(r, rc);
		break;
	case SCENE_SEND:
	case SCENE_SENDV:
	case SCENE_SEND_LEASE:
		settle_send(r, rc);
		break;
	default:
		settle_receive(r, rc);
	}
}

static void race(enum scene_kind kind)
{
	struct race r;

	race_open(&r, kind);
	for (int round = 0; round < ROUNDS; round++)
		for (enum order order = 0; order < ORDERS; order++) {
			race_begin(&r);
			settle(&r, race_run(&r, order));
		}
	scene_fini(&r.s);
}

#define RACE_CASE(name, kind, caps)                                                                \
	CASE(name##_races_its_cancel, caps)                                                        \
	{                                                                                          \
		race(kind);                                                                        \
		return 0;                                                                          \
	}

RACE_CASE(an_accept, SCENE_ACCEPT, 0)
RACE_CASE(a_connect, SCENE_CONNECT, 0)
RACE_CASE(a_receive, SCENE_RECV, 0)
RACE_CASE(a_peek, SCENE_PEEK, 0)
RACE_CASE(a_leased_receive, SCENE_LEASE, WEIR_CAP_LEASE)
RACE_CASE(a_vectored_receive, SCENE_RECVV, 0)
RACE_CASE(an_exact_receive, SCENE_EXACT, 0)
RACE_CASE(a_send, SCENE_SEND, 0)
RACE_CASE(a_vectored_send, SCENE_SENDV, 0)
RACE_CASE(a_leased_send, SCENE_SEND_LEASE, 0)
RACE_CASE(a_poll, SCENE_POLL, WEIR_CAP_FD)

/* ---- the deadline and the result meet ---- */

static int send_now_and_then(void *arg)
{
	uint64_t random = env.seed;

	for (size_t i = 0; i < ROUNDS; i++) {
		OK(weir_sleep(draw(&random, 2000) * WEIR_USEC));
		pattern_send(arg, 4, i * 10, 10);
	}
	return weir_tcp_shutdown(arg, SHUT_WR);
}

/* One call with a deadline that may just be met; the bytes, or 0 for none. */
static int receive_in_time(struct weir_tcp *conn, unsigned how, uint8_t *buf)
{
	uint64_t deadline = weir_deadline_in(WEIR_MSEC);
	struct weir_lease lease;
	size_t done = 0;
	int rc;

	if (how == 0)
		return weir_tcp_recv_until(conn, buf, 10, deadline);
	if (how == 1) {
		rc = weir_tcp_recv_exact(conn, buf, 10, deadline, &done);
		return done > 0 ? (int)done : rc == -EPIPE ? 0 : rc;
	}
	rc = weir_tcp_recv_lease_until(conn, deadline, &lease);
	if (rc > 0)
		memcpy(buf, lease.data, (size_t)rc);
	weir_lease_return(&lease);
	return rc;
}

CASE(a_receive_races_its_deadline, 0)
{
	uint64_t random = env.seed;
	struct weir_tcp *one, *other;
	struct weir_task *sender;
	uint8_t buf[10 * ROUNDS];
	size_t at = 0;
	int rc = 1;

	connected(&one, &other);
	sender = spawn(send_now_and_then, one);
	while (rc != 0) {
		rc = receive_in_time(other, draw(&random, env.caps & WEIR_CAP_LEASE ? 3 : 2), buf);
		ck_assert_msg(rc >= 0 || rc == -ETIMEDOUT, "unexpected result: %s",
			      weir_strerror(rc));
		if (rc > 0) {
			pattern_check(4, at, buf, (size_t)rc);
			at += (size_t)rc;
		}
	}
	ck_assert_uint_eq(at, 10 * ROUNDS);
	ck_assert_int_eq(finish(sender), 0);
	close_both(one, other);
	return 0;
}

void conformance_race(struct conformance_list *list)
{
	BOTH(list, an_accept_races_its_cancel);
	BOTH(list, a_connect_races_its_cancel);
	BOTH(list, a_receive_races_its_cancel);
	BOTH(list, a_peek_races_its_cancel);
	BOTH(list, a_leased_receive_races_its_cancel);
	BOTH(list, a_vectored_receive_races_its_cancel);
	BOTH(list, an_exact_receive_races_its_cancel);
	BOTH(list, a_send_races_its_cancel);
	BOTH(list, a_vectored_send_races_its_cancel);
	BOTH(list, a_leased_send_races_its_cancel);
	BOTH(list, a_poll_races_its_cancel);
	ONCE(list, a_receive_races_its_deadline);
}
