/* SPDX-License-Identifier: MIT */
/*
 * signal.h: signals of the operating system, for any number of listeners in any
 * number of runtimes.
 *
 *	weir_signal_open ──► weir_signal_wait … ──► weir_signal_close
 *
 * The first listener of a signal installs weir's handler, which stays installed until
 * the process ends. weir does not touch other signals. Signals coalesce: a listener
 * that was not waiting sees several deliveries as one.
 */
#ifndef WEIR_SIGNAL_H
#define WEIR_SIGNAL_H

#include <signal.h>

#include "weir/base.h"
#include "weir/future.h"

struct weir_rt;

/* A listener, which is also the future of its next delivery. */
struct weir_signal {
	union {				/* one memory: every future answers to .future */
		struct weir_future future;
		struct weir_leaf leaf;
	};
	struct weir_signal *next, **pprev; /* on the runtime's list */
	struct weir_rt *rt;
	int signo;
	uint32_t seen;			/* deliveries reported so far */
	bool waiting;			/* a delivery must wake it; under the runtime's lock */
	bool cancelled;
};

WEIR_BEGIN_DECLS

/**
 * Start listening to a signal. Deliveries from here on are reported.
 *
 * Thread:   [worker]
 * Owns:     the runtime links *listener, which must stay where it is until weir_signal_close
 * Returns:  0; -EINVAL for a signal that cannot be caught; -ENXIO outside a worker; -ENODEV without
 *           the driver; -EMFILE when 64 runtimes listen
 * Since:    0.1
 */
WEIR_API int weir_signal_open(struct weir_signal *listener, int signo);
/** Stop listening. Does nothing if it is not open. Thread: [worker]. Since: 0.1 */
WEIR_API void weir_signal_close(struct weir_signal *listener);

/**
 * Wait for the next delivery. The future is &listener->future: it finishes with the
 * signal's number, and may be polled again for the next one, without an init.
 *
 * Thread:   [worker] on a fiber
 * Waits:    until there is a delivery that was not reported, up to the deadline
 * Cancel:   no delivery was used up
 * Returns:  the signal's number; -ECANCELED; -ETIMEDOUT; -EPERM outside a fiber
 * Since:    0.1
 */
WEIR_API int weir_signal_wait(struct weir_signal *listener, uint64_t deadline);

/**
 * Wait for ctrl-c (SIGINT) once.
 *
 * Thread:   [worker] on a fiber
 * Waits:    until SIGINT is delivered
 * Returns:  0; otherwise as weir_signal_open and weir_signal_wait
 * Since:    0.1
 */
WEIR_API int weir_ctrl_c(void);

WEIR_END_DECLS

#endif
