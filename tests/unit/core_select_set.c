/* SPDX-License-Identifier: MIT */
/*
 * core_select_set.c: a select set of each kind of leaf and an idle one, on each backend, with the
 * current-thread scheduler and with one and two workers. A waiting branch is polled once, a ready
 * one is delivered, and nothing is lost.
 */
#include <pthread.h>

#include "tests/unit/leaves.h"

#define ROUNDS 2000

/* A future that counts the polls of another one. */
struct counted {
	struct weir_future future;
	struct weir_future *inner;
	unsigned polls;
};

static int counted_poll(struct weir_future *future, struct weir_cx *cx)
{
	struct counted *c = WEIR_CONTAINER_OF(future, struct counted, future);

	c->polls++;
	return weir_poll(c->inner, cx);
}

static void counted_cancel(struct weir_future *future)
{
	weir_cancel(WEIR_CONTAINER_OF(future, struct counted, future)->inner);
}

static void counted_discard(struct weir_future *future)
{
	struct weir_future *inner = WEIR_CONTAINER_OF(future, struct counted, future)->inner;

	if (inner->ops->discard)
		inner->ops->discard(inner);
}

static const struct weir_future_ops counted_ops = { "counted", counted_poll, counted_cancel,
						    counted_discard };

/* A set with an idle branch, 0, and one more. */
struct pair {
	struct weir_select_set set;
	struct weir_branch branches[2];
	struct weir_sem sem;
	struct weir_sem_acquire_future wait;
	struct counted idle, other;
};

static void pair_open(struct pair *p)
{
	weir_sem_init(&p->sem, 0);
	weir_sem_acquire_init(&p->wait, &p->sem, 1);
	p->idle = (struct counted){ { &counted_ops }, &p->wait.future, 0 };
	p->other = (struct counted){ { &counted_ops }, NULL, 0 };
	ck_assert_int_eq(weir_select_set_init(&p->set, p->branches, 2), 0);
	ck_assert_int_eq(weir_select_set_arm(&p->set, 0, &p->idle.future), 0);
}

static void pair_arm(struct pair *p, struct weir_future *future)
{
	p->other.inner = future;
	ck_assert_int_eq(weir_select_set_arm(&p->set, 1, &p->other.future), 0);
}

static void pair_close(struct pair *p)
{
	ck_assert_int_eq(weir_select_set_finish(&p->set), 0);
	ck_assert_int_eq(p->branches[0].result, -ECANCELED);
	weir_sem_fini(&p->sem);
}

/* ---- every kind of leaf ------------------------------------------------------------------ */

static void deliver_one(void)
{
	struct futures futures;
	struct pair p;
	struct stage s;
	int rc;

	stage_open(&s);
	pair_open(&p);
	s.at = &futures;
	pair_arm(&p, leaf->set_up(&s));
	rc = weir_select_set_next_try(&p.set);
	if (rc == -EAGAIN) {
		leaf->finish(&s);
		rc = weir_select_set_next(&p.set);
	}
	ck_assert_msg(rc == 1, "%s: %d", leaf->name, rc);
	ck_assert_msg(p.branches[1].result == leaf->result, "%s: result %d", leaf->name,
		      p.branches[1].result);
	ck_assert_msg(p.idle.polls == 1, "%s: the idle one was polled %u times", leaf->name,
		      p.idle.polls);
	leaf->take_back(&s);
	pair_close(&p);
	stage_close(&s);
}

static int each_is_delivered_and_what_waits_is_left_alone(void *arg UNUSED)
{
	for (leaf = leaves; leaf < leaves + LEAVES; leaf++)
		if (leaf->result != -ECANCELED)
			deliver_one();
	return 0;
}

/* ---- a stackless task that is unwound, or returns, with a set ---------------------------- */

enum ending {
	ABORTED,
	ABORTED_READY,
	RETURNED,
	ENDINGS
};

static enum ending ending;

struct owner {
	struct stage *stage;
	bool begun;
	struct weir_select_set set;
	struct weir_branch branches[2];
	struct weir_sleep_future sleep;
	struct futures futures;
};

