/* SPDX-License-Identifier: MIT */
/*
 * arp.c: the table of neighbours, and the ARP protocol; see arp.h for the life of an entry.
 *
 * Invariants, between calls:
 *  - an entry is in the chain of its address's bucket unless it is FREE;
 *  - frames wait, and are charged, in ASKING entries only;
 *  - the timer is set in ASKING and RENEWING only.
 */
#include "stack/ethernet.h"
#include "stack/instance.h"

#define PACKET_BYTES 28u
#define ASK_NS WEIR_NETSTACK_SEC
#define ASKS 3
#define FRESH_NS (30 * WEIR_NETSTACK_SEC)

enum {
	HARDWARE_ETHERNET = 1,
	OPERATION_REQUEST = 1,
	OPERATION_REPLY = 2,
};

/* ---- the table ------------------------------------------------------------------------------- */

static void ask_again(struct weir__netstack *net, struct weir__netstack_timer *timer);

int weir__arp_init(struct weir__netstack *net)
{
	struct weir__arp *arp = &net->arp;
	unsigned buckets = 1;

	arp->size = net->cfg.neighbours;
	while (buckets < arp->size)
		buckets *= 2;
	arp->bucket_mask = buckets - 1;
	arp->entries = weir__netstack_alloc(net, arp->size * sizeof(*arp->entries));
	arp->buckets = weir__netstack_alloc(net, buckets * sizeof(*arp->buckets));
	if (arp->entries == NULL || arp->buckets == NULL)
		return -ENOMEM;
	for (unsigned i = 0; i < arp->size; i++)
		arp->entries[i].timer.fire = ask_again;
	return 0;
}

static uint32_t *bucket_of(struct weir__netstack *net, const struct weir__ip_address *address)
{
	uint64_t hash = weir__ip_hash(address, net->hash_secret);

	return &net->arp.buckets[hash & net->arp.bucket_mask];
}

static struct weir__neighbour *find(struct weir__netstack *net,
				    const struct weir__ip_address *address)
{
	struct weir__arp *arp = &net->arp;

	for (uint32_t at = *bucket_of(net, address); at != 0; at = arp->entries[at - 1].next)
		if (weir__ip_equal(&arp->entries[at - 1].address, address))
			return &arp->entries[at - 1];
	return NULL;
}

static void unlink_entry(struct weir__netstack *net, const struct weir__neighbour *entry)
{
	struct weir__arp *arp = &net->arp;
	uint32_t index = (uint32_t)(entry - arp->entries) + 1;
	uint32_t *at = bucket_of(net, &entry->address);

	while (*at != index)
		at = &arp->entries[*at - 1].next;
	*at = entry->next;
}

/* Frees an entry and returns the frames that waited in it. */
static struct weir__frame_queue give_up(struct weir__netstack *net, struct weir__neighbour *entry)
{
	struct weir__frame_queue frames = entry->frames;

	weir__netstack_timer_stop(net, &entry->timer);
	unlink_entry(net, entry);
	entry->frames = (struct weir__frame_queue){ NULL, NULL };
	entry->waiting = 0;
	entry->generation++;
	entry->state = WEIR_ARP_FREE;
	return frames;
}

static void drop_all(struct weir__netstack *net, struct weir__frame_queue frames)
{
	struct weir__frame *frame;

	while ((frame = weir__frame_queue_pop(&frames)) != NULL) {
		net->count.arp_queue_drops++;
		weir__netstack_drop(net, frame);
	}
}

void weir__arp_fini(struct weir__netstack *net)
{
	struct weir__arp *arp = &net->arp;
	unsigned i;

	for (i = 0; arp->entries != NULL && arp->buckets != NULL && i < arp->size; i++)
		if (arp->entries[i].state != WEIR_ARP_FREE)
			drop_all(net, give_up(net, &arp->entries[i]));
	weir__netstack_release(net, arp->entries, arp->size * sizeof(*arp->entries));
	weir__netstack_release(net, arp->buckets,
			       (arp->bucket_mask + 1) * sizeof(*arp->buckets));
}

/* Whether a is evicted before b: FREE entries first, then ASKING ones, then by time of use. */
static bool rather(const struct weir__neighbour *a, const struct weir__neighbour *b)
{
	bool a_answered = a->state >= WEIR_ARP_KNOWN, b_answered = b->state >= WEIR_ARP_KNOWN;

	if (a->state == WEIR_ARP_FREE || b->state == WEIR_ARP_FREE)
		return a->state == WEIR_ARP_FREE;
	return a_answered != b_answered ? b_answered : a->used_ns < b->used_ns;
}

