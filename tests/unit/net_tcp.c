/* SPDX-License-Identifier: MIT */
/*
 * net_tcp.c: streams over loopback: connecting, transferring, deadlines, halves, options, adopting.
 * net_relay.c and net_listener.c test relays and listeners.
 */
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/net.h"
#include "weir/net.h"
#include "weir/rt.h"
#include "weir/task.h"
#include "weir/time.h"
#include "tests/support/testing.h"

/* Defines a test whose body runs on a fiber, on the current-thread scheduler. */
#define FIBER_CASE(name)                                                                           \
	static int name##_body(void *arg);                                                         \
	START_TEST(name)                                                                           \
	{                                                                                          \
		struct weir_rt_config cfg = WEIR_RT_CONFIG_INIT;                                   \
                                                                                                   \
		cfg.sched = WEIR_SCHED_CURRENT;                                                    \
		ck_assert_int_eq(weir_rt_run(&cfg, name##_body, NULL), 0);                         \
	}                                                                                          \
	END_TEST                                                                                   \
	static int name##_body(void *arg __attribute__((unused)))

static void pair(struct weir_tcp **ret_one, struct weir_tcp **ret_other)
{
	struct weir_listener *listener;
	struct weir_addr addr;

	ck_assert_int_eq(weir_listener_open("127.0.0.1:0", NULL, &listener), 0);
	ck_assert_int_eq(weir_listener_addr(listener, &addr), 0);
	ck_assert_int_eq(weir_tcp_connect_addr(&addr, WEIR_FOREVER, ret_one), 0);
	ck_assert_int_eq(weir_listener_accept(listener, ret_other), 0);
	weir_listener_close(listener);
}

static void close_both(struct weir_tcp *one, struct weir_tcp *other)
{
	weir_tcp_close(one);
	weir_tcp_close(other);
}

/* ---- connecting ---- */

/* Finds an address that refuses connections. */
static void dead_addr(struct weir_addr *ret_addr)
{
	struct weir_listener *listener;

	ck_assert_int_eq(weir_listener_open("127.0.0.1:0", NULL, &listener), 0);
	ck_assert_int_eq(weir_listener_addr(listener, ret_addr), 0);
	weir_listener_close(listener);
}

FIBER_CASE(nobody_listens)
{
	struct weir_tcp *conn;
	struct weir_addr addr;
	char text[64];

	dead_addr(&addr);
	ck_assert_int_eq(weir_tcp_connect_addr(&addr, WEIR_FOREVER, &conn), -ECONNREFUSED);
	snprintf(text, sizeof(text), "localhost:%u", weir_addr_port(&addr));
	ck_assert_int_eq(weir_tcp_connect(text, weir_deadline_in(testing_hang_ns()), &conn),
			 -ECONNREFUSED);
	ck_assert_int_eq(weir_tcp_connect("unix:/nonexistent/socket", WEIR_FOREVER, &conn),
			 -ENOENT);
	return 0;
}

FIBER_CASE(connecting_to_what_is_no_address)
{
	struct weir_tcp *conn;
	struct weir_addr addr = { 0 };

	ck_assert_int_eq(weir_tcp_connect(NULL, WEIR_FOREVER, &conn), -EINVAL);
	ck_assert_int_eq(weir_tcp_connect("localhost", WEIR_FOREVER, &conn), -EINVAL);
	ck_assert_int_eq(weir_tcp_connect("127.0.0.1:65536", WEIR_FOREVER, &conn), -EINVAL);
	ck_assert_int_eq(weir_tcp_connect_addr(&addr, WEIR_FOREVER, &conn), -EINVAL);
	ck_assert_int_eq(weir_tcp_new(AF_NETLINK, &conn), -EAFNOSUPPORT);
	return 0;
}

/* With a full accept queue the kernel drops the handshake, so that a connect hangs. */
FIBER_CASE(a_connect_may_time_out)
{
	struct weir_listener_config cfg = WEIR_LISTENER_CONFIG_INIT;
	struct weir_tcp *conns[16];
	struct weir_listener *listener;
	struct weir_addr addr;
	uint64_t deadline;
	unsigned n = 0;
	int rc = 0;

	cfg.backlog = 1;
	ck_assert_int_eq(weir_listener_open("127.0.0.1:0", &cfg, &listener), 0);
	ck_assert_int_eq(weir_listener_addr(listener, &addr), 0);
	while (rc == 0 && n < 16) {
		deadline = weir_deadline_in(50 * WEIR_MSEC);
		rc = weir_tcp_connect_addr(&addr, deadline, &conns[n]);
		if (rc == 0)
			n++;
	}
	ck_assert_int_eq(rc, -ETIMEDOUT);
	ck_assert_uint_ge(weir_now(), deadline);
	while (n > 0)
		weir_tcp_close(conns[--n]);
	weir_listener_close(listener);
	return 0;
}

FIBER_CASE(a_name_is_tried_at_each_of_its_addresses)
{
	struct weir_listener *listener;
	struct weir_tcp *conn;
	struct weir_addr addr;
	char text[64];

	/* If localhost is ::1 first, only the second address answers. */
	ck_assert_int_eq(weir_listener_open("127.0.0.1:0", NULL, &listener), 0);
	ck_assert_int_eq(weir_listener_addr(listener, &addr), 0);
	snprintf(text, sizeof(text), "localhost:%u", weir_addr_port(&addr));
	ck_assert_int_eq(weir_tcp_connect(text, weir_deadline_in(testing_hang_ns()), &conn), 0);
	weir_tcp_close(conn);
	weir_listener_close(listener);
	return 0;
}

FIBER_CASE(both_sides_know_both_addresses)
{
	struct weir_tcp *one, *other;
	struct weir_addr a, b;
	char x[64], y[64];

	pair(&one, &other);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(weir_tcp_local_addr(i ? one : other, &a), 0);
		ck_assert_int_eq(weir_tcp_peer_addr(i ? other : one, &b), 0);
		weir_addr_format(&a, x, sizeof(x));
		weir_addr_format(&b, y, sizeof(y));
		ck_assert_str_eq(x, y);
		ck_assert_uint_ne(weir_addr_port(&a), 0);
	}
	close_both(one, other);
	return 0;
}

/* ---- bytes ---- */

FIBER_CASE(a_receive_may_time_out)
{
	struct weir_tcp *one, *other;
	struct weir_lease lease;
	char buf[8];
	size_t done = 7;

	pair(&one, &other);
	ck_assert_int_eq(weir_tcp_recv_until(one, buf, 8, weir_deadline_in(5 * WEIR_MSEC)),
			 -ETIMEDOUT);
	ck_assert_int_eq(weir_tcp_recv_lease_until(one, weir_deadline_in(5 * WEIR_MSEC), &lease),
			 -ETIMEDOUT);
	ck_assert_ptr_null(lease.data);
	ck_assert_int_eq(weir_tcp_send(other, "abc", 3), 3);
	ck_assert_int_eq(weir_tcp_recv_exact(one, buf, 8, weir_deadline_in(20 * WEIR_MSEC), &done),
			 -ETIMEDOUT);
	ck_assert_uint_eq(done, 3);
	ck_assert_int_eq(memcmp(buf, "abc", 3), 0);
	close_both(one, other);
	return 0;
}

FIBER_CASE(an_exact_receive_sees_an_early_end)
{
	struct weir_tcp *one, *other;
	char buf[8];
	size_t done = 7;

	pair(&one, &other);
	ck_assert_int_eq(weir_tcp_send(other, "abc", 3), 3);
	weir_tcp_close(other);
	ck_assert_int_eq(weir_tcp_recv_exact(one, buf, 8, WEIR_FOREVER, &done), -EPIPE);
	ck_assert_uint_eq(done, 3);
	ck_assert_int_eq(weir_tcp_recv_exact(one, buf, 0, WEIR_FOREVER, &done), 0);
	ck_assert_uint_eq(done, 0);
	weir_tcp_close(one);
	return 0;
}

FIBER_CASE(a_try_never_waits)
{
	struct weir_tcp *one, *other;
	static char much[1 << 20];
	char buf[8];
	int rc;

	pair(&one, &other);
	ck_assert_int_eq(weir_tcp_recv_try(one, buf, 8), -EAGAIN);
	ck_assert_int_eq(weir_tcp_send_try(other, "abc", 3), 3);
	ck_assert_int_eq(weir_tcp_peek(one, buf, 8), 3);
	ck_assert_int_eq(weir_tcp_recv_try(one, buf, 8), 3);
	ck_assert_int_eq(weir_tcp_recv_try(one, buf, 8), -EAGAIN);
	do
		rc = weir_tcp_send_try(other, much, sizeof(much));
	while (rc > 0);
	ck_assert_int_eq(rc, -EAGAIN);
	weir_tcp_close(other);
	weir_tcp_close(one);
	return 0;
}

FIBER_CASE(a_peek_leaves_the_bytes)
{
	struct weir_tcp *one, *other;
	char buf[8] = "";

	pair(&one, &other);
	ck_assert_int_eq(weir_tcp_send(other, "abc", 3), 3);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(weir_tcp_peek(one, buf, 8), 3);
		ck_assert_str_eq(buf, "abc");
	}
	ck_assert_int_eq(weir_tcp_recv(one, buf, 8), 3);
	close_both(one, other);
	return 0;
}

