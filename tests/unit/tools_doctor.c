/* SPDX-License-Identifier: MIT */
/*
 * tools_doctor.c: `weir doctor` as a whole, on machines made up for each case: the findings for a
 * good machine, how findings are printed, and that this machine can be examined.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/testing.h"
#include "tests/unit/tools_doctor_rig.h"

START_TEST(a_good_machine_has_no_warnings)
{
	for (unsigned use = DOCTOR_PROXY; use <= DOCTOR_BENCH; use++) {
		examine(use);
		for (unsigned i = 0; i < doctor.len; i++)
			ck_assert_msg(doctor.findings[i].level < DOCTOR_WARN, "%s: %s",
				      doctor.findings[i].id, doctor.findings[i].found);
		ck_assert_uint_gt(doctor.len, 40);
	}
}
END_TEST

START_TEST(no_id_is_used_twice)
{
	examine(DOCTOR_PROXY);
	for (unsigned i = 0; i < doctor.len; i++)
		for (unsigned j = 0; j < i; j++)
			ck_assert_str_ne(doctor.findings[i].id, doctor.findings[j].id);
}
END_TEST

/* Without /proc and /sys, checks are left out; none invents a value. */
START_TEST(a_machine_without_files)
{
	remove_files();
	examine(DOCTOR_PROXY);
	ck_assert_ptr_null(find("net.somaxconn"));
	ck_assert_ptr_null(find("clock.source"));
	ck_assert_ptr_null(find("cpu.steal"));
	ck_assert_ptr_null(find("memory.total"));
	ck_assert_ptr_null(find("memory.huge"));
	ck_assert_ptr_null(find("nic.busy_poll"));
	ck_assert_uint_eq(doctor_count(&doctor, DOCTOR_FAIL), 0);
}
END_TEST

/* ---- a runtime ---- */

START_TEST(a_runtime_that_starts)
{
	expect_now("runtime.start", DOCTOR_PASS, "starts with 4 workers on epoll", "");
	says.start.workers = 1;
	says.env_backend = "epoll:exclusive";
	says.env_workers = "1";
	expect_now("runtime.start", DOCTOR_PASS,
		   "starts with 1 worker on epoll; WEIR_BACKEND is 'epoll:exclusive', WEIR_WORKERS "
		   "is '1'",
		   "");
	/* The plan is for that number of workers. */
	expect("cpu.allowed", DOCTOR_PASS, "weir starts 1 worker", "");
}
END_TEST

static void does_not_start(int err, const char *why)
{
	says.start.err = err;
	snprintf(says.start.why, sizeof(says.start.why), "%s", why);
}

START_TEST(a_runtime_that_does_not_start)
{
	says.env_backend = "foo";
	does_not_start(-ENOENT, "unknown backend 'foo'; this build has: epoll");
	expect_now("runtime.start", DOCTOR_FAIL,
		   "does not start: unknown backend 'foo'; this build has: epoll",
		   "unset WEIR_BACKEND");
	HAS(got("runtime.start")->advice, "the environment sets it: WEIR_BACKEND is 'foo'");
	expect("cpu.allowed", DOCTOR_PASS, "weir does not start", "");
	/* Both are set, and the first bad one is reported. */
	says.env_workers = "abc";
	does_not_start(-EINVAL, "WEIR_WORKERS is 'abc': expected a number from 1 to 256");
	expect_now("runtime.start", DOCTOR_FAIL, "a number from 1 to 256", "unset WEIR_WORKERS");
	/* The environment is not the cause. */
	says.env_workers = says.env_backend = NULL;
	does_not_start(-ENOMEM, "");
	expect_now("runtime.start", DOCTOR_FAIL, "does not start: ", "");
	ck_assert_str_eq(got("runtime.start")->advice, "");
}
END_TEST

/* ---- reading and printing ---- */

START_TEST(lists_of_cpus)
{
	static const struct {
		const char *text;
		unsigned count;
	} cases[] = {
		{ "", 0 },	   { "0", 1 },	       { "0-3", 4 },	    { "0-1,4,8-9", 5 },
		{ "3-1", 0 },	   { "1,1,0-1", 2 },   { "0-1023", 1024 }, { "1020-2000", 4 },
		{ "nonsense", 0 }, { "99999999", 0 },  { "(null)", 0 },	    { "0-", 1024 },
		{ "-1", 0 },	   { "0,x,3", 1 },
	};
	bool cpus[DOCTOR_CPUS_MAX];

	for (unsigned i = 0; i < TESTING_COUNT(cases); i++)
		ck_assert_msg(doctor_cpu_list(cases[i].text, cpus) == cases[i].count, "'%s': %u",
			      cases[i].text, doctor_cpu_list(cases[i].text, cpus));
}
END_TEST

