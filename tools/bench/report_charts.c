/* SPDX-License-Identifier: MIT */
/*
 * report_charts.c: the charts of one group: bars with their intervals, CPU time, the
 * percentile curve, latency over time.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/bench/memory.h"
#include "tools/bench/meaning.h"
#include "tools/bench/report.h"
#include "tools/common/svg.h"

#define SMALL_WIDTH 430.0	/* of the charts that stand side by side */
#define WIDE_WIDTH 1320.0
#define ROW 25.0		/* of a bar chart */
#define BAR 13.0
#define VALUES 144.0		/* room for the texts after the bars */
#define LOG_FROM 20.0		/* a scale over more than that is a logarithmic one */

static void begin(FILE *out, const char *title, const char *hint, const char *css)
{
	fprintf(out, "<figure class=\"%s\"><figcaption>", css);
	svg_escape(out, title);
	fputs(" <small>", out);
	svg_escape(out, hint);
	fputs("</small></figcaption>\n", out);
}

static void end(FILE *out)
{
	svg_end(out);
	fputs("</figure>\n", out);
}

static double label_width(const struct report_group *group)
{
	double width = 30;

	for (size_t i = 0; i < group->count; i++)
		width = fmax(width, svg_text_width(group->series[i].label));
	return fmin(width, 170) + 12;
}

/* The position of a row; rows of the same backend are closer together. */
static double row_y(const struct report_group *group, size_t row)
{
	double y = 4;

	for (size_t i = 1; i <= row; i++)
		y += strcmp(group->series[i].result->series, group->series[i - 1].result->series)
			     ? ROW
			     : ROW - 5;
	return y;
}

static double rows_height(const struct report_group *group)
{
	return row_y(group, group->count - 1) + ROW;
}

/* ---- bars ---- */

struct bars {
	FILE *out;
	const struct report_group *group;
	const char *key;
	const struct bench_meaning *metric;
	struct svg_scale x;
};

/* The largest value of the chart; negative if there is none. */
static double largest(const struct report_group *group, const char *key)
{
	double most = -1;

	for (size_t i = 0; i < group->count; i++) {
		const struct bench_figure *figure =
			bench_result_figure(group->series[i].result, key);
		struct stats_interval interval;

		if (!figure || !isfinite(figure->median))
			continue;
		most = fmax(most, figure->median);
		if (bench_interval(figure, &interval))
			most = fmax(most, interval.hi);
		for (size_t k = 0; k < figure->count; k++)
			most = fmax(most, figure->samples[k]);
	}
	return most;
}

/* "−19 %", "≈" or nothing, at the right end of a row. */
static void change(FILE *out, double y, const struct bench_comparison *c)
{
	char text[48];

	if (c->verdict == BENCH_SAME)
		snprintf(text, sizeof(text), "\342\211\210");
	else
		bench_change_format(c, text, sizeof(text));
	svg_text(out, SMALL_WIDTH - 2, y, "end", report_verdict_class(c->verdict), text);
}

static void samples(const struct bars *b, const struct bench_figure *figure, double y)
{
	char tip[QUANTITY_LEN];

	for (size_t i = 0; i < figure->count; i++) {
		bench_meaning_format(b->key, figure->samples[i], 3, tip, sizeof(tip));
		svg_dot(b->out, svg_at(&b->x, figure->samples[i] * b->metric->factor), y, 1.8,
			"sample", tip);
	}
}

static void bar(const struct bars *b, const struct report_series *series, double y)
{
	const struct bench_figure *figure = bench_result_figure(series->result, b->key);
	double middle = y + ROW / 2, factor = b->metric->factor;
	char css[48], text[QUANTITY_LEN];
	struct bench_comparison c;
	struct stats_interval interval;

	svg_label(b->out, b->x.from - 8, middle + 4, "end", "label", series->label, b->x.from - 10);
	if (!figure || !isfinite(figure->median)) {
		svg_text(b->out, b->x.from + 6, middle + 4, "start", "mute", "n/a");
		return;
	}
	report_class(series, css, sizeof(css));
	svg_rect(b->out, b->x.from, middle - BAR / 2,
		 svg_at(&b->x, figure->median * factor) - b->x.from, BAR, css);
	samples(b, figure, middle);
	if (bench_interval(figure, &interval))
		svg_whisker(b->out, svg_at(&b->x, interval.lo * factor),
			    svg_at(&b->x, interval.hi * factor), middle, "whisker");
	bench_meaning_format(b->key, figure->median, 3, text, sizeof(text));
	svg_text(b->out, SMALL_WIDTH - 60, middle + 4, "end", "value", text);
	if (report_against_reference(series, b->key, &c))
		change(b->out, middle + 4, &c);
}

