/* SPDX-License-Identifier: MIT */
/*
 * deadline.c: every waiting call gives up at its deadline and not earlier, reports how much it has
 * transferred, and leaves the object in working order.
 */
#include "tests/conformance/conformance.h"

/* Evaluates a call that waits. It must return -ETIMEDOUT, and not before the deadline. */
#define TIMES_OUT(deadline, call)                                                                  \
	do {                                                                                       \
		uint64_t deadline = weir_deadline_in(SHORT_NS);                                    \
                                                                                                   \
		ck_assert_int_eq((call), -ETIMEDOUT);                                              \
		ck_assert_uint_ge(weir_now(), deadline);                                           \
	} while (0)

CASE(an_accept_times_out, 0)
{
	struct weir_addr addr;
	struct weir_listener *listener = open_listener(&addr);
	struct weir_tcp *one, *other;

	TIMES_OUT(end, weir_listener_accept_until(listener, end, &other));
	OK(weir_tcp_connect_addr(&addr, WEIR_FOREVER, &one));
	OK(weir_listener_accept_until(listener, weir_deadline_in(testing_hang_ns()), &other));
	close_both(one, other);
	weir_listener_close(listener);
	return 0;
}

CASE(a_connect_times_out, 0)
{
	struct weir_tcp *conn;
	struct crowd crowd;

	crowd_open(&crowd);
	TIMES_OUT(end, weir_tcp_connect_addr(&crowd.addr, end, &conn));
	crowd_close(&crowd);
	return 0;
}

CASE(receives_time_out, 0)
{
	struct weir_tcp *one, *other;
	size_t done = 99;
	char buf[100];

	connected(&one, &other);
	TIMES_OUT(end, weir_tcp_recv_until(other, buf, sizeof(buf), end));
	TIMES_OUT(end, weir_tcp_recv_exact(other, buf, sizeof(buf), end, &done));
	ck_assert_uint_eq(done, 0);
	pattern_send(one, 1, 0, 40);
	TIMES_OUT(end, weir_tcp_recv_exact(other, buf, sizeof(buf), end, &done));
	ck_assert_uint_eq(done, 40);
	pattern_check(1, 0, buf, 40);
	pattern_send(one, 1, 40, 60);
	pattern_recv(other, 1, 40, 60);
	close_both(one, other);
	return 0;
}

/* A peek leaves the bytes in the stream, and a call with a past deadline loses none. */
CASE(a_peek_and_a_scattered_receive_time_out, 0)
{
	struct weir_tcp *one, *other;
	char buf[40], more[40];
	struct iovec iov[2] = { { buf, 15 }, { more, sizeof(more) } };
	uint64_t later;
	int got = 0, rc;

	connected(&one, &other);
	TIMES_OUT(end, weir_tcp_peek_until(other, buf, sizeof(buf), end));
	TIMES_OUT(end, weir_tcp_recvv_until(other, iov, 2, end));
	ck_assert_int_eq(weir_tcp_peek_until(other, buf, sizeof(buf), 0), -ETIMEDOUT);
	ck_assert_int_eq(weir_tcp_recvv_until(other, iov, 2, 0), -ETIMEDOUT);
	later = weir_deadline_in(testing_hang_ns());
	pattern_send(one, 3, 0, 30);
	while ((rc = weir_tcp_peek_until(other, buf, sizeof(buf), later)) < 30)
		ck_assert_int_gt(rc, 0);
	pattern_check(3, 0, buf, 30);
	/* With a past deadline the call takes bytes at once, or leaves them. */
	rc = weir_tcp_peek_until(other, buf, sizeof(buf), 1);
	ck_assert(rc == 30 || rc == -ETIMEDOUT);
	rc = weir_tcp_recvv_until(other, iov, 2, 1);
	ck_assert(rc == 30 || rc == -ETIMEDOUT);
	for (got = rc < 0 ? 0 : 30; got < 30; got += rc) {
		/* A peek may see more bytes than the next receive returns. */
		unsigned at = got < 15 ? 0 : 1;

		iov[0] = (struct iovec){ buf + got, 15 - (size_t)got };
		iov[1] = (struct iovec){ more + (at ? got - 15 : 0), 15 };
		rc = weir_tcp_recvv_until(other, iov + at, 2 - at, later);
		ck_assert_int_gt(rc, 0);
	}
	got = 0;
	pattern_check(3, 0, buf, 15);
	pattern_check(3, 15, more, 15);
	pattern_send(one, 3, 30, 20);
	while (got < 20) {
		iov[0] = (struct iovec){ buf + got, 5 };
		iov[1] = (struct iovec){ buf + got + 5, sizeof(buf) - 25 };
		rc = weir_tcp_recvv_until(other, iov, 2, later);
		ck_assert_int_gt(rc, 0);
		got += rc;
	}
	pattern_check(3, 30, buf, 20);
	close_both(one, other);
	return 0;
}

