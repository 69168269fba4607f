/* SPDX-License-Identifier: MIT */
/*
 * stack_ip4.c: reception and transmission of IPv4, and the loopback. The received packets are echo
 * requests, whose replies show whether they were accepted: whole, in two pieces cut at every byte,
 * and with every length field wrong.
 */
#include "stack/checksum.h"
#include "tests/support/testing.h"
#include "tests/unit/stack_host.h"

static struct host host;
static unsigned char in[FRAME_MAX], out[FRAME_MAX], bytes[8192];

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

/* Makes an echo request with len bytes, as a frame in `in`. */
static uint32_t echo_from(uint32_t from, uint32_t to, uint32_t len)
{
	static unsigned char message[FRAME_MAX];

	return host_packet(in, from, to, WEIR_IP_ICMP, 7, 0, message,
			   host_icmp(message, 8, 0, 0x12345678, bytes, len));
}

static uint32_t echo(uint32_t len)
{
	return echo_from(PEER_IP, HOST_IP, len);
}

static void check_reply(uint32_t len)
{
	ck_assert_uint_eq(host_out(&host, out), 42 + len);
	ck_assert_mem_eq(out, peer_mac, 6);
	ck_assert_uint_eq(out[14], 0x45);
	ck_assert_uint_eq(weir__get16(out + 16), 28 + len);
	ck_assert_uint_eq(weir__checksum_finish(weir__checksum(out + 14, 20)), 0);
	ck_assert_uint_eq(out[23], WEIR_IP_ICMP);
	ck_assert_uint_eq(weir__get32(out + 26), HOST_IP);
	ck_assert_uint_eq(weir__get32(out + 30), PEER_IP);
	ck_assert_uint_eq(out[34], 0);
	ck_assert_uint_eq(weir__checksum_finish(weir__checksum(out + 34, 8 + len)), 0);
	ck_assert_mem_eq(out + 42, bytes, len);
}

static void refused(uint32_t len)
{
	host_in(&host, in, len);
	ck_assert_uint_eq(host_out_all(&host), 0);
}

START_TEST(a_packet_is_taken_wherever_it_is_cut)
{
	uint32_t len = echo(30);

	for (host.piece = 0; host.piece < 4; host.piece++)
		for (host.cut = 0; host.cut < len; host.cut++) {
			host_in(&host, in, len);
			check_reply(30);
		}
}
END_TEST

START_TEST(a_packet_cut_short_is_dropped_at_every_length)
{
	uint32_t whole = echo(10);

	for (uint32_t len = 1; len < whole; len++)
		refused(len);
	ck_assert_uint_eq(host.net->count.link_in_short, 13);
	ck_assert_uint_eq(host.net->count.ip_in_truncated, whole - 14);
}
END_TEST

START_TEST(padding_behind_the_packet_is_not_part_of_it)
{
	uint32_t len = echo(3);

	memset(in + len, 0xee, 60 - len);
	for (host.cut = 0; host.cut < 60; host.cut++) {
		host_in(&host, in, 60);
		check_reply(3);
	}
}
END_TEST

START_TEST(headers_that_lie_about_lengths_are_dropped)
{
	uint32_t len = echo(10);

	for (unsigned words = 0; words < 5; words++) {
		in[14] = (unsigned char)(0x40 | words);
		refused(len);
	}
	for (unsigned total = 0; total < 20; total++) {
		echo(10);
		weir__put16(in + 16, (uint16_t)total);
		host_resum(in);
		refused(len);
	}
	ck_assert_uint_eq(host.net->count.ip_in_header_errors, 25);
	echo(10);
	weir__put16(in + 16, 37);
	host_resum(in);
	refused(len);
	weir__put16(in + 16, UINT16_MAX);
	host_resum(in);
	refused(len);
	ck_assert_uint_eq(host.net->count.ip_in_truncated, 1);
	ck_assert_uint_eq(host.net->count.icmp_in_checksum_errors, 1);
	echo(10);
	in[14] = 0x65;
	refused(len);
	ck_assert_uint_eq(host.net->count.ip_in_header_errors, 26);
}
END_TEST

