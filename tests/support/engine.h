/* SPDX-License-Identifier: MIT */
/*
 * engine.h: how testing.c runs one test in a process of its own. Two files
 * implement it: engine_check.c over libcheck, and minicheck.c where the target
 * machine has no libcheck.
 */
#ifndef WEIR_TESTS_ENGINE_H
#define WEIR_TESTS_ENGINE_H

#include <stdbool.h>

#include "tests/support/testing.h"

struct testing__outcome {
	bool passed;
	/* One line: where and why it failed. */
	char message[4096];
};

/*
 * Runs before(), the test with _i = round, and after(), all three in the test's process. The engine
 * kills that process after kill_after_s, in case the watchdog has not ended it.
 */
void testing__engine_run(const TTest *test, int round, void (*before)(void), void (*after)(void),
			 unsigned kill_after_s, struct testing__outcome *ret_outcome);

/* Whether each test gets a process of its own. Not with CK_FORK=no. */
bool testing__engine_forks(void);

#endif
