/* SPDX-License-Identifier: MIT */
/*
 * clock.c: the clock source, its resolution, and the cost of reading it. A worker reads
 * the clock a few times per turn.
 */
#include <string.h>

#include "tools/doctor/doctor.h"

#define SOURCES "/sys/devices/system/clocksource/clocksource0/"
/* Above this cost, reading the clock is a system call. */
#define COST_GOOD_NS 100
#define RESOLUTION_GOOD_NS 1000

/* Sources that are read without a system call. */
static bool is_cheap(const char *source)
{
	return doctor_has_word(
		"kvm-clock hyperv_clocksource_tsc_page xen arch_sys_counter timebase "
		"riscv_clocksource",
		source);
}

static void check_source(struct doctor *doctor)
{
	char source[64], others[256] = "";

	if (!doctor_read(doctor, SOURCES "current_clocksource", source, sizeof(source)))
		return;
	if (strcmp(source, "tsc") == 0) {
		doctor_add(doctor, DOCTOR_PASS, "clock.source", "tsc");
		return;
	}
	doctor_read(doctor, SOURCES "available_clocksource", others, sizeof(others));
	doctor_add(doctor,
		   is_cheap(source) && !doctor_has_word(others, "tsc") ? DOCTOR_INFO : DOCTOR_WARN,
		   "clock.source", "%s (available: %s)", source, others);
	if (doctor_has_word(others, "tsc"))
		doctor_fix(doctor, "echo tsc >" SOURCES "current_clocksource");
	else if (!is_cheap(source))
		doctor_advise(doctor, "the kernel does not trust the tsc: dmesg | grep -i tsc");
}

static void check_invariant(struct doctor *doctor)
{
	char flags[8192];
	bool invariant;

	if (!doctor_read_field(doctor, "/proc/cpuinfo", "flags", flags, sizeof(flags)))
		return;
	invariant = doctor_has_word(flags, "constant_tsc") && doctor_has_word(flags, "nonstop_tsc");
	doctor_add(doctor, invariant ? DOCTOR_PASS : DOCTOR_INFO, "clock.invariant",
		   invariant ? "the tsc has a constant rate and runs in sleep states"
			     : "the tsc changes with the CPU's speed or stops in sleep states");
}

static void check_cost(struct doctor *doctor)
{
	struct doctor_clock clock;
	bool fine, cheap;

	doctor->machine->clock(&clock);
	fine = clock.resolution_ns <= RESOLUTION_GOOD_NS;
	cheap = clock.cost_ns <= COST_GOOD_NS;
	doctor_add(doctor, fine ? DOCTOR_PASS : DOCTOR_WARN, "clock.resolution", "%llu ns",
		   (unsigned long long)clock.resolution_ns);
	if (!fine)
		doctor_advise(doctor,
			      "boot without highres=off: timers are late by up to this time");
	doctor_add(doctor, cheap ? DOCTOR_PASS : DOCTOR_WARN, "clock.cost", "%llu ns per reading%s",
		   (unsigned long long)clock.cost_ns,
		   cheap ? "" : ": each reading is a system call, or emulated");
	if (!cheap)
		doctor_advise(doctor,
			      "choose a clock source that user space can read; see clock.source");
}

void doctor_check_clock(struct doctor *doctor)
{
	doctor->group = "clocks";
	check_source(doctor);
	check_invariant(doctor);
	check_cost(doctor);
}
