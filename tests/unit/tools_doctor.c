/* SPDX-License-Identifier: MIT */
/*
 * tools_doctor.c: the checks of `weir doctor` on machines made up for each case:
 * files below a folder of their own, and answers that system calls would give.
 * Then the trials of io_uring on this kernel, with and without permission.
 */
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/testing.h"
#include "tools/doctor.h"
#include "tools/doctor_uring.h"
#include "weir/rt.h"

#define SYS_URING_SETUP 425
#define DISABLED "/proc/sys/kernel/io_uring_disabled"
#define STATUS "/proc/self/status"
#define FILTERED "CapEff:\t0000000000000000\nSeccomp:\t2\nCpus_allowed_list:\t0-3\n"
#define UNFILTERED "CapEff:\t0000000000000000\nSeccomp:\t0\nCpus_allowed_list:\t0-3\n"

/* ---- a machine ---- */

static char root[64];
static struct doctor doctor;

/* What it answers. */
static struct {
	char release[64];
	rlim_t nofile, memlock;
	struct weir_cpu_allowance cpus;
	struct weir_backend_info backends[4];
	struct doctor_epoll epoll;
	struct doctor_uring uring;
	struct doctor_liburing liburing;
	struct doctor_clock clock;
	int guard;
} says;

static int fake_name(struct utsname *ret_name)
{
	memset(ret_name, 0, sizeof(*ret_name));
	strcpy(ret_name->sysname, "Linux");
	strcpy(ret_name->release, says.release);
	strcpy(ret_name->machine, "x86_64");
	return 0;
}

static int fake_limit(int resource, struct rlimit *ret_limit)
{
	rlim_t value = resource == RLIMIT_NOFILE ? says.nofile : says.memlock;

	*ret_limit = (struct rlimit){ value, value };
	return 0;
}

static int fake_cpus(struct weir_cpu_allowance *ret_allowance)
{
	*ret_allowance = says.cpus;
	return 0;
}

static int fake_backend(unsigned i, struct weir_backend_info *ret_info)
{
	if (i >= TESTING_COUNT(says.backends) || !says.backends[i].name)
		return -ENOENT;
	*ret_info = says.backends[i];
	return 0;
}

static void fake_epoll(struct doctor_epoll *ret_epoll)
{
	*ret_epoll = says.epoll;
}

static void fake_uring(struct doctor_uring *ret_uring)
{
	*ret_uring = says.uring;
}

static void fake_liburing(struct doctor_liburing *ret_liburing)
{
	*ret_liburing = says.liburing;
}

static void fake_clock(struct doctor_clock *ret_clock)
{
	*ret_clock = says.clock;
}

static int fake_guard(void)
{
	return says.guard;
}

static const struct doctor_machine machine = {
	.root = root,
	.name = fake_name,
	.limit = fake_limit,
	.cpus = fake_cpus,
	.backend = fake_backend,
	.epoll = fake_epoll,
	.uring = fake_uring,
	.liburing = fake_liburing,
	.clock = fake_clock,
	.guard = fake_guard,
};

static void quota(unsigned milli, const char *file)
{
	says.cpus.quota_milli = milli;
	snprintf(says.cpus.quota_file, sizeof(says.cpus.quota_file), "%s", file);
}

/* A file of the machine, and the folders above it. */
static void put(const char *path, const char *text)
{
	char full[512], *slash;
	FILE *f;

	snprintf(full, sizeof(full), "%s%s", root, path);
	for (slash = full + strlen(root) + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		mkdir(full, 0700);
		*slash = '/';
	}
	f = fopen(full, "we");
	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
}

