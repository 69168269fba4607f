/* SPDX-License-Identifier: MIT */
/*
 * stream.c: bytes on a stream without errors or cancels: every way to send and to receive,
 * half-closes, the end, back-pressure.
 */
#include <fcntl.h>
#include <unistd.h>

#include "tests/conformance/conformance.h"

#define ECHO_BYTES (256 * 1024)

/* ---- echo, in chunks of random sizes, by three kinds of server ---- */

static int echo_copy(void *arg)
{
	struct weir_tcp *conn = arg;
	uint64_t random = env.seed;
	uint8_t *buf = malloc(20000);
	int rc;

	while ((rc = weir_tcp_recv(conn, buf, 1 + draw(&random, 20000))) > 0)
		OK(weir_tcp_send_all(conn, buf, (size_t)rc, WEIR_FOREVER, NULL));
	free(buf);
	weir_tcp_close(conn);
	return rc;
}

static int echo_lease(void *arg)
{
	struct weir_tcp *conn = arg;
	struct weir_lease lease;
	int rc;

	while ((rc = weir_tcp_recv_lease(conn, &lease)) > 0) {
		ck_assert_int_eq((int)lease.len, rc);
		ck_assert_int_eq(weir_tcp_send_lease(conn, &lease), rc);
		ck_assert_ptr_null(lease.data);
	}
	ck_assert_ptr_null(lease.data);
	weir_tcp_close(conn);
	return rc;
}

/* Receives into three pieces, one of them empty, and sends back the filled parts of all three. */
static int echo_vectored(void *arg)
{
	struct weir_tcp *conn = arg;
	uint8_t *buf = malloc(9000);
	uint64_t random = env.seed;
	int rc;

	for (;;) {
		size_t first = 1 + draw(&random, 3000);
		struct iovec in[] = { { buf, first }, { NULL, 0 }, { buf + first, 3000 } };
		struct iovec out[2];
		int sent = 0;

		rc = weir_tcp_recvv(conn, in, 3);
		if (rc <= 0)
			break;
		while (sent < rc) {
			size_t half = (size_t)(rc - sent + 1) / 2;
			int n;

			out[0] = (struct iovec){ buf + sent, half };
			out[1] = (struct iovec){ buf + sent + half, (size_t)(rc - sent) - half };
			n = weir_tcp_sendv(conn, out, 2);
			ck_assert_int_gt(n, 0);
			sent += n;
		}
	}
	free(buf);
	weir_tcp_close(conn);
	return rc;
}

/* A stackless server: a poll function that sends back each lease. */
struct echo_state {
	struct weir_tcp *conn;
	struct weir_lease lease;
	struct weir_op op;
	bool sending;
};

static int echo_poll(void *state, struct weir_cx *cx)
{
	struct echo_state *self = state;
	int rc;

	if (!self->op.future.ops)
		weir_op_init_recv_lease(&self->op, weir_tcp_handle(self->conn), &self->lease);
	while ((rc = weir_poll(&self->op.future, cx)) != WEIR_PENDING) {
		if (rc < 0 || (rc == 0 && !self->sending))
			return rc;
		self->sending = !self->sending;
		if (self->sending) {
			weir_op_init_send(&self->op, weir_tcp_handle(self->conn), self->lease.data,
					  self->lease.len, WEIR_OP_ALL);
		} else {
			weir_lease_return(&self->lease);
			weir_op_init_recv_lease(&self->op, weir_tcp_handle(self->conn),
						&self->lease);
		}
	}
	return WEIR_PENDING;
}

static void echo_fini(void *state)
{
	struct echo_state *self = state;

	weir_lease_return(&self->lease);
	weir_tcp_close(self->conn);
}

static struct weir_task *spawn_stackless_echo(struct weir_tcp *conn)
{
	struct echo_state state = { .conn = conn };
	struct weir_task_config cfg = WEIR_TASK_CONFIG_INIT;
	struct weir_task *task;

	cfg.poll = echo_poll;
	cfg.state = &state;
	cfg.state_bytes = sizeof(state);
	cfg.fini = echo_fini;
	OK(weir_task_spawn(NULL, &cfg, &task));
	return task;
}

