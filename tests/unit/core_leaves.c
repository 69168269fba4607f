/* SPDX-License-Identifier: MIT */
/*
 * core_leaves.c: rules for every leaf future, from a table of leaves and one of situations, on each
 * backend, with the current-thread scheduler and with one and two workers. A leaf calls the waker
 * with which it was polled. A leaf that is cancelled, started or not, leaves nothing behind. If a
 * leaf has won (a permit, say) when its task is unwound, the next waiter gets that.
 */
#include "tests/unit/leaves.h"

/* ---- a waker between the leaf and its task ----------------------------------------------- */

/* A waker that counts its references, because its memory is freed with the last. */
struct between {
	struct weir_waker parent;
	unsigned holders, wakes, woken;	/* atomic */
};

static void between_ref(void *data)
{
	add(&((struct between *)data)->holders, 1);
}

static void between_wake(void *data)
{
	struct between *b = data;

	add(&b->wakes, 1);
	set(&b->woken, 1);
	weir_waker_wake(&b->parent);
}

static void between_unref(void *data)
{
	add(&((struct between *)data)->holders, (unsigned)-1);
}

static const struct weir_waker_ops between_ops = { between_ref, between_wake, between_unref };

struct watcher {
	struct stage *stage;
	struct between *between;
	struct weir_future *future;
	unsigned *polls;
	struct futures futures;
};

/* Polls the leaf only after the waker in between was called. */
static int watch(void *state, struct weir_cx *cx)
{
	struct watcher *w = state;
	struct weir_cx sub = { { &between_ops, w->between }, cx->task, cx->worker };
	struct stage *s = w->stage;
	int rc;

	if (!w->future) {
		s->at = &w->futures;
		w->future = leaf->set_up(s);
		w->between->parent = weir_waker_ref(&cx->waker);
	} else if (!__atomic_exchange_n(&w->between->woken, 0, __ATOMIC_ACQ_REL)) {
		return WEIR_PENDING;
	}
	++*w->polls;
	rc = weir_poll(w->future, &sub);
	if (rc != WEIR_PENDING)
		return rc;
	if (!get(&s->pending) && (leaf->how & IN_TASK))
		leaf->finish(s);
	set(&s->pending, 1);
	return WEIR_PENDING;
}

static int spawn_watcher(struct watcher *w)
{
	struct weir_task_config cfg = WEIR_TASK_CONFIG_INIT;
	struct weir_task *task;
	int result = 1;

	cfg.poll = watch;
	cfg.state = w;
	cfg.state_bytes = sizeof *w;
	ck_assert_int_eq(weir_task_spawn(NULL, &cfg, &task), 0);
	YIELD_UNTIL(get(&w->stage->pending));
	if (!(leaf->how & IN_TASK))
		leaf->finish(w->stage);
	ck_assert_int_eq(weir_task_join(task, &result), 0);
	return result;
}

static int each_calls_the_waker_it_was_given(void *arg UNUSED)
{
	struct between between;
	struct stage s;
	unsigned polls;
	int rc;

	for (leaf = leaves; leaf < leaves + LEAVES; leaf++) {
		if (leaf->result == -ECANCELED)
			continue;
		stage_open(&s);
		between = (struct between){ .holders = 0 };
		polls = 0;
		rc = spawn_watcher(
			&(struct watcher){ .stage = &s, .between = &between, .polls = &polls });
		ck_assert_msg(rc == leaf->result, "%s: %d", leaf->name, rc);
		ck_assert_msg(get(&between.wakes) >= polls - 1, "%s: %u polls, %u wakes",
			      leaf->name, polls, get(&between.wakes));
		ck_assert_msg(leaf->set_up != spend || polls > 3, "%s: %u polls", leaf->name,
			      polls);
		YIELD_UNTIL(get(&between.holders) == 0);
		weir_waker_unref(&between.parent);
		leaf->take_back(&s);
		stage_close(&s);
	}
	return 0;
}

/* Polls a yield with a waker in between, and then finishes in the same poll. */
static int yield_and_finish(void *state, struct weir_cx *cx)
{
	struct between *b = *(struct between **)state;
	struct weir_cx sub = { { &between_ops, b }, cx->task, cx->worker };
	struct weir_yield_future yield;

	b->parent = weir_waker_ref(&cx->waker);
	weir_yield_init(&yield);
	ck_assert_int_eq(weir_poll(&yield.future, &sub), WEIR_PENDING);
	ck_assert_uint_eq(get(&b->wakes), 0);
	return 0;
}

