/* SPDX-License-Identifier: MIT */
/*
 * inject.cpp: the model of sched/inject.h with the lock of core/lock.h, with two producers, one of
 * which pushes chains, and two consumers. Checked: everything is delivered once, with its contents
 * and in each producer's order; and what a closed queue refused is not delivered.
 */
#define WEIR_MODEL
#include "model.h"

#define LOCK_TAKE_ACQUIRE MUT(1, WEIR_ACQUIRE, WEIR_RELAXED)
#define LOCK_DROP_RELEASE MUT(2, WEIR_RELEASE, WEIR_RELAXED)
#include "sched/inject.h"
#include "sched/inject.c"

static const char *const mutants[] = {
	"the lock is taken relaxed",
	"the lock is dropped relaxed",
};

enum { PRODUCERS = 2, CONSUMERS = 2, EACH = 2 };

struct parcel {
	struct weir__link link;		/* must be first: a link is cast to its parcel */
	rl::var<unsigned> body;
};

struct post : rl::test_suite<post, PRODUCERS + CONSUMERS> {
	struct inject queue;
	parcel parcels[PRODUCERS * EACH];
	rl::var<unsigned> seen[PRODUCERS * EACH];
	bool refused[PRODUCERS * EACH];

	void before()
	{
		weir__inject_init(&queue);
		for (unsigned k = 0; k < PRODUCERS * EACH; k++) {
			WEIR_WR(seen[k], 0u);
			refused[k] = false;
		}
	}

	void receive(unsigned max)
	{
		struct weir__link *link;
		int last[PRODUCERS] = { -1, -1 };
		unsigned n = weir__inject_pop_chain(&queue, max, &link), count = 0;

		for (; link; link = WEIR_RD(link->next), count++) {
			unsigned k = WEIR_RD(((parcel *)link)->body);

			RL_ASSERT((int)(k % EACH) > last[k / EACH]);
			last[k / EACH] = (int)(k % EACH);
			WEIR_WR(seen[k], WEIR_RD(seen[k]) + 1);
		}
		RL_ASSERT(count == n);
	}

	void produce(unsigned id)
	{
		unsigned k = id * EACH;

		for (unsigned i = 0; i < EACH; i++)
			WEIR_WR(parcels[k + i].body, k + i);
		if (id == 0) {		/* pushes one by one, then closes the queue */
			weir__inject_push(&queue, &parcels[k].link);
			weir__inject_push(&queue, &parcels[k + 1].link);
			weir__inject_close(&queue);
			return;
		}
		WEIR_WR(parcels[k].link.next, &parcels[k + 1].link);
		if (!weir__inject_push_chain(&queue, &parcels[k].link, &parcels[k + 1].link, EACH))
			refused[k] = refused[k + 1] = true;
	}

	void thread(unsigned id)
	{
		if (id < PRODUCERS)
			produce(id);
		else
			receive(id == PRODUCERS ? 1 : 3);
	}

	void after()
	{
		receive(PRODUCERS * EACH);
		RL_ASSERT(inject_len(&queue) == 0);
		for (unsigned k = 0; k < PRODUCERS * EACH; k++)
			RL_ASSERT(WEIR_RD(seen[k]) == (refused[k] ? 0u : 1u));
	}
};

static const model_scenario scenarios[] = {
	{ "post", &rl::simulate<post>, 100000, 0 },
};

MODEL_MAIN("inject", scenarios, mutants)
