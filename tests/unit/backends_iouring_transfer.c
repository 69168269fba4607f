/* SPDX-License-Identifier: MIT */
/*
 * backends_iouring_transfer.c: io_uring: receives and sends, vectors, errors and cancels, in every form.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include "tests/unit/backends_iouring_rig.h"

/* ---- transfers, in every form ------------------------------------------------------------- */

START_TEST(receives)
{
	struct weir_handle h;
	struct weir_op op;
	char buf[16];
	int peer;

	begin((unsigned)_i);
	peer = tcp_pair(&h);
	submit(recv_op(&op, &h, buf, sizeof(buf)));
	turn_of(be0, 0);
	ck_assert(!is_done(&op));
	put(peer, "later");
	ck_assert_int_eq(finish(&op), 5);
	ck_assert_mem_eq(buf, "later", 5);
	put(peer, "peek");
	ck_assert_int_eq(finish(submit(with(recv_op(&op, &h, buf, 16), WEIR_OP_PEEK))), 4);
	ck_assert_int_eq(finish(submit(recv_op(&op, &h, buf, 16))), 4);
	ck_assert_mem_eq(buf, "peek", 4);
	ck_assert_int_eq(submit(with(recv_op(&op, &h, buf, 16), WEIR_OP_TRY))->res, -EAGAIN);
	submit(with(recv_op(&op, &h, buf, 8), WEIR_OP_ALL));
	put(peer, "abc");
	turn_of(be0, in_ms(5));
	ck_assert(!is_done(&op));
	put(peer, "defgh");
	ck_assert_int_eq(finish(&op), 8);
	ck_assert_mem_eq(buf, "abcdefgh", 8);
	submit(with(recv_op(&op, &h, buf, 8), WEIR_OP_ALL));
	put(peer, "ij");
	close(peer);
	ck_assert_int_eq(finish(&op), 2);
	ck_assert_int_eq(finish(submit(recv_op(&op, &h, buf, 8))), 0);
	ck_assert_int_eq(lease_now(&h, buf), 0);
	detach(&h);
	end();
}
END_TEST

START_TEST(vectors)
{
	struct weir_handle h;
	struct weir_op op;
	char a[3], b[5], back[16];
	struct iovec in[2] = { { a, 3 }, { b, 5 } };
	struct iovec out[3] = { { "ab", 2 }, { NULL, 0 }, { "cde", 3 } };
	int peer;

	begin((unsigned)_i);
	peer = tcp_pair(&h);
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
	ck_assert_int_eq(finish(submit(&op)), 5);
	ck_assert_int_eq(read(peer, back, sizeof(back)), 5);
	ck_assert_mem_eq(back, "abcde", 5);
	detach(&h);
	close(peer);
	end();
}
END_TEST

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
			turn_of(be0, 0);
			continue;
		}
		ck_assert_int_gt(n, 0);
		ck_assert_mem_eq(buf, expected + got, (size_t)n);
		got += (size_t)n;
	}
	ck_assert_int_eq(finish(op), (int)len);
}

START_TEST(sends_of_all)
{
	enum {
		PARTS = 100,
		PART = 10007,
		LEN = PARTS * PART
	};
	uint8_t *data = malloc(LEN);
	struct iovec iov[PARTS];
	struct weir_handle h;
	struct weir_op op;
	int peer;

	begin((unsigned)_i);
	peer = tcp_pair(&h);
	fill_pattern(data, LEN);
	for (unsigned i = 0; i < PARTS; i++)
		iov[i] = (struct iovec){ data + i * PART, PART };
	small_buffers(&h, peer);
	submit(send_op(&op, &h, data, LEN, WEIR_OP_ALL));
	check_sent(&op, peer, data, LEN);
	prepare(&op, WEIR_OP_SENDV, &h)->flags = WEIR_OP_ALL;
	op.u.iov.iov = iov;
	op.u.iov.count = PARTS;
	submit(&op);
	check_sent(&op, peer, data, LEN);
	detach(&h);
	close(peer);
	end();
	free(data);
}
END_TEST

START_TEST(resets)
{
	static const char zeros[1 << 20];
	struct weir_handle h;
	struct weir_op in, out;
	char buf[16];
	int peer;

	begin((unsigned)_i);
	peer = tcp_pair(&h);
	submit(recv_op(&in, &h, buf, sizeof(buf)));
	reset(peer);
	ck_assert_int_eq(finish(&in), -ECONNRESET);
	ck_assert_int_eq(finish(submit(send_op(&out, &h, "x", 1, 0))), -EPIPE);
	detach(&h);
	peer = tcp_pair(&h);
	small_buffers(&h, peer);
	fill(&h);
	submit(send_op(&out, &h, zeros, sizeof(zeros), WEIR_OP_ALL));
	turn_of(be0, 0);
	reset(peer);
	ck_assert_int_eq(finish(&out), -ECONNRESET);
	detach(&h);
	end();
}
END_TEST

