/* SPDX-License-Identifier: MIT */
/*
 * core_io_op.c: operations as futures, on any backend: where they may be started, cancels at every
 * moment, abort, the budget. All of them wait for pipes; the conformance suite tests transfers.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/io/io.h"
#include "core/mailbox.h"
#include "tests/unit/runtimes.h"
#include "tests/unit/sync_waker.h"

struct pipe_fd {
	int fds[2];
	struct weir_fd *in;
};

static void pipe_open(struct pipe_fd *p)
{
	ck_assert_int_eq(pipe2(p->fds, O_NONBLOCK | O_CLOEXEC), 0);
	ck_assert_int_eq(weir_fd_open(p->fds[0], &p->in), 0);
}

static void pipe_put(struct pipe_fd *p)
{
	ck_assert_int_eq(write(p->fds[1], "x", 1), 1);
}

static void pipe_take(struct pipe_fd *p)
{
	char byte;

	ck_assert_int_eq(read(p->fds[0], &byte, 1), 1);
}

static void pipe_close(struct pipe_fd *p)
{
	weir_fd_close(p->in);
	close(p->fds[0]);
	close(p->fds[1]);
}

/* ---- places where operations may not be started -------------------------------------------*/

START_TEST(outside_a_worker)
{
	struct weir_handle handle;
	struct weir_fd *fd;
	struct weir_op op;
	struct hand hand = { 0, 0 };
	int fds[2];

	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	ck_assert_int_eq(weir_fd_open(fds[0], &fd), -ENXIO);
	memset(&handle, 0, sizeof handle);
	weir_op_init_poll(&op, &handle, WEIR_READABLE);
	ck_assert_int_eq(hand_poll(&hand, &op.future), -ENXIO);
	close(fds[0]);
	close(fds[1]);
}
END_TEST

static int without_io(void *arg)
{
	struct weir_handle handle;
	struct weir_fd *fd;
	struct weir_op op;
	int fds[2];

	(void)arg;
	ck_assert_str_eq(weir_rt_backend(weir_rt_current()), "none");
	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	ck_assert_int_eq(weir_fd_open(fds[0], &fd), -ENODEV);
	memset(&handle, 0, sizeof handle);
	weir_op_init_poll(&op, &handle, WEIR_READABLE);
	ck_assert_int_eq(weir_await(&op.future), -ENODEV);
	ck_assert_int_eq(weir_sleep(WEIR_MSEC), 0);
	close(fds[0]);
	close(fds[1]);
	return 0;
}

START_TEST(without_the_driver)
{
	struct weir_rt_config cfg = runtime_config(_i);

	cfg.no_io = true;
	runtime_run(&cfg, without_io, NULL);
}
END_TEST

ON_EACH(on_a_handle_that_is_not_attached)
{
	struct weir_handle handle;
	struct weir_op op;

	memset(&handle, 0, sizeof handle);
	weir_op_init_poll(&op, &handle, WEIR_READABLE);
	ck_assert_int_eq(weir_await(&op.future), -EBADF);
	return 0;
}

/* ---- cancel ------------------------------------------------------------------------------ */

static int await_poll(struct pipe_fd *p, struct weir_op *op, uint64_t deadline)
{
	weir_op_init_poll(op, weir_fd_handle(p->in), WEIR_READABLE);
	return weir_await_until(&op->future, deadline);
}

ON_EACH(cancelled_at_every_moment)
{
	struct pipe_fd p;
	struct weir_op op;
	int i;

	pipe_open(&p);
	for (i = 0; i < 50; i++) {
		weir_op_init_poll(&op, weir_fd_handle(p.in), WEIR_READABLE);
		weir_cancel(&op.future);
		ck_assert_int_eq(weir_await(&op.future), -ECANCELED);
		ck_assert_int_eq(await_poll(&p, &op, 0), -ETIMEDOUT);
		ck_assert_int_eq(await_poll(&p, &op, weir_deadline_in(100 * WEIR_USEC)),
				 -ETIMEDOUT);
		/* If the pipe is readable, that wins over a deadline that has passed. */
		pipe_put(&p);
		ck_assert_int_eq(await_poll(&p, &op, 0), WEIR_READABLE);
		pipe_take(&p);
	}
	pipe_close(&p);
	return 0;
}

/* Polls an op, cancels it after some polls, and counts the outcomes. */
struct canceller {
	struct pipe_fd *p;
	struct weir_op op;
	struct weir_sleep_future sleep;
	unsigned phase, rounds, *done;
};

