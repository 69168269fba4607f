/* SPDX-License-Identifier: MIT */
/* cpus.c: how many workers suit this machine. cpus_linux.c and its like ask the system. */
#include "topo/cpus.h"

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
	if (!ret_allowance)
		return -EINVAL;
	weir__cpus_quota("", ret_allowance);
	ret_allowance->mask_cpus = weir__cpus_in_mask();
	return 0;
}

unsigned weir_cpus_allowed(void)
{
	struct weir_cpu_allowance allowance;

	weir_cpus_allowance(&allowance);
	return weir__cpus_count(allowance.mask_cpus, allowance.quota_milli);
}