START_TEST(every_flipped_bit_of_the_header_is_seen)
{
	uint32_t len = echo(10);

	for (unsigned bit = 8 * 14; bit < 8 * 34; bit++) {
		in[bit / 8] ^= (unsigned char)(1u << bit % 8);
		refused(len);
		in[bit / 8] ^= (unsigned char)(1u << bit % 8);
	}
	host_in(&host, in, len);
	check_reply(10);
}
END_TEST

START_TEST(a_sum_that_the_owner_vouches_for_is_not_checked)
{
	struct weir__frame *frame;
	uint32_t len = echo(10);

	in[24] ^= 1;
	in[37] ^= 1;
	frame = rig_frame(&host.net->frames, in, len, 0);
	frame->flags |= WEIR_FRAME_CHECKED;
	weir__netstack_input(host.net, frame);
	check_reply(10);
}
END_TEST

/* Flags that only the stack sets are ignored in received frames. */
START_TEST(flags_from_outside_do_not_make_a_packet_our_own)
{
	uint32_t len = echo_from(HOST_IP, HOST_IP, 10);
	struct weir__frame *frame = rig_frame(&host.net->frames, in, len, 0);

	frame->flags |= WEIR_FRAME_LOOPED | WEIR_FRAME_BROADCAST;
	weir__netstack_input(host.net, frame);
	ck_assert_uint_eq(host.net->count.ip_in_martians, 1);
	frame = rig_frame(&host.net->frames, in, echo(10), 0);
	frame->flags |= WEIR_FRAME_BROADCAST;
	weir__netstack_input(host.net, frame);
	check_reply(10);
}
END_TEST

/* Adds options to the header of the packet in `in`. */
static uint32_t with_options(const void *option, unsigned option_len)
{
	uint32_t len = echo(10);

	memmove(in + 34 + option_len, in + 34, len - 34);
	memcpy(in + 34, option, option_len);
	in[14] = (unsigned char)(0x45 + option_len / 4);
	weir__put16(in + 16, (uint16_t)(len - 14 + option_len));
	host_resum(in);
	return len + option_len;
}

START_TEST(options_are_skipped)
{
	uint32_t len = with_options("\1\1\7\7\4\0\0\0\0\0\0\0", 12);

	for (host.cut = 0; host.cut < len; host.cut++) {
		host_in(&host, in, len);
		check_reply(10);
	}
	host.cut = 0;
	host_in(&host, in, with_options("\0\x83\3\4", 4));	/* nothing is read after the end */
	check_reply(10);
}
END_TEST

START_TEST(a_source_route_is_refused)
{
	refused(with_options("\x83\7\4\12\0\0\2\0", 8));
	refused(with_options("\1\x89\7\4\12\0\0\2", 8));
	ck_assert_uint_eq(host.net->count.ip_in_source_routed, 2);
}
END_TEST

START_TEST(options_that_lie_about_lengths_are_dropped)
{
	static const char *const wrong[] = { "\7\0\0\0", "\7\1\0\0", "\7\5\0\0", "\1\1\1\7",
					     "\7\377\0\0" };

	for (unsigned i = 0; i < 5; i++)
		refused(with_options(wrong[i], 4));
	ck_assert_uint_eq(host.net->count.ip_in_header_errors, 5);
}
END_TEST

START_TEST(martians_are_dropped)
{
	static const uint32_t sources[] = { 0, 1, 0x7f000001, 0xe0000001, 0xf0000001, UINT32_MAX,
					    LINK_BROADCAST };

	for (unsigned i = 0; i < sizeof(sources) / sizeof(sources[0]); i++)
		refused(echo_from(sources[i], HOST_IP, 10));
	ck_assert_uint_eq(host.net->count.ip_in_martians, 7);
}
END_TEST

START_TEST(a_land_attack_is_dropped)
{
	refused(echo_from(HOST_IP, HOST_IP, 10));
	ck_assert_uint_eq(host.net->count.ip_in_martians, 1);
	ck_assert_ptr_null(host.net->ip.looped.first);
}
END_TEST

