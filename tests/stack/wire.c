/* SPDX-License-Identifier: MIT */
/*
 * wire.c: see wire.h. A transmitted frame is copied into contiguous bytes and its blocks are freed
 * at once, so that neither instance keeps memory of the other. An arriving frame is made of the
 * receiver's memory, sometimes in several pieces.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "stack/ethernet.h"
#include "stack/tcp_state.h"
#include "tests/stack/wire.h"

#define FRAME_MAX (65536u + WEIR_ETHERNET_HEADER_BYTES)
#define TURNS_AT_ONCE 10000u	/* most turns at one time; more would never end */

static const unsigned char macs[2][6] = { { 2, 0, 0, 0, 0, 1 }, { 2, 0, 0, 0, 0, 2 } };

void wire_complain(struct wire *wire, const char *format, ...)
{
	va_list args;

	if (wire->why[0] != '\0')
		return;
	va_start(args, format);
	vsnprintf(wire->why, sizeof(wire->why), format, args);
	va_end(args);
}

static struct wire_side *side_of(struct weir__netstack_owner *owner)
{
	return WEIR_STACK_CONTAINER(owner, struct wire_side, rig.owner);
}

static unsigned number_of(const struct wire_side *side)
{
	return (unsigned)(side - side->wire->side);
}

/* ---- frames under way: a heap --------------------------------------------------------------- */

static bool sooner(const struct wire_flight *a, const struct wire_flight *b)
{
	return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->number < b->number;
}

static void flight_push(struct wire *wire, struct wire_flight flight)
{
	size_t at = wire->flight_count++;

	if (wire->flight_count > wire->flight_room) {
		wire->flight_room = wire->flight_room * 2 + 64;
		wire->flights = rig_must(realloc(wire->flights,
					     wire->flight_room * sizeof(*wire->flights)));
	}
	flight.number = wire->flight_number++;
	for (; at > 0 && sooner(&flight, &wire->flights[(at - 1) / 2]); at = (at - 1) / 2)
		wire->flights[at] = wire->flights[(at - 1) / 2];
	wire->flights[at] = flight;
}

static struct wire_flight flight_pop(struct wire *wire)
{
	struct wire_flight first = wire->flights[0], last = wire->flights[--wire->flight_count];
	size_t at = 0, child;

	while ((child = 2 * at + 1) < wire->flight_count) {
		if (child + 1 < wire->flight_count &&
		    sooner(&wire->flights[child + 1], &wire->flights[child]))
			child++;
		if (!sooner(&wire->flights[child], &last))
			break;
		wire->flights[at] = wire->flights[child];
		at = child;
	}
	wire->flights[at] = last;
	return first;
}

unsigned char *wire_fly(struct wire *wire, struct wire_flight flight, const unsigned char *bytes)
{
	flight.bytes = rig_must(malloc(flight.len));
	memcpy(flight.bytes, bytes, flight.len);
	flight_push(wire, flight);
	return flight.bytes;
}

static void carry(struct wire *wire, unsigned from, const unsigned char *bytes, uint32_t len)
{
	if (wire->carry != NULL)
		wire->carry(wire, from, bytes, len);
	else
		wire_fly(wire,
			 (struct wire_flight){ .at_ns = wire->now_ns, .from = from, .len = len },
			 bytes);
}

static void carry_off(struct offload *offload, const unsigned char *bytes, uint32_t len)
{
	struct wire_side *side = WEIR_STACK_CONTAINER(offload, struct wire_side, offload);

	carry(side->wire, number_of(side), bytes, len);
}

static void transmit(struct weir__netstack_owner *owner, struct weir__netstack *net,
		     struct weir__frame *frame)
{
	struct wire_side *side = side_of(owner);

	if (frame->total > FRAME_MAX)
		wire_complain(side->wire, "a frame of %u bytes", frame->total);
	else
		offload_transmit(&side->offload, frame);
	weir__frame_free(weir__netstack_frames(net), frame);
}

/* ---- the receiving end ---------------------------------------------------------------------- */

/* Copies the bytes into a frame of the receiver, one block per piece. NULL without memory. */
static struct weir__frame *frame_of(struct wire *wire, struct wire_side *side,
				    const struct wire_flight *flight)
{
	struct weir__frame_memory *mem = weir__netstack_frames(side->net);
	uint32_t piece = RIG_BLOCK_BYTES - WEIR_FRAME_HEADROOM, part;
	struct weir__frame *frame = NULL, *next;

	if (rig_chance(&wire->random, RIG_PPM / 8))
		piece = 60 + (uint32_t)rig_draw(&wire->random, 1000);
	for (uint32_t at = 0; at < flight->len; at += part) {
		part = flight->len - at < piece ? flight->len - at : piece;
		next = weir__frame_new(mem, frame == NULL ? WEIR_FRAME_HEADROOM : 0, part);
		if (next == NULL) {
			weir__frame_free(mem, frame);
			return NULL;
		}
		memcpy(weir__frame_extend(next, part), flight->bytes + at, part);
		if (frame == NULL)
			frame = next;
		else
			weir__frame_append(mem, frame, next);
	}
	return frame;
}

static void arrive(struct wire *wire, const struct wire_flight *flight,
		   struct weir__frame_queue *arrived)
{
	struct wire_side *to = &wire->side[!flight->from];
	struct weir__frame *frame = frame_of(wire, to, flight);

	if (frame == NULL)
		return;
	if (wire->arrives != NULL)
		wire->arrives(wire, flight);
	/* Half of the frames arrive as from an interface that has verified the checksums. */
	if (!flight->corrupted && rig_draw(&wire->random, 2))
		frame->flags |= WEIR_FRAME_CHECKED;
	weir__frame_queue_push(arrived, frame);
}

