/* SPDX-License-Identifier: MIT */
/*
 * report_page.c: the page from top to bottom: the files, their warnings, the
 * environment, the groups, and a note on how to read it.
 */
#include <string.h>

#include "tools/bench/report.h"
#include "tools/common/svg.h"
#include "weir/base.h"

/* ---- the top of the page ---- */

static void names_of_files(FILE *out, const struct report_view *view)
{
	if (view->file_count == 1)
		return;
	fputs("<p class=\"legend\">", out);
	for (unsigned i = 0; i < view->file_count; i++) {
		fprintf(out, "<span><b>%c</b> ", 'A' + (int)i);
		svg_escape(out, view->files[i].path);
		fputs("</span> ", out);
	}
	fputs("</p>\n", out);
}

/* A warning, or why a backend did not run. */
struct remark {
	const char *about;		/* NULL: the run */
	const char *text;
};

/* The i-th remark of a file. False after the last one. */
static bool remark_at(const struct bench_file *file, size_t i, struct remark *ret_remark)
{
	if (i < file->warning_count) {
		*ret_remark = (struct remark){ NULL, file->warnings[i] };
		return true;
	}
	i -= file->warning_count;
	if (i < file->missing_count) {
		*ret_remark = (struct remark){ file->missing[i].key, file->missing[i].value };
		return true;
	}
	return false;
}

static bool same_remark(const struct remark *a, const struct remark *b)
{
	if (!a->about != !b->about || (a->about && strcmp(a->about, b->about) != 0))
		return false;
	return strcmp(a->text, b->text) == 0;
}

static bool has_remark(const struct bench_file *file, const struct remark *remark)
{
	struct remark other;

	for (size_t i = 0; remark_at(file, i, &other); i++)
		if (same_remark(remark, &other))
			return true;
	return false;
}

static void write_remark(FILE *out, const struct report_view *view, unsigned first,
			 const struct remark *remark)
{
	for (unsigned i = 0; i < first; i++)
		if (has_remark(&view->files[i], remark))
			return;
	fputs("<p class=\"warning\">", out);
	for (unsigned i = first; i < view->file_count && view->file_count > 1; i++)
		if (has_remark(&view->files[i], remark))
			fprintf(out, "<b>%c</b> ", 'A' + (int)i);
	if (remark->about) {
		svg_escape(out, remark->about);
		fputs(" did not run: ", out);
	}
	svg_escape(out, remark->text);
	fputs("</p>\n", out);
}

static void warnings(FILE *out, const struct report_view *view)
{
	struct remark remark;

	for (unsigned i = 0; i < view->file_count; i++)
		for (size_t k = 0; remark_at(&view->files[i], k, &remark); k++)
			write_remark(out, view, i, &remark);
}

/* ---- the environment ---- */

static const char *environment(const struct bench_file *file, const char *key)
{
	for (size_t i = 0; i < file->environment_count; i++)
		if (strcmp(file->environment[i].key, key) == 0)
			return file->environment[i].value;
	return NULL;
}

/* Whether the key occurs in an earlier file, or earlier in this one. */
static bool had_before(const struct report_view *view, unsigned file, size_t index)
{
	const char *key = view->files[file].environment[index].key;

	for (unsigned i = 0; i < file; i++)
		if (environment(&view->files[i], key))
			return true;
	for (size_t i = 0; i < index; i++)
		if (strcmp(view->files[file].environment[i].key, key) == 0)
			return true;
	return false;
}

/* Print the letters of the files that have this value; nothing if all have it. */
static void letters(FILE *out, const struct report_view *view, const char *key, const char *value)
{
	unsigned having = 0;

	for (unsigned pass = 0; pass < 2; pass++)
		for (unsigned i = 0; i < view->file_count; i++) {
			const char *other = environment(&view->files[i], key);
			bool has = other && strcmp(other, value) == 0;

			if (pass == 0)
				having += has;
			else if (has && having < view->file_count)
				fprintf(out, "<b>%c</b> ", 'A' + (int)i);
		}
}

/* Whether an earlier file has the same value. */
static bool had_value(const struct report_view *view, unsigned file, const char *key,
		      const char *value)
{
	for (unsigned i = 0; i < file; i++) {
		const char *other = environment(&view->files[i], key);

		if (other && strcmp(other, value) == 0)
			return true;
	}
	return false;
}

/* Print each value once, with the files that have it. */
static void environment_values(FILE *out, const struct report_view *view, const char *key)
{
	unsigned values = 0;

	for (unsigned i = 0; i < view->file_count; i++) {
		const char *value = environment(&view->files[i], key);

		values += value && !had_value(view, i, key, value);
	}
	fprintf(out, "<div%s><dt>", values > 1 ? " class=\"differs\"" : "");
	for (const char *at = key; *at; at++)
		svg_escape(out, (char[]){ (char)(*at == '_' ? ' ' : *at), '\0' });
	fputs("</dt>", out);
	for (unsigned i = 0; i < view->file_count; i++) {
		const char *value = environment(&view->files[i], key);

		if (!value || had_value(view, i, key, value))
			continue;
		fputs("<dd>", out);
		letters(out, view, key, value);
		svg_escape(out, value);
		fputs("</dd>", out);
	}
	fputs("</div>\n", out);
}

/* Whether a key describes the machine, and not the file. */
static bool is_environment(const char *key)
{
	return strcmp(key, "executable") != 0 && strcmp(key, "json_schema_version") != 0;
}

static void environments(FILE *out, const struct report_view *view)
{
	fputs("<details open><summary>Environment</summary><dl class=\"env\">\n", out);
	for (unsigned i = 0; i < view->file_count; i++)
		for (size_t k = 0; k < view->files[i].environment_count; k++) {
			const char *key = view->files[i].environment[k].key;

			if (is_environment(key) && !had_before(view, i, k))
				environment_values(out, view, key);
		}
	fputs("</dl></details>\n", out);
}

/* ---- the page ---- */

static void top(FILE *out, const struct report_view *view)
{
	fputs("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
	      "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
	      "<title>weir bench: ",
	      out);
	svg_escape(out, view->files[0].path);
	fputs("</title>\n", out);
	report_style(out);
	fputs("</head><body>\n<h1>weir bench</h1>\n", out);
	names_of_files(out, view);
	warnings(out, view);
	environments(out, view);
}

static void bottom(FILE *out)
{
	fputs("<footer><p>Bars and figures are medians over the repetitions; each dot is a "
	      "repetition, and a whisker is the 95 % bootstrap interval of the median. p is the "
	      "result of a two-sided Mann-Whitney U test between the repetitions. \342\211\210 "
	      "and \"no measurable difference\" mean that p is 0.05 or more, or that the "
	      "difference is within the noise floor, which the same program showed against "
	      "itself. About one figure in twenty differs by chance.</p><p>Written by weir ",
	      out);
	svg_escape(out, weir_version());
	fputs(".</p></footer>\n</body></html>\n", out);
}

void report_page(FILE *out, const struct report_view *view)
{
	bool google = false;

	top(out, view);
	for (size_t i = 0; i < view->group_count; i++) {
		google |= view->groups[i].google;
		if (!view->groups[i].google)
			report_group(out, view, &view->groups[i]);
	}
	if (google)
		report_micro(out, view);
	bottom(out);
}
