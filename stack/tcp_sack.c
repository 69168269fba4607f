/* SPDX-License-Identifier: MIT */
/*
 * tcp_sack.c: the scoreboard: which segments of the send queue are SACKed or lost, and the list of
 * the segments in flight by time of transmission.
 *
 * A segment is SACKed when one block covers all of it. Blocks outside SND.UNA..SND.NXT are ignored
 * (RFC 2018, RFC 5961). A first block that is below the ACK, or that lies within the second block,
 * is a D-SACK (RFC 2883).
 *
 * A walk over the queue begins where the last walk ended, if the block does not begin earlier, and
 * jumps over runs of SACKed segments. A peer that sends its blocks in a bad order could still make
 * each block cost a walk over the whole queue. Therefore the segments visited for one ACK are
 * limited. Later ACKs repeat the block, and their walk continues where the last one ended.
 */
#include "stack/tcp_state.h"

/* ---- the list by time ----------------------------------------------------------------------- */

void weir__tcp_link_time_after(struct weir__tcp *tcp, struct weir__frame *frame,
			       struct weir__frame *half)
{
	struct weir__frame *after = weir__tcp_sent(frame)->newer;

	weir__tcp_sent(half)->older = frame;
	weir__tcp_sent(half)->newer = after;
	weir__tcp_sent(frame)->newer = half;
	weir__tcp_sent(after)->older = half;
	if (tcp->newest == frame)
		tcp->newest = half;
}

void weir__tcp_link_time(struct weir__tcp *tcp, struct weir__frame *frame)
{
	struct weir__tcp_sent *sent = weir__tcp_sent(frame);

	if (tcp->newest == NULL) {
		sent->older = frame;
		sent->newer = frame;
		tcp->newest = frame;
	} else {
		weir__tcp_link_time_after(tcp, tcp->newest, frame);
	}
}

void weir__tcp_unlink_time(struct weir__tcp *tcp, struct weir__frame *frame)
{
	struct weir__tcp_sent *sent = weir__tcp_sent(frame);

	if (sent->older == NULL)
		return;
	weir__tcp_sent(sent->older)->newer = sent->newer;
	weir__tcp_sent(sent->newer)->older = sent->older;
	if (tcp->newest == frame)
		tcp->newest = sent->older == frame ? NULL : sent->older;
	sent->older = NULL;
	sent->newer = NULL;
}

/* ---- lost ----------------------------------------------------------------------------------- */

void weir__tcp_mark_lost(struct weir__tcp *tcp, struct weir__frame *frame)
{
	struct weir__tcp_sent *sent = weir__tcp_sent(frame);

	if (sent->flags & (WEIR_TCP_SENT_LOST | WEIR_TCP_SENT_SACKED))
		return;
	if (sent->flags & WEIR_TCP_SENT_AGAIN)
		tcp->retrans_out--;
	sent->flags &= (uint8_t)~WEIR_TCP_SENT_AGAIN;
	sent->flags |= WEIR_TCP_SENT_LOST;
	weir__tcp_unlink_time(tcp, frame);
	if (tcp->lost_out++ == 0 || tcp->lost_hint == NULL ||
	    weir__before(sent->seq, weir__tcp_sent(tcp->lost_hint)->seq))
		tcp->lost_hint = frame;
}

/* ---- SACK ----------------------------------------------------------------------------------- */

static void mark_one(struct weir__tcp *tcp, struct weir__frame *frame,
		     const struct weir__tcp_segment *segment, struct weir__tcp_ack *ack)
{
	struct weir__tcp_sent *sent = weir__tcp_sent(frame);

	if (sent->flags & WEIR_TCP_SENT_SACKED)
		return;
	weir__tcp_rack_delivered(tcp, sent, segment, ack);
	if (!(sent->flags & WEIR_TCP_SENT_EVER_AGAIN) && ack->rtt_us < 0)
		ack->rtt_us = (int64_t)(tcp->net->now_ns - sent->sent_ns) / 1000;
	if (sent->flags & WEIR_TCP_SENT_LOST)
		tcp->lost_out--;
	if (sent->flags & WEIR_TCP_SENT_AGAIN)
		tcp->retrans_out--;
	sent->flags &= (uint8_t) ~(WEIR_TCP_SENT_LOST | WEIR_TCP_SENT_AGAIN);
	sent->flags |= WEIR_TCP_SENT_SACKED;
	weir__tcp_unlink_time(tcp, frame);
	tcp->sacked_out++;
	ack->delivered++;
}