/* ---- turns ---------------------------------------------------------------------------------- */

static uint64_t earliest(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t next_of_side(const struct wire *wire, unsigned side)
{
	return earliest(weir__netstack_next_deadline(wire->side[side].net), wire->wake_ns[side]);
}

static uint64_t next_time(const struct wire *wire)
{
	uint64_t next = earliest(next_of_side(wire, 0), next_of_side(wire, 1));

	return wire->flight_count > 0 ? earliest(next, wire->flights[0].at_ns) : next;
}

static void turn(struct wire *wire, unsigned side)
{
	struct weir__frame_queue arrived = { NULL, NULL };
	struct weir__netstack *net = wire->side[side].net;

	weir__netstack_begin(net, wire->now_ns);
	while (wire->flight_count > 0 && wire->flights[0].at_ns <= wire->now_ns &&
	       wire->flights[0].from != side) {
		struct wire_flight flight = flight_pop(wire);

		arrive(wire, &flight, &arrived);
		free(flight.bytes);
	}
	weir__netstack_input_burst(net, &arrived);
	wire->turn(wire, side);
	weir__netstack_end(net);
	wire->turns++;
}

/* Makes a turn of each side for which something is due. */
static void turn_who_is_due(struct wire *wire)
{
	bool frame = wire->flight_count > 0 && wire->flights[0].at_ns <= wire->now_ns;

	for (unsigned side = 0; side < 2; side++)
		if (next_of_side(wire, side) <= wire->now_ns ||
		    (frame && wire->flights[0].from != side))
			turn(wire, side);
}

bool wire_run(struct wire *wire, uint64_t until_ns)
{
	uint64_t next;

	while (wire->why[0] == '\0' && (next = next_time(wire)) <= until_ns) {
		if (next > wire->now_ns) {
			wire->now_ns = next;
			wire->turns_at_now = 0;
		}
		if (++wire->turns_at_now > TURNS_AT_ONCE)
			wire_complain(wire, "time stands still at %.6f s",
				      (double)wire->now_ns / WIRE_SEC);
		turn_who_is_due(wire);
	}
	if (next_time(wire) == WEIR_NETSTACK_NEVER)
		return false;
	if (wire->now_ns < until_ns && wire->why[0] == '\0')
		wire->now_ns = until_ns;
	return true;
}

/* ---- made and ended ------------------------------------------------------------------------- */

static void side_init(struct wire *wire, unsigned number, uint64_t seed,
		      const struct weir__netstack_config *usual)
{
	const struct weir__netstack_address address = { weir__ip_v4(WIRE_IP + number), 24 };
	struct weir__netstack_config cfg = { .memory_bytes = 0 };
	struct wire_side *side = &wire->side[number];
	int rc;

	if (usual != NULL)
		cfg = *usual;
	memcpy(cfg.mac, macs[number], 6);
	cfg.addresses = &address;
	cfg.address_count = 1;
	cfg.block_bytes = RIG_BLOCK_BYTES;
	*side = (struct wire_side){ .offload = { carry_off }, .wire = wire };
	rig_init(&side->rig);
	side->rig.owner.ops = &wire->ops;
	side->rig.seed = seed;
	rc = weir__netstack_new(&side->rig.owner, &cfg, wire->now_ns, &side->net);
	if (rc < 0) {
		fprintf(stderr, "wire: no instance: %d\n", rc);
		exit(2);
	}
}

void wire_init(struct wire *wire, uint64_t seed, const struct weir__netstack_config *cfg,
	       wire_turn_fn turn_fn)
{
	memset(wire, 0, sizeof(*wire));
	wire->ops = rig_ops;
	wire->ops.transmit = transmit;
	wire->now_ns = 1000 * WIRE_SEC;
	wire->random = seed;
	rig_draw(&wire->random, 1);
	wire->turn = turn_fn;
	for (unsigned side = 0; side < 2; side++) {
		wire->wake_ns[side] = WEIR_NETSTACK_NEVER;
		side_init(wire, side, ~seed * 2 + side, cfg);
	}
}

void wire_check_empty(struct wire *wire, unsigned number)
{
	const struct wire_side *side = &wire->side[number];
	const struct weir__netstack *net = side->net;

	if (net->memory.used_bytes != 0 || side->rig.blocks != 0)
		wire_complain(wire, "side %u: %llu bytes are charged, %u blocks are left", number,
			      (unsigned long long)net->memory.used_bytes, side->rig.blocks);
	if (net->tcp->connections != 0 || net->tcp->orphans != 0 || net->tcp->waiting != 0 ||
	    net->tcp->requests != 0)
		wire_complain(wire,
			      "side %u: %u connections, %u orphans, %u in TIME_WAIT, "
			      "%u half open are left",
			      number, net->tcp->connections, net->tcp->orphans, net->tcp->waiting,
			      net->tcp->requests);
}

void wire_fini(struct wire *wire)
{
	while (wire->flight_count > 0)
		free(flight_pop(wire).bytes);
	free(wire->flights);
	for (unsigned number = 0; number < 2; number++) {
		struct wire_side *side = &wire->side[number];

		weir__netstack_free(side->net);
		if (side->rig.blocks != 0 || side->rig.allocations != 0)
			wire_complain(wire, "side %u: %u blocks and %u allocations leak", number,
				      side->rig.blocks, side->rig.allocations);
	}
}

struct weir__endpoint wire_endpoint(unsigned side, uint16_t port)
{
	return (struct weir__endpoint){ weir__ip_v4(WIRE_IP + side), port };
}
