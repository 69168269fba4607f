/* SPDX-License-Identifier: MIT */
/*
 * atomic.h: the only file that names the compiler's memory orders.
 *
 * Lock-free code reaches shared cells through these macros alone, so that the
 * same header compiles for the machine (GNU __atomic builtins over plain types,
 * which keeps public structs valid C++) and for the model checker (tests/model
 * defines WEIR_MODEL and supplies the same names over its own types).
 *
 *	WEIR_ATOMIC(T)	the type of a cell that several threads touch
 *	WEIR_PLAIN(T)	a non-atomic cell that changes hands by a release/acquire
 *			pair; read with WEIR_RD, write with WEIR_WR
 *
 * Every release in the sources names the acquire it pairs with.
 */
#ifndef WEIR_CORE_ATOMIC_H
#define WEIR_CORE_ATOMIC_H

#ifdef WEIR_MODEL
#include "model_atomic.h"
#else

#define WEIR_ATOMIC(T) T
#define WEIR_PLAIN(T) T
#define WEIR_RD(cell) (cell)
#define WEIR_WR(cell, v) ((cell) = (v))

#define WEIR_RELAXED __ATOMIC_RELAXED
#define WEIR_ACQUIRE __ATOMIC_ACQUIRE
#define WEIR_RELEASE __ATOMIC_RELEASE
#define WEIR_ACQ_REL __ATOMIC_ACQ_REL
#define WEIR_SEQ_CST __ATOMIC_SEQ_CST

#define weir__load(p, order) __atomic_load_n((p), (order))
#define weir__store(p, v, order) __atomic_store_n((p), (v), (order))
#define weir__xchg(p, v, order) __atomic_exchange_n((p), (v), (order))
/*
 * expected: the address of a local variable, which receives the value found when the exchange
 * fails.
 */
#define weir__cas(p, expected, desired, success, failure) \
	__atomic_compare_exchange_n((p), (expected), (desired), 0, (success), (failure))
#define weir__cas_weak(p, expected, desired, success, failure) \
	__atomic_compare_exchange_n((p), (expected), (desired), 1, (success), (failure))
#define weir__fetch_add(p, v, order) __atomic_fetch_add((p), (v), (order))
#define weir__fetch_sub(p, v, order) __atomic_fetch_sub((p), (v), (order))
#define weir__fetch_or(p, v, order) __atomic_fetch_or((p), (v), (order))
#define weir__fetch_and(p, v, order) __atomic_fetch_and((p), (v), (order))
#define weir__fence(order) __atomic_thread_fence(order)

#endif

/* A hint to the processor inside a spin loop. */
static inline void weir__cpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("isb");
#endif
}

#endif
