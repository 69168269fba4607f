/* SPDX-License-Identifier: MIT */
/*
 * cpu.c: how much CPU this process may use and really gets: affinity, quota and
 * throttling, a hypervisor's share, isolation, clock speed.
 */
#include <string.h>

#include "tools/doctor/doctor.h"
#include "weir/rt.h"
#include "weir/topo.h"

#define CPU "/sys/devices/system/cpu"
#define PERFORMANCE \
	"for g in " CPU "/cpu*/cpufreq/scaling_governor; do echo performance >\"$g\"; done"

static bool read_list(const struct doctor *doctor, const char *path, char *text, size_t len,
		      bool cpus[DOCTOR_CPUS_MAX], unsigned *ret_count)
{
	if (!doctor_read(doctor, path, text, len))
		return false;
	*ret_count = doctor_cpu_list(text, cpus);
	return true;
}

/* ---- allowance ---- */

static void check_allowed(struct doctor *doctor, const struct weir_cpu_allowance *allowance)
{
	char text[256];
	bool cpus[DOCTOR_CPUS_MAX];
	unsigned online = 0, workers = doctor_workers(doctor);
	char starts[64] = "weir does not start";

	if (doctor->start.err == 0)
		snprintf(starts, sizeof(starts), "weir starts %u worker%s", workers,
			 workers == 1 ? "" : "s");
	read_list(doctor, CPU "/online", text, sizeof(text), cpus, &online);
	if (online > allowance->mask_cpus) {
		doctor_add(doctor, DOCTOR_INFO, "cpu.allowed",
			   "%u of %u online CPUs (affinity mask, cpuset); %s",
			   allowance->mask_cpus, online, starts);
		return;
	}
	doctor_add(doctor, DOCTOR_PASS, "cpu.allowed", "all %u CPUs; %s", allowance->mask_cpus,
		   starts);
}

/* Whether a path can be put into a command between single quotes. */
static bool quotable(const char *path)
{
	for (; *path; path++)
		if (*path == '\'' || (unsigned char)*path < 0x20)
			return false;
	return true;
}

static void fix_quota(struct doctor *doctor, const char *file)
{
	size_t len = strlen(file);
	bool v2 = len > 8 && strcmp(file + len - 8, "/cpu.max") == 0;

	if (quotable(file))
		doctor_fix(doctor, "echo %s >'%s'", v2 ? "max" : "-1", file);
	doctor_advise(doctor, "raise it where the container or service is defined");
}

static void check_quota(struct doctor *doctor, const struct weir_cpu_allowance *allowance)
{
	unsigned milli = allowance->quota_milli, workers = doctor_workers(doctor);
	enum doctor_level level;

	if (!milli) {
		doctor_add(doctor, DOCTOR_PASS, "cpu.quota", "none");
		return;
	}
	/* A quota of one CPU per worker does not throttle, but still disturbs a benchmark. */
	level = milli < workers * 1000 ? DOCTOR_WARN : doctor_warn_for(doctor, DOCTOR_BENCH);
	if (milli > allowance->mask_cpus * 1000)
		level = DOCTOR_INFO;
	doctor_add(doctor, level, "cpu.quota",
		   "%u.%02u CPUs for %u worker%s%s; do not pin them, and do not busy-poll",
		   milli / 1000, milli % 1000 / 10, workers, workers == 1 ? "" : "s",
		   milli < workers * 1000 ? ", which are throttled when busy" : "");
	if (level == DOCTOR_WARN)
		fix_quota(doctor, allowance->quota_file);
}

static void check_throttled(struct doctor *doctor, const struct weir_cpu_allowance *allowance)
{
	if (!allowance->quota_milli)
		return;
	if (!allowance->throttled) {
		doctor_add(doctor, DOCTOR_PASS, "cpu.throttled", "never in %llu periods",
			   (unsigned long long)allowance->periods);
		return;
	}
	doctor_add(doctor, DOCTOR_WARN, "cpu.throttled",
		   "in %llu of %llu periods, %.1f s in total; each time, all workers pause",
		   (unsigned long long)allowance->throttled,
		   (unsigned long long)allowance->periods,
		   (double)allowance->throttled_ns / (double)WEIR_SEC);
	fix_quota(doctor, allowance->quota_file);
}

/* ---- other users of the CPUs ---- */

static void check_steal(struct doctor *doctor)
{
	unsigned long long t[8], all = 0;
	char line[256];
	double percent;

	if (!doctor_read(doctor, "/proc/stat", line, sizeof(line)) ||
	    sscanf(line, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &t[0], &t[1], &t[2], &t[3],
		   &t[4], &t[5], &t[6], &t[7]) != 8)
		return;
	for (unsigned i = 0; i < 8; i++)
		all += t[i];
	percent = all ? (double)t[7] * 100 / (double)all : 0;
	doctor_add(doctor, percent >= 1 ? doctor_warn_for(doctor, DOCTOR_BENCH) : DOCTOR_PASS,
		   "cpu.steal", "%.2f%% of the CPU time since boot went to other virtual machines",
		   percent);
	if (percent >= 1)
		doctor_advise(doctor,
			      "measure ratios with interleaved runs, or use a dedicated machine");
}

