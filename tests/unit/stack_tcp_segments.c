/* SPDX-License-Identifier: MIT */
/*
 * stack_tcp_segments.c: segments that open, reset and attack connections: requests and cookies,
 * unacceptable RST and SYN, PAWS, challenge ACKs, TIME_WAIT, simultaneous open, ICMP.
 */
#include "stack/checksum.h"
#include "tests/support/testing.h"
#include "tests/unit/stack_peer.h"

static void setup(void)
{
	peer_init(NULL);
}

static void setup_accepted(void)
{
	peer_init(NULL);
	peer_accepts(peer_syn());
}

static void setup_timestamps(void)
{
	peer_init(NULL);
	peer_accepts(peer_syn_timestamps());
}

static void teardown(void)
{
	peer_fini();
}

static void flags_in(uint8_t flags, uint32_t seq, uint32_t ack)
{
	peer_in((struct peer_segment){ .flags = flags, .seq = seq, .ack = ack });
}

/* ---- RST (RFC 9293 3.5.2, 3.10.7; RFC 5961 section 3) --------------------------------------- */

START_TEST(nobody_is_there)
{
	peer.port = 81;
	flags_in(SYN, 0, 0);
	peer_expect(RST | ACK, 0, 1, 0);
	flags_in(ACK, 1, 77);
	peer_expect(RST, 77, 0, 0);
	peer_in((struct peer_segment){ .flags = FIN, .seq = 5, .len = 10 });
	peer_expect(RST | ACK, 0, 16, 0);
	flags_in(RST, 1, 0);
	flags_in(RST | ACK, 1, 1);
	peer_expect_nothing();
}
END_TEST

START_TEST(only_the_exact_number_resets)
{
	flags_in(RST, 2, 0);
	peer_expect(ACK, 1, 1, 0);
	ck_assert_int_eq(weir__tcp_error(peer.tcp), 0);
	peer_wait(WEIR_NETSTACK_SEC);
	flags_in(RST, 70000, 0);
	flags_in(RST, 0, 0);
	peer_expect_nothing();
	ck_assert_int_eq(weir__tcp_error(peer.tcp), 0);
	flags_in(RST, 1, 0);
	ck_assert_int_eq(weir__tcp_error(peer.tcp), -ECONNRESET);
	peer_expect_nothing();
}
END_TEST

/* RFC 5961 section 4. */
/* RFC 4022, tcpEstabResets: from ESTABLISHED and CLOSE-WAIT, not from states after our FIN. */
START_TEST(resets_of_what_was_closed_are_not_counted)
{
	weir__netstack_begin(peer.net, peer.host.now_ns);
	ck_assert_int_eq(weir__tcp_shutdown(peer.tcp, WEIR_TCP_WRITE), 0);
	weir__netstack_end(peer.net);
	host_out_all(&peer.host);
	flags_in(ACK, 1, 2);
	flags_in(RST, 1, 0);
	ck_assert_int_eq(weir__tcp_error(peer.tcp), -ECONNRESET);
	ck_assert_uint_eq(peer.net->count.tcp_established_resets, 0);
}
END_TEST

START_TEST(a_syn_on_a_connection_is_challenged)
{
	flags_in(SYN, 1, 0);
	peer_expect(ACK, 1, 1, 0);
	peer_wait(WEIR_NETSTACK_SEC);
	flags_in(SYN, 1000000, 0);
	peer_expect(ACK, 1, 1, 0);
	peer_wait(WEIR_NETSTACK_SEC);
	flags_in(SYN | ACK, 0, 1);
	peer_expect(ACK, 1, 1, 0);
	ck_assert_int_eq(peer_info().state, WEIR_TCP_ESTABLISHED);
}
END_TEST

/* RFC 5961 section 5. */
START_TEST(an_ack_from_long_ago_is_challenged)
{
	peer_in((struct peer_segment){ .flags = ACK, .seq = 1, .ack = 1 - 300000, .len = 100 });
	peer_expect(ACK, 1, 1, 0);
	ck_assert_uint_eq(weir__tcp_readable(peer.tcp), 0);
}
END_TEST

/* RFC 5961 section 7. */
START_TEST(challenges_are_rationed)
{
	for (unsigned i = 0; i < 100; i++)
		flags_in(SYN, 1, 0);
	peer_expect(ACK, 1, 1, 0);
	peer_expect_nothing();
	ck_assert_uint_eq(peer.net->count.tcp_acks_skipped, 99);
}
END_TEST

START_TEST(a_fin_is_acknowledged_each_time)
{
	for (unsigned i = 0; i < 5; i++) {
		flags_in(ACK | FIN, 1, 1);
		peer_expect(ACK, 1, 2, 0);
	}
}
END_TEST

