/* SPDX-License-Identifier: MIT */
/*
 * tools_topo_boxes.c: the boxes of a picture: each lies inside its parent, and none overlaps
 * another.
 */
#include "tests/support/testing.h"
#include "tests/unit/tools_topo_rig.h"
#include "tools/topo/boxes.h"

static unsigned cells;

static bool overlap(const struct topo_box *a, const struct topo_box *b)
{
	return a->x < b->x + b->width && b->x < a->x + a->width && a->y < b->y + b->height &&
	       b->y < a->y + a->height;
}

static void check_box(const struct topo_box *box)
{
	cells += box->level == TOPO_BOX_CPU;
	ck_assert(box->width > 0 && box->height > 0);
	for (const struct topo_box *child = box->child; child; child = child->next) {
		ck_assert_int_gt(child->level, box->level);
		ck_assert(child->x >= box->x && child->y >= box->y);
		ck_assert(child->x + child->width <= box->x + box->width + 0.01);
		ck_assert(child->y + child->height <= box->y + box->height + 0.01);
		for (const struct topo_box *other = box->child; other != child; other = other->next)
			ck_assert(!overlap(other, child));
		check_box(child);
	}
}

START_TEST(boxes_lie_in_each_other_and_not_over)
{
	static const struct topo_rig shapes[] = {
		{ 1, 1, 1, 1, 1 }, { 1, 1, 1, 2, 1 },  { 2, 1, 8, 8, 2 },  { 4, 1, 2, 8, 2 },
		{ 2, 2, 1, 8, 2 }, { 1, 4, 2, 16, 1 }, { 1, 1, 1, 64, 4 }, { 1, 1, 64, 1, 1 },
	};
	struct topo_boxes boxes;

	for (unsigned i = 0; i < TESTING_COUNT(shapes); i++) {
		rig_topo(shapes[i]);
		topo.cpus[topo.cpus_len - 1].kind = 1;
		rig_plan(NULL);
		ck_assert_int_eq(topo_boxes_init(&boxes, &view, 1400), 0);
		cells = 0;
		check_box(&boxes.list[0]);
		ck_assert_uint_eq(cells, topo.cpus_len);
		ck_assert(boxes.list[0].x == 0 && boxes.list[0].y == 0);
		ck_assert(boxes.list[0].width <= 1400);
		ck_assert_int_eq(boxes.list[0].child->level,
				 shapes[i].packages > 1 ? TOPO_BOX_PACKAGE : TOPO_BOX_NODE);
		topo_boxes_fini(&boxes);
		rig_fini();
	}
}
END_TEST

/* Rows have four and four boxes, not five and three. Another kind of core begins a new row. */
START_TEST(rows_are_even_and_of_one_kind)
{
	struct topo_boxes boxes;
	const struct topo_box *core;
	unsigned in_row = 0;

	rig_topo((struct topo_rig){ 1, 1, 1, 8, 1 });
	rig_plan(NULL);
	ck_assert_int_eq(topo_boxes_init(&boxes, &view, 1400), 0);
	core = boxes.list[0].child->child->child;
	for (const struct topo_box *at = core; at; at = at->next)
		in_row += at->y == core->y;
	ck_assert_uint_eq(in_row, 4);
	topo_boxes_fini(&boxes);
	rig_fini();
	rig_topo((struct topo_rig){ 1, 1, 1, 4, 1 });
	topo.cpus[0].kind = 1;
	rig_plan(NULL);
	ck_assert_int_eq(topo_boxes_init(&boxes, &view, 1400), 0);
	core = boxes.list[0].child->child->child;
	ck_assert(core->next->y > core->y);
	ck_assert(core->next->next->y == core->next->y);
	topo_boxes_fini(&boxes);
	rig_fini();
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(boxes_lie_in_each_other_and_not_over),
		TESTING(rows_are_even_and_of_one_kind),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
