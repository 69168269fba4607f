/* SPDX-License-Identifier: MIT */
/* offload.c: see offload.h. */
#include "stack/checksum.h"
#include "stack/ethernet.h"
#include "stack/tcp_state.h"
#include "tests/stack/offload.h"

static void sum_tcp(unsigned char *ip, uint32_t len)
{
	struct weir__ip_address from = weir__ip_v4(weir__get32(ip + 12));
	struct weir__ip_address to = weir__ip_v4(weir__get32(ip + 16));
	unsigned char *tcp = ip + 20;
	uint32_t sum;

	weir__put16(tcp + 16, 0);
	sum = weir__checksum_add(weir__ip_pseudo_sum(&from, &to, WEIR_IP_TCP, len - 20),
				 weir__checksum(tcp, len - 20));
	weir__put_checksum(tcp + 16, weir__checksum_finish(sum));
}

/* Splits a super-frame of TCP, as WEIR_NETSTACK_TSO requires. */
static void carry_segments(struct offload *offload, const unsigned char *bytes, uint32_t len,
			   uint32_t segment_bytes)
{
	const unsigned char *tcp = bytes + WEIR_ETHERNET_HEADER_BYTES + 20;
	uint32_t header = WEIR_ETHERNET_HEADER_BYTES + 20 + (tcp[12] >> 4) * 4u, part;
	static unsigned char frame[OFFLOAD_FRAME_BYTES];
	unsigned char *ip = frame + WEIR_ETHERNET_HEADER_BYTES;
	uint32_t seq = weir__get32(tcp + 4);

	for (uint32_t at = header; at < len; at += part) {
		part = len - at < segment_bytes ? len - at : segment_bytes;
		memcpy(frame, bytes, header);
		memcpy(frame + header, bytes + at, part);
		weir__put16(ip + 2, (uint16_t)(header + part - WEIR_ETHERNET_HEADER_BYTES));
		weir__put16(ip + 10, 0);
		weir__put_checksum(ip + 10, weir__checksum_finish(weir__checksum(ip, 20)));
		weir__put32(ip + 24, seq + at - header);
		if (at + part < len)
			ip[33] &= (unsigned char)~(WEIR_TCP_FIN | WEIR_TCP_PSH);
		sum_tcp(ip, header + part - WEIR_ETHERNET_HEADER_BYTES);
		offload->carry(offload, frame, header + part);
	}
}

void offload_transmit(struct offload *offload, const struct weir__frame *frame)
{
	static unsigned char bytes[OFFLOAD_FRAME_BYTES];
	uint32_t len = weir__frame_copy_out(frame, 0, bytes, OFFLOAD_FRAME_BYTES);

	WEIR_STACK_ASSERT(len == frame->total);
	if (frame->segment_bytes != 0) {
		carry_segments(offload, bytes, len, frame->segment_bytes);
		return;
	}
	if (frame->flags & WEIR_FRAME_CHECKSUM) {
		uint32_t start = frame->checksum_start;

		weir__put_checksum(bytes + start + frame->checksum_offset,
				   weir__checksum_finish(weir__checksum(bytes + start,
									len - start)));
	}
	offload->carry(offload, bytes, len);
}