static void push_fragment(struct weir__frame_queue *queue, const unsigned char *packet, uint32_t at,
			  uint32_t len, bool more)
{
	unsigned char frame[600];
	uint32_t total = host_packet(frame, PEER_IP, HOST_IP, WEIR_IP_TCP, 7,
				     (uint16_t)(at / 8 | (more ? 0x2000 : 0)), packet + at, len);

	weir__frame_queue_push(queue, rig_frame(&peer.net->frames, frame, total, 0));
}

/* A burst must not compute the hash of a fragment: it may have no ports, and its control bytes
 * belong to reassembly. */
START_TEST(a_burst_may_bring_fragments)
{
	struct weir__frame_queue queue = { NULL, NULL };
	struct weir__ip_address from = weir__ip_v4(PEER_IP), to = weir__ip_v4(HOST_IP);
	unsigned char packet[20 + 400] = { 0 };
	uint32_t sum;

	weir__put16(packet, PEER_PORT);
	weir__put16(packet + 2, 80);
	weir__put32(packet + 4, PEER_ISS + 1);
	weir__put32(packet + 8, peer.iss + 1);
	packet[12] = 5 << 4;
	packet[13] = ACK;
	weir__put16(packet + 14, 65535);
	sum = weir__checksum_add(weir__ip_pseudo_sum(&from, &to, WEIR_IP_TCP, sizeof(packet)),
				 weir__checksum(packet, sizeof(packet)));
	weir__put_checksum(packet + 16, weir__checksum_finish(sum));
	push_fragment(&queue, packet, 0, 200, true);
	push_fragment(&queue, packet, 200, sizeof(packet) - 200, false);
	weir__netstack_begin(peer.net, peer.host.now_ns);
	weir__netstack_input_burst(peer.net, &queue);
	weir__netstack_end(peer.net);
	peer_expect(ACK, 1, 401, 0);
	ck_assert_uint_eq(weir__tcp_readable(peer.tcp), 400);
}
END_TEST

START_TEST(a_segment_without_ack_is_dropped)
{
	peer_in((struct peer_segment){ .flags = PSH, .seq = 1, .len = 10 });
	peer_in((struct peer_segment){ .flags = FIN, .seq = 1 });
	peer_expect_nothing();
	ck_assert_uint_eq(weir__tcp_readable(peer.tcp), 0);
	ck_assert_int_eq(peer_info().state, WEIR_TCP_ESTABLISHED);
}
END_TEST

START_TEST(wrong_headers_are_counted)
{
	static unsigned char frame[2000], header[20] = { 0, 1, 0, 80, [12] = 0x40, [13] = SYN };

	host_in(&peer.host, frame,
		host_packet(frame, PEER_IP, HOST_IP, WEIR_IP_TCP, 0, 0, header, 19));
	host_in(&peer.host, frame,
		host_packet(frame, PEER_IP, HOST_IP, WEIR_IP_TCP, 0, 0, header, 20));
	header[12] = 0x60;
	host_in(&peer.host, frame,
		host_packet(frame, PEER_IP, HOST_IP, WEIR_IP_TCP, 0, 0, header, 20));
	ck_assert_uint_eq(peer.net->count.tcp_in_errors, 3);
	header[12] = 0x50;
	host_in(&peer.host, frame,
		host_packet(frame, PEER_IP, HOST_IP, WEIR_IP_TCP, 0, 0, header, 20));
	ck_assert_uint_eq(peer.net->count.tcp_in_checksum_errors, 1);
	peer_expect_nothing();
}
END_TEST

/* ---- PAWS (RFC 7323 section 5) --------------------------------------------------------------- */

START_TEST(an_old_timestamp_is_of_an_old_segment)
{
	peer_in((struct peer_segment){ .flags = ACK, .seq = 1, .ack = 1, .len = 100 });
	host_out_all(&peer.host);
	peer.tsval = 999;
	peer_in((struct peer_segment){ .flags = ACK, .seq = 101, .ack = 1, .len = 100 });
	peer_expect(ACK, 1, 101, 0);
	ck_assert_uint_eq(weir__tcp_readable(peer.tcp), 100);
	ck_assert_uint_eq(peer.net->count.tcp_paws_rejected, 1);
	/* PAWS does not apply to RST (5.2). */
	flags_in(RST, 101, 0);
	ck_assert_int_eq(weir__tcp_error(peer.tcp), -ECONNRESET);
}
END_TEST

/* RFC 7323 4.3: the timestamp of an out-of-order segment is not echoed. */
START_TEST(the_last_timestamp_in_order_is_echoed)
{
	struct peer_segment segment;

	peer.tsval = 2000;
	peer_in((struct peer_segment){ .flags = ACK, .seq = 1001, .ack = 1, .len = 1000 });
	segment = peer_expect(ACK, 1, 1, 0);
	ck_assert_uint_eq(segment.tsecr, 1000);
	peer.tsval = 2001;
	peer_in((struct peer_segment){ .flags = ACK, .seq = 1, .ack = 1, .len = 1000 });
	segment = peer_expect(ACK, 1, 2001, 0);
	ck_assert_uint_eq(segment.tsecr, 2001);
}
END_TEST