static int owner_poll(void *state, struct weir_cx *cx)
{
	struct owner *o = state;
	struct stage *s = o->stage;

	if (o->begun)
		return WEIR_PENDING;
	o->begun = true;
	s->at = &o->futures;
	weir_sleep_init(&o->sleep, weir_deadline_in(LONG));
	ck_assert_int_eq(weir_select_set_init(&o->set, o->branches, 2), 0);
	ck_assert_int_eq(weir_select_set_arm(&o->set, 0, &o->sleep.future), 0);
	ck_assert_int_eq(weir_select_set_arm(&o->set, 1, leaf->set_up(s)), 0);
	ck_assert_int_eq(weir_poll(&o->set.future, cx), WEIR_PENDING);
	set(&s->pending, 1);
	return ending == RETURNED ? 5 : WEIR_PENDING;
}

static void owner_fini(void *state)
{
	if (leaf->set_up == accept_one)
		weir_accept_fini(&((struct owner *)state)->futures.accept);
}

static void end_one(void)
{
	struct weir_task_config cfg = WEIR_TASK_CONFIG_INIT;
	struct owner o = { .stage = NULL };
	bool stubborn = leaf->how & STUBBORN;
	struct weir_task *task;
	struct stage s;
	int result;

	stage_open(&s);
	o.stage = &s;
	cfg.poll = owner_poll;
	cfg.fini = owner_fini;
	cfg.state = &o;
	cfg.state_bytes = sizeof o;
	ck_assert_int_eq(weir_task_spawn(NULL, &cfg, &task), 0);
	YIELD_UNTIL(get(&s.pending));
	if (ending == ABORTED_READY)
		leaf->finish(&s);
	if (ending != RETURNED)
		weir_task_abort(task);
	if (ending != ABORTED_READY && stubborn)
		leaf->finish(&s);
	ck_assert_int_eq(weir_task_join(task, &result), 0);
	ck_assert_int_eq(result, ending == RETURNED ? 5 : -ECANCELED);
	if (ending != ABORTED_READY && !stubborn)
		leaf->finish(&s);
	if (ending != ABORTED_READY)
		ck_assert_msg(leaf->there(&s), "%s, %d: lost", leaf->name, ending);
	else if (leaf->discarded && leaf->set_up != accept_one)
		ck_assert_msg(leaf->discarded(&s), "%s: not given back", leaf->name);
	stage_close(&s);
}

static int each_ends_with_its_stackless_task(void *arg UNUSED)
{
	for (leaf = leaves; leaf < leaves + LEAVES; leaf++)
		for (ending = 0; ending < ENDINGS; ending++)
			if (!(leaf->how & ALONE) && leaf->result != -ECANCELED &&
			    leaf->set_up != enabled)
				end_one();
	return 0;
}

/* ---- wakes from elsewhere ---------------------------------------------------------------- */

static void *send_from_a_thread(void *arg)
{
	char byte = 'x';

	for (int i = 0; i < ROUNDS; i++)
		while (weir_mpsc_send_try(arg, &byte) == -EAGAIN)
			sched_yield();
	weir_mpsc_unref(arg);
	return NULL;
}

static int send_from_a_task(void *arg)
{
	char byte = 'x';

	for (int i = 0; i < ROUNDS; i++)
		ck_assert_int_eq(weir_mpsc_send(arg, &byte), 0);
	weir_mpsc_unref(arg);
	return 0;
}

/* Receives until the channel is closed. Returns the number of messages. */
static unsigned receive_all(struct pair *p, struct weir_mpsc *mpsc)
{
	struct weir_mpsc_recv_future recv;
	unsigned got = 0;
	char byte;

	for (;; got++) {
		weir_mpsc_recv_init(&recv, mpsc, 1, &byte);
		pair_arm(p, &recv.future);
		ck_assert_int_eq(weir_select_set_next(&p->set), 1);
		if (p->branches[1].result <= 0)
			return got;
	}
}

static int no_wake_is_lost(void *arg UNUSED)
{
	struct weir_mpsc *mpsc;
	struct weir_task *task;
	pthread_t thread;
	struct pair p;

	pair_open(&p);
	ck_assert_int_eq(weir_mpsc_new(CAPACITY, 1, &mpsc), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, send_from_a_thread, weir_mpsc_ref(mpsc)),
			 0);
	ck_assert_int_eq(weir_spawn(send_from_a_task, mpsc, &task), 0);
	ck_assert_uint_eq(receive_all(&p, mpsc), 2 * ROUNDS);
	ck_assert_int_eq(weir_task_join(task, NULL), 0);
	pthread_join(thread, NULL);
	weir_mpsc_free(mpsc);
	weir_sem_release(&p.sem, 1);
	ck_assert_int_eq(weir_select_set_next(&p.set), 0);
	pair_close(&p);
	return 0;
}

