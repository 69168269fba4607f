/* SPDX-License-Identifier: MIT */
/*
 * net_listener.c: opening listeners, accepting, running out of descriptors, and closing a listener
 * while accepts wait.
 */
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "net/net.h"
#include "weir/net.h"
#include "weir/rt.h"
#include "weir/task.h"
#include "weir/time.h"
#include "tests/support/testing.h"

/* Defines a test whose body runs on a fiber, on the current-thread scheduler. */
#define FIBER_CASE(name)                                                                           \
	static int name##_body(void *arg);                                                         \
	START_TEST(name)                                                                           \
	{                                                                                          \
		struct weir_rt_config cfg = WEIR_RT_CONFIG_INIT;                                   \
                                                                                                   \
		cfg.sched = WEIR_SCHED_CURRENT;                                                    \
		ck_assert_int_eq(weir_rt_run(&cfg, name##_body, NULL), 0);                         \
	}                                                                                          \
	END_TEST                                                                                   \
	static int name##_body(void *arg __attribute__((unused)))

/* Opens a listener on a free port, and formats its address. */
static struct weir_listener *listen_somewhere(const char *host, char *text, size_t len)
{
	struct weir_listener *listener;
	struct weir_addr addr;
	char any[64];

	snprintf(any, sizeof(any), "%s:0", host);
	ck_assert_int_eq(weir_listener_open(any, NULL, &listener), 0);
	ck_assert_int_eq(weir_listener_addr(listener, &addr), 0);
	ck_assert_uint_ne(weir_addr_port(&addr), 0);
	weir_addr_format(&addr, text, len);
	return listener;
}

static void connect_and_accept(const char *text, struct weir_listener *listener)
{
	struct weir_tcp *client, *server;
	char byte = 0;

	ck_assert_int_eq(weir_tcp_connect(text, weir_deadline_in(testing_hang_ns()), &client), 0);
	ck_assert_int_eq(weir_listener_accept(listener, &server), 0);
	ck_assert_int_eq(weir_tcp_send(client, "x", 1), 1);
	ck_assert_int_eq(weir_tcp_recv(server, &byte, 1), 1);
	ck_assert_int_eq(byte, 'x');
	weir_tcp_close(server);
	ck_assert_int_eq(weir_tcp_recv(client, &byte, 1), 0);
	weir_tcp_close(client);
}

FIBER_CASE(connect_and_accept_over_ipv4)
{
	char text[64];
	struct weir_listener *listener = listen_somewhere("127.0.0.1", text, sizeof(text));

	for (int i = 0; i < 10; i++)
		connect_and_accept(text, listener);
	weir_listener_close(listener);
	return 0;
}

FIBER_CASE(connect_and_accept_over_ipv6)
{
	char text[64];
	struct weir_listener *listener = listen_somewhere("[::1]", text, sizeof(text));

	connect_and_accept(text, listener);
	weir_listener_close(listener);
	return 0;
}

FIBER_CASE(any_ipv6_address_takes_ipv4_unless_told_otherwise)
{
	struct weir_listener_config cfg = WEIR_LISTENER_CONFIG_INIT;
	struct weir_listener *listener;
	struct weir_tcp *conn;
	struct weir_addr addr;
	char text[64];

	for (int v6_only = 0; v6_only < 2; v6_only++) {
		cfg.v6_only = v6_only;
		ck_assert_int_eq(weir_listener_open("[::]:0", &cfg, &listener), 0);
		ck_assert_int_eq(weir_listener_addr(listener, &addr), 0);
		snprintf(text, sizeof(text), "127.0.0.1:%u", weir_addr_port(&addr));
		ck_assert_int_eq(weir_tcp_connect(text, WEIR_FOREVER, &conn),
				 v6_only ? -ECONNREFUSED : 0);
		if (!v6_only)
			weir_tcp_close(conn);
		weir_listener_close(listener);
	}
	return 0;
}

FIBER_CASE(connect_and_accept_over_a_unix_socket)
{
	char text[64];
	struct weir_listener *listener;
	struct weir_addr addr;
	char again[64];

	snprintf(text, sizeof(text), "unix:@weir-test-%d", (int)getpid());
	ck_assert_int_eq(weir_listener_open(text, NULL, &listener), 0);
	ck_assert_int_eq(weir_listener_addr(listener, &addr), 0);
	weir_addr_format(&addr, again, sizeof(again));
	ck_assert_str_eq(again, text);
	connect_and_accept(text, listener);
	weir_listener_close(listener);
	return 0;
}

FIBER_CASE(accepted_and_connected_streams_have_no_delay)
{
	char text[64];
	struct weir_listener *listener = listen_somewhere("127.0.0.1", text, sizeof(text));
	struct weir_tcp *client, *server;
	socklen_t len = sizeof(int);
	int on = 0;

	ck_assert_int_eq(weir_tcp_connect(text, WEIR_FOREVER, &client), 0);
	ck_assert_int_eq(weir_listener_accept(listener, &server), 0);
	getsockopt(weir_tcp_handle(server)->fd, IPPROTO_TCP, TCP_NODELAY, &on, &len);
	ck_assert_int_ne(on, 0);
	on = 0;
	getsockopt(weir_tcp_handle(client)->fd, IPPROTO_TCP, TCP_NODELAY, &on, &len);
	ck_assert_int_ne(on, 0);
	weir_tcp_close(client);
	weir_tcp_close(server);
	weir_listener_close(listener);
	return 0;
}

FIBER_CASE(what_cannot_be_opened)
{
	struct weir_listener_config cfg = WEIR_LISTENER_CONFIG_INIT;
	struct weir_listener *listener, *second;
	struct weir_addr unspecified;
	char text[64];

	ck_assert_int_eq(weir_listener_open("localhost:80", NULL, &listener), -EINVAL);
	ck_assert_int_eq(weir_listener_open(NULL, NULL, &listener), -EINVAL);
	ck_assert_int_eq(weir_listener_open("192.0.2.1:1", NULL, &listener), -EADDRNOTAVAIL);
	memset(&unspecified, 0, sizeof(unspecified));
	ck_assert_int_eq(weir_listener_open_addr(&unspecified, NULL, &listener), -EINVAL);
	cfg.backlog = -1;
	ck_assert_int_eq(weir_listener_open("127.0.0.1:0", &cfg, &listener), -EINVAL);
	cfg.backlog = 0;
	cfg.size = 0;
	ck_assert_int_eq(weir_listener_open("127.0.0.1:0", &cfg, &listener), -EINVAL);
	listener = listen_somewhere("127.0.0.1", text, sizeof(text));
	ck_assert_int_eq(weir_listener_open(text, NULL, &second), -EADDRINUSE);
	weir_listener_close(listener);
	weir_listener_close(NULL);
	return 0;
}

FIBER_CASE(two_listeners_share_a_port_when_both_say_so)
{
	struct weir_listener_config cfg = WEIR_LISTENER_CONFIG_INIT;
	struct weir_listener *first, *second;
	struct weir_addr addr;

	cfg.reuse_port = true;
	ck_assert_int_eq(weir_listener_open("127.0.0.1:0", &cfg, &first), 0);
	ck_assert_int_eq(weir_listener_addr(first, &addr), 0);
	ck_assert_int_eq(weir_listener_open_addr(&addr, &cfg, &second), 0);
	weir_listener_close(first);
	weir_listener_close(second);
	return 0;
}

START_TEST(off_a_worker_nothing_opens)
{
	struct weir_listener *listener;
	struct weir_tcp *conn;

	ck_assert_int_eq(weir_listener_open("127.0.0.1:0", NULL, &listener), -ENXIO);
	ck_assert_int_eq(weir_tcp_new(AF_INET, &conn), -ENXIO);
}
END_TEST

static int without_io_body(void *arg)
{
	struct weir_listener *listener;

	(void)arg;
	ck_assert_int_eq(weir_listener_open("127.0.0.1:0", NULL, &listener), -ENODEV);
	return 0;
}

START_TEST(without_an_io_driver_nothing_opens)
{
	struct weir_rt_config cfg = WEIR_RT_CONFIG_INIT;

	cfg.sched = WEIR_SCHED_CURRENT;
	cfg.no_io = true;
	ck_assert_int_eq(weir_rt_run(&cfg, without_io_body, NULL), 0);
}
END_TEST

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

FIBER_CASE(a_listening_descriptor_can_be_adopted)
{
	struct sockaddr_in any = { .sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	struct weir_listener *listener;
	struct weir_addr addr;
	char text[64];

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&any, sizeof(any)), 0);
	ck_assert_int_eq(weir_listener_adopt(fd, NULL, &listener), -EINVAL);
	ck_assert_int_eq(listen(fd, 8), 0);
	ck_assert_int_eq(weir_listener_adopt(fd, NULL, &listener), 0);
	ck_assert_int_eq(weir_listener_addr(listener, &addr), 0);
	weir_addr_format(&addr, text, sizeof(text));
	connect_and_accept(text, listener);
	weir_listener_close(listener);
	ck_assert_int_eq(weir_listener_adopt(-1, NULL, &listener), -EBADF);
	return 0;
}

/* Even if it has accepted before, and is closed before the backend was polled again. */
FIBER_CASE(a_closed_listener_frees_its_port)
{
	char text[64];
	struct weir_listener *listener = listen_somewhere("127.0.0.1", text, sizeof(text));
	struct weir_tcp *conn;

	for (int i = 0; i < 10; i++) {
		ck_assert_int_eq(weir_listener_accept_until(
					 listener, weir_deadline_in(WEIR_MSEC), &conn),
				 -ETIMEDOUT);
		weir_listener_close(listener);
		ck_assert_int_eq(weir_listener_open(text, NULL, &listener), 0);
	}
	weir_listener_close(listener);
	return 0;
}

static int listen_again(void *arg)
{
	struct weir_listener *listener;
	struct weir_tcp *conn;
	char *text = arg;

	if (!*text)
		listener = listen_somewhere("127.0.0.1", text, 64);
	else
		ck_assert_int_eq(weir_listener_open(text, NULL, &listener), 0);
	ck_assert_int_eq(weir_listener_accept_until(listener, weir_deadline_in(WEIR_MSEC), &conn),
			 -ETIMEDOUT);
	weir_listener_close(listener);
	return 0;
}

/* A listener closed at the very end is closed with the runtime, before the next runtime begins. */
START_TEST(the_next_runtime_finds_the_port_free)
{
	struct weir_rt_config cfg = WEIR_RT_CONFIG_INIT;
	char text[64] = "";

	cfg.sched = _i ? WEIR_SCHED_MULTI : WEIR_SCHED_CURRENT;
	cfg.workers = _i ? 2 : 1;
	for (int i = 0; i < 20; i++)
		ck_assert_int_eq(weir_rt_run(&cfg, listen_again, text), 0);
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(connect_and_accept_over_ipv4),
		TESTING(connect_and_accept_over_ipv6, .needs = "ipv6"),
		TESTING(any_ipv6_address_takes_ipv4_unless_told_otherwise, .needs = "ipv6"),
		TESTING(connect_and_accept_over_a_unix_socket),
		TESTING(accepted_and_connected_streams_have_no_delay),
		TESTING(what_cannot_be_opened),
		TESTING(two_listeners_share_a_port_when_both_say_so),
		TESTING(off_a_worker_nothing_opens),
		TESTING(without_an_io_driver_nothing_opens),
		TESTING(an_accept_may_time_out_and_be_tried_again),
		TESTING(closing_ends_pending_accepts),
		TESTING(an_aborted_accept_leaves_nothing_behind),
		TESTING(an_abort_that_races_with_a_connection),
		TESTING(out_of_descriptors_it_waits_for_one),
		TESTING(out_of_descriptors_without_a_time_driver_it_yields),
		TESTING(closing_ends_an_accept_that_pauses),
		TESTING(a_listening_descriptor_can_be_adopted),
		TESTING(a_closed_listener_frees_its_port),
		TESTING(the_next_runtime_finds_the_port_free, .rounds = 2),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
