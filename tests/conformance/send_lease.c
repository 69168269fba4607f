/* SPDX-License-Identifier: MIT */
/*
 * send_lease.c: sends of leased buffers, which take the lease: whatever the result is, nothing is
 * left to be returned, and nothing leaks (each backend checks its buffers when the runtime ends).
 * cancel.c, close.c, end.c and race.c end such a send while it waits.
 */
#include "tests/conformance/conformance.h"

/* Receives a lease of up to len bytes of pattern 1, from byte `at` on. Returns how many. */
static int leased(struct weir_tcp *from, struct weir_tcp *at_end, size_t at, size_t len,
		  struct weir_lease *lease)
{
	pattern_send(from, 1, at, len);
	ck_assert_int_gt(weir_tcp_recv_lease(at_end, lease), 0);
	return (int)lease->len;
}

/* Awaits a send of the lease, and checks that it has taken it. */
static int sent(struct weir_op *op, struct weir_lease *lease)
{
	struct waiter waiter;
	int rc;

	begin(&waiter, &op->future);
	rc = ended(&waiter);
	ck_assert_ptr_null(lease->data);
	weir_lease_return(lease);
	return rc;
}

/* ---- every result ---- */

CASE(a_send_takes_its_lease_whatever_the_result, WEIR_CAP_LEASE)
{
	struct weir_tcp *one, *other;
	struct weir_lease lease = { .data = NULL };
	struct weir_op op;
	size_t at = 0;
	int n;

	connected(&one, &other);
	n = leased(one, other, at, 1, &lease);
	weir_op_init_send_lease(&op, weir_tcp_handle(other), &lease);
	ck_assert_int_eq(sent(&op, &lease), n);
	ck_assert_uint_eq(op.u.lease.done, (size_t)n);
	pattern_recv(one, 1, at, (size_t)n);

	weir_op_init_send_lease(&op, weir_tcp_handle(other), &lease);
	ck_assert_int_eq(sent(&op, &lease), 0);

	leased(one, other, ++at, 1, &lease);
	weir_op_init_send_lease(&op, NULL, &lease);
	ck_assert_int_eq(sent(&op, &lease), -EBADF);

	leased(one, other, ++at, 1, &lease);
	weir_op_init_send_lease(&op, weir_tcp_handle(other), &lease);
	weir_cancel(&op.future);
	ck_assert_int_eq(sent(&op, &lease), -ECANCELED);

	leased(one, other, ++at, 1, &lease);
	OK(weir_tcp_shutdown(other, SHUT_WR));
	weir_op_init_send_lease(&op, weir_tcp_handle(other), &lease);
	ck_assert_int_eq(sent(&op, &lease), -EPIPE);

	/* One that was never polled has taken nothing. */
	leased(one, other, ++at, 1, &lease);
	weir_op_init_send_lease(&op, weir_tcp_handle(other), &lease);
	ck_assert_ptr_nonnull(lease.data);
	weir_lease_return(&lease);
	close_both(one, other);
	return 0;
}

/* The plain call takes it, too, even where it cannot wait. */
CASE(a_call_takes_its_lease_whatever_the_result, WEIR_CAP_LEASE)
{
	struct weir_tcp *one, *other;
	struct weir_lease lease;

	connected(&one, &other);
	leased(one, other, 0, 1, &lease);
	ck_assert_int_eq(weir_tcp_send_lease(NULL, &lease), -EBADF);
	ck_assert_ptr_null(lease.data);
	leased(one, other, 1, 1, &lease);
	ck_assert_int_eq(weir_tcp_send_lease_until(other, &lease, WEIR_FOREVER), 1);
	ck_assert_ptr_null(lease.data);
	pattern_recv(one, 1, 1, 1);
	close_both(one, other);
	return 0;
}

/* ---- in parts ---- */

#define PART 777

struct reader {
	struct weir_tcp *conn;
	size_t len;
};

