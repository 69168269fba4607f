/* SPDX-License-Identifier: MIT */
/* ip_send.c: sends a packet to its next hop, by broadcast or multicast, or to this instance. */
#include "stack/ethernet.h"
#include "stack/instance.h"

/* Queues a packet to ourselves. It is processed at the end of the turn; its checksums
 * are not verified. */
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

/* The MAC address of an IP multicast address (RFC 1112 6.4). */
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
