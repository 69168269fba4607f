/* SPDX-License-Identifier: MIT */
/* talk.c: see talk.h. */
#include "stack/tcp.h"
#include "tests/stack/talk.h"

#define PATTERN 65521u		/* a prime, so that it fits no segment size */
#define COPY_MAX 65536u
#define RETRY_NS (10 * WIRE_MS)
#define HOLD_NS (300 * WIRE_MS)

/* ---- the bytes ------------------------------------------------------------------------------ */

/* The stream of an end repeats the pattern, from some offset on. */
static const unsigned char *pattern(void)
{
	static unsigned char bytes[PATTERN + COPY_MAX];
	uint64_t random = 1;

	if (bytes[0] == 0) {
		for (unsigned i = 0; i < PATTERN + COPY_MAX; i++)
			bytes[i] = i < PATTERN ? (unsigned char)(1 + rig_draw(&random, 255))
					       : bytes[i - PATTERN];
	}
	return bytes;
}

/* At least COPY_MAX bytes of the stream of an end, from an offset on. */
static const unsigned char *stream_of(const struct talk_end *end, uint32_t offset)
{
	uint32_t begin = end->talk->port[0] * 31u + end->side * 7919u;

	return pattern() + (begin + offset) % PATTERN;
}

static struct talk_end *peer_of(const struct talk_end *end)
{
	return &end->talk->end[!end->side];
}

static void check_bytes(struct talks *talks, const struct talk_end *end, uint32_t offset,
			const unsigned char *bytes, uint32_t len)
{
	if (memcmp(bytes, stream_of(peer_of(end), offset), len) != 0)
		wire_complain(&talks->wire, "port %u, side %u: other bytes in %u .. %u",
			      end->talk->port[0], end->side, offset, offset + len);
}

static void check_frame(struct talks *talks, const struct talk_end *end, uint32_t offset,
			const struct weir__frame *frame)
{
	for (; frame != NULL; frame = frame->next) {
		check_bytes(talks, end, offset, frame->data, frame->len);
		offset += frame->len;
	}
}

/* ---- sending -------------------------------------------------------------------------------- */

static int send_reference(struct talks *talks, struct talk_end *end, uint32_t len, unsigned flags)
{
	struct weir__frame_memory *mem = weir__netstack_frames(talks->wire.side[end->side].net);
	struct weir__frame *frame;
	int rc;

	if (len > 1700)
		len = 1700;
	frame = weir__frame_new(mem, 0, len);
	if (frame == NULL)
		return -ENOMEM;
	memcpy(weir__frame_extend(frame, len), stream_of(end, end->sent), len);
	rc = weir__tcp_send(end->tcp, frame, flags);
	if (rc < 0)
		weir__frame_free(mem, frame);
	return rc;
}

static int send_some(struct talks *talks, struct talk_end *end)
{
	uint32_t len = 1 + (uint32_t)rig_draw(&talks->random, end->plan.chunk_bytes);
	uint32_t left = end->plan.send_bytes - end->sent;
	unsigned flags = rig_draw(&talks->random, 8) == 0 ? WEIR_TCP_MORE : 0;

	if (len >= left) {
		len = left;
		flags = 0;
	}
	if (end->plan.by_reference)
		return send_reference(talks, end, len, flags);
	return weir__tcp_send_copy(end->tcp, stream_of(end, end->sent), len, flags);
}

static void fail(struct talks *talks, struct talk_end *end, int error)
{
	if (error == -EAGAIN)
		return;
	if (error == -ENOMEM)
		end->retry_ns = talks->wire.now_ns + RETRY_NS;
	else
		end->error = error;
}

static void send_all(struct talks *talks, struct talk_end *end)
{
	while (end->sent < end->plan.send_bytes && !end->shut && end->error == 0) {
		int rc = send_some(talks, end);

		if (rc <= 0) {
			fail(talks, end, rc);
			return;
		}
		end->sent += (uint32_t)rc;
	}
}

