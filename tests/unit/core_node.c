/* SPDX-License-Identifier: MIT */
/*
 * core_node.c: memory with and without a preferred node. Every machine has a node 0, so these tests
 * make the real system calls. tests/numa checks that pages land on the right one of several nodes.
 */
#include <stdlib.h>
#include <string.h>

#include "core/fiber/stack.h"
#include "core/node.h"
#include "core/slab.h"
#include "tests/support/pages.h"
#include "tests/support/testing.h"

#define BYTES 10000u

static bool cannot_place(void)
{
	int rc = weir__node_check(0);

	if (rc < 0)
		testing_skip("cannot place memory on nodes here: %s", weir_strerror(rc));
	return rc < 0;
}

static void check_block(const char *block, size_t bytes)
{
	ck_assert_ptr_nonnull(block);
	ck_assert_uint_eq((uintptr_t)block % 128, 0);
	for (size_t i = 0; i < bytes; i++)
		ck_assert_int_eq(block[i], 0);
}

START_TEST(a_block_without_a_node_is_heap)
{
	static const size_t sizes[] = { 1, 127, 128, 129, BYTES };

	for (unsigned i = 0; i < TESTING_COUNT(sizes); i++) {
		char *dirty = malloc(sizes[i]), *block;

		memset(dirty, 0xff, sizes[i]);
		free(dirty);
		block = weir__node_alloc(sizes[i], -1);
		check_block(block, sizes[i]);
		weir__node_free(block, sizes[i], -1);
	}
	weir__node_free(NULL, 1, -1);
}
END_TEST

START_TEST(a_block_with_a_node_lies_there)
{
	char *block;

	if (cannot_place())
		return;
	block = weir__node_alloc(BYTES, 0);
	ck_assert_int_lt(weir__os_node_of(block), 0);
	check_block(block, BYTES);
	memset(block, 1, BYTES);
	ck_assert_int_eq(weir__os_node_of(block), 0);
	ck_assert_int_eq(weir__os_node_of(block + BYTES - 1), 0);
	ck_assert_str_eq(testing_policy_of(block), "prefer:0");
	weir__node_free(block, BYTES, 0);
	weir__node_free(NULL, BYTES, 0);
}
END_TEST

/* A block's policy must not apply to the next mapping, which has none. */
START_TEST(placing_is_of_one_mapping)
{
	char *placed, *other;

	if (cannot_place())
		return;
	placed = weir__node_alloc(BYTES, 0);
	other = weir__node_alloc(BYTES, -1);
	ck_assert_str_eq(testing_policy_of(placed), "prefer:0");
	ck_assert_str_eq(testing_policy_of(other), "default");
	weir__node_free(other, BYTES, -1);
	weir__node_free(placed, BYTES, 0);
}
END_TEST

START_TEST(a_check_leaves_the_thread_as_it_was)
{
	if (cannot_place())
		return;
	ck_assert(!weir__os_node_has_policy());
	ck_assert_int_eq(weir__os_node_prefer(0), 0);
	ck_assert(weir__os_node_has_policy());
	ck_assert_int_eq(weir__os_node_prefer(-1), 0);
	ck_assert(!weir__os_node_has_policy());
}
END_TEST

/* The largest number that the kernel may know, and numbers out of range. */
START_TEST(a_node_that_does_not_exist_is_refused)
{
	static const int nodes[] = { 1023, 1024, INT_MAX, -2 };

	if (cannot_place())
		return;
	ck_assert_int_eq(weir__node_check(nodes[_i]), -EINVAL);
	ck_assert(!weir__os_node_has_policy());
}
END_TEST

/* If placing memory is forbidden, the memory works without being placed. */
START_TEST(where_placing_is_forbidden_memory_is_as_good)
{
	static const int errs[] = { EPERM, ENOSYS };
	char *block;

	if (testing_deny_placing(errs[_i]) < 0) {
		testing_skip("no seccomp filters here");
		return;
	}
	ck_assert_int_eq(weir__node_check(0), -errs[_i]);
	ck_assert_int_eq(weir__os_node_prefer(0), -errs[_i]);
	ck_assert(!weir__os_node_has_policy());
	block = weir__node_alloc(BYTES, 0);
	check_block(block, BYTES);
	ck_assert_str_ne(testing_policy_of(block), "prefer:0");
	weir__node_free(block, BYTES, 0);
}
END_TEST

/* ---- users of placed memory ---- */

