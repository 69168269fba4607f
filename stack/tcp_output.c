/* SPDX-License-Identifier: MIT */
/*
 * tcp_output.c: transmission of segments: which, when, and with what header.
 *
 * Lost segments are sent first, then new ones, as far as the congestion window and the
 * peer's window allow. An ACK is sent alone if no segment with data has carried it. A
 * transmitted frame consists of a header and a view of the frame in the send queue, so no
 * data is copied. With segmentation offload a run of full segments shares one header; in the
 * send queue they are separate.
 *
 * A segment that could not be made for lack of memory stays unsent (or lost), and the timer tries
 * again. A frame that the lower layers drop is treated as lost in the network.
 */
#include "stack/tcp_state.h"

#define CHECKSUM_OFFSET 16u
#define JOIN_PIECES 16u		/* most pieces of a segment that is joined from short sends */
#define RUN_BYTES 65000u	/* most bytes of a super-frame */

uint32_t weir__tcp_clock(const struct weir__tcp *tcp)
{
	return weir__tcp_ms(tcp->net) + tcp->ts_offset;
}

/* ---- sizes ---------------------------------------------------------------------------------- */

uint16_t weir__tcp_advertised_mss(struct weir__netstack *net, const struct weir__flow *flow,
				  const struct weir__tcp_settings *settings)
{
	uint32_t headers = weir__ip_header_bytes(&flow->remote) + WEIR_TCP_HEADER;
	uint16_t mss = (uint16_t)(net->cfg.mtu - headers);

	return settings->mss != 0 && settings->mss < mss ? settings->mss : mss;
}

void weir__tcp_sync_mss(struct weir__tcp *tcp)
{
	uint32_t headers = weir__ip_header_bytes(&tcp->flow.remote) + WEIR_TCP_HEADER;
	uint32_t mss, limit = weir__tcp_set(tcp)->mss;

	tcp->pmtu = (uint16_t)weir__ip_path_mtu(tcp->net, &tcp->flow.remote);
	mss = tcp->pmtu - headers;
	if (tcp->peer_mss < mss)
		mss = tcp->peer_mss;
	if (limit != 0 && limit < mss)
		mss = limit;
	tcp->mss = (uint16_t)(mss > WEIR_TCP_MSS_FLOOR ? mss : WEIR_TCP_MSS_FLOOR);
}

uint32_t weir__tcp_payload(const struct weir__tcp *tcp)
{
	return tcp->mss - weir__tcp_options_bytes(tcp, 0);
}

/* ---- headers -------------------------------------------------------------------------------- */

static void put_header(unsigned char *at, const struct weir__flow *flow, uint32_t seq, uint32_t ack,
		       uint8_t flags, uint32_t window, uint32_t options_bytes)
{
	weir__put16(at, flow->local_port);
	weir__put16(at + 2, flow->remote_port);
	weir__put32(at + 4, seq);
	weir__put32(at + 8, ack);
	at[12] = (unsigned char)((WEIR_TCP_HEADER + options_bytes) / 4 << 4);
	at[13] = flags;
	weir__put16(at + 14, (uint16_t)window);
	weir__put32(at + 16, 0);
}

static struct weir__frame *new_header(struct weir__netstack *net)
{
	return weir__frame_new(&net->frames, WEIR_FRAME_HEADROOM,
			       WEIR_TCP_HEADER + WEIR_TCP_OPTIONS_MAX);
}

static int emit(struct weir__netstack *net, struct weir__frame *frame,
		const struct weir__flow *flow, struct weir__hop *hop, uint8_t tos, uint8_t ttl)
{
	struct weir__ip_tx tx = { .source = flow->local,
				  .destination = flow->remote,
				  .hop = hop,
				  .protocol = WEIR_IP_TCP,
				  .tos = tos,
				  .ttl = ttl,
				  .flags = WEIR_IP_DONT_FRAGMENT,
				  .header_bytes = (uint16_t)((frame->data[12] >> 4) * 4) };

	weir__ip_checksum(net, frame, &tx, CHECKSUM_OFFSET);
	net->count.tcp_out_segments++;
	return weir__ip_output(net, frame, &tx);
}

