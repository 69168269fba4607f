/* SPDX-License-Identifier: MIT */
/*
 * backends_iouring_probe.c: the probe for io_uring, on fake kernels and on this one behind a real
 * seccomp filter; and the options behind the backend's name.
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backends/iouring/newer.h"
#include "backends/iouring/options.h"
#include "backends/iouring/probe.h"
#include "backends/registry.h"
#include "tests/support/testing.h"
#include "weir/weir.h"

/* ---- fake kernels ------------------------------------------------------------------------- */

static struct {
	int setup_rc, disabled, supports_rc, lacks, enter_rc;
	int try_rc[URING_FEATURES];
	bool tried[URING_FEATURES];
	uint32_t works[2];
	unsigned features, flags, opened, closed;
} fake;

static int fake_setup(unsigned entries, struct io_uring *ring, struct io_uring_params *params)
{
	(void)entries;
	memset(ring, 0, sizeof(*ring));
	fake.flags = params->flags;
	params->features = fake.features;
	fake.opened += fake.setup_rc == 0;
	return fake.setup_rc;
}

static void fake_exit(struct io_uring *ring)
{
	(void)ring;
	fake.closed++;
}

static int fake_supports(struct io_uring *ring, const int *ops, unsigned count, bool *ret_supported)
{
	(void)ring;
	for (unsigned i = 0; i < count; i++)
		ret_supported[i] = ops[i] != fake.lacks;
	return fake.supports_rc;
}

static int fake_try(struct io_uring *ring, enum uring_feature feature,
		    const struct uring_options *options)
{
	(void)ring;
	(void)options;
	fake.tried[feature] = true;
	return fake.try_rc[feature];
}

static int fake_enter(struct io_uring *ring)
{
	(void)ring;
	return fake.enter_rc;
}

static int fake_disabled(void)
{
	return fake.disabled;
}

static const struct uring_kernel kernel = { .setup = fake_setup,
					    .exit = fake_exit,
					    .supports = fake_supports,
					    .enter = fake_enter,
					    .try = fake_try,
					    .disabled = fake_disabled,
					    .works = fake.works };

static char why[256];

static void good_kernel(void)
{
	memset(&fake, 0, sizeof(fake));
	memset(why, 0, sizeof(why));
	fake.disabled = 0;
	fake.lacks = -1;
	fake.features = IORING_FEAT_EXT_ARG | IORING_FEAT_NODROP;
}

static int probe(const char *options)
{
	int rc = weir__uring_probe_kernel(&kernel, options, why, sizeof(why));

	ck_assert_uint_eq(fake.opened, fake.closed);
	return rc;
}

#define SAYS(text) ck_assert_msg(strstr(why, text), "'%s' does not say '%s'", why, text)

START_TEST(a_good_kernel)
{
	good_kernel();
	ck_assert_int_eq(probe(NULL), 0);
	ck_assert_str_eq(why, "");
	ck_assert_uint_eq(fake.opened, 1);
	ck_assert(fake.flags & IORING_SETUP_DEFER_TASKRUN);
	ck_assert(fake.flags & IORING_SETUP_SINGLE_ISSUER);
	ck_assert_int_eq(probe("no-defer"), 0);
	ck_assert(!(fake.flags & (IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SINGLE_ISSUER)));
	ck_assert(fake.flags & IORING_SETUP_COOP_TASKRUN);
}
END_TEST

static const struct {
	int rc, disabled;
	const char *options, *says;
} refusals[] = {
	{ -EPERM, 1, NULL, "kernel.io_uring_disabled is 1" },
	{ -EPERM, 2, NULL, "kernel.io_uring_disabled is 2" },
	{ -EPERM, 2, NULL, "sysctl -w kernel.io_uring_disabled=0" },
	{ -EPERM, 0, NULL, "seccomp" },
	{ -EPERM, -1, NULL, "seccomp" },
	{ -ENOSYS, -1, NULL, "no io_uring" },
	{ -ENOMEM, 0, NULL, "ulimit -l" },
	{ -EINVAL, 0, NULL, "older than 6.1" },
	{ -EINVAL, 0, "no-defer", "older than 5.19" },
	{ -EMFILE, 0, NULL, "io_uring_setup: Too many open files" },
};

