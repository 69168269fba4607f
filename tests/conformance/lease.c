/* SPDX-License-Identifier: MIT */
/*
 * lease.c: buffers that the backend lends (leases). They may run out; they may be returned from any
 * worker; a waiting receive holds none; and one stream may mix them with all other ways to receive.
 */
#include <pthread.h>

#include "tests/conformance/conformance.h"

/* ---- running out ---- */

/* More leases than a backend has, unless it allocates them without limit. */
#define LEASES_MAX 2500
#define WAITERS 8

struct hoard {
	struct weir_lease leases[LEASES_MAX];
	unsigned count;
	struct weir_tcp *one, *other;
};

/* Takes leases with one byte each until there are no more. */
static void hoard_all(struct hoard *h)
{
	int rc = 1;

	h->count = 0;
	connected(&h->one, &h->other);
	while (h->count < LEASES_MAX) {
		pattern_send(h->one, 1, h->count, 1);
		rc = weir_tcp_recv_lease_until(h->other, weir_deadline_in(SHORT_NS),
					       &h->leases[h->count]);
		if (rc != 1)
			break;
		h->count++;
	}
	ck_assert_msg(rc == 1 || rc == -ETIMEDOUT, "unexpected result: %s", weir_strerror(rc));
	ck_assert_uint_ge(h->count, 16);
}

/* Checks the bytes of all leases, and returns the leases. */
static void hoard_return(struct hoard *h)
{
	for (unsigned i = 0; i < h->count; i++) {
		ck_assert_uint_eq(h->leases[i].len, 1);
		pattern_check(1, i, h->leases[i].data, 1);
		weir_lease_return(&h->leases[i]);
		ck_assert_ptr_null(h->leases[i].data);
	}
}

CASE(leases_run_out_and_come_back, WEIR_CAP_LEASE)
{
	struct hoard *h = malloc(sizeof(*h));
	struct weir_tcp *near[WAITERS], *far[WAITERS];
	struct weir_lease leases[WAITERS];
	struct waiter waiters[WAITERS];
	struct weir_op ops[WAITERS];
	bool all;

	for (int i = 0; i < WAITERS; i++)
		connected(&near[i], &far[i]);
	for (int round = 0; round < 2; round++) {
		hoard_all(h);
		all = h->count == LEASES_MAX;
		for (int i = 0; i < WAITERS; i++) {
			weir_op_init_recv_lease(&ops[i], weir_tcp_handle(far[i]), &leases[i]);
			begin(&waiters[i], &ops[i].future);
			pending(&waiters[i]);
			pattern_send(near[i], 2, 0, 100);
		}
		hoard_return(h);
		for (int i = 0; i < WAITERS; i++) {
			ck_assert_int_gt(ended(&waiters[i]), 0);
			pattern_check(2, 0, leases[i].data, leases[i].len);
			pattern_recv(far[i], 2, leases[i].len, 100 - leases[i].len);
			weir_lease_return(&leases[i]);
		}
		/* The byte for which there was no lease is still in the stream. */
		if (!all)
			pattern_recv(h->other, 1, h->count, 1);
		close_both(h->one, h->other);
	}
	for (int i = 0; i < WAITERS; i++)
		close_both(near[i], far[i]);
	free(h);
	return 0;
}

/*
 * When no lease is left, other ways to receive still work, and a waiting leased one can be
 * cancelled.
 */
CASE(running_out_stops_leases_only, WEIR_CAP_LEASE)
{
	struct hoard *h = malloc(sizeof(*h));
	struct weir_tcp *one, *other;
	struct weir_lease lease;
	struct waiter waiter;
	struct weir_op op;
	int rc;

	hoard_all(h);
	connected(&one, &other);
	weir_op_init_recv_lease(&op, weir_tcp_handle(other), &lease);
	begin(&waiter, &op.future);
	pending(&waiter);
	pattern_send(one, 2, 0, 100);
	turns(5);
	weir_task_abort(waiter.task);
	rc = ended(&waiter);
	if (rc > 0) {
		/*
		 * It got a lease after all: from another worker's pool, or from one without limit.
		 */
		pattern_recv(other, 2, lease.len, 100 - lease.len);
		weir_lease_return(&lease);
	} else if (op.res <= 0) {
		pattern_recv(other, 2, 0, 100);
		pattern_send(other, 3, 0, 5000);
		pattern_recv(one, 3, 0, 5000);
	}
	hoard_return(h);
	close_both(h->one, h->other);
	close_both(one, other);
	free(h);
	return 0;
}

/* When no lease is left, sending them makes room for others. */
CASE(leases_that_ran_out_are_sent, WEIR_CAP_LEASE)
{
	struct hoard *h = malloc(sizeof(*h));
	struct weir_tcp *one, *other;
	struct weir_lease lease;
	struct waiter waiter;
	struct weir_op op;

	hoard_all(h);
	connected(&one, &other);
	for (unsigned i = 0; i < h->count; i++) {
		weir_op_init_send_lease(&op, weir_tcp_handle(one), &h->leases[i]);
		begin(&waiter, &op.future);
		ck_assert_int_eq(ended(&waiter), 1);
		ck_assert_ptr_null(h->leases[i].data);
		pattern_recv(other, 1, i, 1);
	}
	pattern_send(one, 2, 0, 10);
	ck_assert_int_gt(weir_tcp_recv_lease(other, &lease), 0);
	weir_lease_return(&lease);
	close_both(h->one, h->other);
	close_both(one, other);
	free(h);
	return 0;
}

