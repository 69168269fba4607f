/* SPDX-License-Identifier: MIT */
/* stack_rig.c: see stack_rig.h. */
#include "tests/support/testing.h"
#include "tests/unit/stack_rig.h"

void rig_check_empty(const struct rig *rig)
{
	ck_assert_uint_eq(rig->blocks, 0);
	ck_assert_uint_eq(rig->allocations, 0);
}

struct weir__frame *rig_frame(struct weir__frame_memory *mem, const void *bytes, uint32_t len,
			      uint32_t piece)
{
	struct weir__frame *frame = NULL, *next;
	const unsigned char *from = bytes;
	uint32_t part;

	if (piece == 0) {
		frame = weir__frame_new(mem, WEIR_FRAME_HEADROOM, len);
		ck_assert_ptr_nonnull(frame);
		memcpy(weir__frame_extend(frame, len), from, len);
		return frame;
	}
	for (; len > 0; from += part, len -= part) {
		part = len < piece ? len : piece;
		next = weir__frame_new(mem, 0, part);
		ck_assert_ptr_nonnull(next);
		memcpy(weir__frame_extend(next, part), from, part);
		if (frame == NULL)
			frame = next;
		else
			weir__frame_append(mem, frame, next);
	}
	return frame;
}

void rig_check_frame(const struct weir__frame *frame, const void *bytes, uint32_t len)
{
	unsigned char copy[65536];
	uint32_t total = 0;

	for (const struct weir__frame *piece = frame; piece != NULL; piece = piece->next) {
		const struct weir__block *block = piece->block;

		ck_assert(piece == frame || piece->len > 0);
		ck_assert_uint_gt(block->refs, 0);
		ck_assert(piece->data >= block->base);
		ck_assert(piece->data + piece->len <= block->base + block->used ||
			  block->refs == 1);
		ck_assert_uint_le(block->used, block->size);
		total += piece->len;
	}
	ck_assert_uint_eq(total, frame->total);
	ck_assert_uint_eq(frame->total, len);
	ck_assert_uint_eq(weir__frame_copy_out(frame, 0, copy, sizeof(copy)), len);
	ck_assert_mem_eq(copy, bytes, len);
}
