/* SPDX-License-Identifier: MIT */
/*
 * numa.c: the memory nodes: how many, how far from each other, what is on each,
 * and whether the workers have them to themselves.
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
		doctor_add(doctor, DOCTOR_PASS, "numa.nodes", "1: all memory is equally near");
}

/* A node with CPUs and no memory: whoever runs there has everything from elsewhere. */
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
		   "node %s has CPUs and no memory: all that runs there waits for another's", list);
	doctor_advise(doctor,
		      "put memory modules there, or leave it out: --cpus 'drop-node %s'", list);
}

static void check_distances(struct doctor *doctor)
{
	const struct weir_topo *topo = doctor->topo;
	unsigned least = UINT16_MAX, most = 0, n = topo->nodes_len;

	if (n < 2)
		return;
	if (!topo->distances) {
		doctor_add(doctor, DOCTOR_INFO, "numa.distances",
			   "not known: every other node is as far");
		return;
	}
	for (unsigned i = 0; i < n * n; i++) {
		if (i / n == i % n)
			continue;
		least = topo->distances[i] < least ? topo->distances[i] : least;
		most = topo->distances[i] > most ? topo->distances[i] : most;
	}
	doctor_add(doctor, DOCTOR_INFO, "numa.distances",
		   "%u to %u, where 10 is a node's own: stealing goes from near to far", least,
		   most);
}

/* Several sockets that look like one memory: interleaving in the firmware, or a hypervisor. */
static void check_hidden(struct doctor *doctor)
{
	if (doctor->topo->packages < 2 || doctor->topo->nodes_len > 1 || doctor->topo->flat)
		return;
	doctor_add(doctor, DOCTOR_WARN, "numa.hidden",
		   "%u packages, but one node: which memory is near is not to be seen",
		   doctor->topo->packages);
	doctor_advise(doctor, "turn node interleaving off in the firmware; a virtual machine wants "
			      "its host's nodes (numa settings of the hypervisor)");
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
