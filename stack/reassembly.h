/* SPDX-License-Identifier: MIT */
/*
 * reassembly.h: reassembly of fragments, in bounded memory, for either family.
 *
 * A packet is dropped with all its fragments when it is incomplete after 30 s, when it would be
 * longer than 65,535 bytes, or when two fragments contradict each other about a byte or about the
 * end of the packet. A fragment that repeats known bytes is dropped alone. When the memory of the
 * config is used up, the oldest packet is dropped.
 */
#ifndef WEIR_STACK_REASSEMBLY_H
#define WEIR_STACK_REASSEMBLY_H

#include "stack/ip.h"

/*
 * Adds a fragment, without its IP header. Owns the frame. offset is in bytes; more: it is not the last
 * fragment. Returns the packet when it is complete, of which rx then tells; else NULL.
 */
struct weir__frame *weir__reassemble(struct weir__netstack *net, struct weir__frame *frame,
				     struct weir__ip_rx *rx, uint32_t id, uint32_t offset,
				     bool more);

#endif
