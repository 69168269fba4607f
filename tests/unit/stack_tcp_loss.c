/* SPDX-License-Identifier: MIT */
/*
 * stack_tcp_loss.c: which segments are retransmitted, when, and how the window changes: RTO, fast
 * recovery with and without SACK, RACK, tail loss probes, PRR, undo.
 */
#include "tests/support/testing.h"
#include "tests/unit/stack_peer.h"

static void setup(void)
{
	peer_init(NULL);
	peer_accepts(peer_syn());
}

static void setup_timestamps(void)
{
	peer_init(NULL);
	peer_accepts(peer_syn_timestamps());
}

static void setup_no_sack(void)
{
	struct peer_segment syn = peer_syn();

	syn.sack_permitted = false;
	peer_init(NULL);
	peer_accepts(syn);
}

static void teardown(void)
{
	peer_fini();
}

static void ack_in(uint32_t ack)
{
	peer_in((struct peer_segment){ .flags = ACK, .seq = 1, .ack = ack });
}

static void sack_in(uint32_t ack, uint32_t start, uint32_t end)
{
	peer_in((struct peer_segment){
		.flags = ACK, .seq = 1, .ack = ack, .sack_count = 1, .sack = { { start, end } } });
}

/* Sends `count` segments of 1000 bytes, and expects them from a sequence number on. */
static void sent(uint32_t from, unsigned count)
{
	ck_assert_int_eq(peer_send(1000 * count), 1000 * (int)count);
	for (unsigned i = 0; i < count; i++)
		peer_expect(ACK, from + 1000 * i, 1, 1000);
}

/* Grows the window to `window` segments (a multiple of 10), with a round-trip time of 20 ms. */
static uint32_t warmed_up(unsigned window)
{
	uint32_t seq = 1;

	for (unsigned segments = 10; segments < window * 2; segments *= 2) {
		unsigned count = segments < window ? segments : window;

		sent(seq, count);
		peer_wait(20 * MS);
		for (unsigned i = 1; i <= count; i++)
			ack_in(seq + 1000 * i);
		seq += 1000 * count;
	}
	ck_assert_uint_ge(peer_info().snd_cwnd, window);
	return seq;
}

/* RFC 6928. */
START_TEST(the_initial_window_is_ten_segments)
{
	ck_assert_int_eq(peer_send(30000), 30000);
	for (unsigned i = 0; i < 10; i++)
		peer_expect(ACK, 1 + 1000 * i, 1, 1000);
	peer_expect_nothing();
	/* RFC 5681 3.1: slow start. */
	ack_in(2001);
	for (unsigned i = 10; i < 14; i++)
		peer_expect(ACK, 1 + 1000 * i, 1, 1000);
	peer_expect_nothing();
}
END_TEST

/* RFC 6298 (2.3), (5.5): the timeout, doubled each time. A minimum of 200 ms, as Linux. */
START_TEST(a_timeout_backs_off)
{
	uint32_t seq = warmed_up(10), rtt_us;
	struct peer_segment segment;
	uint64_t last, gap, next;

	sent(seq, 1);
	last = peer.host.now_ns;
	/* First the tail loss probe, RFC 8985 7.2: 2 SRTT + 200 ms, at most RTO. */
	ck_assert(peer_wait_out(WEIR_NETSTACK_SEC, &segment));
	ck_assert_uint_eq(segment.seq, seq);
	ck_assert_uint_ge(segment.at_ns - last, 200 * MS);
	ck_assert_uint_le(segment.at_ns - last, 260 * MS);
	last = segment.at_ns;
	ck_assert(peer_wait_out(WEIR_NETSTACK_SEC, &segment));
	gap = segment.at_ns - last;
	ck_assert_uint_ge(gap, 200 * MS);
	ck_assert_uint_le(gap, 260 * MS);
	for (unsigned i = 0; i < 6; i++) {
		last = segment.at_ns;
		ck_assert(peer_wait_out(60 * WEIR_NETSTACK_SEC, &segment));
		ck_assert_uint_eq(segment.seq, seq);
		next = segment.at_ns - last;
		ck_assert_uint_ge(next + 4 * MS, gap * 2);
		ck_assert_uint_le(next, gap * 2 + 4 * MS);
		gap = next;
	}
	ck_assert_uint_eq(peer_info().ca_state, WEIR_TCP_CA_LOSS);
	ck_assert_uint_eq(peer_info().snd_cwnd, 1);
	/* RFC 6298 section 3: the ACK may be for either transmission. */
	rtt_us = peer_info().rtt_us;
	peer_wait(150 * MS);
	ack_in(seq + 1000);
	ck_assert_uint_eq(peer_info().rtt_us, rtt_us);
	ck_assert_uint_eq(peer_info().ca_state, WEIR_TCP_CA_OPEN);
}
END_TEST

