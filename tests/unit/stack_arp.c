/* SPDX-License-Identifier: MIT */
/*
 * stack_arp.c: neighbours: requests, waiting frames, replies. The attacks: unsolicited replies,
 * requests with a false sender, floods of addresses.
 */
#include "tests/support/testing.h"
#include "tests/unit/stack_host.h"

#define SEC WEIR_NETSTACK_SEC

static const unsigned char other_mac[6] = { 2, 0, 0, 0, 0, 0x66 };
static struct host host;
static unsigned char in[FRAME_MAX], out[FRAME_MAX];

static void setup(void)
{
	host_init(&host, NULL);
}

static void teardown(void)
{
	host_fini(&host);
}

/* Sends a packet of len bytes to a host on the link. */
static int send_to(uint32_t ip, uint32_t len, struct weir__hop *hop)
{
	const struct weir__ip_tx tx = { .source = weir__ip_v4(HOST_IP),
					.destination = weir__ip_v4(ip),
					.protocol = 253,
					.hop = hop };

	return weir__ip_output(host.net, rig_frame(&host.net->frames, in, len, 0), &tx);
}

static void check_request(uint32_t ip, const unsigned char to[6])
{
	ck_assert_uint_eq(host_out(&host, out), 42);
	ck_assert_mem_eq(out, to, 6);
	ck_assert_mem_eq(out + 6, host_mac, 6);
	ck_assert_mem_eq(out + 12, "\x08\x06\0\1\x08\0\6\4\0\1", 10);
	ck_assert_mem_eq(out + 22, host_mac, 6);
	ck_assert_uint_eq(weir__get32(out + 28), HOST_IP);
	ck_assert_uint_eq(weir__get32(out + 38), ip);
}

static void answer(uint32_t ip, const unsigned char mac[6])
{
	host_in(&host, in, host_arp(in, 2, mac, ip, HOST_IP));
}

START_TEST(the_first_packet_waits_for_the_answer)
{
	ck_assert_int_eq(send_to(PEER_IP, 10, NULL), 0);
	check_request(PEER_IP, weir__ethernet_broadcast);
	ck_assert_uint_eq(host_out(&host, out), 0);
	ck_assert_int_eq(send_to(PEER_IP, 11, NULL), 0);
	ck_assert_uint_eq(host_out(&host, out), 0);
	answer(PEER_IP, peer_mac);
	ck_assert_uint_eq(host_out(&host, out), 44);
	ck_assert_mem_eq(out, peer_mac, 6);
	ck_assert_uint_eq(host_out(&host, out), 45);
	ck_assert_int_eq(send_to(PEER_IP, 12, NULL), 0);
	ck_assert_uint_eq(host_out(&host, out), 46);
	ck_assert_uint_eq(host.net->memory.used_bytes, 0);
}
END_TEST

START_TEST(three_asks_and_then_the_senders_are_told)
{
	ck_assert_int_eq(send_to(PEER_IP, 10, NULL), 0);
	for (unsigned i = 0; i < 3; i++) {
		check_request(PEER_IP, weir__ethernet_broadcast);
		host_wait(&host, SEC);
	}
	ck_assert_uint_eq(host_out(&host, out), 0);
	ck_assert_uint_eq(host.net->count.arp_failed, 1);
	ck_assert_uint_eq(host.net->memory.used_bytes, 0);
	/* The next packet causes a new request. */
	ck_assert_int_eq(send_to(PEER_IP, 10, NULL), 0);
	check_request(PEER_IP, weir__ethernet_broadcast);
}
END_TEST

START_TEST(of_those_that_wait_the_oldest_is_dropped)
{
	for (uint32_t i = 0; i < 12; i++)
		ck_assert_int_eq(send_to(PEER_IP, 10 + i, NULL), 0);
	ck_assert_uint_eq(host.net->count.arp_queue_drops, 4);
	check_request(PEER_IP, weir__ethernet_broadcast);
	answer(PEER_IP, peer_mac);
	for (uint32_t i = 4; i < 12; i++)
		ck_assert_uint_eq(host_out(&host, out), 44 + i);
}
END_TEST

