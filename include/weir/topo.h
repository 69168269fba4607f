/* SPDX-License-Identifier: MIT */
/*
 * topo.h: the machine, and where the workers of a runtime go.
 *
 *	weir_topo_new ──► struct weir_topo ──┐
 *	(this machine, a file, a string)     ├─► weir_plan_new ──► struct weir_plan
 *	struct weir_place_config ────────────┘   (a pure function)
 *
 * A topology says what there is: packages, memory nodes, last-level caches (L3),
 * cores, hardware threads, kinds of core, distances; and which of its CPUs this
 * process may use: online, in its affinity mask, in its cgroup's cpuset. A plan
 * says what a runtime makes of that: how many workers, in which groups, on which
 * CPUs and memory nodes, and who steals from whom first. A runtime makes both
 * when it starts (weir_rt_config.place and .topo); the same calls answer "what
 * if" for a machine that is not here.
 *
 * CPUs are numbered twice: P# is the kernel's number (.os), L# the place in
 * weir_topo.cpus, in which neighbours are near each other. A set of CPUs
 * (struct weir_cpuset) is of P#; all other indices are L#.
 *
 * This machine is read once per process, and again when the affinity mask has a CPU
 * that the reading lacks (it came online); what the process may use of it is looked at
 * each time. Other things that come and go, memory and network cards, are not seen
 * again.
 *
 * Do not: change a topology that a runtime was given; expect distances, caches or
 * nodes from every machine (what is unknown is said to be one of its kind, and of a CPU
 * that is offline to be the first).
 */
#ifndef WEIR_TOPO_H
#define WEIR_TOPO_H

#include "weir/base.h"

/* ---- sets of CPUs ---- */

#define WEIR_CPUS_MAX 1024u

/* By P#. */
struct weir_cpuset {
	uint64_t word[WEIR_CPUS_MAX / 64];
};

/* ---- the machine ---- */

/* Why a CPU of the machine has no worker. */
enum weir_cpu_out {
	WEIR_CPU_USABLE = 0,
	/* Not this process's; a topology says so. */
	WEIR_CPU_OFFLINE,
	WEIR_CPU_CPUSET,	/* outside the cgroup's cpuset */
	WEIR_CPU_AFFINITY,	/* outside the affinity mask */
	WEIR_CPU_ISOLATED,	/* kept from the kernel's balancing, and nobody has named it */
	/* Not wanted; a plan says so. */
	WEIR_CPU_UNNAMED,	/* not in weir_place_config.cpus */
	WEIR_CPU_OTHER_NODE,	/* first-usable-node */
	WEIR_CPU_SLOWER,	/* performance */
	WEIR_CPU_FASTER,	/* efficiency */
	WEIR_CPU_LARGER,	/* resource: not of the smallest cluster */
	WEIR_CPU_SIBLING,	/* threads_per_core */
	WEIR_CPU_SPARE,		/* in a group that fewer workers than CPUs have no use for */
	WEIR_CPU_OUT_LEN
};

/* A hardware thread. */
struct weir_topo_cpu {
	uint16_t os;			/* P# */
	uint16_t core;			/* which core, cluster, L3, package and node of the machine it is */
	uint16_t cluster;		/* in, each counted from 0 over the whole machine */
	uint16_t l3;
	uint16_t package;
	uint16_t node;			/* index into weir_topo.nodes */
	uint8_t thread;			/* which of its core's hardware threads, from 0 */
	uint8_t kind;			/* of core: 0 the slowest */
	uint16_t capacity;		/* speed: 1024 is the machine's fastest; 0 unknown */
	bool isolated;			/* isolcpus, or an isolated cpuset partition */
	uint8_t out;			/* enum weir_cpu_out */
};

struct weir_topo_node {
	uint16_t os;			/* the kernel's number */
	uint64_t memory_bytes;		/* 0 unknown */
};

struct weir_topo_l3 {
	uint64_t bytes;			/* 0 unknown */
};

struct weir_topo_nic {
	char name[16];
	int node;			/* index into weir_topo.nodes; -1 unknown */
};

struct weir_topo {
	char source[160];		/* where this comes from, for people */
	bool here;			/* this machine: threads can be bound, memory placed */
	bool flat;			/* only the CPUs are known, all else is one of its kind */
	unsigned cpus_len, cores, clusters, packages, kinds;
	unsigned l3s_len, nodes_len, nics_len;
	struct weir_topo_cpu *cpus;	/* by L# */
	struct weir_topo_l3 *l3s;
	struct weir_topo_node *nodes;
	struct weir_topo_nic *nics;
	uint16_t *distances;		/* nodes_len rows of nodes_len, 10 is local; NULL unknown */
	unsigned quota_milli;		/* thousandths of a CPU; 0: no quota */
	char quota_file[512];		/* what says so; "" */
};

