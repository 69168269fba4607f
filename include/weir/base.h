/* SPDX-License-Identifier: MIT */
/*
 * base.h: what every other weir header stands on.
 *
 * Results.  A function returns an int: a count >= 0, or a negative errno. Four
 * of those have one meaning each everywhere in weir:
 *
 *	-ECANCELED	the task or the operation was cancelled
 *	-ETIMEDOUT	the deadline passed first
 *	-EOPNOTSUPP	this backend, or this build, cannot do that
 *	-ESHUTDOWN	the runtime is shutting down
 *
 * and three say that the call came from the wrong place: -EPERM (a waiting call
 * outside a fiber), -ENXIO (no runtime here), -ENOTCONN is the socket's own.
 * A driver that the configuration left out answers -ENODEV.
 *
 * Time.  Every time is a uint64_t in nanoseconds on the runtime's monotonic
 * clock; a name that holds one ends in _ns or is called deadline.
 * WEIR_FOREVER means no deadline, and 0 is in the past.
 *
 * Threads.  Each declaration says who may call it: [any] any thread, [worker]
 * inside a task, [owner] the worker that owns the object, [setup] before the
 * runtime runs or after it has stopped.
 */
#ifndef WEIR_BASE_H
#define WEIR_BASE_H

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define WEIR_BEGIN_DECLS extern "C" {
#define WEIR_END_DECLS }
#else
#define WEIR_BEGIN_DECLS
#define WEIR_END_DECLS
#endif

#define WEIR_VERSION_MAJOR 0
#define WEIR_VERSION_MINOR 1
#define WEIR_VERSION_PATCH 0

/* The GNU attributes that weir uses, all of them. */
#define WEIR_API __attribute__((visibility("default")))
#define WEIR_NOINLINE __attribute__((noinline))
#define WEIR_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define WEIR_MUST_CHECK __attribute__((warn_unused_result))
#define WEIR_ALIGNED(n) __attribute__((aligned(n)))
#define WEIR_LIKELY(x) __builtin_expect(!!(x), 1)
#define WEIR_UNLIKELY(x) __builtin_expect(!!(x), 0)

/* The struct that holds a member, from the member's address. */
#define WEIR_CONTAINER_OF(ptr, type, member) \
	((type *)(void *)((char *)(ptr) - offsetof(type, member)))

/* What poll returns while a future has not finished; never an errno or a count. */
#define WEIR_PENDING INT_MIN

#define WEIR_FOREVER UINT64_MAX
#define WEIR_USEC 1000ull
#define WEIR_MSEC 1000000ull
#define WEIR_SEC 1000000000ull

/* Where in the program something was asked for; made by WEIR_HERE. */
struct weir_location {
	const char *file;
	const char *func;
	int line;
};

WEIR_BEGIN_DECLS

/**
 * The text for a result: weir's own words for the codes above, the C library's
 * for every other errno, "success" for a result >= 0.
 *
 * Thread:   [any]
 * Waits:    never
 * Owns:     the string is static (or, for an unknown number, thread-local)
 * Returns:  never NULL
 * Since:    0.1
 */
WEIR_API const char *weir_strerror(int result);

/**
 * The version of the library that is linked, as "MAJOR.MINOR.PATCH".
 *
 * Thread:   [any]
 * Since:    0.1
 */
WEIR_API const char *weir_version(void);

WEIR_END_DECLS

#endif
