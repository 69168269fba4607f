/* SPDX-License-Identifier: MIT */
/* backends_lease_pool.c: the pool of blocks for leases, by itself and under epoll. */
#include <stdio.h>
#include <stdlib.h>

#include "backends/lease_pool.h"
#include "core/node.h"
#include "tests/support/pages.h"
#include "tests/unit/backends_rig.h"

/* ---- leases ------------------------------------------------------------------------------- */

static struct weir__lease_pool *pool_of(struct weir_backend *be)
{
	return &WEIR_CONTAINER_OF(be, struct weir__readiness, base)->pool;
}

START_TEST(lease_is_held_only_with_data)
{
	struct weir_handle h;
	struct weir_lease lease, second;
	struct weir_op op;
	uint8_t *first;
	int peer = tcp_pair(&h);

	submit(lease_op(&op, &h, &lease));
	ck_assert(!is_done(&op));
	ck_assert_uint_eq(weir__lease_pool_out(pool_of(be0)), 0);
	put(peer, "data");
	ck_assert_int_eq(finish(&op), 4);
	ck_assert_uint_eq(lease.len, 4);
	ck_assert_mem_eq(lease.data, "data", 4);
	ck_assert_ptr_eq(lease.owner, be0);
	ck_assert_uint_eq(weir__lease_pool_out(pool_of(be0)), 1);
	first = lease.data;
	give_back(&lease);
	ck_assert_uint_eq(weir__lease_pool_out(pool_of(be0)), 0);
	/* The block that was used last is used next. */
	put(peer, "more");
	submit(lease_op(&op, &h, &second));
	ck_assert_int_eq(finish(&op), 4);
	ck_assert_ptr_eq(second.data, first);
	give_back(&second);
	/* At the end of the stream the receive holds no block. */
	submit(lease_op(&op, &h, &lease));
	close(peer);
	ck_assert_int_eq(finish(&op), 0);
	ck_assert_ptr_null(lease.data);
	ck_assert_uint_eq(weir__lease_pool_out(pool_of(be0)), 0);
	detach(&h);
}
END_TEST

START_TEST(lease_of_at_most)
{
	struct weir_handle h;
	struct weir_lease lease;
	struct weir_op op;
	int peer = unix_pair(&h);

	put(peer, "abcdef");
	lease_op(&op, &h, &lease)->u.lease.max = 4;
	ck_assert_int_eq(finish(submit(&op)), 4);
	give_back(&lease);
	ck_assert_int_eq(finish(submit(lease_op(&op, &h, &lease))), 2);
	ck_assert_mem_eq(lease.data, "ef", 2);
	give_back(&lease);
	detach(&h);
	close(peer);
}
END_TEST

static struct weir_lease crossing[200];

static void *give_elsewhere(void *arg)
{
	for (unsigned i = 0; i < 200; i++)
		give_back(&crossing[i]);
	return arg;
}

START_TEST(leases_given_back_elsewhere)
{
	struct weir__lease_pool *pool = pool_of(be0);
	pthread_t thread;

	for (unsigned round = 0; round < 20; round++) {
		for (unsigned i = 0; i < 200; i++) {
			crossing[i].owner = be0;
			crossing[i].data = weir__lease_pool_take(pool, true, &crossing[i].token);
			ck_assert_ptr_nonnull(crossing[i].data);
			memset(crossing[i].data, (int)i, 64);
		}
		ck_assert_uint_eq(weir__lease_pool_out(pool), 200);
		for (unsigned i = 0; i < 200; i++)
			ck_assert_uint_eq(crossing[i].data[63], i);
		pthread_create(&thread, NULL, give_elsewhere, NULL);
		/* Meanwhile the owner takes and returns blocks. */
		for (unsigned i = 0; i < 500; i++) {
			uint32_t token;

			ck_assert_ptr_nonnull(weir__lease_pool_take(pool, true, &token));
			weir__lease_pool_give(pool, true, token);
		}
		pthread_join(thread, NULL);
		ck_assert_uint_eq(weir__lease_pool_out(pool), 0);
	}
	/* No block was lost: there are as many as were lent at the most, and one more. */
	ck_assert_uint_le(pool->fresh, 201);
}
END_TEST

static size_t resident(void)
{
	size_t pages[2] = { 0, 0 };
	FILE *f = fopen("/proc/self/statm", "r");

	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(fscanf(f, "%zu %zu", &pages[0], &pages[1]), 2);
	fclose(f);
	return pages[1] * (size_t)sysconf(_SC_PAGESIZE);
}

static size_t burst(struct weir__lease_pool *pool, unsigned blocks)
{
	uint32_t *token = malloc(blocks * sizeof(*token));
	size_t peak;

	for (unsigned i = 0; i < blocks; i++)
		memset(weir__lease_pool_take(pool, true, &token[i]), 1, BLOCK);
	peak = resident();
	for (unsigned i = 0; i < blocks; i++)
		weir__lease_pool_give(pool, true, token[i]);
	free(token);
	return peak;
}

/* 64 MiB of leases at once, and then none: a sleeping worker releases their memory. */
START_TEST(burst_gives_its_memory_back)
{
	struct weir__lease_pool *pool = pool_of(be0);
	size_t before = resident(), peak = burst(pool, 4096);
	uint64_t deadline = weir_backend_now(be0) + testing_hang_ns();

	ck_assert_uint_ge(peak, before + (60u << 20));
	while (pool->hot_len > WEIR__LEASE_KEEP && weir_backend_now(be0) < deadline)
		turn_of(be0, weir_backend_now(be0) + 100 * WEIR_MSEC);
	ck_assert_uint_eq(pool->hot_len, WEIR__LEASE_KEEP);
	ck_assert_uint_eq(weir__lease_pool_out(pool), 0);
	ck_assert_uint_le(resident(), before + (4u << 20));
	/* The pool still works. */
	burst(pool, 100);
	ck_assert_uint_eq(weir__lease_pool_out(pool), 0);
	ck_assert_uint_eq(pool->fresh, 4096);
}
END_TEST

