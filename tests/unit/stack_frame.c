/* SPDX-License-Identifier: MIT */
/*
 * stack_frame.c: frames in one piece and in many: every operation at every boundary, the stored
 * sums of pieces, blocks that several frames view, and lack of memory at each allocation.
 */
#include "stack/checksum.h"
#include "tests/support/testing.h"
#include "tests/unit/stack_rig.h"

#define LEN 61

static struct rig rig;
static struct weir__frame_memory mem;
static uint64_t refused;
static unsigned char bytes[8192];

static void setup(void)
{
	rig_init(&rig);
	refused = 0;
	weir__frame_memory_init(&mem, &rig.owner, RIG_BLOCK_BYTES, &refused);
	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)(i * 7 + i / 251);
}

static void teardown(void)
{
	weir__frame_memory_fini(&mem);
	rig_check_empty(&rig);
}

/* The sizes of pieces of the tests: each cuts LEN bytes at other places. */
static const uint32_t pieces[] = { 0, 1, 2, 3, 7, 16, 30, 60, 61 };
#define PIECES (sizeof(pieces) / sizeof(pieces[0]))

static struct weir__frame *made(int i)
{
	return rig_frame(&mem, bytes, LEN, pieces[i]);
}

static void check_sum(const struct weir__frame *frame, const unsigned char *from, uint32_t len)
{
	ck_assert_uint_eq(weir__checksum_fold(weir__frame_sum(frame, 0)),
			  weir__checksum_fold(weir__checksum(from, len)));
}

START_TEST(bytes_are_found_wherever_they_lie)
{
	struct weir__frame *frame = made(_i);
	unsigned char scratch[LEN];

	rig_check_frame(frame, bytes, LEN);
	for (uint32_t at = 0; at <= LEN; at++)
		for (uint32_t len = 0; at + len <= LEN; len++)
			ck_assert_mem_eq(weir__frame_peek(frame, at, len, scratch), bytes + at,
					 len);
	ck_assert_ptr_null(weir__frame_peek(frame, 0, LEN + 1, scratch));
	ck_assert_ptr_null(weir__frame_peek(frame, LEN + 1, 0, scratch));
	ck_assert_ptr_null(weir__frame_peek(frame, 1, UINT32_MAX, scratch));
	ck_assert_uint_eq(weir__frame_copy_out(frame, LEN - 3, scratch, LEN), 3);
	ck_assert_uint_eq(weir__frame_copy_out(frame, LEN, scratch, LEN), 0);
	weir__frame_free(&mem, frame);
}
END_TEST

START_TEST(pull_takes_the_front_off)
{
	for (uint32_t at = 0; at <= LEN + 1; at++) {
		struct weir__frame *frame = made(_i);
		uint32_t left = at < LEN ? LEN - at : 0;

		weir__frame_sum_pieces(frame);
		weir__frame_pull(&mem, frame, at);
		rig_check_frame(frame, bytes + LEN - left, left);
		check_sum(frame, bytes + LEN - left, left);
		weir__frame_pull(&mem, frame, LEN);
		rig_check_frame(frame, bytes, 0);
		weir__frame_free(&mem, frame);
	}
}
END_TEST

START_TEST(trim_takes_the_end_off)
{
	for (uint32_t len = 0; len <= LEN + 1; len++) {
		struct weir__frame *frame = made(_i);

		weir__frame_sum_pieces(frame);
		weir__frame_trim(&mem, frame, len);
		rig_check_frame(frame, bytes, len < LEN ? len : LEN);
		check_sum(frame, bytes, len < LEN ? len : LEN);
		weir__frame_free(&mem, frame);
	}
}
END_TEST

START_TEST(split_and_append_are_each_others_opposite)
{
	for (uint32_t at = 1; at < LEN; at++) {
		struct weir__frame *frame = made(_i), *tail;

		weir__frame_sum_pieces(frame);
		ck_assert_int_eq(weir__frame_split(&mem, frame, at, &tail), 0);
		rig_check_frame(frame, bytes, at);
		rig_check_frame(tail, bytes + at, LEN - at);
		check_sum(frame, bytes, at);
		check_sum(tail, bytes + at, LEN - at);
		weir__frame_append(&mem, frame, tail);
		rig_check_frame(frame, bytes, LEN);
		check_sum(frame, bytes, LEN);
		weir__frame_free(&mem, frame);
	}
}
END_TEST

