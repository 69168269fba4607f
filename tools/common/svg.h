/* SPDX-License-Identifier: MIT */
/*
 * svg.h: SVG charts, inline or as files: scales, ticks, axes and marks. It knows nothing
 * about benchmarks.
 *
 *	svg_begin(out, 360, 200, "what it shows");
 *	x = svg_scale(SVG_LINEAR, 0, longest, 80, 340, QUANTITY_NS);
 *	svg_axis_x(out, &x, 20, 180);
 *	svg_line(…); svg_path(…); svg_text(…);
 *	svg_end(out);
 *
 * A mark has a CSS class; the page defines the colours of the classes, for light and
 * dark. Text is escaped here.
 */
#ifndef TOOLS_COMMON_SVG_H
#define TOOLS_COMMON_SVG_H

#include <stddef.h>
#include <stdio.h>

#include "tools/common/quantity.h"

#define SVG_CHAR_WIDTH 6.3	/* the approximate width of a label's character, in pixels */

enum svg_scale_kind {
	SVG_LINEAR,
	SVG_LOG,	/* low and high must be above 0 */
	SVG_NINES,	/* fractions of 1; 0.9, 0.99, 0.999 are equally far apart */
};

struct svg_scale {
	enum svg_scale_kind kind;
	enum quantity quantity;
	double low, high;	/* values */
	double from, to;	/* the positions of low and high, in pixels */
};

struct svg_point {
	double x, y;
};

/* Write text, escaped for the inside of an element or of an attribute in double quotes. */
void svg_escape(FILE *out, const char *text);

/* A scale from low to high. Unless it is NINES, its ends are moved outwards to the next ticks. */
struct svg_scale svg_scale(enum svg_scale_kind kind, double low, double high, double from,
			   double to, enum quantity quantity);
double svg_at(const struct svg_scale *scale, double value);

void svg_begin(FILE *out, double width, double height, const char *title);
void svg_end(FILE *out);

/* A grid line at each tick, and its label below (x) or to the left (y). */
void svg_axis_x(FILE *out, const struct svg_scale *x, double top, double bottom);
void svg_axis_y(FILE *out, const struct svg_scale *y, double left, double right);

/* anchor: "start", "middle" or "end". */
void svg_text(FILE *out, double x, double y, const char *anchor, const char *css,
	      const char *text);
/* The same, cut to a width; a tooltip shows the whole text. */
void svg_label(FILE *out, double x, double y, const char *anchor, const char *css,
	       const char *text, double width);
void svg_line(FILE *out, double x1, double y1, double x2, double y2, const char *css);
void svg_rect(FILE *out, double x, double y, double width, double height, const char *css);
/* A circle with a tooltip; NULL for none. */
void svg_dot(FILE *out, double x, double y, double radius, const char *css, const char *tip);
/* Everything drawn between begin and end has this tooltip. */
void svg_tip_begin(FILE *out, const char *tip);
void svg_tip_end(FILE *out);
/* An interval from a to b at height y, with its ends marked. */
void svg_whisker(FILE *out, double a, double b, double y, const char *css);

/* A line through points given as values. A point with a NaN or infinite value interrupts it. */
void svg_path(FILE *out, const struct svg_scale *x, const struct svg_scale *y,
	      const struct svg_point *points, size_t count, const char *css);

/* The approximate width of a label, in pixels. */
double svg_text_width(const char *text);

#endif
