/* SPDX-License-Identifier: MIT */
/* topo.c: a topology: where it is read from, what this process may use of it, and its end. */
#include "sched/topo.h"

#include <stdio.h>
#include <stdlib.h>

#include "sched/cpus.h"
#include "weir/rt.h"

static const char *const out_text[WEIR_CPU_OUT_LEN] = {
	[WEIR_CPU_USABLE] = "",
	[WEIR_CPU_OFFLINE] = "offline",
	[WEIR_CPU_CPUSET] = "outside the cgroup's cpuset",
	[WEIR_CPU_AFFINITY] = "outside the affinity mask",
	[WEIR_CPU_ISOLATED] = "isolated, and not named",
	[WEIR_CPU_UNNAMED] = "not among the CPUs that were named",
	[WEIR_CPU_OTHER_NODE] = "on another node than the first usable one",
	[WEIR_CPU_SLOWER] = "slower than the rest",
	[WEIR_CPU_FASTER] = "faster than the rest",
	[WEIR_CPU_LARGER] = "not of the smallest cluster",
	[WEIR_CPU_SIBLING] = "another thread of a core that has enough",
	[WEIR_CPU_SPARE] = "more than there are workers",
};

const char *weir_cpu_out_text(unsigned out)
{
	return out < WEIR_CPU_OUT_LEN ? out_text[out] : "";
}

int weir_topo_cut(struct weir_topo *topo, const struct weir_cpuset *mask, unsigned quota_milli)
{
	unsigned i, left = 0;

	if (!topo)
		return -EINVAL;
	for (i = 0; i < topo->cpus_len; i++)
		left += topo->cpus[i].out == WEIR_CPU_USABLE &&
			(!mask || weir_cpuset_has(mask, topo->cpus[i].os));
	if (!left)
		return -EINVAL;
	for (i = 0; mask && i < topo->cpus_len; i++)
		if (topo->cpus[i].out == WEIR_CPU_USABLE &&
		    !weir_cpuset_has(mask, topo->cpus[i].os))
			topo->cpus[i].out = WEIR_CPU_AFFINITY;
	topo->quota_milli = quota_milli;
	return 0;
}

int weir_topo_new(const char *input, struct weir_topo **ret_topo, struct weir_why *ret_why)
{
	struct weir_why unused;
	struct weir_topo *topo;
	struct weir_cpu_allowance allowance;
	int rc;

	if (!ret_topo)
		return -EINVAL;
	ret_why = ret_why ? ret_why : &unused;
	ret_why->text[0] = '\0';
	if (input) {
		snprintf(ret_why->text, sizeof ret_why->text, "'%s': hwloc is not in this build",
			 input);
		return -EOPNOTSUPP;
	}
	topo = calloc(1, sizeof *topo);
	if (!topo)
		return -ENOMEM;
	rc = topo_read_flat(topo, ret_why);
	if (rc < 0) {
		weir_topo_free(topo);
		return rc;
	}
	cpus_quota("", &allowance);
	topo->quota_milli = allowance.quota_milli;
	*ret_topo = topo;
	return 0;
}

void weir_topo_free(struct weir_topo *topo)
{
	if (!topo)
		return;
	free(topo->cpus);
	free(topo->l3s);
	free(topo->nodes);
	free(topo->nics);
	free(topo->distances);
	free(topo);
}