/* The kernel's scheduler moves no thread to or between isolated CPUs. */
static void check_isolated(struct doctor *doctor)
{
	char isolated[256] = "", mine[256] = "";
	bool out[DOCTOR_CPUS_MAX], allowed[DOCTOR_CPUS_MAX];
	unsigned isolated_count = 0, mine_count, both = 0;

	read_list(doctor, CPU "/isolated", isolated, sizeof(isolated), out, &isolated_count);
	if (!isolated_count) {
		doctor_add(doctor, DOCTOR_INFO, "cpu.isolated", "none");
		return;
	}
	doctor_read_field(doctor, "/proc/self/status", "Cpus_allowed_list", mine, sizeof(mine));
	mine_count = doctor_cpu_list(mine, allowed);
	for (unsigned i = 0; i < DOCTOR_CPUS_MAX; i++)
		both += out[i] && allowed[i];
	if (!both) {
		doctor_add(doctor, DOCTOR_INFO, "cpu.isolated",
			   "%s, none of them in this process's mask %s", isolated, mine);
		doctor_fix(doctor, "taskset -pc %s $$", isolated);
		return;
	}
	doctor_add(doctor, DOCTOR_WARN, "cpu.isolated",
		   "%s, including %u of this process's %u CPUs: the kernel does not balance "
		   "threads there",
		   isolated, both, mine_count);
	doctor_advise(
		doctor,
		"bind the workers (--bind cpu), and start them in this shell after the command");
	doctor_fix(doctor, "taskset -pc %s $$", isolated);
}

/* Reads rcu_nocbs from the kernel's command line. */
static void check_rcu(struct doctor *doctor)
{
	char line[2048], *at;

	if (!doctor_read(doctor, "/proc/cmdline", line, sizeof(line)))
		return;
	at = strstr(line, "rcu_nocbs=");
	if (at)
		doctor_add(doctor, DOCTOR_INFO, "cpu.rcu_nocbs",
			   "%.*s: RCU callbacks of these CPUs run on other CPUs",
			   (int)strcspn(at + 10, " "), at + 10);
}

/* Cores of several kinds, and which of them the policy leaves out. */
static void check_kinds(struct doctor *doctor)
{
	unsigned slower = 0;

	if (!doctor->plan || doctor->topo->kinds < 2)
		return;
	for (unsigned i = 0; i < doctor->topo->cpus_len; i++)
		slower += doctor->plan->out[i] == WEIR_CPU_SLOWER;
	doctor_add(doctor, DOCTOR_INFO, "cpu.kinds",
		   "%u kinds of core; %u CPUs of slower ones get no worker (policy performance)",
		   doctor->topo->kinds, slower);
	if (slower)
		doctor_advise(doctor, "--policy none uses them too");
}

static void check_nohz(struct doctor *doctor)
{
	char text[256];

	if (doctor_read(doctor, CPU "/nohz_full", text, sizeof(text)) && *text >= '0' &&
	    *text <= '9')
		doctor_add(doctor, DOCTOR_INFO, "cpu.nohz_full",
			   "%s: these CPUs have no tick while they run a single thread", text);
}

/* ---- speed ---- */

static void check_governor(struct doctor *doctor)
{
	char online[256] = "", path[96], governor[64], other[64] = "";
	bool cpus[DOCTOR_CPUS_MAX] = { false };
	unsigned count = 0, seen = 0, differ = 0;

	read_list(doctor, CPU "/online", online, sizeof(online), cpus, &count);
	for (unsigned i = 0; i < DOCTOR_CPUS_MAX; i++) {
		snprintf(path, sizeof(path), CPU "/cpu%u/cpufreq/scaling_governor", i);
		if (!cpus[i] || !doctor_read(doctor, path, governor, sizeof(governor)))
			continue;
		seen++;
		if (strcmp(governor, "performance") == 0)
			continue;
		differ++;
		snprintf(other, sizeof(other), "%s", governor);
	}
	if (!seen) {
		doctor_add(doctor, DOCTOR_INFO, "cpu.governor", "not visible here");
	} else if (!differ) {
		doctor_add(doctor, DOCTOR_PASS, "cpu.governor", "performance on all %u", seen);
	} else {
		doctor_add(doctor, doctor_warn_for(doctor, DOCTOR_BENCH), "cpu.governor",
			   "%s on %u of %u CPUs: the clock speed follows the load", other, differ,
			   seen);
		doctor_fix(doctor, "%s", PERFORMANCE);
	}
}

static void check_turbo(struct doctor *doctor)
{
	long long boost, off;
	const char *fix;
	bool on;

	if (doctor_read_number(doctor, CPU "/intel_pstate/no_turbo", &off)) {
		on = off == 0;
		fix = "echo 1 >" CPU "/intel_pstate/no_turbo";
	} else if (doctor_read_number(doctor, CPU "/cpufreq/boost", &boost)) {
		on = boost != 0;
		fix = "echo 0 >" CPU "/cpufreq/boost";
	} else {
		return;
	}
	if (!on || doctor->use != DOCTOR_BENCH) {
		doctor_add(doctor, on ? DOCTOR_INFO : DOCTOR_PASS, "cpu.turbo", "%s",
			   on ? "on" : "off");
		return;
	}
	doctor_add(doctor, DOCTOR_WARN, "cpu.turbo",
		   "on: the speed depends on temperature and on other cores");
	doctor_fix(doctor, "%s", fix);
}

static void check_smt(struct doctor *doctor)
{
	long long active;

	if (doctor_read_number(doctor, CPU "/smt/active", &active))
		doctor_add(doctor, DOCTOR_INFO, "cpu.smt", "%s",
			   active ? "on: two workers may share a core" : "off");
}

void doctor_check_cpu(struct doctor *doctor)
{
	struct weir_cpu_allowance allowance = WEIR_CPU_ALLOWANCE_INIT;

	doctor->group = "cpu";
	if (doctor->machine->cpus(&allowance) == 0) {
		check_allowed(doctor, &allowance);
		check_quota(doctor, &allowance);
		check_throttled(doctor, &allowance);
	}
	check_steal(doctor);
	check_isolated(doctor);
	check_nohz(doctor);
	check_rcu(doctor);
	check_kinds(doctor);
	check_governor(doctor);
	check_turbo(doctor);
	check_smt(doctor);
}
