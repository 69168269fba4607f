/* SPDX-License-Identifier: MIT */
/*
 * report.h: `weir bench report` writes result files as one HTML page with charts and
 * without a script. Its files:
 *
 *	report.c		the command
 *	report_page.c	the page from top to bottom
 *	report_view.c	files -> groups of series, and their colours
 *	report_group.c	one group: the texts and tables around the charts
 *	report_table.c	the table of all figures
 *	report_charts.c	bars, percentile curve, latency over time, CPU
 *	report_micro.c	a group of Google Benchmark's
 *	report_style.c	the style sheet
 *
 * Everything that comes from a file goes to the page through svg_escape.
 */
#ifndef TOOLS_BENCH_REPORT_H
#define TOOLS_BENCH_REPORT_H

#include <stdio.h>

#include "tools/bench/compare.h"
#include "tools/bench/file.h"

#define REPORT_FILES_MAX 16
#define REPORT_COLOURS 8

struct report_series {
	const struct bench_file *file;
	unsigned file_index;
	unsigned shade;			/* 0 for the group's first file, 1 for the next, … */
	const struct bench_result *result;
	const struct bench_result *reference;	/* in the same file; NULL: it is it, or has none */
	const struct bench_result *first;	/* the same in an earlier file, or NULL */
	unsigned colour;
	bool repeated;			/* the reference once more, for the noise floor */
	char label[96];			/* backend, and the file's letter if there are several */
};

/* The same benchmark on several backends, from several files. */
struct report_group {
	const char *name;
	bool google, closed;
	bool several;			/* files that can be compared */
	struct report_series *series;
	size_t count;
};

struct report_view {
	const struct bench_file *files;
	unsigned file_count;
	struct report_group *groups;
	size_t group_count;
	char owners[REPORT_COLOURS][80];	/* of colours: the backends that are not known */
	char variants[REPORT_COLOURS][96];	/* Google's: what their colours mean */
	unsigned variant_count;
};

void report_view_init(struct report_view *view, const struct bench_file *files, unsigned count);
void report_view_fini(struct report_view *view);

/* "c3 f1": the class of a mark: its colour, and its file's shade. */
void report_class(const struct report_series *series, char *buf, size_t len);
/* The title of a group: "echo · 64 connections · 64 B". */
void report_title(const struct report_group *group, char *buf, size_t len);
/*
 * Compare a series with its reference, or with the first file. False: there is nothing to compare.
 */
bool report_against_reference(const struct report_series *series, const char *key,
			      struct bench_comparison *ret_comparison);
bool report_against_first(const struct report_series *series, const char *key,
			  struct bench_comparison *ret_comparison);

void report_page(FILE *out, const struct report_view *view);
void report_group(FILE *out, const struct report_view *view, const struct report_group *group);
const char *report_verdict_class(enum bench_verdict verdict);
/* Write a small box in the colour of a series, and its label. */
void report_swatch(FILE *out, const struct report_series *series);
/* several: add columns that compare later files with the first. */
void report_table_begin(FILE *out, bool several);
void report_table_rows(FILE *out, const struct report_group *group, bool several);
void report_table_end(FILE *out);
void report_charts(FILE *out, const struct report_group *group);
void report_micro(FILE *out, const struct report_view *view);
void report_style(FILE *out);

#endif