START_TEST(frames_that_wait_are_charged)
{
	ck_assert_int_eq(send_to(PEER_IP, 10, NULL), 0);
	ck_assert_uint_ge(host.net->memory.used_bytes, RIG_BLOCK_BYTES);
	host.net->memory.limit_bytes = host.net->memory.used_bytes;
	ck_assert_int_eq(send_to(PEER_IP, 11, NULL), 0);
	ck_assert_uint_eq(host.net->count.arp_queue_drops, 1);
}
END_TEST

START_TEST(an_unasked_answer_changes_nothing)
{
	/* A reply of an unknown host makes no entry. */
	answer(PEER_IP, other_mac);
	ck_assert_uint_eq(host.net->count.arp_in_unsolicited, 1);
	ck_assert_int_eq(send_to(PEER_IP, 10, NULL), 0);
	check_request(PEER_IP, weir__ethernet_broadcast);
	/* A reply about another address than the requested one. */
	answer(PEER_IP + 1, other_mac);
	ck_assert_uint_eq(host_out(&host, out), 0);
	answer(PEER_IP, peer_mac);
	ck_assert_uint_eq(host_out(&host, out), 44);
	/* A reply of a known host with another MAC. */
	answer(PEER_IP, other_mac);
	ck_assert_int_eq(send_to(PEER_IP, 10, NULL), 0);
	ck_assert_uint_eq(host_out(&host, out), 44);
	ck_assert_mem_eq(out, peer_mac, 6);
	ck_assert_uint_eq(host.net->count.arp_in_unsolicited, 3);
}
END_TEST

START_TEST(a_request_is_answered_and_changes_nothing)
{
	host_meet(&host, PEER_IP);
	host_in(&host, in, host_arp(in, 1, other_mac, PEER_IP, HOST_IP));
	ck_assert_uint_eq(host_out(&host, out), 42);
	ck_assert_mem_eq(out, other_mac, 6);
	ck_assert_uint_eq(weir__get16(out + 20), 2);
	ck_assert_mem_eq(out + 22, host_mac, 6);
	ck_assert_uint_eq(weir__get32(out + 28), HOST_IP);
	ck_assert_mem_eq(out + 32, other_mac, 6);
	ck_assert_uint_eq(weir__get32(out + 38), PEER_IP);
	ck_assert_int_eq(send_to(PEER_IP, 10, NULL), 0);
	ck_assert_uint_eq(host_out(&host, out), 44);
	ck_assert_mem_eq(out, peer_mac, 6);
	/* A request makes no entry either. */
	host_in(&host, in, host_arp(in, 1, other_mac, PEER_IP + 5, HOST_IP));
	ck_assert_uint_eq(host_out_all(&host), 1);
	ck_assert_int_eq(send_to(PEER_IP + 5, 10, NULL), 0);
	check_request(PEER_IP + 5, weir__ethernet_broadcast);
}
END_TEST

START_TEST(a_host_without_an_address_yet_is_answered)
{
	host_in(&host, in, host_arp(in, 1, other_mac, 0, HOST_IP));
	ck_assert_uint_eq(host_out(&host, out), 42);
	ck_assert_uint_eq(weir__get32(out + 38), 0);
}
END_TEST

START_TEST(what_is_not_for_us_gets_no_answer)
{
	host_in(&host, in, host_arp(in, 1, peer_mac, PEER_IP, PEER_IP + 1));
	host_in(&host, in, host_arp(in, 2, peer_mac, PEER_IP, PEER_IP + 1));
	ck_assert_uint_eq(host_out_all(&host), 0);
	ck_assert_uint_eq(host.net->count.arp_in_unsolicited, 0);
}
END_TEST

