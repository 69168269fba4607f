/* SPDX-License-Identifier: MIT */
/*
 * net_connect.c: connecting to one of several addresses, on epoll and io_uring: the order and the
 * times of the attempts, which one wins, and that the others leave nothing behind.
 */
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "weir/net.h"
#include "weir/rt.h"
#include "weir/task.h"
#include "weir/time.h"
#include "tests/support/testing.h"

#define BACKENDS 2
#define FILLERS 8

/* Defines a test whose body runs on a fiber, in one round per backend. */
#define FIBER_CASE(name)                                                                           \
	static int name##_body(void *arg);                                                         \
	START_TEST(name)                                                                           \
	{                                                                                          \
		run_body(name##_body, _i);                                                         \
	}                                                                                          \
	END_TEST                                                                                   \
	static int name##_body(void *arg __attribute__((unused)))

static void run_body(int (*body)(void *), int round)
{
	static const char *const backends[BACKENDS] = { "epoll", "io_uring" };
	struct weir_rt_config cfg = WEIR_RT_CONFIG_INIT;
	struct weir_rt *rt;
	int rc;

	cfg.sched = WEIR_SCHED_CURRENT;
	cfg.backend = backends[round];
	if (weir_rt_new(&cfg, &rt) < 0) {
		testing_skip("%s", weir_rt_why());
		return;
	}
	rc = weir_rt_block_on(rt, body, NULL);
	ck_assert_int_eq(weir_rt_shutdown(rt, 5 * WEIR_SEC), 0);
	weir_rt_free(rt);
	ck_assert_int_eq(rc, 0);
}

static struct weir_listener *open_at(const char *text, struct weir_addr *ret_addr)
{
	struct weir_listener *listener;

	ck_assert_int_eq(weir_listener_open(text, NULL, &listener), 0);
	ck_assert_int_eq(weir_listener_addr(listener, ret_addr), 0);
	return listener;
}

/* Finds an address that refuses connections. */
static void refusing(struct weir_addr *ret_addr)
{
	weir_listener_close(open_at("127.0.0.1:0", ret_addr));
}

/* A port that does not answer, because its queue is full. */
struct silent {
	int fds[1 + FILLERS];
	struct weir_addr addr;
};

static void silent_open(struct silent *s)
{
	struct sockaddr_in in = { .sin_family = AF_INET };

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	memset(&s->addr, 0, sizeof(s->addr));
	s->fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(s->fds[0], (struct sockaddr *)&in, sizeof(in)), 0);
	ck_assert_int_eq(listen(s->fds[0], 0), 0);
	s->addr.len = sizeof(s->addr.u);
	ck_assert_int_eq(getsockname(s->fds[0], &s->addr.u.sa, &s->addr.len), 0);
	for (int i = 1; i <= FILLERS; i++) {
		s->fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		(void)connect(s->fds[i], &s->addr.u.sa, s->addr.len);
	}
}

static void silent_close(struct silent *s)
{
	for (int i = 0; i <= FILLERS; i++)
		close(s->fds[i]);
}

static int connect_to(const struct weir_addr *addrs, unsigned count,
		      struct weir_connect_future *connect, struct weir_tcp **ret_conn)
{
	weir_connect_init(connect, addrs, count, ret_conn);
	return weir_await(&connect->future);
}

/* ---- who wins ---- */

FIBER_CASE(one_address_is_connected_to)
{
	struct weir_addr addr;
	struct weir_listener *listener = open_at("127.0.0.1:0", &addr);
	struct weir_connect_future connect;
	struct weir_tcp *conn;

	ck_assert_int_eq(connect_to(&addr, 1, &connect, &conn), 0);
	weir_tcp_close(conn);
	weir_listener_close(listener);
	return 0;
}

FIBER_CASE(one_that_refuses_is_passed_at_once)
{
	struct weir_addr addrs[3];
	struct weir_listener *listener = open_at("127.0.0.1:0", &addrs[2]);
	struct weir_connect_future connect;
	struct weir_tcp *conn;

	refusing(&addrs[0]);
	refusing(&addrs[1]);
	ck_assert_int_eq(connect_to(addrs, 3, &connect, &conn), 0);
	ck_assert_uint_eq(connect.chosen, 2);
	weir_tcp_close(conn);
	weir_listener_close(listener);
	return 0;
}

