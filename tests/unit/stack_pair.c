/* SPDX-License-Identifier: MIT */
/* stack_pair.c: see stack_pair.h. */
#include "stack/bytes.h"
#include "stack/ethernet.h"
#include "tests/support/testing.h"
#include "tests/unit/stack_pair.h"

struct pair pair;

static char users[64];

struct weir__netstack_user *pair_user(unsigned number)
{
	return (struct weir__netstack_user *)(void *)&users[number];
}

static unsigned number_of(const struct weir__netstack_source *source)
{
	return (unsigned)((char *)source->user - users);
}

/* ---- frames --------------------------------------------------------------------------------- */

static bool parse(const unsigned char *frame, uint32_t len, struct pair_segment *segment)
{
	const unsigned char *ip = frame + 14, *tcp = ip + 20;
	uint32_t header, total;

	if (len < 54 || weir__get16(frame + 12) != WEIR_ETHERNET_IPV4 || ip[9] != WEIR_IP_TCP)
		return false;
	total = weir__get16(ip + 2);
	header = (tcp[12] >> 4) * 4u;
	*segment = (struct pair_segment){
		.seq = weir__get32(tcp + 4),
		.ack = weir__get32(tcp + 8),
		.len = total - 20 - header,
		.window = weir__get16(tcp + 14),
		.flags = tcp[13],
		.options_len = header - 20,
	};
	ck_assert_uint_ge(header, 20);
	ck_assert_uint_le(34 + header, len);
	memcpy(segment->options, tcp + 20, header - 20);
	return true;
}

static void carry(struct wire *wire, unsigned from, const unsigned char *bytes, uint32_t len)
{
	struct pair_segment segment;
	uint64_t delay = pair.delay_ns;

	if (parse(bytes, len, &segment)) {
		pair.sent[from]++;
		if (pair.filter != NULL && !pair.filter(from, &segment, &delay))
			return;
	}
	wire_fly(wire,
		 (struct wire_flight){ .at_ns = wire->now_ns + delay, .from = from, .len = len },
		 bytes);
}

/* ---- turns ---------------------------------------------------------------------------------- */

static void gather(struct wire *wire, unsigned side)
{
	struct weir__netstack_source *source;
	unsigned events;

	while ((source = weir__netstack_next_event(wire->side[side].net, &events)) != NULL)
		pair.events[side][number_of(source)] |= events;
}

void pair_init(const struct weir__netstack_config *cfg)
{
	memset(&pair, 0, sizeof(pair));
	pair.delay_ns = WEIR_NETSTACK_MSEC;
	wire_init(&pair.wire, 1, cfg, gather);
	pair.wire.carry = carry;
	for (unsigned side = 0; side < 2; side++)
		pair.net[side] = pair.wire.side[side].net;
}

void pair_fini(void)
{
	wire_fini(&pair.wire);
	ck_assert_str_eq(pair.wire.why, "");
}

void pair_begin(unsigned side)
{
	weir__netstack_begin(pair.net[side], pair.wire.now_ns);
}

void pair_end(unsigned side)
{
	weir__netstack_end(pair.net[side]);
	gather(&pair.wire, side);
}

void pair_run(uint64_t ns)
{
	uint64_t end = pair.wire.now_ns + ns;

	wire_run(&pair.wire, end);
	ck_assert_str_eq(pair.wire.why, "");
	pair.wire.now_ns = end;
}

unsigned pair_events(unsigned side, unsigned user)
{
	unsigned events = pair.events[side][user];

	pair.events[side][user] = 0;
	return events;
}

/* ---- connections ---------------------------------------------------------------------------- */

struct weir__tcp_listener *pair_listen(unsigned backlog)
{
	struct weir__endpoint local = { .port = 80 };
	struct weir__tcp_listener *listener;

	pair_begin(1);
	ck_assert_int_eq(weir__tcp_listen(pair.net[1], &local, backlog, NULL, pair_user(1),
					  &listener),
			 0);
	pair_end(1);
	return listener;
}

struct weir__tcp *pair_connect(void)
{
	struct weir__endpoint peer = wire_endpoint(1, 80);
	struct weir__tcp *tcp;

	pair_begin(0);
	ck_assert_int_eq(weir__tcp_connect(pair.net[0], NULL, &peer, NULL, pair_user(2), &tcp), 0);
	pair_end(0);
	return tcp;
}

struct weir__tcp *pair_accept(struct weir__tcp_listener *listener)
{
	struct weir__tcp *tcp;

	pair_begin(1);
	ck_assert_int_eq(weir__tcp_accept(listener, pair_user(3), &tcp), 0);
	pair_end(1);
	return tcp;
}

int pair_send(unsigned side, struct weir__tcp *tcp, const void *bytes, uint32_t len)
{
	int rc;

	pair_begin(side);
	rc = weir__tcp_send_copy(tcp, bytes, len, 0);
	pair_end(side);
	return rc;
}

int pair_receive(unsigned side, struct weir__tcp *tcp, void *to, uint32_t len)
{
	int rc;

	pair_begin(side);
	rc = weir__tcp_receive_copy(tcp, to, len);
	pair_end(side);
	return rc;
}

void pair_close(unsigned side, struct weir__tcp *tcp)
{
	pair_begin(side);
	weir__tcp_close(tcp);
	pair_end(side);
}
