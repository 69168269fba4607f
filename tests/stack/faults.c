/* SPDX-License-Identifier: MIT */
/* faults.c: see faults.h. */
#include "stack/checksum.h"
#include "stack/ethernet.h"
#include "stack/ip.h"
#include "tests/stack/faults.h"

static bool is_ip(const unsigned char *bytes)
{
	return weir__get16(bytes + 12) == WEIR_ETHERNET_IPV4;
}

/* The time at which a frame that is sent now leaves: after the frames that wait for the rate.
 * False: the queue is full. */
static bool leave(struct wire_faults *faults, struct wire_direction *side, uint32_t len,
		  uint64_t *ret_ns)
{
	const struct wire_condition *condition = &side->condition;
	uint64_t begin = side->busy_until_ns > faults->wire->now_ns ? side->busy_until_ns
								    : faults->wire->now_ns;

	*ret_ns = faults->wire->now_ns;
	if (condition->bytes_per_second == 0)
		return true;
	if (condition->queue_bytes != 0 &&
	    (begin - faults->wire->now_ns) * condition->bytes_per_second / WIRE_SEC + len >
		    condition->queue_bytes)
		return false;
	side->busy_until_ns = begin + len * WIRE_SEC / condition->bytes_per_second;
	*ret_ns = side->busy_until_ns;
	return true;
}

static unsigned number_of(const struct wire_faults *faults, const struct wire_direction *side)
{
	return (unsigned)(side - faults->side);
}

static void fly(struct wire_faults *faults, struct wire_direction *side, const unsigned char *bytes,
		uint32_t len, uint64_t at_ns)
{
	struct wire *wire = faults->wire;
	struct wire_flight flight = { .at_ns = at_ns, .from = number_of(faults, side), .len = len };
	unsigned char *copy;
	uint64_t bit;

	flight.corrupted = is_ip(bytes) && rig_chance(&wire->random, side->condition.corrupt_ppm);
	copy = wire_fly(wire, flight, bytes);
	if (flight.corrupted) {
		bit = rig_draw(&wire->random, 8ull * (len - WEIR_ETHERNET_HEADER_BYTES));
		copy[WEIR_ETHERNET_HEADER_BYTES + bit / 8] ^= (unsigned char)(1u << bit % 8);
		side->counts.corrupted++;
	}
}

static bool is_lost(struct wire_faults *faults, struct wire_direction *side)
{
	const struct wire_condition *condition = &side->condition;

	if (faults->wire->now_ns < side->outage_until_ns)
		return true;
	if (rig_chance(&faults->wire->random, condition->outage_ppm)) {
		side->outage_until_ns = faults->wire->now_ns + 1 +
					rig_draw(&faults->wire->random, condition->outage_ns);
		return true;
	}
	return rig_chance(&faults->wire->random, condition->loss_ppm);
}

/* Delays a frame that was not lost, and may duplicate it. */
static void travel(struct wire_faults *faults, struct wire_direction *side,
		   const unsigned char *bytes, uint32_t len, uint64_t left_ns)
{
	const struct wire_condition *condition = &side->condition;
	uint64_t at = left_ns + condition->delay_ns +
		      rig_draw(&faults->wire->random, condition->jitter_ns + 1);

	if (at < side->last_arrival_ns)
		at = side->last_arrival_ns;
	if (is_ip(bytes) && rig_chance(&faults->wire->random, condition->reorder_ppm)) {
		side->counts.reordered++;
		at += rig_draw(&faults->wire->random, condition->reorder_ns + 1);
	} else {
		side->last_arrival_ns = at;
	}
	fly(faults, side, bytes, len, at);
	if (is_ip(bytes) && rig_chance(&faults->wire->random, condition->duplicate_ppm)) {
		side->counts.duplicated++;
		fly(faults, side, bytes, len,
		    at + rig_draw(&faults->wire->random, condition->reorder_ns + 1));
	}
}

