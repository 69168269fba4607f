/* SPDX-License-Identifier: MIT */
/*
 * testing.c: selects the cases, checks their requirements, runs each through the engine with the
 * leak check and the watchdog around it, and writes TAP.
 *
 * A test's process passes two things to its parent beside the engine's message: the reason of a
 * skip, and the watchdog's last message. Both go through a shared page, because the process may
 * have ended before they are read. Nothing here starts a thread in the parent.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/support/engine.h"

/* A test takes seconds, and perhaps ten times as long on a loaded machine. Longer is a hang. */
#define DEFAULT_TIMEOUT_S 120
#define HANG_S 60
/* Time for the watchdog to print the stacks before the engine kills the process. */
#define DUMP_GRACE_S 30

struct shared_page {
	char skip_reason[512];
	char last_word[512];
};

void (*testing_prepare)(void);

static struct shared_page *shared;
static const struct testing_case *running;
static char **selected;			/* names, and NULL; without any: all cases */
static bool forks;

/* ---- requirements: each function returns NULL if its requirement is met, else the reason --- */

static const char *need_root(void)
{
	return geteuid() == 0 ? NULL : "not root";
}

static const char *need_slow(void)
{
	const char *slow = getenv("WEIR_TEST_SLOW");

	return (slow && strcmp(slow, "1") == 0) || *selected ? NULL : "WEIR_TEST_SLOW=1 not set";
}

static const char *need_native(void)
{
	return getenv("WEIR_TEST_EMULATED") ? "the processor is emulated" : NULL;
}

static const char *need_two_cpus(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) < 0 || CPU_COUNT(&set) < 2)
		return "fewer than two allowed CPUs";
	return NULL;
}

static const char *need_ipv6(void)
{
	struct sockaddr_in6 loopback = { .sin6_family = AF_INET6, .sin6_addr = in6addr_loopback };
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int rc = fd < 0 ? -1 : bind(fd, (struct sockaddr *)&loopback, sizeof(loopback));

	if (fd >= 0)
		close(fd);
	return rc == 0 ? NULL : "no IPv6 loopback";
}

static const char *need_iouring(void)
{
#ifdef SYS_io_uring_setup
	struct {
		unsigned words[30];
	} params = { { 0 } };
	long fd = syscall(SYS_io_uring_setup, 2, &params);

	if (fd >= 0) {
		close((int)fd);
		return NULL;
	}
#endif
	return "io_uring_setup failed";
}

static const char *need_asserts(void)
{
#ifdef WEIR_DEBUG_ASSERTS
	return NULL;
#else
	return "built without -Ddebug_asserts=true";
#endif
}

static const char *need_no_sanitizer(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	return "built with a sanitizer";
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
	return "built with a sanitizer";
#endif
#endif
	return NULL;
}

struct requirement {
	const char *tag;
	const char *(*missing)(void);
};

static const struct requirement requirements[] = {
	{"root", need_root},	     /* */
	{"slow", need_slow},	     /* takes more than about two seconds */
	{"native", need_native},     /* timing, /proc or rare syscalls: not under qemu-user */
	{"2cpus", need_two_cpus},    /* */
	{"ipv6", need_ipv6},	     /* */
	{"iouring", need_iouring},   /* */
	{"asserts", need_asserts},   /* dies by an assertion on purpose */
	{"nosan", need_no_sanitizer} /* dies on purpose, or counts bytes a sanitizer adds */
};

/* An unknown tag is a failure and not a skip: otherwise its test would never run. */
static bool need_missing(const char *tag, size_t len, char *why, size_t cap)
{
	for (size_t i = 0; i < TESTING_COUNT(requirements); i++) {
		const char *reason;

		if (strncmp(requirements[i].tag, tag, len) != 0 || requirements[i].tag[len] != '\0')
			continue;
		reason = requirements[i].missing();
		if (reason)
			snprintf(why, cap, "needs:%.*s: %s", (int)len, tag, reason);
		return reason != NULL;
	}
	fprintf(stderr, "unknown requirement \"%.*s\"\n", (int)len, tag);
	exit(99);
}

static bool needs_missing(const char *needs, char *why, size_t cap)
{
	while (needs && *needs) {
		size_t len = strcspn(needs, " ");

		if (len && need_missing(needs, len, why, cap))
			return true;
		needs += len + strspn(needs + len, " ");
	}
	return false;
}

/* ---- inside the test's process ----------------------------------------------------------- */

const char *testing_name(void)
{
	return running->test->name;
}

unsigned testing_scaled(unsigned limit)
{
	const char *scale = getenv("WEIR_TEST_SCALE");
	long factor = scale ? strtol(scale, NULL, 10) : 1;

	return factor > 1 ? limit * (unsigned)factor : limit;
}

uint64_t testing_hang_ns(void)
{
	return (uint64_t)testing_scaled(HANG_S) * 1000000000u;
}

