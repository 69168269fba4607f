/* SPDX-License-Identifier: MIT */
/*
 * ip4.c: IPv4 (RFC 791): checks and strips headers, writes them, and fragments packets.
 *
 * Packets for other hosts are dropped, never forwarded. Options of received packets are skipped; a
 * packet with a source route is dropped (RFC 1122 3.2.1.8 lets a host refuse it). Packets are sent
 * without options.
 */
#include "stack/checksum.h"
#include "stack/ethernet.h"
#include "stack/instance.h"
#include "stack/reassembly.h"
#include "stack/siphash.h"

#define DONT_FRAGMENT 0x4000u
#define MORE_FRAGMENTS 0x2000u

/* ---- in -------------------------------------------------------------------------------------- */

enum option {
	OPTION_END = 0,
	OPTION_NOTHING = 1,
	OPTION_LOOSE_ROUTE = 131,
	OPTION_STRICT_ROUTE = 137,
};

/* 0; -EPERM for a source route; -EINVAL for malformed options. */
static int check_options(const unsigned char *option, uint32_t len)
{
	uint32_t at = 0;

	while (at < len && option[at] != OPTION_END) {
		if (option[at] == OPTION_NOTHING) {
			at++;
			continue;
		}
		if (option[at] == OPTION_LOOSE_ROUTE || option[at] == OPTION_STRICT_ROUTE)
			return -EPERM;
		if (len - at < 2 || option[at + 1] < 2 || option[at + 1] > len - at)
			return -EINVAL;
		at += option[at + 1];
	}
	return 0;
}

/* Returns the contiguous header. NULL if it is invalid, which is counted. */
static const unsigned char *header_of(struct weir__netstack *net, const struct weir__frame *frame,
				      unsigned char scratch[WEIR_IP4_HEADER_MAX], uint32_t *ret_len)
{
	const unsigned char *header = weir__frame_peek(frame, 0, WEIR_IP4_HEADER_BYTES, scratch);
	uint32_t len;
	int rc;

	if (header == NULL) {
		net->count.ip_in_truncated++;
		return NULL;
	}
	len = (header[0] & 0xfu) * 4;
	if (header[0] >> 4 != 4 || len < WEIR_IP4_HEADER_BYTES || weir__get16(header + 2) < len) {
		net->count.ip_in_header_errors++;
		return NULL;
	}
	if (weir__get16(header + 2) > frame->total) {
		net->count.ip_in_truncated++;
		return NULL;
	}
	header = weir__frame_peek(frame, 0, len, scratch);
	if (!(frame->flags & WEIR_FRAME_CHECKED) &&
	    weir__checksum_finish(weir__checksum(header, len)) != 0) {
		net->count.ip_in_checksum_errors++;
		return NULL;
	}
	rc = len == WEIR_IP4_HEADER_BYTES
		     ? 0
		     : check_options(header + WEIR_IP4_HEADER_BYTES, len - WEIR_IP4_HEADER_BYTES);
	if (rc < 0) {
		if (rc == -EPERM)
			net->count.ip_in_source_routed++;
		else
			net->count.ip_in_header_errors++;
		return NULL;
	}
	/* A piece with only a part of the header is freed when the header is pulled off. */
	if (header != scratch && frame->len < len)
		header = memcpy(scratch, header, len);
	*ret_len = len;
	return header;
}

/*
 * Whether the packet is for us and its source can be a host. A packet from the link that has our
 * own address as its source is forged (a land attack).
 */
static bool addressed_to_us(struct weir__netstack *net, const struct weir__frame *frame,
			    struct weir__ip_rx *rx)
{
	bool looped = frame->flags & WEIR_FRAME_LOOPED;

	if (!weir__ip_is_unicast(net, &rx->source) ||
	    (!looped && weir__ip_is_own(net, &rx->source))) {
		net->count.ip_in_martians++;
		return false;
	}
	if (WEIR_STACK_LIKELY(weir__ip_is_own(net, &rx->destination))) {
		/* RFC 1122 3.3.6: drop a unicast packet in a link-layer broadcast. */
		if (!(frame->flags & WEIR_FRAME_BROADCAST))
			return true;
	} else if (weir__ip_is_broadcast(net, &rx->destination)) {
		rx->broadcast = true;
		return true;
	}
	net->count.ip_in_address_errors++;
	return false;
}

/* Reads and checks the header; false: the packet must be dropped. */
static bool read_header(struct weir__netstack *net, const struct weir__frame *frame,
			struct weir__ip_rx *rx)
{
	rx->header = header_of(net, frame, rx->scratch, &rx->header_len);
	if (rx->header == NULL)
		return false;
	rx->source = weir__ip_v4(weir__get32(rx->header + 12));
	rx->destination = weir__ip_v4(weir__get32(rx->header + 16));
	rx->tos = rx->header[1];
	rx->ttl = rx->header[8];
	rx->protocol = rx->header[9];
	rx->broadcast = false;
	return addressed_to_us(net, frame, rx);
}

struct weir__frame *weir__ip4_input(struct weir__netstack *net, struct weir__frame *frame,
				    struct weir__ip_rx *ret_rx)
{
	const unsigned char *header;
	uint16_t fragment;

