/* SPDX-License-Identifier: MIT */
/*
 * read.h: what the two parts of the reader of result files share. Only this header, file.c,
 * entry.c and read.c use the JSON library.
 */
#ifndef TOOLS_BENCH_READ_H
#define TOOLS_BENCH_READ_H

#include <jansson.h>
#include <stdarg.h>

#include "tools/bench/file.h"
#include "weir/base.h"

struct bench_reader {
	struct bench_file *file;
	char *why;		/* BENCH_WHY_LEN */
};

/* "a string", "nothing". */
const char *bench_type_name(const json_t *value);
/* Both store a message in why and return -1. */
int WEIR_PRINTF(2, 3) bench_refuse(struct bench_reader *r, const char *fmt, ...);
int bench_refuse_type(struct bench_reader *r, const char *where, const char *key,
		      const char *wanted, const json_t *found);

/* The list "benchmarks". */
int bench_entries_read(struct bench_reader *r, const json_t *list);
void bench_entries_free(struct bench_file *file);

#endif
