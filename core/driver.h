/* SPDX-License-Identifier: MIT */
/*
 * driver.h: a worker's driver stack, signal -> time -> I/O. Parking calls down
 * the stack: the time layer bounds the wait by its next timer, the I/O layer
 * waits (a futex does where I/O was left out), and on the way back timers fire
 * and signals are handed out. What they wake goes to the calling worker's queue.
 *
 * Each layer is optional. Normally only the owner turns its stack; an idle
 * sibling may turn the stack of an owner that is stuck in a task
 * (weir__driver_rescue): the wheel has a lock for that, and a backend says with
 * WEIR_CAP_POLL_ANY that it has one too.
 *
 * An I/O layer that cannot wait (a filter forbids the call, the kernel has no
 * memory, a request in it fails whenever it is made) must not make its worker
 * spin. After WEIR__DRIVER_FAILURES_MAX such waits in a row the worker sleeps on its futex
 * between two tries, a little longer each time, up to
 * WEIR__DRIVER_PAUSE_MAX_NS; timers,
 * signals, messages and other workers' wakes come as ever. The runtime says so
 * once (weir_rt_config.on_io_error), and when it is over.
 */
#ifndef WEIR_CORE_DRIVER_H
#define WEIR_CORE_DRIVER_H

#include "weir/backend.h"
#include "core/guard.h"
#include "core/parkword.h"
#include "core/time/wheel.h"

struct weir_rt;
struct weir__worker;

#define WEIR__DRIVER_FAILURES_MAX 8u
#define WEIR__DRIVER_PAUSE_MAX_NS (16 * WEIR_MSEC)

/* A wheel and what guards it; sleeps remember it while they are filed. */
struct weir__wheel_home {
	struct weir__guard guard;	/* nearly always its worker's: no locked instruction */
	bool enabled;
	uint64_t next_ns;	/* no timer is due before; only lowered by insert; atomic */
	uint64_t now_ns;	/* the time of the last turn; atomic */
	struct weir__wheel wheel;
} WEIR_ALIGNED(64);

struct weir__driver {
	struct weir_backend *io;	/* NULL when left out */
	int node;			/* where that lies; see core/node.h */
	struct weir__parkword parked;	/* [any] notify */
	uint32_t futex;			/* waits here without I/O, and while that fails */
	bool pausing;			/* it does so now, beside I/O that fails; atomic */
	unsigned failures;		/* waits of the I/O layer in a row that failed */
	uint32_t turns;			/* counts turns; a sibling watches it; atomic */
	struct weir__wheel_home time;
};

struct weir_backend_config;

/* Build the stack of a worker. 0, or the backend's error. [setup] */
int weir__driver_init(struct weir__driver *d, struct weir__worker *w,
		      const struct weir_backend_ops *io, const struct weir_backend_config *io_cfg,
		      uint64_t tick_ns);
void weir__driver_fini(struct weir__driver *d);

/* Look at all drivers without waiting; the completions delivered, timers included. [owner] */
int weir__driver_poll(struct weir__driver *d, struct weir__worker *w, bool busy);

/*
 * Wait until something happens, the deadline (on the runtime's clock) passes or weir__driver_wake. The caller has
 * prepared d->parked and looked at its queues once more. [owner]
 */
int weir__driver_wait(struct weir__driver *d, struct weir__worker *w, uint64_t deadline);

/* Make a worker that waits return. [any], async-signal-safe */
void weir__driver_wake(struct weir__driver *d);

/* Turn the stack of another worker that does not turn its own; w is the caller. [any worker] */
int weir__driver_rescue(struct weir__driver *d, struct weir__worker *w);

#endif
