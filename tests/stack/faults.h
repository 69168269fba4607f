/* SPDX-License-Identifier: MIT */
/*
 * faults.h: faults of the wire (wire.h), and checks of the segments on it.
 *
 * watch.h checks every TCP segment when it is sent and when it arrives. Its first complaint
 * becomes the wire's.
 *
 * ARP frames are only delayed: if a neighbour does not reply to three requests, a connect ends with
 * an error. That is correct, but it would hide all other faults.
 */
#ifndef WEIR_TESTS_STACK_FAULTS_H
#define WEIR_TESTS_STACK_FAULTS_H

#include "tests/stack/watch.h"
#include "tests/stack/wire.h"

/* What happens to frames in one direction. Zero is a wire without faults, delay and limits. */
struct wire_condition {
	uint32_t loss_ppm;
	uint32_t outage_ppm;		/* probability per frame that an outage begins */
	uint64_t outage_ns;		/* longest outage */
	uint32_t reorder_ppm;		/* the frame is overtaken by others, ... */
	uint64_t reorder_ns;		/* ... with at most this delay */
	uint32_t duplicate_ppm;		/* the copy comes up to reorder_ns later */
	uint32_t corrupt_ppm;		/* one bit after the Ethernet header is flipped */
	uint64_t delay_ns;
	uint64_t jitter_ns;		/* most additional delay; the order is kept */
	uint64_t bytes_per_second;	/* 0: unlimited */
	uint32_t queue_bytes;		/* limit of the queue for the rate; 0: unlimited */
	/* Longer packets are dropped, and the sender gets an ICMP error, as from a router with a
	 * smaller MTU behind it; 0: no limit. */
	uint16_t mtu;
};

struct wire_counts {
	uint64_t frames, bytes, arrived, lost, queue_full, reordered, duplicated, corrupted,
		too_big;
};

/* The state for the frames that one side sends. */
struct wire_direction {
	struct wire_condition condition;
	struct wire_counts counts;
	uint64_t busy_until_ns, last_arrival_ns, outage_until_ns;
};

struct wire_faults {
	struct wire *wire;
	struct wire_direction side[2];
	struct watch watch;
	FILE *trace;			/* where each segment is printed; NULL: nowhere */
};

/* Adds the faults, at first without any, and the checks to a wire that was just made. */
void wire_faults_init(struct wire_faults *faults, struct wire *wire);

#endif
