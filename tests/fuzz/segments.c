/* SPDX-License-Identifier: MIT */
/*
 * segments.c: frames into an instance of the stack in any state. The input is a program: calls of
 * the owner, time that passes, segments that fit to a connection but for what the input changes,
 * and frames of any bytes. Two instances are connected by the simulated wire, and each connection
 * may be between them or with a peer that only the input plays.
 *
 * The stack must neither crash nor leave memory behind.
 */
#include <string.h>

#include "stack/bytes.h"
#include "stack/checksum.h"
#include "stack/tcp_state.h"
#include "tests/fuzz/fuzz.h"
#include "tests/stack/wire.h"

#define CONNECTIONS 4u
#define PORT 80u
#define STEPS_MAX 400u

static struct wire wire;
static struct weir__tcp_listener *listener;
static struct weir__tcp *connections[2][CONNECTIONS];

struct input {
	const uint8_t *data;
	size_t left;
};

static uint8_t byte(struct input *in)
{
	if (in->left == 0)
		return 0;
	in->left--;
	return *in->data++;
}

/* Mostly small, sometimes anywhere. */
static uint32_t distance(struct input *in)
{
	uint8_t first = byte(in);

	if (first < 250)
		return (uint32_t)(int32_t)(int8_t)first;
	return (uint32_t)byte(in) << 24 | (uint32_t)byte(in) << 12 | byte(in);
}

/* ---- the owner ------------------------------------------------------------------------------ */

static struct weir__tcp **place(unsigned side)
{
	for (unsigned i = 0; i < CONNECTIONS; i++)
		if (connections[side][i] == NULL)
			return &connections[side][i];
	return NULL;
}

static void take_turn(struct wire *w, unsigned side)
{
	struct weir__tcp **free_place;
	unsigned events;

	while (weir__netstack_next_event(w->side[side].net, &events) != NULL)
		;
	if (side == 1 && (free_place = place(1)) != NULL &&
	    weir__tcp_accept(listener, NULL, free_place) < 0)
		*free_place = NULL;
}

static void begin(unsigned side)
{
	weir__netstack_begin(wire.side[side].net, wire.now_ns);
}

static void end(unsigned side)
{
	take_turn(&wire, side);
	weir__netstack_end(wire.side[side].net);
}

/* An even number connects to the other instance, an odd one to a peer that does not exist there. */
static void open_one(unsigned side, uint8_t number)
{
	struct weir__endpoint local = wire_endpoint(side, (uint16_t)(1000 + number % 8)),
			      peer = wire_endpoint(!side, number & 1 ? 81 : PORT);
	struct weir__tcp **free_place = place(side);

	if (free_place != NULL && weir__tcp_connect(wire.side[side].net, &local, &peer, NULL, NULL,
						    free_place) < 0)
		*free_place = NULL;
}

static void receive(struct wire_side *side, struct weir__tcp *tcp, uint32_t most)
{
	struct weir__frame *lent;

	if (weir__tcp_receive(tcp, most, &lent) > 0)
		weir__netstack_give_back(side->net, lent);
}

/* By reference, in pieces of so many bytes. */
static void send_frame(struct wire_side *side, struct weir__tcp *tcp, uint32_t len, uint32_t piece)
{
	struct weir__frame_memory *mem = weir__netstack_frames(side->net);
	struct weir__frame *frame = weir__frame_new(mem, 0, piece), *more;

	memset(weir__frame_extend(frame, piece), 0, piece);
	for (uint32_t done = piece; done < len; done += piece) {
		if (weir__frame_clone(mem, frame, 0, piece, &more) == 0)
			weir__frame_append(mem, frame, more);
	}
	if (weir__tcp_send(tcp, frame, 0) < 0)
		weir__frame_free(mem, frame);
}

static void call(struct input *in, unsigned side, struct weir__tcp **tcp)
{
	static const unsigned char bytes[4096];
	uint8_t what = byte(in), argument = byte(in);

	switch (what % 6) {
	case 0:
		if (argument & 2)
			send_frame(&wire.side[side], *tcp, argument * 64u, 1 + argument % 32u);
		else
			weir__tcp_send_copy(*tcp, bytes, argument * 16u, argument & 1);
		break;
	case 1:
		receive(&wire.side[side], *tcp, 1 + argument * 16u);
		break;
	case 2:
		weir__tcp_shutdown(*tcp, argument & 3);
		break;
	case 3:
		weir__tcp_close(*tcp);
		*tcp = NULL;
		break;
	case 4:
		weir__tcp_abort(*tcp);
		*tcp = NULL;
		break;
	default: {
		struct weir__tcp_settings settings = weir__tcp_settings(*tcp);

		settings.cork = argument & 1;
		settings.nodelay = argument & 2;
		settings.keepalive = argument & 4;
		settings.mss = argument & 8 ? 88 : 0;
		settings.user_timeout_ms = argument & 16 ? 3000 : 0;
		settings.congestion = argument & 32 ? &weir__tcp_reno : &weir__tcp_cubic;
		settings.receive_bytes = argument & 64 ? 1 : 0;
		settings.keep_idle_ms = argument & 128 ? 1000 : 0;
		weir__tcp_apply(*tcp, &settings);
	}
	}
}

