/* SPDX-License-Identifier: MIT */
/*
 * stack_udp.c: UDP sockets: which socket gets a datagram, transmission, errors, limits.
 */
#include "stack/checksum.h"
#include "stack/udp.h"
#include "tests/support/testing.h"
#include "tests/unit/stack_host.h"

static struct host host;
static struct weir__udp *udp;
static unsigned char in[FRAME_MAX], out[FRAME_MAX], datagram[FRAME_MAX], bytes[FRAME_MAX];

static struct weir__endpoint at(uint32_t ip, uint16_t port)
{
	return (struct weir__endpoint){ ip == 0 ? (struct weir__ip_address){ .words = { 0, 0 } }
						: weir__ip_v4(ip),
					port };
}

static struct weir__udp *opened(uint32_t ip, uint16_t port)
{
	struct weir__endpoint local = at(ip, port);
	struct weir__udp *socket;

	ck_assert_int_eq(weir__udp_open(host.net, &local, NULL, &socket), 0);
	return socket;
}

static int connected(struct weir__udp *socket, uint32_t ip, uint16_t port)
{
	struct weir__endpoint peer = at(ip, port);

	return weir__udp_connect(socket, &peer);
}

static int send_copy(struct weir__udp *socket, uint32_t ip, uint16_t port, uint32_t len)
{
	struct weir__endpoint to = at(ip, port);

	return weir__udp_send_copy(socket, &to, bytes, len);
}

static void setup_with(const struct weir__netstack_config *cfg)
{
	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)(i * 7 + i / 251);
	host_init(&host, cfg);
	host_meet(&host, PEER_IP);
	udp = opened(0, 53);
}

static void setup(void)
{
	setup_with(NULL);
}

static void teardown(void)
{
	host_fini(&host);
}

/* Makes a datagram for port `to` in `in`; returns its length. */
static uint32_t made(uint32_t from_ip, uint16_t from, uint32_t to_ip, uint16_t to, uint32_t len)
{
	struct weir__ip_address source = weir__ip_v4(from_ip), destination = weir__ip_v4(to_ip);
	uint32_t sum = weir__ip_pseudo_sum(&source, &destination, WEIR_IP_UDP, 8 + len);

	weir__put16(datagram, from);
	weir__put16(datagram + 2, to);
	weir__put16(datagram + 4, (uint16_t)(8 + len));
	weir__put16(datagram + 6, 0);
	memcpy(datagram + 8, bytes, len);
	sum = weir__checksum_add(sum, weir__checksum(datagram, 8 + len));
	weir__put_checksum(datagram + 6, weir__checksum_finish(sum));
	return host_packet(in, from_ip, to_ip, WEIR_IP_UDP, 0, 0, datagram, 8 + len);
}

static void put_in(uint32_t from_ip, uint16_t from, uint32_t to_ip, uint16_t to, uint32_t len)
{
	host_in(&host, in, made(from_ip, from, to_ip, to, len));
}

/* Expects this datagram as the next one of the socket. */
static void has(struct weir__udp *socket, uint32_t from_ip, uint16_t from_port, uint32_t len)
{
	struct weir__endpoint from;
	struct weir__frame *frame;

	ck_assert_int_eq(weir__udp_receive(socket, &frame, &from), (int)len);
	rig_check_frame(frame, bytes, len);
	ck_assert_uint_eq(weir__ip_v4_number(&from.address), from_ip);
	ck_assert_uint_eq(from.port, from_port);
	weir__netstack_give_back(host.net, frame);
}

static void has_none(struct weir__udp *socket)
{
	struct weir__frame *frame;

	ck_assert_int_eq(weir__udp_receive(socket, &frame, NULL), -EAGAIN);
}

