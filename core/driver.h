/* SPDX-License-Identifier: MIT */
/*
 * driver.h: a worker's driver stack, signal -> time -> I/O. Parking calls down
 * the stack: the time layer limits the wait to its next timer, and the I/O layer
 * waits (a futex does in a runtime without I/O). On the way back timers fire and
 * signals are delivered. The tasks they wake go to the calling worker's queue.
 *
 * Each layer is optional. Normally only the owner turns its stack. An idle
 * sibling may turn the stack of an owner that is stuck in a task
 * (weir__driver_rescue): the wheel has a lock for that, and a backend that has
 * one too declares WEIR_CAP_POLL_ANY.
 *
 * An I/O layer may be unable to wait: a filter forbids the call, the kernel has
 * no memory, or a request in it fails every time. Its worker must not spin then.
 * After WEIR__DRIVER_FAILURES_MAX such waits in a row the worker sleeps on its
 * futex between two tries, a little longer each time, up to
 * WEIR__DRIVER_PAUSE_MAX_NS. Timers, signals, messages and wakes from other
 * workers still arrive. The runtime reports this once
 * (weir_rt_config.on_io_error), and again when I/O works.
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

/* A timer wheel and its guard. A sleep remembers the one it is filed in. */
struct weir__wheel_home {
	struct weir__guard guard;	/* nearly always owned by its worker */
	bool enabled;
	uint64_t next_ns;	/* no timer is due before it; insert only lowers it; atomic */
	uint64_t now_ns;	/* the time of the last turn; atomic */
	struct weir__wheel wheel;
} WEIR_ALIGNED(64);

struct weir__driver {
	struct weir_backend *io;	/* NULL in a runtime without I/O */
	int node;			/* the memory node it lies on; see core/node.h */
	struct weir__parkword parked;	/* any thread may notify it */
	/* the worker sleeps here without I/O, and while I/O fails */
	uint32_t futex;
	bool pausing;			/* it sleeps on the futex because I/O fails; atomic */
	unsigned failures;		/* consecutive failed waits of the I/O layer */
	uint32_t turns;			/* counts turns; a sibling watches it; atomic */
	struct weir__wheel_home time;
};

struct weir_backend_config;

/* Builds the stack of a worker. 0, or the backend's error. [setup] */
int weir__driver_init(struct weir__driver *d, struct weir__worker *w,
		      const struct weir_backend_ops *io, const struct weir_backend_config *io_cfg,
		      uint64_t tick_ns);
void weir__driver_fini(struct weir__driver *d);

/* Polls all drivers without waiting. Returns the number of completions, timers included. [owner] */
int weir__driver_poll(struct weir__driver *d, struct weir__worker *w, bool busy);

/*
 * Waits for an event, for the deadline (on the runtime's clock), or for weir__driver_wake. The
 * caller has prepared d->parked and checked its queues once more. [owner]
 */
int weir__driver_wait(struct weir__driver *d, struct weir__worker *w, uint64_t deadline);

/* Makes a waiting worker return. [any], async-signal-safe */
void weir__driver_wake(struct weir__driver *d);

/* Turns the stack of another worker that does not turn its own; w is the caller. [any worker] */
int weir__driver_rescue(struct weir__driver *d, struct weir__worker *w);

#endif
