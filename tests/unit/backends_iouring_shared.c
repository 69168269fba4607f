/* SPDX-License-Identifier: MIT */
/*
 * backends_iouring_shared.c: io_uring with incremental buffers. Messages share a block, and a block
 * may be filled again only after the kernel has finished with it and every lease has been returned.
 */
#include <stdlib.h>

#include "backends/iouring/newer.h"
#include "backends/iouring/probe.h"
#include "tests/unit/backends_iouring_rig.h"

#define MESSAGE (BLOCK / 8)

/* Returns false, and marks the test as skipped, if the kernel is too old. */
static bool begin_shared(void)
{
	char why[200] = "";

	if (weir__uring_probe("incremental=1", why, sizeof(why)) < 0) {
		testing_skip("%s", why);
		return false;
	}
	begin(INCREMENTAL);
	return true;
}

static void put_message(int peer, char letter)
{
	char message[MESSAGE];

	memset(message, letter, sizeof(message));
	ck_assert_int_eq(write(peer, message, sizeof(message)), MESSAGE);
}

static void take_message(struct weir_handle *h, int peer, char letter, struct weir_lease *lease)
{
	struct weir_op op;

	put_message(peer, letter);
	ck_assert_int_eq(finish(submit(lease_op(&op, h, lease))), MESSAGE);
}

static bool holds(const struct weir_lease *lease, char letter)
{
	for (size_t i = 0; i < lease->len; i++)
		if (lease->data[i] != (uint8_t)letter)
			return false;
	return true;
}

/* All leases that a stream has received. A message may span two of them. */
struct kept {
	struct weir_lease lease[40];
	unsigned len;
};

static void keep_message(struct weir_handle *h, int peer, struct kept *kept)
{
	struct weir_op op;

	put_message(peer, (char)('a' + (char)kept->len));
	for (int left = MESSAGE; left > 0; kept->len++) {
		ck_assert_uint_lt(kept->len, TESTING_COUNT(kept->lease));
		left -= finish(submit(lease_op(&op, h, &kept->lease[kept->len])));
	}
}

/* Receives a whole block, of which nobody else holds a part. */
static void keep_block(struct weir_handle *h, int peer, struct kept *kept)
{
	struct kept used = { .len = 0 };
	struct weir_lease *last;

	do {
		keep_message(h, peer, &used);
		last = &used.lease[used.len - 1];
	} while (last->token == used.lease[0].token);
	*kept = (struct kept){ .lease = { *last }, .len = 1 };
	for (unsigned i = 0; i < used.len - 1; i++)
		give_back(&used.lease[i]);
	do {
		keep_message(h, peer, kept);
		last = &kept->lease[kept->len - 1];
	} while (last->token == kept->lease[0].token);
	/* The last lease belongs to the next block. */
	give_back(last);
	kept->len--;
}

static unsigned lent(void)
{
	struct uring_buffers *b = &uring(0)->buffers;

	return weir__lease_pool_out(&b->pool) - b->group[URING_WHOLE].provided -
	       b->group[URING_SHARED].provided;
}

START_TEST(messages_lie_side_by_side)
{
	struct weir_lease lease[3];
	struct weir_handle h;
	int peer;

	if (!begin_shared())
		return;
	peer = tcp_pair(&h);
	arm(&h, peer);
	for (unsigned i = 0; i < 3; i++)
		take_message(&h, peer, (char)('a' + (char)i), &lease[i]);
	for (unsigned i = 0; i < 3; i++) {
		ck_assert(holds(&lease[i], (char)('a' + (char)i)));
		if (i > 0) {
			ck_assert_uint_eq(lease[i].token, lease[0].token);
			ck_assert_ptr_eq(lease[i].data, lease[i - 1].data + MESSAGE);
		}
	}
	for (unsigned i = 0; i < 3; i++)
		give_back(&lease[i]);
	detach(&h);
	close(peer);
	end();
}
END_TEST

static void read_all(struct weir_handle *h, char *to, size_t len)
{
	struct weir_lease lease;
	struct weir_op op;

	while (len > 0) {
		int n = finish(submit(lease_op(&op, h, &lease)));

		ck_assert(n > 0 && (size_t)n <= len);
		memcpy(to, lease.data, (size_t)n);
		give_back(&lease);
		to += n;
		len -= (size_t)n;
	}
}

