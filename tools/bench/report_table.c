/* SPDX-License-Identifier: MIT */
/*
 * report_table.c: the table of all figures: a row for each series of each
 * figure, with its interval, and how it compares.
 */
#include "tools/bench/meaning.h"
#include "tools/bench/report.h"
#include "tools/common/svg.h"

const char *report_verdict_class(enum bench_verdict verdict)
{
	static const char *const css[] = {
		[BENCH_CANNOT_TELL] = "mute", [BENCH_SAME] = "mute",	  [BENCH_BETTER] = "good",
		[BENCH_WORSE] = "bad",	      [BENCH_DIFFERENT] = "mute",
	};

	return css[verdict];
}

void report_swatch(FILE *out, const struct report_series *series)
{
	char css[48];

	report_class(series, css, sizeof(css));
	fprintf(out, "<i class=\"swatch %s\"></i>", css);
	svg_escape(out, series->label);
}

static void cell(FILE *out, const char *text)
{
	fputs("<td>", out);
	svg_escape(out, text);
	fputs("</td>", out);
}

static void comparison_cells(FILE *out, bool compared, const struct bench_comparison *c)
{
	char text[48];

	if (!compared) {
		fputs("<td></td><td></td><td></td>", out);
		return;
	}
	bench_change_format(c, text, sizeof(text));
	cell(out, text);
	bench_p_format(c->p_value, text, sizeof(text));
	cell(out, text);
	fputs("<td class=\"verdict\">", out);
	fprintf(out, "<span class=\"%s\">", report_verdict_class(c->verdict));
	svg_escape(out, bench_verdict_words(c->verdict));
	fputs("</span></td>", out);
}

static void interval_cell(FILE *out, const struct bench_figure *figure)
{
	char low[QUANTITY_LEN], high[QUANTITY_LEN], text[2 * QUANTITY_LEN + 8] = "n/a";
	struct stats_interval interval;

	if (bench_interval(figure, &interval)) {
		bench_meaning_format(figure->key, interval.lo, 4, low, sizeof(low));
		bench_meaning_format(figure->key, interval.hi, 4, high, sizeof(high));
		snprintf(text, sizeof(text), "%s \342\200\223 %s", low, high);
	}
	cell(out, text);
}

static void figure_row(FILE *out, const struct report_series *series, const char *key, bool several)
{
	const struct bench_figure *figure = bench_result_figure(series->result, key);
	struct bench_comparison c;
	char text[QUANTITY_LEN];

	fputs("<tr><td class=\"name\">", out);
	report_swatch(out, series);
	fputs("</td>", out);
	bench_meaning_format(key, figure->median, 4, text, sizeof(text));
	cell(out, text);
	interval_cell(out, figure);
	snprintf(text, sizeof(text), "%zu", figure->count);
	cell(out, text);
	comparison_cells(out, report_against_reference(series, key, &c), &c);
	if (several)
		comparison_cells(out, report_against_first(series, key, &c), &c);
	fputs("</tr>\n", out);
}

/* All series of one figure, under its name. */
static void figure_rows(FILE *out, const struct report_group *group, const char *key, bool several)
{
	bool named = false;

	for (size_t i = 0; i < group->count; i++) {
		if (!bench_result_figure(group->series[i].result, key))
			continue;
		if (!named) {
			fputs("<tr class=\"group\"><th colspan=\"10\">", out);
			svg_escape(out, group->google ? group->name : "");
			fputs(group->google ? ": " : "", out);
			svg_escape(out, bench_meaning_title(key, group->closed));
			fputs("</th></tr>\n", out);
			named = true;
		}
		figure_row(out, &group->series[i], key, several);
	}
}

/* Keys without an entry in meaning.c, in their order in the file. */
static void other_rows(FILE *out, const struct report_group *group, bool several)
{
	for (size_t i = 0; i < group->count; i++) {
		const struct bench_result *result = group->series[i].result;

		for (size_t k = 0; k < result->figure_count; k++) {
			const char *key = result->figures[k].key;
			size_t before = 0;

			if (bench_meaning_known(key))
				continue;
			while (!bench_result_figure(group->series[before].result, key))
				before++;
			if (before == i)
				figure_rows(out, group, key, several);
		}
	}
}

void report_table_begin(FILE *out, bool several)
{
	fputs("<div class=\"scroll\"><table><thead><tr><th></th><th>median</th>"
	      "<th>95 % interval</th><th>n</th><th>to reference</th><th>p</th>"
	      "<th></th>",
	      out);
	if (several)
		fputs("<th>to first file</th><th>p</th><th></th>", out);
	fputs("</tr></thead><tbody>\n", out);
}

void report_table_rows(FILE *out, const struct report_group *group, bool several)
{
	const char *key;

	for (unsigned i = 0; (key = bench_meaning_key(i)) != NULL; i++)
		figure_rows(out, group, key, several);
	other_rows(out, group, several);
}

void report_table_end(FILE *out)
{
	fputs("</tbody></table></div>\n", out);
}