/* ---- receiving ------------------------------------------------------------------------------ */

static void give_back(struct talks *talks, struct talk_end *end)
{
	for (unsigned i = 0; i < end->held_count; i++) {
		check_frame(talks, end, end->held[i].offset, end->held[i].frame);
		weir__netstack_give_back(talks->wire.side[end->side].net, end->held[i].frame);
	}
	end->held_count = 0;
	end->give_ns = WEIR_NETSTACK_NEVER;
}

static int receive_lent(struct talks *talks, struct talk_end *end)
{
	struct weir__frame *lent;
	int rc = weir__tcp_receive(end->tcp, end->plan.read_bytes, &lent);

	if (rc <= 0)
		return rc;
	if ((uint32_t)rc != lent->total)
		wire_complain(&talks->wire, "lent %u bytes, and said %d", lent->total, rc);
	check_frame(talks, end, end->received, lent);
	if (end->held_count == TALK_HELD)
		give_back(talks, end);
	if (end->held_count == 0)
		end->give_ns = talks->wire.now_ns + HOLD_NS;
	end->held[end->held_count].frame = lent;
	end->held[end->held_count++].offset = end->received;
	return rc;
}

static int receive_copy(struct talks *talks, struct talk_end *end)
{
	static unsigned char bytes[COPY_MAX];
	int rc = weir__tcp_receive_copy(end->tcp, bytes, end->plan.read_bytes);

	if (rc > 0)
		check_bytes(talks, end, end->received, bytes, (uint32_t)rc);
	return rc;
}

static void reach_end(struct talks *talks, struct talk_end *end)
{
	end->ended = true;
	if (end->received != peer_of(end)->sent && end->plan.manner != TALK_DEAF)
		wire_complain(&talks->wire, "port %u, side %u: the end after %u of %u bytes",
			      end->talk->port[0], end->side, end->received, peer_of(end)->sent);
}

static void receive_all(struct talks *talks, struct talk_end *end)
{
	while (!end->ended && end->error == 0 && talks->wire.now_ns >= end->read_ns) {
		int rc = end->plan.lent ? receive_lent(talks, end) : receive_copy(talks, end);

		if (rc < 0) {
			fail(talks, end, rc);
			return;
		}
		if (rc == 0)
			reach_end(talks, end);
		end->received += (uint32_t)rc;
		end->read_ns = talks->wire.now_ns + end->plan.read_every_ns;
	}
}

/* ---- the end -------------------------------------------------------------------------------- */

static bool has_got_all(const struct talk_end *end)
{
	return end->ended || end->received == peer_of(end)->plan.send_bytes;
}

static bool is_to_stop(const struct talks *talks, const struct talk_end *end)
{
	bool all_sent = end->sent == end->plan.send_bytes;

	if (end->error != 0)
		return true;
	switch (end->plan.manner) {
	case TALK_SHUTDOWN:
		return end->shut && end->ended;
	case TALK_CLOSE:
	case TALK_LINGER:
		return end->established && all_sent && has_got_all(end);
	case TALK_LEAVE:
		return end->established && (end->sent + end->received >= end->plan.stop_bytes ||
					    end->ended);
	case TALK_ABORT:
		return end->sent + end->received >= end->plan.stop_bytes || end->ended ||
		       talks->wire.now_ns >= end->plan.stop_ns;
	default:
		return end->established && all_sent;
	}
}

static void stop(struct talks *talks, struct talk_end *end)
{
	if (end->plan.manner == TALK_ABORT)
		weir__tcp_abort(end->tcp);
	else
		weir__tcp_close(end->tcp);
	end->tcp = NULL;
	end->over = true;
	/* Lent frames outlive their connection. */
	give_back(talks, end);
}

