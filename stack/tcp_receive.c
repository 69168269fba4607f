/* SPDX-License-Identifier: MIT */
/*
 * tcp_receive.c: received data, in order and out of order; the window that is offered; when an ACK
 * is due; SACK blocks.
 *
 * Bytes that were received first are kept: where segments overlap, the later segment only fills
 * gaps. Out-of-order data is kept in ranges (tcp_state.h), at most WEIR_TCP_RANGES_MAX of them and
 * within the limit of the buffer. Data beyond these limits is dropped, and the peer retransmits it.
 *
 * Queued data is charged at true size. When the buffer is full or memory is scarce, short
 * segments in large blocks are copied together. So data within the offered window always fits
 * into the buffer.
 */
#include "stack/tcp_state.h"

#define COMPACT_ROOM 1024u	/* free bytes in a copied frame for the segments that follow */

/* ---- the window ----------------------------------------------------------------------------- */

static uint32_t right_edge(const struct weir__tcp *tcp)
{
	return tcp->rcv_wup + tcp->rcv_wnd;
}

/* The part of the last offered window that is still unused. */
static uint32_t current_window(const struct weir__tcp *tcp)
{
	int32_t left = (int32_t)(right_edge(tcp) - tcp->rcv_nxt);

	return left > 0 ? (uint32_t)left : 0;
}

static uint32_t free_space(const struct weir__tcp *tcp)
{
	uint32_t free = tcp->rcv_charged < tcp->rcv_limit ? tcp->rcv_limit - tcp->rcv_charged : 0;
	uint32_t space = (uint32_t)((uint64_t)free * tcp->rcv_ratio / 256);

	/* Under memory pressure Linux, too, offers four segments. */
	if (weir__netstack_scarce(tcp->net) && space > 4u * tcp->advmss)
		space = 4u * tcp->advmss;
	return space;
}

/*
 * The window never shrinks (RFC 9293 3.8.6: SHOULD NOT), and grows by at least a segment or
 * half of the buffer (3.8.6.2.2). The window field is rounded down to a unit of the scale,
 * while data is accepted up to the unrounded edge (RFC 7323 2.4). If it were rounded up, the
 * window would never close.
 */
static uint32_t next_window(const struct weir__tcp *tcp)
{
	uint32_t unit = 1u << tcp->rcv_wscale, most = 65535u << tcp->rcv_wscale;
	uint32_t current = current_window(tcp);
	uint32_t space = free_space(tcp) & ~(unit - 1);
	uint32_t half = (uint32_t)((uint64_t)tcp->rcv_limit * tcp->rcv_ratio / 512);
	uint32_t step = tcp->rcv_mss < half ? tcp->rcv_mss : half;

	if (space > most)
		space = most;
	return space < current + step ? current : space;
}

uint32_t weir__tcp_select_window(struct weir__tcp *tcp)
{
	tcp->rcv_wnd = next_window(tcp);
	tcp->rcv_wup = tcp->rcv_nxt;
	return tcp->rcv_wnd;
}

uint32_t weir__tcp_initial_buffer(const struct weir__netstack *net,
				  const struct weir__tcp_settings *settings)
{
	uint32_t bytes = settings->receive_bytes != 0 ? settings->receive_bytes
						      : WEIR_TCP_BUFFER_START;

	if (bytes < WEIR_TCP_BUFFER_LEAST)
		bytes = WEIR_TCP_BUFFER_LEAST;
	return bytes < net->cfg.tcp_receive_bytes ? bytes : net->cfg.tcp_receive_bytes;
}

/* Half of the buffer, until rcv_ratio is measured. It is not scaled (RFC 7323 2.2). */
uint32_t weir__tcp_initial_window(const struct weir__netstack *net,
				  const struct weir__tcp_settings *settings)
{
	uint32_t window = weir__tcp_initial_buffer(net, settings) / 2;

	return window < 65535 ? window : 65535;
}

uint8_t weir__tcp_choose_wscale(const struct weir__netstack *net,
				const struct weir__tcp_settings *settings)
{
	uint32_t space = settings->receive_bytes != 0 ? settings->receive_bytes
						      : net->cfg.tcp_receive_bytes;
	uint8_t shift = 0;

	for (; space > 65535 && shift < WEIR_TCP_WSCALE_MAX; space >>= 1)
		shift++;
	return shift;
}

