/* SPDX-License-Identifier: MIT */
/*
 * machine.h: the memory nodes of the machine on which a test runs, without asking weir. In an
 * emulated machine, vm.py has written what it told qemu (WEIR_NUMA_MACHINE names the folder). On
 * any other machine the source is /sys/devices/system/node.
 */
#ifndef WEIR_TESTS_NUMA_MACHINE_H
#define WEIR_TESTS_NUMA_MACHINE_H

#include "tests/support/testing.h"
#include "weir/weir.h"

#define MACHINE_NODES 64

/* Indexed by the kernel's node numbers. A node that does not exist has no CPUs and no distances. */
struct machine {
	bool ours;			/* emulated by vm.py, so the test may change it */
	unsigned nodes;
	struct weir_cpuset all, cpus[MACHINE_NODES];
	unsigned distance[MACHINE_NODES][MACHINE_NODES];
};

extern struct machine machine;

/*
 * Reads the machine. With fewer than two nodes with CPUs, returns false and marks the test as
 * skipped.
 */
bool machine_has_nodes(void);
/* The same, and the machine must be an emulated one. */
bool machine_is_ours(void);

/* Returns -1 for a CPU without a node. */
int machine_node_of_cpu(unsigned cpu);
/* The first CPU of a node. */
unsigned machine_first_cpu(unsigned node);
/* The n-th node with CPUs, counted from 0. */
unsigned machine_cpu_node(unsigned n);
/* Binds the calling thread, or fails the test. */
void machine_run_on(const struct weir_cpuset *cpus);
/* Writes to a file below /sys, or fails the test. */
void machine_write(const char *path, const char *text);

#endif
