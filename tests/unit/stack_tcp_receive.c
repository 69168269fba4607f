/* SPDX-License-Identifier: MIT */
/*
 * stack_tcp_receive.c: received data, in order and out of order: ACKs, SACK and D-SACK blocks,
 * overlaps, the window, and bounds of memory.
 */
#include "tests/support/testing.h"
#include "tests/unit/stack_peer.h"

static unsigned char got[65536];

static void setup(void)
{
	peer_init(NULL);
	peer_accepts(peer_syn());
}

static void teardown(void)
{
	peer_fini();
}

static void data_in(uint32_t seq, uint32_t len)
{
	peer_in((struct peer_segment){ .flags = ACK, .seq = seq, .ack = 1, .len = len });
}

static void check_read(uint32_t len)
{
	ck_assert_int_eq(peer_read(got, sizeof(got)), (int)len);
	ck_assert_mem_eq(got, peer.bytes, len);
}

/* RFC 5681 4.2: the first ACKs are sent at once (Linux's quick mode). */
START_TEST(the_first_segments_are_acknowledged_at_once)
{
	for (unsigned i = 0; i < 10; i++) {
		data_in(1 + 100 * i, 100);
		peer_expect(ACK, 1, 101 + 100 * i, 0);
	}
	check_read(1000);
}
END_TEST

static uint32_t past_quick_mode(void)
{
	for (unsigned i = 0; i < 16; i++) {
		data_in(1 + 1000 * i, 1000);
		peer_expect(ACK, 1, 1001 + 1000 * i, 0);
	}
	check_read(16000);
	return 16001;
}

/* RFC 5681 4.2, RFC 9293 3.8.6.3: an ACK for two full segments; for a single one within 0.5 s. */
START_TEST(later_ones_are_acknowledged_in_pairs)
{
	uint32_t seq = past_quick_mode();
	struct peer_segment segment;

	data_in(seq, 1000);
	peer_expect_nothing();
	data_in(seq + 1000, 1000);
	peer_expect(ACK, 1, seq + 2000, 0);
	data_in(seq + 2000, 1000);
	peer_expect_nothing();
	ck_assert(peer_wait_out(200 * MS, &segment));
	ck_assert_uint_eq(segment.ack, seq + 3000);
}
END_TEST

START_TEST(each_delayed_ack_has_a_time_of_its_own)
{
	uint32_t seq = past_quick_mode();
	struct peer_segment segment;
	uint64_t came_ns;

	data_in(seq, 1000);
	peer_wait(20 * MS);
	data_in(seq + 1000, 1000);
	peer_expect(ACK, 1, seq + 2000, 0);
	came_ns = peer.host.now_ns;
	data_in(seq + 2000, 1000);
	ck_assert(peer_wait_out(200 * MS, &segment));
	ck_assert_uint_ge(segment.at_ns, came_ns + WEIR_TCP_ATO_MIN_MS * MS);
}
END_TEST

/* RFC 2018 section 4: the block that grew last comes first. */
START_TEST(sack_blocks_begin_with_the_newest)
{
	struct peer_segment segment;

	data_in(1001, 100);
	segment = peer_expect(ACK, 1, 1, 0);
	ck_assert_uint_eq(segment.sack_count, 1);
	ck_assert_uint_eq(segment.sack[0].start, 1001);
	ck_assert_uint_eq(segment.sack[0].end, 1101);
	data_in(3001, 100);
	data_in(2001, 100);
	peer_expect(ACK, 1, 1, 0);
	segment = peer_expect(ACK, 1, 1, 0);
	ck_assert_uint_eq(segment.sack_count, 3);
	ck_assert_uint_eq(segment.sack[0].start, 2001);
	ck_assert_uint_eq(segment.sack[1].start, 3001);
	ck_assert_uint_eq(segment.sack[2].start, 1001);
	/* The oldest range grows at both ends. */
	data_in(1101, 100);
	segment = peer_expect(ACK, 1, 1, 0);
	ck_assert_uint_eq(segment.sack[0].start, 1001);
	ck_assert_uint_eq(segment.sack[0].end, 1201);
	data_in(901, 100);
	segment = peer_expect(ACK, 1, 1, 0);
	ck_assert_uint_eq(segment.sack[0].start, 901);
	ck_assert_uint_eq(segment.sack[0].end, 1201);
	ck_assert_uint_eq(segment.sack_count, 3);
	/* Two ranges become one. */
	data_in(1201, 800);
	segment = peer_expect(ACK, 1, 1, 0);
	ck_assert_uint_eq(segment.sack_count, 2);
	ck_assert_uint_eq(segment.sack[0].start, 901);
	ck_assert_uint_eq(segment.sack[0].end, 2101);
}
END_TEST

