/* SPDX-License-Identifier: MIT */
/*
 * uring.c: reports on io_uring: whether a ring can be created, or else what forbids it;
 * each feature and its use; and the versions of header, library and kernel.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tools/doctor/doctor.h"
#include "tools/doctor/uring.h"

#define DISABLED "/proc/sys/kernel/io_uring_disabled"

struct feature {
	const char *id, *since, *use;
	bool needed;			/* without it, weir's backend does not run or is slower */
};

static const struct feature table[URING_FEATURES] = {
	[URING_SUBMIT_ALL] = { "submit_all", "5.18", "a failed request does not stop a batch",
			       true },
	[URING_TASKRUN_FLAG] = { "taskrun_flag", "5.19",
				 "a turn without completions needs no system call", true },
	[URING_SINGLE_ISSUER] = { "single_issuer", "6.0", "one ring per worker, without a lock",
				  true },
	[URING_DEFER_TASKRUN] = { "defer_taskrun", "6.1",
				  "completions are processed when the worker asks for them", true },
	[URING_EXT_ARG] = { "ext_arg", "5.11", "waits with a deadline", true },
	[URING_RING_FD] = { "ring_fd", "5.18", "a registered ring makes system calls cheaper",
			    true },
	[URING_BUF_RING] = { "buf_ring", "5.19", "leased buffers", true },
	[URING_ACCEPT_MULTISHOT] = { "accept_multishot", "5.19", "one request for all connections",
				     true },
	[URING_RECV_MULTISHOT] = { "recv_multishot", "6.0", "one request for all receives", true },
	[URING_OPS] = { "ops", "5.15", "network and file operations", true },
	[URING_SEND_ZC] = { "send_zc", "6.0", "zero-copy send (optional)", false },
	[URING_MSG_RING] = { "msg_ring", "5.18", "wake another worker", false },
	[URING_MSG_RING_BARE] = { "msg_ring_bare", "6.13",
				  "wake a worker from a thread without a ring", false },
	[URING_DIRECT] = { "direct", "5.19", "direct descriptors (optional)", false },
	[URING_NAPI] = { "napi", "6.9", "busy polling (optional)", false },
	[URING_MIN_WAIT] = { "min_wait", "6.12", "wait for a batch (optional)", false },
	[URING_BUNDLE] = { "recv_bundle", "6.10", "several buffers per receive (optional)", false },
	[URING_BUF_INC] = { "buf_inc", "6.12", "several messages per buffer (optional)", false },
	[URING_NO_SQARRAY] = { "no_sqarray", "6.6", "a smaller ring (liburing 2.6 asks for it)",
			       false },
	[URING_RECV_ZC] = { "recv_zc", "6.15", "zero-copy receive, not used; depends on the NIC",
			    false },
};

/* ---- io_uring_setup fails ---- */

static bool filtered(const struct doctor *doctor)
{
	char mode[16];

	return doctor_read_field(doctor, "/proc/self/status", "Seccomp", mode, sizeof(mode)) &&
	       strcmp(mode, "2") == 0;
}

/* How a seccomp filter is changed depends on the program that installed it; these are common. */
static void advise_seccomp(struct doctor *doctor)
{
	doctor_advise(doctor,
		      "allow io_uring_setup, io_uring_enter and io_uring_register in the filter "
		      "(docker: --security-opt seccomp=PROFILE; systemd: "
		      "SystemCallFilter=@aio); until then weir uses epoll");
}

static void add_denied(struct doctor *doctor)
{
	long long disabled = 0, group = -1;

	doctor_read_number(doctor, DISABLED, &disabled);
	doctor_read_number(doctor, "/proc/sys/kernel/io_uring_group", &group);
	if (disabled == 2) {
		doctor_add(
			doctor, DOCTOR_WARN, "uring.setup",
			"io_uring_setup: EPERM: kernel.io_uring_disabled is 2, so no process may");
		doctor_fix(doctor, "sysctl -w kernel.io_uring_disabled=0");
	} else if (disabled == 1 && !doctor_has_cap(doctor, DOCTOR_CAP_SYS_ADMIN)) {
		doctor_add(doctor, DOCTOR_WARN, "uring.setup",
			   "io_uring_setup: EPERM: kernel.io_uring_disabled is 1: only "
			   "CAP_SYS_ADMIN and the group of kernel.io_uring_group (%lld) may",
			   group);
		doctor_fix(doctor, "sysctl -w kernel.io_uring_group=%u", (unsigned)getegid());
	} else if (filtered(doctor)) {
		doctor_add(doctor, DOCTOR_WARN, "uring.setup",
			   "io_uring_setup: EPERM: a seccomp filter denies it");
		advise_seccomp(doctor);
	} else {
		doctor_add(doctor, DOCTOR_WARN, "uring.setup",
			   "io_uring_setup: EPERM, but neither a sysctl nor seccomp forbids it");
		doctor_advise(doctor, "a security module may forbid it: dmesg | grep -i denied");
	}
}