START_TEST(datagrams_are_received_wherever_they_are_cut)
{
	unsigned events = 0;

	for (uint32_t len = 0; len < 40; len += 13)
		for (host.piece = 0; host.piece < 3; host.piece++)
			for (host.cut = 0; host.cut < 42 + len; host.cut++) {
				put_in(PEER_IP, 1234, HOST_IP, 53, len);
				ck_assert_ptr_eq(weir__netstack_next_event(host.net, &events),
						 weir__udp_source(udp));
				ck_assert_uint_eq(events, WEIR_NETSTACK_READABLE);
				has(udp, PEER_IP, 1234, len);
				has_none(udp);
			}
	ck_assert_uint_eq(host.net->memory.used_bytes, 0);
}
END_TEST

START_TEST(datagrams_that_lie_about_their_length_are_dropped)
{
	static const uint16_t lengths[] = { 0, 1, 7, 29, 255, UINT16_MAX };

	for (unsigned i = 0; i < 6; i++) {
		uint32_t len = made(PEER_IP, 1234, HOST_IP, 53, 20);

		weir__put16(in + 38, lengths[i]);
		host_in(&host, in, len);
	}
	for (uint32_t len = 0; len < 8; len++)
		host_in(&host, in,
			host_packet(in, PEER_IP, HOST_IP, WEIR_IP_UDP, 0, 0, bytes, len));
	ck_assert_uint_eq(host.net->count.udp_in_errors, 14);
	has_none(udp);
	ck_assert_uint_eq(host_out_all(&host), 0);
}
END_TEST

START_TEST(bytes_behind_the_datagram_are_not_part_of_it)
{
	uint32_t len = made(PEER_IP, 1234, HOST_IP, 53, 20);

	memcpy(datagram, in + 34, len - 34);
	host_in(&host, in, host_packet(in, PEER_IP, HOST_IP, WEIR_IP_UDP, 0, 0, datagram, 33));
	has(udp, PEER_IP, 1234, 20);
}
END_TEST

START_TEST(wrong_sums_are_dropped_and_none_is_no_wrong_one)
{
	uint32_t len = made(PEER_IP, 1234, HOST_IP, 53, 20);

	for (unsigned i = 34; i < len; i++) {
		if (i >= 36 && i < 42)	/* a wrong port or length is not a checksum error */
			continue;
		in[i] ^= 0x10;
		host_in(&host, in, len);
		in[i] ^= 0x10;
	}
	ck_assert_uint_eq(host.net->count.udp_in_checksum_errors, 22);
	has_none(udp);
	weir__put16(in + 40, 0);
	host_in(&host, in, len);
	has(udp, PEER_IP, 1234, 20);
}
END_TEST

START_TEST(the_most_specific_socket_gets_it)
{
	struct weir__udp *bound = opened(HOST_IP, 53), *to_peer = opened(HOST_IP, 0);
	uint16_t port = weir__udp_local(to_peer).port;

	ck_assert_int_eq(connected(to_peer, PEER_IP, 1000), 0);
	put_in(PEER_IP, 1234, HOST_IP, 53, 1);
	has(bound, PEER_IP, 1234, 1);
	put_in(PEER_IP, 1000, HOST_IP, port, 2);
	has(to_peer, PEER_IP, 1000, 2);
	/* A connected socket receives nothing from other hosts or other ports of the peer. */
	put_in(PEER_IP, 1001, HOST_IP, port, 3);
	put_in(PEER_IP + 1, 1000, HOST_IP, port, 3);
	has_none(to_peer);
	ck_assert_uint_eq(host.net->count.udp_no_ports, 2);
	weir__udp_close(bound);
	put_in(PEER_IP, 1234, HOST_IP, 53, 4);
	has(udp, PEER_IP, 1234, 4);
	/* A broadcast reaches the socket that is bound to no address. */
	put_in(PEER_IP, 1234, LINK_BROADCAST, 53, 5);
	has(udp, PEER_IP, 1234, 5);
}
END_TEST

