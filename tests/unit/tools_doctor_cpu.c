/* SPDX-License-Identifier: MIT */
/*
 * tools_doctor_cpu.c: the findings of `weir doctor` about CPUs and the limits of a process.
 */
#include <string.h>
#include <sys/resource.h>

#include "tests/support/testing.h"
#include "tests/unit/tools_doctor_rig.h"

/* ---- CPU ---- */

START_TEST(fewer_cpus_than_there_are)
{
	expect_now("cpu.allowed", DOCTOR_PASS, "all 4 CPUs; weir starts 4 workers", "");
	says.cpus.mask_cpus = 1;
	expect_now("cpu.allowed", DOCTOR_INFO, "1 of 4 online CPUs", "");
	HAS(got("cpu.allowed")->found, "starts 1 worker");
}
END_TEST

START_TEST(cpu_quotas)
{
	expect_now("cpu.quota", DOCTOR_PASS, "none", "");
	quota(1500, "/sys/fs/cgroup/app/cpu.max");
	expect_now("cpu.quota", DOCTOR_WARN, "1.50 CPUs for 2 workers",
		   "echo max >'/sys/fs/cgroup/app/cpu.max'");
	expect("cpu.allowed", DOCTOR_PASS, "weir starts 2 workers", "");
	quota(500, "/sys/fs/cgroup/cpu/app/cpu.cfs_quota_us");
	expect_now("cpu.quota", DOCTOR_WARN, "0.50 CPUs for 1 worker",
		   "echo -1 >'/sys/fs/cgroup/cpu/app/cpu.cfs_quota_us'");
	quota(8000, "/sys/fs/cgroup/app/cpu.max");
	expect_now("cpu.quota", DOCTOR_INFO, "8.00 CPUs for 4 workers", "");
	/* For a path with a quote in it, no command is printed. */
	quota(500, "/sys/fs/cgroup/it's/cpu.max");
	expect_now("cpu.quota", DOCTOR_WARN, "0.50", "");
}
END_TEST

/* A quota of whole CPUs for as many workers: only a warning where no throttling is acceptable. */
START_TEST(a_whole_quota_depends_on_the_use)
{
	quota(2000, "/sys/fs/cgroup/app/cpu.max");
	expect_now("cpu.quota", DOCTOR_INFO, "2.00 CPUs for 2 workers", "");
	examine(DOCTOR_BENCH);
	expect("cpu.quota", DOCTOR_WARN, "2.00 CPUs", "echo max >'/sys/fs/cgroup/app/cpu.max'");
}
END_TEST

START_TEST(throttling)
{
	quota(2000, "/c/cpu.max");
	says.cpus.periods = 50;
	expect_now("cpu.throttled", DOCTOR_PASS, "never in 50 periods", "");
	says.cpus.throttled = 7;
	says.cpus.throttled_ns = 1500 * WEIR_MSEC;
	expect_now("cpu.throttled", DOCTOR_WARN, "in 7 of 50 periods, 1.5 s",
		   "echo max >'/c/cpu.max'");
	quota(0, "");
	examine(DOCTOR_PROXY);
	ck_assert_ptr_null(find("cpu.throttled"));
}
END_TEST

START_TEST(stolen_time)
{
	put("/proc/stat", "cpu  100 0 100 700 0 0 0 100 0 0\n");
	expect_now("cpu.steal", DOCTOR_INFO, "10.00%", "");
	examine(DOCTOR_BENCH);
	expect("cpu.steal", DOCTOR_WARN, "10.00%", "");
}
END_TEST

START_TEST(isolated_cpus)
{
	put("/sys/devices/system/cpu/isolated", "4-7\n");
	expect_now("cpu.isolated", DOCTOR_INFO, "none of them in this process's mask 0-3",
		   "taskset -pc 4-7 $$");
	put(STATUS, "Cpus_allowed_list:\t2-5\n");
	expect_now("cpu.isolated", DOCTOR_WARN, "4-7, including 2 of this process's 4 CPUs",
		   "taskset -pc 4-7 $$");
	HAS(got("cpu.isolated")->advice, "--bind cpu");
	put("/sys/devices/system/cpu/nohz_full", "4-7\n");
	expect_now("cpu.nohz_full", DOCTOR_INFO, "4-7", "");
	put("/sys/devices/system/cpu/nohz_full", "  (null)\n");
	examine(DOCTOR_PROXY);
	ck_assert_ptr_null(find("cpu.nohz_full"));
}
END_TEST

#define GOVERNOR(cpu) "/sys/devices/system/cpu/cpu" cpu "/cpufreq/scaling_governor"

START_TEST(cores_of_two_kinds)
{
	examine(DOCTOR_PROXY);
	ck_assert_ptr_null(find("cpu.kinds"));
	says.slow_cpus = 2;
	expect_now("cpu.kinds", DOCTOR_INFO, "2 kinds of core; 2 CPUs of slower ones", "");
	HAS(got("cpu.kinds")->advice, "--policy none");
	expect("cpu.allowed", DOCTOR_PASS, "all 4 CPUs; weir starts 2 workers", "");
}
END_TEST

