/* SPDX-License-Identifier: MIT */
/*
 * file.h: a result file of `weir bench` (docs/bench-json.md) or of Google
 * Benchmark, read into what the report and the comparison need.
 *
 *	file ── results: one for each benchmark on each backend
 *	          └─ figures: one for each thing that was measured
 *	               └─ samples: one for each repetition
 *
 * The run names BM_echo/backend:epoll/conns:64/size:64/{real_time,p50,…} are one
 * result, of the group BM_echo/conns:64/size:64 and the series epoll. In a file of
 * Google Benchmark every run name is a result, fam/a/b of the group fam and the
 * series a/b.
 *
 * Other files are rejected with the place of the error: line and column for invalid JSON, or
 * a path such as benchmarks[3].real_time. In an accepted file all numbers are finite; NAN
 * stands for values that the file does not have.
 */
#ifndef TOOLS_BENCH_FILE_H
#define TOOLS_BENCH_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "tools/bench/meaning.h"

#define BENCH_WHY_LEN 512

struct json_t;

struct bench_pair {
	const char *key;
	char *value;
};

struct bench_figure {
	char *key;			/* "real_time", "p99", "syscalls_per_req" */
	enum bench_better better;
	double *samples;		/* in the order of the repetitions; times in ns */
	size_t count;			/* 0: the file has only the median */
	double median, low, high;	/* and the interval of it, if the file has one */
	double p_value;			/* against the reference, if the file has it */
	const char *verdict;		/* the same, or NULL */
};

struct bench_point {
	double share, ns;		/* share: 0 to 1 */
};

struct bench_moment {
	double second, p50, p99, max;	/* ns */
};

struct bench_result {
	char *name, *group, *series;
	unsigned long long
		order; /* as the file has it; interleaving may have shuffled the entries */
	const char *error;		/* why it did not run, or NULL */
	bool client_bound;		/* in some repetition */
	struct bench_figure *figures;
	size_t figure_count;
	struct bench_point *curve;	/* of all repetitions together */
	size_t curve_count;
	struct bench_moment *slices;	/* repetition after repetition */
	size_t slice_count;
};

struct bench_file {
	const char *path;		/* the caller's */
	bool google;			/* not written by weir bench */
	struct bench_pair *setup;	/* what was run and how: context.weir */
	size_t setup_count;
	struct bench_pair *environment;	/* and where */
	size_t environment_count;
	struct bench_pair *missing;	/* backends that did not run, and why not */
	size_t missing_count;
	struct bench_pair *floors;	/* noise_floor_pct */
	size_t floor_count;
	const char **warnings;
	size_t warning_count;
	struct bench_result *results;	/* at least one */
	size_t result_count;
	struct json_t *root;		/* owns the strings that are not copied */
};

/*
 * Returns 0, or -1 with a message in why, which begins with the path. In both cases the caller
 * calls bench_file_free.
 */
int bench_file_read(const char *path, struct bench_file *file, char why[BENCH_WHY_LEN]);
/* The same for text that is in memory already. */
int bench_file_parse(const char *path, const char *text, size_t len, struct bench_file *file,
		     char why[BENCH_WHY_LEN]);
void bench_file_free(struct bench_file *file);

/* NULL if there is none. */
const struct bench_figure *bench_result_figure(const struct bench_result *result,
					       const char *key);
/* "" if the file does not say. */
const char *bench_file_setup(const struct bench_file *file, const char *key);
/* The difference in per cent that the same program showed against itself; 0 if not known. */
double bench_file_floor(const struct bench_file *file, const char *key);

#endif