/* ---- the plan ---- */

/* Which CPUs get workers, and how these are grouped. The names are HAProxy's, and so is the meaning. */
enum weir_place_policy {
	WEIR_PLACE_PERFORMANCE = 0,	/* without clusters slower than 80 % of the next; by L3 */
	WEIR_PLACE_NONE,		/* all CPUs; one group, or as many as group_workers asks for */
	WEIR_PLACE_FIRST_USABLE_NODE,	/* only the first node that has a usable CPU */
	WEIR_PLACE_GROUP_BY_CCX,	/* all CPUs, a group for each L3 */
	WEIR_PLACE_GROUP_BY_2_CCX,
	WEIR_PLACE_GROUP_BY_3_CCX,
	WEIR_PLACE_GROUP_BY_4_CCX,
	WEIR_PLACE_GROUP_BY_CLUSTER,	/* for each cluster: also by kind of core */
	WEIR_PLACE_GROUP_BY_2_CLUSTER,
	WEIR_PLACE_GROUP_BY_3_CLUSTER,
	WEIR_PLACE_GROUP_BY_4_CLUSTER,
	WEIR_PLACE_EFFICIENCY,		/* without clusters more than 25 % faster than the next; by L3 */
	WEIR_PLACE_RESOURCE,		/* only the smallest cluster */
	WEIR_PLACE_LEN
};

/* How far a worker's thread may move. Nothing is bound where that is the whole mask. */
enum weir_bind {
	WEIR_BIND_AUTO = 0,		/* CPU on isolated ones; NONE for fewer workers than CPUs, for
					 * then the kernel knows which are free; CORE with one thread
					 * per core; else GROUP */
	WEIR_BIND_NONE,			/* all CPUs that the plan has not left out */
	WEIR_BIND_GROUP,		/* the CPUs of its group: it can dodge an interrupt */
	WEIR_BIND_CORE,
	WEIR_BIND_CPU,
};

/* Start from WEIR_PLACE_CONFIG_INIT; zero means the default. */
struct weir_place_config {
	size_t size;			/* sizeof(struct weir_place_config) */
	enum weir_place_policy policy;
	enum weir_bind bind;
	unsigned workers;		/* 0: one for each CPU, as far as the quota goes; at most 256 */
	unsigned group_workers;		/* in a group, at most: 16; at most 64 */
	unsigned threads_per_core;	/* hardware threads used of each core; 0: all */
	/*
	 * Which CPUs: entries between commas, each of which leaves fewer of them. An entry is a list
	 * of P# ("0-3,8"); or "only-" or "drop-" followed by "package", "node", "cluster", "l3",
	 * "core", "thread" or "cpu" and a list of them ("only-node 0", "drop-thread 1-7"), P# for
	 * CPUs, the kernel's numbers for nodes, else as in struct weir_topo_cpu; or "drop-smt", which
	 * is "only-thread 0". A list goes on behind a comma that a digit follows: "only-node 0,2,
	 * drop-smt" is two entries, and "4-7,only-node 0" is how a list of P# comes first. An
	 * isolated CPU is used where a list of P#, or "only-cpu", has it. NULL: all.
	 */
	const char *cpus;
};

#define WEIR_PLACE_CONFIG_INIT WEIR_SIZED_INIT(weir_place_config)

/* How near a victim is. */
enum weir_tier {
	WEIR_TIER_SMT = 0,		/* on the same core */
	WEIR_TIER_GROUP,		/* in the same group */
	WEIR_TIER_NODE,			/* on the same memory node */
	WEIR_TIER_REMOTE,		/* on another, the nearest first */
	WEIR_TIERS
};

struct weir_plan_worker {
	uint16_t group;
	uint16_t cpu;			/* L#: the one it is counted on */
	uint16_t node;			/* index into weir_topo.nodes: where its memory goes, if it is
					 * bound: else that of the CPU it is counted on */
	bool bound;			/* to cpus; else the thread keeps the mask it is born with */
	struct weir_cpuset cpus;
	/* All other workers, the nearest first; tier t is steal[tier_end[t - 1]] to steal[tier_end[t] - 1]. */
	uint16_t *steal;
	uint16_t tier_end[WEIR_TIERS];
};

/* Workers that share a cache, an inject queue, a bitmap of sleepers, a listener's shard. */
struct weir_plan_group {
	uint16_t first, workers;	/* its workers: first to first + workers - 1 */
	uint16_t node;			/* index into weir_topo.nodes */
	struct weir_cpuset cpus;
	uint16_t *near;			/* all groups, this one first, then the nearest */
};

#define WEIR_PLAN_WHY_MAX 16

