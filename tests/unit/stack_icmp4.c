/* SPDX-License-Identifier: MIT */
/*
 * stack_icmp4.c: echo, errors about packets that no transport accepts, and received errors that no
 * transport accepts. stack_udp.c tests those that a transport accepts.
 */
#include "stack/checksum.h"
#include "tests/support/testing.h"
#include "tests/unit/stack_host.h"

static struct host host;
static unsigned char in[FRAME_MAX], out[FRAME_MAX], message[FRAME_MAX], bytes[4096];

static void setup(void)
{
	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)(i * 7 + i / 251);
	host_init(&host, NULL);
	host_meet(&host, PEER_IP);
}

static void teardown(void)
{
	host_fini(&host);
}

static void put_in(uint32_t len)
{
	host_in(&host, in, host_packet(in, PEER_IP, HOST_IP, WEIR_IP_ICMP, 0, 0, message, len));
}

START_TEST(echoes_of_every_size_come_back)
{
	for (uint32_t len = 0; len <= 1472; len += len < 40 ? 1 : 179)
		for (host.piece = 0; host.piece < 100; host.piece += 33) {
			put_in(host_icmp(message, 8, 0, 0xabcd0001, bytes, len));
			ck_assert_uint_eq(host_out(&host, out), 42 + len);
			ck_assert_uint_eq(out[34], 0);
			ck_assert_uint_eq(weir__get32(out + 38), 0xabcd0001);
			ck_assert_mem_eq(out + 42, bytes, len);
			ck_assert_uint_eq(weir__checksum_finish(weir__checksum(out + 34, 8 + len)),
					  0);
		}
}
END_TEST

START_TEST(messages_cut_short_or_with_a_wrong_sum_are_dropped)
{
	for (uint32_t len = 0; len < 8; len++) {
		host_icmp(message, 8, 0, 1, bytes, 0);
		put_in(len);
	}
	ck_assert_uint_eq(host.net->count.icmp_in_errors, 8);
	host_icmp(message, 8, 0, 1, bytes, 20);
	message[20] ^= 1;
	put_in(28);
	ck_assert_uint_eq(host.net->count.icmp_in_checksum_errors, 1);
	ck_assert_uint_eq(host_out_all(&host), 0);
}
END_TEST

START_TEST(a_protocol_that_nobody_speaks_is_unreachable)
{
	uint32_t len = host_packet(in, PEER_IP, HOST_IP, 253, 5, 0, bytes, 100);

	/* Pieces of 20 bytes after the Ethernet header: one has only the IP header,
	 * and is freed. */
	for (host.cut = 0; host.cut < len; host.cut++) {
		host.piece = host.cut % 2 == 0 ? 20 : 0;
		host_in(&host, in, len);
		host_wait(&host, 10 * WEIR_NETSTACK_MSEC);
		ck_assert_uint_eq(host_out(&host, out), 34 + 8 + 120);
		ck_assert_uint_eq(out[15], 0xc0);
		ck_assert_uint_eq(out[23], WEIR_IP_ICMP);
		ck_assert_uint_eq(weir__get32(out + 30), PEER_IP);
		ck_assert_mem_eq(out + 34, "\3\2", 2);
		ck_assert_mem_eq(out + 38, "\0\0\0\0", 4);
		ck_assert_mem_eq(out + 42, in + 14, 120);
		ck_assert_uint_eq(weir__checksum_finish(weir__checksum(out + 34, 128)), 0);
	}
	ck_assert_uint_eq(host.net->count.ip_in_unknown_protocols,
			  host.net->count.icmp_out_unreachables);
}
END_TEST

START_TEST(a_long_packet_is_quoted_up_to_576_bytes)
{
	host_in(&host, in, host_packet(in, PEER_IP, HOST_IP, 253, 5, 0, bytes, 1400));
	ck_assert_uint_eq(host_out(&host, out), 14 + 576);
	ck_assert_mem_eq(out + 42, in + 14, 576 - 28);
}
END_TEST

START_TEST(a_broadcast_is_never_unreachable)
{
	host_in(&host, in, host_packet(in, PEER_IP, LINK_BROADCAST, 253, 5, 0, bytes, 100));
	ck_assert_uint_eq(host_out_all(&host), 0);
}
END_TEST

