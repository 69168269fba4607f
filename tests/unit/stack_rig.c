/* SPDX-License-Identifier: MIT */
/* stack_rig.c: see stack_rig.h. */
#include <stdlib.h>

#include "tests/support/testing.h"
#include "tests/unit/stack_rig.h"

struct rig_block {
	struct weir__block block;
	struct rig *rig;
	unsigned char bytes[RIG_BLOCK_BYTES];
};

/* Overwrites a block that is freed, so that a test sees when it is used later. volatile: the
 * compiler must not drop the call. */
static void *(*volatile poison)(void *, int, size_t) = memset;

static struct rig *rig_of(struct weir__netstack_owner *owner)
{
	return WEIR_STACK_CONTAINER(owner, struct rig, owner);
}

static bool fails(struct rig *rig)
{
	if (rig->fail_in < 0)
		return false;
	if (rig->fail_in == 0)
		return true;
	rig->fail_in--;
	return false;
}

static void *rig_alloc(struct weir__netstack_owner *owner, size_t bytes)
{
	struct rig *rig = rig_of(owner);

	if (fails(rig))
		return NULL;
	rig->allocations++;
	return malloc(bytes);
}

static void rig_free(struct weir__netstack_owner *owner, void *memory, size_t bytes)
{
	(void)bytes;
	rig_of(owner)->allocations--;
	free(memory);
}

static void block_release(struct weir__block *block)
{
	struct rig_block *mine = WEIR_STACK_CONTAINER(block, struct rig_block, block);

	mine->rig->blocks--;
	poison(mine->bytes, 0xdd, sizeof(mine->bytes));
	free(mine);
}

static struct weir__frame *rig_block_alloc(struct weir__netstack_owner *owner, uint32_t bytes)
{
	struct rig *rig = rig_of(owner);
	struct rig_block *mine;

	ck_assert_uint_le(bytes, RIG_BLOCK_BYTES);
	if (fails(rig))
		return NULL;
	mine = malloc(sizeof(*mine));
	ck_assert_ptr_nonnull(mine);
	mine->rig = rig;
	rig->blocks++;
	return weir__block_init(&mine->block, mine->bytes, RIG_BLOCK_BYTES, sizeof(*mine),
				block_release);
}

/* splitmix64, byte by byte. */
static void rig_random(struct weir__netstack_owner *owner, void *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		uint64_t z = rig_of(owner)->seed += 0x9e3779b97f4a7c15;

		z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
		z = (z ^ z >> 27) * 0x94d049bb133111eb;
		((unsigned char *)bytes)[i] = (unsigned char)(z ^ z >> 31);
	}
}

static void rig_transmit(struct weir__netstack_owner *owner, struct weir__netstack *net,
			 struct weir__frame *frame)
{
	(void)net;
	weir__frame_queue_push(&rig_of(owner)->sent, frame);
}

void rig_init(struct rig *rig)
{
	static const struct weir__netstack_owner_ops ops = {
		.alloc = rig_alloc,
		.free = rig_free,
		.block_alloc = rig_block_alloc,
		.random = rig_random,
		.transmit = rig_transmit,
	};

	*rig = (struct rig){ .owner = { &ops }, .fail_in = -1, .seed = 1 };
}

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
