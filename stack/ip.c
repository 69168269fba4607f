/* SPDX-License-Identifier: MIT */
/*
 * ip.c: what both families have in common: sums over the pseudo-header, the way to the next hop or
 * back to this instance, and handing packets to transports.
 */
#include "stack/checksum.h"
#include "stack/ethernet.h"
#include "stack/instance.h"

int weir__ip_init(struct weir__netstack *net)
{
	int rc;

	net->owner->ops->random(net->owner, net->ip.ids, sizeof(net->ip.ids));
	net->ip.icmp_tokens = WEIR_ICMP_BURST;
	net->ip.icmp_refilled_ns = net->now_ns;
	rc = weir__path_mtus_init(net);
	if (rc < 0)
		return rc;
	return weir__reassembly_init(net);
}

void weir__ip_fini(struct weir__netstack *net)
{
	struct weir__frame *frame;

	while ((frame = weir__frame_queue_pop(&net->ip.looped)) != NULL)
		weir__netstack_drop(net, frame);
	weir__reassembly_fini(net);
	weir__path_mtus_fini(net);
}

/* ---- sums ------------------------------------------------------------------------------------ */

uint32_t weir__ip_pseudo_sum(const struct weir__ip_address *source,
			     const struct weir__ip_address *destination, uint8_t protocol,
			     uint32_t len)
{
	uint32_t addresses[2], rest, sum;

	if (WEIR_STACK_LIKELY(weir__ip_is_v4(source))) {
		memcpy(&addresses[0], source->bytes + 12, 4);
		memcpy(&addresses[1], destination->bytes + 12, 4);
	} else {
		addresses[0] = weir__checksum(source->bytes, 16);
		addresses[1] = weir__checksum(destination->bytes, 16);
	}
	weir__put32((unsigned char *)&rest, len);
	sum = weir__checksum_add(addresses[0], addresses[1]);
	sum = weir__checksum_add(sum, rest);
	weir__put32((unsigned char *)&rest, protocol);
	return weir__checksum_add(sum, rest);
}

void weir__ip_checksum(struct weir__netstack *net, struct weir__frame *frame,
		       const struct weir__ip_tx *tx, uint16_t offset)
{
	uint32_t sum = weir__ip_pseudo_sum(&tx->source, &tx->destination, tx->protocol,
					   frame->total);
	uint16_t checksum;

	WEIR_STACK_ASSERT(frame->len >= offset + 2u && !(frame->flags & WEIR_FRAME_SUMMED));
	if (net->cfg.offloads & WEIR_NETSTACK_TX_CHECKSUM) {
		frame->flags |= WEIR_FRAME_CHECKSUM;
		frame->checksum_start = 0;
		frame->checksum_offset = offset;
		weir__put_checksum(frame->data + offset, weir__checksum_fold(sum));
		return;
	}
	weir__put_checksum(frame->data + offset, 0);
	checksum = weir__checksum_finish(weir__checksum_add(sum, weir__frame_sum(frame, 0)));
	if (checksum == 0 && tx->protocol == WEIR_IP_UDP)	/* 0: no checksum */
		checksum = UINT16_MAX;
	weir__put_checksum(frame->data + offset, checksum);
}

void weir__ip_complete_checksum(struct weir__frame *frame)
{
	uint32_t at = (uint32_t)frame->checksum_start + frame->checksum_offset;
	struct weir__frame *piece = frame;
	uint16_t checksum;

	if (!(frame->flags & WEIR_FRAME_CHECKSUM))
		return;
	checksum = weir__checksum_finish(weir__frame_sum(frame, frame->checksum_start));
	for (; at >= piece->len; piece = piece->next)
		at -= piece->len;
	weir__put_checksum(piece->data + at, checksum == 0 ? UINT16_MAX : checksum);
	frame->flags &= (uint16_t)~WEIR_FRAME_CHECKSUM;
}

bool weir__ip_checksum_good(const struct weir__frame *frame, const struct weir__ip_rx *rx)
{
	uint32_t sum;

	if (frame->flags & WEIR_FRAME_CHECKED)
		return true;
	sum = weir__ip_pseudo_sum(&rx->source, &rx->destination, rx->protocol, frame->total);
	return weir__checksum_finish(weir__checksum_add(sum, weir__frame_sum(frame, 0))) == 0;
}

/* ---- out ------------------------------------------------------------------------------------- */