/*
 * The set ends as soon as its last branch is ready, while the waking thread may still be in its
 * call.
 */
static void *release(void *arg)
{
	struct weir_sem *sem = arg;

	for (int i = 0; i < ROUNDS; i++)
		weir_sem_release(sem, 1);
	return NULL;
}

static int one_set(void *arg)
{
	struct weir_sem_acquire_future wait;
	struct weir_select_set set;
	struct weir_branch branch;

	weir_sem_acquire_init(&wait, arg, 1);
	ck_assert_int_eq(weir_select_set_init(&set, &branch, 1), 0);
	ck_assert_int_eq(weir_select_set_arm(&set, 0, &wait.future), 0);
	ck_assert_int_eq(weir_select_set_next(&set), 0);
	return branch.result;
}

static int a_set_may_go_when_its_last_branch_is_delivered(void *arg UNUSED)
{
	struct weir_sem sem;
	pthread_t thread;

	weir_sem_init(&sem, 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, release, &sem), 0);
	for (int i = 0; i < ROUNDS; i++)
		ck_assert_int_eq(one_set(&sem), 0);
	pthread_join(thread, NULL);
	weir_sem_fini(&sem);
	return 0;
}

/* A future that keeps a reference to its waker longer than the set exists. */
struct keeper {
	struct weir_future future;
	struct weir_waker waker;
	unsigned woken;
	bool cancelled;
};

static int keeper_poll(struct weir_future *future, struct weir_cx *cx)
{
	struct keeper *k = WEIR_CONTAINER_OF(future, struct keeper, future);

	if (get(&k->woken))
		return 3;
	if (k->cancelled)
		return -ECANCELED;
	if (!k->waker.ops)
		k->waker = weir_waker_ref(&cx->waker);
	return WEIR_PENDING;
}

static void keeper_cancel(struct weir_future *future)
{
	WEIR_CONTAINER_OF(future, struct keeper, future)->cancelled = true;
}

static const struct weir_future_ops keeper_ops = { "keeper", keeper_poll, keeper_cancel, NULL };

static void *wake_keeper(void *arg)
{
	struct keeper *k = arg;

	set(&k->woken, 1);
	weir_waker_wake(&k->waker);
	return NULL;
}

static int keep(void *arg)
{
	struct keeper *k = arg;
	pthread_t thread;
	struct pair p;

	pair_open(&p);
	pair_arm(&p, &k->future);
	ck_assert_int_eq(weir_select_set_next_try(&p.set), -EAGAIN);
	if (!k->cancelled) {
		ck_assert_int_eq(pthread_create(&thread, NULL, wake_keeper, k), 0);
		ck_assert_int_eq(weir_select_set_next(&p.set), 1);
		ck_assert_int_eq(p.branches[1].result, 3);
		pthread_join(thread, NULL);
	}
	ck_assert_uint_eq(p.idle.polls, 1);
	pair_close(&p);
	return 0;
}

static int a_cloned_waker_may_outlive_the_set(void *arg UNUSED)
{
	struct keeper k = { .future = { &keeper_ops } };
	struct weir_task *task;

	ck_assert_int_eq(weir_spawn(keep, &k, &task), 0);
	ck_assert_int_eq(weir_task_join(task, NULL), 0);
	weir_waker_wake(&k.waker);
	weir_waker_unref(&k.waker);
	return 0;
}

/* ---- sets in sets ------------------------------------------------------------------------ */

static int a_set_may_be_a_branch_of_a_set(void *arg UNUSED)
{
	struct futures futures;
	struct pair inner, outer;
	struct stage s;

	for (leaf = leaves; leaf < leaves + LEAVES; leaf++) {
		if (leaf->result == -ECANCELED)
			continue;
		stage_open(&s);
		s.at = &futures;
		pair_open(&inner);
		pair_open(&outer);
		pair_arm(&inner, leaf->set_up(&s));
		pair_arm(&outer, &inner.set.future);
		if (weir_select_set_next_try(&outer.set) == -EAGAIN) {
			leaf->finish(&s);
			ck_assert_int_eq(weir_select_set_next(&outer.set), 1);
		}
		ck_assert_int_eq(outer.branches[1].result, 1);
		ck_assert_int_eq(inner.branches[1].result, leaf->result);
		ck_assert_uint_eq(outer.idle.polls, 1);
		ck_assert_uint_eq(inner.idle.polls, 1);
		leaf->take_back(&s);
		pair_close(&inner);
		pair_close(&outer);
		stage_close(&s);
	}
	return 0;
}

