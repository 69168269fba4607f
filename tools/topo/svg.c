/* SPDX-License-Identifier: MIT */
/*
 * svg.c: draws a topology and a plan as a self-contained picture. It has nested boxes with
 * a cell for each CPU, in the colour of its worker's group, or hatched if it has no worker;
 * a legend with the reasons; and the input of the plan. With --what-if there are two such
 * pictures, one below the other; a CPU that has a worker in only one of them has a frame.
 * The colours follow the reader's light or dark mode.
 */
#include <string.h>

#include "tools/common/quantity.h"
#include "tools/common/svg.h"
#include "tools/topo/boxes.h"
#include "tools/topo/topo.h"

#define WIDTH 1400.0
#define LEAST 700.0
#define MARGIN 24.0
#define LINE 19.0
#define COLOURS 8
#define SWATCH 22.0
#define GAP 26.0
#define SET_LEN 1024

static const char style[] =
	".box{fill:#fff;stroke:#c9ccd1}.box.package{fill:#f1f2f0}"
	".box.node{fill:#f7f8f6}.box.core{fill:none;stroke:#dcdedf}\n"
	"text{fill:#1c1d1f;font-family:system-ui,-apple-system,'Segoe UI','Liberation Sans',"
	"'DejaVu Sans',sans-serif;font-size:12px}text.title{font-size:19px;font-weight:600}"
	"text.head,text.worker{font-weight:600}text.soft{fill:#62666d}"
	"text.small{font-size:10px;fill:#62666d}text.dense{font-size:9px;fill:#62666d}"
	"text.tight{font-weight:600;font-size:11px}\n"
	"rect{rx:4px;stroke-width:1}.paper{fill:#fbfbf9;rx:0}.cell{fill-opacity:.26;stroke-width:1."
	"3}"
	".out{fill:url(#hatch);stroke:#b9bcc1}.spare{fill:none;stroke:#9a9ea5;"
	"stroke-dasharray:3 "
	"2}.mark{fill:none;stroke:#1c1d1f;stroke-width:2.6}.hatch{stroke:#c3c6ca;stroke-width:1.6}"
	"\n"
	".g0{fill:#0072b2;stroke:#0072b2}.g1{fill:#d55e00;stroke:#d55e00}"
	".g2{fill:#009e73;stroke:#009e73}.g3{fill:#b8568f;stroke:#b8568f}"
	".g4{fill:#c08a00;stroke:#c08a00}.g5{fill:#3d9bd1;stroke:#3d9bd1}"
	".g6{fill:#7356bf;stroke:#7356bf}.g7{fill:#6b7f2a;stroke:#6b7f2a}\n"
	"@media(prefers-color-scheme:dark){.paper{fill:#15171a}.box{fill:#22262b;"
	"stroke:#454b53}.box.package{fill:#1a1d21}.box.node{fill:#1d2024}"
	".box.core{fill:none;stroke:#3a4047}text{fill:#e9eaec}text.soft,text.small,text.dense{"
	"fill:#a0a6ae}.out{stroke:#5a6068}.spare{stroke:#7d848c}.mark{stroke:#e9eaec}.hatch{stroke:"
	"#4d535b}"
	".g0{fill:#56b4e9;stroke:#56b4e9}.g1{fill:#f28e3c;stroke:#f28e3c}"
	".g2{fill:#2fc298;stroke:#2fc298}.g3{fill:#e08fbf;stroke:#e08fbf}"
	".g4{fill:#e6c84a;stroke:#e6c84a}.g5{fill:#8ccdf2;stroke:#8ccdf2}"
	".g6{fill:#ab94ee;stroke:#ab94ee}.g7{fill:#b5c963;stroke:#b5c963}}\n";

struct picture {
	const struct topo_view *view;
	FILE *out;
	struct topo_boxes boxes;
	const char *when;		/* "now: ", "then: "; "" if there is only one picture */
	double width;			/* of the whole picture */
	double group_width;		/* of a group's entry in the legend */
	struct weir_cpuset spare;	/* usable CPUs without a worker */
	struct weir_cpuset marked;	/* CPUs with a worker here, but not in the other picture */
	const char *mark;		/* the legend's text for them */
	char letters[WEIR_CPU_OUT_LEN];	/* by reason why CPUs are left out; 0: none is */
};

static const char *group_css(unsigned group, char *buf, size_t len)
{
	snprintf(buf, len, "cell g%u", group % COLOURS);
	return buf;
}

/* ---- boxes ---- */