/* ---- buffer tuning -------------------------------------------------------------------------- */

void weir__tcp_tune_rtt(struct weir__tcp *tcp, uint32_t rtt_us)
{
	if (rtt_us == 0)
		rtt_us = 1000;
	tcp->tune_rtt_us = tcp->tune_rtt_us == 0
				   ? rtt_us
				   : tcp->tune_rtt_us - tcp->tune_rtt_us / 8 + rtt_us / 8;
}

/*
 * Dynamic right-sizing (Fisk and Feng, 2001), as in Linux: the window has to be twice the number of
 * bytes that the owner reads in a round trip.
 */
static void tune_buffer(struct weir__tcp *tcp)
{
	uint32_t now = weir__tcp_ms(tcp->net), copied = tcp->rcv_read - tcp->tune_seq;
	uint64_t want;

	if ((now - tcp->tune_ms) * 1000ull < tcp->tune_rtt_us || now == tcp->tune_ms)
		return;
	if (copied > tcp->tune_space) {
		want = (2ull * copied + 16u * tcp->advmss) * 256 / tcp->rcv_ratio;
		if (want > tcp->net->cfg.tcp_receive_bytes)
			want = tcp->net->cfg.tcp_receive_bytes;
		if (want > tcp->rcv_limit && weir__tcp_set(tcp)->receive_bytes == 0 &&
		    !weir__netstack_scarce(tcp->net))
			tcp->rcv_limit = (uint32_t)want;
		tcp->tune_space = copied;
	}
	tcp->tune_seq = tcp->rcv_read;
	tcp->tune_ms = now;
}

void weir__tcp_has_read(struct weir__tcp *tcp, uint32_t len)
{
	uint32_t current = current_window(tcp), next;

	tcp->rcv_read += len;
	tune_buffer(tcp);
	if (tcp->state == WEIR_TCP_CLOSED || tcp->fin_received)
		return;
	next = next_window(tcp);
	if (tcp->ack_pending && tcp->rcv_nxt - tcp->rcv_wup > tcp->rcv_mss)
		tcp->ack_now = true;
	if (next > current && next >= 2 * current)
		tcp->ack_now = true;
	if (tcp->ack_now)
		weir__tcp_later(tcp);
}

/* ---- when an ACK is due --------------------------------------------------------------------- */

static void measure_mss(struct weir__tcp *tcp, const struct weir__frame *frame)
{
	uint32_t len = frame->segment_bytes != 0 ? frame->segment_bytes : frame->total, ratio;

	if (len < tcp->rcv_mss)
		return;
	tcp->rcv_mss = (uint16_t)(len < tcp->advmss ? len : tcp->advmss);
	ratio = (uint32_t)(frame->total * 256ull / weir__frame_true_bytes(frame));
	tcp->rcv_ratio = (uint8_t)(ratio < 16 ? 16 : ratio > 255 ? 255 : ratio);
}

static void fill_quick(struct weir__tcp *tcp)
{
	uint32_t quick = tcp->rcv_wnd / (2u * tcp->rcv_mss);

	if (quick < 2)
		quick = 2;
	tcp->quick = (uint8_t)(quick < WEIR_TCP_QUICK_ACKS ? quick : WEIR_TCP_QUICK_ACKS);
}

/* The ATO adapts to the intervals between segments (RFC 9293 3.8.6.3 allows up to 0.5 s). */
static void measure_gap(struct weir__tcp *tcp)
{
	uint32_t now = weir__tcp_ms(tcp->net), gap = now - tcp->received_ms;

	tcp->received_ms = now;
	if (tcp->ato_ms == 0) {
		tcp->ato_ms = WEIR_TCP_ATO_MIN_MS;
		fill_quick(tcp);
	} else if (gap <= WEIR_TCP_ATO_MIN_MS / 2) {
		tcp->ato_ms = (uint16_t)(tcp->ato_ms / 2 + WEIR_TCP_ATO_MIN_MS / 2);
	} else if (gap < tcp->ato_ms) {
		tcp->ato_ms = (uint16_t)(tcp->ato_ms / 2 + gap);
	} else if (gap > tcp->rto_us / 1000) {
		/* After a pause the sender is in slow start and needs ACKs. */
		fill_quick(tcp);
	}
}

