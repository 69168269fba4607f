/* SPDX-License-Identifier: MIT */
/*
 * offload.h: the offloads of an interface (weir_netstack_offload): it completes checksums and
 * splits super-frames of TCP.
 */
#ifndef WEIR_TESTS_STACK_OFFLOAD_H
#define WEIR_TESTS_STACK_OFFLOAD_H

#include "stack/instance.h"

#define OFFLOAD_FRAME_BYTES 66000u

struct offload;
/* Takes a complete frame. The bytes are valid only during the call. */
typedef void (*offload_carry_fn)(struct offload *offload, const unsigned char *bytes, uint32_t len);

/* Embedded in the struct of the owner that transmits frames. */
struct offload {
	offload_carry_fn carry;
};

/* Passes a transmitted frame, or each of its segments, to carry. The caller keeps the frame. */
void offload_transmit(struct offload *offload, const struct weir__frame *frame);

#endif