static void name_node(const struct picture *p, unsigned node, char *buf, size_t len)
{
	const struct weir_topo *topo = p->view->topo;
	char memory[QUANTITY_LEN] = "memory unknown";
	size_t used;

	if (topo->nodes[node].memory_bytes)
		quantity_format(QUANTITY_BYTES, (double)topo->nodes[node].memory_bytes, 3, memory,
				sizeof(memory));
	used = (size_t)snprintf(buf, len, "node %u · %s", topo->nodes[node].os, memory);
	for (unsigned i = 0; i < topo->nics_len && used < len; i++)
		if (topo->nics[i].node == (int)node)
			used += (size_t)snprintf(buf + used, len - used, " · nic %s",
						 topo->nics[i].name);
}

static void name_l3(const struct picture *p, const struct topo_box *box, char *buf, size_t len)
{
	const struct topo_domain *domain = &p->view->domains[box->domain];
	uint64_t bytes = p->view->topo->l3s[domain->l3].bytes;
	char size[QUANTITY_LEN] = "", groups[48] = "";

	if (bytes)
		quantity_format(QUANTITY_BYTES, (double)bytes, 2, size, sizeof(size));
	if (domain->groups == 1)
		snprintf(groups, sizeof(groups), " · group %u", domain->group_first);
	else if (domain->groups)
		snprintf(groups, sizeof(groups), " · groups %u-%u", domain->group_first,
			 domain->group_first + domain->groups - 1);
	snprintf(buf, len, "L3 %u%s%s%s", domain->l3, bytes ? " · " : "", size, groups);
}

static void draw_frame(const struct picture *p, const struct topo_box *box, const char *css,
		       const char *label, const char *label_css)
{
	svg_rect(p->out, box->x, box->y, box->width, box->height, css);
	if (label)
		svg_label(p->out, box->x + 9, box->y + 18, "start", label_css, label,
			  box->width - 14);
}

/* In percent of the fastest CPU. */
static unsigned speed(const struct weir_topo_cpu *cpu)
{
	return (cpu->capacity * 100u + 512) / 1024;
}

/* The workers that are counted on a CPU: "0,8". */
static void list_workers(const struct picture *p, unsigned cpu, char *buf, size_t len)
{
	struct weir_cpuset workers = { { 0 } };

	for (unsigned i = 0; i < p->view->plan->workers_len; i++)
		if (p->view->plan->workers[i].cpu == cpu)
			weir_cpuset_add(&workers, i);
	weir_cpuset_print(&workers, buf, len);
}

/* The tooltip of a CPU. */
static void describe_cpu(const struct picture *p, unsigned i, unsigned worker, unsigned workers,
			 char *buf, size_t len)
{
	const struct weir_topo_cpu *cpu = &p->view->topo->cpus[i];
	const struct weir_plan_worker *planned = &p->view->plan->workers[worker];
	char set[SET_LEN] = "", fast[32] = "", list[SET_LEN] = "";

	if (p->view->topo->kinds > 1 && cpu->capacity)
		snprintf(fast, sizeof(fast), ", speed %u %%", speed(cpu));
	list_workers(p, i, list, sizeof(list));
	if (workers && planned->bound)
		weir_cpuset_print(&planned->cpus, set, sizeof(set));
	if (workers)
		snprintf(buf, len, "CPU P#%u L#%u, core %u%s: worker%s %s of group %u, %s%s",
			 cpu->os, i, cpu->core, fast, workers > 1 ? "s" : "", list, planned->group,
			 planned->bound ? "bound to " : "not bound", set);
	else
		snprintf(buf, len, "CPU P#%u L#%u, core %u%s: %s", cpu->os, i, cpu->core, fast,
			 p->view->plan->out[i] ? weir_cpu_out_text(p->view->plan->out[i])
					       : "no worker is counted on it");
}

/* The CPU's number, and its speed if there is room. */
static void name_cpu(const struct picture *p, const struct weir_topo_cpu *cpu, char *buf,
		     size_t len)
{
	if (p->view->topo->kinds > 1 && cpu->capacity && !p->boxes.compact)
		snprintf(buf, len, "P#%u %u%%", cpu->os, speed(cpu));
	else
		snprintf(buf, len, p->boxes.compact && cpu->os > 999 ? "%u" : "P#%u", cpu->os);
}

