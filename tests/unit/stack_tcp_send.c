/* SPDX-License-Identifier: MIT */
/*
 * stack_tcp_send.c: transmission without losses: Nagle, corks, windows and their probes, keepalive,
 * offloads, lack of memory, and the memory of a connection.
 */
#include "tests/support/testing.h"
#include "tests/unit/stack_peer.h"

static void setup(void)
{
	peer_init(NULL);
	peer_accepts(peer_syn());
}

static void teardown(void)
{
	peer_fini();
}

static void ack_in(uint32_t ack)
{
	peer_in((struct peer_segment){ .flags = ACK, .seq = 1, .ack = ack });
}

static void window_in(uint32_t ack, uint32_t window)
{
	peer_in((struct peer_segment){ .flags = ACK, .seq = 1, .ack = ack, .window = window + 1 });
}

/* The handshake ends with this window. */
static void setup_window(uint32_t window)
{
	peer_fini();
	peer_init(NULL);
	peer.window = window;
	peer_accepts(peer_syn());
}

static void apply(const struct weir__tcp_settings *settings)
{
	weir__netstack_begin(peer.net, peer.host.now_ns);
	ck_assert_int_eq(weir__tcp_apply(peer.tcp, settings), 0);
	weir__netstack_end(peer.net);
}

/* ---- short segments (RFC 9293 3.7.4) --------------------------------------------------------- */

START_TEST(nagle_holds_a_second_short_segment)
{
	ck_assert_int_eq(peer_send(10), 10);
	peer_expect(ACK, 1, 1, 10);
	ck_assert_int_eq(peer_send(10), 10);
	ck_assert_int_eq(peer_send(10), 10);
	peer_expect_nothing();
	ack_in(11);
	peer_expect(ACK, 11, 1, 20);
}
END_TEST

START_TEST(nagle_does_not_hold_full_segments)
{
	ck_assert_int_eq(peer_send(10), 10);
	peer_expect(ACK, 1, 1, 10);
	ck_assert_int_eq(peer_send(2500), 2500);
	peer_expect(ACK, 11, 1, 1000);
	peer_expect(ACK, 1011, 1, 1000);
	peer_expect_nothing();
	ack_in(2011);
	peer_expect(ACK, 2011, 1, 500);
}
END_TEST

/* After half of the sequence space, the end of the last short segment has no meaning. */
START_TEST(nagle_does_not_hold_for_what_was_long_ago)
{
	peer.tcp->snd_small = peer.tcp->snd_una + 0x40000000;
	ck_assert_int_eq(peer_send(1000), 1000);
	peer_expect(ACK, 1, 1, 1000);
	ck_assert_int_eq(peer_send(10), 10);
	peer_expect(ACK, 1001, 1, 10);
}
END_TEST

START_TEST(nodelay_sends_at_once)
{
	struct weir__tcp_settings settings = { .nodelay = true };

	apply(&settings);
	for (unsigned i = 0; i < 5; i++) {
		ck_assert_int_eq(peer_send(10), 10);
		peer_expect(ACK, 1 + 10 * i, 1, 10);
	}
}
END_TEST

START_TEST(a_cork_holds_for_200_ms)
{
	struct weir__tcp_settings settings = { .cork = true };
	struct peer_segment segment;
	uint64_t at = peer.host.now_ns;

	apply(&settings);
	ck_assert_int_eq(peer_send(10), 10);
	ck_assert_int_eq(peer_send(1500), 1500);
	peer_expect(ACK, 1, 1, 1000);
	peer_expect_nothing();
	ack_in(1001);
	peer_expect_nothing();
	ck_assert(peer_wait_out(400 * MS, &segment));
	ck_assert_uint_eq(segment.seq, 1001);
	ck_assert_uint_eq(segment.len, 510);
	ck_assert_uint_ge(segment.at_ns - at, 200 * MS);
	ack_in(1511);
	/* The cork is removed: the data is sent at once. */
	ck_assert_int_eq(peer_send(10), 10);
	peer_expect_nothing();
	settings.cork = false;
	apply(&settings);
	peer_expect(ACK, 1511, 1, 10);
}
END_TEST

