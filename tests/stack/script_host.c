/* SPDX-License-Identifier: MIT */
/* script_host.c: see script_host.h. */
#include "stack/checksum.h"
#include "tests/stack/script_host.h"
#include "tests/support/testing.h"

#define PEER_ISS 0xfffff000u	/* wraps soon */
#define PEER_PORT 4000u
#define LOCAL_PORT 80u
#define FRAME_BYTES 70000u

struct script_host script_host;

static unsigned char packet[FRAME_BYTES], frame[FRAME_BYTES];

/* ---- the instance --------------------------------------------------------------------------- */

/* Queues a transmitted frame for the script. */
static void carry(struct offload *offload, const unsigned char *bytes, uint32_t len)
{
	struct script_host *host = WEIR_STACK_CONTAINER(offload, struct script_host, offload);

	weir__frame_queue_push(&host->waiting, rig_frame(&host->net->frames, bytes, len,
							 len > 1700 ? 1000 : 0));
}

void script_host_init(uint32_t offloads)
{
	memset(&script_host, 0, sizeof(script_host));
	script_host.offload.carry = carry;
	script_host.cfg = host_config();
	script_host.cfg.offloads = offloads;
	script_host.flow = &script_host.flows[0];
	for (unsigned i = 0; i < SCRIPT_FLOWS; i++)
		script_host.flows[i] = (struct weir__netstack_user){
			.local_port = LOCAL_PORT,
			.peer_port = (uint16_t)(PEER_PORT + i),
			.peer_iss = PEER_ISS,
			.window = 65535,
		};
}

void script_host_run(void)
{
	if (script_host.running)
		return;
	script_host.running = true;
	host_init(&script_host.host, &script_host.cfg);
	host_meet(&script_host.host, PEER_IP);
	script_host.net = script_host.host.net;
	script_host.start_ns = script_host.host.now_ns;
	script_host.before = *weir__netstack_counters(script_host.net);
}

void script_host_fini(void)
{
	struct weir__frame *out;

	if (!script_host.running)
		return;
	while ((out = weir__frame_queue_pop(&script_host.waiting)) != NULL)
		weir__frame_free(&script_host.net->frames, out);
	host_fini(&script_host.host);
}

unsigned char script_byte(bool of_peer, uint32_t at)
{
	return (unsigned char)(at * 7 + at / 251 + of_peer * 128u);
}

/* ---- time and frames ------------------------------------------------------------------------ */

uint64_t script_now_ns(void)
{
	return script_host.running ? script_host.host.now_ns - script_host.start_ns : 0;
}

static void take_events(void)
{
	struct weir__netstack_source *source;
	unsigned events;

	while ((source = weir__netstack_next_event(script_host.net, &events)) != NULL)
		if (source->user != NULL)
			source->user->events |= events;
}

/* Whether a frame is an ARP packet. The peer answers ARP requests. */
static bool is_arp(const struct weir__frame *out)
{
	unsigned char type[2], answer[64];
	uint32_t len;

	weir__frame_copy_out(out, 12, type, 2);
	if (weir__get16(type) != WEIR_ETHERNET_ARP)
		return false;
	len = host_arp(answer, 2, peer_mac, PEER_IP, HOST_IP);
	weir__netstack_begin(script_host.net, script_host.host.now_ns);
	weir__netstack_input(script_host.net,
			     rig_frame(&script_host.net->frames, answer, len, 0));
	weir__netstack_end(script_host.net);
	return true;
}

static void gather(void)
{
	struct weir__frame *out;

	take_events();
	while ((out = weir__frame_queue_pop(&script_host.host.rig.sent)) != NULL) {
		rig_check_frame(out, frame, weir__frame_copy_out(out, 0, frame, FRAME_BYTES));
		if (!is_arp(out))
			offload_transmit(&script_host.offload, out);
		weir__frame_free(&script_host.net->frames, out);
	}
}

void script_begin(void)
{
	script_host_run();
	if (!script_host.in_turn)
		weir__netstack_begin(script_host.net, script_host.host.now_ns);
}

void script_finish(void)
{
	if (script_host.in_turn)
		return;
	weir__netstack_end(script_host.net);
	gather();
}

/* Makes one turn, at the next deadline or at end_ns. */
static void step(uint64_t end_ns)
{
	uint64_t now = script_host.host.now_ns,
		 next = weir__netstack_next_deadline(script_host.net);

	if (next <= now)
		next = now + SCRIPT_MS;
	host_wait(&script_host.host, (next < end_ns ? next : end_ns) - now);
	gather();
}

