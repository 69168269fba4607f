/* SPDX-License-Identifier: MIT */
/*
 * stack.h: the interface of the stack for its owner: instances, their configuration, their turns.
 *
 * An instance is the network stack of one host on one network interface: addresses, routes,
 * neighbours, sockets and connections, memory, timers, counters. Nothing is global, so a process
 * can have many instances, usually one per worker. The library starts no thread, makes no system
 * call and reads no clock. Only one thread at a time may use an instance and the objects in it.
 *
 * The life of an instance is a series of turns:
 *
 *	weir__netstack_begin(net, now_ns);		the clock moves, timers fire
 *	weir__netstack_input_burst(net, &frames);	the received frames
 *	while ((source = weir__netstack_next_event(net, &events)) != NULL)
 *		...					the owner receives, sends, closes
 *	weir__netstack_end(net);			pending data and ACKs are sent
 *
 * The functions of tcp.h and udp.h are called between begin and end, and use the time of begin.
 * They may transmit immediately or leave it to end, where one ACK covers all segments of a turn.
 * Between turns the owner may sleep until weir__netstack_next_deadline or until a frame arrives.
 *
 * The stack calls the functions of struct weir__netstack_owner_ops; they must not call the stack,
 * except for the functions of frame.h. There is no callback for events. Events are bits that
 * collect on each connection, listener and socket until the owner fetches them, so that the owner
 * may do anything with an object when it handles its events, including closing it.
 *
 * Ownership:
 * - The stack owns every frame that is passed to weir__netstack_input. The owner owns every frame
 *   that is passed to transmit.
 * - The owner holds a frame that a receive call has lent until it returns the frame with
 *   weir__netstack_give_back or sends it. The frame stays valid when its connection is freed.
 * - The stack owns connections, listeners and sockets. The owner must not use its pointer after it
 *   has closed the object.
 *
 * The struct is called weir__netstack because weir__stack is the stack of a fiber (core/fiber/).
 */
#ifndef WEIR_STACK_STACK_H
#define WEIR_STACK_STACK_H

#include "stack/address.h"
#include "stack/base.h"
#include "stack/counters.h"
#include "stack/frame.h"

struct weir__netstack;
struct weir__netstack_owner;

/* ---- what the owner provides ---------------------------------------------------------------- */

struct weir__netstack_owner_ops {
	/* Allocates general memory, for tables and connections. NULL: out of memory. */
	void *(*alloc)(struct weir__netstack_owner *owner, size_t bytes);
	void (*free)(struct weir__netstack_owner *owner, void *memory, size_t bytes);
	/* Allocates a block of at least `bytes` bytes, which is at most the config's block_bytes,
	 * and returns its first view (weir__block_init). NULL: out of memory. Frames that the stack
	 * transmits are made of these blocks and of memory that the owner has sent by reference. */
	struct weir__frame *(*block_alloc)(struct weir__netstack_owner *owner, uint32_t bytes);
	/* Fills in unpredictable bytes, for secrets and ports. It cannot fail. */
	void (*random)(struct weir__netstack_owner *owner, void *bytes, size_t len);
	/* Transmits a frame, which begins with its Ethernet header, and frees it with
	 * weir__frame_free, immediately or later. When its queue is full it drops the frame. */
	void (*transmit)(struct weir__netstack_owner *owner, struct weir__netstack *net,
			 struct weir__frame *frame);
};

/* Embedded in the owner's own struct, so that its functions can find that struct. */
struct weir__netstack_owner {
	const struct weir__netstack_owner_ops *ops;
};

enum weir_netstack_offload {
	/* The owner completes the transport checksum of frames with WEIR_FRAME_CHECKSUM. The stack
	 * always computes the checksum of IPv4 headers. */
	WEIR_NETSTACK_TX_CHECKSUM = 1u << 0,
	/* The owner splits super-frames of TCP (segment_bytes). It requires TX_CHECKSUM. */
	WEIR_NETSTACK_TSO = 1u << 1,
};

struct weir__netstack_address {
	struct weir__ip_address address;
	uint8_t prefix;		/* prefix length in its own family: 24 for 10.0.0.1/24 */
};

struct weir__netstack_route {
	struct weir__ip_address prefix;
	struct weir__ip_address gateway;	/* any: the destination is on the link */
	uint8_t bits;				/* prefix length; 0: the default route */
};

/* A field that is 0 means its default, which its comment states first. mac and
 * addresses have none. */
struct weir__netstack_config {
	unsigned char mac[6];
	uint16_t mtu;			/* 1500; size of IP packets, 576 .. 9216 */
	uint32_t offloads;		/* weir_netstack_offload */
	/* Both are copied. The prefix of each address is a route, too. At most 64 together. */
	const struct weir__netstack_address *addresses;
	const struct weir__netstack_route *routes;
	unsigned address_count, route_count;

