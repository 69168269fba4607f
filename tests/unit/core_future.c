/* SPDX-License-Identifier: MIT */
/*
 * core_future.c: select and join-all, first over scripted futures that are polled by hand, then
 * over real ones on each kind of runtime; and awaiting on plain threads.
 */
#include <fcntl.h>
#include <unistd.h>

#include "tests/unit/runtimes.h"
#include "tests/unit/sync_waker.h"

#define LONG (3600 * WEIR_SEC)

/* ---- futures that follow a script -------------------------------------------------------- */

struct script {
	struct weir_future future;
	int ready_at;			/* the poll that returns the result, from 1; 0: never */
	int result;
	int lets_go_at;			/* the poll after a cancel that finishes, from 1 */
	int cancelled_result;
	int polls, cancels, discards, polls_after_cancel;
	bool finished;
};

static int script_poll(struct weir_future *future, struct weir_cx *cx)
{
	struct script *s = WEIR_CONTAINER_OF(future, struct script, future);

	ck_assert_msg(!s->finished, "polled after its result");
	s->polls++;
	weir_waker_wake(&cx->waker);
	if (s->cancels && ++s->polls_after_cancel >= s->lets_go_at) {
		s->finished = true;
		return s->cancelled_result;
	}
	s->finished = s->ready_at && s->polls >= s->ready_at;
	return s->finished ? s->result : WEIR_PENDING;
}

static void script_cancel(struct weir_future *future)
{
	WEIR_CONTAINER_OF(future, struct script, future)->cancels++;
}

static void script_discard(struct weir_future *future)
{
	WEIR_CONTAINER_OF(future, struct script, future)->discards++;
}

static const struct weir_future_ops script_ops = { "script", script_poll, script_cancel,
						   script_discard };

static struct script scripts[4];
static struct weir_future *futures[4];
static int results[4];
static struct weir_select_future sel;
static struct weir_join_all_future all;
static struct hand hand;

static struct script *script(unsigned i, int ready_at, int result)
{
	scripts[i] = (struct script){ .future = { &script_ops },
				      .ready_at = ready_at,
				      .result = result,
				      .lets_go_at = 1,
				      .cancelled_result = -ECANCELED };
	futures[i] = &scripts[i].future;
	return &scripts[i];
}

static int poll_select(void)
{
	return hand_poll(&hand, &sel.future);
}

START_TEST(the_lowest_that_is_ready_wins)
{
	script(0, 0, 0);
	script(1, 1, 11);
	script(2, 1, 22);
	weir_select_init(&sel, futures, results, 3);
	ck_assert_int_eq(poll_select(), 1);
	ck_assert_int_eq(results[1], 11);
	ck_assert_int_eq(results[0], -ECANCELED);
	ck_assert_int_eq(scripts[0].cancels, 1);
	/* A future after the winner is cancelled before it is polled. */
	ck_assert_int_eq(results[2], -ECANCELED);
	ck_assert_int_eq(scripts[2].cancels, 1);
	ck_assert_int_eq(scripts[2].polls_after_cancel, scripts[2].polls);
}
END_TEST

START_TEST(losers_are_waited_for)
{
	script(0, 0, 0)->lets_go_at = 3;
	script(1, 2, -ENOENT);
	script(2, 0, 0)->lets_go_at = 2;
	weir_select_init(&sel, futures, results, 3);
	ck_assert_int_eq(poll_select(), WEIR_PENDING);
	ck_assert_int_eq(poll_select(), WEIR_PENDING);
	ck_assert_int_eq(results[1], -ENOENT);
	ck_assert_int_eq(poll_select(), WEIR_PENDING);
	ck_assert_int_eq(poll_select(), 1);
	ck_assert(scripts[0].finished && scripts[2].finished);
	ck_assert_int_eq(scripts[0].cancels, 1);
}
END_TEST