START_TEST(what_more_follows_waits_for_it)
{
	weir__netstack_begin(peer.net, peer.host.now_ns);
	ck_assert_int_eq(weir__tcp_send_copy(peer.tcp, peer.bytes, 100, WEIR_TCP_MORE), 100);
	weir__netstack_end(peer.net);
	peer_expect_nothing();
	ck_assert_int_eq(peer_send(100), 100);
	peer_expect(ACK, 1, 1, 200);
}
END_TEST

START_TEST(a_fin_waits_for_nothing)
{
	ck_assert_int_eq(peer_send(10), 10);
	peer_expect(ACK, 1, 1, 10);
	ck_assert_int_eq(peer_send(10), 10);
	weir__netstack_begin(peer.net, peer.host.now_ns);
	ck_assert_int_eq(weir__tcp_shutdown(peer.tcp, WEIR_TCP_WRITE), 0);
	weir__netstack_end(peer.net);
	peer_expect(ACK | FIN, 11, 1, 10);
	/* After a partial ACK, only the rest is retransmitted. */
	ack_in(21);
	ck_assert_uint_eq(peer_info().unacked, 1);
	ack_in(22);
	ck_assert_uint_eq(peer_info().state, WEIR_TCP_FIN_WAIT_2);
}
END_TEST

/* ---- the peer's window ----------------------------------------------------------------------- */

START_TEST(a_window_is_not_overrun)
{
	setup_window(625);	/* scaled by 4 */
	ck_assert_int_eq(peer_send(5000), 5000);
	peer_expect(ACK, 1, 1, 1000);
	peer_expect(ACK, 1001, 1, 1000);
	peer_expect_nothing();
	window_in(1001, 625);
	peer_expect(ACK, 2001, 1, 1000);
	/* The window shrinks (RFC 9293 3.8.6): nothing more is sent, and nothing is lost. */
	window_in(2001, 100);
	peer_expect_nothing();
	window_in(3001, 750);
	peer_expect(ACK, 3001, 1, 1000);
	peer_expect(ACK, 4001, 1, 1000);
}
END_TEST

/* RFC 9293 3.4: FIN has a sequence number, which must be in the window, too. */
START_TEST(a_fin_is_not_sent_beyond_the_window)
{
	setup_window(250);	/* scaled by 4 */
	weir__netstack_begin(peer.net, peer.host.now_ns);
	ck_assert_int_eq(weir__tcp_send_copy(peer.tcp, peer.bytes, 1000, 0), 1000);
	ck_assert_int_eq(weir__tcp_shutdown(peer.tcp, WEIR_TCP_WRITE), 0);
	weir__netstack_end(peer.net);
	peer_expect(ACK, 1, 1, 1000);
	window_in(1001, 250);
	peer_expect(ACK | FIN, 1001, 1, 0);
}
END_TEST

/* RFC 9293 3.8.6.1: the first probe after the RTO, then with back-off, while the peer answers. */
START_TEST(a_closed_window_is_probed)
{
	struct peer_segment segment;
	uint64_t last, gap = 0;

	window_in(1, 0);
	ck_assert_int_eq(peer_send(3000), 3000);
	peer_expect_nothing();
	last = peer.host.now_ns;
	for (unsigned i = 0; i < 12; i++) {
		ck_assert(peer_wait_out(130 * WEIR_NETSTACK_SEC, &segment));
		ck_assert_uint_eq(segment.seq, 0);
		ck_assert_uint_eq(segment.len, 0);
		if (i > 0 && gap < 60 * WEIR_NETSTACK_SEC)
			ck_assert_uint_ge(segment.at_ns - last + 4 * MS, gap * 2);
		gap = segment.at_ns - last;
		ck_assert_uint_le(gap, 121 * WEIR_NETSTACK_SEC);
		last = segment.at_ns;
		window_in(1, 0);
	}
	ck_assert_int_eq(weir__tcp_error(peer.tcp), 0);
	window_in(1, 10000);
	for (unsigned i = 0; i < 3; i++)
		peer_expect(ACK, 1 + 1000 * i, 1, 1000);
	ck_assert_uint_eq(peer_info().backoff, 0);
}
END_TEST

