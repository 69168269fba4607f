/* SPDX-License-Identifier: MIT */
/*
 * close.c: closing a stream while an operation waits on it. The operation ends, the peer sees the
 * close, and bytes sent before still arrive. Whoever gets the same descriptor number next receives
 * no event of the closed stream.
 */
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/conformance/scene.h"

/* ---- each kind ---- */

/*
 * A zero-copy send was pending. The kernel had to drop its bytes, so it resets; or it had none
 * left.
 */
static void peer_sees_a_reset(struct scene *s)
{
	static char buf[65536];
	int rc;

	do
		rc = weir_tcp_recv(s->other, buf, sizeof(buf));
	while (rc > 0);
	ck_assert(rc == 0 || rc == -ECONNRESET);
}

/* After the operation has ended and the object is closed, checks what the other side sees. */
static void peer_sees_the_end(struct scene *s)
{
	struct weir_tcp *conn;
	char byte;

	switch (s->kind) {
	case SCENE_ACCEPT:
		refused(&s->addr);
		break;
	case SCENE_CONNECT:
		/*
		 * The connect was not in the listener's queue. Those in the queue are still
		 * accepted.
		 */
		OK(weir_listener_accept(s->crowd.listener, &conn));
		weir_tcp_close(conn);
		break;
	case SCENE_POLL:
		/* The descriptor belongs to the test, and still works. */
		ck_assert_int_eq((int)write(s->pipe[1], "x", 1), 1);
		ck_assert_int_eq((int)read(s->pipe[0], &byte, 1), 1);
		break;
	default:
		if (scene_lends(s->kind)) {
			peer_sees_a_reset(s);
			break;
		}
		pattern_recv(s->other, SCENE_OUT, 0, scene_sends(s->kind) ? scene_done(s) : 0);
		ck_assert_int_eq(weir_tcp_recv(s->other, &byte, 1), 0);
	}
}

static void by_close(enum scene_kind kind)
{
	struct scene s;
	struct waiter waiter;

	begin(&waiter, scene_open(&s, kind));
	pending(&waiter);
	scene_close(&s);
	ck_assert_int_eq(ended(&waiter), -ECANCELED);
	ck_assert_ptr_null(s.lease.data);
	peer_sees_the_end(&s);
	scene_fini(&s);
}

static void by_reset(enum scene_kind kind)
{
	uint8_t *buf = malloc(65536);
	struct scene s;
	struct waiter waiter;
	int rc;

	begin(&waiter, scene_open(&s, kind));
	pending(&waiter);
	scene_reset(&s);
	ck_assert_int_eq(ended(&waiter), -ECANCELED);
	do
		rc = weir_tcp_recv(s.other, buf, 65536);
	while (rc > 0);
	ck_assert_int_eq(rc, -ECONNRESET);
	scene_fini(&s);
	free(buf);
}