/* A segment was sent, and it carried the ACK that was due. */
static void ack_is_sent(struct weir__tcp *tcp)
{
	tcp->ack_now = false;
	tcp->ack_pending = false;
	tcp->duplicate = (struct weir__tcp_block){ 0, 0 };
	if (tcp->quick > 0)
		tcp->quick--;
	tcp->ack_timed = false;
}

/*
 * Sends a segment. header is an empty frame for the header; payload may be NULL. The segment
 * carries as many SACK blocks as fit beside the payload.
 */
static int send_segment(struct weir__tcp *tcp, struct weir__frame *header,
			struct weir__frame *payload, uint32_t seq, uint8_t flags)
{
	struct weir__tcp_block blocks[4];
	unsigned count = weir__tcp_sack_blocks(tcp, blocks), fit, beside;
	uint32_t options, len = payload == NULL ? 0 : payload->total;
	unsigned char *at;

	options = weir__tcp_options_bytes(tcp, 0);
	fit = (WEIR_TCP_OPTIONS_MAX - options - 4) / 8;
	if (len > 0) {
		beside = tcp->mss < options + len + 12 ? 0 : (tcp->mss - options - len - 4) / 8;
		if (beside < fit)
			fit = beside;
	}
	if (count > fit)
		count = fit;
	options = weir__tcp_options_bytes(tcp, count);
	at = weir__frame_extend(header, WEIR_TCP_HEADER + options);
	put_header(at, &tcp->flow, seq, tcp->rcv_nxt, flags | WEIR_TCP_ACK,
		   weir__tcp_select_window(tcp) >> tcp->rcv_wscale, options);
	weir__tcp_write_options(at + WEIR_TCP_HEADER, tcp, blocks, count);
	if (payload != NULL) {
		if (len > weir__tcp_payload(tcp))
			header->segment_bytes = (uint16_t)weir__tcp_payload(tcp);
		weir__frame_append(&tcp->net->frames, header, payload);
	}
	ack_is_sent(tcp);
	return emit(tcp->net, header, &tcp->flow, &tcp->hop, weir__tcp_set(tcp)->tos,
		    weir__tcp_set(tcp)->ttl);
}

/* ---- segments without data ------------------------------------------------------------------ */

static void send_empty(struct weir__tcp *tcp, uint32_t seq)
{
	struct weir__frame *header = new_header(tcp->net);

	if (header != NULL) {
		send_segment(tcp, header, NULL, seq, 0);
		return;
	}
	tcp->ack_pending = true;
	tcp->ack_timed = true;
	weir__netstack_timer_set(tcp->net, &tcp->ack_timer,
				 tcp->net->now_ns + WEIR_TCP_ATO_MAX_MS * WEIR_NETSTACK_MSEC);
}

void weir__tcp_send_ack(struct weir__tcp *tcp)
{
	send_empty(tcp, tcp->snd_nxt);
}

void weir__tcp_send_probe(struct weir__tcp *tcp)
{
	send_empty(tcp, tcp->snd_una - 1);
}

void weir__tcp_send_syn(struct weir__tcp *tcp)
{
	bool answers = tcp->state == WEIR_TCP_SYN_RECEIVED;
	struct weir__tcp_syn_options syn = {
		.mss = tcp->advmss,
		.sack = !answers || tcp->sack,
		.timestamps = !answers || tcp->timestamps,
		.wscale = !answers || tcp->wscale,
		.shift = tcp->rcv_wscale,
		.tsval = weir__tcp_clock(tcp),
		.tsecr = answers ? tcp->ts_recent : 0,
	};
	struct weir__tcp_reply reply = {
		.seq = tcp->snd_una,
		.ack = answers ? tcp->rcv_nxt : 0,
		.window = tcp->rcv_wnd < 65535 ? tcp->rcv_wnd : 65535,
		.flags = WEIR_TCP_SYN | (answers ? WEIR_TCP_ACK : 0),
		.tos = weir__tcp_set(tcp)->tos,
		.syn = &syn,
	};

	tcp->ack_now = false;
	tcp->ack_pending = false;
	weir__tcp_reply(tcp->net, &tcp->flow, &reply);
}