START_TEST(a_port_that_nobody_has_is_unreachable)
{
	put_in(PEER_IP, 1234, HOST_IP, 54, 20);
	ck_assert_uint_eq(host_out(&host, out), 34 + 8 + 48);
	ck_assert_mem_eq(out + 34, "\3\3", 2);
	ck_assert_mem_eq(out + 42, in + 14, 48);
	put_in(PEER_IP, 1234, LINK_BROADCAST, 54, 20);
	ck_assert_uint_eq(host_out_all(&host), 0);
	ck_assert_uint_eq(host.net->count.udp_no_ports, 2);
}
END_TEST

START_TEST(addresses_and_ports_that_are_none_are_refused)
{
	struct weir__endpoint foreign = at(PEER_IP, 5), taken = at(0, 53);
	struct weir__udp *other = NULL;

	ck_assert_int_eq(weir__udp_open(host.net, &foreign, NULL, &other), -EADDRNOTAVAIL);
	ck_assert_int_eq(weir__udp_open(host.net, &taken, NULL, &other), -EADDRINUSE);
	ck_assert_ptr_null(other);
	ck_assert_int_eq(connected(udp, PEER_IP, 0), -EINVAL);
	ck_assert_int_eq(connected(udp, LINK_BROADCAST, 1), -EINVAL);
	ck_assert_int_eq(connected(udp, 0xe0000001, 1), -EINVAL);
	ck_assert_int_eq(connected(udp, 0, 1), -EINVAL);
	ck_assert_int_eq(weir__udp_send_copy(udp, NULL, bytes, 1), -EDESTADDRREQ);
	ck_assert_int_eq(send_copy(udp, PEER_IP, 0, 1), -EINVAL);
	ck_assert_int_eq(send_copy(udp, LINK_BROADCAST, 1, 1), -EACCES);
	ck_assert_int_eq(connected(udp, PEER_IP, 1), 0);
	ck_assert_int_eq(connected(udp, PEER_IP, 2), -EISCONN);
	ck_assert_int_eq(send_copy(udp, PEER_IP, 1, 1), -EISCONN);
	other = opened(0, 53);
	ck_assert_int_eq(connected(other, PEER_IP, 1), -EADDRINUSE);
	ck_assert_uint_eq(host_out_all(&host), 0);
	ck_assert_uint_eq(host.rig.blocks, 0);
}
END_TEST

START_TEST(ports_are_chosen_in_the_range_until_there_is_none)
{
	struct weir__netstack_config cfg = host_config();
	struct weir__udp *other = NULL;
	unsigned in_order = 0;
	uint16_t last = 0;

	host_fini(&host);
	cfg.port_first = 40000;
	cfg.port_last = 40099;
	setup_with(&cfg);
	for (unsigned i = 0; i < 100; i++) {
		uint16_t port = weir__udp_local(opened(0, 0)).port;

		ck_assert(port >= 40000 && port <= 40099);
		in_order += port == last + 1;
		last = port;
	}
	ck_assert_uint_lt(in_order, 60);
	ck_assert_int_eq(weir__udp_open(host.net, NULL, NULL, &other), -EADDRNOTAVAIL);
}
END_TEST

START_TEST(there_are_as_many_sockets_as_the_config_says)
{
	struct weir__netstack_config cfg = host_config();
	struct weir__udp *other = NULL;

	host_fini(&host);
	cfg.udp_sockets = 10;
	setup_with(&cfg);
	for (unsigned i = 1; i < 10; i++)
		opened(0, 0);
	ck_assert_int_eq(weir__udp_open(host.net, NULL, NULL, &other), -ENOBUFS);
	weir__udp_close(udp);
	ck_assert_int_eq(weir__udp_open(host.net, NULL, NULL, &other), 0);
	host.rig.fail_in = 0;
	weir__udp_close(other);
	ck_assert_int_eq(weir__udp_open(host.net, NULL, NULL, &other), -ENOMEM);
}
END_TEST

/* ---- sending --------------------------------------------------------------------------------- */

