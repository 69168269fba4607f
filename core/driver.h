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
 * The I/O layer is one instance, or two: a backend that polls (WEIR_CAP_POLLED) has a
 * companion of another kind, in which the worker sleeps. Everything that concerns a
 * handle goes to the instance of the handle's kind; what has no handle, files for
 * example, goes to the first instance that has the capability.
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
	/*
	 * Beside an io with WEIR_CAP_POLLED, which cannot wait: the worker sleeps in this instance.
	 * It also serves what io lacks.
	 */
	struct weir_backend *companion;
	uint64_t companion_ns;		/* while io is busy, the companion is not polled before */
	int node;			/* the memory node they lie on; see core/node.h */
	struct weir__parkword parked;	/* any thread may notify it */
	/* the worker sleeps here without I/O, and while I/O fails */
	uint32_t futex;
	bool pausing;			/* it sleeps on the futex because I/O fails; atomic */
	unsigned failures;		/* consecutive failed waits of the I/O layer */
	uint32_t turns;			/* counts turns; a sibling watches it; atomic */
	struct weir__wheel_home time;
};

struct weir_backend_config;

/* What the I/O layer of a stack is made of. */
struct weir__driver_io {
	const struct weir_backend_ops *ops;	/* NULL: no I/O */
	struct weir_backend_config cfg;
	const struct weir_backend_ops *companion_ops;	/* NULL: none */
	const char *companion_options;
};

/* Builds the stack of a worker. 0, or the backend's error. [setup] */
int weir__driver_init(struct weir__driver *d, struct weir__worker *w,
		      const struct weir__driver_io *io, uint64_t tick_ns);
void weir__driver_fini(struct weir__driver *d);

/* Polls all drivers without waiting. Returns the number of completions, timers included. [owner] */
int weir__driver_poll(struct weir__driver *d, struct weir__worker *w, bool busy);

/*
 * Waits for an event, for the deadline (on the runtime's clock), or for weir__driver_wake. The
 * caller has prepared d->parked and checked its queues once more. [owner]
 */
int weir__driver_wait(struct weir__driver *d, struct weir__worker *w, uint64_t deadline);

/* The instance of this worker that serves handles of a kind; NULL if it has none. [owner] */
static inline struct weir_backend *weir__driver_of_kind(const struct weir__driver *d,
							const struct weir_backend_ops *kind)
{
	if (WEIR_LIKELY(d->io && d->io->ops == kind))
		return d->io;
	return d->companion && d->companion->ops == kind ? d->companion : NULL;
}

/* The first instance of this worker that has all of these capabilities, or NULL. [owner] */
static inline struct weir_backend *weir__driver_with_caps(const struct weir__driver *d,
							  uint32_t caps)
{
	if (WEIR_LIKELY(d->io && (d->io->caps & caps) == caps))
		return d->io;
	return d->companion && (d->companion->caps & caps) == caps ? d->companion : NULL;
}

/* Makes a waiting worker return. [any], async-signal-safe */
void weir__driver_wake(struct weir__driver *d);

/* Turns the stack of another worker that does not turn its own; w is the caller. [any worker] */
int weir__driver_rescue(struct weir__driver *d, struct weir__worker *w);

#endif
