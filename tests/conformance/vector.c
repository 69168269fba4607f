/* SPDX-License-Identifier: MIT */
/*
 * vector.c: transfers in several pieces: iovecs cut at any place, calls that transfer everything
 * through small buffers, and more pieces than one system call takes.
 */
#include "tests/conformance/conformance.h"

/* Many times the size of the socket buffers. */
#define BYTES 2000000
#define PIECES 40

/* Cuts [buf, buf + len) into pieces, some of them empty. Returns how many. */
static unsigned cut(uint64_t *random, uint8_t *buf, size_t len, struct iovec *iov)
{
	unsigned count = 1 + (unsigned)draw(random, PIECES);
	size_t at = 0, n;

	for (unsigned i = 0; i < count; i++, at += n) {
		n = draw(random, 4) ? draw(random, 2 * len / count + 1) : 0;
		n = i == count - 1 || n > len - at ? len - at : n;
		iov[i] = (struct iovec){ n ? buf + at : NULL, n };
	}
	return count;
}

/*
 * Sends everything with WEIR_OP_ALL, then as much as possible without it. The iovecs must not
 * change.
 */
static int send_vectors(void *arg)
{
	struct weir_tcp *conn = arg;
	uint64_t random = env.seed;
	uint8_t *buf = malloc(50000);
	struct iovec iov[PIECES], before[PIECES];
	size_t at = 0, len;
	struct weir_op op;
	unsigned count;
	int rc;

	while (at < BYTES) {
		len = 1 + draw(&random, 50000);
		len = len < BYTES - at ? len : BYTES - at;
		pattern_fill(1, at, buf, len);
		count = cut(&random, buf, len, iov);
		memcpy(before, iov, sizeof(iov[0]) * count);
		weir_op_init_sendv(&op, weir_tcp_handle(conn), iov, count,
				   draw(&random, 2) ? WEIR_OP_ALL : 0);
		rc = weir_await(&op.future);
		ck_assert_int_gt(rc, 0);
		ck_assert_int_eq((int)op.u.iov.done, rc);
		if (op.flags & WEIR_OP_ALL)
			ck_assert_int_eq(rc, (int)len);
		ck_assert_mem_eq(before, iov, sizeof(iov[0]) * count);
		at += (size_t)rc;
	}
	free(buf);
	return weir_tcp_shutdown(conn, SHUT_WR);
}

CASE(vectors_are_cut_anywhere, 0)
{
	uint64_t random = env.seed + 5;
	uint8_t *buf = malloc(30000);
	struct iovec iov[PIECES];
	struct weir_tcp *one, *other;
	struct weir_task *sender;
	size_t at = 0;
	int rc;

	connected(&one, &other);
	sender = spawn(send_vectors, one);
	do {
		size_t len = 1 + draw(&random, 30000);
		unsigned count = cut(&random, buf, len, iov);

		rc = weir_tcp_recvv(other, iov, count);
		OK(rc);
		ck_assert_uint_le((size_t)rc, len);
		/* The pieces are adjacent in memory, so all bytes can be checked at once. */
		pattern_check(1, at, buf, (size_t)rc);
		at += (size_t)rc;
	} while (rc > 0);
	ck_assert_uint_eq(at, BYTES);
	ck_assert_int_eq(finish(sender), 0);
	close_both(one, other);
	free(buf);
	return 0;
}

/* ---- more pieces than one system call takes ---- */

#define MANY_PIECES 3000

struct crumbs {
	struct weir_tcp *conn;
	struct iovec iov[MANY_PIECES];
	uint8_t buf[2 * MANY_PIECES];
};

static void crumbs_lay(struct crumbs *c)
{
	for (int i = 0; i < MANY_PIECES; i++)
		c->iov[i] = (struct iovec){ &c->buf[2 * i], 2 };
}

