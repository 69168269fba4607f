/* SPDX-License-Identifier: MIT */
/*
 * ring.cpp: the model of sched/ring.h. Checked: every item is taken exactly once, with its
 * contents, by the owner or by one of two thieves, one of which also steals from the other. The
 * counters wrap around during the test.
 */
#define WEIR_MODEL
#include "model.h"

#define RING_CAP 4u
#define RING_TAIL_RELEASE MUT(1, WEIR_RELEASE, WEIR_RELAXED)
#define RING_TAIL_ACQUIRE MUT(2, WEIR_ACQUIRE, WEIR_RELAXED)
#define RING_INTO_TAIL_RELEASE MUT(3, WEIR_RELEASE, WEIR_RELAXED)
#define RING_DONE_RELEASE MUT(4, WEIR_RELEASE, WEIR_RELAXED)
#define RING_HEAD_ACQUIRE MUT(5, WEIR_ACQUIRE, WEIR_RELAXED)
#define RING_INTO_HEAD_ACQUIRE MUT(6, WEIR_ACQUIRE, WEIR_RELAXED)
#define RING_ONE_THIEF MUT(7, 1, 0)
#define RING_ROOM_BY_STEAL MUT(8, 1, 0)
#define RING_CHECK_STALE_TAIL MUT(9, 1, 0)
#define RING_CHECK_INTO MUT(10, 1, 0)
#include "sched/ring.h"

static const char *const mutants[] = {
	"push publishes the tail relaxed",
	"a thief reads the tail relaxed",
	"a thief publishes its own tail relaxed",
	"a thief says relaxed that it is done",
	"push reads the head relaxed",
	"steal reads the head of into relaxed",
	"a second thief is let in",
	"push counts room from the real head",
	"a tail older than the head is believed",
	"steal into a ring that is too full",
};

enum { MAX_ITEMS = 9 };

struct items {
	rl::var<unsigned> body[MAX_ITEMS];
	unsigned seen[MAX_ITEMS];
	unsigned made;

	void reset()
	{
		made = 0;
		for (int k = 0; k < MAX_ITEMS; k++)
			seen[k] = 0;
	}

	void *make()
	{
		WEIR_WR(body[made], made);
		return (void *)(uintptr_t)++made;
	}

	void unmake() { made--; }

	void take(void *item)
	{
		unsigned k = (unsigned)(uintptr_t)item - 1;

		RL_ASSERT(k < MAX_ITEMS);
		RL_ASSERT(seen[k] == 0);
		RL_ASSERT(WEIR_RD(body[k]) == k);
		seen[k] = 1;
	}

	void drain(struct ring *r)
	{
		while (void *item = ring_pop(r))
			take(item);
	}

	void check()
	{
		for (unsigned k = 0; k < made; k++)
			RL_ASSERT(seen[k] == 1);
	}
};

static void ring_init_at(struct ring *r, uint32_t at)
{
	ring_init(r);
	weir__store(&r->head, ring_pack(at, at), WEIR_RELAXED);
	weir__store(&r->tail, at, WEIR_RELAXED);
}

struct two_thieves : rl::test_suite<two_thieves, 3> {
	struct ring owner, first, second;
	items it;

	void before()
	{
		it.reset();
		ring_init_at(&owner, 0xfffffffeu);
		ring_init_at(&first, 0xfffffffeu);
		ring_init_at(&second, 0u);
	}

	void own()
	{
		while (it.made < 7) {
			void *item = it.make();

			while (!ring_push(&owner, item)) {
				if (void *got = ring_pop(&owner))
					it.take(got);
				else
					rl::yield(1, $);
			}
			if (it.made == 6)
				if (void *got = ring_pop(&owner))
					it.take(got);
		}
	}

	void steal(struct ring *from, struct ring *into)
	{
		void *one;

		if (ring_steal(from, into, &one))
			it.take(one);
	}

	void thread(unsigned id)
	{
		if (id == 0) {
			own();
		} else if (id == 1) {
			steal(&owner, &first);
			if (void *got = ring_pop(&first))
				it.take(got);
			steal(&owner, &first);
		} else {
			steal(&owner, &second);
			steal(&first, &second);
		}
	}

	void after()
	{
		it.drain(&owner);
		it.drain(&first);
		it.drain(&second);
		it.check();
	}
};

/* A thief fills its own ring beyond one lap while another thread steals from that ring. */
struct stolen_thief : rl::test_suite<stolen_thief, 2> {
	struct ring full, mine, other;
	items it;

	void before()
	{
		it.reset();
		ring_init_at(&full, 0u);
		ring_init_at(&mine, 0u);
		ring_init_at(&other, 0u);
		for (int k = 0; k < 4; k++)
			RL_ASSERT(ring_push(&full, it.make()));
		RL_ASSERT(ring_push(&mine, it.make()));
	}

	void steal(struct ring *from, struct ring *into)
	{
		void *one;

		if (ring_steal(from, into, &one))
			it.take(one);
	}

	void thread(unsigned id)
	{
		if (id == 1) {
			steal(&mine, &other);
			return;
		}
		for (int k = 0; k < 3; k++)
			RL_ASSERT(ring_push(&mine, it.make()));
		steal(&full, &mine);
		for (int k = 0; k < 3; k++)
			if (void *got = ring_pop(&mine))
				it.take(got);
		steal(&full, &mine);
	}

	void after()
	{
		it.drain(&full);
		it.drain(&mine);
		it.drain(&other);
		it.check();
	}
};

/* A smaller model without waiting, so that all schedules can be tried. */
struct short_queue : rl::test_suite<short_queue, 3> {
	struct ring owner, first, second;
	items it;

	void before()
	{
		it.reset();
		ring_init_at(&owner, 0xfffffffeu);
		ring_init_at(&first, 0u);
		ring_init_at(&second, 0u);
		RL_ASSERT(ring_push(&owner, it.make()));
		RL_ASSERT(ring_push(&owner, it.make()));
		RL_ASSERT(ring_push(&owner, it.make()));
	}

	void thread(unsigned id)
	{
		void *one;

		if (id > 0) {
			if (ring_steal(&owner, id == 1 ? &first : &second, &one))
				it.take(one);
			return;
		}
		if (void *got = ring_pop(&owner))
			it.take(got);
		for (int k = 0; k < 2; k++)
			if (!ring_push(&owner, it.make()))
				it.unmake();
	}

	void after()
	{
		it.drain(&owner);
		it.drain(&first);
		it.drain(&second);
		it.check();
	}
};

static const model_scenario scenarios[] = {
	{ "two thieves", &rl::simulate<two_thieves>, 100000, 0 },
	{ "a thief stolen from", &rl::simulate<stolen_thief>, 100000, 2 },
	{ "short queue", &rl::simulate<short_queue>, 0, 2 },
};

MODEL_MAIN("ring", scenarios, mutants)
