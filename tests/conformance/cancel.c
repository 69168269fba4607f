/* SPDX-License-Identifier: MIT */
/*
 * cancel.c: giving operations up. Each kind that waits is ended in four ways:
 * its task is aborted, its deadline passes, it loses a select, its object is
 * closed. What was on its way is never lost: accepted connections, received
 * bytes, and the count of what was sent.
 */
#include "tests/conformance/conformance.h"

/* ---- an operation that waits, and what must be true of its object afterwards ---- */

enum kind {
	ACCEPT,
	CONNECT,
	RECV,
	LEASE,
	RECVV,
	EXACT,
	SEND,
	SENDV
};

struct scene {
	enum kind kind;
	struct weir_tcp *one, *other;	/* the operation is on one */
	struct weir_listener *listener;
	struct weir_addr addr;
	struct crowd crowd;
	struct weir_accept accept;
	struct weir_op op;
	struct weir_lease lease;
	struct iovec iov[2];
	uint8_t *buf;
};

static struct weir_future *scene_start(struct scene *s)
{
	struct weir_handle *handle = s->one ? &s->one->handle : NULL;

	switch (s->kind) {
	case ACCEPT:
		weir_accept_init(&s->accept, s->listener, &s->one);
		return &s->accept.future;
	case CONNECT:
		weir_op_init_connect(&s->op, handle, &s->crowd.addr.u.sa, s->crowd.addr.len);
		break;
	case RECV:
		weir_op_init_recv(&s->op, handle, s->buf, 1000, 0);
		break;
	case EXACT:
		weir_op_init_recv(&s->op, handle, s->buf, 1000, WEIR_OP_ALL);
		break;
	case LEASE:
		weir_op_init_recv_lease(&s->op, handle, &s->lease);
		break;
	case RECVV:
		s->iov[0] = (struct iovec){ s->buf, 500 };
		s->iov[1] = (struct iovec){ s->buf + 500, 500 };
		weir_op_init_recvv(&s->op, handle, s->iov, 2);
		break;
	case SEND:
		weir_op_init_send(&s->op, handle, s->buf, LARGE_BYTES, WEIR_OP_ALL);
		break;
	case SENDV:
		s->iov[0] = (struct iovec){ s->buf, 1000 };
		s->iov[1] = (struct iovec){ s->buf + 1000, LARGE_BYTES - 1000 };
		weir_op_init_sendv(&s->op, handle, s->iov, 2, WEIR_OP_ALL);
		break;
	}
	return &s->op.leaf.future;
}

static struct weir_future *scene_open(struct scene *s, enum kind kind)
{
	memset(s, 0, sizeof(*s));
	s->kind = kind;
	s->buf = malloc(kind >= SEND ? LARGE_BYTES : 1000);
	if (kind >= SEND)
		pattern_fill(1, 0, s->buf, LARGE_BYTES);
	if (kind == ACCEPT) {
		s->listener = open_listener(&s->addr);
	} else if (kind == CONNECT) {
		crowd_open(&s->crowd);
		OK(weir_tcp_new(AF_INET, &s->one));
	} else {
		connected(&s->one, &s->other);
	}
	return scene_start(s);
}

/* Bytes that were sent before the operation ended are where they belong. */
static void check_stream(struct scene *s)
{
	size_t done = s->kind == SEND ? s->op.u.io.done : s->kind == SENDV ? s->op.u.iov.done : 0;

	if (s->kind >= SEND) {
		ck_assert_uint_lt(done, LARGE_BYTES);
		pattern_recv(s->other, 1, 0, done);
		pattern_send(s->one, 1, done, 1000);
		pattern_recv(s->other, 1, done, 1000);
		pattern_send(s->other, 2, 0, 1000);
		pattern_recv(s->one, 2, 0, 1000);
		return;
	}
	ck_assert_ptr_null(s->lease.data);
	pattern_send(s->other, 2, 0, 1000);
	pattern_recv(s->one, 2, 0, 1000);
	pattern_send(s->one, 3, 0, 1000);
	pattern_recv(s->other, 3, 0, 1000);
}

/* The object still works. */
static void scene_check(struct scene *s)
{
	if (s->kind == ACCEPT) {
		weir_accept_fini(&s->accept);
		ck_assert_ptr_null(s->one);
		OK(weir_tcp_connect_addr(&s->addr, WEIR_FOREVER, &s->one));
		OK(weir_listener_accept(s->listener, &s->other));
	} else if (s->kind != CONNECT) {
		check_stream(s);
	}
}

static void scene_close_object(struct scene *s)
{
	if (s->kind == ACCEPT) {
		weir_listener_close(s->listener);
		s->listener = NULL;
		return;
	}
	weir_tcp_close(s->one);
	s->one = NULL;
}

