/* SPDX-License-Identifier: MIT */
/*
 * ip.h: the interface of the network layer for transports, the same for both families.
 *
 *	transport --- weir__ip_output -----> route, header, fragments --> neighbour --> transmit
 *	                                          \--> own address: the loopback queue
 *	transport <-- weir__transport.input -- header checked, reassembled <-- input
 *	transport <-- weir__transport.error -- ICMP, or no answer from the neighbour
 *
 * The files, each of which calls only those below it:
 *
 *	icmp4.c
 *	ip.c			what is sent
 *	ip4.c			headers and fragments of IPv4
 *	ip_send.c		the next hop, and the loopback
 *	arp.c			(arp.h)
 *	ip4_error.c		what did not arrive
 *	reassembly.c path_mtu.c ip_checksum.c route.c
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

#define WEIR_IP4_HEADER_BYTES 20u	/* without options */
#define WEIR_IP4_HEADER_MAX 60u
#define WEIR_IP4_OFFSET_MASK 0x1fffu	/* of the field with the offset of a fragment */

/* ---- receiving ------------------------------------------------------------------------------ */

/* What the header of a received packet said. */
struct weir__ip_rx {
	struct weir__ip_address source, destination;
	uint8_t protocol;
	uint8_t tos;		/* DSCP and ECN */
	uint8_t ttl;
	bool broadcast;		/* a broadcast of IP; TCP drops these */
	/* The IP header; valid until the frame is freed. */
	const unsigned char *header;
	uint32_t header_len;
	unsigned char scratch[WEIR_IP4_HEADER_MAX];	/* where it is copied to if it must be */
};

enum weir_ip_refusal {
	WEIR_IP_NO_PROTOCOL,
	WEIR_IP_NO_PORT,
};

/*
 * Sends ICMP destination unreachable to the source of a packet, at a limited rate and not for
 * broadcasts. The frame begins with the transport header. The caller keeps it.
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
 * Sends a packet. The frame begins with the transport header, whose checksum is complete or left to
 * the owner (weir__ip_checksum). No memory is allocated if its first piece has headroom for the
 * lower headers. Owns the frame, also when it fails.
 *
 * Returns: 0, also when the packet waits for a neighbour; -ENETUNREACH: no route; -EMSGSIZE: it
 *          must not be fragmented and is larger than the path MTU (of a super-frame: one segment
 *          is); -EACCES: a broadcast without WEIR_IP_BROADCAST; -ENOMEM.
 */
int weir__ip_output(struct weir__netstack *net, struct weir__frame *frame,
		    const struct weir__ip_tx *tx);

/*
 * Writes the checksum of a packet into its transport header, at `offset`, or prepares it for the
 * owner (WEIR_NETSTACK_TX_CHECKSUM). The frame begins with the transport header.
 */
void weir__ip_checksum(struct weir__netstack *net, struct weir__frame *frame,
		       const struct weir__ip_tx *tx, uint16_t offset);
/* Computes a checksum that was left to the owner; needed before a packet is fragmented. */
void weir__ip_complete_checksum(struct weir__frame *frame);
/* The sum (checksum.h) of the pseudo-header of either family. */
uint32_t weir__ip_pseudo_sum(const struct weir__ip_address *source,
			     const struct weir__ip_address *destination, uint8_t protocol,
			     uint32_t len);
/* Whether the transport checksum of a received packet is right, or marked WEIR_FRAME_CHECKED. */
bool weir__ip_checksum_good(const struct weir__frame *frame, const struct weir__ip_rx *rx);

/* ---- where it goes -------------------------------------------------------------------------- */

/* Selects the source address for a destination. -ENETUNREACH: no route. */
int weir__ip_source(const struct weir__netstack *net, const struct weir__ip_address *destination,
		    struct weir__ip_address *ret_source);
/* Whether it is an address of this instance. */
bool weir__ip_is_own(const struct weir__netstack *net, const struct weir__ip_address *address);
/* Whether it can be one host's: not any, multicast, broadcast or reserved. */
bool weir__ip_is_unicast(const struct weir__netstack *net, const struct weir__ip_address *address);
/* The size of the IP header: 20 or 40. */
uint32_t weir__ip_header_bytes(const struct weir__ip_address *address);

/* The largest packet, including its IP header, that reaches a destination unfragmented. */
uint32_t weir__ip_path_mtu(struct weir__netstack *net, const struct weir__ip_address *destination);
/*
 * Lowers the path MTU to a destination after a router has said that a packet was too big (RFC 1191)
 * and the transport has found that packet to be its own. It is never raised by this and never lower
 * than 552, and it is forgotten after ten minutes. Returns the new path MTU.
 */
uint32_t weir__ip_path_mtu_lower(struct weir__netstack *net,
				 const struct weir__ip_address *destination, uint32_t mtu);

/* ---- errors --------------------------------------------------------------------------------- */

enum weir_ip_error_kind {
	WEIR_IP_UNREACHABLE,	/* net, host, protocol or port; ttl exceeded; a header refused */
	WEIR_IP_TOO_BIG,
	WEIR_IP_NO_NEIGHBOUR,	/* found here: no reply to ARP requests */
};

/* An error about a packet that this instance has sent. */
struct weir__ip_error {
	/* local is this host. The ports are the first two fields of the transport header. */
	struct weir__flow flow;
	uint8_t kind;			/* weir_ip_error_kind */
	/* RFC 1122 4.2.3.9: whether it may abort a connection attempt. */
	bool hard;
	/* -ECONNREFUSED, -EHOSTUNREACH, -ENETUNREACH, -EMSGSIZE ... as Linux maps them. */
	int error;
	/* TOO_BIG: the router's MTU, or an estimate by RFC 1191 section 7. It is not verified. */
	uint32_t mtu;
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
/* A packet of IPv4, its header first. Owns the frame. Returns the complete packet for its transport,
 * without the header, which is in ret_rx; NULL: there is none. */
struct weir__frame *weir__ip4_input(struct weir__netstack *net, struct weir__frame *frame,
				    struct weir__ip_rx *ret_rx);
/*
 * Tells the transport of a packet that it did not arrive. The frame has the packet, or the
 * beginning of it, from offset on. The caller sets kind, error, hard and mtu; the rest is read from
 * the packet. Returns whether the transport accepted the error. The caller keeps the frame.
 */
bool weir__ip4_failed(struct weir__netstack *net, const struct weir__frame *frame, uint32_t offset,
		      struct weir__ip_error error);
/* Pushes the IPv4 header and sends the packet to the neighbour, in fragments where it must. */
int weir__ip4_output(struct weir__netstack *net, struct weir__frame *frame,
		     const struct weir__ip_tx *tx);
/* Sends an IP packet, its header first, by the route to its destination. Owns the frame. */
int weir__ip_send(struct weir__netstack *net, struct weir__frame *frame,
		  const struct weir__ip_tx *tx);

/* route.c. Reads addresses and routes from the config; -EINVAL. */
int weir__routes_init(struct weir__netstack *net, const struct weir__netstack_config *cfg);
/* The route with the longest matching prefix, or NULL. */
const struct weir__route *weir__route_find(const struct weir__netstack *net,
					   const struct weir__ip_address *destination);
/* 255.255.255.255, or the broadcast address of one of our links. */
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