/* A bad address of a buffer is the caller's error: the op returns it, and the worker goes on. */
START_TEST(bad_addresses)
{
	void *nowhere = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct weir_handle h;
	struct weir_op op;
	char buf[4];
	int peer;

	begin((unsigned)_i);
	peer = tcp_pair(&h);
	submit(recv_op(&op, &h, nowhere, 16));
	turn_of(be0, 0);
	put(peer, "x");
	ck_assert_int_eq(finish(&op), -EFAULT);
	ck_assert_int_eq(finish(submit(recv_op(&op, &h, buf, 4))), 1);
	if (_i != ZERO_COPY) {
		uring(0)->batch = 64;
		ck_assert_int_eq(finish(submit(send_op(&op, &h, nowhere, 16, 0))), -EFAULT);
	}
	detach(&h);
	close(peer);
	munmap(nowhere, 4096);
	end();
}
END_TEST

/* ---- cancel ------------------------------------------------------------------------------- */

/* Cancels each kind of waiting op. Bytes that arrive later are not lost. */
START_TEST(cancels)
{
	struct weir_handle h, foreign;
	struct weir_lease lease;
	struct weir_op op;
	char buf[16];
	int peer, fds[2];

	begin((unsigned)_i);
	peer = tcp_pair(&h);
	for (unsigned submitted = 0; submitted < 2; submitted++) {
		submit(recv_op(&op, &h, buf, sizeof(buf)));
		if (submitted)
			turn_of(be0, 0);
		cancel(&op);
		ck_assert_int_eq(finish(&op), -ECANCELED);
		submit(lease_op(&op, &h, &lease));
		if (submitted)
			turn_of(be0, 0);
		cancel(&op);
		ck_assert_int_eq(finish(&op), -ECANCELED);
	}
	put(peer, "kept");
	ck_assert_int_eq(lease_now(&h, buf), 4);
	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	adopt(be0, &foreign, fds[0], WEIR_HANDLE_FOREIGN);
	submit(poll_op(&op, &foreign, WEIR_READABLE));
	cancel(&op);
	ck_assert_int_eq(finish(&op), -ECANCELED);
	put(fds[1], "x");
	ck_assert_int_eq(finish(submit(poll_op(&op, &foreign, WEIR_READABLE))), WEIR_READABLE);
	detach(&foreign);
	close(fds[0]);
	close(fds[1]);
	detach(&h);
	close(peer);
	end();
}
END_TEST

/*
 * The completion came before the cancel, although nobody has seen it yet: the op keeps its result.
 */
START_TEST(cancel_after_completion)
{
	struct weir_handle h;
	struct weir_op op;
	char buf[16];
	int peer;

	begin((unsigned)_i);
	peer = unix_pair(&h);
	put(peer, "first");
	submit(recv_op(&op, &h, buf, sizeof(buf)));
	io_uring_submit_and_get_events(&uring(0)->ring);
	cancel(&op);
	ck_assert_int_eq(finish(&op), uring(0)->enabled ? 5 : -ECANCELED);
	settle(be0);
	/* The cancel must not hit the next op, which has the same memory. */
	submit(recv_op(&op, &h, buf, sizeof(buf)));
	put(peer, "second");
	ck_assert_int_eq(finish(&op), 6);
	submit(recv_op(&op, &h, buf, sizeof(buf)));
	turn_of(be0, 0);
	put(peer, "third");
	io_uring_submit_and_get_events(&uring(0)->ring);
	cancel(&op);
	ck_assert_int_eq(finish(&op), 5);
	submit(recv_op(&op, &h, buf, sizeof(buf)));
	put(peer, "fourth");
	ck_assert_int_eq(finish(&op), 6);
	detach(&h);
	close(peer);
	end();
}
END_TEST

static void read_until_done(int peer, struct weir_op *op)
{
	char buf[65536];

	while (!is_done(op)) {
		(void)!recv(peer, buf, sizeof(buf), MSG_DONTWAIT);
		turn_of(be0, in_ms(1));
	}
}

START_TEST(cancel_says_what_was_sent)
{
	static const char zeros[4 << 20];
	struct weir_handle h;
	struct weir_op op;
	int peer;

	begin((unsigned)_i);
	peer = tcp_pair(&h);
	small_buffers(&h, peer);
	submit(send_op(&op, &h, zeros, sizeof(zeros), WEIR_OP_ALL));
	settle(be0);
	ck_assert(!is_done(&op));
	cancel(&op);
	/* The kernel releases the memory of a zero-copy send only when the peer has read it. */
	if (_i == ZERO_COPY)
		read_until_done(peer, &op);
	ck_assert_int_eq(finish(&op), -ECANCELED);
	ck_assert_uint_gt(op.u.io.done, 0);
	if (_i != ZERO_COPY) {
		drain(peer, op.u.io.done);
		ck_assert_int_eq(recv(peer, &(char){ 0 }, 1, MSG_DONTWAIT), -1);
		ck_assert_int_eq(errno, EAGAIN);
	}
	detach(&h);
	close(peer);
	end();
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		EVERY(receives),
		EVERY(vectors),
		EVERY(sends_of_all),
		EVERY(resets),
		EVERY(bad_addresses),
		EVERY(cancels),
		BOTH(cancel_after_completion),
		EVERY(cancel_says_what_was_sent),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
