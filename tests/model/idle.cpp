/* SPDX-License-Identifier: MIT */
/*
 * idle.cpp: the model of sched/idle.h with core/parkword.h. Each group has a queue whose accesses
 * have no memory order. An item keeps the worker that took it busy until all items are taken, so
 * one worker that is awake is not enough: if a worker sleeps while an item is queued, the model
 * deadlocks. A searching worker looks only at its own group, and before it parks at all groups of
 * its domain, which is the least that idle.h demands.
 */
#define WEIR_MODEL
#include "model.h"

#define IDLE_PICK_FENCE MUT(1, WEIR_SEQ_CST, WEIR_ACQ_REL)
#define IDLE_PARK_FENCE MUT(2, WEIR_SEQ_CST, WEIR_ACQ_REL)
#define IDLE_PARK_SETS_BIT_FIRST MUT(3, 1, 0)
#define IDLE_PARK_ALL_LOOK MUT(4, 1, 0)
#define IDLE_PICK_AGAIN MUT(5, 1, 0)
#define IDLE_PICK_ALL_GROUPS MUT(8, 1, 0)
#include "core/parkword.h"
#include "sched/idle.h"

static const char *const mutants[] = {
	"pick has no sequentially consistent fence",
	"park has no sequentially consistent fence",
	"park marks itself asleep behind its fence",
	"only the last searcher looks again",
	"pick drops its claim and leaves when the sleepers woke by themselves",
	"the last searcher that found work wakes nobody",
	"a worker does not look again when park tells it to",
	"pick sees the sleepers of one group only",
	"a worker that looks again sees the queue of its own group only",
	"two domains have one count of searchers",
};

/*
 * Each worker gets one item. The first `split` workers are group 0, the others group 1; with
 * `apart`, group 1 is a domain of its own. Each producer puts `each` items into the queue of group
 * 0 and, with `apart`, as many into that of group 1. The first worker to run puts `children` items
 * into the queue of its group. Each worker has `timers` wake-ups without a cause.
 */
template<int workers, int split, bool apart, int producers, int each, int children, int timers>
struct pool : rl::test_suite<pool<workers, split, apart, producers, each, children, timers>,
			     workers + producers> {
	enum { items = producers * each * (apart ? 2 : 1) + children };
	struct idle idle[2];
	struct idle_group group[2], *near[2][2];
	struct weir__parkword pw[workers];
	model_bell bell[workers];
	rl::atomic<unsigned> queued[2], taken, over;
	unsigned wakes_left[workers];

	void before()
	{
		for (int g = 0; g < 2; g++) {
			unsigned mine = g ? workers - split : split;

			idle_init(&idle[g], apart ? mine : workers);
			idle_group_init(&group[g], g ? split : 0, mine);
			near[g][0] = &group[g];
			near[g][1] = &group[1 - g];
			group[g].near = near[g];
			group[g].near_len = apart || split == workers ? 1 : 2;
			weir__store(&queued[g], 0u, WEIR_RELAXED);
		}
		weir__store(&taken, 0u, WEIR_RELAXED);
		weir__store(&over, 0u, WEIR_RELAXED);
		for (int w = 0; w < workers; w++) {
			weir__parkword_init(&pw[w]);
			bell[w].init();
			wakes_left[w] = timers;
		}
	}

	static int group_of(int me) { return me < split ? 0 : 1; }

	struct idle *idle_of(int g) { return &idle[apart ? MUT(10, g, 0) : 0]; }

	void notify(int w)
	{
		if (weir__parkword_notify(&pw[w]))
			bell[w].ring();
	}

	void wake_one(int g, int near_to)
	{
		int w = idle_pick(idle_of(g), &group[g], near_to);

		if (w >= 0)
			notify(w);
	}

	void publish(int g, int near_to)
	{
		weir__fetch_add(&queued[g], 1u, WEIR_RELAXED);
		wake_one(g, near_to);
	}

	/* Takes an item from one of the `groups` nearest groups, its own first. */
	bool take(int me, unsigned groups)
	{
		struct idle_group *from = &group[group_of(me)];

		for (unsigned k = 0; k < groups && k < from->near_len; k++) {
			int g = from->near[k] == &group[0] ? 0 : 1;
			unsigned n = weir__load(&queued[g], WEIR_RELAXED);

			while (n > 0)
				if (weir__cas(&queued[g], &n, n - 1, WEIR_RELAXED, WEIR_RELAXED))
					return true;
		}
		return false;
	}

	/* Counts an item as taken. The worker that takes the last one ends the test. */
	void busy(int me)
	{
		unsigned k = weir__fetch_add(&taken, 1u, WEIR_ACQ_REL);

		if (k == 0)
			for (int c = 0; c < children; c++)
				publish(group_of(me), me);
		if (k + 1 < items)
			return;
		weir__store(&over, 1u, WEIR_RELEASE);
		for (int w = 0; w < workers; w++)
			if (w != me)
				notify(w);
	}

	/* Parks until there may be work. Returns whether the worker counts as a searcher. */
	bool park(int me, bool searching, bool *ret_found)
	{
		int g = group_of(me);

		*ret_found = false;
		if (idle_park(idle_of(g), &group[g], me, searching) && MUT(7, true, false) &&
		    take(me, MUT(9, 2, 1))) {
			*ret_found = true;
			if (idle_unpark_self(&group[g], me) || idle_end_search(idle_of(g)))
				wake_one(g, me);
			return false;
		}
		if (weir__parkword_prepare(&pw[me])) {
			if (wakes_left[me] > 0 && rl::rand(2) == 0)
				wakes_left[me]--;
			else if (!weir__load(&over, WEIR_ACQUIRE))
				bell[me].wait();
			weir__parkword_finish(&pw[me]);
		}
		return !idle_unpark_self(&group[g], me);
	}

	void work(int me)
	{
		struct idle *i = idle_of(group_of(me));
		bool searching = false, found;

		while (!weir__load(&over, WEIR_ACQUIRE)) {
			if (!searching)
				searching = idle_begin_search(i);
			found = searching && take(me, 1);
			if (found && idle_end_search(i) && MUT(6, true, false))
				wake_one(group_of(me), me);
			if (!found)
				searching = park(me, searching, &found);
			if (found) {
				busy(me);
				return;
			}
		}
	}

	void thread(unsigned id)
	{
		if (id < workers) {
			work(id);
			return;
		}
		for (int k = 0; k < each; k++) {
			publish(0, -1);
			if (apart)
				publish(1, -1);
		}
	}

	void after()
	{
		RL_ASSERT(weir__load(&taken, WEIR_RELAXED) == items);
		for (int w = 0; w < workers; w++)
			bell[w].fini();
	}
};

