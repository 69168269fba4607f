/* SPDX-License-Identifier: MIT */
/*
 * tcp_recovery.c: the congestion states: when recovery begins and ends, how the window is reduced,
 * and when a reduction is undone.
 *
 *	          duplicate        RACK finds a loss, or
 *	        ACKs or SACKs      (no SACK) 3 duplicates
 *	OPEN ----------> DISORDER ----------> RECOVERY ---\
 *	  ^  \                                             \  everything up to high_seq
 *	  |   \--> CWR (a tail loss probe was needed) ------>-----------> OPEN
 *	  |                                                /
 *	  \------- any, when RTO expires ---> LOSS -------/
 *
 * In RECOVERY and CWR the window follows proportional rate reduction (RFC 6937); in LOSS it starts
 * at one segment (RFC 5681 3.1). D-SACKs (RFC 3708) or timestamps (Eifel, RFC 3522) may show that
 * all retransmissions were spurious. Then the former windows are restored (RFC 4015's goal).
 *
 * Without SACK, each duplicate ACK stands for one segment that has left the network, and a partial
 * ACK means that the next segment is lost, too (NewReno, RFC 6582).
 */
#include "stack/tcp_state.h"

static uint32_t at_least(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

/* ---- windows -------------------------------------------------------------------------------- */

static void begin_reduction(struct weir__tcp *tcp, enum weir_tcp_ca state)
{
	if (tcp->ca_state < WEIR_TCP_CA_CWR) {
		tcp->prior_ssthresh = tcp->ssthresh;
		tcp->prior_cwnd = tcp->cwnd;
		tcp->ssthresh = weir__tcp_control(tcp)->shrink(tcp);
	}
	tcp->high_seq = tcp->snd_nxt;
	tcp->prr_delivered = 0;
	tcp->prr_out = 0;
	tcp->tlp_high = 0;
	tcp->ca_state = (uint8_t)state;
}

void weir__tcp_prr(struct weir__tcp *tcp, uint32_t delivered, bool safe)
{
	uint32_t in_flight = weir__tcp_in_flight(tcp), send;
	uint64_t target;

	tcp->prr_delivered += delivered;
	if (in_flight > tcp->ssthresh) {
		/* Proportional: RFC 6937 section 3. */
		target = ((uint64_t)tcp->prr_delivered * tcp->ssthresh + tcp->prior_cwnd - 1) /
			 at_least(tcp->prior_cwnd, 1);
		send = target > tcp->prr_out ? (uint32_t)target - tcp->prr_out : 0;
	} else {
		/* The reduction bound: PRR-CRB, or PRR-SSRB if the ACK is safe. */
		send = tcp->prr_delivered > tcp->prr_out ? tcp->prr_delivered - tcp->prr_out : 0;
		if (safe)
			send = at_least(send, delivered) + 1;
		if (send > tcp->ssthresh - in_flight)
			send = tcp->ssthresh - in_flight;
	}
	/* At least the fast retransmit is sent (section 3). */
	if (tcp->prr_out == 0 && send == 0)
		send = 1;
	tcp->cwnd = in_flight + send;
}

void weir__tcp_reduce(struct weir__tcp *tcp)
{
	if (tcp->ca_state >= WEIR_TCP_CA_CWR)
		return;
	begin_reduction(tcp, WEIR_TCP_CA_CWR);
	tcp->undo_marker = 0;
	tcp->cwnd = tcp->ssthresh;
	tcp->ca_state = WEIR_TCP_CA_OPEN;
}

/* ---- undo ----------------------------------------------------------------------------------- */

static void undo(struct weir__tcp *tcp)
{
	tcp->cwnd = at_least(tcp->cwnd, tcp->prior_cwnd);
	tcp->ssthresh = at_least(tcp->ssthresh, tcp->prior_ssthresh);
	tcp->undo_marker = 0;
	tcp->undo_retrans = 0;
	tcp->net->count.tcp_undone++;
}

/* Whether all retransmissions of this recovery were spurious. */
static bool was_spurious(const struct weir__tcp *tcp, const struct weir__tcp_segment *segment,
			 const struct weir__tcp_ack *ack)
{
	if (tcp->undo_marker == 0)
		return false;
	if (tcp->undo_retrans == 0)
		return true;
	/* Eifel: the ACK echoes a timestamp from before the first retransmission of this
	 * recovery. The time of the last retransmission would not do, because ACKs of earlier
	 * ones arrive after it. */
	return ack->advanced && tcp->timestamps && segment->has_ts && segment->tsecr != 0 &&
	       weir__before(segment->tsecr, tcp->undo_ms + tcp->ts_offset);
}

static void mark_undo(struct weir__tcp *tcp)
{
	tcp->undo_ms = weir__tcp_ms(tcp->net);
	tcp->undo_marker = tcp->snd_una + (tcp->snd_una == 0);
	tcp->undo_retrans = WEIR_TCP_NOTHING_SENT;
	if (tcp->retrans_out > 0 && tcp->retrans_out < WEIR_TCP_NOTHING_SENT)
		tcp->undo_retrans = (uint16_t)tcp->retrans_out;
}

/* ---- ends ----------------------------------------------------------------------------------- */

/* undo_marker stays valid, because the D-SACK of the last retransmission may arrive later. */
static void open_again(struct weir__tcp *tcp)
{
	tcp->ca_state = WEIR_TCP_CA_OPEN;
	if (tcp->rack_persist > 0 && --tcp->rack_persist == 0)
		tcp->rack_multiplier = 1;
}

/* Everything that was in flight when recovery began has been acknowledged. */
static void finish_recovery(struct weir__tcp *tcp, const struct weir__tcp_segment *segment,
			    const struct weir__tcp_ack *ack)
{
	if (was_spurious(tcp, segment, ack)) {
		undo(tcp);
	} else if (tcp->ca_state != WEIR_TCP_CA_LOSS) {
		/* RFC 6937 section 3: at the end of recovery cwnd is ssthresh. */
		tcp->cwnd = tcp->ssthresh;
	}
	if (!tcp->sack)
		tcp->sacked_out = 0;
	open_again(tcp);
}

static void try_to_undo(struct weir__tcp *tcp, const struct weir__tcp_segment *segment,
			const struct weir__tcp_ack *ack)
{
	if (!was_spurious(tcp, segment, ack))
		return;
	undo(tcp);
	/* The segments that were marked lost are only late. */
	for (struct weir__frame *frame = tcp->first; frame != tcp->unsent; frame = frame->queued) {
		struct weir__tcp_sent *sent = weir__tcp_sent(frame);

		if (!(sent->flags & WEIR_TCP_SENT_LOST))
			continue;
		sent->flags &= (uint8_t)~WEIR_TCP_SENT_LOST;
		tcp->lost_out--;
		weir__tcp_link_time(tcp, frame);
	}
	open_again(tcp);
}

/* ---- begins --------------------------------------------------------------------------------- */

static void enter_recovery(struct weir__tcp *tcp)
{
	mark_undo(tcp);
	begin_reduction(tcp, WEIR_TCP_CA_RECOVERY);
	if (tcp->sack)
		tcp->net->count.tcp_sack_recoveries++;
	else
		tcp->net->count.tcp_reno_recoveries++;
}

void weir__tcp_recover_timeout(struct weir__tcp *tcp)
{
	bool first =
		tcp->ca_state != WEIR_TCP_CA_LOSS || !weir__before(tcp->snd_una, tcp->high_seq);

	if (!tcp->sack)
		tcp->sacked_out = 0;
	/* RFC 2018 section 8: if the first segment is SACKed, the peer has reneged. */
	if (tcp->first != NULL && weir__tcp_sent(tcp->first)->flags & WEIR_TCP_SENT_SACKED)
		weir__tcp_forget_sacks(tcp);
	weir__tcp_rack_timed_out(tcp);
	if (first) {
		if (tcp->ca_state < WEIR_TCP_CA_CWR) {
			tcp->prior_ssthresh = tcp->ssthresh;
			tcp->prior_cwnd = tcp->cwnd;
			tcp->ssthresh = weir__tcp_control(tcp)->shrink(tcp);
		}
		if (weir__tcp_control(tcp)->timed_out != NULL)
			weir__tcp_control(tcp)->timed_out(tcp);
		mark_undo(tcp);
	}
	tcp->ca_state = WEIR_TCP_CA_LOSS;
	tcp->high_seq = tcp->snd_nxt;
	tcp->tlp_high = 0;
	/* RFC 5681 3.1: the loss window is one segment, in addition to those still in flight. */
	tcp->cwnd = weir__tcp_in_flight(tcp) + 1;
	tcp->net->count.tcp_timeouts++;
}

/* ---- without SACK --------------------------------------------------------------------------- */

/* A duplicate ACK means that one segment has arrived behind a hole (RFC 5681 3.2). */
static void count_duplicate(struct weir__tcp *tcp, struct weir__tcp_ack *ack)
{
	if (tcp->sacked_out + tcp->lost_out + 1 >= tcp->packets_out)
		return;
	tcp->sacked_out++;
	ack->delivered++;
}

/* Of the segments that are acknowledged now, those behind the hole were counted before, by their
 * duplicate ACKs; the segment that filled the hole was not. */
static void uncount_duplicates(struct weir__tcp *tcp, struct weir__tcp_ack *ack)
{
	uint32_t known = ack->acked > 0 ? ack->acked - 1 : 0;

	if (known > tcp->sacked_out)
		known = tcp->sacked_out;
	tcp->sacked_out -= known;
	ack->delivered -= known;
}

static void newreno(struct weir__tcp *tcp, struct weir__tcp_ack *ack)
{
	bool partial;

	if (ack->duplicate)
		count_duplicate(tcp, ack);
	else if (ack->advanced)
		uncount_duplicates(tcp, ack);
	partial = ack->advanced && weir__before(tcp->snd_una, tcp->high_seq);
	if (tcp->first == tcp->unsent)
		return;
	/* After a timeout all segments were marked lost; those not marked were retransmitted. */
	if (tcp->ca_state == WEIR_TCP_CA_RECOVERY ? partial
						  : tcp->ca_state < WEIR_TCP_CA_RECOVERY &&
							    tcp->sacked_out >= WEIR_TCP_DUPLICATES)
		weir__tcp_mark_lost(tcp, tcp->first);
	while (tcp->sacked_out > 0 && tcp->sacked_out + tcp->lost_out > tcp->packets_out)
		tcp->sacked_out--;
}

/* ---- after an ACK --------------------------------------------------------------------------- */

static void look_for_losses(struct weir__tcp *tcp, struct weir__tcp_ack *ack)
{
	uint32_t wait_us;

	if (!tcp->sack) {
		newreno(tcp, ack);
		return;
	}
	if (!tcp->rack_advanced)
		return;
	wait_us = weir__tcp_rack_detect(tcp);
	if (wait_us > 0) {
		weir__tcp_timer_set(tcp, WEIR_TCP_TIMER_REORDER, (uint64_t)wait_us * 1000);
		ack->reorder_timer = true;
	}
}

/* A window that is not fully used does not grow, because it says nothing about the path (the aim of
 * RFC 7661). Duplicate ACKs do not enlarge it either (RFC 5681 3.2 (1)). */
static void grow(struct weir__tcp *tcp, const struct weir__tcp_ack *ack)
{
	if (tcp->cwnd_limited && ack->advanced && ack->delivered > 0)
		weir__tcp_control(tcp)->grow(tcp, ack->delivered);
}

static bool is_reducing(const struct weir__tcp *tcp)
{
	return tcp->ca_state == WEIR_TCP_CA_RECOVERY || tcp->ca_state == WEIR_TCP_CA_CWR;
}

void weir__tcp_recover(struct weir__tcp *tcp, const struct weir__tcp_segment *segment,
		       struct weir__tcp_ack *ack)
{
	uint32_t lost_before = tcp->lost_out;
	bool reduces = is_reducing(tcp), safe;

	weir__tcp_rack_tune(tcp);
	if (tcp->ca_state >= WEIR_TCP_CA_CWR && !weir__before(tcp->snd_una, tcp->high_seq)) {
		/* RFC 6582 section 4: without SACK, ACKs of old retransmissions would begin another
		 * recovery at once. */
		if (tcp->sack || weir__after(tcp->snd_una, tcp->high_seq) || tcp->packets_out == 0)
			finish_recovery(tcp, segment, ack);
	} else if (tcp->ca_state >= WEIR_TCP_CA_RECOVERY) {
		try_to_undo(tcp, segment, ack);
	} else if (tcp->dsack_seen && tcp->undo_marker != 0 && tcp->undo_retrans == 0) {
		undo(tcp);
	}
	look_for_losses(tcp, ack);
	if (tcp->ca_state < WEIR_TCP_CA_RECOVERY) {
		if (tcp->lost_out > 0)
			enter_recovery(tcp);
		else if (tcp->ca_state <= WEIR_TCP_CA_DISORDER)
			tcp->ca_state = tcp->sacked_out > 0 ? WEIR_TCP_CA_DISORDER
							    : WEIR_TCP_CA_OPEN;
	}
	safe = ack->advanced && tcp->lost_out <= lost_before;
	if (is_reducing(tcp))
		weir__tcp_prr(tcp, ack->delivered, safe);
	else if (!reduces)	/* RFC 5681 3.2 (6): after recovery, cwnd is ssthresh */
		grow(tcp, ack);
}

void weir__tcp_recover_reordered(struct weir__tcp *tcp)
{
	uint32_t wait_us = weir__tcp_rack_detect(tcp);

	if (tcp->lost_out > 0 && tcp->ca_state < WEIR_TCP_CA_RECOVERY)
		enter_recovery(tcp);
	if (tcp->ca_state == WEIR_TCP_CA_RECOVERY)
		weir__tcp_prr(tcp, 0, false);
	if (wait_us > 0)
		weir__tcp_timer_set(tcp, WEIR_TCP_TIMER_REORDER, (uint64_t)wait_us * 1000);
	else
		weir__tcp_rearm(tcp);
}

void weir__tcp_recover_too_big(struct weir__tcp *tcp)
{
	if (!tcp->sack)
		tcp->sacked_out = 0;
	for (struct weir__frame *frame = tcp->first; frame != tcp->unsent; frame = frame->queued)
		if (frame->total > weir__tcp_payload(tcp))
			weir__tcp_mark_lost(tcp, frame);
	if (tcp->lost_out == 0)
		return;
	tcp->high_seq = tcp->snd_nxt;
	tcp->undo_marker = 0;
	tcp->ca_state = WEIR_TCP_CA_LOSS;
}