void weir__tcp_send_reset(struct weir__tcp *tcp)
{
	struct weir__tcp_reply reply = { .seq = tcp->snd_nxt,
					 .ack = tcp->rcv_nxt,
					 .flags = WEIR_TCP_RST | WEIR_TCP_ACK,
					 .timestamps = tcp->timestamps,
					 .tsval = weir__tcp_clock(tcp),
					 .tsecr = tcp->ts_recent };

	weir__tcp_reply(tcp->net, &tcp->flow, &reply);
}

void weir__tcp_reply(struct weir__netstack *net, const struct weir__flow *flow,
		     const struct weir__tcp_reply *reply)
{
	unsigned char options[WEIR_TCP_OPTIONS_MAX];
	struct weir__frame *frame = new_header(net);
	uint32_t bytes = 0;
	unsigned char *at;

	if (frame == NULL)
		return;
	if (reply->syn != NULL) {
		bytes = weir__tcp_write_syn_options(options, reply->syn);
	} else if (reply->timestamps) {
		const unsigned char head[4] = { 1, 1, 8, 10 };

		memcpy(options, head, sizeof(head));
		weir__put32(options + 4, reply->tsval);
		weir__put32(options + 8, reply->tsecr);
		bytes = WEIR_TCP_TIMESTAMPS_BYTES;
	}
	at = weir__frame_extend(frame, WEIR_TCP_HEADER + bytes);
	put_header(at, flow, reply->seq, reply->ack, reply->flags, reply->window, bytes);
	memcpy(at + WEIR_TCP_HEADER, options, bytes);
	if (reply->flags & WEIR_TCP_RST)
		net->count.tcp_out_resets++;
	emit(net, frame, flow, NULL, reply->tos, 0);
}

void weir__tcp_refuse(struct weir__netstack *net, const struct weir__tcp_segment *segment)
{
	struct weir__tcp_reply reply = { .flags = WEIR_TCP_RST };

	if (segment->flags & WEIR_TCP_RST)
		return;
	if (segment->flags & WEIR_TCP_ACK) {
		reply.seq = segment->ack;
	} else {
		reply.flags |= WEIR_TCP_ACK;
		reply.ack = segment->end;
	}
	weir__tcp_reply(net, &segment->flow, &reply);
}

/* ---- segments with data --------------------------------------------------------------------- */

/* Appends the next unsent frame to this one, with its charge. */
static void join_next(struct weir__tcp *tcp, struct weir__frame *frame)
{
	struct weir__frame *next = frame->queued;
	struct weir__tcp_sent *mine = weir__tcp_sent(frame), *other = weir__tcp_sent(next);
	uint32_t charged = next->charged;

	mine->flags |= other->flags;
	frame->queued = next->queued;
	if (tcp->last == next)
		tcp->last = frame;
	next->charged = 0;
	weir__frame_append(&tcp->net->frames, frame, next);
	frame->charged += charged;
}

/*
 * Cuts a frame of the queue in two; the rest follows the front. The charge of the frame stays with
 * the rest, which is acknowledged last. The front is charged for its view, because the peer's MSS
 * determines how many views there are. False without memory.
 */
