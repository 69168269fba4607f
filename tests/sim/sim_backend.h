/* SPDX-License-Identifier: MIT */
/*
 * sim_backend.h: an in-memory completion backend for tests.
 *
 * A world is a small network without a kernel under it: listeners, streams with
 * bounded buffers, FIN, RST, half-close. The workers of one runtime share a
 * world; every delay, short transfer, error and lost race is drawn from its seed.
 *
 *	weir_sim_world_new ──► weir_rt_new … weir_rt_free ──► weir_sim_world_report ──► _free
 *	      (cfg)            (backend_ops = &weir_sim_backend,
 *	                        backend_config = world)
 *
 * It has no readiness and no descriptors, and is written against include/weir
 * alone, as somebody else's backend would be.
 *
 *  - An operation completes from poll, at a time drawn from the seed; from submit
 *    too where TRY asks for it or inline_permille draws it.
 *  - With the test clock of a one-worker runtime, poll moves the clock from event
 *    to event: the same seed and the same program give the same hash. Otherwise
 *    the delays pass in real time.
 *  - What the caller must leave alone while an operation is in flight is watched:
 *    the room of a recv is poisoned under AddressSanitizer, what is sent is
 *    checked again at completion. What goes wrong counts as a violation.
 *
 * Do not: free a world whose runtime exists; use one world in two runtimes.
 */
#ifndef WEIR_TESTS_SIM_BACKEND_H
#define WEIR_TESTS_SIM_BACKEND_H

#include "weir/backend.h"
#include "weir/base.h"

struct weir_sim_world;

enum weir_sim_event_kind {
	WEIR_SIM_SUBMIT = 1,
	WEIR_SIM_COMPLETE,
	WEIR_SIM_CANCEL,
	WEIR_SIM_ATTACH,
	WEIR_SIM_DETACH,
};

/* One line of the trace. Numbers, no addresses: the hash is over these. */
struct weir_sim_event {
	enum weir_sim_event_kind kind;
	uint64_t at_ns;
	uint64_t op;			/* the operation's number; 0 for a handle's events */
	uint32_t object;		/* the stream's or listener's number */
	uint32_t worker;
	int code;			/* enum weir_op_code; a handle's kind for its events */
	int result;
};

/* Zero means the default; a probability is in thousandths. */
struct weir_sim_config {
	size_t size;			/* sizeof(struct weir_sim_config) */
	uint64_t seed;
	uint64_t delay_min_ns;		/* of every completion: 1 us */
	uint64_t delay_max_ns;		/* 500 us */
	unsigned reorder_permille;	/* completions that others may overtake */
	unsigned short_permille;	/* transfers that move less than they could */
	unsigned inline_permille;	/* operations that try to complete inside submit */
	unsigned cancel_lose_permille;	/* cancels that let a result on its way win */
	unsigned fail_permille[WEIR_OP_CODES];
	unsigned fail_attach_permille;	/* -EMFILE */
	size_t buffer_bytes;		/* of a stream, each way: 64 KiB */
	unsigned backlog;		/* upper bound of a listener's: 128 */
	unsigned lease_blocks;		/* per worker: 64 */
	bool homed;			/* WEIR_CAP_HOMED */
	void (*trace)(void *arg, const struct weir_sim_event *event);
	void *trace_arg;
};
#define WEIR_SIM_CONFIG_INIT { .size = sizeof(struct weir_sim_config) }

/* What a world has seen, and what is left in it. */
struct weir_sim_report {
	unsigned streams, listeners;	/* alive; those in a backlog too */
	unsigned leases, ops;		/* lent out, in flight */
	unsigned violations;		/* broken rules of the contract; each was printed */
	uint64_t submitted, completed;
	uint64_t cancels, cancels_won;	/* asked for; that ended with -ECANCELED */
	uint64_t injected;		/* errors */
	uint64_t shortened;
	uint64_t lease_waits;		/* operations that had to wait for a block */
	uint64_t bytes;			/* sent */
	uint64_t events;
	uint64_t hash;			/* of the trace */
};

extern const struct weir_backend_ops weir_sim_backend;

/* 0; -EINVAL; -ENOMEM. */
int weir_sim_world_new(const struct weir_sim_config *cfg, struct weir_sim_world **ret_world);
void weir_sim_world_report(struct weir_sim_world *world, struct weir_sim_report *ret_report);
void weir_sim_world_free(struct weir_sim_world *world);

#endif