/* ---- fairness ---------------------------------------------------------------------------- */

/* All branches are always ready, and the rounds of two sets alternate. Each set must be fair. */
static int each_set_takes_turns_by_itself(void *arg UNUSED)
{
	struct weir_sem_acquire_future waits[2][3];
	struct weir_branch branches[2][3];
	struct weir_select_set sets[2];
	struct weir_sem sem;

	weir_sem_init(&sem, 100);
	for (unsigned k = 0; k < 2; k++)
		ck_assert_int_eq(weir_select_set_init(&sets[k], branches[k], 3), 0);
	for (unsigned round = 0; round < 18; round++)
		for (unsigned k = 0, i; k < 2; k++) {
			for (i = 0; i < 3; i++) {
				if (branches[k][i].result == WEIR_PENDING)
					continue;
				weir_sem_acquire_init(&waits[k][i], &sem, 1);
				(void)weir_select_set_arm(&sets[k], i,
							  &waits[k][i].future);
			}
			ck_assert_int_eq(weir_select_set_next(&sets[k]), (int)round % 3);
		}
	for (unsigned k = 0; k < 2; k++)
		ck_assert_int_eq(weir_select_set_finish(&sets[k]), 0);
	weir_sem_fini(&sem);
	return 0;
}

/* The queue always has a message, but the byte on the pipe must get its turn. */
static int what_is_always_ready_leaves_others_their_turn(void *arg UNUSED)
{
	struct weir_mpsc_recv_future recv;
	struct weir_mpsc *mpsc;
	struct weir_select_set set;
	struct weir_branch branches[2];
	struct weir_op op;
	struct stage s;
	char byte = 'x';
	int rc;

	for (leaf = leaves; leaf->set_up != stream; leaf++)
		;
	stage_open(&s);
	ck_assert_int_eq(weir_mpsc_new(1, 1, &mpsc), 0);
	ck_assert_int_eq(weir_select_set_init(&set, branches, 2), 0);
	weir_op_init_recv(&op, weir_tcp_handle(s.near), &s.byte, 1, 0);
	ck_assert_int_eq(weir_select_set_arm(&set, 1, &op.future), 0);
	for (unsigned i = 0;; i++) {
		ck_assert_int_eq(weir_mpsc_send_try(mpsc, &byte), 0);
		weir_mpsc_recv_init(&recv, mpsc, 1, &byte);
		ck_assert_int_eq(weir_select_set_arm(&set, 0, &recv.future), 0);
		rc = weir_select_set_next(&set);
		if (rc != 0)
			break;
		ck_assert_int_eq(branches[0].result, 1);
		if (i == 10)
			stream_finish(&s);
	}
	ck_assert_int_eq(rc, 1);
	ck_assert_int_eq(branches[1].result, 1);
	ck_assert_int_eq(weir_select_set_finish(&set), 0);
	weir_mpsc_unref(mpsc);
	weir_mpsc_free(mpsc);
	stage_close(&s);
	return 0;
}

/* ---- the functions ----------------------------------------------------------------------- */

static int a_round_that_ends_leaves_its_branches_pending(void *arg UNUSED)
{
	struct pair p;

	pair_open(&p);
	ck_assert_int_eq(weir_select_set_next_until(&p.set, 0), -ETIMEDOUT);
	ck_assert_int_eq(weir_select_set_next_until(&p.set, weir_deadline_in(WEIR_MSEC)),
			 -ETIMEDOUT);
	weir_cancel(&p.set.future);
	ck_assert_int_eq(weir_select_set_next(&p.set), -ECANCELED);
	ck_assert_int_eq(p.branches[0].result, WEIR_PENDING);
	weir_sem_release(&p.sem, 1);
	ck_assert_int_eq(weir_select_set_next_until(&p.set, 0), 0);
	ck_assert_int_eq(p.branches[0].result, 0);
	ck_assert_int_eq(weir_select_set_next(&p.set), -ENOENT);
	pair_close(&p);
	return 0;
}

static int a_branch_that_is_cancelled_is_delivered(void *arg UNUSED)
{
	struct pair p;

	pair_open(&p);
	ck_assert_int_eq(weir_select_set_next_try(&p.set), -EAGAIN);
	weir_select_set_cancel(&p.set, 0);
	weir_select_set_cancel(&p.set, 1);
	weir_select_set_cancel(&p.set, 2);
	ck_assert_int_eq(weir_select_set_next(&p.set), 0);
	ck_assert_int_eq(p.branches[0].result, -ECANCELED);
	ck_assert_int_eq(weir_select_set_next_try(&p.set), -ENOENT);
	pair_close(&p);
	return 0;
}

