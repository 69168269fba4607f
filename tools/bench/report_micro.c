/* SPDX-License-Identifier: MIT */
/*
 * report_micro.c: Google Benchmark's results. A family (the text before the first slash
 * of a name) is a block of rows, and a variant (the text after it) a colour. All have one
 * logarithmic axis, because the figures range from a few ns to many ms.
 */
#include <math.h>

#include "tools/bench/meaning.h"
#include "tools/bench/report.h"
#include "tools/common/svg.h"

#define WIDTH 1320.0
#define ROW 18.0
#define GAP 9.0			/* between families */
#define BOLD 1.2		/* bold names are this much wider */
#define AXIS_EVERY 40		/* rows in one picture */

/* The time per operation if the program reports it, or else per iteration. */
static const struct bench_figure *time_of(const struct bench_result *result)
{
	const struct bench_figure *figure = bench_result_figure(result, "s/op");

	return figure ? figure : bench_result_figure(result, "real_time");
}

static double in_ns(const struct bench_figure *figure, double value)
{
	return value * bench_meaning(figure->key)->factor;
}

/* ---- how large ---- */

struct extent {
	double low, high;	/* ns */
	double labels, series;	/* widths of the two columns of names */
};

static void see(struct extent *e, const struct report_series *series)
{
	const struct bench_figure *figure = time_of(series->result);
	struct stats_interval interval;

	e->labels = fmax(e->labels, svg_text_width(series->result->group) * BOLD);
	e->series = fmax(e->series, svg_text_width(series->label));
	if (!figure || !(figure->median > 0))
		return;
	if (!bench_interval(figure, &interval) || !(interval.lo > 0))
		interval = (struct stats_interval){ figure->median, figure->median };
	e->low = fmin(e->low, in_ns(figure, interval.lo));
	e->high = fmax(e->high, in_ns(figure, interval.hi));
}

static struct extent extent_of(const struct report_view *view)
{
	struct extent e = { INFINITY, 0, 60, 0 };

	for (size_t i = 0; i < view->group_count; i++)
		for (size_t k = 0; view->groups[i].google && k < view->groups[i].count; k++)
			see(&e, &view->groups[i].series[k]);
	e.labels = fmin(e.labels, 320) + 14;
	e.series = fmin(e.series, 260) + 14;
	return e;
}

/* ---- the picture ---- */

static void row(FILE *out, const struct svg_scale *x, const struct extent *e,
		const struct report_series *series, double y)
{
	const struct bench_figure *figure = time_of(series->result);
	struct stats_interval interval;
	char css[64], text[QUANTITY_LEN];

	svg_label(out, x->from - 10, y + 4, "end", "label", series->label, e->series - 12);
	if (!figure || !(figure->median > 0)) {
		svg_text(out, x->from + 6, y + 4, "start", "mute",
			 series->result->error ? series->result->error : "n/a");
		return;
	}
	if (bench_interval(figure, &interval) && interval.lo > 0)
		svg_whisker(out, svg_at(x, in_ns(figure, interval.lo)),
			    svg_at(x, in_ns(figure, interval.hi)), y, "whisker");
	report_class(series, css, sizeof(css));
	quantity_format(QUANTITY_NS, in_ns(figure, figure->median), 3, text, sizeof(text));
	svg_dot(out, svg_at(x, in_ns(figure, figure->median)), y, 4.5, css, text);
	svg_text(out, WIDTH - 4, y + 4, "end", "value", text);
}

static double block_height(const struct report_group *group)
{
	return (double)group->count * ROW + GAP;
}

static double block(FILE *out, const struct svg_scale *x, const struct extent *e,
		    const struct report_group *group, double y)
{
	svg_line(out, 0, y, WIDTH, y, "rule");
	y += GAP / 2 + ROW / 2;
	svg_label(out, 0, y + 4, "start", "family", group->name, (e->labels - 12) / BOLD);
	for (size_t k = 0; k < group->count; k++, y += ROW)
		row(out, x, e, &group->series[k], y);
	return y - ROW / 2 + GAP / 2;
}

/* Draw blocks from first on until the chart is full. Returns the number of the next block. */
static size_t picture(FILE *out, const struct report_view *view, const struct extent *e,
		      size_t first)
{
	struct svg_scale x = svg_scale(SVG_LOG, e->low, e->high, e->labels + e->series, WIDTH - 78,
				       QUANTITY_NS);
	double height = 0, y = 2;
	size_t end;

	for (end = first; end < view->group_count && height < AXIS_EVERY * ROW; end++)
		if (view->groups[end].google)
			height += block_height(&view->groups[end]);
	svg_begin(out, WIDTH, height + 28, "time of each benchmark");
	svg_axis_x(out, &x, 2, height + 6);
	for (size_t i = first; i < end; i++)
		if (view->groups[i].google)
			y = block(out, &x, e, &view->groups[i], y);
	svg_end(out);
	return end;
}

/* ---- the section ---- */

static void legend(FILE *out, const struct report_view *view)
{
	if (view->variant_count < 2)
		return;
	fputs("<p class=\"legend\">", out);
	for (unsigned i = 0; i < view->variant_count; i++) {
		fprintf(out, "<span><i class=\"swatch c%u\"></i>", i);
		svg_escape(out, view->variants[i]);
		fputs("</span> ", out);
	}
	fputs("</p>\n", out);
}

static void table(FILE *out, const struct report_view *view)
{
	bool several = false;

	for (size_t i = 0; i < view->group_count; i++)
		several |= view->groups[i].google && view->groups[i].several;
	fputs("<details><summary>All figures</summary>\n", out);
	report_table_begin(out, several);
	for (size_t i = 0; i < view->group_count; i++)
		if (view->groups[i].google)
			report_table_rows(out, &view->groups[i], several);
	report_table_end(out);
	fputs("</details>\n", out);
}

void report_micro(FILE *out, const struct report_view *view)
{
	struct extent e = extent_of(view);
	size_t next = 0;

	fputs("<section><h2>Google Benchmark</h2>\n", out);
	legend(out, view);
	fputs("<figure class=\"chart wide\"><figcaption>time per operation, or per iteration where "
	      "a benchmark does not count operations <small>median and 95 % interval; "
	      "logarithmic</small></figcaption>\n",
	      out);
	while (e.high > 0 && next < view->group_count)
		next = picture(out, view, &e, next);
	fputs("</figure>\n", out);
	table(out, view);
	fputs("</section>\n", out);
}