static void scene_fini(struct scene *s)
{
	close_both(s->one, s->other);
	weir_listener_close(s->listener);
	if (s->kind == CONNECT)
		crowd_close(&s->crowd);
	free(s->buf);
}

/* ---- four ways to end it ---- */

static void by_abort(enum kind kind)
{
	struct scene s;
	struct waiter waiter;

	begin(&waiter, scene_open(&s, kind));
	pending(&waiter);
	ck_assert_int_eq(aborted(&waiter), -ECANCELED);
	scene_check(&s);
	scene_fini(&s);
}

static void by_deadline(enum kind kind)
{
	struct weir_timeout timeout;
	struct scene s;
	struct waiter waiter;
	struct weir_future *future = scene_open(&s, kind);

	weir_timeout_init(&timeout, future, weir_deadline_in(SHORT_NS));
	begin(&waiter, &timeout.future);
	ck_assert_int_eq(ended(&waiter), -ETIMEDOUT);
	scene_check(&s);
	scene_fini(&s);
}

static void by_select(enum kind kind)
{
	struct weir_notify notify;
	struct weir_notified notified;
	struct weir_future *futures[2];
	struct weir_select select;
	struct scene s;
	struct waiter waiter;
	int results[2];

	weir_notify_init(&notify);
	weir_notified_init(&notified, &notify);
	futures[0] = scene_open(&s, kind);
	futures[1] = &notified.wait.leaf.future;
	weir_select_init(&select, futures, results, 2);
	begin(&waiter, &select.future);
	pending(&waiter);
	weir_notify_one(&notify);
	ck_assert_int_eq(ended(&waiter), 1);
	ck_assert_int_eq(results[0], -ECANCELED);
	ck_assert_int_eq(results[1], 0);
	scene_check(&s);
	scene_fini(&s);
	weir_notify_fini(&notify);
}

static void by_close(enum kind kind)
{
	struct scene s;
	struct waiter waiter;

	begin(&waiter, scene_open(&s, kind));
	pending(&waiter);
	scene_close_object(&s);
	ck_assert_int_eq(ended(&waiter), -ECANCELED);
	if (kind == ACCEPT)
		weir_accept_fini(&s.accept);
	scene_fini(&s);
}

