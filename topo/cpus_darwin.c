/* SPDX-License-Identifier: MIT */
/*
 * cpus_darwin.c: see cpus.h. macOS neither limits a process to some CPUs nor
 * binds a thread to one.
 */
#include "topo/cpus.h"

#include <unistd.h>

#include "weir/rt.h"

void weir__cpus_quota(const char *root, struct weir_cpu_allowance *ret_allowance)
{
	(void)root;
	*ret_allowance = (struct weir_cpu_allowance)WEIR_CPU_ALLOWANCE_INIT;
}

unsigned weir__cpus_in_mask(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n > 0 ? (unsigned)n : 1;
}

int weir__cpus_mask(struct weir_cpuset *ret_mask)
{
	struct weir_cpuset mask = { { 0 } };

	for (unsigned cpu = 0; cpu < weir__cpus_in_mask(); cpu++)
		weir_cpuset_add(&mask, cpu);
	*ret_mask = mask;
	return 0;
}

int weir__cpus_limits(const char *root, struct cpu_limits *ret_limits)
{
	struct cpu_limits limits = { 0 };
	int rc = weir__cpus_mask(&limits.mask);

	(void)root;
	limits.online = limits.mask;
	if (rc == 0)
		*ret_limits = limits;
	return rc;
}

struct weir_cpuset weir__cpus_present(const char *root)
{
	(void)root;
	return (struct weir_cpuset){ { 0 } };
}

int weir__cpus_bind(pthread_attr_t *attr, const struct weir_cpuset *cpus)
{
	(void)attr;
	(void)cpus;
	return -EOPNOTSUPP;
}

int weir__cpus_bind_self(const struct weir_cpuset *cpus)
{
	(void)cpus;
	return -EOPNOTSUPP;
}

int weir__cpus_current(void)
{
	return -1;
}
