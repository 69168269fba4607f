/* SPDX-License-Identifier: MIT */
/*
 * cpus.h: which CPUs this process may use, and how many of them it may keep busy.
 * That is the affinity mask, which the kernel has already limited to the cgroup's
 * cpuset; what it was limited from; and the CPU quota of every cgroup above the
 * process, version 1 and 2.
 */
#ifndef WEIR_TOPO_CPUS_H
#define WEIR_TOPO_CPUS_H

#include <pthread.h>

#include "weir/topo.h"

struct weir_cpu_allowance;

/* Only the mask decides. The other sets explain why a CPU is not in it; an unknown set is empty. */
struct cpu_limits {
	struct weir_cpuset mask;	/* the affinity mask: what the calling thread may run on */
	struct weir_cpuset online;
	struct weir_cpuset cpuset;	/* the cgroup's */
	struct weir_cpuset isolated;	/* isolcpus, and isolated partitions of cpusets */
};

/*
 * Fills in the smallest quota of the cgroup hierarchy and how often it throttled the process;
 * zeros if there is none. root is the folder with /proc and /sys: "" except in tests.
 */
void weir__cpus_quota(const char *root, struct weir_cpu_allowance *ret_allowance);

/* The number of CPUs that the process may run on, at least 1. */
unsigned weir__cpus_in_mask(void);

/* The number of workers for a mask of CPUs and a quota: the quota rounded up, at least 1. */
unsigned weir__cpus_count(unsigned mask_cpus, unsigned quota_milli);

/*
 * The CPUs that the calling thread may run on. 0; -E2BIG: more than a set can hold; another errno.
 */
int weir__cpus_mask(struct weir_cpuset *ret_mask);

/* The same, with the other limits; root as above. */
int weir__cpus_limits(const char *root, struct cpu_limits *ret_limits);

/* All CPUs of the machine, online or not; empty if unknown. */
struct weir_cpuset weir__cpus_present(const char *root);

/* The kernel's number of the CPU that the calling thread runs on; -1 if unknown. */
int weir__cpus_current(void);

/*
 * Sets the CPUs that a thread created with these attributes may run on. 0 or a negative errno;
 * -EOPNOTSUPP if the system cannot bind threads.
 */
int weir__cpus_bind(pthread_attr_t *attr, const struct weir_cpuset *cpus);

/* The same for the calling thread. */
int weir__cpus_bind_self(const struct weir_cpuset *cpus);

#endif
