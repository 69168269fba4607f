/* SPDX-License-Identifier: MIT */
/* stack_tcp_table.c: the table of flows: full, with displaced entries, and empty again. */
#include "stack/tcp_state.h"
#include "tests/support/testing.h"
#include "tests/unit/stack_host.h"

#define SLOTS (16 * WEIR_TCP_SLOTS)

static struct host host;
static struct weir__flow flows[SLOTS + 1];

static void setup(void)
{
	struct weir__netstack_config cfg = host_config();

	cfg.tcp_connections = 10;
	cfg.tcp_time_waits = 10;
	host_init(&host, &cfg);
	for (unsigned i = 0; i <= SLOTS; i++)
		flows[i] = (struct weir__flow){ weir__ip_v4(HOST_IP), weir__ip_v4(PEER_IP), 80,
						(uint16_t)(1000 + i), 0 };
}

static void teardown(void)
{
	host_fini(&host);
}

/* An entry begins with its flow. These are requests, which are not freed with the instance. */
static int inserted(unsigned i)
{
	return weir__tcp_insert(host.net, &flows[i], WEIR_TCP_REQUEST, &flows[i]);
}

static void check(unsigned i, bool there)
{
	enum weir_tcp_kind kind;

	ck_assert_ptr_eq(weir__tcp_find(host.net, &flows[i], &kind), there ? &flows[i] : NULL);
	ck_assert_int_eq(kind, there ? WEIR_TCP_REQUEST : WEIR_TCP_NOTHING);
}

START_TEST(a_full_table_finds_all_and_refuses_one)
{
	ck_assert_uint_eq(host.net->tcp->table.mask, 15);
	for (unsigned i = 0; i < SLOTS; i++) {
		check(i, false);
		ck_assert_int_eq(inserted(i), 0);
		for (unsigned j = 0; j <= i; j++)
			check(j, true);
	}
	ck_assert_int_eq(inserted(SLOTS), -ENOBUFS);
	check(SLOTS, false);
	for (unsigned i = 0; i < SLOTS; i++)
		weir__tcp_remove(host.net, &flows[i], &flows[i]);
}
END_TEST

START_TEST(entries_come_and_go_in_any_order)
{
	bool there[SLOTS] = { false };
	uint32_t x = 1;

	for (unsigned turn = 0; turn < 20000; turn++) {
		unsigned i;

		x = x * 1664525 + 1013904223;
		i = (x >> 16) % SLOTS;
		if (there[i])
			weir__tcp_remove(host.net, &flows[i], &flows[i]);
		else
			ck_assert_int_eq(inserted(i), 0);
		there[i] = !there[i];
		check(i, there[i]);
		i = (x >> 8) % SLOTS;
		check(i, there[i]);
	}
	for (unsigned i = 0; i < SLOTS; i++)
		if (there[i])
			weir__tcp_remove(host.net, &flows[i], &flows[i]);
	/* `passed` is 0 in all buckets. */
	for (unsigned i = 0; i <= host.net->tcp->table.mask; i++)
		ck_assert_uint_eq(host.net->tcp->table.buckets[i].passed, 0);
}
END_TEST

START_TEST(only_the_entry_itself_is_removed)
{
	enum weir_tcp_kind kind;
	struct weir__flow other = flows[0];

	ck_assert_int_eq(inserted(0), 0);
	weir__tcp_remove(host.net, &other, &other);
	check(0, true);
	weir__tcp_replace(host.net, &flows[0], &flows[0], WEIR_TCP_WAIT, &other);
	ck_assert_ptr_eq(weir__tcp_find(host.net, &flows[0], &kind), &other);
	ck_assert_int_eq(kind, WEIR_TCP_WAIT);
	weir__tcp_remove(host.net, &flows[0], &flows[0]);
	ck_assert_ptr_eq(weir__tcp_find(host.net, &flows[0], &kind), &other);
	weir__tcp_remove(host.net, &flows[0], &other);
	check(0, false);
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(a_full_table_finds_all_and_refuses_one, .setup = setup,
			.teardown = teardown),
		TESTING(entries_come_and_go_in_any_order, .setup = setup, .teardown = teardown),
		TESTING(only_the_entry_itself_is_removed, .setup = setup, .teardown = teardown),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
