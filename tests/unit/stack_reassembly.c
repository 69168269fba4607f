/* SPDX-License-Identifier: MIT */
/*
 * stack_reassembly.c: fragments in every order, duplicate, overlapping, too long, too many, too
 * late. The packet is an echo request, and its reply shows whether it was reassembled.
 */
#include "tests/support/testing.h"
#include "tests/unit/stack_host.h"

#define SEC WEIR_NETSTACK_SEC
#define MORE 0x2000u

static struct host host;
static unsigned char in[FRAME_MAX], out[FRAME_MAX], message[FRAME_MAX], body[FRAME_MAX];
static uint32_t message_len;

static void setup(void)
{
	for (unsigned i = 0; i < sizeof(body); i++)
		body[i] = (unsigned char)(i * 7 + i / 251);
	host_init(&host, NULL);
	host_meet(&host, PEER_IP);
	message_len = host_icmp(message, 8, 0, 1, body, 48);
}

static void teardown(void)
{
	host_fini(&host);
}

/* Sends a fragment with the bytes of the message from `at` to `to`. */
static void fragment(uint16_t id, uint32_t at, uint32_t to)
{
	host_in(&host, in,
		host_packet(in, PEER_IP, HOST_IP, WEIR_IP_ICMP, id,
			    (uint16_t)(at / 8 | (to < message_len ? MORE : 0)), message + at,
			    to - at));
}

static void is_whole(void)
{
	uint32_t at = 0, len;

	for (; at < message_len; at += len) {
		len = host_out(&host, out) - 34;
		ck_assert_uint_le(len, 1480);
		if (at > 0)
			ck_assert_mem_eq(out + 34, message + at, len);
		else
			ck_assert_mem_eq(out + 42, message + 8, len - 8);
	}
	ck_assert_uint_eq(host.net->memory.used_bytes, 0);
}

static void is_not_whole(void)
{
	ck_assert_uint_eq(host_out_all(&host), 0);
}

START_TEST(fragments_in_every_order_and_cut)
{
	static const uint32_t at[4] = { 0, 8, 24, 48 }, to[4] = { 8, 24, 48, 56 };

	for (host.piece = 0; host.piece < 4; host.piece++)
		for (unsigned order = 0; order < 256; order++) {
			unsigned seen = 0;

			for (unsigned i = 0; i < 4; i++)
				seen |= 1u << (order >> 2 * i & 3);
			if (seen != 15)
				continue;
			for (unsigned i = 0; i < 4; i++) {
				is_not_whole();
				fragment((uint16_t)order, at[order >> 2 * i & 3],
					 to[order >> 2 * i & 3]);
			}
			is_whole();
		}
	ck_assert_uint_eq(host.net->count.ip_reassembly_oks, 4 * 24);
}
END_TEST

START_TEST(a_fragment_that_comes_twice_counts_once)
{
	fragment(1, 0, 24);
	fragment(1, 0, 24);
	fragment(1, 8, 16);
	is_not_whole();
	fragment(1, 16, 48);	/* a part is duplicate, with the same bytes */
	fragment(1, 40, 56);
	is_whole();
	ck_assert_uint_eq(host.net->count.ip_reassembly_overlaps, 0);
}
END_TEST

START_TEST(an_overlap_with_other_bytes_ends_the_packet)
{
	static const struct {
		uint32_t at, to, changed;
	} other[] = { { 0, 24, 8 }, { 0, 16, 15 }, { 16, 32, 16 }, { 8, 24, 20 }, { 40, 48, 47 },
		      { 32, 56, 40 }, { 0, 48, 23 } };

	for (unsigned i = 0; i < sizeof(other) / sizeof(other[0]); i++) {
		fragment(1, 8, 24);
		fragment(1, 40, 48);
		message[other[i].changed] ^= 1;
		fragment(1, other[i].at, other[i].to);
		message[other[i].changed] ^= 1;
		ck_assert_uint_eq(host.net->count.ip_reassembly_overlaps, i + 1);
		ck_assert_uint_eq(host.net->memory.used_bytes, 0);
	}
}
END_TEST

START_TEST(packets_that_disagree_about_their_end_are_dropped)
{
	/* A second, earlier end. */
	fragment(1, 48, 56);
	message_len = 40;
	fragment(1, 32, 40);
	message_len = 56;
	/* Bytes beyond the end. */
	fragment(2, 48, 56);
	message_len = 80;
	fragment(2, 56, 64);
	message_len = 56;
	/* An end before bytes that have arrived. */
	fragment(3, 40, 48);
	message_len = 32;
	fragment(3, 24, 32);
	message_len = 56;
	ck_assert_uint_eq(host.net->count.ip_reassembly_overlaps, 3);
	ck_assert_uint_eq(host.net->memory.used_bytes, 0);
	/* Further fragments of a dropped packet do not complete it. */
	fragment(1, 0, 48);
	is_not_whole();
}
END_TEST

START_TEST(a_packet_longer_than_any_is_dropped)
{
	/* "Ping of death": the last fragment ends beyond 65,535. */
	host_in(&host, in,
		host_packet(in, PEER_IP, HOST_IP, WEIR_IP_ICMP, 1, 0x1fff, body, 8));
	host_in(&host, in,
		host_packet(in, PEER_IP, HOST_IP, WEIR_IP_ICMP, 1, 0x1ffd, body, 8));
	ck_assert_uint_eq(host.net->count.ip_reassembly_fails, 2);
	ck_assert_uint_eq(host.net->memory.used_bytes, 0);
}
END_TEST

