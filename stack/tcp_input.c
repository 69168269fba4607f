/* SPDX-License-Identifier: MIT */
/*
 * tcp_input.c: segment arrival, in the order of RFC 9293 3.10.7: look-up of the flow,
 * acceptability, RST, SYN, ACK, data, FIN. A segment that a blind attacker could send is answered
 * with a challenge ACK (RFC 5961) and changes nothing.
 */
#include "stack/tcp_state.h"

#define CHALLENGES_PER_SECOND 1000u	/* per instance; Linux's old tcp_challenge_ack_limit */
#define INVALID_MS 500u			/* between ACKs that answer bare ACKs outside the window */
#define PAWS_S (24u * 24 * 3600)	/* RFC 7323 5.5: timestamps wrap after 24 days or more */

/* ---- challenges ----------------------------------------------------------------------------- */

/*
 * RFC 5961 section 7: a limit for all connections together. A part of it is random, so that an
 * attacker cannot find out how many challenge ACKs other connections have used (CVE-2016-5696).
 */
static bool may_challenge(struct weir__netstack *net)
{
	struct weir__tcp_layer *layer = net->tcp;
	uint64_t second = net->now_ns / WEIR_NETSTACK_SEC + 1;

	if (second != layer->challenge_second) {
		layer->challenge_second = second;
		layer->challenge_left = CHALLENGES_PER_SECOND / 2 +
					weir__netstack_random32(net) % CHALLENGES_PER_SECOND;
	}
	if (layer->challenge_left == 0)
		return false;
	layer->challenge_left--;
	return true;
}

bool weir__tcp_may_answer(struct weir__netstack *net, uint32_t *answered_ms)
{
	uint32_t now = weir__tcp_ms(net) & ~1u;

	if (*answered_ms != 0 && now - *answered_ms < INVALID_MS) {
		net->count.tcp_acks_skipped++;
		return false;
	}
	*answered_ms = now != 0 ? now : 2;
	return true;
}

void weir__tcp_challenge(struct weir__tcp *tcp)
{
	if (!weir__tcp_may_answer(tcp->net, &tcp->challenged_ms))
		return;
	if (!may_challenge(tcp->net)) {
		tcp->net->count.tcp_acks_skipped++;
		return;
	}
	tcp->net->count.tcp_challenge_acks++;
	weir__tcp_send_ack(tcp);
}

/* ---- acceptability -------------------------------------------------------------------------- */

/* RFC 7323 section 5.3: a timestamp older than TS.Recent belongs to an old duplicate. */
static bool paws_rejects(const struct weir__tcp *tcp, const struct weir__tcp_segment *segment)
{
	return tcp->timestamps && segment->has_ts &&
	       weir__before(segment->tsval, tcp->ts_recent) &&
	       weir__tcp_seconds(tcp->net) - tcp->ts_recent_s < PAWS_S &&
	       !(segment->flags & WEIR_TCP_RST);
}

/*
 * RFC 9293 3.10.7.4, first. As in Linux, a segment without data is acceptable from rcv_wup on (the
 * RCV.NXT of the last ACK), because data that the peer sent later may have overtaken it.
 */
static bool is_acceptable(const struct weir__tcp *tcp, const struct weir__tcp_segment *segment)
{
	uint32_t edge = tcp->rcv_wup + tcp->rcv_wnd;

	if (weir__after(segment->seq, weir__before(edge, tcp->rcv_nxt) ? tcp->rcv_nxt : edge))
		return false;
	if (segment->end == segment->seq)
		return !weir__before(segment->end, tcp->rcv_wup);
	return weir__after(segment->end, tcp->rcv_nxt);
}

static void answer_unacceptable(struct weir__tcp *tcp, const struct weir__tcp_segment *segment)
{
	if (segment->flags & WEIR_TCP_RST)
		return;
	if (segment->flags & WEIR_TCP_SYN) {
		weir__tcp_challenge(tcp);
		return;
	}
	/* Duplicate data: its ACK was probably lost (RFC 2883: report it in a D-SACK). */
	if (segment->len > 0 && !weir__after(segment->end, tcp->rcv_nxt))
		weir__tcp_report_duplicate(tcp, segment->seq, segment->end);
	/* Segments that occupy sequence numbers cannot cause an endless exchange of ACKs. */
	if (segment->end != segment->seq || weir__tcp_may_answer(tcp->net, &tcp->challenged_ms)) {
		tcp->pingpong = false;
		weir__tcp_send_ack(tcp);
	}
}