/* Queues a packet to ourselves. It is processed at the end of the turn, without checksums. */
static int loop(struct weir__netstack *net, struct weir__frame *frame)
{
	if (!weir__netstack_has_room(net, weir__frame_true_bytes(frame))) {
		net->count.ip_out_discards++;
		weir__frame_free(&net->frames, frame);
		return 0;
	}
	frame->flags = WEIR_FRAME_LOOPED | WEIR_FRAME_CHECKED;
	weir__netstack_charge(net, frame);
	weir__frame_queue_push(&net->ip.looped, frame);
	return 0;
}

void weir__ip_input_looped(struct weir__netstack *net)
{
	struct weir__frame_queue queue = net->ip.looped;
	struct weir__frame *frame;

	net->ip.looped = (struct weir__frame_queue){ NULL, NULL };
	while ((frame = weir__frame_queue_pop(&queue)) != NULL) {
		weir__netstack_discharge(net, frame);
		weir__ip4_input(net, frame);
	}
}

/* The MAC of a multicast address (RFC 1112 6.4). */
static void multicast_mac(unsigned char mac[6], const struct weir__ip_address *address)
{
	mac[0] = 0x01;
	mac[1] = 0x00;
	mac[2] = 0x5e;
	memcpy(mac + 3, address->bytes + 13, 3);
	mac[3] &= 0x7f;
}

static int send_to_many(struct weir__netstack *net, struct weir__frame *frame,
			const struct weir__ip_tx *tx)
{
	unsigned char mac[6];

	memcpy(mac, weir__ethernet_broadcast, 6);
	if (weir__ip_is_multicast(&tx->destination))
		multicast_mac(mac, &tx->destination);
	weir__ethernet_output(net, frame, mac, WEIR_ETHERNET_IPV4);
	return 0;
}

int weir__ip_send(struct weir__netstack *net, struct weir__frame *frame,
		  const struct weir__ip_tx *tx)
{
	const struct weir__route *route;

	if (tx->hop != NULL && weir__arp_output_hop(net, frame, tx->hop))
		return 0;
	if (weir__ip_is_own(net, &tx->destination))
		return loop(net, frame);
	if (weir__ip_is_broadcast(net, &tx->destination) ||
	    weir__ip_is_multicast(&tx->destination))
		return send_to_many(net, frame, tx);
	route = weir__route_find(net, &tx->destination);
	if (route == NULL) {
		net->count.ip_out_no_routes++;
		weir__frame_free(&net->frames, frame);
		return -ENETUNREACH;
	}
	weir__arp_output(net, frame,
			 weir__ip_is_any(&route->gateway) ? &tx->destination : &route->gateway,
			 tx->hop);
	return 0;
}

/* Makes room for the lower headers, in a new block if the first piece has no headroom. */
static struct weir__frame *with_headroom(struct weir__netstack *net, struct weir__frame *frame)
{
	const struct weir__block *block = frame->block;
	struct weir__frame *front;

	if (block->refs == 1 && frame->data - block->base >= 20 + WEIR_ETHERNET_HEADER_BYTES)
		return frame;
	front = weir__frame_new(&net->frames, WEIR_FRAME_HEADROOM, 0);
	if (front == NULL)
		return NULL;
	front->flags = frame->flags & (uint16_t)~WEIR_FRAME_SUMMED;
	front->segment_bytes = frame->segment_bytes;
	front->checksum_start = frame->checksum_start;
	front->checksum_offset = frame->checksum_offset;
	weir__frame_append(&net->frames, front, frame);
	return front;
}

static int refuse(struct weir__netstack *net, struct weir__frame *frame, int error)
{
	net->count.ip_out_discards++;
	weir__frame_free(&net->frames, frame);
	return error;
}

int weir__ip_output(struct weir__netstack *net, struct weir__frame *frame,
		    const struct weir__ip_tx *tx)
{
	struct weir__frame *ready;

	net->count.ip_out_requests++;
	if (!weir__ip_is_v4(&tx->destination) || weir__ip_is_any(&tx->destination))
		return refuse(net, frame, -ENETUNREACH);
	if (!(tx->flags & WEIR_IP_BROADCAST) && weir__ip_is_broadcast(net, &tx->destination))
		return refuse(net, frame, -EACCES);
	ready = with_headroom(net, frame);
	if (ready == NULL)
		return refuse(net, frame, -ENOMEM);
	return weir__ip4_output(net, ready, tx);
}