static int send_crumbs(void *arg)
{
	struct crumbs *c = arg;
	struct weir_op op;

	crumbs_lay(c);
	pattern_fill(2, 0, c->buf, sizeof(c->buf));
	weir_op_init_sendv(&op, weir_tcp_handle(c->conn), c->iov, MANY_PIECES, WEIR_OP_ALL);
	ck_assert_int_eq(weir_await(&op.future), (int)sizeof(c->buf));
	return weir_tcp_shutdown(c->conn, SHUT_WR);
}

CASE(more_pieces_than_a_call_takes, 0)
{
	struct crumbs *out = calloc(1, sizeof(*out)), *in = calloc(1, sizeof(*in));
	struct weir_task *sender;
	size_t at = 0;
	int rc;

	connected(&out->conn, &in->conn);
	sender = spawn(send_crumbs, out);
	do {
		crumbs_lay(in);
		rc = weir_tcp_recvv(in->conn, in->iov, MANY_PIECES);
		OK(rc);
		pattern_check(2, at, in->buf, (size_t)rc);
		at += (size_t)rc;
	} while (rc > 0);
	ck_assert_uint_eq(at, sizeof(out->buf));
	ck_assert_int_eq(finish(sender), 0);
	close_both(out->conn, in->conn);
	free(out);
	free(in);
	return 0;
}

/* ---- empty pieces, and no room at all ---- */

/* Puts `empty` empty pieces before, between and behind the two halves of the bytes. */
static unsigned among_empty(struct iovec *iov, unsigned empty, uint8_t *buf, size_t len)
{
	memset(iov, 0, (3 * empty + 2) * sizeof(*iov));
	iov[empty] = (struct iovec){ buf, len / 2 };
	iov[2 * empty + 1] = (struct iovec){ buf + len / 2, len - len / 2 };
	return 3 * empty + 2;
}

static int await_now(struct weir_op *op)
{
	struct waiter waiter;

	begin(&waiter, &op->future);
	return ended(&waiter);
}

/* Around the two limits: iovecs copied per operation (16), and iovecs per system call (1024). */
static const unsigned emptiness[] = { 0, 1, 16, 17, 1023, 1024, 1025, 3000 };
#define EMPTIEST 3000

CASE(empty_pieces_are_not_taken_for_an_end, 0)
{
	struct iovec *iov = calloc(3 * EMPTIEST + 2, sizeof(*iov));
	uint8_t out[10], in[10];
	struct weir_tcp *one, *other;
	struct weir_op op;
	size_t at = 0;
	unsigned count;
	int rc;

	connected(&one, &other);
	for (unsigned i = 0; i < sizeof(emptiness) / sizeof(*emptiness); i++)
		for (unsigned flags = 0; flags <= WEIR_OP_ALL; flags++) {
			pattern_fill(7, at, out, sizeof(out));
			count = among_empty(iov, emptiness[i], out, sizeof(out));
			weir_op_init_sendv(&op, weir_tcp_handle(one), iov, count, flags);
			rc = await_now(&op);
			ck_assert_msg(flags ? rc == 10 : rc > 0 && rc <= 10, "%u empty: %d",
				      emptiness[i], rc);
			count = among_empty(iov, emptiness[i], in, sizeof(in));
			for (int left = rc; left > 0; left -= rc) {
				weir_op_init_recvv(&op, weir_tcp_handle(other), iov, count);
				rc = await_now(&op);
				ck_assert_msg(rc > 0 && rc <= left, "%u empty: %d", emptiness[i],
					      rc);
				pattern_check(7, at, in, (size_t)rc);
				at += (size_t)rc;
			}
		}
	close_both(one, other);
	free(iov);
	return 0;
}