/* Linux's tcp_retries2 15: 924.6 s. */
START_TEST(a_peer_that_is_gone_is_given_up)
{
	sent(1, 1);
	peer_wait(900 * WEIR_NETSTACK_SEC);
	ck_assert_int_eq(weir__tcp_error(peer.tcp), 0);
	peer_wait(200 * WEIR_NETSTACK_SEC);
	ck_assert_int_eq(weir__tcp_error(peer.tcp), -ETIMEDOUT);
	host_out_all(&peer.host);
}
END_TEST

START_TEST(the_user_timeout_is_shorter)
{
	struct weir__tcp_settings settings = weir__tcp_settings(peer.tcp);

	settings.user_timeout_ms = 3000;
	ck_assert_int_eq(weir__tcp_apply(peer.tcp, &settings), 0);
	sent(1, 1);
	peer_wait(2 * WEIR_NETSTACK_SEC);
	ck_assert_int_eq(weir__tcp_error(peer.tcp), 0);
	peer_wait(10 * WEIR_NETSTACK_SEC);
	ck_assert_int_eq(weir__tcp_error(peer.tcp), -ETIMEDOUT);
	host_out_all(&peer.host);
}
END_TEST

/* RFC 8985 6.2: with three SACKed segments and no earlier reordering, at once. */
START_TEST(three_sacked_segments_send_the_hole_again)
{
	uint32_t seq = warmed_up(20);

	sent(seq, 20);
	peer_wait(20 * MS);
	sack_in(seq, seq + 1000, seq + 2000);
	sack_in(seq, seq + 1000, seq + 3000);
	peer_expect_nothing();
	ck_assert_uint_eq(peer_info().ca_state, WEIR_TCP_CA_DISORDER);
	sack_in(seq, seq + 1000, seq + 4000);
	peer_expect(ACK, seq, 1, 1000);
	peer_expect_nothing();
	ck_assert_uint_eq(peer_info().ca_state, WEIR_TCP_CA_RECOVERY);
	/* RFC 9438 4.6: 0.7 of the window. */
	ck_assert_uint_eq(peer_info().snd_ssthresh, (peer_info().snd_ssthresh * 10) / 10);
	ack_in(seq + 20000);
	ck_assert_uint_eq(peer_info().ca_state, WEIR_TCP_CA_OPEN);
	ck_assert_uint_eq(peer_info().snd_cwnd, peer_info().snd_ssthresh);
	ck_assert_uint_eq(peer.net->count.tcp_timeouts, 0);
}
END_TEST

/* RFC 8985 6.2: with fewer, after the reordering window, a quarter of the round-trip time. */
START_TEST(one_sacked_segment_waits_for_reordering)
{
	uint32_t seq = warmed_up(10);
	struct peer_segment segment;
	uint64_t at;

	sent(seq, 3);
	peer_wait(20 * MS);
	sack_in(seq, seq + 1000, seq + 2000);
	at = peer.host.now_ns;
	ck_assert(peer_wait_out(100 * MS, &segment));
	ck_assert_uint_eq(segment.seq, seq);
	ck_assert_uint_ge(segment.at_ns, at + 4 * MS);
	ck_assert_uint_le(segment.at_ns, at + 8 * MS);
}
END_TEST

