/* SPDX-License-Identifier: MIT */
/*
 * base.h: what every other header of weir uses: results, time, sizes, threads.
 *
 * Results.  A function returns an int: a count >= 0, or a negative errno. Three
 * of those have one meaning each everywhere in weir:
 *
 *	-ECANCELED	the task or the operation was cancelled
 *	-ETIMEDOUT	the deadline passed first, or the peer did not answer in time
 *	-ESHUTDOWN	what was used is shut down: the runtime, or a closed semaphore
 *
 * and these four say that weir cannot do the call here:
 *
 *	-EPERM		a waiting call was made outside a fiber, or a runtime was made or
 *			stopped inside a task
 *	-ENXIO		no runtime here, or one that was inherited through fork
 *	-ENODEV		a runtime without the driver that the call needs
 *	-EOPNOTSUPP	a backend, or a build, that cannot do it
 *
 * The operating system returns these four as well: -EPERM from a bind, -ENXIO from an open.
 * If a call is made where it may be made, for example a waiting call on a fiber, they come
 * from the system. A waiting call outside a fiber always returns -EPERM, even if it would
 * not have waited. For these four weir_strerror gives the system's meaning, and
 * weir_explain gives weir's.
 *
 * Time.  Every time is a uint64_t in nanoseconds on the runtime's monotonic
 * clock; a name that holds one ends in _ns or is called deadline.
 * WEIR_FOREVER means no deadline, and 0 is in the past.
 *
 * Sizes.  A struct whose first field is size is filled by an INIT macro, which sets size to what
 * the program was compiled with. Later versions add fields at the end, where 0 is the default, so
 * that programs and libraries of different versions go together. In every function that takes one:
 *
 *	a config that is smaller	the program is older: the fields that it lacks are 0
 *	a config that is larger		the program is newer: accepted if the fields that the
 *					library does not know are 0, else -E2BIG
 *	a result of another size	filled in as far as both know it; the rest of a larger
 *					one is zeroed, and size stays the program's
 *	a size that no struct has	-EINVAL: it was not made by its INIT macro
 *
 * A program's hook that is given such a struct may be newer than the library: size says which
 * fields are there. A struct without a size changes only with a version that changes the interface.
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

/*
 * What the INIT macro of a struct with a size stands for: size set, all else zero. For C++ it is a
 * function, because an initializer that names one member is not C++17, and warns in C++20.
 */
#ifdef __cplusplus
extern "C++" {
template <class T> inline T weir__sized()
{
	T sized = T();

	sized.size = sizeof(T);
	return sized;
}
}
#define WEIR_SIZED_INIT(type) weir__sized<struct type>()
#else
#define WEIR_SIZED_INIT(type) { .size = sizeof(struct type) }
#endif

/* The struct that holds a member, from the member's address. */
#define WEIR_CONTAINER_OF(ptr, type, member) \
	((type *)(void *)((char *)(ptr) - offsetof(type, member)))

/* What poll returns while a future has not finished; never an errno or a count. */
#define WEIR_PENDING INT_MIN

#define WEIR_FOREVER UINT64_MAX
#define WEIR_USEC 1000ull
#define WEIR_MSEC 1000000ull
#define WEIR_SEC 1000000000ull

/* A place in the program, made by WEIR_HERE. */
struct weir_location {
	const char *file;
	const char *func;
	int line;
};

WEIR_BEGIN_DECLS

/**
 * The text for a result: "success" if it is not negative, weir's own text for the three codes with
 * one meaning, and otherwise the C library's text for the errno. It is right whether weir or the
 * system gave the result, so use it in messages that name the call that failed.
 *
 * Thread:   [any]
 * Waits:    never
 * Owns:     the string is static (or, for an unknown number, thread-local)
 * Returns:  never NULL
 * Since:    0.1
 */
WEIR_API const char *weir_strerror(int result);

/**
 * The same, for the result of a call that does not use the system, such as a sleep, a spawn or a
 * lock. For the four codes that weir shares with the system it gives weir's meaning.
 *
 * Thread:   [any]
 * Waits:    never
 * Owns:     as weir_strerror
 * Returns:  never NULL
 * Since:    0.1
 */
WEIR_API const char *weir_explain(int result);

/**
 * The version of the library that is linked, as "MAJOR.MINOR.PATCH".
 *
 * Thread:   [any]
 * Since:    0.1
 */
WEIR_API const char *weir_version(void);

WEIR_END_DECLS

#endif
