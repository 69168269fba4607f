/* SPDX-License-Identifier: MIT */
/*
 * reassembly.h: fragments that wait for the rest of their packet, of either family, in bounded
 * memory.
 *
 * A packet is dropped with all its fragments when it is not complete after 30 s, when it would be
 * longer than 65,535 bytes with its header, or when two fragments disagree: about bytes that both
 * have, or about its end. What is there already twice with the same bytes is dropped alone. When
 * the memory of the config is used up, the packet that has waited longest goes.
 */
#ifndef WEIR_STACK_REASSEMBLY_H
#define WEIR_STACK_REASSEMBLY_H

#include "stack/ip.h"

/*
 * Takes in a fragment, without its IP header, and delivers the packet if that makes it whole. Owns
 * the frame. offset is in bytes; more: it is not the last.
 */
void weir__reassemble(struct weir__netstack *net, struct weir__frame *frame,
		      const struct weir__ip_rx *rx, uint32_t id, uint32_t offset, bool more);

#endif