START_TEST(a_hole_that_is_filled_delivers_all)
{
	data_in(1001, 1000);
	data_in(3001, 1000);
	data_in(2001, 1000);
	host_out_all(&peer.host);
	ck_assert_uint_eq(weir__tcp_readable(peer.tcp), 0);
	data_in(1, 1000);
	peer_expect(ACK, 1, 4001, 0);
	check_read(4000);
	ck_assert_uint_eq(peer.net->memory.used_bytes, 0);
}
END_TEST

START_TEST(every_order_of_five_segments)
{
	unsigned order[5] = { 0, 1, 2, 3, 4 }, seen = 0;

	for (unsigned code = 0; code < 3125; code++) {
		unsigned used = 0;

		for (unsigned i = 0, rest = code; i < 5; i++, rest /= 5) {
			order[i] = rest % 5;
			used |= 1u << order[i];
		}
		if (used != 31)
			continue;
		/* Each segment overlaps the next one by half. */
		for (unsigned i = 0; i < 5; i++)
			peer_in((struct peer_segment){ .flags = ACK,
						       .ack = 1,
						       .seq = 1 + 600 * seen + 100 * order[i],
						       .len = 200,
						       .data = peer.bytes + 100 * order[i] });
		ck_assert_int_eq(peer_read(got, 65536), 600);
		ck_assert_mem_eq(got, peer.bytes, 600);
		seen++;
		host_out_all(&peer.host);
	}
	ck_assert_uint_eq(seen, 120);
	ck_assert_uint_eq(peer.net->memory.used_bytes, 0);
}
END_TEST

/* Bytes that were received first are kept, whatever comes later for the same sequence numbers. */
START_TEST(overlaps_do_not_change_what_came_first)
{
	static unsigned char other[3000];

	memset(other, 0xee, sizeof(other));
	data_in(1001, 500);
	data_in(2001, 500);
	peer_in((struct peer_segment){
		.flags = ACK, .seq = 501, .ack = 1, .len = 2500, .data = other });
	data_in(1, 500);
	ck_assert_int_eq(peer_read(got, sizeof(got)), 3000);
	ck_assert_mem_eq(got, peer.bytes, 500);
	ck_assert_mem_eq(got + 500, other, 500);
	ck_assert_mem_eq(got + 1000, peer.bytes + 1000, 500);
	ck_assert_mem_eq(got + 1500, other, 500);
	ck_assert_mem_eq(got + 2000, peer.bytes + 2000, 500);
	ck_assert_mem_eq(got + 2500, other, 500);
	ck_assert_uint_eq(peer.net->memory.used_bytes, 0);
}
END_TEST

