/* SPDX-License-Identifier: MIT */
/*
 * testing.h: what every test executable shares.
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
 * Each case (and each round of one) runs in its own process, reports one TAP
 * line, and gets without asking:
 *
 *	a leak check	files, threads and heap blocks that are there after its
 *			teardown and were not before its setup fail it
 *	a watchdog	when its time is up, the stack of every thread is printed
 *			and the test fails
 *
 * Run one:  ./dev test NAME, or the executable with NAME, or CK_RUN_CASE=NAME.
 * Debug:    CK_FORK=no gdb --args EXECUTABLE NAME (one process, no watchdog).
 * List:     EXECUTABLE --list
 *
 * Environment: WEIR_TEST_SLOW=1 runs what needs "slow"; WEIR_TEST_SCALE=N makes
 * every limit N times as long (sanitizers, emulation).
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
	/* Requirements, separated by spaces; see the table in testing.c. Where one is missing the
	 * case is skipped and says why. */
	const char *needs;
	/* The watchdog's limit, which guards against hangs; 0 means 120 s. */
	unsigned timeout_s;
	/* How often to run it, each time as a test of its own with _i = 0 ...; 0 means once. */
	unsigned rounds;
	/* TESTING_MAY_LEAK_*, with the reason in a comment beside it. */
	unsigned flags;
	void (*setup)(void);
	void (*teardown)(void);
};

#define TESTING(test_name, ...) { .test = test_name, __VA_ARGS__ }
#define TESTING_COUNT(table) (sizeof(table) / sizeof((table)[0]))

/*
 * Called in each case's process before leaks are looked for, when it is set before testing_main:
 * for what the first use of a library leaves in a process for good.
 */
extern void (*testing_prepare)(void);
/* For testing_prepare, where kqueue is libkqueue's (tests/support/libkqueue.c); NULL elsewhere. */
void testing_use_libkqueue(void) __attribute__((weak));

/* Runs the cases that were asked for; main's return value. */
int testing_main(int argc, char **argv, const struct testing_case *cases, size_t count);

/* Marks the running test as skipped, for a reason found out only inside it; then return. */
void testing_skip(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/*
 * In ns: the limit of whoever waits for what is sure to come, such as the end of a shutdown. It tells
 * a hang from a slow machine, and comes before the watchdog.
 */
uint64_t testing_hang_ns(void);

/* Seconds, milliseconds or counts made longer for a sanitizer or an emulator. */
unsigned testing_scaled(unsigned limit);

/*
 * The nth allocation from now on fails (1: the next), and only that one; 0: none. Assertions
 * allocate too: set it to 0 behind the call that is tested. False where the build could not wrap
 * the allocator: then the test says that it skips.
 */
bool testing_fail_allocation(unsigned nth);
/* One allocation in so many fails, by a lot that the seed determines; 0: none. Likewise. */
bool testing_fail_allocations(unsigned one_in, unsigned seed);

/*
 * What testing_main does around every case, for programs that want it elsewhere:
 * begin notes what there is, end fails the test with a list of what is there
 * too much. Memory is seen only where the build could wrap the allocator; under
 * AddressSanitizer its own leak check does that part.
 */
void testing_leaks_begin(void);
void testing_leaks_end(unsigned flags);
/* The same for programs that are no case: true with the list in text. */
bool testing_leaks_found(unsigned flags, char *text, size_t len);

/* Prints the stacks of all threads and ends the process if not stopped within the time. */
void testing_watchdog_start(const char *what, unsigned seconds);
void testing_watchdog_stop(void);

#endif