/* One with nothing to complain of. */
static void make_machine(void)
{
	snprintf(root, sizeof(root), "/tmp/weir-doctor-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(root));
	memset(&says, 0, sizeof(says));
	strcpy(says.release, "6.14.2-amd64");
	says.nofile = says.memlock = RLIM_INFINITY;
	says.cpus.mask_cpus = 4;
	says.backends[0].name = "epoll";
	says.uring.ops = 60;
	says.clock = (struct doctor_clock){ 1, 20 };
	put("/sys/devices/system/cpu/online", "0-3\n");
	put("/sys/devices/system/cpu/isolated", "\n");
	put("/sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc\n");
	put("/sys/devices/system/clocksource/clocksource0/available_clocksource", "tsc hpet \n");
	put("/proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu constant_tsc nonstop_tsc\n");
	put("/proc/stat", "cpu  100 0 100 800 0 0 0 0 0 0\n");
	put(STATUS, UNFILTERED);
	put("/proc/sys/net/core/somaxconn", "4096\n");
	put("/proc/sys/net/ipv4/tcp_max_syn_backlog", "4096\n");
	put("/proc/sys/net/ipv4/tcp_syncookies", "1\n");
	put("/proc/sys/net/ipv4/ip_local_port_range", "1024\t65535\n");
	put("/proc/sys/net/ipv4/tcp_tw_reuse", "2\n");
	put("/proc/sys/net/ipv4/tcp_rmem", "4096\t131072\t6291456\n");
	put("/proc/sys/net/ipv4/tcp_wmem", "4096\t16384\t4194304\n");
	put("/proc/sys/net/ipv4/tcp_migrate_req", "1\n");
	put("/proc/sys/net/core/optmem_max", "131072\n");
}

static void remove_machine(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf '%s'", root);
	ck_assert_int_eq(system(command), 0);
}

static void examine(enum doctor_use use)
{
	doctor_init(&doctor, &machine, use);
	doctor_check_all(&doctor);
}

static const struct doctor_finding *find(const char *id)
{
	for (unsigned i = 0; i < doctor.len; i++)
		if (strcmp(doctor.findings[i].id, id) == 0)
			return &doctor.findings[i];
	return NULL;
}

/* The same, where it must be there. */
static const struct doctor_finding *got(const char *id)
{
	static const struct doctor_finding none;
	const struct doctor_finding *finding = find(id);

	ck_assert_msg(finding != NULL, "%s: no such finding", id);
	return finding ? finding : &none;	/* for compilers that do not see what ends a test */
}

#define HAS(text, part) \
	ck_assert_msg(strstr(text, part), "'%s' is not in '%s'", part, text)

/* A finding of that level, with these words in it and exactly that command. */
static void expect(const char *id, enum doctor_level level, const char *found, const char *fix)
{
	const struct doctor_finding *finding = got(id);

	ck_assert_msg(finding->level == level, "%s: level %d, not %d: %s", id, (int)finding->level,
		      (int)level, finding->found);
	HAS(finding->found, found);
	ck_assert_str_eq(finding->fix, fix);
}

/* The same, on the machine as it is now said to be. */
static void expect_now(const char *id, enum doctor_level level, const char *found, const char *fix)
{
	examine(DOCTOR_PROXY);
	expect(id, level, found, fix);
}

START_TEST(a_good_machine_has_no_warnings)
{
	for (unsigned use = DOCTOR_PROXY; use <= DOCTOR_BENCH; use++) {
		examine(use);
		for (unsigned i = 0; i < doctor.len; i++)
			ck_assert_msg(doctor.findings[i].level < DOCTOR_WARN, "%s: %s",
				      doctor.findings[i].id, doctor.findings[i].found);
		ck_assert_uint_gt(doctor.len, 40);
	}
}
END_TEST

START_TEST(no_id_is_used_twice)
{
	examine(DOCTOR_PROXY);
	for (unsigned i = 0; i < doctor.len; i++)
		for (unsigned j = 0; j < i; j++)
			ck_assert_str_ne(doctor.findings[i].id, doctor.findings[j].id);
}
END_TEST

/* Nothing of /proc or /sys is to be seen: checks are left out, none invents a value. */
START_TEST(a_machine_without_files)
{
	remove_machine();
	examine(DOCTOR_PROXY);
	ck_assert_ptr_null(find("net.somaxconn"));
	ck_assert_ptr_null(find("clock.source"));
	ck_assert_ptr_null(find("cpu.steal"));
	ck_assert_uint_eq(doctor_count(&doctor, DOCTOR_FAIL), 0);
	mkdir(root, 0700);
}
END_TEST

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
	expect_now("kernel.runs_on", DOCTOR_INFO, "no virtual machine", "");
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
	expect_now("kernel.guards", DOCTOR_INFO, "32765 fibers",
		   "sysctl -w vm.max_map_count=1048576");
	put("/proc/sys/vm/max_map_count", "1048576\n");
	expect_now("kernel.guards", DOCTOR_INFO, "524288 fibers", "");
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

/* ---- io_uring ---- */

static void deny(int err)
{
	says.uring.setup = err;
	for (unsigned i = 0; i < URING_FEATURES; i++)
		says.uring.tried[i] = err;
}

START_TEST(uring_denied_by_sysctl)
{
	char fix[64];

	deny(-EPERM);
	put(DISABLED, "2\n");
	put(STATUS, FILTERED);
	expect_now("uring.setup", DOCTOR_WARN, "kernel.io_uring_disabled is 2",
		   "sysctl -w kernel.io_uring_disabled=0");
	put(DISABLED, "1\n");
	put("/proc/sys/kernel/io_uring_group", "-1\n");
	snprintf(fix, sizeof(fix), "sysctl -w kernel.io_uring_group=%u", (unsigned)getegid());
	expect_now("uring.setup", DOCTOR_WARN, "kernel.io_uring_disabled is 1", fix);
	HAS(got("uring.setup")->found, "(-1)");
	ck_assert_ptr_null(find("uring.napi"));
}
END_TEST

/* The sysctl lets an administrator through, so it was the filter. */
START_TEST(uring_denied_to_an_administrator)
{
	deny(-EPERM);
	put(DISABLED, "1\n");
	put(STATUS, "CapEff:\t000001ffffffffff\nSeccomp:\t2\n");
	expect_now("uring.setup", DOCTOR_WARN, "a seccomp filter denies it", "");
}
END_TEST

START_TEST(uring_denied_by_seccomp)
{
	deny(-EPERM);
	put(DISABLED, "0\n");
	put(STATUS, FILTERED);
	expect_now("uring.setup", DOCTOR_WARN, "EPERM: a seccomp filter denies it", "");
	HAS(got("uring.setup")->advice, "io_uring_enter");
	HAS(got("uring.setup")->advice, "seccomp=");
	put(STATUS, UNFILTERED);
	expect_now("uring.setup", DOCTOR_WARN, "by neither sysctl nor seccomp", "");
}
END_TEST

START_TEST(uring_unknown_to_the_kernel)
{
	deny(-ENOSYS);
	expect_now("uring.setup", DOCTOR_WARN,
		   "ENOSYS: the kernel is built without CONFIG_IO_URING", "");
	put(STATUS, FILTERED);
	expect_now("uring.setup", DOCTOR_WARN, "ENOSYS: a seccomp filter denies it, or", "");
	put(DISABLED, "0\n");
	expect_now("uring.setup", DOCTOR_WARN, "ENOSYS: a seccomp filter denies it", "");
	ck_assert_ptr_null(strstr(got("uring.setup")->found, "CONFIG"));
	put(STATUS, UNFILTERED);
	expect_now("uring.setup", DOCTOR_WARN, "gVisor", "");
	strcpy(says.release, "5.0.21");
	expect_now("uring.setup", DOCTOR_WARN, "older than io_uring", "");
}
END_TEST

START_TEST(uring_without_memory)
{
	deny(-ENOMEM);
	says.memlock = 64 << 10;
	expect_now("uring.setup", DOCTOR_WARN, "RLIMIT_MEMLOCK is 64 KiB",
		   "prlimit --pid $$ --memlock=unlimited");
	put(STATUS, "CapEff:\t0000000000004000\n");
	expect_now("uring.setup", DOCTOR_WARN, "no memory", "");
	put(STATUS, "CapEff:\tffffffffffffbfff\n");
	expect_now("uring.setup", DOCTOR_WARN, "RLIMIT_MEMLOCK is 64 KiB",
		   "prlimit --pid $$ --memlock=unlimited");
	says.memlock = RLIM_INFINITY;
	expect_now("uring.setup", DOCTOR_WARN, "no memory", "");
	HAS(got("uring.setup")->advice, "cgroup");
}
END_TEST

START_TEST(uring_without_descriptors)
{
	deny(-EMFILE);
	expect_now("uring.setup", DOCTOR_WARN, "EMFILE", "ulimit -n 65536");
	deny(-ENFILE);
	expect_now("uring.setup", DOCTOR_WARN, "ENFILE",
		   "sysctl -w fs.file-max=9223372036854775807");
	deny(-EIO);
	expect_now("uring.setup", DOCTOR_WARN, weir_strerror(-EIO), "");
}
END_TEST

START_TEST(uring_features_that_are_missing)
{
	says.uring.tried[URING_DEFER_TASKRUN] = -EINVAL;
	says.uring.tried[URING_NAPI] = -EINVAL;
	says.uring.tried[URING_BUF_RING] = -ENOMEM;
	says.uring.tried[URING_DIRECT] = -EPERM;
	says.uring.tried[URING_OPS] = -EOPNOTSUPP;
	strcpy(says.uring.lacking, "mkdirat");
	says.uring.bounded = 8;
	says.uring.unbounded = 1000;
	examine(DOCTOR_PROXY);
	expect("uring.setup", DOCTOR_PASS, "a ring was made", "");
	expect("uring.submit_all", DOCTOR_PASS, "works", "");
	expect("uring.defer_taskrun", DOCTOR_WARN, "not here (EINVAL; Linux 6.1 has it)", "");
	expect("uring.napi", DOCTOR_INFO, "not here (EINVAL; Linux 6.9 has it)", "");
	expect("uring.buf_ring", DOCTOR_WARN, "refused (ENOMEM; Linux 5.19 has it)", "");
	expect("uring.direct", DOCTOR_INFO, "refused (EPERM; Linux 5.19 has it)", "");
	HAS(got("uring.buf_ring")->advice, "memlock");
	expect("uring.ops", DOCTOR_WARN, "60 operations; these are missing: mkdirat", "");
	expect("uring.recv_zc", DOCTOR_INFO, "not tried", "");
	expect("uring.iowq", DOCTOR_INFO, "8 bounded, 1000 unbounded", "");
}
END_TEST

START_TEST(header_against_library_against_kernel)
{
	expect_now("uring.liburing", DOCTOR_INFO, "build none, library here none, kernel 6.14", "");
	says.liburing = (struct doctor_liburing){ 2, 3, 2, 9 };
	expect_now("uring.liburing", DOCTOR_INFO, "build 2.3, library here 2.9, kernel 6.14", "");
	HAS(got("uring.liburing")->found, "NAPI (2.6)");
	HAS(got("uring.liburing")->found, "min-wait (2.8)");
	says.liburing = (struct doctor_liburing){ 2, 9, 2, 3 };
	expect_now("uring.liburing", DOCTOR_WARN, "build 2.9, library here 2.3", "");
	HAS(got("uring.liburing")->advice, "liburing 2.9 or newer");
	ck_assert_ptr_null(strstr(got("uring.liburing")->found, "NAPI"));
	says.liburing = (struct doctor_liburing){ 2, 9, 2, 9 };
	expect_now("uring.liburing", DOCTOR_INFO, "build 2.9, library here 2.9", "");
	says.liburing = (struct doctor_liburing){ 2, 14, 3, 0 };
	expect_now("uring.liburing", DOCTOR_INFO, "build 2.14, library here 3.0", "");
}
END_TEST

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
	/* A name that would end the quotes gets no command. */
	quota(500, "/sys/fs/cgroup/it's/cpu.max");
	expect_now("cpu.quota", DOCTOR_WARN, "0.50", "");
}
END_TEST

