/* SPDX-License-Identifier: MIT */
/*
 * instance.h: an instance from the inside, for the files of the stack.
 *
 * Each layer keeps its state in a member that its own header describes, and touches no other's.
 * A transport (UDP, TCP) is a table of functions, so that the layers below know none by name; its
 * state hangs on a pointer of its own.
 */
#ifndef WEIR_STACK_INSTANCE_H
#define WEIR_STACK_INSTANCE_H

#include "stack/arp.h"
#include "stack/ip.h"
#include "stack/stack.h"
#include "stack/timer.h"

struct weir__udp_layer;
struct weir__tcp_layer;

/* What waits somewhere, counted at true size. */
struct weir__netstack_memory {
	uint64_t used_bytes;
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
	uint64_t hash_secret[2];		/* of tables */

	struct weir__arp arp;
	struct weir__ip ip;
	struct weir__udp_layer *udp;
	struct weir__tcp_layer *tcp;

	struct weir__netstack_source *events;	/* sources with events */
	struct weir__netstack_source **events_end;
};

/* ---- what a transport is -------------------------------------------------------------------- */

/* Functions that a transport has no use for are NULL, but for input. */
struct weir__transport {
	uint8_t protocol;	/* of IP: 6, 17 */
	/* Makes and ends what it has in an instance. fini also after a failed or missing init. */
	int (*init)(struct weir__netstack *net);
	void (*fini)(struct weir__netstack *net);
	/* A packet for it. The frame begins with the transport header and ends with the packet;
	 * it is the transport's. */
	void (*input)(struct weir__netstack *net, struct weir__frame *frame,
		      const struct weir__ip_rx *rx);
	/*
	 * Something that it sent did not arrive (an ICMP error, or a neighbour who does not
	 * answer). Whoever is on the network can say so: the transport believes it only if what is
	 * quoted fits to something of its own (RFC 5927: a sequence number that is in flight).
	 * Returns whether it did.
	 */
	bool (*error)(struct weir__netstack *net, const struct weir__ip_error *error);
	/* The turn ends: sends what gathered. */
	void (*flush)(struct weir__netstack *net);
};

/* Tells the transport of a protocol; false if there is none. */
bool weir__transport_failed(struct weir__netstack *net, uint8_t protocol,
			    const struct weir__ip_error *error);

extern const struct weir__transport weir__transport_icmp4, weir__transport_udp, weir__transport_tcp;

/* ---- general memory ------------------------------------------------------------------------- */

/* Zeroed; NULL if there is none, which is counted. */
void *weir__netstack_alloc(struct weir__netstack *net, size_t bytes);
void weir__netstack_release(struct weir__netstack *net, void *memory, size_t bytes);

/* ---- charging ------------------------------------------------------------------------------- */

/* Counts a frame that is going to wait, at true size; once per frame. */
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

/* Frees a frame, charged or not. */
static inline void weir__netstack_drop(struct weir__netstack *net, struct weir__frame *frame)
{
	weir__netstack_discharge(net, frame);
	weir__frame_free(&net->frames, frame);
}

/* Above three quarters: received data is copied out, windows stop growing. */
static inline bool weir__netstack_scarce(const struct weir__netstack *net)
{
	return net->memory.used_bytes > net->memory.limit_bytes / 4 * 3;
}

/* Whether so many bytes more may wait. */
static inline bool weir__netstack_has_room(const struct weir__netstack *net, uint64_t bytes)
{
	return bytes <= net->memory.limit_bytes &&
	       net->memory.used_bytes <= net->memory.limit_bytes - bytes;
}

/* ---- events, timers, randomness ------------------------------------------------------------- */

/* Adds events to a source and puts it into the list. */
void weir__netstack_raise(struct weir__netstack *net, struct weir__netstack_source *source,
			  unsigned events);
/* Takes a source that goes away out of the list. */
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
