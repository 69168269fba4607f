/* SPDX-License-Identifier: MIT */
/* stack_path_mtu.c: path MTUs: what is stored, for how long, and what is refused. */
#include "tests/support/testing.h"
#include "tests/unit/stack_host.h"

static struct host host;

static void setup(void)
{
	host_init(&host, NULL);
}

static void teardown(void)
{
	host_fini(&host);
}

static uint32_t mtu_to(uint32_t ip)
{
	struct weir__ip_address to = weir__ip_v4(ip);

	return weir__ip_path_mtu(host.net, &to);
}

static uint32_t lower(uint32_t ip, uint32_t mtu)
{
	struct weir__ip_address to = weir__ip_v4(ip);

	return weir__ip_path_mtu_lower(host.net, &to, mtu);
}

START_TEST(a_path_is_as_wide_as_the_link_until_a_router_says_no)
{
	ck_assert_uint_eq(mtu_to(FAR_IP), 1500);
	ck_assert_uint_eq(lower(FAR_IP, 1400), 1400);
	ck_assert_uint_eq(mtu_to(FAR_IP), 1400);
	ck_assert_uint_eq(mtu_to(FAR_IP + 1), 1500);
	ck_assert_uint_eq(lower(FAR_IP, 1300), 1300);
	ck_assert_uint_eq(mtu_to(FAR_IP), 1300);
}
END_TEST

START_TEST(no_message_raises_it)
{
	ck_assert_uint_eq(lower(FAR_IP, 9000), 1500);
	ck_assert_uint_eq(lower(FAR_IP, 1400), 1400);
	ck_assert_uint_eq(lower(FAR_IP, 1401), 1400);
	ck_assert_uint_eq(lower(FAR_IP, 1400), 1400);
	ck_assert_uint_eq(host.net->count.ip_path_mtu_lowered, 1);
}
END_TEST

START_TEST(no_message_makes_it_smaller_than_the_floor)
{
	ck_assert_uint_eq(lower(FAR_IP, 68), 552);
	ck_assert_uint_eq(mtu_to(FAR_IP), 552);
	ck_assert_uint_eq(lower(FAR_IP, 0), 552);
}
END_TEST

START_TEST(it_is_forgotten_after_ten_minutes)
{
	lower(FAR_IP, 1400);
	host_wait(&host, 599 * WEIR_NETSTACK_SEC);
	ck_assert_uint_eq(mtu_to(FAR_IP), 1400);
	host_wait(&host, 2 * WEIR_NETSTACK_SEC);
	ck_assert_uint_eq(mtu_to(FAR_IP), 1500);
	ck_assert_uint_eq(lower(FAR_IP, 1450), 1450);
}
END_TEST

START_TEST(a_flood_of_destinations_takes_no_memory)
{
	unsigned known = 0, allocations = host.rig.allocations;

	for (uint32_t i = 0; i < 10000; i++)
		ck_assert_uint_eq(lower(FAR_IP + i, 1400), 1400);
	for (uint32_t i = 0; i < 10000; i++)
		known += mtu_to(FAR_IP + i) == 1400;
	ck_assert_uint_eq(known, 256);
	ck_assert_uint_eq(host.rig.allocations, allocations);
}
END_TEST

int main(int argc, char **argv)
{
#define CASE(name) TESTING(name, .setup = setup, .teardown = teardown)
	const struct testing_case cases[] = {
		CASE(a_path_is_as_wide_as_the_link_until_a_router_says_no),
		CASE(no_message_raises_it),
		CASE(no_message_makes_it_smaller_than_the_floor),
		CASE(it_is_forgotten_after_ten_minutes),
		CASE(a_flood_of_destinations_takes_no_memory),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
