/* SPDX-License-Identifier: MIT */
/*
 * icmp4.c: ICMP for IPv4 (RFC 792, RFC 1122 3.2.2): echo, received errors, sent errors.
 *
 * A received error is passed to the transport of the packet that it quotes, which decides
 * whether to accept it; nothing else changes. Redirects and source quench (RFC 6633) are
 * ignored, because any host can send them. Errors are sent at a bounded rate, never about
 * broadcasts or other errors.
 */
#include "stack/checksum.h"
#include "stack/instance.h"

#define HEADER_BYTES 8u
/* RFC 1812 4.3.2.3: as much of the packet as fits into 576 bytes. */
#define QUOTE_BYTES (576u - 20u - HEADER_BYTES)
#define INTERNET_CONTROL 0xc0	/* the precedence of errors, RFC 1812 4.3.2.5 */

enum type {
	ECHO_REPLY = 0,
	UNREACHABLE = 3,
	ECHO_REQUEST = 8,
	TIME_EXCEEDED = 11,
	PARAMETER_PROBLEM = 12,
};

enum code {
	CODE_PROTOCOL = 2,
	CODE_PORT = 3,
	CODE_TOO_BIG = 4,
};

/* ---- sending --------------------------------------------------------------------------------- */

static int send_message(struct weir__netstack *net, struct weir__frame *frame,
			const struct weir__ip_rx *about, uint8_t tos)
{
	const struct weir__ip_tx tx = { .source = about->destination,
					.destination = about->source,
					.protocol = WEIR_IP_ICMP,
					.tos = tos };

	weir__put_checksum(frame->data + 2, 0);
	weir__put_checksum(frame->data + 2, weir__checksum_finish(weir__frame_sum(frame, 0)));
	net->count.icmp_out_messages++;
	return weir__ip_output(net, frame, &tx);
}

/* An error takes a random number of tokens from the bucket, one on average, as in Linux. So a
 * host that counts the errors cannot find out whether one was sent to another host (the SAD
 * DNS attack, 2020). */
static bool may_send(struct weir__netstack *net)
{
	struct weir__ip *ip = &net->ip;
	uint64_t each_ns = WEIR_NETSTACK_SEC / net->cfg.icmp_per_second;
	uint64_t fresh = (net->now_ns - ip->icmp_refilled_ns) / each_ns;
	uint32_t taken;

	ip->icmp_refilled_ns += fresh * each_ns;
	ip->icmp_tokens = fresh < WEIR_ICMP_BURST - ip->icmp_tokens
				  ? ip->icmp_tokens + (uint32_t)fresh
				  : WEIR_ICMP_BURST;
	if (ip->icmp_tokens == 0) {
		net->count.icmp_out_rate_limited++;
		return false;
	}
	taken = weir__netstack_random32(net) % 3;
	ip->icmp_tokens -= taken < ip->icmp_tokens ? taken : ip->icmp_tokens;
	return true;
}

static void send_unreachable(struct weir__netstack *net, const struct weir__frame *frame,
			     const struct weir__ip_rx *rx, uint8_t code)
{
	uint32_t most = QUOTE_BYTES - rx->header_len;
	uint32_t quoted = frame->total < most ? frame->total : most;
	uint32_t len = HEADER_BYTES + rx->header_len + quoted;
	struct weir__frame *message;
	unsigned char *at;

	if (rx->broadcast || !may_send(net))
		return;
	message = weir__frame_new(&net->frames, WEIR_FRAME_HEADROOM, len);
	if (message == NULL)
		return;
	at = weir__frame_extend(message, len);
	memset(at, 0, HEADER_BYTES);
	at[0] = UNREACHABLE;
	at[1] = code;
	memcpy(at + HEADER_BYTES, rx->header, rx->header_len);
	weir__frame_copy_out(frame, 0, at + HEADER_BYTES + rx->header_len, quoted);
	net->count.icmp_out_unreachables++;
	send_message(net, message, rx, INTERNET_CONTROL);
}

void weir__ip_refuse(struct weir__netstack *net, const struct weir__frame *frame,
		     const struct weir__ip_rx *rx, enum weir_ip_refusal why)
{
	send_unreachable(net, frame, rx, why == WEIR_IP_NO_PORT ? CODE_PORT : CODE_PROTOCOL);
}

/* Sends the bytes of an echo request back, without copying them. Owns the frame. */
static void answer_echo(struct weir__netstack *net, struct weir__frame *frame,
			const struct weir__ip_rx *rx)
{
	struct weir__frame *reply =
		weir__frame_new(&net->frames, WEIR_FRAME_HEADROOM, HEADER_BYTES);
	unsigned char *header;

	net->count.icmp_in_echos++;
	if (rx->broadcast || reply == NULL) {
		weir__frame_free(&net->frames, reply);
		weir__frame_free(&net->frames, frame);
		return;
	}
	header = weir__frame_extend(reply, HEADER_BYTES);
	weir__frame_copy_out(frame, 0, header, HEADER_BYTES);
	header[0] = ECHO_REPLY;
	header[1] = 0;
	weir__frame_pull(&net->frames, frame, HEADER_BYTES);
	weir__frame_append(&net->frames, reply, frame);
	net->count.icmp_out_echo_replies++;
	send_message(net, reply, rx, rx->tos);
}

