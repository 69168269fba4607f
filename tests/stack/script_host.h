/* SPDX-License-Identifier: MIT */
/*
 * script_host.h: the environment of a script: one instance of the stack, the network that the
 * script plays, and virtual time.
 *
 * The script has to expect every frame that the instance transmits: frames wait in a list until a
 * line of the script expects them, and any other action before that is a failure.
 */
#ifndef WEIR_TESTS_STACK_SCRIPT_HOST_H
#define WEIR_TESTS_STACK_SCRIPT_HOST_H

#include "stack/tcp_state.h"
#include "tests/stack/offload.h"
#include "tests/stack/script_segment.h"
#include "tests/unit/stack_host.h"

#define SCRIPT_FLOWS 2048u
#define SCRIPT_STREAM 65536u

/* A connection, from the script's first segment or call on. It is the user of the events. */
struct weir__netstack_user {
	uint16_t local_port, peer_port;
	struct weir__tcp *tcp;		/* NULL: none yet, or closed */
	bool begun;			/* the instance's first sequence number is known */
	uint32_t iss, peer_iss;
	uint32_t syn, peer_syn;		/* sequence number of the last SYN of each side */
	uint8_t shift, peer_shift;	/* window scale of each side, from its SYN */
	bool scales, peer_scales, stamps, peer_stamps;
	bool has_tsval;
	uint32_t tsval, last_tsval;	/* the instance's first and last timestamp */
	uint32_t peer_tsval;		/* in the peer's SYN, which was sent at peer_tsval_ns */
	uint64_t peer_tsval_ns;
	uint32_t window;		/* the peer's, in segments that state no other */
	uint32_t written, read;		/* positions in both streams */
	unsigned events;
};

struct script_host {
	struct host host;
	struct offload offload;
	bool running;			/* the instance exists */
	bool in_turn;			/* the script has begun a turn */
	struct weir__netstack *net;
	struct weir__netstack_config cfg;
	struct weir__tcp_listener *listener;
	struct weir__netstack_user flows[SCRIPT_FLOWS], *flow;	/* the flow of this line */
	struct weir__netstack_user listener_user;
	uint64_t start_ns;
	struct weir__netstack_counters before;	/* the counters when the script began */
	struct weir__frame_queue waiting;	/* transmitted frames */
};

extern struct script_host script_host;

/* offloads: the offloads of the instance's interface (weir_netstack_offload). */
void script_host_init(uint32_t offloads);
void script_host_fini(void);
/* Makes the instance, with the config so far, unless it exists. */
void script_host_run(void);

/* The byte at a position of the instance's or the peer's stream. */
unsigned char script_byte(bool of_peer, uint32_t at);

/* They enclose a call of the script. They make a turn for it, unless the script has begun one. */
void script_begin(void);
void script_finish(void);

/* Virtual time since the script began. */
uint64_t script_now_ns(void);
/* Waits. Fails if the instance transmits anything in that time. */
void script_wait(int64_t ns);
/* Waits until the instance transmits, for at most that time. False: it did not. */
bool script_wait_out(int64_t ns);
/* Fails if a transmitted frame waits. */
void script_expect_nothing(void);

/* Sends a segment of the peer in the script's flow. */
void script_send(struct script_segment *segment);
/* Sends an ICMP error that quotes that many bytes of a segment of the instance. */
void script_send_icmp(uint8_t type, uint8_t code, uint32_t rest, uint32_t seq, uint32_t quoted);
/* Takes the first waiting frame. Fails if it is for another flow. False: none waits. */
bool script_receive(struct script_segment *ret_segment);

struct weir__flow script_flow_key(void);
/* The connection of the script's flow, whether it was accepted or not; NULL: none. */
const struct weir__tcp *script_connection(void);
enum weir_tcp_state script_state(void);

#endif
