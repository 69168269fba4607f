/* SPDX-License-Identifier: MIT */
/*
 * tcp_burst.c: begins to fetch what a burst of frames needs into the cache.
 *
 * With thousands of connections each segment meets memory that no cache has: the bucket of the
 * table, the connection it leads to, and the frame that waits there to be acknowledged. One after
 * the other they cost more than the rest of the work. Here each step is done for all frames before
 * the next step, so that the accesses of a burst wait for memory together.
 *
 * Nothing is decided here. A frame that is not an ordinary segment of IPv4 is left out, and a
 * connection that is guessed wrong costs a little time.
 */
#include "stack/ethernet.h"
#include "stack/tcp_state.h"

#define LINE 64u
#define IP_AT WEIR_ETHERNET_HEADER_BYTES
#define TCP_AT (IP_AT + 20)

static void fetch(const void *object, size_t bytes)
{
	const char *at = object;

	for (size_t i = 0; i < bytes; i += LINE)
		__builtin_prefetch(at + i, 1);
}

/* The flow of a segment, as it stands in a header that nobody has checked yet. */
static bool read_flow(const struct weir__frame *frame, struct weir__flow *ret_flow)
{
	const unsigned char *at = frame->data;

	if (frame->len < TCP_AT + WEIR_TCP_HEADER || weir__get16(at + 12) != WEIR_ETHERNET_IPV4 ||
	    at[IP_AT] != 0x45 || at[IP_AT + 9] != WEIR_IP_TCP)
		return false;
	*ret_flow = (struct weir__flow){ .local = weir__ip_v4(weir__get32(at + IP_AT + 16)),
					 .remote = weir__ip_v4(weir__get32(at + IP_AT + 12)),
					 .local_port = weir__get16(at + TCP_AT + 2),
					 .remote_port = weir__get16(at + TCP_AT) };
	return true;
}

/* What is used of a connection while nothing is lost, and the frame that its ACK will free, with
 * what stands before it in its block. */
static void fetch_connection(const struct weir__tcp *tcp)
{
	fetch(tcp, offsetof(struct weir__tcp, accept_next));
}

static void fetch_sent(const struct weir__frame *frame)
{
	fetch(WEIR_STACK_CONTAINER(frame, struct weir__block, first), sizeof(struct weir__block));
}

static uint64_t *control_of(struct weir__frame *frame)
{
	return WEIR_FRAME_CONTROL(frame, uint64_t);
}

uint64_t weir__tcp_hash_of(const struct weir__netstack *net, struct weir__frame *frame,
			   const struct weir__flow *flow)
{
	return frame->flags & WEIR_FRAME_HASHED ? *control_of(frame) : weir__tcp_hash(net, flow);
}

void weir__tcp_expect(struct weir__netstack *net, struct weir__frame *const *frames,
		      unsigned count)
{
	uint64_t hash[WEIR_NETSTACK_BURST];
	const struct weir__tcp *tcp[WEIR_NETSTACK_BURST];
	struct weir__flow flow;
	unsigned known = 0, i;

	for (i = 0; i < count; i++) {
		if (!read_flow(frames[i], &flow))
			continue;
		hash[known] = weir__tcp_hash(net, &flow);
		weir__tcp_fetch_bucket(net, hash[known]);
		*control_of(frames[i]) = hash[known++];
		frames[i]->flags |= WEIR_FRAME_HASHED;
	}
	for (i = 0; i < known; i++) {
		tcp[i] = weir__tcp_guess(net, hash[i]);
		if (tcp[i] != NULL)
			fetch_connection(tcp[i]);
	}
	for (i = 0; i < known; i++)
		if (tcp[i] != NULL && tcp[i]->first != NULL)
			fetch_sent(tcp[i]->first);
}