START_TEST(cpus_without_deferred_work)
{
	put("/proc/cmdline", "quiet rcu_nocbs=4-7 nohz_full=4-7\n");
	expect_now("cpu.rcu_nocbs", DOCTOR_INFO, "4-7: RCU callbacks", "");
	put("/proc/cmdline", "quiet\n");
	examine(DOCTOR_PROXY);
	ck_assert_ptr_null(find("cpu.rcu_nocbs"));
}
END_TEST

START_TEST(governors)
{
	expect_now("cpu.governor", DOCTOR_INFO, "not visible here", "");
	put(GOVERNOR("0"), "performance\n");
	put(GOVERNOR("2"), "performance\n");
	expect_now("cpu.governor", DOCTOR_PASS, "performance on all 2", "");
	put(GOVERNOR("2"), "powersave\n");
	put(GOVERNOR("7"), "powersave\n");	/* CPU 7 is offline, so it is ignored */
	examine(DOCTOR_BENCH);
	expect("cpu.governor", DOCTOR_WARN, "powersave on 1 of 2 CPUs",
	       "for g in " GOVERNOR("*") "; do echo performance >\"$g\"; done");
	examine(DOCTOR_PROXY);
	ck_assert_int_eq(got("cpu.governor")->level, DOCTOR_INFO);
}
END_TEST

START_TEST(turbo)
{
	put("/sys/devices/system/cpu/cpufreq/boost", "1\n");
	expect_now("cpu.turbo", DOCTOR_INFO, "on", "");
	examine(DOCTOR_BENCH);
	expect("cpu.turbo", DOCTOR_WARN, "on", "echo 0 >/sys/devices/system/cpu/cpufreq/boost");
	put("/sys/devices/system/cpu/intel_pstate/no_turbo", "0\n");
	examine(DOCTOR_BENCH);
	expect("cpu.turbo", DOCTOR_WARN, "on",
	       "echo 1 >/sys/devices/system/cpu/intel_pstate/no_turbo");
	put("/sys/devices/system/cpu/intel_pstate/no_turbo", "1\n");
	examine(DOCTOR_BENCH);
	expect("cpu.turbo", DOCTOR_PASS, "off", "");
}
END_TEST

/* ---- limits ---- */

START_TEST(descriptor_limits)
{
	says.nofile = 65536;
	expect_now("limits.nofile", DOCTOR_PASS, "32768 proxied", "");
	says.nofile = 20000;
	expect_now("limits.nofile", DOCTOR_WARN, "10000 proxied",
		   "prlimit --pid $$ --nofile=1048576:1048576");
	examine(DOCTOR_BENCH);
	ck_assert_int_eq(got("limits.nofile")->level, DOCTOR_PASS);
	put("/proc/sys/fs/nr_open", "524288\n");
	expect_now("limits.nofile", DOCTOR_WARN, "20000 hard",
		   "sysctl -w fs.nr_open=1048576 && prlimit --pid $$ --nofile=1048576:1048576");
	says.nofile = 1000;
	examine(DOCTOR_PROXY);
	ck_assert_int_eq(got("limits.nofile")->level, DOCTOR_FAIL);
	put("/proc/sys/fs/file-nr", "95\t0\t100\n");
	expect_now("limits.files", DOCTOR_WARN, "95 of 100",
		   "sysctl -w fs.file-max=9223372036854775807");
}
END_TEST

START_TEST(locked_memory)
{
	const char *fix = "prlimit --pid $$ --memlock=unlimited";

	says.memlock = 2 << 20;
	expect_now("limits.memlock", DOCTOR_PASS, "2048 KiB", "");
	says.memlock--;
	expect_now("limits.memlock", DOCTOR_WARN, "4 workers need 2048", fix);
	says.cpus.mask_cpus = 64;
	says.memlock = 8 << 20;
	expect_now("limits.memlock", DOCTOR_WARN, "64 workers need 32768", fix);
	quota(1000, "/c/cpu.max");
	expect_now("limits.memlock", DOCTOR_PASS, "8192 KiB", "");
	says.memlock = 64 << 10;
	expect_now("limits.memlock", DOCTOR_WARN, "64 KiB for the io_uring rings", fix);
	put(STATUS, "CapEff:\t0000000000004000\n");
	expect_now("limits.memlock", DOCTOR_PASS, "64 KiB, but CAP_IPC_LOCK lifts the limit", "");
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(fewer_cpus_than_there_are, MADE_UP),
		TESTING(cpu_quotas, MADE_UP),
		TESTING(a_whole_quota_depends_on_the_use, MADE_UP),
		TESTING(throttling, MADE_UP),
		TESTING(stolen_time, MADE_UP),
		TESTING(isolated_cpus, MADE_UP),
		TESTING(cores_of_two_kinds, MADE_UP),
		TESTING(cpus_without_deferred_work, MADE_UP),
		TESTING(governors, MADE_UP),
		TESTING(turbo, MADE_UP),
		TESTING(descriptor_limits, MADE_UP),
		TESTING(locked_memory, MADE_UP),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