START_TEST(setup_refused)
{
	good_kernel();
	fake.setup_rc = refusals[_i].rc;
	fake.disabled = refusals[_i].disabled;
	ck_assert_int_eq(probe(refusals[_i].options), refusals[_i].rc);
	SAYS(refusals[_i].says);
}
END_TEST

START_TEST(something_lacks)
{
	static const struct {
		int op;
		const char *name;
	} ops[] = { { IORING_OP_ACCEPT, "accept" },   { IORING_OP_CONNECT, "connect" },
		    { IORING_OP_RECV, "recv" },	      { IORING_OP_RECVMSG, "recvmsg" },
		    { IORING_OP_SEND, "send" },	      { IORING_OP_SENDMSG, "sendmsg" },
		    { IORING_OP_POLL_ADD, "poll" },   { IORING_OP_ASYNC_CANCEL, "cancel" } };

	for (unsigned i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		good_kernel();
		fake.lacks = ops[i].op;
		ck_assert_int_eq(probe(NULL), -EOPNOTSUPP);
		SAYS("lacks the operation ");
		SAYS(ops[i].name);
	}
	good_kernel();
	fake.supports_rc = -EACCES;
	ck_assert_int_eq(probe(NULL), -EACCES);
	SAYS("Permission denied");
}
END_TEST

/*
 * The reason names a feature that does not work and the option to do without it. Unused features
 * are not tried.
 */
static const struct {
	enum uring_feature feature;
	const char *with, *lack, *remedy, *without;
} trials[] = {
	{ URING_BUFFER_RING, NULL, "no buffer ring", "io_uring:no-buffers", "no-buffers" },
	{ URING_MULTISHOT_ACCEPT, NULL, "no multishot accept", "io_uring:no-multishot-accept",
	  "no-multishot-accept" },
	{ URING_MULTISHOT_RECV, NULL, "no multishot recv", "io_uring:no-multishot-recv",
	  "no-multishot-recv" },
	{ URING_MULTISHOT_RECV, NULL, "no multishot recv", "io_uring:", "no-buffers" },
	{ URING_BUNDLE, "bundle=1", "no bundles", "6.10", NULL },
	{ URING_BUNDLE, "bundle=1", "no bundles", "6.10", "bundle=1,no-multishot-recv" },
	{ URING_INCREMENTAL, "incremental=1", "incrementally", "6.12", "incremental=1,no-buffers" },
	{ URING_ZERO_COPY, "zero-copy=4096", "zero-copy send", "6.0", NULL },
	{ URING_TABLE, "direct=64", "descriptor table", "smaller number", NULL },
#if URING_LIBRARY_HAS(2, 6)
	{ URING_NAPI, "napi=10", "busy polling", "6.9", NULL },
#endif
#if URING_LIBRARY_HAS(2, 8)
	{ URING_MIN_WAIT, "min-wait=10", "min-wait", "6.12", NULL },
#endif
};

START_TEST(a_feature_lacks)
{
	good_kernel();
	ck_assert_int_eq(probe(trials[_i].with), 0);
	ck_assert(fake.tried[trials[_i].feature]);
	good_kernel();
	fake.try_rc[trials[_i].feature] = -EINVAL;
	ck_assert_int_eq(probe(trials[_i].with), -EINVAL);
	SAYS(trials[_i].lack);
	SAYS(trials[_i].remedy);
	SAYS("Invalid argument");
	good_kernel();
	fake.try_rc[trials[_i].feature] = -EINVAL;
	ck_assert_int_eq(probe(trials[_i].without), 0);
	ck_assert(!fake.tried[trials[_i].feature]);
}
END_TEST

/* Returns whether a probe with these options tries the feature. */
static bool tries(enum uring_feature feature, const char *with)
{
	memset(fake.tried, 0, sizeof(fake.tried));
	(void)probe(with);
	return fake.tried[feature];
}

/*
 * Features are tried once per kind of ring, except those that depend on an option's value or a
 * limit.
 */
