/* SPDX-License-Identifier: MIT */
/*
 * topo.h: the machine, and where the workers of a runtime go.
 *
 *	weir_topo_new ──► struct weir_topo ──┐
 *	(this machine, a file, a string)     ├─► weir_plan_new ──► struct weir_plan
 *	struct weir_place_config ────────────┘   (a pure function)
 *
 * A topology says what a machine has: packages, memory nodes, last-level caches (L3),
 * cores, hardware threads, kinds of core, distances. It also says which CPUs this
 * process may use: those that are online, in its affinity mask and in its cgroup's
 * cpuset. A plan says what a runtime does with that: how many workers it has, in which
 * groups, on which CPUs and memory nodes, and from whom each worker steals first.
 *
 * A runtime makes both when it starts (weir_rt_config.place and .topo), and
 * weir_rt_plan returns its plan. The same calls answer "what if" for a machine that is
 * not here, which is what the command "weir topo" does:
 *
 *	struct weir_place_config cfg = WEIR_PLACE_CONFIG_INIT;
 *	struct weir_topo *topo;
 *	struct weir_plan *plan;
 *
 *	rc = weir_topo_new("pack:2 l3:4 core:8 pu:2", &topo, &why);
 *	rc = weir_plan_new(topo, &cfg, &plan, &why);
 *	… plan->workers[i].cpus, plan->why[i] …
 *	weir_plan_free(plan);
 *	weir_topo_free(topo);
 *
 * Two numbers for a CPU: P# is the kernel's number (.os). L# is the index in
 * weir_topo.cpus, where neighbours in the machine have neighbouring indices. A set of
 * CPUs (struct weir_cpuset) holds P#; all other indices are L#.
 *
 * This machine is read once per process. It is read again when the affinity mask has a
 * CPU that the last reading lacks, because that CPU came online. The mask, the cpuset and
 * the quota are read for each topology. Other changes, such as added memory or network
 * cards, are not seen.
 *
 * Do not: change a topology that a runtime was given; expect distances, caches or
 * nodes from every machine (where one is unknown, the machine is described as having a
 * single one, and a CPU that is offline as belonging to the first).
 */
#ifndef WEIR_TOPO_H
#define WEIR_TOPO_H

#include "weir/base.h"

/* ---- sets of CPUs ---- */

#define WEIR_CPUS_MAX 1024u

/* A set of CPUs, by P#. All zero is the empty set. */
struct weir_cpuset {
	uint64_t word[WEIR_CPUS_MAX / 64];
};

/* ---- the machine ---- */

/*
 * Why a CPU of the machine has no worker. A topology gives the first reasons: the process may not
 * use the CPU. A plan adds the others: the process may use it, but the plan does not.
 */
enum weir_cpu_out {
	WEIR_CPU_USABLE = 0,

	/* In a topology. */
	WEIR_CPU_OFFLINE,
	WEIR_CPU_CPUSET,	/* outside the cgroup's cpuset */
	WEIR_CPU_AFFINITY,	/* outside the affinity mask */
	WEIR_CPU_ISOLATED,	/* the kernel does not balance load onto it, and it was not named */

	/* In a plan. */
	WEIR_CPU_UNNAMED,	/* not in weir_place_config.cpus */
	WEIR_CPU_OTHER_NODE,	/* policy first-usable-node: on another node */
	WEIR_CPU_SLOWER,	/* policy performance: in a slow cluster */
	WEIR_CPU_FASTER,	/* policy efficiency: in a fast cluster */
	WEIR_CPU_LARGER,	/* policy resource: not in the smallest cluster */
	WEIR_CPU_SIBLING,	/* its core has threads_per_core others already */
	WEIR_CPU_SPARE,		/* there are fewer workers than CPUs */
	WEIR_CPU_OUT_LEN
};

/*
 * A CPU: one hardware thread. core, cluster, l3, package and node say where it belongs; each of
 * them is counted from 0 over the whole machine, so two CPUs share a cache if l3 is equal.
 *
 * A cluster is the cores of one kind that share an L2, or a group within that, if there are at
 * least four of them. An L3 is a last-level cache with one memory node: where a cache spans
 * several nodes, each part counts as one.
 */
