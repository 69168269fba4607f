/* SPDX-License-Identifier: MIT */
/* stack_rig.h: functions of unit tests for a rig (tests/stack/rig.h): its frames, and checks. */
#ifndef WEIR_TESTS_UNIT_STACK_RIG_H
#define WEIR_TESTS_UNIT_STACK_RIG_H

#include "tests/stack/rig.h"

/* Checks that everything has been freed. */
void rig_check_empty(const struct rig *rig);
/*
 * Makes a frame of these bytes in pieces of `piece` bytes, each in a block of its own (0: one
 * piece, with headroom in front).
 */
struct weir__frame *rig_frame(struct weir__frame_memory *mem, const void *bytes, uint32_t len,
			      uint32_t piece);
/* Fails the test unless the frame has these bytes and its pieces satisfy frame.h. */
void rig_check_frame(const struct weir__frame *frame, const void *bytes, uint32_t len);

#endif