/* Expects a datagram of len bytes, with a correct checksum, as the next transmitted frame. */
static void sent(uint16_t from, uint32_t to_ip, uint16_t to, uint32_t len)
{
	struct weir__ip_address source = weir__ip_v4(HOST_IP), destination = weir__ip_v4(to_ip);
	uint32_t sum = weir__ip_pseudo_sum(&source, &destination, WEIR_IP_UDP, 8 + len);

	ck_assert_uint_eq(host_out(&host, out), 42 + len);
	ck_assert_uint_eq(weir__get32(out + 26), HOST_IP);
	ck_assert_uint_eq(weir__get32(out + 30), to_ip);
	ck_assert_uint_eq(weir__get16(out + 34), from);
	ck_assert_uint_eq(weir__get16(out + 36), to);
	ck_assert_uint_eq(weir__get16(out + 38), 8 + len);
	ck_assert_mem_eq(out + 42, bytes, len);
	sum = weir__checksum_add(sum, weir__checksum(out + 34, 8 + len));
	ck_assert_uint_eq(weir__checksum_finish(sum), 0);
}

START_TEST(a_copy_and_a_reference_are_the_same_on_the_wire)
{
	struct weir__endpoint to = at(PEER_IP, 99);

	for (uint32_t len = 0; len <= 1472; len += len < 20 ? 1 : 121) {
		ck_assert_int_eq(send_copy(udp, PEER_IP, 99, len), (int)len);
		sent(53, PEER_IP, 99, len);
		for (uint32_t piece = 0; piece < 100 && len > 0; piece += 33) {
			struct weir__frame *frame = rig_frame(&host.net->frames, bytes, len, piece);

			ck_assert_int_eq(weir__udp_send(udp, &to, frame), (int)len);
			sent(53, PEER_IP, 99, len);
		}
	}
	ck_assert_uint_eq(host.rig.blocks, 0);
}
END_TEST

START_TEST(a_sum_that_is_zero_is_sent_as_its_other_form)
{
	unsigned ones = 0;

	for (uint32_t word = 0; word <= UINT16_MAX; word++) {
		weir__put16(bytes, (uint16_t)word);
		ck_assert_int_eq(send_copy(udp, PEER_IP, 99, 2), 2);
		host_out(&host, out);
		ck_assert_uint_ne(weir__get16(out + 40), 0);
		ones += weir__get16(out + 40) == UINT16_MAX;
	}
	ck_assert_uint_ge(ones, 1);
}
END_TEST

START_TEST(the_owner_sums_if_it_can)
{
	struct weir__frame *frame;

	host.net->cfg.offloads = WEIR_NETSTACK_TX_CHECKSUM;
	ck_assert_int_eq(send_copy(udp, PEER_IP, 99, 100), 100);
	frame = host.rig.sent.first;
	ck_assert(frame->flags & WEIR_FRAME_CHECKSUM);
	weir__put_checksum(frame->data + frame->checksum_start + frame->checksum_offset,
			   weir__checksum_finish(weir__frame_sum(frame, frame->checksum_start)));
	sent(53, PEER_IP, 99, 100);
}
END_TEST

START_TEST(a_long_datagram_comes_whole_through_fragments)
{
	struct weir__udp *to = opened(0, 77);

	/* To our own address: in fragments. */
	for (uint32_t len = 1473; len <= 65507; len += 8 * 1143 + 3) {
		ck_assert_int_eq(send_copy(udp, HOST_IP, 77, len), (int)len);
		host_wait(&host, 0);
		has(to, HOST_IP, 53, len);
	}
	ck_assert_int_eq(send_copy(udp, HOST_IP, 77, 65507), 65507);
	host_wait(&host, 0);
	has(to, HOST_IP, 53, 65507);
	ck_assert_int_eq(send_copy(udp, HOST_IP, 77, 65508), -EMSGSIZE);
	ck_assert_uint_eq(host.net->memory.used_bytes, 0);
	weir__udp_dont_fragment(udp, true);
	ck_assert_int_eq(send_copy(udp, HOST_IP, 77, 1473), -EMSGSIZE);
	ck_assert_int_eq(send_copy(udp, HOST_IP, 77, 1472), 1472);
}
END_TEST

