/* SPDX-License-Identifier: MIT */
/*
 * stack_tcp_attack.c: hostile peers: floods of SACK blocks, and random segments around the windows,
 * in every state. Nothing breaks, memory is bounded, and everything is freed.
 */
#include "tests/support/testing.h"
#include "tests/unit/stack_peer.h"

static uint64_t seed;

static void setup(void)
{
	peer_init(NULL);
	peer_accepts(peer_syn());
}

static void teardown(void)
{
	peer_fini();
}

static uint32_t dice(uint32_t sides)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(seed >> 33) % sides;
}

/* The scoreboard is the send queue: SACK blocks of any form take no additional memory. */
START_TEST(sack_blocks_take_no_memory)
{
	unsigned allocations, blocks;
	uint64_t used;

	ck_assert_int_eq(peer_send(10000), 10000);
	host_out_all(&peer.host);
	allocations = peer.host.rig.allocations;
	blocks = peer.host.rig.blocks;
	used = peer.net->memory.used_bytes;
	for (unsigned i = 0; i < 20000; i++) {
		struct peer_segment segment = { .flags = ACK, .seq = 1, .ack = 1, .sack_count = 4 };

		for (unsigned j = 0; j < 4; j++) {
			segment.sack[j].start = 1 + dice(10000);
			segment.sack[j].end = segment.sack[j].start + dice(3);
		}
		peer_in(segment);
		host_out_all(&peer.host);
	}
	ck_assert_uint_eq(peer_info().sacked, 0);
	ck_assert_uint_eq(peer.net->memory.used_bytes, used);
	ck_assert_uint_eq(peer.host.rig.blocks, blocks);
	ck_assert_uint_le(peer.host.rig.allocations, allocations + 1);
}
END_TEST

/* Brings `count` segments in flight to a peer with a tiny MSS. */
static void tiny_segments_out(uint32_t count)
{
	static const unsigned char bytes[200000];
	struct peer_segment syn = peer_syn();
	struct weir__frame *frame;

	peer_fini();
	peer_init(NULL);
	syn.mss = 48;
	peer_accepts(syn);
	peer_in((struct peer_segment){ .flags = ACK, .seq = 1, .ack = 1 });
	peer.tcp->cwnd = count;
	frame = rig_frame(&peer.net->frames, bytes, 48 * count, 1500);
	weir__netstack_begin(peer.net, peer.host.now_ns);
	ck_assert_int_eq(weir__tcp_send(peer.tcp, frame, 0), (int)(48 * count));
	weir__netstack_end(peer.net);
	host_out_all(&peer.host);
	ck_assert_uint_eq(peer_info().unacked, count);
}

/* The memory that the send queue needs for many segments is charged, too. */
START_TEST(tiny_segments_are_charged)
{
	tiny_segments_out(1250);
	ck_assert_uint_ge(peer.net->memory.used_bytes,
			  48 * 1250 +
				  peer.net->frames.views_used * sizeof(struct weir__frame));
}
END_TEST

static uint32_t sacked_in(uint32_t from, uint32_t to)
{
	peer_in((struct peer_segment){ .flags = ACK,
				       .seq = 1,
				       .ack = 1,
				       .sack_count = 1,
				       .sack = { { 1 + 48 * from, 1 + 48 * to } } });
	host_out_all(&peer.host);
	return peer_info().sacked;
}

/* A distant block costs no walk over the whole queue: each ACK that repeats it continues the walk. */
START_TEST(far_blocks_are_found_in_steps)
{
	tiny_segments_out(4000);
	ck_assert_uint_eq(sacked_in(3500, 3501), 0);
	ck_assert_uint_eq(sacked_in(3500, 3501), 0);
	ck_assert_uint_eq(sacked_in(3500, 3501), 0);
	ck_assert_uint_eq(sacked_in(3500, 3501), 1);
}
END_TEST

