/* SPDX-License-Identifier: MIT */
/*
 * tools_doctor_kernel.c: the findings of `weir doctor` about kernels, backends and clocks.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/support/testing.h"
#include "tests/unit/tools_doctor_rig.h"

/* ---- kernel ---- */

START_TEST(known_bad_kernels)
{
	static const struct {
		const char *release;
		bool sqpoll, enomem;
	} cases[] = {
		{ "4.19.0", false, false },	  { "5.1.0", true, true },
		{ "5.10.185-1", true, true },	  { "5.10.186", false, true },
		{ "6.1.0-37-amd64", false, true }, { "6.6.85", false, true },
		{ "6.6.86", false, false },	  { "6.7.0", false, true },
		{ "6.12.20", false, true },	  { "6.12.21", false, false },
		{ "6.13.8", false, true },	  { "6.13.9", false, false },
		{ "6.13.300", false, false },	  { "6.14.0-rc1", false, false },
		{ "6.18.44-x", false, false },
	};

	for (unsigned i = 0; i < TESTING_COUNT(cases); i++) {
		strcpy(says.release, cases[i].release);
		examine(DOCTOR_PROXY);
		ck_assert_msg(!find("kernel.uring_sqpoll") == !cases[i].sqpoll, "%s",
			      cases[i].release);
		ck_assert_msg(!find("kernel.uring_enomem") == !cases[i].enomem, "%s",
			      cases[i].release);
		ck_assert_msg(!find("kernel.faults") == (cases[i].sqpoll || cases[i].enomem), "%s",
			      cases[i].release);
	}
	strcpy(says.release, "6.12.20");
	examine(DOCTOR_PROXY);
	HAS(got("kernel.uring_enomem")->advice, "6.12.21");
}
END_TEST

START_TEST(kernel_versions)
{
	strcpy(says.release, "6.0.19");
	expect_now("kernel.version", DOCTOR_WARN, "6.0.19", "");
	strcpy(says.release, "6.1");
	expect_now("kernel.version", DOCTOR_PASS, "6.1", "");
	strcpy(says.release, "unheard-of");
	expect_now("kernel.version", DOCTOR_INFO, "unheard-of", "");
	ck_assert_uint_eq(doctor.kernel, 0);
}
END_TEST

START_TEST(where_the_kernel_runs)
{
	expect_now("kernel.runs_on", DOCTOR_INFO, "no sign of a virtual machine", "");
	put("/proc/cpuinfo", "flags\t: fpu hypervisor lm\n");
	put("/.dockerenv", "");
	expect_now("kernel.runs_on", DOCTOR_INFO, "a virtual machine, in a container", "");
	put("/sys/devices/system/cpu/vulnerabilities/meltdown", "Mitigation: PTI\n");
	put("/sys/devices/system/cpu/vulnerabilities/mds", "Vulnerable: no microcode\n");
	put("/sys/devices/system/cpu/vulnerabilities/l1tf", "Not affected\n");
	expect_now("kernel.mitigations", DOCTOR_INFO, "1 of 3", "");
}
END_TEST

START_TEST(guards_that_cost_a_mapping)
{
	says.guard = -EINVAL;
	put("/proc/sys/vm/max_map_count", "65530\n");
	expect_now("kernel.guards", DOCTOR_INFO, "16382 fibers",
		   "sysctl -w vm.max_map_count=1048576");
	put("/proc/sys/vm/max_map_count", "1048576\n");
	expect_now("kernel.guards", DOCTOR_INFO, "262144 fibers", "");
}
END_TEST

/* ---- backends ---- */

START_TEST(backends_that_cannot_run)
{
	says.backends[0] = (struct weir_backend_info){ .name = "iouring",
						       .err = -EPERM,
						       .reason = "denied by somebody" };
	says.backends[1] = (struct weir_backend_info){ .name = "epoll" };
	says.backends[2] = (struct weir_backend_info){ .name = "kqueue",
						       .err = -ENOENT,
						       .reason = "not in this build: not BSD" };
	examine(DOCTOR_PROXY);
	expect("backend.iouring", DOCTOR_WARN, "denied by somebody", "");
	expect("backend.epoll", DOCTOR_PASS, "auto", "");
	expect("backend.kqueue", DOCTOR_INFO, "not in this build", "");
	ck_assert_ptr_null(find("backend.any"));
	says.backends[1].err = -EMFILE;
	expect_now("backend.any", DOCTOR_FAIL, "no backend", "");
}
END_TEST

START_TEST(epoll_with_less)
{
	says.epoll = (struct doctor_epoll){ .exclusive = -EINVAL,
					    .wait2 = -ENOSYS,
					    .busy_poll = -ENOTTY };
	examine(DOCTOR_PROXY);
	expect("epoll.exclusive", DOCTOR_INFO, "EINVAL", "");
	expect("epoll.pwait2", DOCTOR_INFO, "ENOSYS", "");
	expect("epoll.busy_poll", DOCTOR_INFO, "ENOTTY", "");
	says.epoll.create = -EMFILE;
	expect_now("epoll.create", DOCTOR_FAIL, "EMFILE", "");
}
END_TEST

/* ---- clocks ---- */

#define CLOCKS "/sys/devices/system/clocksource/clocksource0/"

START_TEST(clock_sources)
{
	const char *fix = "echo tsc >" CLOCKS "current_clocksource";

	put(CLOCKS "current_clocksource", "hpet\n");
	expect_now("clock.source", DOCTOR_WARN, "hpet (available: tsc hpet )", fix);
	put(CLOCKS "current_clocksource", "kvm-clock\n");
	expect_now("clock.source", DOCTOR_WARN, "kvm-clock", fix);
	put(CLOCKS "available_clocksource", "kvm-clock acpi_pm \n");
	expect_now("clock.source", DOCTOR_INFO, "kvm-clock", "");
	put(CLOCKS "current_clocksource", "acpi_pm\n");
	expect_now("clock.source", DOCTOR_WARN, "acpi_pm", "");
	HAS(got("clock.source")->advice, "dmesg");
	put(CLOCKS "current_clocksource", "arch_sys_counter\n");
	put(CLOCKS "available_clocksource", "arch_sys_counter \n");
	expect_now("clock.source", DOCTOR_INFO, "arch_sys_counter", "");
	put("/proc/cpuinfo", "flags : constant_tsc\n");
	expect_now("clock.invariant", DOCTOR_INFO, "", "");
}
END_TEST

START_TEST(slow_and_coarse_clocks)
{
	says.clock = (struct doctor_clock){ 4000000, 700 };
	examine(DOCTOR_PROXY);
	expect("clock.resolution", DOCTOR_WARN, "4000000 ns", "");
	expect("clock.cost", DOCTOR_WARN, "700 ns", "");
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(known_bad_kernels, MADE_UP),
		TESTING(kernel_versions, MADE_UP),
		TESTING(where_the_kernel_runs, MADE_UP),
		TESTING(guards_that_cost_a_mapping, MADE_UP),
		TESTING(backends_that_cannot_run, MADE_UP),
		TESTING(epoll_with_less, MADE_UP),
		TESTING(clock_sources, MADE_UP),
		TESTING(slow_and_coarse_clocks, MADE_UP),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
