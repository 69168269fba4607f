/* SPDX-License-Identifier: MIT */
/*
 * child.h: the packets that the server process and its parent exchange on a socket pair,
 * and the memory that they share.
 *
 *	parent			server
 *	  ── server_setup ─────►
 *	  ◄───── server_ready ──	it listens, or an error
 *	  ── server_order ─────►	begin (timer and spawn), mark, end
 *	  ◄────── server_mark ──	for each mark
 *
 * Both are the same program, so the packets are plain structs. The server's records (timer,
 * spawn) are in memory that both have mapped.
 */
#ifndef TOOLS_BENCH_CHILD_H
#define TOOLS_BENCH_CHILD_H

#include <sys/types.h>

#include "tools/bench/bench.h"

struct server_setup {
	enum bench_workload workload;
	char backend[96];
	cpu_set_t cpus;
	bool pinned;
	struct weir_place_config place;	/* .cpus is below */
	char place_cpus[BENCH_CPUS_TEXT];
	unsigned workers;
	uint64_t conns, size, rate, seed;
	struct weir_addr listen, upstream;
};

struct server_ready {
	int error;			/* 0, or what went wrong */
	char why[200];
	struct weir_addr addr;
};

enum server_command {
	SERVER_BEGIN = 1,
	SERVER_MARK,
	SERVER_END
};

struct server_order {
	enum server_command command;
	uint64_t begin_ns, end_ns;	/* SERVER_BEGIN: of the measurement */
};

/* The server's counters at one point in time. */
struct server_mark {
	uint64_t now_ns;
	uint64_t cpu_ns, switches;
	uint64_t syscalls, waits, events;
	uint64_t cycles, instructions;
	bool pmu;
};

/* The parent's end. */
struct bench_child {
	pid_t pid;
	int fd;
	struct bench_record *records;	/* one per worker; shared */
	size_t records_bytes;
	struct weir_addr addr;
};

/*
 * Start a server and wait until it is ready. Returns 0, or a negative errno with a message in why.
 */
int bench_child_start(struct bench_child *child, const struct server_setup *setup, char *why,
		      size_t why_len);
/* Returns 0, or a negative errno if the server is gone. */
int bench_child_begin(struct bench_child *child, uint64_t begin_ns, uint64_t end_ns);
int bench_child_mark(struct bench_child *child, struct server_mark *ret_mark);
/* End the server. False if it had to be killed, or if it failed. */
bool bench_child_end(struct bench_child *child);

/* The server process: `weir bench --server FD FD`. Returns its exit code. */
int bench_server_main(int fd, int memory_fd);

/* ---- tasks.c, for server.c ---- */

struct bench_tasks {
	const struct server_setup *setup;
	struct bench_record *records;	/* by worker */
	struct weir_listener *listener;
	struct weir_addr addr;
	uint64_t begin_ns, end_ns;
	struct spawner *spawners;	/* that were started */
};

/* Before the load: open the workload's listener and start accepting. [worker] on a fiber */
int bench_tasks_open(void *tasks);
/* Start the workloads without a load: timers, spawning. [worker] on a fiber */
int bench_tasks_begin(void *tasks);
/* Call it when no task is left: tasks of an aborted spawner run on for a moment. */
void bench_tasks_fini(struct bench_tasks *tasks);

#endif