/* RFC 7323 section 4.3. */
static void remember_timestamp(struct weir__tcp *tcp, const struct weir__tcp_segment *segment)
{
	if (!tcp->timestamps || !segment->has_ts || weir__after(segment->seq, tcp->rcv_wup))
		return;
	if (weir__before(segment->tsval, tcp->ts_recent) &&
	    weir__tcp_seconds(tcp->net) - tcp->ts_recent_s < PAWS_S)
		return;
	tcp->ts_recent = segment->tsval;
	tcp->ts_recent_s = weir__tcp_seconds(tcp->net);
}

/* ---- RST ------------------------------------------------------------------------------------ */

static int reset_error(const struct weir__tcp *tcp)
{
	switch (tcp->state) {
	case WEIR_TCP_SYN_SENT:
	case WEIR_TCP_SYN_RECEIVED:
		return -ECONNREFUSED;
	case WEIR_TCP_CLOSE_WAIT:
		return -EPIPE;
	default:
		return -ECONNRESET;
	}
}

/* RFC 5961 section 3.2: a RST at RCV.NXT resets; one elsewhere in the window is challenged. */
static void reset_input(struct weir__tcp *tcp, const struct weir__tcp_segment *segment)
{
	if (segment->seq != tcp->rcv_nxt) {
		weir__tcp_challenge(tcp);
		return;
	}
	tcp->net->count.tcp_resets_received++;
	weir__tcp_finish(tcp, reset_error(tcp));
}

/* ---- SYN-SENT (RFC 9293 3.10.7.3) ----------------------------------------------------------- */

void weir__tcp_learn_options(struct weir__tcp *tcp, const struct weir__tcp_segment *segment)
{
	tcp->peer_mss = segment->mss != 0 ? segment->mss : WEIR_TCP_MSS_DEFAULT;
	tcp->sack = segment->sack_permitted;
	tcp->timestamps = segment->has_ts;
	tcp->wscale = segment->has_wscale;
	tcp->snd_wscale = segment->has_wscale ? segment->wscale & 15u : 0;
	if (!segment->has_wscale)
		tcp->rcv_wscale = 0;
	if (segment->has_ts) {
		tcp->ts_recent = segment->tsval;
		tcp->ts_recent_s = weir__tcp_seconds(tcp->net);
	}
	tcp->rcv_nxt = segment->seq + 1;
	tcp->rcv_wup = tcp->rcv_nxt;
	tcp->rcv_read = tcp->rcv_nxt;
	tcp->snd_wl1 = segment->seq;
	/* RFC 7323 2.2: the window of a SYN is never scaled. */
	tcp->snd_wnd = segment->window;
	tcp->snd_max_wnd = segment->window;
	weir__tcp_sync_mss(tcp);
}

static void syn_acknowledged(struct weir__tcp *tcp, const struct weir__tcp_segment *segment)
{
	weir__tcp_learn_options(tcp, segment);
	tcp->snd_una = segment->ack;
	if (tcp->retransmits == 0)
		weir__tcp_rtt_sample(tcp, (uint32_t)((tcp->net->now_ns - tcp->rack_sent_ns) /
						     1000));
	weir__tcp_established(tcp);
	weir__tcp_raise(tcp, WEIR_NETSTACK_CONNECTED);
	weir__tcp_send_ack(tcp);
}

/* Simultaneous open (RFC 9293 3.5, figure 7). */
static void syns_crossed(struct weir__tcp *tcp, const struct weir__tcp_segment *segment)
{
	weir__tcp_learn_options(tcp, segment);
	weir__tcp_enter(tcp, WEIR_TCP_SYN_RECEIVED);
	weir__tcp_send_syn(tcp);
	weir__tcp_rearm(tcp);
}

static void syn_sent_input(struct weir__tcp *tcp, const struct weir__tcp_segment *segment)
{
	bool acks = segment->flags & WEIR_TCP_ACK;

	if (acks && segment->ack != tcp->snd_nxt) {
		weir__tcp_refuse(tcp->net, segment);
		return;
	}
	if (segment->flags & WEIR_TCP_RST) {
		if (acks) {
			tcp->net->count.tcp_resets_received++;
			weir__tcp_finish(tcp, -ECONNREFUSED);
		}
		return;
	}
	if (!(segment->flags & WEIR_TCP_SYN))
		return;
	if (acks)
		syn_acknowledged(tcp, segment);
	else
		syns_crossed(tcp, segment);
}

