/* SPDX-License-Identifier: MIT */
/* stack_address.c: addresses of both families in one struct, prefixes, flows. */
#include "stack/address.h"
#include "tests/support/testing.h"

START_TEST(an_ipv4_address_is_kept_mapped)
{
	struct weir__ip_address address = weir__ip_v4(0x0a000102);
	static const unsigned char mapped[16] = { 0, 0, 0,    0,    0,	0, 0, 0,
						  0, 0, 0xff, 0xff, 10, 0, 1, 2 };
	struct weir__ip_address six = { .bytes = { 0x20, 0x01, [15] = 1 } };

	ck_assert_mem_eq(address.bytes, mapped, 16);
	ck_assert(weir__ip_is_v4(&address));
	ck_assert_uint_eq(weir__ip_v4_number(&address), 0x0a000102);
	ck_assert(!weir__ip_is_v4(&six));
}
END_TEST

START_TEST(any_is_any_of_both_families)
{
	struct weir__ip_address any = { .words = { 0, 0 } }, any4 = weir__ip_v4(0);
	struct weir__ip_address one = weir__ip_v4(1), loopback6 = { .bytes = { [15] = 1 } };

	ck_assert(weir__ip_is_any(&any));
	ck_assert(weir__ip_is_any(&any4));
	ck_assert(!weir__ip_is_any(&one));
	ck_assert(!weir__ip_is_any(&loopback6));
}
END_TEST

START_TEST(a_prefix_ends_at_any_bit)
{
	struct weir__ip_address address = weir__ip_v4(0x0a01ffff), prefix = weir__ip_v4(0x0a01ffff);

	for (unsigned bit = 0; bit < 32; bit++) {
		prefix = weir__ip_v4(0x0a01ffff ^ 1u << (31 - bit));
		for (unsigned bits = 0; bits <= 128; bits++)
			ck_assert_int_eq(weir__ip_in_prefix(&address, &prefix, bits),
					 bits <= WEIR_IP_V4_BITS + bit);
	}
	prefix = weir__ip_v4(0x0a01ffff);
	ck_assert(weir__ip_in_prefix(&address, &prefix, 128));
}
END_TEST

START_TEST(flows_that_differ_anywhere_are_others)
{
	const uint64_t secret[2] = { 1, 2 }, other[2] = { 1, 3 };
	struct weir__flow a = { weir__ip_v4(1), weir__ip_v4(2), 3, 4, 0 }, b;
	unsigned char *bytes = (unsigned char *)&b;

	for (unsigned i = 0; i < 36; i++) {
		b = a;
		bytes[i] ^= 1;
		ck_assert(!weir__flow_equal(&a, &b));
		ck_assert_uint_ne(weir__flow_hash(&a, secret), weir__flow_hash(&b, secret));
	}
	/* The same holds for IPv6 flows, also for those that resemble an IPv4 flow. */
	b = a;
	memset(b.local.bytes, 0, 12);
	ck_assert_uint_ne(weir__flow_hash(&a, secret), weir__flow_hash(&b, secret));
	ck_assert(weir__flow_equal(&a, &a));
	ck_assert_uint_ne(weir__flow_hash(&a, secret), weir__flow_hash(&a, other));
}
END_TEST

START_TEST(numbers_stand_highest_byte_first)
{
	unsigned char at[5] = { 0 };

	weir__put32(at + 1, 0x01020304);
	ck_assert_mem_eq(at, "\0\1\2\3\4", 5);
	ck_assert_uint_eq(weir__get32(at + 1), 0x01020304);
	ck_assert_uint_eq(weir__get16(at + 3), 0x0304);
	weir__put16(at, 0xfffe);
	ck_assert_mem_eq(at, "\xff\xfe\2\3\4", 5);
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(an_ipv4_address_is_kept_mapped),
		TESTING(any_is_any_of_both_families),
		TESTING(a_prefix_ends_at_any_bit),
		TESTING(flows_that_differ_anywhere_are_others),
		TESTING(numbers_stand_highest_byte_first),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
