/* SPDX-License-Identifier: MIT */
/*
 * busy.h: how long a worker has been busy: it had a thread and was not in
 * worker_park. The owner reads the clock when a busy stretch begins and ends;
 * others read it when they ask.
 */
#ifndef WEIR_SCHED_BUSY_H
#define WEIR_SCHED_BUSY_H

#include "core/assert.h"
#include "core/time/clock.h"
#include "sched/seqlock.h"

struct busy {
	struct seqlock lock;
	uint64_t since_ns;		/* 0: not busy; atomic */
	uint64_t total_ns;		/* the sum of the stretches that are over; atomic */
};

/* [owner] */
static inline void busy_begin(struct busy *b)
{
	if (b->since_ns)
		return;			/* only its thread has changed: it was busy all along */
	seqlock_write_begin(&b->lock);
	weir__store(&b->since_ns, weir__clock_system(), WEIR_RELAXED);
	seqlock_write_end(&b->lock);
}

/* [owner] */
static inline void busy_end(struct busy *b)
{
	uint64_t total_ns = b->total_ns + weir__clock_system() - b->since_ns;

	WEIR_ASSERT(b->since_ns);

	seqlock_write_begin(&b->lock);
	weir__store(&b->total_ns, total_ns, WEIR_RELAXED);
	weir__store(&b->since_ns, (uint64_t)0, WEIR_RELAXED);
	seqlock_write_end(&b->lock);
}

/* The time so far, including the current stretch. [any] */
static inline uint64_t busy_ns(const struct busy *b)
{
	uint64_t now = weir__clock_system(), since, total;
	uint32_t number;

	do {
		number = seqlock_read_begin(&b->lock);
		since = weir__load(&b->since_ns, WEIR_RELAXED);
		total = weir__load(&b->total_ns, WEIR_RELAXED);
	} while (seqlock_read_retry(&b->lock, number));
	return since && now > since ? total + now - since : total;
}

#endif
