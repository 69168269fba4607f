/* SPDX-License-Identifier: MIT */
/* cpuset.c: sets of CPUs (weir/topo.h), and the text form that the kernel uses for them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weir/topo.h"

bool weir_cpuset_has(const struct weir_cpuset *set, unsigned cpu)
{
	return cpu < WEIR_CPUS_MAX && (set->word[cpu / 64] >> cpu % 64 & 1);
}

void weir_cpuset_add(struct weir_cpuset *set, unsigned cpu)
{
	if (cpu < WEIR_CPUS_MAX)
		set->word[cpu / 64] |= (uint64_t)1 << cpu % 64;
}

unsigned weir_cpuset_count(const struct weir_cpuset *set)
{
	unsigned i, n = 0;

	for (i = 0; i < WEIR_CPUS_MAX / 64; i++)
		n += (unsigned)__builtin_popcountll(set->word[i]);
	return n;
}

/* A number at *at, which is moved behind it. */
static bool read_cpu(const char **at, unsigned long *ret_cpu)
{
	char *end;

	if (**at < '0' || **at > '9')
		return false;
	*ret_cpu = strtoul(*at, &end, 10);
	*at = end;
	return *ret_cpu < WEIR_CPUS_MAX;
}

int weir_cpuset_parse(const char *text, struct weir_cpuset *ret_set)
{
	struct weir_cpuset set = { { 0 } };
	unsigned long first, last;

	if (!text || !ret_set)
		return -EINVAL;
	for (;;) {
		if (!read_cpu(&text, &first))
			return -EINVAL;
		last = first;
		if (*text == '-') {
			text++;
			if (!read_cpu(&text, &last) || last < first)
				return -EINVAL;
		}
		for (; first <= last; first++)
			weir_cpuset_add(&set, (unsigned)first);
		if (strcmp(text, "") == 0 || strcmp(text, "\n") == 0)
			break;
		if (*text++ != ',')
			return -EINVAL;
	}
	*ret_set = set;
	return 0;
}

size_t weir_cpuset_print(const struct weir_cpuset *set, char *buf, size_t len)
{
	unsigned cpu, last;
	char part[32];
	size_t n = 0;
	int k;

	if (len)
		buf[0] = '\0';
	for (cpu = 0; cpu < WEIR_CPUS_MAX; cpu = last + 1) {
		last = cpu;
		if (!weir_cpuset_has(set, cpu))
			continue;
		while (weir_cpuset_has(set, last + 1))
			last++;
		k = snprintf(part, sizeof part, last > cpu ? "%s%u-%u" : "%s%u", n ? "," : "", cpu,
			     last);
		if (n + (size_t)k >= len)
			break;
		memcpy(buf + n, part, (size_t)k + 1);
		n += (size_t)k;
	}
	return n;
}
