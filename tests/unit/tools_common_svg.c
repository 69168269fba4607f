/* SPDX-License-Identifier: MIT */
/*
 * tools_common_svg.c: scales place values correctly, axes have sensible ticks, and the output is
 * well-formed for any input.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/testing.h"
#include "tools/common/svg.h"

static char *drawn;
static size_t drawn_len;
static FILE *out;

static void begin_drawing(void)
{
	out = open_memstream(&drawn, &drawn_len);
}

static void end_drawing(void)
{
	free(drawn);
}

static const char *picture(void)
{
	fclose(out);
	return drawn;
}

static unsigned count(const char *text, const char *what)
{
	unsigned n = 0;

	for (; (text = strstr(text, what)) != NULL; text += strlen(what))
		n++;
	return n;
}

START_TEST(a_linear_scale_ends_at_a_tick)
{
	struct svg_scale s = svg_scale(SVG_LINEAR, 0, 36.2, 100, 300, QUANTITY_PLAIN);

	ck_assert_double_eq(s.low, 0);
	ck_assert_double_eq(s.high, 40);
	ck_assert_double_eq(svg_at(&s, 0), 100);
	ck_assert_double_eq(svg_at(&s, 20), 200);
	ck_assert_double_eq(svg_at(&s, 40), 300);
}
END_TEST

START_TEST(a_logarithmic_scale_gives_each_decade_the_same_room)
{
	struct svg_scale s = svg_scale(SVG_LOG, 13, 900, 300, 0, QUANTITY_NS);

	ck_assert_double_eq_tol(s.low, 10, 1e-9);
	ck_assert_double_eq_tol(s.high, 1000, 1e-9);
	ck_assert_double_eq_tol(svg_at(&s, 100), 150, 1e-9);
	s = svg_scale(SVG_LOG, 23, 4100, 0, 1, QUANTITY_NS);
	ck_assert_double_eq_tol(s.low, 20, 1e-9);
	ck_assert_double_eq_tol(s.high, 5000, 1e-9);
}
END_TEST

START_TEST(a_scale_of_nines_gives_each_nine_the_same_room)
{
	struct svg_scale s = svg_scale(SVG_NINES, 0, 0.9999, 0, 400, QUANTITY_PLAIN);

	ck_assert_double_eq_tol(svg_at(&s, 0), 0, 1e-9);
	ck_assert_double_eq_tol(svg_at(&s, 0.9), 100, 1e-6);
	ck_assert_double_eq_tol(svg_at(&s, 0.99), 200, 1e-6);
	ck_assert_double_eq_tol(svg_at(&s, 0.9999), 400, 1e-6);
}
END_TEST

START_TEST(what_is_off_the_scale_stays_in_the_picture)
{
	struct svg_scale s = svg_scale(SVG_LINEAR, 0, 10, 50, 150, QUANTITY_PLAIN);

	ck_assert_double_eq(svg_at(&s, -5), 50);
	ck_assert_double_eq(svg_at(&s, 1e30), 150);
	s = svg_scale(SVG_NINES, 0, 0.99, 50, 150, QUANTITY_PLAIN);
	ck_assert_double_eq(svg_at(&s, 1), 150);
	s = svg_scale(SVG_LOG, 10, 1000, 50, 150, QUANTITY_PLAIN);
	ck_assert_double_eq(svg_at(&s, 0), 50);
}
END_TEST

START_TEST(a_scale_of_nothing_is_a_scale)
{
	struct svg_scale s = svg_scale(SVG_LINEAR, 0, 0, 0, 100, QUANTITY_PLAIN);

	ck_assert(s.high > s.low && isfinite(svg_at(&s, 0)));
	s = svg_scale(SVG_LOG, 10, 10, 0, 100, QUANTITY_PLAIN);
	ck_assert(s.high > s.low && isfinite(svg_at(&s, 10)));
}
END_TEST

START_TEST(ticks_have_units)
{
	struct svg_scale s = svg_scale(SVG_LINEAR, 0, 41000, 100, 300, QUANTITY_NS);
	const char *text;

	svg_axis_x(out, &s, 0, 10);
	text = picture();
	ck_assert_ptr_nonnull(strstr(text, ">0</text>"));
	ck_assert_ptr_nonnull(strstr(text, ">20 µs</text>"));
	ck_assert_ptr_nonnull(strstr(text, ">40 µs</text>"));
}
END_TEST

START_TEST(percentiles_are_the_ticks_of_nines)
{
	struct svg_scale s = svg_scale(SVG_NINES, 0, 0.99995, 0, 400, QUANTITY_PLAIN);
	const char *text;

	svg_axis_x(out, &s, 0, 10);
	text = picture();
	ck_assert_ptr_nonnull(strstr(text, ">50 %</text>"));
	ck_assert_ptr_nonnull(strstr(text, ">99 %</text>"));
	ck_assert_ptr_nonnull(strstr(text, ">99.99 %</text>"));
	ck_assert_ptr_null(strstr(text, ">99.999 %</text>"));
}
END_TEST

/* Each round has another range. The distance of labels is never less than the width of one. */
START_TEST(ticks_keep_their_distance)
{
	double high = 37 * pow(1.7, _i), before = -1000, at;
	struct svg_scale s = svg_scale(_i % 2 ? SVG_LOG : SVG_LINEAR, _i % 2 ? 30 : 0, high, 0, 250,
				       QUANTITY_NS);
	unsigned ticks = 0;

	svg_axis_x(out, &s, 0, 10);
	for (const char *p = picture(); (p = strstr(p, "<text x=\"")) != NULL; p++, ticks++) {
		at = strtod(p + strlen("<text x=\""), NULL);
		ck_assert_double_ge(at - before, 40);
		before = at;
	}
	ck_assert_uint_ge(ticks, 2);
	ck_assert_uint_le(ticks, 6);
}
END_TEST

