/* SPDX-License-Identifier: MIT */
/*
 * tcp_burst.c: prefetches the memory that a frame of a burst needs, before the frame is processed.
 *
 * With thousands of connections, each segment needs memory that no cache holds: the bucket of the
 * table, the connection, and the first frame of the send queue, which the segment may acknowledge.
 * Fetched one after the other, they cost more time than the rest of the processing. Therefore
 * stack.c calls the steps for a frame while it processes the frames before it, so that the memory
 * accesses overlap.
 *
 * The steps only prefetch and store a hash; they change no state of TCP. They skip frames other
 * than IPv4 segments without options and fragmentation. A wrong guess of the connection costs a
 * little time and has no other effect.
 */
#include "stack/ethernet.h"
#include "stack/tcp_state.h"

#define LINE 64u
#define IP_AT WEIR_ETHERNET_HEADER_BYTES
#define TCP_AT (IP_AT + 20)
#define FRAGMENT_MASK 0x3fffu	/* more fragments, and the offset */

static void fetch(const void *object, size_t bytes)
{
	const char *at = object;

	for (size_t i = 0; i < bytes; i += LINE)
		__builtin_prefetch(at + i, 1);
}

/* Reads the flow from headers that are not checked yet. False for a fragment: it may have no ports,
 * and its control bytes belong to reassembly. */
static bool read_flow(const struct weir__frame *frame, struct weir__flow *ret_flow)
{
	const unsigned char *at = frame->data;

	if (frame->len < TCP_AT + WEIR_TCP_HEADER || weir__get16(at + 12) != WEIR_ETHERNET_IPV4 ||
	    at[IP_AT] != 0x45 || at[IP_AT + 9] != WEIR_IP_TCP ||
	    weir__get16(at + IP_AT + 6) & FRAGMENT_MASK)
		return false;
	*ret_flow = (struct weir__flow){ .local = weir__ip_v4(weir__get32(at + IP_AT + 16)),
					 .remote = weir__ip_v4(weir__get32(at + IP_AT + 12)),
					 .local_port = weir__get16(at + TCP_AT + 2),
					 .remote_port = weir__get16(at + TCP_AT) };
	return true;
}

/* The control bytes of a frame with WEIR_FRAME_HASHED. */
struct expected {
	uint64_t hash;
	const struct weir__tcp *tcp;	/* NULL: not known */
};

static struct expected *expected_of(struct weir__frame *frame)
{
	return WEIR_FRAME_CONTROL(frame, struct expected);
}

uint64_t weir__tcp_hash_of(const struct weir__netstack *net, struct weir__frame *frame,
			   const struct weir__flow *flow)
{
	if (!(frame->flags & WEIR_FRAME_HASHED))
		return weir__tcp_hash(net, flow);
	WEIR_STACK_ASSERT(expected_of(frame)->hash == weir__tcp_hash(net, flow));
	return expected_of(frame)->hash;
}

static void expect_bucket(struct weir__netstack *net, struct weir__frame *frame)
{
	struct expected *expected = expected_of(frame);
	struct weir__flow flow;

	frame->flags &= (uint16_t)~WEIR_FRAME_HASHED;
	if (!read_flow(frame, &flow))
		return;
	frame->flags |= WEIR_FRAME_HASHED;
	expected->hash = weir__tcp_hash(net, &flow);
	weir__tcp_fetch_bucket(net, expected->hash);
}

/* Prefetches the part of a connection that is used while nothing is lost. */
static void expect_connection(struct weir__netstack *net, struct weir__frame *frame)
{
	struct expected *expected = expected_of(frame);

	expected->tcp = weir__tcp_guess(net, expected->hash);
	if (expected->tcp != NULL)
		fetch(expected->tcp, offsetof(struct weir__tcp, accept_next));
}

/* Prefetches the frame that the ACK will probably free, with the header of its block. Connections
 * are not freed within a turn, so the pointer is still valid. */
static void expect_sent(struct weir__frame *frame)
{
	const struct weir__tcp *tcp = expected_of(frame)->tcp;

	if (tcp != NULL && tcp->first != NULL)
		fetch(WEIR_STACK_CONTAINER(tcp->first, struct weir__block, first),
		      sizeof(struct weir__block));
}

void weir__tcp_expect(struct weir__netstack *net, struct weir__frame *frame, unsigned step)
{
	if (step == 0)
		expect_bucket(net, frame);
	else if (!(frame->flags & WEIR_FRAME_HASHED))
		return;
	else if (step == 1)
		expect_connection(net, frame);
	else
		expect_sent(frame);
}