/* ---- received errors ------------------------------------------------------------------------- */

/* Linux's errno for each code, and whether it is a hard error. */
static const struct {
	int error;
	bool hard;
} unreachable[] = {
	{ -ENETUNREACH, false },	/* network */
	{ -EHOSTUNREACH, false },	/* host */
	{ -ENOPROTOOPT, true },		/* protocol */
	{ -ECONNREFUSED, true },	/* port */
	{ -EMSGSIZE, false },		/* fragmentation needed */
	{ -EOPNOTSUPP, false },		/* source route failed */
	{ -ENETUNREACH, true },		/* network unknown */
	{ -EHOSTDOWN, true },		/* host unknown */
	{ -ENONET, true },		/* source host isolated */
	{ -ENETUNREACH, true },		/* network prohibited */
	{ -EHOSTUNREACH, true },	/* host prohibited */
	{ -ENETUNREACH, false },	/* network, for this type of service */
	{ -EHOSTUNREACH, false },	/* host, likewise */
	{ -EHOSTUNREACH, true },	/* filtered */
	{ -EHOSTUNREACH, true },	/* precedence violation */
	{ -EHOSTUNREACH, true },	/* precedence cutoff */
};

#define UNREACHABLES (sizeof(unreachable) / sizeof(unreachable[0]))

/* RFC 1191 section 7: an estimate for routers that do not report their MTU. */
static uint32_t plateau_below(uint32_t bytes)
{
	static const uint16_t plateaus[] = { 32000, 17914, 8166, 4352, 2002, 1492, 1006, 508, 296 };

	for (unsigned i = 0; i < sizeof(plateaus) / sizeof(plateaus[0]); i++)
		if (plateaus[i] < bytes)
			return plateaus[i];
	return 68;
}

static uint32_t mtu_of(const struct weir__frame *frame, const unsigned char header[HEADER_BYTES])
{
	unsigned char scratch[4];
	const unsigned char *quoted = weir__frame_peek(frame, HEADER_BYTES, 4, scratch);
	uint32_t mtu = weir__get16(header + 6);

	if (mtu == 0 && quoted != NULL)
		mtu = plateau_below(weir__get16(quoted + 2));
	return mtu;
}

/* Reads an error message; false if it is ignored. */
static bool error_of(struct weir__netstack *net, const struct weir__frame *frame,
		     const unsigned char header[HEADER_BYTES], struct weir__ip_error *error)
{
	switch (header[0]) {
	case UNREACHABLE:
		net->count.icmp_in_unreachables++;
		if (header[1] >= UNREACHABLES)
			return false;
		error->error = unreachable[header[1]].error;
		error->hard = unreachable[header[1]].hard;
		if (header[1] == CODE_TOO_BIG) {
			error->kind = WEIR_IP_TOO_BIG;
			error->mtu = mtu_of(frame, header);
		}
		return true;
	case TIME_EXCEEDED:
		net->count.icmp_in_time_exceeds++;
		error->error = -EHOSTUNREACH;
		return true;
	case PARAMETER_PROBLEM:
		net->count.icmp_in_parameter_problems++;
		error->error = -EPROTO;
		error->hard = true;
		return true;
	default:
		return false;
	}
}

static void icmp4_input(struct weir__netstack *net, struct weir__frame *frame,
			const struct weir__ip_rx *rx)
{
	struct weir__ip_error error = { .kind = WEIR_IP_UNREACHABLE };
	unsigned char header[HEADER_BYTES];

	net->count.icmp_in_messages++;
	if (weir__frame_copy_out(frame, 0, header, HEADER_BYTES) < HEADER_BYTES) {
		net->count.icmp_in_errors++;
	} else if (!(frame->flags & WEIR_FRAME_CHECKED) &&
		   weir__checksum_finish(weir__frame_sum(frame, 0)) != 0) {
		net->count.icmp_in_checksum_errors++;
	} else if (header[0] == ECHO_REQUEST) {
		answer_echo(net, frame, rx);
		return;
	} else if (!rx->broadcast && error_of(net, frame, header, &error) &&
		   !weir__ip4_failed(net, frame, HEADER_BYTES, error)) {
		net->count.icmp_in_unbelieved++;
	}
	weir__frame_free(&net->frames, frame);
}

const struct weir__transport weir__transport_icmp4 = {
	.protocol = WEIR_IP_ICMP,
	.input = icmp4_input,
};