START_TEST(a_loser_that_completed_keeps_its_result)
{
	script(0, 0, 0)->cancelled_result = 5;
	script(1, 1, 6);
	weir_select_init(&sel, futures, results, 2);
	ck_assert_int_eq(poll_select(), 1);
	ck_assert_int_eq(results[0], 5);
	ck_assert_int_eq(results[1], 6);
	sel.future.ops->discard(&sel.future);
	ck_assert_int_eq(scripts[0].discards, 1);
	ck_assert_int_eq(scripts[1].discards, 1);
}
END_TEST

START_TEST(a_select_over_nothing_is_refused)
{
	weir_select_init(&sel, futures, results, 0);
	ck_assert_int_eq(poll_select(), -EINVAL);
}
END_TEST

START_TEST(a_fair_select_serves_all)
{
	unsigned wins[3] = { 0, 0, 0 };
	int i, winner;

	for (i = 0; i < 300; i++) {
		script(0, 1, 0);
		script(1, 1, 1);
		script(2, 1, 2);
		weir_select_init(&sel, futures, results, 3);
		sel.fair = true;
		winner = poll_select();
		ck_assert_int_ge(winner, 0);
		ck_assert_int_eq(results[winner], winner);
		wins[winner]++;
	}
	for (i = 0; i < 3; i++)
		ck_assert_uint_ge(wins[i], 50);
}
END_TEST

/* Several selects on one thread alternate. Each must be fair by itself. */
START_TEST(fair_selects_that_take_turns_are_fair_each)
{
	for (unsigned selects = 2; selects <= 4; selects++)
		for (unsigned count = 2; count <= 4; count++) {
			unsigned wins[4][4] = { { 0 } };

			for (unsigned i = 0; i < 1000 * selects; i++) {
				for (unsigned f = 0; f < count; f++)
					script(f, 1, (int)f);
				weir_select_init(&sel, futures, results, count);
				sel.fair = true;
				wins[i % selects][poll_select()]++;
			}
			for (unsigned s = 0; s < selects; s++)
				for (unsigned f = 0; f < count; f++)
					ck_assert_uint_ge(wins[s][f], 1000 / count / 2);
		}
}
END_TEST

START_TEST(a_cancelled_select_ends_cancelled)
{
	script(0, 0, 0)->lets_go_at = 3;
	script(1, 0, 0);
	weir_select_init(&sel, futures, results, 2);
	ck_assert_int_eq(poll_select(), WEIR_PENDING);
	weir_cancel(&sel.future);
	weir_cancel(&sel.future);
	ck_assert_int_eq(poll_select(), WEIR_PENDING);
	ck_assert_int_eq(poll_select(), -ECANCELED);
	ck_assert_int_eq(results[0], -ECANCELED);
	ck_assert_int_eq(results[1], -ECANCELED);
}
END_TEST

START_TEST(a_cancelled_select_reports_what_completed)
{
	script(0, 0, 0);
	script(1, 0, 0)->cancelled_result = 33;
	weir_select_init(&sel, futures, results, 2);
	ck_assert_int_eq(poll_select(), WEIR_PENDING);
	weir_cancel(&sel.future);
	ck_assert_int_eq(poll_select(), 1);
	ck_assert_int_eq(results[1], 33);
	ck_assert_int_eq(results[0], -ECANCELED);
}
END_TEST

START_TEST(a_select_cancelled_unstarted_starts_nothing)
{
	struct weir_sleep_future sleeps[2];
	unsigned i;

	for (i = 0; i < 2; i++) {
		weir_sleep_init(&sleeps[i], WEIR_FOREVER);
		futures[i] = &sleeps[i].future;
	}
	weir_select_init(&sel, futures, results, 2);
	weir_cancel(&sel.future);
	ck_assert_int_eq(poll_select(), -ECANCELED);
}
END_TEST