static bool cut(struct weir__tcp *tcp, struct weir__frame *frame, uint32_t at)
{
	struct weir__tcp_sent *front = weir__tcp_sent(frame), *back;
	struct weir__frame *rest;

	if (weir__frame_split(&tcp->net->frames, frame, at, &rest) < 0)
		return false;
	back = weir__tcp_sent(rest);
	*back = *front;
	front->flags &= (uint8_t) ~(WEIR_TCP_SENT_FIN | WEIR_TCP_SENT_PUSH);
	rest->charged = frame->charged;
	frame->charged = sizeof(struct weir__frame);
	tcp->net->memory.used_bytes += frame->charged;
	tcp->snd_charged += frame->charged;
	rest->queued = frame->queued;
	frame->queued = rest;
	if (tcp->last == frame)
		tcp->last = rest;
	return true;
}

/* Appends an empty frame to the queue. NULL without memory. */
static struct weir__frame *queue_empty(struct weir__tcp *tcp)
{
	struct weir__frame *frame = weir__frame_new(&tcp->net->frames, 0, 0);

	if (frame == NULL)
		return NULL;
	*weir__tcp_sent(frame) = (struct weir__tcp_sent){ 0 };
	frame->queued = NULL;
	if (tcp->first == NULL)
		tcp->first = frame;
	else
		tcp->last->queued = frame;
	tcp->last = frame;
	return frame;
}

/* Moves FIN from the last frame to an empty one behind it. False without memory. */
static bool cut_fin(struct weir__tcp *tcp, struct weir__frame *frame)
{
	struct weir__frame *fin = queue_empty(tcp);

	if (fin == NULL) {
		weir__tcp_rearm(tcp);
		return false;
	}
	weir__tcp_sent(frame)->flags &= (uint8_t)~WEIR_TCP_SENT_FIN;
	weir__tcp_sent(fin)->flags = WEIR_TCP_SENT_FIN;
	return true;
}

/* Whether a short segment has to wait: for the removal of a cork, or for the ACK of another
 * short segment (Nagle, RFC 1122 4.2.3.4, as modified by Minshall: full segments in flight
 * do not matter). */
static bool held_back(struct weir__tcp *tcp, const struct weir__tcp_sent *sent)
{
	const struct weir__tcp_settings *set = weir__tcp_set(tcp);

	if (sent->flags & WEIR_TCP_SENT_FIN)
		return false;
	if (set->cork || tcp->more)
		return !tcp->send_short;
	return !set->nodelay && tcp->packets_out > 0 && weir__after(tcp->snd_small, tcp->snd_una) &&
	       !weir__after(tcp->snd_small, tcp->snd_nxt);
}

/*
 * Joins or cuts the first unsent frame to a segment that the peer's window and Nagle allow to
 * send now. NULL if they allow none, or without memory. The sender's silly window avoidance is
 * RFC 9293 3.8.6.2.1.
 */
static struct weir__frame *shape_next(struct weir__tcp *tcp)
{
	struct weir__frame *frame = tcp->unsent;
	uint32_t payload = weir__tcp_payload(tcp), limit = payload;
	int32_t room = (int32_t)(tcp->snd_una + tcp->snd_wnd - tcp->snd_nxt);

	if (frame == NULL || room <= 0)
		return NULL;
	for (unsigned pieces = 0; frame->total < payload && frame->queued != NULL;) {
		pieces = weir__frame_pieces(frame) + weir__frame_pieces(frame->queued);
		if (pieces > JOIN_PIECES)
			break;
		join_next(tcp, frame);
	}
	if ((uint32_t)room < limit)
		limit = (uint32_t)room;
	/* FIN occupies a sequence number, which must be in the window, too. */
	if (frame->total == (uint32_t)room && weir__tcp_sent(frame)->flags & WEIR_TCP_SENT_FIN &&
	    !cut_fin(tcp, frame))
		return NULL;
	if (frame->total > limit) {
		if (limit < payload && limit < tcp->snd_max_wnd / 2 && !tcp->send_short)
			return NULL;
		if (!cut(tcp, frame, limit)) {
			weir__tcp_rearm(tcp);
			return NULL;
		}
	}
	if (frame->total < payload && frame->queued == NULL &&
	    held_back(tcp, weir__tcp_sent(frame)))
		return NULL;
	return frame;
}

