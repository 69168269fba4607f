/* SPDX-License-Identifier: MIT */
/*
 * runtime.h: the policy half of a runtime: its workers, who of them shares
 * what, the blocking pool, and how it ends.
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

/* How far shutdown has come; atomic. A second shutdown, after one that timed out, starts over. */
enum rt_phase {
	RT_RUNNING = 0,
	RT_ABORTING,		/* every worker cancels its tasks, and goes on until none is left */
	RT_STOPPING,		/* workers leave their loops */
	RT_STOPPED,
};

struct runtime {
	struct weir_rt base;
	struct weir_rt_config cfg;	/* with the defaults filled in */
	char name[12];
	const struct weir_backend_ops *backend;
	const char *backend_options;	/* while the workers are made */
	char backend_note[320];		/* what "auto" has passed over, and why */
	uint32_t phase;			/* enum rt_phase; atomic */
	uint32_t drained;		/* bumped by workers while aborting: look again; futex */
	char note[4][160];		/* what a quota or a sandbox has changed, memory not placed */
	unsigned notes_len;
	bool here;			/* the plan is for this machine: its CPUs mean something */
	struct sampler wake_sampler;	/* of wakes by threads that are no workers */
	uint32_t remote_wakes;		/* they; atomic */
	int stall_error;		/* why stalls of some worker are not seen; atomic */
	int io_error;			/* why some worker's backend could not wait; atomic */
	bool binds;			/* some workers are bound, and unbound is for all other threads */
	struct weir_cpuset unbound;

	struct group *groups;		/* as in the plan */
	struct domain *domains;
	unsigned groups_len, domains_len;
	uint16_t *group_of_cpu;		/* by P#; NULL with one group, or on another machine */
	struct pool pool;

	/* The current-thread scheduler: who is the worker. */
	pthread_mutex_t turn_lock;
	pthread_cond_t turn_free;	/* the turn was given back, or a root function returned */
	bool turn_taken;
	bool in_shutdown;		/* a thread is in weir__runtime_shutdown; by turn_lock and turn_free too */
	uint64_t
		drain_deadline; /* no wait lasts longer; WEIR_FOREVER unless shutting down; atomic */

	int *node;			/* per worker: where its memory lies; see core/node.h */
	pthread_t *threads;		/* one per worker; multi-thread scheduler */
	bool *started;
};

static inline struct runtime *runtime_of(struct weir_rt *rt)
{
	return WEIR_CONTAINER_OF(rt, struct runtime, base);
}

static inline enum rt_phase runtime_phase(struct runtime *rt)
{
	return (enum rt_phase)weir__load(&rt->phase, WEIR_ACQUIRE);
}

/* In config.c: fill in the defaults and check; and the sentence that weir_rt_why returns. */
int weir__runtime_check_config(struct weir_rt_config *c);
int WEIR_PRINTF(2, 3) weir__runtime_refuse(int rc, const char *fmt, ...);
void weir__runtime_forget_why(void);

/* In schedule.c: where ready tasks go. */
extern const struct weir__sched_ops weir__schedule_ops;
/*
 * There is work in the group: wake one sleeper of its domain if nobody searches there. near is
 * the index of the worker that asks, or -1. [any]
 */
void weir__schedule_wake_one(struct runtime *rt, struct group *group, int near);
/* Wake every worker. [any] */
void weir__schedule_wake_all(struct runtime *rt);

/* In shutdown.c. */
int weir__runtime_shutdown(struct runtime *rt, uint64_t timeout_ns);
void weir__runtime_deliver_late(struct runtime *rt);
/* weir_rt_why says what a shutdown that ran out of time has left behind. In left.c. */
void weir__runtime_say_left(struct runtime *rt);
/* Tasks that have not finished. [any] */
uint64_t weir__runtime_alive(struct runtime *rt);

/* In runtime.c: one more line for weir_rt_note. [setup] */
void WEIR_PRINTF(2, 3) weir__runtime_note(struct runtime *rt, const char *fmt, ...);
/* In runtime.c: what is left of a runtime that weir_rt_free has taken down. */
void weir__runtime_free_memory(struct weir_rt *rt);
/* In memory.c: fill in .node, by the plan for that topology. 0; -ENOMEM. [setup] */
int weir__runtime_place_memory(struct runtime *rt, const struct weir_topo *topo);

/* In current.c: the current-thread scheduler. */
int weir__current_block_on(struct runtime *rt, int (*fn)(void *), void *arg);
void weir__current_drain(struct runtime *rt, uint64_t deadline);
/* 0; -ETIMEDOUT when a thread would not stop being the worker. */
int weir__current_stop(struct runtime *rt, uint64_t deadline);

#endif
