/* SPDX-License-Identifier: MIT */
/* ethernet.h: the link layer: Ethernet II frames. The owner's interface strips VLAN tags. */
#ifndef WEIR_STACK_ETHERNET_H
#define WEIR_STACK_ETHERNET_H

#include "stack/frame.h"

#define WEIR_ETHERNET_HEADER_BYTES 14u

enum {
	WEIR_ETHERNET_IPV4 = 0x0800,
	WEIR_ETHERNET_ARP = 0x0806,
};

struct weir__netstack;

extern const unsigned char weir__ethernet_broadcast[6];

/* Checks a received frame, strips its header and returns its type. False: the frame is too short or
 * for another host, which is counted, and the caller must drop it. The caller keeps the frame. */
bool weir__ethernet_input(struct weir__netstack *net, struct weir__frame *frame,
			  uint16_t *ret_type);
/* Prepends the header, for which there must be headroom, and transmits. Owns the frame. */
void weir__ethernet_output(struct weir__netstack *net, struct weir__frame *frame,
			   const unsigned char mac[6], uint16_t type);

#endif
