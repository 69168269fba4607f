/* SPDX-License-Identifier: MIT */
/* stack_checksum.c: the checksum against the example of RFC 1071 and against a word-by-word sum. */
#include "stack/bytes.h"
#include "stack/checksum.h"
#include "tests/support/testing.h"

/* RFC 1071, section 3. */
static const unsigned char example[] = { 0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7 };

static unsigned char bytes[4096 + 64], copy[4096 + 64];

static void setup(void)
{
	uint32_t x = 1;

	for (size_t i = 0; i < sizeof(bytes); i++) {
		x = x * 1664525 + 1013904223;
		bytes[i] = (unsigned char)(x >> 24);
	}
}

/* The algorithm of RFC 1071 section 4.1. */
static uint16_t by_words(const unsigned char *from, size_t len)
{
	uint32_t sum = 0;

	for (; len > 1; from += 2, len -= 2)
		sum += weir__get16(from);
	if (len > 0)
		sum += (uint32_t)from[0] << 8;
	while (sum >> 16)
		sum = (sum >> 16) + (sum & 0xffff);
	return (uint16_t)~sum;
}

static uint16_t stored(uint32_t sum)
{
	unsigned char field[2];

	weir__put_checksum(field, weir__checksum_finish(sum));
	return weir__get16(field);
}

START_TEST(the_example_of_rfc_1071)
{
	ck_assert_uint_eq(stored(weir__checksum(example, sizeof(example))), (uint16_t)~0xddf2);
}
END_TEST

START_TEST(every_length_and_alignment)
{
	for (size_t at = 0; at < 9; at++)
		for (size_t len = 0; len < 200; len++)
			ck_assert_uint_eq(stored(weir__checksum(bytes + at, len)),
					  by_words(bytes + at, len));
	ck_assert_uint_eq(stored(weir__checksum(bytes, 4096)), by_words(bytes, 4096));
}
END_TEST

START_TEST(a_copy_has_the_same_sum)
{
	for (size_t len = 0; len < 200; len++) {
		memset(copy, 0xee, sizeof(copy));
		ck_assert_uint_eq(weir__checksum_copy(copy + 3, bytes + 1, len),
				  weir__checksum(bytes + 1, len));
		ck_assert_mem_eq(copy + 3, bytes + 1, len);
		ck_assert_uint_eq(copy[3 + len], 0xee);
		ck_assert_uint_eq(copy[2], 0xee);
	}
}
END_TEST

START_TEST(carries_go_round)
{
	memset(bytes, 0xff, sizeof(bytes));
	for (size_t len = 0; len < 100; len++)
		ck_assert_uint_eq(stored(weir__checksum(bytes, len)), by_words(bytes, len));
	ck_assert_uint_eq(weir__checksum_add(UINT32_MAX, 1), 1);
}
END_TEST

START_TEST(sums_of_two_parts_add_up)
{
	for (size_t len = 1; len < 100; len++)
		for (size_t cut = 0; cut <= len; cut++) {
			uint32_t a = weir__checksum(bytes, cut);
			uint32_t b = weir__checksum(bytes + cut, len - cut);
			uint32_t whole = weir__checksum(bytes, len);

			b = cut & 1 ? weir__checksum_odd(b) : b;
			ck_assert_uint_eq(stored(weir__checksum_add(a, b)), stored(whole));
		}
}
END_TEST

START_TEST(a_right_packet_sums_to_nothing)
{
	weir__put16(bytes + 10, 0);
	weir__put_checksum(bytes + 10, weir__checksum_finish(weir__checksum(bytes, 40)));
	ck_assert_uint_eq(weir__checksum_finish(weir__checksum(bytes, 40)), 0);
	bytes[20] ^= 1;
	ck_assert_uint_ne(weir__checksum_finish(weir__checksum(bytes, 40)), 0);
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(the_example_of_rfc_1071),
		TESTING(every_length_and_alignment, .setup = setup),
		TESTING(a_copy_has_the_same_sum, .setup = setup),
		TESTING(carries_go_round),
		TESTING(sums_of_two_parts_add_up, .setup = setup),
		TESTING(a_right_packet_sums_to_nothing, .setup = setup),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
