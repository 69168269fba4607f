/* SPDX-License-Identifier: MIT */
/* stack_peer.c: see stack_peer.h. */
#include "stack/checksum.h"
#include "tests/support/testing.h"
#include "tests/unit/stack_peer.h"

struct peer peer;

void peer_init(const struct weir__netstack_config *cfg)
{
	struct weir__endpoint local = { .port = 80 };

	memset(&peer, 0, sizeof(peer));
	for (unsigned i = 0; i < sizeof(peer.bytes); i++)
		peer.bytes[i] = (unsigned char)(i * 7 + i / 251);
	host_init(&peer.host, cfg);
	host_meet(&peer.host, PEER_IP);
	peer.net = peer.host.net;
	peer.window = 65535;
	peer.port = 80;
	peer.peer_port = PEER_PORT;
	peer.tsval = 1000;
	ck_assert_int_eq(weir__tcp_listen(peer.net, &local, 8, NULL, NULL, &peer.listener), 0);
}

void peer_fini(void)
{
	host_fini(&peer.host);
}

/* ---- in ------------------------------------------------------------------------------------- */

static uint32_t put_options(unsigned char *at, const struct peer_segment *segment)
{
	unsigned char *start = at;

	if (segment->mss != 0) {
		memcpy(at, "\2\4", 2);
		weir__put16(at + 2, segment->mss);
		at += 4;
	}
	if (segment->sack_permitted) {
		memcpy(at, "\1\1\4\2", 4);
		at += 4;
	}
	if (segment->has_ts) {
		memcpy(at, "\1\1\10\12", 4);
		weir__put32(at + 4, segment->tsval);
		weir__put32(at + 8, segment->tsecr);
		at += 12;
	}
	if (segment->has_wscale) {
		memcpy(at, "\1\3\3", 3);
		at[3] = segment->wscale;
		at += 4;
	}
	if (segment->sack_count > 0) {
		memcpy(at, "\1\1\5", 3);
		at[3] = (unsigned char)(2 + 8 * segment->sack_count);
		at += 4;
		for (unsigned i = 0; i < segment->sack_count; i++, at += 8) {
			weir__put32(at, segment->sack[i].start + peer.iss);
			weir__put32(at + 4, segment->sack[i].end + peer.iss);
		}
	}
	return (uint32_t)(at - start);
}

static void super_frame_in(const unsigned char *bytes, uint32_t len, uint16_t segment_bytes)
{
	struct weir__frame *frame =
		rig_frame(&peer.net->frames, bytes, len, RIG_BLOCK_BYTES - WEIR_FRAME_HEADROOM);

	frame->flags |= WEIR_FRAME_CHECKED;
	frame->segment_bytes = segment_bytes;
	weir__netstack_begin(peer.net, peer.host.now_ns);
	weir__netstack_input(peer.net, frame);
	weir__netstack_end(peer.net);
}

void peer_in(struct peer_segment segment)
{
	struct weir__ip_address source = weir__ip_v4(PEER_IP), destination = weir__ip_v4(HOST_IP);
	static unsigned char packet[66000], frame[66100];
	uint32_t header, total, sum;

	if (peer.timestamps && !segment.has_ts) {
		segment.has_ts = true;
		segment.tsval = peer.tsval;
		segment.tsecr = peer.tsecr;
	}
	header = 20 + put_options(packet + 20, &segment);
	total = header + segment.len;
	weir__put16(packet, peer.peer_port);
	weir__put16(packet + 2, peer.port);
	weir__put32(packet + 4, segment.seq + PEER_ISS);
	weir__put32(packet + 8, segment.flags & ACK ? segment.ack + peer.iss : 0);
	packet[12] = (unsigned char)(header / 4 << 4);
	packet[13] = segment.flags;
	weir__put16(packet + 14,
		    (uint16_t)(segment.window != 0 ? segment.window - 1 : peer.window));
	weir__put32(packet + 16, 0);
	memcpy(packet + header,
	       segment.data != NULL ? segment.data : peer.bytes + (segment.seq - 1) % 32768,
	       segment.len);
	sum = weir__checksum_add(weir__ip_pseudo_sum(&source, &destination, WEIR_IP_TCP, total),
				 weir__checksum(packet, total));
	weir__put_checksum(packet + 16, weir__checksum_finish(sum));
	if (segment.segment_bytes != 0)
		packet[16] ^= 0x55;
	total = host_packet(frame, PEER_IP, HOST_IP, WEIR_IP_TCP, 0, 0x4000, packet, total);
	if (segment.segment_bytes != 0)
		super_frame_in(frame, total, segment.segment_bytes);
	else if (peer.batch)
		weir__netstack_input(peer.net, rig_frame(&peer.net->frames, frame, total, 0));
	else
		host_in(&peer.host, frame, total);
}

