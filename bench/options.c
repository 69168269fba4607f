/* SPDX-License-Identifier: MIT */
/* options.c: see options.h. */
#include "bench/options.h"

#include <stdlib.h>
#include <string.h>

static const struct option {
	const char *name;
	size_t at;
	enum kind {
		FLAG,
		NUMBER,
		WIDE,
		PLACE
	} kind;
} options[] = {
	{ "steal", offsetof(struct weir_rt_config, steal), NUMBER },
	{ "remote_after", offsetof(struct weir_rt_config, remote_after), NUMBER },
	{ "searchers", offsetof(struct weir_rt_config, searchers), NUMBER },
	{ "event_interval", offsetof(struct weir_rt_config, event_interval), NUMBER },
	{ "inject_interval", offsetof(struct weir_rt_config, inject_interval), NUMBER },
	{ "lifo_max", offsetof(struct weir_rt_config, lifo_max), NUMBER },
	{ "budget", offsetof(struct weir_rt_config, budget), NUMBER },
	{ "busy_events", offsetof(struct weir_rt_config, busy_events), NUMBER },
	{ "idle_events", offsetof(struct weir_rt_config, idle_events), NUMBER },
	{ "no_lifo", offsetof(struct weir_rt_config, no_lifo), FLAG },
	{ "tune_ns", offsetof(struct weir_rt_config, tune_ns), WIDE },
	{ "spin_ns", offsetof(struct weir_rt_config, spin_ns), WIDE },
	{ "watch_ns", offsetof(struct weir_rt_config, watch_ns), WIDE },
	{ "stall_ns", offsetof(struct weir_rt_config, stall_ns), WIDE },
	{ "tick_ns", offsetof(struct weir_rt_config, tick_ns), WIDE },
	{ "policy", offsetof(struct weir_place_config, policy), PLACE },
	{ "bind", offsetof(struct weir_place_config, bind), PLACE },
	{ "group_workers", offsetof(struct weir_place_config, group_workers), PLACE },
	{ "threads_per_core", offsetof(struct weir_place_config, threads_per_core), PLACE },
};

/* Reads "forever", a word for a value of enum weir_steal_mode, or a number. */
static bool read_value(const char *text, uint64_t *ret_value)
{
	static const char *const words[] = { "all", "node", "group", "off" };
	char *end;

	for (unsigned i = 0; i < 4; i++)
		if (!strcmp(text, words[i])) {
			*ret_value = i;
			return true;
		}
	*ret_value = strcmp(text, "forever") ? strtoull(text, &end, 10) : WEIR_FOREVER;
	return !strcmp(text, "forever") || (*text && !*end);
}

static void store(void *base, const struct option *o, uint64_t value)
{
	char *at = (char *)base + o->at;

	if (o->kind == FLAG)
		*(bool *)at = value != 0;
	else if (o->kind == WIDE)
		*(uint64_t *)(void *)at = value;
	else
		*(unsigned *)(void *)at = (unsigned)value;
}

static bool set_machine(struct weir_rt_config *cfg, const char *text)
{
	struct weir_topo *topo;

	if (weir_topo_new(text, &topo, NULL) < 0)
		return false;
	cfg->topo = topo;
	return true;
}

bool options_set(struct weir_rt_config *cfg, struct weir_place_config *place, const char *text)
{
	const char *value = strchr(text, '=');
	size_t len = value ? (size_t)(value - text) : 0;
	uint64_t number;

	if (!value++)
		return false;
	if (!strncmp(text, "machine=", 8))
		return set_machine(cfg, value);
	if (!read_value(value, &number))
		return false;
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if (strlen(options[i].name) == len && !strncmp(options[i].name, text, len)) {
			store(options[i].kind == PLACE ? (void *)place : (void *)cfg, &options[i],
			      number);
			return true;
		}
	return false;
}
