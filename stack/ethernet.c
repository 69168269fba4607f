/* SPDX-License-Identifier: MIT */
/* ethernet.c: checks, strips and writes Ethernet headers; see ethernet.h. */
#include "stack/ethernet.h"
#include "stack/instance.h"

const unsigned char weir__ethernet_broadcast[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

bool weir__ethernet_input(struct weir__netstack *net, struct weir__frame *frame,
			  uint16_t *ret_type)
{
	unsigned char scratch[WEIR_ETHERNET_HEADER_BYTES];
	const unsigned char *header =
		weir__frame_peek(frame, 0, WEIR_ETHERNET_HEADER_BYTES, scratch);

	net->count.link_in++;
	/* The owner may set these flags; all others are set by the stack. */
	frame->flags &= WEIR_FRAME_CHECKED | WEIR_FRAME_SUMMED | WEIR_FRAME_HASHED;
	if (header == NULL) {
		net->count.link_in_short++;
		return false;
	}
	if (header[0] & 1) {
		frame->flags |= WEIR_FRAME_BROADCAST;
	} else if (memcmp(header, net->cfg.mac, 6) != 0) {
		net->count.link_in_other_host++;
		return false;
	}
	*ret_type = weir__get16(header + 12);
	weir__frame_pull(&net->frames, frame, WEIR_ETHERNET_HEADER_BYTES);
	return true;
}

void weir__ethernet_output(struct weir__netstack *net, struct weir__frame *frame,
			   const unsigned char mac[6], uint16_t type)
{
	unsigned char *header = weir__frame_push(frame, WEIR_ETHERNET_HEADER_BYTES);

	WEIR_STACK_ASSERT(header != NULL && frame->charged == 0);
	memcpy(header, mac, 6);
	memcpy(header + 6, net->cfg.mac, 6);
	weir__put16(header + 12, type);
	frame->flags &= WEIR_FRAME_CHECKSUM;
	net->count.link_out++;
	net->owner->ops->transmit(net->owner, net, frame);
}