START_TEST(a_clone_views_the_same_bytes)
{
	for (uint32_t at = 0; at < LEN; at++)
		for (uint32_t len = 1; at + len <= LEN; len += 5) {
			struct weir__frame *frame = made(_i), *clone;
			unsigned blocks = rig.blocks;

			weir__frame_sum_pieces(frame);
			ck_assert_int_eq(weir__frame_clone(&mem, frame, at, len, &clone), 0);
			ck_assert_uint_eq(rig.blocks, blocks);
			rig_check_frame(clone, bytes + at, len);
			check_sum(clone, bytes + at, len);
			weir__frame_free(&mem, frame);
			rig_check_frame(clone, bytes + at, len);
			weir__frame_free(&mem, clone);
			ck_assert_uint_eq(rig.blocks, 0);
		}
}
END_TEST

START_TEST(a_clone_of_what_is_not_there_is_refused)
{
	struct weir__frame *frame = made(_i), *clone = NULL;

	ck_assert_int_eq(weir__frame_clone(&mem, frame, 0, 0, &clone), -EINVAL);
	ck_assert_int_eq(weir__frame_clone(&mem, frame, 0, LEN + 1, &clone), -EINVAL);
	ck_assert_int_eq(weir__frame_clone(&mem, frame, LEN + 1, 1, &clone), -EINVAL);
	ck_assert_int_eq(weir__frame_clone(&mem, frame, 1, UINT32_MAX, &clone), -EINVAL);
	ck_assert_ptr_null(clone);
	weir__frame_free(&mem, frame);
}
END_TEST

START_TEST(sums_go_through_pieces_of_any_length)
{
	struct weir__frame *frame = made(_i);

	for (unsigned round = 0; round < 2; round++) {
		for (uint32_t at = 0; at <= LEN; at++)
			ck_assert_uint_eq(
				weir__checksum_fold(weir__frame_sum(frame, at)),
				weir__checksum_fold(weir__checksum(bytes + at, LEN - at)));
		weir__frame_sum_pieces(frame);
	}
	weir__frame_free(&mem, frame);
}
END_TEST

/* The stored sums are used, even if bytes were changed without the functions of frame.h. */
START_TEST(a_kept_sum_is_not_summed_again)
{
	struct weir__frame *frame = made(_i);

	weir__frame_sum_pieces(frame);
	for (struct weir__frame *piece = frame; piece != NULL; piece = piece->next)
		memset(piece->data, 0, piece->len);
	check_sum(frame, bytes, LEN);
	weir__frame_free(&mem, frame);
}
END_TEST

START_TEST(a_copy_takes_just_its_size)
{
	struct weir__frame *frame = made(_i), *copy;

	ck_assert_int_eq(weir__frame_copy(&mem, frame, &copy), 0);
	rig_check_frame(copy, bytes, LEN);
	ck_assert_uint_le(weir__frame_true_bytes(copy), LEN + sizeof(struct weir__block) + 16);
	weir__frame_free(&mem, frame);
	weir__frame_free(&mem, copy);
}
END_TEST

START_TEST(memory_that_runs_out_changes_nothing)
{
	struct weir__frame *frame = made(_i), *other = NULL;

	weir__frame_memory_fini(&mem);
	rig.fail_in = 0;
	ck_assert_int_eq(weir__frame_clone(&mem, frame, 0, LEN, &other), -ENOMEM);
	ck_assert_int_eq(weir__frame_copy(&mem, frame, &other), -ENOMEM);
	ck_assert_uint_eq(refused, 2);
	if (pieces[_i] != 1 && pieces[_i] != 2)	/* otherwise 2 is a boundary, and needs no view */
		ck_assert_int_eq(weir__frame_split(&mem, frame, 2, &other), -ENOMEM);
	ck_assert_int_eq(weir__frame_copy_in(&mem, frame, bytes, 4000), -ENOMEM);
	rig.fail_in = 1;
	ck_assert_int_eq(weir__frame_copy_in(&mem, frame, bytes, 5000), -ENOMEM);
	ck_assert_uint_ge(refused, 4);
	ck_assert_ptr_null(other);
	rig_check_frame(frame, bytes, LEN);
	weir__frame_free(&mem, frame);
}
END_TEST

