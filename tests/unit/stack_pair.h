/* SPDX-License-Identifier: MIT */
/*
 * stack_pair.h: the two instances of tests/stack/wire.h, step by step: the wire has a
 * delay, and calls a function of the test for each segment, which can inspect and drop it.
 * Events are collected.
 */
#ifndef WEIR_TESTS_UNIT_STACK_PAIR_H
#define WEIR_TESTS_UNIT_STACK_PAIR_H

#include "stack/instance.h"
#include "stack/tcp.h"
#include "tests/stack/wire.h"

/* The header of a TCP segment on the wire. */
struct pair_segment {
	uint32_t seq, ack, len;
	uint16_t window;
	uint8_t flags;
	unsigned char options[40];
	uint32_t options_len;
};

/* Returns whether the segment arrives. It may add a delay. from is 0 or 1. */
typedef bool (*pair_filter_fn)(unsigned from, const struct pair_segment *segment,
			       uint64_t *delay_ns);

struct pair {
	struct wire wire;
	struct weir__netstack *net[2];
	uint64_t delay_ns;	/* one way; 1 ms */
	pair_filter_fn filter;
	unsigned sent[2];	/* segments */
	/* Collected events, by instance and by the number of the source's user. */
	unsigned events[2][64];
};

extern struct pair pair;

/* cfg may set all fields but MAC and addresses. NULL: the defaults. */
void pair_init(const struct weir__netstack_config *cfg);
void pair_fini(void);
/* Makes the turns of both sides for this time. */
void pair_run(uint64_t ns);
/* They enclose the calls of a turn of one side. */
void pair_begin(unsigned side);
void pair_end(unsigned side);
/* Returns and clears the collected events of a user. */
unsigned pair_events(unsigned side, unsigned user);
struct weir__netstack_user *pair_user(unsigned number);

/* Side 1 listens on port 80 as user 1; side 0 connects as user 2; side 1 accepts as user 3. */
struct weir__tcp_listener *pair_listen(unsigned backlog);
struct weir__tcp *pair_connect(void);
struct weir__tcp *pair_accept(struct weir__tcp_listener *listener);
/* Send and receive in a turn of their own. */
int pair_send(unsigned side, struct weir__tcp *tcp, const void *bytes, uint32_t len);
int pair_receive(unsigned side, struct weir__tcp *tcp, void *to, uint32_t len);
void pair_close(unsigned side, struct weir__tcp *tcp);

#endif
