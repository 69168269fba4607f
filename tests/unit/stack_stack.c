/* SPDX-License-Identifier: MIT */
/* stack_stack.c: turns, deadlines, events, charging, counters. */
#include "tests/support/testing.h"
#include "tests/unit/stack_host.h"

static struct host host;

static void setup(void)
{
	host_init(&host, NULL);
}

static void teardown(void)
{
	host_fini(&host);
}

START_TEST(an_instance_without_work_needs_no_turn)
{
	ck_assert_uint_eq(weir__netstack_next_deadline(host.net), WEIR_NETSTACK_NEVER);
	host_wait(&host, WEIR_NETSTACK_SEC);
	ck_assert_uint_eq(weir__netstack_next_deadline(host.net), WEIR_NETSTACK_NEVER);
}
END_TEST

START_TEST(the_deadline_is_that_of_the_first_timer)
{
	const struct weir__ip_tx tx = { .source = weir__ip_v4(HOST_IP),
					.destination = weir__ip_v4(PEER_IP),
					.protocol = 253 };
	uint64_t next;

	ck_assert_int_eq(weir__ip_output(host.net, rig_frame(&host.net->frames, "x", 1, 0), &tx),
			 0);
	next = weir__netstack_next_deadline(host.net);
	ck_assert_uint_gt(next, host.now_ns);
	ck_assert_uint_le(next, host.now_ns + WEIR_NETSTACK_SEC);
	for (unsigned i = 0; i < 100 && host.net->count.arp_failed == 0; i++) {
		next = weir__netstack_next_deadline(host.net);
		ck_assert_uint_gt(next, host.now_ns);
		host_wait(&host, next - host.now_ns);
	}
	ck_assert_uint_eq(host.net->count.arp_failed, 1);
	ck_assert_uint_eq(host_out_all(&host), 3);
}
END_TEST

/* Makes frames of all kinds: truncated, for other hosts, ARP, TCP and UDP to unused ports, with a
 * wrong checksum, as a fragment. A burst has more of them than are prefetched at once. */
static uint32_t some_frame(unsigned i, unsigned char *frame)
{
	static const uint8_t protocol[] = { WEIR_IP_TCP, WEIR_IP_UDP, 253 };
	unsigned char payload[64] = {
		0x10, 0, 0, 80, [12] = 0x50, [13] = 2, [40] = (unsigned char)i
	};
	uint32_t len;

	if (i % 5 == 0)
		return host_arp(frame, 1, peer_mac, PEER_IP, HOST_IP);
	len = host_packet(frame, PEER_IP, i % 7 == 0 ? GATEWAY_IP : HOST_IP, protocol[i % 3],
			  (uint16_t)i, i % 11 == 0 ? 0x2000 : 0, payload, sizeof(payload));
	if (i % 4 == 0)
		return len * i / 100;
	frame[24] ^= i % 13 == 0;
	return len;
}

static void put_in(struct weir__frame_queue *queue, const unsigned char *bytes, uint32_t len)
{
	struct weir__frame *frame = rig_frame(&host.net->frames, bytes, len, 0);

	frame->flags = UINT16_MAX & ~(WEIR_FRAME_SUMMED | WEIR_FRAME_CHECKED);
	if (queue != NULL)
		weir__frame_queue_push(queue, frame);
	else
		weir__netstack_input(host.net, frame);
}

START_TEST(a_burst_is_as_its_frames_one_by_one)
{
	struct weir__netstack_counters before;
	struct weir__frame_queue queue = { NULL, NULL };
	unsigned char frame[2048];
	unsigned sent;

	for (unsigned i = 0; i < 100; i++)
		put_in(NULL, frame, some_frame(i, frame));
	before = host.net->count;
	sent = host_out_all(&host);
	teardown();
	setup();
	for (unsigned i = 0; i < 100; i++)
		put_in(&queue, frame, some_frame(i, frame));
	weir__netstack_input_burst(host.net, &queue);
	ck_assert_ptr_null(queue.first);
	ck_assert_mem_eq(&host.net->count, &before, sizeof(before));
	ck_assert_uint_eq(host_out_all(&host), sent);
	ck_assert_uint_gt(sent, 20);
	ck_assert_uint_gt(before.tcp_in_segments, 10);
}
END_TEST