START_TEST(a_closed_window_and_a_dead_peer_end)
{
	window_in(1, 0);
	ck_assert_int_eq(peer_send(3000), 3000);
	peer_wait(1500 * WEIR_NETSTACK_SEC);
	ck_assert_int_eq(weir__tcp_error(peer.tcp), -ETIMEDOUT);
	host_out_all(&peer.host);
}
END_TEST

/* An orphan ends although its peer never opens the window. */
START_TEST(an_orphan_does_not_wait_for_a_window)
{
	window_in(1, 0);
	ck_assert_int_eq(peer_send(3000), 3000);
	weir__netstack_begin(peer.net, peer.host.now_ns);
	weir__tcp_close(peer.tcp);
	weir__netstack_end(peer.net);
	for (unsigned i = 0; i < 2000 && weir__tcp_orphans(peer.net) > 0; i++) {
		struct peer_segment segment;

		peer_wait(WEIR_NETSTACK_SEC);
		while (peer_out(&segment))
			window_in(1, 0);
	}
	ck_assert_uint_eq(weir__tcp_orphans(peer.net), 0);
	ck_assert_uint_eq(peer.net->memory.used_bytes, 0);
}
END_TEST

static void probe_is_answered(uint32_t window)
{
	struct peer_segment segment;

	ck_assert(peer_wait_out(130 * WEIR_NETSTACK_SEC, &segment));
	ck_assert_uint_eq(segment.seq, 0);
	ck_assert_uint_eq(segment.len, 0);
	window_in(1, window);
}

/* Probes and their answers may get lost, too. */
START_TEST(an_orphan_probes_as_long_as_the_peer_answers)
{
	struct peer_segment segment;

	window_in(1, 0);
	ck_assert_int_eq(peer_send(3000), 3000);
	weir__netstack_begin(peer.net, peer.host.now_ns);
	weir__tcp_close(peer.tcp);
	weir__netstack_end(peer.net);
	for (unsigned i = 0; i < 6; i++)
		probe_is_answered(0);
	for (unsigned i = 0; i < 2; i++)
		ck_assert(peer_wait_out(130 * WEIR_NETSTACK_SEC, &segment));
	/* RFC 9293 3.10.7.4: the window of a keepalive, which is unacceptable, is ignored. */
	peer_in((struct peer_segment){ .flags = ACK, .seq = 0, .ack = 1, .window = 10001 });
	peer_expect(ACK, 1, 1, 0);
	peer_expect_nothing();
	probe_is_answered(10000);
	for (unsigned i = 0; i < 2; i++)
		peer_expect(ACK, 1 + 1000 * i, 1, 1000);
	peer_expect(ACK | FIN, 2001, 1, 1000);
}
END_TEST

/* An orphan ends although its peer opens the window for a moment, again and again. */
START_TEST(an_orphan_does_not_play_with_a_window)
{
	struct peer_segment segment;

	window_in(1, 0);
	ck_assert_int_eq(peer_send(3000), 3000);
	weir__netstack_begin(peer.net, peer.host.now_ns);
	weir__tcp_close(peer.tcp);
	weir__netstack_end(peer.net);
	for (unsigned i = 0; i < 12000 && weir__tcp_orphans(peer.net) > 0; i++) {
		window_in(1, 10);
		window_in(1, 0);
		peer_wait(100 * MS);
		while (peer_out(&segment))
			;
	}
	ck_assert_uint_eq(weir__tcp_orphans(peer.net), 0);
}
END_TEST

