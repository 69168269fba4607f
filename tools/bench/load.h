/* SPDX-License-Identifier: MIT */
/*
 * load.h: the load: threads with an epoll loop each; the connections are distributed over
 * them. load.c has the loop and the schedule, client.c the connections.
 *
 *	bench_load_new ──► all are connected ──► bench_load_go ──► bench_load_finish
 *
 * Open loop: each connection has arrival times that are fixed in advance. A request that is due
 * while an answer is outstanding waits, and is measured from its scheduled time. Closed loop: each
 * connection sends again as soon as it has its answer.
 */
#ifndef TOOLS_BENCH_LOAD_H
#define TOOLS_BENCH_LOAD_H

#include <pthread.h>

#include "tools/bench/bench.h"

struct load_plan {
	struct weir_addr server;
	int upstream_fd;		/* a listener; its connections echo; -1: none */
	unsigned threads;
	uint64_t conns, depth;
	size_t request_bytes, answer_bytes;
	bool open, poisson;
	bool reconnect;			/* a connection for each request */
	bool spin;			/* poll without sleeping: the load has its own CPU */
	double rate;			/* open: requests per second of all clients */
	uint64_t patience_ns;		/* no answer at all until this long after the end: a hang */
	uint64_t seed;
	const cpu_set_t *cpus;		/* NULL: not pinned */
};

/* One connection of the load: a client, or an upstream connection, which only echoes. */
struct load_client {
	int fd;				/* -1: closed */
	bool upstream;			/* accepted from a proxy */
	bool filed;			/* in the heap of clients that wait for due_ns */
	uint32_t in_flight, first;	/* in the ring of requests */
	size_t out_left, in_left;	/* bytes to send; bytes left of the current answer */
	uint64_t due_ns;		/* the scheduled start of the next request */
	uint64_t free_ns;		/* when the client became ready for the next request */
	uint64_t seed;
	struct load_request {
		uint64_t intended_ns, start_ns;
	} * ring; /* depth long */
	struct load_client *next;	/* upstream: the list of upstream connections */
};

struct load;

struct load_thread {
	struct load *load;
	pthread_t thread;
	int epoll_fd;
	int error;			/* 0, or why the thread could not start */
	struct load_client *clients;
	unsigned clients_len, first_client;
	struct load_client **heap;	/* the earliest due_ns first */
	unsigned heap_len;
	uint64_t in_flight;
	struct load_client *upstreams;
	struct bench_record *rec;
	uint8_t *scratch;
};

struct load {
	struct load_plan plan;
	struct load_thread *threads;
	unsigned threads_len;
	pthread_barrier_t barrier;	/* connected; and the times below are set */
	uint64_t start_ns, begin_ns, end_ns;
	bool called_off;
};

#define LOAD_SCRATCH_BYTES (256 * 1024)

/* ---- load.c ---- */

/* Start the load and connect all clients. Returns 0 or a negative errno. */
int bench_load_new(const struct load_plan *plan, struct load **ret_load);
/*
 * Run the load: the schedule begins at start_ns, which is now or just before, and the measurement
 * at begin_ns. After end_ns, it waits for answers for up to a second, for the first one
 * patience_ns.
 */
void bench_load_go(struct load *load, uint64_t start_ns, uint64_t begin_ns, uint64_t end_ns);
/* After go: wait for the end, collect the figures and free the load. */
void bench_load_finish(struct load *load, struct bench_record *rec);
/* Call it instead of go and finish. */
void bench_load_cancel(struct load *load);

/* ---- load_heap.c ---- */

/* A client may send its next request: start it now, or put it into the heap until it is due. */
void bench_load_file(struct load_thread *t, struct load_client *c, uint64_t now);
/* Take the earliest out; there must be one. */
struct load_client *bench_load_unfile(struct load_thread *t);

/* ---- client.c ---- */

/* 0 or a negative errno. */
int bench_client_open(struct load_thread *t, struct load_client *c);
void bench_client_close(struct load_client *c);
/* Start a request; with .reconnect, connect first. */
void bench_client_start(struct load_thread *t, struct load_client *c, uint64_t intended_ns,
			uint64_t now);
/* Handle events of a client, or of an upstream connection. */
void bench_client_event(struct load_thread *t, struct load_client *c, uint32_t events);
/* Accept the connections of the listener. */
void bench_client_accept(struct load_thread *t);
void bench_client_free_upstreams(struct load_thread *t);

#endif
