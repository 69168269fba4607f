/* SPDX-License-Identifier: MIT */
/*
 * net_accept.c: accepting, and what happens when descriptors run out, or the accept or
 * its listener goes away in the meantime.
 */
#include <sys/resource.h>
#include <unistd.h>

#include "tests/unit/listeners.h"

FIBER_CASE(an_accept_may_time_out_and_be_tried_again)
{
	char text[64];
	struct weir_listener *listener = listen_somewhere("127.0.0.1", text, sizeof(text));
	struct weir_tcp *conn = NULL;
	uint64_t deadline = weir_deadline_in(20 * WEIR_MSEC);

	ck_assert_int_eq(weir_listener_accept_until(listener, deadline, &conn), -ETIMEDOUT);
	ck_assert_uint_ge(weir_now(), deadline);
	ck_assert_ptr_null(conn);
	connect_and_accept(text, listener);
	/* A queued connection wins over a deadline that has passed. */
	ck_assert_int_eq(weir_tcp_connect(text, WEIR_FOREVER, &conn), 0);
	weir_tcp_close(conn);
	ck_assert_int_eq(weir_listener_accept_until(listener, 1, &conn), 0);
	weir_tcp_close(conn);
	weir_listener_close(listener);
	return 0;
}

static int accept_one(void *arg)
{
	struct weir_tcp *conn;
	int rc = weir_listener_accept(arg, &conn);

	if (rc == 0)
		weir_tcp_close(conn);
	return rc;
}

struct accept_state {
	struct weir_accept_future accept;
	struct weir_tcp *conn;
	struct weir_listener *listener;
	bool started;
};

static int accept_stackless(void *state, struct weir_cx *cx)
{
	struct accept_state *s = state;

	if (!s->started)
		weir_accept_init(&s->accept, s->listener, &s->conn);
	s->started = true;
	return weir_poll(&s->accept.future, cx);
}

static void accept_fini(void *state)
{
	struct accept_state *s = state;

	if (s->started)
		weir_accept_fini(&s->accept);
	weir_tcp_close(s->conn);
}

static struct weir_task *spawn_acceptor(struct weir_listener *listener, bool stackless)
{
	struct accept_state state = { .listener = listener };
	struct weir_task_config cfg = WEIR_TASK_CONFIG_INIT;
	struct weir_task *task;

	if (stackless) {
		cfg.poll = accept_stackless;
		cfg.fini = accept_fini;
		cfg.state = &state;
		cfg.state_bytes = sizeof(state);
	} else {
		cfg.fn = accept_one;
		cfg.arg = listener;
	}
	ck_assert_int_eq(weir_task_spawn(NULL, &cfg, &task), 0);
	return task;
}

static void expect_result(struct weir_task *task, int result)
{
	int rc = WEIR_PENDING;

	ck_assert_int_eq(weir_task_join(task, &rc), 0);
	ck_assert_int_eq(rc, result);
}

FIBER_CASE(closing_ends_pending_accepts)
{
	char text[64];
	struct weir_listener *listener = listen_somewhere("127.0.0.1", text, sizeof(text));
	struct weir_task *fiber = spawn_acceptor(listener, false);
	struct weir_task *stackless = spawn_acceptor(listener, true);

	weir_yield();
	weir_yield();
	weir_listener_close(listener);
	expect_result(fiber, -ECANCELED);
	expect_result(stackless, -ECANCELED);
	return 0;
}

FIBER_CASE(an_aborted_accept_leaves_nothing_behind)
{
	char text[64];
	struct weir_listener *listener = listen_somewhere("127.0.0.1", text, sizeof(text));

	for (int stackless = 0; stackless < 2; stackless++) {
		struct weir_task *task = spawn_acceptor(listener, stackless);

		weir_yield();
		weir_task_abort(task);
		expect_result(task, -ECANCELED);
	}
	connect_and_accept(text, listener);
	weir_listener_close(listener);
	return 0;
}

/* The connection arrives before the aborted task runs: whichever wins, nothing leaks. */
FIBER_CASE(an_abort_that_races_with_a_connection)
{
	char text[64];
	struct weir_listener *listener = listen_somewhere("127.0.0.1", text, sizeof(text));

	for (int stackless = 0; stackless < 2; stackless++) {
		struct weir_task *task = spawn_acceptor(listener, stackless);
		struct weir_tcp *conn;
		int rc = WEIR_PENDING;

		weir_yield();
		ck_assert_int_eq(weir_tcp_connect(text, WEIR_FOREVER, &conn), 0);
		weir_task_abort(task);
		ck_assert_int_eq(weir_task_join(task, &rc), 0);
		ck_assert(rc == 0 || rc == -ECANCELED);
		weir_tcp_close(conn);
	}
	weir_listener_close(listener);
	return 0;
}