struct weir_topo_cpu {
	uint16_t os;			/* P# */
	uint16_t core;
	uint16_t cluster;
	uint16_t l3;
	uint16_t package;
	uint16_t node;			/* index into weir_topo.nodes */
	uint8_t thread;			/* its number among the threads of its core, from 0 */
	uint8_t kind;			/* the kind of its core; 0 is the slowest */
	uint16_t capacity;		/* its speed; 1024: the machine's fastest; 0: unknown */
	bool isolated;			/* isolcpus, or an isolated cpuset partition */
	uint8_t out;			/* enum weir_cpu_out */
};

/* A memory node: memory, and the CPUs that are near to it. */
struct weir_topo_node {
	uint16_t os;			/* the kernel's number */
	uint64_t memory_bytes;		/* 0: unknown */
};

/* A last-level cache. */
struct weir_topo_l3 {
	uint64_t bytes;			/* 0: unknown */
};

/* A network card. */
struct weir_topo_nic {
	char name[16];			/* of its interface */
	int node;			/* index into weir_topo.nodes; -1: unknown */
};

/* A machine. weir_topo_new makes it, the caller reads it, weir_topo_cut may take CPUs away. */
struct weir_topo {
	char source[160];		/* where this was read from, as a sentence for people */
	bool here;			/* it is this machine: threads and memory can be bound */
	bool flat;			/* only the CPUs are known; there is one of all else */
	unsigned cpus_len, cores, clusters, packages, kinds;
	unsigned l3s_len, nodes_len, nics_len;
	struct weir_topo_cpu *cpus;	/* by L# */
	struct weir_topo_l3 *l3s;
	struct weir_topo_node *nodes;
	struct weir_topo_nic *nics;
	uint16_t *distances;		/* nodes_len rows of nodes_len; 10: local; NULL: unknown */
	unsigned quota_milli;		/* the CPU quota in thousandths of a CPU; 0: none */
	char quota_file[512];		/* the file that sets it; "" */
};

/* ---- the plan ---- */

/*
 * Which CPUs get workers, and which workers form a group. Names and meanings are HAProxy's. A
 * group never has more than group_workers, so a larger L3 or cluster is divided.
 */
enum weir_place_policy {
	WEIR_PLACE_PERFORMANCE = 0,	/* no clusters slower than 80 % of the next; by L3 */
	WEIR_PLACE_NONE,		/* all CPUs; one group, or as many as group_workers needs */
	WEIR_PLACE_FIRST_USABLE_NODE,	/* only the first node that has a usable CPU */
	WEIR_PLACE_GROUP_BY_CCX,	/* all CPUs; a group per L3 (CCX), or per 2, 3, 4 L3s */
	WEIR_PLACE_GROUP_BY_2_CCX,
	WEIR_PLACE_GROUP_BY_3_CCX,
	WEIR_PLACE_GROUP_BY_4_CCX,
	WEIR_PLACE_GROUP_BY_CLUSTER,	/* the same by cluster */
	WEIR_PLACE_GROUP_BY_2_CLUSTER,
	WEIR_PLACE_GROUP_BY_3_CLUSTER,
	WEIR_PLACE_GROUP_BY_4_CLUSTER,
	WEIR_PLACE_EFFICIENCY,		/* no clusters more than 25 % faster than the next; by L3 */
	WEIR_PLACE_RESOURCE,		/* only the smallest cluster */
	WEIR_PLACE_LEN
};

/*
 * To which CPUs a worker's thread is bound. A thread that may use all CPUs of its group can
 * avoid an interrupt or a neighbour on one of them, and still finds its data in the shared
 * cache. A thread is not bound at all where the set would be the whole affinity mask.
 *
 * AUTO is CPU if all CPUs are isolated. Otherwise it is NONE if there are fewer workers than
 * CPUs, because then the kernel knows which are free; CORE with one thread per core; else GROUP.
 */
enum weir_bind {
	WEIR_BIND_AUTO = 0,
	WEIR_BIND_NONE,			/* all CPUs that the plan has not left out */
	WEIR_BIND_GROUP,		/* the CPUs of its group */
	WEIR_BIND_CORE,			/* the CPUs of one core */
	WEIR_BIND_CPU,			/* one CPU */
};