FIBER_CASE(vectors)
{
	struct weir_tcp *one, *other;
	char x[3], y[5] = "";
	struct iovec out[3] = { { "ab", 2 }, { "", 0 }, { "cdef", 4 } };
	struct iovec in[2] = { { x, sizeof(x) }, { y, sizeof(y) } };

	pair(&one, &other);
	ck_assert_int_eq(weir_tcp_sendv(other, out, 3), 6);
	ck_assert_int_eq(weir_tcp_recvv(one, in, 2), 6);
	ck_assert_int_eq(memcmp(x, "abc", 3), 0);
	ck_assert_int_eq(memcmp(y, "def", 3), 0);
	close_both(one, other);
	return 0;
}

FIBER_CASE(a_lease_goes_round)
{
	struct weir_tcp *one, *other;
	struct weir_lease lease;
	char buf[8] = "";

	pair(&one, &other);
	for (int i = 0; i < 1000; i++) {
		ck_assert_int_eq(weir_tcp_send(other, "abc", 3), 3);
		ck_assert_int_eq(weir_tcp_recv_lease(one, &lease), 3);
		ck_assert_uint_eq(lease.len, 3);
		ck_assert_int_eq(memcmp(lease.data, "abc", 3), 0);
		ck_assert_int_eq(weir_tcp_send_lease(one, &lease), 3);
		ck_assert_ptr_null(lease.data);
		ck_assert_int_eq(weir_tcp_recv(other, buf, 8), 3);
	}
	weir_tcp_close(other);
	ck_assert_int_eq(weir_tcp_recv_lease(one, &lease), 0);
	ck_assert_ptr_null(lease.data);
	weir_tcp_close(one);
	return 0;
}

