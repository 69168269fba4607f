/* SPDX-License-Identifier: MIT */
/*
 * stack_tcp.c: connections from their first SYN to their last ACK, between two instances:
 * handshakes, data in both directions, closing, and the results of the calls.
 */
#include "stack/bytes.h"
#include "tests/support/testing.h"
#include "tests/unit/stack_pair.h"
#include "tests/unit/stack_rig.h"

#define MS WEIR_NETSTACK_MSEC
#define BULK (1u << 20)

static struct weir__tcp_listener *listener;
static struct weir__tcp *client, *server;
static unsigned char data[BULK], got[BULK];

static void setup(void)
{
	for (unsigned i = 0; i < BULK; i++)
		data[i] = (unsigned char)(i * 7 + i / 251 + i / 65536);
	pair_init(NULL);
	listener = pair_listen(16);
}

static void teardown(void)
{
	pair_fini();
}

static void connected_pair(void)
{
	client = pair_connect();
	pair_run(50 * MS);
	server = pair_accept(listener);
	pair_events(0, 2);
}

static void setup_connected(void)
{
	setup();
	connected_pair();
}

static uint8_t state_of(const struct weir__tcp *tcp)
{
	struct weir__tcp_info info;

	weir__tcp_info(tcp, &info);
	return info.state;
}

/* ---- handshakes ----------------------------------------------------------------------------- */

static struct pair_segment syns[2];

static bool keep_syns(unsigned from, const struct pair_segment *segment, uint64_t *delay_ns)
{
	(void)delay_ns;
	if (segment->flags & 2)
		syns[from] = *segment;
	return true;
}

START_TEST(a_handshake_is_told_to_both)
{
	pair.filter = keep_syns;
	client = pair_connect();
	ck_assert_uint_eq(state_of(client), WEIR_TCP_SYN_SENT);
	pair_run(50 * MS);
	ck_assert_uint_eq(pair_events(0, 2), WEIR_NETSTACK_CONNECTED);
	ck_assert_uint_eq(pair_events(1, 1), WEIR_NETSTACK_ACCEPTABLE);
	server = pair_accept(listener);
	ck_assert_uint_eq(state_of(client), WEIR_TCP_ESTABLISHED);
	ck_assert_uint_eq(state_of(server), WEIR_TCP_ESTABLISHED);
	ck_assert_uint_eq(weir__tcp_flow(server)->remote_port, weir__tcp_flow(client)->local_port);
}
END_TEST

/* RFC 9293 3.2, RFC 7323, RFC 2018; the order is Linux's. */
START_TEST(options_come_in_the_order_of_linux)
{
	static const unsigned char head[4] = { 2, 4, 1460 >> 8, 1460 & 255 };

	pair.filter = keep_syns;
	client = pair_connect();
	pair_run(50 * MS);
	for (unsigned side = 0; side < 2; side++) {
		const unsigned char *at = syns[side].options;

		ck_assert_uint_eq(syns[side].options_len, 20);
		ck_assert_mem_eq(at, head, 4);
		ck_assert_mem_eq(at + 4, "\4\2\10\12", 4);
		ck_assert_mem_eq(at + 16, "\1\3\3\7", 4);
	}
	ck_assert_uint_eq(weir__get32(syns[0].options + 12), 0);
	ck_assert_uint_eq(weir__get32(syns[1].options + 12), weir__get32(syns[0].options + 8));
}
END_TEST

START_TEST(nobody_listens)
{
	struct weir__endpoint peer = wire_endpoint(1, 81);

	pair_begin(0);
	ck_assert_int_eq(weir__tcp_connect(pair.net[0], NULL, &peer, NULL, pair_user(2), &client),
			 0);
	pair_end(0);
	pair_run(50 * MS);
	ck_assert_uint_eq(pair_events(0, 2), WEIR_NETSTACK_FAILED);
	ck_assert_int_eq(weir__tcp_error(client), -ECONNREFUSED);
	ck_assert_int_eq(pair_send(0, client, "x", 1), -ECONNREFUSED);
	pair_close(0, client);
}
END_TEST

static bool nothing(unsigned from, const struct pair_segment *segment, uint64_t *delay_ns)
{
	(void)from;
	(void)segment;
	(void)delay_ns;
	return false;
}