/*
 * Where workers should go. Start from WEIR_PLACE_CONFIG_INIT; zero means the default.
 *
 * cpus selects CPUs. It is a list of entries separated by commas; each entry keeps or removes
 * some of the CPUs that are left. An entry is one of
 *
 *	0-3,8		a list of P#: keep these
 *	only-KIND LIST	keep these
 *	drop-KIND LIST	remove these
 *	drop-smt	the same as "only-thread 0"
 *
 * where KIND is package, node, cluster, l3, core, thread or cpu. LIST holds P# for "cpu", the
 * kernel's numbers for "node", and otherwise the numbers of struct weir_topo_cpu. A comma that is
 * followed by a digit continues the list: "only-node 0,2,drop-smt" is two entries. A list of
 * P# comes first: "4-7,only-node 0". An isolated CPU is used if a list of P#, or only-cpu, names
 * it.
 */
struct weir_place_config {
	size_t size;			/* sizeof(struct weir_place_config) */
	enum weir_place_policy policy;
	enum weir_bind bind;
	unsigned workers;		/* 0: one per CPU, or as the CPU quota allows; up to 256 */
	unsigned group_workers;		/* the most in one group: 16; up to 64 */
	unsigned threads_per_core;	/* hardware threads used of each core; 0: all */
	const char *cpus;		/* NULL: all */
};

#define WEIR_PLACE_CONFIG_INIT WEIR_SIZED_INIT(weir_place_config)

/* How near the worker is from which another one steals; the nearest are tried first. */
enum weir_tier {
	WEIR_TIER_SMT = 0,		/* on the same core */
	WEIR_TIER_GROUP,		/* in the same group */
	WEIR_TIER_NODE,			/* on the same memory node */
	WEIR_TIER_REMOTE,		/* on another, the nearest first */
	WEIR_TIERS
};

/*
 * One worker. cpu is the CPU that it is counted on: its group, node and distances are those of
 * that CPU. If it is not bound, the kernel may run it elsewhere.
 */
struct weir_plan_worker {
	uint16_t group;			/* index into weir_plan.groups */
	uint16_t cpu;			/* L# */
	uint16_t node;			/* index into weir_topo.nodes; if it is bound, the memory of
					 * the worker is placed there */
	bool bound;			/* to cpus; otherwise the thread inherits its mask */
	struct weir_cpuset cpus;
	/*
	 * All other workers, the nearest first. Those of tier t are steal[tier_end[t - 1]] to
	 * steal[tier_end[t] - 1]; tier 0 begins at steal[0].
	 */
	uint16_t *steal;
	uint16_t tier_end[WEIR_TIERS];
};

/*
 * Workers that share a cache. They also share an inject queue, a bitmap of sleeping workers and a
 * listener's shard.
 */
struct weir_plan_group {
	uint16_t first, workers;	/* its workers: first to first + workers - 1 */
	uint16_t node;			/* index into weir_topo.nodes */
	struct weir_cpuset cpus;
	uint16_t *near;			/* all groups: this one, then the others by distance */
};

#define WEIR_PLAN_WHY_MAX 16

/* What a runtime does with a machine. The caller reads it; weir_plan_free frees it. */
struct weir_plan {
	enum weir_place_policy policy;
	enum weir_bind bind;		/* what AUTO became; a quota may have weakened it */
	unsigned workers_len, groups_len, nodes_used, cpus_used;
	bool throttled;			/* the quota is less than the CPUs used: workers are not
					 * bound to one CPU each, and must not poll all the time */
	struct weir_plan_worker *workers;
	struct weir_plan_group *groups;
	uint8_t *out;			/* by L#: enum weir_cpu_out, the plan's reasons included */
	unsigned why_len;
	char why[WEIR_PLAN_WHY_MAX][160]; /* the decisions and their reasons, one line each */
};

/* Why a call failed, as one line that names the wrong value and what is expected. */
struct weir_why {
	char text[256];
};

WEIR_BEGIN_DECLS