FIBER_CASE(a_failed_send_gives_the_lease_back)
{
	struct weir_tcp *one, *other;
	struct weir_lease lease;
	int rc;

	pair(&one, &other);
	ck_assert_int_eq(weir_tcp_send(other, "abc", 3), 3);
	ck_assert_int_eq(weir_tcp_recv_lease(one, &lease), 3);
	ck_assert_int_eq(weir_tcp_shutdown(one, SHUT_WR), 0);
	rc = weir_tcp_send_lease(one, &lease);
	ck_assert_int_eq(rc, -EPIPE);
	ck_assert_ptr_null(lease.data);
	close_both(one, other);
	return 0;
}

FIBER_CASE(send_all_says_what_it_sent)
{
	static char much[8 << 20];
	struct weir_tcp *one, *other;
	size_t done = 0;

	pair(&one, &other);
	ck_assert_int_eq(weir_tcp_send_all(one, much, sizeof(much),
					   weir_deadline_in(100 * WEIR_MSEC), &done),
			 -ETIMEDOUT);
	ck_assert_uint_gt(done, 0);
	ck_assert_uint_lt(done, sizeof(much));
	weir_tcp_shutdown(one, SHUT_WR);
	for (size_t left = done; left > 0;) {
		int rc = weir_tcp_recv(other, much, sizeof(much));

		ck_assert_int_gt(rc, 0);
		ck_assert_uint_le((size_t)rc, left);
		left -= (size_t)rc;
	}
	ck_assert_int_eq(weir_tcp_recv(other, much, sizeof(much)), 0);
	close_both(one, other);
	return 0;
}

/* ---- closing ---- */

FIBER_CASE(a_reset_is_seen_as_one)
{
	struct weir_tcp *one, *other;
	char byte;

	pair(&one, &other);
	weir_tcp_reset(one);
	ck_assert_int_eq(weir_tcp_recv(other, &byte, 1), -ECONNRESET);
	weir_tcp_close(other);
	weir_tcp_close(NULL);
	weir_tcp_reset(NULL);
	return 0;
}

static int recv_one(void *arg)
{
	char byte;

	return weir_tcp_recv(arg, &byte, 1);
}

