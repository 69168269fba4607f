/* SPDX-License-Identifier: MIT */
/*
 * tcp_rack.c: RACK-TLP (RFC 8985): loss detection by time instead of by counting duplicate ACKs.
 *
 * A segment is lost if a segment that was sent later has been delivered, and a round-trip time plus
 * the reordering window have passed since it was sent. All segments of a burst have the same time,
 * so equal times are ordered by end sequence number. The list by time holds exactly the segments
 * that may be marked lost, oldest first. Therefore the search ends at the first segment that was
 * sent after the delivered one.
 *
 * A tail loss probe makes the peer send an ACK when the last segments of a flight may be lost:
 * after two round-trip times without an ACK, the sender transmits a new segment, or else the
 * last one again.
 */
#include "stack/tcp_state.h"

#define PERSIST_RECOVERIES 16u	/* RFC 8985 6.2 step 4 */
#define TLP_SLACK_US 2000u	/* for the rounding of timers */

/* ---- RACK ----------------------------------------------------------------------------------- */

static bool sent_after(uint64_t a_ns, uint32_t a_end, uint64_t b_ns, uint32_t b_end)
{
	return a_ns > b_ns || (a_ns == b_ns && weir__after(a_end, b_end));
}

/* RFC 8985 6.2 steps 2 and 3, for one segment that was acknowledged or SACKed. The order in
 * which the segments of one ACK arrived is unknown, so the ACK's own segments do not count
 * as reordered among themselves: a segment was reordered if an earlier ACK had reported one
 * with higher numbers. */
void weir__tcp_rack_delivered(struct weir__tcp *tcp, const struct weir__tcp_sent *sent,
			      const struct weir__tcp_segment *segment, struct weir__tcp_ack *ack)
{
	uint32_t rtt_us = (uint32_t)((tcp->net->now_ns - sent->sent_ns) / 1000);
	bool again = sent->flags & WEIR_TCP_SENT_EVER_AGAIN;

	if (!again && !ack->reordered && weir__before(sent->end, ack->rack_fack)) {
		ack->reordered = true;
		if (tcp->reord_seen < UINT16_MAX)
			tcp->reord_seen++;
	}
	if (weir__after(sent->end, tcp->rack_fack))
		tcp->rack_fack = sent->end;
	/* Step 2: the ACK of a retransmitted segment may be for the original. The echoed timestamp
	 * shows it, but only in an ACK that covers the segment: a SACK of a tail loss probe echoes
	 * the timestamp of older data. */
	if (again && tcp->timestamps && segment->has_ts &&
	    !weir__before(segment->ack, sent->end) &&
	    weir__before(segment->tsecr, (uint32_t)(sent->sent_ns / WEIR_NETSTACK_MSEC) +
						 tcp->ts_offset))
		return;
	if (again && rtt_us < tcp->min_rtt_us)
		return;
	tcp->rack_rtt_us = rtt_us;
	tcp->rack_advanced = true;
	if (sent_after(sent->sent_ns, sent->end, tcp->rack_sent_ns, tcp->rack_end)) {
		tcp->rack_sent_ns = sent->sent_ns;
		tcp->rack_end = sent->end;
	}
}

/* Step 4: the reordering window grows with each round trip in which a D-SACK was received. */
void weir__tcp_rack_tune(struct weir__tcp *tcp)
{
	if (!tcp->dsack_seen || weir__before(tcp->snd_una, tcp->rack_round))
		return;
	tcp->rack_round = tcp->snd_nxt;
	if (tcp->rack_multiplier < UINT8_MAX)
		tcp->rack_multiplier++;
	tcp->rack_persist = PERSIST_RECOVERIES;
}

static uint32_t reorder_window_us(const struct weir__tcp *tcp)
{
	uint32_t window;

	if (tcp->reord_seen == 0 &&
	    (tcp->ca_state >= WEIR_TCP_CA_RECOVERY || tcp->sacked_out >= WEIR_TCP_DUPLICATES))
		return 0;
	window = tcp->min_rtt_us / 4 * tcp->rack_multiplier;
	return window < tcp->srtt / 8 ? window : tcp->srtt / 8;
}