static int send_chunks(void *arg)
{
	struct weir_tcp *conn = arg;
	uint64_t random = env.seed + 99;
	size_t at = 0, n;

	while (at < ECHO_BYTES) {
		n = 1 + draw(&random, 30000);
		n = n < ECHO_BYTES - at ? n : ECHO_BYTES - at;
		pattern_send(conn, env.seed, at, n);
		at += n;
	}
	return weir_tcp_shutdown(conn, SHUT_WR);
}

static void through(struct weir_tcp *conn, struct weir_task *echo)
{
	struct weir_task *sender = spawn(send_chunks, conn);
	uint64_t random = env.seed + 7;
	uint8_t *buf = malloc(40000);
	size_t at = 0;
	int rc;

	while ((rc = weir_tcp_recv(conn, buf, 1 + draw(&random, 40000))) > 0) {
		pattern_check(env.seed, at, buf, (size_t)rc);
		at += (size_t)rc;
	}
	ck_assert_int_eq(rc, 0);
	ck_assert_uint_eq(at, ECHO_BYTES);
	ck_assert_int_eq(finish(sender), 0);
	ck_assert_int_eq(finish(echo), 0);
	free(buf);
	weir_tcp_close(conn);
}

CASE(echo_of_random_chunks, 0)
{
	struct weir_tcp *one, *other;

	connected(&one, &other);
	through(one, spawn(echo_copy, other));
	return 0;
}

CASE(echo_of_leases, WEIR_CAP_LEASE)
{
	struct weir_tcp *one, *other;

	connected(&one, &other);
	through(one, env.stackless ? spawn_stackless_echo(other) : spawn(echo_lease, other));
	return 0;
}

CASE(echo_of_vectors, 0)
{
	struct weir_tcp *one, *other;

	connected(&one, &other);
	through(one, spawn(echo_vectored, other));
	return 0;
}

/* ---- the single calls ---- */

CASE(peek_leaves_the_bytes, 0)
{
	struct weir_tcp *one, *other;
	struct waiter waiter;
	struct weir_op op;
	char buf[8];

	connected(&one, &other);
	weir_op_init_recv(&op, weir_tcp_handle(other), buf, sizeof(buf), WEIR_OP_PEEK);
	begin(&waiter, &op.future);
	pending(&waiter);
	ck_assert_int_eq(weir_tcp_send_all(one, "abc", 3, WEIR_FOREVER, NULL), 3);
	ck_assert_int_ge(ended(&waiter), 1);
	ck_assert_int_eq(buf[0], 'a');
	for (int i = 0; i < 3; i++) {
		ck_assert_int_ge(weir_tcp_peek(other, buf, sizeof(buf)), 1);
		ck_assert_int_eq(buf[0], 'a');
	}
	ck_assert_int_eq(weir_tcp_recv_exact(other, buf, 3, WEIR_FOREVER, NULL), 3);
	ck_assert_mem_eq(buf, "abc", 3);
	weir_tcp_close(one);
	ck_assert_int_eq(weir_tcp_peek(other, buf, sizeof(buf)), 0);
	weir_tcp_close(other);
	return 0;
}

/* The _try calls return at once. They lose no bytes: the next call gets them. */
CASE(trying_never_waits, 0)
{
	struct weir_tcp *one, *other;
	size_t sent = 0, got = 0;
	uint8_t *buf = malloc(65536);
	int rc;

	connected(&one, &other);
	ck_assert_int_eq(weir_tcp_recv_try(other, buf, 10), -EAGAIN);
	for (;;) {
		pattern_fill(8, sent, buf, 65536);
		rc = weir_tcp_send_try(one, buf, 65536);
		if (rc < 0)
			break;
		sent += (size_t)rc;
		ck_assert_uint_lt(sent, LARGE_BYTES);
	}
	ck_assert_int_eq(rc, -EAGAIN);
	ck_assert_uint_gt(sent, 0);
	while (got < sent) {
		rc = weir_tcp_recv_try(other, buf, 65536);
		if (rc == -EAGAIN)
			rc = weir_tcp_recv(other, buf, 65536);
		ck_assert_int_gt(rc, 0);
		pattern_check(8, got, buf, (size_t)rc);
		got += (size_t)rc;
	}
	ck_assert_int_eq(weir_tcp_recv_try(other, buf, 10), -EAGAIN);
	weir_tcp_close(one);
	ck_assert_int_eq(weir_tcp_recv(other, buf, 10), 0);
	ck_assert_int_eq(weir_tcp_recv_try(other, buf, 10), 0);
	weir_tcp_close(other);
	free(buf);
	return 0;
}

