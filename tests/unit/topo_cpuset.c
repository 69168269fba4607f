/* SPDX-License-Identifier: MIT */
/* topo_cpuset.c: sets of CPUs, and their conversion to and from text. */
#include <string.h>

#include "tests/support/testing.h"
#include "weir/topo.h"

START_TEST(what_is_added_is_there)
{
	struct weir_cpuset set = { { 0 } };

	ck_assert_uint_eq(weir_cpuset_count(&set), 0);
	weir_cpuset_add(&set, 0);
	weir_cpuset_add(&set, 63);
	weir_cpuset_add(&set, 64);
	weir_cpuset_add(&set, 1023);
	weir_cpuset_add(&set, 1023);
	/* CPUs beyond the largest are ignored. */
	weir_cpuset_add(&set, 1024);
	weir_cpuset_add(&set, ~0u);
	ck_assert_uint_eq(weir_cpuset_count(&set), 4);
	ck_assert(weir_cpuset_has(&set, 63) && weir_cpuset_has(&set, 64));
	ck_assert(!weir_cpuset_has(&set, 62) && !weir_cpuset_has(&set, 1024));
}
END_TEST

START_TEST(text_and_back)
{
	static const struct {
		const char *text, *printed;
	} cases[] = {
		{ "0", "0" },		{ "0-3,8", "0-3,8" },	    { "8,0-3\n", "0-3,8" },
		{ "3,1,2", "1-3" },	{ "0-1,1-2,5-5", "0-2,5" }, { "62-65", "62-65" },
		{ "0-1023", "0-1023" }, { "1023", "1023" },	    { "00,007", "0,7" },
	};
	struct weir_cpuset set;
	char buf[64];
	unsigned i;

	for (i = 0; i < TESTING_COUNT(cases); i++) {
		ck_assert_int_eq(weir_cpuset_parse(cases[i].text, &set, NULL), 0);
		ck_assert_uint_eq(weir_cpuset_print(&set, buf, sizeof buf),
				  strlen(cases[i].printed));
		ck_assert_str_eq(buf, cases[i].printed);
	}
}
END_TEST

START_TEST(anything_else_is_refused)
{
	static const char *const cases[] = { "",     "\n",     "a",	"1-",
					     "-1",   "1--2",   "2-1",	"1,",
					     ",1",   "1 2",    "1,,2",	"0x1",
					     "1024", "0-1024", "1-2-3", " 1",
					     "1 ",   "+1",     "1;2",	"99999999999999999999999",
					     "1\n2", "1\n\n",  "1\n,2", "1,\n2" };
	struct weir_cpuset set = { { 5 } };
	unsigned i;

	for (i = 0; i < TESTING_COUNT(cases); i++)
		ck_assert_msg(weir_cpuset_parse(cases[i], &set, NULL) == -EINVAL, "'%s'", cases[i]);
	ck_assert_int_eq(weir_cpuset_parse(NULL, &set, NULL), -EINVAL);
	ck_assert_int_eq(weir_cpuset_parse("1", NULL, NULL), -EINVAL);
	ck_assert_uint_eq(set.word[0], 5);
}
END_TEST

START_TEST(what_is_wrong_is_named)
{
	static const struct {
		const char *text, *why;
	} cases[] = {
		{ "0-99999", "'99999' is too large" },
		{ "1024,2", "'1024' is too large" },
		{ "0,9-8,3", "'9-8' ends before it begins" },
		{ "0,x-1,3", "'x-1' is not a number" },
		{ "0-", "'' is not a number" },
		{ "1 2,3", "' 2' is not a comma" },
	};
	struct weir_cpuset set;
	struct weir_why why;
	unsigned i;

	for (i = 0; i < TESTING_COUNT(cases); i++) {
		ck_assert_int_eq(weir_cpuset_parse(cases[i].text, &set, &why), -EINVAL);
		ck_assert_str_eq(why.text, cases[i].why);
	}
}
END_TEST

START_TEST(what_does_not_fit_is_cut_before_a_comma)
{
	static const char *const wanted[] = { "", "", "", "1", "1", "1,3-5", "1,3-5" };
	static const size_t sizes[] = { 0, 1, 1, 2, 5, 6, 9 };
	struct weir_cpuset set;
	char buf[16] = "unchanged";
	unsigned i;

	ck_assert_int_eq(weir_cpuset_parse("1,3-5,700", &set, NULL), 0);
	ck_assert_uint_eq(weir_cpuset_print(&set, buf, 0), 0);
	ck_assert_str_eq(buf, "unchanged");
	for (i = 1; i < TESTING_COUNT(wanted); i++) {
		ck_assert_uint_eq(weir_cpuset_print(&set, buf, sizes[i]), strlen(wanted[i]));
		ck_assert_str_eq(buf, wanted[i]);
	}
	ck_assert_uint_eq(weir_cpuset_print(&set, buf, 10), 9);
	ck_assert_str_eq(buf, "1,3-5,700");
	memset(&set, 0, sizeof set);
	ck_assert_uint_eq(weir_cpuset_print(&set, buf, sizeof buf), 0);
	ck_assert_str_eq(buf, "");
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(what_is_added_is_there),
		TESTING(text_and_back),
		TESTING(anything_else_is_refused),
		TESTING(what_is_wrong_is_named),
		TESTING(what_does_not_fit_is_cut_before_a_comma),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
