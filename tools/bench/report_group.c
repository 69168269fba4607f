/* SPDX-License-Identifier: MIT */
/*
 * report_group.c: one benchmark of weir bench on all its backends: its settings, the
 * short table, the charts, and the table of all figures.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/bench/meaning.h"
#include "tools/bench/report.h"
#include "tools/common/svg.h"

/* ---- what was run ---- */

static void phrase(FILE *out, const char *before, const char *value, const char *after)
{
	if (!*value)
		return;
	fputs(before, out);
	svg_escape(out, value);
	fputs(after, out);
}

/* A number of the setup with its unit, "" if it has none. */
static const char *rate_of(const struct bench_file *file, char *buf, size_t len)
{
	const char *text = bench_file_setup(file, "rate_per_s");

	if (!*text)
		return "";
	quantity_format(QUANTITY_RATE, strtod(text, NULL), 3, buf, len);
	return buf;
}

static void describe_run(FILE *out, const struct report_view *view, const struct bench_file *file)
{
	char rate[QUANTITY_LEN];

	fputs("<p class=\"run\">", out);
	if (view->file_count > 1)
		fprintf(out, "<b>%c</b> ", 'A' + (int)(file - view->files));
	phrase(out, "", bench_file_setup(file, "loop"), " loop");
	phrase(out, " at ", rate_of(file, rate, sizeof(rate)), "");
	phrase(out, ", arrivals ", bench_file_setup(file, "arrivals"), "");
	phrase(out, "; ", bench_file_setup(file, "repetitions"), " repetitions");
	phrase(out, " of ", bench_file_setup(file, "time_s"), " s");
	phrase(out, "; workers of the server: ", bench_file_setup(file, "workers"), "");
	phrase(out, "; ", bench_file_setup(file, "placement"), "");
	phrase(out, "; compared with ", bench_file_setup(file, "reference"), "");
	fputs("</p>\n", out);
}

static void describe(FILE *out, const struct report_view *view, const struct report_group *group)
{
	for (unsigned i = 0; i < view->file_count; i++)
		for (size_t k = 0; k < group->count; k++)
			if (group->series[k].file_index == i) {
				describe_run(out, view, &view->files[i]);
				break;
			}
}

/* List the client-bound series. */
static void describe_bound(FILE *out, const struct report_group *group)
{
	bool any = false;

	for (size_t k = 0; k < group->count; k++) {
		if (!group->series[k].result->client_bound)
			continue;
		fputs(any ? ", " : "<p class=\"warning\">client-bound: ", out);
		svg_escape(out, group->series[k].label);
		any = true;
	}
	if (any)
		fputs(". Such figures say more about the client than about the server.</p>\n", out);
}

/* ---- the short table ---- */

static const char *const headline[] = {
	"items_per_second", "real_time",	"p50",		"p99", "p999", "max_ns",
	"cpu_time",	    "syscalls_per_req", "ctxsw_per_req"
};

#define HEADLINE (sizeof(headline) / sizeof(headline[0]))

static bool somebody_has(const struct report_group *group, const char *key)
{
	for (size_t i = 0; i < group->count; i++)
		if (bench_result_figure(group->series[i].result, key))
			return true;
	return false;
}

static void headline_cell(FILE *out, const struct report_series *series, const char *key)
{
	const struct bench_figure *figure = bench_result_figure(series->result, key);
	char text[QUANTITY_LEN], change[48];
	struct bench_comparison c;

	bench_meaning_format(key, figure ? figure->median : NAN, 3, text, sizeof(text));
	fputs("<td>", out);
	svg_escape(out, text);
	if (report_against_reference(series, key, &c)) {
		if (c.verdict == BENCH_SAME)
			snprintf(change, sizeof(change), "\342\211\210");
		else
			bench_change_format(&c, change, sizeof(change));
		fprintf(out, " <span class=\"%s\">", report_verdict_class(c.verdict));
		svg_escape(out, change);
		fputs("</span>", out);
	}
	fputs("</td>", out);
}

static void short_table(FILE *out, const struct report_group *group)
{
	fputs("<div class=\"scroll\"><table class=\"short\"><thead><tr><th></th>", out);
	for (size_t k = 0; k < HEADLINE; k++)
		if (somebody_has(group, headline[k])) {
			fputs("<th>", out);
			svg_escape(out, bench_meaning_title(headline[k], group->closed));
			fputs("</th>", out);
		}
	fputs("</tr></thead><tbody>\n", out);
	for (size_t i = 0; i < group->count; i++) {
		fputs("<tr><th>", out);
		report_swatch(out, &group->series[i]);
		fputs("</th>", out);
		for (size_t k = 0; k < HEADLINE; k++)
			if (somebody_has(group, headline[k]))
				headline_cell(out, &group->series[i], headline[k]);
		fputs("</tr>\n", out);
	}
	fputs("</tbody></table></div>\n", out);
}

void report_group(FILE *out, const struct report_view *view, const struct report_group *group)
{
	char title[256];

	report_title(group, title, sizeof(title));
	fputs("<section><h2>", out);
	svg_escape(out, title);
	fputs("</h2>\n", out);
	describe(out, view, group);
	describe_bound(out, group);
	short_table(out, group);
	report_charts(out, group);
	fputs("<details open><summary>All figures</summary>\n", out);
	report_table_begin(out, group->several);
	report_table_rows(out, group, group->several);
	report_table_end(out);
	fputs("</details>", out);
	fputs("</section>\n", out);
}