START_TEST(what_is_late_is_not_sent_again)
{
	uint32_t seq = warmed_up(10);

	sent(seq, 4);
	peer_wait(20 * MS);
	sack_in(seq, seq + 2000, seq + 3000);
	peer_wait(2 * MS);
	ack_in(seq + 3000);
	peer_wait(3 * MS);
	peer_expect_nothing();
	ck_assert_uint_eq(peer_info().total_retrans, 0);
	ck_assert_uint_eq(peer_info().reord_seen, 1); /* two segments, one event */
}
END_TEST

/* RFC 8985 6.2 step 3: the order in which the segments of one ACK arrived is unknown. Linux merges
 * the ACKs of a burst. */
START_TEST(what_one_ack_reports_was_not_reordered)
{
	uint32_t seq = warmed_up(20);

	sent(seq, 20);
	peer_wait(20 * MS);
	sack_in(seq + 2000, seq + 3000, seq + 6000);
	ck_assert_uint_eq(peer_info().reord_seen, 0);
	peer_expect(ACK, seq + 2000, 1, 1000);
	peer_in((struct peer_segment){ .flags = ACK,
				       .seq = 1,
				       .ack = seq + 2000,
				       .sack_count = 3,
				       .sack = { { seq + 11000, seq + 12000 },
						 { seq + 7000, seq + 10000 },
						 { seq + 3000, seq + 6000 } } });
	ck_assert_uint_eq(peer_info().reord_seen, 0);
}
END_TEST

/* A lost retransmission is detected by time (RFC 8985 section 3), without a timeout. */
START_TEST(a_lost_retransmission_is_sent_again)
{
	uint32_t seq = warmed_up(20);

	sent(seq, 20);
	peer_wait(20 * MS);
	sack_in(seq, seq + 1000, seq + 4000);
	peer_expect(ACK, seq, 1, 1000);
	for (unsigned i = 5; i <= 20; i++)
		sack_in(seq, seq + 1000, seq + 1000 * i);
	host_out_all(&peer.host);
	/* Data that was sent after the retransmission arrives. */
	ck_assert_int_gt(peer_send(5000), 0);
	host_out_all(&peer.host);
	peer_wait(25 * MS);
	sack_in(seq, seq + 1000, seq + 21000);
	peer_expect(ACK, seq, 1, 1000);
	ck_assert_uint_eq(peer.net->count.tcp_timeouts, 0);
}
END_TEST

/* RFC 6937: in recovery, transmission is proportional to delivery; the window ends at ssthresh. */
START_TEST(the_window_shrinks_in_proportion)
{
	uint32_t seq = warmed_up(40), again = 0, new = 0;
	struct peer_segment segment;

	sent(seq, 40);
	ck_assert_int_gt(peer_send(40000), 0);
	ck_assert_int_gt(peer_send(40000), 0);
	host_out_all(&peer.host);
	peer_wait(20 * MS);
	for (unsigned i = 2; i <= 40; i++) {
		sack_in(seq, seq + 1000, seq + 1000 * i);
		while (peer_out(&segment)) {
			if (segment.seq == seq)
				again++;
			else
				new ++;
		}
	}
	ck_assert_uint_eq(again, 1);
	/* At least 39 of 40 are delivered; 0.7 of them may be sent. */
	ck_assert_uint_ge(again + new, 39 * 6 / 10);
	ck_assert_uint_le(again + new, 39 * 8 / 10 + 2);
}
END_TEST

/* RFC 6582: three duplicate ACKs, then a partial ACK shows the next hole. */
START_TEST(without_sack_newreno_repairs)
{
	uint32_t seq = warmed_up(20);

	sent(seq, 20);
	peer_wait(20 * MS);
	ack_in(seq);
	ack_in(seq);
	peer_expect_nothing();
	ack_in(seq);
	peer_expect(ACK, seq, 1, 1000);
	for (unsigned i = 0; i < 15; i++)
		ack_in(seq);
	host_out_all(&peer.host);
	peer_wait(20 * MS);
	ack_in(seq + 5000);
	peer_expect(ACK, seq + 5000, 1, 1000);
	peer_wait(20 * MS);
	ack_in(seq + 20000);
	ck_assert_uint_eq(peer_info().ca_state, WEIR_TCP_CA_OPEN);
	ck_assert_uint_eq(peer_info().total_retrans, 2);
	ck_assert_uint_eq(peer.net->count.tcp_timeouts, 0);
}
END_TEST

