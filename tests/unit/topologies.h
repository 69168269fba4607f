/* SPDX-License-Identifier: MIT */
/* topologies.h: helpers for tests of topologies: reading one, and checking its invariants. */
#ifndef WEIR_TESTS_TOPOLOGIES_H
#define WEIR_TESTS_TOPOLOGIES_H

#include <string.h>

#include "tests/support/testing.h"
#include "weir/rt.h"
#include "weir/topo.h"

static inline struct weir_topo *topology_new(const char *input)
{
	struct weir_topo *topo = NULL;
	struct weir_why why;
	int rc = weir_topo_new(input, &topo, &why);

	ck_assert_msg(rc == 0, "%s: %s: %s", input ? input : "this machine", weir_strerror(rc),
		      why.text);
	return topo;
}

/* Returns the CPU with this P#. */
static inline const struct weir_topo_cpu *topology_cpu(const struct weir_topo *topo, unsigned os)
{
	for (unsigned i = 0; i < topo->cpus_len; i++)
		if (topo->cpus[i].os == os)
			return &topo->cpus[i];
	ck_abort_msg("there is no P#%u", os);
	return NULL;
}

static inline unsigned topology_usable(const struct weir_topo *topo)
{
	unsigned i, n = 0;

	for (i = 0; i < topo->cpus_len; i++)
		n += topo->cpus[i].out == WEIR_CPU_USABLE;
	return n;
}

static inline void topology_check_cpu(const struct weir_topo *topo, unsigned i)
{
	const struct weir_topo_cpu *cpu = &topo->cpus[i], *before = cpu - 1;

	ck_assert_uint_lt(cpu->os, WEIR_CPUS_MAX);
	ck_assert_uint_lt(cpu->core, topo->cores);
	ck_assert_uint_lt(cpu->cluster, topo->clusters);
	ck_assert_uint_lt(cpu->l3, topo->l3s_len);
	ck_assert_uint_lt(cpu->package, topo->packages);
	ck_assert_uint_lt(cpu->node, topo->nodes_len);
	ck_assert_uint_lt(cpu->kind, topo->kinds);
	ck_assert_uint_le(cpu->capacity, 1024);
	ck_assert_uint_lt(cpu->out, WEIR_CPU_OUT_LEN);
	for (unsigned k = 0; k < i; k++) {
		const struct weir_topo_cpu *other = &topo->cpus[k];

		ck_assert_uint_ne(other->os, cpu->os);
		if (other->core == cpu->core) {
			ck_assert_uint_ne(other->thread, cpu->thread);
			ck_assert_uint_eq(other->cluster, cpu->cluster);
		}
		if (other->cluster == cpu->cluster) {
			ck_assert_uint_eq(other->l3, cpu->l3);
			ck_assert_uint_eq(other->kind, cpu->kind);
		}
		if (other->l3 == cpu->l3) {
			ck_assert_uint_eq(other->node, cpu->node);
			ck_assert_uint_eq(other->package, cpu->package);
		}
	}
	/* The CPUs of an L3 are consecutive: no earlier CPU has the same L3. */
	if (i > 0 && cpu->out != WEIR_CPU_OFFLINE && before->l3 != cpu->l3)
		ck_assert_uint_gt(cpu->l3, before->l3);
}

/* Checks the invariants of every topology. */
static inline void topology_check(const struct weir_topo *topo)
{
	unsigned i, k, n = topo->nodes_len;

	ck_assert_uint_ge(topo->cpus_len, 1);
	ck_assert_uint_ge(n, 1);
	ck_assert_str_ne(topo->source, "");
	for (i = 0; i < topo->cpus_len; i++)
		topology_check_cpu(topo, i);
	for (i = 0; topo->distances && i < n; i++)
		for (k = 0; k < n; k++)
			ck_assert_uint_ge(topo->distances[i * n + k], 10);
	for (i = 0; i < topo->nics_len; i++) {
		ck_assert_str_ne(topo->nics[i].name, "");
		ck_assert_int_lt(topo->nics[i].node, (int)n);
	}
}

#endif
