/* SPDX-License-Identifier: MIT */
/*
 * tcp_stream.c: the owner's calls that send and receive, by reference and by copy.
 *
 * A frame that the owner sends is appended to the send queue as it is, with its charge; a lent
 * frame is charged already. Copied bytes are put into frames of one segment each, so that the
 * checksums that are computed during the copy are those of the segments (frame.h). The last frame
 * accepts further bytes as long as it is unsent and shorter than a segment.
 */
#include "stack/tcp_state.h"

/* ---- sending -------------------------------------------------------------------------------- */

/* 0 if data may be queued. */
static int check_send(struct weir__tcp *tcp)
{
	if (tcp->error != 0)
		return tcp->error;
	if (tcp->state == WEIR_TCP_SYN_SENT || tcp->state == WEIR_TCP_SYN_RECEIVED) {
		tcp->wants_write = true;
		return -EAGAIN;
	}
	if (tcp->fin_wanted || tcp->state == WEIR_TCP_CLOSED)
		return -EPIPE;
	if (weir__tcp_writable(tcp) == 0) {
		tcp->wants_write = true;
		return -EAGAIN;
	}
	return 0;
}

static void charge(struct weir__tcp *tcp, struct weir__frame *frame)
{
	if (frame->charged == 0)
		weir__netstack_charge(tcp->net, frame);
	tcp->snd_charged += frame->charged;
}

static void queue(struct weir__tcp *tcp, struct weir__frame *frame)
{
	*weir__tcp_sent(frame) = (struct weir__tcp_sent){ 0 };
	frame->queued = NULL;
	if (tcp->first == NULL)
		tcp->first = frame;
	else
		tcp->last->queued = frame;
	tcp->last = frame;
	if (tcp->unsent == NULL)
		tcp->unsent = frame;
}

static void queued(struct weir__tcp *tcp, uint32_t len, unsigned flags)
{
	tcp->write_seq += len;
	tcp->more = flags & WEIR_TCP_MORE;
	if (!tcp->more)
		weir__tcp_sent(tcp->last)->flags |= WEIR_TCP_SENT_PUSH;
	weir__tcp_later(tcp);
}

int weir__tcp_send(struct weir__tcp *tcp, struct weir__frame *frame, unsigned flags)
{
	int rc = check_send(tcp);
	uint32_t len = frame->total;

	if (rc < 0)
		return rc;
	if (len == 0 || len > INT32_MAX)
		return -EINVAL;
	weir__netstack_take_back(tcp->net, frame);
	charge(tcp, frame);
	queue(tcp, frame);
	queued(tcp, len, flags);
	return (int)len;
}

/* Copies bytes to the end of the last frame. */
static int extend_last(struct weir__tcp *tcp, const void *bytes, uint32_t len)
{
	struct weir__frame *last = tcp->last;
	uint32_t before = weir__frame_true_bytes(last), more;
	int rc = weir__frame_copy_in(&tcp->net->frames, last, bytes, len);

	if (rc < 0)
		return rc;
	more = weir__frame_true_bytes(last) - before;
	last->charged += more;
	tcp->net->memory.used_bytes += more;
	tcp->snd_charged += more;
	return 0;
}

static int copy_frame(struct weir__tcp *tcp, const void *bytes, uint32_t len)
{
	struct weir__frame_memory *mem = &tcp->net->frames;
	struct weir__frame *frame =
		weir__frame_new(mem, 0, len < mem->block_bytes ? len : mem->block_bytes);

	if (frame == NULL)
		return -ENOMEM;
	if (weir__frame_copy_in(mem, frame, bytes, len) < 0) {
		weir__frame_free(mem, frame);
		return -ENOMEM;
	}
	charge(tcp, frame);
	queue(tcp, frame);
	return 0;
}

/* How many bytes the last frame lacks to a full segment. 0 if it is sent or full. */
static uint32_t room_in_last(const struct weir__tcp *tcp)
{
	uint32_t payload = weir__tcp_payload(tcp);

	return tcp->unsent != NULL && tcp->last->total < payload ? payload - tcp->last->total : 0;
}

/* Copies into a new frame, or into the last one. Returns the number of bytes; -ENOMEM. */
static int copy_some(struct weir__tcp *tcp, const void *bytes, uint32_t len)
{
	uint32_t room = room_in_last(tcp), payload = weir__tcp_payload(tcp);
	int rc;

	if (room == 0) {
		len = len < payload ? len : payload;
		rc = copy_frame(tcp, bytes, len);
	} else {
		len = len < room ? len : room;
		rc = extend_last(tcp, bytes, len);
	}
	return rc < 0 ? rc : (int)len;
}

