/* SPDX-License-Identifier: MIT */
/* boxes.c: see boxes.h. Sizes are computed from inside out, positions from outside in. */
#include "tools/topo/boxes.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#define COMPACT_FROM 65
#define ASPECT 2.4		/* width of an L3 divided by its height */

struct style {
	double pad, gap, label;		/* around children, between them, and above them */
	double least;			/* the least width: room for the label */
};

static const struct style styles[2][TOPO_BOX_LEVELS] = {
	{
		[TOPO_BOX_MACHINE] = { 0, 14, 0, 0 },
		[TOPO_BOX_PACKAGE] = { 12, 12, 22, 300 },
		[TOPO_BOX_NODE] = { 12, 12, 22, 280 },
		[TOPO_BOX_L3] = { 10, 8, 20, 200 },
		[TOPO_BOX_CORE] = { 5, 4, 16, 0 },
	},
	{
		[TOPO_BOX_MACHINE] = { 0, 14, 0, 0 },
		[TOPO_BOX_PACKAGE] = { 10, 10, 22, 300 },
		[TOPO_BOX_NODE] = { 10, 10, 22, 280 },
		[TOPO_BOX_L3] = { 7, 5, 19, 200 },
		[TOPO_BOX_CORE] = { 3, 2, 0, 0 },
	},
};

static const double cell[2][2] = { { 58, 44 }, { 33, 30 } };

/* ---- the tree ---- */

/* The last child of a box if it has this id; otherwise a new child. */
static struct topo_box *child_of(struct topo_boxes *boxes, struct topo_box *parent,
				 enum topo_box_level level, unsigned id, unsigned domain)
{
	struct topo_box **at = &parent->child, *last = NULL;

	for (; *at; at = &(*at)->next)
		last = *at;
	if (last && last->id == id && last->domain == domain)
		return last;
	*at = &boxes->list[boxes->len++];
	**at = (struct topo_box){ .level = level, .id = id, .domain = domain };
	return *at;
}

static void add_cpu(struct topo_boxes *boxes, const struct topo_view *view, unsigned domain,
		    unsigned i)
{
	const struct weir_topo_cpu *cpu = &view->topo->cpus[i];
	struct topo_box *box = &boxes->list[0];

	if (view->topo->packages > 1)
		box = child_of(boxes, box, TOPO_BOX_PACKAGE, cpu->package, 0);
	box = child_of(boxes, box, TOPO_BOX_NODE, cpu->node, 0);
	box = child_of(boxes, box, TOPO_BOX_L3, cpu->l3, domain);
	box = child_of(boxes, box, TOPO_BOX_CORE, cpu->core, domain);
	box->kind = cpu->kind;
	child_of(boxes, box, TOPO_BOX_CPU, i, domain);
}

/* ---- sizes ---- */

/* Lay children out in rows of at most width, or of a single child, and set the box's size. */
static void flow(struct topo_box *box, const struct style *style, double width)
{
	double x = 0, y = 0, row = 0, widest = 0;
	unsigned kind = box->child ? box->child->kind : 0;

	for (struct topo_box *child = box->child; child; child = child->next) {
		if (x > 0 && (x + child->width > width + 0.5 || child->kind != kind)) {
			x = 0;
			y += row + style->gap;
			row = 0;
		}
		child->x = x;
		child->y = y;
		x += child->width + style->gap;
		kind = child->kind;
		row = fmax(row, child->height);
		widest = fmax(widest, x - style->gap);
	}
	box->width = fmax(widest + 2 * style->pad, style->least);
	box->height = y + row + 2 * style->pad + style->label;
}

/* The width of an L3's rows of cores that makes the L3 about ASPECT times as wide as high. */
static double row_width(const struct topo_box *box, const struct style *style)
{
	double sum = 0, height = 0, widest = 0, columns, rows;

	for (const struct topo_box *child = box->child; child; child = child->next) {
		sum += child->width + style->gap;
		height = fmax(height, child->height + style->gap);
		widest = fmax(widest, child->width + style->gap);
	}
	columns = ceil(sqrt(sum * height * ASPECT) / widest);
	/* Balance the rows: 4 and 4 rather than 5 and 3. */
	rows = ceil(sum / widest / columns);
	columns = ceil(sum / widest / rows);
	return columns * widest - style->gap;
}

static void measure(const struct topo_boxes *boxes, struct topo_box *box, double width)
{
	const struct style *style = &styles[boxes->compact][box->level];

	if (box->level == TOPO_BOX_CPU) {
		box->width = cell[boxes->compact][0];
		box->height = cell[boxes->compact][1];
		return;
	}
	width -= 2 * style->pad;
	for (struct topo_box *child = box->child; child; child = child->next)
		measure(boxes, child, width);
	if (box->level == TOPO_BOX_L3)
		width = fmin(width, row_width(box, style));
	flow(box, style, width);
}

static void place(const struct topo_boxes *boxes, struct topo_box *box, double x, double y)
{
	const struct style *style = &styles[boxes->compact][box->level];

	box->x += x;
	box->y += y;
	for (struct topo_box *child = box->child; child; child = child->next)
		place(boxes, child, box->x + style->pad, box->y + style->pad + style->label);
}

int topo_boxes_init(struct topo_boxes *boxes, const struct topo_view *view, double width)
{
	*boxes = (struct topo_boxes){ .compact = view->topo->cpus_len >= COMPACT_FROM };
	/* Each CPU needs at most one box per level. */
	boxes->list = calloc(view->topo->cpus_len * (size_t)TOPO_BOX_LEVELS + 1,
			     sizeof(*boxes->list));
	if (!boxes->list)
		return -ENOMEM;
	boxes->len = 1;
	for (unsigned d = 0; d < view->domains_len; d++)
		for (unsigned i = 0; i < view->domains[d].len; i++)
			add_cpu(boxes, view, d, view->order[view->domains[d].first + i]);
	measure(boxes, &boxes->list[0], width);
	place(boxes, &boxes->list[0], 0, 0);
	return 0;
}

void topo_boxes_fini(struct topo_boxes *boxes)
{
	free(boxes->list);
	boxes->list = NULL;
}