/* RFC 2883 section 4. */
START_TEST(what_comes_twice_is_reported)
{
	struct peer_segment segment;

	data_in(1, 1000);
	peer_expect(ACK, 1, 1001, 0);
	data_in(1, 1000);
	segment = peer_expect(ACK, 1, 1001, 0);
	ck_assert_uint_eq(segment.sack_count, 1);
	ck_assert_uint_eq(segment.sack[0].start, 1);
	ck_assert_uint_eq(segment.sack[0].end, 1001);
	/* Out of order: the second block is the range that contains the duplicate. */
	data_in(2001, 1000);
	segment = peer_expect(ACK, 1, 1001, 0);
	ck_assert_uint_eq(segment.sack_count, 1);
	data_in(2001, 500);
	segment = peer_expect(ACK, 1, 1001, 0);
	ck_assert_uint_eq(segment.sack_count, 2);
	ck_assert_uint_eq(segment.sack[0].start, 2001);
	ck_assert_uint_eq(segment.sack[0].end, 2501);
	ck_assert_uint_eq(segment.sack[1].end, 3001);
	/* A partial duplicate. */
	data_in(501, 1000);
	segment = peer_expect(ACK, 1, 1501, 0);
	ck_assert_uint_eq(segment.sack[0].start, 501);
	ck_assert_uint_eq(segment.sack[0].end, 1001);
	data_in(1501, 500);
	segment = peer_expect(ACK, 1, 3001, 0);
	ck_assert_uint_eq(segment.sack_count, 0);
}
END_TEST

/* RFC 2883 4: the range that contains the duplicate must be the second block. Otherwise the sender
 * takes the first block for an ordinary one. */
START_TEST(a_duplicate_out_of_order_is_told_with_its_range)
{
	struct peer_segment segment;

	data_in(1001, 1000);
	data_in(3001, 1000);
	host_out_all(&peer.host);
	data_in(1001, 500);
	segment = peer_expect(ACK, 1, 1, 0);
	ck_assert_uint_eq(segment.sack_count, 3);
	ck_assert_uint_eq(segment.sack[0].start, 1001);
	ck_assert_uint_eq(segment.sack[0].end, 1501);
	ck_assert_uint_eq(segment.sack[1].start, 1001);
	ck_assert_uint_eq(segment.sack[1].end, 2001);
	ck_assert_uint_eq(segment.sack[2].start, 3001);
}
END_TEST

START_TEST(without_sack_there_are_no_blocks)
{
	struct peer_segment syn = peer_syn(), segment;

	peer_fini();
	peer_init(NULL);
	syn.sack_permitted = false;
	peer_accepts(syn);
	data_in(1001, 1000);
	segment = peer_expect(ACK, 1, 1, 0);
	ck_assert_uint_eq(segment.sack_count, 0);
	data_in(1001, 1000);
	segment = peer_expect(ACK, 1, 1, 0);
	ck_assert_uint_eq(segment.sack_count, 0);
}
END_TEST

START_TEST(a_fin_out_of_order_waits)
{
	peer_in((struct peer_segment){ .flags = ACK | FIN, .seq = 1001, .ack = 1, .len = 1000 });
	peer_expect(ACK, 1, 1, 0);
	ck_assert_int_eq(peer_info().state, WEIR_TCP_ESTABLISHED);
	data_in(1, 1000);
	peer_expect(ACK, 1, 2002, 0);
	ck_assert_int_eq(peer_info().state, WEIR_TCP_CLOSE_WAIT);
	check_read(2000);
	ck_assert_int_eq(peer_read(got, 1), 0);
	/* No data is valid after the FIN. */
	data_in(2002, 100);
	ck_assert_int_eq(peer_read(got, 1), 0);
	ck_assert_uint_eq(peer.net->memory.used_bytes, 0);
}
END_TEST

START_TEST(data_behind_the_end_is_not_the_streams)
{
	data_in(502, 499);
	peer_in((struct peer_segment){ .flags = ACK | FIN, .seq = 1, .ack = 1, .len = 500 });
	host_out_all(&peer.host);
	data_in(502, 499);
	ck_assert_int_eq(peer_read(got, sizeof(got)), 500);
	ck_assert_int_eq(peer_read(got, sizeof(got)), 0);
}
END_TEST