/* ---- out ------------------------------------------------------------------------------------ */

static void relative(struct peer_segment *segment, const struct weir__tcp_segment *parsed)
{
	*segment = (struct peer_segment){
		.flags = parsed->flags,
		.seq = parsed->seq - peer.iss,
		.ack = parsed->flags & ACK ? parsed->ack - PEER_ISS : 0,
		.window = parsed->window,
		.len = parsed->len,
		.has_ts = parsed->has_ts,
		.sack_permitted = parsed->sack_permitted,
		.has_wscale = parsed->has_wscale,
		.wscale = parsed->wscale,
		.mss = parsed->mss,
		.tsval = parsed->tsval,
		.tsecr = parsed->tsecr,
		.sack_count = parsed->sack_count,
		.at_ns = peer.host.now_ns,
	};
	for (unsigned i = 0; i < parsed->sack_count; i++) {
		segment->sack[i].start = parsed->sack[i].start - PEER_ISS;
		segment->sack[i].end = parsed->sack[i].end - PEER_ISS;
	}
}

bool peer_out(struct peer_segment *ret_segment)
{
	struct weir__ip_rx rx = { .source = weir__ip_v4(HOST_IP),
				  .destination = weir__ip_v4(PEER_IP),
				  .protocol = WEIR_IP_TCP };
	struct weir__tcp_segment parsed;
	struct weir__frame *frame;
	uint32_t len, header;

	do {
		len = host_out(&peer.host, peer.out);
		if (len == 0)
			return false;
	} while (weir__get16(peer.out + 12) != WEIR_ETHERNET_IPV4 || peer.out[23] != WEIR_IP_TCP);
	frame = rig_frame(&peer.net->frames, peer.out + 34, len - 34, len > 1700 ? 1000 : 0);
	ck_assert(weir__ip_checksum_good(frame, &rx));
	header = weir__tcp_parse(frame, &rx, &parsed);
	ck_assert_uint_ge(header, 20);
	weir__frame_free(&peer.net->frames, frame);
	relative(ret_segment, &parsed);
	ret_segment->data = peer.out + 34 + header;
	if (parsed.has_ts)
		peer.tsecr = parsed.tsval;
	return true;
}

struct peer_segment peer_expect(uint8_t flags, uint32_t seq, uint32_t ack, uint32_t len)
{
	struct peer_segment segment;

	ck_assert_msg(peer_out(&segment), "nothing came out; flags %#x seq %u ack %u len %u", flags,
		      seq, ack, len);
	ck_assert_msg((segment.flags & ~PSH) == flags && segment.seq == seq && segment.ack == ack &&
			      segment.len == len,
		      "came: flags %#x seq %u ack %u len %u; expected: %#x %u %u %u", segment.flags,
		      segment.seq, segment.ack, segment.len, flags, seq, ack, len);
	return segment;
}

void peer_expect_nothing(void)
{
	struct peer_segment segment;

	ck_assert_msg(!peer_out(&segment), "came: flags %#x seq %u ack %u len %u", segment.flags,
		      segment.seq, segment.ack, segment.len);
}

