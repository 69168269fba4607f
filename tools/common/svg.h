/* SPDX-License-Identifier: MIT */
/*
 * svg.h: pictures as SVG, inline or by themselves: scales, ticks, axes and marks. It draws what it is
 * told and knows nothing of benchmarks.
 *
 *	svg_begin(out, 360, 200, "what it shows");
 *	x = svg_scale(SVG_LINEAR, 0, longest, 80, 340, QUANTITY_NS);
 *	svg_axis_x(out, &x, 20, 180);
 *	svg_line(…); svg_path(…); svg_text(…);
 *	svg_end(out);
 *
 * Colours are the page's: a mark has a CSS class, and the page gives the classes
 * their colours for light and dark. Text is escaped here.
 */
#ifndef TOOLS_COMMON_SVG_H
#define TOOLS_COMMON_SVG_H

#include <stddef.h>
#include <stdio.h>

#include "tools/common/quantity.h"

#define SVG_CHAR_WIDTH 6.3	/* of a character of the labels, about, in pixels */

enum svg_scale_kind {
	SVG_LINEAR,
	SVG_LOG,	/* low and high above 0 */
	SVG_NINES,	/* shares of 1, drawn by how many nines they have: log(1 / (1 - share)) */
};

struct svg_scale {
	enum svg_scale_kind kind;
	enum quantity quantity;
	double low, high;	/* values */
	double from, to;	/* and where they lie, in pixels */
};

struct svg_point {
	double x, y;
};

/* Text that may hold anything, for the inside of an element or an attribute in double quotes. */
void svg_escape(FILE *out, const char *text);

/* A scale whose ends are those given, moved out to ticks unless it is NINES. */
struct svg_scale svg_scale(enum svg_scale_kind kind, double low, double high, double from,
			   double to, enum quantity quantity);
double svg_at(const struct svg_scale *scale, double value);

void svg_begin(FILE *out, double width, double height, const char *title);
void svg_end(FILE *out);

/* Lines across the picture at each tick, and their labels below (x) or to the left (y). */
void svg_axis_x(FILE *out, const struct svg_scale *x, double top, double bottom);
void svg_axis_y(FILE *out, const struct svg_scale *y, double left, double right);

/* anchor: "start", "middle" or "end". */
void svg_text(FILE *out, double x, double y, const char *anchor, const char *css,
	      const char *text);
/* The same, cut to a width where it is longer; all of it shows when it is pointed at. */
void svg_label(FILE *out, double x, double y, const char *anchor, const char *css,
	       const char *text, double width);
void svg_line(FILE *out, double x1, double y1, double x2, double y2, const char *css);
void svg_rect(FILE *out, double x, double y, double width, double height, const char *css);
/* A circle with a tip that shows when it is pointed at; NULL for none. */
void svg_dot(FILE *out, double x, double y, double radius, const char *css, const char *tip);
/* Between the two, everything has a tip that shows when it is pointed at. */
void svg_tip_begin(FILE *out, const char *tip);
void svg_tip_end(FILE *out);
/* An interval from a to b at height y, with its ends marked. */
void svg_whisker(FILE *out, double a, double b, double y, const char *css);

/* A line through points given as values. Those that are no numbers interrupt it. */
void svg_path(FILE *out, const struct svg_scale *x, const struct svg_scale *y,
	      const struct svg_point *points, size_t count, const char *css);

/* The width of a label, about, in pixels. */
double svg_text_width(const char *text);

#endif