START_TEST(events_come_in_their_order_and_once)
{
	struct weir__netstack_source source[3] = { { .kind = 0 } };
	unsigned events = 0;

	ck_assert_ptr_null(weir__netstack_next_event(host.net, &events));
	weir__netstack_raise(host.net, &source[1], WEIR_NETSTACK_READABLE);
	weir__netstack_raise(host.net, &source[0], WEIR_NETSTACK_WRITABLE);
	weir__netstack_raise(host.net, &source[1], WEIR_NETSTACK_WRITABLE);
	ck_assert_uint_eq(weir__netstack_next_deadline(host.net), host.now_ns);
	ck_assert_ptr_eq(weir__netstack_next_event(host.net, &events), &source[1]);
	ck_assert_uint_eq(events, WEIR_NETSTACK_READABLE | WEIR_NETSTACK_WRITABLE);
	/* An event that is raised meanwhile is fetched later. */
	weir__netstack_raise(host.net, &source[1], WEIR_NETSTACK_FAILED);
	ck_assert_ptr_eq(weir__netstack_next_event(host.net, &events), &source[0]);
	ck_assert_uint_eq(events, WEIR_NETSTACK_WRITABLE);
	ck_assert_ptr_eq(weir__netstack_next_event(host.net, &events), &source[1]);
	ck_assert_uint_eq(events, WEIR_NETSTACK_FAILED);
	ck_assert_ptr_null(weir__netstack_next_event(host.net, &events));
}
END_TEST

START_TEST(a_source_that_goes_away_has_no_events)
{
	struct weir__netstack_source source[3] = { { .kind = 0 } };
	unsigned events;

	for (unsigned gone = 0; gone < 3; gone++) {
		for (unsigned i = 0; i < 3; i++)
			weir__netstack_raise(host.net, &source[i], WEIR_NETSTACK_READABLE);
		weir__netstack_silence(host.net, &source[gone]);
		weir__netstack_silence(host.net, &source[gone]);
		for (unsigned i = 0; i < 3; i++)
			if (i != gone)
				ck_assert_ptr_eq(weir__netstack_next_event(host.net, &events),
						 &source[i]);
		ck_assert_ptr_null(weir__netstack_next_event(host.net, &events));
		weir__netstack_raise(host.net, &source[gone], WEIR_NETSTACK_READABLE);
		ck_assert_ptr_eq(weir__netstack_next_event(host.net, &events), &source[gone]);
	}
}
END_TEST

START_TEST(what_waits_is_charged_at_its_true_size)
{
	struct weir__frame *frame = rig_frame(&host.net->frames, "x", 1, 0);

	host.net->memory.limit_bytes = 4000;
	ck_assert(!weir__netstack_scarce(host.net));
	ck_assert(weir__netstack_has_room(host.net, 4000));
	ck_assert(!weir__netstack_has_room(host.net, 4001));
	weir__netstack_charge(host.net, frame);
	ck_assert_uint_ge(host.net->memory.used_bytes, RIG_BLOCK_BYTES);
	ck_assert(!weir__netstack_has_room(host.net, 4000));
	host.net->memory.limit_bytes = host.net->memory.used_bytes + 1;
	ck_assert(weir__netstack_scarce(host.net));
	weir__netstack_lend(host.net, frame);
	ck_assert_uint_eq(host.net->memory.lent_bytes, host.net->memory.used_bytes);
	weir__netstack_give_back(host.net, frame);
	ck_assert_uint_eq(host.net->memory.lent_bytes, 0);
	ck_assert_uint_eq(host.net->memory.used_bytes, 0);
	ck_assert_uint_eq(host.rig.blocks, 0);
}
END_TEST

START_TEST(every_counter_has_a_name_of_its_own)
{
	unsigned count = 0;

	for (; weir__netstack_counter_names[count] != NULL; count++)
		for (unsigned i = 0; i < count; i++)
			ck_assert_str_ne(weir__netstack_counter_names[i],
					 weir__netstack_counter_names[count]);
	ck_assert_uint_eq(count * sizeof(uint64_t), sizeof(struct weir__netstack_counters));
	ck_assert_str_eq(weir__netstack_counter_names[0], "LinkInFrames");
	ck_assert_uint_eq(weir__netstack_counters(host.net)->link_in, 0);
}
END_TEST

int main(int argc, char **argv)
{
#define CASE(name) TESTING(name, .setup = setup, .teardown = teardown)
	const struct testing_case cases[] = {
		CASE(an_instance_without_work_needs_no_turn),
		CASE(the_deadline_is_that_of_the_first_timer),
		CASE(a_burst_is_as_its_frames_one_by_one),
		CASE(events_come_in_their_order_and_once),
		CASE(a_source_that_goes_away_has_no_events),
		CASE(what_waits_is_charged_at_its_true_size),
		CASE(every_counter_has_a_name_of_its_own),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