/* In order: an ACK at once in quick mode or for two full segments, else later (RFC 5681 4.2). */
static void owe_ack(struct weir__tcp *tcp)
{
	tcp->ack_pending = true;
	if ((tcp->quick > 0 && !tcp->pingpong) || tcp->rcv_nxt - tcp->rcv_wup > tcp->rcv_mss)
		tcp->ack_now = true;
}

/* Data out of order, duplicate or outside the window: an ACK at once for each (RFC 5681 4.2). */
static void ack_at_once(struct weir__tcp *tcp)
{
	tcp->pingpong = false;
	fill_quick(tcp);
	weir__tcp_send_ack(tcp);
}

void weir__tcp_report_duplicate(struct weir__tcp *tcp, uint32_t start, uint32_t end)
{
	if (!tcp->sack || start == end)
		return;
	tcp->duplicate = (struct weir__tcp_block){ start, end };
	if (weir__before(start, tcp->rcv_nxt))
		tcp->net->count.tcp_dsacks_old_sent++;
	else
		tcp->net->count.tcp_dsacks_ofo_sent++;
}

/* RFC 2883 4.2: if several parts of one segment are duplicate, the first one is reported. */
static void report_part(struct weir__tcp *tcp, struct weir__tcp_received *received, uint32_t end)
{
	if (!received->reported)
		weir__tcp_report_duplicate(tcp, received->seq, end);
	received->reported = true;
}

/* ---- memory --------------------------------------------------------------------------------- */

static void charge(struct weir__tcp *tcp, struct weir__frame *frame)
{
	weir__netstack_charge(tcp->net, frame);
	tcp->rcv_charged += frame->charged;
}

static void drop(struct weir__tcp *tcp, struct weir__frame *frame)
{
	tcp->rcv_charged -= frame->charged;
	weir__netstack_drop(tcp->net, frame);
}

void weir__tcp_free_queue(struct weir__tcp *tcp)
{
	struct weir__frame *frame;

	while ((frame = weir__frame_queue_pop(&tcp->received)) != NULL)
		drop(tcp, frame);
}

void weir__tcp_free_received(struct weir__tcp *tcp)
{
	struct weir__frame *frame, *next;

	weir__tcp_free_queue(tcp);
	while ((frame = tcp->ranges) != NULL) {
		tcp->ranges = weir__tcp_received(frame)->next_range;
		for (; frame != NULL; frame = next) {
			next = frame->queued;
			drop(tcp, frame);
		}
	}
	tcp->newest_range = NULL;
	tcp->range_count = 0;
}

static bool is_full(const struct weir__tcp *tcp, const struct weir__frame *frame)
{
	return tcp->rcv_charged + weir__frame_true_bytes(frame) > tcp->rcv_limit ||
	       weir__netstack_scarce(tcp->net);
}

/* Copies a short segment into the last block of the receive queue. False if there is no room. */
static bool copy_behind(struct weir__tcp *tcp, struct weir__frame *frame)
{
	struct weir__frame *last = tcp->received.last;
	unsigned char *at;

	if (tcp->received.first == NULL || weir__tcp_received(last)->fin)
		return false;
	at = weir__frame_extend(last, frame->total);
	if (at == NULL)
		return false;
	weir__frame_copy_out(frame, 0, at, frame->total);
	weir__tcp_received(last)->fin = weir__tcp_received(frame)->fin;
	weir__frame_free(&tcp->net->frames, frame);
	return true;
}

/* Copies a frame that wastes memory into a smaller block with `room` bytes more. Returns the copy,
 * or the frame itself if it is compact or memory is short. */
static struct weir__frame *compact(struct weir__tcp *tcp, struct weir__frame *frame, uint32_t room)
{
	struct weir__frame *copy;

