/* SPDX-License-Identifier: MIT */
/*
 * tools_doctor_net.c: the findings of `weir doctor` about socket settings.
 */
#include <string.h>

#include "tests/support/testing.h"
#include "tests/unit/tools_doctor_rig.h"

/* ---- sockets ---- */

START_TEST(socket_settings)
{
	static const struct {
		const char *path, *text, *id;
		enum doctor_level level;
		const char *fix;
	} cases[] = {
		{ "core/somaxconn", "128\n", "net.somaxconn", DOCTOR_WARN,
		  "sysctl -w net.core.somaxconn=4096" },
		{ "ipv4/tcp_max_syn_backlog", "128\n", "net.syn_backlog", DOCTOR_WARN,
		  "sysctl -w net.ipv4.tcp_max_syn_backlog=4096" },
		{ "ipv4/tcp_syncookies", "0\n", "net.syncookies", DOCTOR_WARN,
		  "sysctl -w net.ipv4.tcp_syncookies=1" },
		{ "ipv4/tcp_syncookies", "2\n", "net.syncookies", DOCTOR_WARN,
		  "sysctl -w net.ipv4.tcp_syncookies=1" },
		{ "ipv4/ip_local_port_range", "50000\t60000\n", "net.ports", DOCTOR_WARN,
		  "sysctl -w net.ipv4.ip_local_port_range='1024 65535'" },
		{ "ipv4/tcp_tw_reuse", "0\n", "net.tw_reuse", DOCTOR_WARN,
		  "sysctl -w net.ipv4.tcp_tw_reuse=1" },
		{ "ipv4/tcp_rmem", "4096\t131072\t262144\n", "net.rmem", DOCTOR_WARN,
		  "sysctl -w net.ipv4.tcp_rmem='4096 131072 6291456'" },
		{ "ipv4/tcp_wmem", "4096\t16384\t65536\n", "net.wmem", DOCTOR_WARN,
		  "sysctl -w net.ipv4.tcp_wmem='4096 16384 6291456'" },
		{ "core/optmem_max", "20480\n", "net.optmem", DOCTOR_INFO,
		  "sysctl -w net.core.optmem_max=131072" },
		{ "ipv4/tcp_migrate_req", "0\n", "net.migrate_req", DOCTOR_INFO,
		  "sysctl -w net.ipv4.tcp_migrate_req=1" },
	};
	char path[128];

	for (unsigned i = 0; i < TESTING_COUNT(cases); i++) {
		snprintf(path, sizeof(path), "/proc/sys/net/%s", cases[i].path);
		put(path, cases[i].text);
		expect_now(cases[i].id, cases[i].level, "", cases[i].fix);
		/* A file without a number gives no finding. */
		put(path, "nonsense\n");
		examine(DOCTOR_PROXY);
		ck_assert_msg(!find(cases[i].id), "%s", cases[i].id);
	}
}
END_TEST

START_TEST(severity_depends_on_the_use)
{
	put("/proc/sys/net/core/somaxconn", "128\n");
	examine(DOCTOR_BENCH);
	ck_assert_int_eq(got("net.somaxconn")->level, DOCTOR_INFO);
	ck_assert_str_eq(got("net.somaxconn")->fix, "sysctl -w net.core.somaxconn=4096");
}
END_TEST

START_TEST(connection_tracking)
{
	expect_now("net.conntrack", DOCTOR_PASS, "not tracked", "");
	put("/proc/sys/net/netfilter/nf_conntrack_max", "1000\n");
	put("/proc/sys/net/netfilter/nf_conntrack_count", "100\n");
	expect_now("net.conntrack", DOCTOR_PASS, "100 of 1000", "");
	put("/proc/sys/net/netfilter/nf_conntrack_count", "800\n");
	expect_now("net.conntrack", DOCTOR_WARN, "dropped",
		   "sysctl -w net.netfilter.nf_conntrack_max=4000");
	put("/proc/sys/net/netfilter/nf_conntrack_count", "1000\n");
	examine(DOCTOR_PROXY);
	ck_assert_int_eq(got("net.conntrack")->level, DOCTOR_FAIL);
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(socket_settings, MADE_UP),
		TESTING(severity_depends_on_the_use, MADE_UP),
		TESTING(connection_tracking, MADE_UP),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