/* RFC 6298 (2.1), (5.5): 1 s, doubled each time; Linux's tcp_syn_retries 6. */
START_TEST(a_syn_is_sent_seven_times)
{
	pair.filter = nothing;
	client = pair_connect();
	pair_run(126 * WEIR_NETSTACK_SEC);
	ck_assert_uint_eq(pair.sent[0], 7);
	ck_assert_int_eq(weir__tcp_error(client), 0);
	pair_run(2 * WEIR_NETSTACK_SEC);
	ck_assert_uint_eq(pair.sent[0], 7);
	ck_assert_int_eq(weir__tcp_error(client), -ETIMEDOUT);
	ck_assert_uint_eq(pair_events(0, 2), WEIR_NETSTACK_FAILED);
	pair_close(0, client);
}
END_TEST

static unsigned drop_from, drop_flags, drop_count;

static bool drop_some(unsigned from, const struct pair_segment *segment, uint64_t *delay_ns)
{
	(void)delay_ns;
	if (from != drop_from || (segment->flags & drop_flags) != drop_flags || drop_count == 0)
		return true;
	drop_count--;
	return false;
}

START_TEST(a_lost_syn_ack_is_sent_again)
{
	pair.filter = drop_some;
	drop_from = 1;
	drop_flags = 2;
	drop_count = 3;
	client = pair_connect();
	pair_run(20 * WEIR_NETSTACK_SEC);
	ck_assert_uint_eq(drop_count, 0);
	server = pair_accept(listener);
	ck_assert_uint_eq(state_of(client), WEIR_TCP_ESTABLISHED);
}
END_TEST

START_TEST(calls_before_the_handshake_wait)
{
	struct weir__frame *lent;

	client = pair_connect();
	ck_assert_int_eq(pair_send(0, client, "x", 1), -EAGAIN);
	ck_assert_int_eq(weir__tcp_receive(client, 10, &lent), -EAGAIN);
	ck_assert_int_eq(weir__tcp_shutdown(client, WEIR_TCP_WRITE), -ENOTCONN);
	ck_assert_int_eq(weir__tcp_accept(listener, NULL, &server), -EAGAIN);
	pair_run(50 * MS);
	ck_assert_uint_eq(pair_events(0, 2), WEIR_NETSTACK_CONNECTED | WEIR_NETSTACK_WRITABLE);
}
END_TEST

START_TEST(a_backlog_bounds_the_accept_queue)
{
	struct weir__tcp *clients[4];

	weir__tcp_listener_close(listener);
	listener = pair_listen(2);
	for (unsigned i = 0; i < 4; i++)
		clients[i] = pair_connect();
	pair_run(50 * MS);
	server = pair_accept(listener);
	server = pair_accept(listener);
	ck_assert_int_eq(weir__tcp_accept(listener, NULL, &server), -EAGAIN);
	ck_assert_uint_gt(pair.net[1]->count.tcp_listen_overflows, 0);
	/* The other handshakes are completed when there is room. */
	pair_run(10 * WEIR_NETSTACK_SEC);
	for (unsigned i = 0; i < 4; i++)
		ck_assert_uint_eq(state_of(clients[i]), WEIR_TCP_ESTABLISHED);
	pair_send(0, clients[0], "x", 1);
	pair_send(0, clients[1], "x", 1);
	pair_send(0, clients[2], "x", 1);
	pair_send(0, clients[3], "x", 1);
	pair_run(10 * WEIR_NETSTACK_SEC);
	server = pair_accept(listener);
	server = pair_accept(listener);
}
END_TEST