	if (weir__frame_true_bytes(frame) < frame->total + frame->total / 2 ||
	    weir__frame_copy_room(&tcp->net->frames, frame, room, &copy) < 0)
		return frame;
	*weir__tcp_received(copy) = *weir__tcp_received(frame);
	weir__frame_free(&tcp->net->frames, frame);
	return copy;
}

/* ---- in order ------------------------------------------------------------------------------- */

/* Takes the next bytes of the stream. Owns the frame, which is charged if it was out of order. */
static void deliver(struct weir__tcp *tcp, struct weir__frame *frame)
{
	struct weir__tcp_received *received = weir__tcp_received(frame);

	/* No data is valid after the FIN. */
	if (tcp->fin_received) {
		drop(tcp, frame);
		return;
	}
	tcp->rcv_nxt = received->end;
	tcp->bytes_received += frame->total;
	if (received->fin)
		tcp->fin_received = true;
	if (tcp->read_shut || frame->total == 0) {
		tcp->rcv_read += frame->total;
		drop(tcp, frame);
		return;
	}
	if (frame->charged == 0 && is_full(tcp, frame)) {
		if (copy_behind(tcp, frame))
			return;
		frame = compact(tcp, frame, COMPACT_ROOM);
	}
	if (frame->charged == 0)
		charge(tcp, frame);
	weir__frame_queue_push(&tcp->received, frame);
}

/* ---- out of order --------------------------------------------------------------------------- */

static void forget_range(struct weir__tcp *tcp, struct weir__frame *range)
{
	struct weir__tcp_received *head = weir__tcp_received(range);

	if (head->newer != NULL)
		weir__tcp_received(head->newer)->older = head->older;
	else
		tcp->newest_range = head->older;
	if (head->older != NULL)
		weir__tcp_received(head->older)->newer = head->newer;
}

static void becomes_newest(struct weir__tcp *tcp, struct weir__frame *range)
{
	struct weir__tcp_received *head = weir__tcp_received(range);

	head->newer = NULL;
	head->older = tcp->newest_range;
	if (tcp->newest_range != NULL)
		weir__tcp_received(tcp->newest_range)->newer = range;
	tcp->newest_range = range;
}

/* Joins a range and the next one, which begins where this one ends. */
static void join_ranges(struct weir__tcp *tcp, struct weir__frame *range)
{
	struct weir__tcp_received *head = weir__tcp_received(range);
	struct weir__frame *next = head->next_range;
	struct weir__tcp_received *after = weir__tcp_received(next);

	forget_range(tcp, next);
	head->range_last->queued = next;
	head->range_last = after->range_last;
	head->range_end = after->range_end;
	head->next_range = after->next_range;
	tcp->range_count--;
}

/*
 * Inserts a frame, which overlaps no range, behind the range `before` (NULL: at the front). Returns
 * the range that contains it now; if it was dropped, `before`.
 */
static struct weir__frame *place(struct weir__tcp *tcp, struct weir__frame *before,
				 struct weir__frame *frame)
{
	struct weir__tcp_received *received = weir__tcp_received(frame), *head;
	struct weir__frame *range = before;

	charge(tcp, frame);
	frame->queued = NULL;
	if (before != NULL && weir__tcp_received(before)->range_end == received->seq) {
		head = weir__tcp_received(before);
		head->range_last->queued = frame;
		head->range_last = frame;
		head->range_end = received->end;
		forget_range(tcp, before);
	} else {
		/* A frame at RCV.NXT is exempt from the limit: it is delivered at once. */
		if (tcp->range_count >= WEIR_TCP_RANGES_MAX && received->seq != tcp->rcv_nxt) {
			drop(tcp, frame);
			return before;
		}
		tcp->range_count++;
		received->range_end = received->end;
		received->range_last = frame;
		received->next_range = before == NULL ? tcp->ranges
						      : weir__tcp_received(before)->next_range;
		if (before == NULL)
			tcp->ranges = frame;
		else
			weir__tcp_received(before)->next_range = frame;
		range = frame;
		head = received;
	}
	becomes_newest(tcp, range);
	if (head->next_range != NULL &&
	    head->range_end == weir__tcp_received(head->next_range)->seq)
		join_ranges(tcp, range);
	return range;
}