static int read_in_parts(void *arg)
{
	struct reader *reader = arg;

	for (size_t at = 0, n; at < reader->len; at += n) {
		n = reader->len - at < PART ? reader->len - at : PART;
		pattern_recv(reader->conn, 1, at, n);
		turns(1);
	}
	return 0;
}

/* The connection is full, and its peer makes room for a part at a time. */
CASE(a_lease_is_sent_in_parts, WEIR_CAP_LEASE)
{
	struct weir_tcp *one, *other, *from, *at_end;
	struct reader reader;
	struct weir_lease lease;
	struct waiter waiter;
	struct weir_task *task;
	struct weir_op op;
	uint8_t buf[PART];
	size_t full = 0;
	int rc, n;

	connected(&one, &other);
	connected(&from, &at_end);
	do {
		pattern_fill(1, full, buf, sizeof(buf));
		rc = weir_tcp_send_try(one, buf, sizeof(buf));
		full += rc > 0 ? (size_t)rc : 0;
	} while (rc > 0);
	n = leased(from, at_end, full, 10000, &lease);
	weir_op_init_send_lease(&op, weir_tcp_handle(one), &lease);
	begin(&waiter, &op.future);
	pending(&waiter);
	reader = (struct reader){ other, full + (size_t)n };
	task = spawn(read_in_parts, &reader);
	ck_assert_int_eq(ended(&waiter), n);
	ck_assert_ptr_null(lease.data);
	ck_assert_int_eq(finish(task), 0);
	close_both(one, other);
	close_both(from, at_end);
	return 0;
}

/* ---- leases of others ---- */

#define ROUNDS 60

/* Receives a lease by a task on one worker, and sends it by a task on another. */
static size_t pass(struct weir_tcp *from, struct weir_tcp *to, unsigned round)
{
	struct weir_lease lease;
	struct waiter waiter;
	struct weir_op op;
	int n;

	weir_op_init_recv_lease(&op, weir_tcp_handle(from), &lease);
	begin_on(round % workers(), &waiter, &op.future);
	n = ended(&waiter);
	ck_assert_int_gt(n, 0);
	weir_op_init_send_lease(&op, weir_tcp_handle(to), &lease);
	begin_on(round / 3 % workers(), &waiter, &op.future);
	ck_assert_int_eq(ended(&waiter), n);
	ck_assert_ptr_null(lease.data);
	return (size_t)n;
}

/* Sends bytes from `near` over `far` and another connection back to `far`. */
static void around(struct weir_tcp **near, struct weir_tcp **far)
{
	uint64_t random = env.seed;
	size_t at = 0, len, there, back;

	for (unsigned round = 0; round < ROUNDS; round++, at += len) {
		len = 1 + draw(&random, 3000);
		pattern_send(near[0], 1, at, len);
		for (there = back = 0; back < len;) {
			if (there < len)
				there += pass(far[0], near[1], round);
			back += pass(far[1], far[0], round + 1);
		}
		pattern_recv(near[0], 1, at, len);
	}
	close_both(near[0], far[0]);
	close_both(near[1], far[1]);
}

CASE(leases_of_other_workers_are_sent, WEIR_CAP_LEASE)
{
	struct weir_tcp *near[2], *far[2];

	connected(&near[0], &far[0]);
	connected(&near[1], &far[1]);
	around(near, far);
	return 0;
}

CASE(leases_of_another_kind_are_sent, WEIR_CAP_LEASE | WEIR_CAP_UNIX)
{
	struct weir_tcp *near[2], *far[2];

	connected(&near[0], &far[0]);
	unix_connected(&near[1], &far[1]);
	around(near, far);
	return 0;
}

void conformance_send_lease(struct conformance_list *list)
{
	BOTH(list, a_send_takes_its_lease_whatever_the_result);
	ONCE(list, a_call_takes_its_lease_whatever_the_result);
	BOTH(list, a_lease_is_sent_in_parts);
	BOTH(list, leases_of_other_workers_are_sent);
	BOTH(list, leases_of_another_kind_are_sent);
}