/* ICMP "fragmentation needed" (RFC 792, RFC 1191 section 4), as if from the destination. */
static void tell_too_big(struct wire_faults *faults, struct wire_direction *side,
			 const unsigned char *bytes)
{
	enum {
		QUOTED = 28,
		LEN = WEIR_ETHERNET_HEADER_BYTES + 28 + QUOTED
	};
	struct wire_direction *other = &faults->side[!number_of(faults, side)];
	unsigned char frame[LEN] = { 0 }, *ip = frame + WEIR_ETHERNET_HEADER_BYTES, *icmp = ip + 20;
	const unsigned char *packet = bytes + WEIR_ETHERNET_HEADER_BYTES;

	memcpy(frame, bytes + 6, 6);
	memcpy(frame + 6, bytes, 6);
	weir__put16(frame + 12, WEIR_ETHERNET_IPV4);
	ip[0] = 0x45;
	weir__put16(ip + 2, 28 + QUOTED);
	ip[8] = 64;
	ip[9] = WEIR_IP_ICMP;
	memcpy(ip + 12, packet + 16, 4);
	memcpy(ip + 16, packet + 12, 4);
	weir__put_checksum(ip + 10, weir__checksum_finish(weir__checksum(ip, 20)));
	icmp[0] = 3;
	icmp[1] = 4;
	weir__put16(icmp + 6, side->condition.mtu);
	memcpy(icmp + 8, packet, QUOTED);
	weir__put_checksum(icmp + 2, weir__checksum_finish(weir__checksum(icmp, 8 + QUOTED)));
	fly(faults, other, frame, LEN, faults->wire->now_ns + side->condition.delay_ns);
}

/* Decides whether a frame is lost, corrupted, delayed or duplicated. */
static const char *send_off(struct wire_faults *faults, struct wire_direction *side,
			    const unsigned char *bytes, uint32_t len)
{
	uint16_t mtu = side->condition.mtu;
	uint64_t left_ns;

	if (!leave(faults, side, len, &left_ns)) {
		side->counts.queue_full++;
		return "no room";
	}
	if (is_ip(bytes) && mtu != 0 && len > mtu + WEIR_ETHERNET_HEADER_BYTES) {
		side->counts.too_big++;
		faults->watch.mtu_lowered = true;
		tell_too_big(faults, side, bytes);
		return "too big";
	}
	if (is_ip(bytes) && is_lost(faults, side)) {
		side->counts.lost++;
		return "lost";
	}
	travel(faults, side, bytes, len, left_ns);
	return "sent";
}

/* ---- the functions of the wire --------------------------------------------------------------- */

static void trace(struct wire_faults *faults, unsigned from, const unsigned char *bytes,
		  uint32_t len, const char *what)
{
	if (faults->trace != NULL)
		watch_print(&faults->watch, from, bytes, len, faults->trace,
			    (double)faults->wire->now_ns / WIRE_SEC, what);
}

static void complain(struct wire_faults *faults, unsigned from)
{
	if (faults->watch.why != NULL)
		wire_complain(faults->wire, "side %u: %s", from, faults->watch.why);
}

static void carry(struct wire *wire, unsigned from, const unsigned char *bytes, uint32_t len)
{
	struct wire_faults *faults = wire->faults;
	struct wire_direction *side = &faults->side[from];

	side->counts.frames++;
	side->counts.bytes += len;
	watch_sent(&faults->watch, from, bytes, len);
	complain(faults, from);
	trace(faults, from, bytes, len, send_off(faults, side, bytes, len));
}

static void arrives(struct wire *wire, const struct wire_flight *flight)
{
	struct wire_faults *faults = wire->faults;

	faults->side[!flight->from].counts.arrived++;
	trace(faults, flight->from, flight->bytes, flight->len,
	      flight->corrupted ? "corrupt" : "arrives");
	if (flight->corrupted)
		return;
	watch_arrived(&faults->watch, flight->from, flight->bytes, flight->len);
	complain(faults, flight->from);
}

void wire_faults_init(struct wire_faults *faults, struct wire *wire)
{
	memset(faults, 0, sizeof(*faults));
	faults->wire = wire;
	wire->faults = faults;
	wire->carry = carry;
	wire->arrives = arrives;
}
