/* SPDX-License-Identifier: MIT */
/*
 * probe.h: whether io_uring can be used here, found out by using it: a ring with the
 * flags that a worker's has, its operations, a buffer ring. What fails is said in one
 * line, with what would help.
 */
#ifndef WEIR_BACKENDS_IOURING_PROBE_H
#define WEIR_BACKENDS_IOURING_PROBE_H

#include <liburing.h>
#include <stdbool.h>
#include <stddef.h>

/* The calls that it makes, so that a test can be any kernel. */
struct uring_kernel {
	int (*setup)(unsigned entries, struct io_uring *ring, struct io_uring_params *params);
	void (*exit)(struct io_uring *ring);
	/* 0, and whether each of ops is supported; -errno. */
	int (*supports)(struct io_uring *ring, const int *ops, unsigned count, bool *ret_supported);
	int (*buffer_ring)(struct io_uring *ring);
	/* Have something done: 0, or -errno. */
	int (*enter)(struct io_uring *ring);
	/* What /proc/sys/kernel/io_uring_disabled holds; -1 where there is no such file. */
	int (*disabled)(void);
};
extern const struct uring_kernel weir__uring_this_kernel;

/* 0; or -errno, and why. options: what stands behind the backend's name, or NULL. */
int weir__uring_probe_kernel(const struct uring_kernel *kernel, const char *options, char *why,
			     size_t len);

/* The same of this kernel, for the table. */
int weir__uring_probe(const char *options, char *why, size_t len);

#endif