CASE(a_leased_receive_times_out, WEIR_CAP_LEASE)
{
	struct weir_tcp *one, *other;
	struct weir_lease lease;

	connected(&one, &other);
	TIMES_OUT(end, weir_tcp_recv_lease_until(other, end, &lease));
	ck_assert_ptr_null(lease.data);
	ck_assert_int_eq(weir_tcp_send_all(one, "abc", 3, WEIR_FOREVER, NULL), 3);
	OK(weir_tcp_recv_lease_until(other, weir_deadline_in(testing_hang_ns()), &lease));
	ck_assert_int_eq(lease.data[0], 'a');
	weir_lease_return(&lease);
	close_both(one, other);
	return 0;
}

/* Exactly as many bytes arrive as the send reports. */
CASE(a_send_times_out, 0)
{
	struct weir_tcp *one, *other;
	size_t done = 0;
	uint8_t *out;
	char byte;

	if (sends_wait_for_the_peer())
		return 0;
	out = malloc(LARGE_BYTES);
	connected(&one, &other);
	pattern_fill(2, 0, out, LARGE_BYTES);
	TIMES_OUT(end, weir_tcp_send_all(one, out, LARGE_BYTES, end, &done));
	ck_assert_uint_gt(done, 0);
	ck_assert_uint_lt(done, LARGE_BYTES);
	free(out);
	OK(weir_tcp_shutdown(one, SHUT_WR));
	pattern_recv(other, 2, 0, done);
	ck_assert_int_eq(weir_tcp_recv(other, &byte, 1), 0);
	close_both(one, other);
	return 0;
}

#define SEND_MAX 65536

/*
 * Sends the bytes of the stream from offset `sent` in one call; gathered sends them in two pieces.
 */
static int send_some(struct weir_tcp *conn, bool gathered, size_t sent, size_t len,
		     uint64_t deadline)
{
	static uint8_t out[SEND_MAX];
	struct iovec iov[2] = { { out, len / 3 }, { out + len / 3, len - len / 3 } };

	pattern_fill(4, sent, out, len);
	return gathered ? weir_tcp_sendv_until(conn, iov, 2, deadline)
			: weir_tcp_send_until(conn, out, len, deadline);
}

/* Sends until a send times out without progress. Returns how many bytes were sent in all. */
static size_t send_until_full(struct weir_tcp *conn, bool gathered, size_t sent)
{
	uint64_t deadline;
	int rc;

	for (;;) {
		deadline = weir_deadline_in(SHORT_NS);
		rc = send_some(conn, gathered, sent, SEND_MAX, deadline);
		if (rc < 0)
			break;
		ck_assert_int_gt(rc, 0);
		sent += (size_t)rc;
		ck_assert_uint_lt(sent, LARGE_BYTES);
	}
	ck_assert_int_eq(rc, -ETIMEDOUT);
	ck_assert_uint_ge(weir_now(), deadline);
	return sent;
}

