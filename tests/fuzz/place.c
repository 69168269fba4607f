/* SPDX-License-Identifier: MIT */
/*
 * place.c: CPU sets by name (weir_place_config.cpus), with any policy and number of workers. The
 * result must be a plan whose workers are on usable CPUs, or an error with a reason and no output.
 *
 * The first four bytes of the input select the machine, the policy, the number of workers and the
 * largest group; the rest is the text.
 */
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "tests/topo/machine.h"

#define TEXT_MAX 300

static const char *const machines[] = {
	"package:2 node:2 l3:2 core:4 pu:2",
	"adjacent package:1 node:1 l3:1 cluster:1 core:6 pu:2 @1024; cluster:2 core:4 pu:1 @640",
	"package:1 node:1 l3:1 core:1 pu:1",
	"package:3 node:1 l3:1 core:5 pu:4",
};

static void check_plan(const struct weir_topo *topo, const struct weir_plan *plan)
{
	unsigned i, used = 0;

	for (i = 0; i < topo->cpus_len; i++)
		used += plan->out[i] == WEIR_CPU_USABLE;
	FUZZ_ASSERT(used > 0 && used == plan->cpus_used);
	FUZZ_ASSERT(plan->workers_len > 0 && plan->groups_len > 0);
	FUZZ_ASSERT(plan->why_len > 0 && plan->why_len <= WEIR_PLAN_WHY_MAX);
	for (i = 0; i < plan->workers_len; i++) {
		const struct weir_plan_worker *w = &plan->workers[i];

		FUZZ_ASSERT(w->cpu < topo->cpus_len && plan->out[w->cpu] == WEIR_CPU_USABLE);
		FUZZ_ASSERT(w->tier_end[WEIR_TIER_REMOTE] == plan->workers_len - 1);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct weir_place_config cfg = WEIR_PLACE_CONFIG_INIT;
	struct weir_plan *plan = NULL;
	struct weir_topo *topo;
	struct weir_why why;
	char text[TEXT_MAX];
	int rc;

	if (size < 4 || size - 4 >= sizeof text)
		return 0;
	memcpy(text, data + 4, size - 4);
	text[size - 4] = '\0';
	topo = machine_new(machines[data[0] % 4]);
	cfg.policy = (enum weir_place_policy)(data[1] % (WEIR_PLACE_LEN + 1));
	cfg.workers = data[2] % 80;	/* more would be slow, and find nothing else */
	cfg.group_workers = data[3];
	cfg.cpus = text;
	rc = weir_plan_new(topo, &cfg, &plan, &why);
	FUZZ_ASSERT(rc == 0 ? plan != NULL : rc == -EINVAL && !plan && why.text[0]);
	if (rc == 0)
		check_plan(topo, plan);
	weir_plan_free(plan);
	weir_topo_free(topo);
	return 0;
}