static void bar_chart(FILE *out, const struct report_group *group, const char *key)
{
	static const char *const hints[] = { "", "lower is better", "higher is better" };
	const struct bench_meaning *metric = bench_meaning(key);
	const char *title = bench_meaning_title(key, group->closed);
	double most = largest(group, key), height = rows_height(group);
	struct bars b = { out, group, key, metric, { 0 } };

	if (most <= 0)
		return;
	b.x = svg_scale(SVG_LINEAR, 0, most * metric->factor, label_width(group),
			SMALL_WIDTH - VALUES, metric->quantity);
	begin(out, title, hints[metric->better], "chart");
	svg_begin(out, SMALL_WIDTH, height + 26, title);
	svg_axis_x(out, &b.x, 2, height + 4);
	for (size_t i = 0; i < group->count; i++)
		bar(&b, &group->series[i], row_y(group, i));
	end(out);
}

/* ---- CPU time: server and client in one bar ---- */

static double median_of(const struct report_series *series, const char *key)
{
	const struct bench_figure *figure = bench_result_figure(series->result, key);

	return figure && isfinite(figure->median) ? fmax(figure->median, 0) : 0;
}

static void cpu_row(FILE *out, const struct svg_scale *x, const struct report_series *series,
		    double y)
{
	double server = median_of(series, "cpu_time"), middle = y + ROW / 2;
	double client = median_of(series, "client_cpu_ns_per_req");
	const struct bench_figure *figure = bench_result_figure(series->result, "cpu_time");
	struct stats_interval interval;
	struct bench_comparison c;
	char css[64], text[QUANTITY_LEN];

	svg_label(out, x->from - 8, middle + 4, "end", "label", series->label, x->from - 10);
	report_class(series, css, sizeof(css));
	svg_rect(out, x->from, middle - BAR / 2, svg_at(x, server) - x->from, BAR, css);
	strcat(css, " client");
	svg_rect(out, svg_at(x, server), middle - BAR / 2,
		 svg_at(x, server + client) - svg_at(x, server), BAR, css);
	if (figure && bench_interval(figure, &interval))
		svg_whisker(out, svg_at(x, interval.lo), svg_at(x, interval.hi), middle, "whisker");
	quantity_format(QUANTITY_NS, server, 3, text, sizeof(text));
	svg_text(out, SMALL_WIDTH - 60, middle + 4, "end", "value", text);
	if (report_against_reference(series, "cpu_time", &c))
		change(out, middle + 4, &c);
}

static void cpu_chart(FILE *out, const struct report_group *group)
{
	double most = 0, height = rows_height(group);
	struct svg_scale x;

	for (size_t i = 0; i < group->count; i++)
		most = fmax(most, median_of(&group->series[i], "cpu_time") +
					  median_of(&group->series[i], "client_cpu_ns_per_req"));
	if (most <= 0)
		return;
	x = svg_scale(SVG_LINEAR, 0, most, label_width(group), SMALL_WIDTH - VALUES, QUANTITY_NS);
	begin(out, "CPU per request", "server, and paler client; lower is better", "chart");
	svg_begin(out, SMALL_WIDTH, height + 26, "CPU per request");
	svg_axis_x(out, &x, 2, height + 4);
	for (size_t i = 0; i < group->count; i++)
		cpu_row(out, &x, &group->series[i], row_y(group, i));
	end(out);
}

/* ---- scales of latencies ---- */

struct range {
	double low, high;	/* above 0; high < low: nothing seen */
};

static void see(struct range *range, double value)
{
	if (!isfinite(value) || value <= 0)
		return;
	range->low = fmin(range->low, value);
	range->high = fmax(range->high, value);
}

/* A scale from bottom to top; logarithmic if the range is large. */
static struct svg_scale latency_scale(const struct range *range, double bottom, double top)
{
	bool wide = range->high > LOG_FROM * range->low;

	return svg_scale(wide ? SVG_LOG : SVG_LINEAR, wide ? range->low : 0, range->high, bottom,
			 top, QUANTITY_NS);
}

/* ---- the percentile curve ---- */

/* A label at the right end of a line. */
struct tag {
	double y;
	const struct report_series *series;
};