START_TEST(join_all_waits_for_all)
{
	script(0, 2, 10);
	script(1, 1, -EIO);
	script(2, 3, 30);
	weir_join_all_init(&all, futures, results, 3);
	ck_assert_int_eq(hand_poll(&hand, &all.future), WEIR_PENDING);
	ck_assert_int_eq(results[1], -EIO);
	ck_assert_int_eq(results[0], WEIR_PENDING);
	ck_assert_int_eq(hand_poll(&hand, &all.future), WEIR_PENDING);
	ck_assert_int_eq(hand_poll(&hand, &all.future), 0);
	ck_assert_int_eq(results[0], 10);
	ck_assert_int_eq(results[2], 30);
	all.future.ops->discard(&all.future);
	ck_assert_int_eq(scripts[0].discards + scripts[1].discards + scripts[2].discards, 2);
	weir_join_all_init(&all, futures, results, 0);
	ck_assert_int_eq(hand_poll(&hand, &all.future), 0);
}
END_TEST

START_TEST(a_cancelled_join_all_keeps_what_it_has)
{
	script(0, 1, 10);
	script(1, 0, 0)->lets_go_at = 2;
	weir_join_all_init(&all, futures, results, 2);
	ck_assert_int_eq(hand_poll(&hand, &all.future), WEIR_PENDING);
	weir_cancel(&all.future);
	ck_assert_int_eq(hand_poll(&hand, &all.future), WEIR_PENDING);
	ck_assert_int_eq(hand_poll(&hand, &all.future), -ECANCELED);
	ck_assert_int_eq(results[0], 10);
	ck_assert_int_eq(results[1], -ECANCELED);
	ck_assert_int_eq(scripts[0].cancels, 0);
}
END_TEST

/* ---- real futures ------------------------------------------------------------------------ */

/* A select between a semaphore, a pipe, a sleep and a blocking call. */
struct choice {
	struct weir_sem sem;
	struct weir_sem_acquire_future lock;
	struct weir_fd *fd;
	struct weir_op op;
	struct weir_sleep_future sleep;
	int fds[2];
	struct weir_future *futures[3];
	int results[3];
};

static void choice_open(struct choice *c)
{
	weir_sem_init(&c->sem, 0);
	ck_assert_int_eq(pipe2(c->fds, O_NONBLOCK | O_CLOEXEC), 0);
	ck_assert_int_eq(weir_fd_open(c->fds[0], &c->fd), 0);
}

static void choice_init(struct choice *c, uint64_t delay_ns)
{
	weir_sem_acquire_init(&c->lock, &c->sem, 1);
	weir_op_init_poll(&c->op, weir_fd_handle(c->fd), WEIR_READABLE);
	weir_sleep_init(&c->sleep, weir_deadline_in(delay_ns));
	c->futures[0] = &c->lock.future;
	c->futures[1] = &c->op.future;
	c->futures[2] = &c->sleep.future;
}

static void choice_close(struct choice *c)
{
	weir_fd_close(c->fd);
	close(c->fds[0]);
	close(c->fds[1]);
	weir_sem_fini(&c->sem);
}

static int choose(struct choice *c, uint64_t delay_ns, uint64_t deadline)
{
	struct weir_select_future select;

	choice_init(c, delay_ns);
	weir_select_init(&select, c->futures, c->results, 3);
	return weir_await_until(&select.future, deadline);
}

static int release_later(void *arg)
{
	weir_yield();
	weir_sem_release(arg, 1);
	return 0;
}

static int write_later(void *arg)
{
	weir_yield();
	ck_assert_int_eq(write(*(int *)arg, "x", 1), 1);
	return 0;
}