/* The peer replies to ARP requests for its address. */
static void answer_arp(void)
{
	struct weir__frame_queue *sent = &peer.host.rig.sent, others = { NULL, NULL };
	unsigned char answer[64], type[2];
	struct weir__frame *frame;
	bool asked = false;

	while ((frame = weir__frame_queue_pop(sent)) != NULL) {
		weir__frame_copy_out(frame, 12, type, 2);
		if (weir__get16(type) == WEIR_ETHERNET_ARP) {
			asked = true;
			weir__frame_free(&peer.net->frames, frame);
		} else {
			weir__frame_queue_push(&others, frame);
		}
	}
	*sent = others;
	if (asked)
		host_in(&peer.host, answer, host_arp(answer, 2, peer_mac, PEER_IP, HOST_IP));
}

static void drain_events(void)
{
	unsigned events;

	while (weir__netstack_next_event(peer.net, &events) != NULL)
		peer.events |= events;
}

static void step(uint64_t ns)
{
	host_wait(&peer.host, ns);
	answer_arp();
	drain_events();
}

void peer_wait(uint64_t ns)
{
	uint64_t end = peer.host.now_ns + ns, next;

	drain_events();
	while ((next = weir__netstack_next_deadline(peer.net)) <= end)
		step(next > peer.host.now_ns ? next - peer.host.now_ns : MS);
	if (end > peer.host.now_ns)
		step(end - peer.host.now_ns);
}

bool peer_wait_out(uint64_t ns, struct peer_segment *ret_segment)
{
	for (uint64_t waited = 0; waited <= ns; waited += MS) {
		if (peer_out(ret_segment))
			return true;
		step(MS);
	}
	return false;
}

/* ---- connections ---------------------------------------------------------------------------- */

struct peer_segment peer_syn(void)
{
	return (struct peer_segment){ .flags = SYN,
				      .mss = 1000,
				      .sack_permitted = true,
				      .has_wscale = true,
				      .wscale = 2,
				      .window = 65536 };
}

struct peer_segment peer_syn_timestamps(void)
{
	struct peer_segment syn = peer_syn();

	syn.mss = 1012;
	syn.has_ts = true;
	syn.tsval = peer.tsval;
	return syn;
}

void peer_accepts(struct peer_segment syn)
{
	struct peer_segment answer;

	peer_in(syn);
	ck_assert(peer_out(&answer));
	ck_assert_uint_eq(answer.flags, SYN | ACK);
	peer.iss += answer.seq;
	peer.timestamps = syn.has_ts;
	peer_wait(PEER_RTT_NS);
	peer_in((struct peer_segment){ .flags = ACK, .seq = 1, .ack = 1 });
	weir__netstack_begin(peer.net, peer.host.now_ns);
	ck_assert_int_eq(weir__tcp_accept(peer.listener, NULL, &peer.tcp), 0);
	weir__netstack_end(peer.net);
	peer_expect_nothing();
}

void peer_connects(struct peer_segment syn)
{
	struct weir__endpoint to = { weir__ip_v4(PEER_IP), PEER_PORT };
	struct peer_segment first;

	weir__netstack_begin(peer.net, peer.host.now_ns);
	ck_assert_int_eq(weir__tcp_connect(peer.net, NULL, &to, NULL, NULL, &peer.tcp), 0);
	weir__netstack_end(peer.net);
	peer.port = weir__tcp_flow(peer.tcp)->local_port;
	ck_assert(peer_out(&first));
	ck_assert_uint_eq(first.flags, SYN);
	peer.iss += first.seq;
	peer.timestamps = syn.has_ts;
	syn.flags |= ACK;
	syn.ack = 1;
	syn.tsecr = peer.tsecr;
	peer_wait(PEER_RTT_NS);
	peer_in(syn);
	peer_expect(ACK, 1, 1, 0);
}

int peer_send(uint32_t len)
{
	int rc;

	weir__netstack_begin(peer.net, peer.host.now_ns);
	rc = weir__tcp_send_copy(peer.tcp, peer.bytes, len, 0);
	weir__netstack_end(peer.net);
	return rc;
}

int peer_read(void *to, uint32_t len)
{
	int rc;

	weir__netstack_begin(peer.net, peer.host.now_ns);
	rc = weir__tcp_receive_copy(peer.tcp, to, len);
	weir__netstack_end(peer.net);
	return rc;
}

struct weir__tcp_info peer_info(void)
{
	struct weir__tcp_info info;

	weir__tcp_info(peer.tcp, &info);
	return info;
}
