/* SPDX-License-Identifier: MIT */
/*
 * offload.h: what an interface does for the stack (weir_netstack_offload): it completes checksums
 * and cuts up super-frames of TCP.
 */
#ifndef WEIR_TESTS_STACK_OFFLOAD_H
#define WEIR_TESTS_STACK_OFFLOAD_H

#include "stack/instance.h"

#define OFFLOAD_FRAME_BYTES 66000u

struct offload;
/* Takes a frame as it stands on the wire; the bytes are only lent. */
typedef void (*offload_carry_fn)(struct offload *offload, const unsigned char *bytes, uint32_t len);

/* Embedded in the struct of whoever carries frames. */
struct offload {
	offload_carry_fn carry;
};

/* Carries a frame that was transmitted, or each of its segments. The frame stays the caller's. */
void offload_transmit(struct offload *offload, const struct weir__frame *frame);

#endif
