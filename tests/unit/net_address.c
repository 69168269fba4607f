/* SPDX-License-Identifier: MIT */
/*
 * net_address.c: parsing and formatting addresses. Nothing here uses a resolver or opens a socket.
 */
#include <arpa/inet.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/net.h"
#include "tests/support/testing.h"

/* Texts that parse, and the text that format writes for them. */
static const struct {
	const char *text;
	int family;
	const char *again;
} good[] = {
	{ "127.0.0.1:80", AF_INET, "127.0.0.1:80" },
	{ "tcp://127.0.0.1:80", AF_INET, "127.0.0.1:80" },
	{ "255.255.255.255:65535", AF_INET, "255.255.255.255:65535" },
	{ "10.0.0.1:0", AF_INET, "10.0.0.1:0" },
	{ "10.0.0.1:00080", AF_INET, "10.0.0.1:80" },
	{ "*:80", AF_INET, "0.0.0.0:80" },
	{ ":80", AF_INET, "0.0.0.0:80" },
	{ "tcp://:80", AF_INET, "0.0.0.0:80" },
	{ "[::]:80", AF_INET6, "[::]:80" },
	{ "[::1]:443", AF_INET6, "[::1]:443" },
	{ "tcp://[::1]:443", AF_INET6, "[::1]:443" },
	{ "[2001:DB8:0:0:0:0:0:1]:1", AF_INET6, "[2001:db8::1]:1" },
	{ "[::ffff:192.0.2.1]:7", AF_INET6, "[::ffff:192.0.2.1]:7" },
	{ "[fe80::1%7]:80", AF_INET6, "[fe80::1%7]:80" },
	{ "[fe80::1%4294967295]:80", AF_INET6, "[fe80::1%4294967295]:80" },
	{ "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%4294967295]:65535", AF_INET6,
	  "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%4294967295]:65535" },
	{ "unix:/run/weir.sock", AF_UNIX, "unix:/run/weir.sock" },
	{ "unix:relative", AF_UNIX, "unix:relative" },
	{ "unix:a:80", AF_UNIX, "unix:a:80" },
	{ "unix:@abstract", AF_UNIX, "unix:@abstract" },
};

static const char *const bad[] = {
	"",
	":",
	"::",
	":::",
	"80",
	"127.0.0.1",
	"127.0.0.1:",
	"127.0.0.1:x",
	"127.0.0.1:80x",
	"127.0.0.1: 80",
	"127.0.0.1:+80",
	"127.0.0.1:-1",
	"127.0.0.1:65536",
	"127.0.0.1:99999",
	"127.0.0.1:000080",
	"127.0.0.1:18446744073709551696",
	"127.0.0.1:80 ",
	" 127.0.0.1:80",
	"127.0.0.1:80:80",
	"256.0.0.1:80",
	"1.2.3:80",
	"1.2.3.4.5:80",
	"0x7f.0.0.1:80",
	"127.0.0.01x:80",
	"**:80",
	"*",
	"localhost:80",
	"example.org:80",
	"::1:80",
	"::1",
	"[::1",
	"[::1]",
	"[::1]:",
	"[::1]80",
	"[::1]:65536",
	"::1]:80",
	"[:80",
	"]:80",
	"[]:80",
	"[127.0.0.1]:80",
	"[::1%]:80",
	"[::1%0]:80",
	"[::1%4294967296]:80",
	"[::1%no-such-interface]:80",
	"[1:2:3:4:5:6:7:8:9]:80",
	"[::1::]:80",
	"[[::1]]:80",
	"[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:80",
	"tcp:/127.0.0.1:80",
	"tcp://",
	"TCP://127.0.0.1:80",
	"udp://127.0.0.1:80",
	"tcp://tcp://127.0.0.1:80",
	"unix:",
	"unix:@",
	"127.0.0.1:80\n",
};

START_TEST(what_is_an_address)
{
	struct weir_addr addr;
	char buf[128];

	ck_assert_int_eq(weir_addr_parse(good[_i].text, &addr), 0);
	ck_assert_int_eq(addr.u.sa.sa_family, good[_i].family);
	ck_assert(weir__addr_usable(&addr));
	ck_assert_int_eq(weir_addr_format(&addr, buf, sizeof(buf)), (int)strlen(good[_i].again));
	ck_assert_str_eq(buf, good[_i].again);
}
END_TEST