START_TEST(what_cannot_be_listened_to)
{
	struct weir__endpoint local = { .port = 80 };
	struct weir__tcp_listener *other;

	ck_assert_int_eq(weir__tcp_listen(pair.net[1], &local, 1, NULL, NULL, &other), -EADDRINUSE);
	local.port = 0;
	ck_assert_int_eq(weir__tcp_listen(pair.net[1], &local, 1, NULL, NULL, &other), -EINVAL);
	local.port = 81;
	ck_assert_int_eq(weir__tcp_listen(pair.net[1], &local, 0, NULL, NULL, &other), -EINVAL);
	local.address = wire_endpoint(0, 0).address;
	ck_assert_int_eq(weir__tcp_listen(pair.net[1], &local, 1, NULL, NULL, &other),
			 -EADDRNOTAVAIL);
	/* A more specific listener takes precedence. */
	local = wire_endpoint(1, 80);
	ck_assert_int_eq(weir__tcp_listen(pair.net[1], &local, 1, NULL, pair_user(9), &other), 0);
	client = pair_connect();
	pair_run(50 * MS);
	ck_assert_uint_eq(pair_events(1, 9), WEIR_NETSTACK_ACCEPTABLE);
	ck_assert_uint_eq(pair_events(1, 1), 0);
}
END_TEST

/* RFC 9293 3.5, figure 7: both SYNs cross, and both SYN-ACKs. */
START_TEST(both_connect_at_once)
{
	struct weir__endpoint end[2] = { wire_endpoint(0, 5000), wire_endpoint(1, 5000) };
	struct weir__tcp *tcp[2];
	char text[8];

	for (unsigned side = 0; side < 2; side++) {
		pair_begin(side);
		ck_assert_int_eq(weir__tcp_connect(pair.net[side], &end[side], &end[!side], NULL,
						   pair_user(4), &tcp[side]),
				 0);
		pair_end(side);
	}
	pair_run(3 * WEIR_NETSTACK_SEC);
	for (unsigned side = 0; side < 2; side++) {
		ck_assert_uint_eq(state_of(tcp[side]), WEIR_TCP_ESTABLISHED);
		ck_assert_uint_eq(pair_events(side, 4), WEIR_NETSTACK_CONNECTED);
		ck_assert_uint_ne(weir__tcp_reached(pair.net[side])[WEIR_TCP_SYN_SENT] &
					  1u << WEIR_TCP_SYN_RECEIVED,
				  0);
	}
	ck_assert_int_eq(pair_send(0, tcp[0], "hello", 5), 5);
	pair_run(10 * MS);
	ck_assert_int_eq(pair_receive(1, tcp[1], text, 8), 5);
}
END_TEST

/* ---- data ----------------------------------------------------------------------------------- */

START_TEST(a_few_bytes_each_way)
{
	char text[16];

	ck_assert_int_eq(pair_send(0, client, "ping", 4), 4);
	pair_run(10 * MS);
	ck_assert_uint_eq(pair_events(1, 3), WEIR_NETSTACK_READABLE);
	ck_assert_uint_eq(weir__tcp_readable(server), 4);
	ck_assert_int_eq(pair_receive(1, server, text, 3), 3);
	ck_assert_int_eq(pair_receive(1, server, text + 3, 13), 1);
	ck_assert_mem_eq(text, "ping", 4);
	ck_assert_int_eq(pair_receive(1, server, text, 16), -EAGAIN);
	ck_assert_int_eq(pair_send(1, server, "pong", 4), 4);
	pair_run(10 * MS);
	ck_assert_int_eq(pair_receive(0, client, text, 16), 4);
	ck_assert_mem_eq(text, "pong", 4);
}
END_TEST

/* Transfers bytes from one side to the other until all have arrived. */
static void transfer(unsigned from, struct weir__tcp *sender, struct weir__tcp *receiver,
		     uint32_t len)
{
	uint32_t out = 0, in = 0;

	for (unsigned i = 0; i < 20000 && in < len; i++) {
		int rc = out < len ? pair_send(from, sender, data + out, len - out) : 0;

		if (rc > 0)
			out += (uint32_t)rc;
		pair_run(MS);
		rc = pair_receive(!from, receiver, got + in, BULK - in);
		if (rc > 0)
			in += (uint32_t)rc;
	}
	ck_assert_uint_eq(in, len);
	ck_assert_mem_eq(data, got, len);
}

START_TEST(a_megabyte_each_way)
{
	transfer(0, client, server, BULK);
	transfer(1, server, client, BULK);
	ck_assert_uint_eq(pair.net[0]->count.tcp_retransmitted_segments, 0);
	ck_assert_uint_eq(pair.net[1]->count.tcp_retransmitted_segments, 0);
}
END_TEST

