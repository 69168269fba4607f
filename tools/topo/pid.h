/* SPDX-License-Identifier: MIT */
/*
 * pid.h: a process that runs, for `weir topo --pid`: its threads, on which CPUs they
 * are and may be, which of them are a weir runtime's workers ("NAME-w0"), and on which
 * nodes its memory lies. The parsers are given a line and survive any.
 */
#ifndef TOOLS_TOPO_PID_H
#define TOOLS_TOPO_PID_H

#include <stdio.h>

#include "weir/topo.h"

struct topo_thread {
	int tid;
	char name[16];
	int cpu;			/* P#: that it was on last; -1 unknown */
	unsigned policy;		/* SCHED_OTHER … */
	uint64_t ticks;			/* of CPU time, so many as sysconf says a second has */
	struct weir_cpuset allowed;
	int worker;			/* index of the runtime's worker that it is; -1: none */
	char runtime[16];		/* the NAME of that */
};

struct topo_node_memory {
	uint64_t bytes, file_bytes;	/* all; of them, those of files */
};

struct topo_process {
	int pid;
	char name[16];
	struct topo_thread *threads;	/* by tid; the main thread is the first */
	unsigned threads_len, workers_len;
	struct topo_node_memory *memory; /* by the kernel's number of the node */
	unsigned memory_len;
	int memory_error;		/* 0, or why it cannot be seen */
};

/* A line of /proc/N/task/N/stat: name, cpu, policy and ticks. False for one that is none. */
bool topo_parse_stat(const char *line, struct topo_thread *ret_thread);
/* "proxy-w3": the runtime's name and 3; -1 for a thread that is no worker by its name. */
int topo_parse_worker(const char *thread, char *ret_runtime, size_t len);
/* A line of /proc/N/numa_maps, added to memory[0] to memory[len - 1]. */
void topo_add_numa_line(const char *line, struct topo_node_memory *memory, unsigned len);

/* 0; -ESRCH when there is none, or a negative errno. */
int topo_process_read(const char *root, int pid, struct topo_process *ret_process);
void topo_process_free(struct topo_process *process);

/* Whether a worker's thread is bound as the plan has it, and where it is. */
enum topo_verdict {
	TOPO_AS_PLANNED = 0,
	TOPO_OTHER_BINDING,		/* it may run on other CPUs than the plan says */
	TOPO_ELSEWHERE,			/* it was last on a CPU that the plan does not give it */
	TOPO_NOT_PLANNED,		/* the plan has no such worker */
};
enum topo_verdict topo_thread_verdict(const struct topo_process *process,
				      const struct topo_thread *thread,
				      const struct weir_plan *plan);
/* What the plan lets it run on: where it does not bind, what the first thread may. */
const struct weir_cpuset *topo_thread_planned(const struct topo_process *process,
					      const struct topo_thread *thread,
					      const struct weir_plan *plan);

void topo_print_process_text(const struct topo_process *process, const struct weir_plan *plan,
			     FILE *out);
void topo_print_process_json(const struct topo_process *process, const struct weir_plan *plan,
			     FILE *out);

#endif