/* The time for which the window was closed does not count for data that is sent afterwards. */
START_TEST(a_window_that_opens_late_is_no_silence)
{
	struct peer_segment segment;

	window_in(1, 0);
	ck_assert_int_eq(peer_send(1000), 1000);
	for (unsigned i = 0; i < 18; i++)
		probe_is_answered(0);
	window_in(1, 10000);
	for (unsigned i = 0; i < 4; i++) {
		ck_assert(peer_wait_out(2 * WEIR_NETSTACK_SEC, &segment));
		ck_assert_uint_eq(segment.len, 1000);
	}
	ck_assert_int_eq(weir__tcp_error(peer.tcp), 0);
}
END_TEST

/* It does not count for data that was sent before either (RFC 9293 3.8.6.1: the connection stays
 * open while the peer answers), and the retransmission does not wait for the old timeout. */
START_TEST(a_window_that_closes_over_data_is_no_silence)
{
	struct peer_segment segment;
	uint64_t begun = peer.host.now_ns;

	ck_assert_int_eq(peer_send(1000), 1000);
	peer_expect(ACK, 1, 1, 1000);
	window_in(1, 0);
	while (peer.host.now_ns - begun < 1200 * WEIR_NETSTACK_SEC) {
		ck_assert(peer_wait_out(130 * WEIR_NETSTACK_SEC, &segment));
		window_in(1, 0);
	}
	window_in(1, 10000);
	for (unsigned i = 0; i < 3; i++) {
		ck_assert(peer_wait_out(2 * WEIR_NETSTACK_SEC, &segment));
		ck_assert_uint_eq(segment.seq, 1);
		ck_assert_uint_eq(segment.len, 1000);
	}
	ck_assert_int_eq(weir__tcp_error(peer.tcp), 0);
}
END_TEST

/* RFC 9293 3.8.6.2.1: a silly window is not filled at once, but after the override timeout. */
START_TEST(a_silly_window_is_not_filled)
{
	struct peer_segment segment;

	ck_assert_int_eq(peer_send(1000), 1000);
	peer_expect(ACK, 1, 1, 1000);
	window_in(1001, 10);
	ck_assert_int_eq(peer_send(3000), 3000);
	peer_expect_nothing();
	ck_assert(peer_wait_out(2 * WEIR_NETSTACK_SEC, &segment));
	ck_assert_uint_eq(segment.len, 40);
}
END_TEST

/* The timer of the connection is first set for keepalive. */
START_TEST(keepalive_does_not_keep_from_probing)
{
	struct peer_segment segment;

	apply(&(struct weir__tcp_settings){ .keepalive = true, .cork = true });
	ck_assert_int_eq(peer_send(10), 10);
	ck_assert(peer_wait_out(400 * MS, &segment));
	ck_assert_uint_eq(segment.len, 10);
	window_in(11, 0);
	ck_assert_int_eq(peer_send(3000), 3000);
	ck_assert(peer_wait_out(2 * WEIR_NETSTACK_SEC, &segment));
	ck_assert_uint_eq(segment.seq, 10);
}
END_TEST

START_TEST(an_orphan_with_keepalive_ends_too)
{
	apply(&(struct weir__tcp_settings){ .keepalive = true });
	weir__netstack_begin(peer.net, peer.host.now_ns);
	ck_assert_int_eq(weir__tcp_shutdown(peer.tcp, WEIR_TCP_WRITE), 0);
	weir__netstack_end(peer.net);
	peer_expect(ACK | FIN, 1, 1, 0);
	ack_in(2);
	weir__netstack_begin(peer.net, peer.host.now_ns);
	weir__tcp_close(peer.tcp);
	weir__netstack_end(peer.net);
	ck_assert_uint_eq(weir__tcp_orphans(peer.net), 1);
	peer_wait(61 * WEIR_NETSTACK_SEC);
	ck_assert_uint_eq(weir__tcp_orphans(peer.net), 0);
}
END_TEST

/* ---- nothing is sent ------------------------------------------------------------------------- */