/* A kernel that has the sysctl has io_uring, so the ENOSYS comes from a filter. */
static void add_unknown_call(struct doctor *doctor)
{
	bool built_in = doctor_exists(doctor, DISABLED);

	if (doctor->kernel && doctor->kernel < DOCTOR_KERNEL(5u, 1, 0)) {
		doctor_add(doctor, DOCTOR_WARN, "uring.setup",
			   "io_uring_setup: ENOSYS: this kernel is older than io_uring (5.1)");
		doctor_advise(doctor, "boot 6.1 or newer; until then weir uses epoll");
	} else if (filtered(doctor)) {
		doctor_add(doctor, DOCTOR_WARN, "uring.setup",
			   "io_uring_setup: ENOSYS: a seccomp filter denies it%s",
			   built_in ? "" : ", or the kernel is built without CONFIG_IO_URING");
		advise_seccomp(doctor);
	} else {
		doctor_add(doctor, DOCTOR_WARN, "uring.setup",
			   "io_uring_setup: ENOSYS: %s",
			   built_in ? "a sandbox denies it (gVisor, an "
				      "emulator, a tracer)"
				    : "the kernel is built without CONFIG_IO_URING");
		doctor_advise(doctor, "weir uses epoll; io_uring needs another kernel or sandbox");
	}
}

/*
 * Rings count as locked memory before 5.12 and again in recent kernels (seen in 6.18). The limit
 * is shared by all processes of a user.
 */
static void add_no_memory(struct doctor *doctor)
{
	struct rlimit memlock;

	if (doctor->machine->limit(RLIMIT_MEMLOCK, &memlock) < 0 ||
	    memlock.rlim_cur == RLIM_INFINITY || doctor_has_cap(doctor, DOCTOR_CAP_IPC_LOCK)) {
		doctor_add(doctor, DOCTOR_WARN, "uring.setup",
			   "io_uring_setup: ENOMEM: no memory for the smallest ring");
		doctor_advise(doctor, "raise the memory limit of the cgroup, or free memory; until "
				      "then epoll serves");
		return;
	}
	doctor_add(doctor, DOCTOR_WARN, "uring.setup",
		   "io_uring_setup: ENOMEM: rings count as locked memory, and RLIMIT_MEMLOCK is "
		   "%llu KiB for all processes of this user",
		   (unsigned long long)memlock.rlim_cur / 1024);
	doctor_fix(doctor, "prlimit --pid $$ --memlock=unlimited");
	doctor_advise(doctor, "for a service: LimitMEMLOCK=infinity");
}

static void add_refused(struct doctor *doctor, int err)
{
	switch (-err) {
	case EPERM:
		add_denied(doctor);
		break;
	case ENOSYS:
		add_unknown_call(doctor);
		break;
	case ENOMEM:
		add_no_memory(doctor);
		break;
	case EMFILE:
	case ENFILE:
		doctor_add(doctor, DOCTOR_WARN, "uring.setup",
			   "io_uring_setup: %s: no descriptors are left", doctor_errno_name(err));
		doctor_fix(doctor, err == -EMFILE ? "ulimit -n 65536"
						  : "sysctl -w fs.file-max=9223372036854775807");
		break;
	default:
		doctor_add(doctor, DOCTOR_WARN, "uring.setup", "io_uring_setup: %s",
			   doctor_errno_name(err));
		doctor_advise(doctor, "the reason is unknown; weir uses epoll");
	}
}

/* ---- the table ---- */

/* Whether the error means that the kernel does not know the feature. */
static bool is_unknown(int err)
{
	return err == -EINVAL || err == -EOPNOTSUPP || err == -ENOSYS || err == -EBADF;
}

