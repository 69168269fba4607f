/* SPDX-License-Identifier: MIT */
/*
 * env.c: describes the machine, to explain why results differ from those of another one.
 * Unknown values are left out.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "tools/bench/bench.h"
#include "tools/bench/build.h"

#define STEAL_WARN_PCT 1.0
#define OTHERS_WARN_PCT 5.0

#ifdef __clang__
#define COMPILER __VERSION__
#else
#define COMPILER "gcc " __VERSION__
#endif

/* ---- files of one line ---- */

static bool read_line(const char *path, char *buf, size_t len)
{
	FILE *file = fopen(path, "re");
	bool read = file && fgets(buf, (int)len, file);

	if (file)
		fclose(file);
	if (read)
		buf[strcspn(buf, "\n")] = '\0';
	return read;
}

/* Read the first "key : value" of /proc/cpuinfo with this key. */
static bool read_cpuinfo(const char *key, char *buf, size_t len)
{
	FILE *file = fopen("/proc/cpuinfo", "re");
	char line[4096], *colon;
	bool found = false;

	while (file && !found && fgets(line, sizeof(line), file)) {
		colon = strchr(line, ':');
		if (strncmp(line, key, strlen(key)) != 0 || !colon)
			continue;
		line[strcspn(line, "\n")] = '\0';
		snprintf(buf, len, "%.*s", (int)len - 1, colon + 1 + strspn(colon + 1, " \t"));
		found = true;
	}
	if (file)
		fclose(file);
	return found;
}

/* ---- entries ---- */

static void add_text(struct bench *b, const char *key, const char *text)
{
	struct bench_env_entry *entry = &b->env[b->env_len];

	if (b->env_len == BENCH_ENV_MAX || !*text)
		return;
	entry->key = key;
	snprintf(entry->text, sizeof(entry->text), "%.*s", (int)sizeof(entry->text) - 1, text);
	b->env_len++;
}

static void add_number(struct bench *b, const char *key, double number)
{
	if (b->env_len < BENCH_ENV_MAX)
		b->env[b->env_len++] = (struct bench_env_entry){ .key = key, .number = number };
}

static void add_file(struct bench *b, const char *key, const char *path)
{
	char line[128];

	if (read_line(path, line, sizeof(line)))
		add_text(b, key, line);
}

/* ---- what takes more than a line ---- */

static void add_mitigations(struct bench *b)
{
	static const char *const names[] = {
		"meltdown", "spectre_v1",      "spectre_v2",
		"mds",	    "retbleed",	       "spec_store_bypass",
		"srso",	    "mmio_stale_data", "gather_data_sampling"
	};
	char path[128], line[256], on[128] = "", off[128] = "", text[320], *list;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "/sys/devices/system/cpu/vulnerabilities/%s",
			 names[i]);
		if (!read_line(path, line, sizeof(line)) || strstr(line, "Not affected"))
			continue;
		list = strstr(line, "Mitigation") ? on : off;
		if (strlen(list) + strlen(names[i]) + 2 >= sizeof(on))
			continue;
		strcat(strcat(list, " "), names[i]);
	}
	snprintf(text, sizeof(text), "mitigated:%s; vulnerable:%s", *on ? on : " none",
		 *off ? off : " none");
	add_text(b, "mitigations", text);
}

static void add_virtualization(struct bench *b)
{
	char flags[4096], product[96] = "", text[128];

	if (!read_cpuinfo("flags", flags, sizeof(flags)))
		return;
	read_line("/sys/class/dmi/id/sys_vendor", product, sizeof(product));
	if (strstr(flags, " hypervisor"))
		snprintf(text, sizeof(text), "hypervisor%s%s", *product ? ": " : "", product);
	else
		snprintf(text, sizeof(text), "none seen");
	add_text(b, "virtualization", text);
}

static void add_kernel(struct bench *b)
{
	struct utsname name;
	char text[160];

	if (uname(&name) < 0)
		return;
	snprintf(text, sizeof(text), "%s %s", name.sysname, name.release);
	add_text(b, "kernel", text);
	add_text(b, "machine", name.machine);
}