START_TEST(frames_are_sent_by_reference)
{
	struct weir__frame *frame = rig_frame(&pair.net[0]->frames, data, 5000, 700), *lent;
	unsigned blocks = pair.wire.side[0].rig.blocks;

	pair_begin(0);
	ck_assert_int_eq(weir__tcp_send(client, frame, 0), 5000);
	pair_end(0);
	pair_run(10 * MS);
	ck_assert_uint_lt(pair.wire.side[0].rig.blocks, blocks);
	ck_assert_uint_eq(pair.net[0]->memory.used_bytes, 0);
	pair_begin(1);
	ck_assert_int_eq(weir__tcp_receive(server, 4321, &lent), 4321);
	rig_check_frame(lent, data, 4321);
	weir__netstack_give_back(pair.net[1], lent);
	ck_assert_int_eq(weir__tcp_receive(server, 4321, &lent), 5000 - 4321);
	rig_check_frame(lent, data + 4321, 5000 - 4321);
	/* A lent frame may be sent. */
	ck_assert_int_eq(weir__tcp_send(server, lent, 0), 5000 - 4321);
	pair_end(1);
	pair_run(10 * MS);
	ck_assert_int_eq(pair_receive(0, client, got, BULK), 5000 - 4321);
	ck_assert_mem_eq(got, data + 4321, 5000 - 4321);
	ck_assert_uint_eq(pair.net[1]->memory.used_bytes, 0);
}
END_TEST

START_TEST(an_empty_frame_is_not_sent)
{
	struct weir__frame *frame = weir__frame_new(&pair.net[0]->frames, 0, 10);

	ck_assert_int_eq(weir__tcp_send(client, frame, 0), -EINVAL);
	weir__frame_free(&pair.net[0]->frames, frame);
}
END_TEST

START_TEST(a_full_buffer_refuses_and_says_when_not)
{
	uint32_t sent = 0;
	int rc;

	while ((rc = pair_send(0, client, data, 65536)) > 0)
		sent += (uint32_t)rc;
	ck_assert_int_eq(rc, -EAGAIN);
	ck_assert_uint_eq(weir__tcp_writable(client), 0);
	pair_run(WEIR_NETSTACK_SEC);
	pair_events(0, 2);
	/* The owner does not read: the window closes, and is probed. */
	while ((rc = pair_send(0, client, data, 65536)) > 0)
		sent += (uint32_t)rc;
	pair_run(10 * WEIR_NETSTACK_SEC);
	ck_assert_uint_eq(pair_events(0, 2) & WEIR_NETSTACK_WRITABLE, 0);
	ck_assert_uint_gt(pair.net[0]->count.tcp_window_probes, 2);
	while (sent > 0) {
		rc = pair_receive(1, server, got, BULK);
		if (rc > 0)
			sent -= (uint32_t)rc;
		pair_run(50 * MS);
	}
	ck_assert_uint_ne(pair_events(0, 2) & WEIR_NETSTACK_WRITABLE, 0);
	ck_assert_uint_eq(pair.net[1]->memory.used_bytes, 0);
}
END_TEST

/* ---- ends ----------------------------------------------------------------------------------- */

START_TEST(an_orderly_end)
{
	pair_close(0, client);
	pair_run(50 * MS);
	ck_assert_uint_eq(pair_events(1, 3), WEIR_NETSTACK_READABLE);
	ck_assert_int_eq(pair_receive(1, server, got, 1), 0);
	ck_assert_uint_eq(state_of(server), WEIR_TCP_CLOSE_WAIT);
	ck_assert_uint_eq(weir__tcp_orphans(pair.net[0]), 1);
	pair_close(1, server);
	pair_run(50 * MS);
	ck_assert_uint_eq(weir__tcp_orphans(pair.net[0]), 0);
	ck_assert_uint_eq(weir__tcp_orphans(pair.net[1]), 0);
}
END_TEST

