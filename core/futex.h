/* SPDX-License-Identifier: MIT */
/*
 * futex.h: sleep on a 32-bit word, and wake the threads that sleep on it.
 * Deadlines are absolute, on the system's monotonic clock.
 */
#ifndef WEIR_CORE_FUTEX_H
#define WEIR_CORE_FUTEX_H

#include "weir/base.h"

/* Sleeps while *word == expected. 0 (check again), or -ETIMEDOUT. [any] */
int weir__futex_wait(uint32_t *word, uint32_t expected, uint64_t deadline);

/* Wakes up to n sleeping threads. [any], async-signal-safe */
void weir__futex_wake(uint32_t *word, int n);

#endif
