/* SPDX-License-Identifier: MIT */
/* machine.c: see machine.h. */
#include "tests/numa/machine.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct machine machine;

static bool read_line(const char *folder, unsigned node, const char *name, char line[1024])
{
	char path[512];
	FILE *f;
	bool there;

	snprintf(path, sizeof(path), "%s/node%u/%s", folder, node, name);
	f = fopen(path, "re");
	there = f && fgets(line, 1024, f);
	if (f)
		fclose(f);
	return there;
}

static void read_distances(const char *line, unsigned *distance)
{
	char *end;

	for (unsigned i = 0; i < MACHINE_NODES; i++, line = end) {
		distance[i] = (unsigned)strtoul(line, &end, 10);
		if (end == line)
			return;
	}
}

static void read_machine(void)
{
	const char *folder = getenv("WEIR_NUMA_MACHINE");
	char line[1024];

	memset(&machine, 0, sizeof(machine));
	machine.ours = folder != NULL;
	folder = folder ? folder : "/sys/devices/system/node";
	for (unsigned node = 0; node < MACHINE_NODES; node++) {
		if (!read_line(folder, node, "distance", line))
			continue;
		read_distances(line, machine.distance[node]);
		machine.nodes++;
		if (read_line(folder, node, "cpulist", line))
			(void)weir_cpuset_parse(line, &machine.cpus[node], NULL);
		for (unsigned i = 0; i < WEIR_CPUS_MAX / 64; i++)
			machine.all.word[i] |= machine.cpus[node].word[i];
	}
}

bool machine_has_nodes(void)
{
	unsigned node, with_cpus = 0;

	read_machine();
	for (node = 0; node < MACHINE_NODES; node++)
		with_cpus += weir_cpuset_count(&machine.cpus[node]) > 0;
	if (with_cpus < 2)
		testing_skip(
			"fewer than two memory nodes that have CPUs (./dev check numa has them)");
	return with_cpus >= 2;
}

bool machine_is_ours(void)
{
	if (!machine_has_nodes())
		return false;
	if (!machine.ours)
		testing_skip("changes the machine: only in ./dev check numa");
	return machine.ours;
}

int machine_node_of_cpu(unsigned cpu)
{
	for (int node = 0; node < MACHINE_NODES; node++)
		if (weir_cpuset_has(&machine.cpus[node], cpu))
			return node;
	return -1;
}

unsigned machine_first_cpu(unsigned node)
{
	unsigned cpu = 0;

	while (cpu < WEIR_CPUS_MAX && !weir_cpuset_has(&machine.cpus[node], cpu))
		cpu++;
	ck_assert_uint_lt(cpu, WEIR_CPUS_MAX);
	return cpu;
}

unsigned machine_cpu_node(unsigned n)
{
	unsigned node;

	for (node = 0; node < MACHINE_NODES; node++)
		if (weir_cpuset_count(&machine.cpus[node]) && n-- == 0)
			break;
	ck_assert_uint_lt(node, MACHINE_NODES);
	return node;
}

void machine_run_on(const struct weir_cpuset *cpus)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (weir_cpuset_has(cpus, cpu))
			CPU_SET(cpu, &set);
	ck_assert_int_eq(sched_setaffinity(0, sizeof(set), &set), 0);
}

void machine_write(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");

	ck_assert_msg(f != NULL, "%s", path);
	fputs(text, f);
	ck_assert_msg(fclose(f) == 0, "%s: '%s'", path, text);
}