START_TEST(half_a_close)
{
	pair_begin(0);
	ck_assert_int_eq(weir__tcp_shutdown(client, WEIR_TCP_WRITE), 0);
	pair_end(0);
	ck_assert_int_eq(pair_send(0, client, "x", 1), -EPIPE);
	pair_run(50 * MS);
	ck_assert_uint_eq(state_of(client), WEIR_TCP_FIN_WAIT_2);
	ck_assert_int_eq(pair_receive(1, server, got, 1), 0);
	transfer(1, server, client, 100000);
	pair_run(100 * WEIR_NETSTACK_SEC);
	ck_assert_uint_eq(state_of(client), WEIR_TCP_FIN_WAIT_2);
	pair_close(1, server);
	pair_run(50 * MS);
	ck_assert_uint_ne(pair_events(0, 2) & WEIR_NETSTACK_CLOSED, 0);
	ck_assert_int_eq(pair_receive(0, client, got, 1), 0);
	pair_close(0, client);
}
END_TEST

/* RFC 9293 3.6, figure 13. */
START_TEST(both_close_at_once)
{
	pair_close(0, client);
	pair_close(1, server);
	pair_run(50 * MS);
	ck_assert_uint_ne(
		weir__tcp_reached(pair.net[0])[WEIR_TCP_CLOSING] & 1u << WEIR_TCP_TIME_WAIT, 0);
	ck_assert_uint_eq(weir__tcp_orphans(pair.net[0]), 0);
	ck_assert_uint_eq(weir__tcp_orphans(pair.net[1]), 0);
}
END_TEST

START_TEST(everything_sent_before_a_close_arrives)
{
	ck_assert_int_eq(pair_send(0, client, data, 50000), 50000);
	pair_close(0, client);
	pair_run(WEIR_NETSTACK_SEC);
	ck_assert_int_eq(pair_receive(1, server, got, BULK), 50000);
	ck_assert_mem_eq(got, data, 50000);
	ck_assert_int_eq(pair_receive(1, server, got, BULK), 0);
}
END_TEST

/* RFC 2525 2.17. */
START_TEST(a_close_with_unread_data_resets)
{
	pair_send(0, client, "x", 1);
	pair_run(10 * MS);
	pair_close(1, server);
	pair_run(10 * MS);
	ck_assert_uint_eq(pair_events(0, 2), WEIR_NETSTACK_FAILED);
	ck_assert_int_eq(weir__tcp_error(client), -ECONNRESET);
	pair_close(0, client);
}
END_TEST

START_TEST(an_abort_resets)
{
	char text[4];

	pair_send(0, client, "last", 4);
	pair_run(10 * MS);
	pair_begin(0);
	weir__tcp_abort(client);
	pair_end(0);
	pair_run(10 * MS);
	/* Data that came before can be read. */
	ck_assert_int_eq(pair_receive(1, server, text, 4), 4);
	ck_assert_int_eq(pair_receive(1, server, text, 4), -ECONNRESET);
	ck_assert_uint_eq(weir__tcp_orphans(pair.net[0]), 0);
	pair_close(1, server);
}
END_TEST

START_TEST(linger_zero_resets)
{
	struct weir__tcp_settings settings = weir__tcp_settings(client);

	settings.linger_zero = true;
	ck_assert_int_eq(weir__tcp_apply(client, &settings), 0);
	pair_close(0, client);
	pair_run(10 * MS);
	ck_assert_int_eq(weir__tcp_error(server), -ECONNRESET);
	pair_close(1, server);
}
END_TEST

/* RFC 9293 3.6.1. */
START_TEST(data_for_an_orphan_resets)
{
	pair_close(0, client);
	pair_run(10 * MS);
	pair_send(1, server, "x", 1);
	pair_run(10 * MS);
	ck_assert_int_eq(weir__tcp_error(server), -EPIPE);
	ck_assert_uint_eq(weir__tcp_orphans(pair.net[0]), 0);
	pair_close(1, server);
}
END_TEST

START_TEST(an_orphan_in_fin_wait_2_lives_a_minute)
{
	pair_close(0, client);
	pair_run(59 * WEIR_NETSTACK_SEC);
	ck_assert_uint_eq(weir__tcp_orphans(pair.net[0]), 1);
	pair_run(2 * WEIR_NETSTACK_SEC);
	ck_assert_uint_eq(weir__tcp_orphans(pair.net[0]), 0);
}
END_TEST