START_TEST(who_claims_our_address_is_counted_and_not_answered)
{
	host_in(&host, in, host_arp(in, 1, other_mac, HOST_IP, HOST_IP));
	host_in(&host, in, host_arp(in, 2, other_mac, HOST_IP, HOST_IP));
	ck_assert_uint_eq(host.net->count.arp_in_conflicts, 2);
	ck_assert_uint_eq(host_out_all(&host), 0);
}
END_TEST

START_TEST(packets_that_are_none_are_dropped)
{
	static const struct {
		unsigned at;
		unsigned char byte;
	} wrong[] = { { 15, 6 }, { 16, 0x86 }, { 18, 8 }, { 19, 16 },
		      { 21, 3 }, { 21, 0 },    { 22, 1 } };
	uint32_t len;

	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		len = host_arp(in, 1, peer_mac, PEER_IP, HOST_IP);
		in[wrong[i].at] = wrong[i].byte;
		host_in(&host, in, len);
		ck_assert_uint_eq(host.net->count.arp_in_errors, i + 1);
	}
	for (len = 14; len < 42; len++) {
		host_arp(in, 1, peer_mac, PEER_IP, HOST_IP);
		host_in(&host, in, len);
	}
	/* A sender address that no host can have. */
	host_in(&host, in, host_arp(in, 2, peer_mac, 0, HOST_IP));
	host_in(&host, in, host_arp(in, 1, peer_mac, UINT32_MAX, HOST_IP));
	host_in(&host, in, host_arp(in, 1, peer_mac, LINK_BROADCAST, HOST_IP));
	host_in(&host, in, host_arp(in, 1, peer_mac, 0xe0000001, HOST_IP));
	ck_assert_uint_eq(host.net->count.arp_in_errors, 7 + 28 + 4);
	ck_assert_uint_eq(host_out_all(&host), 0);
}
END_TEST

START_TEST(a_request_is_read_wherever_it_is_cut)
{
	uint32_t len = host_arp(in, 1, peer_mac, PEER_IP, HOST_IP);

	for (host.cut = 1; host.cut < len; host.cut++) {
		host_in(&host, in, len);
		ck_assert_uint_eq(host_out(&host, out), 42);
		ck_assert_mem_eq(out + 32, peer_mac, 6);
	}
	host.cut = 0;
	host.piece = 1;
	host_in(&host, in, len);
	ck_assert_uint_eq(host_out_all(&host), 1);
}
END_TEST

START_TEST(a_neighbour_is_asked_again_while_its_old_answer_is_used)
{
	host_meet(&host, PEER_IP);
	host_wait(&host, 31 * SEC);
	ck_assert_uint_eq(host_out_all(&host), 0);	/* an unused entry is not renewed */
	ck_assert_int_eq(send_to(PEER_IP, 10, NULL), 0);
	ck_assert_uint_eq(host_out(&host, out), 44);
	check_request(PEER_IP, peer_mac);
	/* A reply to our request may change the MAC. */
	answer(PEER_IP, other_mac);
	ck_assert_int_eq(send_to(PEER_IP, 10, NULL), 0);
	ck_assert_uint_eq(host_out(&host, out), 44);
	ck_assert_mem_eq(out, other_mac, 6);
	ck_assert_uint_eq(host_out_all(&host), 0);
}
END_TEST

START_TEST(a_neighbour_that_went_away_is_given_up)
{
	host_meet(&host, PEER_IP);
	host_wait(&host, 31 * SEC);
	ck_assert_int_eq(send_to(PEER_IP, 10, NULL), 0);
	ck_assert_uint_eq(host_out(&host, out), 44);
	for (unsigned i = 0; i < 3; i++) {
		check_request(PEER_IP, peer_mac);
		host_wait(&host, SEC);
	}
	ck_assert_uint_eq(host.net->count.arp_failed, 1);
	ck_assert_int_eq(send_to(PEER_IP, 10, NULL), 0);
	check_request(PEER_IP, weir__ethernet_broadcast);
}
END_TEST