static int by_y(const void *a, const void *b)
{
	const struct tag *one = a, *other = b;

	return (one->y > other->y) - (one->y < other->y);
}

/* Move labels that would overlap downwards, and upwards again at the bottom. */
static void write_tags(FILE *out, struct tag *tags, size_t count, double x, double bottom)
{
	char css[64];

	qsort(tags, count, sizeof(*tags), by_y);
	for (size_t i = 1; i < count; i++)
		tags[i].y = fmax(tags[i].y, tags[i - 1].y + 15);
	for (size_t i = count; i-- > 0; bottom -= 15)
		tags[i].y = fmin(tags[i].y, bottom);
	for (size_t i = 0; i < count; i++) {
		report_class(tags[i].series, css, sizeof(css));
		strcat(css, " tag");
		svg_label(out, x, tags[i].y + 4, "start", css, tags[i].series->label,
			  WIDE_WIDTH - x);
	}
}

/* The maximum, which has the share 1, is drawn at the end of the scale. */
static void draw_curve(FILE *out, const struct svg_scale *x, const struct svg_scale *y,
		       const struct report_series *series)
{
	const struct bench_result *result = series->result;
	struct svg_point *points = bench_alloc(result->curve_count * sizeof(*points));
	char css[64];

	for (size_t i = 0; i < result->curve_count; i++)
		points[i] = (struct svg_point){ fmin(result->curve[i].share, x->high),
						result->curve[i].ns };
	report_class(series, css, sizeof(css));
	strcat(css, " line");
	svg_path(out, x, y, points, result->curve_count, css);
	free(points);
}

/* The right end of the axis: a little beyond the last share below 1. */
static double last_share(const struct report_group *group, struct range *range, size_t *ret_curves)
{
	double last = 0.9;

	*ret_curves = 0;
	for (size_t i = 0; i < group->count; i++) {
		const struct bench_result *result = group->series[i].result;

		*ret_curves += result->curve_count > 0;
		for (size_t k = 0; k < result->curve_count; k++) {
			see(range, result->curve[k].ns);
			if (result->curve[k].share < 1)
				last = fmax(last, result->curve[k].share);
		}
	}
	return 1 - (1 - last) / 2.5;
}

static void curve_chart(FILE *out, const struct report_group *group)
{
	const double height = 380, left = 70, right = WIDE_WIDTH - label_width(group) - 8;
	struct range range = { INFINITY, 0 };
	size_t curves, tags_len = 0;
	double last = last_share(group, &range, &curves);
	struct svg_scale x, y;
	struct tag *tags;

	if (!curves || range.high < range.low)
		return;
	x = svg_scale(SVG_NINES, 0, last, left, right, QUANTITY_PLAIN);
	y = latency_scale(&range, height - 30, 12);
	tags = bench_alloc(curves * sizeof(*tags));
	begin(out, "latency by percentile",
	      "each step to the right is ten times rarer; lines end at the maximum", "chart wide");
	svg_begin(out, WIDE_WIDTH, height, "latency by percentile");
	svg_axis_x(out, &x, 12, height - 30);
	svg_axis_y(out, &y, left, right);
	for (size_t i = 0; i < group->count; i++) {
		const struct report_series *series = &group->series[i];
		size_t count = series->result->curve_count;

		if (!count)
			continue;
		draw_curve(out, &x, &y, series);
		tags[tags_len++] = (struct tag){ svg_at(&y, series->result->curve[count - 1].ns),
						 series };
	}
	write_tags(out, tags, tags_len, right + 7, height - 34);
	end(out);
	free(tags);
}

/* ---- latency over time ---- */

static int by_second(const void *a, const void *b)
{
	const struct bench_moment *one = a, *other = b;

	return (one->second > other->second) - (one->second < other->second);
}

/* The median of one field of slices; NAN if there are none. */
static double slice_median(const struct bench_moment *slices, size_t count, size_t field)
{
	double values[STATS_MAX];
	unsigned len = 0;

	for (size_t i = 0; i < count && len < STATS_MAX; i++) {
		double value = *(const double *)((const char *)&slices[i] + field);

		if (isfinite(value))
			values[len++] = value;
	}
	return len ? stats_median(values, len) : NAN;
}

/* Combine the repetitions: for each time slice, the medians and the largest maximum. */
static struct bench_moment *overlay(const struct bench_result *result, size_t *ret_count)
{
	struct bench_moment *all = bench_alloc((result->slice_count + 1) * sizeof(*all));
	size_t count = 0;

