/* SPDX-License-Identifier: MIT */
/*
 * backends_epoll_stream.c: the readiness adaptor over epoll: receiving, sending, and the end of a
 * stream.
 */
#include <stdlib.h>
#include <sys/ioctl.h>

#include "core/worker.h"
#include "tests/unit/backends_rig.h"

/* ---- receive ------------------------------------------------------------------------------ */

START_TEST(recv_completes_at_once)
{
	struct weir_handle h;
	struct weir_op op;
	char buf[16];
	int peer = tcp_pair(&h);

	put(peer, "hello");
	ck_assert_int_eq(finish(submit(poll_op(&op, &h, WEIR_READABLE))), WEIR_READABLE);
	ck_assert(is_done(submit(recv_op(&op, &h, buf, sizeof(buf)))));
	ck_assert_int_eq(op.res, 5);
	ck_assert_uint_eq(op.u.io.done, 5);
	ck_assert_mem_eq(buf, "hello", 5);
	detach(&h);
	close(peer);
}
END_TEST

START_TEST(recv_completes_later)
{
	struct weir_handle h;
	struct weir_op op;
	char buf[16];
	int peer = tcp_pair(&h);

	submit(recv_op(&op, &h, buf, sizeof(buf)));
	ck_assert(!is_done(&op));
	ck_assert_int_eq(turn(), 0);
	put(peer, "later");
	ck_assert_int_eq(finish(&op), 5);
	ck_assert_mem_eq(buf, "later", 5);
	detach(&h);
	close(peer);
}
END_TEST

START_TEST(nothing_is_registered_before_it_must_wait)
{
	struct weir_handle h;
	struct weir_op op;
	char buf[16];
	int peer = unix_pair(&h);

	put(peer, "x");
	forget_calls();
	ck_assert_int_eq(submit(recv_op(&op, &h, buf, sizeof(buf)))->res, 1);
	ck_assert_int_eq(submit(send_op(&op, &h, "y", 1, 0))->res, 1);
	ck_assert_uint_eq(calls[EPOLL_CTL], 0);
	submit(recv_op(&op, &h, buf, sizeof(buf)));
	ck_assert_uint_eq(calls[EPOLL_CTL], 1);
	cancel(&op);
	submit(recv_op(&op, &h, buf, sizeof(buf)));
	ck_assert_uint_eq(calls[EPOLL_CTL], 1);
	/* An adopted descriptor must be removed from epoll: somebody may hold a copy of it. */
	detach(&h);
	ck_assert_uint_eq(calls[EPOLL_CTL], 2);
	close(peer);
}
END_TEST

/* Each message costs one receive, one send and one poll, and no other call. */
START_TEST(echo_makes_two_calls_a_message)
{
	const struct weir_worker_metrics *counted = &be0->worker->metrics;
	struct weir_worker_metrics before;
	struct weir_handle h;
	struct weir_op in, out;
	char buf[64], back[64];
	int peer = tcp_pair(&h);

	submit(recv_op(&in, &h, buf, sizeof(buf)));
	turn();
	forget_calls();
	before = *counted;
	for (unsigned i = 0; i < 100; i++) {
		put(peer, "ping");
		ck_assert_int_eq(finish(&in), 4);
		ck_assert(is_done(submit(send_op(&out, &h, buf, 4, WEIR_OP_ALL))));
		ck_assert_int_eq(out.res, 4);
		submit(recv_op(&in, &h, buf, sizeof(buf)));
		ck_assert(!is_done(&in));
		ck_assert_int_eq(read(peer, back, sizeof(back)), 4);
	}
	ck_assert_uint_eq(calls[RECV], 100);
	ck_assert_uint_eq(calls[SEND], 100);
	ck_assert_uint_eq(calls[EPOLL_WAIT], 100);
	ck_assert_uint_eq(calls[EPOLL_CTL], 0);
	ck_assert_uint_eq(counted->syscalls - before.syscalls, 300);
	ck_assert_uint_eq(counted->waits - before.waits, 100);
	ck_assert_uint_eq(counted->events - before.events, 100);
	detach(&h);
	ck_assert_int_eq(in.res, -ECANCELED);
	close(peer);
}
END_TEST

