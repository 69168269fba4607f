/* SPDX-License-Identifier: MIT */
/*
 * outside.cpp: the model of core/outside.h. A task waits for a leaf, which one thread finishes, and
 * for a wake from another thread, which has a clone of its waker. When both have happened the task
 * completes, and its thread frees the runtime. Checked: nothing is used after it was freed, and all
 * is freed once.
 */
#define WEIR_MODEL
#include "model.h"

#define OUTSIDE_END_RELEASE MUT(1, WEIR_RELEASE, WEIR_RELAXED)
#define OUTSIDE_QUIET_ACQUIRE MUT(2, WEIR_ACQUIRE, WEIR_RELAXED)
#define OUTSIDE_UNREF_ORDER MUT(3, MUT(4, WEIR_ACQ_REL, WEIR_RELEASE), WEIR_ACQUIRE)
#include "core/outside.h"

static const char *const mutants[] = {
	"end does not release",
	"quiet is relaxed",
	"unref does not release",
	"unref does not acquire",
	"who finishes a leaf counts after the result is published",
	"who calls a waker counts after the task is queued",
	"the shutdown does not wait",
	"a clone holds nothing",
};

struct ending : rl::test_suite<ending, 3> {
	weir__outside outside;
	rl::var<unsigned> queues;	/* stands for all that a wake uses */
	rl::var<unsigned> tasks;	/* stands for the memory of tasks */
	rl::atomic<unsigned> published, queued;
	unsigned freed;

	void before()
	{
		weir__outside_init(&outside);
		if (MUT(8, true, false))
			weir__outside_ref(&outside);
		WEIR_WR(queues, 1u);
		WEIR_WR(tasks, 1u);
		weir__store(&published, 0u, WEIR_RELAXED);
		weir__store(&queued, 0u, WEIR_RELAXED);
		freed = 0;
	}

	void begin(int mutant, bool late)
	{
		if ((model_version == mutant) == late)
			weir__outside_begin(&outside);
	}

	void unref()
	{
		if (weir__outside_unref(&outside)) {
			model_free(tasks);
			freed++;
		}
	}

	void run_and_shut_down()
	{
		while (!weir__load(&published, WEIR_ACQUIRE) || !weir__load(&queued, WEIR_ACQUIRE))
			weir__model_yield();
		while (MUT(7, true, false) && !weir__outside_quiet(&outside))
			weir__model_yield();
		model_free(queues);
		unref();
	}

	void finish_leaf()
	{
		begin(5, false);
		weir__store(&published, 1u, WEIR_RELEASE);
		begin(5, true);
		model_use(tasks);
		model_use(queues);
		weir__outside_end(&outside);
	}

	void call_waker()
	{
		model_use(tasks);
		begin(6, false);
		weir__store(&queued, 1u, WEIR_RELEASE);
		begin(6, true);
		model_use(queues);
		weir__outside_end(&outside);
		model_use(tasks);
		if (MUT(8, true, false))
			unref();
	}

	void thread(unsigned id)
	{
		if (id == 0)
			run_and_shut_down();
		else if (id == 1)
			finish_leaf();
		else
			call_waker();
	}

	void after() { RL_ASSERT(freed == 1); }
};

static const model_scenario scenarios[] = {
	{ "ending", &rl::simulate<ending>, 100000, 3 },
};

MODEL_MAIN("outside", scenarios, mutants)