START_TEST(packets_for_others_are_dropped)
{
	refused(echo_from(PEER_IP, PEER_IP + 1, 10));
	refused(echo_from(PEER_IP, 0x7f000001, 10));
	refused(echo_from(PEER_IP, 0xe0000001, 10));
	refused(echo_from(PEER_IP, 0, 10));
	ck_assert_uint_eq(host.net->count.ip_in_address_errors, 4);
	echo(10);
	in[5] ^= 1;
	refused(52);
	ck_assert_uint_eq(host.net->count.link_in_other_host, 1);
}
END_TEST

START_TEST(a_packet_for_one_sent_to_all_is_dropped)
{
	uint32_t len = echo(10);

	memset(in, 0xff, 6);
	refused(len);
	ck_assert_uint_eq(host.net->count.ip_in_address_errors, 1);
}
END_TEST

START_TEST(a_broadcast_is_not_answered)
{
	uint32_t len = echo_from(PEER_IP, LINK_BROADCAST, 10);

	memset(in, 0xff, 6);
	refused(len);
	refused(echo_from(PEER_IP, UINT32_MAX, 10));
	ck_assert_uint_eq(host.net->count.icmp_in_echos, 3);	/* including host_meet's */
}
END_TEST

START_TEST(unknown_frames_are_counted)
{
	uint32_t len = echo(10);

	weir__put16(in + 12, 0x86dd);
	refused(len);
	ck_assert_uint_eq(host.net->count.link_in_unknown_type, 1);
}
END_TEST

/* ---- out ------------------------------------------------------------------------------------- */

static const struct weir__ip_tx usual = { .protocol = 253, .tos = 0x10, .ttl = 33 };

static int output(struct weir__ip_tx tx, uint32_t to, struct weir__frame *frame)
{
	tx.source = weir__ip_v4(HOST_IP);
	tx.destination = weir__ip_v4(to);
	return weir__ip_output(host.net, frame, &tx);
}

static struct weir__frame *payload(uint32_t len, uint32_t piece)
{
	return rig_frame(&host.net->frames, bytes, len, piece);
}

START_TEST(a_header_says_what_was_asked_for)
{
	struct weir__ip_tx tx = usual;

	ck_assert_int_eq(output(tx, PEER_IP, payload(100, 0)), 0);
	ck_assert_uint_eq(host_out(&host, out), 134);
	ck_assert_uint_eq(out[15], 0x10);
	ck_assert_uint_eq(weir__get16(out + 20), 0);
	ck_assert_uint_eq(out[22], 33);
	ck_assert_uint_eq(out[23], 253);
	ck_assert_mem_eq(out + 34, bytes, 100);
	tx.flags = WEIR_IP_DONT_FRAGMENT;
	tx.ttl = 0;
	ck_assert_int_eq(output(tx, PEER_IP, payload(100, 0)), 0);
	ck_assert_uint_eq(host_out(&host, out), 134);
	ck_assert_uint_eq(weir__get16(out + 20), 0x4000);
	ck_assert_uint_eq(out[22], 64);
}
END_TEST

START_TEST(a_frame_without_headroom_gets_a_block_for_its_headers)
{
	ck_assert_int_eq(output(usual, PEER_IP, payload(100, 30)), 0);
	ck_assert_uint_eq(host_out(&host, out), 134);
	ck_assert_mem_eq(out + 34, bytes, 100);
}
END_TEST

START_TEST(identifications_of_two_packets_differ)
{
	uint16_t first;

	ck_assert_int_eq(output(usual, PEER_IP, payload(1, 0)), 0);
	host_out(&host, out);
	first = weir__get16(out + 18);
	ck_assert_int_eq(output(usual, PEER_IP, payload(1, 0)), 0);
	host_out(&host, out);
	ck_assert_uint_ne(weir__get16(out + 18), first);
}
END_TEST

