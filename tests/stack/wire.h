/* SPDX-License-Identifier: MIT */
/*
 * wire.h: two instances of the stack, 10.0.0.1 and 10.0.0.2, and a simulated wire between them.
 *
 * Time is virtual, and everything random comes from one seed, so that a run can be repeated. Nothing
 * here makes a system call. The wire owns both instances: it gives them memory, which is counted and
 * may be refused, and random bytes.
 *
 *	wire_init -> [listen, connect, ... in turns] -> wire_run until nothing is due -> wire_fini
 *
 * A turn of a side: begin, frames that have arrived, the program's function, end. The program's
 * function fetches the events and makes its calls; wire.wake_ns[side] is when it wants a turn even
 * if nothing else happens.
 *
 * Every TCP segment is checked by watch.h when it is sent and when it arrives. The first complaint
 * is kept in wire.why.
 *
 * ARP frames are delayed, but nothing else happens to them: a neighbour that does not answer three
 * times is an error that ends a connect, which is right, but hides everything else.
 */
#ifndef WEIR_TESTS_STACK_WIRE_H
#define WEIR_TESTS_STACK_WIRE_H

#include "stack/instance.h"
#include "tests/stack/offload.h"
#include "tests/stack/watch.h"

#define WIRE_IP 0x0a000001u	/* of side 0; the next is side 1's */
#define WIRE_MS WEIR_NETSTACK_MSEC
#define WIRE_SEC WEIR_NETSTACK_SEC
#define WIRE_PPM 1000000u

/* What happens to frames in one direction. Zero is a wire without faults, delay and limits. */
struct wire_condition {
	uint32_t loss_ppm;
	uint32_t outage_ppm;		/* for each frame: everything is lost for a while */
	uint64_t outage_ns;		/* at most */
	uint32_t reorder_ppm;		/* overtaken by others: ... */
	uint64_t reorder_ns;		/* ... so much later, at most */
	uint32_t duplicate_ppm;		/* the copy comes up to reorder_ns later */
	uint32_t corrupt_ppm;		/* one bit is flipped behind the Ethernet header */
	uint64_t delay_ns;
	uint64_t jitter_ns;		/* more delay, at most; the order is kept */
	uint64_t bytes_per_second;	/* 0: without limit */
	uint32_t queue_bytes;		/* that wait for the rate; 0: without limit */
	/* Longer packets are lost, and the sender is told so by ICMP, as by a router that has a
	 * smaller MTU behind it; 0: none. */
	uint16_t mtu;
};

struct wire_counts {
	uint64_t frames, bytes, arrived, lost, queue_full, reordered, duplicated, corrupted,
		too_big;
};

struct wire_flight;
struct wire;

struct wire_side {
	struct weir__netstack_owner owner;
	struct offload offload;
	struct wire *wire;
	struct weir__netstack *net;
	struct wire_condition condition;	/* of what this side sends */
	struct wire_counts counts;
	uint64_t random;
	unsigned blocks, allocations;		/* that live */
	uint32_t refuse_ppm;			/* of requests for memory */
	uint64_t busy_until_ns, last_arrival_ns, outage_until_ns;
};

/* Called in each turn, between begin and end. */
typedef void (*wire_turn_fn)(struct wire *wire, unsigned side);

struct wire {
	struct wire_side side[2];
	uint64_t now_ns;
	uint64_t wake_ns[2];		/* WEIR_NETSTACK_NEVER: never */
	uint64_t random;
	wire_turn_fn turn;
	struct watch watch;
	bool unwatched;			/* what the watch says does not count */
	struct wire_flight *flights;	/* a heap by time of arrival */
	size_t flight_count, flight_room;
	uint64_t flight_number;
	uint64_t turns, turns_at_now;
	FILE *trace;			/* each segment is printed to it; NULL: none */
	char why[200];			/* the first complaint; empty: none */
};

/* A number below a bound, of the wire's seed; and whether something of that probability happens. */
uint64_t wire_draw(uint64_t *random, uint64_t below);
bool wire_chance(uint64_t *random, uint32_t ppm);

/* cfg may set anything but MAC and addresses. Both sides have it; NULL: the defaults. */
void wire_init(struct wire *wire, uint64_t seed, const struct weir__netstack_config *cfg,
	       wire_turn_fn turn);
/* Frees both instances and complains if memory is left. */
void wire_fini(struct wire *wire);
void wire_complain(struct wire *wire, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Turns both sides with all that is due, until the time has come or nothing will happen before it.
 * Returns whether something is due later. It stops at the first complaint. */
bool wire_run(struct wire *wire, uint64_t until_ns);
/* Complains unless a side has nothing left but what it was made with: no connection, no memory
 * charged, no block. */
void wire_check_empty(struct wire *wire, unsigned side);

struct weir__endpoint wire_endpoint(unsigned side, uint16_t port);

#endif