/* Every byte that the sends report arrives, and no other. */
CASE(plain_and_gathered_sends_time_out, 0)
{
	struct weir_tcp *one, *other;
	size_t sent = 0;
	char byte;
	int rc, i;

	if (sends_wait_for_the_peer())
		return 0;
	connected(&one, &other);
	for (i = 0; i < 4; i++) {
		rc = send_some(one, i % 2, sent, 100, weir_deadline_in(testing_hang_ns()));
		ck_assert_int_gt(rc, 0);
		sent += (size_t)rc;
		/* A past deadline: the send succeeds at once, or sends nothing. */
		rc = send_some(one, i % 2, sent, 100, (uint64_t)i);
		ck_assert(rc > 0 || rc == -ETIMEDOUT);
		sent += rc > 0 ? (size_t)rc : 0;
	}
	sent = send_until_full(one, false, sent);
	sent = send_until_full(one, true, sent);
	OK(weir_tcp_shutdown(one, SHUT_WR));
	pattern_recv(other, 4, 0, sent);
	ck_assert_int_eq(weir_tcp_recv(other, &byte, 1), 0);
	close_both(one, other);
	return 0;
}

/* The lease is returned whether or not its bytes were sent. */
CASE(a_leased_send_times_out, WEIR_CAP_LEASE)
{
	struct weir_tcp *one, *other, *third, *fourth;
	struct weir_lease lease;
	uint64_t deadline;
	size_t sent = 0;
	int rc;

	if (sends_wait_for_the_peer())
		return 0;
	connected(&one, &other);
	connected(&third, &fourth);
	do {
		pattern_send(one, 1, 0, 8192);
		OK(weir_tcp_recv_lease(other, &lease));
		deadline = weir_deadline_in(SHORT_NS);
		rc = weir_tcp_send_lease_until(third, &lease, deadline);
		ck_assert_ptr_null(lease.data);
		sent += rc > 0 ? (size_t)rc : 0;
		ck_assert_uint_lt(sent, LARGE_BYTES);
	} while (rc > 0);
	ck_assert_int_eq(rc, -ETIMEDOUT);
	ck_assert_uint_ge(weir_now(), deadline);
	weir_tcp_reset(one);
	weir_tcp_close(other);
	close_both(third, fourth);
	return 0;
}

CASE(the_other_receives_time_out, 0)
{
	struct weir_tcp *one, *other;
	char buf[100];
	struct iovec iov[2] = { { buf, 50 }, { buf + 50, 50 } };

	connected(&one, &other);
	TIMES_OUT(end, weir_tcp_recvv_until(other, iov, 2, end));
	TIMES_OUT(end, weir_tcp_peek_until(other, buf, sizeof(buf), end));
	pattern_send(one, 1, 0, 40);
	OK(weir_tcp_peek_until(other, buf, sizeof(buf), weir_deadline_in(testing_hang_ns())));
	pattern_recv(other, 1, 0, 40);
	TIMES_OUT(end, weir_tcp_peek_until(other, buf, sizeof(buf), end));
	pattern_send(one, 1, 40, 60);
	OK(weir_tcp_recvv_until(other, iov, 2, weir_deadline_in(testing_hang_ns())));
	close_both(one, other);
	return 0;
}

