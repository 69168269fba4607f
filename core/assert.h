/* SPDX-License-Identifier: MIT */
/*
 * assert.h: WEIR_ASSERT, for invariants inside the library. It is on in debug
 * builds and in CI (-Ddebug_asserts=true) and compiles to nothing otherwise.
 * Public entry points validate and return an error instead.
 */
#ifndef WEIR_CORE_ASSERT_H
#define WEIR_CORE_ASSERT_H

#ifdef WEIR_DEBUG_ASSERTS
/* Some compilers define NDEBUG by themselves when they optimize. */
#undef NDEBUG
#include <assert.h>
#define WEIR_ASSERT(cond) assert(cond)
#else
#define WEIR_ASSERT(cond) ((void)sizeof(cond))
#endif

#endif