/* A receive without room is refused: its result 0 would look like the end of the stream. */
static void receive_nothing(struct weir_tcp *conn, struct iovec *empty)
{
	struct weir_op op;

	weir_op_init_recv(&op, weir_tcp_handle(conn), NULL, 0, 0);
	ck_assert_int_eq(await_now(&op), -EINVAL);
	weir_op_init_recv(&op, weir_tcp_handle(conn), NULL, 0, WEIR_OP_PEEK);
	ck_assert_int_eq(await_now(&op), -EINVAL);
	weir_op_init_recv(&op, weir_tcp_handle(conn), NULL, 0, WEIR_OP_TRY);
	ck_assert_int_eq(await_now(&op), -EINVAL);
	for (unsigned i = 0; i < sizeof(emptiness) / sizeof(*emptiness); i++) {
		weir_op_init_recvv(&op, weir_tcp_handle(conn), empty, emptiness[i]);
		ck_assert_int_eq(await_now(&op), -EINVAL);
	}
}

CASE(a_receive_without_room_is_refused, 0)
{
	struct iovec *empty = calloc(EMPTIEST, sizeof(*empty));
	struct weir_tcp *one, *other;
	struct weir_op op;

	connected(&one, &other);
	receive_nothing(other, empty);
	pattern_send(one, 8, 0, 100);
	receive_nothing(other, empty);
	pattern_recv(other, 8, 0, 100);
	for (unsigned i = 0; i < sizeof(emptiness) / sizeof(*emptiness); i++)
		for (unsigned flags = 0; flags <= WEIR_OP_ALL; flags++) {
			weir_op_init_sendv(&op, weir_tcp_handle(one), empty, emptiness[i], flags);
			ck_assert_int_eq(await_now(&op), 0);
		}
	weir_op_init_recv(&op, weir_tcp_handle(other), NULL, 0, WEIR_OP_ALL);
	ck_assert_int_eq(await_now(&op), 0);
	close_both(one, other);
	free(empty);
	return 0;
}

/* ---- more bytes than fit into a result, an int ---- */

/* All pieces are the same memory, so that the test needs little. */
#define AGAIN_BYTES ((size_t)1 << 20)

static unsigned again(struct iovec *iov, uint8_t *buf, size_t sum)
{
	unsigned count = 0;

	for (size_t part; sum > 0; sum -= part) {
		part = sum < AGAIN_BYTES ? sum : AGAIN_BYTES;
		iov[count++] = (struct iovec){ buf, part };
	}
	return count;
}

static const size_t too_much[] = { (size_t)INT_MAX + 1, UINT32_MAX, ((size_t)1 << 32) + 5,
				   ((size_t)2 << 32) + 5 };
#define MOST_PIECES (8 * 1024 + 2)

CASE(all_of_more_than_a_result_can_tell_is_refused, 0)
{
	struct iovec *iov = calloc(MOST_PIECES, sizeof(*iov));
	uint8_t *buf = malloc(AGAIN_BYTES);
	struct weir_tcp *one, *other;
	struct weir_op op;

	connected(&one, &other);
	for (unsigned i = 0; i < sizeof(too_much) / sizeof(*too_much); i++) {
		weir_op_init_sendv(&op, weir_tcp_handle(one), iov, again(iov, buf, too_much[i]),
				   WEIR_OP_ALL);
		ck_assert_int_eq(await_now(&op), -EINVAL);
		ck_assert_uint_eq(op.u.iov.done, 0);
		weir_op_init_send(&op, weir_tcp_handle(one), buf, too_much[i], WEIR_OP_ALL);
		ck_assert_int_eq(await_now(&op), -EINVAL);
		weir_op_init_recv(&op, weir_tcp_handle(other), buf, too_much[i], WEIR_OP_ALL);
		ck_assert_int_eq(await_now(&op), -EINVAL);
	}
	iov[0] = iov[1] = (struct iovec){ buf, SIZE_MAX / 2 + 1 };
	weir_op_init_sendv(&op, weir_tcp_handle(one), iov, 2, WEIR_OP_ALL);
	ck_assert_int_eq(await_now(&op), -EINVAL);
	pattern_send(one, 9, 0, 100);
	pattern_recv(other, 9, 0, 100);
	close_both(one, other);
	free(buf);
	free(iov);
	return 0;
}