START_TEST(a_packet_is_cut_into_fragments)
{
	uint32_t at = 0, len;
	uint16_t id = 0, fragment;

	for (host.piece = 0; host.piece < 2000; host.piece += 700) {
		ck_assert_int_eq(
			output(usual, PEER_IP, payload(4001, host.piece ? host.piece : 1920)), 0);
		for (at = 0; at < 4001; at += len) {
			len = host_out(&host, out) - 34;
			ck_assert_uint_le(len, 1480);
			ck_assert_uint_eq(weir__checksum_finish(weir__checksum(out + 14, 20)), 0);
			ck_assert_uint_eq(weir__get16(out + 16), len + 20);
			if (at > 0)
				ck_assert_uint_eq(weir__get16(out + 18), id);
			id = weir__get16(out + 18);
			fragment = weir__get16(out + 20);
			ck_assert_uint_eq((fragment & 0x1fff) * 8u, at);
			ck_assert_int_eq(fragment >> 13, at + len < 4001);
			ck_assert_mem_eq(out + 34, bytes + at, len);
		}
		ck_assert_uint_eq(at, 4001);
	}
	ck_assert_uint_eq(host.net->count.ip_fragment_oks, 3);
	ck_assert_uint_eq(host.net->count.ip_fragment_creates, 9);
}
END_TEST

START_TEST(what_must_not_be_fragmented_is_refused)
{
	struct weir__ip_tx tx = usual;

	tx.flags = WEIR_IP_DONT_FRAGMENT;
	ck_assert_int_eq(output(tx, PEER_IP, payload(1480, 0)), 0);
	ck_assert_uint_eq(host_out_all(&host), 1);
	ck_assert_int_eq(output(tx, PEER_IP, payload(1481, 0)), -EMSGSIZE);
	ck_assert_uint_eq(host_out_all(&host), 0);
	ck_assert_uint_eq(host.net->count.ip_fragment_fails, 1);
}
END_TEST

START_TEST(a_super_frame_goes_whole_if_its_segments_fit)
{
	struct weir__ip_tx tx = usual;
	struct weir__frame *frame = payload(8000, 1000);

	tx.flags = WEIR_IP_DONT_FRAGMENT;
	tx.header_bytes = 20;
	frame->segment_bytes = 1460;
	ck_assert_int_eq(output(tx, PEER_IP, frame), 0);
	ck_assert_uint_eq(host.rig.sent.first->segment_bytes, 1460);
	ck_assert_uint_eq(host_out(&host, out), 8034);
	frame = payload(8000, 1000);
	frame->segment_bytes = 1461;
	ck_assert_int_eq(output(tx, PEER_IP, frame), -EMSGSIZE);
}
END_TEST

START_TEST(no_packet_is_longer_than_its_length_field_says)
{
	struct weir__frame *frame = payload(8000, 1000);

	for (unsigned i = 0; i < 8; i++)
		weir__frame_append(&host.net->frames, frame, payload(7200, 1200));
	ck_assert_uint_eq(frame->total, 65600);
	ck_assert_int_eq(output(usual, PEER_IP, frame), -EMSGSIZE);
}
END_TEST

START_TEST(memory_that_runs_out_while_fragments_are_made_sends_none)
{
	int rc = -ENOMEM;

	for (int fail_in = 0; rc != 0; fail_in++) {
		struct weir__frame *frame = payload(4000, 1000);

		host.rig.fail_in = fail_in;
		rc = output(usual, PEER_IP, frame);
		host.rig.fail_in = -1;
		ck_assert(rc == 0 || rc == -ENOMEM);
		ck_assert_uint_eq(host_out_all(&host), rc == 0 ? 3 : 0);
		ck_assert_uint_eq(host.rig.blocks, 0);
	}
}
END_TEST

START_TEST(where_no_route_leads_nothing_is_sent)
{
	struct weir__netstack_config cfg = host_config();

	host_fini(&host);
	cfg.route_count = 0;
	host_init(&host, &cfg);
	ck_assert_int_eq(output(usual, FAR_IP, payload(10, 0)), -ENETUNREACH);
	ck_assert_int_eq(output(usual, 0, payload(10, 0)), -ENETUNREACH);
	ck_assert_uint_eq(host.net->count.ip_out_no_routes, 1);
}
END_TEST

