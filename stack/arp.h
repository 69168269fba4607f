/* SPDX-License-Identifier: MIT */
/*
 * arp.h: who has which address on the link (RFC 826), in a bounded table.
 *
 * The life of an entry:
 *
 *	          resolve                   the answer
 *	free ------------------> ASKING ------------------> KNOWN
 *	 ^                         |  ^                       | used after 30 s
 *	 |   3 s without an answer |  |                       v
 *	 +<------------------------+  |  asked again, one ask per second, while the old answer
 *	 |                            |  is used: ------> RENEWING ----answer----> KNOWN
 *	 +<------------ 3 asks without an answer ------------+
 *
 * - Only an answer that was asked for, from the address that was asked for, changes an entry. A
 *   request gets its answer without one: what others say unasked, also about themselves, changes
 *   nothing.
 * - A full table gives up the entry that was used longest ago, KNOWN ones last.
 * - Frames wait in an entry that is ASKING: a bounded number, of which the oldest is dropped. When
 *   nobody answers, their senders are told -EHOSTUNREACH (weir__transport.error).
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
	uint32_t generation;		/* counts up when the entry becomes another's */
	uint32_t next;			/* in its bucket: index + 1 */
	uint32_t waiting;		/* frames */
	uint64_t used_ns;
	uint64_t confirmed_ns;
	struct weir__frame_queue frames;
	struct weir__netstack_timer timer;
};

struct weir__arp {
	struct weir__neighbour *entries;
	uint32_t *buckets;		/* index + 1 of the first entry */
	unsigned size;			/* entries; the buckets are the next power of two */
	unsigned bucket_mask;
};

/* Where a connection remembers its next hop, so that a packet needs no look-up. Zero: nowhere. */
struct weir__hop {
	uint32_t entry;			/* index + 1 */
	uint32_t generation;
};

int weir__arp_init(struct weir__netstack *net);
void weir__arp_fini(struct weir__netstack *net);
/* A frame of type ARP, without its Ethernet header. */
void weir__arp_input(struct weir__netstack *net, struct weir__frame *frame);
/*
 * Sends an IP packet to a neighbour: now, or when it has answered. Fills in hop, if there is one,
 * when the neighbour is known. Owns the frame.
 */
void weir__arp_output(struct weir__netstack *net, struct weir__frame *frame,
		      const struct weir__ip_address *next, struct weir__hop *hop);
/* Sends it to the remembered neighbour; false, and the frame stays the caller's, if there is
 * none. */
bool weir__arp_output_hop(struct weir__netstack *net, struct weir__frame *frame,
			  const struct weir__hop *hop);

#endif