/* RFC 5681 3.1, 4.3: after a timeout the window grows from one segment, whatever part of it was
 * used before. A retransmitted segment is not marked lost when an ACK does not cover it: partial
 * ACKs have that meaning only in fast recovery (RFC 6582 3.2). */
START_TEST(slow_start_follows_a_timeout)
{
	struct peer_segment segment;

	sent(1, 4);
	ck_assert(peer_wait_out(WEIR_NETSTACK_SEC, &segment));
	ck_assert_uint_eq(segment.seq, 1);
	ck_assert_uint_eq(peer_info().ca_state, WEIR_TCP_CA_LOSS);
	peer_wait(20 * MS);
	ack_in(1001);
	peer_expect(ACK, 1001, 1, 1000);
	peer_expect(ACK, 2001, 1, 1000);
	peer_expect_nothing();
	peer_wait(20 * MS);
	ack_in(2001);
	peer_expect(ACK, 3001, 1, 1000);
	peer_expect_nothing();
	ck_assert_uint_eq(peer_info().total_retrans, 4);
}
END_TEST

/* When all segments are too long and retransmitted, the counted duplicate ACKs are void. */
START_TEST(without_sack_too_long_segments_are_cut)
{
	struct weir__ip_error error = { .flow = peer.tcp->flow,
					.kind = WEIR_IP_TOO_BIG,
					.error = -EMSGSIZE,
					.mtu = 600,
					.quoted_len = 8 };
	unsigned char quoted[8] = { 0 };
	uint32_t seq = warmed_up(20);

	sent(seq, 20);
	for (unsigned i = 0; i < 10; i++)
		ack_in(seq);
	host_out_all(&peer.host);
	weir__put32(quoted + 4, peer.iss + seq);
	error.quoted = quoted;
	weir__netstack_begin(peer.net, peer.host.now_ns);
	ck_assert(weir__transport_tcp.error(peer.net, &error));
	weir__netstack_end(peer.net);
	ck_assert_uint_le(weir__tcp_in_flight(peer.tcp), peer_info().unacked);
	peer_expect(ACK, seq, 1, 560);
	host_out_all(&peer.host);
}
END_TEST

/* RFC 8985 7.2: after two round-trip times the last segment is retransmitted. */
START_TEST(a_lost_tail_is_probed_for)
{
	uint32_t seq = warmed_up(10);
	struct peer_segment segment;
	uint64_t at;
	uint32_t window;

	sent(seq, 5);
	at = peer.host.now_ns;
	ck_assert(peer_wait_out(100 * MS, &segment));
	ck_assert_uint_eq(segment.seq, seq + 4000);
	ck_assert_uint_ge(segment.at_ns - at, 40 * MS);
	ck_assert_uint_le(segment.at_ns - at, 46 * MS);
	window = peer_info().snd_cwnd;
	/* The last two were lost: the probe's SACK reveals the other loss; the window shrinks. */
	peer_wait(20 * MS);
	sack_in(seq + 3000, seq + 4000, seq + 5000);
	peer_wait(10 * MS);
	peer_expect(ACK, seq + 3000, 1, 1000);
	ack_in(seq + 5000);
	ck_assert_uint_lt(peer_info().snd_cwnd, window);
	ck_assert_uint_eq(peer.net->count.tcp_timeouts, 0);
}
END_TEST

/* RFC 8985 7.4: a probe that repairs the only loss also means congestion. */
START_TEST(a_probe_that_repairs_shrinks_the_window)
{
	uint32_t seq = warmed_up(10), window;
	struct peer_segment segment;

	sent(seq, 5);
	ck_assert(peer_wait_out(100 * MS, &segment));
	ck_assert_uint_eq(segment.seq, seq + 4000);
	window = peer_info().snd_cwnd;
	peer_wait(20 * MS);
	ack_in(seq + 5000);
	ck_assert_uint_ge(peer_info().snd_cwnd, window);
	sent(seq + 5000, 1);
	peer_wait(20 * MS);
	ack_in(seq + 6000);
	ck_assert_uint_lt(peer_info().snd_cwnd, window);
	ck_assert_uint_eq(peer.net->count.tcp_loss_probe_recoveries, 1);
}
END_TEST