START_TEST(a_flood_of_addresses_takes_no_more_than_the_table)
{
	struct weir__netstack_config cfg = host_config();

	host_fini(&host);
	cfg.neighbours = 16;
	host_init(&host, &cfg);
	host_meet(&host, PEER_IP);
	for (uint32_t i = 10; i < 200; i++) {
		host_wait(&host, WEIR_NETSTACK_MSEC);
		ck_assert_int_eq(send_to(0x0a000000 + i, 10, NULL), 0);
		ck_assert_uint_le(host.rig.blocks, 16 + 1);
		ck_assert_uint_eq(host_out_all(&host), 1);
	}
	ck_assert_uint_eq(host.net->count.arp_table_full, 190 - 15);
	/* The entry with a reply was not evicted. */
	ck_assert_int_eq(send_to(PEER_IP, 10, NULL), 0);
	ck_assert_uint_eq(host_out(&host, out), 44);
	ck_assert_mem_eq(out, peer_mac, 6);
	for (uint32_t i = 185; i < 200; i++) {
		answer(0x0a000000 + i, peer_mac);
		ck_assert_uint_eq(host_out_all(&host), 1);
	}
}
END_TEST

START_TEST(a_hop_is_remembered_as_long_as_the_entry_is_there)
{
	struct weir__netstack_config cfg = host_config();
	struct weir__hop hop = { 0, 0 };

	host_fini(&host);
	cfg.neighbours = 1;
	host_init(&host, &cfg);
	host_meet(&host, PEER_IP);
	ck_assert_int_eq(send_to(PEER_IP, 10, &hop), 0);
	ck_assert_uint_ne(hop.entry, 0);
	ck_assert_int_eq(send_to(PEER_IP, 10, &hop), 0);
	ck_assert_uint_eq(host_out_all(&host), 2);
	/* Another host takes the only entry and replies: the hop must not lead to it. */
	host_meet(&host, PEER_IP + 1);
	ck_assert_int_eq(send_to(PEER_IP, 10, &hop), 0);
	check_request(PEER_IP, weir__ethernet_broadcast);
	ck_assert_uint_eq(host_out_all(&host), 0);
}
END_TEST

START_TEST(without_memory_nothing_is_asked_and_the_timer_tries_again)
{
	struct weir__frame *frame = rig_frame(&host.net->frames, in, 10, 0);
	const struct weir__ip_tx tx = { .source = weir__ip_v4(HOST_IP),
					.destination = weir__ip_v4(PEER_IP),
					.protocol = 253 };

	host.rig.fail_in = 0;
	ck_assert_int_eq(weir__ip_output(host.net, frame, &tx), 0);
	ck_assert_uint_eq(host_out_all(&host), 0);
	host.rig.fail_in = -1;
	host_wait(&host, SEC);
	check_request(PEER_IP, weir__ethernet_broadcast);
	answer(PEER_IP, peer_mac);
	ck_assert_uint_eq(host_out(&host, out), 44);
}
END_TEST

int main(int argc, char **argv)
{
#define CASE(name) TESTING(name, .setup = setup, .teardown = teardown)
	const struct testing_case cases[] = {
		CASE(the_first_packet_waits_for_the_answer),
		CASE(three_asks_and_then_the_senders_are_told),
		CASE(of_those_that_wait_the_oldest_is_dropped),
		CASE(frames_that_wait_are_charged),
		CASE(an_unasked_answer_changes_nothing),
		CASE(a_request_is_answered_and_changes_nothing),
		CASE(a_host_without_an_address_yet_is_answered),
		CASE(what_is_not_for_us_gets_no_answer),
		CASE(who_claims_our_address_is_counted_and_not_answered),
		CASE(packets_that_are_none_are_dropped),
		CASE(a_request_is_read_wherever_it_is_cut),
		CASE(a_neighbour_is_asked_again_while_its_old_answer_is_used),
		CASE(a_neighbour_that_went_away_is_given_up),
		CASE(a_flood_of_addresses_takes_no_more_than_the_table),
		CASE(a_hop_is_remembered_as_long_as_the_entry_is_there),
		CASE(without_memory_nothing_is_asked_and_the_timer_tries_again),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