static void add_cpus(struct bench *b)
{
	cpu_set_t allowed;
	char text[128];
	unsigned by_affinity;

	if (read_cpuinfo("model name", text, sizeof(text)))
		add_text(b, "cpu_model", text);
	CPU_ZERO(&allowed);
	sched_getaffinity(0, sizeof(allowed), &allowed);
	by_affinity = (unsigned)CPU_COUNT(&allowed);
	add_number(b, "cpus_online", (double)sysconf(_SC_NPROCESSORS_ONLN));
	add_number(b, "cpus_allowed", by_affinity);
	if (weir_cpus_allowed() < by_affinity) {
		snprintf(text, sizeof(text), "%u CPUs", weir_cpus_allowed());
		bench_warn(b, "a CPU quota of about %s is in force: it may throttle the server",
			   text);
		add_text(b, "cpu_quota", text);
	} else {
		add_text(b, "cpu_quota", "none");
	}
	if (read_cpuinfo("microcode", text, sizeof(text)))
		add_text(b, "microcode", text);
	add_file(b, "smt", "/sys/devices/system/cpu/smt/control");
	add_file(b, "governor", "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
}

/* Read the CPU times, in seconds, as the sum over all CPUs. */
static void read_times(struct bench_times *times)
{
	char line[512], *at = line + 4;
	double second = (double)sysconf(_SC_CLK_TCK), ticks[8] = { 0 };

	memset(times, 0, sizeof(*times));
	if (!read_line("/proc/stat", line, sizeof(line)) || strncmp(line, "cpu ", 4) != 0)
		return;
	/* user nice system idle iowait irq softirq steal */
	for (unsigned i = 0; i < 8; i++) {
		ticks[i] = strtod(at, &at) / second;
		times->all += ticks[i];
	}
	times->steal = ticks[7];
	times->busy = times->all - ticks[3] - ticks[4] - ticks[7];
}

static double seconds_of(struct timeval t)
{
	return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

/* CPU time of this process and of the servers that have ended. */
static double own_seconds(void)
{
	struct rusage self, children;

	getrusage(RUSAGE_SELF, &self);
	getrusage(RUSAGE_CHILDREN, &children);
	return seconds_of(self.ru_utime) + seconds_of(self.ru_stime) +
	       seconds_of(children.ru_utime) + seconds_of(children.ru_stime);
}

/* CPU time during the run that other virtual machines and other processes took. */
static void add_disturbance(struct bench *b)
{
	struct bench_times now;
	double all, steal_pct, others_pct;

	read_times(&now);
	all = now.all - b->times.all;
	if (all <= 0)
		return;
	steal_pct = 100 * (now.steal - b->times.steal) / all;
	others_pct = fmax(100 * (now.busy - b->times.busy - own_seconds()) / all, 0);
	add_number(b, "steal_pct", steal_pct);
	add_number(b, "others_pct", others_pct);
	if (steal_pct > STEAL_WARN_PCT)
		bench_warn(b, "%.1f %% of the CPU time was stolen by the hypervisor", steal_pct);
	if (others_pct > OTHERS_WARN_PCT)
		bench_warn(b, "other processes took %.0f %% of the CPU time: the machine was busy",
			   others_pct);
}

void bench_env_begin(struct bench *b)
{
	char mhz[32];
	struct rlimit limit;

	add_kernel(b);
	add_cpus(b);
	if (read_cpuinfo("cpu MHz", mhz, sizeof(mhz)))
		b->mhz = strtod(mhz, NULL);
	add_mitigations(b);
	add_virtualization(b);
	add_file(b, "clocksource",
		 "/sys/devices/system/clocksource/clocksource0/current_clocksource");
	add_text(b, "liburing", BENCH_LIBURING);
	add_text(b, "compiler", COMPILER);
	add_text(b, "build_type", BENCH_BUILD_TYPE);
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
		add_number(b, "descriptor_limit", (double)limit.rlim_max);
	if (!BENCH_RELEASE)
		bench_warn(b, "this is a %s build; measure a release build", BENCH_BUILD_TYPE);
	read_times(&b->times);
}

void bench_env_end(struct bench *b)
{
	add_text(b, "pmu", isnan(bench_median(&b->rows[b->reference], BENCH_CYCLES)) ? "n/a"
										      : "yes");
	add_disturbance(b);
}