static int canceller_poll(void *state, struct weir_cx *cx)
{
	struct canceller *c = state;
	int rc;

	for (;;) {
		if (c->phase == 0) {
			weir_op_init_poll(&c->op, weir_fd_handle(c->p->in), WEIR_READABLE);
			c->phase = 1;
		}
		rc = weir_poll(&c->op.future, cx);
		if (rc == WEIR_PENDING && c->phase == 1) {
			weir_cancel(&c->op.future);
			weir_cancel(&c->op.future);
			c->phase = 2;
			continue;
		}
		if (rc == WEIR_PENDING)
			return rc;
		ck_assert_msg(rc == -ECANCELED || rc == WEIR_READABLE, "result %d", rc);
		c->phase = 0;
		if (--c->rounds == 0) {
			add(c->done, 1);
			return 0;
		}
	}
}

ON_EACH(many_cancels_on_one_descriptor)
{
	struct weir_task_config cfg = WEIR_TASK_CONFIG_INIT;
	struct canceller c = { .rounds = 300 };
	unsigned done = 0, i;
	struct pipe_fd p;

	pipe_open(&p);
	c.p = &p;
	c.done = &done;
	cfg.poll = canceller_poll;
	cfg.state = &c;
	cfg.state_bytes = sizeof c;
	for (i = 0; i < 16; i++)
		ck_assert_int_eq(weir_task_spawn(NULL, &cfg, NULL), 0);
	while (get(&done) < 16) {
		pipe_put(&p);
		weir_yield();
		pipe_take(&p);
		weir_yield();
	}
	YIELD_UNTIL(weir_rt_alive(weir_rt_current()) == 1);
	pipe_close(&p);
	return 0;
}

/* Each task waits for its own pipe with a deadline that is due about when a thread writes. */
struct racer {
	struct pipe_fd p;
	unsigned round;			/* the writing thread follows this number */
	unsigned stop;
	unsigned got, timed_out;
};

static void *write_after(void *arg)
{
	struct racer *r = arg;
	unsigned seen = 0;

	while (!get(&r->stop)) {
		unsigned round = get(&r->round);

		if (round == seen)
			continue;
		seen = round;
		pipe_put(&r->p);
	}
	return NULL;
}

static int race(void *arg)
{
	struct racer *r = arg;
	struct weir_op op;
	unsigned i;
	int rc;

	for (i = 0; i < 150; i++) {
		set(&r->round, i + 1);
		rc = await_poll(&r->p, &op, weir_now() + (i % 3) * 100 * WEIR_USEC);
		ck_assert(rc == WEIR_READABLE || rc == -ETIMEDOUT);
		if (rc == -ETIMEDOUT) {
			r->timed_out++;
			ck_assert_int_eq(await_poll(&r->p, &op, WEIR_FOREVER), WEIR_READABLE);
		}
		r->got++;
		pipe_take(&r->p);
	}
	return 0;
}

ON_EACH(a_result_is_reported_once)
{
	struct weir_task *tasks[4];
	struct racer racers[4];
	pthread_t threads[4];
	int i, result;

	for (i = 0; i < 4; i++) {
		memset(&racers[i], 0, sizeof racers[i]);
		pipe_open(&racers[i].p);
		threads[i] = thread_start(write_after, &racers[i]);
		ck_assert_int_eq(weir_spawn(race, &racers[i], &tasks[i]), 0);
	}
	for (i = 0; i < 4; i++) {
		ck_assert_int_eq(weir_task_join(tasks[i], &result), 0);
		ck_assert_int_eq(result, 0);
		set(&racers[i].stop, 1);
		pthread_join(threads[i], NULL);
		ck_assert_uint_eq(racers[i].got, 150);
		pipe_close(&racers[i].p);
	}
	return 0;
}

/* ---- abort ------------------------------------------------------------------------------- */

/* One task with several operations on one descriptor, and a sleep. */
struct bundle {
	struct pipe_fd *p;
	struct weir_op ops[4];
	struct weir_sleep_future sleep;
	bool started;
	unsigned *ended;
};

static int bundle_poll(void *state, struct weir_cx *cx)
{
	struct bundle *b = state;
	unsigned i;

	if (!b->started) {
		b->started = true;
		weir_sleep_init(&b->sleep, WEIR_FOREVER);
		for (i = 0; i < 4; i++)
			weir_op_init_poll(&b->ops[i], weir_fd_handle(b->p->in),
					  i % 2 ? WEIR_READABLE : WEIR_READABLE | WEIR_PRIORITY);
	}
	for (i = 0; i < 4; i++)
		ck_assert_int_eq(weir_poll(&b->ops[i].future, cx), WEIR_PENDING);
	return weir_poll(&b->sleep.future, cx);
}

static void bundle_fini(void *state)
{
	add(((struct bundle *)state)->ended, 1);
}

