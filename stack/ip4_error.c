/* SPDX-License-Identifier: MIT */
/* ip4_error.c: reads a quoted IPv4 packet that was not delivered, and informs its transport. */
#include "stack/bytes.h"
#include "stack/instance.h"

bool weir__ip4_failed(struct weir__netstack *net, const struct weir__frame *frame, uint32_t offset,
		      struct weir__ip_error error)
{
	unsigned char scratch[WEIR_IP4_HEADER_MAX], quoted[WEIR_IP4_HEADER_MAX];
	const unsigned char *header =
		weir__frame_peek(frame, offset, WEIR_IP4_HEADER_BYTES, scratch);
	uint32_t len;

	if (header == NULL || header[0] >> 4 != 4)
		return false;
	len = (header[0] & 0xfu) * 4;
	error.flow.local = weir__ip_v4(weir__get32(header + 12));
	error.flow.remote = weir__ip_v4(weir__get32(header + 16));
	if (len < WEIR_IP4_HEADER_BYTES || weir__get16(header + 6) & WEIR_IP4_OFFSET_MASK ||
	    !weir__ip_is_own(net, &error.flow.local))
		return false;
	error.quoted = quoted;
	error.quoted_len = weir__frame_copy_out(frame, offset + len, quoted, sizeof(quoted));
	if (error.quoted_len < 8)
		return false;
	error.flow.local_port = weir__get16(quoted);
	error.flow.remote_port = weir__get16(quoted + 2);
	return weir__transport_failed(net, header[9], &error);
}
