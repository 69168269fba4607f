/* SPDX-License-Identifier: MIT */
/* ip.c: the functions of the network layer that dispatch by address family. */
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