/* The walk jumps over segments that were SACKed before. */
START_TEST(known_blocks_are_jumped_over)
{
	uint32_t known = 0;

	tiny_segments_out(4000);
	for (uint32_t to = 500; to <= 3500; to += 500)
		for (unsigned i = 0; i < 3 && known < to - 1; i++)
			known = sacked_in(1, to);
	ck_assert_uint_eq(known, 3499);
	ck_assert_uint_eq(sacked_in(1, 3501), 3500);
	ck_assert_uint_eq(sacked_in(1, 3501), 3500);
}
END_TEST

/* RFC 5961, RFC 5681: ACKs of unsent and of old data do not enlarge the congestion window. */
START_TEST(wrong_acks_do_not_open_the_window)
{
	uint32_t before = peer_info().snd_cwnd;

	ck_assert_int_eq(peer_send(5000), 5000);
	host_out_all(&peer.host);
	for (unsigned i = 0; i < 1000; i++) {
		peer_in((struct peer_segment){
			.flags = ACK, .seq = 1, .ack = 5002 + dice(100000) });
		peer_in((struct peer_segment){ .flags = ACK, .seq = 1, .ack = 1 - dice(60000) });
		host_out_all(&peer.host);
	}
	ck_assert_uint_le(peer_info().snd_cwnd, before);
	/* ACKs that cut a segment into pieces are counted by segments (RFC 5681 3.1). */
	for (uint32_t ack = 2; ack <= 1001; ack++)
		peer_in((struct peer_segment){ .flags = ACK, .seq = 1, .ack = ack });
	ck_assert_uint_le(peer_info().snd_cwnd, before + 1);
	host_out_all(&peer.host);
}
END_TEST

/*
 * Twenty connections offer large windows, and acknowledge nothing that they get. They share
 * the memory of the instance, and beyond it each has no more than Linux's least; in the end
 * all time out.
 */
START_TEST(peers_that_take_nothing_share_the_memory)
{
	struct weir__netstack_config cfg = host_config();
	struct weir__tcp *tcp[20];

	peer_fini();
	cfg.memory_bytes = 256 << 10;
	peer_init(&cfg);
	for (unsigned i = 0; i < 20; i++) {
		peer.peer_port = (uint16_t)(5000 + i);
		peer.iss = 0;
		peer_accepts(peer_syn());
		tcp[i] = peer.tcp;
	}
	for (unsigned i = 0; i < 20; i++) {
		peer.tcp = tcp[i];
		while (peer_send(5000) > 0)
			host_out_all(&peer.host);
	}
	ck_assert_uint_gt(peer.net->memory.used_bytes, 256 << 10);
	/* 4 KiB each are five blocks. */
	ck_assert_uint_lt(peer.net->memory.used_bytes, (256 << 10) + 20 * 10000);
	peer_wait(20 * 60 * WEIR_NETSTACK_SEC);
	host_out_all(&peer.host);
	for (unsigned i = 0; i < 20; i++)
		ck_assert_int_eq(weir__tcp_error(tcp[i]), -ETIMEDOUT);
	ck_assert_uint_eq(peer.net->memory.used_bytes, 0);
}
END_TEST

/* ---- at random ------------------------------------------------------------------------------- */

static uint32_t near(uint32_t number)
{
	switch (dice(6)) {
	case 0:
		return number;
	case 1:
		return number + 1;
	case 2:
		return number - 1;
	case 3:
		return number + dice(70000);
	case 4:
		return number - dice(70000);
	default:
		return number + dice(UINT32_MAX);
	}
}

static struct peer_segment any_segment(void)
{
	static const uint8_t usual[6] = { ACK, ACK | PSH, ACK | FIN, ACK, SYN, RST };
	struct peer_segment segment = {
		.flags = dice(4) == 0 ? (uint8_t)dice(64) : usual[dice(6)],
		.seq = near(peer.tcp == NULL ? 1 : peer.tcp->rcv_nxt - PEER_ISS),
		.ack = near(peer.tcp == NULL ? 1 : peer.tcp->snd_una - peer.iss),
		.len = dice(3) * dice(700),
		.data = peer.bytes,
		.window = dice(3) == 0 ? 1 + dice(65536) : 0,
		.has_ts = dice(2),
		.tsval = near(peer.tsval),
		.tsecr = near(peer.tsecr),
		.sack_permitted = dice(8) == 0,
	};