/* When the stream accepts no more bytes, each single send reports that it sent none. */
CASE(single_sends_time_out, 0)
{
	struct weir_tcp *one, *other;
	static uint8_t buf[65536];
	struct iovec iov[2] = { { buf, 30000 }, { buf + 30000, 30000 } };
	size_t sent = 0;
	int rc[2];

	if (sends_wait_for_the_peer())
		return 0;
	connected(&one, &other);
	/* The kernel may make a little more room after the stream seemed full. */
	do {
		rc[0] = weir_tcp_send_until(one, buf, 65536, weir_deadline_in(SHORT_NS));
		sent += rc[0] > 0 ? (size_t)rc[0] : 0;
		rc[1] = weir_tcp_sendv_until(one, iov, 2, weir_deadline_in(SHORT_NS));
		sent += rc[1] > 0 ? (size_t)rc[1] : 0;
		ck_assert_uint_lt(sent, LARGE_BYTES);
	} while (rc[0] > 0 || rc[1] > 0);
	ck_assert_int_eq(rc[0], -ETIMEDOUT);
	ck_assert_int_eq(rc[1], -ETIMEDOUT);
	OK(weir_tcp_shutdown(one, SHUT_WR));
	for (int n; sent > 0; sent -= (size_t)n) {
		n = weir_tcp_recv(other, buf, 65536);
		ck_assert_int_gt(n, 0);
		ck_assert_uint_le((size_t)n, sent);
	}
	ck_assert_int_eq(weir_tcp_recv(other, buf, 65536), 0);
	close_both(one, other);
	return 0;
}

/* Each call with a past deadline: none waits, and nothing is lost. */
CASE(a_past_deadline_ends_each_call, 0)
{
	struct weir_addr addr;
	struct weir_listener *listener = open_listener(&addr);
	struct weir_tcp *one, *other, *conn;
	struct weir_lease lease;
	size_t done = 99;
	char buf[10];
	struct iovec iov = { buf, sizeof(buf) };

	connected(&one, &other);
	ck_assert_int_eq(weir_listener_accept_until(listener, 1, &conn), -ETIMEDOUT);
	ck_assert_int_eq(weir_tcp_recv_until(other, buf, 10, 1), -ETIMEDOUT);
	ck_assert_int_eq(weir_tcp_recvv_until(other, &iov, 1, 1), -ETIMEDOUT);
	ck_assert_int_eq(weir_tcp_peek_until(other, buf, 10, 1), -ETIMEDOUT);
	ck_assert_int_eq(weir_tcp_recv_exact(other, buf, 10, 1, &done), -ETIMEDOUT);
	ck_assert_uint_eq(done, 0);
	if (env.caps & WEIR_CAP_LEASE) {
		ck_assert_int_eq(weir_tcp_recv_lease_until(other, 1, &lease), -ETIMEDOUT);
		ck_assert_ptr_null(lease.data);
	}
	pattern_send(one, 1, 0, 10);
	pattern_recv(other, 1, 0, 10);
	close_both(one, other);
	weir_listener_close(listener);
	return 0;
}

/* With a past deadline a call takes what is available at once, and does not wait. */
CASE(a_past_deadline_takes_what_is_there, 0)
{
	struct weir_tcp *one, *other;
	uint64_t start = weir_now();
	char byte;

	connected(&one, &other);
	ck_assert_int_eq(weir_tcp_recv_until(other, &byte, 1, 0), -ETIMEDOUT);
	ck_assert_int_eq(weir_tcp_send_all(one, "x", 1, WEIR_FOREVER, NULL), 1);
	ck_assert_int_eq(weir_tcp_recv_until(other, &byte, 1, start + 3600 * WEIR_SEC), 1);
	ck_assert_int_eq(byte, 'x');
	close_both(one, other);
	return 0;
}

void conformance_deadline(struct conformance_list *list)
{
	ONCE(list, an_accept_times_out);
	ONCE(list, a_connect_times_out);
	ONCE(list, receives_time_out);
	ONCE(list, a_peek_and_a_scattered_receive_time_out);
	ONCE(list, a_leased_receive_times_out);
	ONCE(list, a_send_times_out);
	ONCE(list, plain_and_gathered_sends_time_out);
	ONCE(list, a_leased_send_times_out);
	ONCE(list, the_other_receives_time_out);
	ONCE(list, single_sends_time_out);
	ONCE(list, a_past_deadline_ends_each_call);
	ONCE(list, a_past_deadline_takes_what_is_there);
}