START_TEST(what_comes_back_is_the_same_address)
{
	struct weir_addr addr, again;
	char buf[128];

	ck_assert_int_eq(weir_addr_parse(good[_i].text, &addr), 0);
	weir_addr_format(&addr, buf, sizeof(buf));
	ck_assert_int_eq(weir_addr_parse(buf, &again), 0);
	ck_assert_mem_eq(&again, &addr, sizeof(addr));
}
END_TEST

START_TEST(what_is_not_an_address)
{
	struct weir_addr addr, before;

	memset(&addr, 0x5a, sizeof(addr));
	before = addr;
	if (weir_addr_parse(bad[_i], &addr) != -EINVAL)
		ck_abort_msg("\"%s\" was taken for an address", bad[_i]);
	ck_assert_mem_eq(&addr, &before, sizeof(addr));
}
END_TEST

START_TEST(null_is_not_an_address)
{
	struct weir_addr addr;

	ck_assert_int_eq(weir_addr_parse(NULL, &addr), -EINVAL);
	ck_assert_int_eq(weir_addr_parse("127.0.0.1:80", NULL), -EINVAL);
}
END_TEST

START_TEST(the_bytes_of_an_ipv4_address)
{
	struct weir_addr addr;

	ck_assert_int_eq(weir_addr_parse("1.2.3.4:258", &addr), 0);
	ck_assert_uint_eq(addr.len, sizeof(struct sockaddr_in));
	ck_assert_mem_eq(&addr.u.in.sin_addr, "\1\2\3\4", 4);
	ck_assert_mem_eq(&addr.u.in.sin_port, "\1\2", 2);
	ck_assert_uint_eq(weir_addr_port(&addr), 258);
}
END_TEST

START_TEST(the_bytes_of_an_ipv6_address)
{
	static const uint8_t bytes[16] = { 0x20, 0x01, 0x0d, 0xb8, [15] = 0xff };
	struct weir_addr addr;

	ck_assert_int_eq(weir_addr_parse("[2001:db8::ff%3]:80", &addr), 0);
	ck_assert_uint_eq(addr.len, sizeof(struct sockaddr_in6));
	ck_assert_mem_eq(&addr.u.in6.sin6_addr, bytes, sizeof(bytes));
	ck_assert_uint_eq(addr.u.in6.sin6_scope_id, 3);
}
END_TEST

START_TEST(a_zone_may_be_the_name_of_an_interface)
{
	struct if_nameindex *interfaces = if_nameindex();
	char text[64];
	struct weir_addr addr;

	if (!interfaces || interfaces[0].if_index == 0) {
		testing_skip("no network interface");
	} else {
		snprintf(text, sizeof(text), "[fe80::1%%%s]:80", interfaces[0].if_name);
		ck_assert_int_eq(weir_addr_parse(text, &addr), 0);
		ck_assert_uint_eq(addr.u.in6.sin6_scope_id, interfaces[0].if_index);
	}
	if_freenameindex(interfaces);
}
END_TEST

START_TEST(a_port_can_be_changed_where_there_is_one)
{
	struct weir_addr addr;

	weir_addr_parse("127.0.0.1:1", &addr);
	weir_addr_set_port(&addr, 65535);
	ck_assert_uint_eq(weir_addr_port(&addr), 65535);
	weir_addr_parse("[::1]:1", &addr);
	weir_addr_set_port(&addr, 0);
	ck_assert_uint_eq(weir_addr_port(&addr), 0);
	weir_addr_parse("unix:x", &addr);
	weir_addr_set_port(&addr, 80);
	ck_assert_uint_eq(weir_addr_port(&addr), 0);
}
END_TEST

START_TEST(the_longest_path)
{
	char text[5 + sizeof(((struct sockaddr_un *)0)->sun_path) + 1] = "unix:";
	char buf[256];
	struct weir_addr addr;

	/* One byte is left for the terminating NUL. */
	memset(text + 5, 'p', sizeof(text) - 7);
	ck_assert_int_eq(weir_addr_parse(text, &addr), 0);
	ck_assert_uint_eq(addr.len, sizeof(struct sockaddr_un));
	ck_assert_int_eq(weir_addr_format(&addr, buf, sizeof(buf)), (int)strlen(text));
	ck_assert_str_eq(buf, text);
	text[sizeof(text) - 2] = 'p';
	ck_assert_int_eq(weir_addr_parse(text, &addr), -ENAMETOOLONG);
}
END_TEST