/* Section 6.2 step 5. */
uint32_t weir__tcp_rack_detect(struct weir__tcp *tcp)
{
	struct weir__frame *frame = tcp->newest == NULL ? NULL : weir__tcp_sent(tcp->newest)->newer;
	uint64_t patience = ((uint64_t)tcp->rack_rtt_us + reorder_window_us(tcp)) * 1000;
	uint64_t due, latest = 0;

	tcp->rack_advanced = false;
	while (frame != NULL) {
		struct weir__tcp_sent *sent = weir__tcp_sent(frame);
		struct weir__frame *next = frame == tcp->newest ? NULL : sent->newer;

		if (!sent_after(tcp->rack_sent_ns, tcp->rack_end, sent->sent_ns, sent->end))
			break;
		due = sent->sent_ns + patience;
		if (due <= tcp->net->now_ns)
			weir__tcp_mark_lost(tcp, frame);
		else
			latest = due;
		frame = next;
	}
	return latest == 0 ? 0 : (uint32_t)((latest - tcp->net->now_ns) / 1000) + 1;
}

/* Section 6.3: after an RTO the first segment is lost, and so are the others that were sent
 * long enough ago. Without SACK the state of the others is unknown, and all are retransmitted
 * (RFC 5681 3.1). */
void weir__tcp_rack_timed_out(struct weir__tcp *tcp)
{
	uint64_t patience = ((uint64_t)tcp->rack_rtt_us + reorder_window_us(tcp)) * 1000;

	for (struct weir__frame *frame = tcp->first; frame != tcp->unsent; frame = frame->queued)
		if (frame == tcp->first || !tcp->sack ||
		    weir__tcp_sent(frame)->sent_ns + patience <= tcp->net->now_ns)
			weir__tcp_mark_lost(tcp, frame);
}

/* ---- TLP ------------------------------------------------------------------------------------ */

/* The time until the RTO expires. It is counted from now if an ACK has just advanced snd_una (RFC
 * 6298 (5.3)), else from the transmission of the first segment. */
static uint64_t timeout_us(const struct weir__tcp *tcp, bool advanced)
{
	uint64_t due = weir__tcp_sent(tcp->first)->sent_ns + tcp->rto_us * 1000ull;

	if (advanced)
		return tcp->rto_us;
	return due > tcp->net->now_ns ? (due - tcp->net->now_ns) / 1000 : 0;
}

/* Section 7.2. */
bool weir__tcp_tlp_schedule(struct weir__tcp *tcp, bool advanced)
{
	uint64_t probe_us = WEIR_TCP_RTO_INITIAL_US, timeout;

	if (tcp->packets_out == 0 || !tcp->sack || tcp->sacked_out > 0 || tcp->tlp_high != 0 ||
	    tcp->ca_state > WEIR_TCP_CA_DISORDER || tcp->backoff > 0)
		return false;
	if (tcp->srtt != 0) {
		probe_us = tcp->srtt / 4;
		probe_us += tcp->packets_out == 1 ? WEIR_TCP_RTO_MIN_US : TLP_SLACK_US;
	}
	timeout = timeout_us(tcp, advanced);
	if (probe_us > timeout)
		probe_us = timeout;
	weir__tcp_timer_set(tcp, WEIR_TCP_TIMER_LOSS_PROBE, probe_us * 1000);
	return true;
}

/* Section 7.3. */
void weir__tcp_tlp_send(struct weir__tcp *tcp)
{
	uint32_t nxt = tcp->snd_nxt;
	bool sent = weir__tcp_send_one(tcp);

	if (!sent && tcp->packets_out > 0) {
		struct weir__frame *frame = tcp->first;

		while (frame->queued != tcp->unsent)
			frame = frame->queued;
		if (!(weir__tcp_sent(frame)->flags & WEIR_TCP_SENT_SACKED))
			sent = weir__tcp_retransmit(tcp, frame);
		tcp->tlp_retrans = true;
	} else {
		tcp->tlp_retrans = false;
	}
	if (sent) {
		tcp->tlp_high = nxt == tcp->snd_nxt ? nxt : tcp->snd_nxt;
		tcp->tlp_high += tcp->tlp_high == 0;
		tcp->net->count.tcp_loss_probes++;
	}
	weir__tcp_rearm(tcp);
}

/*
 * Section 7.4: if the probe repaired a loss, only the probe reveals that congestion, so the window
 * is reduced. If the probe was a duplicate, the peer reports it by a D-SACK, or at least by a
 * duplicate ACK, before it acknowledges any later segment.
 */
void weir__tcp_tlp_acked(struct weir__tcp *tcp, const struct weir__tcp_segment *segment,
			 const struct weir__tcp_ack *ack)
{
	if (tcp->tlp_high == 0 || weir__before(segment->ack, tcp->tlp_high))
		return;
	if (tcp->tlp_retrans && !tcp->dsack_seen && !(ack->duplicate && segment->sack_count == 0)) {
		if (!weir__after(segment->ack, tcp->tlp_high))
			return;
		weir__tcp_reduce(tcp);
		tcp->net->count.tcp_loss_probe_recoveries++;
	}
	tcp->tlp_high = 0;
}
