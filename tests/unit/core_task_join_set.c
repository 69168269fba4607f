/* SPDX-License-Identifier: MIT */
/*
 * core_task_join_set.c: join sets: tasks are joined in the order in which they finish, aborted
 * together, there is one waiter at a time, and no task is left when the set is freed.
 */
#include "tests/unit/runtimes.h"
#include "weir/backend.h"

#define LONG (3600 * WEIR_SEC)

struct gated {
	struct weir_sem gate;
	int value;
};

static int go_when_let(void *arg)
{
	struct gated *g = arg;
	int rc = weir_sem_acquire(&g->gate, 1);

	return rc ? rc : g->value;
}

static int give(void *arg)
{
	return *(int *)arg;
}

static int sleep_long(void *arg)
{
	(void)arg;
	return weir_sleep(LONG);
}

ON_EACH(tasks_are_joined_as_they_finish)
{
	static const int order[] = { 1, 2, 0 };
	struct gated members[3];
	uint64_t ids[3], id;
	struct weir_join_set *set;
	int i, result;

	ck_assert_int_eq(weir_join_set_new(NULL, &set), 0);
	for (i = 0; i < 3; i++) {
		members[i].value = 10 + i;
		weir_sem_init(&members[i].gate, 0);
		ck_assert_int_eq(weir_join_set_spawn(set, go_when_let, &members[i], &ids[i]), 0);
	}
	ck_assert_uint_eq(weir_join_set_len(set), 3);
	for (i = 0; i < 3; i++) {
		weir_sem_release(&members[order[i]].gate, 1);
		ck_assert_int_eq(weir_join_set_next(set, &id, &result), 1);
		ck_assert_uint_eq(id, ids[order[i]]);
		ck_assert_int_eq(result, 10 + order[i]);
		weir_sem_fini(&members[order[i]].gate);
		ck_assert_uint_eq(weir_join_set_len(set), 2u - (unsigned)i);
	}
	ck_assert_int_eq(weir_join_set_next(set, &id, &result), 0);
	ck_assert_int_eq(weir_join_set_next(set, NULL, NULL), 0);
	weir_join_set_free(set);
	weir_join_set_free(NULL);
	return 0;
}

ON_EACH(an_aborted_group_is_still_to_be_joined)
{
	struct weir_join_set *set;
	int i, result, value = 4, cancelled = 0;

	ck_assert_int_eq(weir_join_set_new(NULL, &set), 0);
	ck_assert_int_eq(weir_join_set_spawn(set, give, &value, NULL), 0);
	ck_assert_int_eq(weir_join_set_next(set, NULL, &result), 1);
	for (i = 0; i < 100; i++)
		ck_assert_int_eq(weir_join_set_spawn(set, i % 10 ? sleep_long : give, &value, NULL),
				 0);
	weir_yield();
	weir_join_set_abort(set);
	for (i = 0; i < 100; i++) {
		ck_assert_int_eq(weir_join_set_next(set, NULL, &result), 1);
		cancelled += result == -ECANCELED;
	}
	ck_assert_int_eq(cancelled, 90);
	ck_assert_int_eq(weir_join_set_next(set, NULL, &result), 0);
	weir_join_set_free(set);
	return 0;
}

ON_EACH(freeing_a_group_waits_for_its_tasks)
{
	struct weir_join_set *set;
	int i;

	for (i = 0; i < 20; i++) {
		ck_assert_int_eq(weir_join_set_new(NULL, &set), 0);
		ck_assert_int_eq(weir_join_set_spawn(set, sleep_long, NULL, NULL), 0);
		ck_assert_int_eq(weir_join_set_spawn(set, sleep_long, NULL, NULL), 0);
		if (i % 2)
			weir_yield();
		weir_join_set_free(set);
		ck_assert_uint_eq(weir_rt_alive(weir_rt_current()), 1);
	}
	return 0;
}