static void add_missing(struct doctor *doctor, const struct feature *feature, const char *id,
			int err)
{
	enum doctor_level level = feature->needed ? DOCTOR_WARN : DOCTOR_INFO;

	doctor_add(doctor, level, id, "%s (%s; Linux %s has it): %s",
		   is_unknown(err) ? "not available" : "refused", doctor_errno_name(err),
		   feature->since, feature->use);
	if (err == -ENOMEM)
		doctor_advise(doctor, "see limits.memlock");
}

static void add_feature(struct doctor *doctor, const struct doctor_uring *uring, unsigned i)
{
	const struct feature *feature = &table[i];
	int rc = uring->tried[i];
	char id[32];

	snprintf(id, sizeof(id), "uring.%s", feature->id);
	if (i == URING_OPS && rc == 0)
		doctor_add(doctor, DOCTOR_PASS, id, "%u operations, including all that weir uses",
			   uring->ops);
	else if (i == URING_OPS && *uring->lacking)
		doctor_add(doctor, DOCTOR_WARN, id, "%u operations; these are missing: %s",
			   uring->ops, uring->lacking);
	else if (i == URING_RECV_ZC && rc == 0)
		doctor_add(doctor, DOCTOR_INFO, id, "the kernel has it, not tried: %s",
			   feature->use);
	else if (rc == 0)
		doctor_add(doctor, DOCTOR_PASS, id, "works: %s", feature->use);
	else
		add_missing(doctor, feature, id, rc);
}

static void check_features(struct doctor *doctor, const struct doctor_uring *uring)
{
	for (unsigned i = 0; i < URING_FEATURES; i++)
		add_feature(doctor, uring, i);
	if (uring->bounded || uring->unbounded)
		doctor_add(doctor, DOCTOR_INFO, "uring.iowq",
			   "kernel threads per ring: up to %u bounded, %u unbounded",
			   uring->bounded, uring->unbounded);
}

/* ---- header, library, kernel ---- */

/* The liburing version that first has a function. */
static const struct {
	unsigned minor;			/* of 2.x */
	const char *what;
} library_has[] = {
	{ 4, "buffer-ring set-up" },
	{ 6, "NAPI" },
	{ 8, "min-wait" },
	{ 10, "zero-copy receive" },
};

static void list_lacking(unsigned major, unsigned minor, char *list, size_t len)
{
	size_t used = 0;

	list[0] = '\0';
	for (size_t i = 0; i < sizeof(library_has) / sizeof(library_has[0]); i++)
		if (major <= 2 && minor < library_has[i].minor && used < len)
			used += (size_t)snprintf(list + used, len - used, "%s%s (2.%u)",
						 used ? ", " : "; without calls for ",
						 library_has[i].what, library_has[i].minor);
}

static void check_liburing(struct doctor *doctor)
{
	struct doctor_liburing lib;
	char header[24] = "none", library[24] = "none", lacking[128] = "";
	bool older;

	doctor->machine->liburing(&lib);
	if (lib.header_major) {
		snprintf(header, sizeof(header), "%u.%u", lib.header_major, lib.header_minor);
		list_lacking(lib.header_major, lib.header_minor, lacking, sizeof(lacking));
	}
	if (lib.library_major)
		snprintf(library, sizeof(library), "%u.%u", lib.library_major, lib.library_minor);
	older = lib.header_major && lib.library_major &&
		(lib.library_major < lib.header_major ||
		 (lib.library_major == lib.header_major && lib.library_minor < lib.header_minor));
	doctor_add(doctor, older ? DOCTOR_WARN : DOCTOR_INFO, "uring.liburing",
		   "header of this build %s, library here %s, kernel %u.%u%s", header, library,
		   doctor->kernel >> 24, doctor->kernel >> 16 & 255, lacking);
	if (older)
		doctor_advise(doctor,
			      "the library is older than the header: install liburing %s or newer",
			      header);
}

void doctor_check_uring(struct doctor *doctor)
{
	struct doctor_uring uring;

	doctor->group = "io_uring";
	doctor->machine->uring(&uring);
	if (uring.setup < 0) {
		add_refused(doctor, uring.setup);
	} else {
		doctor_add(doctor, DOCTOR_PASS, "uring.setup", "a ring was created");
		check_features(doctor, &uring);
	}
	check_liburing(doctor);
}