START_TEST(timestamps_are_not_compared_after_24_days)
{
	static const unsigned days[3] = { 25, 55, 400 };	/* 49.7: 2^32 ms */

	peer_wait(days[_i] * 24ull * 3600 * WEIR_NETSTACK_SEC);
	host_out_all(&peer.host);
	peer.tsval = 500;
	peer_in((struct peer_segment){ .flags = ACK, .seq = 1, .ack = 1, .len = 100 });
	ck_assert_uint_eq(weir__tcp_readable(peer.tcp), 100);
}
END_TEST

/* ---- half-open ------------------------------------------------------------------------------- */

/* RFC 9293 3.10.7.4 in SYN-RECEIVED. */
START_TEST(a_request_knows_right_from_wrong)
{
	struct peer_segment answer;

	peer_in(peer_syn());
	ck_assert(peer_out(&answer));
	peer.iss = answer.seq;
	/* A retransmitted SYN. */
	peer_in(peer_syn());
	peer_expect(SYN | ACK, 0, 1, 0);
	/* A wrong ACK. */
	flags_in(ACK, 1, 2);
	peer_expect(RST, 2, 0, 0);
	flags_in(ACK, 1, 0);
	peer_expect(RST, 0, 0, 0);
	/* Outside the window. */
	flags_in(ACK, 200000, 1);
	peer_expect(ACK, 1, 1, 0);
	flags_in(RST, 2, 0);
	ck_assert_uint_eq(peer.net->tcp->requests, 1);
	flags_in(RST, 1, 0);
	ck_assert_uint_eq(peer.net->tcp->requests, 0);
	peer_expect_nothing();
}
END_TEST

/* RFC 5961 section 7: two hosts that reject each other's ACKs do not exchange them without end. */
START_TEST(wrong_acks_for_a_request_are_answered_twice_a_second)
{
	struct peer_segment answer;

	peer_in(peer_syn());
	ck_assert(peer_out(&answer));
	peer.iss = answer.seq;
	flags_in(ACK, 200000, 1);
	peer_expect(ACK, 1, 1, 0);
	for (unsigned i = 0; i < 10; i++)
		flags_in(ACK, 200000, 1);
	peer_expect_nothing();
	ck_assert_uint_eq(peer.net->count.tcp_acks_skipped, 10);
	/* The limit does not apply to segments that occupy sequence numbers. */
	flags_in(ACK | FIN, 200000, 1);
	peer_expect(ACK, 1, 1, 0);
	peer_wait(600 * MS);
	flags_in(ACK, 200000, 1);
	peer_expect(ACK, 1, 1, 0);
}
END_TEST

/* RFC 7323 2.2: the window of a SYN-ACK is not scaled; that of any other segment is. */
START_TEST(a_request_scales_its_window)
{
	struct peer_segment answer, ack;
	uint32_t window;

	peer_in(peer_syn());
	ck_assert(peer_out(&answer));
	peer.iss = answer.seq;
	ck_assert_uint_gt(answer.wscale, 0);
	flags_in(ACK, 0, 1);
	ack = peer_expect(ACK, 1, 1, 0);
	window = ack.window << answer.wscale;
	ck_assert_uint_ge(window, answer.window);
	ck_assert_uint_lt(window, answer.window + (1u << answer.wscale));
}
END_TEST

START_TEST(a_request_is_given_up_after_a_minute)
{
	struct peer_segment answer;

	peer_in(peer_syn());
	ck_assert(peer_out(&answer));
	peer.iss = answer.seq;
	for (unsigned i = 0; i < 5; i++) {
		ck_assert(peer_wait_out(40 * WEIR_NETSTACK_SEC, &answer));
		ck_assert_uint_eq(answer.flags, SYN | ACK);
	}
	peer_wait(40 * WEIR_NETSTACK_SEC);
	peer_expect_nothing();
	ck_assert_uint_eq(peer.net->tcp->requests, 0);
}
END_TEST

START_TEST(the_last_ack_may_carry_data)
{
	struct peer_segment answer;

	peer_in(peer_syn());
	ck_assert(peer_out(&answer));
	peer.iss = answer.seq;
	peer_in((struct peer_segment){ .flags = ACK, .seq = 1, .ack = 1, .len = 50 });
	ck_assert_int_eq(weir__tcp_accept(peer.listener, NULL, &peer.tcp), 0);
	ck_assert_uint_eq(weir__tcp_readable(peer.tcp), 50);
	peer_expect(ACK, 1, 51, 0);
}
END_TEST