START_TEST(an_abstract_name_starts_with_a_nul_and_has_none_behind)
{
	struct weir_addr addr;

	ck_assert_int_eq(weir_addr_parse("unix:@abc", &addr), 0);
	ck_assert_uint_eq(addr.len, offsetof(struct sockaddr_un, sun_path) + 4);
	ck_assert_mem_eq(addr.u.un.sun_path, "\0abc", 4);
}
END_TEST

START_TEST(an_unnamed_unix_socket_has_a_text)
{
	struct weir_addr addr = { .len = offsetof(struct sockaddr_un, sun_path) };
	char buf[32];

	addr.u.sa.sa_family = AF_UNIX;
	ck_assert_int_eq(weir_addr_format(&addr, buf, sizeof(buf)), 5);
	ck_assert_str_eq(buf, "unix:");
	ck_assert(!weir__addr_usable(&addr));
}
END_TEST

START_TEST(format_cuts_like_snprintf)
{
	struct weir_addr addr;
	char buf[16];

	weir_addr_parse("[2001:db8::1]:65535", &addr);
	for (size_t len = 0; len <= sizeof(buf); len++) {
		memset(buf, '#', sizeof(buf));
		ck_assert_int_eq(weir_addr_format(&addr, buf, len), 19);
		for (size_t i = len; i < sizeof(buf); i++)
			ck_assert_int_eq(buf[i], '#');
		if (len > 0)
			ck_assert_int_eq(memcmp(buf, "[2001:db8::1]:65535", len - 1), 0);
		if (len > 0)
			ck_assert_int_eq(buf[len - 1], '\0');
	}
}
END_TEST

START_TEST(an_unknown_family_has_a_text_and_no_use)
{
	struct weir_addr addr = { .len = sizeof(addr.u.storage) };
	char buf[32];

	addr.u.sa.sa_family = AF_NETLINK;
	ck_assert_int_gt(weir_addr_format(&addr, buf, sizeof(buf)), 0);
	ck_assert_uint_eq(weir_addr_port(&addr), 0);
	ck_assert(!weir__addr_usable(&addr));
}
END_TEST

/* For any four or sixteen bytes, parse reads back what format writes. */
START_TEST(random_addresses_come_back)
{
	unsigned seed = getenv("WEIR_SEED") ? (unsigned)atoi(getenv("WEIR_SEED")) : 1;

	for (unsigned round = 0; round < 20000; round++) {
		struct weir_addr addr, again;
		char buf[128];

		memset(&addr, 0, sizeof(addr));
		addr.u.sa.sa_family = round % 2 ? AF_INET6 : AF_INET;
		addr.len = round % 2 ? sizeof(addr.u.in6) : sizeof(addr.u.in);
		for (unsigned i = 0; i < 16; i++) {
			/* Half of the bytes are zero, so that "::" shows up in all places. */
			uint8_t byte = rand_r(&seed) % 2 ? (uint8_t)rand_r(&seed) : 0;

			if (round % 2)
				addr.u.in6.sin6_addr.s6_addr[i] = byte;
			else if (i < 4)
				((uint8_t *)&addr.u.in.sin_addr)[i] = byte;
		}
		if (round % 8 == 1)
			addr.u.in6.sin6_scope_id = (uint32_t)rand_r(&seed);
		weir_addr_set_port(&addr, (uint16_t)rand_r(&seed));
		ck_assert_int_lt(weir_addr_format(&addr, buf, sizeof(buf)), (int)sizeof(buf));
		ck_assert_int_eq(weir_addr_parse(buf, &again), 0);
		ck_assert_mem_eq(&again, &addr, sizeof(addr));
	}
}
END_TEST

/*
 * Random edits of good addresses. Only sanitizers can fail this test, or trailing junk that is
 * accepted.
 */
START_TEST(random_text_does_no_harm)
{
	static const char chars[] = "0123456789abcdef:[]%.*@/xutcp-";
	unsigned seed = getenv("WEIR_SEED") ? (unsigned)atoi(getenv("WEIR_SEED")) : 1;

	for (unsigned round = 0; round < 100000; round++) {
		const char *from = good[rand_r(&seed) % TESTING_COUNT(good)].text;
		size_t len = strlen(from);
		char *text = malloc(len + 1);
		char host[WEIR__HOST_MAX + 1], buf[256];
		struct weir_addr addr;
		uint16_t port;

		memcpy(text, from, len + 1);
		for (unsigned edits = (unsigned)rand_r(&seed) % 4; edits > 0; edits--)
			text[(unsigned)rand_r(&seed) % len] =
				chars[(unsigned)rand_r(&seed) % (sizeof(chars) - 1)];
		if (rand_r(&seed) % 4 == 0)
			text[(unsigned)rand_r(&seed) % len] = '\0';
		if (weir_addr_parse(text, &addr) == 0)
			ck_assert_int_gt(weir_addr_format(&addr, buf, sizeof(buf)), 0);
		if (weir__addr_split(text, host, &port) == 0)
			ck_assert_uint_lt(strlen(host), strlen(text));
		free(text);
	}
}
END_TEST

