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

/* Says what is wrong with the first len bytes of a text. */
static int refuse(struct weir_why *ret_why, const char *text, size_t len, const char *what)
{
	if (ret_why)
		snprintf(ret_why->text, sizeof ret_why->text, "'%.*s' %s", len > 40 ? 40 : (int)len,
			 text, what);
	return -EINVAL;
}

/* Reads a number at *at and moves *at behind it. */
static int read_cpu(const char **at, unsigned long *ret_cpu, struct weir_why *why)
{
	const char *text = *at;
	size_t len = strspn(text, "0123456789");

	if (len == 0)
		return refuse(why, text, strcspn(text, ",\n"), "is not a number");
	*at = text + len;
	*ret_cpu = strtoul(text, NULL, 10);
	if (*ret_cpu < WEIR_CPUS_MAX)
		return 0;
	return refuse(why, text, len, "is too large");
}

/* Reads a number or a range at *at and moves *at behind it. */
static int read_range(const char **at, struct weir_cpuset *set, struct weir_why *why)
{
	const char *text = *at;
	unsigned long first, last;

	if (read_cpu(at, &first, why) < 0)
		return -EINVAL;
	last = first;
	if (**at == '-') {
		++*at;
		if (read_cpu(at, &last, why) < 0)
			return -EINVAL;
	}
	if (last < first)
		return refuse(why, text, (size_t)(*at - text), "ends before it begins");
	for (; first <= last; first++)
		weir_cpuset_add(set, (unsigned)first);
	return 0;
}

int weir_cpuset_parse(const char *text, struct weir_cpuset *ret_set, struct weir_why *ret_why)
{
	struct weir_cpuset set = { { 0 } };

	if (!text || !ret_set)
		return refuse(ret_why, "", 0, "is not a set of CPUs");
	for (;;) {
		if (read_range(&text, &set, ret_why) < 0)
			return -EINVAL;
		if (strcmp(text, "") == 0 || strcmp(text, "\n") == 0)
			break;
		if (*text != ',')
			return refuse(ret_why, text, strcspn(text, ",\n"), "is not a comma");
		text++;
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

	if (!buf)
		len = 0;
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