#define CLOSE_CASE(name, kind, caps)                                                               \
	CASE(name##_is_closed, caps)                                                               \
	{                                                                                          \
		by_close(kind);                                                                    \
		return 0;                                                                          \
	}
#define CLOSE_CASES(name, kind, caps)                                                              \
	CLOSE_CASE(name, kind, caps)                                                               \
	CASE(name##_is_reset, caps)                                                                \
	{                                                                                          \
		by_reset(kind);                                                                    \
		return 0;                                                                          \
	}

CLOSE_CASE(an_accept, SCENE_ACCEPT, 0)
CLOSE_CASE(a_connect, SCENE_CONNECT, 0)
CLOSE_CASE(a_poll, SCENE_POLL, WEIR_CAP_FD)
CLOSE_CASES(a_receive, SCENE_RECV, 0)
CLOSE_CASES(a_peek, SCENE_PEEK, 0)
CLOSE_CASES(a_leased_receive, SCENE_LEASE, WEIR_CAP_LEASE)
CLOSE_CASES(a_vectored_receive, SCENE_RECVV, 0)
CLOSE_CASES(an_exact_receive, SCENE_EXACT, 0)
CLOSE_CASES(a_send, SCENE_SEND, 0)
CLOSE_CASES(a_vectored_send, SCENE_SENDV, 0)
CLOSE_CASES(a_leased_send, SCENE_SEND_LEASE, 0)

/* ---- repeatedly ---- */

#define ROUNDS 60

/* Its bytes race with the close: the operation gets them, or it is cancelled. */
static int send_some(void *arg)
{
	return weir_tcp_send(arg, "abcd", 4);
}

CASE(closing_races_with_arriving_bytes, 0)
{
	uint64_t random = env.seed;
	struct weir_task *sender;
	struct scene s;
	struct waiter waiter;
	int rc;

	for (int round = 0; round < ROUNDS; round++) {
		begin(&waiter, scene_open(&s, round % 2 ? SCENE_RECV : SCENE_EXACT));
		pending(&waiter);
		sender = spawn(send_some, s.other);
		turns(draw(&random, 4));
		scene_close(&s);
		rc = ended(&waiter);
		ck_assert_msg(rc == -ECANCELED || (s.kind == SCENE_RECV && rc > 0 && rc <= 4),
			      "unexpected result: %d", rc);
		rc = finish(sender);
		ck_assert_msg(rc > 0 || rc == -EPIPE || rc == -ECONNRESET, "sent: %d", rc);
		scene_fini(&s);
	}
	return 0;
}

/* The kernel reuses descriptor numbers at once. The new stream must get no event of the old one. */
CASE(a_new_stream_hears_nothing_of_the_old_one, 0)
{
	struct waiter waiter;
	struct scene s;
	char byte;
	int rc;

	for (int round = 0; round < ROUNDS; round++) {
		begin(&waiter, scene_open(&s, SCENE_RECV));
		pending(&waiter);
		if (round % 2)
			ck_assert_int_eq(weir_tcp_send(s.other, "x", 1), 1);
		scene_close(&s);
		weir_tcp_close(s.other);
		/* The new streams may have the old numbers already. */
		connected(&s.one, &s.other);
		rc = weir_tcp_recv_until(s.one, &byte, 1, weir_deadline_in(WEIR_MSEC));
		ck_assert_int_eq(rc, -ETIMEDOUT);
		pattern_send(s.other, 5, 0, 100);
		pattern_recv(s.one, 5, 0, 100);
		rc = ended(&waiter);
		/* Its own peer's byte, or the peer's end, may have come before the close. */
		ck_assert_msg(rc == -ECANCELED || rc == round % 2, "unexpected result: %d", rc);
		scene_fini(&s);
	}
	return 0;
}

/* ---- a stream with SO_LINGER ---- */

/* Longer than any test: the watchdog would end a test in which a close waits so long. */
#define LINGER_S 3600

static int poll_once(void *state, struct weir_cx *cx)
{
	(void)state;
	(void)cx;
	return 0;
}

static void close_state(void *state)
{
	weir_tcp_close(*(struct weir_tcp **)state);
}

/* Closes on a fiber, or in the fini of a stackless task. */
static void close_as_body(struct weir_tcp *conn)
{
	struct weir_task_config cfg = WEIR_TASK_CONFIG_INIT;
	struct weir_task *task;

	if (!env.stackless) {
		weir_tcp_close(conn);
		return;
	}
	cfg.poll = poll_once;
	cfg.fini = close_state;
	cfg.state = &conn;
	cfg.state_bytes = sizeof(conn);
	OK(weir_task_spawn(NULL, &cfg, &task));
	OK(finish(task));
}

/* Sends as much as possible while the peer reads nothing. Returns how much that was. */
static size_t send_what_fits(struct weir_tcp *conn)
{
	uint8_t part[4096];
	size_t sent = 0;
	int rc;

	do {
		pattern_fill(SCENE_OUT, sent, part, sizeof(part));
		rc = weir_tcp_send_try(conn, part, sizeof(part));
		sent += rc > 0 ? (size_t)rc : 0;
	} while (rc > 0);
	ck_assert_int_eq(rc, -EAGAIN);
	return sent;
}

/*
 * The stream is closed before the peer has read its bytes. It reads them afterwards, and the end.
 */
static void closes_at_once(struct weir_tcp *conn, struct weir_tcp *peer)
{
	size_t sent = send_what_fits(conn);
	char byte;

	close_as_body(conn);
	pattern_recv(peer, SCENE_OUT, 0, sent);
	ck_assert_int_eq(weir_tcp_recv(peer, &byte, 1), 0);
	weir_tcp_close(peer);
}

CASE(a_stream_that_lingers_is_closed_at_once, 0)
{
	struct weir_tcp *one, *other;

	connected(&one, &other);
	OK(weir_tcp_set_linger(one, LINGER_S));
	closes_at_once(one, other);
	return 0;
}

CASE(a_stream_that_lingers_can_be_reset, 0)
{
	struct weir_tcp *one, *other;
	uint8_t *buf = malloc(65536);
	int rc;

	connected(&one, &other);
	OK(weir_tcp_set_linger(one, LINGER_S));
	send_what_fits(one);
	weir_tcp_reset(one);
	do
		rc = weir_tcp_recv(other, buf, 65536);
	while (rc > 0);
	ck_assert_int_eq(rc, -ECONNRESET);
	weir_tcp_close(other);
	free(buf);
	return 0;
}

CASE(an_operation_waits_on_a_stream_that_lingers, 0)
{
	struct scene s;
	struct waiter waiter;
	size_t sent;
	char byte;

	begin(&waiter, scene_open(&s, SCENE_RECV));
	pending(&waiter);
	OK(weir_tcp_set_linger(s.one, LINGER_S));
	sent = send_what_fits(s.one);
	scene_close(&s);
	ck_assert_int_eq(ended(&waiter), -ECANCELED);
	pattern_recv(s.other, SCENE_OUT, 0, sent);
	ck_assert_int_eq(weir_tcp_recv(s.other, &byte, 1), 0);
	scene_fini(&s);
	return 0;
}

/*
 * Makes a socket with SO_LINGER outside weir: a connection, or a listener whose sockets inherit it.
 */
static int made_elsewhere(const struct weir_addr *connect_to, bool listens)
{
	const struct linger linger = { 1, LINGER_S };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	OK(fd);
	OK(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
	OK(listens ? listen(fd, 1) : connect(fd, &connect_to->u.sa, connect_to->len));
	return fd;
}

CASE(an_adopted_stream_that_lingers_is_closed_at_once, KERNEL_STREAMS)
{
	struct weir_listener *listener;
	struct weir_tcp *one, *other;
	struct weir_addr addr;

	listener = open_listener(&addr);
	OK(weir_tcp_adopt(made_elsewhere(&addr, false), &one));
	OK(weir_listener_accept(listener, &other));
	weir_listener_close(listener);
	closes_at_once(one, other);
	return 0;
}

CASE(what_an_adopted_listener_accepts_is_closed_at_once, KERNEL_STREAMS)
{
	struct weir_listener *listener;
	struct weir_tcp *one, *other;
	struct weir_addr addr;

	OK(weir_listener_adopt(made_elsewhere(NULL, true), NULL, &listener));
	OK(weir_listener_addr(listener, &addr));
	((struct sockaddr_in *)(void *)&addr.u)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	OK(weir_tcp_connect_addr(&addr, WEIR_FOREVER, &other));
	OK(weir_listener_accept(listener, &one));
	weir_listener_close(listener);
	closes_at_once(one, other);
	return 0;
}

void conformance_close(struct conformance_list *list)
{
	BOTH(list, an_accept_is_closed);
	BOTH(list, a_connect_is_closed);
	BOTH(list, a_poll_is_closed);
	BOTH(list, a_receive_is_closed);
	BOTH(list, a_receive_is_reset);
	BOTH(list, a_peek_is_closed);
	BOTH(list, a_peek_is_reset);
	BOTH(list, a_leased_receive_is_closed);
	BOTH(list, a_leased_receive_is_reset);
	BOTH(list, a_vectored_receive_is_closed);
	BOTH(list, a_vectored_receive_is_reset);
	BOTH(list, an_exact_receive_is_closed);
	BOTH(list, an_exact_receive_is_reset);
	BOTH(list, a_send_is_closed);
	BOTH(list, a_send_is_reset);
	BOTH(list, a_vectored_send_is_closed);
	BOTH(list, a_vectored_send_is_reset);
	BOTH(list, a_leased_send_is_closed);
	BOTH(list, a_leased_send_is_reset);
	BOTH(list, closing_races_with_arriving_bytes);
	BOTH(list, a_new_stream_hears_nothing_of_the_old_one);
	BOTH(list, a_stream_that_lingers_is_closed_at_once);
	ONCE(list, a_stream_that_lingers_can_be_reset);
	BOTH(list, an_operation_waits_on_a_stream_that_lingers);
	BOTH(list, an_adopted_stream_that_lingers_is_closed_at_once);
	BOTH(list, what_an_adopted_listener_accepts_is_closed_at_once);
}