static int a_yield_calls_its_waker_when_its_task_ends_first(void *arg UNUSED)
{
	struct between between = { .holders = 0 }, *b = &between;
	struct weir_task_config cfg = WEIR_TASK_CONFIG_INIT;
	struct weir_task *task;

	cfg.poll = yield_and_finish;
	cfg.state = &b;
	cfg.state_bytes = sizeof b;
	ck_assert_int_eq(weir_task_spawn(NULL, &cfg, &task), 0);
	ck_assert_int_eq(weir_task_join(task, NULL), 0);
	ck_assert_uint_eq(get(&between.wakes), 1);
	ck_assert_uint_eq(get(&between.holders), 0);
	weir_waker_unref(&between.parent);
	return 0;
}

/* ---- cancelled on a fiber ---------------------------------------------------------------- */

/* A future that polls another one once and then finishes. */
struct once {
	struct weir_future future;
	struct weir_future *other;
	int rc;
};

static int once_poll(struct weir_future *future, struct weir_cx *cx)
{
	struct once *once = WEIR_CONTAINER_OF(future, struct once, future);

	once->rc = weir_poll(once->other, cx);
	return 0;
}

static const struct weir_future_ops once_ops = { "once", once_poll, NULL, NULL };

static int await_aborted(struct weir_future *future)
{
	weir_task_abort(weir_task_current());
	return weir_await(future);
}

static int await_until_aborted(struct weir_future *future)
{
	weir_task_abort(weir_task_current());
	return weir_await_until(future, weir_deadline_in(LONG));
}

static int finish_aborted(struct weir_future *future)
{
	weir_task_abort(weir_task_current());
	return weir_finish(future);
}

static int cancel_and_await(struct weir_future *future)
{
	weir_cancel(future);
	return weir_await(future);
}

static int ready_poll(struct weir_future *future, struct weir_cx *cx)
{
	(void)future;
	(void)cx;
	return 0;
}

static const struct weir_future_ops ready_ops = { "ready", ready_poll, NULL, NULL };

static int lose(struct weir_future *future)
{
	struct weir_future ready = { &ready_ops };
	struct weir_future *futures[2] = { &ready, future };
	struct weir_select_future select;
	int results[2];

	weir_select_init(&select, futures, results, 2);
	ck_assert_int_eq(weir_await(&select.future), 0);
	return results[1];
}

static int lose_aborted(struct weir_future *future)
{
	struct weir_select_future select;
	int result;

	weir_select_init(&select, &future, &result, 1);
	weir_task_abort(weir_task_current());
	(void)weir_await(&select.future);
	return result;
}

static int join_aborted(struct weir_future *future)
{
	struct weir_join_all_future all;
	int result;

	weir_join_all_init(&all, &future, &result, 1);
	weir_task_abort(weir_task_current());
	(void)weir_await(&all.future);
	return result;
}

/* Ends a select set, with or without a round that starts the leaf. */
static int end_set(struct weir_future *future, bool round)
{
	struct weir_branch branch;
	struct weir_select_set set;

	ck_assert_int_eq(weir_select_set_init(&set, &branch, 1), 0);
	ck_assert_int_eq(weir_select_set_arm(&set, 0, future), 0);
	if (round && !(leaf->how & STUBBORN) && weir_select_set_next_try(&set) == 0)
		return branch.result;
	ck_assert_int_eq(weir_select_set_finish(&set), 0);
	return branch.result;
}

static int finish_set(struct weir_future *future)
{
	return end_set(future, false);
}

static int finish_set_after_a_round(struct weir_future *future)
{
	return end_set(future, true);
}

static int finish_set_aborted(struct weir_future *future)
{
	weir_task_abort(weir_task_current());
	return end_set(future, true);
}

static const struct {
	const char *name;
	int (*give_up)(struct weir_future *future);
} ways[] = {
	{ "finished", weir_finish },
	{ "finished in an aborted task", finish_aborted },
	{ "cancelled and awaited", cancel_and_await },
	{ "awaited in an aborted task", await_aborted },
	{ "awaited up to a deadline in an aborted task", await_until_aborted },
	{ "lost in a select that was won at once", lose },
	{ "in a select in an aborted task", lose_aborted },
	{ "in a join_all in an aborted task", join_aborted },
	{ "in a select set", finish_set },
	{ "in a select set that had a round", finish_set_after_a_round },
	{ "in a select set in an aborted task", finish_set_aborted },
};
#define WAYS (sizeof ways / sizeof ways[0])

static int (*give_up)(struct weir_future *future);

enum begun {
	NOT_STARTED,
	STARTED,
	READY,
	BEGINNINGS
};

static enum begun begun;

