/* SPDX-License-Identifier: MIT */
/*
 * limits.c: a process's limits of descriptors and locked memory. weir proxy raises
 * the soft limit of descriptors to the hard one by itself, so the hard limit is judged.
 */
#include <sys/resource.h>

#include "tools/doctor/doctor.h"

/* A proxied connection needs two descriptors; a benchmark has both ends of its connections. */
#define NOFILE_GOOD 65536
#define NOFILE_BENCH 8192
#define NOFILE_LEAST 1024
#define NOFILE_FIX 1048576
/* A worker's ring and buffer ring take about 256 KiB; other processes of the user need some too. */
#define MEMLOCK_WORKER (512ull << 10)
#define MEMLOCK_LEAST (1ull << 20)

static const char *amount(rlim_t value, unsigned unit, char *buf, size_t len)
{
	if (value == RLIM_INFINITY)
		snprintf(buf, len, "unlimited");
	else
		snprintf(buf, len, "%llu", (unsigned long long)value / unit);
	return buf;
}

static void fix_nofile(struct doctor *doctor)
{
	long long most = 0;

	doctor_read_number(doctor, "/proc/sys/fs/nr_open", &most);
	doctor_fix(doctor, "%sprlimit --pid $$ --nofile=%d:%d",
		   most && most < NOFILE_FIX ? "sysctl -w fs.nr_open=1048576 && " : "", NOFILE_FIX,
		   NOFILE_FIX);
	doctor_advise(doctor, "for a service: LimitNOFILE=%d", NOFILE_FIX);
}

static void check_nofile(struct doctor *doctor)
{
	rlim_t good = doctor->use == DOCTOR_BENCH ? NOFILE_BENCH : NOFILE_GOOD;
	struct rlimit limit;
	char soft[24], hard[24];
	enum doctor_level level;

	if (doctor->machine->limit(RLIMIT_NOFILE, &limit) < 0)
		return;
	level = limit.rlim_max < NOFILE_LEAST ? DOCTOR_FAIL
		: limit.rlim_max < good	      ? DOCTOR_WARN
					      : DOCTOR_PASS;
	doctor_add(doctor, level, "limits.nofile",
		   "%s soft, %s hard: the hard limit allows about %s proxied connections",
		   amount(limit.rlim_cur, 1, soft, sizeof(soft)),
		   amount(limit.rlim_max, 1, hard, sizeof(hard)),
		   amount(limit.rlim_max == RLIM_INFINITY ? limit.rlim_max : limit.rlim_max / 2, 1,
			  (char[24]){ 0 }, 24));
	if (level != DOCTOR_PASS)
		fix_nofile(doctor);
}

static void check_files(struct doctor *doctor)
{
	unsigned long long used, most;
	char line[96];

	if (!doctor_read(doctor, "/proc/sys/fs/file-nr", line, sizeof(line)) ||
	    sscanf(line, "%llu %*u %llu", &used, &most) != 2 || !most)
		return;
	if (used < most / 10 * 9) {
		doctor_add(doctor, DOCTOR_PASS, "limits.files", "%llu open in the whole system",
			   used);
		return;
	}
	doctor_add(doctor, DOCTOR_WARN, "limits.files", "%llu of %llu open in the whole system",
		   used, most);
	doctor_fix(doctor, "sysctl -w fs.file-max=9223372036854775807");
}

static void check_memlock(struct doctor *doctor)
{
	bool exempt = doctor_has_cap(doctor, DOCTOR_CAP_IPC_LOCK);
	struct rlimit limit;
	uint64_t good;
	char kib[24];

	if (doctor->machine->limit(RLIMIT_MEMLOCK, &limit) < 0)
		return;
	good = doctor_workers(doctor) * MEMLOCK_WORKER;
	good = good < MEMLOCK_LEAST ? MEMLOCK_LEAST : good;
	amount(limit.rlim_cur, 1024, kib, sizeof(kib));
	if (limit.rlim_cur >= good || exempt) {
		doctor_add(doctor, DOCTOR_PASS, "limits.memlock", "%s%s%s", kib,
			   limit.rlim_cur == RLIM_INFINITY ? "" : " KiB",
			   exempt ? ", but CAP_IPC_LOCK lifts the limit" : "");
		return;
	}
	doctor_add(doctor, DOCTOR_WARN, "limits.memlock",
		   "%s KiB for the io_uring rings and registered memory of all processes of this "
		   "user; %u workers need %llu",
		   kib, doctor_workers(doctor), (unsigned long long)good / 1024);
	doctor_fix(doctor, "prlimit --pid $$ --memlock=unlimited");
	doctor_advise(doctor, "for a service: LimitMEMLOCK=infinity");
}

void doctor_check_limits(struct doctor *doctor)
{
	doctor->group = "limits";
	check_nofile(doctor);
	check_files(doctor);
	check_memlock(doctor);
}
