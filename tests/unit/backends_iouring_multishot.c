/* SPDX-License-Identifier: MIT */
/*
 * backends_iouring_multishot.c: io_uring: the multishot receive: when a stream gets one, what it
 * queues, how it ends; and operations that cross each other.
 */
#include <poll.h>
#include <stdio.h>
#include <sys/resource.h>

#include "tests/unit/backends_iouring_rig.h"

/* ---- the multishot receive ---------------------------------------------------------------- */

START_TEST(a_stream_of_small_reads_is_armed)
{
	struct weir_handle h;
	struct weir_op op;
	char buf[16];
	int peer;

	begin((unsigned)_i);
	peer = tcp_pair(&h);
	arm(&h, peer);
	if (_i == PLAIN)
		ck_assert_uint_eq(h.homed, WEIR_HOMED_READS);
	/* Bytes that nobody has received yet are queued, in order. */
	queue_some(&h, peer, "one");
	queue_some(&h, peer, "two");
	ck_assert_int_eq(lease_now(&h, buf), 3);
	ck_assert_mem_eq(buf, "one", 3);
	ck_assert_int_eq(lease_now(&h, buf), 3);
	ck_assert_mem_eq(buf, "two", 3);
	/* A copying receive ends the multishot receive without losing bytes. */
	queue_some(&h, peer, "three");
	ck_assert_int_eq(finish(submit(with(recv_op(&op, &h, buf, 3), WEIR_OP_PEEK))), 3);
	ck_assert_mem_eq(buf, "thr", 3);
	ck_assert_int_eq(finish(submit(recv_op(&op, &h, buf, 2))), 2);
	put(peer, "four");
	ck_assert_int_eq(finish(submit(with(recv_op(&op, &h, buf, 7), WEIR_OP_ALL))), 7);
	ck_assert_mem_eq(buf, "reefour", 7);
	ck_assert(!(state_of(&h)->flags & ARMED));
	ck_assert_uint_eq(h.homed, 0);
	arm(&h, peer);
	detach(&h);
	close(peer);
	end();
}
END_TEST

START_TEST(queue_is_bounded)
{
	struct weir_handle h;
	char text[16], buf[256];
	int peer;

	begin((unsigned)_i);
	peer = tcp_pair(&h);
	arm(&h, peer);
	for (unsigned i = 0; i < 5; i++) {
		snprintf(text, sizeof(text), "%04u", i);
		queue_some(&h, peer, text);
	}
	/* The multishot receive is being stopped: further bytes stay in the socket. */
	settle(be0);
	ck_assert(!(state_of(&h)->flags & ARMED));
	for (unsigned i = 5; i < 50; i++) {
		snprintf(text, sizeof(text), "%04u", i);
		put(peer, text);
	}
	settle(be0);
	ck_assert_uint_eq(state_of(&h)->queued, 5);
	for (unsigned i = 0, n; i < 50; i += n / 4) {
		n = (unsigned)lease_now(&h, buf);
		for (unsigned k = 0; k < n / 4; k++) {
			snprintf(text, sizeof(text), "%04u", i + k);
			ck_assert_mem_eq(buf + 4 * k, text, 4);
		}
	}
	detach(&h);
	close(peer);
	end();
}
END_TEST

START_TEST(lease_of_at_most)
{
	struct weir_handle h;
	struct weir_lease lease[3];
	struct weir_op op;
	char buf[16];
	int peer;

	begin((unsigned)_i);
	peer = tcp_pair(&h);
	put(peer, "abcdef");
	for (unsigned i = 0; i < 3; i++) {
		lease_op(&op, &h, &lease[i])->u.lease.max = 2;
		ck_assert_int_eq(finish(submit(&op)), 2);
		ck_assert_mem_eq(lease[i].data, &"abcdef"[2 * i], 2);
	}
	for (unsigned i = 0; i < 3; i++)
		give_back(&lease[i]);
	if (_i == PLAIN || _i == ALONE || _i == TINY) {
		arm(&h, peer);
		queue_some(&h, peer, "ghijkl");
		for (unsigned i = 0; i < 2; i++) {
			lease_op(&op, &h, &lease[i])->u.lease.max = 4 - 2 * i;
			ck_assert_int_eq(finish(submit(&op)), (int)(4 - 2 * i));
		}
		ck_assert_mem_eq(lease[0].data, "ghij", 4);
		ck_assert_mem_eq(lease[1].data, "kl", 2);
		give_back(&lease[0]);
		give_back(&lease[1]);
	}
	put(peer, "x");
	ck_assert_int_eq(lease_now(&h, buf), 1);
	detach(&h);
	close(peer);
	end();
}
END_TEST