static uint8_t flags_of(const struct weir__tcp *tcp, struct weir__frame *frame)
{
	uint8_t flags = 0;

	if (weir__tcp_sent(frame)->flags & WEIR_TCP_SENT_FIN)
		flags |= WEIR_TCP_FIN;
	if (frame->total > 0 && (weir__tcp_sent(frame)->flags & WEIR_TCP_SENT_PUSH ||
				 frame == tcp->last))
		flags |= WEIR_TCP_PSH;
	return flags;
}

/* The first unsent frame becomes a segment in flight. */
static void count_sent(struct weir__tcp *tcp, struct weir__frame *frame)
{
	struct weir__tcp_sent *sent = weir__tcp_sent(frame);

	sent->seq = tcp->snd_nxt;
	sent->end = tcp->snd_nxt + frame->total + !!(sent->flags & WEIR_TCP_SENT_FIN);
	sent->sent_ns = tcp->net->now_ns;
	tcp->unsent = frame->queued;
	tcp->snd_nxt = sent->end;
	tcp->packets_out++;
	tcp->prr_out++;
	weir__tcp_link_time(tcp, frame);
	if (frame->total < weir__tcp_payload(tcp))
		tcp->snd_small = sent->end;
}

static bool window_is_full(const struct weir__tcp *tcp)
{
	return weir__tcp_in_flight(tcp) >= tcp->cwnd;
}

/* The next segment, if the same super-frame may carry it; else NULL. */
static struct weir__frame *next_of_run(struct weir__tcp *tcp, const struct weir__frame *payload)
{
	struct weir__frame *frame;

	if (!(tcp->net->cfg.offloads & WEIR_NETSTACK_TSO) ||
	    payload->total % weir__tcp_payload(tcp) != 0 ||
	    payload->total + weir__tcp_payload(tcp) > RUN_BYTES || window_is_full(tcp))
		return NULL;
	frame = shape_next(tcp);
	return frame != NULL && frame->total > 0 ? frame : NULL;
}

/* In slow start a window that is half used may grow, as in Linux. */
static void note_use(struct weir__tcp *tcp)
{
	uint32_t used = weir__tcp_in_flight(tcp);

	tcp->cwnd_limited = (tcp->cwnd < tcp->ssthresh ? used * 2 : used) >= tcp->cwnd;
}

/* Sends a segment that shape_next returned, and further ones in the same super-frame. */
static bool send_run(struct weir__tcp *tcp, struct weir__frame *frame)
{
	struct weir__frame *header = new_header(tcp->net), *payload = NULL, *view;
	struct weir__frame_memory *mem = &tcp->net->frames;
	uint32_t seq = tcp->snd_nxt;
	uint8_t flags = 0;

	if (header == NULL)
		return false;
	do {
		if (frame->total > 0) {
			if (weir__frame_clone(mem, frame, 0, frame->total, &view) < 0)
				break;
			if (payload == NULL)
				payload = view;
			else
				weir__frame_append(mem, payload, view);
		}
		flags = flags_of(tcp, frame);
		count_sent(tcp, frame);
		if (flags & WEIR_TCP_FIN || payload == NULL)
			break;
	} while ((frame = next_of_run(tcp, payload)) != NULL);
	if (seq == tcp->snd_nxt) {
		weir__frame_free(mem, header);
		return false;
	}
	tcp->sent_ms = weir__tcp_ms(tcp->net);
	/* The data answers a segment that came just before. Data may carry the next ACK, too. */
	if (tcp->sent_ms - tcp->received_ms < tcp->ato_ms)
		tcp->pingpong = true;
	if (send_segment(tcp, header, payload, seq, flags) == -EMSGSIZE)
		weir__tcp_sync_mss(tcp);
	return true;
}

