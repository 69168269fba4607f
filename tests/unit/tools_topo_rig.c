/* SPDX-License-Identifier: MIT */
/* tools_topo_rig.c: see tools_topo_rig.h. */
#include "tests/unit/tools_topo_rig.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/testing.h"

#define MOST 512

struct weir_topo topo;
struct weir_plan *plan;
struct topo_view view;

static struct weir_topo_cpu cpus[MOST];
static struct weir_topo_l3 l3s[MOST];
static struct weir_topo_node nodes[MOST];

void rig_topo(struct topo_rig shape)
{
	unsigned in_node = shape.l3s * shape.cores * shape.threads;
	unsigned cores = shape.packages * shape.nodes * shape.l3s * shape.cores;

	unsetenv("COLUMNS");
	memset(&topo, 0, sizeof(topo));
	memset(cpus, 0, sizeof(cpus));
	strcpy(topo.source, "made by hand");
	topo.packages = shape.packages;
	topo.nodes_len = shape.packages * shape.nodes;
	topo.l3s_len = topo.nodes_len * shape.l3s;
	topo.cores = cores;
	topo.clusters = topo.l3s_len;
	topo.kinds = 1;
	topo.cpus_len = cores * shape.threads;
	ck_assert_uint_le(topo.cpus_len, MOST);
	for (unsigned i = 0; i < topo.cpus_len; i++) {
		unsigned core = i / shape.threads, thread = i % shape.threads;

		cpus[i].os = (uint16_t)(core + thread * cores);
		cpus[i].core = (uint16_t)core;
		cpus[i].thread = (uint8_t)thread;
		cpus[i].l3 = cpus[i].cluster = (uint16_t)(core / shape.cores);
		cpus[i].node = (uint16_t)(i / in_node);
		cpus[i].package = (uint16_t)(cpus[i].node / shape.nodes);
		cpus[i].capacity = 1024;
	}
	for (unsigned i = 0; i < topo.nodes_len; i++)
		nodes[i] = (struct weir_topo_node){ (uint16_t)i, 16ull << 30 };
	for (unsigned i = 0; i < topo.l3s_len; i++)
		l3s[i].bytes = 32 << 20;
	topo.cpus = cpus;
	topo.l3s = l3s;
	topo.nodes = nodes;
}

/*
 * Makes the plan, and replaces the library's notes by a fixed one, so that tests can compare text.
 */
void rig_plan(const struct weir_place_config *cfg)
{
	const struct weir_place_config none = WEIR_PLACE_CONFIG_INIT;
	struct weir_why why = { "" };

	ck_assert_msg(weir_plan_new(&topo, cfg ? cfg : &none, &plan, &why) == 0, "%s", why.text);
	plan->why_len = 1;
	strcpy(plan->why[0], "because it is so");
	ck_assert_int_eq(topo_view_init(&view, &topo, plan), 0);
}

void rig_fini(void)
{
	topo_view_fini(&view);
	weir_plan_free(plan);
	plan = NULL;
}

char *rig_printed(void (*print)(const struct topo_view *, FILE *))
{
	static char text[1 << 19];
	FILE *f = fmemopen(text, sizeof(text), "w");

	ck_assert_ptr_nonnull(f);
	print(&view, f);
	ck_assert_int_eq(fclose(f), 0);
	return text;
}
