/* SPDX-License-Identifier: MIT */
/*
 * tools_common_quantity.c: formatting numbers with units: prefixes, digits, and values that are not
 * numbers.
 */
#include <math.h>

#include "tests/support/testing.h"
#include "tools/common/quantity.h"

static const char *formatted(enum quantity quantity, double value, int digits)
{
	static char buf[QUANTITY_LEN];

	quantity_format(quantity, value, digits, buf, sizeof(buf));
	return buf;
}

START_TEST(a_time_gets_the_prefix_that_suits_it)
{
	ck_assert_str_eq(formatted(QUANTITY_NS, 9.85, 3), "9.85 ns");
	ck_assert_str_eq(formatted(QUANTITY_NS, 999, 3), "999 ns");
	ck_assert_str_eq(formatted(QUANTITY_NS, 31234, 3), "31.2 µs");
	ck_assert_str_eq(formatted(QUANTITY_NS, 1.1e6, 3), "1.10 ms");
	ck_assert_str_eq(formatted(QUANTITY_NS, 2.5e9, 3), "2.50 s");
}
END_TEST

START_TEST(three_digits_count_wherever_the_point_is)
{
	ck_assert_str_eq(formatted(QUANTITY_PLAIN, 0, 3), "0");
	ck_assert_str_eq(formatted(QUANTITY_PLAIN, 2.0649, 3), "2.06");
	ck_assert_str_eq(formatted(QUANTITY_PLAIN, 16.22, 3), "16.2");
	ck_assert_str_eq(formatted(QUANTITY_PLAIN, 2310, 3), "2.31 k");
	ck_assert_str_eq(formatted(QUANTITY_PLAIN, 12345, 3), "12.3 k");
	ck_assert_str_eq(formatted(QUANTITY_PLAIN, 0.0501, 3), "0.0501");
	ck_assert_str_eq(formatted(QUANTITY_PLAIN, 0.0000171, 3), "0.000017");
	/* When rounding reaches the next power of ten, a digit after the point goes. */
	ck_assert_str_eq(formatted(QUANTITY_PLAIN, 9.999, 3), "10.0");
	ck_assert_str_eq(formatted(QUANTITY_PLAIN, 99.96, 3), "100");
}
END_TEST

START_TEST(four_digits_are_for_those_who_compare)
{
	ck_assert_str_eq(formatted(QUANTITY_NS, 31234, 4), "31.23 µs");
	ck_assert_str_eq(formatted(QUANTITY_RATE, 50004, 4), "50.00 k/s");
}
END_TEST

START_TEST(bytes_are_counted_in_powers_of_two)
{
	ck_assert_str_eq(formatted(QUANTITY_BYTES, 1536, 3), "1.50 KiB");
	ck_assert_str_eq(formatted(QUANTITY_BYTES_RATE, 3 << 20, 3), "3.00 MiB/s");
}
END_TEST

START_TEST(what_is_no_number_is_not_printed_as_one)
{
	ck_assert_str_eq(formatted(QUANTITY_NS, NAN, 3), "n/a");
	ck_assert_str_eq(formatted(QUANTITY_NS, INFINITY, 3), "n/a");
	ck_assert_str_eq(formatted(QUANTITY_PLAIN, 1e24, 3), "1e+15 G");
}
END_TEST

START_TEST(ticks_of_an_axis_have_its_unit_and_no_digit_too_many)
{
	char buf[QUANTITY_LEN];

	quantity_format_tick(QUANTITY_NS, 20000, 60000, 20000, buf, sizeof(buf));
	ck_assert_str_eq(buf, "20 µs");
	quantity_format_tick(QUANTITY_NS, 500, 2000, 500, buf, sizeof(buf));
	ck_assert_str_eq(buf, "0.5 µs");
	quantity_format_tick(QUANTITY_PLAIN, 0.02, 0.06, 0.02, buf, sizeof(buf));
	ck_assert_str_eq(buf, "0.02");
	quantity_format_tick(QUANTITY_NS, 0, 60000, 20000, buf, sizeof(buf));
	ck_assert_str_eq(buf, "0");
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(a_time_gets_the_prefix_that_suits_it),
		TESTING(three_digits_count_wherever_the_point_is),
		TESTING(four_digits_are_for_those_who_compare),
		TESTING(bytes_are_counted_in_powers_of_two),
		TESTING(what_is_no_number_is_not_printed_as_one),
		TESTING(ticks_of_an_axis_have_its_unit_and_no_digit_too_many),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
