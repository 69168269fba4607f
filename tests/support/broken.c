/* SPDX-License-Identifier: MIT */
/*
 * broken.c: tests that must fail, each in a different way, and a few that must pass. broken.py runs
 * this program and checks the outcomes: it tests that the test support reports failures.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/testing.h"

static void *volatile kept;

START_TEST(passes)
{
	char *block = malloc(100);

	ck_assert_ptr_nonnull(block);
	block = realloc(block, 100000);
	free(block);
	free(strdup("from inside the C library"));
}
END_TEST

START_TEST(passes_each_round)
{
	ck_assert_int_lt(_i, 3);
}
END_TEST

START_TEST(fails_an_assert)
{
	ck_assert_int_eq(1, 2);
}
END_TEST

static void *assert_there(void *arg)
{
	ck_assert_msg(arg != NULL, "in another thread");
	return NULL;
}

START_TEST(fails_in_another_thread)
{
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, assert_there, NULL), 0);
	pthread_join(thread, NULL);
}
END_TEST

START_TEST(crashes)
{
	volatile int *volatile nowhere = NULL;

	*nowhere = 1;
}
END_TEST

START_TEST(exits_early)
{
	exit(0);
}
END_TEST

START_TEST(leaks_a_file)
{
	ck_assert_int_ge(open("/dev/null", O_RDONLY), 0);
}
END_TEST

START_TEST(leaks_heap)
{
	kept = malloc(1234);
	kept = NULL;
}
END_TEST

static void *sleep_on(void *arg)
{
	pause();
	return arg;
}

START_TEST(leaks_a_thread)
{
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, sleep_on, NULL), 0);
	pthread_detach(thread);
}
END_TEST

START_TEST(hangs)
{
	sleep_on(NULL);
}
END_TEST

START_TEST(skips_itself)
{
	testing_skip("nothing to see in round %d", _i);
}
END_TEST

START_TEST(fails_in_its_teardown)
{
}
END_TEST

static void fail_now(void)
{
	ck_abort_msg("torn down");
}

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(passes),
		TESTING(passes_each_round, .rounds = 3),
		TESTING(fails_an_assert),
		TESTING(fails_in_another_thread),
		TESTING(crashes),
		TESTING(exits_early),
		TESTING(leaks_a_file),
		TESTING(leaks_heap),
		TESTING(leaks_a_thread),
		TESTING(hangs, .timeout_s = 1),
		TESTING(skips_itself),
		TESTING(fails_in_its_teardown, .teardown = fail_now),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