/* If a receive after the event has emptied the socket, the next one waits without a call. */
START_TEST(short_read_at_once_is_remembered)
{
	struct weir_handle h;
	struct weir_op op;
	char buf[64];
	int peer = tcp_pair(&h);

	submit(recv_op(&op, &h, buf, sizeof(buf)));
	cancel(&op);
	put(peer, "abc");
	ck_assert_int_eq(finish(submit(poll_op(&op, &h, WEIR_READABLE))), WEIR_READABLE);
	turn();
	ck_assert_int_eq(finish(submit(recv_op(&op, &h, buf, sizeof(buf)))), 3);
	forget_calls();
	submit(recv_op(&op, &h, buf, sizeof(buf)));
	ck_assert_uint_eq(calls[RECV], 0);
	put(peer, "d");
	ck_assert_int_eq(finish(&op), 1);
	detach(&h);
	close(peer);
}
END_TEST

/* After a read that fills the buffer exactly, the socket may still have bytes. */
START_TEST(exact_fit_keeps_readiness)
{
	struct weir_handle h;
	struct weir_op op;
	char buf[4];
	int peer = tcp_pair(&h);

	submit(recv_op(&op, &h, buf, 4));
	put(peer, "12345678");
	ck_assert_int_eq(finish(&op), 4);
	ck_assert(is_done(submit(recv_op(&op, &h, buf, 4))));
	ck_assert_mem_eq(buf, "5678", 4);
	submit(recv_op(&op, &h, buf, 4));
	ck_assert(!is_done(&op));
	put(peer, "9");
	ck_assert_int_eq(finish(&op), 1);
	detach(&h);
	close(peer);
}
END_TEST

START_TEST(peek_leaves_the_bytes)
{
	struct weir_handle h;
	struct weir_op op;
	char buf[16];
	int peer = tcp_pair(&h);

	recv_op(&op, &h, buf, sizeof(buf))->flags = WEIR_OP_PEEK;
	submit(&op);
	put(peer, "peek");
	ck_assert_int_eq(finish(&op), 4);
	recv_op(&op, &h, buf, sizeof(buf))->flags = WEIR_OP_PEEK;
	ck_assert(is_done(submit(&op)));
	ck_assert(is_done(submit(recv_op(&op, &h, buf, sizeof(buf)))));
	ck_assert_mem_eq(buf, "peek", 4);
	detach(&h);
	close(peer);
}
END_TEST

START_TEST(try_never_waits)
{
	struct weir_handle h;
	struct weir_op op, waiting;
	char buf[16];
	int peer = tcp_pair(&h);

	recv_op(&op, &h, buf, sizeof(buf))->flags = WEIR_OP_TRY;
	ck_assert_int_eq(submit(&op)->res, -EAGAIN);
	submit(recv_op(&waiting, &h, buf, sizeof(buf)));
	recv_op(&op, &h, buf, sizeof(buf))->flags = WEIR_OP_TRY;
	ck_assert_int_eq(submit(&op)->res, -EAGAIN);
	put(peer, "x");
	ck_assert_int_eq(finish(&waiting), 1);
	/* The handle counts as not ready, but that may be outdated: a try makes the call. */
	put(peer, "yz");
	do {
		recv_op(&op, &h, buf, sizeof(buf))->flags = WEIR_OP_TRY;
		submit(&op);
	} while (op.res == -EAGAIN);
	ck_assert_int_eq(op.res, 2);
	detach(&h);
	close(peer);
}
END_TEST

START_TEST(recvv_and_sendv)
{
	struct weir_handle h;
	struct weir_op op;
	char a[3], b[5], back[16];
	struct iovec in[2] = { { a, 3 }, { b, 5 } };
	struct iovec out[3] = { { "ab", 2 }, { NULL, 0 }, { "cde", 3 } };
	int peer = tcp_pair(&h);

	prepare(&op, WEIR_OP_RECVV, &h);
	op.u.iov.iov = in;
	op.u.iov.count = 2;
	submit(&op);
	put(peer, "123456");
	ck_assert_int_eq(finish(&op), 6);
	ck_assert_mem_eq(a, "123", 3);
	ck_assert_mem_eq(b, "456", 3);
	prepare(&op, WEIR_OP_SENDV, &h);
	op.u.iov.iov = out;
	op.u.iov.count = 3;
	ck_assert_int_eq(submit(&op)->res, 5);
	ck_assert_int_eq(read(peer, back, sizeof(back)), 5);
	ck_assert_mem_eq(back, "abcde", 5);
	detach(&h);
	close(peer);
}
END_TEST