/* Small chunks, the huge chunks that follow when many are in use, and single large blocks. */
START_TEST(a_slab_places_every_chunk)
{
	struct weir__slab slab;
	struct weir__slab_chunk *c;
	unsigned chunks = 0, last = WEIR__SLAB_CLASSES - 1;
	bool huge = false;

	if (cannot_place())
		return;
	weir__slab_init(&slab, 0);
	for (unsigned i = 0; i < 3000; i++)
		ck_assert_ptr_nonnull(weir__slab_alloc(&slab, (unsigned)weir__slab_class(2048)));
	ck_assert_ptr_nonnull(weir__slab_alloc(&slab, last));
	for (c = slab.chunks; c; c = c->next, chunks++) {
		huge |= c->bytes >= 2u * 1024 * 1024 && c->block_bytes == 2048;
		ck_assert_str_eq(testing_policy_of(c), "prefer:0");
		ck_assert_str_eq(testing_policy_of((char *)c + c->bytes - 1), "prefer:0");
	}
	ck_assert(huge);
	ck_assert_uint_gt(chunks, 17);
	weir__slab_fini(&slab);
}
END_TEST

START_TEST(a_stack_goes_back_to_its_node)
{
	struct weir__stack_pool here, anywhere;
	struct weir__stack a, b, again;

	if (cannot_place())
		return;
	ck_assert_int_eq(weir__stack_pool_init(&here, 0, 0, 0), 0);
	ck_assert_int_eq(weir__stack_pool_init(&anywhere, 0, 0, -1), 0);
	ck_assert_int_eq(weir__stack_get(&here, &a), 0);
	ck_assert_int_eq(weir__stack_get(&anywhere, &b), 0);
	ck_assert_ptr_ne(a.region, b.region);
	ck_assert_str_eq(testing_policy_of(a.low), "prefer:0");
	ck_assert_str_eq(testing_policy_of(b.low), "default");
	/* As if a fiber began on one worker and ended on another. */
	weir__stack_put(&anywhere, a);
	ck_assert_uint_eq(anywhere.hot, 0);
	ck_assert_int_eq(weir__stack_get(&anywhere, &again), 0);
	ck_assert_ptr_eq(again.region, b.region);
	weir__stack_put(&anywhere, again);
	weir__stack_put(&anywhere, b);
	ck_assert_uint_eq(anywhere.hot, 2);
	weir__stack_pool_fini(&here);
	weir__stack_pool_fini(&anywhere);
}
END_TEST

/* Returns whether a region was seen before, and records it. */
static bool is_known(struct weir__stack_region **seen, struct weir__stack_region *region)
{
	for (; *seen; seen++)
		if (*seen == region)
			return true;
	*seen = region;
	return false;
}

/*
 * Regions of two nodes are used up and freed in turn: none is lost, none changes to the other node.
 */
START_TEST(regions_of_two_nodes_are_kept_apart)
{
	enum {
		N = 3000
	}; /* three regions of each */
	struct weir__stack_pool pool[2];
	struct weir__stack_region *seen[64] = { NULL };
	struct weir__stack *s = calloc(N * 2, sizeof(*s));

	if (cannot_place()) {
		free(s);
		return;
	}
	for (int round = 0; round < 2; round++) {
		for (int p = 0; p < 2; p++)
			ck_assert_int_eq(weir__stack_pool_init(&pool[p], 0, 0, p - 1), 0);
		for (int i = 0; i < N * 2; i++) {
			ck_assert_int_eq(weir__stack_get(&pool[i % 2], &s[i]), 0);
			ck_assert(i == 0 || s[i].region != s[i - 1].region);
			ck_assert(is_known(seen, s[i].region) || round == 0);
		}
		ck_assert_str_eq(testing_policy_of(s[N * 2 - 1].low), "prefer:0");
		ck_assert_str_eq(testing_policy_of(s[N * 2 - 2].low), "default");
		for (int i = 0; i < N * 2; i++)
			weir__stack_put(&pool[(i + 1) % 2], s[i]);
		for (int p = 0; p < 2; p++) {
			ck_assert_uint_eq(pool[p].hot, 0);
			weir__stack_pool_fini(&pool[p]);
		}
	}
	free(s);
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(a_block_without_a_node_is_heap),
		TESTING(a_block_with_a_node_lies_there),
		TESTING(placing_is_of_one_mapping),
		TESTING(a_check_leaves_the_thread_as_it_was),
		TESTING(a_node_that_does_not_exist_is_refused, .rounds = 4),
		TESTING(where_placing_is_forbidden_memory_is_as_good, .rounds = 2),
		TESTING(a_slab_places_every_chunk),
		TESTING(a_stack_goes_back_to_its_node),
		TESTING(regions_of_two_nodes_are_kept_apart),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
