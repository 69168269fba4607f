/* SPDX-License-Identifier: MIT */
/*
 * stack_pair.h: the two instances of tests/stack/wire.h, step by step: the wire has a delay and a
 * function of the test, which may drop each segment and look at it, and events are gathered.
 */
#ifndef WEIR_TESTS_UNIT_STACK_PAIR_H
#define WEIR_TESTS_UNIT_STACK_PAIR_H

#include "stack/instance.h"
#include "stack/tcp.h"
#include "tests/stack/wire.h"

/* A header of TCP as it goes by. */
struct pair_segment {
	uint32_t seq, ack, len;
	uint16_t window;
	uint8_t flags;
	unsigned char options[40];
	uint32_t options_len;
};

/* Whether the segment arrives; extra delay may be added. from: 0 or 1. */
typedef bool (*pair_filter_fn)(unsigned from, const struct pair_segment *segment,
			       uint64_t *delay_ns);

struct pair {
	struct wire wire;
	struct weir__netstack *net[2];
	uint64_t delay_ns;	/* one way; 1 ms */
	pair_filter_fn filter;
	unsigned sent[2];	/* segments */
	/* Gathered from events, by instance and by the number of the source's user. */
	unsigned events[2][64];
};

extern struct pair pair;

/* cfg may change anything but MAC and addresses; NULL: the defaults. */
void pair_init(const struct weir__netstack_config *cfg);
void pair_fini(void);
/* Turns both, with all that arrives, until so much later. */
void pair_run(uint64_t ns);
/* A turn of one side; calls are made between. */
void pair_begin(unsigned side);
void pair_end(unsigned side);
/* Events of a user since they were asked for last. */
unsigned pair_events(unsigned side, unsigned user);
struct weir__netstack_user *pair_user(unsigned number);

/* Side 1 listens on port 80 as user 1; side 0 connects as user 2; side 1 accepts as user 3. */
struct weir__tcp_listener *pair_listen(unsigned backlog);
struct weir__tcp *pair_connect(void);
struct weir__tcp *pair_accept(struct weir__tcp_listener *listener);
/* Sends and receives in a turn of their own. */
int pair_send(unsigned side, struct weir__tcp *tcp, const void *bytes, uint32_t len);
int pair_receive(unsigned side, struct weir__tcp *tcp, void *to, uint32_t len);
void pair_close(unsigned side, struct weir__tcp *tcp);

#endif