/* RFC 4987: SYNs beyond the backlog take no memory, and real peers can still connect. */
START_TEST(a_syn_flood_is_answered_with_cookies)
{
	struct peer_segment answer, syn = peer_syn_timestamps();
	unsigned allocations;

	for (unsigned i = 0; i < 8; i++) {
		peer.peer_port = (uint16_t)(5000 + i);
		peer_in(peer_syn());
	}
	allocations = peer.host.rig.allocations;
	for (unsigned i = 0; i < 1000; i++) {
		peer.peer_port = (uint16_t)(6000 + i);
		peer_in(peer_syn());
	}
	ck_assert_uint_eq(peer.host.rig.allocations, allocations);
	ck_assert_uint_eq(peer.net->count.tcp_cookies_sent, 1000);
	host_out_all(&peer.host);
	peer.peer_port = PEER_PORT;
	syn.wscale = 9;
	peer_in(syn);
	ck_assert(peer_out(&answer));
	ck_assert_uint_eq(answer.flags, SYN | ACK);
	peer.iss += answer.seq;
	peer.timestamps = true;
	flags_in(ACK, 1, 1);
	ck_assert_int_eq(weir__tcp_accept(peer.listener, NULL, &peer.tcp), 0);
	ck_assert_uint_eq(peer_info().state, WEIR_TCP_ESTABLISHED);
	ck_assert(peer_info().sack && peer_info().timestamps);
	ck_assert_uint_eq(peer_info().snd_wscale, 9);
	ck_assert_uint_eq(peer_info().snd_mss, 536 - 12);
	peer_in((struct peer_segment){ .flags = ACK, .seq = 1, .ack = 1, .len = 10 });
	ck_assert_uint_eq(weir__tcp_readable(peer.tcp), 10);
}
END_TEST

START_TEST(a_cookie_has_to_be_genuine)
{
	struct peer_segment answer;

	/* No cookie was sent, so none is accepted. */
	flags_in(ACK, 1, 1);
	peer_expect(RST, 1, 0, 0);
	for (unsigned i = 0; i < 9; i++) {
		peer.peer_port = (uint16_t)(5000 + i);
		peer_in(peer_syn());
	}
	while (peer_out(&answer))
		;
	peer.iss += answer.seq;
	flags_in(ACK, 1, 2);
	peer_expect(RST, 2, 0, 0);
	flags_in(ACK, 2, 1);
	peer_expect(RST, 1, 0, 0);
	peer.peer_port++;
	flags_in(ACK, 1, 1);
	peer_expect(RST, 1, 0, 0);
	peer.peer_port--;
	/* A cookie is valid for at least one minute, and for less than three. */
	peer_wait(60 * WEIR_NETSTACK_SEC);
	host_out_all(&peer.host);
	flags_in(ACK, 1, 1);
	ck_assert_int_eq(weir__tcp_accept(peer.listener, NULL, &peer.tcp), 0);
	ck_assert_uint_eq(peer.net->count.tcp_cookies_failed, 3);
}
END_TEST

START_TEST(a_cookie_gets_old)
{
	struct peer_segment answer;

	for (unsigned i = 0; i < 9; i++) {
		peer.peer_port = (uint16_t)(5000 + i);
		peer_in(peer_syn());
	}
	while (peer_out(&answer))
		;
	peer.iss += answer.seq;
	peer_wait(120 * WEIR_NETSTACK_SEC);
	/* Newer cookies were sent, too. */
	for (unsigned i = 0; i < 9; i++) {
		peer.peer_port = (uint16_t)(7000 + i);
		peer_in(peer_syn());
	}
	peer.peer_port = 5008;
	peer_wait(9 * WEIR_NETSTACK_SEC);
	host_out_all(&peer.host);
	flags_in(ACK, 1, 1);
	peer_expect(RST, 1, 0, 0);
}
END_TEST

/* ---- SYN-SENT (RFC 9293 3.10.7.3) ------------------------------------------------------------ */

static void syn_sent(void)
{
	struct weir__endpoint to = { weir__ip_v4(PEER_IP), PEER_PORT };
	struct peer_segment first;

	ck_assert_int_eq(weir__tcp_connect(peer.net, NULL, &to, NULL, NULL, &peer.tcp), 0);
	peer.port = weir__tcp_flow(peer.tcp)->local_port;
	ck_assert(peer_out(&first));
	peer.iss = first.seq;
}

START_TEST(syn_sent_checks_what_answers)
{
	struct peer_segment answer = peer_syn();

	syn_sent();
	flags_in(ACK, 1, 5);
	peer_expect(RST, 5, 0, 0);
	flags_in(RST | ACK, 1, 5);
	flags_in(RST, 1, 0);
	flags_in(ACK, 1, 1);
	peer_expect_nothing();
	ck_assert_uint_eq(peer_info().state, WEIR_TCP_SYN_SENT);
	answer.flags = SYN | ACK;
	answer.ack = 5;
	peer_in(answer);
	peer_expect(RST, 5, 0, 0);
	answer.ack = 1;
	peer_in(answer);
	peer_expect(ACK, 1, 1, 0);
	ck_assert_uint_eq(peer_info().state, WEIR_TCP_ESTABLISHED);
}
END_TEST