struct weir_plan {
	enum weir_place_policy policy;
	enum weir_bind bind;		/* what AUTO has become, or what a quota has left of it */
	unsigned workers_len, groups_len, nodes_used, cpus_used;
	bool throttled;			/* a quota below the CPUs used: no 1:1 binding, no busy polling */
	struct weir_plan_worker *workers;
	struct weir_plan_group *groups;
	uint8_t *out;			/* enum weir_cpu_out of each of the topology's CPUs */
	unsigned why_len;
	char why[WEIR_PLAN_WHY_MAX][160]; /* what it was made from, a line for each decision */
};

/* Why a call has failed, as one line that names the value and what would be right. */
struct weir_why {
	char text[256];
};

WEIR_BEGIN_DECLS

/**
 * Read a topology, and cut it down to what this process may use.
 *
 * input NULL is this machine. Else it is the name of an hwloc XML file ("lstopo FILE.xml" writes
 * one), or, where no such file exists, an hwloc synthetic description ("pack:2 l3:4 core:8 pu:2");
 * all CPUs of those are usable. Without hwloc in the build this machine is flat, and there is no
 * other.
 *
 * Thread:   [any]
 * Owns:     the caller frees it with weir_topo_free
 * Returns:  0; -EINVAL for an input that is no topology; -EOPNOTSUPP without hwloc; -E2BIG for
 *           more than WEIR_CPUS_MAX CPUs; -ENOMEM; what reading the file has failed with.
 *           *ret_why (may be NULL) says more.
 * Since:    0.1
 */
WEIR_API WEIR_MUST_CHECK int weir_topo_new(const char *input, struct weir_topo **ret_topo,
					   struct weir_why *ret_why);

/** NULL is allowed. Thread: [any]. Since: 0.1 */
WEIR_API void weir_topo_free(struct weir_topo *topo);

/**
 * Take away CPUs and set a quota, as if the process had them that way: for "what if".
 *
 * Thread:   [any], before a runtime uses it
 * Owns:     nothing; mask NULL leaves the CPUs, quota_milli 0 means no quota
 * Returns:  0; -EINVAL without topo, or when no usable CPU would be left (nothing is changed)
 * Since:    0.1
 */
WEIR_API int weir_topo_cut(struct weir_topo *topo, const struct weir_cpuset *mask,
			   unsigned quota_milli);

/**
 * Where the workers go: a pure function of its inputs.
 *
 * Thread:   [any]
 * Owns:     the caller frees it with weir_plan_free; it keeps nothing of topo and cfg
 * Returns:  0; -EINVAL for a value out of range, a CPU set that does not parse, or one that leaves
 *           no usable CPU; -E2BIG for a field that is newer than the library (base.h, Sizes);
 *           -ENOMEM. *ret_why (may be NULL) says more.
 * Source:   the policies are HAProxy's (its configuration manual, "cpu-policy")
 * Since:    0.1
 */
WEIR_API WEIR_MUST_CHECK int weir_plan_new(const struct weir_topo *topo,
					   const struct weir_place_config *cfg,
					   struct weir_plan **ret_plan, struct weir_why *ret_why);

/** NULL is allowed. Thread: [any]. Since: 0.1 */
WEIR_API void weir_plan_free(struct weir_plan *plan);

/** "group-by-2-ccx" for its number; NULL for a number that is none. Thread: [any]. Since: 0.1 */
WEIR_API const char *weir_place_policy_name(unsigned policy);

/** "slower than the rest" and the like; "" for usable. Thread: [any]. Since: 0.1 */
WEIR_API const char *weir_cpu_out_text(unsigned out);

/** Whether a P# is in the set. Thread: [any]. Since: 0.1 */
WEIR_API bool weir_cpuset_has(const struct weir_cpuset *set, unsigned cpu);
/** Add a P# below WEIR_CPUS_MAX. Thread: [any]. Since: 0.1 */
WEIR_API void weir_cpuset_add(struct weir_cpuset *set, unsigned cpu);
/** How many are in it. Thread: [any]. Since: 0.1 */
WEIR_API unsigned weir_cpuset_count(const struct weir_cpuset *set);

/**
 * "0-3,8" as a set; one newline may end it, as in the kernel's files.
 *
 * Thread:   [any]
 * Returns:  0; -EINVAL for anything else, or a CPU from WEIR_CPUS_MAX on. *ret_why (may be NULL)
 *           names the number or range that is wrong.
 * Since:    0.1
 */
WEIR_API int weir_cpuset_parse(const char *text, struct weir_cpuset *ret_set,
			       struct weir_why *ret_why);

/**
 * The set as "0-3,8"; "" when it is empty. What does not fit is cut off before a comma.
 *
 * Thread:   [any]
 * Returns:  the length, which is less than len; 0 without buf
 * Since:    0.1
 */
WEIR_API size_t weir_cpuset_print(const struct weir_cpuset *set, char *buf, size_t len);

WEIR_END_DECLS

#endif
