/* SPDX-License-Identifier: MIT */
/*
 * boxes.h: a machine as nested boxes (package, node, L3, core, CPU), each with its
 * position in a picture. Children are laid out in rows that fill the width.
 */
#ifndef TOOLS_TOPO_BOXES_H
#define TOOLS_TOPO_BOXES_H

#include "tools/topo/topo.h"

enum topo_box_level {
	TOPO_BOX_MACHINE,
	TOPO_BOX_PACKAGE,
	TOPO_BOX_NODE,
	TOPO_BOX_L3,
	TOPO_BOX_CORE,
	TOPO_BOX_CPU,
	TOPO_BOX_LEVELS
};

struct topo_box {
	enum topo_box_level level;
	unsigned id;			/* index of the package, node, L3, core or CPU */
	unsigned domain;		/* of an L3 and the boxes in it: the index in the view */
	unsigned kind;			/* of a core; each kind begins a new row */
	struct topo_box *child, *next;	/* first child, next sibling; NULL: none */
	double x, y, width, height;
};

struct topo_boxes {
	struct topo_box *list;		/* the first is the machine */
	unsigned len;
	bool compact;			/* too many CPUs for large cells with all labels */
};

/*
 * Returns 0 or -ENOMEM. The machine's corner is at 0, 0. It is not wider than width, unless an L3
 * is.
 */
int topo_boxes_init(struct topo_boxes *boxes, const struct topo_view *view, double width);
void topo_boxes_fini(struct topo_boxes *boxes);

#endif