/* The last segment of a run of SACKed segments, which an earlier walk has stored in the first one.
 * A SACKed segment is not in the list by time, so `newer` is free for that. */
static struct weir__frame *last_of_run(struct weir__frame *frame)
{
	struct weir__frame *last = weir__tcp_sent(frame)->newer;

	return last != NULL ? last : frame;
}

static void mark_block(struct weir__tcp *tcp, const struct weir__tcp_block *block,
		       const struct weir__tcp_segment *segment, struct weir__tcp_ack *ack)
{
	struct weir__frame *frame = tcp->first, *run = NULL;

	if (tcp->sack_hint != NULL &&
	    !weir__after(weir__tcp_sent(tcp->sack_hint)->seq, block->start))
		frame = tcp->sack_hint;
	for (; frame != tcp->unsent && ack->walked < WEIR_TCP_SACK_WALK; frame = frame->queued) {
		struct weir__tcp_sent *sent = weir__tcp_sent(frame);

		if (!weir__before(sent->seq, block->end))
			break;
		ack->walked++;
		if (!weir__before(sent->seq, block->start) && !weir__after(sent->end, block->end))
			mark_one(tcp, frame, segment, ack);
		if (sent->flags & WEIR_TCP_SENT_SACKED) {
			run = run != NULL ? run : frame;
			frame = last_of_run(frame);
			if (frame != run)
				weir__tcp_sent(run)->newer = frame;
		} else {
			run = NULL;
		}
		tcp->sack_hint = frame;
	}
}

/* A D-SACK: a segment arrived twice, so its retransmission was spurious (RFC 2883, RFC 3708). */
static void note_duplicate(struct weir__tcp *tcp, const struct weir__tcp_block *block)
{
	/* A block that is older than the largest window cannot report a duplicate. */
	if (weir__before(block->start, tcp->snd_una - tcp->snd_max_wnd))
		return;
	tcp->dsack_seen = true;
	if (tcp->dsack_dups < UINT16_MAX)
		tcp->dsack_dups++;
	if (weir__before(block->start, tcp->snd_una))
		tcp->net->count.tcp_dsacks_received++;
	else
		tcp->net->count.tcp_dsacks_ofo_received++;
	if (tcp->undo_marker != 0 && tcp->undo_retrans > 0 &&
	    tcp->undo_retrans != WEIR_TCP_NOTHING_SENT &&
	    weir__after(block->end, tcp->undo_marker) && !weir__after(block->end, tcp->high_seq))
		tcp->undo_retrans--;
}

static bool is_duplicate(const struct weir__tcp_segment *segment)
{
	const struct weir__tcp_block *first = &segment->sack[0], *second = &segment->sack[1];

	if (!weir__before(first->start, first->end))
		return false;
	if (weir__before(first->start, segment->ack))
		return !weir__after(first->end, segment->ack);
	return segment->sack_count > 1 && !weir__before(first->start, second->start) &&
	       !weir__after(first->end, second->end);
}

void weir__tcp_mark_sacked(struct weir__tcp *tcp, const struct weir__tcp_segment *segment,
			   struct weir__tcp_ack *ack)
{
	unsigned i = 0;

	if (segment->sack_count > 0 && is_duplicate(segment)) {
		note_duplicate(tcp, &segment->sack[0]);
		i = 1;
	}
	for (; i < segment->sack_count; i++) {
		const struct weir__tcp_block *block = &segment->sack[i];

		if (!weir__before(block->start, block->end) ||
		    weir__after(block->end, tcp->snd_nxt) ||
		    weir__before(block->start, tcp->snd_una)) {
			tcp->net->count.tcp_sack_discards++;
			continue;
		}
		mark_block(tcp, block, segment, ack);
	}
}

void weir__tcp_forget_sacks(struct weir__tcp *tcp)
{
	for (struct weir__frame *frame = tcp->first; frame != tcp->unsent; frame = frame->queued) {
		struct weir__tcp_sent *sent = weir__tcp_sent(frame);

		if (!(sent->flags & WEIR_TCP_SENT_SACKED))
			continue;
		sent->flags &= (uint8_t)~WEIR_TCP_SENT_SACKED;
		sent->newer = NULL;
		tcp->sacked_out--;
		weir__tcp_mark_lost(tcp, frame);
	}
	tcp->sack_hint = NULL;
}