bool weir__tcp_send_one(struct weir__tcp *tcp)
{
	struct weir__frame *frame = shape_next(tcp);

	return frame != NULL && send_run(tcp, frame);
}

/* Puts FIN into the last unsent frame, or into an empty frame of its own. */
static void queue_fin(struct weir__tcp *tcp)
{
	struct weir__frame *frame = tcp->last;

	if (!tcp->fin_wanted || tcp->fin_queued)
		return;
	if (tcp->unsent == NULL) {
		frame = queue_empty(tcp);
		if (frame == NULL)
			return;
		tcp->unsent = frame;
	}
	weir__tcp_sent(frame)->flags |= WEIR_TCP_SENT_FIN;
	tcp->fin_queued = true;
	tcp->write_seq++;
}

/* RFC 5681 4.1, RFC 2861: the congestion window is halved for each RTO of idle time. */
static void restart_after_idle(struct weir__tcp *tcp)
{
	uint32_t idle = weir__tcp_ms(tcp->net) - tcp->sent_ms, rto = tcp->rto_us / 1000;
	uint32_t left = tcp->cwnd;

	if (idle <= rto)
		return;
	if (weir__tcp_control(tcp)->idled != NULL)
		weir__tcp_control(tcp)->idled(tcp, idle);
	if (tcp->ssthresh < left - left / 4)
		tcp->ssthresh = left - left / 4;
	for (uint32_t gone = rto; gone < idle && left > WEIR_TCP_INITIAL_WINDOW; gone += rto + 1)
		left /= 2;
	if (tcp->cwnd > WEIR_TCP_INITIAL_WINDOW)
		tcp->cwnd = left > WEIR_TCP_INITIAL_WINDOW ? left : WEIR_TCP_INITIAL_WINDOW;
}

static void send_new(struct weir__tcp *tcp)
{
	uint32_t before = tcp->packets_out, nxt = tcp->snd_nxt;
	struct weir__frame *frame;

	/* RFC 1191 6.3: ten minutes after a decrease, a larger path MTU is tried. */
	if (tcp->unsent != NULL && tcp->pmtu < tcp->net->cfg.mtu)
		weir__tcp_sync_mss(tcp);
	while (tcp->unsent != NULL && !window_is_full(tcp)) {
		frame = shape_next(tcp);
		if (frame == NULL)
			break;
		if (tcp->packets_out == 0)
			restart_after_idle(tcp);
		if (!send_run(tcp, frame))
			break;
	}
	if (nxt != tcp->snd_nxt || (tcp->unsent != NULL && window_is_full(tcp)))
		note_use(tcp);
	if (nxt != tcp->snd_nxt) {
		/* The time of the probes of a closed window does not count for this data. */
		if (before == 0)
			tcp->unanswered = false;
		if (!weir__tcp_tlp_schedule(tcp, before == 0) && before == 0)
			weir__tcp_rearm(tcp);
	} else if (tcp->packets_out == 0 && (tcp->unsent != NULL || tcp->fin_wanted)) {
		weir__tcp_rearm(tcp);
	}
}

/* ---- retransmission ------------------------------------------------------------------------- */

/* Cuts a segment in flight that is longer than the current MSS. */
static bool cut_sent(struct weir__tcp *tcp, struct weir__frame *frame, uint32_t at)
{
	struct weir__tcp_sent *front = weir__tcp_sent(frame), *back;

	if (!cut(tcp, frame, at))
		return false;
	back = weir__tcp_sent(frame->queued);
	front->end = front->seq + at;
	back->seq = front->end;
	tcp->packets_out++;
	if (back->flags & WEIR_TCP_SENT_LOST)
		tcp->lost_out++;
	if (back->flags & WEIR_TCP_SENT_AGAIN)
		tcp->retrans_out++;
	if (back->older != NULL)
		weir__tcp_link_time_after(tcp, frame, frame->queued);
	return true;
}