ON_EACH(an_abort_waits_for_every_operation)
{
	struct weir_task_config cfg = WEIR_TASK_CONFIG_INIT;
	struct bundle b = { .started = false };
	struct weir_task *tasks[10];
	unsigned ended = 0, i, round;
	struct pipe_fd p;
	int result;

	pipe_open(&p);
	b.p = &p;
	b.ended = &ended;
	cfg.poll = bundle_poll;
	cfg.fini = bundle_fini;
	cfg.state = &b;
	cfg.state_bytes = sizeof b;
	for (round = 0; round < 30; round++) {
		for (i = 0; i < 10; i++)
			ck_assert_int_eq(weir_task_spawn(NULL, &cfg, &tasks[i]), 0);
		for (i = 0; i < round % 3; i++)
			weir_yield();
		for (i = 0; i < 10; i++)
			weir_task_abort(tasks[i]);
		for (i = 0; i < 10; i++) {
			ck_assert_int_eq(weir_task_join(tasks[i], &result), 0);
			ck_assert_int_eq(result, -ECANCELED);
		}
		ck_assert_uint_eq(get(&ended), 10 * (round + 1));
	}
	pipe_close(&p);
	return 0;
}

/* ---- the budget -------------------------------------------------------------------------- */

struct turns {
	unsigned turns, stop;
};

static int take_turns(void *arg)
{
	struct turns *t = arg;

	do {
		add(&t->turns, 1);
	} while (!get(&t->stop) && weir_yield() == 0);
	return 0;
}

static int always_ready(void *arg)
{
	struct turns *t = arg;
	struct pipe_fd p;
	unsigned before, i;

	pipe_open(&p);
	pipe_put(&p);
	weir_yield();
	before = get(&t->turns);
	for (i = 0; get(&t->turns) == before; i++)
		ck_assert_int_eq(weir_fd_wait(p.in, WEIR_READABLE, WEIR_FOREVER), WEIR_READABLE);
	pipe_close(&p);
	/* A ready op costs one unit; the first one may have waited for the driver. */
	ck_assert_uint_ge(i, 1);
	ck_assert_uint_le(i, 129);
	return 0;
}

START_TEST(operations_that_are_ready_make_room)
{
	struct weir_rt_config cfg = runtime_config(_i);
	struct weir_rt *rt = runtime_new(&cfg);
	struct turns turns = { 0, 0 };
	struct weir_task *task;

	ck_assert_int_eq(weir_rt_spawn(rt, take_turns, &turns, &task), 0);
	ck_assert_int_eq(weir_rt_block_on(rt, always_ready, &turns), 0);
	set(&turns.stop, 1);
	weir_task_detach(task);
	runtime_end(rt);
}
END_TEST

/* ---- order ------------------------------------------------------------------------------- */

/* A backend whose handles are homed, and that counts submitted ops. */
extern const struct weir_backend_ops weir__backend_epoll;
static unsigned submitted;

static void count_and_submit(struct weir_backend *be, struct weir_op *op)
{
	add(&submitted, 1);
	weir__backend_epoll.submit(be, op);
}

static int await_readable(void *arg)
{
	return weir_fd_wait(arg, WEIR_READABLE, WEIR_FOREVER);
}

static int start_behind_mail(void *arg)
{
	struct weir_handle *h;
	struct weir_task *task;
	struct pipe_fd p;
	int result;

	(void)arg;
	pipe_open(&p);
	h = weir_fd_handle(p.in);
	h->homed = WEIR_HOMED_READS;
	h->mail = MAIL_SERVED;		/* as if earlier ops were being submitted */
	ck_assert_int_eq(weir_spawn(await_readable, p.in, &task), 0);
	for (int i = 0; i < 10; i++)
		weir_yield();
	ck_assert_uint_eq(get(&submitted), 0);
	ck_assert(!weir__mail_done(&h->mail));
	weir__handle_send(h->backend, h);
	pipe_put(&p);
	ck_assert_int_eq(weir_task_join(task, &result), 0);
	ck_assert_int_eq(result, WEIR_READABLE);
	ck_assert_uint_eq(get(&submitted), 1);
	pipe_close(&p);
	return 0;
}

START_TEST(at_home_too_an_op_goes_behind_the_mail)
{
	struct weir_rt_config cfg = runtime_config(_i);
	struct weir_backend_ops ops = weir__backend_epoll;

	ops.caps = (ops.caps & ~(uint32_t)WEIR_CAP_POLL_ANY) | WEIR_CAP_HOMED;
	ops.submit = count_and_submit;
	cfg.backend_ops = &ops;
	runtime_run(&cfg, start_behind_mail, NULL);
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(at_home_too_an_op_goes_behind_the_mail, .rounds = ON_FOUR),
		TESTING(outside_a_worker),
		EACH(without_the_driver),
		EACH(on_a_handle_that_is_not_attached),
		EACH(cancelled_at_every_moment),
		EACH(many_cancels_on_one_descriptor),
		EACH(a_result_is_reported_once),
		EACH(an_abort_waits_for_every_operation),
		TESTING(operations_that_are_ready_make_room, .rounds = 2),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
