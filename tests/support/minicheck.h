/* SPDX-License-Identifier: MIT */
/*
 * minicheck.h: the part of libcheck's interface that these tests use, for machines
 * without libcheck.
 *
 * Cross builds need it: Debian has no cross package of libcheck, and installing the packages of a
 * foreign architecture would change the builder's machine. Where libcheck is found, it is used
 * instead of this file. The tests are the same.
 */
#ifndef WEIR_TESTS_MINICHECK_H
#define WEIR_TESTS_MINICHECK_H

#include <inttypes.h>
#include <stdint.h>
#include <string.h>

typedef struct TTest {
	const char *name;
	void (*fn)(int round);
	const char *file;
	int line;
} TTest;

#define START_TEST(test_name) \
	static void test_name##_fn(int _i __attribute__((unused))); \
	static const TTest test_name##_ttest = {#test_name, test_name##_fn, __FILE__, __LINE__}; \
	static const TTest *test_name = &test_name##_ttest; \
	static void test_name##_fn(int _i __attribute__((unused)))
#define END_TEST

/* Records the first failure and ends the test's process. */
void minicheck_fail(const char *file, int line, const char *fmt, ...)
	__attribute__((noreturn, format(printf, 3, 4)));

#define ck_abort_msg(...) minicheck_fail(__FILE__, __LINE__, __VA_ARGS__)
#define ck_abort() ck_abort_msg("Failed")
#define ck_assert_msg(cond, ...) ((cond) ? (void)0 : ck_abort_msg(__VA_ARGS__))
#define ck_assert(cond) ck_assert_msg(cond, "Assertion '%s' failed", #cond)

#define MINICHECK_COMPARE(type, fmt, a, op, b) \
	do { \
		type a_ = (a); \
		type b_ = (b); \
		ck_assert_msg(a_ op b_, \
			      "Assertion '%s' failed: %s == %" fmt ", %s == %" fmt, \
			      #a " " #op " " #b, #a, a_, #b, b_); \
	} while (0)

#define ck_assert_int_eq(a, b) MINICHECK_COMPARE(intmax_t, PRIdMAX, a, ==, b)
#define ck_assert_int_ne(a, b) MINICHECK_COMPARE(intmax_t, PRIdMAX, a, !=, b)
#define ck_assert_int_lt(a, b) MINICHECK_COMPARE(intmax_t, PRIdMAX, a, <, b)
#define ck_assert_int_le(a, b) MINICHECK_COMPARE(intmax_t, PRIdMAX, a, <=, b)
#define ck_assert_int_gt(a, b) MINICHECK_COMPARE(intmax_t, PRIdMAX, a, >, b)
#define ck_assert_int_ge(a, b) MINICHECK_COMPARE(intmax_t, PRIdMAX, a, >=, b)
#define ck_assert_uint_eq(a, b) MINICHECK_COMPARE(uintmax_t, PRIuMAX, a, ==, b)
#define ck_assert_uint_ne(a, b) MINICHECK_COMPARE(uintmax_t, PRIuMAX, a, !=, b)
#define ck_assert_uint_lt(a, b) MINICHECK_COMPARE(uintmax_t, PRIuMAX, a, <, b)
#define ck_assert_uint_le(a, b) MINICHECK_COMPARE(uintmax_t, PRIuMAX, a, <=, b)
#define ck_assert_uint_gt(a, b) MINICHECK_COMPARE(uintmax_t, PRIuMAX, a, >, b)
#define ck_assert_uint_ge(a, b) MINICHECK_COMPARE(uintmax_t, PRIuMAX, a, >=, b)
#define ck_assert_double_eq(a, b) MINICHECK_COMPARE(double, ".17g", a, ==, b)
#define ck_assert_double_ge(a, b) MINICHECK_COMPARE(double, ".17g", a, >=, b)
#define ck_assert_double_lt(a, b) MINICHECK_COMPARE(double, ".17g", a, <, b)
#define ck_assert_double_eq_tol(a, b, tol) \
	ck_assert_msg((a) - (b) < (tol) && (b) - (a) < (tol), "%s is not within %s of %s", #a, #tol, #b)
#define ck_assert_ptr_eq(a, b) MINICHECK_COMPARE(const volatile void *, "p", a, ==, b)
#define ck_assert_ptr_ne(a, b) MINICHECK_COMPARE(const volatile void *, "p", a, !=, b)
#define ck_assert_ptr_null(a) ck_assert_ptr_eq(a, NULL)
#define ck_assert_ptr_nonnull(a) ck_assert_ptr_ne(a, NULL)

#define MINICHECK_STRINGS(a, op, b) \
	do { \
		const char *a_ = (a); \
		const char *b_ = (b); \
		ck_assert_msg(a_ && b_ && strcmp(a_, b_) op 0, \
			      "Assertion '%s' failed: %s == \"%s\", %s == \"%s\"", \
			      #a " " #op " " #b, #a, a_ ? a_ : "(null)", #b, \
			      b_ ? b_ : "(null)"); \
	} while (0)

#define ck_assert_str_eq(a, b) MINICHECK_STRINGS(a, ==, b)
#define ck_assert_str_ne(a, b) MINICHECK_STRINGS(a, !=, b)

#define ck_assert_mem_eq(a, b, len) \
	ck_assert_msg(memcmp((a), (b), (len)) == 0, "Assertion '%s' failed", #a " == " #b)
#define ck_assert_mem_ne(a, b, len) \
	ck_assert_msg(memcmp((a), (b), (len)) != 0, "Assertion '%s' failed", #a " != " #b)

#endif
