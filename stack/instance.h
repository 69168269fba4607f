/* SPDX-License-Identifier: MIT */
/*
 * instance.h: the state of an instance, and the functions that its layers share. Only files of the
 * stack and their tests include it.
 *
 * Each layer has a member for its state, and uses no other layer's. The layers below a transport
 * (UDP, TCP, ICMP) call it only through its table of functions.
 */
#ifndef WEIR_STACK_INSTANCE_H
#define WEIR_STACK_INSTANCE_H

#include "stack/arp.h"
#include "stack/ip.h"
#include "stack/stack.h"
#include "stack/timer.h"

struct weir__transport;
struct weir__udp_layer;
struct weir__tcp_layer;

/* The true size of all frames that wait in queues or are lent. */
struct weir__netstack_memory {
	uint64_t used_bytes;
	uint64_t lent_bytes;	/* the part of used_bytes that the owner holds */
	uint64_t limit_bytes;
};

struct weir__netstack {
	struct weir__netstack_owner *owner;
	uint64_t now_ns;
	struct weir__netstack_config cfg;	/* defaults filled in; the two pointers are NULL */
	struct weir__frame_memory frames;
	struct weir__netstack_memory memory;
	struct weir__timers timers;
	struct weir__netstack_counters count;
	uint64_t hash_secret[2];		/* for the tables */

	const struct weir__transport *const *transports;	/* WEIR_NETSTACK_TRANSPORTS */
	struct weir__arp arp;
	struct weir__ip ip;
	struct weir__udp_layer *udp;
	struct weir__tcp_layer *tcp;

	struct weir__netstack_source *events;	/* sources with events */
	struct weir__netstack_source **events_end;
};

/* ---- what a transport is -------------------------------------------------------------------- */

#define WEIR_NETSTACK_TRANSPORTS 3u
#define WEIR_EXPECT_STEPS 3u

/* Every function but input may be NULL. */
struct weir__transport {
	uint8_t protocol;	/* IP protocol number */
	/* Create and free its state. fini is also called after a failed or missing init. */
	int (*init)(struct weir__netstack *net);
	void (*fini)(struct weir__netstack *net);
	/* Receives a packet. The frame begins with the transport header and ends with the packet.
	 * Owns the frame. */
	void (*input)(struct weir__netstack *net, struct weir__frame *frame,
		      const struct weir__ip_rx *rx);
	/* Prefetches the memory that a received frame needs. The frame is not checked yet, and will
	 * be processed soon. There are WEIR_EXPECT_STEPS steps, with other frames between them. */
	void (*expect)(struct weir__netstack *net, struct weir__frame *frame, unsigned step);
	/*
	 * A packet was not delivered: an ICMP error has arrived, or a neighbour does not reply.
	 * Any host on the network can send such errors. The transport ignores the error unless the
	 * quoted packet can be one of its own (RFC 5927: its sequence number is in flight), and
	 * returns whether it can.
	 */
	bool (*error)(struct weir__netstack *net, const struct weir__ip_error *error);
	/* Sends what is pending, at the end of a turn. */
	void (*flush)(struct weir__netstack *net);
};

/* Finds the transport of a protocol in an instance's table; NULL if there is none. */
static inline const struct weir__transport *weir__transport_of(
	const struct weir__transport *const *transports, uint8_t protocol)
{
	for (unsigned i = 0; i < WEIR_NETSTACK_TRANSPORTS; i++)
		if (transports[i]->protocol == protocol)
			return transports[i];
	return NULL;
}

/* Passes an error to the transport of a protocol. False if there is none, or if it ignores it. */
bool weir__transport_failed(struct weir__netstack *net, uint8_t protocol,
			    const struct weir__ip_error *error);

extern const struct weir__transport weir__transport_icmp4, weir__transport_udp, weir__transport_tcp;

/* ---- general memory ------------------------------------------------------------------------- */

/* Allocates zeroed memory. NULL: out of memory, and memory_refused is incremented. */
void *weir__netstack_alloc(struct weir__netstack *net, size_t bytes);
void weir__netstack_release(struct weir__netstack *net, void *memory, size_t bytes);

/* ---- charging ------------------------------------------------------------------------------- */

/* Charges a frame that enters a queue at its true size. It must not be charged already. */
static inline void weir__netstack_charge(struct weir__netstack *net, struct weir__frame *frame)
{
	WEIR_STACK_ASSERT(frame->charged == 0);
	frame->charged = weir__frame_true_bytes(frame);
	net->memory.used_bytes += frame->charged;
}

static inline void weir__netstack_discharge(struct weir__netstack *net, struct weir__frame *frame)
{
	WEIR_STACK_ASSERT(net->memory.used_bytes >= frame->charged);
	net->memory.used_bytes -= frame->charged;
	frame->charged = 0;
}

/* Discharges and frees a frame. */
static inline void weir__netstack_drop(struct weir__netstack *net, struct weir__frame *frame)
{
	weir__netstack_discharge(net, frame);
	weir__frame_free(&net->frames, frame);
}

/* A charged frame is lent to the owner; the owner returns or sends it. */
static inline void weir__netstack_lend(struct weir__netstack *net, const struct weir__frame *frame)
{
	net->memory.lent_bytes += frame->charged;
}

static inline void weir__netstack_take_back(struct weir__netstack *net,
					    const struct weir__frame *frame)
{
	WEIR_STACK_ASSERT(net->memory.lent_bytes >= frame->charged);
	net->memory.lent_bytes -= frame->charged;
}

/* Above three quarters of the limit received data is copied, and windows stop growing. */
static inline bool weir__netstack_scarce(const struct weir__netstack *net)
{
	return net->memory.used_bytes > net->memory.limit_bytes / 4 * 3;
}

/* Whether `bytes` more bytes may be charged. */
static inline bool weir__netstack_has_room(const struct weir__netstack *net, uint64_t bytes)
{
	return bytes <= net->memory.limit_bytes &&
	       net->memory.used_bytes <= net->memory.limit_bytes - bytes;
}

/* ---- events, timers, randomness ------------------------------------------------------------- */

/* Adds events to a source and links it into the list of sources with events. */
void weir__netstack_raise(struct weir__netstack *net, struct weir__netstack_source *source,
			  unsigned events);
/* Drops the events of a source, before it is freed. */
void weir__netstack_silence(struct weir__netstack *net, struct weir__netstack_source *source);

static inline void weir__netstack_timer_set(struct weir__netstack *net,
					    struct weir__netstack_timer *timer,
					    uint64_t deadline_ns)
{
	weir__timers_set(&net->timers, timer, deadline_ns);
}

static inline void weir__netstack_timer_stop(struct weir__netstack *net,
					     struct weir__netstack_timer *timer)
{
	weir__timers_stop(&net->timers, timer);
}

uint32_t weir__netstack_random32(struct weir__netstack *net);

#endif
