/* SPDX-License-Identifier: MIT */
/* stack_pair.c: see stack_pair.h. */
#include <stdlib.h>

#include "stack/bytes.h"
#include "tests/support/testing.h"
#include "tests/unit/stack_pair.h"

struct pair pair;

static struct weir__netstack_address addresses[2];
static char users[64];

struct weir__netstack_user *pair_user(unsigned number)
{
	return (struct weir__netstack_user *)(void *)&users[number];
}

static unsigned number_of(const struct weir__netstack_source *source)
{
	return (unsigned)((char *)source->user - users);
}

void pair_init(const struct weir__netstack_config *usual)
{
	memset(&pair, 0, sizeof(pair));
	pair.now_ns = 1000 * WEIR_NETSTACK_SEC;
	pair.delay_ns = WEIR_NETSTACK_MSEC;
	for (unsigned side = 0; side < 2; side++) {
		struct weir__netstack_config cfg = { .memory_bytes = 0 };

		if (usual != NULL)
			cfg = *usual;
		memcpy(cfg.mac, side == 0 ? host_mac : peer_mac, 6);
		addresses[side] =
			(struct weir__netstack_address){ weir__ip_v4(HOST_IP + side), 24 };
		cfg.addresses = &addresses[side];
		cfg.address_count = 1;
		rig_init(&pair.rig[side]);
		pair.rig[side].seed = side + 1;
		ck_assert_int_eq(weir__netstack_new(&pair.rig[side].owner, &cfg, pair.now_ns,
						    &pair.net[side]),
				 0);
	}
}

void pair_fini(void)
{
	for (unsigned i = 0; i < pair.count; i++)
		free(pair.frames[i].bytes);
	pair.count = 0;
	for (unsigned side = 0; side < 2; side++) {
		struct weir__frame *frame;

		while ((frame = weir__frame_queue_pop(&pair.rig[side].sent)) != NULL)
			weir__frame_free(weir__netstack_frames(pair.net[side]), frame);
		weir__netstack_free(pair.net[side]);
		rig_check_empty(&pair.rig[side]);
	}
}

/* ---- the wire ------------------------------------------------------------------------------- */

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

static void carry(unsigned from, struct weir__frame *frame)
{
	struct pair_frame *entry = &pair.frames[pair.count];
	struct pair_segment segment;
	uint64_t delay = pair.delay_ns;
	unsigned char *bytes = malloc(frame->total);
	uint32_t len = weir__frame_copy_out(frame, 0, bytes, frame->total);

	ck_assert_uint_lt(pair.count, PAIR_FRAMES);
	weir__frame_free(weir__netstack_frames(pair.net[from]), frame);
	if (parse(bytes, len, &segment)) {
		pair.sent[from]++;
		if (pair.wire != NULL && !pair.wire(from, &segment, &delay)) {
			free(bytes);
			return;
		}
	}
	*entry = (struct pair_frame){ pair.now_ns + delay, !from, len, bytes };
	pair.count++;
}

static void take_out(unsigned side)
{
	struct weir__frame *frame;

	while ((frame = weir__frame_queue_pop(&pair.rig[side].sent)) != NULL)
		carry(side, frame);
}

/* Puts in what has arrived at a side by now, in the order of arrival. */
static void put_in(unsigned side)
{
	for (;;) {
		struct pair_frame *first = NULL, taken;

		for (unsigned i = 0; i < pair.count; i++) {
			struct pair_frame *entry = &pair.frames[i];

			if (entry->to == side && entry->at_ns <= pair.now_ns &&
			    (first == NULL || entry->at_ns < first->at_ns))
				first = entry;
		}
		if (first == NULL)
			return;
		taken = *first;
		pair.count--;
		memmove(first, first + 1, (size_t)(&pair.frames[pair.count] - first) *
						  sizeof(*first));
		weir__netstack_input(pair.net[side],
				     rig_frame(weir__netstack_frames(pair.net[side]), taken.bytes,
					       taken.len,
					       taken.len > 1700 ? RIG_BLOCK_BYTES : 0));
		free(taken.bytes);
	}
}

/* ---- turns ---------------------------------------------------------------------------------- */

static void gather(unsigned side)
{
	struct weir__netstack_source *source;
	unsigned events;

	while ((source = weir__netstack_next_event(pair.net[side], &events)) != NULL)
		pair.events[side][number_of(source)] |= events;
}

void pair_begin(unsigned side)
{
	weir__netstack_begin(pair.net[side], pair.now_ns);
}

void pair_end(unsigned side)
{
	weir__netstack_end(pair.net[side]);
	gather(side);
	take_out(side);
}

static void turn(unsigned side)
{
	pair_begin(side);
	put_in(side);
	pair_end(side);
}

/* When something happens next. */
static uint64_t next_time(void)
{
	uint64_t at = UINT64_MAX, deadline;

	for (unsigned i = 0; i < pair.count; i++)
		if (pair.frames[i].at_ns < at)
			at = pair.frames[i].at_ns;
	for (unsigned side = 0; side < 2; side++) {
		deadline = weir__netstack_next_deadline(pair.net[side]);
		if (deadline < at)
			at = deadline;
	}
	return at;
}

void pair_run(uint64_t ns)
{
	uint64_t end = pair.now_ns + ns, at;

	for (;;) {
		turn(0);
		turn(1);
		at = next_time();
		if (at > end)
			break;
		if (at > pair.now_ns)
			pair.now_ns = at;
	}
	pair.now_ns = end;
	turn(0);
	turn(1);
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
	struct weir__endpoint peer = { weir__ip_v4(PEER_IP), 80 };
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
