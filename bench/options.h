/* SPDX-License-Identifier: MIT */
/*
 * options.h: a runtime's policies by name, for weir-micro --set and policies.py: those of
 * weir_rt_config and of weir_place_config, and machine=DESCRIPTION (hwloc's, or a file's name) for
 * a topology other than this machine's.
 */
#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H

#include "weir/weir.h"

/* Set "name=value". False: no such option, or no number where one is expected. */
bool options_set(struct weir_rt_config *cfg, struct weir_place_config *place, const char *text);

#endif
