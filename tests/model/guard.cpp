/* SPDX-License-Identifier: MIT */
/*
 * guard.cpp: the model of core/guard_state.h, including membarrier(2). The caller of membarrier
 * waits until each other thread has executed a full fence between two of its steps; no other fences
 * are executed. The model passes the request to the threads without any memory order, so that it
 * does not order anything by accident.
 */
#define WEIR_MODEL
#include "model.h"

#include "core/atomic.h"

enum { THREADS_MAX = 3 };

static bool fence_wanted[THREADS_MAX], ended[THREADS_MAX];
static unsigned threads;

static unsigned self()
{
	return rl::ctx().threadx_->index_;
}

/* Runs before each step of a thread: executes the fence, if a membarrier requested one. */
static void step()
{
	if (!fence_wanted[self()])
		return;
	weir__fence(WEIR_SEQ_CST);
	fence_wanted[self()] = false;
}

static void end_thread()
{
	weir__fence(WEIR_SEQ_CST);	/* a thread that is switched out executes a fence */
	fence_wanted[self()] = false;
	ended[self()] = true;
}

#undef weir__load
#undef weir__store
#undef weir__xchg
#define weir__load(p, order) (step(), (p)->load((order), $))
#define weir__store(p, v, order) (step(), (p)->store((v), (order), $))
#define weir__xchg(p, v, order) (step(), (p)->exchange((v), (order), $))

#define GUARD_LOOKS_AGAIN MUT(3, 1, 0)
#define GUARD_BUSY_BEFORE_LOOK MUT(4, 1, 0)
#define GUARD_DROPS_ITS_WORD MUT(5, 1, 0)
#define GUARD_DROP_RELEASE MUT(6, WEIR_RELEASE, WEIR_RELAXED)
#define GUARD_BUSY_ACQUIRE MUT(7, WEIR_ACQUIRE, WEIR_RELAXED)
#define GUARD_WAITS_FOR_OWNER MUT(8, 1, 0)
#define GUARD_END_BEFORE_FENCE MUT(9, 1, 0)
#define GUARD_TAKES_BUSY_BACK MUT(10, 1, 0)

/* Relacy has no atomic pointers to const. */
struct owner_cell {
	rl::atomic<uintptr_t> word;

	const void *load(rl::memory_order order, rl::debug_info_param info)
	{
		return (const void *)word.load(order, info);
	}

	void store(const void *owner, rl::memory_order order, rl::debug_info_param info)
	{
		word.store((uintptr_t)owner, order, info);
	}
};

struct weir__guard {
	WEIR_ATOMIC(uint32_t) held;
	WEIR_ATOMIC(uint32_t) busy;
	owner_cell owner;
};

#include "core/guard_state.h"

extern const char weir__guard_shared = 0;

static const char *const mutants[] = {
	"the revoker executes no fence",
	"the owner executes no fence on behalf of the revoker",
	"the owner does not look again once it is busy",
	"the owner looks before it says busy",
	"a drop clears the other word",
	"a drop is relaxed",
	"the revoker's load of busy is relaxed",
	"the revoker does not wait for the owner",
	"the ownership ends behind the fence",
	"who is refused stays busy",
};

static void fence_everywhere()
{
	unsigned t;

	if (MUT(1, true, false))
		weir__fence(WEIR_SEQ_CST);
	for (t = 0; t < threads && MUT(2, true, false); t++)
		if (t != self() && !ended[t])
			fence_wanted[t] = true;
	for (t = 0; t < threads; t++)
		while (fence_wanted[t] && t != self()) {
			step();
			weir__model_yield();
		}
	if (MUT(1, true, false))
		weir__fence(WEIR_SEQ_CST);
}

/*
 * Each thread takes the guard `times` times. The last thread to finish initializes it again, takes
 * it twice, and those that still run take it once more. Threads below `workers` may own the guard;
 * the last of the others tries before it takes.
 */
template<int count, int workers, int times>
struct users : rl::test_suite<users<count, workers, times>, count> {
	struct weir__guard guard;
	WEIR_PLAIN(unsigned) cell;
	rl::atomic<unsigned> left, again;
	unsigned taken[count];
	char context[count];

	void before()
	{
		threads = count;
		for (int t = 0; t < count; t++) {
			fence_wanted[t] = ended[t] = false;
			taken[t] = 0;
		}
		weir__guard_init(&guard);
		WEIR_WR(cell, 0u);
		weir__store(&left, (unsigned)count, WEIR_RELAXED);
		weir__store(&again, 0u, WEIR_RELAXED);
	}

	bool take(unsigned me)
	{
		const void *context_of_me = &context[me];

		if (weir__guard_is_owned_by(&guard, context_of_me) &&
		    weir__guard_enter(&guard, context_of_me))
			return true;
		weir__guard_take_word(&guard, me < workers ? context_of_me : NULL, fence_everywhere);
		return false;
	}

	bool try_take(unsigned me, bool *ret_as_owner)
	{
		const void *owner = weir__load(&guard.owner, WEIR_RELAXED);

		*ret_as_owner = owner == (const void *)&context[me];
		return *ret_as_owner ? weir__guard_enter(&guard, owner)
				     : weir__guard_try_word(&guard, owner);
	}

	void use(unsigned me, bool trying)
	{
		bool as_owner;

		if (!trying || !try_take(me, &as_owner))
			as_owner = take(me);
		WEIR_WR(cell, WEIR_RD(cell) + 1);
		weir__load(&left, WEIR_RELAXED);	/* a step, so that a fence may come here */
		WEIR_WR(cell, WEIR_RD(cell) + 1);
		taken[me] += 2;
		weir__guard_drop(&guard, as_owner);
	}

	void thread(unsigned me)
	{
		for (int k = 0; k < times; k++)
			use(me, me == count - 1);
		if (weir__fetch_sub(&left, 1u, WEIR_ACQ_REL) == 1) {
			weir__guard_init(&guard);
			use(me, false);
			weir__store(&again, 1u, WEIR_RELEASE);
			use(me, false);
		} else if (weir__load(&again, WEIR_ACQUIRE)) {
			use(me, true);
		}
		end_thread();
	}

	void after()
	{
		unsigned all = 0;

		for (int t = 0; t < count; t++)
			all += taken[t];
		RL_ASSERT(WEIR_RD(cell) == all);
	}
};

static const model_scenario scenarios[] = {
	{ "an owner and another", &rl::simulate<users<2, 1, 2> >, 200000, 3 },
	{ "two workers", &rl::simulate<users<2, 2, 2> >, 100000, 2 },
	{ "an owner and two others", &rl::simulate<users<3, 1, 2> >, 200000, 0 },
	{ "three workers", &rl::simulate<users<3, 3, 1> >, 200000, 0 },
};

MODEL_MAIN("guard", scenarios, mutants)
