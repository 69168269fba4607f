/* SPDX-License-Identifier: MIT */
/*
 * script_host.h: what a script runs against: one instance of the stack, the network that the script
 * plays, and virtual time.
 *
 * Nothing that comes out may go unnoticed: frames wait in a list until a line of the script expects
 * them, and whatever else the script does before that is a failure.
 */
#ifndef WEIR_TESTS_STACK_SCRIPT_HOST_H
#define WEIR_TESTS_STACK_SCRIPT_HOST_H

#include "stack/tcp_state.h"
#include "tests/stack/offload.h"
#include "tests/stack/script_segment.h"
#include "tests/unit/stack_host.h"

#define SCRIPT_FLOWS 2048u
#define SCRIPT_STREAM 65536u

/* A connection, from the script's first segment or call on. It is what events are for. */
struct weir__netstack_user {
	uint16_t local_port, peer_port;
	struct weir__tcp *tcp;		/* NULL: none yet, or closed */
	bool begun;			/* the instance's first sequence number is known */
	uint32_t iss, peer_iss;
	uint32_t syn, peer_syn;		/* of the last SYN of either */
	uint8_t shift, peer_shift;	/* of each side's windows, as its SYN said */
	bool scales, peer_scales, stamps, peer_stamps;
	bool has_tsval;
	uint32_t tsval, last_tsval;	/* of the instance: the first one and the last one */
	uint32_t peer_tsval;		/* of the peer's SYN, which came at peer_tsval_ns */
	uint64_t peer_tsval_ns;
	uint32_t window;		/* of the peer, where a segment says no other */
	uint32_t written, read;		/* positions in both streams */
	unsigned events;
};

struct script_host {
	struct host host;
	struct offload offload;
	bool running;			/* the instance is there */
	bool in_turn;			/* the script has begun a turn */
	struct weir__netstack *net;
	struct weir__netstack_config cfg;
	struct weir__tcp_listener *listener;
	struct weir__netstack_user flows[SCRIPT_FLOWS], *flow;	/* the flow of this line */
	struct weir__netstack_user listener_user;
	uint64_t start_ns;
	struct weir__netstack_counters before;	/* when the script began */
	struct weir__frame_queue waiting;	/* that came out */
};

extern struct script_host script_host;

/* offloads: what the network does for the instance (weir_netstack_offload). */
void script_host_init(uint32_t offloads);
void script_host_fini(void);
/* Makes the instance, with the config so far, unless it is there. */
void script_host_run(void);

/* Bytes of the streams: of the instance's and of the peer's, at a position. */
unsigned char script_byte(bool of_peer, uint32_t at);

/* A call of the script is between these; a turn of its own, unless the script has begun one. */
void script_begin(void);
void script_finish(void);

/* Virtual time since the script began. */
uint64_t script_now_ns(void);
/* Fails if anything came out in the meantime. */
void script_wait(int64_t ns);
/* Returns early when something comes out; false: nothing did. */
bool script_wait_out(int64_t ns);
/* Fails if something that came out was not expected. */
void script_expect_nothing(void);

/* Sends a segment of the peer's in the script's flow. */
void script_send(struct script_segment *segment);
/* Sends an ICMP error that quotes a segment of the instance's, that many bytes of it. */
void script_send_icmp(uint8_t type, uint8_t code, uint32_t rest, uint32_t seq, uint32_t quoted);
/* Takes what came out first. Fails if it is for another flow. False: there is nothing. */
bool script_receive(struct script_segment *ret_segment);

struct weir__flow script_flow_key(void);
/* The connection of the script's flow, whether the owner has it yet or not; NULL: none. */
const struct weir__tcp *script_connection(void);
enum weir_tcp_state script_state(void);

#endif