bool script_wait_out(int64_t ns)
{
	uint64_t end_ns;

	script_host_run();
	end_ns = script_host.host.now_ns + (uint64_t)ns;
	while (script_host.waiting.first == NULL && script_host.host.now_ns < end_ns)
		step(end_ns);
	return script_host.waiting.first != NULL;
}

void script_wait(int64_t ns)
{
	script_expect_nothing();
	if (script_wait_out(ns))
		script_expect_nothing();
}

void script_expect_nothing(void)
{
	struct script_segment segment;
	char text[SCRIPT_TEXT];

	if (script_host.waiting.first == NULL)
		return;
	script_receive(&segment);
	script_fail("a segment came out that was not expected:\n  came      %s",
		    script_print_segment(&segment, text));
}

/* ---- in ------------------------------------------------------------------------------------- */

static void put_in(const unsigned char *bytes, uint32_t len)
{
	struct weir__frame *in;

	script_begin();
	in = rig_frame(&script_host.net->frames, bytes, len, len > 1700 ? 1000 : 0);
	weir__netstack_input(script_host.net, in);
	script_finish();
}

/* The timestamp that the peer would send now. */
static struct script_option timestamp(const struct weir__netstack_user *flow)
{
	uint64_t ms = (script_host.host.now_ns - flow->peer_tsval_ns) / SCRIPT_MS;

	return (struct script_option){
		.kind = SCRIPT_TS,
		.count = 2,
		.values = { script_one((int64_t)(flow->peer_tsval + ms)),
			    script_one((int32_t)(flow->last_tsval - flow->tsval)) },
	};
}

static void add_option(struct script_segment *segment, const struct script_option *option)
{
	segment->options[segment->option_count++] = *option;
}

static void add_nops(struct script_segment *segment)
{
	const struct script_option nop = { .kind = SCRIPT_NOP };

	add_option(segment, &nop);
	add_option(segment, &nop);
}

/* Adds the options that Linux would send to a segment without a list of options. */
static void add_options(const struct weir__netstack_user *flow, struct script_segment *segment)
{
	struct script_option option = { .kind = SCRIPT_SACK };

	if (flow->stamps && flow->peer_stamps) {
		struct script_option stamp = timestamp(flow);

		add_nops(segment);
		add_option(segment, &stamp);
	}
	if (segment->sack_count == 0)
		return;
	for (unsigned i = 0; i < segment->sack_count; i++) {
		option.values[option.count++] = segment->sack[i][0];
		option.values[option.count++] = segment->sack[i][1];
	}
	add_nops(segment);
	add_option(segment, &option);
}

/* Replaces each * in a timestamp of the script by the value that the peer would send. */
static void fill_in(const struct weir__netstack_user *flow, struct script_segment *segment)
{
	struct script_option stamp = timestamp(flow);

	for (unsigned i = 0; i < segment->option_count; i++) {
		struct script_option *option = &segment->options[i];

		for (unsigned j = 0; j < option->count; j++) {
			if (option->kind == SCRIPT_RAW ||
			    option->values[j].low == option->values[j].high)
				continue;
			if (option->kind != SCRIPT_TS)
				script_wrong("an option that is sent needs one value, no range");
			option->values[j] = stamp.values[j];
		}
	}
}

/* Stores what the peer's SYN negotiates. */
static void note_sent(struct weir__netstack_user *flow, const struct script_segment *segment)
{
	if (!(segment->flags & SCRIPT_SYN))
		return;
	flow->peer_syn = (uint32_t)segment->seq.low + flow->peer_iss;
	flow->peer_scales = false;
	flow->peer_stamps = false;
	for (unsigned i = 0; i < segment->option_count; i++) {
		const struct script_option *option = &segment->options[i];

		if (option->kind == SCRIPT_WSCALE) {
			flow->peer_scales = true;
			flow->peer_shift = (uint8_t)(option->values[0].low < 14
							     ? option->values[0].low
							     : 14);
		} else if (option->kind == SCRIPT_TS) {
			flow->peer_stamps = true;
			flow->peer_tsval = (uint32_t)option->values[0].low;
			flow->peer_tsval_ns = script_host.host.now_ns;
		}
	}
}