/* RFC 9293 3.8.6: data beyond the window is dropped, and causes an ACK. */
START_TEST(a_window_is_a_window)
{
	uint32_t seq = 1, edge;
	struct peer_segment segment = { .window = 0 };

	while (seq < 300000) {
		peer_in((struct peer_segment){ .flags = ACK, .seq = seq, .ack = 1, .len = 1000 });
		seq += 1000;
		while (peer_out(&segment))
			;
		if (segment.window == 0)
			break;
	}
	ck_assert_uint_eq(segment.window, 0);
	edge = segment.ack;
	peer_in((struct peer_segment){ .flags = ACK, .seq = edge, .ack = 1, .len = 1000 });
	peer_expect(ACK, 1, edge, 0);
	ck_assert_uint_eq(weir__tcp_readable(peer.tcp), edge - 1);
	/* A small read does not open the window (3.8.6.2.2), a large one does. */
	ck_assert_int_eq(peer_read(got, 100), 100);
	peer_expect_nothing();
	ck_assert_int_eq(peer_read(got, 30000), 30000);
	segment = peer_expect(ACK, 1, edge, 0);
	ck_assert_uint_gt(segment.window, 0);
}
END_TEST

/*
 * RFC 7323 2.4: a scaled window field cannot express the rest of the window exactly. If it were
 * rounded up each time, the window would never close, and a peer that sends less than a unit would
 * fill all memory.
 */
START_TEST(a_scaled_window_closes)
{
	struct peer_segment segment = { .window = 1 };
	uint32_t seq = 1, unit = 1u << peer.tcp->rcv_wscale;

	ck_assert_uint_gt(unit, 1);
	while (segment.window != 0 && seq < 1000000) {
		uint32_t len = segment.window > 8 ? 1000 : unit - 1;

		data_in(seq, len);
		seq += len;
		/* A duplicate causes an ACK at once. */
		data_in(1, 1);
		while (peer_out(&segment))
			;
	}
	ck_assert_uint_eq(segment.window, 0);
	ck_assert_uint_le(peer.net->memory.used_bytes, 400000);
}
END_TEST

/* One byte in each block: data within the window must fit, and memory is limited. */
START_TEST(small_segments_do_not_take_large_memory)
{
	uint32_t seq = 1, most = 0;

	for (unsigned i = 0; i < 60000; i++) {
		data_in(seq++, 1);
		host_out_all(&peer.host);
		if (peer.net->memory.used_bytes > most)
			most = (uint32_t)peer.net->memory.used_bytes;
	}
	ck_assert_uint_eq(weir__tcp_readable(peer.tcp), 60000);
	ck_assert_uint_le(most, 300000);
	for (unsigned done = 0; done < 60000;)
		done += (unsigned)peer_read(got, sizeof(got));
	ck_assert_uint_eq(peer.net->memory.used_bytes, 0);
}
END_TEST

/* The stream continues with any size of the buffer (as in Linux, which has a minimum). */
START_TEST(a_buffer_has_a_least_size)
{
	struct weir__tcp_settings settings = { .receive_bytes = 1 };
	struct peer_segment segment = { .window = 1 };
	uint32_t seq = 1;

	ck_assert_int_eq(weir__tcp_apply(peer.tcp, &settings), 0);
	while (seq < 200000) {
		data_in(seq, 100);
		seq += 100;
		ck_assert_int_eq(peer_read(got, sizeof(got)), 100);
		peer_wait(200 * MS);
		while (peer_out(&segment))
			;
		ck_assert_uint_gt(segment.window, 0);
	}
}
END_TEST

/* The owner holds the first segment, which is four fifths of the memory. */
static struct weir__frame *scarce(void)
{
	struct weir__frame *lent = NULL;

	data_in(1, 1000);
	weir__netstack_begin(peer.net, peer.host.now_ns);
	ck_assert_int_eq(weir__tcp_receive(peer.tcp, 1000, &lent), 1000);
	weir__netstack_end(peer.net);
	peer.net->memory.limit_bytes = peer.net->memory.used_bytes * 5 / 4;
	host_out_all(&peer.host);
	return lent;
}

