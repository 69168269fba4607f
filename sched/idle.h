/* SPDX-License-Identifier: MIT */
/*
 * idle.h: which workers sleep, how many search, and which one to wake; without a
 * lock.
 *
 * Workers that steal from each other are a domain. The workers of a group within
 * it share an inject queue and a word of sleepers.
 *
 *	searching	of a domain: how many workers search for work (or were woken to search)
 *	asleep		of a group: a bit for each worker that has parked and that nobody has
 *			claimed yet
 *
 * Each domain is separate: work is published in it, found in it, and announced to
 * its sleepers. A counter for two domains would lose wake-ups, because a searcher
 * of one would suppress the wake-up for work of the other.
 *
 * What a worker does, as the runtime calls it
 *
 *	no local work
 *	searching = idle_begin_search(i)		refused: enough others search
 *	if searching: steal, check the inject queues; near ones first, far ones if that was
 *		in vain
 *		found: if (idle_end_search(i)) wake_one(); run
 *	if (idle_park(i, g, me, searching)) check EVERY queue of the domain, far ones too
 *		found: if (idle_unpark_self(g, me) || idle_end_search(i)) wake_one(); run
 *	check the inbox
 *	if (weir__parkword_prepare(pw)) { wait; weir__parkword_finish(pw); }
 *	searching = !idle_unpark_self(g, me)
 *
 *	wake_one, after work was made visible: w = idle_pick(i, g, near);
 *		if (w >= 0 && weir__parkword_notify(pw of w)) wake the backend of w
 *
 * The rules, from Tokio: half of the workers may search. A worker is woken only
 * if nobody searches, and it wakes up as a searcher. The last searcher that finds
 * work wakes the next worker. One rule is stricter here: EVERY worker that parks
 * while nobody searches checks the queues again, not only the last searcher.
 * Otherwise a worker whose search was refused could sleep although work came
 * after the searcher had found something else. How a searcher searches does not
 * matter: one that checks only its node, and finds nothing, parks like any other,
 * and then must check everywhere.
 *
 * Why no wake-up is lost: when a producer has published work in a domain, either
 * the work is found, or a worker of that domain is awake and will check for it
 * before it sleeps. Every step has the form "write; fence; read", and the fences
 * are totally ordered. So of any two such steps, one reads what the other wrote.
 * Each step reads all words of sleepers, or all queues, of the domain after its
 * one fence. So it does not matter in how many groups they are, nor in which
 * order they are read:
 *
 *	P	pick:	publish work	| fence |	read searching, every asleep
 *	W	park:	set asleep bit, searching - 1	| fence |	read searching, every queue
 *	E	last searcher found work: searching - 1, then pick: | fence | read every asleep
 *
 * 1. P finds nobody searching and nobody asleep. Then each worker's W comes after
 *    P. That worker finds the work; or it finds a searcher, which is case 2 with
 *    W in place of P.
 * 2. P finds a searcher. Later searching returns to 0 by a step after P. If that
 *    step is a W, its worker reads the queues and finds the work. If it is an E,
 *    it wakes a sleeper, which is a searcher now: case 2 again. If there is no
 *    sleeper, each worker's next W comes after E: case 1 with E in place of P.
 * 3. P claims a sleeper of any group. The sleeper is counted as searching before
 *    it is claimed, so all others see a searcher: case 2. Its parkword wakes it.
 * 4. P has counted a searcher for its claim, but the sleepers woke by themselves.
 *    Others may have relied on that searcher. So P takes the count back and
 *    starts again from its fence: it is an E.
 *
 * A sleeper is woken once: only one thread clears its bit, the claimer or the
 * sleeper itself, and idle_unpark_self says which one it was.
 */
#ifndef WEIR_SCHED_IDLE_H
#define WEIR_SCHED_IDLE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/assert.h"
#include "core/atomic.h"
#include "weir/base.h"

#define IDLE_GROUP_MAX 64u	/* the most workers of a group */

#ifndef IDLE_PICK_FENCE
#define IDLE_PICK_FENCE WEIR_SEQ_CST
#endif
#ifndef IDLE_PARK_FENCE
#define IDLE_PARK_FENCE WEIR_SEQ_CST
#endif
/* Switches for the model's mutants; always 1 in production. */
#ifndef IDLE_PARK_SETS_BIT_FIRST
#define IDLE_PARK_SETS_BIT_FIRST 1
#endif
#ifndef IDLE_PARK_ALL_LOOK
#define IDLE_PARK_ALL_LOOK 1
#endif
#ifndef IDLE_PICK_AGAIN
#define IDLE_PICK_AGAIN 1
#endif
#ifndef IDLE_PICK_ALL_GROUPS
#define IDLE_PICK_ALL_GROUPS 1
#endif

/* The state of a domain. */
struct idle {
	WEIR_ATOMIC(uint32_t) searching WEIR_ALIGNED(64);
	/* how many may search at a time; set before the domain runs */
	uint32_t searchers;
};

/* The state of a group. */
struct idle_group {
	WEIR_ATOMIC(uint64_t) asleep WEIR_ALIGNED(64);
	struct idle_group *
		*near; /* the domain's groups: this one, then the nearest; the owner frees it */
	uint16_t near_len;
	uint16_t first, workers;	/* the index of bit 0's worker, and the number of workers */
};

/* [setup] Nobody searches. */
static inline void idle_init(struct idle *i, unsigned workers)
{
	i->searchers = (workers + 1) / 2;
	weir__store(&i->searching, 0u, WEIR_RELAXED);
}