/* A member that spawns another when it is aborted. */
static int spawn_when_aborted(void *arg)
{
	struct weir_join_set *set = arg;

	ck_assert_int_eq(weir_sleep(LONG), -ECANCELED);
	return weir_join_set_spawn(set, sleep_long, NULL, NULL);
}

ON_EACH(a_member_spawned_while_the_set_is_freed_is_aborted)
{
	struct weir_join_set *set;

	ck_assert_int_eq(weir_join_set_new(NULL, &set), 0);
	ck_assert_int_eq(weir_join_set_spawn(set, spawn_when_aborted, set, NULL), 0);
	weir_yield();
	weir_join_set_free(set);
	ck_assert_uint_eq(weir_rt_alive(weir_rt_current()), 1);
	return 0;
}

struct waiting {
	struct weir_join_set *set;
	unsigned started;
	int rc, result;
};

static int wait_next(void *arg)
{
	struct waiting *w = arg;

	set(&w->started, 1);
	/* -EBUSY while the other waiter is inside its call. */
	while ((w->rc = weir_join_set_next(w->set, NULL, &w->result)) == -EBUSY)
		weir_yield();
	return w->rc;
}

ON_EACH(one_waiter_at_a_time)
{
	struct waiting w = { .rc = 7 };
	struct weir_task *waiter;
	struct weir_sem sem;
	int result, rc;

	weir_sem_init(&sem, 0);
	ck_assert_int_eq(weir_join_set_new(NULL, &w.set), 0);
	ck_assert_int_eq(weir_join_set_spawn(w.set, sleep_long, NULL, NULL), 0);
	ck_assert_int_eq(weir_spawn(wait_next, &w, &waiter), 0);
	/* The second waiter is refused. With several workers either of the two may be second. */
	YIELD_UNTIL(get(&w.started));
	while ((rc = weir_join_set_next_until(w.set, 0, NULL, &result)) == -ETIMEDOUT)
		weir_yield();
	ck_assert_int_eq(rc, -EBUSY);
	weir_task_abort(waiter);
	ck_assert_int_eq(weir_task_join(waiter, &rc), 0);
	ck_assert_int_eq(rc, -ECANCELED);
	weir_join_set_abort(w.set);
	ck_assert_int_eq(weir_join_set_next(w.set, NULL, &result), 1);
	ck_assert_int_eq(result, -ECANCELED);
	weir_join_set_free(w.set);
	weir_sem_fini(&sem);
	return 0;
}

static int wait_with_deadline(struct weir_join_set *set, uint64_t deadline)
{
	struct weir_join_set_next_future wait;

	weir_join_set_next_init(&wait, set);
	return weir_await_until(&wait.future, deadline);
}

static int sleep_shortly(void *arg)
{
	(void)arg;
	return weir_sleep(WEIR_MSEC) ? -1 : 1;
}

ON_EACH(a_wait_that_times_out_loses_nobody)
{
	struct weir_join_set *set;
	int i, got = 0, rc;

	ck_assert_int_eq(weir_join_set_new(NULL, &set), 0);
	for (i = 0; i < 20; i++)
		ck_assert_int_eq(weir_join_set_spawn(set, sleep_shortly, NULL, NULL), 0);
	while ((rc = wait_with_deadline(set, weir_deadline_in(500 * WEIR_USEC))) != 0) {
		ck_assert(rc == 1 || rc == -ETIMEDOUT);
		got += rc == 1;
	}
	ck_assert_int_eq(got, 20);
	weir_join_set_free(set);
	return 0;
}

static int wait_to_be_told(void *arg)
{
	return weir_notify_wait(arg) ? -1 : 7;
}