static char *printed(void (*print)(const struct doctor *, FILE *))
{
	static char text[8192];
	FILE *f = fmemopen(text, sizeof(text), "w");

	ck_assert_ptr_nonnull(f);
	print(&doctor, f);
	fclose(f);
	return text;
}

START_TEST(findings_as_lines)
{
	doctor_init(&doctor, &machine, DOCTOR_BENCH);
	doctor.group = "one";
	doctor_add(&doctor, DOCTOR_PASS, "a.b", "well");
	doctor.group = "two";
	doctor_add(&doctor, DOCTOR_FAIL, "c.d", "%d", 5);
	doctor_advise(&doctor, "or else");
	doctor_fix(&doctor, "do --this");
	ck_assert_str_eq(strchr(printed(doctor_print_text), '\n'),
			 "\n\none\nPASS  a.b                     well\n"
			 "\ntwo\nFAIL  c.d                     5; or else\n"
			 "                              → do --this\n"
			 "\n2 checks: 1 PASS, 0 INFO, 0 WARN, 1 FAIL\n");
}
END_TEST

/* Files may contain anything. The output must still be valid JSON. */
START_TEST(findings_as_json)
{
	doctor_init(&doctor, &machine, DOCTOR_BENCH);
	doctor.group = "g";
	doctor_add(&doctor, DOCTOR_WARN, "i", "q\" b\\ t\t e→ x\xff\xc3( \xed\xa0\x80");
	HAS(printed(doctor_print_json),
	    "{\"level\": \"warn\", \"group\": \"g\", \"id\": \"i\", \"found\": \"q\\\" b\\\\ "
	    "t\\u0009 e→ x\\ufffd\\ufffd( \\ufffd\\ufffd\\ufffd\", \"advice\": \"\", \"fix\": "
	    "\"\"}");
}
END_TEST

START_TEST(fixes_as_a_script)
{
	doctor_init(&doctor, &machine, DOCTOR_PROXY);
	doctor_add(&doctor, DOCTOR_PASS, "a", "fine");
	doctor_fix(&doctor, "never");
	doctor_add(&doctor, DOCTOR_WARN, "b", "two\nlines");
	doctor_fix(&doctor, "sysctl -w x=1");
	doctor_add(&doctor, DOCTOR_INFO, "c", "so so");
	doctor_fix(&doctor, "sysctl -w y=1");
	doctor_add(&doctor, DOCTOR_FAIL, "d", "bad");
	doctor_advise(&doctor, "pray");
	doctor_add(&doctor, DOCTOR_WARN, "e", "nothing to do");
	doctor_add(&doctor, DOCTOR_WARN, "f", "again");
	doctor_fix(&doctor, "sysctl -w x=1");
	doctor_add(&doctor, DOCTOR_WARN, "g", "not so optional");
	doctor_fix(&doctor, "sysctl -w y=1");
	HAS(printed(doctor_print_script), "write them to /etc/sysctl.d.\n"
					  "\n# WARN b: two lines\nsysctl -w x=1\n"
					  "\n# INFO c: so so\n# optional: sysctl -w y=1\n"
					  "\n# FAIL d: bad\n# pray\n"
					  "\n# WARN f: again\n# with the command above\n"
					  "\n# WARN g: not so optional\nsysctl -w y=1\n");
	ck_assert_ptr_null(strstr(printed(doctor_print_script), "nothing"));
	ck_assert_ptr_null(strstr(printed(doctor_print_script), "never"));
}
END_TEST

START_TEST(this_machine_can_be_examined)
{
	doctor_init(&doctor, &doctor_this_machine, DOCTOR_BENCH);
	doctor_check_all(&doctor);
	ck_assert_ptr_nonnull(find("kernel.version"));
	ck_assert_ptr_nonnull(find("uring.setup"));
	ck_assert_ptr_nonnull(find("clock.cost"));
	ck_assert_ptr_null(find("epoll.create"));
	doctor_fini(&doctor);
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(a_good_machine_has_no_warnings, MADE_UP),
		TESTING(no_id_is_used_twice, MADE_UP),
		TESTING(a_machine_without_files, MADE_UP),
		TESTING(a_runtime_that_starts, MADE_UP),
		TESTING(a_runtime_that_does_not_start, MADE_UP),
		TESTING(lists_of_cpus),
		TESTING(findings_as_lines),
		TESTING(findings_as_json),
		TESTING(fixes_as_a_script),
		TESTING(this_machine_can_be_examined, .needs = "native"),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
