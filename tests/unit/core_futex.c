/* SPDX-License-Identifier: MIT */
/*
 * core_futex.c: sleeping on a word, and waking. Built twice: over the system's futexes, and over
 * the table that replaces them on systems without.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <unistd.h>

#include "core/atomic.h"
#include "core/futex.h"
#include "core/time/clock.h"
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

/* Yields until n threads sleep: they may need this CPU to get there. */
static void await_asleep(unsigned n)
{
	while (weir__load(&asleep, WEIR_SEQ_CST) < n)
		sched_yield();
}

static void start(pthread_t *threads, unsigned n, uint32_t *at)
{
	*at = 0;
	for (unsigned i = 0; i < n; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, sleep_for_good, at), 0);
	await_asleep(n);
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

/* Each wake releases one thread, whether it sleeps already or is about to. */
START_TEST(they_are_woken_one_at_a_time)
{
	pthread_t threads[4];

	start(threads, 4, &word);
	release(&word, 1);
	while (weir__load(&asleep, WEIR_SEQ_CST) > 0) {
		weir__futex_wake(&word, 1);
		sched_yield();
	}
	join(threads, 4);
}
END_TEST

/*
 * The two words share an entry of a table of 64. A wake for one must not release the other's
 * thread.
 */
START_TEST(a_wake_is_for_one_word)
{
	pthread_t one, other;

	for (unsigned i = 0; i < 300; i++) {
		start(&one, 1, &words[0]);
		words[64] = 0;
		ck_assert_int_eq(pthread_create(&other, NULL, sleep_for_good, &words[64]), 0);
		await_asleep(2);
		release(&words[64], 1);
		join(&other, 1);
		release(&words[0], 1);
		join(&one, 1);
	}
}
END_TEST

/* Two threads pass a turn back and forth. After a lost wake both would sleep for ever. */
#define TURNS 4000u

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

static void handle_signals(void (*handler)(int signo))
{
	struct sigaction sa = { .sa_handler = handler, .sa_flags = SA_RESTART };

	ck_assert_int_eq(sigaction(SIGUSR1, &sa, NULL), 0);
}

static void release_all(int signo)
{
	(void)signo;
	release(&word, INT_MAX);
}

/* The handler interrupts the thread before its sleep, during it, or between the two. */
START_TEST(a_handler_wakes_the_thread_that_it_interrupts)
{
	pthread_t thread;

	handle_signals(release_all);
	for (unsigned i = 0; i < 300; i++) {
		start(&thread, 1, &word);
		ck_assert_int_eq(pthread_kill(thread, SIGUSR1), 0);
		join(&thread, 1);
	}
}
END_TEST

static sem_t handled;

static void wake_nobody(int signo)
{
	(void)signo;
	weir__futex_wake(&words[64], 1);
	sem_post(&handled);
}

static void *wake_nobody_often(void *arg)
{
	while (!weir__load((uint32_t *)arg, WEIR_ACQUIRE))
		weir__futex_wake(&words[64], 1);
	return NULL;
}

/* Many threads sleep at the same entry of a table of 64, so that a wake takes long to find none. */
START_TEST(a_handler_may_interrupt_a_wake)
{
	pthread_t sleepers[40], waker;
	uint32_t stop = 0;

	ck_assert_int_eq(sem_init(&handled, 0, 0), 0);
	handle_signals(wake_nobody);
	start(sleepers, 40, &word);
	ck_assert_int_eq(pthread_create(&waker, NULL, wake_nobody_often, &stop), 0);
	for (unsigned i = 0; i < 1000; i++) {
		ck_assert_int_eq(pthread_kill(waker, SIGUSR1), 0);
		while (sem_wait(&handled) < 0)
			ck_assert_int_eq(errno, EINTR);
	}
	weir__store(&stop, 1u, WEIR_RELEASE);
	pthread_join(waker, NULL);
	release(&word, INT_MAX);
	join(sleepers, 40);
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
		TESTING(no_wake_is_lost),
		/* ThreadSanitizer delays signals, for ever if the thread waits in a system call. */
		TESTING(a_handler_wakes_the_thread_that_it_interrupts, .needs = "nosan"),
		TESTING(a_handler_may_interrupt_a_wake, .needs = "nosan"),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