START_TEST(a_probe_that_was_not_needed_does_not)
{
	uint32_t seq = warmed_up(10), window;
	struct peer_segment segment;

	sent(seq, 5);
	ck_assert(peer_wait_out(100 * MS, &segment));
	window = peer_info().snd_cwnd;
	ack_in(seq + 5000);
	/* The probe is reported as a duplicate (RFC 2883). */
	sack_in(seq + 5000, seq + 4000, seq + 5000);
	sent(seq + 5000, 1);
	ack_in(seq + 6000);
	ck_assert_uint_ge(peer_info().snd_cwnd, window);
	ck_assert_uint_eq(peer.net->count.tcp_loss_probe_recoveries, 0);
}
END_TEST

/* RFC 3708: D-SACKs report all retransmissions as duplicates. */
START_TEST(a_mistake_is_taken_back_by_dsack)
{
	uint32_t seq = warmed_up(20), window;

	sent(seq, 20);
	peer_wait(20 * MS);
	window = peer_info().snd_cwnd;
	sack_in(seq, seq + 1000, seq + 4000);
	peer_expect(ACK, seq, 1, 1000);
	ck_assert_uint_lt(peer_info().snd_ssthresh, window);
	ack_in(seq + 4000);
	sack_in(seq + 4000, seq, seq + 1000);
	ck_assert_uint_eq(peer_info().ca_state, WEIR_TCP_CA_OPEN);
	ck_assert_uint_ge(peer_info().snd_cwnd, window);
	ck_assert_uint_eq(peer.net->count.tcp_undone, 1);
}
END_TEST

/* RFC 3522: the ACK after a timeout echoes a timestamp from before. */
START_TEST(a_mistake_is_taken_back_by_timestamps)
{
	uint32_t seq = warmed_up(20), window, early;
	struct peer_segment segment;

	sent(seq, 20);
	early = peer.tsecr;
	window = peer_info().snd_cwnd;
	do
		ck_assert(peer_wait_out(2 * WEIR_NETSTACK_SEC, &segment));
	while (peer_info().ca_state != WEIR_TCP_CA_LOSS);
	peer_wait(5 * MS);
	peer.tsecr = early;
	peer.tsval++;
	ack_in(seq + 2000);
	ck_assert_uint_ge(peer_info().snd_cwnd, window);
	ck_assert_uint_eq(peer_info().ca_state, WEIR_TCP_CA_OPEN);
	ck_assert_uint_eq(peer_info().lost, 0);
}
END_TEST

/* The ACKs of one turn are processed before the retransmission that the first one causes. */
START_TEST(what_was_not_sent_again_was_no_mistake)
{
	uint32_t seq = warmed_up(20);

	sent(seq, 20);
	peer_wait(20 * MS);
	peer.batch = true;
	weir__netstack_begin(peer.net, peer.host.now_ns);
	for (unsigned i = 2; i < 9; i++)
		sack_in(seq, seq + 1000, seq + 1000 * i);
	weir__netstack_end(peer.net);
	peer.batch = false;
	peer_expect(ACK, seq, 1, 1000);
	ck_assert_uint_eq(peer_info().ca_state, WEIR_TCP_CA_RECOVERY);
	ck_assert_uint_eq(peer.net->count.tcp_undone, 0);
}
END_TEST

/* RFC 6298 (5.3), RFC 6582: duplicate ACKs do not restart the timer. */
START_TEST(duplicates_do_not_put_the_timeout_off)
{
	uint32_t seq = warmed_up(20);

	sent(seq, 10);
	peer_wait(20 * MS);
	for (unsigned i = 0; i < 10; i++) {
		ack_in(seq);
		peer_wait(50 * MS);
		host_out_all(&peer.host);
	}
	ck_assert_uint_gt(peer.net->count.tcp_timeouts, 0);
}
END_TEST