	if (result->slice_count)
		memcpy(all, result->slices, result->slice_count * sizeof(*all));
	qsort(all, result->slice_count, sizeof(*all), by_second);
	for (size_t i = 0, next; i < result->slice_count; i = next) {
		struct bench_moment one = { .second = all[i].second, .max = NAN };

		for (next = i; next < result->slice_count && all[next].second - one.second < 1e-6;
		     next++)
			one.max = fmax(one.max, all[next].max);
		one.p50 = slice_median(all + i, next - i, offsetof(struct bench_moment, p50));
		one.p99 = slice_median(all + i, next - i, offsetof(struct bench_moment, p99));
		all[count++] = one;
	}
	*ret_count = count;
	return all;
}

struct timeline {
	FILE *out;
	const struct svg_scale *x, *y;
	const struct bench_moment *slices;
	size_t count;
	struct svg_point *points;	/* room for count of them */
	double name_y;			/* of the last line's name: the next is below it */
};

/* Draw one line, with its name after its last value. Called from the topmost line downwards. */
static void draw_field(struct timeline *t, size_t field, const char *name, const char *css)
{
	double last = NAN;

	for (size_t i = 0; i < t->count; i++) {
		double value = *(const double *)((const char *)&t->slices[i] + field);

		t->points[i] = (struct svg_point){ t->slices[i].second * 1e9, value };
		last = isfinite(value) ? value : last;
	}
	svg_path(t->out, t->x, t->y, t->points, t->count, css);
	if (!isfinite(last))
		return;
	t->name_y = fmax(svg_at(t->y, last) + 4, t->name_y + 12);
	svg_text(t->out, t->x->to + 6, t->name_y, "start", "tick", name);
}

static void time_chart(FILE *out, const struct report_series *series, const struct svg_scale *x,
		       const struct svg_scale *y, double height)
{
	static const struct {
		const char *name, *css;
		size_t field;
	} lines[] = {
		{ "max", "line thin", offsetof(struct bench_moment, max) },
		{ "p99", "line middle", offsetof(struct bench_moment, p99) },
		{ "p50", "line", offsetof(struct bench_moment, p50) },
	};
	struct timeline t = { .out = out, .x = x, .y = y };
	struct bench_moment *slices = overlay(series->result, &t.count);
	char css[64];

	t.slices = slices;
	t.points = bench_alloc(t.count * sizeof(*t.points));
	begin(out, series->label, "latency over time, of all repetitions together", "chart");
	svg_begin(out, SMALL_WIDTH, height, "latency over time");
	svg_axis_x(out, x, 8, height - 28);
	svg_axis_y(out, y, x->from, x->to);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		snprintf(css, sizeof(css), "c%u %s", series->colour, lines[i].css);
		draw_field(&t, lines[i].field, lines[i].name, css);
	}
	end(out);
	free(t.points);
	free(slices);
}

/* All charts have the same scales, so that they can be compared. */
static void time_charts(FILE *out, const struct report_group *group)
{
	const double height = 190;
	struct range range = { INFINITY, 0 };
	double last = 0;
	struct svg_scale x, y;

	for (size_t i = 0; i < group->count; i++) {
		const struct bench_result *result = group->series[i].result;

		for (size_t k = 0; k < result->slice_count; k++) {
			last = fmax(last, result->slices[k].second);
			see(&range, result->slices[k].p50);
			see(&range, result->slices[k].p99);
			see(&range, result->slices[k].max);
		}
	}
	if (range.high < range.low)
		return;
	x = svg_scale(SVG_LINEAR, 0, last * 1e9, 62, SMALL_WIDTH - 36, QUANTITY_NS);
	y = latency_scale(&range, height - 28, 8);
	for (size_t i = 0; i < group->count; i++)
		if (group->series[i].result->slice_count > 1 && !group->series[i].repeated)
			time_chart(out, &group->series[i], &x, &y, height);
}

void report_charts(FILE *out, const struct report_group *group)
{
	const char *key;

	fputs("<div class=\"charts\">\n", out);
	for (unsigned i = 0; (key = bench_meaning_key(i)) != NULL; i++) {
		if (strcmp(key, "cpu_time") == 0)
			cpu_chart(out, group);
		/* In an open loop the throughput is given, so it has no chart. */
		else if (bench_meaning(key)->drawn &&
			 (group->closed || strcmp(key, "items_per_second") != 0))
			bar_chart(out, group, key);
	}
	curve_chart(out, group);
	time_charts(out, group);
	fputs("</div>\n", out);
}
