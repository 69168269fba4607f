/* SPDX-License-Identifier: MIT */
/*
 * task_state.cpp: the model of core/task/state.h. If a wake or a cancel says that the task must be
 * scheduled, the calling thread runs the task at once. Checked: no wake is lost; the task completes
 * exactly once; two threads never run its body at the same time; the joiner is woken and reads the
 * result; the slot is freed exactly once and not used afterwards; a stale wake does no harm.
 */
#define WEIR_MODEL
#include "model.h"

#define STATE_WAKE_ORDER MUT(1, MUT(2, WEIR_ACQ_REL, WEIR_RELEASE), WEIR_ACQUIRE)
#define STATE_START_ORDER MUT(3, WEIR_ACQUIRE, WEIR_RELAXED)
#define STATE_YIELDED_ACQUIRE MUT(4, WEIR_ACQUIRE, WEIR_RELAXED)
#define STATE_SUSPEND_ORDER MUT(5, WEIR_RELEASE, WEIR_RELAXED)
#define STATE_COMPLETE_ORDER MUT(6, MUT(7, WEIR_ACQ_REL, WEIR_RELEASE), WEIR_ACQUIRE)
#define STATE_SET_WAKER_ORDER MUT(8, WEIR_ACQ_REL, WEIR_ACQUIRE)
#define STATE_JOIN_ACQUIRE MUT(9, WEIR_ACQUIRE, WEIR_RELAXED)
#define STATE_REF_ACQUIRE MUT(10, WEIR_ACQUIRE, WEIR_RELAXED)
#define STATE_UNREF_ORDER MUT(11, MUT(12, WEIR_ACQ_REL, WEIR_RELEASE), WEIR_ACQUIRE)
#define STATE_CANCEL_ORDER MUT(13, MUT(14, WEIR_ACQ_REL, WEIR_RELEASE), WEIR_ACQUIRE)
#define STATE_DETACH_ORDER MUT(15, MUT(16, WEIR_ACQ_REL, WEIR_RELEASE), WEIR_ACQUIRE)
#define STATE_WAKE_ALWAYS_WRITES MUT(17, 1, 0)
#define STATE_CHECK_FREE MUT(18, 1, 0)
#define STATE_KEEP_REFS_FOR_JOINER MUT(19, 1, 0)
#include "core/task/state.h"

static const char *const mutants[] = {
	"wake does not release",
	"wake does not acquire",
	"start is relaxed",
	"start after a yield is relaxed",
	"suspend is relaxed",
	"complete does not release",
	"complete does not acquire",
	"set_join_waker does not release",
	"the joiner looks relaxed",
	"ref is relaxed",
	"unref does not release",
	"unref does not acquire",
	"cancel does not release",
	"cancel does not acquire",
	"detach does not release",
	"detach does not acquire",
	"wake writes nothing when NOTIFIED is seen",
	"wake, cancel and ref believe a free slot",
	"complete drops the references that guard the join waker",
};

/* A task's slot. home stands for the fields that only spawn sets. */
struct task {
	rl::atomic<uint64_t> word;
	rl::var<unsigned> home, body, result, join_waker;
	rl::atomic<unsigned> pooled;	/* how often the slot was freed */
	unsigned completed, freed;

	void init()
	{
		weir__store(&word, (uint64_t)0, WEIR_RELAXED);
		weir__store(&pooled, 0u, WEIR_RELAXED);
		completed = freed = 0;
	}

	void spawn(bool joinable)
	{
		WEIR_WR(home, 1u);
		WEIR_WR(body, 0u);
		WEIR_WR(result, 0u);
		WEIR_WR(join_waker, 0u);
		weir__store(&word, task_state_init(joinable), WEIR_RELEASE);
	}

	void free_it()
	{
		RL_ASSERT(freed < completed);
		freed++;
		model_free(home);
		model_free(body);
		model_free(result);
		model_free(join_waker);
		weir__store(&word, (uint64_t)0, WEIR_RELAXED);
		weir__store(&pooled, freed, WEIR_RELEASE);
	}

	/* Runs the queued task until it is idle or complete; test->poll decides which. */
	template<typename Test> void run(Test *test)
	{
		for (;;) {
			uint64_t flags = weir__state_start(&word);

			WEIR_WR(body, model_use(body) + 1);
			if (test->poll(flags)) {
				complete(test);
				return;
			}
			if (weir__state_suspend(&word) == WEIR__AFTER_IDLE)
				return;
		}
	}

	template<typename Test> void complete(Test *test)
	{
		uint64_t now;

		WEIR_WR(result, 7u);
		completed++;
		now = weir__state_complete(&word);
		if (now & TASK_JOIN_WAKER) {
			test->wake_joiner(model_use(join_waker));
			if (weir__state_unref(&word, 2))
				free_it();
		} else if (TASK_REFS(now) == 0) {
			free_it();
		}
	}

	template<typename Test> void schedule(Test *test)
	{
		model_use(home);	/* read before start, to find the queue */
		run(test);
	}
};

