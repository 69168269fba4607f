/* SPDX-License-Identifier: MIT */
/*
 * select_set.cpp: the model of core/select_marks.h. Two threads finish a branch each. A task polls
 * the marked branches until both are delivered; then the set is gone. Checked: no wake is lost, and
 * the set is not used after that.
 */
#define WEIR_MODEL
#include "model.h"

#include "core/select_marks.h"

static const char *const mutants[] = {
	"the mark comes after the result",
	"a branch is polled once for a mark",
};

enum { BRANCHES = 2 };

struct rounds : rl::test_suite<rounds, BRANCHES + 1> {
	rl::atomic<uint64_t> woken;
	rl::atomic<unsigned> done[BRANCHES];
	rl::var<unsigned> result[BRANCHES];
	rl::var<unsigned> set[BRANCHES];	/* the set's memory; each waker uses its part */
	rl::atomic<unsigned> wakes;	/* the task's state word, to which every wake writes */
	model_bell bell;

	void before()
	{
		weir__store(&woken, (uint64_t)0, WEIR_RELAXED);
		weir__store(&wakes, 0u, WEIR_RELAXED);
		for (int i = 0; i < BRANCHES; i++) {
			weir__store(&done[i], 0u, WEIR_RELAXED);
			WEIR_WR(set[i], 1u);
		}
		bell.init();
	}

	void after()
	{
		bell.fini();
	}

	void mark(unsigned i)
	{
		model_use(set[i]);
		weir__mark(&woken, (uint64_t)1 << i);
	}

	void finish(unsigned i)
	{
		WEIR_WR(result[i], i + 7);
		if (MUT(1, true, false))
			mark(i);
		weir__store(&done[i], 1u, WEIR_RELEASE);
		if (MUT(1, false, true))
			mark(i);
		weir__fetch_add(&wakes, 1u, WEIR_ACQ_REL);
		bell.ring();
	}

	void task()
	{
		uint64_t again = 0, left = (1u << BRANCHES) - 1;

		for (;;) {
			again |= weir__marks_take(&woken);
			for (unsigned i = 0; i < BRANCHES; i++) {
				if (!(left & again & 1u << i))
					continue;
				if (MUT(2, false, true))
					again &= ~((uint64_t)1 << i);
				if (weir__load(&done[i], WEIR_ACQUIRE) == 0)
					continue;
				RL_ASSERT(WEIR_RD(result[i]) == i + 7);
				left &= ~((uint64_t)1 << i);
			}
			if (!left)
				break;
			bell.wait();
			weir__xchg(&wakes, 0u, WEIR_ACQUIRE);
		}
		for (unsigned i = 0; i < BRANCHES; i++)
			model_free(set[i]);
	}

	void thread(unsigned id)
	{
		if (id == BRANCHES)
			task();
		else
			finish(id);
	}
};

static const model_scenario scenarios[] = {
	{ "rounds", &rl::simulate<rounds>, 200000, 2 },
};

MODEL_MAIN("select_set", scenarios, mutants)
