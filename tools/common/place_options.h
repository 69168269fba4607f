/* SPDX-License-Identifier: MIT */
/*
 * place_options.h: the placement options, which all commands with workers share.
 *
 *	struct config { struct place_options place; … };
 *	static const struct option_spec specs[] = { PLACE_OPTIONS(struct config, place), … };
 *
 * The number of workers is an option of each command, because the defaults differ.
 * A CPU set stays text here: the plan parses it and reports errors.
 */
#ifndef TOOLS_COMMON_PLACE_OPTIONS_H
#define TOOLS_COMMON_PLACE_OPTIONS_H

#include <stddef.h>

#include "tools/common/options.h"
#include "weir/topo.h"

struct place_options {
	const char *policy, *cpus;	/* NULL: not given */
	unsigned bind;			/* enum weir_bind */
	uint64_t group_workers, threads_per_core; /* 0: not given */
};

extern const char *const place_binds[];	/* by enum weir_bind; ends with NULL */

#define PLACE_OPTION(config, member, field) (offsetof(config, member.field))

/* clang-format off */
#define PLACE_OPTIONS(config, member) \
	{ "policy", OPTION_TEXT, PLACE_OPTION(config, member, policy), 0, 0, NULL, "POLICY", \
	  "which CPUs get workers, in which groups; see weir topo [performance]" }, \
	{ "bind", OPTION_CHOICE, PLACE_OPTION(config, member, bind), 0, 0, place_binds, "HOW", \
	  "bind workers to: none, group, core or cpu [auto]" }, \
	{ "cpus", OPTION_TEXT, PLACE_OPTION(config, member, cpus), 0, 0, NULL, "SET", \
	  "use only these CPUs: 0-3,8 or only-node 0,drop-smt … [all]" }, \
	{ "threads-per-core", OPTION_COUNT, PLACE_OPTION(config, member, threads_per_core), 1, 8, \
	  NULL, "N", "hardware threads used on each core [all]" }, \
	{ "group-workers", OPTION_COUNT, PLACE_OPTION(config, member, group_workers), 1, 64, \
	  NULL, "N", "largest number of workers in a group [16]" }
/* clang-format on */

/*
 * Returns 0; or OPTIONS_BAD with the message in why, and leaves *ret_place unchanged. *ret_place
 * points to the text of options->cpus.
 */
int place_options_read(const struct place_options *options, struct weir_place_config *ret_place,
		       char *why, size_t why_len);

#endif