START_TEST(a_feature_is_tried_once)
{
	enum uring_feature feature = trials[_i].feature;
	bool varies = feature == URING_TABLE || feature == URING_NAPI;
	char other[64];

	good_kernel();
	ck_assert(tries(feature, trials[_i].with));
	ck_assert_int_eq(tries(feature, trials[_i].with), varies);
	snprintf(other, sizeof(other), "no-defer%s%s", trials[_i].with ? "," : "",
		 trials[_i].with ? trials[_i].with : "");
	ck_assert(tries(feature, other));
	ck_assert_int_eq(tries(feature, other), varies);
	/* The ring itself is tried again, because permissions may change. */
	fake.enter_rc = -EPERM;
	ck_assert_int_eq(probe(trials[_i].with), -EPERM);
	SAYS("io_uring_enter");
	fake.setup_rc = -ENOMEM;
	ck_assert_int_eq(probe(trials[_i].with), -ENOMEM);
	SAYS("ulimit -l");
}
END_TEST

/* A failure is tried again: it may have been for want of memory or of a descriptor. */
START_TEST(a_failure_is_not_kept)
{
	enum uring_feature feature = trials[_i].feature;

	good_kernel();
	fake.try_rc[feature] = -EMFILE;
	ck_assert_int_eq(probe(trials[_i].with), -EMFILE);
	SAYS("Too many open files");
	ck_assert(tries(feature, trials[_i].with));
	fake.try_rc[feature] = 0;
	ck_assert_int_eq(probe(trials[_i].with), 0);
}
END_TEST

/*
 * A kernel with deferred rings (6.1) also has the features that are used without an option. Those
 * that an option turns on are newer, and may be missing.
 */
START_TEST(this_kernel)
{
	int bare = weir__uring_probe("no-buffers,no-multishot-accept", why, sizeof(why)), rc = bare;

	if (bare == 0)
		rc = weir__uring_probe(trials[_i].with, why, sizeof(why));
	if (rc < 0) {
		ck_assert_str_ne(why, "");
		ck_assert_msg(bare < 0 || trials[_i].with, "%s", why);
		testing_skip("%s", why);
		return;
	}
	ck_assert_str_eq(why, "");
}
END_TEST

/* A trial fails because the process has no descriptors left. */
START_TEST(a_trial_that_fails)
{
	struct rlimit few = { 64, 64 };
	int rc = weir__uring_probe(NULL, why, sizeof(why));

	if (rc < 0) {
		testing_skip("%s", why);
		return;
	}
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	ck_assert_int_eq(weir__uring_probe("direct=64", why, sizeof(why)), 0);
	ck_assert_int_eq(weir__uring_probe("direct=65", why, sizeof(why)), -EMFILE);
	SAYS("no descriptor table of that size");
}
END_TEST

START_TEST(waits_without_timeout)
{
	static const unsigned features[] = { 0, IORING_FEAT_EXT_ARG, IORING_FEAT_NODROP };

	for (unsigned i = 0; i < 3; i++) {
		good_kernel();
		fake.features = features[i];
		ck_assert_int_eq(probe(NULL), -EOPNOTSUPP);
		SAYS("too old");
	}
}
END_TEST

START_TEST(enter_refused)
{
	good_kernel();
	fake.enter_rc = -EPERM;
	ck_assert_int_eq(probe(NULL), -EPERM);
	SAYS("io_uring_enter");
}
END_TEST

/* ---- options ------------------------------------------------------------------------------ */

static struct uring_options options;

static int parse(const char *words)
{
	weir__uring_options_init(&options);
	memset(why, 0, sizeof(why));
	return weir__uring_options_parse(words, &options, why, sizeof(why));
}

START_TEST(every_option)
{
	ck_assert_int_eq(parse(NULL), 0);
	ck_assert(options.defer && options.multishot_accept && options.multishot_recv &&
		  options.buffers && options.ring_fd && options.inline_send);
	ck_assert_uint_eq(options.zero_copy_bytes, 0);
	ck_assert_int_eq(parse(""), 0);
	ck_assert_int_eq(parse("no-defer"), 0);
	ck_assert(!options.defer && options.multishot_accept);
	ck_assert_int_eq(parse("no-multishot-accept"), 0);
	ck_assert(!options.multishot_accept && options.multishot_recv);
	ck_assert_int_eq(parse("no-multishot-recv"), 0);
	ck_assert(!options.multishot_recv && options.buffers);
	ck_assert_int_eq(parse("no-buffers"), 0);
	ck_assert(!options.buffers && !options.multishot_recv && options.multishot_accept);
	ck_assert_int_eq(parse("no-ring-fd"), 0);
	ck_assert(!options.ring_fd);
	ck_assert_int_eq(parse("no-inline-send"), 0);
	ck_assert(!options.inline_send);
	ck_assert_int_eq(parse("entries=8,buffer-entries=32768,zero-copy=1"), 0);
	ck_assert_uint_eq(options.entries, 8);
	ck_assert_uint_eq(options.buffer_entries, 32768);
	ck_assert_uint_eq(options.zero_copy_bytes, 1);
	ck_assert_int_eq(parse("zero-copy=4294967295,entries=32768"), 0);
	ck_assert_uint_eq(options.zero_copy_bytes, UINT32_MAX);
	/* A comma at the end is allowed. */
	ck_assert_int_eq(parse("no-defer,"), 0);
}
END_TEST

