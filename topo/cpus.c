/* SPDX-License-Identifier: MIT */
/* cpus.c: how many workers suit this machine. cpus_linux.c and its like ask the system. */
#include "topo/cpus.h"

#include "core/sized.h"
#include "weir/rt.h"

unsigned weir__cpus_count(unsigned mask_cpus, unsigned quota_milli)
{
	unsigned by_quota = (quota_milli + 999) / 1000;

	if (mask_cpus < 1)
		mask_cpus = 1;
	return quota_milli && by_quota < mask_cpus ? by_quota : mask_cpus;
}

int weir_cpus_allowance(struct weir_cpu_allowance *ret_allowance)
{
	struct weir_cpu_allowance allowance;

	if (!weir__sized_valid(ret_allowance))
		return -EINVAL;
	weir__cpus_quota("", &allowance);
	allowance.mask_cpus = weir__cpus_in_mask();
	weir__sized_write(&allowance, ret_allowance);
	return 0;
}

unsigned weir_cpus_allowed(void)
{
	struct weir_cpu_allowance allowance = WEIR_CPU_ALLOWANCE_INIT;

	weir_cpus_allowance(&allowance);
	return weir__cpus_count(allowance.mask_cpus, allowance.quota_milli);
}
