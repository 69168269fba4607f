/* SPDX-License-Identifier: MIT */
/*
 * engine_check.c: runs one test with libcheck, as a suite of one.
 *
 * Check forks, provides the asserts, formats the messages, and enforces the last timeout. testing.c
 * selects and skips tests and writes the report, because Check's TAP writer cannot report a skip
 * and writes nothing until the last test has ended.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/engine.h"

static void describe_failure(SRunner *runner, struct testing__outcome *outcome)
{
	TestResult **failures = srunner_failures(runner);

	if (srunner_ntests_run(runner) == 0)
		snprintf(outcome->message, sizeof(outcome->message), "libcheck ran nothing");
	else
		snprintf(outcome->message, sizeof(outcome->message), "%s:%d: %s",
			 tr_lfile(failures[0]), tr_lno(failures[0]), tr_msg(failures[0]));
	free(failures);
}

void testing__engine_run(const TTest *test, int round, void (*before)(void), void (*after)(void),
			 unsigned kill_after_s, struct testing__outcome *ret_outcome)
{
	Suite *suite = suite_create(test->name);
	TCase *tcase = tcase_create(test->name);
	SRunner *runner = srunner_create(suite);

	tcase_set_timeout(tcase, kill_after_s);
	tcase_add_checked_fixture(tcase, before, after);
	tcase_add_loop_test(tcase, test, round, round + 1);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_SILENT);
	ret_outcome->message[0] = '\0';
	ret_outcome->passed =
		srunner_ntests_run(runner) == 1 && srunner_ntests_failed(runner) == 0;
	if (!ret_outcome->passed)
		describe_failure(runner, ret_outcome);
	srunner_free(runner);
}

bool testing__engine_forks(void)
{
	SRunner *runner = srunner_create(NULL);
	bool forks = srunner_fork_status(runner) == CK_FORK;

	srunner_free(runner);
	return forks;
}