/* [setup] All awake. */
static inline void idle_group_init(struct idle_group *g, unsigned first, unsigned workers)
{
	WEIR_ASSERT(workers <= IDLE_GROUP_MAX);
	g->first = (uint16_t)first;
	g->workers = (uint16_t)workers;
	weir__store(&g->asleep, (uint64_t)0, WEIR_RELAXED);
}

static inline uint64_t idle_bit(struct idle_group *g, unsigned worker)
{
	WEIR_ASSERT(worker >= g->first && worker - g->first < g->workers);
	return (uint64_t)1 << (worker - g->first);
}

/*
 * [owner] False: enough others search. The limit only reduces contention, so it need not be exact.
 */
static inline bool idle_begin_search(struct idle *i)
{
	if (weir__load(&i->searching, WEIR_RELAXED) >= i->searchers)
		return false;
	weir__fetch_add(&i->searching, 1u, WEIR_RELAXED);
	return true;
}

/* [owner] The searcher found work. True: it was the last one and must call idle_pick now (an E). */
static inline bool idle_end_search(struct idle *i)
{
	uint32_t before = weir__fetch_sub(&i->searching, 1u, WEIR_RELAXED);

	WEIR_ASSERT(before > 0);
	return before == 1;
}

/*
 * [owner] Marks the worker asleep; from here on it may be claimed and notified. True: nobody
 * searches, and the caller MUST check all queues of its domain before it waits (a W). If it finds
 * work there, it calls idle_unpark_self.
 */
static inline bool idle_park(struct idle *i, struct idle_group *g, unsigned worker,
			     bool was_searching)
{
	uint64_t bit = idle_bit(g, worker);
	uint32_t before = 0;

	if (IDLE_PARK_SETS_BIT_FIRST)
		weir__fetch_or(&g->asleep, bit, WEIR_RELAXED);
	if (was_searching)
		before = weir__fetch_sub(&i->searching, 1u, WEIR_RELAXED);
	if (!IDLE_PARK_ALL_LOOK)
		return before == 1;
	weir__fence(IDLE_PARK_FENCE);
	if (!IDLE_PARK_SETS_BIT_FIRST)
		weir__fetch_or(&g->asleep, bit, WEIR_RELAXED);
	return weir__load(&i->searching, WEIR_RELAXED) == 0;
}

/*
 * [owner] The worker is awake again. True: it woke by itself (a timer, I/O, its inbox) and is not
 * searching. False: somebody had claimed it, and it is counted as a searcher.
 */
static inline bool idle_unpark_self(struct idle_group *g, unsigned worker)
{
	uint64_t bit = idle_bit(g, worker);

	return weir__fetch_and(&g->asleep, ~bit, WEIR_RELAXED) & bit;
}

/* The set bit nearest to position near, which may lie outside the word. bits is not 0. */
static inline int idle_nearest_bit(uint64_t bits, int near)
{
	uint64_t up, down;

	if (near <= 0)
		return __builtin_ctzll(bits);
	if (near >= 63)
		return 63 - __builtin_clzll(bits);
	up = bits >> near << near;
	down = bits ^ up;
	if (!up || !down)
		return up ? __builtin_ctzll(up) : 63 - __builtin_clzll(down);
	return __builtin_ctzll(up) - near <= near - (63 - __builtin_clzll(down))
		       ? __builtin_ctzll(up)
		       : 63 - __builtin_clzll(down);
}

/*
 * Returns the group of the nearest sleeper, or NULL: first the group from, then its near groups.
 * *ret_worker is the sleeper of that group whose index is nearest to near.
 */
static inline struct idle_group *idle_nearest(struct idle_group *from, int near,
					      unsigned *ret_worker)
{
	unsigned k, len = IDLE_PICK_ALL_GROUPS ? from->near_len : 1;

	for (k = 0; k < len; k++) {
		struct idle_group *g = from->near[k];
		uint64_t bits = weir__load(&g->asleep, WEIR_RELAXED);

		if (!bits)
			continue;
		*ret_worker = g->first + (unsigned)idle_nearest_bit(bits, near - (int)g->first);
		return g;
	}
	return NULL;
}

/* Claims the nearest sleeper; -1 if all have woken up. */
static inline int idle_claim(struct idle_group *from, int near)
{
	struct idle_group *g;
	unsigned worker;

	while ((g = idle_nearest(from, near, &worker)))
		if (idle_unpark_self(g, worker))
			return (int)worker;
	return -1;
}

/*
 * [any] Called after work was made visible in the domain. Returns the worker to notify, which is
 * then already counted as a searcher; or -1 if somebody searches or nobody sleeps. from is the
 * group that has the work. near is the index of the calling worker, or -1. When all workers are
 * busy this costs a fence, and loads from cache lines that nobody writes: one for the domain and
 * one for each group.
 */
static inline int idle_pick(struct idle *i, struct idle_group *from, int near)
{
	uint32_t none;
	unsigned any;
	int worker;

	do {
		weir__fence(IDLE_PICK_FENCE);
		if (weir__load(&i->searching, WEIR_RELAXED) != 0 || !idle_nearest(from, near, &any))
			return -1;
		none = 0;
		if (!weir__cas(&i->searching, &none, 1u, WEIR_RELAXED, WEIR_RELAXED))
			return -1;
		worker = idle_claim(from, near);
		if (worker >= 0)
			return worker;
		weir__fetch_sub(&i->searching, 1u, WEIR_RELAXED);
	} while (IDLE_PICK_AGAIN);
	return -1;
}

#endif