/* RFC 7323 2.2: the scale in the SYN is negotiated, whatever is set before the SYN-ACK arrives. */
START_TEST(the_scale_of_the_window_is_that_of_the_syn)
{
	struct weir__tcp_settings settings = { .receive_bytes = 4096 };
	struct peer_segment answer = peer_syn(), again;
	uint8_t scale;

	syn_sent();
	scale = weir__tcp_choose_wscale(peer.net, weir__tcp_set(peer.tcp));
	ck_assert_uint_gt(scale, 0);
	ck_assert_int_eq(weir__tcp_apply(peer.tcp, &settings), 0);
	ck_assert(peer_wait_out(2 * WEIR_NETSTACK_SEC, &again));
	ck_assert_uint_eq(again.flags, SYN);
	ck_assert_uint_eq(again.wscale, scale);
	answer.flags = SYN | ACK;
	answer.ack = 1;
	peer_in(answer);
	peer_expect(ACK, 1, 1, 0);
	ck_assert_uint_eq(peer_info().rcv_wscale, scale);
}
END_TEST

START_TEST(a_refusal_ends_it)
{
	syn_sent();
	flags_in(RST | ACK, 0, 1);
	ck_assert_int_eq(weir__tcp_error(peer.tcp), -ECONNREFUSED);
	peer_expect_nothing();
}
END_TEST

/* RFC 9293 3.5, figure 7. */
START_TEST(both_open_at_once)
{
	syn_sent();
	peer_in(peer_syn());
	peer_expect(SYN | ACK, 0, 1, 0);
	ck_assert_uint_eq(peer_info().state, WEIR_TCP_SYN_RECEIVED);
	flags_in(ACK, 1, 3);
	peer_expect(RST, 3, 0, 0);
	flags_in(ACK, 1, 1);
	ck_assert_uint_eq(peer_info().state, WEIR_TCP_ESTABLISHED);
	ck_assert_int_eq(peer_send(100), 100);
	peer_expect(ACK, 1, 1, 100);
}
END_TEST

START_TEST(a_crossed_syn_ack_is_sent_again)
{
	struct peer_segment again;

	syn_sent();
	peer_in(peer_syn());
	peer_expect(SYN | ACK, 0, 1, 0);
	ck_assert(peer_wait_out(3 * WEIR_NETSTACK_SEC, &again));
	ck_assert_uint_eq(again.flags, SYN | ACK);
	/* RFC 9293 3.10.7.4: an active open was refused. */
	flags_in(RST, 1, 0);
	ck_assert_int_eq(weir__tcp_error(peer.tcp), -ECONNREFUSED);
}
END_TEST

/* ---- TIME-WAIT ------------------------------------------------------------------------------- */

static void into_time_wait(void)
{
	weir__netstack_begin(peer.net, peer.host.now_ns);
	weir__tcp_close(peer.tcp);
	weir__netstack_end(peer.net);
	peer_expect(ACK | FIN, 1, 1, 0);
	flags_in(ACK | FIN, 1, 2);
	peer_expect(ACK, 2, 2, 0);
	ck_assert_uint_eq(peer.net->tcp->waiting, 1);
	ck_assert_uint_eq(peer.net->tcp->connections, 0);
}

START_TEST(time_wait_answers_and_lasts_a_minute)
{
	into_time_wait();
	flags_in(ACK | FIN, 1, 2);
	peer_expect(ACK, 2, 2, 0);
	/* RFC 1337. */
	flags_in(RST, 2, 0);
	ck_assert_uint_eq(peer.net->tcp->waiting, 1);
	flags_in(ACK, 2, 2);
	peer_expect_nothing();
	peer_in((struct peer_segment){ .flags = ACK, .seq = 2, .ack = 2, .len = 10 });
	peer_expect(ACK, 2, 2, 0);
	peer_wait(59 * WEIR_NETSTACK_SEC);
	ck_assert_uint_eq(peer.net->tcp->waiting, 1);
	/* A retransmitted FIN restarts TIME_WAIT. */
	flags_in(ACK | FIN, 1, 2);
	peer_expect(ACK, 2, 2, 0);
	peer_wait(59 * WEIR_NETSTACK_SEC);
	ck_assert_uint_eq(peer.net->tcp->waiting, 1);
	peer_wait(2 * WEIR_NETSTACK_SEC);
	ck_assert_uint_eq(peer.net->tcp->waiting, 0);
}
END_TEST

/* RFC 1122 4.2.2.13: a SYN beyond the last number. */
START_TEST(wrong_acks_for_a_wait_are_answered_twice_a_second)
{
	into_time_wait();
	for (unsigned round = 0; round < 3; round++) {
		flags_in(ACK, 5, 2);
		peer_expect(ACK, 2, 2, 0);
		for (unsigned i = 0; i < 10; i++)
			flags_in(ACK, 5, 2);
		peer_expect_nothing();
		flags_in(ACK | FIN, 1, 2);
		peer_expect(ACK, 2, 2, 0);
		peer_wait(600 * MS);
	}
}
END_TEST

