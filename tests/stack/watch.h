/* SPDX-License-Identifier: MIT */
/*
 * watch.h: looks at each TCP segment that goes over the wire, and knows from the segments alone what
 * may be sent. It has a parser of its own, so that a fault in the stack's cannot hide another.
 *
 * What it checks (RFC 9293 3.4, 3.8.6, RFC 2018):
 * - data and FIN lie within the largest window that the sender has received;
 * - an ACK and SACK blocks are for what the other side has sent;
 * - ACK numbers do not go back, and the right edge of an offered window does not either.
 */
#ifndef WEIR_TESTS_STACK_WATCH_H
#define WEIR_TESTS_STACK_WATCH_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define WATCH_FLOWS 64u

/* What one end of a flow has said. */
struct watch_half {
	uint16_t port;
	bool known;			/* its SYN was seen */
	bool has_ack, has_edge, has_granted;
	bool fin;			/* it was sent */
	bool scales;
	uint8_t wscale;
	uint32_t first;			/* the sequence number of the SYN */
	uint32_t end;			/* of everything that it has sent */
	uint32_t ack;			/* the highest that it has sent */
	uint32_t edge;			/* of the window that it has offered */
	uint32_t granted;		/* the highest edge that has reached the other end */
};

struct watch_flow {
	struct watch_half half[2];	/* by side */
	/* A listener has answered an old SYN with another number: nothing more is known for sure. */
	bool unsure;
};

struct watch {
	struct watch_flow flows[WATCH_FLOWS];
	unsigned count;
	uint64_t segments;
	/* Set by the wire when it refuses a segment as too big: the stack drops further ones that
	 * are too big itself, so that there are gaps. */
	bool mtu_lowered;
	const char *why;		/* the first complaint */
};

/* An Ethernet frame that a side sends, or that arrives from it undamaged. Frames that are not TCP
 * are not looked at. */
void watch_sent(struct watch *watch, unsigned from, const unsigned char *frame, uint32_t len);
void watch_arrived(struct watch *watch, unsigned from, const unsigned char *frame, uint32_t len);
/* Prints a segment, with numbers that are relative to the SYNs. Prints nothing if it is no TCP. */
void watch_print(struct watch *watch, unsigned from, const unsigned char *frame, uint32_t len,
		 FILE *file, double seconds, const char *what);

#endif