ON_EACH(next_until_gives_up_at_its_deadline)
{
	struct weir_notify notify;
	struct weir_join_set *set;
	uint64_t id = 99, want, deadline;
	int result = 99;

	weir_notify_init(&notify);
	ck_assert_int_eq(weir_join_set_new(NULL, &set), 0);
	/* The set is empty, so the deadline does not matter. */
	ck_assert_int_eq(weir_join_set_next_until(set, 0, &id, &result), 0);
	ck_assert_int_eq(weir_join_set_spawn(set, wait_to_be_told, &notify, &want), 0);
	ck_assert_int_eq(weir_join_set_next_until(set, 0, &id, &result), -ETIMEDOUT);
	deadline = weir_deadline_in(10 * WEIR_MSEC);
	ck_assert_int_eq(weir_join_set_next_until(set, deadline, &id, &result), -ETIMEDOUT);
	ck_assert_uint_ge(weir_now(), deadline);
	/* The call that timed out joined no task and left its outputs unchanged. */
	ck_assert_uint_eq(weir_join_set_len(set), 1);
	ck_assert(id == 99 && result == 99);
	weir_notify_one(&notify);
	deadline = weir_deadline_in(LONG);
	ck_assert_int_eq(weir_join_set_next_until(set, deadline, &id, &result), 1);
	ck_assert_uint_eq(id, want);
	ck_assert_int_eq(result, 7);
	/* A finished task is joined even with a deadline in the past. */
	weir_notify_one(&notify);
	ck_assert_int_eq(weir_join_set_spawn(set, wait_to_be_told, &notify, &want), 0);
	while (weir_join_set_next_until(set, 1, &id, &result) == -ETIMEDOUT)
		weir_yield();
	ck_assert_uint_eq(id, want);
	ck_assert_uint_eq(weir_join_set_len(set), 0);
	weir_join_set_free(set);
	weir_notify_fini(&notify);
	return 0;
}

/* Tasks spawn two more each, so that the set grows while it is joined. */
struct tree {
	struct weir_join_set *set;
	unsigned left;
};

static int grow(void *arg)
{
	struct tree *t = arg;
	unsigned left = get(&t->left);

	while (left && !__atomic_compare_exchange_n(&t->left, &left, left - 1, false,
						    __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		;
	if (left) {
		ck_assert_int_eq(weir_join_set_spawn(t->set, grow, t, NULL), 0);
		ck_assert_int_eq(weir_join_set_spawn(t->set, grow, t, NULL), 0);
	}
	return 1;
}

ON_EACH(a_group_that_grows)
{
	struct tree t = { NULL, 1000 };
	int got = 0, result;

	ck_assert_int_eq(weir_join_set_new(NULL, &t.set), 0);
	ck_assert_int_eq(weir_join_set_spawn(t.set, grow, &t, NULL), 0);
	while (weir_join_set_next(t.set, NULL, &result) == 1)
		got += result;
	ck_assert_int_eq(got, 2001);
	weir_join_set_free(t.set);
	return 0;
}

/* ---- sets that discard results ---- */

struct family {
	struct weir_join_set *set;
	struct weir_notify asked;
	int (*how)(struct weir_join_set *set);
	int rc;
	unsigned ended;
};

static int be_counted(void *arg)
{
	struct family *f = arg;
	int rc = weir_notify_wait(&f->asked);

	add(&f->ended, 1);
	return rc;
}

ON_EACH(a_discarding_group_keeps_nothing_of_what_has_ended)
{
	struct family f = { .rc = 1 };
	uint64_t id = 9;
	int result = 5, value = 1;

	weir_notify_init(&f.asked);
	ck_assert_int_eq(weir_join_set_new_discarding(NULL, &f.set), 0);
	ck_assert_int_eq(weir_join_set_next(f.set, &id, &result), 0);
	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < 50; i++)
			ck_assert_int_eq(weir_join_set_spawn(f.set, give, &value, NULL), 0);
		YIELD_UNTIL(weir_join_set_len(f.set) == 0);
	}
	/* A waiter returns only when the last task has ended. */
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(weir_join_set_spawn(f.set, be_counted, &f, NULL), 0);
	ck_assert_int_eq(weir_join_set_next_until(f.set, weir_now(), &id, &result), -ETIMEDOUT);
	weir_join_set_abort(f.set);
	ck_assert_int_eq(weir_join_set_next(f.set, &id, &result), 0);
	ck_assert_uint_eq(get(&f.ended), 3);
	ck_assert_uint_eq(id, 9);
	ck_assert_int_eq(result, 5);
	/* Freeing the set waits for its tasks, as with other sets. */
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(weir_join_set_spawn(f.set, be_counted, &f, NULL), 0);
	weir_join_set_free(f.set);
	ck_assert_uint_eq(get(&f.ended), 6);
	return 0;
}