START_TEST(a_new_syn_takes_the_flow_of_a_wait)
{
	struct peer_segment syn = peer_syn(), answer;

	into_time_wait();
	syn.seq = 1;
	peer_in(syn);
	peer_expect(ACK, 2, 2, 0);
	syn.seq = 100;
	peer_in(syn);
	ck_assert(peer_out(&answer));
	ck_assert_uint_eq(answer.flags, SYN | ACK);
	ck_assert_uint_gt(answer.seq, 65536);
	ck_assert_uint_eq(peer.net->tcp->waiting, 0);
}
END_TEST

/* RFC 6191: a later timestamp is enough, whatever the sequence number. */
START_TEST(a_later_timestamp_takes_the_flow_of_a_wait)
{
	struct peer_segment syn = peer_syn_timestamps(), answer;

	into_time_wait();
	syn.seq = (uint32_t)-500;
	syn.tsval = 1000;
	peer_in(syn);
	peer_expect(ACK, 2, 2, 0);
	syn.tsval = 1001;
	peer_in(syn);
	ck_assert(peer_out(&answer));
	ck_assert_uint_eq(answer.flags, SYN | ACK);
}
END_TEST

START_TEST(a_connect_takes_the_flow_of_a_wait_after_a_second)
{
	struct weir__endpoint local = { .port = 40000 },
			      to = { weir__ip_v4(PEER_IP), PEER_PORT };
	struct peer_segment syn;

	into_time_wait();
	local.port = 80;
	ck_assert_int_eq(weir__tcp_connect(peer.net, &local, &to, NULL, NULL, &peer.tcp),
			 -EADDRINUSE);
	peer_wait(1100 * MS);
	ck_assert_int_eq(weir__tcp_connect(peer.net, &local, &to, NULL, NULL, &peer.tcp), 0);
	ck_assert(peer_out(&syn));
	ck_assert_uint_eq(syn.flags, SYN);
	ck_assert_uint_gt(syn.seq, 65536);
	ck_assert_int_eq(weir__tcp_connect(peer.net, &local, &to, NULL, NULL, &peer.tcp),
			 -EADDRINUSE);
}
END_TEST

START_TEST(a_full_table_of_waits_gives_up_the_oldest)
{
	struct weir__netstack_config cfg = host_config();

	peer_fini();
	cfg.tcp_time_waits = 2;
	peer_init(&cfg);
	for (unsigned i = 0; i < 4; i++) {
		peer.iss = 0;
		peer.peer_port = (uint16_t)(5000 + i);
		peer_accepts(peer_syn());
		weir__netstack_begin(peer.net, peer.host.now_ns);
		weir__tcp_close(peer.tcp);
		weir__netstack_end(peer.net);
		flags_in(ACK | FIN, 1, 2);
		host_out_all(&peer.host);
		ck_assert_uint_eq(peer.net->tcp->waiting, i < 2 ? i + 1 : 2);
	}
	ck_assert_uint_eq(peer.net->count.tcp_time_wait_overflows, 2);
	flags_in(ACK | FIN, 1, 2);
	peer_expect(ACK, 2, 2, 0);
	peer.peer_port = 5000;
	flags_in(ACK | FIN, 1, 2);
	peer_expect(RST, 2, 0, 0);
}
END_TEST

/* ---- ports, numbers (RFC 6056, RFC 6528) ----------------------------------------------------- */

START_TEST(ports_and_numbers_cannot_be_guessed)
{
	struct weir__endpoint to = { weir__ip_v4(PEER_IP), PEER_PORT };
	uint32_t seqs[64], ports[64], near = 0;

	for (unsigned i = 0; i < 64; i++) {
		struct peer_segment syn;

		ck_assert_int_eq(weir__tcp_connect(peer.net, NULL, &to, NULL, NULL, &peer.tcp), 0);
		ck_assert(peer_out(&syn));
		seqs[i] = syn.seq;
		ports[i] = weir__tcp_flow(peer.tcp)->local_port;
		ck_assert_uint_ge(ports[i], 32768);
		for (unsigned j = 0; j < i; j++) {
			ck_assert_uint_ne(ports[i], ports[j]);
			near += seqs[i] - seqs[j] < 1000000;
			near += ports[i] - ports[j] < 10;
		}
	}
	/* 2016 pairs; 0.5 and 0.7 expected of each. */
	ck_assert_uint_lt(near, 10);
}
END_TEST