/* The end or the reset is reported after the queued bytes. */
START_TEST(end_behind_queued_data)
{
	struct weir_handle h;
	struct weir_op op;
	char buf[16];
	int peer, last;

	begin((unsigned)_i);
	for (unsigned by_reset = 0; by_reset < 2; by_reset++) {
		peer = tcp_pair(&h);
		arm(&h, peer);
		queue_some(&h, peer, "last");
		if (by_reset)
			reset(peer);
		else
			close(peer);
		while (!(state_of(&h)->flags & ENDED))
			turn_of(be0, WEIR_FOREVER);
		ck_assert_int_eq(submit(with(recv_op(&op, &h, buf, 2), WEIR_OP_TRY))->res, 2);
		ck_assert_mem_eq(buf, "la", 2);
		ck_assert_int_eq(lease_now(&h, buf), 2);
		ck_assert_mem_eq(buf, "st", 2);
		/* After a reset, each receive reports it again, and never an end. */
		last = by_reset ? -ECONNRESET : 0;
		ck_assert_int_eq(submit(with(recv_op(&op, &h, buf, 2), WEIR_OP_TRY))->res, last);
		ck_assert_int_eq(lease_now(&h, buf), last);
		ck_assert_int_eq(finish(submit(recv_op(&op, &h, buf, 2))), last);
		detach(&h);
	}
	end();
}
END_TEST

START_TEST(try_takes_what_is_queued)
{
	struct weir_handle h;
	struct weir_lease lease;
	struct weir_op op;
	char buf[16];
	int peer;

	begin((unsigned)_i);
	peer = tcp_pair(&h);
	arm(&h, peer);
	ck_assert_int_eq(submit(with(recv_op(&op, &h, buf, 16), WEIR_OP_TRY))->res, -EAGAIN);
	put(peer, "abc");
	/* The bytes are in the ring or in the socket: a try looks at both. */
	do
		submit(with(recv_op(&op, &h, buf, 2), WEIR_OP_TRY));
	while (op.res == -EAGAIN);
	ck_assert_int_eq(op.res, 2);
	submit(with(lease_op(&op, &h, &lease), WEIR_OP_TRY));
	ck_assert_int_eq(op.res, 1);
	ck_assert_int_eq(lease.data[0], 'c');
	give_back(&lease);
	submit(with(lease_op(&op, &h, &lease), WEIR_OP_TRY));
	ck_assert_int_eq(op.res, -EAGAIN);
	detach(&h);
	close(peer);
	end();
}
END_TEST

/* Many streams with multishot receives and few buffers: each stream gets its bytes. */
START_TEST(buffers_run_out)
{
	enum {
		MANY = 40
	};
	struct weir_handle h[MANY];
	struct weir_lease lease[MANY];
	struct weir_op op[MANY];
	int peer[MANY];

	begin(TINY);
	for (unsigned i = 0; i < MANY; i++) {
		peer[i] = unix_pair(&h[i]);
		arm(&h[i], peer[i]);
	}
	for (unsigned round = 0; round < 20; round++) {
		for (unsigned i = 0; i < MANY; i++)
			submit(lease_op(&op[i], &h[i], &lease[i]));
		turn_of(be0, 0);
		for (unsigned i = 0; i < MANY; i++)
			put(peer[i], "now");
		for (unsigned i = 0; i < MANY; i++)
			ck_assert_int_eq(finish(&op[i]), 3);
		for (unsigned i = 0; i < MANY; i++)
			give_back(&lease[i]);
	}
	/* The same for single receives, all of which need a buffer at the same time. */
	for (unsigned i = 0; i < MANY; i++) {
		weir__uring_recv_stop(uring(0), &h[i]);
		put(peer[i], "again");
	}
	for (unsigned i = 0; i < MANY; i++)
		submit(lease_op(&op[i], &h[i], &lease[i]));
	for (unsigned i = 0; i < MANY; i++) {
		ck_assert_int_eq(finish(&op[i]), 5);
		give_back(&lease[i]);
		detach(&h[i]);
		close(peer[i]);
	}
	end();
}
END_TEST

/* Lets a kernel thread execute the requests, as it does for files that it cannot poll. */
static void let_a_thread_do_it(struct uring *u)
{
	struct io_uring_sq *sq = &u->ring.sq;

	sq->sqes[(sq->sqe_tail - 1) & *sq->kring_mask].flags |= IOSQE_ASYNC;
}

/* An end of stream that comes with a buffer returns it: there are fewer buffers than ends here. */
START_TEST(an_end_keeps_no_buffer)
{
	struct weir_lease lease;
	struct weir_handle h;
	struct weir_op op;
	char buf[16];
	int peer;

	begin(TINY);
	for (unsigned i = 0; i < 100; i++) {
		peer = unix_pair(&h);
		submit(lease_op(&op, &h, &lease));
		let_a_thread_do_it(uring(0));
		turn_of(be0, 0);
		close(peer);
		ck_assert_int_eq(finish(&op), 0);
		detach(&h);
	}
	peer = unix_pair(&h);
	put(peer, "more");
	ck_assert_int_eq(lease_now(&h, buf), 4);
	detach(&h);
	close(peer);
	end();
}
END_TEST

/*
 * Sends messages to many streams at once, so that more buffers are provided than are kept when
 * idle.
 */
static void provide_many(struct weir_handle *h, int *peer, unsigned many)
{
	char buf[16];

	for (unsigned round = 0; round < 4; round++) {
		for (unsigned i = 0; i < many; i++)
			put(peer[i], "now");
		for (unsigned i = 0; i < many; i++)
			ck_assert_int_eq(lease_now(&h[i], buf), 3);
	}
}