ON_EACH(whichever_comes_first)
{
	struct choice c;
	char byte;
	int i;

	choice_open(&c);
	for (i = 0; i < 50; i++) {
		ck_assert_int_eq(choose(&c, WEIR_MSEC, WEIR_FOREVER), 2);
		ck_assert_int_eq(c.results[2], 0);
		ck_assert_int_eq(c.results[0], -ECANCELED);
		ck_assert_int_eq(c.results[1], -ECANCELED);
		ck_assert_int_eq(weir_spawn(release_later, &c.sem, NULL), 0);
		ck_assert_int_eq(choose(&c, LONG, WEIR_FOREVER), 0);
		ck_assert_int_eq(weir_spawn(write_later, &c.fds[1], NULL), 0);
		ck_assert_int_eq(choose(&c, LONG, WEIR_FOREVER), 1);
		ck_assert_int_eq(c.results[1], WEIR_READABLE);
		ck_assert_int_eq(read(c.fds[0], &byte, 1), 1);
		ck_assert_int_eq(choose(&c, LONG, weir_deadline_in(WEIR_MSEC)), -ETIMEDOUT);
		ck_assert_int_eq(c.results[2], -ECANCELED);
	}
	ck_assert_int_eq(weir_sem_acquire_try(&c.sem, 1), -EAGAIN);
	choice_close(&c);
	return 0;
}

static int choose_for_ever(void *arg)
{
	return choose(arg, LONG, WEIR_FOREVER);
}

struct chooser {
	struct choice *c;
	struct weir_select_future select;
	bool started;
};

static int choose_poll(void *state, struct weir_cx *cx)
{
	struct chooser *s = state;

	if (!s->started) {
		s->started = true;
		choice_init(s->c, LONG);
		weir_select_init(&s->select, s->c->futures, s->c->results, 3);
	}
	return weir_poll(&s->select.future, cx);
}

ON_EACH(an_aborted_task_leaves_its_select)
{
	struct weir_task_config cfg = WEIR_TASK_CONFIG_INIT;
	struct weir_task *task;
	struct chooser chooser;
	struct choice c;
	int i, result;

	choice_open(&c);
	for (i = 0; i < 100; i++) {
		chooser = (struct chooser){ .c = &c };
		cfg.fn = i % 2 ? choose_for_ever : NULL;
		cfg.arg = i % 2 ? &c : NULL;
		cfg.poll = i % 2 ? NULL : choose_poll;
		cfg.state = i % 2 ? NULL : &chooser;
		cfg.state_bytes = i % 2 ? 0 : sizeof chooser;
		ck_assert_int_eq(weir_task_spawn(NULL, &cfg, &task), 0);
		if (i % 3)
			weir_yield();
		weir_task_abort(task);
		ck_assert_int_eq(weir_task_join(task, &result), 0);
		ck_assert_int_eq(result, -ECANCELED);
	}
	/* The cancelled acquire does not wait any more, so the permit stays. */
	weir_sem_release(&c.sem, 1);
	ck_assert_int_eq(weir_sem_acquire_try(&c.sem, 1), 0);
	choice_close(&c);
	return 0;
}

/* Acquires whose deadline is due when a permit comes: no permit may get lost. */
struct shop {
	struct weir_sem sem;
	unsigned served, gone;
};

static int customer(void *arg)
{
	struct shop *shop = arg;
	struct weir_sem_acquire_future lock;
	struct weir_sleep_future sleep;
	struct weir_future *either[2] = { &lock.future, &sleep.future };
	struct weir_select_future select;
	int rc[2], i;

	for (i = 0; i < 40; i++) {
		weir_sem_acquire_init(&lock, &shop->sem, 1);
		weir_sleep_init(&sleep, weir_deadline_in(WEIR_MSEC));
		weir_select_init(&select, either, rc, 2);
		ck_assert_int_ge(weir_await(&select.future), 0);
		if (rc[0] == 0) {
			weir_yield();
			weir_sem_release(&shop->sem, 1);
			add(&shop->served, 1);
		}
	}
	add(&shop->gone, 1);
	return 0;
}

ON_EACH(no_permit_is_lost_to_a_select)
{
	struct shop shop = { .served = 0 };
	int i;

	weir_sem_init(&shop.sem, 2);
	for (i = 0; i < 30; i++)
		ck_assert_int_eq(weir_spawn(customer, &shop, NULL), 0);
	YIELD_UNTIL(get(&shop.gone) == 30);
	ck_assert_uint_gt(get(&shop.served), 0);
	ck_assert_uint_eq(weir_sem_available(&shop.sem), 2);
	weir_sem_fini(&shop.sem);
	return 0;
}