FIBER_CASE(closing_ends_a_pending_receive)
{
	struct weir_tcp *one, *other;
	struct weir_task *task;
	int rc = WEIR_PENDING;

	pair(&one, &other);
	ck_assert_int_eq(weir_spawn(recv_one, one, &task), 0);
	weir_yield();
	weir_yield();
	weir_tcp_close(one);
	ck_assert_int_eq(weir_task_join(task, &rc), 0);
	ck_assert_int_eq(rc, -ECANCELED);
	weir_tcp_close(other);
	return 0;
}

FIBER_CASE(halves_close_one_by_one)
{
	struct weir_tcp *one, *other;
	char byte;

	for (int read_first = 0; read_first < 2; read_first++) {
		pair(&one, &other);
		ck_assert_int_eq(weir_tcp_split(one), 0);
		ck_assert_int_eq(weir_tcp_split(one), -EBUSY);
		for (int twice = 0; twice < 2; twice++)
			weir_tcp_close_half(one, read_first ? WEIR_HALF_READ : WEIR_HALF_WRITE);
		if (read_first) {
			ck_assert_int_eq(weir_tcp_recv_try(other, &byte, 1), -EAGAIN);
			ck_assert_int_eq(weir_tcp_send(one, "x", 1), 1);
			ck_assert_int_eq(weir_tcp_recv(other, &byte, 1), 1);
		} else {
			ck_assert_int_eq(weir_tcp_recv(other, &byte, 1), 0);
			ck_assert_int_eq(weir_tcp_send(other, "x", 1), 1);
			ck_assert_int_eq(weir_tcp_recv(one, &byte, 1), 1);
		}
		weir_tcp_close_half(one, read_first ? WEIR_HALF_WRITE : WEIR_HALF_READ);
		ck_assert_int_eq(weir_tcp_recv(other, &byte, 1), 0);
		weir_tcp_close(other);
	}
	return 0;
}

/* ---- options, adopting ---- */

static int option(struct weir_tcp *conn, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	getsockopt(weir_tcp_handle(conn)->fd, level, name, &value, &len);
	return value;
}

FIBER_CASE(options_reach_the_socket)
{
	struct weir_keepalive keepalive = { 30, 10, 3 };
	struct weir_tcp *one, *other;

	pair(&one, &other);
	ck_assert_int_eq(weir_tcp_set_nodelay(one, false), 0);
	ck_assert_int_eq(option(one, IPPROTO_TCP, TCP_NODELAY), 0);
	ck_assert_int_eq(weir_tcp_set_nodelay(one, true), 0);
	ck_assert_int_ne(option(one, IPPROTO_TCP, TCP_NODELAY), 0);
	ck_assert_int_eq(weir_tcp_set_keepalive(one, &keepalive), 0);
	ck_assert_int_eq(option(one, SOL_SOCKET, SO_KEEPALIVE), 1);
	ck_assert_int_eq(option(one, IPPROTO_TCP, TCP_KEEPIDLE), 30);
	ck_assert_int_eq(option(one, IPPROTO_TCP, TCP_KEEPCNT), 3);
	ck_assert_int_eq(weir_tcp_set_linger(one, -1), 0);
	close_both(one, other);
	return 0;
}

FIBER_CASE(accepted_streams_have_the_listeners_probes)
{
	struct weir_listener_config cfg = WEIR_LISTENER_CONFIG_INIT;
	struct weir_listener *listener;
	struct weir_tcp *one, *other;
	struct weir_addr addr;

	cfg.keepalive = (struct weir_keepalive){ 30, 10, 3 };
	ck_assert_int_eq(weir_listener_open("127.0.0.1:0", &cfg, &listener), 0);
	ck_assert_int_eq(weir_listener_addr(listener, &addr), 0);
	ck_assert_int_eq(weir_tcp_connect_addr(&addr, WEIR_FOREVER, &one), 0);
	ck_assert_int_eq(weir_listener_accept(listener, &other), 0);
	ck_assert_int_eq(option(other, SOL_SOCKET, SO_KEEPALIVE), 1);
	ck_assert_int_eq(option(other, IPPROTO_TCP, TCP_KEEPIDLE), 30);
	ck_assert_int_eq(option(other, IPPROTO_TCP, TCP_KEEPINTVL), 10);
	ck_assert_int_eq(option(other, IPPROTO_TCP, TCP_KEEPCNT), 3);
	close_both(one, other);
	weir_listener_close(listener);
	return 0;
}

