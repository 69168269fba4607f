/* SPDX-License-Identifier: MIT */
/*
 * idle.cpp: the model of sched/idle.h with core/parkword.h, over a queue that
 * carries no order of its own. Each item keeps the worker that took it busy
 * until all items are taken, so it does not suffice that somebody is awake: a
 * worker that sleeps on an item is a deadlock.
 */
#define WEIR_MODEL
#include "model.h"

#define IDLE_MAX 3u
#define IDLE_PICK_FENCE MUT(1, WEIR_SEQ_CST, WEIR_ACQ_REL)
#define IDLE_PARK_FENCE MUT(2, WEIR_SEQ_CST, WEIR_ACQ_REL)
#define IDLE_PARK_SETS_BIT_FIRST MUT(3, 1, 0)
#define IDLE_PARK_ALL_LOOK MUT(4, 1, 0)
#define IDLE_PICK_AGAIN MUT(5, 1, 0)
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
};

/*
 * workers, of which each gets one item; items come one by one from so many
 * producers; children: items that the first worker to run adds to them. timers:
 * wake-ups without a cause per worker.
 */
template<int workers, int producers, int each, int children, int timers>
struct pool : rl::test_suite<pool<workers, producers, each, children, timers>,
			     workers + producers> {
	enum { items = producers * each + children };
	struct idle idle;
	struct weir__parkword pw[workers];
	model_bell bell[workers];
	rl::atomic<unsigned> queued, taken, over;
	unsigned wakes_left[workers];

	void before()
	{
		idle_init(&idle, workers);
		weir__store(&queued, 0u, WEIR_RELAXED);
		weir__store(&taken, 0u, WEIR_RELAXED);
		weir__store(&over, 0u, WEIR_RELAXED);
		for (int w = 0; w < workers; w++) {
			weir__parkword_init(&pw[w]);
			bell[w].init();
			wakes_left[w] = timers;
		}
	}

	void notify(int w)
	{
		if (weir__parkword_notify(&pw[w]))
			bell[w].ring();
	}

	void wake_one(int near)
	{
		int w = idle_pick(&idle, near);

		if (w >= 0)
			notify(w);
	}

	void publish(int near)
	{
		weir__fetch_add(&queued, 1u, WEIR_RELAXED);
		wake_one(near);
	}

	bool take()
	{
		unsigned n = weir__load(&queued, WEIR_RELAXED);

		while (n > 0)
			if (weir__cas(&queued, &n, n - 1, WEIR_RELAXED, WEIR_RELAXED))
				return true;
		return false;
	}

	/* Busy until everything is taken; the taker of the last item ends the test. */
	void busy(int me)
	{
		unsigned k = weir__fetch_add(&taken, 1u, WEIR_ACQ_REL);

		if (k == 0)
			for (int c = 0; c < children; c++)
				publish(me);
		if (k + 1 < items)
			return;
		weir__store(&over, 1u, WEIR_RELEASE);
		for (int w = 0; w < workers; w++)
			if (w != me)
				notify(w);
	}

	/* Parks until there is something to look for; true: counted as a searcher. */
	bool park(int me, bool searching, bool *ret_found)
	{
		*ret_found = false;
		if (idle_park(&idle, me, searching) && MUT(7, true, false) && take()) {
			*ret_found = true;
			if (idle_unpark_self(&idle, me) || idle_end_search(&idle))
				wake_one(me);
			return false;
		}
		if (weir__parkword_prepare(&pw[me])) {
			if (wakes_left[me] > 0 && rl::rand(2) == 0)
				wakes_left[me]--;
			else if (!weir__load(&over, WEIR_ACQUIRE))
				bell[me].wait();
			weir__parkword_finish(&pw[me]);
		}
		return !idle_unpark_self(&idle, me);
	}

	void work(int me)
	{
		bool searching = false, found;

		while (!weir__load(&over, WEIR_ACQUIRE)) {
			if (!searching)
				searching = idle_begin_search(&idle);
			found = searching && take();
			if (found && idle_end_search(&idle) && MUT(6, true, false))
				wake_one(me);
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
		if (id < workers)
			work(id);
		else
			for (int k = 0; k < each; k++)
				publish(0);
	}

	void after()
	{
		RL_ASSERT(weir__load(&taken, WEIR_RELAXED) == items);
		for (int w = 0; w < workers; w++)
			bell[w].fini();
	}
};

/* Workers that took an item are gone, so as many items as workers leave nobody over. */
typedef pool<2, 1, 2, 0, 0> two;
typedef pool<2, 1, 2, 0, 1> two_with_timers;
typedef pool<2, 2, 1, 0, 1> two_producers;
typedef pool<2, 1, 1, 1, 0> parent_and_child;
typedef pool<3, 1, 3, 0, 0> three;
typedef pool<3, 1, 1, 2, 1> three_in_a_family;

static const model_scenario scenarios[] = {
	{ "two workers", &rl::simulate<two>, 100000, 2 },
	{ "two workers, timers", &rl::simulate<two_with_timers>, 100000, 0 },
	{ "two workers, two producers", &rl::simulate<two_producers>, 100000, 0 },
	{ "parent and child", &rl::simulate<parent_and_child>, 100000, 0 },
	{ "three workers", &rl::simulate<three>, 100000, 0 },
	{ "three workers, a family", &rl::simulate<three_in_a_family>, 100000, 0 },
};

MODEL_MAIN("idle", scenarios, mutants)
