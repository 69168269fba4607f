/* SPDX-License-Identifier: MIT */
/* listeners.h: a listener on a free port, and a connection to it, for the unit tests of net/. */
#ifndef TESTS_UNIT_LISTENERS_H
#define TESTS_UNIT_LISTENERS_H

#include <stdio.h>

#include "tests/support/testing.h"
#include "weir/net.h"
#include "weir/rt.h"
#include "weir/task.h"
#include "weir/time.h"

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
static inline struct weir_listener *listen_somewhere(const char *host, char *text, size_t len)
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

static inline void connect_and_accept(const char *text, struct weir_listener *listener)
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

#endif
