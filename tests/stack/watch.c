/* SPDX-License-Identifier: MIT */
/* watch.c: see watch.h. */
#include <stddef.h>
#include <string.h>

#include "stack/bytes.h"
#include "tests/stack/watch.h"

enum {
	FIN = 0x01,
	SYN = 0x02,
	RST = 0x04,
	ACK = 0x10,
};

struct segment {
	uint16_t source, destination;
	uint32_t seq, ack, len, window;
	uint8_t flags;
	bool has_wscale;
	uint8_t wscale;
	unsigned sack_count;
	uint32_t sack[4][2];
};

static bool before(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

static uint32_t latest(uint32_t a, uint32_t b)
{
	return before(a, b) ? b : a;
}

static void complain(struct watch *watch, const char *why)
{
	if (watch->why == NULL)
		watch->why = why;
}

/* ---- the header ----------------------------------------------------------------------------- */

static void parse_option(struct segment *segment, const unsigned char *option)
{
	if (option[0] == 3) {
		segment->has_wscale = true;
		segment->wscale = option[2];
	} else if (option[0] == 5) {
		for (unsigned at = 2; at + 8 <= option[1] && segment->sack_count < 4; at += 8) {
			segment->sack[segment->sack_count][0] = weir__get32(option + at);
			segment->sack[segment->sack_count][1] = weir__get32(option + at + 4);
			segment->sack_count++;
		}
	}
}

static void parse_options(struct segment *segment, const unsigned char *at,
			  const unsigned char *end)
{
	while (at < end && at[0] != 0) {
		if (at[0] == 1) {
			at++;
			continue;
		}
		if (at + 1 >= end || at[1] < 2 || at + at[1] > end)
			return;
		parse_option(segment, at);
		at += at[1];
	}
}

/* Whether an IPv4 packet is a fragment: it has an offset, or more fragments follow. */
static bool is_fragment(const unsigned char *frame)
{
	return weir__get16(frame + 12) == 0x0800 && weir__get16(frame + 20) & 0x3fff;
}

/* Whether a frame is TCP in IPv4 without options and fragmentation. */
static bool is_tcp(const unsigned char *frame, uint32_t len)
{
	return len >= 54 && weir__get16(frame + 12) == 0x0800 && frame[14] == 0x45 &&
	       frame[23] == 6 && !is_fragment(frame);
}

static bool parse(struct segment *segment, const unsigned char *frame, uint32_t len)
{
	const unsigned char *ip = frame + 14, *tcp = ip + 20;
	uint32_t header, total;

	if (!is_tcp(frame, len))
		return false;
	total = weir__get16(ip + 2);
	header = (tcp[12] >> 4) * 4u;
	if (total + 14 > len || header < 20 || header + 20 > total)
		return false;
	*segment = (struct segment){
		.source = weir__get16(tcp),
		.destination = weir__get16(tcp + 2),
		.seq = weir__get32(tcp + 4),
		.ack = weir__get32(tcp + 8),
		.len = total - 20 - header,
		.window = weir__get16(tcp + 14),
		.flags = tcp[13],
	};
	parse_options(segment, tcp + 20, tcp + header);
	return true;
}

/* ---- flows ---------------------------------------------------------------------------------- */

static struct watch_flow *find(struct watch *watch, unsigned from, const struct segment *segment)
{
	struct watch_flow *flow;

	for (unsigned i = 0; i < watch->count; i++) {
		flow = &watch->flows[i];
		if (flow->half[from].port == segment->source &&
		    flow->half[!from].port == segment->destination)
			return flow;
	}
	if (watch->count == WATCH_FLOWS)
		return NULL;
	flow = &watch->flows[watch->count++];
	memset(flow, 0, sizeof(*flow));
	flow->half[from].port = segment->source;
	flow->half[!from].port = segment->destination;
	return flow;
}

/* A SYN with another number begins a new connection with the same ports. A SYN-ACK with another
 * number answers an old SYN, or has a cookie: the other end may accept either. */
static void see_syn(struct watch_flow *flow, unsigned from, const struct segment *segment)
{
	struct watch_half *half = &flow->half[from];

	if (half->known && half->first == segment->seq) {
		/* A repeated cookie is the same within its unit of time. */
		flow->unsure |= half->has_ack && segment->ack != half->ack;
		return;
	}
	if (half->known && segment->flags & ACK) {
		flow->unsure = true;
		return;
	}
	if (half->known) {
		uint16_t port = flow->half[!from].port;

		memset(flow, 0, sizeof(*flow));
		flow->half[!from].port = port;
	}
	*half = (struct watch_half){
		.port = segment->source,
		.known = true,
		.first = segment->seq,
		.end = segment->seq + 1,
		.scales = segment->has_wscale,
		.wscale = segment->wscale,
	};
}

static uint32_t edge_of(const struct watch_flow *flow, unsigned from,
			const struct segment *segment)
{
	bool scaled = !(segment->flags & SYN) && flow->half[0].scales && flow->half[1].scales;

	return segment->ack + (segment->window << (scaled ? flow->half[from].wscale : 0));
}

/* ---- the checks ----------------------------------------------------------------------------- */

static void check_sequence(struct watch *watch, struct watch_half *half,
			   const struct watch_half *other, const struct segment *segment)
{
	uint32_t len = segment->len + ((segment->flags & FIN) != 0);
	uint32_t end = segment->seq + len;

	if (len == 0 || segment->flags & SYN || !half->known)
		return;
	if (!watch->mtu_lowered && before(half->end, segment->seq))
		complain(watch, "a gap in what was sent");
	if (!other->has_granted || before(other->granted, end))
		complain(watch, "data outside the window");
	if (half->fin && before(half->end, end))
		complain(watch, "data behind FIN");
	half->end = latest(half->end, end);
	half->fin |= (segment->flags & FIN) != 0;
}

static void check_ack(struct watch *watch, const struct watch_flow *flow, unsigned from,
		      struct watch_half *half, const struct segment *segment)
{
	const struct watch_half *other = &flow->half[!from];
	uint32_t edge = edge_of(flow, from, segment);

	if (!half->known || !other->known)
		return;
	if (before(other->end, segment->ack))
		complain(watch, "an ACK of what was not sent");
	if (half->has_ack && before(segment->ack, half->ack))
		complain(watch, "an ACK that goes back");
	for (unsigned i = 0; i < segment->sack_count; i++)
		if (!before(segment->sack[i][0], segment->sack[i][1]) ||
		    before(other->end, segment->sack[i][1]))
			complain(watch, "a SACK block of what was not sent");
	/* A window is rounded to its scale. It has no meaning once the FIN is acknowledged, and
	 * TIME-WAIT offers no window. */
	if (half->has_edge && !(other->fin && segment->ack == other->end) &&
	    !(half->fin && segment->window == 0) &&
	    before(edge + (1u << half->wscale), half->edge))
		complain(watch, "a window that shrinks");
	half->edge = half->has_edge ? latest(half->edge, edge) : edge;
	half->ack = segment->ack;
	half->has_ack = true;
	half->has_edge = true;
}

void watch_sent(struct watch *watch, unsigned from, const unsigned char *frame, uint32_t len)
{
	struct watch_flow *flow;
	struct watch_half *half;
	struct segment segment;

	if (!parse(&segment, frame, len)) {
		if (is_tcp(frame, len))
			complain(watch, "a header that is none");
		return;
	}
	watch->segments++;
	flow = find(watch, from, &segment);
	if (flow == NULL || segment.flags & RST)
		return;
	half = &flow->half[from];
	if (segment.flags & SYN)
		see_syn(flow, from, &segment);
	if (flow->unsure)
		return;
	check_sequence(watch, half, &flow->half[!from], &segment);
	if (segment.flags & ACK)
		check_ack(watch, flow, from, half, &segment);
}

void watch_arrived(struct watch *watch, unsigned from, const unsigned char *frame, uint32_t len)
{
	struct watch_flow *flow;
	struct watch_half *half;
	struct segment segment;
	uint32_t edge;

	if (!parse(&segment, frame, len))
		return;
	flow = find(watch, from, &segment);
	if (flow == NULL || (segment.flags & (RST | ACK)) != ACK)
		return;
	half = &flow->half[from];
	if (!half->has_edge)
		return;
	edge = edge_of(flow, from, &segment);
	half->granted = half->has_granted ? latest(half->granted, edge) : edge;
	half->has_granted = true;
}

void watch_print(struct watch *watch, unsigned from, const unsigned char *frame, uint32_t len,
		 FILE *file, double seconds, const char *what)
{
	struct watch_flow *flow;
	struct segment segment;
	uint32_t mine, theirs;

	if (!parse(&segment, frame, len) || (flow = find(watch, from, &segment)) == NULL)
		return;
	mine = flow->half[from].first;
	theirs = flow->half[!from].first;
	fprintf(file, "%12.6f %u %-8s %5u > %-5u %c%c%c%c seq %u:%u ack %u win %u", seconds, from,
		what, segment.source, segment.destination, segment.flags & SYN ? 'S' : '-',
		segment.flags & FIN ? 'F' : '-', segment.flags & RST ? 'R' : '-',
		segment.flags & ACK ? 'A' : '-', segment.seq - mine,
		segment.seq - mine + segment.len, segment.ack - theirs,
		segment.flags & ACK ? edge_of(flow, from, &segment) - segment.ack : segment.window);
	for (unsigned i = 0; i < segment.sack_count; i++)
		fprintf(file, " sack %u:%u", segment.sack[i][0] - theirs,
			segment.sack[i][1] - theirs);
	fputc('\n', file);
}
