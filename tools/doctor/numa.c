/* SPDX-License-Identifier: MIT */
/*
 * numa.c: the memory nodes: their number, their memory, the distances between them, and
 * how many of them have workers.
 */
#include <string.h>

#include "tools/common/quantity.h"
#include "tools/doctor/doctor.h"
#include "weir/topo.h"

static void check_nodes(struct doctor *doctor)
{
	const struct weir_topo *topo = doctor->topo;
	char list[160] = "", size[QUANTITY_LEN];
	size_t used = 0;

	for (unsigned i = 0; i < topo->nodes_len && used < sizeof(list); i++) {
		quantity_format(QUANTITY_BYTES, (double)topo->nodes[i].memory_bytes, 3, size,
				sizeof(size));
		used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%u: %s",
					 i ? ", " : "", topo->nodes[i].os,
					 topo->nodes[i].memory_bytes ? size : "none");
	}
	if (topo->nodes_len > 1)
		doctor_add(doctor, DOCTOR_INFO, "numa.nodes", "%u nodes with memory %s",
			   topo->nodes_len, list);
	else
		doctor_add(doctor, DOCTOR_PASS, "numa.nodes", "1 node: all memory is equally near");
}

/* A node with CPUs and no memory: all memory accesses of these CPUs are remote. */
static void check_memoryless(struct doctor *doctor)
{
	const struct weir_topo *topo = doctor->topo;
	struct weir_cpuset without = { { 0 } };
	char list[64];

	for (unsigned i = 0; topo->nodes_len > 1 && i < topo->nodes_len; i++)
		for (unsigned k = 0; k < topo->cpus_len; k++)
			if (topo->cpus[k].node == i && !topo->nodes[i].memory_bytes)
				weir_cpuset_add(&without, topo->nodes[i].os);
	if (!weir_cpuset_count(&without))
		return;
	weir_cpuset_print(&without, list, sizeof(list));
	doctor_add(doctor, DOCTOR_WARN, "numa.memoryless",
		   "node %s has CPUs and no memory: all memory accesses there are remote", list);
	doctor_advise(doctor,
		      "install memory there, or leave the node out: --cpus 'drop-node %s'", list);
}

static void check_distances(struct doctor *doctor)
{
	const struct weir_topo *topo = doctor->topo;
	unsigned least = UINT16_MAX, most = 0, n = topo->nodes_len;

	if (n < 2)
		return;
	if (!topo->distances) {
		doctor_add(doctor, DOCTOR_INFO, "numa.distances",
			   "not known: all other nodes count as equally far");
		return;
	}
	for (unsigned i = 0; i < n * n; i++) {
		if (i / n == i % n)
			continue;
		least = topo->distances[i] < least ? topo->distances[i] : least;
		most = topo->distances[i] > most ? topo->distances[i] : most;
	}
	doctor_add(doctor, DOCTOR_INFO, "numa.distances",
		   "%u to %u, where 10 is local: workers steal from near nodes first", least,
		   most);
}

/* Several packages that appear as one node, because of interleaving or a hypervisor. */
static void check_hidden(struct doctor *doctor)
{
	if (doctor->topo->packages < 2 || doctor->topo->nodes_len > 1 || doctor->topo->flat)
		return;
	doctor_add(doctor, DOCTOR_WARN, "numa.hidden",
		   "%u packages, but one node: it is not visible which memory is near",
		   doctor->topo->packages);
	doctor_advise(doctor,
		      "turn node interleaving off in the firmware; in a virtual machine, pass "
		      "on the host's nodes (the hypervisor's NUMA settings)");
}

static void check_workers(struct doctor *doctor)
{
	const struct weir_plan *plan = doctor->plan;

	if (!plan || doctor->topo->nodes_len < 2)
		return;
	doctor_add(doctor, DOCTOR_INFO, "numa.workers",
		   "%u workers in %u groups on %u of %u nodes; weir topo shows where",
		   plan->workers_len, plan->groups_len, plan->nodes_used, doctor->topo->nodes_len);
}

void doctor_check_numa(struct doctor *doctor)
{
	doctor->group = "numa";
	if (!doctor->topo)
		return;
	if (doctor->topo->flat) {
		doctor_add(doctor, DOCTOR_INFO, "numa.nodes", "not known: %s",
			   doctor->topo->source);
		return;
	}
	check_nodes(doctor);
	check_memoryless(doctor);
	check_distances(doctor);
	check_hidden(doctor);
	check_workers(doctor);
}