/*
 * Two streams at once: each lease holds its own stream's bytes, at the place that the kernel
 * reports.
 */
START_TEST(streams_share_a_block)
{
	struct weir_handle h[2];
	char bytes[4 * MESSAGE];
	int peer[2];

	if (!begin_shared())
		return;
	for (unsigned i = 0; i < 2; i++) {
		peer[i] = i ? unix_pair(&h[i]) : tcp_pair(&h[i]);
		arm(&h[i], peer[i]);
	}
	for (char k = 0; k < 4; k++)
		for (char i = 0; i < 2; i++)
			put_message(peer[(int)i], (char)('a' + 2 * k + i));
	for (char i = 0; i < 2; i++) {
		read_all(&h[(int)i], bytes, sizeof(bytes));
		for (unsigned at = 0; at < sizeof(bytes); at++)
			ck_assert_int_eq(bytes[at], 'a' + 2 * (int)(at / MESSAGE) + i);
	}
	for (unsigned i = 0; i < 2; i++) {
		detach(&h[i]);
		close(peer[i]);
	}
	end();
}
END_TEST

static void *give_all_but_one(void *arg)
{
	struct kept *kept = arg;

	become(be1);
	for (unsigned i = 1; i < kept->len; i++)
		give_back(&kept->lease[i]);
	return NULL;
}

/* A full block is free again only when its last lease was returned, on whatever thread. */
START_TEST(a_block_is_free_when_its_last_lease_is_back)
{
	struct weir_lease later;
	struct kept kept;
	struct weir_handle h;
	pthread_t thread;
	char letter;
	int peer;

	if (!begin_shared())
		return;
	peer = tcp_pair(&h);
	arm(&h, peer);
	keep_block(&h, peer, &kept);
	letter = (char)kept.lease[0].data[0];
	ck_assert_uint_gt(kept.len, 4);
	ck_assert_uint_eq(lent(), 1);
	/* Another thread returns all leases but the first, whose bytes must not change. */
	pthread_create(&thread, NULL, give_all_but_one, &kept);
	pthread_join(thread, NULL);
	become(be0);
	for (unsigned i = 0; i < 64; i++) {
		put_message(peer, '-');
		for (int left = MESSAGE; left > 0;) {
			struct weir_op op;

			left -= finish(submit(lease_op(&op, &h, &later)));
			ck_assert_uint_ne(later.token, kept.lease[0].token);
			give_back(&later);
		}
	}
	ck_assert(holds(&kept.lease[0], letter));
	ck_assert_uint_eq(lent(), 1);
	give_back(&kept.lease[0]);
	ck_assert_uint_eq(lent(), 0);
	detach(&h);
	close(peer);
	end();
}
END_TEST

/* A lease with a limit covers a part of the message; another one covers the rest. */
START_TEST(parts_of_a_message)
{
	struct weir_lease part[4];
	struct weir_handle h;
	struct weir_op op;
	int peer;

	if (!begin_shared())
		return;
	peer = tcp_pair(&h);
	arm(&h, peer);
	queue_some(&h, peer, "abcdefgh");
	for (unsigned i = 0; i < 4; i++) {
		lease_op(&op, &h, &part[i])->u.lease.max = 2;
		ck_assert_int_eq(finish(submit(&op)), 2);
		ck_assert_uint_eq(part[i].token, part[0].token);
	}
	for (unsigned i = 4; i-- > 0;) {
		ck_assert_mem_eq(part[i].data, &"abcdefgh"[2 * i], 2);
		give_back(&part[i]);
	}
	detach(&h);
	close(peer);
	end();
}
END_TEST

