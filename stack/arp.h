/* SPDX-License-Identifier: MIT */
/*
 * arp.h: the MAC addresses of neighbours (RFC 826), in a bounded table.
 *
 * The life of an entry:
 *
 *	       first packet            reply             used after 30 s
 *	FREE --------------> ASKING ----------> KNOWN ---------------------> RENEWING
 *	 ^                     |                  ^                           |   |
 *	 |                     |                  +----------- reply ---------+   |
 *	 +<--------------------+<------------- 3 requests without a reply --------+
 *
 * ASKING sends a request to all hosts each second; RENEWING sends it to the old MAC alone, which
 * stays in use meanwhile.
 *
 * - Only a reply to a request of ours, about the address that was requested, changes an entry. A
 *   request of another host is answered without changing or creating an entry. Unsolicited replies
 *   are dropped.
 * - When the table is full, the least recently used entry is evicted, ASKING ones first.
 * - A bounded number of frames waits in an ASKING entry; the oldest is dropped when more come. When
 *   no reply comes, their transports get the error -EHOSTUNREACH (weir__transport.error).
 */
#ifndef WEIR_STACK_ARP_H
#define WEIR_STACK_ARP_H

#include "stack/address.h"
#include "stack/frame.h"
#include "stack/timer.h"

enum weir_arp_state {
	WEIR_ARP_FREE,
	WEIR_ARP_ASKING,
	WEIR_ARP_KNOWN,
	WEIR_ARP_RENEWING,
};

struct weir__neighbour {
	struct weir__ip_address address;
	unsigned char mac[6];
	uint8_t state;			/* weir_arp_state */
	uint8_t asked;			/* requests since the last answer */
	uint32_t generation;		/* incremented when the entry is freed */
	uint32_t next;			/* in its bucket: index + 1 */
	uint32_t waiting;		/* number of waiting frames */
	uint64_t used_ns;
	uint64_t confirmed_ns;
	struct weir__frame_queue frames;
	struct weir__netstack_timer timer;
};

struct weir__arp {
	struct weir__neighbour *entries;
	uint32_t *buckets;		/* index + 1 of the first entry */
	unsigned size;			/* entries; there are at least as many buckets */
	unsigned bucket_mask;
};

/* The cached next hop of a connection, so that its packets need no look-up. Zero: not known. */
struct weir__hop {
	uint32_t entry;			/* index + 1 */
	uint32_t generation;
};

int weir__arp_init(struct weir__netstack *net);
void weir__arp_fini(struct weir__netstack *net);
/* Processes a frame of type ARP, without its Ethernet header. Owns the frame. */
void weir__arp_input(struct weir__netstack *net, struct weir__frame *frame);
/*
 * Sends an IP packet to a neighbour, immediately or when it has replied. If hop is not NULL and the
 * neighbour is known, it is stored there. Owns the frame.
 */
void weir__arp_output(struct weir__netstack *net, struct weir__frame *frame,
		      const struct weir__ip_address *next, struct weir__hop *hop);
/* Sends a packet to the cached neighbour. False if none is cached; then the caller
 * keeps the frame. */
bool weir__arp_output_hop(struct weir__netstack *net, struct weir__frame *frame,
			  const struct weir__hop *hop);

#endif
