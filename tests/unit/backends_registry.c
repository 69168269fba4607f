/* SPDX-License-Identifier: MIT */
/* backends_registry.c: finding a backend by name, and choosing one. */
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "backends/registry.h"
#include "tests/support/testing.h"

START_TEST(registry_knows_epoll)
{
	ck_assert_ptr_nonnull(weir__backend_find("epoll"));
	ck_assert_str_eq(weir__backend_find("epoll")->name, "epoll");
	ck_assert_uint_eq(weir__backend_find("epoll")->abi, WEIR_BACKEND_ABI);
	ck_assert_ptr_null(weir__backend_find("epol"));
	ck_assert_ptr_nonnull(weir__backend_at(0));
	ck_assert_ptr_null(weir__backend_at(1000));
}
END_TEST

START_TEST(choice_by_name_environment_and_itself)
{
	struct weir__backend_choice c;

	unsetenv("WEIR_BACKEND");
	ck_assert_int_eq(weir__backend_choose(NULL, &c), 0);
	ck_assert_ptr_nonnull(c.ops);
	ck_assert(c.automatic);
	ck_assert_int_eq(weir__backend_choose("epoll", &c), 0);
	ck_assert_str_eq(c.ops->name, "epoll");
	ck_assert_str_eq(c.why, "");
	ck_assert_ptr_null(c.options);
	ck_assert(!c.automatic);
	ck_assert_int_eq(weir__backend_choose("epoll:fast", &c), -EINVAL);
	ck_assert_str_eq(
		c.why, "backend 'epoll:fast' cannot run here: expected no options, but got 'fast'");
	/* All options that there are, in full. */
	if (weir__backend_find("io_uring")) {
		ck_assert_int_eq(weir__backend_choose("io_uring:fast", &c), -EINVAL);
		ck_assert_ptr_nonnull(strstr(c.why, "unknown option 'fast'"));
		ck_assert_ptr_nonnull(strstr(c.why, "min-wait=N"));
	}
	ck_assert_int_eq(weir__backend_choose("nix", &c), -ENOENT);
	ck_assert_ptr_nonnull(strstr(c.why, "unknown backend 'nix'; this build has:"));
	ck_assert_ptr_nonnull(strstr(c.why, "epoll"));
	setenv("WEIR_BACKEND", "nope", 1);
	ck_assert_int_eq(weir__backend_choose(NULL, &c), -ENOENT);
	ck_assert_ptr_nonnull(strstr(c.why, "'nope'"));
	/* A name, even "auto", takes precedence over the environment. */
	ck_assert_int_eq(weir__backend_choose("epoll", &c), 0);
	ck_assert_int_eq(weir__backend_choose("auto", &c), 0);
	setenv("WEIR_BACKEND", "", 1);
	ck_assert_int_eq(weir__backend_choose(NULL, &c), 0);
	unsetenv("WEIR_BACKEND");
}
END_TEST

/* If the first choice of "auto" fails when it is used, the next is taken, with a note. */
START_TEST(auto_falls_back)
{
	struct weir__backend_choice c;
	const struct weir_backend_ops *first, *last = NULL;
	unsigned fell = 0;

	unsetenv("WEIR_BACKEND");
	ck_assert_int_eq(weir__backend_choose("auto", &c), 0);
	first = c.ops;
	do
		last = c.ops;
	while (weir__backend_fall_back(&c, "no room") == 0 && ++fell < 100);
	ck_assert_uint_lt(fell, 100);
	ck_assert_ptr_eq(c.ops, last);
	ck_assert_ptr_nonnull(strstr(c.why, first->name));
	ck_assert_ptr_nonnull(strstr(c.why, ": no room"));
	ck_assert_int_eq(weir__backend_choose("epoll", &c), 0);
	ck_assert_int_eq(weir__backend_fall_back(&c, "no room"), -ENODEV);
}
END_TEST

START_TEST(named_backend_that_cannot_run)
{
	struct weir__backend_choice c;
	struct rlimit was, none;
	int err;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &was), 0);
	none = (struct rlimit){ 3, was.rlim_max };
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	err = weir__backend_choose("epoll", &c);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &was), 0);
	ck_assert_int_eq(err, -EMFILE);
	ck_assert_ptr_nonnull(strstr(c.why, "backend 'epoll' cannot run here: epoll_create1"));
	ck_assert_ptr_null(c.ops);
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(registry_knows_epoll),
		TESTING(choice_by_name_environment_and_itself),
		TESTING(auto_falls_back),
		TESTING(named_backend_that_cannot_run),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
