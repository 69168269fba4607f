/* SPDX-License-Identifier: MIT */
/*
 * signal.h: operating-system signals, to any number of listeners in any number
 * of runtimes.
 *
 * The first listener of a signal installs weir's handler, and it stays for the
 * life of the process; a signal nobody listens to is not touched. Signals
 * coalesce: a listener that was not waiting sees one for many.
 */
#ifndef WEIR_SIGNAL_H
#define WEIR_SIGNAL_H

#include <signal.h>

#include "weir/base.h"
#include "weir/future.h"

struct weir_rt;

struct weir_signal {
	union {				/* one memory: every future answers to .future */
		struct weir_future future;
		struct weir_leaf leaf;
	};
	struct weir_signal *next, **pprev; /* on the runtime's list */
	struct weir_rt *rt;
	int signo;
	uint32_t seen;			/* deliveries reported so far */
	bool waiting;			/* a delivery wakes it; under the runtime's lock */
	bool cancelled;
};

WEIR_BEGIN_DECLS

/**
 * Start listening to a signal. It counts from here on.
 *
 * Thread:   [worker]
 * Owns:     the struct is linked into the runtime until weir_signal_close
 * Returns:  0; -EINVAL for a signal that cannot be caught; -ENXIO outside a worker; -ENODEV without
 *           the driver; -EMFILE when 64 runtimes listen
 * Since:    0.1
 */
WEIR_API int weir_signal_open(struct weir_signal *listener, int signo);
/** Stop listening; nothing for one that is closed or was not opened. Thread: [worker]. Since: 0.1 */
WEIR_API void weir_signal_close(struct weir_signal *listener);

/**
 * Wait for the next delivery. The future is &listener->future: it finishes with the
 * signal's number, and may be polled again for the next.
 *
 * Thread:   [worker] on a fiber
 * Waits:    until a delivery that it has not reported, up to the deadline
 * Cancel:   no delivery was used up
 * Returns:  the signal's number; -ECANCELED; -ETIMEDOUT; -EPERM outside a fiber
 * Since:    0.1
 */
WEIR_API int weir_signal_wait(struct weir_signal *listener, uint64_t deadline);

/**
 * Wait for ctrl-c (SIGINT) once.
 *
 * Thread:   [worker] on a fiber
 * Returns:  0; else as open and wait
 * Since:    0.1
 */
WEIR_API int weir_ctrl_c(void);

WEIR_END_DECLS

#endif