static void count_again(struct weir__tcp *tcp, struct weir__frame *frame)
{
	struct weir__tcp_sent *sent = weir__tcp_sent(frame);

	if (sent->flags & WEIR_TCP_SENT_LOST)
		tcp->lost_out--;
	if (!(sent->flags & WEIR_TCP_SENT_AGAIN))
		tcp->retrans_out++;
	sent->flags &= (uint8_t)~WEIR_TCP_SENT_LOST;
	sent->flags |= WEIR_TCP_SENT_AGAIN | WEIR_TCP_SENT_EVER_AGAIN;
	weir__tcp_note_unanswered(tcp);
	sent->sent_ns = tcp->net->now_ns;
	weir__tcp_unlink_time(tcp, frame);
	weir__tcp_link_time(tcp, frame);
	if (tcp->undo_retrans == WEIR_TCP_NOTHING_SENT)
		tcp->undo_retrans = 1;
	else if (tcp->undo_retrans < WEIR_TCP_NOTHING_SENT - 1)
		tcp->undo_retrans++;
	tcp->prr_out++;
	tcp->total_retrans++;
	tcp->net->count.tcp_retransmitted_segments++;
}

bool weir__tcp_retransmit(struct weir__tcp *tcp, struct weir__frame *frame)
{
	struct weir__tcp_sent *sent = weir__tcp_sent(frame);
	struct weir__frame *header, *payload = NULL;

	/* The peer may have shrunk its window; then only the first segment is sent, as a probe. */
	if (sent->seq != tcp->snd_una &&
	    !weir__before(sent->seq, tcp->snd_una + tcp->snd_wnd))
		return false;
	if (frame->total > weir__tcp_payload(tcp) && !cut_sent(tcp, frame, weir__tcp_payload(tcp)))
		return false;
	header = new_header(tcp->net);
	if (header == NULL)
		return false;
	if (frame->total > 0 &&
	    weir__frame_clone(&tcp->net->frames, frame, 0, frame->total, &payload) < 0) {
		weir__frame_free(&tcp->net->frames, header);
		return false;
	}
	count_again(tcp, frame);
	if (send_segment(tcp, header, payload, sent->seq, flags_of(tcp, frame)) == -EMSGSIZE) {
		weir__tcp_sync_mss(tcp);
		weir__tcp_mark_lost(tcp, frame);
	}
	return true;
}

static void send_lost(struct weir__tcp *tcp)
{
	struct weir__frame *frame = tcp->lost_hint != NULL ? tcp->lost_hint : tcp->first;

	for (; tcp->lost_out > 0 && frame != tcp->unsent; frame = frame->queued) {
		tcp->lost_hint = frame;
		if (!(weir__tcp_sent(frame)->flags & WEIR_TCP_SENT_LOST))
			continue;
		if (window_is_full(tcp)) {
			tcp->cwnd_limited = true;
			return;
		}
		if (!weir__tcp_retransmit(tcp, frame))
			return;
	}
}

/* ---- the turn's end ------------------------------------------------------------------------- */

static bool may_send_data(const struct weir__tcp *tcp)
{
	return tcp->state >= WEIR_TCP_ESTABLISHED && tcp->state != WEIR_TCP_TIME_WAIT &&
	       tcp->state != WEIR_TCP_FIN_WAIT_2;
}

void weir__tcp_output(struct weir__tcp *tcp)
{
	if (may_send_data(tcp)) {
		queue_fin(tcp);
		if (tcp->lost_out > 0)
			send_lost(tcp);
		if (tcp->lost_out == 0)
			send_new(tcp);
	}
	if (tcp->state < WEIR_TCP_ESTABLISHED)
		return;
	if (tcp->ack_now)
		weir__tcp_send_ack(tcp);
	else if (tcp->ack_pending)
		weir__tcp_delay_ack(tcp);
}