CASE(an_empty_transfer_finishes_at_once, 0)
{
	struct weir_tcp *one, *other;

	connected(&one, &other);
	ck_assert_int_eq(weir_tcp_send_all(one, "", 0, WEIR_FOREVER, NULL), 0);
	ck_assert_int_eq(weir_tcp_recv_exact(one, NULL, 0, WEIR_FOREVER, NULL), 0);
	close_both(one, other);
	return 0;
}

CASE(an_early_end_reports_the_bytes_received, 0)
{
	struct weir_tcp *one, *other;
	size_t done = 99;
	char buf[100];

	connected(&one, &other);
	pattern_send(one, 5, 0, 60);
	weir_tcp_close(one);
	ck_assert_int_eq(weir_tcp_recv_exact(other, buf, 100, WEIR_FOREVER, &done), -EPIPE);
	ck_assert_uint_eq(done, 60);
	pattern_check(5, 0, buf, 60);
	weir_tcp_close(other);
	return 0;
}

CASE(the_end_comes_behind_the_bytes_and_stays, 0)
{
	struct weir_tcp *one, *other;
	char byte;

	connected(&one, &other);
	pattern_send(one, 6, 0, 3000);
	OK(weir_tcp_shutdown(one, SHUT_WR));
	pattern_recv(other, 6, 0, 3000);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(weir_tcp_recv(other, &byte, 1), 0);
	close_both(one, other);
	return 0;
}

/* ---- half-close, in both orders ---- */

CASE(one_direction_goes_on_after_the_other_ended, 0)
{
	struct weir_tcp *side[2];
	char byte;

	for (int first = 0; first < 2; first++) {
		connected(&side[0], &side[1]);
		pattern_send(side[first], 1, 0, 2000);
		OK(weir_tcp_shutdown(side[first], SHUT_WR));
		ck_assert_int_eq(weir_tcp_send(side[first], "x", 1), -EPIPE);
		pattern_recv(side[!first], 1, 0, 2000);
		ck_assert_int_eq(weir_tcp_recv(side[!first], &byte, 1), 0);
		pattern_send(side[!first], 2, 0, 50000 / 8);
		pattern_recv(side[first], 2, 0, 50000 / 8);
		OK(weir_tcp_shutdown(side[!first], SHUT_WR));
		ck_assert_int_eq(weir_tcp_recv(side[first], &byte, 1), 0);
		close_both(side[0], side[1]);
	}
	return 0;
}

/* The end arrives while a read is pending. */
CASE(a_waiting_read_sees_the_end, 0)
{
	struct weir_tcp *one, *other;
	struct waiter waiter;
	struct weir_op op;
	char buf[10];

	connected(&one, &other);
	weir_op_init_recv(&op, weir_tcp_handle(other), buf, sizeof(buf), 0);
	begin(&waiter, &op.future);
	pending(&waiter);
	OK(weir_tcp_shutdown(one, SHUT_WR));
	ck_assert_int_eq(ended(&waiter), 0);
	close_both(one, other);
	return 0;
}

/* ---- back-pressure ---- */

CASE(a_writer_waits_for_its_reader, 0)
{
	struct weir_tcp *one, *other;
	uint8_t *out = malloc(LARGE_BYTES), *in = malloc(262144);
	struct waiter waiter;
	struct weir_op op;
	size_t at = 0;
	int rc;

	connected(&one, &other);
	pattern_fill(env.seed, 0, out, LARGE_BYTES);
	weir_op_init_send(&op, weir_tcp_handle(one), out, LARGE_BYTES, WEIR_OP_ALL);
	begin(&waiter, &op.future);
	pending(&waiter);
	OK(weir_sleep(SHORT_NS));
	ck_assert(!weir_task_is_complete(waiter.task));
	while (at < LARGE_BYTES && (rc = weir_tcp_recv(other, in, 262144)) > 0) {
		pattern_check(env.seed, at, in, (size_t)rc);
		at += (size_t)rc;
	}
	ck_assert_uint_eq(at, LARGE_BYTES);
	ck_assert_int_eq(ended(&waiter), (int)LARGE_BYTES);
	close_both(one, other);
	free(out);
	free(in);
	return 0;
}