/* RFC 8985 7.2: later transmissions do not postpone the probe beyond the RTO. */
START_TEST(a_probe_is_not_put_off_for_ever)
{
	struct weir__tcp_settings settings = { .nodelay = true };
	uint32_t next = warmed_up(40);
	struct peer_segment segment;
	bool again = false;

	ck_assert_int_eq(weir__tcp_apply(peer.tcp, &settings), 0);
	for (unsigned i = 0; i < 35 && !again; i++) {
		ck_assert_int_eq(peer_send(10), 10);
		peer_wait(10 * MS);
		while (peer_out(&segment)) {
			again |= segment.seq < next;
			next = segment.seq + segment.len;
		}
	}
	ck_assert(again);
}
END_TEST

/* RFC 2018 section 8: a peer may drop what it has SACKed. */
START_TEST(a_peer_that_reneges_gets_everything)
{
	uint32_t seq = warmed_up(10);
	struct peer_segment segment;

	sent(seq, 5);
	sack_in(seq, seq + 1000, seq + 5000);
	peer_wait_out(100 * MS, &segment);
	ack_in(seq + 1000);
	/* The peer has dropped the other segments, which it had SACKed. */
	for (uint32_t next = seq + 1000; next < seq + 5000; next += 1000) {
		bool came = false;

		for (unsigned i = 0; i < 50 && !came; i++)
			came = peer_wait_out(3 * WEIR_NETSTACK_SEC, &segment) &&
			       segment.seq == next;
		ck_assert(came);
		ack_in(next + 1000);
	}
	ck_assert_uint_eq(peer_info().unacked, 0);
}
END_TEST

/* RFC 9293 3.10.7.4: an ACK of unsent data changes nothing. */
START_TEST(what_was_not_sent_cannot_be_acknowledged)
{
	sent(1, 5);
	ack_in(8001);
	ck_assert_uint_eq(peer_info().unacked, 5);
	peer_expect(ACK, 5001, 1, 0);
	sack_in(1, 4001, 9001);
	sack_in(1, 9001, 4001);
	sack_in(1, 0x80000000, 0x80001000);
	ck_assert_uint_eq(peer_info().sacked, 0);
	ck_assert_uint_ge(peer.net->count.tcp_sack_discards, 2);
	ack_in(5001);
	ck_assert_uint_eq(peer_info().unacked, 0);
}
END_TEST

/* A block that covers a part of a segment does not SACK it. */
START_TEST(a_segment_is_sacked_as_a_whole)
{
	sent(1, 5);
	sack_in(1, 1500, 3001);
	ck_assert_uint_eq(peer_info().sacked, 1);
	sack_in(1, 1001, 3001);
	ck_assert_uint_eq(peer_info().sacked, 2);
	sack_in(1, 1001, 3999);
	ck_assert_uint_eq(peer_info().sacked, 2);
	ack_in(5001);
	ck_assert_uint_eq(peer_info().sacked, 0);
}
END_TEST

START_TEST(reno_halves)
{
	struct weir__tcp_settings settings = weir__tcp_settings(peer.tcp);
	uint32_t seq, window;

	settings.congestion = &weir__tcp_reno;
	ck_assert_int_eq(weir__tcp_apply(peer.tcp, &settings), 0);
	ck_assert_str_eq(peer_info().congestion, "reno");
	seq = warmed_up(40);
	window = peer_info().snd_cwnd;
	sent(seq, 20);
	peer_wait(20 * MS);
	sack_in(seq, seq + 1000, seq + 4000);
	ck_assert_uint_eq(peer_info().snd_ssthresh, window / 2);
}
END_TEST

/* RFC 9438 4.2: W(t) = C (t - K)^3 + W_max, K = cbrt((W_max - cwnd) / C); in segments. */
static double curve(double t, double w_max, double start)
{
	double k = 0;

	while (0.4 * k * k * k < w_max - start)
		k += 0.001;
	return 0.4 * (t - k) * (t - k) * (t - k) + w_max;
}