START_TEST(settings_are_in_the_header)
{
	weir__udp_set_ttl(udp, 3);
	weir__udp_set_tos(udp, 0x20);
	weir__udp_allow_broadcast(udp, true);
	weir__udp_dont_fragment(udp, true);
	ck_assert_int_eq(send_copy(udp, LINK_BROADCAST, 99, 1), 1);
	host_out(&host, out);
	ck_assert_uint_eq(out[15], 0x20);
	ck_assert_uint_eq(weir__get16(out + 20), 0x4000);
	ck_assert_uint_eq(out[22], 3);
	weir__udp_allow_broadcast(udp, false);
	ck_assert_int_eq(send_copy(udp, LINK_BROADCAST, 99, 1), -EACCES);
}
END_TEST

START_TEST(what_was_lent_can_be_sent_back)
{
	struct weir__endpoint from;
	struct weir__frame *frame;

	put_in(PEER_IP, 1234, HOST_IP, 53, 100);
	ck_assert_int_eq(weir__udp_receive(udp, &frame, &from), 100);
	ck_assert_uint_gt(host.net->memory.used_bytes, 0);
	/* The room of the received headers is used for those of the response. */
	host.rig.fail_in = 0;
	ck_assert_int_eq(weir__udp_send(udp, &from, frame), 100);
	host.rig.fail_in = -1;
	sent(53, PEER_IP, 1234, 100);
	ck_assert_uint_eq(host.net->memory.used_bytes, 0);
}
END_TEST

START_TEST(memory_that_runs_out_while_sending_leaves_nothing)
{
	struct weir__endpoint to = at(PEER_IP, 99);
	int rc = -ENOMEM;

	for (int fail_in = 0; rc < 0; fail_in++) {
		host.rig.fail_in = fail_in;
		rc = weir__udp_send_copy(udp, &to, bytes, 4000);
		host.rig.fail_in = -1;
		ck_assert(rc == 4000 || rc == -ENOMEM);
		ck_assert_uint_eq(host_out_all(&host), rc < 0 ? 0 : 3);
		ck_assert_uint_eq(host.rig.blocks, 0);
	}
}
END_TEST

/* ---- bounds ---------------------------------------------------------------------------------- */

START_TEST(what_waits_is_bounded_by_its_true_size)
{
	unsigned got = 0;
	struct weir__frame *frame;

	weir__udp_set_receive_bytes(udp, 10 * (RIG_BLOCK_BYTES + 400));
	for (unsigned i = 0; i < 1000; i++)
		put_in(PEER_IP, 1234, HOST_IP, 53, 1);
	ck_assert_uint_le(host.rig.blocks, 11);
	while (weir__udp_receive(udp, &frame, NULL) >= 0) {
		weir__netstack_give_back(host.net, frame);
		got++;
	}
	ck_assert_uint_ge(got, 9);
	ck_assert_uint_eq(host.net->count.udp_receive_buffer_errors, 1000 - got);
	put_in(PEER_IP, 1234, HOST_IP, 53, 2);
	has(udp, PEER_IP, 1234, 2);
	/* A limit below the size of the queue must not wrap. */
	put_in(PEER_IP, 1234, HOST_IP, 53, 2);
	weir__udp_set_receive_bytes(udp, 1);
	put_in(PEER_IP, 1234, HOST_IP, 53, 2);
	has(udp, PEER_IP, 1234, 2);
	has_none(udp);
}
END_TEST

