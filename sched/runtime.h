/* SPDX-License-Identifier: MIT */
/*
 * runtime.h: the policy part of a runtime: its workers, which of them share what,
 * the blocking pool, and the shutdown.
 */
#ifndef WEIR_SCHED_RUNTIME_H
#define WEIR_SCHED_RUNTIME_H

#include <pthread.h>

#include "weir/rt.h"
#include "core/rt.h"
#include "sched/domain.h"
#include "sched/pool.h"
#include "sched/sample.h"
#include "weir/topo.h"

struct weir_topo;
struct worker;

#define WORKERS_MAX 256u

/* The phase of a shutdown; atomic. After one that timed out, a second shutdown starts over. */
enum rt_phase {
	RT_RUNNING = 0,
	RT_ABORTING,		/* every worker aborts its tasks and runs until none is left */
	RT_STOPPING,		/* workers leave their loops */
	RT_STOPPED,
};

struct runtime {
	struct weir_rt base;
	struct weir_rt_config cfg;	/* with the defaults */
	char name[12];
	const struct weir_backend_ops *backend;
	const struct weir_backend_ops *companion;	/* beside one that polls; else NULL */
	const char *companion_options;	/* valid while the workers are made */
	const char *backend_options;	/* valid while the workers are made */
	char backend_note[320];		/* which backends "auto" has skipped, and why */
	uint32_t phase;			/* enum rt_phase; atomic */
	/* a worker without work increments it while aborting; futex */
	uint32_t drained;
	/* what a quota or a sandbox has changed, and memory that is not placed */
	char note[4][160];
	unsigned notes_len;
	bool here;			/* the plan is for this machine */
	struct sampler wake_sampler;	/* samples wakes by threads that are no workers */
	uint32_t remote_wakes;		/* the number of these wakes; atomic */
	/* the errno why stalls of some worker are not detected; atomic */
	int stall_error;
	/* the errno why some worker's backend cannot wait; atomic */
	int io_error;
	/* some workers are bound; all other threads get the CPUs in unbound */
	bool binds;
	struct weir_cpuset unbound;

	struct group *groups;		/* as in the plan */
	struct domain *domains;
	unsigned groups_len, domains_len;
	/* by the kernel's CPU number; NULL with one group, or for another machine */
	uint16_t *group_of_cpu;
	struct pool pool;

	/* For the current-thread scheduler: which thread is the worker. */
	pthread_mutex_t turn_lock;
	/* the turn is free again, or a root function has returned */
	pthread_cond_t turn_free;
	bool turn_taken;
	/* a thread is in weir__runtime_shutdown; also under turn_lock */
	bool in_shutdown;
	uint64_t
		/* no wait lasts longer; WEIR_FOREVER unless shutting down; atomic */
		drain_deadline;

	/* for each worker the node of its memory; see core/node.h */
	int *node;
	pthread_t *threads;		/* one per worker; multi-thread scheduler */
	bool *started;
};

static inline struct runtime *runtime_of(struct weir_rt *rt)
{
	return WEIR_CONTAINER_OF(rt, struct runtime, base);
}

static inline const char *runtime_backend_name(const struct runtime *rt)
{
	return rt->backend ? rt->backend->name : "none";
}

static inline enum rt_phase runtime_phase(struct runtime *rt)
{
	return (enum rt_phase)weir__load(&rt->phase, WEIR_ACQUIRE);
}

/* Fills in the defaults and checks them. In config.c, as the next two. */
int weir__runtime_check_config(struct weir_rt_config *c);
/* Stores the sentence that weir_rt_why returns on this thread, and returns rc. */
int WEIR_PRINTF(2, 3) weir__runtime_refuse(int rc, const char *fmt, ...);
void weir__runtime_forget_why(void);
/* In config.c: adds a line for weir_rt_note. [setup] */
void WEIR_PRINTF(2, 3) weir__runtime_note(struct runtime *rt, const char *fmt, ...);

/* In schedule.c: where ready tasks go. */
extern const struct weir__sched_ops weir__schedule_ops;
/*
 * Called when there is work in the group: wakes one sleeper of its domain if nobody searches
 * there. near is the index of the calling worker, or -1. [any]
 */
void weir__schedule_wake_one(struct runtime *rt, struct group *group, int near);
/* Wakes every worker. [any] */
void weir__schedule_wake_all(struct runtime *rt);

/* In shutdown.c. */
int weir__runtime_shutdown(struct runtime *rt, uint64_t timeout_ns);
void weir__runtime_deliver_late(struct runtime *rt);
/* In left.c: makes weir_rt_why say what a shutdown that ran out of time has left behind. */
void weir__runtime_say_left(struct runtime *rt);

/* In metrics.c: the number of tasks that have not finished. [any] */
uint64_t weir__runtime_alive(struct runtime *rt);

/* In memory.c: fills in .node from the plan for that topology. 0; -ENOMEM. [setup] */
int weir__runtime_place_memory(struct runtime *rt, const struct weir_topo *topo);
/* In memory.c: frees the workers that were made; and what weir_rt_free has left of a runtime. */
void weir__workers_free(struct runtime *rt);
void weir__runtime_free_memory(struct weir_rt *rt);

/* In current.c: the current-thread scheduler. */
int weir__current_block_on(struct runtime *rt, int (*fn)(void *), void *arg);
void weir__current_drain(struct runtime *rt, uint64_t deadline);
/* 0; -ETIMEDOUT if a thread did not stop being the worker. */
int weir__current_stop(struct runtime *rt, uint64_t deadline);

#endif