	uint32_t block_bytes;		/* 1920; the largest block of block_alloc; >= 1024 */
	/* 64 MiB; limit of the charged memory. Above it each connection may still queue a little to
	 * send, and receive a segment when the owner has read all others. */
	uint64_t memory_bytes;
	unsigned neighbours;		/* 512; size of the ARP cache */
	unsigned neighbour_frames;	/* 8; frames that may wait for one address */
	uint32_t reassembly_bytes;	/* 256 KiB; limit of all waiting fragments */
	unsigned udp_sockets;		/* 1024; most UDP sockets */
	uint16_t port_first, port_last;	/* 32768 .. 60999; ephemeral ports */
	unsigned icmp_per_second;	/* 1000; ICMP errors, in bursts of 50 */

	/* TCP; see tcp.h. */
	unsigned tcp_connections;	/* 65536; most connections, with orphans */
	unsigned tcp_time_waits;	/* 16384; most entries in TIME_WAIT */
	unsigned tcp_orphans;		/* 4096; most closed and unfinished connections */
	uint32_t tcp_send_bytes;	/* 4 MiB; limit of an auto-tuned send buffer */
	uint32_t tcp_receive_bytes;	/* 6 MiB; limit of an auto-tuned receive buffer */
};

/* ---- the instance --------------------------------------------------------------------------- */

/*
 * Makes an instance in the owner's general memory.
 *
 * Returns: 0; -EINVAL if the config is invalid: an MTU outside 576 .. 9216, no address, an address
 *          that no host can have, a multicast MAC, a gateway that is on no link; -ENOMEM.
 */
int weir__netstack_new(struct weir__netstack_owner *owner, const struct weir__netstack_config *cfg,
		       uint64_t now_ns, struct weir__netstack **ret_net);
/*
 * Frees an instance in any state. Nothing is sent to the peers of its connections. The owner must
 * have returned every frame that was lent to it. NULL is allowed.
 */
void weir__netstack_free(struct weir__netstack *net);

/* Begins a turn at now_ns, which must not be before the previous turn, and fires due timers. */
void weir__netstack_begin(struct weir__netstack *net, uint64_t now_ns);
/* Processes a received frame, which begins with its Ethernet header. Owns the frame. */
void weir__netstack_input(struct weir__netstack *net, struct weir__frame *frame);
/* Processes all frames of a queue, in order. The result is that of weir__netstack_input for each,
 * but the call is faster with many connections, because memory is prefetched. Owns the frames. */
void weir__netstack_input_burst(struct weir__netstack *net, struct weir__frame_queue *frames);
/*
 * Ends a turn: sends pending segments, and processes packets to the instance's own addresses. This
 * may cause events; weir__netstack_next_deadline then returns the current time.
 */
void weir__netstack_end(struct weir__netstack *net);
/* When the next turn is needed at the latest: WEIR_NETSTACK_NEVER if only a frame makes one
 * necessary. */
uint64_t weir__netstack_next_deadline(const struct weir__netstack *net);

const struct weir__netstack_counters *weir__netstack_counters(const struct weir__netstack *net);
/* Returns a frame that a receive call has lent. */
void weir__netstack_give_back(struct weir__netstack *net, struct weir__frame *lent);
/* The frame memory of the instance, for the functions of frame.h. */
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
	WEIR_NETSTACK_CONNECTED = 1u << 0,	/* a connect has succeeded */
	WEIR_NETSTACK_READABLE = 1u << 1,	/* data, a datagram or the stream's end arrived */
	WEIR_NETSTACK_WRITABLE = 1u << 2,	/* there is room again after an -EAGAIN */
	/* The connection has ended with an error, a connect has failed, or (UDP) an ICMP error has
	 * arrived; weir__tcp_error and weir__udp_error return it. */
	WEIR_NETSTACK_FAILED = 1u << 3,
	WEIR_NETSTACK_ACCEPTABLE = 1u << 4,	/* a listener has a connection */
	WEIR_NETSTACK_CLOSED = 1u << 5,		/* both sides closed, all data is acknowledged */
};

/*
 * The first member of every connection, listener and socket. Events are edge-triggered: a bit is
 * set when something happens, and cleared when it is fetched.
 */
struct weir__netstack_source {
	struct weir__netstack_source *next, **pprev;	/* in the list of sources with events */
	struct weir__netstack_user *user;
	uint8_t kind;		/* weir_netstack_kind */
	uint8_t events;		/* weir_netstack_event, not fetched yet */
};

/* Fetches the events of the source that has waited longest. NULL: there are none. */
struct weir__netstack_source *weir__netstack_next_event(struct weir__netstack *net,
							unsigned *ret_events);

#endif
