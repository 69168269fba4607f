/* SPDX-License-Identifier: MIT */
/*
 * svg.c: see svg.h. Every printed coordinate comes from svg_at or is a constant, so the
 * output contains no inf or nan.
 */
#include <math.h>
#include <stdbool.h>

#include "tools/common/svg.h"

#define TICKS_MAX 24
#define TICK_GAP_X 52.0		/* the least distance of labels, in pixels */
#define TICK_GAP_Y 26.0

/* ---- text ---- */

void svg_escape(FILE *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '&')
			fputs("&amp;", out);
		else if (*text == '<')
			fputs("&lt;", out);
		else if (*text == '>')
			fputs("&gt;", out);
		else if (*text == '"')
			fputs("&quot;", out);
		else if ((unsigned char)*text < 0x20)
			fputc(' ', out);
		else
			fputc(*text, out);
	}
}

double svg_text_width(const char *text)
{
	double chars = 0;

	for (; *text; text++)
		chars += (*text & 0xc0) != 0x80;
	return chars * SVG_CHAR_WIDTH;
}

/* ---- scales ---- */

/* The smallest 1, 2 or 5 times a power of ten that is not below least. */
static double round_up(double least)
{
	double power = pow(10, floor(log10(least)));

	for (double step = 1; step < 10; step = step == 2 ? 5 : step * 2)
		if (step * power >= least * (1 - 1e-9))
			return step * power;
	return 10 * power;
}

static double linear_step(const struct svg_scale *s, double gap)
{
	double room = fabs(s->to - s->from) / gap;

	return round_up((s->high - s->low) / fmax(room, 1));
}

static double transform(const struct svg_scale *s, double value)
{
	switch (s->kind) {
	case SVG_LOG:
		return log10(fmax(value, s->low));
	case SVG_NINES:
		return -log10(1 - fmin(fmax(value, 0), 1 - 1e-12));
	default:
		return value;
	}
}

struct svg_scale svg_scale(enum svg_scale_kind kind, double low, double high, double from,
			   double to, enum quantity quantity)
{
	struct svg_scale s = { kind, quantity, low, high, from, to };
	double step;

	if (!(s.high > s.low))
		s.high = s.low + (s.low > 0 ? s.low : 1);
	if (kind == SVG_LOG) {
		s.low = 1 / round_up(1 / s.low);
		s.high = round_up(s.high);
	} else if (kind == SVG_LINEAR) {
		step = linear_step(&s, fabs(to - from) / 4);
		s.low = floor(s.low / step + 1e-9) * step;
		s.high = ceil(s.high / step - 1e-9) * step;
	}
	return s;
}

double svg_at(const struct svg_scale *s, double value)
{
	double low = transform(s, s->low), high = transform(s, s->high);
	double share = (transform(s, value) - low) / (high - low);

	return s->from + fmin(fmax(share, 0), 1) * (s->to - s->from);
}

/* ---- ticks ---- */

struct tick {
	double value;
	char label[QUANTITY_LEN];	/* empty: a line without a label */
};

static unsigned linear_ticks(const struct svg_scale *s, double gap, struct tick *ticks)
{
	double step = linear_step(s, gap), first = ceil(s->low / step - 1e-9);
	unsigned n = 0;

	for (double k = first; k * step <= s->high * (1 + 1e-9) && n < TICKS_MAX; k++, n++) {
		ticks[n].value = k * step;
		quantity_format_tick(s->quantity, k * step, s->high, step, ticks[n].label,
				     sizeof(ticks[n].label));
	}
	return n;
}

/* As there is room: 1, 2 and 5 of each decade, or only 1, or 1 of every second decade and so on. */
static unsigned log_ticks(const struct svg_scale *s, double gap, struct tick *ticks)
{
	double decades = log10(s->high / s->low), room = fabs(s->to - s->from) / gap;
	double value = pow(10, floor(log10(s->low) + 1e-9));
	double every = pow(10, fmax(1, ceil(decades / room - 0.2)));
	unsigned n = 0;

	for (int k = 0; value <= s->high * (1 + 1e-9) && n < TICKS_MAX; k++) {
		if (value >= s->low * (1 - 1e-9)) {
			ticks[n].value = value;
			quantity_format_tick(s->quantity, value, value * 1.0001, value,
					     ticks[n].label, sizeof(ticks[n].label));
			n++;
		}
		if (3 * decades <= room)
			value *= k % 3 == 1 ? 2.5 : 2;
		else
			value *= every;
	}
	return n;
}

/* 0, 50, 90, 99, 99.9 % and so on. */
static unsigned nines_ticks(const struct svg_scale *s, struct tick *ticks)
{
	unsigned n = 2;

	ticks[0] = (struct tick){ 0, "0" };
	ticks[1] = (struct tick){ 0.5, "50 %" };
	for (int nines = 1; n < TICKS_MAX && 1 - pow(10, -nines) <= s->high + 1e-12; nines++, n++) {
		ticks[n].value = 1 - pow(10, -nines);
		snprintf(ticks[n].label, sizeof(ticks[n].label), "%.*f %%",
			 nines > 2 ? nines - 2 : 0, ticks[n].value * 100);
	}
	return n;
}

