/* SPDX-License-Identifier: MIT */
/*
 * net_resolve.c: resolving names. This program has its own getaddrinfo in place of the C library's;
 * a case decides what it answers and how long it blocks.
 */
#include <netdb.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "weir/net.h"
#include "weir/rt.h"
#include "weir/task.h"
#include "weir/time.h"
#include "tests/support/testing.h"

/* ---- the fake resolver ---- */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool hanging;
static int entered, left, answers, failure;

static struct addrinfo *make_answer(int count)
{
	struct addrinfo *list = NULL;

	while (count-- > 0) {
		struct addrinfo *one = calloc(1, sizeof(*one) + sizeof(struct sockaddr_storage));
		struct sockaddr_in *in = (struct sockaddr_in *)(one + 1);

		in->sin_family = AF_INET;
		in->sin_addr.s_addr = htonl(0x0a000000u + (unsigned)count);
		one->ai_family = AF_INET;
		one->ai_addr = (struct sockaddr *)in;
		one->ai_addrlen = sizeof(*in);
		one->ai_next = list;
		list = one;
	}
	return list;
}

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
		struct addrinfo **ret_list)
{
	int rc = failure;

	ck_assert_ptr_nonnull(node);
	ck_assert_ptr_null(service);
	ck_assert_int_eq(hints->ai_socktype, SOCK_STREAM);
	pthread_mutex_lock(&mutex);
	entered++;
	pthread_cond_broadcast(&changed);
	while (hanging)
		pthread_cond_wait(&changed, &mutex);
	left++;
	pthread_mutex_unlock(&mutex);
	if (rc == 0)
		*ret_list = make_answer(answers);
	else if (rc == EAI_SYSTEM)
		errno = ENETUNREACH;
	return rc;
}

void freeaddrinfo(struct addrinfo *list)
{
	while (list) {
		struct addrinfo *next = list->ai_next;

		free(list);
		list = next;
	}
}

static void hang(bool on)
{
	pthread_mutex_lock(&mutex);
	hanging = on;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&mutex);
}

/*
 * Waits until `count` calls are inside getaddrinfo. Blocks the worker, which has nothing else to
 * do.
 */
static void wait_entered(int count)
{
	pthread_mutex_lock(&mutex);
	while (entered < count)
		pthread_cond_wait(&changed, &mutex);
	pthread_mutex_unlock(&mutex);
}

/* ---- cases ---- */

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

FIBER_CASE(a_number_asks_nobody)
{
	struct weir_addr addr;

	ck_assert_int_eq(weir_resolve("127.0.0.1:80", 1, WEIR_FOREVER, &addr), 1);
	ck_assert_int_eq(weir_resolve("[::1]:80", 1, 0, &addr), 1);
	ck_assert_int_eq(addr.u.sa.sa_family, AF_INET6);
	ck_assert_int_eq(weir_resolve("unix:/a", 1, 0, &addr), 1);
	ck_assert_int_eq(entered, 0);
	return 0;
}

FIBER_CASE(what_is_not_asked_for)
{
	struct weir_addr addr;

	ck_assert_int_eq(weir_resolve(NULL, 1, WEIR_FOREVER, &addr), -EINVAL);
	ck_assert_int_eq(weir_resolve("localhost", 1, WEIR_FOREVER, &addr), -EINVAL);
	ck_assert_int_eq(weir_resolve("127.1:80", 1, WEIR_FOREVER, &addr), -EINVAL);
	ck_assert_int_eq(weir_resolve("localhost:80", 0, WEIR_FOREVER, &addr), -EINVAL);
	ck_assert_int_eq(entered, 0);
	return 0;
}

FIBER_CASE(all_addresses_in_order_with_the_port)
{
	struct weir_addr addrs[40];
	char buf[64];

	answers = 3;
	ck_assert_int_eq(weir_resolve("name:443", 40, WEIR_FOREVER, addrs), 3);
	for (int i = 0; i < 3; i++) {
		char want[] = "10.0.0.0:443";

		want[7] = (char)('0' + i);
		weir_addr_format(&addrs[i], buf, sizeof(buf));
		ck_assert_str_eq(buf, want);
	}
	ck_assert_int_eq(weir_resolve("name:443", 2, WEIR_FOREVER, addrs), 2);
	answers = 100;
	ck_assert_int_eq(weir_resolve("name:443", 40, WEIR_FOREVER, addrs), 32);
	return 0;
}

