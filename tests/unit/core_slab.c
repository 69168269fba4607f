/* SPDX-License-Identifier: MIT */
/*
 * core_slab.c: blocks of a few sizes: none overlaps another; a freed one is used again, also if
 * another thread freed it; and the walk visits each block once.
 */
#include <stdlib.h>
#include <string.h>

#include "core/task/task.h"
#include "tests/unit/runtimes.h"

static struct weir__slab slab;

static void setup(void)
{
	weir__slab_init(&slab, -1);
}

static void teardown(void)
{
	weir__slab_fini(&slab);
}

static struct weir_task *alloc(unsigned size_class)
{
	struct weir_task *task = weir__slab_alloc(&slab, size_class);

	ck_assert_ptr_nonnull(task);
	ck_assert_uint_eq(task->state, 0);
	task->size_class = (uint8_t)size_class;
	return task;
}

/* Returns the largest size that belongs to the class. */
static size_t class_size(int size_class)
{
	size_t bytes = 1;

	while (weir__slab_class(bytes + 1) == size_class || weir__slab_class(bytes) < size_class)
		bytes++;
	return bytes;
}

START_TEST(classes_grow_with_the_size)
{
	size_t bytes;
	int last = 0, size_class;

	for (bytes = 1; bytes <= 131072; bytes++) {
		size_class = weir__slab_class(bytes);
		ck_assert(size_class == last || size_class == last + 1);
		last = size_class;
	}
	ck_assert_int_eq(last, WEIR__SLAB_CLASSES - 1);
	ck_assert_int_eq(weir__slab_class(131073), -EINVAL);
	ck_assert_int_eq(weir__slab_class(SIZE_MAX), -EINVAL);
}
END_TEST

/* Allocates more blocks than a chunk has, and fills each to its last byte. */
START_TEST(no_block_overlaps_another)
{
	size_t bytes = class_size(_i), i, n = 300;
	unsigned char **blocks = calloc(n, sizeof *blocks);

	for (i = 0; i < n; i++) {
		blocks[i] = (unsigned char *)alloc((unsigned)_i);
		memset(blocks[i] + sizeof(struct weir__slab_head), (int)i,
		       bytes - sizeof(struct weir__slab_head));
	}
	for (i = 0; i < n; i++) {
		ck_assert_uint_eq((uintptr_t)blocks[i] % 16, 0);
		ck_assert_int_eq(blocks[i][sizeof(struct weir__slab_head)], (unsigned char)i);
		ck_assert_int_eq(blocks[i][bytes - 1], (unsigned char)i);
	}
	free(blocks);
}
END_TEST

START_TEST(a_free_block_is_used_again)
{
	struct weir_task *a = alloc(1), *b = alloc(1), *c = alloc(2);

	weir__slab_free(&slab, a, 1);
	weir__slab_free(&slab, c, 2);
	ck_assert_ptr_eq(alloc(1), a);
	ck_assert_ptr_ne(alloc(1), b);
	ck_assert_ptr_eq(alloc(2), c);
}
END_TEST

START_TEST(what_others_give_back_is_used_before_new_memory)
{
	struct weir_task *a = alloc(0), *b = alloc(3), *c;

	weir__slab_free_remote(&slab, a, a->size_class);
	weir__slab_free_remote(&slab, b, b->size_class);
	c = alloc(3);
	ck_assert_ptr_eq(c, b);
	ck_assert_ptr_eq(alloc(0), a);
}
END_TEST

struct seen {
	unsigned blocks, live;
};

static void see(void *block, void *arg)
{
	struct seen *s = arg;

	s->blocks++;
	s->live += *(uint64_t *)block != 0;
}

START_TEST(the_walk_sees_every_block_once)
{
	struct seen seen = { 0, 0 };
	struct weir_task *tasks[500];
	unsigned i;

	for (i = 0; i < 500; i++) {
		tasks[i] = alloc(i % WEIR__SLAB_CLASSES);
		tasks[i]->state = 1;
	}
	for (i = 0; i < 500; i += 5) {
		tasks[i]->state = 0;
		weir__slab_free(&slab, tasks[i], tasks[i]->size_class);
	}
	weir__slab_walk(&slab, see, &seen);
	ck_assert_uint_eq(seen.blocks, 500);
	ck_assert_uint_eq(seen.live, 400);
}
END_TEST

/* The owner allocates blocks, and two threads free them. */
struct hand_over {
	struct weir_task *slots[64];
	unsigned stop;
};

static void *give_back(void *arg)
{
	struct hand_over *h = arg;
	unsigned i, found = 0;

	for (i = 0; !get(&h->stop) || found; i++) {
		struct weir_task *task =
			__atomic_exchange_n(&h->slots[i % 64], NULL, __ATOMIC_ACQ_REL);

		found = i % 64 ? found : 0;
		if (!task)
			continue;
		found = 1;
		weir__slab_free_remote(&slab, task, task->size_class);
	}
	return NULL;
}

START_TEST(two_threads_give_back)
{
	struct hand_over h = { .stop = 0 };
	struct seen seen = { 0, 0 };
	pthread_t threads[2];
	unsigned i, size_class;

	threads[0] = thread_start(give_back, &h);
	threads[1] = thread_start(give_back, &h);
	for (i = 0; i < 200000; i++) {
		struct weir_task *none = NULL, *task;

		size_class = i % 3;
		task = alloc(size_class);
		task->id = UINT64_MAX;
		if (!__atomic_compare_exchange_n(&h.slots[i % 64], &none, task, false,
						 __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
			weir__slab_free(&slab, task, size_class);
	}
	set(&h.stop, 1);
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	weir__slab_walk(&slab, see, &seen);
	ck_assert_uint_eq(seen.live, 0);
	ck_assert_uint_lt(seen.blocks, 10000);
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(classes_grow_with_the_size),
		TESTING(no_block_overlaps_another, .rounds = WEIR__SLAB_CLASSES, .setup = setup,
			.teardown = teardown),
		TESTING(a_free_block_is_used_again, .setup = setup, .teardown = teardown),
		TESTING(what_others_give_back_is_used_before_new_memory, .setup = setup,
			.teardown = teardown),
		TESTING(the_walk_sees_every_block_once, .setup = setup, .teardown = teardown),
		TESTING(two_threads_give_back, .setup = setup, .teardown = teardown),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