/* RFC 9293 3.8.4. */
START_TEST(keepalive_asks_and_gives_up)
{
	struct weir__tcp_settings settings = {
		.keepalive = true, .keep_idle_ms = 10000, .keep_interval_ms = 2000, .keep_count = 3
	};
	struct peer_segment segment;
	uint64_t at = peer.host.now_ns;

	apply(&settings);
	ck_assert(peer_wait_out(11 * WEIR_NETSTACK_SEC, &segment));
	ck_assert_uint_ge(segment.at_ns - at, 10 * WEIR_NETSTACK_SEC);
	ck_assert_uint_eq(segment.seq, 0);
	ack_in(1);
	at = peer.host.now_ns;
	for (unsigned i = 0; i < 3; i++) {
		ck_assert(peer_wait_out(11 * WEIR_NETSTACK_SEC, &segment));
		ck_assert_uint_ge(segment.at_ns - at, (10 + 2 * i) * WEIR_NETSTACK_SEC);
		ck_assert_uint_eq(segment.flags, ACK);
	}
	ck_assert(peer_wait_out(3 * WEIR_NETSTACK_SEC, &segment));
	ck_assert_uint_eq(segment.flags, RST | ACK);
	ck_assert_int_eq(weir__tcp_error(peer.tcp), -ETIMEDOUT);
}
END_TEST

START_TEST(without_keepalive_an_idle_connection_needs_no_turn)
{
	peer_wait(MS);
	ck_assert_uint_eq(weir__netstack_next_deadline(peer.net), WEIR_NETSTACK_NEVER);
	/* With keepalive, one probe in two hours. */
	apply(&(struct weir__tcp_settings){ .keepalive = true });
	ck_assert_uint_ge(weir__netstack_next_deadline(peer.net),
			  peer.host.now_ns + 3600 * WEIR_NETSTACK_SEC);
}
END_TEST

/* A keepalive of the peer: an old sequence number, with no data or one byte of garbage. */
START_TEST(a_keepalive_is_answered)
{
	peer_in((struct peer_segment){ .flags = ACK, .seq = 0, .ack = 1 });
	peer_expect(ACK, 1, 1, 0);
	peer_in((struct peer_segment){
		.flags = ACK, .seq = 0, .ack = 1, .len = 1, .data = peer.bytes });
	peer_expect(ACK, 1, 1, 0);
}
END_TEST

/* RFC 5681 4.1. */
START_TEST(a_window_is_forgotten_when_idle)
{
	uint32_t seq = 1;

	for (unsigned count = 10; count <= 40; count *= 2) {
		ck_assert_int_eq(peer_send(1000 * count), 1000 * (int)count);
		host_out_all(&peer.host);
		peer_wait(20 * MS);
		for (unsigned i = 1; i <= count; i++)
			ack_in(seq + 1000 * i);
		seq += 1000 * count;
	}
	ck_assert_uint_ge(peer_info().snd_cwnd, 40);
	peer_wait(60 * WEIR_NETSTACK_SEC);
	ck_assert_int_gt(peer_send(40000), 0);
	for (unsigned i = 0; i < 10; i++, seq += 1000)
		peer_expect(ACK, seq, 1, 1000);
	peer_expect_nothing();
}
END_TEST

/* RFC 5681 4.1: while the window was closed nothing was sent, so the window says
 * nothing any more. */
START_TEST(a_window_is_forgotten_while_it_is_closed)
{
	uint32_t seq = 1;

	for (unsigned count = 10; count <= 40; count *= 2) {
		ck_assert_int_eq(peer_send(1000 * count), 1000 * (int)count);
		host_out_all(&peer.host);
		peer_wait(20 * MS);
		for (unsigned i = 1; i <= count; i++)
			ack_in(seq + 1000 * i);
		seq += 1000 * count;
	}
	window_in(seq, 0);
	ck_assert_int_eq(peer_send(40000), 40000);
	peer_wait(60 * WEIR_NETSTACK_SEC);
	host_out_all(&peer.host);
	window_in(seq, 65535);
	for (unsigned i = 0; i < 10; i++, seq += 1000)
		peer_expect(ACK, seq, 1, 1000);
	peer_expect_nothing();
}
END_TEST

