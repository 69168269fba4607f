/* SPDX-License-Identifier: MIT */
/*
 * watch.h: one sleeping worker of a domain at a time watches the others. It wakes
 * every watch_ns. A worker that is awake but has not turned its drivers since the
 * last check is stuck in a task. Then the watcher turns them for it
 * (weir__driver_rescue) and takes what it can from its queues.
 *
 * When all workers sleep and none has turned its drivers between two checks, the
 * watcher sleeps without a limit (deep sleep). The next worker that wakes up
 * wakes the watcher, once. If a worker wakes up with work and nobody watches,
 * because it was the watcher itself, it wakes another one to take over.
 * sched/watch_state.h proves that a stuck worker is always noticed.
 */
#ifndef WEIR_SCHED_WATCH_H
#define WEIR_SCHED_WATCH_H

#include "sched/watch_state.h"
#include "weir/base.h"

struct runtime;
struct worker;

/* The worker is about to sleep. Returns how long it may; WEIR_FOREVER if another worker watches. */
uint64_t weir__watch_begin(struct worker *w);
/*
 * The worker has woken up. If it was the watcher, it rescues stuck workers. Returns how many tasks
 * and completions that gave.
 */
int weir__watch_end(struct worker *w);
/* A worker that was asleep is awake: wakes a watcher in deep sleep. */
void weir__watch_notice(struct worker *w);
/* The worker has something to run: makes sure that somebody watches meanwhile. */
void weir__watch_pass_on(struct worker *w);

#endif