/* The last range that begins at or before seq. The search begins at the newest one if it can. */
static struct weir__frame *range_before(const struct weir__tcp *tcp, uint32_t seq)
{
	struct weir__frame *at = tcp->ranges, *before = NULL;

	if (tcp->newest_range != NULL &&
	    !weir__after(weir__tcp_received(tcp->newest_range)->seq, seq))
		at = tcp->newest_range;
	for (; at != NULL && !weir__after(weir__tcp_received(at)->seq, seq);
	     at = weir__tcp_received(at)->next_range)
		before = at;
	return before;
}

/* Removes the bytes before `to` from the front of a frame, which is in no range yet. */
static void skip(struct weir__tcp *tcp, struct weir__frame *frame, uint32_t to)
{
	struct weir__tcp_received *received = weir__tcp_received(frame);

	weir__frame_pull(&tcp->net->frames, frame, to - received->seq);
	received->seq = to;
}

/* Cuts a frame at `at`. Returns the rest; NULL if there is none, or without memory. */
static struct weir__frame *cut_at(struct weir__tcp *tcp, struct weir__frame *frame, uint32_t at)
{
	struct weir__tcp_received *received = weir__tcp_received(frame), *behind;
	struct weir__frame *rest = NULL;

	if (at - received->seq >= frame->total ||
	    weir__frame_split(&tcp->net->frames, frame, at - received->seq, &rest) < 0) {
		weir__frame_trim(&tcp->net->frames, frame, at - received->seq);
	} else {
		behind = weir__tcp_received(rest);
		*behind = *received;
		behind->seq = at;
	}
	received->end = at;
	received->fin = false;
	return rest;
}

/* Fills gaps with the bytes of a frame. Owns the frame. Returns whether any byte was new. */
static bool insert(struct weir__tcp *tcp, struct weir__frame *frame)
{
	struct weir__frame *before = range_before(tcp, weir__tcp_received(frame)->seq), *next,
			   *rest;
	bool news = false;

	while (frame != NULL) {
		struct weir__tcp_received *received = weir__tcp_received(frame);

		if (before != NULL &&
		    weir__after(weir__tcp_received(before)->range_end, received->seq)) {
			uint32_t known = weir__tcp_received(before)->range_end;

			report_part(tcp, received,
				    weir__before(known, received->end) ? known : received->end);
			if (!weir__after(received->end, known)) {
				/* RFC 2883 4: the second SACK block is this range. */
				forget_range(tcp, before);
				becomes_newest(tcp, before);
				weir__frame_free(&tcp->net->frames, frame);
				return news;
			}
			skip(tcp, frame, known);
		}
		next = before == NULL ? tcp->ranges : weir__tcp_received(before)->next_range;
		rest = NULL;
		if (next != NULL &&
		    weir__after(received->end, weir__tcp_received(next)->seq))
			rest = cut_at(tcp, frame, weir__tcp_received(next)->seq);
		before = place(tcp, before, frame);
		news = true;
		frame = rest;
		if (before == NULL || frame == NULL)
			break;
	}
	if (frame != NULL)
		weir__frame_free(&tcp->net->frames, frame);
	return news;
}

/* Delivers the first range, if it begins at RCV.NXT. */
static void deliver_range(struct weir__tcp *tcp)
{
	struct weir__frame *frame = tcp->ranges, *next;

	if (frame == NULL || weir__tcp_received(frame)->seq != tcp->rcv_nxt)
		return;
	tcp->ranges = weir__tcp_received(frame)->next_range;
	forget_range(tcp, frame);
	tcp->range_count--;
	for (; frame != NULL; frame = next) {
		next = frame->queued;
		deliver(tcp, frame);
	}
}

static void out_of_order(struct weir__tcp *tcp, struct weir__frame *frame)
{
	tcp->net->count.tcp_out_of_order++;
	if (is_full(tcp, frame))
		frame = compact(tcp, frame, 0);
	if (tcp->rcv_charged + weir__frame_true_bytes(frame) > tcp->rcv_limit ||
	    !weir__netstack_has_room(tcp->net, weir__frame_true_bytes(frame))) {
		tcp->net->count.tcp_receive_drops++;
		weir__frame_free(&tcp->net->frames, frame);
	} else {
		insert(tcp, frame);
	}
	ack_at_once(tcp);
}

