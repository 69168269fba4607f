/* SPDX-License-Identifier: MIT */
/*
 * tcp_options.c: parsing and writing of headers and options.
 *
 * Options are written in the order and with the padding that Linux gives them:
 *
 *	SYN	MSS, SACK permitted with timestamps (or two NOPs in its place), NOP and window scale
 *	others	two NOPs and timestamps, two NOPs and SACK blocks
 *
 * An option whose length is below 2 or beyond the header ends the parsing. An option of an
 * unexpected length is skipped, as an unknown option is (RFC 9293 3.1).
 */
#include "stack/tcp_state.h"

enum {
	OPTION_END = 0,
	OPTION_NOP = 1,
	OPTION_MSS = 2,
	OPTION_WSCALE = 3,
	OPTION_SACK_PERMITTED = 4,
	OPTION_SACK = 5,
	OPTION_TIMESTAMPS = 8,
};

/* ---- parsing -------------------------------------------------------------------------------- */

static void parse_sack(const unsigned char *at, unsigned len, struct weir__tcp_segment *segment)
{
	unsigned count = (len - 2) / 8;

	if (len < 10 || (len - 2) % 8 != 0 || count > 4)
		return;
	segment->sack_count = count;
	for (unsigned i = 0; i < count; i++) {
		segment->sack[i].start = weir__get32(at + 2 + 8 * i);
		segment->sack[i].end = weir__get32(at + 6 + 8 * i);
	}
}

static void parse_option(const unsigned char *at, unsigned len, struct weir__tcp_segment *segment)
{
	bool syn = segment->flags & WEIR_TCP_SYN;

	switch (at[0]) {
	case OPTION_MSS:
		if (len == 4 && syn)
			segment->mss = weir__get16(at + 2);
		break;
	case OPTION_WSCALE:
		if (len != 3 || !syn)
			break;
		segment->has_wscale = true;
		/* RFC 7323 2.3: a larger shift count is treated as 14. */
		segment->wscale = at[2] < WEIR_TCP_WSCALE_MAX ? at[2] : WEIR_TCP_WSCALE_MAX;
		break;
	case OPTION_SACK_PERMITTED:
		if (len == 2 && syn)
			segment->sack_permitted = true;
		break;
	case OPTION_SACK:
		parse_sack(at, len, segment);
		break;
	case OPTION_TIMESTAMPS:
		if (len != 10)
			break;
		segment->has_ts = true;
		segment->tsval = weir__get32(at + 2);
		segment->tsecr = weir__get32(at + 6);
		break;
	default:
		break;
	}
}

static void parse_options(const unsigned char *at, uint32_t len, struct weir__tcp_segment *segment)
{
	const unsigned char *end = at + len;

	while (at < end && at[0] != OPTION_END) {
		if (at[0] == OPTION_NOP) {
			at++;
			continue;
		}
		if (end - at < 2 || at[1] < 2 || at[1] > end - at)
			return;
		parse_option(at, at[1], segment);
		at += at[1];
	}
}

uint32_t weir__tcp_parse(const struct weir__frame *frame, const struct weir__ip_rx *rx,
			 struct weir__tcp_segment *ret_segment)
{
	unsigned char scratch[WEIR_TCP_HEADER + WEIR_TCP_OPTIONS_MAX];
	const unsigned char *header = weir__frame_peek(frame, 0, WEIR_TCP_HEADER, scratch);
	uint32_t bytes;

	if (header == NULL)
		return 0;
	bytes = (header[12] >> 4) * 4u;
	if (bytes < WEIR_TCP_HEADER)
		return 0;
	header = weir__frame_peek(frame, 0, bytes, scratch);
	if (header == NULL)
		return 0;
	*ret_segment = (struct weir__tcp_segment){
		.flow = { .local = rx->destination,
			  .remote = rx->source,
			  .local_port = weir__get16(header + 2),
			  .remote_port = weir__get16(header) },
		.seq = weir__get32(header + 4),
		.ack = weir__get32(header + 8),
		.len = frame->total - bytes,
		.window = weir__get16(header + 14),
		.flags = header[13],
		.tos = rx->tos,
	};
	ret_segment->end = ret_segment->seq + ret_segment->len +
			   !!(header[13] & WEIR_TCP_SYN) + !!(header[13] & WEIR_TCP_FIN);
	parse_options(header + WEIR_TCP_HEADER, bytes - WEIR_TCP_HEADER, ret_segment);
	return bytes;
}

/* ---- writing -------------------------------------------------------------------------------- */

static unsigned char *put_timestamps(unsigned char *at, uint32_t tsval, uint32_t tsecr)
{
	*at++ = OPTION_TIMESTAMPS;
	*at++ = 10;
	weir__put32(at, tsval);
	weir__put32(at + 4, tsecr);
	return at + 8;
}

static unsigned char *put_nops(unsigned char *at, unsigned count)
{
	while (count-- > 0)
		*at++ = OPTION_NOP;
	return at;
}

uint32_t weir__tcp_write_syn_options(unsigned char *to, const struct weir__tcp_syn_options *syn)
{
	unsigned char *at = to;

	*at++ = OPTION_MSS;
	*at++ = 4;
	weir__put16(at, syn->mss);
	at += 2;
	if (syn->sack) {
		if (!syn->timestamps)
			at = put_nops(at, 2);
		*at++ = OPTION_SACK_PERMITTED;
		*at++ = 2;
	} else if (syn->timestamps) {
		at = put_nops(at, 2);
	}
	if (syn->timestamps)
		at = put_timestamps(at, syn->tsval, syn->tsecr);
	if (syn->wscale) {
		*at++ = OPTION_NOP;
		*at++ = OPTION_WSCALE;
		*at++ = 3;
		*at++ = syn->shift;
	}
	WEIR_STACK_ASSERT((at - to) % 4 == 0);
	return (uint32_t)(at - to);
}

uint32_t weir__tcp_options_bytes(const struct weir__tcp *tcp, unsigned blocks)
{
	return (tcp->timestamps ? WEIR_TCP_TIMESTAMPS_BYTES : 0) +
	       (blocks > 0 ? 4 + 8 * blocks : 0);
}

void weir__tcp_write_options(unsigned char *to, const struct weir__tcp *tcp,
			     const struct weir__tcp_block *blocks, unsigned count)
{
	if (tcp->timestamps) {
		to = put_nops(to, 2);
		to = put_timestamps(to, weir__tcp_clock(tcp), tcp->ts_recent);
	}
	if (count == 0)
		return;
	to = put_nops(to, 2);
	*to++ = OPTION_SACK;
	*to++ = (unsigned char)(2 + 8 * count);
	for (unsigned i = 0; i < count; i++, to += 8) {
		weir__put32(to, blocks[i].start);
		weir__put32(to + 4, blocks[i].end);
	}
}
