/* SPDX-License-Identifier: MIT */
/*
 * tcp_ack.c: the ACK field of a segment (RFC 9293 3.10.7.4, fifth): whether it is acceptable, which
 * segments it removes from the send queue, the round-trip time, the window, and the timer.
 */
#include "stack/tcp_state.h"

/* ---- the send queue ------------------------------------------------------------------------- */

void weir__tcp_free_sent(struct weir__tcp *tcp, struct weir__frame *frame)
{
	WEIR_STACK_ASSERT(tcp->snd_charged >= frame->charged);
	tcp->snd_charged -= frame->charged;
	weir__netstack_drop(tcp->net, frame);
}

static void count_acked(struct weir__tcp *tcp, struct weir__frame *frame,
			const struct weir__tcp_segment *segment, struct weir__tcp_ack *ack)
{
	struct weir__tcp_sent *sent = weir__tcp_sent(frame);

	tcp->packets_out--;
	ack->acked++;
	if (sent->flags & WEIR_TCP_SENT_SACKED) {
		tcp->sacked_out--;
		return;
	}
	ack->delivered++;
	weir__tcp_rack_delivered(tcp, sent, segment, ack);
	/* Karn: a retransmitted segment gives no RTT sample (RFC 6298 section 3). */
	if (ack->acked == 1 && !(sent->flags & WEIR_TCP_SENT_EVER_AGAIN))
		ack->rtt_us = (int64_t)(tcp->net->now_ns - sent->sent_ns) / 1000;
	if (sent->flags & WEIR_TCP_SENT_LOST)
		tcp->lost_out--;
	if (sent->flags & WEIR_TCP_SENT_AGAIN)
		tcp->retrans_out--;
}

/* Removes the acknowledged part of a segment. */
static void trim_front(struct weir__tcp *tcp, struct weir__frame *frame, uint32_t ack)
{
	struct weir__tcp_sent *sent = weir__tcp_sent(frame);

	weir__frame_pull(&tcp->net->frames, frame, ack - sent->seq);
	sent->seq = ack;
}

static void take_acked(struct weir__tcp *tcp, const struct weir__tcp_segment *segment,
		       struct weir__tcp_ack *ack)
{
	struct weir__frame *frame;

	while ((frame = tcp->first) != tcp->unsent) {
		struct weir__tcp_sent *sent = weir__tcp_sent(frame);

		if (weir__after(sent->end, segment->ack)) {
			if (weir__before(sent->seq, segment->ack))
				trim_front(tcp, frame, segment->ack);
			break;
		}
		count_acked(tcp, frame, segment, ack);
		weir__tcp_unlink_time(tcp, frame);
		tcp->first = frame->queued;
		if (tcp->last == frame)
			tcp->last = NULL;
		if (tcp->lost_hint == frame)
			tcp->lost_hint = NULL;
		if (tcp->sack_hint == frame)
			tcp->sack_hint = NULL;
		weir__tcp_free_sent(tcp, frame);
	}
	/* Without SACK, sacked_out counts duplicate ACKs, and fewer segments may be left. */
	if (tcp->sacked_out > tcp->packets_out - tcp->lost_out)
		tcp->sacked_out = tcp->packets_out - tcp->lost_out;
}

/* ---- window, round-trip time, buffer -------------------------------------------------------- */

/* RFC 9293 3.10.7.4. As in Linux, a segment with the same SEQ and ACK may enlarge the window or
 * close it, but not make it smaller: such a segment is probably older than the last update. */
static bool update_window(struct weir__tcp *tcp, const struct weir__tcp_segment *segment)
{
	uint32_t window = segment->window << tcp->snd_wscale, before = tcp->snd_wnd;

	if (!weir__after(segment->ack, tcp->snd_una) &&
	    !weir__after(segment->seq, tcp->snd_wl1) &&
	    !(segment->seq == tcp->snd_wl1 && (window > tcp->snd_wnd || window == 0)))
		return false;
	tcp->snd_wl1 = segment->seq;
	tcp->snd_wnd = window;
	if (window > tcp->snd_max_wnd)
		tcp->snd_max_wnd = window;
	return window != before;
}

/* RFC 7323 section 4: the RTT by timestamp, for segments that were retransmitted. */
static void rtt_by_timestamp(const struct weir__tcp *tcp, const struct weir__tcp_segment *segment,
			     struct weir__tcp_ack *ack)
{
	uint32_t ms;

	if (ack->rtt_us >= 0 || !ack->advanced || !segment->has_ts || segment->tsecr == 0)
		return;
	ms = weir__tcp_clock(tcp) - segment->tsecr;
	if (ms < WEIR_TCP_RTO_MAX_US / 1000)
		ack->rtt_us = ms == 0 ? 1000 : (int64_t)ms * 1000;
}

static void measure(struct weir__tcp *tcp, const struct weir__tcp_segment *segment,
		    struct weir__tcp_ack *ack)
{
	rtt_by_timestamp(tcp, segment, ack);
	if (ack->rtt_us < 0)
		return;
	weir__tcp_rtt_sample(tcp, (uint32_t)ack->rtt_us);
	if (weir__tcp_control(tcp)->measured != NULL)
		weir__tcp_control(tcp)->measured(tcp, (uint32_t)ack->rtt_us);
}