/* ---- adopted sockets ---- */

/* The adopted socket may be blocking or not. weir waits for it without blocking a thread. */
CASE(adopted_sockets_wait_like_any, WEIR_CAP_FD | WEIR_CAP_UNIX)
{
	struct weir_tcp *one, *other;
	struct waiter waiter;
	struct weir_op op;
	char buf[100];
	int ends[2];

	for (int i = 0; i < 4; i++) {
		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | (i & 1 ? SOCK_NONBLOCK : 0), 0,
					    ends),
				 0);
		OK(weir_tcp_adopt(ends[0], &one));
		OK(weir_tcp_adopt(ends[1], &other));
		weir_op_init_recv(&op, weir_tcp_handle(other), buf, sizeof(buf),
				  i & 2 ? WEIR_OP_ALL : WEIR_OP_PEEK);
		begin(&waiter, &op.future);
		pending(&waiter);
		turns(3);
		ck_assert(!weir_task_is_complete(waiter.task));
		pattern_send(one, 1, 0, 100);
		ck_assert_int_eq(ended(&waiter), 100);
		if (!(i & 2))
			pattern_recv(other, 1, 0, 100);
		weir_tcp_close(one);
		ck_assert_int_eq(weir_tcp_recv(other, buf, 1), 0);
		weir_tcp_close(other);
	}
	return 0;
}

/*
 * Copies of one socket are adopted and closed in turn, while the original stays open. Each copy may
 * get the descriptor number of the one before.
 */
CASE(a_copy_is_adopted_again_and_again, KERNEL_STREAMS | WEIR_CAP_UNIX)
{
	struct weir_listener *listener;
	struct weir_tcp *conn, *client;
	struct waiter waiter;
	struct weir_accept_future accept;
	struct weir_addr addr;
	struct weir_op op;
	int ends[2];
	char byte;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	for (int i = 0; i < 3; i++) {
		OK(weir_tcp_adopt(fcntl(ends[0], F_DUPFD_CLOEXEC, 0), &conn));
		weir_op_init_recv(&op, weir_tcp_handle(conn), &byte, 1, 0);
		begin(&waiter, &op.future);
		pending(&waiter);
		ck_assert_int_eq((int)write(ends[1], "x", 1), 1);
		ck_assert_int_eq(ended(&waiter), 1);
		weir_tcp_close(conn);
	}
	close(ends[0]);
	close(ends[1]);

	ends[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	OK(weir_addr_parse("127.0.0.1:0", &addr));
	ck_assert_int_eq(bind(ends[0], &addr.u.sa, addr.len), 0);
	ck_assert_int_eq(listen(ends[0], 16), 0);
	for (int i = 0; i < 3; i++) {
		OK(weir_listener_adopt(fcntl(ends[0], F_DUPFD_CLOEXEC, 0), NULL, &listener));
		OK(weir_listener_addr(listener, &addr));
		weir_accept_init(&accept, listener, &conn);
		begin(&waiter, &accept.future);
		pending(&waiter);
		/*
		 * The accept of the previous copy may still be in the kernel and take a connection.
		 */
		while (!weir_task_is_complete(waiter.task)) {
			OK(weir_tcp_connect_addr(&addr, WEIR_FOREVER, &client));
			OK(weir_sleep(WEIR_MSEC));
			weir_tcp_close(client);
		}
		ck_assert_int_eq(ended(&waiter), 0);
		weir_tcp_close(conn);
		weir_listener_close(listener);
	}
	close(ends[0]);
	return 0;
}

void conformance_stream(struct conformance_list *list)
{
	ONCE(list, echo_of_random_chunks);
	BOTH(list, echo_of_leases);
	ONCE(list, echo_of_vectors);
	BOTH(list, peek_leaves_the_bytes);
	ONCE(list, trying_never_waits);
	ONCE(list, an_empty_transfer_finishes_at_once);
	ONCE(list, an_early_end_reports_the_bytes_received);
	ONCE(list, the_end_comes_behind_the_bytes_and_stays);
	ONCE(list, one_direction_goes_on_after_the_other_ended);
	BOTH(list, a_waiting_read_sees_the_end);
	BOTH(list, adopted_sockets_wait_like_any);
	BOTH(list, a_copy_is_adopted_again_and_again);
	BOTH(list, a_writer_waits_for_its_reader);
}