/* The workers in a cell: "w0,8", or "×3" if that is too long. */
static void name_workers(const struct picture *p, const struct topo_box *box, unsigned workers,
			 char *buf, size_t len)
{
	char list[SET_LEN];

	list_workers(p, box->id, list, sizeof(list));
	snprintf(buf, len, "%s%.20s", p->boxes.compact ? "" : "w", list);
	if (workers > 1 && (strlen(list) > 20 || svg_text_width(buf) > box->width - 4))
		snprintf(buf, len, "×%u", workers);
}

static void draw_cpu(const struct picture *p, const struct topo_box *box)
{
	unsigned worker = 0, workers = topo_workers_on(p->view, box->id, &worker);
	const struct weir_topo_cpu *cpu = &p->view->topo->cpus[box->id];
	unsigned out = p->view->plan->out[box->id];
	double middle = box->x + box->width / 2;
	char tip[2 * SET_LEN + 128], css[24], text[24] = "";

	describe_cpu(p, box->id, worker, workers, tip, sizeof(tip));
	if (workers)
		group_css(p->view->plan->workers[worker].group, css, sizeof(css));
	else
		snprintf(css, sizeof(css), "%s", out ? "out" : "spare");
	if (workers)
		name_workers(p, box, workers, text, sizeof(text));
	else if (out)
		snprintf(text, sizeof(text), "%c", p->letters[out]);
	svg_tip_begin(p->out, tip);
	svg_rect(p->out, box->x, box->y, box->width, box->height, css);
	svg_text(p->out, middle, box->y + (p->boxes.compact ? 14 : 20), "middle",
		 p->boxes.compact ? "tight" : "worker", text);
	name_cpu(p, cpu, text, sizeof(text));
	svg_text(p->out, middle, box->y + box->height - (p->boxes.compact ? 5 : 9), "middle",
		 p->boxes.compact || strlen(text) > 8 ? "dense" : "small", text);
	if (weir_cpuset_has(&p->marked, cpu->os))
		svg_rect(p->out, box->x, box->y, box->width, box->height, "mark");
	svg_tip_end(p->out);
}

static void draw(const struct picture *p, const struct topo_box *box)
{
	char label[256];

	switch (box->level) {
	case TOPO_BOX_PACKAGE:
		snprintf(label, sizeof(label), "package %u", box->id);
		draw_frame(p, box, "box package", label, "head");
		break;
	case TOPO_BOX_NODE:
		name_node(p, box->id, label, sizeof(label));
		draw_frame(p, box, "box node", label, "head");
		break;
	case TOPO_BOX_L3:
		name_l3(p, box, label, sizeof(label));
		draw_frame(p, box, "box", label, "soft");
		break;
	case TOPO_BOX_CORE:
		snprintf(label, sizeof(label), "core %u", box->id);
		draw_frame(p, box, "box core", NULL, NULL);
		if (!p->boxes.compact)
			svg_text(p->out, box->x + 6, box->y + 14, "start", "small", label);
		break;
	case TOPO_BOX_CPU:
		draw_cpu(p, box);
		break;
	default:
		break;
	}
	for (const struct topo_box *child = box->child; child; child = child->next)
		draw(p, child);
}

/* ---- text ---- */

static double line(const struct picture *p, double y, const char *css, const char *text)
{
	svg_label(p->out, MARGIN, y, "start", css, text, p->width - 2 * MARGIN);
	return y + LINE;
}

/* The machine, and the CPUs that gain or lose a worker. */
static double write_head(const struct picture *p)
{
	const struct weir_topo *topo = p->view->topo;
	struct weir_cpuset usable, gained, lost;
	char machine[160], text[2 * SET_LEN + 128], quota[32], more[SET_LEN], less[SET_LEN];

	topo_describe_machine(p->view, machine, sizeof(machine));
	topo_cpus_usable(p->view, &usable);
	topo_describe_quota(topo->quota_milli, quota, sizeof(quota));
	line(p, MARGIN + 10, "title", p->view->host ? p->view->host->name : topo->source);
	snprintf(text, sizeof(text), "%s; %u CPUs usable; %s", machine,
		 weir_cpuset_count(&usable), quota);
	if (!p->view->now)
		return line(p, MARGIN + 32, "soft", text);
	line(p, MARGIN + 32, "soft", text);
	topo_cpus_changed(p->view, &gained, &lost);
	weir_cpuset_print(&gained, more, sizeof(more));
	weir_cpuset_print(&lost, less, sizeof(less));
	snprintf(text, sizeof(text), "CPUs that get a worker: %s; that lose it: %s",
		 *more ? more : "none", *less ? less : "none");
	return line(p, MARGIN + 32 + LINE, "soft", text) + LINE;
}

