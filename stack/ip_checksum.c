/* SPDX-License-Identifier: MIT */
/* ip_checksum.c: transport checksums, with the pseudo-header of either family. */
#include "stack/checksum.h"
#include "stack/instance.h"

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
