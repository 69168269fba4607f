/* SPDX-License-Identifier: MIT */
/*
 * machine.h: the memory nodes of the machine that a test runs on, known from elsewhere than from
 * weir: vm.py writes down what it has told qemu (WEIR_NUMA_MACHINE names the folder); on any other
 * machine it is /sys/devices/system/node.
 */
#ifndef WEIR_TESTS_NUMA_MACHINE_H
#define WEIR_TESTS_NUMA_MACHINE_H

#include "tests/support/testing.h"
#include "weir/weir.h"

#define MACHINE_NODES 64

/* By the kernel's numbers; a node that does not exist has neither CPUs nor distances. */
struct machine {
	bool ours;			/* vm.py's, to do with as one likes */
	unsigned nodes;
	struct weir_cpuset all, cpus[MACHINE_NODES];
	unsigned distance[MACHINE_NODES][MACHINE_NODES];
};

extern struct machine machine;

/* Read it; false, and the test is skipped, where there are fewer than two nodes with CPUs. */
bool machine_has_nodes(void);
/* The same, and whether it is ours. */
bool machine_is_ours(void);

/* -1: of none. */
int machine_node_of_cpu(unsigned cpu);
/* The first CPU of a node. */
unsigned machine_first_cpu(unsigned node);
/* The n-th node that has CPUs, from 0. */
unsigned machine_cpu_node(unsigned n);
/* Bind the calling thread, or fail the test. */
void machine_run_on(const struct weir_cpuset *cpus);
/* Write to a file below /sys, or fail the test. */
void machine_write(const char *path, const char *text);

#endif
