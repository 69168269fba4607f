/* SPDX-License-Identifier: MIT */
/*
 * demo.h: what the files of `weir demo` share. demo.c runs the parts and prints the
 * table; load.c has the echo server and its clients.
 */
#ifndef TOOLS_DEMO_DEMO_H
#define TOOLS_DEMO_DEMO_H

#include "weir/histogram.h"
#include "weir/weir.h"

/* One run: several connections, each of which sends messages of one size and checks the answers. */
struct load {
	struct weir_addr addr;
	unsigned connections;
	size_t message_bytes;
	uint64_t run_ns;

	/* Results. */
	struct weir_histogram *latency_ns;
	uint64_t requests, bytes;	/* bytes: received and compared */
	uint64_t wrong;			/* answers with a wrong byte */
	uint64_t errors;		/* connections that ended early */
	int first_error;
	uint64_t took_ns;
};

/* Start an echo server on a free port of 127.0.0.1, until its runtime ends. [worker] on a fiber */
int demo_echo_start(struct weir_addr *ret_addr);
/* Run a load to its end. [worker] on a fiber */
int demo_load_run(struct load *load);

#endif