/* ---- the other states (RFC 9293 3.10.7.4) --------------------------------------------------- */

/* The ACK of our SYN in a simultaneous open. False: it acknowledges something else. */
static bool open_acknowledged(struct weir__tcp *tcp, const struct weir__tcp_segment *segment)
{
	if (segment->ack != tcp->snd_nxt) {
		weir__tcp_refuse(tcp->net, segment);
		return false;
	}
	tcp->snd_una = segment->ack;
	/* RFC 7323 2.2: the window of a SYN is never scaled. */
	tcp->snd_wnd = segment->flags & WEIR_TCP_SYN ? segment->window
						     : segment->window << tcp->snd_wscale;
	tcp->snd_max_wnd = tcp->snd_wnd;
	weir__tcp_established(tcp);
	weir__tcp_raise(tcp, WEIR_NETSTACK_CONNECTED);
	return true;
}

/* RFC 9293 3.5, figure 7, line 6: the SYN-ACK of a simultaneous open, whose SYN came before. */
static bool answers_crossed_syn(const struct weir__tcp *tcp,
				const struct weir__tcp_segment *segment)
{
	const uint8_t flags = WEIR_TCP_SYN | WEIR_TCP_ACK;

	return tcp->state == WEIR_TCP_SYN_RECEIVED &&
	       (segment->flags & (flags | WEIR_TCP_RST | WEIR_TCP_FIN)) == flags &&
	       segment->end == segment->seq + 1 && segment->end == tcp->rcv_nxt &&
	       segment->ack == tcp->snd_nxt;
}

/* The peer has acknowledged our FIN. */
static void fin_acknowledged(struct weir__tcp *tcp)
{
	switch (tcp->state) {
	case WEIR_TCP_FIN_WAIT_1:
		weir__tcp_enter(tcp, WEIR_TCP_FIN_WAIT_2);
		weir__tcp_rearm(tcp);
		break;
	case WEIR_TCP_CLOSING:
		weir__tcp_wait_begin(tcp);
		break;
	case WEIR_TCP_LAST_ACK:
		weir__tcp_finish(tcp, 0);
		break;
	default:
		break;
	}
}

/* The peer's FIN has arrived in order. */
static void fin_arrived(struct weir__tcp *tcp)
{
	tcp->ack_now = true;
	switch (tcp->state) {
	case WEIR_TCP_ESTABLISHED:
		weir__tcp_enter(tcp, WEIR_TCP_CLOSE_WAIT);
		break;
	case WEIR_TCP_FIN_WAIT_1:
		weir__tcp_enter(tcp, WEIR_TCP_CLOSING);
		break;
	case WEIR_TCP_FIN_WAIT_2:
		weir__tcp_send_ack(tcp);
		weir__tcp_wait_begin(tcp);
		break;
	default:
		break;
	}
}

static bool takes_data(const struct weir__tcp *tcp)
{
	return tcp->state == WEIR_TCP_ESTABLISHED || tcp->state == WEIR_TCP_FIN_WAIT_1 ||
	       tcp->state == WEIR_TCP_FIN_WAIT_2;
}

static void data_input(struct weir__tcp *tcp, const struct weir__tcp_segment *segment,
		       struct weir__frame *frame)
{
	bool had_fin = tcp->fin_received;

	/* RFC 9293 3.6.1: the owner has closed, so nobody can read the data: reset. */
	if (!tcp->owned && segment->len > 0 && takes_data(tcp) &&
	    weir__after(segment->seq + segment->len, tcp->rcv_nxt)) {
		weir__frame_free(&tcp->net->frames, frame);
		weir__tcp_send_reset(tcp);
		tcp->net->count.tcp_aborted_on_data++;
		weir__tcp_finish(tcp, -ECONNRESET);
		return;
	}
	if (!takes_data(tcp)) {
		weir__frame_free(&tcp->net->frames, frame);
		return;
	}
	if (segment->has_ts && tcp->timestamps && segment->tsecr != 0 &&
	    segment->len >= tcp->rcv_mss)
		weir__tcp_tune_rtt(tcp, (weir__tcp_clock(tcp) - segment->tsecr) * 1000);
	weir__tcp_receive_data(tcp, segment, frame);
	if (!had_fin && tcp->fin_received)
		fin_arrived(tcp);
}

