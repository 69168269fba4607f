/* SPDX-License-Identifier: MIT */
/*
 * sim_backend.h: a simulated completion backend for tests.
 *
 * A world is a small network in memory: listeners, streams with bounded buffers, FIN,
 * RST, half-close. The workers of one runtime share a world. All delays, short
 * transfers, errors and lost races are drawn from its seed.
 *
 *	weir_sim_world_new ──► weir_rt_new … weir_rt_free ──► weir_sim_world_report ──► _free
 *	      (cfg)            (backend_ops = &weir_sim_backend,
 *	                        backend_config = world)
 *
 * It has no readiness and no descriptors, and includes only include/weir, as a backend
 * outside the library would.
 *
 *  - An operation completes from poll, at a random time; also from submit, if it has
 *    WEIR_OP_TRY, or at random (inline_permille).
 *  - With the test clock of a one-worker runtime, poll advances the clock from event to
 *    event: the same seed and program then give the same trace hash. Otherwise the
 *    delays pass in real time.
 *  - The world checks that the caller does not touch memory that belongs to an operation
 *    in flight: the buffer of a recv is poisoned under AddressSanitizer, and bytes to
 *    send must be unchanged at completion. Each violation is printed and counted.
 *
 * Do not free a world while its runtime exists, or use one world in two runtimes.
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

/* One event of the trace. It has numbers instead of addresses, so that its hash is reproducible. */
struct weir_sim_event {
	enum weir_sim_event_kind kind;
	uint64_t at_ns;
	uint64_t op;			/* number of the operation; 0 for events of a handle */
	uint32_t object;		/* number of the stream or listener */
	uint32_t worker;
	int code;			/* enum weir_op_code; for events of a handle its kind */
	int result;
};

/* Zero means the default, which is in the comment. Probabilities are in thousandths. */
struct weir_sim_config {
	size_t size;			/* sizeof(struct weir_sim_config) */
	uint64_t seed;
	uint64_t delay_min_ns;		/* of every completion: 1 us */
	uint64_t delay_max_ns;		/* 500 us */
	unsigned reorder_permille;	/* completions that others may overtake */
	unsigned short_permille;	/* transfers that move less than they could */
	unsigned inline_permille;	/* operations that may complete inside submit */
	unsigned cancel_lose_permille;	/* cancels that lose against a result that is due soon */
	unsigned fail_permille[WEIR_OP_CODES];
	unsigned fail_attach_permille;	/* -EMFILE */
	size_t buffer_bytes;		/* of a stream, each way: 64 KiB */
	unsigned backlog;		/* upper bound of a listener's: 128 */
	unsigned lease_blocks;		/* per worker: 64 */
	bool homed;			/* WEIR_CAP_HOMED */
	uint32_t host;			/* the only IPv4 address in it, in network order: every
					 * address is */
	void (*trace)(void *arg, const struct weir_sim_event *event);
	void *trace_arg;
};
#define WEIR_SIM_CONFIG_INIT { .size = sizeof(struct weir_sim_config) }

/* Counters of a world, and the objects that are left in it. */
struct weir_sim_report {
	unsigned streams, listeners;	/* alive, including streams in a backlog */
	unsigned leases, ops;		/* leases lent out, operations in flight */
	unsigned violations;		/* violations of the contract; each was printed */
	uint64_t submitted, completed;
	uint64_t cancels, cancels_won;	/* requested; those that ended with -ECANCELED */
	uint64_t injected;		/* injected errors */
	uint64_t shortened;
	uint64_t lease_waits;		/* operations that had to wait for a block */
	uint64_t bytes;			/* bytes sent */
	uint64_t events;
	uint64_t hash;			/* of the trace */
};

extern const struct weir_backend_ops weir_sim_backend;
/* The same for a worker that sleeps in a companion: poll never waits, and time is real. */
extern const struct weir_backend_ops weir_sim_polled_backend;

/* Returns 0, -EINVAL or -ENOMEM. */
int weir_sim_world_new(const struct weir_sim_config *cfg, struct weir_sim_world **ret_world);
void weir_sim_world_report(struct weir_sim_world *world, struct weir_sim_report *ret_report);
void weir_sim_world_free(struct weir_sim_world *world);

#endif