START_TEST(far_hosts_are_behind_the_gateway)
{
	ck_assert_int_eq(output(usual, FAR_IP, payload(10, 0)), 0);
	ck_assert_uint_eq(host_out(&host, out), 42);
	ck_assert_uint_eq(weir__get32(out + 38), GATEWAY_IP);
	host_in(&host, in, host_arp(in, 2, peer_mac, GATEWAY_IP, HOST_IP));
	ck_assert_uint_eq(host_out(&host, out), 44);
	ck_assert_uint_eq(weir__get32(out + 30), FAR_IP);
}
END_TEST

START_TEST(a_broadcast_must_be_allowed)
{
	struct weir__ip_tx tx = usual;

	ck_assert_int_eq(output(tx, LINK_BROADCAST, payload(10, 0)), -EACCES);
	tx.flags = WEIR_IP_BROADCAST;
	ck_assert_int_eq(output(tx, LINK_BROADCAST, payload(10, 0)), 0);
	ck_assert_int_eq(output(tx, UINT32_MAX, payload(10, 0)), 0);
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_uint_eq(host_out(&host, out), 44);
		ck_assert_mem_eq(out, weir__ethernet_broadcast, 6);
	}
	ck_assert_int_eq(output(usual, 0xefff0203, payload(10, 0)), 0);
	ck_assert_uint_eq(host_out(&host, out), 44);
	ck_assert_mem_eq(out, "\1\0\x5e\x7f\2\3", 6);
}
END_TEST

START_TEST(what_is_sent_to_ourselves_comes_in_at_the_end_of_the_turn)
{
	unsigned char message[100];
	struct weir__frame *frame = rig_frame(&host.net->frames, message,
					      host_icmp(message, 8, 0, 1, bytes, 20), 0);
	struct weir__ip_tx tx = usual;

	tx.protocol = WEIR_IP_ICMP;
	ck_assert_int_eq(output(tx, HOST_IP, frame), 0);
	ck_assert_uint_eq(weir__netstack_next_deadline(host.net), host.now_ns);
	host_wait(&host, 0);
	ck_assert_uint_eq(host.net->count.icmp_in_echos, 2);	/* including host_meet's */
	/* The reply is processed in the next turn. */
	ck_assert_uint_eq(weir__netstack_next_deadline(host.net), host.now_ns);
	host_wait(&host, 0);
	ck_assert_uint_eq(host.net->count.icmp_in_messages, 3);
	ck_assert_uint_gt(weir__netstack_next_deadline(host.net), host.now_ns);
	ck_assert_uint_eq(host_out_all(&host), 0);
}
END_TEST

START_TEST(the_loopback_is_bounded)
{
	host.net->memory.limit_bytes = 10 * 3000;
	for (unsigned i = 0; i < 100; i++)
		ck_assert_int_eq(output(usual, HOST_IP, payload(10, 0)), 0);
	ck_assert_uint_ge(host.net->count.ip_out_discards, 80);
	ck_assert_uint_le(host.rig.blocks, 20);
}
END_TEST

/* ---- sums ------------------------------------------------------------------------------------ */

START_TEST(a_transport_checksum_is_computed_or_left_to_the_owner)
{
	for (unsigned offload = 0; offload < 2; offload++) {
		struct weir__ip_tx tx = { .source = weir__ip_v4(HOST_IP),
					  .destination = weir__ip_v4(PEER_IP),
					  .protocol = WEIR_IP_UDP };
		struct weir__ip_rx rx = { .source = tx.source,
					  .destination = tx.destination,
					  .protocol = WEIR_IP_UDP };
		struct weir__frame *frame = payload(101, 0);

		host.net->cfg.offloads = offload ? WEIR_NETSTACK_TX_CHECKSUM : 0;
		weir__ip_checksum(host.net, frame, &tx, 6);
		ck_assert_int_eq(weir__ip_checksum_good(frame, &rx), !offload);
		ck_assert_int_eq(weir__ip_output(host.net, frame, &tx), 0);
		frame = host.rig.sent.first;
		ck_assert_int_eq(!!(frame->flags & WEIR_FRAME_CHECKSUM), offload);
		if (offload) {
			/* Completes the checksum as a network card does. */
			ck_assert_uint_eq(frame->checksum_start, 34);
			ck_assert_uint_eq(frame->checksum_offset, 6);
			weir__put_checksum(frame->data + 40,
					   weir__checksum_finish(weir__frame_sum(frame, 34)));
		}
		weir__frame_pull(&host.net->frames, frame, 34);
		ck_assert(weir__ip_checksum_good(frame, &rx));
		frame->data[50] ^= 1;
		ck_assert(!weir__ip_checksum_good(frame, &rx));
		host_out_all(&host);
	}
}
END_TEST

