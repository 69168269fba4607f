/* SPDX-License-Identifier: MIT */
/*
 * wire.h: two instances of the stack, 10.0.0.1 and 10.0.0.2, and a simulated wire between them.
 *
 * Time is virtual, and all random numbers come from one seed, so that a run can be repeated. There
 * are no system calls. The wire owns both instances: it provides random bytes and memory, which is
 * counted; allocations may fail.
 *
 *	wire_init -> [listen, connect, ... in turns] -> wire_run until nothing is due -> wire_fini
 *
 * A turn of a side: begin, arrived frames, the program's function, end. The program's function
 * fetches the events and makes its calls. It sets wire.wake_ns[side] to the time of its next turn,
 * for the case that no frame and no timer causes one before.
 *
 * All frames arrive, immediately and in order, unless the program has a function `carry`. faults.h
 * provides one for a wire with losses, delays and limits.
 */
#ifndef WEIR_TESTS_STACK_WIRE_H
#define WEIR_TESTS_STACK_WIRE_H

#include <stdio.h>

#include "stack/instance.h"
#include "tests/stack/offload.h"
#include "tests/stack/rig.h"

#define WIRE_IP 0x0a000001u	/* of side 0; side 1 has the next one */
#define WIRE_MS WEIR_NETSTACK_MSEC
#define WIRE_SEC WEIR_NETSTACK_SEC

struct wire;
struct wire_faults;

/* A frame in flight. */
struct wire_flight {
	uint64_t at_ns;			/* time of arrival */
	uint64_t number;		/* set by wire_fly: the order at equal times */
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
	/* A frame is sent: calls wire_fly for each copy that will arrive. NULL: one, now. */
	void (*carry)(struct wire *wire, unsigned from, const unsigned char *bytes, uint32_t len);
	/* NULL, or called with each frame before its receiver gets it. */
	void (*arrives)(struct wire *wire, const struct wire_flight *flight);
	struct wire_faults *faults;	/* the state of these functions; NULL: none */
	struct wire_flight *flights;	/* a heap by time of arrival */
	size_t flight_count, flight_room;
	uint64_t flight_number;
	uint64_t turns, turns_at_now;
	char why[200];			/* the first complaint; empty: none */
};

/* cfg is for both sides, and may set all fields but MAC and addresses. NULL: the defaults. */
void wire_init(struct wire *wire, uint64_t seed, const struct weir__netstack_config *cfg,
	       wire_turn_fn turn);
/* Frees both instances and complains if memory is left. */
void wire_fini(struct wire *wire);
void wire_complain(struct wire *wire, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Puts a copy of the frame in flight. Returns the copy, which may be changed. */
unsigned char *wire_fly(struct wire *wire, struct wire_flight flight, const unsigned char *bytes);

/* Makes the due turns of both sides, until until_ns. Returns whether something is due later. Stops
 * at the first complaint. */
bool wire_run(struct wire *wire, uint64_t until_ns);
/* Complains if a side has a connection, charged memory or a block left. */
void wire_check_empty(struct wire *wire, unsigned side);

struct weir__endpoint wire_endpoint(unsigned side, uint16_t port);

#endif
