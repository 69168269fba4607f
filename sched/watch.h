/* SPDX-License-Identifier: MIT */
/*
 * watch.h: one sleeping worker of a domain at a time looks after its siblings there. It wakes
 * every watch_ns; a worker that is awake but has not turned its drivers since
 * the last look is stuck in a task, and the watcher turns them for it
 * (weir__driver_rescue) and takes what it can from its queues.
 *
 * When everybody sleeps and nothing has turned between two looks, the watcher
 * sleeps without a limit (deep). Whoever wakes up after that wakes the watcher,
 * once. A worker that wakes up with work when nobody watches, because it was the
 * watcher itself, wakes a sibling to take that over. sched/watch_state.h says why
 * nobody gets stuck unseen.
 */
#ifndef WEIR_SCHED_WATCH_H
#define WEIR_SCHED_WATCH_H

#include "sched/watch_state.h"
#include "weir/base.h"

struct runtime;
struct worker;

/* The worker is about to sleep: how long may it, at most? WEIR_FOREVER when another watches. */
uint64_t weir__watch_begin(struct worker *w);
/* It has woken up; looks after the siblings if it was the watcher. How much came of it. */
int weir__watch_end(struct worker *w);
/* A worker that was asleep is awake: let a watcher in deep sleep know. */
void weir__watch_notice(struct worker *w);
/* It has something to run: let there be a watcher meanwhile. */
void weir__watch_pass_on(struct worker *w);

#endif
