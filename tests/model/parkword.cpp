/* SPDX-License-Identifier: MIT */
/*
 * parkword.cpp: the model of core/parkword.h, with flags that are accessed without a memory order,
 * and with the inbox. If a wake-up is lost, the model deadlocks. The owner may also wake up by
 * itself, as from a timer.
 */
#define WEIR_MODEL
#include "model.h"

#define PARKWORD_NOTIFY_RELEASE MUT(1, WEIR_RELEASE, WEIR_RELAXED)
#define PARKWORD_PREPARE_ACQUIRE MUT(2, WEIR_ACQUIRE, WEIR_RELAXED)
#define PARKWORD_FINISH_ACQUIRE MUT(3, WEIR_ACQUIRE, WEIR_RELAXED)
#include "core/inbox.h"
#include "core/parkword.h"

static const char *const mutants[] = {
	"notify is relaxed",
	"prepare is relaxed",
	"finish is relaxed",
	"notify is left out when NOTIFIED is seen",
};

enum { PRODUCERS = 2 };

struct sleeper {
	struct weir__parkword pw;
	model_bell bell;
	unsigned timers;	/* how often the owner may still wake up by itself */

	void init(unsigned with_timers)
	{
		timers = with_timers;
		weir__parkword_init(&pw);
		bell.init();
	}

	void notify()
	{
		if (MUT(4, false, true) &&
		    weir__load(&pw.state, WEIR_RELAXED) == WEIR__PARKWORD_NOTIFIED)
			return;
		if (weir__parkword_notify(&pw))
			bell.ring();
	}

	/* The owner has looked for work before it parks, and looks again afterwards. */
	void park()
	{
		if (!weir__parkword_prepare(&pw))
			return;
		if (timers > 0 && rl::rand(2) == 0)
			timers--;
		else
			bell.wait();
		weir__parkword_finish(&pw);
	}
};

template<int timers> struct flags : rl::test_suite<flags<timers>, PRODUCERS + 1> {
	sleeper owner;
	rl::atomic<unsigned> flag[PRODUCERS];

	void before()
	{
		owner.init(timers);
		for (int p = 0; p < PRODUCERS; p++)
			weir__store(&flag[p], 0u, WEIR_RELAXED);
	}

	void thread(unsigned id)
	{
		if (id < PRODUCERS) {
			weir__store(&flag[id], 1u, WEIR_RELAXED);
			owner.notify();
			return;
		}
		for (unsigned got = 0; got < PRODUCERS;) {
			unsigned before = got;

			for (int p = 0; p < PRODUCERS; p++)
				if (weir__load(&flag[p], WEIR_RELAXED) == 1) {
					weir__store(&flag[p], 2u, WEIR_RELAXED);
					got++;
				}
			if (got == before)
				owner.park();
		}
	}

	void after() { owner.bell.fini(); }
};

struct mail : rl::test_suite<mail, PRODUCERS + 1> {
	sleeper owner;
	struct weir__inbox inbox;
	struct weir__link links[PRODUCERS * 2];

	void before()
	{
		owner.init(1);
		weir__inbox_init(&inbox);
	}

	void thread(unsigned id)
	{
		if (id < PRODUCERS) {
			for (int k = 0; k < 2; k++)
				if (weir__inbox_push(&inbox, &links[id * 2 + k]))
					owner.notify();
			return;
		}
		for (unsigned got = 0; got < PRODUCERS * 2;) {
			struct weir__link *link = weir__inbox_take(&inbox);

			if (!link)
				owner.park();
			for (; link; link = WEIR_RD(link->next))
				got++;
		}
	}

	void after() { owner.bell.fini(); }
};

static const model_scenario scenarios[] = {
	{ "flags", &rl::simulate<flags<0> >, 200000, 3 },
	{ "flags and timers", &rl::simulate<flags<2> >, 100000, 2 },
	{ "inbox", &rl::simulate<mail>, 100000, 2 },
};

MODEL_MAIN("parkword", scenarios, mutants)