/* A worker that never sleeps releases the blocks that it did not need between two trims. */
START_TEST(busy_worker_gives_back_too)
{
	struct weir__lease_pool *pool = pool_of(be0);
	uint32_t token;

	burst(pool, 256);
	/*
	 * The first trim learns the low-water mark; the next three release at most 64 blocks each.
	 */
	for (unsigned i = 0; i < 6 * 1024; i++) {
		ck_assert_ptr_nonnull(weir__lease_pool_take(pool, true, &token));
		turn();
		weir__lease_pool_give(pool, true, token);
	}
	ck_assert_uint_le(pool->hot_len, WEIR__LEASE_KEEP + 1);
	ck_assert_uint_ge(pool->cold_len, 256 - WEIR__LEASE_KEEP - 1);
}
END_TEST

/* Every chunk of blocks, and the links of its blocks. */
START_TEST(what_a_pool_lends_lies_on_its_node)
{
	struct weir__lease_pool pool;
	uint32_t token[100];
	uint8_t *data;

	if (weir__node_check(0) < 0) {
		testing_skip("cannot place memory on nodes here");
		return;
	}
	weir__lease_pool_init(&pool, 1, 0);
	for (unsigned i = 0; i < 100; i++) {
		data = weir__lease_pool_take(&pool, true, &token[i]);
		ck_assert_ptr_nonnull(data);
		ck_assert_str_eq(testing_policy_of(data), "prefer:0");
	}
	ck_assert_str_eq(testing_policy_of(pool.chunk[2].next), "prefer:0");
	for (unsigned i = 0; i < 100; i++)
		weir__lease_pool_give(&pool, true, token[i]);
	weir__lease_pool_fini(&pool);
}
END_TEST

START_TEST(pool_grows_far)
{
	struct weir__lease_pool pool;
	enum {
		MANY = 100000
	};
	uint32_t *token = malloc(MANY * sizeof(*token));
	uint8_t **data = malloc(MANY * sizeof(*data));

	weir__lease_pool_init(&pool, 1, -1);
	ck_assert_uint_eq(pool.bytes, (size_t)sysconf(_SC_PAGESIZE));
	for (unsigned i = 0; i < MANY; i++) {
		data[i] = weir__lease_pool_take(&pool, i % 2, &token[i]);
		ck_assert_ptr_nonnull(data[i]);
		if (i % 1000 == 0)
			memcpy(data[i], &i, sizeof(i));
	}
	for (unsigned i = 0; i < MANY; i += 1000)
		ck_assert_mem_eq(data[i], &i, sizeof(i));
	for (unsigned i = 0; i < MANY; i++)
		weir__lease_pool_give(&pool, i >= 100, token[i]);
	ck_assert_uint_eq(weir__lease_pool_out(&pool), 0);
	/* A sibling takes blocks that others returned one by one, and loses none. */
	for (unsigned i = 0; i < 100; i++)
		ck_assert_ptr_nonnull(weir__lease_pool_take(&pool, false, &token[i]));
	ck_assert_uint_eq(pool.fresh, MANY);
	ck_assert_uint_eq(weir__lease_pool_out(&pool), 100);
	for (unsigned i = 0; i < 100; i++)
		weir__lease_pool_give(&pool, true, token[i]);
	ck_assert_uint_eq(weir__lease_pool_out(&pool), 0);
	weir__lease_pool_fini(&pool);
	free(token);
	free(data);
}
END_TEST

#define HELD 1000

struct holders {
	struct weir__lease_pool pool;
	uint32_t token[HELD];
};

static void *give_each(void *arg)
{
	struct holders *held = arg;

	for (unsigned i = 0; i < HELD; i++)
		weir__lease_pool_give(&held->pool, false, held->token[i]);
	return NULL;
}

/* Only the last holder returns the block. */
START_TEST(a_block_with_three_holders)
{
	struct holders *held = malloc(sizeof(*held));
	pthread_t thread[2];

	weir__lease_pool_init(&held->pool, 1, -1);
	for (unsigned i = 0; i < HELD; i++) {
		ck_assert_ptr_nonnull(weir__lease_pool_take(&held->pool, true, &held->token[i]));
		weir__lease_pool_ref(&held->pool, held->token[i]);
		weir__lease_pool_ref(&held->pool, held->token[i]);
	}
	for (unsigned i = 0; i < 2; i++)
		pthread_create(&thread[i], NULL, give_each, held);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	ck_assert_uint_eq(weir__lease_pool_out(&held->pool), HELD);
	for (unsigned i = 0; i < HELD; i++)
		weir__lease_pool_ref(&held->pool, held->token[i]);
	for (unsigned i = 0; i < 2; i++)
		pthread_create(&thread[i], NULL, give_each, held);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	ck_assert_uint_eq(weir__lease_pool_out(&held->pool), 0);
	weir__lease_pool_fini(&held->pool);
	free(held);
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		CASE(lease_is_held_only_with_data),
		CASE(lease_of_at_most),
		CASE(leases_given_back_elsewhere),
		CASE(burst_gives_its_memory_back, .needs = "nosan"),
		CASE(busy_worker_gives_back_too),
		TESTING(what_a_pool_lends_lies_on_its_node),
		TESTING(pool_grows_far),
		TESTING(a_block_with_three_holders),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
