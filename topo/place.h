/* SPDX-License-Identifier: MIT */
/*
 * place.h: the state that the steps from a topology to a plan share.
 *
 *	place_set.c	which CPUs the configuration names
 *	place_policy.c	which of these the policy keeps, and what makes a domain
 *	place_group.c	cuts domains into groups, puts workers on groups and CPUs
 *	place_bind.c	the CPUs that each worker may run on
 *	place_steal.c	the order in which workers steal from each other
 *
 * place.c calls them in this order. They share place_order.c, the places sorted by
 * nearness, and place_say.c, the sentences.
 *
 * Each step reads what the earlier ones have left in struct place, and records
 * its decisions in the plan's why lines. No step looks at the machine that it
 * runs on.
 */
#ifndef WEIR_TOPO_PLACE_H
#define WEIR_TOPO_PLACE_H

#include "weir/topo.h"

#define PLACE_WORKERS_MAX 256u

/*
 * A place for a worker: a CPU that is used, or one of several places on it if there are more
 * workers than CPUs. Slots are sorted by the fields from node to round, in this order, so that
 * neighbours in the array are near each other.
 */
struct place_slot {
	uint16_t node, package, l3;
	uint16_t slowness;	/* 0: the fastest kind of core */
	uint16_t cluster, core;
	uint16_t cpu;		/* L# */
	uint16_t round;		/* how many slots of this CPU come before this one */
	uint16_t rank;		/* how many used CPUs of its core come before this one */
	uint16_t group;
	bool taken;		/* by a worker */
};

struct place {
	const struct weir_topo *topo;
	struct weir_place_config cfg;	/* with the defaults; workers 0: not configured */
	struct weir_plan *plan;
	struct weir_why *why;
	struct place_slot *slots;
	unsigned slots_len, usable;	/* usable: the number of usable CPUs */
	unsigned rounds;		/* the number of slots of each CPU */
};

/* Each returns 0 or a negative errno, with the reason in *why. */
int weir__place_set_apply(struct place *p);
int weir__place_policy_apply(struct place *p);
int weir__place_groups(struct place *p);
int weir__place_steal(struct place *p);
void weir__place_bind(struct place *p);

/* Makes the sorted slots of all CPUs that are not left out, rounds slots for each. 0 or -ENOMEM. */
int weir__place_order(struct place *p, unsigned rounds);
/* True if slot b begins another cluster than its neighbour a. */
bool weir__place_new_cluster(const struct place_slot *a, const struct place_slot *b);

/* How domains become groups: count L3s, or clusters, per group. 0: everything is one domain. */
struct place_grouping {
	unsigned count;
	bool clusters;
};
struct place_grouping weir__place_grouping_of(enum weir_place_policy policy);

/* Prints thousandths of a CPU as "0.5". */
void weir__place_print_quota(unsigned milli, char *buf, size_t len);
/* Adds a why line to the plan. */
void weir__place_say(struct place *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Returns -EINVAL and stores the reason. */
int weir__place_refuse(struct place *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