START_TEST(an_answer_carries_the_ack)
{
	for (unsigned i = 0; i < 10; i++) {
		peer_in((struct peer_segment){
			.flags = ACK, .seq = 1 + 10 * i, .ack = 1 + 10 * i, .len = 10 });
		if (i > 2)
			peer_expect_nothing();
		host_out_all(&peer.host);
		ck_assert_int_eq(peer_send(10), 10);
		peer_expect(ACK, 1 + 10 * i, 11 + 10 * i, 10);
		peer_expect_nothing();
	}
}
END_TEST

/* ---- settings -------------------------------------------------------------------------------- */

START_TEST(settings_that_linux_refuses)
{
	const struct weir__tcp_settings wrong[] = {
		{ .mss = 87 },
		{ .mss = 32768 },
		{ .keep_count = 128 },
		{ .keep_idle_ms = 32768000 },
		{ .keep_interval_ms = 32768000 },
	};
	struct weir__endpoint local = { .port = 81 }, to = { weir__ip_v4(PEER_IP), 80 };
	struct weir__tcp_listener *listener;
	struct weir__tcp *tcp;

	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		ck_assert_int_eq(weir__tcp_apply(peer.tcp, &wrong[i]), -EINVAL);
		ck_assert_int_eq(weir__tcp_listen(peer.net, &local, 1, &wrong[i], NULL, &listener),
				 -EINVAL);
		ck_assert_int_eq(weir__tcp_connect(peer.net, NULL, &to, &wrong[i], NULL, &tcp),
				 -EINVAL);
	}
	apply(&(struct weir__tcp_settings){ .mss = 500, .tos = 0x10, .ttl = 9 });
	ck_assert_int_eq(peer_send(600), 600);
	peer_expect(ACK, 1, 1, 500);
	ck_assert_uint_eq(peer.out[15], 0x10);
	ck_assert_uint_eq(peer.out[22], 9);
	ck_assert_uint_eq(weir__tcp_settings(peer.tcp).mss, 500);
	ck_assert_ptr_eq(weir__tcp_settings(peer.tcp).congestion, &weir__tcp_cubic);
}
END_TEST

/* ---- offloads -------------------------------------------------------------------------------- */

START_TEST(super_frames_are_left_to_the_owner)
{
	struct weir__netstack_config cfg = host_config();
	struct weir__frame *frame;
	unsigned frames = 0;
	uint32_t bytes = 0;

	peer_fini();
	peer_init(&cfg);
	peer_accepts(peer_syn());
	peer.net->cfg.offloads = WEIR_NETSTACK_TSO | WEIR_NETSTACK_TX_CHECKSUM;
	ck_assert_int_eq(peer_send(9500), 9500);
	while ((frame = weir__frame_queue_pop(&peer.host.rig.sent)) != NULL) {
		frames++;
		bytes += frame->total - 54;
		ck_assert_uint_ne(frame->flags & WEIR_FRAME_CHECKSUM, 0);
		if (frame->total > 1054)
			ck_assert_uint_eq(frame->segment_bytes, 1000);
		weir__frame_free(&peer.net->frames, frame);
	}
	ck_assert_uint_eq(bytes, 9500);
	ck_assert_uint_le(frames, 2);
	ck_assert_uint_eq(peer_info().unacked, 10);
	/* The scoreboard contains single segments. */
	peer_in((struct peer_segment){
		.flags = ACK, .seq = 1, .ack = 1, .sack_count = 1, .sack = { { 3001, 6001 } } });
	ck_assert_uint_eq(peer_info().sacked, 3);
	host_out_all(&peer.host);
	ack_in(9501);
	ck_assert_uint_eq(peer_info().unacked, 0);
}
END_TEST

/* ---- memory ---------------------------------------------------------------------------------- */