static double write_workers(const struct picture *p, double y)
{
	const struct weir_plan *plan = p->view->plan;
	char text[512];

	snprintf(text, sizeof(text), "%s%u worker%s in %u group%s; policy %s; %s", p->when,
		 plan->workers_len, plan->workers_len == 1 ? "" : "s", plan->groups_len,
		 plan->groups_len == 1 ? "" : "s", weir_place_policy_name(plan->policy),
		 topo_describe_binding(plan));
	return line(p, y, *p->when ? "head" : "soft", text);
}

static void describe_group(const struct picture *p, unsigned i, char *buf, size_t len)
{
	const struct weir_plan_group *group = &p->view->plan->groups[i];
	char cpus[SET_LEN], node[24] = "";

	weir_cpuset_print(&group->cpus, cpus, sizeof(cpus));
	if (p->view->topo->nodes_len > 1)
		snprintf(node, sizeof(node), "node %u, ", p->view->topo->nodes[group->node].os);
	snprintf(buf, len, "group %u: workers %u-%u, %sP# %s", i, group->first,
		 group->first + group->workers - 1u, node, cpus);
}

/* The width of the longest entry, limited by the width of the picture. */
static double measure_groups(const struct picture *p)
{
	char text[SET_LEN + 96];
	double widest = 0, width;

	for (unsigned i = 0; i < p->view->plan->groups_len; i++) {
		describe_group(p, i, text, sizeof(text));
		width = SWATCH + svg_text_width(text) + GAP;
		widest = width > widest ? width : widest;
	}
	return widest < p->width - 2 * MARGIN ? widest : p->width - 2 * MARGIN;
}

/* The legend's groups are in several columns if there is room. */
static unsigned group_columns(const struct picture *p)
{
	return (unsigned)((p->width - 2 * MARGIN) / p->group_width);
}

static void write_group(const struct picture *p, unsigned i, double x, double y)
{
	char css[24], text[SET_LEN + 96];

	describe_group(p, i, text, sizeof(text));
	svg_rect(p->out, x, y - 11, 14, 14, group_css(i, css, sizeof(css)));
	svg_label(p->out, x + SWATCH, y, "start", "text", text, p->group_width - SWATCH);
}

/* A legend entry: a box with a letter, and the CPUs that it stands for. */
static double write_set(const struct picture *p, const char *css, const char *letter,
			const char *what, const struct weir_cpuset *set, double y)
{
	char text[SET_LEN + 96], cpus[SET_LEN];

	weir_cpuset_print(set, cpus, sizeof(cpus));
	svg_rect(p->out, MARGIN, y - 11, 14, 14, css);
	svg_text(p->out, MARGIN + 7, y, "middle", "tight", letter);
	snprintf(text, sizeof(text), "%s: P# %s", what, cpus);
	svg_label(p->out, MARGIN + SWATCH, y, "start", "text", text,
		  p->width - 2 * MARGIN - SWATCH);
	return y + LINE;
}

static double write_reason(const struct picture *p, unsigned why, double y)
{
	char letter[2] = { p->letters[why], '\0' };
	struct weir_cpuset set;

	topo_cpus_out(p->view, why, &set);
	return write_set(p, "out", letter, weir_cpu_out_text(why), &set, y);
}

static struct weir_cpuset spare_cpus(const struct topo_view *view)
{
	struct weir_cpuset set = { { 0 } };
	unsigned worker;

	for (unsigned i = 0; i < view->topo->cpus_len; i++)
		if (!view->plan->out[i] && !topo_workers_on(view, i, &worker))
			weir_cpuset_add(&set, view->topo->cpus[i].os);
	return set;
}

static unsigned group_rows(const struct picture *p)
{
	unsigned columns = group_columns(p);

	return (p->view->plan->groups_len + columns - 1) / columns;
}

static double write_legend(const struct picture *p, double y)
{
	unsigned columns = group_columns(p), rows = group_rows(p);

	for (unsigned i = 0; i < p->view->plan->groups_len; i++)
		write_group(p, i, MARGIN + p->group_width * (i / rows % columns),
			    y + LINE * (i % rows));
	y += rows * LINE;
	if (weir_cpuset_count(&p->spare))
		y = write_set(p, "spare", "", "no worker is counted on it", &p->spare, y);
	if (weir_cpuset_count(&p->marked))
		y = write_set(p, "mark", "", p->mark, &p->marked, y);
	for (unsigned why = 1; why < WEIR_CPU_OUT_LEN; why++)
		if (p->letters[why])
			y = write_reason(p, why, y);
	return y;
}