START_TEST(what_cannot_be_connected_to)
{
	struct weir__endpoint to = { weir__ip_v4(PEER_IP), 0 }, local = { .port = 0 };

	ck_assert_int_eq(weir__tcp_connect(peer.net, NULL, &to, NULL, NULL, &peer.tcp), -EINVAL);
	to = (struct weir__endpoint){ weir__ip_v4(LINK_BROADCAST), 80 };
	ck_assert_int_eq(weir__tcp_connect(peer.net, NULL, &to, NULL, NULL, &peer.tcp), -EINVAL);
	to.address = weir__ip_v4(0xe0000001);
	ck_assert_int_eq(weir__tcp_connect(peer.net, NULL, &to, NULL, NULL, &peer.tcp), -EINVAL);
	to.address = weir__ip_v4(PEER_IP);
	local.address = weir__ip_v4(PEER_IP);
	ck_assert_int_eq(weir__tcp_connect(peer.net, &local, &to, NULL, NULL, &peer.tcp),
			 -EADDRNOTAVAIL);
}
END_TEST

START_TEST(connections_are_bounded)
{
	struct weir__netstack_config cfg = host_config();
	struct weir__endpoint to = { weir__ip_v4(PEER_IP), 80 };

	peer_fini();
	cfg.tcp_connections = 3;
	cfg.port_first = 40000;
	cfg.port_last = 40001;
	peer_init(&cfg);
	for (unsigned i = 0; i < 2; i++)
		ck_assert_int_eq(weir__tcp_connect(peer.net, NULL, &to, NULL, NULL, &peer.tcp), 0);
	ck_assert_int_eq(weir__tcp_connect(peer.net, NULL, &to, NULL, NULL, &peer.tcp),
			 -EADDRNOTAVAIL);
	to.port = 81;
	ck_assert_int_eq(weir__tcp_connect(peer.net, NULL, &to, NULL, NULL, &peer.tcp), 0);
	ck_assert_int_eq(weir__tcp_connect(peer.net, NULL, &to, NULL, NULL, &peer.tcp), -ENOBUFS);
}
END_TEST

START_TEST(without_memory_a_connect_changes_nothing)
{
	struct weir__endpoint to = { weir__ip_v4(PEER_IP), 80 };
	struct weir__tcp_settings settings = { .nodelay = true };
	int rc = -ENOMEM;

	for (int n = 0; rc == -ENOMEM; n++) {
		peer.host.rig.fail_in = n;
		rc = weir__tcp_connect(peer.net, NULL, &to, &settings, NULL, &peer.tcp);
		peer.host.rig.fail_in = -1;
		ck_assert(rc == -ENOMEM || rc == 0);
		ck_assert_uint_eq(peer.net->tcp->connections, rc == 0);
	}
}
END_TEST

/* ---- ICMP (RFC 5927, RFC 1191, RFC 1122 4.2.3.9) --------------------------------------------- */

static bool icmp(uint8_t kind, bool hard, int errno_value, uint32_t seq, uint32_t mtu)
{
	unsigned char quoted[8];
	struct weir__ip_error failed = { .flow = *weir__tcp_flow(peer.tcp),
					 .kind = kind,
					 .hard = hard,
					 .error = errno_value,
					 .mtu = mtu,
					 .quoted = quoted,
					 .quoted_len = 8 };
	bool believed;

	weir__put32(quoted + 4, seq + peer.iss);
	weir__netstack_begin(peer.net, peer.host.now_ns);
	believed = weir__transport_tcp.error(peer.net, &failed);
	weir__netstack_end(peer.net);
	return believed;
}

START_TEST(a_hard_error_ends_an_attempt)
{
	syn_sent();
	ck_assert(!icmp(WEIR_IP_UNREACHABLE, true, -ECONNREFUSED, 77, 0));
	ck_assert_int_eq(weir__tcp_error(peer.tcp), 0);
	ck_assert(icmp(WEIR_IP_UNREACHABLE, true, -ECONNREFUSED, 0, 0));
	ck_assert_int_eq(weir__tcp_error(peer.tcp), -ECONNREFUSED);
}
END_TEST

START_TEST(a_connection_survives_errors)
{
	ck_assert_int_eq(peer_send(1000), 1000);
	host_out_all(&peer.host);
	ck_assert(!icmp(WEIR_IP_UNREACHABLE, true, -EHOSTUNREACH, 2000, 0));
	ck_assert(icmp(WEIR_IP_UNREACHABLE, true, -EHOSTUNREACH, 1, 0));
	ck_assert_int_eq(weir__tcp_error(peer.tcp), 0);
	/* A timeout reports this error. */
	peer_wait(1200 * WEIR_NETSTACK_SEC);
	host_out_all(&peer.host);
	ck_assert_int_eq(weir__tcp_error(peer.tcp), -EHOSTUNREACH);
}
END_TEST