/* A trim releases the memory of provided buffers, except of those that were filled meanwhile. */
START_TEST(a_trim_keeps_what_has_come)
{
	enum {
		MANY = 40
	};
	struct weir_handle h[MANY];
	int peer[MANY];
	char buf[16];

	begin((unsigned)_i);
	for (unsigned i = 0; i < MANY; i++) {
		peer[i] = unix_pair(&h[i]);
		if (uring(0)->options.multishot_recv)
			arm(&h[i], peer[i]);
	}
	provide_many(h, peer, MANY);
	if (_i == PLAIN)
		ck_assert(weir__uring_buffers_excess(&uring(0)->buffers));
	for (unsigned i = 0; i < MANY; i++)
		put(peer[i], "kept");
	while (weir__uring_buffers_trim(&uring(0)->buffers))
		continue;
	if (_i == PLAIN)
		ck_assert_uint_gt(uring(0)->buffers.group[URING_WHOLE].cold, 16);
	for (unsigned i = 0; i < MANY; i++) {
		ck_assert_int_eq(lease_now(&h[i], buf), 4);
		ck_assert_mem_eq(buf, "kept", 4);
		detach(&h[i]);
		close(peer[i]);
	}
	end();
}
END_TEST

/* Hundreds of completions at once, in a ring with room for 64. */
START_TEST(completions_overflow)
{
	enum {
		MANY = 400
	};
	static struct weir_handle h[MANY];
	static struct weir_op op[MANY];
	static char buf[MANY];
	static int peer[MANY];

	begin(TINY);
	for (unsigned i = 0; i < MANY; i++) {
		peer[i] = unix_pair(&h[i]);
		submit(recv_op(&op[i], &h[i], &buf[i], 1));
	}
	turn_of(be0, 0);
	for (unsigned i = 0; i < MANY; i++)
		put(peer[i], "x");
	for (unsigned i = 0; i < MANY; i++)
		ck_assert_int_eq(finish(&op[i]), 1);
	/* The same with cancels that all come too late. */
	for (unsigned i = 0; i < MANY; i++) {
		submit(recv_op(&op[i], &h[i], &buf[i], 1));
		put(peer[i], "y");
	}
	for (unsigned i = 0; i < MANY; i++)
		if (!is_done(&op[i]))
			cancel(&op[i]);
	for (unsigned i = 0; i < MANY; i++)
		ck_assert(finish(&op[i]) == 1 || op[i].res == -ECANCELED);
	for (unsigned i = 0; i < MANY; i++) {
		detach(&h[i]);
		close(peer[i]);
	}
	end();
}
END_TEST

/* ---- operations that cross ---------------------------------------------------------------- */

/* A send is cancelled while its handle, which has a multishot receive, is being closed. */
START_TEST(cancel_beside_closing)
{
	static const char zeros[1 << 20];
	struct weir_handle h[3];
	struct weir_op out;
	int peer[3];

	begin((unsigned)_i);
	for (unsigned i = 0; i < 3; i++) {
		peer[i] = tcp_pair(&h[i]);
		arm(&h[i], peer[i]);
	}
	small_buffers(&h[2], peer[2]);
	fill(&h[2]);
	submit(send_op(&out, &h[2], zeros, sizeof(zeros), 0));
	for (unsigned i = 0; i < 3; i++)
		detach_some_time(&h[i]);
	cancel(&out);
	ck_assert_int_eq(finish(&out), -ECANCELED);
	while (weir__load(&detached, WEIR_ACQUIRE) < 3)
		turn_of(be0, WEIR_FOREVER);
	for (unsigned i = 0; i < 3; i++)
		close(peer[i]);
	end();
}
END_TEST

/* POLL is meant for foreign descriptors, but on a stream it must not disturb receives. */
START_TEST(poll_of_a_stream)
{
	struct weir_handle h;
	struct weir_op op, in;
	char buf[4];
	int peer;

	begin((unsigned)_i);
	peer = tcp_pair(&h);
	submit(poll_op(&op, &h, WEIR_READABLE));
	submit(recv_op(&in, &h, buf, 4));
	put(peer, "ab");
	ck_assert_int_eq(finish(&in), 2);
	ck_assert(finish(&op) == WEIR_READABLE || op.res == -EOPNOTSUPP);
	submit(poll_op(&op, &h, WEIR_PRIORITY));
	detach(&h);
	ck_assert(is_done(&op));
	close(peer);
	end();
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		BOTH(a_stream_of_small_reads_is_armed),
		BOTH(queue_is_bounded),
		EVERY(lease_of_at_most),
		BOTH(end_behind_queued_data),
		BOTH(try_takes_what_is_queued),
		TESTING(buffers_run_out),
		TESTING(an_end_keeps_no_buffer),
		EVERY(a_trim_keeps_what_has_come),
		TESTING(completions_overflow),
		BOTH(cancel_beside_closing),
		EVERY(poll_of_a_stream),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
