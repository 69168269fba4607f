/* SPDX-License-Identifier: MIT */
/*
 * tcp_rtt.c: the round-trip time and the retransmission timeout (RFC 6298).
 *
 * srtt is kept in 1/8 us and rttvar in 1/4 us, so that the gains of 1/8 and 1/4 are shifts (RFC
 * 6298 section 2, after Jacobson). Nearly every ACK gives a sample, so there are many samples in a
 * round trip, and rttvar would decay too fast (RFC 7323 appendix G). Therefore the RTO uses the
 * largest rttvar of a round trip. A round trip with a smaller one lowers that value by a quarter of
 * the difference. As in Linux, the minimum of 200 ms (RFC 6298 (2.4) has one second) applies to the
 * term of the variation.
 */
#include "stack/tcp_state.h"

/* The window of the minimum filter that RACK uses (RFC 8985 6.2 step 1). */
#define MIN_RTT_WINDOW_MS 300000u

static void sample_minimum(struct weir__tcp *tcp, uint32_t rtt_us)
{
	uint32_t now = weir__tcp_ms(tcp->net);

	if (tcp->min_rtt_us == 0 || rtt_us <= tcp->min_rtt_us ||
	    now - tcp->min_rtt_ms > MIN_RTT_WINDOW_MS) {
		tcp->min_rtt_us = rtt_us;
		tcp->min_rtt_ms = now;
	}
}

/* Tracks the largest rttvar of this round trip, and updates the RTO's at its end. */
static void widen(struct weir__tcp *tcp)
{
	if (tcp->rttvar > tcp->rttvar_round)
		tcp->rttvar_round = tcp->rttvar;
	if (tcp->rttvar_round > tcp->rttvar_rto)
		tcp->rttvar_rto = tcp->rttvar_round;
	if (!weir__after(tcp->snd_una, tcp->rtt_round))
		return;
	if (tcp->rttvar_round < tcp->rttvar_rto)
		tcp->rttvar_rto -= (tcp->rttvar_rto - tcp->rttvar_round) / 4;
	tcp->rttvar_round = 0;
	tcp->rtt_round = tcp->snd_nxt;
}

void weir__tcp_rtt_sample(struct weir__tcp *tcp, uint32_t rtt_us)
{
	int32_t error;

	if (rtt_us == 0)
		rtt_us = 1;
	sample_minimum(tcp, rtt_us);
	if (rtt_us > WEIR_TCP_RTO_MAX_US)
		rtt_us = WEIR_TCP_RTO_MAX_US;
	if (tcp->srtt == 0) {
		tcp->srtt = rtt_us * 8;
		tcp->rttvar = rtt_us * 2;
		tcp->rttvar_rto = tcp->rttvar;
		tcp->rtt_round = tcp->snd_nxt;
	} else {
		error = (int32_t)rtt_us - (int32_t)(tcp->srtt / 8);
		tcp->srtt += (uint32_t)error;
		error = error < 0 ? -error : error;
		tcp->rttvar += (uint32_t)(error - (int32_t)(tcp->rttvar / 4));
		widen(tcp);
	}
	weir__tcp_rto_reset(tcp);
}

void weir__tcp_rto_reset(struct weir__tcp *tcp)
{
	uint32_t variation = tcp->rttvar_rto > WEIR_TCP_RTO_MIN_US ? tcp->rttvar_rto
								   : WEIR_TCP_RTO_MIN_US;

	tcp->backoff = 0;
	tcp->rto_us = WEIR_TCP_RTO_INITIAL_US;
	if (tcp->srtt != 0)
		tcp->rto_us = tcp->srtt / 8 + variation;
	if (tcp->rto_us > WEIR_TCP_RTO_MAX_US)
		tcp->rto_us = WEIR_TCP_RTO_MAX_US;
}