static unsigned find_ticks(const struct svg_scale *s, double gap, struct tick *ticks)
{
	if (s->kind == SVG_LOG)
		return log_ticks(s, gap, ticks);
	return s->kind == SVG_NINES ? nines_ticks(s, ticks) : linear_ticks(s, gap, ticks);
}

void svg_axis_x(FILE *out, const struct svg_scale *x, double top, double bottom)
{
	struct tick ticks[TICKS_MAX];
	unsigned count = find_ticks(x, TICK_GAP_X, ticks);

	for (unsigned i = 0; i < count; i++) {
		double at = svg_at(x, ticks[i].value);

		svg_line(out, at, top, at, bottom, "grid");
		svg_text(out, at, bottom + 16, "middle", "tick", ticks[i].label);
	}
}

void svg_axis_y(FILE *out, const struct svg_scale *y, double left, double right)
{
	struct tick ticks[TICKS_MAX];
	unsigned count = find_ticks(y, TICK_GAP_Y, ticks);

	for (unsigned i = 0; i < count; i++) {
		double at = svg_at(y, ticks[i].value);

		svg_line(out, left, at, right, at, "grid");
		svg_text(out, left - 7, at + 4, "end", "tick", ticks[i].label);
	}
}

/* ---- marks ---- */

void svg_begin(FILE *out, double width, double height, const char *title)
{
	fprintf(out,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" "
		"width=\"%.0f\" height=\"%.0f\" role=\"img\" "
		"aria-label=\"",
		width, height, width, height);
	svg_escape(out, title);
	fputs("\">\n", out);
}

void svg_end(FILE *out)
{
	fputs("</svg>\n", out);
}

void svg_text(FILE *out, double x, double y, const char *anchor, const char *css, const char *text)
{
	fprintf(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" class=\"%s\">", x, y, anchor,
		css);
	svg_escape(out, text);
	fputs("</text>\n", out);
}

/* The number of bytes of the first chars characters. */
static size_t bytes_of(const char *text, size_t chars)
{
	size_t n = 0;

	while (text[n] && (chars > 0 || (text[n] & 0xc0) == 0x80)) {
		n++;
		if ((text[n] & 0xc0) != 0x80)
			chars--;
	}
	return n;
}

void svg_label(FILE *out, double x, double y, const char *anchor, const char *css,
	       const char *text, double width)
{
	char cut[256];

	if (svg_text_width(text) <= width) {
		svg_text(out, x, y, anchor, css, text);
		return;
	}
	snprintf(cut, sizeof(cut), "%.*s\342\200\246",
		 (int)fmin((double)bytes_of(text, (size_t)(width / SVG_CHAR_WIDTH)), 240), text);
	fputs("<g><title>", out);
	svg_escape(out, text);
	fputs("</title>", out);
	svg_text(out, x, y, anchor, css, cut);
	fputs("</g>\n", out);
}

void svg_line(FILE *out, double x1, double y1, double x2, double y2, const char *css)
{
	fprintf(out, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" class=\"%s\"/>\n", x1,
		y1, x2, y2, css);
}

void svg_rect(FILE *out, double x, double y, double width, double height, const char *css)
{
	fprintf(out, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" class=\"%s\"/>\n",
		x, y, fmax(width, 0), height, css);
}

void svg_dot(FILE *out, double x, double y, double radius, const char *css, const char *tip)
{
	fprintf(out, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"%.1f\" class=\"%s\">", x, y, radius, css);
	if (tip) {
		fputs("<title>", out);
		svg_escape(out, tip);
		fputs("</title>", out);
	}
	fputs("</circle>\n", out);
}

void svg_tip_begin(FILE *out, const char *tip)
{
	fputs("<g><title>", out);
	svg_escape(out, tip);
	fputs("</title>\n", out);
}

void svg_tip_end(FILE *out)
{
	fputs("</g>\n", out);
}

void svg_whisker(FILE *out, double a, double b, double y, const char *css)
{
	fprintf(out, "<path d=\"M%.1f %.1fV%.1fM%.1f %.1fH%.1fM%.1f %.1fV%.1f\" class=\"%s\"/>\n",
		a, y - 4, y + 4, a, y, b, b, y - 4, y + 4, css);
}

void svg_path(FILE *out, const struct svg_scale *x, const struct svg_scale *y,
	      const struct svg_point *points, size_t count, const char *css)
{
	bool drawing = false;

	fputs("<path d=\"", out);
	for (size_t i = 0; i < count; i++) {
		if (!isfinite(points[i].x) || !isfinite(points[i].y)) {
			drawing = false;
			continue;
		}
		fprintf(out, "%c%.1f %.1f", drawing ? 'L' : 'M', svg_at(x, points[i].x),
			svg_at(y, points[i].y));
		drawing = true;
	}
	fprintf(out, "\" class=\"%s\"/>\n", css);
}