/* ---- a waiting receive holds no lease ---- */

#define IDLE 400

static int pass_on(void *arg)
{
	struct weir_lease lease;
	int rc;

	while ((rc = weir_tcp_recv_lease(arg, &lease)) > 0)
		OK(weir_tcp_send_lease(arg, &lease));
	return rc;
}

CASE(idle_streams_hold_no_lease, WEIR_CAP_LEASE)
{
	static struct weir_tcp *near[IDLE], *far[IDLE];
	static struct weir_task *tasks[IDLE];
	struct weir_tcp *one, *other;
	struct weir_task *echo;

	allow_files(2 * IDLE + 100);
	for (int i = 0; i < IDLE; i++) {
		connected(&near[i], &far[i]);
		tasks[i] = spawn(pass_on, far[i]);
	}
	connected(&one, &other);
	echo = spawn(pass_on, other);
	for (size_t i = 0; i < 100; i++) {
		pattern_send(one, 1, i * 3000, 3000);
		pattern_recv(one, 1, i * 3000, 3000);
	}
	OK(weir_tcp_shutdown(one, SHUT_WR));
	ck_assert_int_eq(finish(echo), 0);
	close_both(one, other);
	/* Bytes arrive on all of them together, and each gets a lease. */
	for (int i = 0; i < IDLE; i++)
		pattern_send(near[i], 2, 0, 10);
	for (int i = 0; i < IDLE; i++) {
		pattern_recv(near[i], 2, 0, 10);
		weir_tcp_close(near[i]);
		ck_assert_int_eq(finish(tasks[i]), 0);
		weir_tcp_close(far[i]);
	}
	return 0;
}

/* ---- returned from anywhere ---- */

static int return_here(void *arg)
{
	weir_lease_return(arg);
	return 0;
}

static void *return_in_thread(void *arg)
{
	weir_lease_return(arg);
	return NULL;
}

/* The stream by which they came may be closed already. */
CASE(leases_come_back_from_anywhere, WEIR_CAP_LEASE)
{
	struct weir_lease leases[40];
	struct weir_tcp *one, *other;
	pthread_t thread;
	unsigned count = 0;

	for (int round = 0; round < 20; round++) {
		connected(&one, &other);
		for (count = 0; count < 40; count++) {
			pattern_send(one, 1, count, 1);
			ck_assert_int_eq(weir_tcp_recv_lease(other, &leases[count]), 1);
		}
		close_both(one, other);
		for (unsigned i = 0; i < count; i++) {
			pattern_check(1, i, leases[i].data, 1);
			switch (i % 3) {
			case 0:
				weir_lease_return(&leases[i]);
				break;
			case 1:
				finish(spawn_on(i, return_here, &leases[i]));
				break;
			default:
				if (i % 10 != 2)
					break;
				ck_assert_int_eq(pthread_create(&thread, NULL, return_in_thread,
								&leases[i]),
						 0);
				pthread_join(thread, NULL);
			}
			weir_lease_return(&leases[i]);
		}
	}
	return 0;
}

/* The bytes of a lease do not change while its stream, and other streams, go on receiving. */
CASE(the_bytes_of_a_lease_do_not_change, WEIR_CAP_LEASE)
{
	struct weir_lease held[10], lease;
	struct weir_tcp *one, *other;
	size_t at = 0;

	connected(&one, &other);
	for (unsigned i = 0; i < 10; i++) {
		pattern_send(one, 1, at, 500);
		OK(weir_tcp_recv_lease(other, &held[i]));
		at += held[i].len;
		pattern_recv(other, 1, at, (i + 1) * 500 - at);
		at = (i + 1) * 500;
	}
	for (size_t i = 0, n; i < 50 * 1000; i += n) {
		if (i % 1000 == 0)
			pattern_send(one, 2, i, 1000);
		OK(weir_tcp_recv_lease(other, &lease));
		pattern_check(2, i, lease.data, lease.len);
		n = lease.len;
		memset(lease.data, 0, lease.len);
		weir_lease_return(&lease);
	}
	for (size_t i = 0; i < 10; i++) {
		pattern_check(1, i * 500, held[i].data, held[i].len);
		weir_lease_return(&held[i]);
	}
	close_both(one, other);
	return 0;
}

/* ---- every way to receive on one stream ---- */

#define MIXED_BYTES 200000

