/* SPDX-License-Identifier: MIT */
/*
 * watch.cpp: the model of sched/watch_state.h with core/parkword.h. A worker that its own event
 * wakes gets stuck until a watcher has run its drivers. A watcher whose sleep has a limit looks
 * again and again. If no watcher notices a stuck worker, the model deadlocks. Some events bring no
 * work; they only take the watch from the worker that they wake.
 */
#define WEIR_MODEL
#include "model.h"

#define WATCH_DEEP_FENCE MUT(1, WEIR_SEQ_CST, WEIR_ACQ_REL)
#define WATCH_AWAKE_FENCE MUT(2, WEIR_SEQ_CST, WEIR_ACQ_REL)
#define WATCH_ASLEEP_FENCE MUT(3, WEIR_SEQ_CST, WEIR_ACQ_REL)
#define WATCH_DEEP_RELEASE MUT(10, WEIR_RELEASE, WEIR_RELAXED)
#include "core/parkword.h"
#include "sched/watch_state.h"

static const char *const mutants[] = {
	"no fence between going deep and the look who is awake",
	"no fence between being awake and the look at the watcher",
	"no fence between being asleep and the claim",
	"the watcher does not look who is awake when it has gone deep",
	"nobody disturbs a deep watcher",
	"nobody passes the watch on",
	"only who was the watcher passes the watch on",
	"the watch is passed on before the worker says that it is awake",
	"a watcher that wakes up keeps the watch",
	"who disturbs a deep watcher may not know yet which one that is",
};

enum event { NOTHING, EMPTY, WORK };

/* Of the workers, `stuck` get an event with work and `woken` an event without. */
template<int workers, int stuck, int woken>
struct watching : rl::test_suite<watching<workers, stuck, woken>, workers + 1> {
	struct watch watch;
	struct weir__parkword pw[workers];
	model_bell bell[workers], freed[workers];
	rl::atomic<uint32_t> awake[workers];
	rl::atomic<unsigned> event[workers], is_stuck[workers], left;

	void before()
	{
		weir__store(&watch.watcher, 0u, WEIR_RELAXED);
		weir__store(&watch.deep, 0u, WEIR_RELAXED);
		weir__store(&left, (unsigned)stuck, WEIR_RELAXED);
		for (int w = 0; w < workers; w++) {
			weir__parkword_init(&pw[w]);
			bell[w].init();
			freed[w].init();
			weir__store(&awake[w], 1u, WEIR_RELAXED);
			weir__store(&event[w], (unsigned)NOTHING, WEIR_RELAXED);
			weir__store(&is_stuck[w], 0u, WEIR_RELAXED);
		}
	}

	bool over() { return weir__load(&left, WEIR_ACQUIRE) == 0; }

	void wake(unsigned w)
	{
		if (weir__parkword_notify(&pw[w]))
			bell[w].ring();
	}

	int others(unsigned me, uint32_t want)
	{
		for (unsigned w = 0; w < workers; w++)
			if (w != me && weir__load(&awake[w], WEIR_RELAXED) == want)
				return (int)w;
		return -1;
	}

	/* Returns whether the worker sleeps without a limit. The watcher always tries to. */
	bool begin(unsigned me)
	{
		if (!watch_claim(&watch, me))
			return true;
		watch_go_deep(&watch);
		if (MUT(4, false, true) || others(me, 1) < 0)
			return true;
		watch_come_up(&watch);
		return false;
	}

	bool end(unsigned me)
	{
		if (weir__load(&watch.watcher, WEIR_RELAXED) != me + 1u)
			return false;
		watch_come_up(&watch);
		for (unsigned w = 0; w < workers; w++)
			if (w != me && weir__load(&awake[w], WEIR_RELAXED) &&
			    weir__xchg(&is_stuck[w], 0u, WEIR_ACQ_REL))
				freed[w].ring();
		if (MUT(9, true, false))
			watch_leave(&watch);
		return true;
	}

	void pass_on(unsigned me)
	{
		int w = watch_vacant(&watch) ? others(me, 0) : -1;

		if (w >= 0)
			wake((unsigned)w);
	}

	void get_stuck(unsigned me)
	{
		weir__store(&is_stuck[me], 1u, WEIR_RELEASE);
		freed[me].wait();
		if (weir__fetch_sub(&left, 1u, WEIR_ACQ_REL) == 1)
			for (unsigned w = 0; w < workers; w++)
				wake(w);
	}

	/* Sleeps. Returns whether this worker was the watcher. */
	bool sleep(unsigned me)
	{
		bool watched = false;

		if (!weir__parkword_prepare(&pw[me]))
			return false;
		if (!over()) {
			if (begin(me))
				bell[me].wait();
			else
				weir__model_yield();
			watched = end(me);
		}
		weir__parkword_finish(&pw[me]);
		return watched;
	}

	void work(unsigned me)
	{
		unsigned found;
		bool watched, mine;

		while (!over()) {
			watch_set_asleep(&awake[me]);
			watched = sleep(me);
			/* Atomic, because the kernel never reports an old state of events. */
			found = weir__xchg(&event[me], (unsigned)NOTHING, WEIR_RELAXED);
			mine = found == WORK && MUT(6, true, false) && (watched || MUT(7, true, false));
			if (mine && MUT(8, false, true))
				pass_on(me);
			watch_set_awake(&awake[me]);
			uint32_t deep = MUT(5, true, false) ? watch_disturb(&watch) : 0;
			if (deep && deep != me + 1u)
				wake(deep - 1);
			if (mine && MUT(8, true, false))
				pass_on(me);
			if (found == WORK)
				get_stuck(me);
		}
	}

	/* The last thread is the I/O: it wakes workers without the parkword. */
	void thread(unsigned id)
	{
		if (id < workers) {
			work(id);
			return;
		}
		unsigned first = rl::rand(workers);

		for (unsigned k = 0; k < stuck + woken; k++) {
			unsigned w = (first + k) % workers;

			weir__store(&event[w], (unsigned)(k < woken ? EMPTY : WORK), WEIR_RELAXED);
			bell[w].ring();
		}
	}

	void after()
	{
		for (int w = 0; w < workers; w++) {
			bell[w].fini();
			freed[w].fini();
		}
	}
};

static const model_scenario scenarios[] = {
	{ "two workers", &rl::simulate<watching<2, 1, 0> >, 200000, 2 },
	{ "two workers, one woken in vain", &rl::simulate<watching<2, 1, 1> >, 60000, 0 },
	{ "three workers, one stuck", &rl::simulate<watching<3, 1, 1> >, 60000, 0 },
	{ "three workers, two stuck", &rl::simulate<watching<3, 2, 0> >, 60000, 0 },
	{ "three workers, two stuck, one woken in vain", &rl::simulate<watching<3, 2, 1> >, 60000, 0 },
};

MODEL_MAIN("watch", scenarios, mutants)
