/* SPDX-License-Identifier: MIT */
/*
 * cpus.h: which CPUs this process may use, and how many of them it may keep
 * busy: the affinity mask (which the kernel has cut by the cgroup's cpuset),
 * what it was cut from, and the CPU quota of every cgroup above it, version 1 and 2.
 */
#ifndef WEIR_TOPO_CPUS_H
#define WEIR_TOPO_CPUS_H

#include <pthread.h>

#include "weir/topo.h"

struct weir_cpu_allowance;

/* The mask decides; the rest says why a CPU is not in it, and is empty where nothing is known. */
struct cpu_limits {
	struct weir_cpuset mask;	/* the affinity mask: what the calling thread may run on */
	struct weir_cpuset online;
	struct weir_cpuset cpuset;	/* of the cgroup */
	struct weir_cpuset isolated;	/* isolcpus, and isolated partitions of cpusets */
};

/*
 * Fill in the quota, the smallest of the hierarchy, and what it has cost; zeros when there is
 * none. root is where /proc and /sys are, "" but in tests.
 */
void weir__cpus_quota(const char *root, struct weir_cpu_allowance *ret_allowance);

/* How many CPUs the process may run on, at least 1. */
unsigned weir__cpus_in_mask(void);

/* How many workers a mask of CPUs and a quota ask for: the quota rounded up, at least 1. */
unsigned weir__cpus_count(unsigned mask_cpus, unsigned quota_milli);

/* Which CPUs the calling thread may run on. 0; -E2BIG: more than a set holds; another errno. */
int weir__cpus_mask(struct weir_cpuset *ret_mask);

/* The same, and what is around it; root as above. */
int weir__cpus_limits(const char *root, struct cpu_limits *ret_limits);

/* All CPUs that are there, online or not; none where that is not known. */
struct weir_cpuset weir__cpus_present(const char *root);

/* The CPU, by the kernel's number, on which the calling thread runs; -1 where that is not known. */
int weir__cpus_current(void);

/*
 * A thread that is made with these attributes begins, and stays, on these CPUs. 0 or a negative
 * errno; -EOPNOTSUPP where the system does not bind.
 */
int weir__cpus_bind(pthread_attr_t *attr, const struct weir_cpuset *cpus);

/* The same for the calling thread. */
int weir__cpus_bind_self(const struct weir_cpuset *cpus);

#endif