FIBER_CASE(what_the_resolver_says)
{
	static const struct {
		int eai, result;
	} table[] = {
		{ EAI_NONAME, -ENOENT }, { EAI_AGAIN, -EAGAIN },       { EAI_FAIL, -EIO },
		{ EAI_MEMORY, -ENOMEM }, { EAI_SYSTEM, -ENETUNREACH },
	};
	struct weir_addr addr;

	for (unsigned i = 0; i < TESTING_COUNT(table); i++) {
		failure = table[i].eai;
		ck_assert_int_eq(weir_resolve("name:1", 1, WEIR_FOREVER, &addr), table[i].result);
	}
	failure = 0;
	answers = 0;
	ck_assert_int_eq(weir_resolve("name:1", 1, WEIR_FOREVER, &addr), -ENOENT);
	return 0;
}

FIBER_CASE(a_deadline_does_not_wait_for_the_resolver)
{
	struct weir_addr addr;

	answers = 1;
	hang(true);
	ck_assert_int_eq(weir_resolve("name:1", 1, weir_deadline_in(20 * WEIR_MSEC), &addr),
			 -ETIMEDOUT);
	wait_entered(1);
	ck_assert_int_eq(left, 0);
	hang(false);
	ck_assert_int_eq(weir_resolve("name:1", 1, WEIR_FOREVER, &addr), 1);
	return 0;
}

static int resolve_for_ever(void *arg)
{
	struct weir_addr addr;

	(void)arg;
	return weir_resolve("name:1", 1, WEIR_FOREVER, &addr);
}

FIBER_CASE(an_abort_does_not_wait_for_the_resolver)
{
	struct weir_task *task;
	int rc = WEIR_PENDING;

	answers = 1;
	hang(true);
	ck_assert_int_eq(weir_spawn(resolve_for_ever, NULL, &task), 0);
	weir_yield();
	wait_entered(1);
	weir_task_abort(task);
	ck_assert_int_eq(weir_task_join(task, &rc), 0);
	ck_assert_int_eq(rc, -ECANCELED);
	ck_assert_int_eq(left, 0);
	hang(false);
	return 0;
}

/*
 * Answers arrive just when deadlines pass: nothing is lost or leaked, and no finished task is
 * woken.
 */
FIBER_CASE(answers_that_race_with_deadlines)
{
	struct weir_addr addr;

	answers = 1;
	for (int i = 0; i < 300; i++) {
		int rc = weir_resolve("name:1", 1, weir_deadline_in((uint64_t)(i % 30) * 10000),
				      &addr);

		ck_assert(rc == 1 || rc == -ETIMEDOUT);
	}
	return 0;
}

FIBER_CASE(many_at_once)
{
	struct weir_task *tasks[100];

	answers = 1;
	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(weir_spawn(resolve_for_ever, NULL, &tasks[i]), 0);
	for (int i = 0; i < 100; i++) {
		int rc = WEIR_PENDING;

		ck_assert_int_eq(weir_task_join(tasks[i], &rc), 0);
		ck_assert_int_eq(rc, 1);
	}
	return 0;
}

START_TEST(outside_a_runtime)
{
	struct weir_addr addr;

	ck_assert_int_eq(weir_resolve("name:1", 1, WEIR_FOREVER, &addr), -EPERM);
	ck_assert_int_eq(weir_resolve("1.2.3.4:1", 1, WEIR_FOREVER, &addr), -EPERM);
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(a_number_asks_nobody),
		TESTING(what_is_not_asked_for),
		TESTING(all_addresses_in_order_with_the_port),
		TESTING(what_the_resolver_says),
		TESTING(a_deadline_does_not_wait_for_the_resolver),
		TESTING(an_abort_does_not_wait_for_the_resolver),
		TESTING(answers_that_race_with_deadlines),
		TESTING(many_at_once),
		TESTING(outside_a_runtime),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
