/* SPDX-License-Identifier: MIT */
/* ethernet.h: the link: Ethernet II frames, without VLAN tags (the owner's interface strips
 * them). */
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

/* A frame that came. Owns it. */
void weir__ethernet_input(struct weir__netstack *net, struct weir__frame *frame);
/* Pushes the header, for which there is headroom, and transmits. Owns the frame. */
void weir__ethernet_output(struct weir__netstack *net, struct weir__frame *frame,
			   const unsigned char mac[6], uint16_t type);

#endif