/* As under Linux's memory pressure, the window is four segments until lent frames are returned. */
START_TEST(a_window_is_short_while_memory_is_scarce)
{
	struct weir__frame *lent = scarce();
	struct peer_segment segment;
	uint32_t seq = 1001;

	for (; seq < 200001; seq += 1000) {
		data_in(seq, 1000);
		ck_assert_int_eq(peer_read(got, sizeof(got)), 1000);
		host_out_all(&peer.host);
	}
	data_in(1, 1);
	segment = peer_expect(ACK, 1, seq, 0);
	ck_assert_uint_le(segment.window << peer.tcp->rcv_wscale, 4 * 1460);
	weir__netstack_give_back(peer.net, lent);
	data_in(1, 1);
	segment = peer_expect(ACK, 1, seq, 0);
	ck_assert_uint_gt(segment.window << peer.tcp->rcv_wscale, 4 * 1460);
}
END_TEST

START_TEST(buffers_do_not_grow_while_memory_is_scarce)
{
	struct weir__frame *lent = scarce();
	struct weir__tcp_info before = peer_info();
	uint32_t seq = 1001;

	/* 100 kB in a round trip, after which the buffer would follow. */
	for (unsigned i = 0; i < 102; i++, seq += 1000) {
		if (i == 100)
			peer_wait(2 * PEER_RTT_NS);
		data_in(seq, 1000);
		ck_assert_int_eq(peer_read(got, sizeof(got)), 1000);
	}
	ck_assert_uint_eq(peer_info().rcv_buffer, before.rcv_buffer);
	/* The congestion window doubles six times. */
	for (unsigned i = 0; i < 6; i++) {
		ck_assert_int_gt(peer_send(60000), 0);
		while (peer_info().unacked > 0) {
			host_out_all(&peer.host);
			peer_in((struct peer_segment){
				.flags = ACK, .seq = seq, .ack = peer.tcp->snd_nxt - peer.iss });
		}
	}
	ck_assert_uint_gt(peer_info().snd_cwnd, 50);
	ck_assert_uint_eq(peer_info().snd_buffer, before.snd_buffer);
	weir__netstack_give_back(peer.net, lent);
}
END_TEST

/* ---- received super-frames, which the owner has joined (LRO) --------------------------------- */

static void super_frame_in(uint32_t seq, uint32_t len)
{
	peer_in((struct peer_segment){
		.flags = ACK, .seq = seq, .ack = 1, .len = len, .segment_bytes = 1000 });
}

/* A super-frame counts as its segments: an ACK at once, and no change of the segment size. */
START_TEST(a_super_frame_is_its_segments)
{
	uint32_t seq = past_quick_mode();

	super_frame_in(seq, 5000);
	peer_expect(ACK, 1, seq + 5000, 0);
	ck_assert_uint_eq(peer_info().rcv_mss, 1000);
	data_in(seq + 5000, 1000);
	peer_expect_nothing();
	data_in(seq + 6000, 1000);
	peer_expect(ACK, 1, seq + 7000, 0);
	ck_assert_int_eq(peer_read(got, sizeof(got)), 7000);
	ck_assert_mem_eq(got, peer.bytes + seq - 1, 7000);
}
END_TEST

START_TEST(super_frames_come_out_of_order)
{
	struct peer_segment segment;

	super_frame_in(3001, 4000);
	segment = peer_expect(ACK, 1, 1, 0);
	ck_assert_uint_eq(segment.sack_count, 1);
	ck_assert_uint_eq(segment.sack[0].start, 3001);
	ck_assert_uint_eq(segment.sack[0].end, 7001);
	/* A super-frame that covers the hole and a part of the received data. */
	super_frame_in(1, 5000);
	segment = peer_expect(ACK, 1, 7001, 0);
	ck_assert_uint_eq(segment.sack[0].start, 3001);
	ck_assert_uint_eq(segment.sack[0].end, 5001);
	check_read(7000);
}
END_TEST

