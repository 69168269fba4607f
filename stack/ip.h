/* SPDX-License-Identifier: MIT */
/*
 * ip.h: the interface of the network layer for transports, the same for both families.
 *
 *	transport --- weir__ip_output -----> route, header, fragments --> neighbour --> transmit
 *	                                          \--> own address: the loopback queue
 *	transport <-- weir__transport.input -- header checked, reassembled <-- input
 *	transport <-- weir__transport.error -- ICMP, or no reply from the neighbour
 *
 * The files, each of which calls only those below it:
 *
 *	icmp4.c
 *	ip.c			transmission for either family
 *	ip4.c			headers and fragments of IPv4
 *	ip_send.c		next hop and loopback
 *	arp.c			(arp.h)
 *	ip4_error.c		errors about packets that were not delivered
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
#define WEIR_IP4_OFFSET_MASK 0x1fffu	/* the fragment offset in its header field */

/* ---- receiving ------------------------------------------------------------------------------ */

/* The header of a received packet. */
struct weir__ip_rx {
	struct weir__ip_address source, destination;
	uint8_t protocol;
	uint8_t tos;		/* DSCP and ECN */
	uint8_t ttl;
	bool broadcast;		/* the destination is a broadcast address; TCP drops these */
	/* The IP header; valid until the frame is freed. */
	const unsigned char *header;
	uint32_t header_len;
	unsigned char scratch[WEIR_IP4_HEADER_MAX];	/* for a header in several pieces */
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
	struct weir__hop *hop;	/* the connection's cached next hop, or NULL */
	uint8_t protocol;
	uint8_t tos;
	uint8_t ttl;		/* 0: 64 */
	uint8_t flags;		/* weir_ip_tx_flag */
	uint16_t header_bytes;	/* for a super-frame: length of its transport header */
};

/*
 * Sends a packet. The frame begins with the transport header, whose checksum is complete or left to
 * the owner (weir__ip_checksum). No memory is allocated if its first piece has headroom for the
 * lower headers. Owns the frame, also when it fails.
 *
 * Returns: 0, also when the packet waits for a neighbour; -ENETUNREACH: no route; -EMSGSIZE: the
 *          packet (or one segment of a super-frame) is larger than the path MTU, and must not be
 *          fragmented; -EACCES: a broadcast without WEIR_IP_BROADCAST; -ENOMEM.
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

/* ---- addresses and path MTU ----------------------------------------------------------------- */

/* Selects the source address for a destination. -ENETUNREACH: no route. */
int weir__ip_source(const struct weir__netstack *net, const struct weir__ip_address *destination,
		    struct weir__ip_address *ret_source);
/* Whether it is an address of this instance. */
bool weir__ip_is_own(const struct weir__netstack *net, const struct weir__ip_address *address);
/* Whether it can be the address of one host: not any, multicast, broadcast or reserved. */
bool weir__ip_is_unicast(const struct weir__netstack *net, const struct weir__ip_address *address);
/* The size of the IP header: 20 or 40. */
uint32_t weir__ip_header_bytes(const struct weir__ip_address *address);

/* The largest packet, including its IP header, that reaches a destination unfragmented. */
uint32_t weir__ip_path_mtu(struct weir__netstack *net, const struct weir__ip_address *destination);
/*
 * Lowers the path MTU to a destination, after a router has reported that a packet was too big
 * (RFC 1191) and the transport has verified that the packet can be its own. The call never raises
 * the path MTU, and never sets less than 552. The entry expires after ten minutes. Returns the
 * new path MTU.
 */
uint32_t weir__ip_path_mtu_lower(struct weir__netstack *net,
				 const struct weir__ip_address *destination, uint32_t mtu);

/* ---- errors --------------------------------------------------------------------------------- */

enum weir_ip_error_kind {
	WEIR_IP_UNREACHABLE,	/* net, host, protocol or port; TTL exceeded; parameter problem */
	WEIR_IP_TOO_BIG,
	WEIR_IP_NO_NEIGHBOUR,	/* detected locally: no reply to ARP requests */
};

/* An error about a packet that this instance has sent. */
struct weir__ip_error {
	/* local is this host. The ports are those of the quoted transport header. */
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

/* ---- for the files of the network layer ----------------------------------------------------- */

#define WEIR_IP_ROUTES 64u
#define WEIR_IP_IDS 256u
#define WEIR_ICMP_BURST 50u

struct weir__route {
	struct weir__ip_address prefix;
	struct weir__ip_address gateway;	/* any: on the link */
	struct weir__ip_address source;
	unsigned bits;			/* prefix length, of 128 */
};

/* An address of this instance. */
struct weir__ip_own {
	struct weir__ip_address address;
	struct weir__ip_address broadcast;	/* of its prefix; any if there is none */
};

struct weir__ip {
	struct weir__route routes[WEIR_IP_ROUTES];	/* the longest prefix first */
	unsigned route_count;
	struct weir__ip_own own[WEIR_IP_ROUTES];
	unsigned own_count;
	struct weir__reassembly *reassembly;
	struct weir__path_mtus *path_mtus;
	struct weir__frame_queue looped;	/* sent to ourselves: processed at the turn's end */
	uint16_t ids[WEIR_IP_IDS];	/* next identification, by a hash of the two hosts */
	uint64_t icmp_refilled_ns;
	uint32_t icmp_tokens;
};

int weir__ip_init(struct weir__netstack *net);
void weir__ip_fini(struct weir__netstack *net);
/* Processes an IPv4 packet with its header. Owns the frame. Returns the complete packet for the
 * transport, without the header, which is in ret_rx. NULL: dropped, or an incomplete packet. */
struct weir__frame *weir__ip4_input(struct weir__netstack *net, struct weir__frame *frame,
				    struct weir__ip_rx *ret_rx);
/*
 * Reports to the transport that a packet was not delivered. The frame contains the packet, or its
 * beginning, from offset on. The caller sets kind, error, hard and mtu; the rest is read from the
 * packet. Returns whether the transport accepted the error. The caller keeps the frame.
 */
bool weir__ip4_failed(struct weir__netstack *net, const struct weir__frame *frame, uint32_t offset,
		      struct weir__ip_error error);
/* Prepends the IPv4 header and sends the packet, in fragments if necessary. Owns the frame. */
int weir__ip4_output(struct weir__netstack *net, struct weir__frame *frame,
		     const struct weir__ip_tx *tx);
/* Sends an IP packet with its header to its next hop. Owns the frame. */
int weir__ip_send(struct weir__netstack *net, struct weir__frame *frame,
		  const struct weir__ip_tx *tx);

/* route.c. Reads addresses and routes from the config. -EINVAL. */
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