/* There are as many items as workers: each worker takes one and ends. */
typedef pool<2, 2, false, 1, 2, 0, 0> two;
typedef pool<2, 2, false, 1, 2, 0, 1> two_with_timers;
typedef pool<2, 2, false, 2, 1, 0, 1> two_producers;
typedef pool<2, 2, false, 1, 1, 1, 0> parent_and_child;
typedef pool<3, 3, false, 1, 3, 0, 0> three;
typedef pool<3, 3, false, 1, 1, 2, 1> three_in_a_family;
typedef pool<2, 1, false, 1, 2, 0, 1> groups_of_one;
typedef pool<2, 1, false, 2, 1, 0, 0> groups_of_one_two_producers;
typedef pool<3, 2, false, 1, 3, 0, 0> two_groups;
typedef pool<3, 1, false, 1, 1, 2, 1> two_groups_in_a_family;
typedef pool<2, 1, true, 1, 1, 0, 1> two_domains;

static const model_scenario scenarios[] = {
	{ "two workers", &rl::simulate<two>, 100000, 2 },
	{ "two workers, timers", &rl::simulate<two_with_timers>, 100000, 0 },
	{ "two workers, two producers", &rl::simulate<two_producers>, 100000, 0 },
	{ "parent and child", &rl::simulate<parent_and_child>, 100000, 0 },
	{ "three workers", &rl::simulate<three>, 100000, 0 },
	{ "three workers, a family", &rl::simulate<three_in_a_family>, 100000, 0 },
	{ "two groups of one", &rl::simulate<groups_of_one>, 100000, 2 },
	{ "two groups of one, two producers", &rl::simulate<groups_of_one_two_producers>, 60000, 0 },
	{ "two groups", &rl::simulate<two_groups>, 60000, 0 },
	{ "two groups, a family", &rl::simulate<two_groups_in_a_family>, 60000, 0 },
	{ "two domains", &rl::simulate<two_domains>, 100000, 2 },
};

MODEL_MAIN("idle", scenarios, mutants)
