/* SPDX-License-Identifier: MIT */
/*
 * model_atomic.h: implements core/atomic.h over relacy, a race detector. core/atomic.h includes it
 * when WEIR_MODEL is defined; C++ only. Loads of an atomic cell may then return stale values, as
 * far as their memory order allows, and unordered accesses to a plain cell are reported.
 */
#ifndef WEIR_MODEL_ATOMIC_H
#define WEIR_MODEL_ATOMIC_H

#include <relacy/relacy.hpp>

#define WEIR_ATOMIC(T) rl::atomic<T>
#define WEIR_PLAIN(T) rl::var<T>
#define WEIR_RD(cell) ((cell)($).load())
#define WEIR_WR(cell, v) ((cell)($).store(v))

#define WEIR_RELAXED rl::mo_relaxed
#define WEIR_ACQUIRE rl::mo_acquire
#define WEIR_RELEASE rl::mo_release
#define WEIR_ACQ_REL rl::mo_acq_rel
#define WEIR_SEQ_CST rl::mo_seq_cst

#define weir__load(p, order) ((p)->load((order), $))
#define weir__store(p, v, order) ((p)->store((v), (order), $))
#define weir__xchg(p, v, order) ((p)->exchange((v), (order), $))
#define weir__cas(p, expected, desired, success, failure) \
	((p)->compare_exchange_strong(*(expected), (desired), (success), $, (failure), $))
#define weir__cas_weak(p, expected, desired, success, failure) \
	((p)->compare_exchange_weak(*(expected), (desired), (success), $, (failure), $))
#define weir__fetch_add(p, v, order) ((p)->fetch_add((v), (order), $))
#define weir__fetch_sub(p, v, order) ((p)->fetch_sub((v), (order), $))
#define weir__fetch_or(p, v, order) ((p)->fetch_or((v), (order), $))
#define weir__fetch_and(p, v, order) ((p)->fetch_and((v), (order), $))
#define weir__fence(order) rl::atomic_thread_fence((order), $)
/* Replaces the pause in a loop that waits for another thread. */
#define weir__model_yield() rl::yield(1, $)

#endif
