/* SPDX-License-Identifier: MIT */
/*
 * topo.h: what the files of `weir topo` share.
 *
 *	topo.c		the subcommand: options, the topology, the plan
 *	view.c		what every way to show them needs to know of them
 *	text.c		for people, folded where a machine is large
 *	json.c		for programs
 *	svg.c		a picture
 *	boxes.c		what is where in it
 *	host.c		what this machine says of itself beside its topology
 *	pid.c		a process that runs: its threads and its memory
 *	pid_show.c	and how that is shown
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
	char guest[80];			/* "virtual machine (vendor)"; "" when it does not look like one */
	uint64_t memory_bytes;		/* MemTotal; 0 unknown */
	struct nics nics;
	struct hugepages (
		*pages)[HUGEPAGES_SIZES_MAX]; /* by index into weir_topo.nodes; may be NULL */
	unsigned *pages_len;
};

void topo_host_read(const char *root, const struct weir_topo *topo, struct topo_host *ret_host);
void topo_host_free(struct topo_host *host);

/* ---- what is shown (view.c) ---- */

/* CPUs that share package, node and L3. */
struct topo_domain {
	unsigned first, len;		/* in topo_view.order */
	unsigned package, node, l3;
	unsigned cores;
	unsigned workers, groups;	/* that are counted on its CPUs */
	unsigned worker_first,
		group_first; /* the lowest of them; meaningless when there are none */
	unsigned out
		[WEIR_CPU_OUT_LEN]; /* CPUs, by why they have no worker; the first: those that may */
	bool in_order;			/* its workers and groups are numbered without a gap */
};

struct topo_view {
	const struct weir_topo *topo;
	const struct weir_plan *plan;
	const struct topo_host *host;	/* NULL for a machine that is not here */
	const struct weir_plan *now;	/* what a runtime has without these options; NULL: not asked */
	uint16_t *order;		/* L#, domain by domain: offline CPUs have the last L# */
	struct topo_domain *domains;
	unsigned domains_len;
	unsigned threads_max;		/* hardware threads of the core that has most */
	bool all;			/* fold nothing */
};

/* 0 or -ENOMEM. What it was given must outlive it. */
int topo_view_init(struct topo_view *view, const struct weir_topo *topo,
		   const struct weir_plan *plan);
void topo_view_fini(struct topo_view *view);

/* Whether two domains differ in nothing but their numbers, the second of which go on from the first's. */
bool topo_domains_alike(const struct topo_view *view, const struct topo_domain *a,
			const struct topo_domain *b);

/* The first worker that is counted on a CPU (L#), and how many there are; 0: *ret_worker is untouched. */
unsigned topo_workers_on(const struct topo_view *view, unsigned cpu, unsigned *ret_worker);

/* The CPUs that have a worker, or might (WEIR_CPU_USABLE), or not for that reason. */
void topo_cpus_out(const struct topo_view *view, unsigned out, struct weir_cpuset *ret_set);
/* Those that the plan takes from; those that the process may use, whatever the plan says; those isolated. */
void topo_cpus_usable(const struct topo_view *view, struct weir_cpuset *ret_set);
void topo_cpus_isolated(const struct topo_view *view, struct weir_cpuset *ret_set);

/* With .now: the CPUs that have a worker only in plan, and only in now. */
void topo_cpus_changed(const struct topo_view *view, struct weir_cpuset *ret_gained,
		       struct weir_cpuset *ret_lost);

/* "2 packages, 4 nodes, …" */
void topo_describe_machine(const struct topo_view *view, char *buf, size_t len);
/* "auto", "none" … */
const char *topo_bind_name(unsigned bind);
/* "bound to a CPU each", "not bound" … */
const char *topo_describe_binding(const struct weir_plan *plan);
/* "quota 0.5 CPUs" or "no quota". */
void topo_describe_quota(unsigned milli, char *buf, size_t len);

/* ---- ways to show it ---- */

void topo_print_text(const struct topo_view *view, FILE *out);
void topo_print_json(const struct topo_view *view, FILE *out);
/* 0 or -ENOMEM. */
int topo_print_svg(const struct topo_view *view, FILE *out);

#endif