/* ---- calls by a member of the set ---- */

static int by_next(struct weir_join_set *set)
{
	return weir_join_set_next(set, NULL, NULL);
}

static int by_next_until(struct weir_join_set *set)
{
	return weir_join_set_next_until(set, weir_deadline_in(LONG), NULL, NULL);
}

static int by_future(struct weir_join_set *set)
{
	struct weir_join_set_next_future wait;

	weir_join_set_next_init(&wait, set);
	return weir_await(&wait.future);
}

static int next_in_place(void *set)
{
	return weir_join_set_next(set, NULL, NULL);
}

static int in_place(struct weir_join_set *set)
{
	return weir_rt_workers(weir_rt_current()) > 1 ? weir_block_in_place(next_in_place, set)
						      : weir_join_set_next(set, NULL, NULL);
}

static int ask_member(void *arg)
{
	struct family *f = arg;

	f->rc = f->how(f->set);
	weir_notify_one(&f->asked);
	return 7;
}

struct ask_state {
	struct family *family;
	struct weir_join_set_next_future wait;
};

static int ask_member_poll(void *state, struct weir_cx *cx)
{
	struct ask_state *s = state;

	weir_join_set_next_init(&s->wait, s->family->set);
	s->family->rc = weir_poll(&s->wait.future, cx);
	weir_notify_one(&s->family->asked);
	return 7;
}

static void spawn_asker(struct family *f, bool stackless)
{
	struct weir_task_config cfg = WEIR_TASK_CONFIG_INIT;
	struct ask_state state = { .family = f };

	cfg.join_set = f->set;
	if (stackless) {
		cfg.poll = ask_member_poll;
		cfg.state = &state;
		cfg.state_bytes = sizeof state;
	} else {
		cfg.fn = ask_member;
		cfg.arg = f;
	}
	ck_assert_int_eq(weir_task_spawn(NULL, &cfg, NULL), 0);
}

/* A member may not join tasks of its own set, neither itself nor siblings that have ended. */
ON_EACH(a_member_does_not_wait_for_its_own_set)
{
	int (*const ways[])(struct weir_join_set *) = { by_next, by_next_until, by_future,
							in_place };
	struct family f = { .rc = 1 };
	int result, value = 7;

	for (unsigned i = 0; i < 2 * 5; i++) {
		f.how = ways[i / 2 % 4];
		f.rc = 1;
		weir_notify_init(&f.asked);
		ck_assert_int_eq(weir_join_set_new(NULL, &f.set), 0);
		if (i % 2)
			ck_assert_int_eq(weir_join_set_spawn(f.set, give, &value, NULL), 0);
		spawn_asker(&f, i / 2 == 4);
		ck_assert_int_eq(weir_notify_wait(&f.asked), 0);
		ck_assert_int_eq(f.rc, -EDEADLK);
		for (unsigned n = 0; n <= i % 2; n++) {
			ck_assert_int_eq(weir_join_set_next(f.set, NULL, &result), 1);
			ck_assert_int_eq(result, 7);
		}
		ck_assert_int_eq(weir_join_set_next(f.set, NULL, &result), 0);
		weir_join_set_free(f.set);
	}
	return 0;
}

static int sibling(void *arg)
{
	struct family *f = arg;
	int rc = weir_sleep(LONG);

	add(&f->ended, 1);
	return rc;
}

static int free_own_group(void *arg)
{
	struct family *f = arg;

	weir_join_set_free(f->set);
	/* The free has aborted this task, too. */
	f->rc = weir_sleep(LONG);
	add(&f->ended, 1);
	return 0;
}