START_TEST(bad_options)
{
	static const char *const bad[] = {
		"entries=7",
		"entries=9",
		"entries=32769",
		"entries=65536",
		"entries=",
		"entries= 8",
		"entries=+8",
		"entries=-8",
		"entries=8x",
		"entries=0x8",
		"entries=8 ",
		"entries=99999999999999999999",
		"buffer-entries=8",
		"buffer-entries=24",
		"buffer-entries=65536",
		"zero-copy=0",
		"zero-copy=4294967296",
		"zero-copy=",
		"entries",
		"zero-copy",
		"no-defer=1",
		"no-defer=",
		"defer",
		"no-",
		",",
		",no-defer",
		"no-defer,,no-buffers",
		"no-defer no-buffers",
		"NO-DEFER",
		"=8",
		"no-defe",
		"no-deferx",
		"entries=8,entries=9",
	};

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ck_assert_msg(parse(bad[i]) == -EINVAL, "'%s' is taken", bad[i]);
		ck_assert_msg(*why, "'%s' is refused without a word", bad[i]);
	}
	ck_assert_int_eq(parse("no-sense"), -EINVAL);
	ck_assert_str_eq(
		why, "unknown option 'no-sense'; expected one of: no-defer, no-multishot-accept, "
		     "no-multishot-recv, no-buffers, no-ring-fd, no-inline-send, "
		     "entries=N, buffer-entries=N, zero-copy=N, "
		     "direct=N, bundle=N, incremental=N, homed-writes=N, napi=N, min-wait=N");
	ck_assert_int_eq(parse("entries=9999999"), -EINVAL);
	SAYS("entries is '9999999': expected a number from 8 to 32768");
}
END_TEST

/* Long options and a short buffer for the reason. */
START_TEST(long_options)
{
	char *text = malloc(100000), small[8];

	memset(text, 'x', 99999);
	text[99999] = '\0';
	ck_assert_int_eq(parse(text), -EINVAL);
	ck_assert_uint_eq(strlen(why), sizeof(why) - 1);
	memcpy(text, "entries=", 8);
	ck_assert_int_eq(parse(text), -EINVAL);
	ck_assert_uint_eq(strlen(why), sizeof(why) - 1);
	memset(text, '9', 99999);
	memcpy(text, "entries=", 8);
	ck_assert_int_eq(parse(text), -EINVAL);
	for (size_t len = 1; len <= sizeof(small); len++) {
		memset(small, 'z', sizeof(small));
		weir__uring_options_init(&options);
		ck_assert_int_eq(weir__uring_options_parse(text, &options, small, len), -EINVAL);
		ck_assert_uint_eq(strlen(small), len - 1);
	}
	free(text);
}
END_TEST

/* ---- this kernel, behind a filter --------------------------------------------------------- */

/* From now on the two system calls fail with this errno. */
static int deny(int first, int second, int err)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)first, 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)second, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)err),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(code[0]), code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0 ? -errno : 0;
}

/* Returns 0, or the number of the line whose check failed. */
static int check_filtered(const char *says)
{
	struct weir_rt_config cfg = WEIR_RT_CONFIG_INIT;
	struct weir__backend_choice choice;
	struct weir_rt *rt = NULL;

	unsetenv("WEIR_BACKEND");
	cfg.sched = WEIR_SCHED_CURRENT;	/* no threads: the child of a program that has some */
	cfg.backend = "io_uring";
	if (weir_rt_new(&cfg, &rt) >= 0)
		return __LINE__;
	if (!strstr(weir_rt_why(), "backend 'io_uring' cannot run here: ") ||
	    !strstr(weir_rt_why(), says))
		return __LINE__;
	if (weir__backend_choose("auto", &choice) != 0 || strcmp(choice.ops->name, "epoll") != 0)
		return __LINE__;
	cfg.backend = "auto";
	if (weir_rt_new(&cfg, &rt) != 0)
		return __LINE__;
	if (strcmp(weir_rt_backend(rt), "epoll") != 0)
		return __LINE__;
	if (!weir_rt_note(rt, 0) || !strstr(weir_rt_note(rt, 0), "io_uring: ") ||
	    !strstr(weir_rt_note(rt, 0), says))
		return __LINE__;
	weir_rt_free(rt);
	return 0;
}