static void begin(struct stage *s, struct weir_future *future)
{
	struct once once = { { &once_ops }, future, WEIR_PENDING };

	if (begun != NOT_STARTED && leaf->set_up != enabled)
		ck_assert_int_eq(weir_await(&once.future), 0);
	ck_assert_int_eq(once.rc, WEIR_PENDING);
	if (begun == READY || (begun == STARTED && (leaf->how & STUBBORN)))
		leaf->finish(s);
}

/* Runs on a fiber whose stack is reused afterwards, so that late writes to the leaf are found. */
static int giver_up(void *arg)
{
	struct futures futures;
	struct weir_future *future;
	struct stage *s = arg;

	s->at = &futures;
	future = leaf->set_up(s);
	begin(s, future);
	return give_up(future);
}

static int scribble(void *arg)
{
	volatile char junk[8192];

	for (size_t i = 0; i < sizeof junk; i++)
		junk[i] = (char)0xa5;
	(void)arg;
	return junk[17] ? 0 : 1;
}

static void run(int (*fn)(void *), void *arg, int *ret_result)
{
	struct weir_task *task;

	ck_assert_int_eq(weir_spawn(fn, arg, &task), 0);
	ck_assert_int_eq(weir_task_join(task, ret_result), 0);
}

static void give_one_up(const char *way)
{
	struct stage s;
	bool finished;
	int rc = 1;

	stage_open(&s);
	run(giver_up, &s, &rc);
	run(scribble, NULL, NULL);
	finished = begun == READY || (begun == STARTED && (leaf->how & STUBBORN));
	ck_assert_msg(rc == -ECANCELED || (finished && rc == leaf->result), "%s, %s, %d: %d",
		      leaf->name, way, begun, rc);
	if (!finished)
		leaf->finish(&s);
	if (rc < 0)
		ck_assert_msg(leaf->there(&s), "%s, %s, %d: lost", leaf->name, way, begun);
	else
		leaf->take_back(&s);
	stage_close(&s);
}

static int each_can_be_given_up(void *arg UNUSED)
{
	for (leaf = leaves; leaf < leaves + LEAVES; leaf++)
		for (unsigned way = 0; way < WAYS && !(leaf->how & ALONE); way++)
			for (begun = NOT_STARTED; begun < BEGINNINGS; begun++) {
				give_up = ways[way].give_up;
				give_one_up(ways[way].name);
			}
	return 0;
}

/* ---- leaves that have won when their task is unwound ------------------------------------- */

enum shape {
	SELECT,
	JOIN_ALL,
	JOIN_ALL_IN_SELECT,
	JOIN_ALL_AND_RETURN,
	SHAPES
};

static enum shape shape;

/* A leaf that has its result, next to a future that takes several polls to cancel. */
struct gatherer {
	struct stage *stage;
	struct weir_future *whole;
	struct weir_blocking_future slow;
	struct weir_sleep_future never;
	struct weir_select_future select;
	struct weir_join_all_future all;
	struct weir_future *inner[2], *outer[2];
	int results[2], outer_results[2];
	struct futures futures;
	int *ret_result;
};

static int slow_job(void *arg)
{
	struct stage *s = arg;

	set(&s->running, 1);
	event_wait(&s->slow, 1);
	return 0;
}

static void gather(struct gatherer *g)
{
	struct stage *s = g->stage;

	s->at = &g->futures;
	g->inner[0] = leaf->set_up(s);
	weir_blocking_init(&g->slow, slow_job, s);
	g->inner[1] = &g->slow.future;
	if (shape == SELECT) {
		weir_select_init(&g->select, g->inner, g->results, 2);
		g->whole = &g->select.future;
		return;
	}
	weir_join_all_init(&g->all, g->inner, g->results, 2);
	g->whole = &g->all.future;
	if (shape != JOIN_ALL_IN_SELECT)
		return;
	weir_sleep_init(&g->never, weir_deadline_in(LONG));
	g->outer[0] = &g->all.future;
	g->outer[1] = &g->never.future;
	weir_select_init(&g->select, g->outer, g->outer_results, 2);
	g->whole = &g->select.future;
}

static int gather_poll(void *state, struct weir_cx *cx)
{
	struct gatherer *g = state;
	int rc;

	if (!g->whole)
		gather(g);
	rc = weir_poll(g->whole, cx);
	ck_assert_int_eq(rc, WEIR_PENDING);
	set(&g->stage->pending, 1);
	if (g->results[0] == WEIR_PENDING)
		return rc;
	set(&g->stage->won, 1);
	return shape == JOIN_ALL_AND_RETURN ? 5 : rc;
}

