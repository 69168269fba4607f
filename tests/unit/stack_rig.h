/* SPDX-License-Identifier: MIT */
/* stack_rig.h: what unit tests do with a rig (tests/stack/rig.h): frames of it, and checks. */
#ifndef WEIR_TESTS_UNIT_STACK_RIG_H
#define WEIR_TESTS_UNIT_STACK_RIG_H

#include "tests/stack/rig.h"

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