	if (segment.flags == RST && dice(20) != 0)
		segment.flags = ACK;
	if (!segment.has_ts && dice(3) == 0) {
		segment.sack_count = 1 + dice(4);
		for (unsigned i = 0; i < segment.sack_count; i++) {
			segment.sack[i].start = near(segment.ack);
			segment.sack[i].end = segment.sack[i].start + dice(4000);
		}
	}
	return segment;
}

static void any_call(void)
{
	struct weir__frame *lent;
	static unsigned char to[5000];

	if (peer.tcp == NULL)
		return;
	weir__netstack_begin(peer.net, peer.host.now_ns);
	switch (dice(12)) {
	case 0:
	case 1:
	case 2:
		weir__tcp_send_copy(peer.tcp, peer.bytes, 1 + dice(9000), dice(2));
		break;
	case 3:
	case 4:
		weir__tcp_receive_copy(peer.tcp, to, 1 + dice(sizeof(to)));
		break;
	case 5:
		if (weir__tcp_receive(peer.tcp, 1 + dice(3000), &lent) > 0)
			weir__netstack_give_back(peer.net, lent);
		break;
	case 6:
		if (dice(20) == 0)
			weir__tcp_shutdown(peer.tcp, 1 + dice(3));
		break;
	case 7:
		if (dice(30) == 0) {
			if (dice(2) == 0)
				weir__tcp_close(peer.tcp);
			else
				weir__tcp_abort(peer.tcp);
			peer.tcp = NULL;
		}
		break;
	default:
		break;
	}
	weir__netstack_end(peer.net);
}

static void any_connection(void)
{
	struct weir__endpoint to = { weir__ip_v4(PEER_IP), PEER_PORT };

	if (peer.tcp != NULL && peer_info().state == WEIR_TCP_CLOSED) {
		weir__tcp_close(peer.tcp);
		peer.tcp = NULL;
	}
	if (peer.tcp != NULL)
		return;
	if (weir__tcp_accept(peer.listener, NULL, &peer.tcp) == 0) {
		peer.iss = peer.tcp->snd_una - 1;
		return;
	}
	if (dice(10) != 0)
		return;
	weir__netstack_begin(peer.net, peer.host.now_ns);
	if (weir__tcp_connect(peer.net, NULL, &to, NULL, NULL, &peer.tcp) == 0) {
		peer.port = weir__tcp_flow(peer.tcp)->local_port;
		peer.iss = peer.tcp->snd_una;
	}
	weir__netstack_end(peer.net);
}

START_TEST(segments_at_random_break_nothing)
{
	seed = (uint64_t)_i + 1;
	for (unsigned i = 0; i < 4000; i++) {
		peer_in(any_segment());
		peer.host.rig.fail_in = dice(20) == 0 ? (int)dice(4) : -1;
		any_call();
		any_connection();
		peer.host.rig.fail_in = -1;
		if (dice(10) == 0)
			peer_wait(dice(3) == 0 ? dice(5000) * MS : dice(50) * MS);
		host_out_all(&peer.host);
		ck_assert_uint_le(peer.net->memory.used_bytes, 1u << 20);
	}
}
END_TEST

int main(int argc, char **argv)
{
#define IN(name, ...) TESTING(name, .setup = setup, .teardown = teardown, __VA_ARGS__)
	const struct testing_case cases[] = {
		IN(sack_blocks_take_no_memory),
		IN(tiny_segments_are_charged),
		IN(far_blocks_are_found_in_steps),
		IN(known_blocks_are_jumped_over),
		IN(wrong_acks_do_not_open_the_window),
		IN(peers_that_take_nothing_share_the_memory),
		IN(segments_at_random_break_nothing, .rounds = 24),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
