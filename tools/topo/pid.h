/* SPDX-License-Identifier: MIT */
/*
 * pid.h: a running process, for `weir topo --pid`: its threads, the CPUs where they run
 * and may run, which of them are workers of a weir runtime ("NAME-w0"), and the nodes of
 * its memory. The parsers accept any line without crashing.
 */
#ifndef TOOLS_TOPO_PID_H
#define TOOLS_TOPO_PID_H

#include <stdio.h>

#include "weir/topo.h"

struct topo_thread {
	int tid;
	char name[16];
	int cpu;			/* P# where it ran last; -1 unknown */
	unsigned policy;		/* SCHED_OTHER … */
	uint64_t ticks;			/* CPU time in units of 1 / sysconf(_SC_CLK_TCK) s */
	struct weir_cpuset allowed;
	int worker;			/* its index as a runtime's worker; -1: not a worker */
	char runtime[16];		/* the name of its runtime */
};

struct topo_node_memory {
	uint64_t bytes, file_bytes;	/* all; those of mapped files */
};

struct topo_process {
	int pid;
	char name[16];
	struct topo_thread *threads;	/* by tid; the main thread is the first */
	unsigned threads_len, workers_len;
	struct topo_node_memory *memory; /* by the kernel's number of the node */
	unsigned memory_len;
	int memory_error;		/* 0, or the error of reading it */
};

/* Parse a line of /proc/N/task/N/stat: name, cpu, policy and ticks. False if it is invalid. */
bool topo_parse_stat(const char *line, struct topo_thread *ret_thread);
/* Parse "proxy-w3": the runtime's name, and 3; -1 if the name is not that of a worker. */
int topo_parse_worker(const char *thread, char *ret_runtime, size_t len);
/* Add a line of /proc/N/numa_maps to memory[0] to memory[len - 1]. */
void topo_add_numa_line(const char *line, struct topo_node_memory *memory, unsigned len);

/* Returns 0, -ESRCH if there is no such process, or another negative errno. */
int topo_process_read(const char *root, int pid, struct topo_process *ret_process);
void topo_process_free(struct topo_process *process);

/* Whether a worker's thread is bound as planned and runs where it should. */
enum topo_verdict {
	TOPO_AS_PLANNED = 0,
	TOPO_OTHER_BINDING,		/* it may run on other CPUs than planned */
	TOPO_ELSEWHERE,			/* it last ran on a CPU outside its planned ones */
	TOPO_NOT_PLANNED,		/* the plan has no such worker */
};
enum topo_verdict topo_thread_verdict(const struct topo_process *process,
				      const struct topo_thread *thread,
				      const struct weir_plan *plan);
/* The planned CPUs of a worker; if the plan does not bind it, those of the first thread. */
const struct weir_cpuset *topo_thread_planned(const struct topo_process *process,
					      const struct topo_thread *thread,
					      const struct weir_plan *plan);

void topo_print_process_text(const struct topo_process *process, const struct weir_plan *plan,
			     FILE *out);
void topo_print_process_json(const struct topo_process *process, const struct weir_plan *plan,
			     FILE *out);

#endif