START_TEST(text_is_escaped)
{
	svg_text(out, 0, 0, "start", "label", "<b a=\"1\">&\n");
	ck_assert_ptr_nonnull(strstr(picture(), ">&lt;b a=&quot;1&quot;&gt;&amp; <"));
}
END_TEST

START_TEST(a_long_label_is_cut_between_characters)
{
	svg_label(out, 0, 0, "start", "label", "µµµµµµµµµµµµµµµµµµµµ", 10 * SVG_CHAR_WIDTH);
	ck_assert_ptr_nonnull(strstr(picture(), ">µµµµµµµµµµ…</text>"));
	ck_assert_ptr_nonnull(strstr(drawn, "<title>µµµµµµµµµµµµµµµµµµµµ</title>"));
}
END_TEST

START_TEST(a_line_is_interrupted_where_nothing_is_known)
{
	const struct svg_point points[] = { { 0, 1 }, { 1, 2 },	       { 2, NAN },
					    { 3, 1 }, { 4, INFINITY }, { 5, 1 } };
	struct svg_scale x = svg_scale(SVG_LINEAR, 0, 5, 0, 100, QUANTITY_PLAIN);
	struct svg_scale y = svg_scale(SVG_LINEAR, 0, 2, 100, 0, QUANTITY_PLAIN);

	svg_path(out, &x, &y, points, 6, "line");
	ck_assert_uint_eq(count(picture(), "M"), 3);
	ck_assert_uint_eq(count(drawn, "L"), 1);
	ck_assert_uint_eq(count(drawn, "n"), 1);	/* the n of "line": no nan, no inf */
}
END_TEST

#define DRAWING .setup = begin_drawing, .teardown = end_drawing

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(a_linear_scale_ends_at_a_tick),
		TESTING(a_logarithmic_scale_gives_each_decade_the_same_room),
		TESTING(a_scale_of_nines_gives_each_nine_the_same_room),
		TESTING(what_is_off_the_scale_stays_in_the_picture),
		TESTING(a_scale_of_nothing_is_a_scale),
		TESTING(ticks_have_units, DRAWING),
		TESTING(percentiles_are_the_ticks_of_nines, DRAWING),
		TESTING(ticks_keep_their_distance, .rounds = 40, DRAWING),
		TESTING(text_is_escaped, DRAWING),
		TESTING(a_long_label_is_cut_between_characters, DRAWING),
		TESTING(a_line_is_interrupted_where_nothing_is_known, DRAWING),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