#define CANNOT_FILTER 127

static const struct {
	int first, second, err;
	const char *says;
} filters[] = {
	{ SYS_io_uring_setup, -1, EPERM, "seccomp" },
	{ SYS_io_uring_setup, -1, ENOSYS, "seccomp" },
	{ SYS_io_uring_setup, SYS_io_uring_enter, EPERM, "seccomp" },
	{ SYS_io_uring_enter, -1, EPERM, "io_uring_enter" },
	{ SYS_io_uring_enter, -1, ENOSYS, "io_uring_enter" },
	{ SYS_io_uring_register, -1, EPERM, "list of operations" },
};

START_TEST(behind_a_filter)
{
	int status, line;
	pid_t child = fork();

	if (child == 0) {
		if (deny(filters[_i].first, filters[_i].second, filters[_i].err) < 0)
			_exit(CANNOT_FILTER);
		line = check_filtered(filters[_i].says);
		if (line) {
			fprintf(stderr, "# line %d is not so: %s\n", line, weir_rt_why());
			_exit(1);
		}
		_exit(0);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFEXITED(status));
	if (WEXITSTATUS(status) == CANNOT_FILTER) {
		testing_skip("no seccomp filters here");
		return;
	}
	ck_assert_int_eq(WEXITSTATUS(status), 0);
}
END_TEST

/* ---- locked memory ------------------------------------------------------------------------ */

/* Runs as the user nobody, who may not lock memory. Exits with the result. */
static int without_locked_memory(void)
{
	struct rlimit none = { 0, 0 };
	struct weir_rt_config cfg = WEIR_RT_CONFIG_INIT;
	struct weir_rt *rt;
	int rc;

	if (setrlimit(RLIMIT_MEMLOCK, &none) < 0 || setgid(65534) < 0 || setuid(65534) < 0)
		return CANNOT_FILTER;
	unsetenv("WEIR_BACKEND");
	cfg.sched = WEIR_SCHED_CURRENT;	/* no threads: the child of a program that has some */
	cfg.backend = "io_uring";
	rc = weir_rt_new(&cfg, &rt);
	if (rc == 0)
		weir_rt_free(rt);
	else if (rc != -ENOMEM || !strstr(weir_rt_why(), "locked memory"))
		return 2;
	cfg.backend = "auto";
	if (weir_rt_new(&cfg, &rt) != 0)
		return 3;
	if (rc < 0 && (!weir_rt_note(rt, 0) ||
		       !strstr(weir_rt_note(rt, 0), "locked memory")))
		return 4;
	weir_rt_free(rt);
	return 0;
}

START_TEST(no_locked_memory)
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		status = without_locked_memory();
		if (status)
			fprintf(stderr, "# %d: %s\n", status, weir_rt_why());
		_exit(status);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFEXITED(status));
	if (WEXITSTATUS(status) == CANNOT_FILTER) {
		testing_skip("needs another user to become");
		return;
	}
	ck_assert_int_eq(WEXITSTATUS(status), 0);
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(a_good_kernel),
		TESTING(setup_refused, .rounds = sizeof(refusals) / sizeof(refusals[0])),
		TESTING(something_lacks),
		TESTING(a_feature_lacks, .rounds = TESTING_COUNT(trials)),
		TESTING(a_feature_is_tried_once, .rounds = TESTING_COUNT(trials)),
		TESTING(a_failure_is_not_kept, .rounds = TESTING_COUNT(trials)),
		TESTING(this_kernel, .rounds = TESTING_COUNT(trials)),
		TESTING(a_trial_that_fails),
		TESTING(waits_without_timeout),
		TESTING(enter_refused),
		TESTING(every_option),
		TESTING(bad_options),
		TESTING(long_options),
		TESTING(behind_a_filter, .rounds = sizeof(filters) / sizeof(filters[0])),
		TESTING(no_locked_memory),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