START_TEST(the_largest_super_frame_is_received)
{
	const uint32_t len = UINT16_MAX - 40;

	super_frame_in(1, len);
	peer_expect(ACK, 1, 1 + len, 0);
	check_read(len);
	host_out_all(&peer.host);
	/* The stack verifies the checksum of an ordinary segment. */
	peer_in((struct peer_segment){ .flags = ACK, .seq = 1 + len, .ack = 1, .len = 5000 });
	peer_expect(ACK, 1, 5001 + len, 0);
	ck_assert_uint_eq(peer.net->count.tcp_in_checksum_errors, 0);
}
END_TEST

/* A flood of ranges in a large buffer: a search takes time, so their number is limited. */
START_TEST(ranges_are_bounded)
{
	struct weir__tcp_settings settings = { .receive_bytes = 4 << 20 };

	ck_assert_int_eq(weir__tcp_apply(peer.tcp, &settings), 0);
	for (unsigned i = 0; i < 3000; i++) {
		data_in(3 + 2 * i, 1);
		host_out_all(&peer.host);
	}
	ck_assert_uint_eq(peer_info().rcv_ranges, WEIR_TCP_RANGES_MAX);
}
END_TEST

/* With any number of ranges, a segment at RCV.NXT is accepted; otherwise the stream would stall. */
START_TEST(a_hole_is_filled_however_many_there_are)
{
	struct weir__tcp_settings settings = { .receive_bytes = 4 << 20 };

	ck_assert_int_eq(weir__tcp_apply(peer.tcp, &settings), 0);
	for (unsigned i = 0; i < WEIR_TCP_RANGES_MAX; i++)
		data_in(11 + 10 * i, 5);
	host_out_all(&peer.host);
	ck_assert_uint_eq(peer_info().rcv_ranges, WEIR_TCP_RANGES_MAX);
	data_in(1, 5);
	peer_expect(ACK, 1, 6, 0);
	data_in(6, 5);
	peer_expect(ACK, 1, 16, 0);
	ck_assert_uint_eq(peer_info().rcv_ranges, WEIR_TCP_RANGES_MAX - 1);
	check_read(15);
}
END_TEST

/* A flood of ranges in an ordinary buffer: it takes memory, which is limited. */
START_TEST(holes_without_end_are_bounded)
{
	for (unsigned i = 0; i < 20000; i++) {
		data_in(3 + 2 * i, 1);
		host_out_all(&peer.host);
	}
	ck_assert_uint_le(peer_info().rcv_ranges, WEIR_TCP_RANGES_MAX);
	ck_assert_uint_le(peer.net->memory.used_bytes, 300000);
	ck_assert_uint_gt(peer.net->count.tcp_receive_drops, 0);
}
END_TEST

/* Above three quarters of the memory, data is copied into blocks of its own size. */
START_TEST(scarce_memory_is_not_wasted)
{
	struct weir__netstack_config cfg = host_config();

	peer_fini();
	cfg.memory_bytes = 64 << 10;
	peer_init(&cfg);
	peer_accepts(peer_syn());
	for (unsigned i = 0; i < 5000; i++) {
		data_in(1 + 10 * i, 10);
		host_out_all(&peer.host);
	}
	ck_assert_uint_le(peer.net->memory.used_bytes, 64 << 10);
	ck_assert_uint_gt(weir__tcp_readable(peer.tcp), 10000);
}
END_TEST

/* Receives all data as lent frames, and keeps them. */
static void borrow(struct weir__frame_queue *lent)
{
	struct weir__frame *frame;

	weir__netstack_begin(peer.net, peer.host.now_ns);
	while (weir__tcp_receive(peer.tcp, 1000, &frame) > 0)
		weir__frame_queue_push(lent, frame);
	weir__netstack_end(peer.net);
}