/* As many whole CPUs as there are workers: bad only for what must not be slowed at all. */
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
	expect_now("cpu.isolated", DOCTOR_INFO, "none of them in our mask 0-3",
		   "taskset -pc 4-7 $$");
	put(STATUS, "Cpus_allowed_list:\t2-5\n");
	expect_now("cpu.isolated", DOCTOR_WARN, "4-7, among them 2 of our 4 CPUs",
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

START_TEST(governors)
{
	expect_now("cpu.governor", DOCTOR_INFO, "none to be seen", "");
	put(GOVERNOR("0"), "performance\n");
	put(GOVERNOR("2"), "performance\n");
	expect_now("cpu.governor", DOCTOR_PASS, "performance on all 2", "");
	put(GOVERNOR("2"), "powersave\n");
	put(GOVERNOR("7"), "powersave\n");	/* of a CPU that is offline */
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
	expect_now("limits.memlock", DOCTOR_WARN, "4 workers want 2048", fix);
	says.cpus.mask_cpus = 64;
	says.memlock = 8 << 20;
	expect_now("limits.memlock", DOCTOR_WARN, "64 workers want 32768", fix);
	quota(1000, "/c/cpu.max");
	expect_now("limits.memlock", DOCTOR_PASS, "8192 KiB", "");
	says.memlock = 64 << 10;
	expect_now("limits.memlock", DOCTOR_WARN, "64 KiB for the io_uring rings", fix);
	put(STATUS, "CapEff:\t0000000000004000\n");
	expect_now("limits.memlock", DOCTOR_PASS, "64 KiB, of which CAP_IPC_LOCK exempts", "");
}
END_TEST

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
		/* What is no number is no finding. */
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

/* ---- clocks ---- */

#define CLOCKS "/sys/devices/system/clocksource/clocksource0/"

START_TEST(clock_sources)
{
	const char *fix = "echo tsc >" CLOCKS "current_clocksource";

	put(CLOCKS "current_clocksource", "hpet\n");
	expect_now("clock.source", DOCTOR_WARN, "hpet (of: tsc hpet )", fix);
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

/* ---- how it is read and printed ---- */

START_TEST(lists_of_cpus)
{
	static const struct {
		const char *text;
		unsigned count;
	} cases[] = {
		{ "", 0 },	   { "0", 1 },	       { "0-3", 4 },	    { "0-1,4,8-9", 5 },
		{ "3-1", 0 },	   { "1,1,0-1", 2 },   { "0-1023", 1024 }, { "1020-2000", 4 },
		{ "nonsense", 0 }, { "99999999", 0 },  { "(null)", 0 },	    { "0-", 1024 },
		{ "-1", 0 },	   { "0,x,3", 1 },
	};
	bool cpus[DOCTOR_CPUS_MAX];

	for (unsigned i = 0; i < TESTING_COUNT(cases); i++)
		ck_assert_msg(doctor_cpu_list(cases[i].text, cpus) == cases[i].count, "'%s': %u",
			      cases[i].text, doctor_cpu_list(cases[i].text, cpus));
}
END_TEST

static char *printed(void (*print)(const struct doctor *, FILE *))
{
	static char text[8192];
	FILE *f = fmemopen(text, sizeof(text), "w");

	ck_assert_ptr_nonnull(f);
	print(&doctor, f);
	fclose(f);
	return text;
}

START_TEST(findings_as_lines)
{
	doctor_init(&doctor, &machine, DOCTOR_BENCH);
	doctor.group = "one";
	doctor_add(&doctor, DOCTOR_PASS, "a.b", "well");
	doctor.group = "two";
	doctor_add(&doctor, DOCTOR_FAIL, "c.d", "%d", 5);
	doctor_advise(&doctor, "or else");
	doctor_fix(&doctor, "do --this");
	ck_assert_str_eq(strchr(printed(doctor_print_text), '\n'),
			 "\n\none\nPASS  a.b                     well\n"
			 "\ntwo\nFAIL  c.d                     5; or else  → do --this\n"
			 "\n2 checks: 1 PASS, 0 INFO, 0 WARN, 1 FAIL\n");
}
END_TEST

/* What a file holds may be anything; the JSON is JSON all the same. */
START_TEST(findings_as_json)
{
	doctor_init(&doctor, &machine, DOCTOR_BENCH);
	doctor.group = "g";
	doctor_add(&doctor, DOCTOR_WARN, "i", "q\" b\\ t\t e→ x\xff\xc3( \xed\xa0\x80");
	HAS(printed(doctor_print_json),
	    "{\"level\": \"warn\", \"group\": \"g\", \"id\": \"i\", \"found\": \"q\\\" b\\\\ "
	    "t\\u0009 e→ x\\ufffd\\ufffd( \\ufffd\\ufffd\\ufffd\", \"advice\": \"\", \"fix\": "
	    "\"\"}");
}
END_TEST

START_TEST(fixes_as_a_script)
{
	doctor_init(&doctor, &machine, DOCTOR_PROXY);
	doctor_add(&doctor, DOCTOR_PASS, "a", "fine");
	doctor_fix(&doctor, "never");
	doctor_add(&doctor, DOCTOR_WARN, "b", "two\nlines");
	doctor_fix(&doctor, "sysctl -w x=1");
	doctor_add(&doctor, DOCTOR_INFO, "c", "so so");
	doctor_fix(&doctor, "sysctl -w y=1");
	doctor_add(&doctor, DOCTOR_FAIL, "d", "bad");
	doctor_advise(&doctor, "pray");
	doctor_add(&doctor, DOCTOR_WARN, "e", "nothing to do");
	doctor_add(&doctor, DOCTOR_WARN, "f", "again");
	doctor_fix(&doctor, "sysctl -w x=1");
	doctor_add(&doctor, DOCTOR_WARN, "g", "not so optional");
	doctor_fix(&doctor, "sysctl -w y=1");
	HAS(printed(doctor_print_script), "reboot; settings that shall go into /etc/sysctl.d.\n"
					  "\n# WARN b: two lines\nsysctl -w x=1\n"
					  "\n# INFO c: so so\n# optional: sysctl -w y=1\n"
					  "\n# FAIL d: bad\n# pray\n"
					  "\n# WARN f: again\n# with the command above\n"
					  "\n# WARN g: not so optional\nsysctl -w y=1\n");
	ck_assert_ptr_null(strstr(printed(doctor_print_script), "nothing"));
	ck_assert_ptr_null(strstr(printed(doctor_print_script), "never"));
}
END_TEST

/* ---- the trials themselves, on this kernel ---- */

static uint64_t now_ns(void)
{
	struct timespec ts;

	ck_assert_int_eq(clock_gettime(CLOCK_MONOTONIC, &ts), 0);
	return (uint64_t)ts.tv_sec * WEIR_SEC + (uint64_t)ts.tv_nsec;
}

START_TEST(trials_agree_with_themselves)
{
	struct doctor_uring uring;
	uint64_t took_ns = now_ns();

	doctor_uring_try(&uring);
	took_ns = now_ns() - took_ns;
	if (uring.setup < 0) {
		for (unsigned i = 0; i < URING_FEATURES; i++)
			ck_assert_int_eq(uring.tried[i], uring.setup);
		testing_skip("no io_uring here: %s", weir_strerror(uring.setup));
		return;
	}
	for (unsigned i = 0; i < URING_FEATURES; i++)
		ck_assert_msg(uring.tried[i] != -ETIME && uring.tried[i] != -EBADMSG &&
				      uring.tried[i] != -EFAULT && uring.tried[i] <= 0,
			      "feature %u: %s", i, weir_strerror(uring.tried[i]));
	/* The kernel says so itself in a bit. */
	ck_assert_int_eq(uring.tried[URING_MIN_WAIT] == 0, uring.features >> 15 & 1);
	/* A wait that ran out took a second. */
	ck_assert_uint_lt(took_ns, testing_scaled(1) * WEIR_SEC);
	/* Each came with a kernel that had the other. */
	if (uring.tried[URING_DEFER_TASKRUN] == 0) {
		ck_assert_int_eq(uring.tried[URING_SINGLE_ISSUER], 0);
		ck_assert_int_eq(uring.tried[URING_BUF_RING], 0);
		ck_assert_int_eq(uring.tried[URING_RECV_MULTISHOT], 0);
		ck_assert_int_eq(uring.tried[URING_ACCEPT_MULTISHOT], 0);
		ck_assert_int_eq(uring.tried[URING_OPS], 0);
		ck_assert_uint_gt(uring.ops, 40);
	}
}
END_TEST

/* From here on io_uring_setup answers that errno in this process. */
static void filter_setup(int err)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_URING_SETUP, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)err),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { TESTING_COUNT(filter), filter };

	ck_assert_int_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	ck_assert_int_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