	net->count.ip_in_receives++;
	if (!read_header(net, frame, ret_rx)) {
		weir__frame_free(&net->frames, frame);
		return NULL;
	}
	header = ret_rx->header;
	fragment = weir__get16(header + 6);
	weir__frame_trim(&net->frames, frame, weir__get16(header + 2));
	weir__frame_pull(&net->frames, frame, ret_rx->header_len);
	if (WEIR_STACK_LIKELY(!(fragment & (MORE_FRAGMENTS | WEIR_IP4_OFFSET_MASK))))
		return frame;
	return weir__reassemble(net, frame, ret_rx, weir__get16(header + 4),
				(fragment & WEIR_IP4_OFFSET_MASK) * 8u, fragment & MORE_FRAGMENTS);
}

/* ---- out ------------------------------------------------------------------------------------- */

/*
 * The identification of a packet that may be fragmented: a counter for each pair of hosts, which
 * begins at an unpredictable value (RFC 7739 gives the reasons for IPv6). A packet that is never
 * fragmented needs none (RFC 6864).
 */
static uint16_t next_id(struct weir__netstack *net, const struct weir__ip_tx *tx)
{
	uint64_t hash = weir__siphash13_pair(net->hash_secret, weir__ip_v4_number(&tx->source),
					     weir__ip_v4_number(&tx->destination));

	return net->ip.ids[hash % WEIR_IP_IDS]++;
}

static void push_header(struct weir__frame *frame, const struct weir__ip_tx *tx, uint16_t id,
			uint16_t fragment)
{
	unsigned char *header = weir__frame_push(frame, WEIR_IP4_HEADER_BYTES);

	header[0] = 0x45;
	header[1] = tx->tos;
	weir__put16(header + 2, (uint16_t)frame->total);
	weir__put16(header + 4, id);
	weir__put16(header + 6, fragment);
	header[8] = tx->ttl != 0 ? tx->ttl : 64;
	header[9] = tx->protocol;
	weir__put16(header + 10, 0);
	memcpy(header + 12, tx->source.bytes + 12, 4);
	memcpy(header + 16, tx->destination.bytes + 12, 4);
	weir__put_checksum(header + 10,
			   weir__checksum_finish(weir__checksum(header, WEIR_IP4_HEADER_BYTES)));
}

/* Makes the fragments of a packet and queues them. -ENOMEM. */
static int cut(struct weir__netstack *net, struct weir__frame *frame, const struct weir__ip_tx *tx,
	       uint32_t mtu, struct weir__frame_queue *queue)
{
	uint32_t most = (mtu - WEIR_IP4_HEADER_BYTES) & ~7u, len;
	uint16_t id = next_id(net, tx);
	struct weir__frame *fragment, *bytes;

	for (uint32_t at = 0; at < frame->total; at += len) {
		len = frame->total - at < most ? frame->total - at : most;
		fragment = weir__frame_new(&net->frames, WEIR_FRAME_HEADROOM, 0);
		if (fragment == NULL)
			return -ENOMEM;
		weir__frame_queue_push(queue, fragment);
		if (weir__frame_clone(&net->frames, frame, at, len, &bytes) < 0)
			return -ENOMEM;
		weir__frame_append(&net->frames, fragment, bytes);
		push_header(fragment, tx, id,
			    (uint16_t)(at / 8 | (at + len < frame->total ? MORE_FRAGMENTS : 0)));
		net->count.ip_fragment_creates++;
	}
	return 0;
}

static int send_fragments(struct weir__netstack *net, struct weir__frame *frame,
			  const struct weir__ip_tx *tx, uint32_t mtu)
{
	struct weir__frame_queue queue = { NULL, NULL };
	struct weir__frame *fragment;
	int rc;

	weir__ip_complete_checksum(frame);
	rc = cut(net, frame, tx, mtu, &queue);
	weir__frame_free(&net->frames, frame);
	while ((fragment = weir__frame_queue_pop(&queue)) != NULL) {
		if (rc < 0)
			weir__frame_free(&net->frames, fragment);
		else
			rc = weir__ip_send(net, fragment, tx);
	}
	if (rc < 0)
		net->count.ip_fragment_fails++;
	else
		net->count.ip_fragment_oks++;
	return rc;
}

static int too_big(struct weir__netstack *net, struct weir__frame *frame)
{
	net->count.ip_fragment_fails++;
	weir__frame_free(&net->frames, frame);
	return -EMSGSIZE;
}

int weir__ip4_output(struct weir__netstack *net, struct weir__frame *frame,
		     const struct weir__ip_tx *tx)
{
	uint32_t mtu = weir__ip_path_mtu(net, &tx->destination), packet = frame->total;
	bool whole = tx->flags & WEIR_IP_DONT_FRAGMENT;

	if (frame->segment_bytes != 0)
		packet = (uint32_t)tx->header_bytes + frame->segment_bytes;
	if (frame->total > UINT16_MAX - WEIR_IP4_HEADER_BYTES)
		return too_big(net, frame);
	if (packet + WEIR_IP4_HEADER_BYTES > mtu) {
		if (whole || frame->segment_bytes != 0)
			return too_big(net, frame);
		return send_fragments(net, frame, tx, mtu);
	}
	push_header(frame, tx, whole ? 0 : next_id(net, tx), whole ? DONT_FRAGMENT : 0);
	return weir__ip_send(net, frame, tx);
}
