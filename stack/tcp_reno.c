/* SPDX-License-Identifier: MIT */
/* tcp_reno.c: the congestion control of RFC 5681, and functions that both controls use. */
#include "stack/tcp_state.h"

uint32_t weir__tcp_slow_start(struct weir__tcp *tcp, uint32_t acked)
{
	uint32_t room;

	if (tcp->cwnd >= tcp->ssthresh)
		return acked;
	room = tcp->ssthresh - tcp->cwnd;
	if (acked <= room) {
		tcp->cwnd += acked;
		return 0;
	}
	tcp->cwnd = tcp->ssthresh;
	return acked - room;
}

void weir__tcp_grow_by(struct weir__tcp *tcp, uint32_t per, uint32_t acked)
{
	uint32_t *credit = &tcp->cubic.credit;

	if (per == 0)
		per = 1;
	*credit += acked;
	if (*credit >= per) {
		tcp->cwnd += *credit / per;
		*credit %= per;
	}
}

static void init(struct weir__tcp *tcp)
{
	(void)tcp;
}

/* RFC 5681 (4), with cwnd for FlightSize: the window grows only if it is fully used. */
static uint32_t shrink(struct weir__tcp *tcp)
{
	uint32_t half = tcp->cwnd / 2;

	tcp->cubic.credit = 0;
	return half > 2 ? half : 2;
}

static void grow(struct weir__tcp *tcp, uint32_t acked)
{
	acked = weir__tcp_slow_start(tcp, acked);
	if (acked > 0)
		weir__tcp_grow_by(tcp, tcp->cwnd, acked);
}

const struct weir__tcp_congestion weir__tcp_reno = {
	.name = "reno",
	.init = init,
	.shrink = shrink,
	.grow = grow,
};