START_TEST(a_closed_listener_resets_who_waits)
{
	client = pair_connect();
	pair_run(10 * MS);
	pair_begin(1);
	weir__tcp_listener_close(listener);
	pair_end(1);
	pair_run(10 * MS);
	ck_assert_int_eq(weir__tcp_error(client), -ECONNRESET);
	pair_close(0, client);
}
END_TEST

START_TEST(what_is_thrown_away_is_acknowledged)
{
	pair_begin(1);
	ck_assert_int_eq(weir__tcp_shutdown(server, WEIR_TCP_READ), 0);
	pair_end(1);
	for (unsigned i = 0; i < 50; i++) {
		ck_assert_int_gt(pair_send(0, client, data, 20000), 0);
		pair_run(20 * MS);
	}
	ck_assert_int_eq(pair_receive(1, server, got, 1), 0);
	ck_assert_uint_eq(pair.net[1]->memory.used_bytes, 0);
}
END_TEST

/* ---- to itself ------------------------------------------------------------------------------ */

START_TEST(an_instance_connects_to_itself)
{
	struct weir__endpoint peer = wire_endpoint(1, 80);
	char text[8];

	pair_begin(1);
	ck_assert_int_eq(weir__tcp_connect(pair.net[1], NULL, &peer, NULL, pair_user(2), &client),
			 0);
	pair_end(1);
	pair_run(MS);
	ck_assert_uint_eq(pair_events(1, 2), WEIR_NETSTACK_CONNECTED);
	server = pair_accept(listener);
	ck_assert_int_eq(pair_send(1, client, "itself", 6), 6);
	pair_run(MS);
	ck_assert_int_eq(pair_receive(1, server, text, 8), 6);
	ck_assert_uint_eq(pair.sent[1], 0);
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(a_handshake_is_told_to_both, .setup = setup, .teardown = teardown),
		TESTING(options_come_in_the_order_of_linux, .setup = setup, .teardown = teardown),
		TESTING(nobody_listens, .setup = setup, .teardown = teardown),
		TESTING(a_syn_is_sent_seven_times, .setup = setup, .teardown = teardown),
		TESTING(a_lost_syn_ack_is_sent_again, .setup = setup, .teardown = teardown),
		TESTING(calls_before_the_handshake_wait, .setup = setup, .teardown = teardown),
		TESTING(a_backlog_bounds_the_accept_queue, .setup = setup, .teardown = teardown),
		TESTING(what_cannot_be_listened_to, .setup = setup, .teardown = teardown),
		TESTING(both_connect_at_once, .setup = setup, .teardown = teardown),
		TESTING(a_few_bytes_each_way, .setup = setup_connected, .teardown = teardown),
		TESTING(a_megabyte_each_way, .setup = setup_connected, .teardown = teardown),
		TESTING(frames_are_sent_by_reference, .setup = setup_connected,
			.teardown = teardown),
		TESTING(an_empty_frame_is_not_sent, .setup = setup_connected, .teardown = teardown),
		TESTING(a_full_buffer_refuses_and_says_when_not, .setup = setup_connected,
			.teardown = teardown),
		TESTING(an_orderly_end, .setup = setup_connected, .teardown = teardown),
		TESTING(half_a_close, .setup = setup_connected, .teardown = teardown),
		TESTING(both_close_at_once, .setup = setup_connected, .teardown = teardown),
		TESTING(everything_sent_before_a_close_arrives, .setup = setup_connected,
			.teardown = teardown),
		TESTING(a_close_with_unread_data_resets, .setup = setup_connected,
			.teardown = teardown),
		TESTING(an_abort_resets, .setup = setup_connected, .teardown = teardown),
		TESTING(linger_zero_resets, .setup = setup_connected, .teardown = teardown),
		TESTING(data_for_an_orphan_resets, .setup = setup_connected, .teardown = teardown),
		TESTING(an_orphan_in_fin_wait_2_lives_a_minute, .setup = setup_connected,
			.teardown = teardown),
		TESTING(a_closed_listener_resets_who_waits, .setup = setup, .teardown = teardown),
		TESTING(what_is_thrown_away_is_acknowledged, .setup = setup_connected,
			.teardown = teardown),
		TESTING(an_instance_connects_to_itself, .setup = setup, .teardown = teardown),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
