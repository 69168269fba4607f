/* SPDX-License-Identifier: MIT */
/*
 * place_order.c: the places for workers on the CPUs that are not left out, sorted so
 * that neighbours are near each other.
 */
#include <errno.h>
#include <stdlib.h>

#include "topo/place.h"

static int compare_slots(const void *a, const void *b)
{
	const struct place_slot *x = a, *y = b;
	int by = x->node - y->node;

	by = by ? by : x->package - y->package;
	by = by ? by : x->l3 - y->l3;
	by = by ? by : x->slowness - y->slowness;
	by = by ? by : x->cluster - y->cluster;
	by = by ? by : x->core - y->core;
	by = by ? by : x->cpu - y->cpu;
	return by ? by : x->round - y->round;
}

bool weir__place_new_cluster(const struct place_slot *a, const struct place_slot *b)
{
	return a->node != b->node || a->l3 != b->l3 || a->slowness != b->slowness ||
	       a->cluster != b->cluster;
}

static void rank_in_cores(struct place_slot *slots, unsigned len)
{
	unsigned i;

	for (i = 1; i < len; i++)
		if (slots[i].core == slots[i - 1].core)
			slots[i].rank = (uint16_t)(slots[i - 1].rank +
						   (slots[i].cpu != slots[i - 1].cpu));
}

int weir__place_order(struct place *p, unsigned rounds)
{
	const struct weir_topo *topo = p->topo;
	unsigned i, round, n = 0;
	struct place_slot *slots = calloc((size_t)topo->cpus_len * rounds, sizeof *slots);

	if (!slots)
		return -ENOMEM;
	for (i = 0; i < topo->cpus_len; i++) {
		const struct weir_topo_cpu *cpu = &topo->cpus[i];

		for (round = 0; round < rounds && p->plan->out[i] == WEIR_CPU_USABLE; round++)
			slots[n++] = (struct place_slot){
				.node = cpu->node,
				.package = cpu->package,
				.l3 = cpu->l3,
				.slowness = (uint16_t)(UINT8_MAX - cpu->kind),
				.cluster = cpu->cluster,
				.core = cpu->core,
				.cpu = (uint16_t)i,
				.round = (uint16_t)round,
			};
	}
	qsort(slots, n, sizeof *slots, compare_slots);
	rank_in_cores(slots, n);
	free(p->slots);
	p->slots = slots;
	p->slots_len = n;
	p->rounds = rounds;
	return 0;
}