/* There is no deadline: waiting for the first address to answer would take for ever. */
FIBER_CASE(one_that_is_silent_is_not_waited_for)
{
	struct weir_addr addrs[3];
	struct weir_listener *listener = open_at("127.0.0.1:0", &addrs[2]);
	struct silent one, other;
	struct weir_connect_future connect;
	struct weir_tcp *conn;

	silent_open(&one);
	silent_open(&other);
	addrs[0] = one.addr;
	addrs[1] = other.addr;
	ck_assert_int_eq(connect_to(addrs, 3, &connect, &conn), 0);
	ck_assert_uint_eq(connect.chosen, 2);
	weir_tcp_close(conn);
	silent_close(&other);
	silent_close(&one);
	weir_listener_close(listener);
	return 0;
}

FIBER_CASE(the_first_address_can_be_chosen)
{
	struct weir_addr addrs[2];
	struct weir_listener *one = open_at("127.0.0.1:0", &addrs[0]);
	struct weir_listener *other = open_at("127.0.0.1:0", &addrs[1]);
	struct weir_connect_future connect;
	struct weir_tcp *conn;

	weir_connect_init(&connect, addrs, 2, &conn);
	connect.first = 1;
	ck_assert_int_eq(weir_await(&connect.future), 0);
	ck_assert_uint_eq(connect.chosen, 1);
	ck_assert_uint_eq(connect.begun, 1);
	weir_tcp_close(conn);
	weir_listener_close(other);
	weir_listener_close(one);
	return 0;
}

FIBER_CASE(families_alternate)
{
	struct weir_listener *listener;
	struct weir_addr addrs[3];
	struct weir_connect_future connect;
	struct weir_tcp *conn;

	if (weir_listener_open("[::1]:0", NULL, &listener) < 0) {
		testing_skip("no IPv6");
		return 0;
	}
	ck_assert_int_eq(weir_listener_addr(listener, &addrs[2]), 0);
	refusing(&addrs[0]);
	refusing(&addrs[1]);
	ck_assert_int_eq(connect_to(addrs, 3, &connect, &conn), 0);
	ck_assert_uint_eq(connect.chosen, 2);
	ck_assert_uint_eq(connect.begun, 2);
	weir_tcp_close(conn);
	weir_listener_close(listener);
	return 0;
}

/* ---- who fails ---- */

FIBER_CASE(all_refuse)
{
	struct weir_addr addrs[WEIR_CONNECT_ADDRS];
	struct weir_connect_future connect;
	struct weir_tcp *conn;

	for (unsigned i = 0; i < WEIR_CONNECT_ADDRS; i++)
		refusing(&addrs[i]);
	for (unsigned i = 1; i <= WEIR_CONNECT_ADDRS; i++)
		ck_assert_int_eq(connect_to(addrs, i, &connect, &conn), -ECONNREFUSED);
	ck_assert_int_eq(connect_to(addrs, 0, &connect, &conn), -EINVAL);
	return 0;
}

FIBER_CASE(an_address_that_is_none_is_passed)
{
	struct weir_addr addrs[2];
	struct weir_listener *listener = open_at("127.0.0.1:0", &addrs[1]);
	struct weir_connect_future connect;
	struct weir_tcp *conn;

	memset(&addrs[0], 0, sizeof(addrs[0]));
	ck_assert_int_eq(connect_to(addrs, 2, &connect, &conn), 0);
	weir_tcp_close(conn);
	ck_assert_int_eq(connect_to(addrs, 1, &connect, &conn), -EINVAL);
	weir_listener_close(listener);
	return 0;
}

