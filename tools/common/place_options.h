/* SPDX-License-Identifier: MIT */
/*
 * place_options.h: where the workers go, as options of a command: the same words
 * for every command that has workers.
 *
 *	struct config { struct place_options place; … };
 *	static const struct option_spec specs[] = { PLACE_OPTIONS(struct config, place), … };
 *
 * How many workers there are is an option of the command itself, for its default
 * is. A CPU set is text here: the plan reads it, and says what is wrong with it.
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
	  "which CPUs get workers, and in which groups; weir topo shows it [performance]" }, \
	{ "bind", OPTION_CHOICE, PLACE_OPTION(config, member, bind), 0, 0, place_binds, "HOW", \
	  "a worker to: none, its group, core or cpu [auto]" }, \
	{ "cpus", OPTION_TEXT, PLACE_OPTION(config, member, cpus), 0, 0, NULL, "SET", \
	  "only these: 0-3,8 or only-node 0, drop-smt and so on, with commas [all]" }, \
	{ "threads-per-core", OPTION_COUNT, PLACE_OPTION(config, member, threads_per_core), 1, 8, \
	  NULL, "N", "hardware threads used of each core [all]" }, \
	{ "group-workers", OPTION_COUNT, PLACE_OPTION(config, member, group_workers), 1, 64, \
	  NULL, "N", "workers in a group, at most [16]" }
/* clang-format on */

/* 0; or OPTIONS_BAD with the sentence in why, and nothing written. *ret_place keeps the text of cpus. */
int place_options_read(const struct place_options *options, struct weir_place_config *ret_place,
		       char *why, size_t why_len);

#endif