/* The checks before the ACK field. False: the segment is not processed further. */
static bool check(struct weir__tcp *tcp, const struct weir__tcp_segment *segment)
{
	if (paws_rejects(tcp, segment)) {
		tcp->net->count.tcp_paws_rejected++;
		answer_unacceptable(tcp, segment);
		return false;
	}
	if (!is_acceptable(tcp, segment)) {
		answer_unacceptable(tcp, segment);
		return false;
	}
	if (segment->flags & WEIR_TCP_RST) {
		reset_input(tcp, segment);
		return false;
	}
	/* RFC 5961 section 4.2. */
	if (segment->flags & WEIR_TCP_SYN) {
		weir__tcp_challenge(tcp);
		return false;
	}
	return segment->flags & WEIR_TCP_ACK;
}

void weir__tcp_segment_input(struct weir__tcp *tcp, const struct weir__tcp_segment *segment,
			     struct weir__frame *frame)
{
	if (tcp->state == WEIR_TCP_SYN_SENT) {
		syn_sent_input(tcp, segment);
		goto out;
	}
	if (answers_crossed_syn(tcp, segment)) {
		open_acknowledged(tcp, segment);
		remember_timestamp(tcp, segment);
		weir__tcp_send_ack(tcp);
		goto out;
	}
	if (!check(tcp, segment))
		goto out;
	if (tcp->state == WEIR_TCP_SYN_RECEIVED && !open_acknowledged(tcp, segment))
		goto out;
	if (!weir__tcp_process_ack(tcp, segment))
		goto out;
	remember_timestamp(tcp, segment);
	if (tcp->fin_queued && tcp->snd_una == tcp->write_seq)
		fin_acknowledged(tcp);
	if (tcp->state != WEIR_TCP_CLOSED) {
		data_input(tcp, segment, frame);
		frame = NULL;
	}
out:
	if (frame != NULL)
		weir__frame_free(&tcp->net->frames, frame);
	weir__tcp_later(tcp);
}

/* ---- look-up -------------------------------------------------------------------------------- */

static void unclaimed(struct weir__netstack *net, const struct weir__tcp_segment *segment,
		      struct weir__frame *frame)
{
	struct weir__tcp_listener *listener =
		weir__tcp_find_listener(net, &segment->flow.local, segment->flow.local_port);

	if (listener != NULL) {
		weir__tcp_listener_input(listener, segment, 0, frame);
	} else {
		weir__tcp_refuse(net, segment);
		weir__frame_free(&net->frames, frame);
	}
}

static void wait_input(struct weir__netstack *net, struct weir__tcp_wait *wait,
		       const struct weir__tcp_segment *segment, struct weir__frame *frame)
{
	struct weir__tcp_listener *listener =
		weir__tcp_find_listener(net, &segment->flow.local, segment->flow.local_port);
	uint32_t isn = 0;

	if (weir__tcp_wait_input(net, wait, segment, listener != NULL, &isn))
		weir__tcp_listener_input(listener, segment, isn, frame);
	else
		weir__frame_free(&net->frames, frame);
}

void weir__tcp_input(struct weir__netstack *net, struct weir__frame *frame,
		     const struct weir__ip_rx *rx)
{
	struct weir__tcp_segment segment;
	enum weir_tcp_kind kind;
	uint32_t header;
	void *entry;

	net->count.tcp_in_segments++;
	header = rx->broadcast ? 0 : weir__tcp_parse(frame, rx, &segment);
	if (header == 0) {
		net->count.tcp_in_errors++;
		weir__frame_free(&net->frames, frame);
		return;
	}
	if (!weir__ip_checksum_good(frame, rx)) {
		net->count.tcp_in_checksum_errors++;
		weir__frame_free(&net->frames, frame);
		return;
	}
	weir__frame_pull(&net->frames, frame, header);
	entry = weir__tcp_find_hashed(net, &segment.flow,
				      weir__tcp_hash_of(net, frame, &segment.flow), &kind);
	switch (kind) {
	case WEIR_TCP_CONNECTION:
		weir__tcp_segment_input(entry, &segment, frame);
		break;
	case WEIR_TCP_REQUEST:
		weir__tcp_request_input(entry, &segment, frame);
		break;
	case WEIR_TCP_WAIT:
		wait_input(net, entry, &segment, frame);
		break;
	default:
		unclaimed(net, &segment, frame);
		break;
	}
}
