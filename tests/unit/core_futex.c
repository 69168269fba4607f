/* SPDX-License-Identifier: MIT */
/*
 * core_futex.c: sleeping on a word, and waking. Built twice: over the system's
 * futexes, and over the table that stands in for them elsewhere.
 */
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "core/atomic.h"
#include "core/clock.h"
#include "core/futex.h"
#include "tests/support/testing.h"

static uint32_t words[65], asleep;	/* atomic */
#define word words[0]

START_TEST(another_value_does_not_sleep)
{
	word = 1;
	ck_assert_int_eq(weir__futex_wait(&word, 0, WEIR_FOREVER), 0);
	ck_assert_int_eq(weir__futex_wait(&word, 0, 0), 0);
}
END_TEST

START_TEST(a_deadline_ends_the_wait)
{
	uint64_t deadline = weir__clock_system() + 3 * WEIR_MSEC + 400 * WEIR_USEC;
	int rc;

	word = 0;
	while ((rc = weir__futex_wait(&word, 0, deadline)) == 0)
		continue;
	ck_assert_int_eq(rc, -ETIMEDOUT);
	ck_assert_uint_ge(weir__clock_system(), deadline);
	ck_assert_int_eq(weir__futex_wait(&word, 0, 0), -ETIMEDOUT);
}
END_TEST

START_TEST(waking_nobody_is_nothing)
{
	weir__futex_wake(&word, 1);
	weir__futex_wake(&word, INT_MAX);
}
END_TEST

static void *sleep_for_good(void *arg)
{
	uint32_t *at = arg;

	weir__fetch_add(&asleep, 1u, WEIR_SEQ_CST);
	while (weir__load(at, WEIR_ACQUIRE) == 0)
		ck_assert_int_eq(weir__futex_wait(at, 0, WEIR_FOREVER), 0);
	weir__fetch_sub(&asleep, 1u, WEIR_SEQ_CST);
	return NULL;
}

static void start(pthread_t *threads, unsigned n, uint32_t *at)
{
	*at = 0;
	for (unsigned i = 0; i < n; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, sleep_for_good, at), 0);
	while (weir__load(&asleep, WEIR_SEQ_CST) < n)
		continue;
}

static void join(pthread_t *threads, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
}

static void release(uint32_t *at, int n)
{
	weir__store(at, 1u, WEIR_RELEASE);
	weir__futex_wake(at, n);
}

START_TEST(all_that_sleep_are_woken)
{
	pthread_t threads[6];

	start(threads, 6, &word);
	release(&word, INT_MAX);
	join(threads, 6);
}
END_TEST

/* Each wake lets one go, whether it sleeps yet or is about to. */
START_TEST(they_are_woken_one_at_a_time)
{
	pthread_t threads[4];

	start(threads, 4, &word);
	release(&word, 1);
	for (unsigned left; (left = weir__load(&asleep, WEIR_SEQ_CST)) > 0;)
		weir__futex_wake(&word, 1);
	join(threads, 4);
}
END_TEST

START_TEST(a_wake_is_for_one_word)
{
	pthread_t thread;

	start(&thread, 1, &word);
	/* Its neighbour, and one that has the same place in a table of 64 buckets. */
	weir__futex_wake(&words[1], INT_MAX);
	weir__futex_wake(&words[64], INT_MAX);
	ck_assert_uint_eq(weir__load(&asleep, WEIR_SEQ_CST), 1);
	release(&word, 1);
	join(&thread, 1);
}
END_TEST

/* Two threads that hand a turn to and fro sleep for every wake that was lost. */
#define TURNS 20000u

static void *take_odd_turns(void *arg)
{
	(void)arg;
	for (uint32_t turn = 1; turn < TURNS; turn += 2) {
		while (weir__load(&word, WEIR_ACQUIRE) != turn)
			weir__futex_wait(&word, turn - 1, WEIR_FOREVER);
		weir__store(&word, turn + 1, WEIR_RELEASE);
		weir__futex_wake(&word, 1);
	}
	return NULL;
}

START_TEST(no_wake_is_lost)
{
	pthread_t thread;

	word = 0;
	ck_assert_int_eq(pthread_create(&thread, NULL, take_odd_turns, NULL), 0);
	for (uint32_t turn = 0; turn < TURNS; turn += 2) {
		while (weir__load(&word, WEIR_ACQUIRE) != turn)
			weir__futex_wait(&word, turn - 1, WEIR_FOREVER);
		weir__store(&word, turn + 1, WEIR_RELEASE);
		weir__futex_wake(&word, 1);
	}
	pthread_join(thread, NULL);
}
END_TEST

static void on_signal(int signo)
{
	(void)signo;
	release(&word, INT_MAX);
}

/* The handler runs wherever the sleeper is: before its sleep, in it, between the two. */
START_TEST(a_handler_wakes_the_thread_that_it_interrupts)
{
	struct sigaction sa = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	pthread_t thread;

	ck_assert_int_eq(sigaction(SIGUSR1, &sa, NULL), 0);
	for (unsigned i = 0; i < 300; i++) {
		start(&thread, 1, &word);
		ck_assert_int_eq(pthread_kill(thread, SIGUSR1), 0);
		join(&thread, 1);
	}
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(another_value_does_not_sleep),
		TESTING(a_deadline_ends_the_wait),
		TESTING(waking_nobody_is_nothing),
		TESTING(all_that_sleep_are_woken),
		TESTING(they_are_woken_one_at_a_time),
		TESTING(a_wake_is_for_one_word),
		TESTING(no_wake_is_lost, .timeout_s = 60),
		/* ThreadSanitizer holds signals back, and for good from who waits in a system call. */
		TESTING(a_handler_wakes_the_thread_that_it_interrupts, .needs = "nosan"),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
