/* SPDX-License-Identifier: MIT */
/*
 * reassembly.c: incomplete packets; see reassembly.h.
 *
 * A fixed table contains the packets. Each has a list of its fragments by offset, without overlaps.
 * The control bytes of a frame store the offset of its fragment. Bytes of a new fragment that are
 * known already are cut off. The memory for fragments is small, so a small table is enough, and a
 * search takes few comparisons, which only fragments need.
 *
 * A flood of fragments takes memory only from other fragments; the oldest packet is dropped first.
 */
#include "stack/reassembly.h"
#include "stack/instance.h"

#define PACKETS 64u
#define FRAGMENTS 128u		/* of one packet; 65,535 bytes with an MTU of 576 need 119 */
#define WAIT_NS (30 * WEIR_NETSTACK_SEC)
#define PACKET_MAX 65535u

struct fragment {
	uint32_t offset;
};

struct packet {
	struct weir__netstack_timer timer;	/* set: the entry is in use */
	struct weir__ip_address source, destination;
	uint32_t id;
	uint8_t protocol;
	uint8_t tos;
	uint8_t ttl;
	unsigned fragments;
	uint32_t bytes;			/* sum of its fragments */
	uint32_t end;			/* length of the packet; 0: not known yet */
	uint32_t true_bytes;
	struct weir__frame *first;	/* by offset, linked by queued */
	unsigned char header[WEIR_IP4_HEADER_MAX];	/* of the first fragment */
	uint32_t header_len;
};

struct weir__reassembly {
	uint32_t true_bytes;		/* of all packets */
	struct packet packet[PACKETS];
};

static uint32_t offset_of(struct weir__frame *frame)
{
	return WEIR_FRAME_CONTROL(frame, struct fragment)->offset;
}

static uint32_t end_of(struct weir__frame *frame)
{
	return offset_of(frame) + frame->total;
}

/* ---- the table ------------------------------------------------------------------------------- */

static void timed_out(struct weir__netstack *net, struct weir__netstack_timer *timer);

int weir__reassembly_init(struct weir__netstack *net)
{
	struct weir__reassembly *all = weir__netstack_alloc(net, sizeof(*all));

	net->ip.reassembly = all;
	if (all == NULL)
		return -ENOMEM;
	for (unsigned i = 0; i < PACKETS; i++)
		all->packet[i].timer.fire = timed_out;
	return 0;
}

/* Empties an entry and frees its fragments. */
static void forget(struct weir__netstack *net, struct packet *packet)
{
	struct weir__frame *next;

	for (struct weir__frame *frame = packet->first; frame != NULL; frame = next) {
		next = frame->queued;
		weir__netstack_drop(net, frame);
	}
	net->ip.reassembly->true_bytes -= packet->true_bytes;
	weir__netstack_timer_stop(net, &packet->timer);
	*packet = (struct packet){ .timer.fire = timed_out };
}

static void fail(struct weir__netstack *net, struct packet *packet)
{
	net->count.ip_reassembly_fails++;
	forget(net, packet);
}

void weir__reassembly_fini(struct weir__netstack *net)
{
	struct weir__reassembly *all = net->ip.reassembly;

	for (unsigned i = 0; all != NULL && i < PACKETS; i++)
		forget(net, &all->packet[i]);
	weir__netstack_release(net, all, sizeof(*all));
}

static void timed_out(struct weir__netstack *net, struct weir__netstack_timer *timer)
{
	struct packet *packet = WEIR_STACK_CONTAINER(timer, struct packet, timer);

	net->count.ip_reassembly_timeouts++;
	fail(net, packet);
}

/* The oldest packet other than `but`. */
static struct packet *oldest(struct weir__reassembly *all, const struct packet *but)
{
	struct packet *found = NULL;

	for (unsigned i = 0; i < PACKETS; i++) {
		struct packet *packet = &all->packet[i];

		if (packet != but && weir__timer_is_set(&packet->timer) &&
		    (found == NULL || packet->timer.deadline_ns < found->timer.deadline_ns))
			found = packet;
	}
	return found;
}

static bool is_of(const struct packet *packet, const struct weir__ip_rx *rx, uint32_t id)
{
	return packet->id == id && packet->protocol == rx->protocol &&
	       weir__ip_equal(&packet->source, &rx->source) &&
	       weir__ip_equal(&packet->destination, &rx->destination);
}

static struct packet *packet_of(struct weir__netstack *net, const struct weir__ip_rx *rx,
				uint32_t id)
{
	struct weir__reassembly *all = net->ip.reassembly;
	struct packet *unused = NULL;

	for (unsigned i = 0; i < PACKETS; i++) {
		if (!weir__timer_is_set(&all->packet[i].timer))
			unused = &all->packet[i];
		else if (is_of(&all->packet[i], rx, id))
			return &all->packet[i];
	}
	if (unused == NULL) {
		unused = oldest(all, NULL);
		fail(net, unused);
	}
	unused->source = rx->source;
	unused->destination = rx->destination;
	unused->id = id;
	unused->protocol = rx->protocol;
	weir__netstack_timer_set(net, &unused->timer, net->now_ns + WAIT_NS);
	return unused;
}

/* ---- reassembly ------------------------------------------------------------------------------ */

/* Whether len bytes of two frames are the same, from a given offset in each. */
static bool same_bytes(const struct weir__frame *a, uint32_t at_a, const struct weir__frame *b,
		       uint32_t at_b, uint32_t len)
{
	unsigned char scratch_a[64], scratch_b[64];
	uint32_t part;

	for (; len > 0; len -= part, at_a += part, at_b += part) {
		part = len < sizeof(scratch_a) ? len : sizeof(scratch_a);
		if (memcmp(weir__frame_peek(a, at_a, part, scratch_a),
			   weir__frame_peek(b, at_b, part, scratch_b), part) != 0)
			return false;
	}
	return true;
}

