/* SPDX-License-Identifier: MIT */
/*
 * testing.h: the frame of every test program.
 *
 * A test file defines its tests with Check's START_TEST and END_TEST, asserts
 * with ck_assert_*, and lists them in a table:
 *
 *	START_TEST(a_full_ring_refuses_a_push)
 *	{
 *		ck_assert_int_eq(weir__queue_push(&q, t), -EAGAIN);
 *	}
 *	END_TEST
 *
 *	int main(int argc, char **argv)
 *	{
 *		const struct testing_case cases[] = {
 *			TESTING(a_full_ring_refuses_a_push),
 *			TESTING(a_port_below_1024, .needs = "root", .timeout_s = 30),
 *			TESTING(every_seed, .rounds = 100),
 *		};
 *
 *		return testing_main(argc, argv, cases, TESTING_COUNT(cases));
 *	}
 *
 * Each case, and each round of a case, runs in a process of its own and reports
 * one TAP line. Around each of them there is
 *
 *	a leak check	the case fails if files, threads or heap blocks exist after
 *			its teardown that did not exist before its setup
 *	a watchdog	when the case's time is up, it prints the stack of every
 *			thread, and the case fails
 *
 * Run one:  ./dev test NAME, or the executable with NAME..., or CK_RUN_CASE=NAME.
 * Debug:    CK_FORK=no gdb --args EXECUTABLE NAME (one process, no watchdog).
 * List:     EXECUTABLE --list
 *
 * Environment: WEIR_TEST_SLOW=1 also runs the cases that need "slow";
 * WEIR_TEST_SCALE=N multiplies every time limit by N (sanitizers, emulation).
 *
 * Do not wait by sleeping: wait for the condition. Start threads inside the test
 * body only. A test that forks must end the child with _exit.
 */
#ifndef WEIR_TESTS_TESTING_H
#define WEIR_TESTS_TESTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef WEIR_HAVE_CHECK
#include <check.h>
#else
#include "tests/support/minicheck.h"
#endif

#define TESTING_MAY_LEAK_FDS (1u << 0)
#define TESTING_MAY_LEAK_THREADS (1u << 1)
#define TESTING_MAY_LEAK_MEMORY (1u << 2)

struct testing_case {
	const TTest *test;
	/* Requirements, separated by spaces; testing.c has the list. If one is not met, the case
	 * is skipped and says why. */
	const char *needs;
	/* The watchdog's limit, which guards against hangs; 0 means 120 s. */
	unsigned timeout_s;
	/* How often to run the case, each time as a test of its own, with _i = 0, 1, ...; 0 means
	 * once. */
	unsigned rounds;
	/* TESTING_MAY_LEAK_*, with the reason in a comment beside it. */
	unsigned flags;
	void (*setup)(void);
	void (*teardown)(void);
};

#define TESTING(test_name, ...) { .test = test_name, __VA_ARGS__ }
#define TESTING_COUNT(table) (sizeof(table) / sizeof((table)[0]))

/*
 * If set before testing_main, this is called in each case's process before the leak check begins.
 * It lets a library allocate at its first use what it never releases.
 */
extern void (*testing_prepare)(void);
/* A value for testing_prepare where libkqueue emulates kqueue (libkqueue.c); NULL elsewhere. */
void testing_use_libkqueue(void) __attribute__((weak));

/* Runs the selected cases. Returns the exit status for main. */
int testing_main(int argc, char **argv, const struct testing_case *cases, size_t count);
/* The name of the case that runs, for cases that share a function. */
const char *testing_name(void);

/*
 * Marks the running test as skipped, if that turns out only while it runs. The test then returns.
 */
void testing_skip(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/*
 * A time limit in ns for waiting for something that must happen, such as the end of a shutdown. It
 * is long enough for a slow machine, and shorter than the watchdog's.
 */
uint64_t testing_hang_ns(void);

/* Multiplies a time limit (or a count) by WEIR_TEST_SCALE. */
unsigned testing_scaled(unsigned limit);

/*
 * Makes the nth allocation from now on fail (1 is the next), and no other; 0 turns this off.
 * Assertions allocate too, so turn it off right after the call under test. Returns false if the
 * build could not wrap the allocator; the test is to be skipped then.
 */
bool testing_fail_allocation(unsigned nth);
/*
 * Makes one allocation in one_in fail, at random from the seed; 0 turns this off. Returns likewise.
 */
bool testing_fail_allocations(unsigned one_in, unsigned seed);

/*
 * The leak check that testing_main makes around every case, for use elsewhere. begin records which
 * files, threads and blocks exist; end fails the test and lists the ones that were added. Heap
 * blocks are seen only where the build could wrap the allocator; AddressSanitizer has its own leak
 * check.
 */
void testing_leaks_begin(void);
void testing_leaks_end(unsigned flags);
/* The same for use outside a case. Returns whether there are leaks, and lists them in text. */
bool testing_leaks_found(unsigned flags, char *text, size_t len);

/* Unless stopped in time, the watchdog prints the stacks of all threads and ends the process. */
void testing_watchdog_start(const char *what, unsigned seconds);
void testing_watchdog_stop(void);

#endif
