/* SPDX-License-Identifier: MIT */
/*
 * tcp_cookie.c: SYN cookies (RFC 4987 3.6): a handshake that stores no state. The SYN-ACK contains
 * what the connection needs, and the ACK returns it:
 *
 *	sequence number		5 bits	time, in units of 64 s
 *				3 bits	index of the MSS
 *				24 bits	SipHash of the flow, the peer's sequence number, time and index
 *	timestamp, low bits	4 bits	the peer's window scale, 15: none
 *				1 bit	SACK is permitted
 *
 * Without timestamps, the connection has neither window scaling nor SACK. A cookie is valid for one
 * to two minutes. A listener checks cookies only if it has sent some in the last two minutes.
 */
#include "stack/siphash.h"
#include "stack/tcp_state.h"

#define UNIT_MS 64000u
#define OPTION_MASK 31u
#define NO_WSCALE 15u
#define SACK_BIT 16u

static const uint16_t sizes[8] = { 216, 536, 1024, 1220, 1360, 1440, 1460, 8960 };

struct cookie_input {
	struct weir__flow flow;
	uint32_t irs, time, index, zero;
};

static uint32_t code(struct weir__netstack *net, const struct weir__flow *flow, uint32_t irs,
		     uint32_t time, uint32_t index)
{
	struct cookie_input input = { *flow, irs, time, index, 0 };

	return (uint32_t)weir__siphash(net->tcp->cookie_secret, &input, sizeof(input)) & 0xffffff;
}

static uint32_t time_of(const struct weir__netstack *net)
{
	return (uint32_t)(net->now_ns / WEIR_NETSTACK_MSEC / UNIT_MS);
}

/* The largest of the sizes that does not exceed the peer's MSS. */
static uint32_t index_of(uint16_t mss)
{
	uint32_t index = 7;

	while (index > 0 && sizes[index] > mss)
		index--;
	return index;
}

/* The clock with the options in its low bits, rounded down so that it is not ahead of the clock. */
static uint32_t clock_with(uint32_t clock, uint32_t options)
{
	uint32_t with = (clock & ~OPTION_MASK) | options;

	return weir__after(with, clock) ? with - OPTION_MASK - 1 : with;
}

void weir__tcp_cookie_send(struct weir__tcp_listener *listener, struct weir__tcp_request *syn)
{
	struct weir__netstack *net = listener->net;
	uint32_t index = index_of(syn->mss), time = time_of(net), options, clock;

	if (!syn->timestamps) {
		syn->wscale = false;
		syn->sack = false;
	}
	syn->iss = (time & 31) << 27 | index << 24 | code(net, &syn->flow, syn->irs, time, index);
	options = (syn->wscale ? syn->snd_wscale : NO_WSCALE) | (syn->sack ? SACK_BIT : 0);
	clock = weir__tcp_ms(net) + weir__tcp_timestamp_offset(net, &syn->flow);
	listener->overflowed = true;
	listener->overflowed_ms = weir__tcp_ms(net);
	net->count.tcp_cookies_sent++;
	weir__tcp_send_synack(listener, syn, clock_with(clock, options));
}

static bool is_genuine(struct weir__netstack *net, const struct weir__tcp_segment *segment)
{
	uint32_t cookie = segment->ack - 1, now = time_of(net);
	uint32_t age = (now - (cookie >> 27)) & 31;

	return age <= 1 && (cookie & 0xffffff) == code(net, &segment->flow, segment->seq - 1,
						       now - age, cookie >> 24 & 7);
}

bool weir__tcp_cookie_check(struct weir__tcp_listener *listener,
			    const struct weir__tcp_segment *segment,
			    struct weir__tcp_request *ret_request)
{
	struct weir__netstack *net = listener->net;
	uint32_t options = segment->has_ts ? segment->tsecr & OPTION_MASK : NO_WSCALE;

	if (!listener->overflowed ||
	    weir__tcp_ms(net) - listener->overflowed_ms > 2 * UNIT_MS)
		return false;
	if (!is_genuine(net, segment)) {
		net->count.tcp_cookies_failed++;
		return false;
	}
	net->count.tcp_cookies_received++;
	*ret_request = (struct weir__tcp_request){
		.flow = segment->flow,
		.listener = listener,
		.net = net,
		.irs = segment->seq - 1,
		.iss = segment->ack - 1,
		.ts_recent = segment->tsval,
		.mss = sizes[(segment->ack - 1) >> 24 & 7],
		.timestamps = segment->has_ts,
		.wscale = (options & NO_WSCALE) != NO_WSCALE,
		.sack = options & SACK_BIT,
	};
	if (ret_request->wscale)
		ret_request->snd_wscale = options & NO_WSCALE;
	return true;
}