/* ---- SACK ----------------------------------------------------------------------------------- */

unsigned weir__tcp_sack_blocks(const struct weir__tcp *tcp, struct weir__tcp_block blocks[4])
{
	struct weir__frame *range = tcp->newest_range;
	unsigned count = 0;

	if (!tcp->sack)
		return 0;
	if (tcp->duplicate.start != tcp->duplicate.end)
		blocks[count++] = tcp->duplicate;
	for (; range != NULL && count < 4; range = weir__tcp_received(range)->older)
		blocks[count++] = (struct weir__tcp_block){ weir__tcp_received(range)->seq,
							    weir__tcp_received(range)->range_end };
	return count;
}

/* ---- a segment ------------------------------------------------------------------------------ */

/* Trims a segment to the window. */
static void fit(struct weir__tcp *tcp, struct weir__frame *frame)
{
	struct weir__tcp_received *received = weir__tcp_received(frame);

	if (weir__before(received->seq, tcp->rcv_nxt)) {
		report_part(tcp, received, tcp->rcv_nxt);
		skip(tcp, frame, tcp->rcv_nxt);
	}
	if (weir__after(received->end, right_edge(tcp))) {
		weir__frame_trim(&tcp->net->frames, frame, right_edge(tcp) - received->seq);
		received->end = received->seq + frame->total;
		received->fin = false;
	}
}

/*
 * As in Linux, one segment is accepted without room in the instance, if the owner has read
 * everything before it. Otherwise two instances whose memory is full of data for each other would
 * block forever. The exception does not hold if the frames that are lent to the owner fill the
 * memory alone: the owner has to return some first.
 */
static bool has_room(const struct weir__tcp *tcp, const struct weir__frame *frame)
{
	const struct weir__netstack_memory *memory = &tcp->net->memory;

	/* The most memory that deliver needs, after compaction. */
	return weir__netstack_has_room(tcp->net, frame->total + frame->total / 2 + COMPACT_ROOM +
							 sizeof(struct weir__block) * 2) ||
	       (tcp->received.first == NULL && memory->lent_bytes < memory->limit_bytes);
}

static void in_order(struct weir__tcp *tcp, struct weir__frame *frame)
{
	if (frame->total > 0 && !has_room(tcp, frame)) {
		tcp->net->count.tcp_receive_drops++;
		weir__frame_free(&tcp->net->frames, frame);
		ack_at_once(tcp);
		return;
	}
	if (tcp->ranges == NULL) {
		deliver(tcp, frame);
	} else {
		insert(tcp, frame);
		deliver_range(tcp);
		/* RFC 5681 4.2: a segment that fills a gap is acknowledged at once. */
		tcp->ack_now = true;
	}
	owe_ack(tcp);
	weir__tcp_raise(tcp, WEIR_NETSTACK_READABLE);
}

void weir__tcp_receive_data(struct weir__tcp *tcp, const struct weir__tcp_segment *segment,
			    struct weir__frame *frame)
{
	bool fin = segment->flags & WEIR_TCP_FIN;

	if (segment->len == 0 && !fin) {
		weir__frame_free(&tcp->net->frames, frame);
		return;
	}
	WEIR_STACK_ASSERT(weir__after(segment->end, tcp->rcv_nxt));
	if (!weir__before(segment->seq, right_edge(tcp)) &&
	    !(segment->len == 0 && segment->seq == tcp->rcv_nxt)) {
		weir__frame_free(&tcp->net->frames, frame);
		ack_at_once(tcp);
		return;
	}
	measure_mss(tcp, frame);
	measure_gap(tcp);
	*weir__tcp_received(frame) = (struct weir__tcp_received){ .seq = segment->seq,
								  .end = segment->end,
								  .fin = fin };
	if (segment->len > 0)
		fit(tcp, frame);
	if (weir__tcp_received(frame)->seq == tcp->rcv_nxt)
		in_order(tcp, frame);
	else
		out_of_order(tcp, frame);
}