static struct weir__neighbour *take_entry(struct weir__netstack *net,
					  const struct weir__ip_address *address)
{
	struct weir__arp *arp = &net->arp;
	struct weir__neighbour *entry = arp->entries;
	uint32_t *bucket;

	for (unsigned i = 1; i < arp->size && entry->state != WEIR_ARP_FREE; i++)
		if (rather(&arp->entries[i], entry))
			entry = &arp->entries[i];
	if (entry->state != WEIR_ARP_FREE) {
		net->count.arp_table_full++;
		drop_all(net, give_up(net, entry));
	}
	bucket = bucket_of(net, address);
	entry->address = *address;
	entry->next = *bucket;
	*bucket = (uint32_t)(entry - arp->entries) + 1;
	return entry;
}

/* ---- asking ---------------------------------------------------------------------------------- */

static void send_packet(struct weir__netstack *net, uint16_t operation, const unsigned char to[6],
			const unsigned char target_mac[6], const unsigned char target_ip[4],
			const unsigned char sender_ip[4])
{
	struct weir__frame *frame =
		weir__frame_new(&net->frames, WEIR_FRAME_HEADROOM, PACKET_BYTES);
	unsigned char *packet;

	if (frame == NULL)
		return;
	packet = weir__frame_extend(frame, PACKET_BYTES);
	weir__put16(packet, HARDWARE_ETHERNET);
	weir__put16(packet + 2, WEIR_ETHERNET_IPV4);
	packet[4] = 6;
	packet[5] = 4;
	weir__put16(packet + 6, operation);
	memcpy(packet + 8, net->cfg.mac, 6);
	memcpy(packet + 14, sender_ip, 4);
	memcpy(packet + 18, target_mac, 6);
	memcpy(packet + 24, target_ip, 4);
	weir__ethernet_output(net, frame, to, WEIR_ETHERNET_ARP);
}

/* Sends a request by broadcast, or to the old MAC when it renews an entry (RFC 1122 2.3.2.1). */
static void ask(struct weir__netstack *net, struct weir__neighbour *entry)
{
	static const unsigned char nobody[6];
	struct weir__ip_address source;
	int rc = weir__ip_source(net, &entry->address, &source);

	WEIR_STACK_ASSERT(rc == 0);	/* a route has led to this neighbour */
	(void)rc;
	entry->asked++;
	net->count.arp_out_requests++;
	weir__netstack_timer_set(net, &entry->timer, net->now_ns + ASK_NS);
	send_packet(net, OPERATION_REQUEST,
		    entry->state == WEIR_ARP_RENEWING ? entry->mac : weir__ethernet_broadcast,
		    nobody, entry->address.bytes + 12, source.bytes + 12);
}

/* No reply arrived. The entry is freed first, because a transport may send to it again. */
static void fail(struct weir__netstack *net, struct weir__neighbour *entry)
{
	static const struct weir__ip_error error = { .kind = WEIR_IP_NO_NEIGHBOUR,
						     .error = -EHOSTUNREACH };
	struct weir__frame_queue frames = give_up(net, entry);
	struct weir__frame *frame;

	net->count.arp_failed++;
	while ((frame = weir__frame_queue_pop(&frames)) != NULL) {
		weir__ip4_failed(net, frame, 0, error);
		weir__netstack_drop(net, frame);
	}
}

static void ask_again(struct weir__netstack *net, struct weir__netstack_timer *timer)
{
	struct weir__neighbour *entry =
		WEIR_STACK_CONTAINER(timer, struct weir__neighbour, timer);

	if (entry->asked < ASKS)
		ask(net, entry);
	else
		fail(net, entry);
}

/* ---- sending --------------------------------------------------------------------------------- */

static void send_to(struct weir__netstack *net, struct weir__neighbour *entry,
		    struct weir__frame *frame)
{
	entry->used_ns = net->now_ns;
	weir__ethernet_output(net, frame, entry->mac, WEIR_ETHERNET_IPV4);
	if (WEIR_STACK_UNLIKELY(entry->state == WEIR_ARP_KNOWN &&
				net->now_ns - entry->confirmed_ns > FRESH_NS)) {
		entry->state = WEIR_ARP_RENEWING;
		entry->asked = 0;
		ask(net, entry);
	}
}

static void wait_for(struct weir__netstack *net, struct weir__neighbour *entry,
		     struct weir__frame *frame)
{
	entry->used_ns = net->now_ns;
	if (!weir__netstack_has_room(net, weir__frame_true_bytes(frame))) {
		net->count.arp_queue_drops++;
		weir__frame_free(&net->frames, frame);
		return;
	}
	if (entry->waiting == net->cfg.neighbour_frames) {
		net->count.arp_queue_drops++;
		weir__netstack_drop(net, weir__frame_queue_pop(&entry->frames));
		entry->waiting--;
	}
	weir__netstack_charge(net, frame);
	weir__frame_queue_push(&entry->frames, frame);
	entry->waiting++;
}