START_TEST(recv_all_gathers)
{
	struct weir_handle h;
	struct weir_op op;
	char buf[8];
	int peer = tcp_pair(&h);

	recv_op(&op, &h, buf, 8)->flags = WEIR_OP_ALL;
	submit(&op);
	put(peer, "abc");
	while (!is_done(&op) && op.u.io.done < 3)
		turn_of(be0, WEIR_FOREVER);
	ck_assert(!is_done(&op));
	put(peer, "defgh");
	ck_assert_int_eq(finish(&op), 8);
	ck_assert_mem_eq(buf, "abcdefgh", 8);
	/* At the end of the stream it returns the bytes that it has. */
	recv_op(&op, &h, buf, 8)->flags = WEIR_OP_ALL;
	submit(&op);
	put(peer, "ij");
	close(peer);
	ck_assert_int_eq(finish(&op), 2);
	detach(&h);
}
END_TEST

START_TEST(several_receives_wait_in_order)
{
	struct weir_handle h;
	struct weir_op op[3];
	char buf[3][2];
	int peer = tcp_pair(&h);

	for (unsigned i = 0; i < 3; i++)
		submit(recv_op(&op[i], &h, buf[i], 2));
	put(peer, "aabb");
	ck_assert_int_eq(finish(&op[1]), 2);
	ck_assert(is_done(&op[0]) && !is_done(&op[2]));
	ck_assert_mem_eq(buf[0], "aa", 2);
	ck_assert_mem_eq(buf[1], "bb", 2);
	put(peer, "cc");
	ck_assert_int_eq(finish(&op[2]), 2);
	detach(&h);
	close(peer);
}
END_TEST

/* ---- ends and resets ---------------------------------------------------------------------- */

START_TEST(data_and_end_together)
{
	struct weir_handle h;
	struct weir_op op;
	char buf[16];
	int peer = tcp_pair(&h);

	submit(recv_op(&op, &h, buf, sizeof(buf)));
	put(peer, "bye");
	close(peer);
	ck_assert_int_eq(finish(&op), 3);
	ck_assert_int_eq(finish(submit(recv_op(&op, &h, buf, sizeof(buf)))), 0);
	ck_assert_int_eq(finish(submit(recv_op(&op, &h, buf, sizeof(buf)))), 0);
	detach(&h);
}
END_TEST

START_TEST(half_close_leaves_the_other_half)
{
	struct weir_handle h;
	struct weir_op op;
	char buf[16];
	int how = SHUT_WR, peer = tcp_pair(&h);

	submit(recv_op(&op, &h, buf, sizeof(buf)));
	shutdown(peer, SHUT_WR);
	ck_assert_int_eq(finish(&op), 0);
	ck_assert_int_eq(finish(submit(send_op(&op, &h, "still", 5, 0))), 5);
	ck_assert_int_eq(read(peer, buf, sizeof(buf)), 5);
	ck_assert_int_eq(be0->ops->control(be0, &h, WEIR_CTL_SHUTDOWN, &how, sizeof(how)), 0);
	ck_assert_int_eq(read(peer, buf, sizeof(buf)), 0);
	ck_assert_int_eq(finish(submit(send_op(&op, &h, "no", 2, 0))), -EPIPE);
	detach(&h);
	close(peer);
}
END_TEST

START_TEST(reset_while_receiving)
{
	struct weir_handle h;
	struct weir_op op;
	char buf[16];
	int peer = tcp_pair(&h);

	submit(recv_op(&op, &h, buf, sizeof(buf)));
	reset(peer);
	ck_assert_int_eq(finish(&op), -ECONNRESET);
	ck_assert_int_eq(finish(submit(send_op(&op, &h, "x", 1, 0))), -EPIPE);
	detach(&h);
}
END_TEST