static struct script_base base_of_peer(const struct weir__netstack_user *flow)
{
	return (struct script_base){
		.seq = flow->peer_iss,
		.ack = flow->iss,
		.tsecr = flow->tsval,
		.shift = flow->scales && flow->peer_scales ? flow->peer_shift : 0,
	};
}

static void fill_payload(const struct script_segment *segment, unsigned char *to)
{
	uint32_t at = (uint32_t)segment->seq.low - 1 + !!(segment->flags & SCRIPT_SYN);

	for (uint32_t i = 0; i < segment->len.low; i++)
		to[i] = segment->fill >= 0 ? (unsigned char)segment->fill
					   : script_byte(true, at + i);
}

static void finish_header(const struct weir__netstack_user *flow, bool bad_checksum, uint32_t len)
{
	struct weir__ip_address source = weir__ip_v4(PEER_IP), destination = weir__ip_v4(HOST_IP);
	uint32_t sum;

	weir__put16(packet, flow->peer_port);
	weir__put16(packet + 2, flow->local_port);
	sum = weir__checksum_add(weir__ip_pseudo_sum(&source, &destination, WEIR_IP_TCP, len),
				 weir__checksum(packet, len));
	weir__put_checksum(packet + 16, weir__checksum_finish(sum));
	packet[16] ^= bad_checksum;
}

void script_send(struct script_segment *segment)
{
	struct weir__netstack_user *flow = script_host.flow;
	struct script_base base;
	uint32_t len;

	script_host_run();
	base = base_of_peer(flow);
	if (!segment->has_options)
		add_options(flow, segment);
	fill_in(flow, segment);
	if (!segment->has_window)
		segment->window = script_one(flow->window);
	else if (!(segment->flags & SCRIPT_SYN) && segment->window.low % (1 << base.shift) != 0)
		script_wrong("this window cannot be said with a shift of %u", base.shift);
	len = script_write_header(segment, packet, &base);
	if (segment->len.low + len > 65000)
		script_wrong("a segment has at most 65000 bytes");
	fill_payload(segment, packet + len);
	len += (uint32_t)segment->len.low;
	finish_header(flow, segment->bad_checksum, len);
	note_sent(flow, segment);
	put_in(frame, host_packet(frame, PEER_IP, HOST_IP, WEIR_IP_TCP, 0, 0x4000, packet, len));
}

void script_send_icmp(uint8_t type, uint8_t code, uint32_t rest, uint32_t seq, uint32_t quoted)
{
	struct weir__netstack_user *flow = script_host.flow;
	unsigned char header[20] = { 0 }, message[128];
	uint32_t len;

	weir__put16(header, flow->local_port);
	weir__put16(header + 2, flow->peer_port);
	weir__put32(header + 4, seq + flow->iss);
	header[12] = 0x50;
	header[13] = SCRIPT_ACK;
	/* The quoted packet was sent to the peer; its total length is that of a full packet. */
	host_packet(frame, HOST_IP, PEER_IP, WEIR_IP_TCP, 0, 0x4000, header, quoted);
	weir__put16(frame + 16, 1500);
	host_resum(frame);
	len = host_icmp(message, type, code, rest, frame + 14, 20 + quoted);
	put_in(frame, host_packet(frame, PEER_IP, HOST_IP, WEIR_IP_ICMP, 0, 0, message, len));
}

/* ---- out ------------------------------------------------------------------------------------ */

static struct script_base base_of_instance(const struct weir__netstack_user *flow)
{
	return (struct script_base){
		.seq = flow->iss,
		.ack = flow->peer_iss,
		.tsval = flow->tsval,
		.shift = flow->scales && flow->peer_scales ? flow->shift : 0,
	};
}

/* Stores what the instance's SYN negotiates, and its initial sequence number. */
static void learn(struct weir__netstack_user *flow, const unsigned char *header, uint32_t len)
{
	const struct script_base zero = { 0 };
	struct script_segment segment;
	uint32_t bytes;
	bool is_syn;

	if (!script_read_segment(&segment, header, len, &zero, &bytes))
		script_fail("a segment came out whose header is none");
	is_syn = segment.flags & SCRIPT_SYN;
	if (is_syn) {
		flow->syn = (uint32_t)segment.seq.low;
		flow->iss = flow->begun ? flow->iss : flow->syn;
		flow->begun = true;
		flow->scales = false;
		flow->stamps = false;
	}
	for (unsigned i = 0; i < segment.option_count; i++) {
		const struct script_option *option = &segment.options[i];

		if (option->kind == SCRIPT_WSCALE && is_syn) {
			flow->scales = true;
			flow->shift = (uint8_t)option->values[0].low;
		} else if (option->kind == SCRIPT_TS) {
			flow->stamps |= is_syn;
			flow->last_tsval = (uint32_t)option->values[0].low;
			flow->tsval = flow->has_tsval ? flow->tsval : flow->last_tsval;
			flow->has_tsval = true;
		}
	}
}