START_TEST(a_clone_that_fails_half_way_lets_go_of_all)
{
	struct weir__frame *frame = rig_frame(&mem, bytes, LEN, 1), *clone = NULL;
	unsigned blocks = rig.blocks;

	rig.fail_in = 1;	/* one chunk of views; 61 pieces need two */
	ck_assert_int_eq(weir__frame_clone(&mem, frame, 0, LEN, &clone), -ENOMEM);
	ck_assert_uint_eq(rig.blocks, blocks);
	for (struct weir__frame *piece = frame; piece != NULL; piece = piece->next)
		ck_assert_uint_eq(piece->block->refs, 1);
	weir__frame_free(&mem, frame);
}
END_TEST

START_TEST(headers_are_pushed_into_the_headroom)
{
	struct weir__frame *frame = rig_frame(&mem, bytes + 34, LEN, 0), *clone;

	memcpy(weir__frame_push(frame, 20), bytes + 14, 20);
	memcpy(weir__frame_push(frame, 14), bytes, 14);
	rig_check_frame(frame, bytes, LEN + 34);
	ck_assert_ptr_null(weir__frame_push(frame, WEIR_FRAME_HEADROOM - 34 + 1));
	/* Another view of the block may need the bytes in front. */
	ck_assert_int_eq(weir__frame_clone(&mem, frame, 34, LEN, &clone), 0);
	ck_assert_ptr_null(weir__frame_push(frame, 1));
	ck_assert_ptr_null(weir__frame_push(clone, 1));
	weir__frame_free(&mem, clone);
	ck_assert_ptr_nonnull(weir__frame_push(frame, 1));
	weir__frame_free(&mem, frame);
}
END_TEST

START_TEST(a_header_goes_before_views_of_other_blocks)
{
	struct weir__frame *data = rig_frame(&mem, bytes + 20, LEN, 7), *views, *frame;

	ck_assert_int_eq(weir__frame_clone(&mem, data, 0, LEN, &views), 0);
	frame = weir__frame_new(&mem, WEIR_FRAME_HEADROOM, 0);
	ck_assert_ptr_nonnull(frame);
	weir__frame_append(&mem, frame, views);
	memcpy(weir__frame_push(frame, 20), bytes, 20);
	rig_check_frame(frame, bytes, LEN + 20);
	check_sum(frame, bytes, LEN + 20);
	weir__frame_free(&mem, frame);
	rig_check_frame(data, bytes + 20, LEN);
	weir__frame_free(&mem, data);
}
END_TEST

START_TEST(copies_fill_blocks_and_are_summed)
{
	static const uint32_t steps[] = { 1, 3, 100, 1919, 1920, 1921, 4000 };

	for (unsigned i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		struct weir__frame *frame = weir__frame_new(&mem, 16, 5);
		uint32_t done = 0;

		for (; done + steps[i] <= sizeof(bytes); done += steps[i])
			ck_assert_int_eq(
				weir__frame_copy_in(&mem, frame, bytes + done, steps[i]), 0);
		rig_check_frame(frame, bytes, done);
		for (struct weir__frame *piece = frame; piece != NULL; piece = piece->next) {
			ck_assert(piece->flags & WEIR_FRAME_SUMMED);
			ck_assert(piece->next == NULL || piece == frame ||
				  piece->len == RIG_BLOCK_BYTES);
		}
		check_sum(frame, bytes, done);
		weir__frame_free(&mem, frame);
	}
}
END_TEST

START_TEST(a_copy_behind_bytes_that_nobody_has_summed_claims_no_sum)
{
	struct weir__frame *frame = weir__frame_new(&mem, 0, 100);

	memcpy(weir__frame_extend(frame, 50), bytes, 50);
	ck_assert_int_eq(weir__frame_copy_in(&mem, frame, bytes + 50, 50), 0);
	rig_check_frame(frame, bytes, 100);
	check_sum(frame, bytes, 100);
	weir__frame_free(&mem, frame);
}
END_TEST