/* Opens descriptors until only `spare` more can be opened. */
static int hoard(int *fds, int cap, int spare)
{
	int n = 0;

	while (n < cap && (fds[n] = dup(0)) >= 0)
		n++;
	while (spare-- > 0 && n > 0)
		close(fds[--n]);
	return n;
}

static int give_back(void *arg)
{
	int *fd = arg;

	/* Long enough for several of the pauses, which are 5, 10 and 20 ms. */
	weir_sleep(60 * WEIR_MSEC);
	close(*fd);
	return 0;
}

FIBER_CASE(out_of_descriptors_it_waits_for_one)
{
	char text[64];
	struct weir_listener *listener = listen_somewhere("127.0.0.1", text, sizeof(text));
	struct rlimit limit = { 64, 64 };
	struct weir_tcp *client, *server;
	struct weir_task *giver;
	int fds[64], n, rc;

	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	n = hoard(fds, 64, 1);
	ck_assert_int_eq(weir_tcp_connect(text, WEIR_FOREVER, &client), 0);
	ck_assert_int_eq(weir_listener_accept_until(listener, weir_deadline_in(20 * WEIR_MSEC),
						    &server),
			 -ETIMEDOUT);
	ck_assert_int_eq(weir_spawn(give_back, &fds[--n], &giver), 0);
	ck_assert_int_eq(weir_listener_accept(listener, &server), 0);
	ck_assert_int_eq(weir_task_join(giver, &rc), 0);
	weir_tcp_close(server);
	while (n > 0)
		close(fds[--n]);
	weir_tcp_close(client);
	weir_listener_close(listener);
	return 0;
}

static int give_back_later(void *arg)
{
	int *fd = arg;

	for (int i = 0; i < 1000; i++)
		weir_yield();
	close(*fd);
	return 0;
}

static int without_time_body(void *arg)
{
	char text[64];
	struct weir_listener *listener = listen_somewhere("127.0.0.1", text, sizeof(text));
	struct rlimit limit = { 64, 64 };
	struct weir_tcp *client, *server;
	struct weir_task *giver;
	int fds[64], n, rc;

	(void)arg;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	n = hoard(fds, 64, 1);
	ck_assert_int_eq(weir_tcp_connect(text, WEIR_FOREVER, &client), 0);
	ck_assert_int_eq(weir_spawn(give_back_later, &fds[--n], &giver), 0);
	ck_assert_int_eq(weir_listener_accept(listener, &server), 0);
	ck_assert(weir_task_is_complete(giver));
	ck_assert_int_eq(weir_task_join(giver, &rc), 0);
	while (n > 0)
		close(fds[--n]);
	weir_tcp_close(server);
	weir_tcp_close(client);
	weir_listener_close(listener);
	return 0;
}

START_TEST(out_of_descriptors_without_a_time_driver_it_yields)
{
	struct weir_rt_config cfg = WEIR_RT_CONFIG_INIT;

	cfg.sched = WEIR_SCHED_CURRENT;
	cfg.no_time = true;
	ck_assert_int_eq(weir_rt_run(&cfg, without_time_body, NULL), 0);
}
END_TEST

FIBER_CASE(closing_ends_an_accept_that_pauses)
{
	char text[64];
	struct weir_listener *listener = listen_somewhere("127.0.0.1", text, sizeof(text));
	struct rlimit limit = { 64, 64 };
	struct weir_tcp *client;
	struct weir_task *task;
	int fds[64], n;

	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	n = hoard(fds, 64, 1);
	ck_assert_int_eq(weir_tcp_connect(text, WEIR_FOREVER, &client), 0);
	task = spawn_acceptor(listener, false);
	ck_assert_int_eq(weir_sleep(20 * WEIR_MSEC), 0);
	weir_listener_close(listener);
	expect_result(task, -ECANCELED);
	while (n > 0)
		close(fds[--n]);
	weir_tcp_close(client);
	return 0;
}

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(an_accept_may_time_out_and_be_tried_again),
		TESTING(closing_ends_pending_accepts),
		TESTING(an_aborted_accept_leaves_nothing_behind),
		TESTING(an_abort_that_races_with_a_connection),
		TESTING(out_of_descriptors_it_waits_for_one),
		TESTING(out_of_descriptors_without_a_time_driver_it_yields),
		TESTING(closing_ends_an_accept_that_pauses),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
