/* SPDX-License-Identifier: MIT */
/*
 * stack.h: the face of the stack: an instance, what its owner gives it, and its turns.
 *
 * An instance is a host's network stack behind one network interface, as far as one thread goes:
 * addresses, routes, neighbours, sockets and connections, memory, timers, counters. Nothing is
 * global, so a process has as many as it likes. The library starts no thread, makes no system call
 * and reads no clock; an instance and everything in it is used by one thread at a time.
 *
 * The life of an instance is a series of turns:
 *
 *	weir__netstack_begin(net, now_ns);		time moves, timers fire
 *	weir__netstack_input(net, frame);		for each frame that came
 *	while ((source = weir__netstack_next_event(net, &events)) != NULL)
 *		...					what happened: receive, send, close
 *	weir__netstack_end(net);			what gathered is sent: data, ACKs, loopback
 *
 * Calls of tcp.h and udp.h are made between begin and end, and see the time of begin. They may
 * transmit at once, or leave it to end, where one ACK serves all segments of a turn. Between turns
 * the owner may sleep until weir__netstack_next_deadline, or until a frame comes.
 *
 * What the owner gives (struct weir__netstack_owner_ops) is called from inside calls of the stack
 * and never calls back into it. What happens to connections is not told by a callback: it gathers
 * as bits on each source and is fetched, so that the owner may do with a source what it likes.
 *
 * Who owns what:
 * - frames handed in are the stack's, and frames it transmits are the owner's, also if they fail;
 * - frames that receive calls lend are the owner's until it gives them back
 *   (weir__netstack_give_back) or sends them; they stay valid when their connection has gone;
 * - connections, listeners and sockets are the stack's. The owner's pointer ends with its close.
 *
 * The instance is called netstack, because weir's struct weir__stack is what a fiber runs on.
 */
#ifndef WEIR_STACK_STACK_H
#define WEIR_STACK_STACK_H

#include "stack/address.h"
#include "stack/base.h"
#include "stack/counters.h"
#include "stack/frame.h"

struct weir__netstack;
struct weir__netstack_owner;

/* ---- what the owner gives ------------------------------------------------------------------- */

struct weir__netstack_owner_ops {
	/* General memory for tables and connections; NULL if there is none. */
	void *(*alloc)(struct weir__netstack_owner *owner, size_t bytes);
	void (*free)(struct weir__netstack_owner *owner, void *memory, size_t bytes);
	/* A block of at least so many bytes, at most the config's block_bytes, as its first view
	 * (weir__block_init); NULL if there is none. It is what transmit gets back. */
	struct weir__frame *(*block_alloc)(struct weir__netstack_owner *owner, uint32_t bytes);
	/* Unpredictable bytes; cannot fail. Called for secrets when the instance is made, and for
	 * ports. */
	void (*random)(struct weir__netstack_owner *owner, void *bytes, size_t len);
	/* Takes a frame that begins with its Ethernet header. It keeps what it wants of it, and
	 * frees it with weir__frame_free, at once or when it has left. A full queue drops it. */
	void (*transmit)(struct weir__netstack_owner *owner, struct weir__netstack *net,
			 struct weir__frame *frame);
};

/* Embedded in the owner's own struct, which its functions recover. */
struct weir__netstack_owner {
	const struct weir__netstack_owner_ops *ops;
};

enum weir_netstack_offload {
	/* The owner completes frames with WEIR_FRAME_CHECKSUM. IPv4 headers are always summed
	 * here. */
	WEIR_NETSTACK_TX_CHECKSUM = 1u << 0,
	/* It cuts up super-frames of TCP (segment_bytes); with it goes TX_CHECKSUM. */
	WEIR_NETSTACK_TSO = 1u << 1,
};

struct weir__netstack_address {
	struct weir__ip_address address;
	uint8_t prefix;		/* bits, of its own family: 24 for 10.0.0.1/24 */
};

struct weir__netstack_route {
	struct weir__ip_address prefix;
	struct weir__ip_address gateway;	/* any: the destination is on the link */
	uint8_t bits;				/* of the family of prefix; 0: the default route */
};

/* 0 is the default everywhere but in mac and addresses. */
struct weir__netstack_config {
	unsigned char mac[6];
	uint16_t mtu;			/* of IP; 1500; 576 .. 9216 */
	uint32_t offloads;		/* weir_netstack_offload */
	/* Copied. The link of each address is a route, too. At most 64 of both together. */
	const struct weir__netstack_address *addresses;
	const struct weir__netstack_route *routes;
	unsigned address_count, route_count;