/* Many queued messages: they take only as much memory as they have bytes. */
START_TEST(what_waits_is_packed)
{
	enum {
		STREAMS = 100
	};
	struct weir_handle h[STREAMS];
	int peer[STREAMS];
	unsigned before;

	if (!begin_shared())
		return;
	for (unsigned i = 0; i < STREAMS; i++) {
		peer[i] = unix_pair(&h[i]);
		arm(&h[i], peer[i]);
	}
	before = weir__lease_pool_out(&uring(0)->buffers.pool);
	for (unsigned i = 0; i < STREAMS; i++)
		queue_some(&h[i], peer[i], "waiting");
	ck_assert_uint_le(weir__lease_pool_out(&uring(0)->buffers.pool), before + 2);
	for (unsigned i = 0; i < STREAMS; i++) {
		char buf[16];

		ck_assert_int_eq(lease_now(&h[i], buf), 7);
		ck_assert_mem_eq(buf, "waiting", 7);
		detach(&h[i]);
		close(peer[i]);
	}
	end();
}
END_TEST

/* ---- leases that are held while streams come and go --------------------------------------- */

#define STREAMS 32
#define HELD 600			/* leases held at a time, in many half-full blocks */

static struct {
	struct weir_handle h[STREAMS];
	int peer[STREAMS];
	struct weir_lease lease[HELD];
	char letter[HELD];
	unsigned at;
} crowd;

/* Holds a lease in place of the oldest one, whose bytes must not have changed. */
static void hold(struct weir_lease lease, char letter)
{
	unsigned at = crowd.at++ % HELD;

	if (crowd.lease[at].data) {
		ck_assert(holds(&crowd.lease[at], crowd.letter[at]));
		give_back(&crowd.lease[at]);
	}
	crowd.lease[at] = lease;
	crowd.letter[at] = letter;
}

static void hold_message(unsigned i, char letter)
{
	struct weir_lease lease;
	struct weir_op op;

	put_message(crowd.peer[i], letter);
	for (int left = MESSAGE; left > 0;) {
		left -= finish(submit(lease_op(&op, &crowd.h[i], &lease)));
		hold(lease, letter);
	}
}

static void open_member(unsigned i)
{
	crowd.peer[i] = unix_pair(&crowd.h[i]);
	arm(&crowd.h[i], crowd.peer[i]);
}

/* Closes a stream with an unread message or with a waiting leased receive. */
static void close_member(unsigned i, bool unread)
{
	struct weir_lease lease;
	struct weir_op op;

	if (unread) {
		queue_some(&crowd.h[i], crowd.peer[i], "unread");
		detach(&crowd.h[i]);
	} else {
		submit(lease_op(&op, &crowd.h[i], &lease));
		turn_of(be0, 0);
		detach(&crowd.h[i]);
		ck_assert_int_eq(op.res, -ECANCELED);
	}
	close(crowd.peer[i]);
}

static void cancel_one(unsigned i)
{
	struct weir_lease lease;
	struct weir_op op;

	submit(lease_op(&op, &crowd.h[i], &lease));
	turn_of(be0, 0);
	cancel(&op);
	ck_assert_int_eq(finish(&op), -ECANCELED);
}

/* With and without shared blocks: leases keep their bytes, and no block is lost. */
START_TEST(leases_outlive_their_streams)
{
	if (_i == 0 && !begin_shared())
		return;
	if (_i == 1)
		begin(PLAIN);
	memset(&crowd, 0, sizeof(crowd));
	for (unsigned i = 0; i < STREAMS; i++)
		open_member(i);
	for (unsigned step = 0; step < 4000; step++) {
		unsigned i = step * 7 % STREAMS;

		hold_message(i, (char)('a' + step % 26));
		if (step % 11 == 0)
			cancel_one(i);
		if (step % 5 == 0) {
			close_member(i, step % 2);
			open_member(i);
		}
	}
	for (unsigned i = 0; i < STREAMS; i++)
		close_member(i, i % 2);
	ck_assert_uint_gt(lent(), 0);
	for (unsigned i = 0; i < HELD; i++) {
		ck_assert(holds(&crowd.lease[i], crowd.letter[i]));
		give_back(&crowd.lease[i]);
	}
	ck_assert_uint_eq(lent(), 0);
	end();
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(messages_lie_side_by_side),
		TESTING(streams_share_a_block),
		TESTING(a_block_is_free_when_its_last_lease_is_back),
		TESTING(parts_of_a_message),
		TESTING(what_waits_is_packed),
		TESTING(leases_outlive_their_streams, .rounds = 2),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
