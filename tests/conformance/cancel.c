/* SPDX-License-Identifier: MIT */
/*
 * cancel.c: cancelling operations. Each kind of waiting operation is cancelled in three ways: its
 * task is aborted, its deadline passes, it loses a select. Nothing may be lost: neither an accepted
 * connection, nor received bytes, nor the count of bytes sent. close.c tests closing, and race.c
 * tests cancels that race with results.
 */
#include "tests/conformance/scene.h"

/* ---- three ways to cancel ---- */

static void by_abort(enum scene_kind kind)
{
	struct scene s;
	struct waiter waiter;

	if (scene_lends(kind) && sends_wait_for_the_peer())
		return;
	begin(&waiter, scene_open(&s, kind));
	pending(&waiter);
	ck_assert_int_eq(aborted(&waiter), -ECANCELED);
	scene_check(&s);
	scene_fini(&s);
}

static void by_deadline(enum scene_kind kind)
{
	struct weir_timeout_future timeout;
	struct scene s;
	struct waiter waiter;

	if (scene_lends(kind) && sends_wait_for_the_peer())
		return;
	weir_timeout_init(&timeout, scene_open(&s, kind), weir_deadline_in(SHORT_NS));
	begin(&waiter, &timeout.future);
	ck_assert_int_eq(ended(&waiter), -ETIMEDOUT);
	scene_check(&s);
	scene_fini(&s);
}

static void by_select(enum scene_kind kind)
{
	struct weir_notify notify;
	struct weir_notified_future notified;
	struct weir_future *futures[2];
	struct weir_select_future select;
	struct scene s;
	struct waiter waiter;
	int results[2];

	if (scene_lends(kind) && sends_wait_for_the_peer())
		return;
	weir_notify_init(&notify);
	weir_notified_init(&notified, &notify);
	futures[0] = scene_open(&s, kind);
	futures[1] = &notified.future;
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

#define THREE_CASES(name, kind, caps)                                                               \
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
	}

THREE_CASES(an_accept, SCENE_ACCEPT, 0)
THREE_CASES(a_connect, SCENE_CONNECT, 0)
THREE_CASES(a_receive, SCENE_RECV, 0)
THREE_CASES(a_peek, SCENE_PEEK, 0)
THREE_CASES(an_exact_receive, SCENE_EXACT, 0)
THREE_CASES(a_leased_receive, SCENE_LEASE, WEIR_CAP_LEASE)
THREE_CASES(a_vectored_receive, SCENE_RECVV, 0)
THREE_CASES(a_send, SCENE_SEND, 0)
THREE_CASES(a_vectored_send, SCENE_SENDV, 0)
THREE_CASES(a_leased_send, SCENE_SEND_LEASE, 0)
THREE_CASES(a_poll, SCENE_POLL, WEIR_CAP_FD)

#define THREE(list, name)                                                                          \
	do {                                                                                       \
		BOTH(list, name##_is_aborted);                                                     \
		BOTH(list, name##_has_a_deadline);                                                 \
		BOTH(list, name##_loses_a_select);                                                 \
	} while (0)

/* ---- races between the cancel and the result ---- */

#define RACES 200

/* Awaits an operation for one turn of the scheduler. Returns its result, or -ECANCELED. */
static int for_one_turn(struct weir_future *future)
{
	struct weir_yield_future yield;
	struct weir_future *futures[2] = { future, &yield.future };
	struct weir_select_future select;
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
	struct weir_accept_future accept;
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
			weir_op_init_recv_lease(&op, weir_tcp_handle(other), &lease);
		else
			weir_op_init_recv(&op, weir_tcp_handle(other), buf, sizeof(buf), 0);
		rc = for_one_turn(&op.future);
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

/* A cancelled send reports exactly the bytes that it has sent. */
static int send_in_turns(void *arg)
{
	struct weir_tcp *conn = arg;
	size_t at = 0, len = 300000;
	uint8_t *buf = malloc(len);
	struct weir_op op;

	pattern_fill(9, 0, buf, len);
	while (at < len) {
		weir_op_init_send(&op, weir_tcp_handle(conn), buf + at, len - at, WEIR_OP_ALL);
		if (for_one_turn(&op.future) >= 0)
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
	THREE(list, an_accept);
	THREE(list, a_connect);
	THREE(list, a_receive);
	THREE(list, a_peek);
	THREE(list, an_exact_receive);
	THREE(list, a_leased_receive);
	THREE(list, a_vectored_receive);
	THREE(list, a_send);
	THREE(list, a_vectored_send);
	THREE(list, a_leased_send);
	THREE(list, a_poll);
	ONCE(list, cancelled_accepts_lose_no_connection);
	ONCE(list, cancelled_receives_lose_no_byte);
	ONCE(list, cancelled_leased_receives_lose_no_byte);
	ONCE(list, cancelled_sends_count_their_bytes);
}