static int what_completed_before_the_finish_is_there(void *arg UNUSED)
{
	struct pair p;

	pair_open(&p);
	ck_assert_int_eq(weir_select_set_next_try(&p.set), -EAGAIN);
	weir_sem_release(&p.sem, 1);
	ck_assert_int_eq(weir_select_set_finish(&p.set), 0);
	ck_assert_int_eq(p.branches[0].result, 0);
	ck_assert_int_eq(p.branches[1].result, -ECANCELED);
	pair_close(&p);
	return 0;
}

static int mistakes_are_answered(void *arg UNUSED)
{
	struct weir_branch branches[WEIR_SELECT_SET_MAX];
	struct weir_select_set set;
	struct pair p;

	ck_assert_int_eq(weir_select_set_init(&set, NULL, 1), -EINVAL);
	ck_assert_int_eq(weir_select_set_init(&set, branches, 0), -EINVAL);
	ck_assert_int_eq(weir_select_set_init(&set, branches, WEIR_SELECT_SET_MAX + 1), -EINVAL);
	ck_assert_int_eq(weir_select_set_init(&set, branches, WEIR_SELECT_SET_MAX), 0);
	ck_assert_int_eq(weir_select_set_next(&set), -ENOENT);
	ck_assert_int_eq(weir_select_set_finish(&set), 0);
	pair_open(&p);
	ck_assert_int_eq(weir_select_set_arm(&p.set, 0, &p.other.future), -EBUSY);
	ck_assert_int_eq(weir_select_set_arm(&p.set, 1, NULL), -EINVAL);
	ck_assert_int_eq(weir_select_set_arm(&p.set, 2, &p.other.future), -EINVAL);
	pair_close(&p);
	return 0;
}

START_TEST(test_outside_a_task_it_is_refused)
{
	struct pair p;

	pair_open(&p);
	ck_assert_int_eq(weir_select_set_next(&p.set), -EPERM);
	ck_assert_int_eq(weir_select_set_next_try(&p.set), -EPERM);
	ck_assert_int_eq(weir_select_set_finish(&p.set), -EPERM);
	ck_assert_int_eq(weir_block_on(&p.set.future, WEIR_FOREVER), -EPERM);
	weir_sem_fini(&p.sem);
}
END_TEST

ON_PLACES(each_is_delivered_and_what_waits_is_left_alone)
ON_PLACES(each_ends_with_its_stackless_task)
ON_PLACES(no_wake_is_lost)
ON_PLACES(a_set_may_go_when_its_last_branch_is_delivered)
ON_PLACES(a_cloned_waker_may_outlive_the_set)
ON_PLACES(a_set_may_be_a_branch_of_a_set)
ON_PLACES(each_set_takes_turns_by_itself)
ON_PLACES(what_is_always_ready_leaves_others_their_turn)
ON_PLACES(a_round_that_ends_leaves_its_branches_pending)
ON_PLACES(a_branch_that_is_cancelled_is_delivered)
ON_PLACES(what_completed_before_the_finish_is_there)
ON_PLACES(mistakes_are_answered)

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(test_each_is_delivered_and_what_waits_is_left_alone, .rounds = PLACES),
		TESTING(test_each_ends_with_its_stackless_task, .rounds = PLACES),
		TESTING(test_no_wake_is_lost, .rounds = PLACES),
		TESTING(test_a_set_may_go_when_its_last_branch_is_delivered, .rounds = PLACES),
		TESTING(test_a_cloned_waker_may_outlive_the_set, .rounds = PLACES),
		TESTING(test_a_set_may_be_a_branch_of_a_set, .rounds = PLACES),
		TESTING(test_each_set_takes_turns_by_itself, .rounds = PLACES),
		TESTING(test_what_is_always_ready_leaves_others_their_turn, .rounds = PLACES),
		TESTING(test_a_round_that_ends_leaves_its_branches_pending, .rounds = PLACES),
		TESTING(test_a_branch_that_is_cancelled_is_delivered, .rounds = PLACES),
		TESTING(test_what_completed_before_the_finish_is_there, .rounds = PLACES),
		TESTING(test_mistakes_are_answered, .rounds = PLACES),
		TESTING(test_outside_a_task_it_is_refused),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