/* The owner keeps all lent frames until memory is used up: data stops, ACKs do not. */
START_TEST(what_is_lent_does_not_stop_acks)
{
	struct weir__frame_queue lent = { NULL, NULL };
	struct weir__netstack_config cfg = host_config();
	struct weir__frame *frame;
	uint32_t seq = 1;

	peer_fini();
	cfg.memory_bytes = 64 << 10;
	peer_init(&cfg);
	peer_accepts(peer_syn());
	ck_assert_int_eq(peer_send(3000), 3000);
	host_out_all(&peer.host);
	for (unsigned i = 0; i < 200; i++) {
		data_in(seq, 1000);
		seq = peer.tcp->rcv_nxt - PEER_ISS;
		borrow(&lent);
		host_out_all(&peer.host);
	}
	ck_assert_uint_lt(seq, 100000);
	ck_assert_uint_gt(peer.net->memory.used_bytes, 48 << 10);
	/* In addition to the lent frames: one more segment, and the sent data. */
	ck_assert_uint_lt(peer.net->memory.used_bytes, (64 << 10) + 10000);
	peer_in((struct peer_segment){ .flags = ACK, .seq = seq, .ack = 3001 });
	ck_assert_uint_eq(peer_info().unacked, 0);
	while ((frame = weir__frame_queue_pop(&lent)) != NULL)
		weir__netstack_give_back(peer.net, frame);
	ck_assert_uint_eq(peer.net->memory.used_bytes, 0);
	peer_wait(MS);
	data_in(seq, 1000);
	ck_assert_int_eq(peer_read(got, sizeof(got)), 1000);
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(the_first_segments_are_acknowledged_at_once, .setup = setup,
			.teardown = teardown),
		TESTING(later_ones_are_acknowledged_in_pairs, .setup = setup, .teardown = teardown),
		TESTING(each_delayed_ack_has_a_time_of_its_own, .setup = setup,
			.teardown = teardown),
		TESTING(sack_blocks_begin_with_the_newest, .setup = setup, .teardown = teardown),
		TESTING(a_hole_that_is_filled_delivers_all, .setup = setup, .teardown = teardown),
		TESTING(every_order_of_five_segments, .setup = setup, .teardown = teardown),
		TESTING(overlaps_do_not_change_what_came_first, .setup = setup,
			.teardown = teardown),
		TESTING(what_comes_twice_is_reported, .setup = setup, .teardown = teardown),
		TESTING(a_duplicate_out_of_order_is_told_with_its_range, .setup = setup,
			.teardown = teardown),
		TESTING(without_sack_there_are_no_blocks, .setup = setup, .teardown = teardown),
		TESTING(a_fin_out_of_order_waits, .setup = setup, .teardown = teardown),
		TESTING(data_behind_the_end_is_not_the_streams, .setup = setup,
			.teardown = teardown),
		TESTING(a_window_is_a_window, .setup = setup, .teardown = teardown),
		TESTING(a_scaled_window_closes, .setup = setup, .teardown = teardown),
		TESTING(small_segments_do_not_take_large_memory, .setup = setup,
			.teardown = teardown),
		TESTING(a_buffer_has_a_least_size, .setup = setup, .teardown = teardown),
		TESTING(ranges_are_bounded, .setup = setup, .teardown = teardown),
		TESTING(a_hole_is_filled_however_many_there_are, .setup = setup,
			.teardown = teardown),
		TESTING(holes_without_end_are_bounded, .setup = setup, .teardown = teardown),
		TESTING(scarce_memory_is_not_wasted, .setup = setup, .teardown = teardown),
		TESTING(what_is_lent_does_not_stop_acks, .setup = setup, .teardown = teardown),
		TESTING(a_window_is_short_while_memory_is_scarce, .setup = setup,
			.teardown = teardown),
		TESTING(buffers_do_not_grow_while_memory_is_scarce, .setup = setup,
			.teardown = teardown),
		TESTING(a_super_frame_is_its_segments, .setup = setup, .teardown = teardown),
		TESTING(super_frames_come_out_of_order, .setup = setup, .teardown = teardown),
		TESTING(the_largest_super_frame_is_received, .setup = setup, .teardown = teardown),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