START_TEST(trials_without_permission)
{
	static const int errors[] = { EPERM, ENOSYS, ENOMEM };
	struct doctor_uring uring;

	filter_setup(errors[_i]);
	doctor_uring_try(&uring);
	ck_assert_int_eq(uring.setup, -errors[_i]);
	for (unsigned i = 0; i < URING_FEATURES; i++)
		ck_assert_int_eq(uring.tried[i], -errors[_i]);
}
END_TEST

START_TEST(this_machine_can_be_examined)
{
	doctor_init(&doctor, &doctor_this_machine, DOCTOR_BENCH);
	doctor_check_all(&doctor);
	ck_assert_ptr_nonnull(find("kernel.version"));
	ck_assert_ptr_nonnull(find("uring.setup"));
	ck_assert_ptr_nonnull(find("clock.cost"));
	ck_assert_ptr_null(find("epoll.create"));
}
END_TEST

#define MADE_UP .setup = make_machine, .teardown = remove_machine

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(a_good_machine_has_no_warnings, MADE_UP),
		TESTING(no_id_is_used_twice, MADE_UP),
		TESTING(a_machine_without_files, MADE_UP),
		TESTING(known_bad_kernels, MADE_UP),
		TESTING(kernel_versions, MADE_UP),
		TESTING(where_the_kernel_runs, MADE_UP),
		TESTING(guards_that_cost_a_mapping, MADE_UP),
		TESTING(backends_that_cannot_run, MADE_UP),
		TESTING(epoll_with_less, MADE_UP),
		TESTING(uring_denied_by_sysctl, MADE_UP),
		TESTING(uring_denied_to_an_administrator, MADE_UP),
		TESTING(uring_denied_by_seccomp, MADE_UP),
		TESTING(uring_unknown_to_the_kernel, MADE_UP),
		TESTING(uring_without_memory, MADE_UP),
		TESTING(uring_without_descriptors, MADE_UP),
		TESTING(uring_features_that_are_missing, MADE_UP),
		TESTING(header_against_library_against_kernel, MADE_UP),
		TESTING(fewer_cpus_than_there_are, MADE_UP),
		TESTING(cpu_quotas, MADE_UP),
		TESTING(a_whole_quota_depends_on_the_use, MADE_UP),
		TESTING(throttling, MADE_UP),
		TESTING(stolen_time, MADE_UP),
		TESTING(isolated_cpus, MADE_UP),
		TESTING(governors, MADE_UP),
		TESTING(turbo, MADE_UP),
		TESTING(descriptor_limits, MADE_UP),
		TESTING(locked_memory, MADE_UP),
		TESTING(socket_settings, MADE_UP),
		TESTING(severity_depends_on_the_use, MADE_UP),
		TESTING(connection_tracking, MADE_UP),
		TESTING(clock_sources, MADE_UP),
		TESTING(slow_and_coarse_clocks, MADE_UP),
		TESTING(lists_of_cpus),
		TESTING(findings_as_lines),
		TESTING(findings_as_json),
		TESTING(fixes_as_a_script),
		TESTING(trials_agree_with_themselves, .needs = "native"),
		TESTING(trials_without_permission, .needs = "native", .rounds = 3),
		TESTING(this_machine_can_be_examined, .needs = "native"),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
