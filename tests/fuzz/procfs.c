/* SPDX-License-Identifier: MIT */
/*
 * procfs.c: the lines of /proc that `weir topo` and `weir doctor` parse: interrupts, the state of a
 * thread, the places of pages. The kernel writes them, but programs choose their threads' names.
 * Each line must be refused, or all values parsed from it must be in range.
 */
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "tools/common/nic.h"
#include "tools/topo/pid.h"

#define NODES 4

static void try_interrupt(const char *line)
{
	uint16_t cpus[WEIR_CPUS_MAX];
	unsigned len = interrupts_parse_head(line, cpus), queue = 77;
	struct interrupt interrupt;

	FUZZ_ASSERT(len <= WEIR_CPUS_MAX);
	for (unsigned i = 0; i < len; i++)
		FUZZ_ASSERT(cpus[i] < WEIR_CPUS_MAX);
	cpus[0] = 0;
	cpus[1] = 1;
	if (!interrupts_parse_line(line, cpus, 2, &interrupt))
		return;
	FUZZ_ASSERT(interrupt.cpu <= 1);
	FUZZ_ASSERT(memchr(interrupt.name, '\0', sizeof(interrupt.name)));
	if (nic_irq_use(interrupt.name, &queue) != NIC_IRQ_OTHER)
		FUZZ_ASSERT(queue < 1000000);
}

static void try_stat(const char *line)
{
	struct topo_thread thread;

	if (!topo_parse_stat(line, &thread))
		return;
	FUZZ_ASSERT(memchr(thread.name, '\0', sizeof(thread.name)));
	FUZZ_ASSERT(thread.cpu >= -1 && thread.cpu < (int)WEIR_CPUS_MAX);
	FUZZ_ASSERT(thread.policy <= 7);
}

static void try_worker(const char *line)
{
	char runtime[16] = "?";
	int worker = topo_parse_worker(line, runtime, sizeof(runtime));

	FUZZ_ASSERT(worker >= -1 && worker < 256);
	FUZZ_ASSERT(memchr(runtime, '\0', sizeof(runtime)));
	FUZZ_ASSERT(worker >= 0 || strcmp(runtime, "?") == 0);
}

static void try_numa(const char *line)
{
	struct topo_node_memory memory[NODES + 1] = { { 0, 0 } };

	topo_add_numa_line(line, memory, NODES);
	FUZZ_ASSERT(memory[NODES].bytes == 0 && memory[NODES].file_bytes == 0);
	for (unsigned i = 0; i < NODES; i++)
		FUZZ_ASSERT(memory[i].file_bytes <= memory[i].bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *line = malloc(size + 1);

	if (!line)
		return 0;
	memcpy(line, data, size);
	line[size] = '\0';
	try_interrupt(line);
	try_stat(line);
	try_worker(line);
	try_numa(line);
	free(line);
	return 0;
}
