/* SPDX-License-Identifier: MIT */
/* stack_route.c: addresses, routes, and invalid configs. */
#include "tests/support/testing.h"
#include "tests/unit/stack_host.h"

static struct host host;

static void fini(void)
{
	if (host.net != NULL)
		host_fini(&host);
}

static uint32_t gateway_to(uint32_t ip)
{
	struct weir__ip_address to = weir__ip_v4(ip);
	const struct weir__route *route = weir__route_find(host.net, &to);

	ck_assert_ptr_nonnull(route);
	return weir__ip_is_any(&route->gateway) ? 0 : weir__ip_v4_number(&route->gateway);
}

static uint32_t source_to(uint32_t ip)
{
	struct weir__ip_address to = weir__ip_v4(ip), source;

	ck_assert_int_eq(weir__ip_source(host.net, &to, &source), 0);
	return weir__ip_v4_number(&source);
}

START_TEST(the_longest_prefix_decides)
{
	const struct weir__netstack_address addresses[] = {
		{ weir__ip_v4(0x0a000001), 24 },	/* 10.0.0.1/24 */
		{ weir__ip_v4(0x0a010001), 16 },	/* 10.1.0.1/16 */
	};
	const struct weir__netstack_route routes[] = {
		{ weir__ip_v4(0), weir__ip_v4(0x0a0000fe), 0 },
		{ weir__ip_v4(0x0a000000), weir__ip_v4(0x0a0000fd), 8 },
		{ weir__ip_v4(0x0a020300), weir__ip_v4(0x0a0100fc), 24 },
		{ weir__ip_v4(0x0a020304), weir__ip_v4(0x0a0000fb), 32 },
	};
	struct weir__netstack_config cfg = host_config();

	cfg.addresses = addresses;
	cfg.address_count = 2;
	cfg.routes = routes;
	cfg.route_count = 4;
	host_init(&host, &cfg);
	ck_assert_uint_eq(gateway_to(0x0a000005), 0);
	ck_assert_uint_eq(gateway_to(0x0a01ffff), 0);
	ck_assert_uint_eq(gateway_to(0x0a030303), 0x0a0000fd);
	ck_assert_uint_eq(gateway_to(0x0a020303), 0x0a0100fc);
	ck_assert_uint_eq(gateway_to(0x0a020304), 0x0a0000fb);
	ck_assert_uint_eq(gateway_to(0x08080808), 0x0a0000fe);
	/* The source is the address on the gateway's link. */
	ck_assert_uint_eq(source_to(0x0a020303), 0x0a010001);
	ck_assert_uint_eq(source_to(0x0a020304), 0x0a000001);
	ck_assert_uint_eq(source_to(0x0a010005), 0x0a010001);
	ck_assert_uint_eq(source_to(0x0a010001), 0x0a010001);
	ck_assert_uint_eq(source_to(UINT32_MAX), 0x0a000001);
}
END_TEST

START_TEST(a_route_without_a_gateway_is_on_the_link)
{
	const struct weir__netstack_route route = { weir__ip_v4(0xc0a80000),
						    { .words = { 0, 0 } },
						    16 };
	struct weir__netstack_config cfg = host_config();

	cfg.routes = &route;
	host_init(&host, &cfg);
	ck_assert_uint_eq(gateway_to(0xc0a80101), 0);
	ck_assert_uint_eq(source_to(0xc0a80101), HOST_IP);
}
END_TEST

static int try(struct weir__netstack_config cfg)
{
	struct weir__netstack *net = NULL;
	struct rig rig;
	int rc;

	rig_init(&rig);
	rc = weir__netstack_new(&rig.owner, &cfg, 0, &net);
	ck_assert(rc == 0 || net == NULL);
	weir__netstack_free(net);
	rig_check_empty(&rig);
	return rc;
}

static int try_address(uint32_t ip, uint8_t prefix)
{
	const struct weir__netstack_address address = { weir__ip_v4(ip), prefix };
	struct weir__netstack_config cfg = host_config();

	cfg.addresses = &address;
	cfg.route_count = 0;
	return try(cfg);
}

static int try_gateway(uint32_t ip)
{
	const struct weir__netstack_route route = { weir__ip_v4(0), weir__ip_v4(ip), 0 };
	struct weir__netstack_config cfg = host_config();

	cfg.routes = &route;
	return try(cfg);
}

START_TEST(addresses_that_no_host_has_are_refused)
{
	ck_assert_int_eq(try_address(HOST_IP, 24), 0);
	ck_assert_int_eq(try_address(HOST_IP, 32), 0);
	ck_assert_int_eq(try_address(0x0a000000, 31), 0);
	ck_assert_int_eq(try_address(HOST_IP, 33), -EINVAL);
	ck_assert_int_eq(try_address(0x0a000000, 24), -EINVAL);
	ck_assert_int_eq(try_address(LINK_BROADCAST, 24), -EINVAL);
	ck_assert_int_eq(try_address(0, 24), -EINVAL);
	ck_assert_int_eq(try_address(0x7f000001, 8), -EINVAL);
	ck_assert_int_eq(try_address(0xe0000001, 24), -EINVAL);
	ck_assert_int_eq(try_address(UINT32_MAX, 32), -EINVAL);
}
END_TEST

START_TEST(gateways_that_are_on_no_link_are_refused)
{
	ck_assert_int_eq(try_gateway(GATEWAY_IP), 0);
	ck_assert_int_eq(try_gateway(FAR_IP), -EINVAL);
	ck_assert_int_eq(try_gateway(HOST_IP), -EINVAL);
	ck_assert_int_eq(try_gateway(LINK_BROADCAST), -EINVAL);
}
END_TEST

START_TEST(configs_that_are_none_are_refused)
{
	struct weir__netstack_config cfg;

#define REFUSED(change) \
	do { \
		cfg = host_config(); \
		change; \
		ck_assert_int_eq(try(cfg), -EINVAL); \
	} while (0)
	REFUSED(cfg.address_count = 0);
	REFUSED(cfg.address_count = 65);
	REFUSED(cfg.route_count = 64);
	REFUSED(cfg.mac[0] = 1);
	REFUSED(memset(cfg.mac, 0, 6));
	REFUSED(cfg.mtu = 575);
	REFUSED(cfg.mtu = 9217);
	REFUSED(cfg.block_bytes = 1023);
	REFUSED(cfg.port_first = 61000);
	REFUSED(cfg.icmp_per_second = 1000001);
}
END_TEST

START_TEST(an_instance_is_made_of_whole_memory_or_not)
{
	struct weir__netstack_config cfg = host_config();
	struct weir__netstack *net = NULL;
	struct rig rig;
	int rc = -ENOMEM;

	for (int fail_in = 0; rc != 0; fail_in++) {
		rig_init(&rig);
		rig.fail_in = fail_in;
		rc = weir__netstack_new(&rig.owner, &cfg, 0, &net);
		ck_assert(rc == 0 || rc == -ENOMEM);
		ck_assert_int_eq(rc == 0, net != NULL);
		weir__netstack_free(net);
		rig_check_empty(&rig);
	}
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(the_longest_prefix_decides, .teardown = fini),
		TESTING(a_route_without_a_gateway_is_on_the_link, .teardown = fini),
		TESTING(addresses_that_no_host_has_are_refused),
		TESTING(gateways_that_are_on_no_link_are_refused),
		TESTING(configs_that_are_none_are_refused),
		TESTING(an_instance_is_made_of_whole_memory_or_not),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
