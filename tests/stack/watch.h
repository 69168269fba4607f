/* SPDX-License-Identifier: MIT */
/*
 * watch.h: checks each TCP segment on the wire, and derives what may be sent from the segments
 * alone. It has its own parser, so that a fault in the stack's parser cannot hide another fault.
 *
 * The checks (RFC 9293 3.4, 3.8.6, RFC 2018):
 * - data and FIN are within the largest window that the sender has received;
 * - an ACK and SACK blocks cover only data that the other side has sent;
 * - neither ACK numbers nor the right edge of an offered window decrease.
 */
#ifndef WEIR_TESTS_STACK_WATCH_H
#define WEIR_TESTS_STACK_WATCH_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define WATCH_FLOWS 64u

/* What the segments of one end of a flow have shown. */
struct watch_half {
	uint16_t port;
	bool known;			/* its SYN was seen */
	bool has_ack, has_edge, has_granted;
	bool fin;			/* its FIN was sent */
	bool scales;
	uint8_t wscale;
	uint32_t first;			/* the sequence number of the SYN */
	uint32_t end;			/* the end of everything that it has sent */
	uint32_t ack;			/* the highest ACK number that it has sent */
	uint32_t edge;			/* right edge of the window that it has offered */
	uint32_t granted;		/* the highest edge that the other end has received */
};

struct watch_flow {
	struct watch_half half[2];	/* by side */
	/* A listener has answered an old SYN with another number: the checks are not certain. */
	bool unsure;
};

struct watch {
	struct watch_flow flows[WATCH_FLOWS];
	unsigned count;
	uint64_t segments;
	/* The wire sets it when it drops a segment as too big. Then the stack itself drops further
	 * segments that are too big, which causes gaps. */
	bool mtu_lowered;
	const char *why;		/* the first complaint */
};

/* Check an Ethernet frame that a side sends, or that arrives from it undamaged. They ignore frames
 * that are not TCP. */
void watch_sent(struct watch *watch, unsigned from, const unsigned char *frame, uint32_t len);
void watch_arrived(struct watch *watch, unsigned from, const unsigned char *frame, uint32_t len);
/* Prints a segment, with numbers relative to the SYNs. Prints nothing for other frames. */
void watch_print(struct watch *watch, unsigned from, const unsigned char *frame, uint32_t len,
		 FILE *file, double seconds, const char *what);

#endif