START_TEST(reset_while_sending)
{
	static const char zeros[1 << 20];
	struct weir_handle h;
	struct weir_op op;
	int peer = tcp_pair(&h);

	small_buffers(&h, peer);
	fill(&h);
	submit(send_op(&op, &h, zeros, sizeof(zeros), WEIR_OP_ALL));
	ck_assert(!is_done(&op));
	reset(peer);
	ck_assert_int_eq(finish(&op), -ECONNRESET);
	detach(&h);
}
END_TEST

START_TEST(reset_with_both_sides_pending)
{
	struct weir_handle h;
	struct weir_op in, out;
	char buf[16];
	int peer = tcp_pair(&h), one, other;

	small_buffers(&h, peer);
	fill(&h);
	submit(recv_op(&in, &h, buf, sizeof(buf)));
	submit(send_op(&out, &h, "x", 1, 0));
	reset(peer);
	one = finish(&in);
	other = finish(&out);
	/* The kernel reports the error once; the second call finds a dead connection. */
	ck_assert_int_eq(one, -ECONNRESET);
	ck_assert(other == -EPIPE || other == -ECONNRESET);
	detach(&h);
}
END_TEST

/* TCP stops a read before urgent data: the read is short, but the socket is not empty. */
START_TEST(urgent_data_does_not_hide_the_rest)
{
	struct weir_handle h;
	struct weir_op op;
	char buf[16];
	int peer = tcp_pair(&h);

	submit(recv_op(&op, &h, buf, sizeof(buf)));
	put(peer, "ab");
	ck_assert_int_eq(raw(SYS_sendto, peer, "!", 1, MSG_OOB, NULL, 0), 1);
	put(peer, "cd");
	/* Waits until everything has arrived. */
	for (int unacked = 1; unacked > 0;)
		ck_assert_int_eq(ioctl(peer, TIOCOUTQ, &unacked), 0);
	ck_assert_int_eq(finish(&op), 2);
	ck_assert_int_eq(finish(submit(recv_op(&op, &h, buf, sizeof(buf)))), 2);
	ck_assert_mem_eq(buf, "cd", 2);
	submit(recv_op(&op, &h, buf, sizeof(buf)));
	put(peer, "e");
	ck_assert_int_eq(finish(&op), 1);
	/* After the urgent data, a short read means again that the socket is empty. */
	forget_calls();
	submit(recv_op(&op, &h, buf, sizeof(buf)));
	ck_assert_uint_eq(calls[RECV], 0);
	detach(&h);
	close(peer);
}
END_TEST

/* A Unix socket stops a read before passed descriptors: again a short read with bytes left. */
START_TEST(passed_descriptors_do_not_hide_the_rest)
{
	struct weir_handle h;
	struct weir_op op;
	char buf[16], control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov = { "ab", 2 };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control,
			      .msg_controllen = sizeof(control) };
	int peer = unix_pair(&h);

	CMSG_FIRSTHDR(&msg)->cmsg_level = SOL_SOCKET;
	CMSG_FIRSTHDR(&msg)->cmsg_type = SCM_RIGHTS;
	CMSG_FIRSTHDR(&msg)->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(CMSG_FIRSTHDR(&msg)), &peer, sizeof(int));
	submit(recv_op(&op, &h, buf, sizeof(buf)));
	ck_assert_int_eq(raw(SYS_sendmsg, peer, &msg, 0), 2);
	put(peer, "cd");
	ck_assert_int_eq(finish(&op), 2);
	ck_assert_int_eq(finish(submit(recv_op(&op, &h, buf, sizeof(buf)))), 2);
	ck_assert_mem_eq(buf, "cd", 2);
	detach(&h);
	close(peer);
}
END_TEST

/* ---- send --------------------------------------------------------------------------------- */

static void fill_pattern(uint8_t *buf, size_t len)
{
	for (size_t i = 0; i < len; i++)
		buf[i] = (uint8_t)(i * 2654435761u >> 13);
}

