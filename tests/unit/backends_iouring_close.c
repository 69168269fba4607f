/* SPDX-License-Identifier: MIT */
/*
 * backends_iouring_close.c: io_uring: closing a stream while operations are pending on it.
 */
#include "tests/unit/backends_iouring_rig.h"

/* ---- close while pending ------------------------------------------------------------------ */

/* Each op ends, the peer sees the close, and the descriptor is closed once. */
START_TEST(close_while_pending)
{
	static const char zeros[1 << 20];
	struct weir_handle h;
	struct weir_lease lease;
	struct weir_op in[2], out;
	char buf[4];
	int peer;

	begin((unsigned)_i);
	for (unsigned submitted = 0; submitted < 2; submitted++) {
		peer = tcp_pair(&h);
		small_buffers(&h, peer);
		fill(&h);
		submit(recv_op(&in[0], &h, buf, sizeof(buf)));
		submit(lease_op(&in[1], &h, &lease));
		submit(send_op(&out, &h, zeros, sizeof(zeros), 0));
		if (submitted)
			turn_of(be0, 0);
		detach(&h);
		ck_assert_int_eq(in[0].res, -ECANCELED);
		ck_assert_int_eq(in[1].res, -ECANCELED);
		ck_assert_int_eq(out.res, -ECANCELED);
		read_end(peer);
		close(peer);
		settle(be0);
	}
	end();
}
END_TEST

/*
 * The close cancels a send, but the request sends a part and ends first. The backend must not
 * request the rest, because no cancel would follow.
 */
START_TEST(close_behind_a_part_of_a_send)
{
	static char bytes[1 << 20];
	struct weir_handle h;
	struct weir_op op;
	int peer;

	begin((unsigned)_i);
	peer = tcp_pair(&h);
	small_buffers(&h, peer);
	submit(send_op(&op, &h, bytes, sizeof(bytes), WEIR_OP_ALL));
	ck_assert(!is_done(&op));
	/* Makes room for a part of the request, which the kernel has not seen yet. */
	while (recv(peer, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		continue;
	detach(&h);
	ck_assert(is_done(&op));
	ck_assert_int_eq(op.res, -ECANCELED);
	close(peer);
	end();
}
END_TEST

/* Starts a zero-copy send whose bytes the socket holds without a copy, and which nobody reads. */
static int lend_some(struct weir_backend *be, struct weir_handle *h, struct weir_op *op)
{
	static char bytes[1 << 20];
	int peer = tcp_pair(h);

	small_buffers(h, peer);
	settle(be);
	submit_to(be, send_op(op, h, bytes, sizeof(bytes), WEIR_OP_ALL));
	ck_assert(!is_done(op));
	while (recv(peer, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		continue;
	ck_assert_int_ge(io_uring_submit(&WEIR_CONTAINER_OF(be, struct uring, base)->ring), 1);
	return peer;
}

/*
 * Neither a cancel nor a shutdown ends such a send. Whichever comes second, close or completion,
 * resets.
 */
START_TEST(close_over_lent_bytes)
{
	bool completed = _i & 2;
	struct weir_backend *be;
	struct weir_handle h;
	struct weir_op op;
	int peer;

	begin(ZERO_COPY);
	be = _i & 1 ? be1 : be0;
	peer = lend_some(be, &h, &op);
	for (int i = 0; completed && !state_of(&h)->lent; i++) {
		ck_assert_int_lt(i, 1000);
		settle(be);
	}
	become(be0);
	be0->ops->detach(be0, &h);
	while (!is_done(&op) || !detached) {
		settle(be0);
		settle(be1);
	}
	ck_assert_int_eq(op.res, -ECANCELED);
	ck_assert_int_eq(read_end(peer), -ECONNRESET);
	close(peer);
	end();
}
END_TEST

/* Unix sockets do not support zero-copy sends: this send and all later ones are copied. */
START_TEST(a_unix_socket_is_lent_nothing)
{
	static char bytes[1 << 20];
	struct weir_handle h;
	struct weir_op op;
	int fds[2];
	size_t got;
	ssize_t n;

	begin(ZERO_COPY);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	adopt(be0, &h, fds[0], WEIR_HANDLE_STREAM);
	for (unsigned round = 0; round < 3; round++) {
		submit(send_op(&op, &h, bytes, sizeof(bytes), WEIR_OP_ALL));
		for (got = 0; got<sizeof(bytes); got += n> 0 ? (size_t)n : 0) {
			n = recv(fds[1], bytes, sizeof(bytes), MSG_DONTWAIT);
			turn_of(be0, in_ms(1));
		}
		settle(be0);
		ck_assert(is_done(&op));
		ck_assert_int_eq(op.res, (int)sizeof(bytes));
		ck_assert(state_of(&h)->copies);
	}
	detach(&h);
	close(fds[1]);
	end();
}
END_TEST

START_TEST(close_with_a_linger_of_0_resets)
{
	struct weir_handle h;
	struct weir_op op;
	char buf[4];
	int peer, zero = 0;

	begin((unsigned)_i);
	peer = tcp_pair(&h);
	ck_assert_int_eq(be0->ops->control(be0, &h, WEIR_CTL_LINGER, &zero, sizeof(zero)), 0);
	submit(recv_op(&op, &h, buf, sizeof(buf)));
	turn_of(be0, 0);
	detach(&h);
	ck_assert_int_eq(op.res, -ECANCELED);
	ck_assert_int_eq(read_end(peer), -ECONNRESET);
	close(peer);
	end();
}
END_TEST

START_TEST(close_of_polls)
{
	struct weir_handle h;
	struct weir_op op[3];
	int fds[2];

	begin((unsigned)_i);
	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	adopt(be0, &h, fds[0], WEIR_HANDLE_FOREIGN);
	for (unsigned i = 0; i < 3; i++)
		submit(poll_op(&op[i], &h, WEIR_READABLE));
	turn_of(be0, 0);
	detach(&h);
	for (unsigned i = 0; i < 3; i++)
		ck_assert_int_eq(op[i].res, -ECANCELED);
	/* The descriptor is not weir's, so it must still be open. */
	put(fds[1], "x");
	ck_assert_int_eq(read(fds[0], &(char){ 0 }, 1), 1);
	close(fds[0]);
	close(fds[1]);
	end();
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		EVERY(close_while_pending),
		EVERY(close_behind_a_part_of_a_send),
		TESTING(close_over_lent_bytes, .rounds = 4),
		TESTING(a_unix_socket_is_lent_nothing),
		EVERY(close_with_a_linger_of_0_resets),
		EVERY(close_of_polls),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