/* Two threads set a flag each and wake the task. Only the wake orders the flag. */
struct wakes : rl::test_suite<wakes, 3> {
	task t;
	rl::atomic<unsigned> flag[2];

	void before()
	{
		t.init();
		t.spawn(false);
		weir__store(&flag[0], 0u, WEIR_RELAXED);
		weir__store(&flag[1], 0u, WEIR_RELAXED);
	}

	bool poll(uint64_t)
	{
		return weir__load(&flag[0], WEIR_RELAXED) && weir__load(&flag[1], WEIR_RELAXED);
	}

	void wake_joiner(unsigned) { RL_ASSERT(false); }

	void thread(unsigned id)
	{
		if (id == 2) {
			t.run(this);
			return;
		}
		weir__store(&flag[id], 1u, WEIR_RELAXED);
		if (weir__state_wake(&t.word))
			t.schedule(this);
	}

	void after() { RL_ASSERT(t.completed == 1 && t.freed == 1); }
};

/* A thread that runs the task, one that joins it or gives up joining, and one that aborts it. */
struct join : rl::test_suite<join, 3> {
	task t;
	model_bell bells[2];
	rl::var<unsigned> reason;
	bool endless, yields;

	void before()
	{
		t.init();
		t.spawn(true);
		RL_ASSERT(weir__state_ref(&t.word));
		bells[0].init();
		bells[1].init();
		endless = rl::rand(2);
		yields = rl::rand(2);
	}

	bool poll(uint64_t flags)
	{
		if (yields && !(flags & TASK_CANCELLED))
			flags = weir__state_start(&t.word);
		if (flags & TASK_CANCELLED)
			RL_ASSERT(WEIR_RD(reason) == 3);
		return !endless || (flags & TASK_CANCELLED);
	}

	void wake_joiner(unsigned who) { bells[who].ring(); }

	void abort()
	{
		WEIR_WR(reason, 3u);
		if (weir__state_cancel(&t.word))
			t.schedule(this);
		if (weir__state_unref(&t.word, 1))
			t.free_it();
	}

	bool wait_as(unsigned who)
	{
		WEIR_WR(t.join_waker, who);
		if (!weir__state_set_join_waker(&t.word))
			return false;
		if (who == 0 && rl::rand(2) && weir__state_clear_join_waker(&t.word))
			return wait_as(1);
		bells[who].wait();
		return true;
	}

	void join_it()
	{
		unsigned plan = rl::rand(3);

		if (plan == 1 && !weir__state_is_complete(&t.word)) {
			WEIR_WR(t.join_waker, 0u);
			weir__state_set_join_waker(&t.word);
			if (weir__state_is_complete(&t.word))
				RL_ASSERT(model_use(t.result) == 7);
		} else if (plan > 1) {
			if (!weir__state_is_complete(&t.word))
				wait_as(0);
			RL_ASSERT(weir__state_is_complete(&t.word));
			RL_ASSERT(model_use(t.result) == 7);
		}
		if (weir__state_detach(&t.word))
			t.free_it();
	}

	void thread(unsigned id)
	{
		if (id == 0)
			t.run(this);
		else if (id == 1)
			join_it();
		else
			abort();
	}

	void after()
	{
		RL_ASSERT(t.completed == 1 && t.freed == 1);
		bells[0].fini();
		bells[1].fini();
	}
};

/* Stale wakers of a slot that was freed and is used again. */
struct stale : rl::test_suite<stale, 3> {
	task t;
	unsigned spawned;

	void before()
	{
		t.init();
		spawned = 0;
	}

	/*
	 * Pending at the first poll, so that a stale wake may find it idle. The spawner wakes it.
	 */
	bool poll(uint64_t) { return model_use(t.body) > 1; }
	void wake_joiner(unsigned) { RL_ASSERT(false); }

	void spawner()
	{
		while (spawned < 2 && spawned == weir__load(&t.pooled, WEIR_ACQUIRE)) {
			spawned++;
			t.spawn(false);
			t.run(this);
			if (weir__state_wake(&t.word))
				t.schedule(this);
		}
	}

	void referrer()
	{
		if (!weir__state_ref(&t.word))
			return;
		model_use(t.home);
		if (weir__state_unref(&t.word, 1))
			t.free_it();
	}

	void waker()
	{
		bool queued = rl::rand(2) ? weir__state_wake(&t.word) : weir__state_cancel(&t.word);

		if (queued)
			t.schedule(this);
	}

	void thread(unsigned id)
	{
		if (id == 0)
			spawner();
		else if (id == 1)
			referrer();
		else
			waker();
	}

	void after() { RL_ASSERT(t.completed == spawned && t.freed == spawned); }
};

static const model_scenario scenarios[] = {
	{ "wakes", &rl::simulate<wakes>, 100000, 2 },
	{ "join", &rl::simulate<join>, 100000, 0 },
	{ "stale", &rl::simulate<stale>, 100000, 2 },
};

MODEL_MAIN("task_state", scenarios, mutants)