	uint32_t block_bytes;		/* what block_alloc can give at most; 1920; at least 1024 */
	uint64_t memory_bytes;		/* limit of what waits in all; 64 MiB */
	unsigned neighbours;		/* entries of the ARP cache; 512 */
	unsigned neighbour_frames;	/* that wait for one address; 8 */
	uint32_t reassembly_bytes;	/* all fragments that wait; 256 KiB */
	unsigned udp_sockets;		/* at most; 1024 */
	uint16_t port_first, port_last;	/* ports chosen here; 32768 .. 60999 */
	unsigned icmp_per_second;	/* ICMP errors, more or less; 1000, 50 at once */

	/* TCP; see tcp.h. */
	unsigned tcp_connections;	/* at most, orphans with them; 65536 */
	unsigned tcp_time_waits;	/* at most; 16384 */
	unsigned tcp_orphans;		/* closed by the owner, not yet by the peer; 4096 */
	uint32_t tcp_send_bytes;	/* send buffer at most, auto-tuned; 4 MiB */
	uint32_t tcp_receive_bytes;	/* receive buffer at most, auto-tuned; 6 MiB */
};

/* ---- the instance --------------------------------------------------------------------------- */

/*
 * Makes an instance in the owner's general memory.
 *
 * Returns: 0; -EINVAL if the config is none (an MTU outside 576 .. 9216, no address, an address
 * that
 *          no host can have, a multicast MAC, a gateway that is on no link); -ENOMEM.
 */
int weir__netstack_new(struct weir__netstack_owner *owner, const struct weir__netstack_config *cfg,
		       uint64_t now_ns, struct weir__netstack **ret_net);
/*
 * Ends it, wherever everything is: connections are forgotten, without a word to their peers, and
 * frames that wait are freed. Frames that were lent have been given back.
 */
void weir__netstack_free(struct weir__netstack *net);

/* Begins a turn: now_ns is its time (never less than in the turn before), and due timers fire. */
void weir__netstack_begin(struct weir__netstack *net, uint64_t now_ns);
/* A frame that came, from its Ethernet header on. Owns the frame. */
void weir__netstack_input(struct weir__netstack *net, struct weir__frame *frame);
/* Ends a turn: what gathered is sent. Events that come of it are fetched in the next one, which
 * weir__netstack_next_deadline then wants at once. */
void weir__netstack_end(struct weir__netstack *net);
/* When the next turn is needed if no frame comes: a time, in the past if at once, or NEVER. */
uint64_t weir__netstack_next_deadline(const struct weir__netstack *net);

const struct weir__netstack_counters *weir__netstack_counters(const struct weir__netstack *net);
/* Gives back a frame that a receive call has lent. */
void weir__netstack_give_back(struct weir__netstack *net, struct weir__frame *lent);
/* The frame memory, with which the owner makes, clones and frees frames of this instance. */
struct weir__frame_memory *weir__netstack_frames(struct weir__netstack *net);

/* ---- events --------------------------------------------------------------------------------- */

/* The owner's own struct for a connection, listener or socket. The stack does not look inside. */
struct weir__netstack_user;

enum weir_netstack_kind {
	WEIR_NETSTACK_TCP,
	WEIR_NETSTACK_TCP_LISTENER,
	WEIR_NETSTACK_UDP,
};

enum weir_netstack_event {
	WEIR_NETSTACK_CONNECTED = 1u << 0,	/* a connect is established */
	WEIR_NETSTACK_READABLE = 1u << 1,	/* data, a datagram or the stream's end came */
	WEIR_NETSTACK_WRITABLE = 1u << 2,	/* there is room again after a send was refused */
	/* The connection has ended with an error, a connect has failed, or (UDP) an ICMP error
	 * came; weir__tcp_error and weir__udp_error say which. */
	WEIR_NETSTACK_FAILED = 1u << 3,
	WEIR_NETSTACK_ACCEPTABLE = 1u << 4,	/* a listener has a connection */
	WEIR_NETSTACK_CLOSED = 1u << 5,		/* both sides have ended, all is acknowledged */
};

/*
 * What every connection, listener and socket begins with. Events are edges: a bit is set when
 * something happens, and cleared when it is fetched.
 */
struct weir__netstack_source {
	struct weir__netstack_source *next, **pprev;	/* in the list of those with events */
	struct weir__netstack_user *user;
	uint8_t kind;		/* weir_netstack_kind */
	uint8_t events;		/* weir_netstack_event, not fetched yet */
};

/* The next source with events, and which; NULL if there is none. In the order they came. */
struct weir__netstack_source *weir__netstack_next_event(struct weir__netstack *net,
							unsigned *ret_events);

#endif