/* More room is allowed, because fewer bytes may arrive. */
CASE(more_room_than_a_result_can_tell_is_allowed, 0)
{
	struct iovec *iov = calloc(MOST_PIECES, sizeof(*iov));
	uint8_t *buf = malloc(AGAIN_BYTES);
	struct weir_tcp *one, *other;
	struct weir_op op;
	size_t at = 0;

	connected(&one, &other);
	for (unsigned i = 0; i < sizeof(too_much) / sizeof(*too_much); i++) {
		size_t end = at + 100;

		pattern_send(one, 10, at, 100);
		while (at < end) {
			int rc;

			weir_op_init_recvv(&op, weir_tcp_handle(other), iov,
					   again(iov, buf, too_much[i]));
			rc = await_now(&op);
			ck_assert_int_gt(rc, 0);
			pattern_check(10, at, buf, (size_t)rc);
			at += (size_t)rc;
		}
	}
	close_both(one, other);
	free(buf);
	free(iov);
	return 0;
}

/* ---- all of it, through little room ---- */

struct half {
	struct weir_tcp *conn;
	uint64_t seed;
};

static int write_half(void *arg)
{
	struct half *half = arg;
	uint64_t random = half->seed;
	size_t at = 0, n;

	while (at < BYTES) {
		n = 1 + draw(&random, 100000);
		n = n < BYTES - at ? n : BYTES - at;
		pattern_send(half->conn, half->seed, at, n);
		at += n;
	}
	return 0;
}

static int read_half(void *arg)
{
	struct half *half = arg;
	uint64_t random = half->seed + 1;
	size_t at = 0, n;

	while (at < BYTES) {
		n = 1 + draw(&random, 100000);
		n = n < BYTES - at ? n : BYTES - at;
		pattern_recv(half->conn, half->seed, at, n);
		at += n;
	}
	return 0;
}

CASE(everything_is_transferred_through_small_buffers, 0)
{
	struct half out[2], in[2];
	struct weir_task *tasks[4];
	struct weir_tcp *side[2];

	connected(&side[0], &side[1]);
	for (unsigned i = 0; i < 2; i++) {
		out[i] = (struct half){ side[i], i + 1 };
		in[i] = (struct half){ side[!i], i + 1 };
		tasks[2 * i] = spawn(write_half, &out[i]);
		tasks[2 * i + 1] = spawn(read_half, &in[i]);
	}
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(finish(tasks[i]), 0);
	close_both(side[0], side[1]);
	return 0;
}

/* The exact receive gets one byte at a time, and has to wait for each. */
CASE(an_exact_receive_gets_its_bytes_one_by_one, 0)
{
	struct weir_tcp *one, *other;
	struct waiter waiter;
	struct weir_op op;
	uint8_t buf[64];

	connected(&one, &other);
	for (size_t round = 0; round < 5; round++) {
		weir_op_init_recv(&op, weir_tcp_handle(other), buf, sizeof(buf), WEIR_OP_ALL);
		begin(&waiter, &op.future);
		pending(&waiter);
		for (size_t i = 0; i < sizeof(buf); i++) {
			pattern_send(one, 4, round * sizeof(buf) + i, 1);
			turns(i % 3);
		}
		ck_assert_int_eq(ended(&waiter), (int)sizeof(buf));
		pattern_check(4, round * sizeof(buf), buf, sizeof(buf));
	}
	close_both(one, other);
	return 0;
}

void conformance_vector(struct conformance_list *list)
{
	ONCE(list, vectors_are_cut_anywhere);
	ONCE(list, more_pieces_than_a_call_takes);
	BOTH(list, empty_pieces_are_not_taken_for_an_end);
	BOTH(list, a_receive_without_room_is_refused);
	BOTH(list, all_of_more_than_a_result_can_tell_is_refused);
	BOTH(list, more_room_than_a_result_can_tell_is_allowed);
	ONCE(list, everything_is_transferred_through_small_buffers);
	BOTH(list, an_exact_receive_gets_its_bytes_one_by_one);
}