START_TEST(a_smaller_path_cuts_segments_again)
{
	struct peer_segment segment;
	uint32_t window;

	ck_assert_int_eq(peer_send(3000), 3000);
	host_out_all(&peer.host);
	window = peer_info().snd_cwnd;
	ck_assert(!icmp(WEIR_IP_TOO_BIG, false, -EMSGSIZE, 5000, 600));
	ck_assert_uint_eq(peer_info().snd_mss, 1000);
	ck_assert(icmp(WEIR_IP_TOO_BIG, false, -EMSGSIZE, 1, 600));
	ck_assert_uint_eq(peer_info().snd_mss, 560);
	ck_assert_uint_eq(peer_info().pmtu, 600);
	for (uint32_t seq = 1; seq < 3001; seq += segment.len) {
		ck_assert(peer_out(&segment));
		ck_assert_uint_eq(segment.seq, seq);
		ck_assert_uint_le(segment.len, 560);
		ck_assert_mem_eq(segment.data, peer.bytes + seq - 1, segment.len);
	}
	peer_expect_nothing();
	flags_in(ACK, 1, 3001);
	ck_assert_uint_eq(peer_info().unacked, 0);
	ck_assert_uint_ge(peer_info().snd_cwnd, window);
	/* The minimum. */
	ck_assert_int_eq(peer_send(1000), 1000);
	ck_assert(icmp(WEIR_IP_TOO_BIG, false, -EMSGSIZE, 3001, 68));
	ck_assert_uint_eq(peer_info().pmtu, 552);
	host_out_all(&peer.host);
}
END_TEST

/* A tiny MSS costs 40 bytes of headers for each byte, so there is a minimum (Linux's is 48). */
START_TEST(a_tiny_mss_is_not_accepted)
{
	struct peer_segment syn = peer_syn();

	syn.mss = 1;
	peer_accepts(syn);
	ck_assert_uint_eq(peer_info().snd_mss, 48);
	ck_assert_int_eq(peer_send(480), 480);
	for (unsigned i = 0; i < 10; i++)
		peer_expect(ACK, 1 + 48 * i, 1, 48);
}
END_TEST

START_TEST(without_an_mss_it_is_536)
{
	struct peer_segment syn = peer_syn();

	syn.mss = 0;
	peer_accepts(syn);
	ck_assert_uint_eq(peer_info().snd_mss, 536);
}
END_TEST

int main(int argc, char **argv)
{
#define IN(name, how) TESTING(name, .setup = how, .teardown = teardown)
	const struct testing_case cases[] = {
		IN(nobody_is_there, setup),
		IN(only_the_exact_number_resets, setup_accepted),
		IN(resets_of_what_was_closed_are_not_counted, setup_accepted),
		IN(a_syn_on_a_connection_is_challenged, setup_accepted),
		IN(an_ack_from_long_ago_is_challenged, setup_accepted),
		IN(challenges_are_rationed, setup_accepted),
		IN(a_fin_is_acknowledged_each_time, setup_accepted),
		IN(a_burst_may_bring_fragments, setup_accepted),
		IN(a_segment_without_ack_is_dropped, setup_accepted),
		IN(wrong_headers_are_counted, setup),
		IN(an_old_timestamp_is_of_an_old_segment, setup_timestamps),
		IN(the_last_timestamp_in_order_is_echoed, setup_timestamps),
		TESTING(timestamps_are_not_compared_after_24_days, .rounds = 3,
			.setup = setup_timestamps, .teardown = teardown),
		IN(a_request_knows_right_from_wrong, setup),
		IN(wrong_acks_for_a_request_are_answered_twice_a_second, setup),
		IN(a_request_scales_its_window, setup),
		IN(a_request_is_given_up_after_a_minute, setup),
		IN(the_last_ack_may_carry_data, setup),
		IN(a_syn_flood_is_answered_with_cookies, setup),
		IN(a_cookie_has_to_be_genuine, setup),
		IN(a_cookie_gets_old, setup),
		IN(syn_sent_checks_what_answers, setup),
		IN(the_scale_of_the_window_is_that_of_the_syn, setup),
		IN(a_refusal_ends_it, setup),
		IN(both_open_at_once, setup),
		IN(a_crossed_syn_ack_is_sent_again, setup),
		IN(time_wait_answers_and_lasts_a_minute, setup_accepted),
		IN(wrong_acks_for_a_wait_are_answered_twice_a_second, setup_accepted),
		IN(a_new_syn_takes_the_flow_of_a_wait, setup_accepted),
		IN(a_later_timestamp_takes_the_flow_of_a_wait, setup_timestamps),
		IN(a_connect_takes_the_flow_of_a_wait_after_a_second, setup_timestamps),
		IN(a_full_table_of_waits_gives_up_the_oldest, setup),
		IN(ports_and_numbers_cannot_be_guessed, setup),
		IN(what_cannot_be_connected_to, setup),
		IN(connections_are_bounded, setup),
		IN(without_memory_a_connect_changes_nothing, setup),
		IN(a_hard_error_ends_an_attempt, setup),
		IN(a_connection_survives_errors, setup_accepted),
		IN(a_smaller_path_cuts_segments_again, setup_accepted),
		IN(a_tiny_mss_is_not_accepted, setup),
		IN(without_an_mss_it_is_536, setup),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