ON_EACH(join_all_of_sleeps_and_its_timeout)
{
	struct weir_join_all_future every;
	struct weir_sleep_future sleeps[20];
	struct weir_future *wait[20];
	int rc[20];
	unsigned round, i;

	for (round = 0; round < 2; round++) {
		for (i = 0; i < 20; i++) {
			weir_sleep_init(&sleeps[i],
					weir_deadline_in(i == 19 && round ? LONG : i * 100000));
			wait[i] = &sleeps[i].future;
		}
		weir_join_all_init(&every, wait, rc, 20);
		ck_assert_int_eq(weir_await_until(&every.future,
						  weir_deadline_in(round ? scaled_ms(20) : LONG)),
				 round ? -ETIMEDOUT : 0);
		for (i = 0; i < 19; i++)
			ck_assert_int_eq(rc[i], 0);
		ck_assert_int_eq(rc[19], round ? -ECANCELED : 0);
	}
	return 0;
}

/* ---- plain threads ----------------------------------------------------------------------- */

START_TEST(a_thread_polls_a_future_to_its_end)
{
	struct weir_yield_future yield;

	script(0, 5, 55);
	ck_assert_int_eq(weir_block_on(futures[0], WEIR_FOREVER), 55);
	ck_assert_int_eq(scripts[0].polls, 5);
	script(0, 1, 56);
	ck_assert_int_eq(weir_block_on(futures[0], 0), 56);
	weir_yield_init(&yield);
	ck_assert_int_eq(weir_block_on(&yield.future, WEIR_FOREVER), 0);
	script(0, 0, 0);
	script(1, 3, 7);
	weir_select_init(&sel, futures, results, 2);
	ck_assert_int_eq(weir_block_on(&sel.future, WEIR_FOREVER), 1);
}
END_TEST

START_TEST(a_wait_on_a_plain_thread_times_out)
{
	struct weir_sem_acquire_future lock;
	struct weir_sem sem;
	uint64_t before = weir_now();

	weir_sem_init(&sem, 0);
	weir_sem_acquire_init(&lock, &sem, 1);
	ck_assert_int_eq(weir_block_on(&lock.future, weir_deadline_in(5 * WEIR_MSEC)),
			 -ETIMEDOUT);
	ck_assert_uint_ge(weir_now() - before, 5 * WEIR_MSEC);
	weir_sem_fini(&sem);
}
END_TEST

static int block_on_a_worker(void *arg)
{
	struct weir_yield_future yield;

	(void)arg;
	weir_yield_init(&yield);
	return weir_block_on(&yield.future, WEIR_FOREVER) == -EPERM ? 0 : -EIO;
}

ON_EACH(a_worker_does_not_block)
{
	return block_on_a_worker(NULL);
}

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(the_lowest_that_is_ready_wins),
		TESTING(losers_are_waited_for),
		TESTING(a_loser_that_completed_keeps_its_result),
		TESTING(a_select_over_nothing_is_refused),
		TESTING(a_fair_select_serves_all),
		TESTING(fair_selects_that_take_turns_are_fair_each),
		TESTING(a_cancelled_select_ends_cancelled),
		TESTING(a_cancelled_select_reports_what_completed),
		TESTING(a_select_cancelled_unstarted_starts_nothing),
		TESTING(join_all_waits_for_all),
		TESTING(a_cancelled_join_all_keeps_what_it_has),
		EACH(whichever_comes_first),
		EACH(an_aborted_task_leaves_its_select),
		EACH(no_permit_is_lost_to_a_select),
		EACH(join_all_of_sleeps_and_its_timeout),
		TESTING(a_thread_polls_a_future_to_its_end),
		TESTING(a_wait_on_a_plain_thread_times_out),
		EACH(a_worker_does_not_block),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
