/* SPDX-License-Identifier: MIT */
/*
 * tools_doctor_uring.c: the findings of `weir doctor` about io_uring, and the trials of features on
 * this kernel, with and without permission.
 */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/testing.h"
#include "tests/unit/tools_doctor_rig.h"

#define SYS_URING_SETUP 425
#define DISABLED "/proc/sys/kernel/io_uring_disabled"
#define FILTERED "CapEff:\t0000000000000000\nSeccomp:\t2\nCpus_allowed_list:\t0-3\n"

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

/* The sysctl does not apply to an administrator, so a filter must have denied it. */
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
	expect_now("uring.setup", DOCTOR_WARN, "neither a sysctl nor seccomp forbids it", "");
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
	expect("uring.setup", DOCTOR_PASS, "a ring was created", "");
	expect("uring.submit_all", DOCTOR_PASS, "works", "");
	expect("uring.defer_taskrun", DOCTOR_WARN, "not available (EINVAL; Linux 6.1 has it)", "");
	expect("uring.napi", DOCTOR_INFO, "not available (EINVAL; Linux 6.9 has it)", "");
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

/* ---- the trials themselves, on this kernel ---- */

START_TEST(trials_agree_with_themselves)
{
	struct doctor_uring uring;

	doctor_uring_try(&uring);
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
	/* The kernel has a feature bit for it. */
	ck_assert_int_eq(uring.tried[URING_MIN_WAIT] == 0, uring.features >> 15 & 1);
	/* A kernel with this feature has the other one as well. */
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

/* From now on io_uring_setup fails with this errno in this process. */
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

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(uring_denied_by_sysctl, MADE_UP),
		TESTING(uring_denied_to_an_administrator, MADE_UP),
		TESTING(uring_denied_by_seccomp, MADE_UP),
		TESTING(uring_unknown_to_the_kernel, MADE_UP),
		TESTING(uring_without_memory, MADE_UP),
		TESTING(uring_without_descriptors, MADE_UP),
		TESTING(uring_features_that_are_missing, MADE_UP),
		TESTING(header_against_library_against_kernel, MADE_UP),
		TESTING(trials_agree_with_themselves, .needs = "native"),
		TESTING(trials_without_permission, .needs = "native", .rounds = 3),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