static double write_why(const struct picture *p, double y)
{
	const struct weir_plan *plan = p->view->plan;

	if (plan->why_len)
		y = line(p, y, "head", "why");
	for (unsigned i = 0; i < plan->why_len; i++)
		y = line(p, y, "soft", plan->why[i]);
	return y;
}

/* ---- the whole picture ---- */

static double lines_below(const struct picture *p)
{
	const struct weir_plan *plan = p->view->plan;
	unsigned lines = group_rows(p) + (weir_cpuset_count(&p->spare) > 0) +
			 (weir_cpuset_count(&p->marked) > 0) +
			 (plan->why_len ? plan->why_len + 1 : 0);

	for (unsigned why = 1; why < WEIR_CPU_OUT_LEN; why++)
		lines += p->letters[why] != '\0';
	return lines * LINE + 3 * LINE;
}

static void letter_reasons(struct picture *p)
{
	bool seen[WEIR_CPU_OUT_LEN] = { false };
	char next = 'a';

	for (unsigned i = 0; i < p->view->topo->cpus_len; i++)
		seen[p->view->plan->out[i]] = true;
	for (unsigned why = 1; why < WEIR_CPU_OUT_LEN; why++)
		if (seen[why])
			p->letters[why] = next++;
}

static void begin(const struct picture *p, double height)
{
	svg_begin(p->out, p->width, height, "where the workers of a weir runtime go");
	fprintf(p->out,
		"<style>\n%s</style>\n"
		"<defs><pattern id=\"hatch\" width=\"6\" height=\"6\" "
		"patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\">"
		"<line x1=\"0\" y1=\"0\" x2=\"0\" y2=\"6\" class=\"hatch\"/></pattern></defs>\n",
		style);
	svg_rect(p->out, 0, 0, p->width, height, "paper");
}

/* Returns 0 or -ENOMEM. */
static int prepare(struct picture *p)
{
	int rc = topo_boxes_init(&p->boxes, p->view, WIDTH);

	if (rc < 0)
		return rc;
	p->width = p->boxes.list[0].width < LEAST ? LEAST : p->boxes.list[0].width;
	p->width += 2 * MARGIN;
	p->group_width = measure_groups(p);
	p->spare = spare_cpus(p->view);
	letter_reasons(p);
	return 0;
}

static double placement_height(const struct picture *p)
{
	return LINE + p->boxes.list[0].height + lines_below(p);
}

/* Draw everything from y on; returns the y below it. */
static double draw_placement(const struct picture *p, double y)
{
	double top = write_workers(p, y);

	fprintf(p->out, "<g transform=\"translate(%.0f %.0f)\">\n", MARGIN, top);
	draw(p, &p->boxes.list[0]);
	fputs("</g>\n", p->out);
	write_why(p, write_legend(p, top + p->boxes.list[0].height + 2 * LINE) + LINE / 2);
	return y + placement_height(p);
}

static void draw_one(struct picture *p)
{
	begin(p, MARGIN + 32 + LINE + placement_height(p) + MARGIN);
	draw_placement(p, write_head(p));
	svg_end(p->out);
}

/* Draw the current plan above the new one. */
static int draw_both(struct picture *then)
{
	struct topo_view view;
	struct picture now = { .view = &view, .out = then->out, .when = "now: " };
	int rc = topo_view_init(&view, then->view->topo, then->view->now);

	if (rc == 0)
		rc = prepare(&now);
	if (rc == 0) {
		topo_cpus_changed(then->view, &then->marked, &now.marked);
		then->when = "then: ";
		then->mark = "gets a worker";
		now.mark = "loses its worker";
		begin(then, MARGIN + 32 + 4 * LINE + placement_height(&now) +
				    placement_height(then) + MARGIN);
		draw_placement(then, draw_placement(&now, write_head(then)) + LINE);
		svg_end(then->out);
	}
	topo_boxes_fini(&now.boxes);
	topo_view_fini(&view);
	return rc;
}

int topo_print_svg(const struct topo_view *view, FILE *out)
{
	struct picture p = { .view = view, .out = out, .when = "" };
	int rc = prepare(&p);

	if (rc == 0 && view->now)
		rc = draw_both(&p);
	else if (rc == 0)
		draw_one(&p);
	topo_boxes_fini(&p.boxes);
	return rc;
}