/* The deadline passes with several attempts in flight. The leak check shows whether any stays. */
FIBER_CASE(nobody_answers_in_time)
{
	struct weir_addr addrs[3];
	struct silent silent;
	struct weir_connect_future connect;
	struct weir_timeout_future timeout;
	struct weir_tcp *conn;

	silent_open(&silent);
	addrs[0] = addrs[1] = addrs[2] = silent.addr;
	weir_connect_init(&connect, addrs, 3, &conn);
	weir_timeout_init(&timeout, &connect.future, weir_deadline_in(600 * WEIR_MSEC));
	ck_assert_int_eq(weir_await(&timeout.future), -ETIMEDOUT);
	ck_assert_uint_ge(connect.begun, 2);
	silent_close(&silent);
	return 0;
}

/* ---- a stackless task that is aborted ---- */

static unsigned client_begun;

static int client_poll(void *state, struct weir_cx *cx)
{
	struct weir_connect_future *connect = state;
	int rc = weir_poll(&connect->future, cx);

	client_begun = connect->begun;
	return rc;
}

static void client_fini(void *state)
{
	weir_connect_fini(state);
}

FIBER_CASE(an_aborted_task_leaves_nothing)
{
	struct weir_task_config cfg = WEIR_TASK_CONFIG_INIT;
	struct weir_addr addrs[2];
	struct weir_connect_future connect;
	struct weir_tcp *conn;
	struct weir_task *task;
	struct silent silent;
	int result;

	silent_open(&silent);
	addrs[0] = addrs[1] = silent.addr;
	weir_connect_init(&connect, addrs, 2, &conn);
	cfg.poll = client_poll;
	cfg.state = &connect;
	cfg.state_bytes = sizeof(connect);
	cfg.fini = client_fini;
	ck_assert_int_eq(weir_task_spawn(NULL, &cfg, &task), 0);
	while (client_begun < 2)
		ck_assert_int_eq(weir_sleep(10 * WEIR_MSEC), 0);
	weir_task_abort(task);
	ck_assert_int_eq(weir_task_join(task, &result), 0);
	ck_assert_int_eq(result, -ECANCELED);
	silent_close(&silent);
	return 0;
}

/* ---- connecting to itself ---- */

/* Makes a network namespace in which the only local port is the one that is connected to. */
static bool only_port(const char *range)
{
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd, n;

	if (unshare(CLONE_NEWNET) < 0)
		return false;
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	ck_assert_int_eq(ioctl(fd, SIOCSIFFLAGS, &lo), 0);
	close(fd);
	fd = open("/proc/sys/net/ipv4/ip_local_port_range", O_WRONLY);
	n = fd < 0 ? -1 : (int)write(fd, range, strlen(range));
	if (fd >= 0)
		close(fd);
	return n > 0;
}

FIBER_CASE(who_meets_itself_is_refused)
{
	struct weir_connect_future connect;
	struct weir_addr addr;
	struct weir_tcp *conn;

	if (!only_port("40000 40000")) {
		testing_skip("no network of its own");
		return 0;
	}
	ck_assert_int_eq(weir_addr_parse("127.0.0.1:40000", &addr), 0);
	ck_assert_int_eq(weir_tcp_connect_addr(&addr, WEIR_FOREVER, &conn), -ECONNREFUSED);
	ck_assert_int_eq(connect_to(&addr, 1, &connect, &conn), -ECONNREFUSED);
	return 0;
}

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(one_address_is_connected_to, .rounds = BACKENDS),
		TESTING(one_that_refuses_is_passed_at_once, .rounds = BACKENDS),
		TESTING(one_that_is_silent_is_not_waited_for, .rounds = BACKENDS),
		TESTING(the_first_address_can_be_chosen, .rounds = BACKENDS),
		TESTING(families_alternate, .rounds = BACKENDS),
		TESTING(all_refuse, .rounds = BACKENDS),
		TESTING(an_address_that_is_none_is_passed, .rounds = BACKENDS),
		TESTING(nobody_answers_in_time, .rounds = BACKENDS),
		TESTING(an_aborted_task_leaves_nothing, .rounds = BACKENDS),
		TESTING(who_meets_itself_is_refused, .rounds = BACKENDS, .needs = "root"),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