/* The send buffer grows to two windows (as Linux's tcp_sndbuf_expand), unless memory is scarce. */
static void grow_send_buffer(struct weir__tcp *tcp)
{
	uint64_t want = 2ull * tcp->cwnd * (tcp->mss + 512u);

	if (weir__tcp_set(tcp)->send_bytes != 0 || weir__netstack_scarce(tcp->net))
		return;
	if (want > tcp->net->cfg.tcp_send_bytes)
		want = tcp->net->cfg.tcp_send_bytes;
	if (want > tcp->snd_limit)
		tcp->snd_limit = (uint32_t)want;
}

/* Raises WRITABLE once half of the buffer is free. */
static void wake_sender(struct weir__tcp *tcp)
{
	if (!tcp->wants_write || tcp->snd_charged > tcp->snd_limit / 2)
		return;
	tcp->wants_write = false;
	weir__tcp_raise(tcp, WEIR_NETSTACK_WRITABLE);
}

/* ---- processing ----------------------------------------------------------------------------- */

/* An ACK below SND.UNA. Its SACK blocks may still be new. */
static bool old_ack(struct weir__tcp *tcp, const struct weir__tcp_segment *segment,
		    struct weir__tcp_ack *ack)
{
	/* RFC 5961 5.2: older than SND.UNA - MAX.SND.WND. */
	if (weir__before(segment->ack, tcp->snd_una - tcp->snd_max_wnd)) {
		weir__tcp_challenge(tcp);
		return false;
	}
	if (segment->sack_count > 0 && tcp->sack) {
		tcp->dsack_seen = false;
		weir__tcp_mark_sacked(tcp, segment, ack);
		weir__tcp_recover(tcp, segment, ack);
	}
	return true;
}

/* RFC 5681 section 2. Unlike there, a duplicate ACK may come when nothing is outstanding: it may be
 * the answer to a tail loss probe. */
static bool is_duplicate(const struct weir__tcp_segment *segment, const struct weir__tcp_ack *ack,
			 bool window_changed)
{
	return !ack->advanced && ack->delivered == 0 && segment->len == 0 && !window_changed &&
	       !(segment->flags & (WEIR_TCP_SYN | WEIR_TCP_FIN));
}

static void set_timer(struct weir__tcp *tcp, const struct weir__tcp_ack *ack, bool window_changed)
{
	if (ack->reorder_timer)
		return;
	/* RFC 6298 (5.3): only an ACK of new data restarts the timer. RFC 8985 7.2: no tail loss
	 * probe is scheduled while a segment of the flight is SACKed. */
	if (ack->advanced) {
		if (!weir__tcp_tlp_schedule(tcp, true))
			weir__tcp_rearm(tcp);
	} else if (ack->delivered > 0 && tcp->timer_kind == WEIR_TCP_TIMER_LOSS_PROBE) {
		weir__tcp_rearm(tcp);
	} else if (window_changed &&
		   (tcp->timer_kind == WEIR_TCP_TIMER_PROBE || (ack->opened && tcp->backoff > 0))) {
		/* The back-off of a closed window does not apply to an open one. */
		tcp->backoff = 0;
		weir__tcp_hasten(tcp);
	}
}

bool weir__tcp_process_ack(struct weir__tcp *tcp, const struct weir__tcp_segment *segment)
{
	struct weir__tcp_ack ack = { .rtt_us = -1, .rack_fack = tcp->rack_fack };
	bool had_segments = tcp->packets_out > 0, closed = tcp->snd_wnd == 0, window_changed;

	if (weir__before(segment->ack, tcp->snd_una))
		return old_ack(tcp, segment, &ack);
	if (weir__after(segment->ack, tcp->snd_nxt)) {
		weir__tcp_challenge(tcp);
		return false;
	}
	tcp->acked_ms = weir__tcp_ms(tcp->net);
	tcp->probes = 0;
	tcp->dsack_seen = false;
	window_changed = update_window(tcp, segment);
	ack.opened = closed && tcp->snd_wnd > 0;
	ack.advanced = weir__after(segment->ack, tcp->snd_una);
	tcp->bytes_acked += segment->ack - tcp->snd_una;
	tcp->snd_una = segment->ack;
	if (segment->sack_count > 0 && tcp->sack)
		weir__tcp_mark_sacked(tcp, segment, &ack);
	if (ack.advanced)
		take_acked(tcp, segment, &ack);
	ack.duplicate = is_duplicate(segment, &ack, window_changed);
	measure(tcp, segment, &ack);
	weir__tcp_tlp_acked(tcp, segment, &ack);
	if (had_segments || tcp->dsack_seen)
		weir__tcp_recover(tcp, segment, &ack);
	if (ack.advanced) {
		tcp->unanswered = false;
		tcp->soft_error = 0;
		tcp->retransmits = 0;
		grow_send_buffer(tcp);
		wake_sender(tcp);
	}
	if (ack.opened)
		weir__tcp_window_opened(tcp);
	set_timer(tcp, &ack, window_changed);
	return true;
}