static int free_in_place(void *set)
{
	weir_join_set_free(set);
	return 0;
}

static int free_own_group_in_place(void *arg)
{
	struct family *f = arg;

	weir_block_in_place(free_in_place, f->set);
	f->rc = weir_sleep(LONG);
	add(&f->ended, 1);
	return 0;
}

ON_EACH(a_member_that_frees_its_group_aborts_it_and_goes_on)
{
	bool can_block = weir_rt_workers(weir_rt_current()) > 1;

	for (int i = 0; i < 4; i++) {
		int (*last)(void *) = i % 2 && can_block ? free_own_group_in_place : free_own_group;
		struct family f = { .rc = 1 };

		ck_assert_int_eq(weir_join_set_new(NULL, &f.set), 0);
		ck_assert_int_eq(weir_join_set_spawn(f.set, sibling, &f, NULL), 0);
		ck_assert_int_eq(weir_join_set_spawn(f.set, sibling, &f, NULL), 0);
		ck_assert_int_eq(weir_join_set_spawn(f.set, last, &f, NULL), 0);
		YIELD_UNTIL(get(&f.ended) == 3);
		ck_assert_int_eq(f.rc, -ECANCELED);
	}
	return 0;
}

static void *use_group(void *arg)
{
	struct weir_rt *rt = arg;
	struct weir_join_set *set;
	int i, result, got = 0, value = 1;

	ck_assert_int_eq(weir_join_set_new(NULL, &set), -ENXIO);
	ck_assert_int_eq(weir_join_set_new(rt, &set), 0);
	for (i = 0; i < 500; i++)
		ck_assert_int_eq(weir_join_set_spawn(set, give, &value, NULL), 0);
	while (weir_join_set_next(set, NULL, &result) == 1)
		got += result;
	ck_assert_int_eq(got, 500);
	ck_assert_int_eq(weir_join_set_spawn(set, sleep_long, NULL, NULL), 0);
	weir_join_set_free(set);
	return NULL;
}