START_TEST(cubic_follows_its_curve)
{
	const struct weir__tcp_congestion *cubic = &weir__tcp_cubic;
	struct weir__tcp *tcp = peer.tcp;

	tcp->cwnd = 1000;
	tcp->ssthresh = cubic->shrink(tcp);
	/* 4.6: 0.7 of it. */
	ck_assert_uint_ge(tcp->ssthresh, 698);
	ck_assert_uint_le(tcp->ssthresh, 700);
	tcp->cwnd = tcp->ssthresh;
	tcp->srtt = 200000 * 8;
	for (unsigned trip = 0; trip < 80; trip++) {
		for (uint32_t acked = 0, all = tcp->cwnd; acked < all; acked += 2)
			cubic->grow(tcp, 2);
		peer.net->now_ns += 200 * MS;
		/* The window approaches the target of this round trip (4.4). */
		ck_assert_uint_ge(tcp->cwnd, (uint32_t)(curve(trip * 0.2, 1000, 699) * 0.99));
		ck_assert_uint_le(tcp->cwnd, (uint32_t)(curve(trip * 0.2 + 0.2, 1000, 699) * 1.01));
	}
	ck_assert_uint_gt(tcp->cwnd, 1050);
	/* 4.7: after a loss below W_max, the new W_max is 0.85 of the window. */
	tcp->cwnd = 900;
	tcp->ssthresh = cubic->shrink(tcp);
	ck_assert_uint_eq(tcp->cubic.w_max / 256, 900 * 218 / 256);
	peer.host.now_ns = peer.net->now_ns;
}
END_TEST

/* 4.3: on a short path the window is that of Reno. */
START_TEST(cubic_is_not_slower_than_reno)
{
	const struct weir__tcp_congestion *cubic = &weir__tcp_cubic;
	struct weir__tcp *tcp = peer.tcp;

	tcp->cwnd = 400;
	tcp->ssthresh = cubic->shrink(tcp);
	tcp->cwnd = tcp->ssthresh;
	tcp->srtt = 1000 * 8;
	for (unsigned trip = 0; trip < 100; trip++) {
		for (uint32_t acked = 0, all = tcp->cwnd; acked < all; acked += 2)
			cubic->grow(tcp, 2);
		peer.net->now_ns += MS;
	}
	/* 3 (1 - 0.7) / (1 + 0.7) = 0.53 of a segment in each round trip. */
	ck_assert_uint_ge(tcp->cwnd, 279 + 51);
	ck_assert_uint_le(tcp->cwnd, 279 + 55);
	peer.host.now_ns = peer.net->now_ns;
}
END_TEST

/* 4.8: after a timeout K is 0 and W_max is the current window. */
START_TEST(cubic_begins_anew_after_a_timeout)
{
	const struct weir__tcp_congestion *cubic = &weir__tcp_cubic;
	struct weir__tcp *tcp = peer.tcp;

	tcp->cwnd = 1000;
	tcp->ssthresh = cubic->shrink(tcp);
	cubic->timed_out(tcp);
	tcp->cwnd = tcp->ssthresh;
	cubic->grow(tcp, 1);
	ck_assert_uint_eq(tcp->cubic.k_ms, 0);
	ck_assert_uint_eq(tcp->cubic.w_max / 256, tcp->ssthresh);
}
END_TEST

/* 5.8: idle time does not count. But an epoch must not begin in the future: idle time is counted
 * from the last data, which was sent before the ACK that began the epoch. */
START_TEST(cubic_does_not_count_idle_time)
{
	const struct weir__tcp_congestion *cubic = &weir__tcp_cubic;
	struct weir__tcp *tcp = peer.tcp;
	uint32_t window;

	tcp->cwnd = 100;
	tcp->ssthresh = cubic->shrink(tcp);
	tcp->cwnd = tcp->ssthresh;
	tcp->srtt = 100000 * 8;
	cubic->grow(tcp, 1);
	window = tcp->cwnd;
	peer.net->now_ns += 1000 * MS;
	cubic->idled(tcp, 1100);
	ck_assert_uint_eq(tcp->cubic.epoch_ms, weir__tcp_ms(peer.net));
	for (uint32_t acked = 0; acked < window; acked++)
		cubic->grow(tcp, 1);
	ck_assert_uint_le(tcp->cwnd, window + 10);
	peer.host.now_ns = peer.net->now_ns;
}
END_TEST

