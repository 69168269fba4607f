/* SPDX-License-Identifier: MIT */
/* end.h: an end of the cable with an instance of weir's stack: its memory, frames and turns. */
#ifndef WEIR_BENCH_STACK_END_H
#define WEIR_BENCH_STACK_END_H

#include "cable.h"
#include "memory.h"
#include "stack/stack.h"
#include "stack/tcp.h"
#include "stack/udp.h"

struct end {
	struct host host;
	struct weir__netstack_owner owner;
	struct weir__netstack *net;
	struct weir__frame_queue arrived, sent;
	struct weir__frame_queue carried;	/* sent frames, which the next turn frees */
	struct memory memory;
	uint64_t random;
	/* The program: handles an event; and, unless NULL, a function for each turn. */
	void (*event)(struct end *end, struct weir__netstack_source *source, unsigned events);
	void (*act)(struct end *end);
};

/* The caller has set the program and zeroed the rest. Returns 0 or a negative errno. */
int end_init(struct end *end, enum cable_host which);
void end_fini(struct end *end);
struct weir__endpoint end_endpoint(enum cable_host which, uint16_t port);

static inline struct end *end_of_host(struct host *host)
{
	return WEIR_STACK_CONTAINER(host, struct end, host);
}

extern const struct host_ops end_ops;

#endif
