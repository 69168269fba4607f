/* SPDX-License-Identifier: MIT */
/*
 * ip.h: the network layer, as transports see it; the same for both families.
 *
 *	transport --- weir__ip_output -----> route, header, fragments --> neighbour --> transmit
 *	                                          \--> own address: the loopback queue
 *	transport <-- weir__transport.input -- header checked, reassembled <-- input
 *	transport <-- weir__transport.error -- ICMP, or no answer from the neighbour
 *
 * ip.c and ip4.c: headers and dispatch; route.c: routes and sources; reassembly.c; path_mtu.c;
 * icmp4.c.
 */
#ifndef WEIR_STACK_IP_H
#define WEIR_STACK_IP_H

#include "stack/address.h"
#include "stack/arp.h"
#include "stack/frame.h"

struct weir__netstack_config;
struct weir__reassembly;
struct weir__path_mtus;

enum {
	WEIR_IP_ICMP = 1,
	WEIR_IP_TCP = 6,
	WEIR_IP_UDP = 17,
};

/* ---- receiving ------------------------------------------------------------------------------ */

/* What the header of a received packet said. */
struct weir__ip_rx {
	struct weir__ip_address source, destination;
	uint8_t protocol;
	uint8_t tos;		/* DSCP and ECN */
	uint8_t ttl;
	bool broadcast;		/* to many: of the link or of IP. TCP takes none of these */
	/* The IP header. It is there as long as the frame is. */
	const unsigned char *header;
	uint32_t header_len;
};

enum weir_ip_refusal {
	WEIR_IP_NO_PROTOCOL,
	WEIR_IP_NO_PORT,
};

/*
 * Tells the sender of a packet that nothing here takes it (ICMP destination unreachable). Packets
 * to many get no answer, and the rate is limited. The frame begins with the transport header; it
 * stays the caller's.
 */
void weir__ip_refuse(struct weir__netstack *net, const struct weir__frame *frame,
		     const struct weir__ip_rx *rx, enum weir_ip_refusal why);

/* ---- sending -------------------------------------------------------------------------------- */

enum weir_ip_tx_flag {
	WEIR_IP_DONT_FRAGMENT = 1u << 0,
	WEIR_IP_BROADCAST = 1u << 1,	/* may go to a broadcast address */
};

struct weir__ip_tx {
	struct weir__ip_address source, destination;
	struct weir__hop *hop;	/* the connection's memory of its next hop, or NULL */
	uint8_t protocol;
	uint8_t tos;
	uint8_t ttl;		/* 0: 64 */
	uint8_t flags;		/* weir_ip_tx_flag */
	uint16_t header_bytes;	/* of a super-frame: its transport header */
};

/*
 * Sends a packet: the frame begins with the transport header, its checksum complete or flagged
 * (weir__ip_checksum). With headroom for the headers below it costs no allocation. Owns the frame
 * in every case.
 *
 * Returns: 0, also when the neighbour has yet to be asked; -ENETUNREACH without a route; -EMSGSIZE
 *          if it must not be fragmented and is larger than the path MTU (a super-frame: if one of
 *          its segments is); -EACCES for a broadcast that was not allowed; -ENOMEM.
 */
int weir__ip_output(struct weir__netstack *net, struct weir__frame *frame,
		    const struct weir__ip_tx *tx);

/*
 * Completes the checksum of a packet to be sent: the frame begins with the transport header, whose
 * checksum field, at `offset`, gets the sum or, if the owner sums, what the owner needs.
 */
void weir__ip_checksum(struct weir__netstack *net, struct weir__frame *frame,
		       const struct weir__ip_tx *tx, uint16_t offset);
/* Computes a sum that was left to the owner, which sums whole packets only. */
void weir__ip_complete_checksum(struct weir__frame *frame);
/* The sum (checksum.h) of the pseudo-header of either family. */
uint32_t weir__ip_pseudo_sum(const struct weir__ip_address *source,
			     const struct weir__ip_address *destination, uint8_t protocol,
			     uint32_t len);
/* Whether the checksum of a received packet, its transport header first, is right or vouched
 * for. */
bool weir__ip_checksum_good(const struct weir__frame *frame, const struct weir__ip_rx *rx);

/* ---- where it goes -------------------------------------------------------------------------- */

/* The address that packets to a destination come from. -ENETUNREACH. */
int weir__ip_source(const struct weir__netstack *net, const struct weir__ip_address *destination,
		    struct weir__ip_address *ret_source);
/* Whether it is an address of this instance. */
bool weir__ip_is_own(const struct weir__netstack *net, const struct weir__ip_address *address);
/* Whether one host can have it: not any, not multicast, not broadcast, not reserved. */
bool weir__ip_is_unicast(const struct weir__netstack *net, const struct weir__ip_address *address);
/* What an IP header takes in front of the transport header: 20 or 40. */
uint32_t weir__ip_header_bytes(const struct weir__ip_address *address);

