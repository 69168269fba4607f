/* SPDX-License-Identifier: MIT */
/*
 * core_mailbox.c: the words of a mailbox, step by step (tests/model tests the memory orders); and
 * that sending a request to an object's home needs no memory, on any worker.
 */
#include <fcntl.h>
#include <unistd.h>

#include "core/mailbox.h"
#include "tests/unit/runtimes.h"

/* ---- the words ---------------------------------------------------------------------------- */

/* The op that comes next, with the requests before it; NULL: those that are behind all ops. */
static struct weir__link *next_op(uintptr_t *mail, uintptr_t *ret_requests)
{
	struct weir__link *op = weir__mail_op(*mail);

	*ret_requests = *mail & MAIL_BITS;
	if (op)
		*mail = (uintptr_t)op->next;
	return op;
}

START_TEST(ops_come_out_in_order_and_before_the_close)
{
	struct weir__link ops[3];
	uintptr_t mail = 0, seen, requests;

	ck_assert(weir__mail_is_empty(&mail));
	ck_assert(weir__mail_put(&mail, &ops[0]));
	ck_assert(!weir__mail_put(&mail, &ops[1]));
	ck_assert(!weir__mail_put(&mail, &ops[2]));
	ck_assert(!weir__mail_request(&mail, MAIL_CLOSE));
	seen = weir__mail_read(&mail);
	ck_assert(weir__mail_take(&mail, &seen));
	seen = weir__mail_in_order(seen);
	for (unsigned i = 0; i < 3; i++) {
		ck_assert_ptr_eq(next_op(&seen, &requests), &ops[i]);
		ck_assert_uint_eq(requests, 0);
	}
	ck_assert_ptr_null(next_op(&seen, &requests));
	ck_assert_uint_eq(requests, MAIL_CLOSE);
}
END_TEST

/* Also while the home serves earlier ones. */
START_TEST(requests_keep_their_place_between_the_ops)
{
	struct weir__link ops[2];
	uintptr_t mail, seen, requests;

	for (int serving = 0; serving < 2; serving++) {
		mail = serving ? MAIL_SERVED : 0;
		ck_assert_int_eq(weir__mail_request(&mail, MAIL_SET), !serving);
		ck_assert(!weir__mail_put(&mail, &ops[0]));
		ck_assert(!weir__mail_request(&mail, MAIL_SHUTDOWN));
		ck_assert(!weir__mail_request(&mail, MAIL_SHUTDOWN | MAIL_SET));
		ck_assert(!weir__mail_put(&mail, &ops[1]));
		ck_assert(!weir__mail_request(&mail, MAIL_CLOSE));
		ck_assert(!serving || !weir__mail_done(&mail));
		seen = weir__mail_read(&mail);
		ck_assert(weir__mail_take(&mail, &seen));
		seen = weir__mail_in_order(seen);
		ck_assert_ptr_eq(next_op(&seen, &requests), &ops[0]);
		ck_assert_uint_eq(requests, MAIL_SET);
		ck_assert_ptr_eq(next_op(&seen, &requests), &ops[1]);
		ck_assert_uint_eq(requests, MAIL_SHUTDOWN | MAIL_SET);
		ck_assert_ptr_null(next_op(&seen, &requests));
		ck_assert_uint_eq(requests, MAIL_CLOSE);
	}
}
END_TEST

START_TEST(what_is_asked_between_look_and_take_is_seen)
{
	struct weir__link op;
	uintptr_t mail = 0, seen;

	ck_assert(weir__mail_put(&mail, &op));
	seen = weir__mail_read(&mail);
	ck_assert(!weir__mail_request(&mail, MAIL_CLOSE));
	ck_assert(!weir__mail_take(&mail, &seen));
	ck_assert_uint_eq(seen & MAIL_CLOSE, MAIL_CLOSE);
	ck_assert(weir__mail_take(&mail, &seen));
}
END_TEST

START_TEST(what_is_asked_while_the_home_serves_goes_round_again)
{
	struct weir__link ops[2];
	uintptr_t mail = 0, seen;

	ck_assert(weir__mail_put(&mail, &ops[0]));
	seen = weir__mail_read(&mail);
	ck_assert(weir__mail_take(&mail, &seen));
	/* The link is in no queue, but the home is serving, so the sender must not queue it. */
	ck_assert(!weir__mail_is_empty(&mail));
	ck_assert(!weir__mail_put(&mail, &ops[1]));
	ck_assert(!weir__mail_request(&mail, MAIL_CLOSE));
	ck_assert(!weir__mail_done(&mail));
	seen = weir__mail_read(&mail);
	ck_assert(weir__mail_take(&mail, &seen));
	ck_assert_ptr_eq(weir__mail_op(weir__mail_in_order(seen)), &ops[1]);
	ck_assert(weir__mail_done(&mail));
	ck_assert(weir__mail_is_empty(&mail));
}
END_TEST

START_TEST(a_cancel_is_asked_for_once_and_never_before_the_submit)
{
	uint8_t asked = 0;

	weir__asked_queue(&asked);
	ck_assert(weir__asked_is_queued(&asked));
	ck_assert(!weir__asked_cancel(&asked));
	ck_assert(!weir__asked_leave(&asked));
	ck_assert(weir__asked_is_queued(&asked));
	ck_assert(weir__asked_take(&asked));
	ck_assert(!weir__asked_is_queued(&asked));
	ck_assert(weir__asked_is_cancelled(&asked));
	asked = 0;
	weir__asked_queue(&asked);
	ck_assert(weir__asked_leave(&asked));
	ck_assert(!weir__asked_is_queued(&asked));
	ck_assert(weir__asked_cancel(&asked));
	ck_assert(!weir__asked_cancel(&asked));
}
END_TEST