bool weir__arp_output_hop(struct weir__netstack *net, struct weir__frame *frame,
			  const struct weir__hop *hop)
{
	struct weir__neighbour *entry;

	if (hop->entry == 0)
		return false;
	entry = &net->arp.entries[hop->entry - 1];
	if (entry->generation != hop->generation || entry->state < WEIR_ARP_KNOWN)
		return false;
	send_to(net, entry, frame);
	return true;
}

void weir__arp_output(struct weir__netstack *net, struct weir__frame *frame,
		      const struct weir__ip_address *next, struct weir__hop *hop)
{
	struct weir__neighbour *entry = find(net, next);

	if (entry == NULL) {
		entry = take_entry(net, next);
		entry->state = WEIR_ARP_ASKING;
		entry->asked = 0;
		wait_for(net, entry, frame);
		ask(net, entry);
		return;
	}
	if (entry->state == WEIR_ARP_ASKING) {
		wait_for(net, entry, frame);
		return;
	}
	if (hop != NULL) {
		hop->entry = (uint32_t)(entry - net->arp.entries) + 1;
		hop->generation = entry->generation;
	}
	send_to(net, entry, frame);
}

/* ---- receiving ------------------------------------------------------------------------------- */

/* Stores the MAC of a reply, and sends the frames that wait. */
static void learn(struct weir__netstack *net, struct weir__neighbour *entry,
		  const unsigned char mac[6])
{
	struct weir__frame_queue frames = entry->frames;
	struct weir__frame *frame;

	weir__netstack_timer_stop(net, &entry->timer);
	memcpy(entry->mac, mac, 6);
	entry->state = WEIR_ARP_KNOWN;
	entry->confirmed_ns = net->now_ns;
	entry->frames = (struct weir__frame_queue){ NULL, NULL };
	entry->waiting = 0;
	while ((frame = weir__frame_queue_pop(&frames)) != NULL) {
		weir__netstack_discharge(net, frame);
		send_to(net, entry, frame);
	}
}

static void take_reply(struct weir__netstack *net, const unsigned char *packet)
{
	struct weir__ip_address sender = weir__ip_v4(weir__get32(packet + 14));
	struct weir__neighbour *entry = find(net, &sender);

	if (entry == NULL || entry->state == WEIR_ARP_KNOWN)
		net->count.arp_in_unsolicited++;
	else
		learn(net, entry, packet + 8);
}

/* Whether the packet is well-formed, and its sender can be a host other than us. */
static bool is_sound(struct weir__netstack *net, const unsigned char *packet)
{
	struct weir__ip_address sender = weir__ip_v4(weir__get32(packet + 14));
	uint16_t operation = weir__get16(packet + 6);

	if (weir__get16(packet) != HARDWARE_ETHERNET ||
	    weir__get16(packet + 2) != WEIR_ETHERNET_IPV4 || packet[4] != 6 || packet[5] != 4 ||
	    (operation != OPERATION_REQUEST && operation != OPERATION_REPLY) || packet[8] & 1) {
		net->count.arp_in_errors++;
		return false;
	}
	if (weir__ip_is_own(net, &sender)) {
		net->count.arp_in_conflicts++;
		return false;
	}
	/* A probe for a free address has no sender address (RFC 5227). */
	if (!weir__ip_is_unicast(net, &sender) &&
	    !(weir__ip_is_any(&sender) && operation == OPERATION_REQUEST)) {
		net->count.arp_in_errors++;
		return false;
	}
	return true;
}

void weir__arp_input(struct weir__netstack *net, struct weir__frame *frame)
{
	unsigned char packet[PACKET_BYTES];
	struct weir__ip_address target;

	if (weir__frame_copy_out(frame, 0, packet, PACKET_BYTES) < PACKET_BYTES) {
		net->count.arp_in_errors++;
	} else if (is_sound(net, packet)) {
		target = weir__ip_v4(weir__get32(packet + 24));
		if (!weir__ip_is_own(net, &target)) {
			;	/* for another host */
		} else if (weir__get16(packet + 6) == OPERATION_REPLY) {
			take_reply(net, packet);
		} else {
			net->count.arp_out_replies++;
			send_packet(net, OPERATION_REPLY, packet + 8, packet + 8, packet + 14,
				    packet + 24);
		}
	}
	weir__frame_free(&net->frames, frame);
}