START_TEST(when_memory_is_scarce_datagrams_wait_in_blocks_of_their_size)
{
	struct weir__frame *frame;
	unsigned got = 0;

	host.net->memory.limit_bytes = 100000;
	for (unsigned i = 0; i < 400; i++)
		put_in(PEER_IP, 1234, HOST_IP, 53, 1);
	/* 25,000 bytes are left: room for ten whole blocks, but for many more copies. */
	ck_assert_uint_le(host.rig.blocks, 40);
	while (weir__udp_receive(udp, &frame, NULL) >= 0) {
		rig_check_frame(frame, bytes, 1);
		weir__netstack_give_back(host.net, frame);
		got++;
	}
	ck_assert_uint_ge(got, 32 + 60);
	ck_assert_uint_gt(host.net->count.udp_memory_errors, 0);
	ck_assert_uint_eq(host.net->memory.used_bytes, 0);
}
END_TEST

START_TEST(a_socket_that_closes_drops_what_waits)
{
	unsigned events;

	put_in(PEER_IP, 1234, HOST_IP, 53, 1);
	weir__udp_close(udp);
	ck_assert_ptr_null(weir__netstack_next_event(host.net, &events));
	ck_assert_uint_eq(host.net->memory.used_bytes, 0);
	put_in(PEER_IP, 1234, HOST_IP, 53, 1);
	ck_assert_uint_eq(host.net->count.udp_no_ports, 1);
}
END_TEST

/* ---- errors ---------------------------------------------------------------------------------- */

/* Sends an ICMP error about a datagram from our port `from` to the peer's port. */
static void error_in(uint8_t type, uint8_t code, uint32_t rest, uint16_t from, uint16_t to)
{
	unsigned char message[128], packet[128];

	weir__put16(datagram, from);
	weir__put16(datagram + 2, to);
	weir__put16(datagram + 4, 1480);
	weir__put16(datagram + 6, 0);
	host_packet(packet, HOST_IP, PEER_IP, WEIR_IP_UDP, 0, 0x4000, datagram, 8);
	weir__put16(packet + 16, 1500);
	host_in(&host, in,
		host_packet(in, FAR_IP, HOST_IP, WEIR_IP_ICMP, 0, 0, message,
			    host_icmp(message, type, code, rest, packet + 14, 28)));
}

static uint32_t mtu_to_peer(void)
{
	struct weir__ip_address peer = weir__ip_v4(PEER_IP);

	return weir__ip_path_mtu(host.net, &peer);
}

START_TEST(an_error_reaches_the_connected_socket_once)
{
	unsigned events = 0;

	ck_assert_int_eq(connected(udp, PEER_IP, 99), 0);
	error_in(3, 3, 0, 53, 98);
	ck_assert_int_eq(weir__udp_error(udp), 0);
	ck_assert_uint_eq(host.net->count.icmp_in_unbelieved, 1);
	error_in(3, 3, 0, 53, 99);
	ck_assert_ptr_eq(weir__netstack_next_event(host.net, &events), weir__udp_source(udp));
	ck_assert_uint_eq(events, WEIR_NETSTACK_FAILED);
	ck_assert_int_eq(weir__udp_send_copy(udp, NULL, bytes, 1), -ECONNREFUSED);
	ck_assert_int_eq(weir__udp_send_copy(udp, NULL, bytes, 1), 1);
	error_in(3, 3, 0, 53, 99);
	put_in(PEER_IP, 99, HOST_IP, 53, 3);
	ck_assert_int_eq(weir__udp_receive(udp, &(struct weir__frame *){ NULL }, NULL),
			 -ECONNREFUSED);
	has(udp, PEER_IP, 99, 3);
	/* A soft error is accepted and not reported. */
	error_in(3, 1, 0, 53, 99);
	error_in(11, 0, 0, 53, 99);
	ck_assert_int_eq(weir__udp_error(udp), 0);
	ck_assert_uint_eq(host.net->count.icmp_in_unbelieved, 1);
}
END_TEST

