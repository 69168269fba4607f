/* SPDX-License-Identifier: MIT */
/* place_options.c: see place_options.h. The names of the policies come from the library. */
#include <stdio.h>
#include <string.h>

#include "tools/common/place_options.h"

const char *const place_binds[] = { "auto", "none", "group", "core", "cpu", NULL };

static int unknown_policy(const char *policy, char *why, size_t why_len)
{
	char list[256] = "";
	size_t used = 0;

	for (unsigned i = 0; i < WEIR_PLACE_LEN && used < sizeof(list); i++)
		used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s",
					 i == 0			   ? ""
					 : i + 1 == WEIR_PLACE_LEN ? " or "
								   : ", ",
					 weir_place_policy_name(i));
	snprintf(why, why_len, "--policy '%.40s': expected %s", policy, list);
	return OPTIONS_BAD;
}

int place_options_read(const struct place_options *options, struct weir_place_config *ret_place,
		       char *why, size_t why_len)
{
	struct weir_place_config place = WEIR_PLACE_CONFIG_INIT;
	unsigned policy = 0;

	if (options->policy)
		while (policy < WEIR_PLACE_LEN &&
		       strcmp(weir_place_policy_name(policy), options->policy) != 0)
			policy++;
	if (policy == WEIR_PLACE_LEN)
		return unknown_policy(options->policy, why, why_len);
	place.policy = (enum weir_place_policy)policy;
	place.bind = (enum weir_bind)options->bind;
	place.cpus = options->cpus;
	place.group_workers = (unsigned)options->group_workers;
	place.threads_per_core = (unsigned)options->threads_per_core;
	*ret_place = place;
	return 0;
}