/* Does what the plan allows now. */
static void act(struct talks *talks, struct talk_end *end)
{
	if (end->tcp == NULL)
		return;
	end->retry_ns = WEIR_NETSTACK_NEVER;
	if (talks->wire.now_ns >= end->give_ns)
		give_back(talks, end);
	if (end->established && end->plan.manner == TALK_DEAF)
		weir__tcp_shutdown(end->tcp, WEIR_TCP_READ);
	if (end->established) {
		receive_all(talks, end);
		send_all(talks, end);
	}
	if (end->plan.manner == TALK_SHUTDOWN && end->established && !end->shut &&
	    end->sent == end->plan.send_bytes && end->error == 0) {
		int rc = weir__tcp_shutdown(end->tcp, WEIR_TCP_WRITE);

		if (rc < 0)
			end->error = weir__tcp_error(end->tcp);
		end->shut = true;
	}
	if (is_to_stop(talks, end))
		stop(talks, end);
}

/* ---- the beginning -------------------------------------------------------------------------- */

static void begin(struct talk_end *end)
{
	end->begun = true;
	end->read_ns = end->plan.read_from_ns;
	end->retry_ns = WEIR_NETSTACK_NEVER;
	end->give_ns = WEIR_NETSTACK_NEVER;
	if (end->plan.manner == TALK_LINGER) {
		struct weir__tcp_settings settings = weir__tcp_settings(end->tcp);

		settings.linger_zero = true;
		/* Without memory the close is an ordinary one. */
		weir__tcp_apply(end->tcp, &settings);
	}
}

static void open_end(struct talks *talks, struct talk_end *end)
{
	struct weir__netstack *net = talks->wire.side[end->side].net;
	struct weir__endpoint local = wire_endpoint(end->side, end->talk->port[end->side]);
	struct weir__endpoint peer = wire_endpoint(!end->side, end->talk->port[!end->side]);
	int rc = weir__tcp_connect(net, &local, &peer, &talks->settings,
				   (struct weir__netstack_user *)(void *)end, &end->tcp);

	if (rc == 0) {
		begin(end);
		return;
	}
	end->begun = true;
	end->over = true;
	end->error = rc;
}

static struct talk_end *end_of_flow(struct talks *talks, unsigned side,
				    const struct weir__flow *flow)
{
	for (unsigned i = 0; i < talks->count; i++) {
		struct talk *talk = &talks->talk[i];

		if (talk->port[side] == flow->local_port && talk->port[!side] == flow->remote_port)
			return &talk->end[side];
	}
	return NULL;
}

/* A second connection of a flow that has ended: only an old ACK with a cookie can create it. */
static void accept_ghost(struct talks *talks, unsigned side)
{
	if (weir__netstack_counters(talks->wire.side[side].net)->tcp_cookies_sent == 0)
		wire_complain(&talks->wire, "side %u: accepted what nobody has opened", side);
}

static void accept_all(struct talks *talks, unsigned side)
{
	struct weir__tcp *tcp;

	while (weir__tcp_accept(talks->listener[side], NULL, &tcp) == 0) {
		struct talk_end *end = end_of_flow(talks, side, weir__tcp_flow(tcp));

		if (end == NULL || end->begun) {
			weir__tcp_abort(tcp);
			accept_ghost(talks, side);
			continue;
		}
		end->tcp = tcp;
		end->established = true;
		weir__tcp_source(tcp)->user = (struct weir__netstack_user *)(void *)end;
		begin(end);
		act(talks, end);
	}
}

/* ---- turns ---------------------------------------------------------------------------------- */

static void take_events(struct talks *talks, unsigned side)
{
	struct weir__netstack *net = talks->wire.side[side].net;
	struct weir__netstack_source *source;
	struct talk_end *end;
	unsigned events;

	while ((source = weir__netstack_next_event(net, &events)) != NULL) {
		if (source->kind == WEIR_NETSTACK_TCP_LISTENER) {
			accept_all(talks, side);
			continue;
		}
		end = (struct talk_end *)(void *)source->user;
		if (events & WEIR_NETSTACK_CONNECTED)
			end->established = true;
		if (events & WEIR_NETSTACK_FAILED && !end->established)
			end->error = weir__tcp_error(end->tcp);
		act(talks, end);
	}
}