static void gather_fini(void *state)
{
	struct gatherer *g = state;

	*g->ret_result = g->results[0];
	if (leaf->set_up == accept_one)
		weir_accept_fini(&g->futures.accept);
	/* The program may discard the result itself; then nothing is left to discard. */
	if (g->whole->ops->discard)
		g->whole->ops->discard(g->whole);
}

static void unwind_one(void)
{
	struct weir_task_config cfg = WEIR_TASK_CONFIG_INIT;
	struct gatherer g = { .stage = NULL };
	struct weir_task *task;
	struct stage s;
	int result, left = 1;

	stage_open(&s);
	g.stage = &s;
	g.ret_result = &left;
	cfg.poll = gather_poll;
	cfg.fini = gather_fini;
	cfg.state = &g;
	cfg.state_bytes = sizeof g;
	ck_assert_int_eq(weir_task_spawn(NULL, &cfg, &task), 0);
	YIELD_UNTIL(get(&s.pending) && get(&s.running));
	leaf->finish(&s);
	YIELD_UNTIL(get(&s.won));
	if (shape != JOIN_ALL_AND_RETURN)
		weir_task_abort(task);
	event_raise(&s.slow);
	ck_assert_int_eq(weir_task_join(task, &result), 0);
	ck_assert_int_eq(result, shape == JOIN_ALL_AND_RETURN ? 5 : -ECANCELED);
	ck_assert_msg(left == (leaf->discarded ? -ECANCELED : leaf->result), "%s, %d: fini sees %d",
		      leaf->name, shape, left);
	if (leaf->discarded)
		ck_assert_msg(leaf->discarded(&s), "%s, %d: lost", leaf->name, shape);
	stage_close(&s);
}

static int each_has_an_owner_when_its_task_is_unwound(void *arg UNUSED)
{
	for (leaf = leaves; leaf < leaves + LEAVES; leaf++)
		for (shape = 0; shape < SHAPES; shape++)
			if (!(leaf->how & ALONE) && leaf->result != -ECANCELED)
				unwind_one();
	return 0;
}

/* ---- a stackless task that has only enabled its wait ------------------------------------- */

static int enable_only(void *state, struct weir_cx *cx)
{
	struct stage *s = *(struct stage **)state;

	s->at = (struct futures *)((struct stage **)state + 2);
	(void)cx;
	enabled(s);
	return get(&s->won) ? 0 : WEIR_PENDING;
}

/* won: the task returns at once; otherwise it is aborted. */
static void end_enabled_wait(bool won, bool notified_before)
{
	struct {
		struct stage *s;
		void *align;
		struct futures at;
	} state = { .s = NULL };
	struct weir_task_config cfg = WEIR_TASK_CONFIG_INIT;
	struct weir_task *task;
	struct stage s;

	stage_open(&s);
	state.s = &s;
	set(&s.won, won);
	cfg.poll = enable_only;
	cfg.state = &state;
	cfg.state_bytes = sizeof state;
	ck_assert_int_eq(weir_task_spawn(NULL, &cfg, &task), 0);
	YIELD_UNTIL(won || s.notify.queue.head);
	if (notified_before)
		weir_notify_one(&s.notify);
	weir_task_abort(task);
	ck_assert_int_eq(weir_task_join(task, NULL), 0);
	ck_assert_ptr_null(s.notify.queue.head);
	if (!notified_before)
		weir_notify_one(&s.notify);
	ck_assert(permit_there(&s));
	stage_close(&s);
}

static int an_enabled_wait_ends_with_its_stackless_task(void *arg UNUSED)
{
	leaf = leaves;
	end_enabled_wait(true, false);
	end_enabled_wait(false, false);
	end_enabled_wait(false, true);
	return 0;
}

/* ---- the tests, on each backend and scheduler -------------------------------------------- */

ON_PLACES(each_calls_the_waker_it_was_given)
ON_PLACES(a_yield_calls_its_waker_when_its_task_ends_first)
ON_PLACES(each_can_be_given_up)
ON_PLACES(each_has_an_owner_when_its_task_is_unwound)
ON_PLACES(an_enabled_wait_ends_with_its_stackless_task)

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(test_each_calls_the_waker_it_was_given, .rounds = PLACES),
		TESTING(test_a_yield_calls_its_waker_when_its_task_ends_first, .rounds = PLACES),
		TESTING(test_each_can_be_given_up, .rounds = PLACES),
		TESTING(test_each_has_an_owner_when_its_task_is_unwound, .rounds = PLACES),
		TESTING(test_an_enabled_wait_ends_with_its_stackless_task, .rounds = PLACES),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