static unsigned case_timeout(const struct testing_case *c)
{
	return testing_scaled(c->timeout_s ? c->timeout_s : DEFAULT_TIMEOUT_S);
}

void testing_skip(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(shared->skip_reason, sizeof(shared->skip_reason), fmt, args);
	va_end(args);
}

static void before_case(void)
{
	if (forks) {
		snprintf(shared->last_word, sizeof(shared->last_word),
			 "the process ended itself before the test was over");
		testing_watchdog_start(running->test->name, case_timeout(running));
	}
	if (testing_prepare)
		testing_prepare();
	testing_leaks_begin();
	if (running->setup)
		running->setup();
}

static void after_case(void)
{
	if (running->teardown)
		running->teardown();
	testing_leaks_end(running->flags);
	if (forks)
		testing_watchdog_stop();
	shared->last_word[0] = '\0';
}

/* ---- the report -------------------------------------------------------------------------- */

/* Prints to standard error, for people, and as TAP comments, for the log. */
static void print_failure(const char *label, const char *text)
{
	fprintf(stderr, "%s: %s\n", label, text);
	while (*text) {
		size_t len = strcspn(text, "\n");

		printf("# %.*s\n", (int)len, text);
		text += len + (text[len] == '\n');
	}
}

static bool run_round(const struct testing_case *c, int round, const char *label)
{
	static struct testing__outcome outcome;
	static unsigned number;
	char why[512];

	number++;
	if (needs_missing(c->needs, why, sizeof(why))) {
		printf("ok %u - %s # SKIP %s\n", number, label, why);
		return true;
	}
	memset(shared, 0, sizeof(*shared));
	running = c;
	testing__engine_run(c->test, round, before_case, after_case, case_timeout(c) + DUMP_GRACE_S,
			    &outcome);
	/* A test that called exit(0) has not passed. */
	if (outcome.passed && shared->last_word[0]) {
		outcome.passed = false;
		snprintf(outcome.message, sizeof(outcome.message), "%s", shared->last_word);
	}
	if (outcome.passed && shared->skip_reason[0])
		printf("ok %u - %s # SKIP %s\n", number, label, shared->skip_reason);
	else
		printf("%s %u - %s\n", outcome.passed ? "ok" : "not ok", number, label);
	if (!outcome.passed)
		print_failure(label, outcome.message);
	return outcome.passed;
}

static bool run_case(const struct testing_case *c)
{
	unsigned rounds = c->rounds ? c->rounds : 1;
	bool passed = true;
	char label[256];

	for (unsigned i = 0; i < rounds; i++) {
		if (rounds > 1)
			snprintf(label, sizeof(label), "%s/%u", c->test->name, i);
		else
			snprintf(label, sizeof(label), "%s", c->test->name);
		passed &= run_round(c, (int)i, label);
	}
	return passed;
}

static bool is_selected(const struct testing_case *c)
{
	for (char **name = selected; *name; name++)
		if (strcmp(*name, c->test->name) == 0)
			return true;
	return !*selected;
}

/* Returns the first name that no case has; NULL if there is none. */
static const char *unknown_name(const struct testing_case *cases, size_t count)
{
	size_t i;

	for (char **name = selected; *name; name++) {
		for (i = 0; i < count && strcmp(*name, cases[i].test->name) != 0; i++)
			continue;
		if (i == count)
			return *name;
	}
	return NULL;
}

static int list_cases(const struct testing_case *cases, size_t count)
{
	for (size_t i = 0; i < count; i++)
		printf("%s%s%s\n", cases[i].test->name, cases[i].needs ? "\tneeds: " : "",
		       cases[i].needs ? cases[i].needs : "");
	return 0;
}

int testing_main(int argc, char **argv, const struct testing_case *cases, size_t count)
{
	char *by_env[] = { getenv("CK_RUN_CASE"), NULL };
	const char *unknown;
	unsigned planned = 0;
	bool passed = true;

	if (argc > 1 && strcmp(argv[1], "--list") == 0)
		return list_cases(cases, count);
	selected = argc > 1 ? argv + 1 : by_env;
	unknown = unknown_name(cases, count);
	if (unknown)
		return fprintf(stderr, "no test is named \"%s\"\n", unknown), 99;
	setvbuf(stdout, NULL, _IOLBF, 0);
	forks = testing__engine_forks();
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED)
		return perror("mmap"), 99;
	for (size_t i = 0; i < count; i++)
		if (is_selected(&cases[i]))
			planned += cases[i].rounds ? cases[i].rounds : 1;
	printf("1..%u\n", planned);
	for (size_t i = 0; i < count; i++)
		if (is_selected(&cases[i]))
			passed &= run_case(&cases[i]);
	munmap(shared, sizeof(*shared));
	return passed ? 0 : 1;
}
