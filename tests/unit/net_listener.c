/* SPDX-License-Identifier: MIT */
/*
 * net_listener.c: opening, adopting and closing listeners, and a connection over each
 * family of addresses.
 */
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

#include "net/net.h"
#include "tests/unit/listeners.h"

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
		TESTING(a_listening_descriptor_can_be_adopted),
		TESTING(a_closed_listener_frees_its_port),
		TESTING(the_next_runtime_finds_the_port_free, .rounds = 2),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