START_TEST(an_error_does_not_reach_a_socket_that_is_not_connected)
{
	error_in(3, 3, 0, 53, 99);
	has_none(udp);
	ck_assert_int_eq(weir__udp_error(udp), 0);
}
END_TEST

START_TEST(a_packet_too_big_is_believed_where_none_is_cut)
{
	ck_assert_int_eq(connected(udp, PEER_IP, 99), 0);
	error_in(3, 4, 1400, 53, 99);
	ck_assert_uint_eq(mtu_to_peer(), 1500);
	weir__udp_dont_fragment(udp, true);
	error_in(3, 4, 1400, 53, 98);	/* a forged error */
	ck_assert_uint_eq(mtu_to_peer(), 1500);
	error_in(3, 4, 1400, 53, 99);
	ck_assert_uint_eq(mtu_to_peer(), 1400);
	ck_assert_int_eq(weir__udp_send_copy(udp, NULL, bytes, 1400 - 28), -EMSGSIZE);
	ck_assert_int_eq(weir__udp_send_copy(udp, NULL, bytes, 1400 - 28), 1400 - 28);
	ck_assert_int_eq(weir__udp_send_copy(udp, NULL, bytes, 1401 - 28), -EMSGSIZE);
	/* A router that does not report its MTU. */
	host_wait(&host, 601 * WEIR_NETSTACK_SEC);
	error_in(3, 4, 0, 53, 99);
	ck_assert_uint_eq(mtu_to_peer(), 1492);
	/* A router that reports a wrong MTU. */
	error_in(3, 4, 1, 53, 99);
	ck_assert_uint_eq(mtu_to_peer(), 552);
}
END_TEST

START_TEST(a_neighbour_that_does_not_answer_is_told)
{
	struct weir__udp *lost = opened(0, 0);

	ck_assert_int_eq(connected(lost, PEER_IP + 7, 99), 0);
	ck_assert_int_eq(weir__udp_send_copy(lost, NULL, bytes, 1), 1);
	for (unsigned i = 0; i < 4; i++)
		host_wait(&host, WEIR_NETSTACK_SEC);
	ck_assert_int_eq(weir__udp_error(lost), -EHOSTUNREACH);
	ck_assert_int_eq(weir__udp_error(lost), 0);
}
END_TEST

int main(int argc, char **argv)
{
#define CASE(name) TESTING(name, .setup = setup, .teardown = teardown)
	const struct testing_case cases[] = {
		CASE(datagrams_are_received_wherever_they_are_cut),
		CASE(datagrams_that_lie_about_their_length_are_dropped),
		CASE(bytes_behind_the_datagram_are_not_part_of_it),
		CASE(wrong_sums_are_dropped_and_none_is_no_wrong_one),
		CASE(the_most_specific_socket_gets_it),
		CASE(a_port_that_nobody_has_is_unreachable),
		CASE(addresses_and_ports_that_are_none_are_refused),
		CASE(ports_are_chosen_in_the_range_until_there_is_none),
		CASE(there_are_as_many_sockets_as_the_config_says),
		CASE(a_copy_and_a_reference_are_the_same_on_the_wire),
		CASE(a_sum_that_is_zero_is_sent_as_its_other_form),
		CASE(the_owner_sums_if_it_can),
		CASE(a_long_datagram_comes_whole_through_fragments),
		CASE(settings_are_in_the_header),
		CASE(what_was_lent_can_be_sent_back),
		CASE(memory_that_runs_out_while_sending_leaves_nothing),
		CASE(what_waits_is_bounded_by_its_true_size),
		CASE(when_memory_is_scarce_datagrams_wait_in_blocks_of_their_size),
		CASE(a_socket_that_closes_drops_what_waits),
		CASE(an_error_reaches_the_connected_socket_once),
		CASE(an_error_does_not_reach_a_socket_that_is_not_connected),
		CASE(a_packet_too_big_is_believed_where_none_is_cut),
		CASE(a_neighbour_that_does_not_answer_is_told),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