/* 4.4: the window grows by one half in a round trip, if the curve is far above it. */
START_TEST(cubic_grows_by_half_at_most)
{
	const struct weir__tcp_congestion *cubic = &weir__tcp_cubic;
	struct weir__tcp *tcp = peer.tcp;
	uint32_t window;

	tcp->cwnd = 1000;
	tcp->ssthresh = cubic->shrink(tcp);
	tcp->cwnd = tcp->ssthresh;
	tcp->srtt = 200000 * 8;
	cubic->grow(tcp, 1);
	window = tcp->cwnd;
	peer.net->now_ns += 60 * WEIR_NETSTACK_SEC;
	for (uint32_t acked = 0; acked < window; acked++)
		cubic->grow(tcp, 1);
	ck_assert_uint_ge(tcp->cwnd, window * 149 / 100);
	ck_assert_uint_le(tcp->cwnd, window * 151 / 100);
	peer.host.now_ns = peer.net->now_ns;
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(the_initial_window_is_ten_segments, .setup = setup, .teardown = teardown),
		TESTING(a_timeout_backs_off, .setup = setup, .teardown = teardown),
		TESTING(a_peer_that_is_gone_is_given_up, .setup = setup, .teardown = teardown),
		TESTING(the_user_timeout_is_shorter, .setup = setup, .teardown = teardown),
		TESTING(three_sacked_segments_send_the_hole_again, .setup = setup,
			.teardown = teardown),
		TESTING(one_sacked_segment_waits_for_reordering, .setup = setup,
			.teardown = teardown),
		TESTING(what_one_ack_reports_was_not_reordered, .setup = setup,
			.teardown = teardown),
		TESTING(what_is_late_is_not_sent_again, .setup = setup, .teardown = teardown),
		TESTING(a_lost_retransmission_is_sent_again, .setup = setup, .teardown = teardown),
		TESTING(the_window_shrinks_in_proportion, .setup = setup, .teardown = teardown),
		TESTING(without_sack_newreno_repairs, .setup = setup_no_sack, .teardown = teardown),
		TESTING(slow_start_follows_a_timeout, .setup = setup_no_sack, .teardown = teardown),
		TESTING(without_sack_too_long_segments_are_cut, .setup = setup_no_sack,
			.teardown = teardown),
		TESTING(a_lost_tail_is_probed_for, .setup = setup, .teardown = teardown),
		TESTING(a_probe_that_repairs_shrinks_the_window, .setup = setup,
			.teardown = teardown),
		TESTING(a_probe_that_was_not_needed_does_not, .setup = setup, .teardown = teardown),
		TESTING(a_mistake_is_taken_back_by_dsack, .setup = setup, .teardown = teardown),
		TESTING(a_mistake_is_taken_back_by_timestamps, .setup = setup_timestamps,
			.teardown = teardown),
		TESTING(what_was_not_sent_again_was_no_mistake, .setup = setup,
			.teardown = teardown),
		TESTING(duplicates_do_not_put_the_timeout_off, .setup = setup_no_sack,
			.teardown = teardown),
		TESTING(a_probe_is_not_put_off_for_ever, .setup = setup, .teardown = teardown),
		TESTING(a_peer_that_reneges_gets_everything, .setup = setup, .teardown = teardown),
		TESTING(what_was_not_sent_cannot_be_acknowledged, .setup = setup,
			.teardown = teardown),
		TESTING(a_segment_is_sacked_as_a_whole, .setup = setup, .teardown = teardown),
		TESTING(cubic_follows_its_curve, .setup = setup, .teardown = teardown),
		TESTING(cubic_is_not_slower_than_reno, .setup = setup, .teardown = teardown),
		TESTING(cubic_begins_anew_after_a_timeout, .setup = setup, .teardown = teardown),
		TESTING(cubic_does_not_count_idle_time, .setup = setup, .teardown = teardown),
		TESTING(cubic_grows_by_half_at_most, .setup = setup, .teardown = teardown),
		TESTING(reno_halves, .setup = setup, .teardown = teardown),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