static int send_mixed(void *arg)
{
	uint64_t random = env.seed + 3;
	size_t at = 0, n;

	while (at < MIXED_BYTES) {
		n = 1 + draw(&random, 4000);
		n = n < MIXED_BYTES - at ? n : MIXED_BYTES - at;
		pattern_send(arg, 9, at, n);
		at += n;
		turns(draw(&random, 3));
	}
	return weir_tcp_shutdown(arg, SHUT_WR);
}

static int peek_and_check(struct weir_tcp *conn, size_t at, uint8_t *buf, size_t len)
{
	int rc = weir_tcp_peek(conn, buf, len);

	if (rc > 0)
		pattern_check(9, at, buf, (size_t)rc);
	return rc;
}

static int lease_and_check(struct weir_tcp *conn, size_t at)
{
	struct weir_lease lease;
	int rc = weir_tcp_recv_lease(conn, &lease);

	if (rc > 0)
		pattern_check(9, at, lease.data, (size_t)rc);
	weir_lease_return(&lease);
	return rc;
}

/* Receives in one of several ways. Returns the number of bytes; 0 at the end. */
static int receive_mixed(struct weir_tcp *conn, uint64_t how, size_t at, uint8_t *buf, size_t len)
{
	struct iovec iov[2] = { { buf, len / 2 }, { buf + len / 2, len - len / 2 } };
	size_t done;
	int rc;

	switch (how) {
	case 0:
		return lease_and_check(conn, at);
	case 1:
		rc = peek_and_check(conn, at, buf, len);
		return rc > 0 ? lease_and_check(conn, at) : rc;
	case 2:
		rc = weir_tcp_recvv(conn, iov, 2);
		break;
	case 3:
		rc = weir_tcp_recv_try(conn, buf, len);
		if (rc == -EAGAIN)
			rc = weir_tcp_recv(conn, buf, len);
		break;
	case 4:
		rc = weir_tcp_recv_exact(conn, buf, len, WEIR_FOREVER, &done);
		rc = rc == -EPIPE ? (int)done : rc;
		break;
	default:
		rc = peek_and_check(conn, at, buf, len);
		return rc > 0 ? (pattern_recv(conn, 9, at, (size_t)rc), rc) : rc;
	}
	if (rc > 0)
		pattern_check(9, at, buf, (size_t)rc);
	return rc;
}

CASE(every_way_to_receive_mixes, WEIR_CAP_LEASE)
{
	uint64_t random = env.seed;
	struct weir_tcp *one, *other;
	struct weir_task *sender;
	uint8_t *buf = malloc(6000);
	size_t at = 0;
	int rc = 1;

	connected(&one, &other);
	sender = spawn(send_mixed, one);
	while (rc > 0) {
		rc = receive_mixed(other, draw(&random, 6), at, buf, 2 + draw(&random, 5000));
		OK(rc);
		at += (size_t)rc;
	}
	ck_assert_uint_eq(at, MIXED_BYTES);
	ck_assert_int_eq(finish(sender), 0);
	close_both(one, other);
	free(buf);
	return 0;
}

/* Sends each received lease on another stream, from another worker: a relay written by hand. */
struct passage {
	struct weir_tcp *from, *to;
};

static int carry(void *arg)
{
	struct passage *p = arg;
	struct weir_lease lease;
	int rc;

	while ((rc = weir_tcp_recv_lease(p->from, &lease)) > 0)
		ck_assert_int_eq(weir_tcp_send_lease(p->to, &lease), rc);
	return rc < 0 ? rc : weir_tcp_shutdown(p->to, SHUT_WR);
}

#define HOPS 4

CASE(leases_go_from_stream_to_stream, WEIR_CAP_LEASE)
{
	struct weir_tcp *near[HOPS + 1], *far[HOPS + 1];
	struct passage hops[HOPS];
	struct weir_task *tasks[HOPS], *sender;
	char byte;

	for (int i = 0; i <= HOPS; i++)
		connected(&near[i], &far[i]);
	for (unsigned i = 0; i < HOPS; i++) {
		hops[i] = (struct passage){ far[i], near[i + 1] };
		tasks[i] = spawn_on(i, carry, &hops[i]);
	}
	sender = spawn(send_mixed, near[0]);
	pattern_recv(far[HOPS], 9, 0, MIXED_BYTES);
	ck_assert_int_eq(weir_tcp_recv(far[HOPS], &byte, 1), 0);
	ck_assert_int_eq(finish(sender), 0);
	for (int i = 0; i < HOPS; i++)
		ck_assert_int_eq(finish(tasks[i]), 0);
	for (int i = 0; i <= HOPS; i++)
		close_both(near[i], far[i]);
	return 0;
}

void conformance_lease(struct conformance_list *list)
{
	BOTH(list, leases_run_out_and_come_back);
	BOTH(list, running_out_stops_leases_only);
	BOTH(list, leases_that_ran_out_are_sent);
	ONCE(list, idle_streams_hold_no_lease);
	ONCE(list, leases_come_back_from_anywhere);
	ONCE(list, the_bytes_of_a_lease_do_not_change);
	ONCE(list, every_way_to_receive_mixes);
	ONCE(list, leases_go_from_stream_to_stream);
}
