/* SPDX-License-Identifier: MIT */
/* stack_siphash.c: SipHash-2-4 against the vectors of its paper and reference code. */
#include "stack/siphash.h"
#include "tests/support/testing.h"

/* Key 00 01 .. 0f. */
static const uint64_t key[2] = { 0x0706050403020100, 0x0f0e0d0c0b0a0908 };
static unsigned char bytes[64];

static void setup(void)
{
	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)i;
}

START_TEST(the_vectors_of_the_authors)
{
	ck_assert_uint_eq(weir__siphash(key, bytes, 0), 0x726fdb47dd0e0e31);
	ck_assert_uint_eq(weir__siphash(key, bytes, 1), 0x74f839c593dc67fd);
	ck_assert_uint_eq(weir__siphash(key, bytes, 8), 0x93f5f5799a932462);
	/* Appendix A of the paper. */
	ck_assert_uint_eq(weir__siphash(key, bytes, 15), 0xa129ca6149be45e5);
	ck_assert_uint_eq(weir__siphash(key, bytes, 63), 0x958a324ceb064572);
}
END_TEST

START_TEST(every_byte_and_the_key_count)
{
	const uint64_t other[2] = { key[0], key[1] ^ 1 };
	uint64_t hash = weir__siphash13(key, bytes, 40);

	ck_assert_uint_ne(hash, weir__siphash(key, bytes, 40));
	ck_assert_uint_ne(hash, weir__siphash13(other, bytes, 40));
	for (unsigned i = 0; i < 40; i++) {
		bytes[i] ^= 0x80;
		ck_assert_uint_ne(hash, weir__siphash13(key, bytes, 40));
		bytes[i] ^= 0x80;
	}
	ck_assert_uint_eq(hash, weir__siphash13(key, bytes, 40));
}
END_TEST

START_TEST(a_pair_of_numbers_is_sixteen_bytes)
{
	ck_assert_uint_eq(weir__siphash13_pair(key, 0x0706050403020100, 0x0f0e0d0c0b0a0908),
			  weir__siphash13(key, bytes, 16));
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(the_vectors_of_the_authors, .setup = setup),
		TESTING(a_pair_of_numbers_is_sixteen_bytes, .setup = setup),
		TESTING(every_byte_and_the_key_count, .setup = setup),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
