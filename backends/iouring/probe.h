/* SPDX-License-Identifier: MIT */
/*
 * probe.h: finds out whether io_uring can be used here by using it: a ring with a worker's
 * flags, the operations, and a trial of each feature that the options enable. A failure is
 * reported in one line with a remedy. The fallback is another backend, or this one with an
 * option that disables the feature.
 *
 * Every new runtime calls the probe. A feature that has worked is not tried again in this
 * process or its children, because the kernel is the same. This is stored in the bits of an
 * atomic word, because a fork could leave a lock held. Everything else is tried each time:
 * features that failed, perhaps for lack of memory or descriptors; features that depend on
 * a number or a limit; and the ring itself, which a filter, a sysctl or a limit may forbid
 * at any time.
 */
#ifndef WEIR_BACKENDS_IOURING_PROBE_H
#define WEIR_BACKENDS_IOURING_PROBE_H

#include <liburing.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backends/iouring/options.h"

/* Features that a kernel with io_uring may lack, in the order in which they are tried. */
enum uring_feature {
	URING_BUFFER_RING,
	URING_MULTISHOT_ACCEPT,
	URING_MULTISHOT_RECV,
	URING_BUNDLE,
	URING_INCREMENTAL,
	URING_ZERO_COPY,
	URING_TABLE,			/* a descriptor table with .direct slots */
	URING_NAPI,
	URING_MIN_WAIT,
	URING_FEATURES
};

/* The calls of the probe; tests replace them to act as other kernels. */
struct uring_kernel {
	int (*setup)(unsigned entries, struct io_uring *ring, struct io_uring_params *params);
	void (*exit)(struct io_uring *ring);
	/* Store whether each of ops is supported. Returns 0 or -errno. */
	int (*supports)(struct io_uring *ring, const int *ops, unsigned count, bool *ret_supported);
	/* Submit a no-op and wait for it. Returns 0 or -errno. */
	int (*enter)(struct io_uring *ring);
	/* Try a feature with these options. Returns 0 or -errno. */
	int (*try)(struct io_uring *ring, enum uring_feature feature,
		   const struct uring_options *options);
	/* The value of /proc/sys/kernel/io_uring_disabled; -1 if there is no such file. */
	int (*disabled)(void);
	/*
	 * Bits of features that have worked, on rings without [0] and with [1] deferred work.
	 * Atomic.
	 */
	uint32_t *works;
};
/* kernel.c */
extern const struct uring_kernel weir__uring_this_kernel;

/*
 * Returns 0, or -errno and the reason in why. options: the text after the backend's name, or NULL.
 */
int weir__uring_probe_kernel(const struct uring_kernel *kernel, const char *options, char *why,
			     size_t len);

/* The same for this kernel; a function of the backend's table. */
int weir__uring_probe(const char *options, char *why, size_t len);

#endif
