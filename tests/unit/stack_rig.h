/* SPDX-License-Identifier: MIT */
/*
 * stack_rig.h: an owner for the stack's tests: memory that is counted and can run out, numbers that
 * repeat, and a list of what was transmitted.
 */
#ifndef WEIR_TESTS_UNIT_STACK_RIG_H
#define WEIR_TESTS_UNIT_STACK_RIG_H

#include "stack/stack.h"

#define RIG_BLOCK_BYTES 1920u

struct rig {
	struct weir__netstack_owner owner;
	unsigned blocks;		/* that live */
	unsigned allocations;		/* of general memory that live */
	int fail_in;			/* so many more of either succeed, then none; < 0: all */
	uint64_t seed;
	struct weir__frame_queue sent;
};

void rig_init(struct rig *rig);
/* Everything has been freed. */
void rig_check_empty(const struct rig *rig);
/*
 * A frame of these bytes in pieces of so many bytes each, every piece in a block of its own (0: one
 * piece, with headroom in front).
 */
struct weir__frame *rig_frame(struct weir__frame_memory *mem, const void *bytes, uint32_t len,
			      uint32_t piece);
/* Fails the test if the frame is not these bytes, or its pieces are not what frame.h promises. */
void rig_check_frame(const struct weir__frame *frame, const void *bytes, uint32_t len);

#endif