static uint64_t earlier(uint64_t a, uint64_t b, uint64_t after)
{
	return b > after && b < a ? b : a;
}

/* The time at which an end has something to do without an event. */
static uint64_t wants_turn(const struct talk_end *end, uint64_t after)
{
	uint64_t at = WEIR_NETSTACK_NEVER;

	if (end->over)
		return at;
	if (!end->begun)
		return end->opens ? earlier(at, end->plan.open_ns, after) : at;
	at = earlier(at, end->retry_ns, after);
	at = earlier(at, end->give_ns, after);
	if (end->established && !end->ended)
		at = earlier(at, end->read_ns, after);
	return end->plan.manner == TALK_ABORT ? earlier(at, end->plan.stop_ns, after) : at;
}

void talks_turn(struct wire *wire, unsigned side)
{
	struct talks *talks = (struct talks *)(void *)wire;
	uint64_t next = WEIR_NETSTACK_NEVER;

	take_events(talks, side);
	for (unsigned i = 0; i < talks->count; i++) {
		struct talk_end *end = &talks->talk[i].end[side];

		if (wants_turn(end, talks->turned_ns[side]) <= wire->now_ns) {
			if (!end->begun)
				open_end(talks, end);
			act(talks, end);
		}
		next = earlier(next, wants_turn(end, wire->now_ns), 0);
	}
	talks->turned_ns[side] = wire->now_ns;
	wire->wake_ns[side] = next;
}

void talks_init(struct talks *talks)
{
	for (unsigned i = 0; i < talks->count; i++)
		for (unsigned side = 0; side < 2; side++) {
			struct talk_end *end = &talks->talk[i].end[side];

			end->talk = &talks->talk[i];
			end->side = side;
			if (end->opens && end->plan.open_ns < talks->wire.wake_ns[side])
				talks->wire.wake_ns[side] = end->plan.open_ns;
		}
}

/* ---- what became of them -------------------------------------------------------------------- */

static bool is_known_error(int error)
{
	return error == 0 || error == -ECONNRESET || error == -EPIPE || error == -ETIMEDOUT ||
	       error == -ECONNREFUSED || error == -ENOMEM || error == -ENOBUFS ||
	       error == -EHOSTUNREACH;
}

static void check_end(struct talks *talks, const struct talk_end *end)
{
	bool complete = end->sent == end->plan.send_bytes &&
			end->received == peer_of(end)->plan.send_bytes;
	uint16_t port = end->talk->port[0];

	if (end->tcp != NULL)
		wire_complain(&talks->wire,
			      "port %u, side %u: not over; sent %u of %u, received %u of %u", port,
			      end->side, end->sent, end->plan.send_bytes, end->received,
			      peer_of(end)->plan.send_bytes);
	if (!is_known_error(end->error))
		wire_complain(&talks->wire, "port %u, side %u: error %d", port, end->side,
			      end->error);
	if (!end->talk->excused && (end->error != 0 || !complete))
		wire_complain(&talks->wire,
			      "port %u, side %u: error %d; sent %u of %u, received %u of %u", port,
			      end->side, end->error, end->sent, end->plan.send_bytes,
			      end->received, peer_of(end)->plan.send_bytes);
}

void talks_check(struct talks *talks)
{
	for (unsigned i = 0; i < talks->count; i++)
		for (unsigned side = 0; side < 2; side++)
			check_end(talks, &talks->talk[i].end[side]);
}

void talks_fini(struct talks *talks)
{
	for (unsigned i = 0; i < talks->count; i++)
		for (unsigned side = 0; side < 2; side++)
			give_back(talks, &talks->talk[i].end[side]);
}
