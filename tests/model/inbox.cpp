/* SPDX-License-Identifier: MIT */
/*
 * inbox.cpp: the model of core/inbox.h, with two producers and one owner. Checked: everything
 * arrives once, in each producer's order, with its contents; and exactly one push per batch reports
 * that the inbox was empty before.
 */
#define WEIR_MODEL
#include "model.h"

#define INBOX_PUSH_RELEASE MUT(1, WEIR_RELEASE, WEIR_RELAXED)
#define INBOX_TAKE_ACQUIRE MUT(2, WEIR_ACQUIRE, WEIR_RELAXED)
#include "core/inbox.h"

static const char *const mutants[] = {
	"push is relaxed",
	"take is relaxed",
};

enum { PRODUCERS = 2, EACH = 2 };

struct letter {
	struct weir__link link;		/* must be first: a link is cast to its letter */
	rl::var<unsigned> body;
};

struct mail : rl::test_suite<mail, PRODUCERS + 1> {
	struct weir__inbox inbox;
	letter letters[PRODUCERS * EACH];
	unsigned got[PRODUCERS];
	unsigned found_empty[PRODUCERS], batches;

	void before()
	{
		weir__inbox_init(&inbox);
		batches = 0;
		for (int p = 0; p < PRODUCERS; p++)
			got[p] = found_empty[p] = 0;
	}

	void receive()
	{
		struct weir__link *link = weir__inbox_take(&inbox);

		batches += link != NULL;
		for (; link; link = WEIR_RD(link->next)) {
			unsigned k = WEIR_RD(((letter *)link)->body);

			RL_ASSERT(k % EACH == got[k / EACH]);
			got[k / EACH]++;
		}
	}

	void thread(unsigned id)
	{
		if (id == PRODUCERS) {
			receive();
			receive();
			return;
		}
		for (unsigned k = id * EACH; k < (id + 1) * EACH; k++) {
			WEIR_WR(letters[k].body, k);
			found_empty[id] += weir__inbox_push(&inbox, &letters[k].link);
		}
	}

	void after()
	{
		unsigned empty = 0;

		receive();
		RL_ASSERT(weir__inbox_empty(&inbox));
		for (int p = 0; p < PRODUCERS; p++) {
			RL_ASSERT(got[p] == EACH);
			empty += found_empty[p];
		}
		RL_ASSERT(empty == batches);
	}
};

static const model_scenario scenarios[] = {
	{ "mail", &rl::simulate<mail>, 200000, 2 },
};

MODEL_MAIN("inbox", scenarios, mutants)
