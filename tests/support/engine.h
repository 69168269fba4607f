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
 * Runs before, the test with _i = round, after; before and after also belong to
 * the test's process. kill_after_s is the last resort, behind the watchdog.
 */
void testing__engine_run(const TTest *test, int round, void (*before)(void), void (*after)(void),
			 unsigned kill_after_s, struct testing__outcome *ret_outcome);

/* Whether tests get a process each; CK_FORK=no says no. */
bool testing__engine_forks(void);

#endif
