/* SPDX-License-Identifier: MIT */
/*
 * mpsc_ring.cpp: the model of sync/mpsc_list.h. Two senders and a receiver, at
 * capacities 1, 2 and 3 (laps with and without a gap): every element arrives
 * once, in each sender's order.
 */
#define WEIR_MODEL
#include "model.h"

#define MPSC_FULL_RELEASE MUT(1, WEIR_RELEASE, WEIR_RELAXED)
#define MPSC_FULL_ACQUIRE MUT(2, WEIR_ACQUIRE, WEIR_RELAXED)
#define MPSC_FREE_RELEASE MUT(3, WEIR_RELEASE, WEIR_RELAXED)
#define MPSC_FREE_ACQUIRE MUT(4, WEIR_ACQUIRE, WEIR_RELAXED)
#include "sync/mpsc_list.h"

static const char *const mutants[] = {
	"push publishes relaxed",
	"pop looks relaxed",
	"pop frees relaxed",
	"push looks relaxed",
};

enum { SENDERS = 2, EACH = 2 };

template<int cap> struct channel : rl::test_suite<channel<cap>, SENDERS + 1> {
	struct mpsc_ring ring;
	struct mpsc_cell cells[cap];
	unsigned got[SENDERS], n;

	void before()
	{
		mpsc_ring_init(&ring, cap, sizeof(unsigned), cells);
		n = 0;
		for (int s = 0; s < SENDERS; s++)
			got[s] = 0;
	}

	void receive()
	{
		unsigned v;

		if (!mpsc_ring_pop(&ring, &v)) {
			rl::yield(1, $);
			return;
		}
		RL_ASSERT(v < SENDERS * EACH);
		RL_ASSERT(v % EACH == got[v / EACH]);
		got[v / EACH]++;
		n++;
	}

	void thread(unsigned id)
	{
		if (id == SENDERS) {
			while (n < SENDERS * EACH)
				receive();
			return;
		}
		for (unsigned v = id * EACH; v < (id + 1) * EACH; v++)
			while (!mpsc_ring_push(&ring, &v))
				rl::yield(1, $);
	}

	void after()
	{
		RL_ASSERT(mpsc_ring_empty(&ring));
		RL_ASSERT(mpsc_ring_len(&ring) == 0);
	}
};

/* The same without waiting, so that all schedules can be tried. */
template<int cap> struct tries : rl::test_suite<tries<cap>, SENDERS + 1> {
	struct mpsc_ring ring;
	struct mpsc_cell cells[cap];
	unsigned sent[SENDERS], got[SENDERS];

	void before()
	{
		mpsc_ring_init(&ring, cap, sizeof(unsigned), cells);
		for (int s = 0; s < SENDERS; s++)
			sent[s] = got[s] = 0;
	}

	void receive()
	{
		unsigned v;

		if (mpsc_ring_pop(&ring, &v))
			RL_ASSERT(v % EACH == got[v / EACH]++);
	}

	void thread(unsigned id)
	{
		unsigned v = id * EACH;

		if (id == SENDERS) {
			receive();
			receive();
			return;
		}
		for (; sent[id] < EACH && mpsc_ring_push(&ring, &v); v++)
			sent[id]++;
	}

	void after()
	{
		while (!mpsc_ring_empty(&ring))
			receive();
		for (int s = 0; s < SENDERS; s++)
			RL_ASSERT(sent[s] == got[s]);
		RL_ASSERT(mpsc_ring_len(&ring) == 0);
	}
};

static const model_scenario scenarios[] = {
	{ "capacity 1", &rl::simulate<channel<1> >, 50000, 0 },
	{ "capacity 2", &rl::simulate<channel<2> >, 100000, 0 },
	{ "capacity 3", &rl::simulate<channel<3> >, 50000, 0 },
	{ "tries, capacity 1", &rl::simulate<tries<1> >, 0, 2 },
	{ "tries, capacity 2", &rl::simulate<tries<2> >, 0, 2 },
};

MODEL_MAIN("mpsc_ring", scenarios, mutants)
