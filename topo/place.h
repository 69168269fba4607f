/* SPDX-License-Identifier: MIT */
/*
 * place.h: what the steps from a topology to a plan hand on to each other.
 *
 *	place_set.c	which CPUs the configuration names
 *	place_policy.c	which of these the policy keeps; what makes a domain
 *	place_group.c	domains cut into groups, workers on groups and CPUs
 *	place_bind.c	the CPUs that each worker may move over
 *	place_steal.c	who is near whom
 *
 * Each step reads what those before it have left in struct place, and says in the
 * plan's why lines what it has decided. None of them looks at the machine it runs on.
 */
#ifndef WEIR_TOPO_PLACE_H
#define WEIR_TOPO_PLACE_H

#include "weir/topo.h"

#define PLACE_WORKERS_MAX 256u

/*
 * Where a worker can be: a CPU that is used; one of several on it when there are more workers than
 * CPUs. Slots are sorted by the fields up to rounds, in their order, so that neighbours are near.
 */
struct place_slot {
	uint16_t node, package, l3;
	uint16_t slowness;	/* 0: the fastest kind of core */
	uint16_t cluster, core;
	uint16_t cpu;		/* L# */
	uint16_t round;		/* how many slots of this CPU come before */
	uint16_t rank;		/* how many used CPUs of its core come before its own */
	uint16_t group;
	bool taken;		/* by a worker */
};

struct place {
	const struct weir_topo *topo;
	struct weir_place_config cfg;	/* the defaults filled in; workers 0 is not asked for */
	struct weir_plan *plan;
	struct weir_why *why;
	struct place_slot *slots;
	unsigned slots_len, usable;	/* usable: CPUs of the topology */
	unsigned rounds;		/* slots of each CPU */
};

/* Each returns 0 or a negative errno, with the reason in *why. */
int weir__place_set_apply(struct place *p);
int weir__place_policy_apply(struct place *p);
int weir__place_groups(struct place *p);
int weir__place_steal(struct place *p);
void weir__place_bind(struct place *p);

/* The slots of all CPUs that are not out, rounds of them each, sorted. 0 or -ENOMEM. */
int weir__place_order(struct place *p, unsigned rounds);
/* Whether b begins another cluster than a, its neighbour: other cores, or elsewhere. */
bool weir__place_new_cluster(const struct place_slot *a, const struct place_slot *b);

/* Domains that become groups: so many L3s, or clusters; 0 is all there is. */
struct place_grouping {
	unsigned count;
	bool clusters;
};
struct place_grouping weir__place_grouping_of(enum weir_place_policy policy);

/* Thousandths of a CPU as "0.5". */
void weir__place_print_quota(unsigned milli, char *buf, size_t len);
/* A why line of the plan. */
void weir__place_say(struct place *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* -EINVAL, with the reason. */
int weir__place_refuse(struct place *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