/* The largest packet, with its IP header, that gets to a destination whole, as far as is known. */
uint32_t weir__ip_path_mtu(struct weir__netstack *net, const struct weir__ip_address *destination);
/*
 * A router has said, believably, that packets are too big (RFC 1191). The path MTU becomes no
 * smaller than a floor (552), is never raised by this, and is forgotten after ten minutes. Returns
 * the new one.
 */
uint32_t weir__ip_path_mtu_lower(struct weir__netstack *net,
				 const struct weir__ip_address *destination, uint32_t mtu);

/* ---- what went wrong ------------------------------------------------------------------------ */

enum weir_ip_error_kind {
	WEIR_IP_UNREACHABLE,	/* net, host, protocol or port; ttl exceeded; a header refused */
	WEIR_IP_TOO_BIG,
	WEIR_IP_NO_NEIGHBOUR,	/* said by this host: nobody answers ARP */
};

/* A packet of ours that did not arrive. */
struct weir__ip_error {
	/* As we see it: local is who sent the packet. The ports are the first two fields of the
	 * transport header. */
	struct weir__flow flow;
	uint8_t kind;			/* weir_ip_error_kind */
	/* Hard ones are what RFC 1122 4.2.3.9 lets abort a connection that is being made. */
	bool hard;
	/* -ECONNREFUSED, -EHOSTUNREACH, -ENETUNREACH, -EMSGSIZE ... as Linux maps them. */
	int error;
	uint32_t mtu;			/* TOO_BIG: what the router said, or what RFC 1191 section 7
					 * suggests if it did not; not checked against the floor
					 * yet */
	const unsigned char *quoted;	/* the beginning of the transport header that was sent */
	uint32_t quoted_len;		/* at least 8: TCP's ports and sequence number */
};

/* ---- inside --------------------------------------------------------------------------------- */

#define WEIR_IP_ROUTES 64u
#define WEIR_IP_IDS 256u
#define WEIR_ICMP_BURST 50u

struct weir__route {
	struct weir__ip_address prefix;
	struct weir__ip_address gateway;	/* any: on the link */
	struct weir__ip_address source;
	unsigned bits;			/* of the 128 */
};

/* An address of this instance. */
struct weir__ip_own {
	struct weir__ip_address address;
	struct weir__ip_address broadcast;	/* of its link; any if there is none */
};

struct weir__ip {
	struct weir__route routes[WEIR_IP_ROUTES];	/* the longest prefix first */
	unsigned route_count;
	struct weir__ip_own own[WEIR_IP_ROUTES];
	unsigned own_count;
	struct weir__reassembly *reassembly;
	struct weir__path_mtus *path_mtus;
	struct weir__frame_queue looped;	/* to ourselves: input when the turn ends */
	uint16_t ids[WEIR_IP_IDS];	/* the next one, by a hash of the two hosts */
	uint64_t icmp_refilled_ns;
	uint32_t icmp_tokens;
};

int weir__ip_init(struct weir__netstack *net);
void weir__ip_fini(struct weir__netstack *net);
/* Takes in what this instance has sent to itself. */
void weir__ip_input_looped(struct weir__netstack *net);
/* A packet of IPv4, its header first. Owns the frame. */
void weir__ip4_input(struct weir__netstack *net, struct weir__frame *frame);
/* Hands a whole packet to its transport. Owns the frame. */
void weir__ip_deliver(struct weir__netstack *net, struct weir__frame *frame,
		      const struct weir__ip_rx *rx);
/*
 * Tells the transport of a packet that it did not arrive. The packet, or the beginning of it, is in
 * the frame from offset on, its IP header first; the error has everything but what is read there.
 * Returns whether the transport believed it. The frame stays the caller's.
 */
bool weir__ip4_failed(struct weir__netstack *net, const struct weir__frame *frame, uint32_t offset,
		      struct weir__ip_error error);
/* Pushes the IPv4 header and sends the packet to the neighbour, in fragments where it must. */
int weir__ip4_output(struct weir__netstack *net, struct weir__frame *frame,
		     const struct weir__ip_tx *tx);
/* Sends an IP packet, its header first, by the route to its destination. Owns the frame. */
int weir__ip_send(struct weir__netstack *net, struct weir__frame *frame,
		  const struct weir__ip_tx *tx);

/* route.c. The routes of the config; -EINVAL if they are none. */
int weir__routes_init(struct weir__netstack *net, const struct weir__netstack_config *cfg);
/* NULL: there is none. */
const struct weir__route *weir__route_find(const struct weir__netstack *net,
					   const struct weir__ip_address *destination);
/* Of all hosts of the link, or of the link of one of our addresses. */
bool weir__ip_is_broadcast(const struct weir__netstack *net,
			   const struct weir__ip_address *address);
bool weir__ip_is_multicast(const struct weir__ip_address *address);

/* path_mtu.c */
int weir__path_mtus_init(struct weir__netstack *net);
void weir__path_mtus_fini(struct weir__netstack *net);

/* reassembly.c */
int weir__reassembly_init(struct weir__netstack *net);
void weir__reassembly_fini(struct weir__netstack *net);

#endif
