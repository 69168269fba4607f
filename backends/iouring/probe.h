/* SPDX-License-Identifier: MIT */
/*
 * probe.h: whether io_uring can be used here, found out by using it: a ring with the
 * flags that a worker's has, its operations, and each feature that the options ask
 * for, by a trial of that feature. What fails is said in one line, with what would
 * help; the fallback is another backend, or this one without the feature, by name.
 *
 * Every runtime that starts asks. A feature that was seen to work does so for as long as
 * this kernel runs, so it is not tried again in the process, nor in its children, who have the
 * same kernel: bits of a word, no lock that a fork could leave held. All else is asked each
 * time: what failed, as it may have lacked memory or descriptors; what a number or a limit decides;
 * and the ring itself, which a filter, a switch or a limit may forbid from one moment to the next.
 */
#ifndef WEIR_BACKENDS_IOURING_PROBE_H
#define WEIR_BACKENDS_IOURING_PROBE_H

#include <liburing.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backends/iouring/options.h"

/* What a kernel may lack though it has rings, in the order in which it is tried. */
enum uring_feature {
	URING_BUFFER_RING,
	URING_MULTISHOT_ACCEPT,
	URING_MULTISHOT_RECV,
	URING_BUNDLE,
	URING_INCREMENTAL,
	URING_ZERO_COPY,
	URING_TABLE,			/* of descriptors, as many as .direct says */
	URING_NAPI,
	URING_MIN_WAIT,
	URING_FEATURES
};

/* The calls that it makes, so that a test can be any kernel. */
struct uring_kernel {
	int (*setup)(unsigned entries, struct io_uring *ring, struct io_uring_params *params);
	void (*exit)(struct io_uring *ring);
	/* 0, and whether each of ops is supported; -errno. */
	int (*supports)(struct io_uring *ring, const int *ops, unsigned count, bool *ret_supported);
	/* Have something done: 0, or -errno. */
	int (*enter)(struct io_uring *ring);
	/* Use a feature, as the options say: 0, or -errno. */
	int (*try)(struct io_uring *ring, enum uring_feature feature,
		   const struct uring_options *options);
	/* What /proc/sys/kernel/io_uring_disabled holds; -1 where there is no such file. */
	int (*disabled)(void);
	/* Features that were seen to work, a bit each: on rings without and with an issuer. Atomic. */
	uint32_t *works;
};
/* kernel.c */
extern const struct uring_kernel weir__uring_this_kernel;

/* 0; or -errno, and why. options: what stands behind the backend's name, or NULL. */
int weir__uring_probe_kernel(const struct uring_kernel *kernel, const char *options, char *why,
			     size_t len);

/* The same of this kernel, for the table. */
int weir__uring_probe(const char *options, char *why, size_t len);

#endif