/* Data in flight keeps its block; small writes continue in the same block. */
START_TEST(a_block_is_filled_on_behind_what_others_view)
{
	struct weir__frame *queue = weir__frame_new(&mem, 0, 100), *sent[10], *other;

	for (unsigned i = 0; i < 10; i++) {
		ck_assert_int_eq(weir__frame_copy_in(&mem, queue, bytes + 10 * i, 10), 0);
		ck_assert_int_eq(weir__frame_clone(&mem, queue, 10 * i, 10, &sent[i]), 0);
	}
	ck_assert_uint_eq(rig.blocks, 1);
	rig_check_frame(queue, bytes, 100);
	/* Only one of the pieces that end there can use the room. */
	ck_assert_int_eq(weir__frame_clone(&mem, queue, 90, 10, &other), 0);
	ck_assert_ptr_nonnull(weir__frame_extend(queue, 1));
	ck_assert_ptr_null(weir__frame_extend(other, 1));
	for (unsigned i = 0; i < 10; i++) {
		ck_assert_ptr_null(weir__frame_extend(sent[i], 1));
		rig_check_frame(sent[i], bytes + 10 * i, 10);
		weir__frame_free(&mem, sent[i]);
	}
	weir__frame_free(&mem, other);
	weir__frame_free(&mem, queue);
}
END_TEST

START_TEST(a_block_larger_than_the_owner_gives_is_refused)
{
	ck_assert_ptr_null(weir__frame_new(&mem, 0, RIG_BLOCK_BYTES + 1));
	ck_assert_ptr_null(weir__frame_new(&mem, RIG_BLOCK_BYTES, 1));
	ck_assert_ptr_null(weir__frame_new(&mem, UINT32_MAX, 2));
}
END_TEST

START_TEST(true_bytes_are_those_of_the_blocks)
{
	struct weir__frame *frame = rig_frame(&mem, bytes, 10, 1);

	ck_assert_uint_eq(weir__frame_pieces(frame), 10);
	ck_assert_uint_ge(weir__frame_true_bytes(frame), 10 * RIG_BLOCK_BYTES);
	weir__frame_free(&mem, frame);
	weir__frame_free(&mem, NULL);
}
END_TEST

START_TEST(a_queue_keeps_the_order)
{
	struct weir__frame_queue queue = { NULL, NULL };
	struct weir__frame *frame[3];

	ck_assert_ptr_null(weir__frame_queue_pop(&queue));
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < 3; i++) {
			frame[i] = rig_frame(&mem, bytes, 1, 0);
			weir__frame_queue_push(&queue, frame[i]);
		}
		for (unsigned i = 0; i < 3; i++) {
			ck_assert_ptr_eq(weir__frame_queue_pop(&queue), frame[i]);
			weir__frame_free(&mem, frame[i]);
		}
		ck_assert_ptr_null(weir__frame_queue_pop(&queue));
	}
}
END_TEST

START_TEST(control_bytes_are_the_keepers)
{
	struct state {
		uint64_t a[9];
	};
	struct weir__frame *frame = rig_frame(&mem, bytes, 1, 0);

	ck_assert_uint_eq(sizeof(struct weir__frame), 128);
	memset(WEIR_FRAME_CONTROL(frame, struct state), 0xff, sizeof(struct state));
	rig_check_frame(frame, bytes, 1);
	weir__frame_free(&mem, frame);
}
END_TEST

int main(int argc, char **argv)
{
#define IN_PIECES(name) \
	TESTING(name, .setup = setup, .teardown = teardown, .rounds = PIECES)
#define ONCE(name) TESTING(name, .setup = setup, .teardown = teardown)
	const struct testing_case cases[] = {
		IN_PIECES(bytes_are_found_wherever_they_lie),
		IN_PIECES(pull_takes_the_front_off),
		IN_PIECES(trim_takes_the_end_off),
		IN_PIECES(split_and_append_are_each_others_opposite),
		IN_PIECES(a_clone_views_the_same_bytes),
		IN_PIECES(a_clone_of_what_is_not_there_is_refused),
		IN_PIECES(sums_go_through_pieces_of_any_length),
		IN_PIECES(a_kept_sum_is_not_summed_again),
		IN_PIECES(a_copy_takes_just_its_size),
		IN_PIECES(memory_that_runs_out_changes_nothing),
		ONCE(a_clone_that_fails_half_way_lets_go_of_all),
		ONCE(headers_are_pushed_into_the_headroom),
		ONCE(a_header_goes_before_views_of_other_blocks),
		ONCE(copies_fill_blocks_and_are_summed),
		ONCE(a_copy_behind_bytes_that_nobody_has_summed_claims_no_sum),
		ONCE(a_block_is_filled_on_behind_what_others_view),
		ONCE(a_block_larger_than_the_owner_gives_is_refused),
		ONCE(true_bytes_are_those_of_the_blocks),
		ONCE(a_queue_keeps_the_order),
		ONCE(control_bytes_are_the_keepers),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
