/* SPDX-License-Identifier: MIT */
/*
 * base.h: the macros that every file of the stack uses. It replaces weir's own headers, so that the
 * folder compiles alone.
 *
 * Results are ints: a count >= 0, or a negative errno. Times are uint64_t in ns, on the clock of
 * the owner; WEIR_NETSTACK_NEVER means no time.
 */
#ifndef WEIR_STACK_BASE_H
#define WEIR_STACK_BASE_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define WEIR_NETSTACK_NEVER UINT64_MAX
#define WEIR_NETSTACK_MSEC 1000000ull
#define WEIR_NETSTACK_SEC 1000000000ull

#define WEIR_STACK_LIKELY(cond) __builtin_expect(!!(cond), 1)
#define WEIR_STACK_UNLIKELY(cond) __builtin_expect(!!(cond), 0)

/* The struct that contains a member, from a pointer to the member. */
#define WEIR_STACK_CONTAINER(pointer, type, member) \
	((type *)(void *)((char *)(pointer) - offsetof(type, member)))

/* For invariants. Invalid frames and invalid calls of the owner are refused instead. */
#ifdef WEIR_DEBUG_ASSERTS
#undef NDEBUG
#include <assert.h>
#define WEIR_STACK_ASSERT(cond) assert(cond)
#else
#define WEIR_STACK_ASSERT(cond) ((void)sizeof(cond))
#endif

#endif
