/* SPDX-License-Identifier: MIT */
/*
 * wire.h: two instances of the stack, 10.0.0.1 and 10.0.0.2, and a wire between them in this process.
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
 * All frames arrive, at once and in order, unless a function of the program says otherwise: faults.h
 * has one for a wire with losses, delays and limits.
 */
#ifndef WEIR_TESTS_STACK_WIRE_H
#define WEIR_TESTS_STACK_WIRE_H

#include <stdio.h>

#include "stack/instance.h"
#include "tests/stack/offload.h"
#include "tests/stack/rig.h"

#define WIRE_IP 0x0a000001u	/* of side 0; the next is side 1's */
#define WIRE_MS WEIR_NETSTACK_MSEC
#define WIRE_SEC WEIR_NETSTACK_SEC

struct wire;
struct wire_faults;

/* A frame under way. */
struct wire_flight {
	uint64_t at_ns;			/* when it arrives */
	uint64_t number;		/* set by wire_fly: the order of those that arrive at once */
	unsigned from;			/* the side that sent it */
	uint32_t len;
	bool corrupted;
	unsigned char *bytes;		/* set by wire_fly */
};

struct wire_side {
	struct rig rig;
	struct offload offload;
	struct wire *wire;
	struct weir__netstack *net;
};

/* Called in each turn, between begin and end. */
typedef void (*wire_turn_fn)(struct wire *wire, unsigned side);

struct wire {
	struct weir__netstack_owner_ops ops;	/* a rig's, and the wire's transmit */
	struct wire_side side[2];
	uint64_t now_ns;
	uint64_t wake_ns[2];		/* WEIR_NETSTACK_NEVER: never */
	uint64_t random;
	wire_turn_fn turn;
	/* A frame is sent: the function calls wire_fly for what will arrive of it. NULL: all, now. */
	void (*carry)(struct wire *wire, unsigned from, const unsigned char *bytes, uint32_t len);
	/* NULL, or called with each frame before its receiver gets it. */
	void (*arrives)(struct wire *wire, const struct wire_flight *flight);
	struct wire_faults *faults;	/* whose functions these are; NULL: none */
	struct wire_flight *flights;	/* a heap by time of arrival */
	size_t flight_count, flight_room;
	uint64_t flight_number;
	uint64_t turns, turns_at_now;
	char why[200];			/* the first complaint; empty: none */
};

/* cfg may set anything but MAC and addresses. Both sides have it; NULL: the defaults. */
void wire_init(struct wire *wire, uint64_t seed, const struct weir__netstack_config *cfg,
	       wire_turn_fn turn);
/* Frees both instances and complains if memory is left. */
void wire_fini(struct wire *wire);
void wire_complain(struct wire *wire, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Copies the frame, which is then under way. Returns the copy, which may be changed. */
unsigned char *wire_fly(struct wire *wire, struct wire_flight flight, const unsigned char *bytes);

/* Turns both sides with all that is due, until the time has come or nothing will happen before it.
 * Returns whether something is due later. It stops at the first complaint. */
bool wire_run(struct wire *wire, uint64_t until_ns);
/* Complains unless a side has nothing left but what it was made with: no connection, no memory
 * charged, no block. */
void wire_check_empty(struct wire *wire, unsigned side);

struct weir__endpoint wire_endpoint(unsigned side, uint16_t port);

#endif