int weir__tcp_send_copy(struct weir__tcp *tcp, const void *bytes, uint32_t len, unsigned flags)
{
	int rc = check_send(tcp);
	uint32_t room, done = 0;

	if (rc < 0)
		return rc;
	room = weir__tcp_writable(tcp);
	if (len > room) {
		len = room;
		tcp->wants_write = true;
	}
	if (len == 0)
		return 0;
	while (done < len) {
		rc = copy_some(tcp, (const unsigned char *)bytes + done, len - done);
		if (rc < 0)
			break;
		done += (uint32_t)rc;
	}
	if (done == 0)
		return rc;
	queued(tcp, done, flags);
	return (int)done;
}

uint32_t weir__tcp_writable(const struct weir__tcp *tcp)
{
	uint32_t room;

	if (tcp->snd_charged >= tcp->snd_limit || tcp->fin_wanted ||
	    (tcp->state != WEIR_TCP_ESTABLISHED && tcp->state != WEIR_TCP_CLOSE_WAIT))
		return 0;
	room = tcp->snd_limit - tcp->snd_charged;
	if (weir__netstack_has_room(tcp->net, 1))
		return room;
	/* As Linux's tcp_wmem[0]: with an empty queue, no ACK would raise WRITABLE later. */
	if (tcp->snd_charged > 0)
		return 0;
	return room < WEIR_TCP_SEND_LEAST ? room : WEIR_TCP_SEND_LEAST;
}

/* ---- receiving ------------------------------------------------------------------------------ */

uint32_t weir__tcp_readable(const struct weir__tcp *tcp)
{
	uint32_t fin = tcp->fin_received;

	return tcp->received.first == NULL ? 0 : tcp->rcv_nxt - tcp->rcv_read - fin;
}

/* The result of a receive call when there is no data. */
static int nothing(const struct weir__tcp *tcp)
{
	if (tcp->error != 0)
		return tcp->error;
	if (tcp->fin_received || tcp->read_shut || tcp->state == WEIR_TCP_CLOSED)
		return 0;
	return -EAGAIN;
}

/* Takes the first frame, or its first max bytes. -ENOMEM. */
static int take(struct weir__tcp *tcp, uint32_t max, struct weir__frame **ret_frame)
{
	struct weir__frame *frame = tcp->received.first, *rest;

	if (frame->total <= max) {
		weir__frame_queue_pop(&tcp->received);
		tcp->rcv_charged -= frame->charged;
		*ret_frame = frame;
		return 0;
	}
	if (weir__frame_split(&tcp->net->frames, frame, max, &rest) < 0)
		return -ENOMEM;
	*weir__tcp_received(rest) = *weir__tcp_received(frame);
	rest->charged = frame->charged;
	rest->queued = frame->queued;
	if (tcp->received.last == frame)
		tcp->received.last = rest;
	tcp->received.first = rest;
	frame->queued = NULL;
	frame->charged = 0;
	weir__netstack_charge(tcp->net, frame);
	*ret_frame = frame;
	return 0;
}

/* Joins frames of a reversed list. In that order each append walks only one of them. */
static struct weir__frame *join(struct weir__tcp *tcp, struct weir__frame *reversed)
{
	struct weir__frame *tail = reversed, *frame, *next;
	uint32_t charged;

	for (frame = tail->queued; frame != NULL; frame = next) {
		next = frame->queued;
		charged = tail->charged;
		tail->charged = 0;
		weir__frame_append(&tcp->net->frames, frame, tail);
		frame->charged += charged;
		tail = frame;
	}
	tail->queued = NULL;
	return tail;
}

int weir__tcp_receive(struct weir__tcp *tcp, uint32_t max, struct weir__frame **ret_lent)
{
	struct weir__frame *frame, *reversed = NULL;
	uint32_t taken = 0;

	if (tcp->received.first == NULL)
		return nothing(tcp);
	if (max > INT32_MAX)
		max = INT32_MAX;
	while (taken < max && tcp->received.first != NULL) {
		if (take(tcp, max - taken, &frame) < 0)
			break;
		taken += frame->total;
		frame->queued = reversed;
		reversed = frame;
	}
	if (taken == 0)
		return max == 0 ? 0 : -ENOMEM;
	*ret_lent = join(tcp, reversed);
	weir__netstack_lend(tcp->net, *ret_lent);
	weir__tcp_has_read(tcp, taken);
	return (int)taken;
}

int weir__tcp_receive_copy(struct weir__tcp *tcp, void *to, uint32_t len)
{
	struct weir__frame *frame;
	uint32_t done = 0, part;

	if (tcp->received.first == NULL)
		return nothing(tcp);
	if (len > INT32_MAX)
		len = INT32_MAX;
	while (done < len && (frame = tcp->received.first) != NULL) {
		part = weir__frame_copy_out(frame, 0, (unsigned char *)to + done, len - done);
		done += part;
		if (part < frame->total) {
			weir__frame_pull(&tcp->net->frames, frame, part);
			break;
		}
		weir__frame_queue_pop(&tcp->received);
		tcp->rcv_charged -= frame->charged;
		weir__netstack_drop(tcp->net, frame);
	}
	weir__tcp_has_read(tcp, done);
	return (int)done;
}