/* ---- frames --------------------------------------------------------------------------------- */

static void put_in(unsigned side, const unsigned char *bytes, uint32_t len)
{
	struct weir__netstack *net = wire.side[side].net;
	struct weir__frame_queue queue = { NULL, NULL };
	struct weir__frame *frame =
		weir__frame_new(weir__netstack_frames(net), WEIR_FRAME_HEADROOM, len);

	memcpy(weir__frame_extend(frame, len), bytes, len);
	frame->flags |= WEIR_FRAME_CHECKED;
	weir__frame_queue_push(&queue, frame);
	weir__netstack_input_burst(net, &queue);
}

static uint32_t put_headers(unsigned char *frame, unsigned side, uint8_t protocol, uint32_t len)
{
	memset(frame, 0, 34);
	frame[0] = frame[6] = 2;
	frame[5] = (unsigned char)(1 + side);
	frame[11] = (unsigned char)(2 - side);
	weir__put16(frame + 12, 0x0800);
	frame[14] = 0x45;
	weir__put16(frame + 16, (uint16_t)(20 + len));
	frame[22] = 64;
	frame[23] = protocol;
	weir__put32(frame + 26, WIRE_IP + !side);
	weir__put32(frame + 30, WIRE_IP + side);
	weir__put_checksum(frame + 24, weir__checksum_finish(weir__checksum(frame + 14, 20)));
	return 34;
}

/* A segment from the peer of a connection: right, but for what the input adds. */
static void segment(struct input *in, unsigned side, const struct weir__tcp *tcp)
{
	unsigned char frame[1600], *at = frame + 34;
	uint32_t options, len;

	memset(frame, 0, sizeof(frame));
	weir__put16(at, tcp->flow.remote_port);
	weir__put16(at + 2, tcp->flow.local_port);
	weir__put32(at + 4, tcp->rcv_nxt + distance(in));
	weir__put32(at + 8, tcp->snd_nxt + distance(in));
	at[13] = byte(in);
	weir__put16(at + 14, (uint16_t)(byte(in) * 257));
	options = byte(in) % 11 * 4u;
	at[12] = (unsigned char)((20 + options) / 4 << 4);
	for (uint32_t i = 0; i < options; i++)
		at[20 + i] = byte(in);
	len = byte(in) * 4u;
	put_headers(frame, side, WEIR_IP_TCP, 20 + options + len);
	put_in(side, frame, 34 + 20 + options + len);
}

/* Bytes as they are, behind Ethernet and IP headers or as a whole frame. */
static void any_frame(struct input *in, unsigned side)
{
	uint8_t kind = byte(in), len = byte(in);
	unsigned char frame[34 + 256];
	uint32_t at = kind & 1 ? put_headers(frame, side, kind, len) : 0;

	for (uint32_t i = 0; i < len; i++)
		frame[at++] = byte(in);
	put_in(side, frame, at);
}

/* ---- the program ---------------------------------------------------------------------------- */

static void step(struct input *in)
{
	uint8_t what = byte(in);
	unsigned side = what >> 7;
	struct weir__tcp **tcp = &connections[side][what >> 4 & 3];

	if ((what & 15) < 3) {
		wire_run(&wire, wire.now_ns + (uint64_t)byte(in) * byte(in) * WIRE_MS);
		return;
	}
	begin(side);
	if ((what & 15) == 3)
		open_one(side, byte(in));
	else if ((what & 15) == 4)
		any_frame(in, side);
	else if (*tcp != NULL && (what & 15) < 10)
		segment(in, side, *tcp);
	else if (*tcp != NULL)
		call(in, side, tcp);
	end(side);
}

/* Every frame arrives, a ms later. */
static void carry(struct wire *w, unsigned from, const unsigned char *bytes, uint32_t len)
{
	wire_fly(w, (struct wire_flight){ .at_ns = w->now_ns + WIRE_MS, .from = from, .len = len },
		 bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct weir__netstack_config cfg = { .memory_bytes = 200000,
					     .tcp_connections = 16,
					     .tcp_time_waits = 4,
					     .neighbours = 8,
					     .udp_sockets = 4 };
	struct weir__endpoint local = { .port = PORT };
	struct input in = { data, size };

	memset(connections, 0, sizeof(connections));
	wire_init(&wire, 1, &cfg, take_turn);
	wire.carry = carry;
	FUZZ_ASSERT(weir__tcp_listen(wire.side[1].net, &local, 2, NULL, NULL, &listener) == 0);
	for (unsigned i = 0; i < STEPS_MAX && in.left > 0; i++)
		step(&in);
	wire_fini(&wire);
	FUZZ_ASSERT(wire.why[0] == '\0');
	return 0;
}