START_TEST(a_sum_left_to_the_owner_is_completed_before_fragments_are_cut)
{
	struct weir__ip_tx tx = { .source = weir__ip_v4(HOST_IP),
				  .destination = weir__ip_v4(PEER_IP),
				  .protocol = WEIR_IP_UDP };
	struct weir__frame *frame = payload(3000, 1000);
	uint32_t sum = weir__ip_pseudo_sum(&tx.source, &tx.destination, WEIR_IP_UDP, 3000);
	uint32_t len;

	host.net->cfg.offloads = WEIR_NETSTACK_TX_CHECKSUM;
	weir__ip_checksum(host.net, frame, &tx, 6);
	ck_assert_int_eq(weir__ip_output(host.net, frame, &tx), 0);
	for (unsigned i = 0; i < 3; i++) {
		ck_assert(!(host.rig.sent.first->flags & WEIR_FRAME_CHECKSUM));
		len = host_out(&host, out) - 34;
		sum = weir__checksum_add(sum, weir__checksum(out + 34, len));
	}
	ck_assert_uint_eq(weir__checksum_finish(sum), 0);
}
END_TEST

int main(int argc, char **argv)
{
#define CASE(name) TESTING(name, .setup = setup, .teardown = teardown)
	const struct testing_case cases[] = {
		CASE(a_packet_is_taken_wherever_it_is_cut),
		CASE(a_packet_cut_short_is_dropped_at_every_length),
		CASE(padding_behind_the_packet_is_not_part_of_it),
		CASE(headers_that_lie_about_lengths_are_dropped),
		CASE(every_flipped_bit_of_the_header_is_seen),
		CASE(a_sum_that_the_owner_vouches_for_is_not_checked),
		CASE(flags_from_outside_do_not_make_a_packet_our_own),
		CASE(options_are_skipped),
		CASE(a_source_route_is_refused),
		CASE(options_that_lie_about_lengths_are_dropped),
		CASE(martians_are_dropped),
		CASE(a_land_attack_is_dropped),
		CASE(packets_for_others_are_dropped),
		CASE(a_packet_for_one_sent_to_all_is_dropped),
		CASE(a_broadcast_is_not_answered),
		CASE(unknown_frames_are_counted),
		CASE(a_header_says_what_was_asked_for),
		CASE(a_frame_without_headroom_gets_a_block_for_its_headers),
		CASE(identifications_of_two_packets_differ),
		CASE(a_packet_is_cut_into_fragments),
		CASE(what_must_not_be_fragmented_is_refused),
		CASE(a_super_frame_goes_whole_if_its_segments_fit),
		CASE(no_packet_is_longer_than_its_length_field_says),
		CASE(memory_that_runs_out_while_fragments_are_made_sends_none),
		CASE(where_no_route_leads_nothing_is_sent),
		CASE(far_hosts_are_behind_the_gateway),
		CASE(a_broadcast_must_be_allowed),
		CASE(what_is_sent_to_ourselves_comes_in_at_the_end_of_the_turn),
		CASE(the_loopback_is_bounded),
		CASE(a_transport_checksum_is_computed_or_left_to_the_owner),
		CASE(a_sum_left_to_the_owner_is_completed_before_fragments_are_cut),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