START_TEST(plain_threads_use_join_sets)
{
	struct weir_rt_config cfg = runtime_config(ON_FOUR);
	struct weir_rt *rt = runtime_new(&cfg);
	pthread_t threads[3];
	int i;

	for (i = 0; i < 3; i++)
		threads[i] = thread_start(use_group, rt);
	for (i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	runtime_end(rt);
}
END_TEST

static int count_end(void *arg)
{
	unsigned *ended = arg;

	add(&ended[0], 1);
	weir_sleep(LONG);
	for (int i = 0; i < 100; i++)
		weir_yield();
	add(&ended[1], 1);
	return 0;
}

/*
 * On a plain thread, waiting allocates memory. Without any, freeing the set still waits for its
 * tasks.
 */
START_TEST(freed_without_memory_a_set_waits_for_its_tasks)
{
	struct weir_rt_config cfg = runtime_config(ON_FOUR);
	struct weir_rt *rt = runtime_new(&cfg);
	unsigned ended[2] = { 0, 0 }, n;
	struct weir_join_set *set;

	ck_assert_int_eq((_i ? weir_join_set_new_discarding : weir_join_set_new)(rt, &set), 0);
	for (n = 0; n < 50; n++)
		ck_assert_int_eq(weir_join_set_spawn(set, count_end, ended, NULL), 0);
	while (get(&ended[0]) < n)
		sched_yield();
	testing_fail_allocations(1, 0);
	weir_join_set_free(set);
	n -= get(&ended[1]);
	testing_fail_allocations(0, 0);
	ck_assert_uint_eq(n, 0);
	runtime_end(rt);
}
END_TEST

/* A backend whose wake takes the set's lock: it deadlocks if it is called under that lock. */
extern const struct weir_backend_ops weir__backend_epoll;
static struct weir_join_set *group_of_wakes;
static unsigned wakes;

static void wake_and_abort(struct weir_backend *be)
{
	struct weir_join_set *set = __atomic_exchange_n(&group_of_wakes, NULL, __ATOMIC_ACQ_REL);

	weir__backend_epoll.wake(be);
	if (!set)
		return;
	add(&wakes, 1);
	weir_join_set_abort(set);
}

START_TEST(nobody_is_woken_under_the_lock)
{
	struct weir_rt_config cfg = runtime_config(_i ? ON_FOUR : ON_ONE);
	struct weir_backend_ops ops = weir__backend_epoll;
	unsigned ended[2] = { 0, 0 };
	struct weir_join_set *set;
	struct weir_rt *rt;

	ops.wake = wake_and_abort;
	cfg.backend_ops = &ops;
	rt = runtime_new(&cfg);
	ck_assert_int_eq(weir_join_set_new(rt, &set), 0);
	/* Repeats until the worker is asleep when the abort comes. */
	for (unsigned n = 1; !get(&wakes); n++) {
		ck_assert_int_eq(weir_join_set_spawn(set, count_end, ended, NULL), 0);
		while (get(&ended[0]) < n)
			sched_yield();
		__atomic_store_n(&group_of_wakes, set, __ATOMIC_RELEASE);
		weir_join_set_abort(set);
	}
	__atomic_store_n(&group_of_wakes, NULL, __ATOMIC_RELEASE);
	weir_join_set_free(set);
	runtime_end(rt);
}
END_TEST

/* A waiter must learn that the set is empty, even if the last spawn into it was refused. */
static void *spawn_until_refused(void *arg)
{
	struct waiting *w = arg;
	int rc, value = 0;

	do {
		rc = weir_join_set_spawn(w->set, give, &value, NULL);
		ck_assert(rc == 0 || rc == -ESHUTDOWN);
	} while (rc == 0);
	for (int i = 0; i < 20000; i++)
		ck_assert_int_eq(weir_join_set_spawn(w->set, give, &value, NULL), -ESHUTDOWN);
	set(&w->started, 1);
	return NULL;
}

static void *join_until_empty(void *arg)
{
	struct waiting *w = arg;

	while (!get(&w->started))
		ck_assert_int_ge(weir_join_set_next(w->set, NULL, NULL), 0);
	while (weir_join_set_next(w->set, NULL, NULL) == 1)
		;
	return NULL;
}

START_TEST(a_refused_spawn_does_not_strand_the_waiter)
{
	struct weir_rt_config cfg = runtime_config(ON_FOUR);
	struct weir_rt *rt = runtime_new(&cfg);
	struct waiting w = { .rc = 0 };
	pthread_t spawner, joiner;

	ck_assert_int_eq(weir_join_set_new(rt, &w.set), 0);
	joiner = thread_start(join_until_empty, &w);
	spawner = thread_start(spawn_until_refused, &w);
	ck_assert_int_eq(weir_rt_shutdown(rt, testing_hang_ns()), 0);
	pthread_join(spawner, NULL);
	pthread_join(joiner, NULL);
	weir_join_set_free(w.set);
	weir_rt_free(rt);
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		EACH(tasks_are_joined_as_they_finish),
		EACH(an_aborted_group_is_still_to_be_joined),
		EACH(freeing_a_group_waits_for_its_tasks),
		EACH(a_member_spawned_while_the_set_is_freed_is_aborted),
		EACH(one_waiter_at_a_time),
		EACH(a_wait_that_times_out_loses_nobody),
		EACH(next_until_gives_up_at_its_deadline),
		EACH(a_group_that_grows),
		EACH(a_discarding_group_keeps_nothing_of_what_has_ended),
		EACH(a_member_does_not_wait_for_its_own_set),
		EACH(a_member_that_frees_its_group_aborts_it_and_goes_on),
		TESTING(plain_threads_use_join_sets),
		TESTING(nobody_is_woken_under_the_lock, .rounds = 2),
		TESTING(freed_without_memory_a_set_waits_for_its_tasks, .rounds = 2),
		TESTING(a_refused_spawn_does_not_strand_the_waiter, .rounds = 5),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
