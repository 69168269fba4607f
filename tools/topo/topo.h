/* SPDX-License-Identifier: MIT */
/*
 * topo.h: what the files of `weir topo` share.
 *
 *	topo.c		the subcommand: options, the topology, the plan
 *	view.c		derived data that all output formats use
 *	text.c		output as text, folded for large machines
 *	json.c		output as JSON
 *	svg.c		output as a picture
 *	boxes.c		the layout of the picture
 *	host.c		data about this machine that is not in its topology
 *	pid.c		a running process: its threads and its memory
 *	pid_show.c	output of a process as text and JSON
 *
 * Topology and plan come from the functions that a runtime calls when it starts
 * (weir/topo.h); nothing here decides where a worker goes.
 */
#ifndef TOOLS_TOPO_TOPO_H
#define TOOLS_TOPO_TOPO_H

#include <stdio.h>

#include "tools/common/hugepages.h"
#include "tools/common/nic.h"
#include "weir/topo.h"

/* ---- this machine (host.c) ---- */

struct topo_host {
	char name[80];
	char guest[80];			/* "virtual machine (vendor)"; "" if it is not one */
	uint64_t memory_bytes;		/* MemTotal; 0 unknown */
	struct nics nics;
	struct hugepages (
		*pages)[HUGEPAGES_SIZES_MAX]; /* by index into weir_topo.nodes; may be NULL */
	unsigned *pages_len;
};

void topo_host_read(const char *root, const struct weir_topo *topo, struct topo_host *ret_host);
void topo_host_free(struct topo_host *host);

/* ---- the data that is shown (view.c) ---- */

/* CPUs that share package, node and L3. */
struct topo_domain {
	unsigned first, len;		/* in topo_view.order */
	unsigned package, node, l3;
	unsigned cores;
	unsigned workers, groups;	/* counted on its CPUs */
	unsigned worker_first, group_first; /* the lowest of them; undefined if there are none */
	unsigned out[WEIR_CPU_OUT_LEN]; /* number of CPUs by enum weir_cpu_out; [0]: usable */
	bool in_order;			/* the numbers of its workers and groups have no gaps */
};

struct topo_view {
	const struct weir_topo *topo;
	const struct weir_plan *plan;
	const struct topo_host *host;	/* NULL for another machine */
	const struct weir_plan *now;	/* --what-if: the plan without the options; or NULL */
	uint16_t *order;		/* all L#, sorted by domain; offline CPUs are last */
	struct topo_domain *domains;
	unsigned domains_len;
	unsigned threads_max;		/* the largest number of hardware threads of a core */
	bool all;			/* --all: fold nothing */
};

/* Returns 0 or -ENOMEM. topo and plan must outlive the view. */
int topo_view_init(struct topo_view *view, const struct weir_topo *topo,
		   const struct weir_plan *plan);
void topo_view_fini(struct topo_view *view);

/* Whether b is like a except for its numbers, and its numbers follow those of a. */
bool topo_domains_alike(const struct topo_view *view, const struct topo_domain *a,
			const struct topo_domain *b);

/* The number of workers counted on a CPU (L#), and the first of them, if there is one. */
unsigned topo_workers_on(const struct topo_view *view, unsigned cpu, unsigned *ret_worker);

/* The CPUs that the plan leaves out for a reason; WEIR_CPU_USABLE: those that it uses. */
void topo_cpus_out(const struct topo_view *view, unsigned out, struct weir_cpuset *ret_set);
/* The CPUs that the process may use, whatever the plan says. */
void topo_cpus_usable(const struct topo_view *view, struct weir_cpuset *ret_set);
void topo_cpus_isolated(const struct topo_view *view, struct weir_cpuset *ret_set);

/* If .now is set: the CPUs that have a worker only in .plan, and only in .now. */
void topo_cpus_changed(const struct topo_view *view, struct weir_cpuset *ret_gained,
		       struct weir_cpuset *ret_lost);

/* "2 packages, 4 nodes, …" */
void topo_describe_machine(const struct topo_view *view, char *buf, size_t len);
/* "auto", "none" … */
const char *topo_bind_name(unsigned bind);
/* "each bound to a CPU", "not bound" … */
const char *topo_describe_binding(const struct weir_plan *plan);
/* "quota 0.5 CPUs" or "no quota". */
void topo_describe_quota(unsigned milli, char *buf, size_t len);

/* ---- output formats ---- */

void topo_print_text(const struct topo_view *view, FILE *out);
void topo_print_json(const struct topo_view *view, FILE *out);
/* Returns 0 or -ENOMEM. */
int topo_print_svg(const struct topo_view *view, FILE *out);

#endif