/* Whether two fragments have the same bytes where they overlap. */
static bool agrees(struct weir__frame *old, struct weir__frame *frame)
{
	uint32_t from = offset_of(old) > offset_of(frame) ? offset_of(old) : offset_of(frame);
	uint32_t to = end_of(old) < end_of(frame) ? end_of(old) : end_of(frame);

	return from >= to ||
	       same_bytes(old, from - offset_of(old), frame, from - offset_of(frame), to - from);
}

/* Whether the fragment is consistent with the known fragments and the known end of the packet. */
static bool fits(struct packet *packet, struct weir__frame *frame, bool more)
{
	struct weir__frame *at = packet->first, *last = NULL;

	if (packet->end != 0 &&
	    (end_of(frame) > packet->end || (!more && end_of(frame) != packet->end)))
		return false;
	for (; at != NULL; at = at->queued) {
		if (!agrees(at, frame))
			return false;
		last = at;
	}
	return more || last == NULL || end_of(last) <= end_of(frame);
}

/*
 * Inserts the fragment into the list without the bytes that are there already. Known bytes at its
 * front are removed. If a known fragment begins inside it, everything from there on is removed,
 * too, even unknown bytes: a sender that fragments a packet in two ways sends them again. Returns
 * false if no byte is left.
 */
static bool insert(struct weir__netstack *net, struct packet *packet, struct weir__frame *frame)
{
	struct weir__frame **at = &packet->first;

	for (; *at != NULL && offset_of(*at) <= offset_of(frame); at = &(*at)->queued) {
		uint32_t end = end_of(*at);

		if (end <= offset_of(frame))
			continue;
		if (end >= end_of(frame))
			return false;
		weir__frame_pull(&net->frames, frame, end - offset_of(frame));
		WEIR_FRAME_CONTROL(frame, struct fragment)->offset = end;
	}
	if (*at != NULL && offset_of(*at) < end_of(frame))
		weir__frame_trim(&net->frames, frame, offset_of(*at) - offset_of(frame));
	if (frame->total == 0)
		return false;
	frame->queued = *at;
	*at = frame;
	return true;
}

/* Joins the fragments of a complete packet. Its header is that of the first fragment. */
static struct weir__frame *finish(struct weir__netstack *net, struct packet *packet,
				  struct weir__ip_rx *rx)
{
	struct weir__frame *whole = packet->first, *next = whole->queued, *frame;

	rx->tos = packet->tos;
	rx->ttl = packet->ttl;
	rx->header = memcpy(rx->scratch, packet->header, packet->header_len);
	rx->header_len = packet->header_len;
	packet->first = NULL;
	whole->queued = NULL;
	weir__netstack_discharge(net, whole);
	while ((frame = next) != NULL) {
		next = frame->queued;
		whole->flags &= frame->flags | (uint16_t)~WEIR_FRAME_CHECKED;
		weir__netstack_discharge(net, frame);
		weir__frame_append(&net->frames, whole, frame);
	}
	forget(net, packet);
	net->count.ip_reassembly_oks++;
	return whole;
}

/* Drops other packets until the fragment fits into the limit. False if it cannot fit. */
static bool make_room(struct weir__netstack *net, const struct packet *packet, uint32_t bytes)
{
	struct weir__reassembly *all = net->ip.reassembly;
	struct packet *other;

	while (all->true_bytes + bytes > net->cfg.reassembly_bytes) {
		other = oldest(all, packet);
		if (other == NULL)
			return false;
		fail(net, other);
	}
	return weir__netstack_has_room(net, bytes);
}

static void note_header(struct packet *packet, const struct weir__ip_rx *rx, uint32_t offset)
{
	if (offset > 0)
		return;
	packet->header_len =
		rx->header_len < WEIR_IP4_HEADER_MAX ? rx->header_len : WEIR_IP4_HEADER_MAX;
	memcpy(packet->header, rx->header, packet->header_len);
	packet->tos = rx->tos;
	packet->ttl = rx->ttl;
}

struct weir__frame *weir__reassemble(struct weir__netstack *net, struct weir__frame *frame,
				     struct weir__ip_rx *rx, uint32_t id, uint32_t offset,
				     bool more)
{
	struct packet *packet;
	uint32_t bytes = weir__frame_true_bytes(frame);

	net->count.ip_reassembly_required++;
	if (frame->total == 0 || (more && frame->total % 8 != 0) ||
	    offset + frame->total > PACKET_MAX - rx->header_len || rx->broadcast) {
		net->count.ip_reassembly_fails++;
		weir__frame_free(&net->frames, frame);
		return NULL;
	}
	packet = packet_of(net, rx, id);
	WEIR_FRAME_CONTROL(frame, struct fragment)->offset = offset;
	if (!fits(packet, frame, more)) {
		net->count.ip_reassembly_overlaps++;
		weir__frame_free(&net->frames, frame);
		fail(net, packet);
		return NULL;
	}
	note_header(packet, rx, offset);
	if (!more)
		packet->end = end_of(frame);
	if (packet->fragments == FRAGMENTS || !make_room(net, packet, bytes)) {
		weir__frame_free(&net->frames, frame);
		fail(net, packet);
		return NULL;
	}
	if (!insert(net, packet, frame)) {
		weir__frame_free(&net->frames, frame);
		return NULL;
	}
	weir__netstack_charge(net, frame);
	packet->fragments++;
	packet->bytes += frame->total;
	packet->true_bytes += frame->charged;
	net->ip.reassembly->true_bytes += frame->charged;
	return packet->end != 0 && packet->bytes == packet->end ? finish(net, packet, rx) : NULL;
}