/* Polls while it reads what an op sends, and compares the bytes. */
static void check_sent(struct weir_op *op, int peer, const uint8_t *expected, size_t len)
{
	static uint8_t buf[65536];
	size_t got = 0;

	fcntl(peer, F_SETFL, O_NONBLOCK);
	while (got < len) {
		ssize_t n = read(peer, buf, sizeof(buf));

		if (n < 0) {
			ck_assert_int_eq(errno, EAGAIN);
			turn();
			is_done(op);
			continue;
		}
		ck_assert_int_gt(n, 0);
		ck_assert_mem_eq(buf, expected + got, (size_t)n);
		got += (size_t)n;
	}
	ck_assert_int_eq(finish(op), (int)len);
}

START_TEST(send_all_goes_on_until_all_is_sent)
{
	enum {
		LEN = 3 << 20
	};
	uint8_t *data = malloc(LEN);
	struct weir_handle h;
	struct weir_op op;
	int peer = _i ? unix_pair(&h) : tcp_pair(&h);

	fill_pattern(data, LEN);
	small_buffers(&h, peer);
	submit(send_op(&op, &h, data, LEN, WEIR_OP_ALL));
	ck_assert(!is_done(&op));
	ck_assert_uint_gt(op.u.io.done, 0);
	check_sent(&op, peer, data, LEN);
	detach(&h);
	close(peer);
	free(data);
}
END_TEST

START_TEST(sendv_all_goes_on_in_the_middle)
{
	enum {
		PARTS = 100,
		PART = 10007,
		LEN = PARTS * PART
	};
	uint8_t *data = malloc(LEN);
	struct iovec iov[PARTS], before[PARTS];
	struct weir_handle h;
	struct weir_op op;
	int peer = tcp_pair(&h);

	fill_pattern(data, LEN);
	for (unsigned i = 0; i < PARTS; i++)
		iov[i] = (struct iovec){ data + i * PART, PART };
	memcpy(before, iov, sizeof(iov));
	small_buffers(&h, peer);
	prepare(&op, WEIR_OP_SENDV, &h)->flags = WEIR_OP_ALL;
	op.u.iov.iov = iov;
	op.u.iov.count = PARTS;
	submit(&op);
	ck_assert(!is_done(&op));
	check_sent(&op, peer, data, LEN);
	ck_assert_mem_eq(before, iov, sizeof(iov));
	detach(&h);
	close(peer);
	free(data);
}
END_TEST

START_TEST(send_waits_for_room)
{
	struct weir_handle h;
	struct weir_op op[2];
	int peer = tcp_pair(&h);
	size_t sent;

	small_buffers(&h, peer);
	sent = fill(&h);
	submit(send_op(&op[0], &h, "first", 5, 0));
	submit(send_op(&op[1], &h, "second", 6, 0));
	turn();
	ck_assert(!is_done(&op[0]) && !is_done(&op[1]));
	drain(peer, sent);
	ck_assert_int_eq(finish(&op[0]), 5);
	ck_assert_int_eq(finish(&op[1]), 6);
	detach(&h);
	close(peer);
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		CASE(recv_completes_at_once),
		CASE(recv_completes_later),
		CASE(nothing_is_registered_before_it_must_wait),
		CASE(echo_makes_two_calls_a_message),
		CASE(short_read_at_once_is_remembered),
		CASE(exact_fit_keeps_readiness),
		CASE(peek_leaves_the_bytes),
		CASE(try_never_waits),
		CASE(recvv_and_sendv),
		CASE(recv_all_gathers),
		CASE(several_receives_wait_in_order),
		CASE(data_and_end_together),
		CASE(half_close_leaves_the_other_half),
		CASE(reset_while_receiving),
		CASE(reset_while_sending),
		CASE(reset_with_both_sides_pending),
		CASE(urgent_data_does_not_hide_the_rest),
		CASE(passed_descriptors_do_not_hide_the_rest),
		CASE(send_all_goes_on_until_all_is_sent, .rounds = 2),
		CASE(sendv_all_goes_on_in_the_middle),
		CASE(send_waits_for_room),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
