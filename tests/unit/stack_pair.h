/* SPDX-License-Identifier: MIT */
/*
 * stack_pair.h: two instances, 10.0.0.1 and 10.0.0.2, and the wire between them: a delay, virtual
 * time, and a function of the test that may drop or look at each frame.
 */
#ifndef WEIR_TESTS_UNIT_STACK_PAIR_H
#define WEIR_TESTS_UNIT_STACK_PAIR_H

#include "stack/instance.h"
#include "stack/tcp.h"
#include "tests/unit/stack_host.h"

#define PAIR_FRAMES 8192

/* A header of TCP as it goes by. */
struct pair_segment {
	uint32_t seq, ack, len;
	uint16_t window;
	uint8_t flags;
	unsigned char options[40];
	uint32_t options_len;
};

struct pair_frame {
	uint64_t at_ns;
	unsigned to;
	uint32_t len;
	unsigned char *bytes;
};

/* Whether the frame arrives; extra delay may be added. from: 0 or 1. */
typedef bool (*pair_wire_fn)(unsigned from, const struct pair_segment *segment,
			     uint64_t *delay_ns);

struct pair {
	struct rig rig[2];
	struct weir__netstack *net[2];
	uint64_t now_ns;
	uint64_t delay_ns;	/* one way; 1 ms */
	pair_wire_fn wire;
	struct pair_frame frames[PAIR_FRAMES];
	unsigned count;
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
