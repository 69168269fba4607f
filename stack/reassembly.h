/* SPDX-License-Identifier: MIT */
/*
 * reassembly.h: reassembly of fragments, in bounded memory, for either family.
 *
 * A packet is dropped with all its fragments when it is incomplete after 30 s, when it would be
 * longer than 65,535 bytes, or when two fragments differ in an overlapping byte or in the end of
 * the packet. A fragment that only repeats known bytes is dropped, and its packet is kept. When the
 * memory of the config is used up, the oldest packet is dropped.
 */
#ifndef WEIR_STACK_REASSEMBLY_H
#define WEIR_STACK_REASSEMBLY_H

#include "stack/ip.h"

/*
 * Adds a fragment, without its IP header. Owns the frame. offset is in bytes; more means that
 * it is not the last fragment. Returns the packet when it is complete, and then rx describes
 * it; else NULL.
 */
struct weir__frame *weir__reassemble(struct weir__netstack *net, struct weir__frame *frame,
				     struct weir__ip_rx *rx, uint32_t id, uint32_t offset,
				     bool more);

#endif
