/* SPDX-License-Identifier: MIT */
/*
 * lookup.c: access to the contents of a result file by name.
 */
#include <stdlib.h>
#include <string.h>

#include "tools/bench/file.h"

static const char *pair_value(const struct bench_pair *pairs, size_t count, const char *key)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(pairs[i].key, key) == 0)
			return pairs[i].value;
	return "";
}

const char *bench_file_setup(const struct bench_file *file, const char *key)
{
	return pair_value(file->setup, file->setup_count, key);
}

double bench_file_floor(const struct bench_file *file, const char *key)
{
	return atof(pair_value(file->floors, file->floor_count, key));
}

const struct bench_figure *bench_result_figure(const struct bench_result *result, const char *key)
{
	for (size_t i = 0; i < result->figure_count; i++)
		if (strcmp(result->figures[i].key, key) == 0)
			return &result->figures[i];
	return NULL;
}