START_TEST(what_is_a_name_with_a_port)
{
	static const struct {
		const char *text, *host;
		uint16_t port;
	} names[] = {
		{ "localhost:80", "localhost", 80 },
		{ "tcp://localhost:80", "localhost", 80 },
		{ "a:0", "a", 0 },
		{ "db_1.example.org.:65535", "db_1.example.org.", 65535 },
		{ "3proxy:1", "3proxy", 1 },
		{ "1a2b3c:1", "1a2b3c", 1 },
		{ "xn--bcher-kva.example:443", "xn--bcher-kva.example", 443 },
		{ "unix:80", "unix", 80 },
	};
	char host[WEIR__HOST_MAX + 1];
	uint16_t port;

	for (unsigned i = 0; i < TESTING_COUNT(names); i++) {
		ck_assert_int_eq(weir__addr_split(names[i].text, host, &port), 0);
		ck_assert_str_eq(host, names[i].host);
		ck_assert_uint_eq(port, names[i].port);
	}
}
END_TEST

START_TEST(what_is_not_a_name_with_a_port)
{
	static const char *const not_names[] = {
		"",
		":",
		":80",
		"localhost",
		"localhost:",
		"localhost:x",
		"localhost:65536",
		"local host:80",
		"a/b:80",
		"a:b:80",
		"[::1]:80",
		"fe80::1%lo:80",
		"a@b:80",
		"*:80",
		"tcp://:80",
		"http://a:80",
		"b\303\274cher:80",
		/* The resolver would take these for addresses. */
		"1:80",
		"1.2:80",
		"1.2.3:80",
		"127.1:80",
		"256.256.256.256:80",
		"0x7f000001:80",
		"0x7f.1:80",
		"0x:80",
		"2130706433:80",
		"a.1:80",
	};
	char host[WEIR__HOST_MAX + 1];
	uint16_t port;

	for (unsigned i = 0; i < TESTING_COUNT(not_names); i++)
		if (weir__addr_split(not_names[i], host, &port) != -EINVAL)
			ck_abort_msg("\"%s\" was taken for a name", not_names[i]);
}
END_TEST

START_TEST(the_longest_name)
{
	char text[WEIR__HOST_MAX + 5], host[WEIR__HOST_MAX + 1];
	uint16_t port;

	memset(text, 'a', WEIR__HOST_MAX);
	strcpy(text + WEIR__HOST_MAX, ":1");
	ck_assert_int_eq(weir__addr_split(text, host, &port), 0);
	ck_assert_uint_eq(strlen(host), WEIR__HOST_MAX);
	strcpy(text + WEIR__HOST_MAX, "a:1");
	ck_assert_int_eq(weir__addr_split(text, host, &port), -ENAMETOOLONG);
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(what_is_an_address, .rounds = TESTING_COUNT(good)),
		TESTING(what_comes_back_is_the_same_address, .rounds = TESTING_COUNT(good)),
		TESTING(what_is_not_an_address, .rounds = TESTING_COUNT(bad)),
		TESTING(null_is_not_an_address),
		TESTING(the_bytes_of_an_ipv4_address),
		TESTING(the_bytes_of_an_ipv6_address),
		TESTING(a_zone_may_be_the_name_of_an_interface),
		TESTING(a_port_can_be_changed_where_there_is_one),
		TESTING(the_longest_path),
		TESTING(an_abstract_name_starts_with_a_nul_and_has_none_behind),
		TESTING(an_unnamed_unix_socket_has_a_text),
		TESTING(format_cuts_like_snprintf),
		TESTING(an_unknown_family_has_a_text_and_no_use),
		TESTING(random_addresses_come_back),
		TESTING(random_text_does_no_harm),
		TESTING(what_is_a_name_with_a_port),
		TESTING(what_is_not_a_name_with_a_port),
		TESTING(the_longest_name),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