#define FOUR_CASES(name, kind, caps)                                                               \
	CASE(name##_is_aborted, caps)                                                              \
	{                                                                                          \
		by_abort(kind);                                                                    \
		return 0;                                                                          \
	}                                                                                          \
	CASE(name##_has_a_deadline, caps)                                                          \
	{                                                                                          \
		by_deadline(kind);                                                                 \
		return 0;                                                                          \
	}                                                                                          \
	CASE(name##_loses_a_select, caps)                                                          \
	{                                                                                          \
		by_select(kind);                                                                   \
		return 0;                                                                          \
	}                                                                                          \
	CASE(name##_is_closed, caps)                                                               \
	{                                                                                          \
		by_close(kind);                                                                    \
		return 0;                                                                          \
	}

FOUR_CASES(an_accept, ACCEPT, 0)
FOUR_CASES(a_connect, CONNECT, 0)
FOUR_CASES(a_receive, RECV, 0)
FOUR_CASES(an_exact_receive, EXACT, 0)
FOUR_CASES(a_leased_receive, LEASE, WEIR_CAP_LEASE)
FOUR_CASES(a_vectored_receive, RECVV, 0)
FOUR_CASES(a_send, SEND, 0)
FOUR_CASES(a_vectored_send, SENDV, 0)

#define FOUR(list, name)                                                                           \
	do {                                                                                       \
		BOTH(list, name##_is_aborted);                                                     \
		BOTH(list, name##_has_a_deadline);                                                 \
		BOTH(list, name##_loses_a_select);                                                 \
		BOTH(list, name##_is_closed);                                                      \
	} while (0)

/* ---- races: the cancel and the result meet ---- */

#define RACES 200

/* Await an operation for one turn of the scheduler; its result, -ECANCELED if it lost. */
static int for_one_turn(struct weir_future *future)
{
	struct weir_yield yield;
	struct weir_future *futures[2] = { future, &yield.future };
	struct weir_select select;
	int results[2];

	weir_yield_init(&yield);
	weir_select_init(&select, futures, results, 2);
	OK(weir_await(&select.future));
	return results[0];
}

static int connect_all(void *arg)
{
	struct weir_tcp *conns[RACES];

	for (unsigned i = 0; i < RACES; i++) {
		OK(weir_tcp_connect_addr(arg, WEIR_FOREVER, &conns[i]));
		ck_assert_int_eq(weir_tcp_send_all(conns[i], &i, sizeof(i), WEIR_FOREVER, NULL),
				 sizeof(i));
	}
	for (unsigned i = 0; i < RACES; i++)
		weir_tcp_close(conns[i]);
	return 0;
}

CASE(cancelled_accepts_lose_no_connection, 0)
{
	struct weir_addr addr;
	struct weir_listener *listener = open_listener(&addr);
	struct weir_task *clients = spawn(connect_all, &addr);
	struct weir_accept accept;
	struct weir_tcp *conn;
	bool seen[RACES] = { false };
	unsigned number;
	int rc;

	for (unsigned count = 0; count < RACES;) {
		weir_accept_init(&accept, listener, &conn);
		rc = for_one_turn(&accept.future);
		if (rc == -ECANCELED)
			continue;
		ck_assert_int_eq(rc, 0);
		OK(weir_tcp_recv_exact(conn, &number, sizeof(number), WEIR_FOREVER, NULL));
		ck_assert_uint_lt(number, RACES);
		ck_assert(!seen[number]);
		seen[number] = true;
		weir_tcp_close(conn);
		count++;
	}
	ck_assert_int_eq(finish(clients), 0);
	weir_listener_close(listener);
	return 0;
}

static int trickle(void *arg)
{
	uint64_t random = env.seed;
	size_t at = 0, n;

	for (int i = 0; i < RACES; i++, at += n) {
		n = 1 + draw(&random, 3000);
		pattern_send(arg, 9, at, n);
		for (uint64_t turns = draw(&random, 4); turns > 0; turns--)
			OK(weir_yield());
	}
	OK(weir_tcp_shutdown(arg, SHUT_WR));
	return (int)at;
}

static void receive_in_turns(bool leased)
{
	struct weir_tcp *one, *other;
	struct weir_task *sender;
	struct weir_lease lease;
	struct weir_op op;
	uint8_t buf[2000];
	size_t at = 0;
	int rc;

	connected(&one, &other);
	sender = spawn(trickle, one);
	for (;;) {
		if (leased)
			weir_op_init_recv_lease(&op, &other->handle, &lease);
		else
			weir_op_init_recv(&op, &other->handle, buf, sizeof(buf), 0);
		rc = for_one_turn(&op.leaf.future);
		if (rc == -ECANCELED)
			continue;
		OK(rc);
		if (rc == 0)
			break;
		pattern_check(9, at, leased ? lease.data : buf, (size_t)rc);
		if (leased)
			weir_lease_return(&lease);
		at += (size_t)rc;
	}
	ck_assert_uint_eq(at, (size_t)finish(sender));
	close_both(one, other);
}

CASE(cancelled_receives_lose_no_byte, 0)
{
	receive_in_turns(false);
	return 0;
}

CASE(cancelled_leased_receives_lose_no_byte, WEIR_CAP_LEASE)
{
	receive_in_turns(true);
	return 0;
}

/* What a cancelled send reports as done has been sent, and nothing else. */
static int send_in_turns(void *arg)
{
	struct weir_tcp *conn = arg;
	size_t at = 0, len = 300000;
	uint8_t *buf = malloc(len);
	struct weir_op op;

	pattern_fill(9, 0, buf, len);
	while (at < len) {
		weir_op_init_send(&op, &conn->handle, buf + at, len - at, WEIR_OP_ALL);
		if (for_one_turn(&op.leaf.future) >= 0)
			ck_assert_uint_eq(op.u.io.done, len - at);
		at += op.u.io.done;
	}
	free(buf);
	return weir_tcp_shutdown(conn, SHUT_WR);
}

CASE(cancelled_sends_count_their_bytes, 0)
{
	struct weir_tcp *one, *other;
	struct weir_task *sender;
	uint8_t buf[3000];
	size_t at = 0;
	int rc;

	connected(&one, &other);
	sender = spawn(send_in_turns, one);
	while ((rc = weir_tcp_recv(other, buf, sizeof(buf))) > 0) {
		pattern_check(9, at, buf, (size_t)rc);
		at += (size_t)rc;
	}
	ck_assert_int_eq(rc, 0);
	ck_assert_uint_eq(at, 300000);
	ck_assert_int_eq(finish(sender), 0);
	close_both(one, other);
	return 0;
}

void conformance_cancel(struct conformance_list *list)
{
	FOUR(list, an_accept);
	FOUR(list, a_connect);
	FOUR(list, a_receive);
	FOUR(list, an_exact_receive);
	FOUR(list, a_leased_receive);
	FOUR(list, a_vectored_receive);
	FOUR(list, a_send);
	FOUR(list, a_vectored_send);
	ONCE(list, cancelled_accepts_lose_no_connection);
	ONCE(list, cancelled_receives_lose_no_byte);
	ONCE(list, cancelled_leased_receives_lose_no_byte);
	ONCE(list, cancelled_sends_count_their_bytes);
}