/* ---- an op together with its cancel ------------------------------------------------------- */

struct late {
	struct weir_fd *fd;
	struct weir_op op;
	unsigned over;
};

static int wait_in_the_past(void *arg)
{
	struct late *late = arg;
	int rc;

	rc = weir_await_until(&late->op.future, 0);
	set(&late->over, 1);
	return rc;
}

/* The op and its cancel both wait for a busy home. If the result is available, it wins. */
ON_EACH(a_cancel_that_comes_with_its_op_finds_the_result)
{
	unsigned workers = weir_rt_workers(weir_rt_current());
	struct weir_task_config cfg = WEIR_TASK_CONFIG_INIT;
	struct late late = { .over = 0 };
	struct weir_task *task;
	int fds[2], result;

	if (workers == 1)
		return 0;
	ck_assert_int_eq(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
	ck_assert_int_eq(write(fds[1], "x", 1), 1);
	ck_assert_int_eq(weir_fd_open(fds[0], &late.fd), 0);
	weir_op_init_poll(&late.op, weir_fd_handle(late.fd), WEIR_READABLE);
	cfg.fn = wait_in_the_past;
	cfg.arg = &late;
	cfg.flags = WEIR_TASK_PINNED;
	cfg.worker = 1 + (weir_rt_worker_index() + 1) % (int)workers;
	ck_assert_int_eq(weir_task_spawn(NULL, &cfg, &task), 0);
	while (!get(&late.over) && !weir__asked_is_cancelled(&late.op.asked))
		sched_yield();
	ck_assert_int_eq(weir_task_join(task, &result), 0);
	ck_assert_int_eq(result, WEIR_READABLE);
	weir_fd_close(late.fd);
	close(fds[0]);
	close(fds[1]);
	return 0;
}

/* ---- without memory ----------------------------------------------------------------------- */

#define WAITERS 24u

struct scene {
	struct weir_fd *fd[WAITERS];
	struct weir_task *tasks[WAITERS];
	unsigned go, waiting, closed;
};

struct waiter {
	struct scene *scene;
	unsigned index;
};

static int wait_for_bytes(void *arg)
{
	const struct waiter *w = arg;
	struct weir_op op;
	int rc;

	add(&w->scene->waiting, 1);
	YIELD_UNTIL(get(&w->scene->go));
	weir_op_init_poll(&op, weir_fd_handle(w->scene->fd[w->index]), WEIR_READABLE);
	add(&w->scene->waiting, 1);
	rc = weir_await(&op.future);
	weir_fd_close(w->scene->fd[w->index]);
	add(&w->scene->closed, 1);
	return rc;
}

static void turns(unsigned n)
{
	while (n-- > 0)
		weir_yield();
}

/* The root's worker is the home of the descriptors. Tasks on all workers wait for them. */
static int without_memory(bool from_the_start)
{
	static struct waiter waiters[WAITERS];
	static struct scene scene;
	struct weir_task_config cfg = WEIR_TASK_CONFIG_INIT;
	int fds[2], copies[WAITERS], results[WAITERS];
	unsigned workers = weir_rt_workers(weir_rt_current());

	scene = (struct scene){ .go = 0 };
	ck_assert_int_eq(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
	cfg.fn = wait_for_bytes;
	cfg.flags = WEIR_TASK_PINNED;
	for (unsigned i = 0; i < WAITERS; i++) {
		copies[i] = fcntl(fds[0], F_DUPFD_CLOEXEC, 0);
		ck_assert_int_eq(weir_fd_open(copies[i], &scene.fd[i]), 0);
		waiters[i] = (struct waiter){ &scene, i };
		cfg.arg = &waiters[i];
		cfg.worker = 1 + (int)(i % workers);
		ck_assert_int_eq(weir_task_spawn(NULL, &cfg, &scene.tasks[i]), 0);
	}
	YIELD_UNTIL(get(&scene.waiting) == WAITERS);
	testing_fail_allocations(from_the_start, 0);
	set(&scene.go, 1);
	YIELD_UNTIL(get(&scene.waiting) == 2 * WAITERS);
	turns(10);
	testing_fail_allocations(1, 0);
	for (unsigned i = 0; i < WAITERS; i++)
		weir_task_abort(scene.tasks[i]);
	YIELD_UNTIL(get(&scene.closed) == WAITERS);
	testing_fail_allocations(0, 0);
	for (unsigned i = 0; i < WAITERS; i++) {
		ck_assert_int_eq(weir_task_join(scene.tasks[i], &results[i]), 0);
		/* A backend may need memory to register a descriptor. */
		if (!from_the_start || results[i] != -ENOMEM)
			ck_assert_int_eq(results[i], -ECANCELED);
		close(copies[i]);
	}
	close(fds[0]);
	close(fds[1]);
	return 0;
}

ON_EACH(started_cancelled_and_closed_without_memory)
{
	return without_memory(true);
}

ON_EACH(cancelled_and_closed_without_memory)
{
	return without_memory(false);
}

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(ops_come_out_in_order_and_before_the_close),
		TESTING(requests_keep_their_place_between_the_ops),
		TESTING(what_is_asked_between_look_and_take_is_seen),
		TESTING(what_is_asked_while_the_home_serves_goes_round_again),
		TESTING(a_cancel_is_asked_for_once_and_never_before_the_submit),
		EACH(a_cancel_that_comes_with_its_op_finds_the_result),
		EACH(cancelled_and_closed_without_memory),
		EACH(started_cancelled_and_closed_without_memory),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
