/* SPDX-License-Identifier: MIT */
/*
 * options.h: sets options of a runtime by name, for weir-micro --set and policies.py. A name is a
 * field of weir_rt_config or weir_place_config. "machine=DESCRIPTION" replaces this machine's
 * topology with an hwloc description or the contents of an XML file.
 */
#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H

#include "weir/weir.h"

/* Set "name=value". Returns false if there is no such option, or its value is not a number. */
bool options_set(struct weir_rt_config *cfg, struct weir_place_config *place, const char *text);

#endif
