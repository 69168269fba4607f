/* SPDX-License-Identifier: MIT */
/*
 * deadline.c: every waiting call gives up at its deadline and not before, says
 * what it moved, and leaves the object as good as it was.
 */
#include "tests/conformance/conformance.h"

/* Call an expression that waits; it must answer -ETIMEDOUT, and never early. */
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
	OK(weir_listener_accept_until(listener, weir_deadline_in(10 * WEIR_SEC), &other));
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

CASE(a_leased_receive_times_out, WEIR_CAP_LEASE)
{
	struct weir_tcp *one, *other;
	struct weir_lease lease;

	connected(&one, &other);
	TIMES_OUT(end, weir_tcp_recv_lease_until(other, &lease, end));
	ck_assert_ptr_null(lease.data);
	ck_assert_int_eq(weir_tcp_send_all(one, "abc", 3, WEIR_FOREVER, NULL), 3);
	OK(weir_tcp_recv_lease_until(other, &lease, weir_deadline_in(10 * WEIR_SEC)));
	ck_assert_int_eq(lease.data[0], 'a');
	weir_lease_return(&lease);
	close_both(one, other);
	return 0;
}

/* What the sender says it sent is what arrives, to the byte. */
CASE(a_send_times_out, 0)
{
	struct weir_tcp *one, *other;
	uint8_t *out = malloc(LARGE_BYTES);
	size_t done = 0;
	char byte;

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

/* The lease is given back, sent or not. */
CASE(a_leased_send_times_out, WEIR_CAP_LEASE)
{
	struct weir_tcp *one, *other, *third, *fourth;
	struct weir_lease lease;
	uint64_t deadline;
	size_t sent = 0;
	int rc;

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

/* A deadline in the past: what can be had at once is had, and nothing waits. */
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
	ONCE(list, a_leased_receive_times_out);
	ONCE(list, a_send_times_out);
	ONCE(list, a_leased_send_times_out);
	ONCE(list, a_past_deadline_takes_what_is_there);
}