/* As with a port scanner, which has reset before it is accepted. */
FIBER_CASE(the_address_of_a_client_that_reset_is_known)
{
	static const char *const at[] = { "127.0.0.1:0", "[::1]:0" };

	for (unsigned i = 0; i < 2; i++) {
		struct weir_listener *listener;
		struct weir_addr addr, near, far;
		struct weir_tcp *one, *other;

		if (weir_listener_open(at[i], NULL, &listener) < 0 && i)
			return 0;	/* no IPv6 here */
		ck_assert_int_eq(weir_listener_addr(listener, &addr), 0);
		ck_assert_int_eq(weir_tcp_connect_addr(&addr, WEIR_FOREVER, &one), 0);
		ck_assert_int_eq(weir_tcp_local_addr(one, &near), 0);
		weir_tcp_reset(one);
		ck_assert_int_eq(weir_listener_accept(listener, &other), 0);
		ck_assert_int_eq(weir_tcp_peer_addr(other, &far), 0);
		ck_assert_uint_eq(far.len, near.len);
		ck_assert_uint_eq(weir_addr_port(&far), weir_addr_port(&near));
		weir_tcp_close(other);
		weir_listener_close(listener);
	}
	return 0;
}

FIBER_CASE(a_connected_socket_can_be_adopted)
{
	struct weir_tcp *one, *other;
	int fds[2];
	char byte;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	ck_assert_int_eq(weir_tcp_adopt(fds[0], &one), 0);
	ck_assert_int_eq(weir_tcp_adopt(fds[1], &other), 0);
	ck_assert_int_eq(weir_tcp_recv_until(one, &byte, 1, weir_deadline_in(WEIR_MSEC)),
			 -ETIMEDOUT);
	ck_assert_int_eq(weir_tcp_send(one, "x", 1), 1);
	ck_assert_int_eq(weir_tcp_recv(other, &byte, 1), 1);
	close_both(one, other);
	return 0;
}

FIBER_CASE(what_cannot_be_adopted)
{
	int datagram = socket(AF_INET, SOCK_DGRAM, 0);
	int listening = socket(AF_INET, SOCK_STREAM, 0);
	struct weir_tcp *conn;

	ck_assert_int_eq(listen(listening, 1), 0);
	ck_assert_int_eq(weir_tcp_adopt(-1, &conn), -EBADF);
	ck_assert_int_eq(weir_tcp_adopt(0, &conn), -ENOTSOCK);
	ck_assert_int_eq(weir_tcp_adopt(datagram, &conn), -EPROTOTYPE);
	ck_assert_int_eq(weir_tcp_adopt(listening, &conn), -EINVAL);
	/* The refused descriptors are still open. */
	ck_assert_int_eq(close(datagram), 0);
	ck_assert_int_eq(close(listening), 0);
	return 0;
}

START_TEST(a_handle_of_nothing_is_none)
{
	ck_assert_ptr_null(weir_tcp_handle(NULL));
	ck_assert_ptr_null(weir_listener_handle(NULL));
	ck_assert_ptr_null(weir_fd_handle(NULL));
}
END_TEST

START_TEST(a_stream_is_small)
{
	ck_assert_uint_le(sizeof(struct weir_tcp), 96);
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(nobody_listens),
		TESTING(connecting_to_what_is_no_address),
		TESTING(a_connect_may_time_out),
		TESTING(a_name_is_tried_at_each_of_its_addresses),
		TESTING(both_sides_know_both_addresses),
		TESTING(a_receive_may_time_out),
		TESTING(an_exact_receive_sees_an_early_end),
		TESTING(a_try_never_waits),
		TESTING(a_peek_leaves_the_bytes),
		TESTING(vectors),
		TESTING(a_lease_goes_round),
		TESTING(a_failed_send_gives_the_lease_back),
		TESTING(send_all_says_what_it_sent),
		TESTING(a_reset_is_seen_as_one),
		TESTING(closing_ends_a_pending_receive),
		TESTING(halves_close_one_by_one),
		TESTING(options_reach_the_socket),
		TESTING(accepted_streams_have_the_listeners_probes),
		/* qemu-user does not support the socket option that this needs. */
		TESTING(the_address_of_a_client_that_reset_is_known, .needs = "native"),
		TESTING(a_connected_socket_can_be_adopted),
		TESTING(what_cannot_be_adopted),
		TESTING(a_handle_of_nothing_is_none),
		TESTING(a_stream_is_small),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