/**
 * Read a topology, and mark the CPUs that this process may not use.
 *
 * input NULL means this machine. Otherwise it is the name of an hwloc XML file ("lstopo FILE.xml"
 * writes one) or, if there is no such file, an hwloc synthetic description ("pack:2 l3:4 core:8
 * pu:2"); all CPUs of these are usable. A build without hwloc knows this machine only, and
 * describes it as flat.
 *
 * Thread:   [any]
 * Waits:    while files are read, the first time for this machine
 * Owns:     the caller frees *ret_topo with weir_topo_free
 * Returns:  0; -EINVAL for an input that is no topology; -EOPNOTSUPP without hwloc; -E2BIG for
 *           more than WEIR_CPUS_MAX CPUs; -ENOMEM; the errno of reading the file. ret_why
 *           may be NULL; *ret_why gives the reason as a sentence.
 * Since:    0.1
 */
WEIR_API WEIR_MUST_CHECK int weir_topo_new(const char *input, struct weir_topo **ret_topo,
					   struct weir_why *ret_why);

/** Free a topology. NULL is allowed. Thread: [any]. Since: 0.1 */
WEIR_API void weir_topo_free(struct weir_topo *topo);

/**
 * Remove CPUs from a topology and set a quota, as if the process was limited like that: for
 * "what if". A mask of NULL removes none; quota_milli 0 means no quota.
 *
 * Thread:   [any], before a runtime uses the topology
 * Waits:    never
 * Returns:  0; -EINVAL without topo, or if no usable CPU would be left (nothing is changed)
 * Since:    0.1
 */
WEIR_API int weir_topo_cut(struct weir_topo *topo, const struct weir_cpuset *mask,
			   unsigned quota_milli);

/**
 * Plan where the workers go. The result depends on the two inputs only: the system is not asked.
 *
 * Thread:   [any]
 * Waits:    never
 * Owns:     the caller frees *ret_plan with weir_plan_free; the plan refers to neither input
 * Returns:  0; -EINVAL for a value out of range, a CPU set that does not parse, or one that leaves
 *           no usable CPU; -E2BIG for a field that is newer than the library (base.h, Sizes);
 *           -ENOMEM. ret_why may be NULL; *ret_why gives the reason as a sentence.
 * Source:   the policies are HAProxy's (its configuration manual, "cpu-policy")
 * Since:    0.1
 */
WEIR_API WEIR_MUST_CHECK int weir_plan_new(const struct weir_topo *topo,
					   const struct weir_place_config *cfg,
					   struct weir_plan **ret_plan, struct weir_why *ret_why);

/** Free a plan. NULL is allowed. Thread: [any]. Since: 0.1 */
WEIR_API void weir_plan_free(struct weir_plan *plan);

/** The name of a policy ("group-by-2-ccx"); NULL for another number. Thread: [any]. Since: 0.1 */
WEIR_API const char *weir_place_policy_name(unsigned policy);

/**
 * An enum weir_cpu_out as a text, as "slower than the rest"; "" for usable. Thread: [any].
 * Since: 0.1
 */
WEIR_API const char *weir_cpu_out_text(unsigned out);

/* The calls on sets change nothing but the set; one thread at a time changes it. */

/** Whether a P# is in the set. Thread: [any]. Since: 0.1 */
WEIR_API bool weir_cpuset_has(const struct weir_cpuset *set, unsigned cpu);
/** Add a P#, which is less than WEIR_CPUS_MAX. Thread: [any]. Since: 0.1 */
WEIR_API void weir_cpuset_add(struct weir_cpuset *set, unsigned cpu);
/** How many CPUs the set has. Thread: [any]. Since: 0.1 */
WEIR_API unsigned weir_cpuset_count(const struct weir_cpuset *set);

/**
 * Read a set from a text as "0-3,8". One newline may end the text, as in the kernel's files.
 *
 * Thread:   [any]
 * Waits:    never
 * Returns:  0; -EINVAL for anything else, or for a CPU that is not less than WEIR_CPUS_MAX.
 *           ret_why may be NULL; *ret_why names the number or range that is wrong.
 * Since:    0.1
 */
WEIR_API int weir_cpuset_parse(const char *text, struct weir_cpuset *ret_set,
			       struct weir_why *ret_why);

/**
 * Write a set as a text as "0-3,8"; the empty set is "". A text that does not fit is cut off
 * before a comma.
 *
 * Thread:   [any]
 * Waits:    never
 * Returns:  the length of what was written, which is less than len; 0 without buf
 * Since:    0.1
 */
WEIR_API size_t weir_cpuset_print(const struct weir_cpuset *set, char *buf, size_t len);

WEIR_END_DECLS

#endif