/* In each run another allocation of a transfer fails: no data is lost. */
START_TEST(a_lack_of_memory_delays_only)
{
	for (int n = 0; n < 12; n++) {
		uint32_t seq = 1, sent = 0;
		struct peer_segment segment;
		int rc;

		peer_fini();
		peer_init(NULL);
		peer_accepts(peer_syn());
		peer.host.rig.fail_in = n;
		rc = peer_send(5000);
		ck_assert(rc == -ENOMEM || rc > 0);
		if (rc > 0)
			sent += (uint32_t)rc;
		weir__netstack_begin(peer.net, peer.host.now_ns);
		ck_assert_int_eq(weir__tcp_shutdown(peer.tcp, WEIR_TCP_WRITE), 0);
		weir__netstack_end(peer.net);
		peer.host.rig.fail_in = -1;
		while (seq < sent + 2) {
			ck_assert(peer_wait_out(10 * WEIR_NETSTACK_SEC, &segment));
			ck_assert_uint_le(segment.seq, seq);
			seq = segment.seq + segment.len + !!(segment.flags & FIN);
			ack_in(seq);
		}
		ck_assert_uint_eq(peer_info().state, WEIR_TCP_FIN_WAIT_2);
	}
}
END_TEST

START_TEST(acks_are_taken_when_memory_is_used_up)
{
	ck_assert_int_eq(peer_send(5000), 5000);
	host_out_all(&peer.host);
	peer.net->memory.limit_bytes = 1;
	ck_assert_int_eq(peer_send(1), -EAGAIN);
	ack_in(5001);
	ck_assert_uint_eq(peer_info().unacked, 0);
	ck_assert_uint_eq(peer.net->memory.used_bytes, 0);
}
END_TEST

/* The size includes the timers and the entry in the table. */
START_TEST(an_idle_connection_costs_600_bytes)
{
	size_t slot = sizeof(struct weir__tcp_bucket) / WEIR_TCP_SLOTS * 3 / 2;

	ck_assert_uint_le(sizeof(struct weir__tcp) + slot, 600);
	ck_assert_uint_eq(sizeof(struct weir__tcp_wait), 64);
	/* Each connection is one allocation. */
	unsigned before = peer.host.rig.allocations, blocks = peer.host.rig.blocks;

	peer.peer_port = 6000;
	peer.iss = 0;
	peer_accepts(peer_syn());
	ck_assert_uint_eq(peer.host.rig.allocations, before + 1);
	ck_assert_uint_eq(peer.host.rig.blocks, blocks);
	ck_assert_uint_eq(peer.net->memory.used_bytes, 0);
}
END_TEST

int main(int argc, char **argv)
{
#define IN(name) TESTING(name, .setup = setup, .teardown = teardown)
	const struct testing_case cases[] = {
		IN(nagle_holds_a_second_short_segment),
		IN(nagle_does_not_hold_full_segments),
		IN(nagle_does_not_hold_for_what_was_long_ago),
		IN(nodelay_sends_at_once),
		IN(a_cork_holds_for_200_ms),
		IN(what_more_follows_waits_for_it),
		IN(a_fin_waits_for_nothing),
		IN(a_window_is_not_overrun),
		IN(a_fin_is_not_sent_beyond_the_window),
		IN(a_closed_window_is_probed),
		IN(a_closed_window_and_a_dead_peer_end),
		IN(an_orphan_does_not_wait_for_a_window),
		IN(an_orphan_probes_as_long_as_the_peer_answers),
		IN(an_orphan_does_not_play_with_a_window),
		IN(a_window_that_opens_late_is_no_silence),
		IN(a_window_that_closes_over_data_is_no_silence),
		IN(a_silly_window_is_not_filled),
		IN(keepalive_does_not_keep_from_probing),
		IN(an_orphan_with_keepalive_ends_too),
		IN(keepalive_asks_and_gives_up),
		IN(without_keepalive_an_idle_connection_needs_no_turn),
		IN(a_keepalive_is_answered),
		IN(a_window_is_forgotten_when_idle),
		IN(a_window_is_forgotten_while_it_is_closed),
		IN(an_answer_carries_the_ack),
		IN(settings_that_linux_refuses),
		IN(super_frames_are_left_to_the_owner),
		IN(a_lack_of_memory_delays_only),
		IN(acks_are_taken_when_memory_is_used_up),
		IN(an_idle_connection_costs_600_bytes),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