START_TEST(errors_are_sent_at_a_bounded_rate)
{
	uint32_t len = host_packet(in, PEER_IP, HOST_IP, 253, 5, 0, bytes, 100);
	unsigned sent;

	for (unsigned i = 0; i < 1000; i++)
		host_in(&host, in, len);
	sent = host_out_all(&host);
	ck_assert_uint_ge(sent, 25);
	ck_assert_uint_le(sent, 150);
	ck_assert_uint_eq(host.net->count.icmp_out_rate_limited, 1000 - sent);
	/* In a second a thousand tokens are added, one by one. */
	for (sent = 0; sent < 10000; sent++) {
		host.now_ns += 100000;
		host_in(&host, in, len);
	}
	sent = host_out_all(&host);
	ck_assert_uint_ge(sent, 800);
	ck_assert_uint_le(sent, 1600);	/* an error may take no token */
}
END_TEST

/* Makes an error about a packet from port 8 to port 9. */
static uint32_t error_about(uint8_t type, uint8_t code, uint32_t from, uint32_t to,
			    uint8_t protocol, uint32_t quoted)
{
	static unsigned char packet[128];

	host_packet(packet, from, to, protocol, 0, 0, "\0\10\0\11\0\20\0\0abcdefgh", 16);
	return host_icmp(message, type, code, 0, packet + 14, quoted);
}

START_TEST(errors_about_nothing_of_ours_change_nothing)
{
	static const uint8_t types[] = { 3, 11, 12 };
	unsigned count = 0;

	for (unsigned i = 0; i < 3; i++) {
		put_in(error_about(types[i], 0, HOST_IP, PEER_IP, 17, 36));
		put_in(error_about(types[i], 0, PEER_IP, HOST_IP, 17, 36));	/* not from us */
		put_in(error_about(types[i], 0, HOST_IP, PEER_IP, 253, 36));
		count += 3;
		for (uint32_t len = 0; len < 28; len++, count++)
			put_in(error_about(types[i], 0, HOST_IP, PEER_IP, 17, len));
	}
	ck_assert_uint_eq(host.net->count.icmp_in_unbelieved, count);
	ck_assert_uint_eq(host.net->count.icmp_in_unreachables, 31);
	ck_assert_uint_eq(host.net->count.icmp_in_time_exceeds, 31);
	ck_assert_uint_eq(host.net->count.icmp_in_parameter_problems, 31);
	ck_assert_uint_eq(host_out_all(&host), 0);
}
END_TEST

START_TEST(redirects_and_source_quench_are_ignored)
{
	put_in(error_about(5, 1, HOST_IP, PEER_IP, 17, 36));
	put_in(error_about(4, 0, HOST_IP, PEER_IP, 17, 36));
	put_in(host_icmp(message, 13, 0, 1, bytes, 12));
	put_in(host_icmp(message, 3, 16, 1, bytes, 36));
	ck_assert_uint_eq(host.net->count.icmp_in_unbelieved, 0);
	ck_assert_uint_eq(host_out_all(&host), 0);
}
END_TEST

START_TEST(without_memory_there_is_no_answer)
{
	struct weir__frame *frame;
	uint32_t len = host_packet(in, PEER_IP, HOST_IP, WEIR_IP_ICMP, 0, 0, message,
				   host_icmp(message, 8, 0, 1, bytes, 10));

	frame = rig_frame(&host.net->frames, in, len, 0);
	host.rig.fail_in = 0;
	weir__netstack_input(host.net, frame);
	len = host_packet(in, PEER_IP, HOST_IP, 253, 0, 0, bytes, 10);
	host.rig.fail_in = -1;
	frame = rig_frame(&host.net->frames, in, len, 0);
	host.rig.fail_in = 0;
	weir__netstack_input(host.net, frame);
	ck_assert_uint_eq(host.net->count.frames_refused, 2);
	ck_assert_uint_eq(host_out_all(&host), 0);
}
END_TEST

int main(int argc, char **argv)
{
#define CASE(name) TESTING(name, .setup = setup, .teardown = teardown)
	const struct testing_case cases[] = {
		CASE(echoes_of_every_size_come_back),
		CASE(messages_cut_short_or_with_a_wrong_sum_are_dropped),
		CASE(a_protocol_that_nobody_speaks_is_unreachable),
		CASE(a_long_packet_is_quoted_up_to_576_bytes),
		CASE(a_broadcast_is_never_unreachable),
		CASE(errors_are_sent_at_a_bounded_rate),
		CASE(errors_about_nothing_of_ours_change_nothing),
		CASE(redirects_and_source_quench_are_ignored),
		CASE(without_memory_there_is_no_answer),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
