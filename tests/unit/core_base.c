/* SPDX-License-Identifier: MIT */
/* core_base.c: the texts for result codes. */
#include <string.h>

#include "tests/support/testing.h"
#include "weir/base.h"

static const int with_one_meaning[] = { -ECANCELED, -ETIMEDOUT, -ESHUTDOWN };
static const int shared[] = { -EPERM, -ENXIO, -ENODEV, -EOPNOTSUPP };

static bool is_among(int code, const int *codes, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (codes[i] == code)
			return true;
	return false;
}

/* Such errnos come from system calls, so the C library's text is right. */
START_TEST(an_errno_is_told_in_the_words_of_the_system)
{
	for (int err = 1; err < 200; err++)
		if (!is_among(-err, with_one_meaning, 3))
			ck_assert_ptr_nonnull(strstr(weir_strerror(-err),
						     strerrordesc_np(err) ? strerrordesc_np(err)
									  : "unknown error"));
}
END_TEST

START_TEST(what_weir_means_by_a_code_that_it_shares_is_told_by_explain)
{
	for (int err = 1; err < 200; err++)
		ck_assert_int_eq(strcmp(weir_explain(-err), weir_strerror(-err)) != 0,
				 is_among(-err, shared, 4));
	ck_assert_ptr_nonnull(strstr(weir_explain(-EPERM), "fiber"));
	ck_assert_ptr_nonnull(strstr(weir_explain(-ENXIO), "runtime"));
}
END_TEST

START_TEST(every_number_has_a_text)
{
	ck_assert_str_eq(weir_strerror(0), "success");
	ck_assert_str_eq(weir_strerror(INT_MAX), "success");
	ck_assert_str_eq(weir_strerror(WEIR_PENDING), "pending");
	ck_assert_str_eq(weir_strerror(-99999), "unknown error -99999");
	ck_assert_str_eq(weir_explain(7), "success");
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(an_errno_is_told_in_the_words_of_the_system),
		TESTING(what_weir_means_by_a_code_that_it_shares_is_told_by_explain),
		TESTING(every_number_has_a_text),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
