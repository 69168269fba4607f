/* SPDX-License-Identifier: MIT */
/*
 * minicheck.c: the engine for machines without libcheck. It forks for each test; the first failed
 * assert writes its message into a page that the two processes share.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/engine.h"

struct shared_page {
	int failed;
	char message[4096];
};

static struct shared_page *shared;
static jmp_buf end_of_test; /* with CK_FORK=no */

bool testing__engine_forks(void)
{
	const char *fork_wanted = getenv("CK_FORK");

	return !fork_wanted || strcmp(fork_wanted, "no") != 0;
}

void minicheck_fail(const char *file, int line, const char *fmt, ...)
{
	va_list args;
	int used;

	if (!__atomic_exchange_n(&shared->failed, 1, __ATOMIC_ACQ_REL)) {
		used = snprintf(shared->message, sizeof(shared->message), "%s:%d: ", file, line);
		va_start(args, fmt);
		vsnprintf(shared->message + used, sizeof(shared->message) - (size_t)used, fmt,
			  args);
		va_end(args);
	}
	if (testing__engine_forks())
		_exit(1);
	longjmp(end_of_test, 1);
}

static void run_here(const TTest *test, int round, void (*before)(void), void (*after)(void))
{
	if (setjmp(end_of_test) != 0)
		return;
	before();
	test->fn(round);
	after();
}

/* Returns the exit status; or kills the process when its time is up, and returns -1. */
static int wait_for(pid_t child, unsigned seconds)
{
	struct timespec ms = { 0, 1000000 };
	int status;

	for (unsigned long waited_ms = 0; waited_ms < seconds * 1000ul; waited_ms++) {
		if (waitpid(child, &status, WNOHANG) == child)
			return status;
		nanosleep(&ms, NULL);
	}
	kill(-child, SIGKILL);
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	return -1;
}

static void run_forked(const TTest *test, int round, void (*before)(void), void (*after)(void),
		       unsigned kill_after_s)
{
	pid_t child;
	int status;

	fflush(NULL);
	child = fork();
	if (child == 0) {
		setpgid(0, 0);
		run_here(test, round, before, after);
		exit(EXIT_SUCCESS);
	}
	status = wait_for(child, kill_after_s);
	kill(-child, SIGKILL); /* processes that the test may have left running */
	if (status == 0 || shared->failed)
		return;
	shared->failed = 1;
	if (status == -1)
		strcpy(shared->message, "killed: its time was up");
	else if (WIFSIGNALED(status))
		snprintf(shared->message, sizeof(shared->message), "ended by signal %d (%s)",
			 WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		snprintf(shared->message, sizeof(shared->message), "exited early with %d",
			 WEXITSTATUS(status));
}

void testing__engine_run(const TTest *test, int round, void (*before)(void), void (*after)(void),
			 unsigned kill_after_s, struct testing__outcome *ret_outcome)
{
	if (!shared)
		shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		abort();
	memset(shared, 0, sizeof(*shared));
	if (testing__engine_forks())
		run_forked(test, round, before, after, kill_after_s);
	else
		run_here(test, round, before, after);
	ret_outcome->passed = !shared->failed;
	snprintf(ret_outcome->message, sizeof(ret_outcome->message), "%s", shared->message);
}
