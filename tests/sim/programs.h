/* SPDX-License-Identifier: MIT */
/*
 * programs.h: the programs that sweep.c runs over its seeds, and what they are
 * told and report. Each exists with both bodies: fibers and stackless tasks.
 */
#ifndef WEIR_TESTS_SIM_PROGRAMS_H
#define WEIR_TESTS_SIM_PROGRAMS_H

#include "weir/base.h"
#include "weir/net.h"
#include "weir/relay.h"

#define RUN_CLIENTS_MAX 12

struct run;

/* One client's orders. */
struct client {
	struct run *run;
	unsigned id;
	size_t bytes;			/* to send and get back, or to be sent */
	size_t chunk;			/* at a time; no more than fits on the way */
	unsigned retries;		/* connections to try after a broken one */
	struct weir_addr to;
};

struct run {
	/* In. */
	uint64_t seed;
	bool stackless;
	bool errors;			/* errors are injected: a client may fail with one of them */
	size_t buffer_bytes;		/* of a stream; what a client may have under way */
	unsigned clients;
	uint64_t pace_ns;		/* about one completion's delay */
	/* Between. */
	uint64_t random;
	struct client client[RUN_CLIENTS_MAX];
	/* Out. */
	unsigned ok, failed, timeouts;	/* clients; atomic */
	uint64_t bytes;			/* that came back right; atomic */
	char why[160];			/* the first complaint; "" is a pass */
};

struct program {
	const char *name;
	int (*fn)(void *run);		/* on a fiber */
	bool accept_errors;		/* wants EMFILE and its kin, and no others */
	bool quiet;			/* wants no errors at all */
	unsigned leases_each;		/* blocks that a client's way may hold at once; 0: any pool */
};

extern const struct program programs[];
extern const unsigned program_count;

void run_complain(struct run *run, const char *fmt, ...) WEIR_PRINTF(2, 3);

#endif