START_TEST(the_longest_packet_there_is_becomes_whole)
{
	uint32_t len;

	message_len = host_icmp(message, 8, 0, 1, body, 65535 - 20 - 8);
	for (uint32_t at = 0; at < message_len; at += len) {
		len = message_len - at < 1400 ? message_len - at : 1400;
		fragment(9, at, at + len);
	}
	is_whole();
}
END_TEST

START_TEST(fragments_that_are_no_multiple_of_eight_are_dropped)
{
	fragment(1, 0, 0);
	fragment(1, 0, 7);
	fragment(1, 0, 9);
	ck_assert_uint_eq(host.net->count.ip_reassembly_fails, 3);
	ck_assert_uint_eq(host.net->memory.used_bytes, 0);
}
END_TEST

START_TEST(packets_of_others_are_not_mixed)
{
	fragment(1, 0, 24);
	fragment(2, 24, 56);
	host_in(&host, in,
		host_packet(in, PEER_IP, HOST_IP, 17, 1, 24 / 8, message + 24, 32));
	host_in(&host, in,
		host_packet(in, PEER_IP + 1, HOST_IP, 1, 1, 24 / 8, message + 24, 32));
	is_not_whole();
	fragment(1, 24, 56);
	host_out(&host, out);
	ck_assert_mem_eq(out + 42, message + 8, 48);
}
END_TEST

START_TEST(what_is_not_whole_after_30_seconds_is_dropped)
{
	fragment(1, 0, 24);
	host_wait(&host, 29 * SEC);
	fragment(2, 0, 24);
	host_wait(&host, 2 * SEC);
	ck_assert_uint_eq(host.net->count.ip_reassembly_timeouts, 1);
	fragment(1, 24, 56);
	is_not_whole();
	fragment(2, 24, 56);
	host_out(&host, out);
	ck_assert_mem_eq(out + 42, message + 8, 48);
	host_wait(&host, 31 * SEC);
	ck_assert_uint_eq(host.net->count.ip_reassembly_timeouts, 2);
	ck_assert_uint_eq(host.net->memory.used_bytes, 0);
}
END_TEST

START_TEST(a_flood_takes_no_more_than_its_share_and_the_oldest_goes)
{
	for (uint16_t id = 0; id < 1000; id++) {
		host_wait(&host, WEIR_NETSTACK_MSEC);
		fragment(id, 0, 24);
		ck_assert_uint_le(host.net->memory.used_bytes, 256u << 10);
		ck_assert_uint_le(host.rig.blocks, 64);
	}
	fragment(999, 24, 56);
	ck_assert_uint_eq(host_out_all(&host), 1);
	fragment(1, 24, 56);
	is_not_whole();
}
END_TEST

START_TEST(all_fragments_together_take_no_more_than_the_config_says)
{
	struct weir__netstack_config cfg = host_config();

	host_fini(&host);
	cfg.reassembly_bytes = 5 * (RIG_BLOCK_BYTES + 400);
	host_init(&host, &cfg);
	host_meet(&host, PEER_IP);
	for (uint16_t id = 0; id < 60; id++) {
		fragment(id, 0, 24);
		ck_assert_uint_le(host.rig.blocks, 5);
	}
	for (uint32_t at = 8; at < 48; at += 8)
		fragment(60, at, at + 8);
	fragment(60, 0, 8);
	ck_assert_uint_le(host.rig.blocks, 5);
}
END_TEST

/* All together may have more. */
START_TEST(one_packet_of_tiny_fragments_ends_at_its_share)
{
	struct weir__netstack_config cfg = host_config();

	host_fini(&host);
	cfg.reassembly_bytes = 4 << 20;
	host_init(&host, &cfg);
	host_meet(&host, PEER_IP);
	message_len = host_icmp(message, 8, 0, 1, body, 8000);
	for (uint32_t at = 0; at < 4000; at += 8)
		fragment(1, at, at + 8);
	ck_assert_uint_gt(host.net->count.ip_reassembly_fails, 0);
	ck_assert_uint_le(host.rig.blocks, 128);
}
END_TEST

START_TEST(an_instance_that_ends_forgets_what_is_not_whole)
{
	fragment(1, 0, 24);
	fragment(2, 24, 56);
	ck_assert_uint_gt(host.net->memory.used_bytes, 0);
}
END_TEST

int main(int argc, char **argv)
{
#define CASE(name) TESTING(name, .setup = setup, .teardown = teardown)
	const struct testing_case cases[] = {
		CASE(fragments_in_every_order_and_cut),
		CASE(a_fragment_that_comes_twice_counts_once),
		CASE(an_overlap_with_other_bytes_ends_the_packet),
		CASE(packets_that_disagree_about_their_end_are_dropped),
		CASE(a_packet_longer_than_any_is_dropped),
		CASE(the_longest_packet_there_is_becomes_whole),
		CASE(fragments_that_are_no_multiple_of_eight_are_dropped),
		CASE(packets_of_others_are_not_mixed),
		CASE(what_is_not_whole_after_30_seconds_is_dropped),
		CASE(a_flood_takes_no_more_than_its_share_and_the_oldest_goes),
		CASE(all_fragments_together_take_no_more_than_the_config_says),
		CASE(one_packet_of_tiny_fragments_ends_at_its_share),
		CASE(an_instance_that_ends_forgets_what_is_not_whole),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