static void check_payload(const struct script_segment *segment, const unsigned char *payload)
{
	uint32_t at = (uint32_t)segment->seq.low - 1 + !!(segment->flags & SCRIPT_SYN);

	for (uint32_t i = 0; i < segment->len.low; i++)
		if (payload[i] != script_byte(false, at + i))
			script_fail("byte %u of the stream is %u in a segment, and should be %u",
				    at + i, payload[i], script_byte(false, at + i));
}

static void check_ports(const struct weir__netstack_user *flow, const unsigned char *header)
{
	uint16_t local = weir__get16(header), remote = weir__get16(header + 2);

	if (local != flow->local_port || remote != flow->peer_port)
		script_fail("a segment came out from port %u to %u; this flow has %u and %u", local,
			    remote, flow->local_port, flow->peer_port);
}

static void check_checksum(const unsigned char *bytes, uint32_t len)
{
	struct weir__ip_rx rx = { .source = weir__ip_v4(HOST_IP),
				  .destination = weir__ip_v4(PEER_IP),
				  .protocol = WEIR_IP_TCP };
	struct weir__frame *copy =
		rig_frame(&script_host.net->frames, bytes, len, len > 1700 ? 1000 : 0);
	bool good = weir__ip_checksum_good(copy, &rx);

	weir__frame_free(&script_host.net->frames, copy);
	if (!good)
		script_fail("a segment came out with a wrong checksum");
}

bool script_receive(struct script_segment *ret_segment)
{
	struct weir__netstack_user *flow = script_host.flow;
	struct weir__frame *out = weir__frame_queue_pop(&script_host.waiting);
	struct script_base base;
	char text[SCRIPT_TEXT];
	uint32_t len, header = 0;

	if (out == NULL)
		return false;
	len = weir__frame_copy_out(out, 0, frame, FRAME_BYTES);
	weir__frame_free(&script_host.net->frames, out);
	if (len < 54 || weir__get16(frame + 12) != WEIR_ETHERNET_IPV4 || frame[23] != WEIR_IP_TCP)
		script_fail("a frame came out that is no TCP segment");
	if (!(frame[20] & 0x40))
		script_fail("a segment came out without DF (RFC 1191 section 3)");
	check_ports(flow, frame + 34);
	check_checksum(frame + 34, len - 34);
	learn(flow, frame + 34, len - 34);
	base = base_of_instance(flow);
	script_read_segment(ret_segment, frame + 34, len - 34, &base, &header);
	script_trace(script_now_ns(), "out %s", script_print_segment(ret_segment, text));
	check_payload(ret_segment, frame + 34 + header);
	return true;
}

/* ---- what there is -------------------------------------------------------------------------- */

struct weir__flow script_flow_key(void)
{
	return (struct weir__flow){ .local = weir__ip_v4(HOST_IP),
				    .remote = weir__ip_v4(PEER_IP),
				    .local_port = script_host.flow->local_port,
				    .remote_port = script_host.flow->peer_port };
}

const struct weir__tcp *script_connection(void)
{
	struct weir__flow key = script_flow_key();
	enum weir_tcp_kind kind;
	const void *entry = weir__tcp_find(script_host.net, &key, &kind);

	if (kind == WEIR_TCP_CONNECTION)
		return entry;
	return script_host.flow->tcp;
}

enum weir_tcp_state script_state(void)
{
	struct weir__flow key = script_flow_key();
	enum weir_tcp_kind kind;
	const struct weir__tcp *tcp = weir__tcp_find(script_host.net, &key, &kind);

	switch (kind) {
	case WEIR_TCP_CONNECTION:
		return (enum weir_tcp_state)tcp->state;
	case WEIR_TCP_REQUEST:
		return WEIR_TCP_SYN_RECEIVED;
	case WEIR_TCP_WAIT:
		return WEIR_TCP_TIME_WAIT;
	default:
		return WEIR_TCP_CLOSED;
	}
}
