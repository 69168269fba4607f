/* SPDX-License-Identifier: MIT */
/*
 * faults.h: what may happen to frames on the wire (wire.h), and a watch over what goes by.
 *
 * Every TCP segment is checked by watch.h when it is sent and when it arrives. The first complaint
 * becomes the wire's.
 *
 * ARP frames are delayed, but nothing else happens to them: a neighbour that does not answer three
 * times is an error that ends a connect, which is right, but hides everything else.
 */
#ifndef WEIR_TESTS_STACK_FAULTS_H
#define WEIR_TESTS_STACK_FAULTS_H

#include "tests/stack/watch.h"
#include "tests/stack/wire.h"

/* What happens to frames in one direction. Zero is a wire without faults, delay and limits. */
struct wire_condition {
	uint32_t loss_ppm;
	uint32_t outage_ppm;		/* for each frame: everything is lost for a while */
	uint64_t outage_ns;		/* at most */
	uint32_t reorder_ppm;		/* overtaken by others: ... */
	uint64_t reorder_ns;		/* ... so much later, at most */
	uint32_t duplicate_ppm;		/* the copy comes up to reorder_ns later */
	uint32_t corrupt_ppm;		/* one bit is flipped behind the Ethernet header */
	uint64_t delay_ns;
	uint64_t jitter_ns;		/* more delay, at most; the order is kept */
	uint64_t bytes_per_second;	/* 0: without limit */
	uint32_t queue_bytes;		/* that wait for the rate; 0: without limit */
	/* Longer packets are lost, and the sender is told so by ICMP, as by a router that has a
	 * smaller MTU behind it; 0: none. */
	uint16_t mtu;
};

struct wire_counts {
	uint64_t frames, bytes, arrived, lost, queue_full, reordered, duplicated, corrupted,
		too_big;
};

/* Of what one side sends. */
struct wire_direction {
	struct wire_condition condition;
	struct wire_counts counts;
	uint64_t busy_until_ns, last_arrival_ns, outage_until_ns;
};

struct wire_faults {
	struct wire *wire;
	struct wire_direction side[2];
	struct watch watch;
	FILE *trace;			/* each segment is printed to it; NULL: none */
};

/* Puts the faults, none at first, and the watch onto a wire that was just made. */
void wire_faults_init(struct wire_faults *faults, struct wire *wire);

#endif
