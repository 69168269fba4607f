/* SPDX-License-Identifier: MIT */
/*
 * watchdog.c: shows where a test hangs before it fails.
 *
 * A thread of its own waits for the test to end. A timer signal would not do, because code under
 * test blocks signals. When the time is up, gdb prints the stack of every thread. Where there is no
 * gdb, or it may not attach, each thread gets a signal whose handler prints that thread's stack.
 * For a thread that blocks the signal, the watchdog prints what /proc says about it. Parked fibers
 * are on no thread's stack, so they are not shown.
 */
#include <dirent.h>
#include <errno.h>
#include <execinfo.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/testing.h"

#define EXIT_HUNG 124
/* Must be less than DUMP_GRACE_S in testing.c, which limits the whole dump. */
#define GDB_TIME_S 20

static pthread_t thread;
static sem_t test_ended;
static sem_t stack_printed;
static const char *watched;
static struct timespec until;

static int dump_signal(void)
{
	return SIGRTMAX - 1;
}

static void print_own_stack(int sig)
{
	void *frames[64];

	(void)sig;
	backtrace_symbols_fd(frames, backtrace(frames, 64), STDERR_FILENO);
	sem_post(&stack_printed);
	for (;;)
		pause(); /* the process is about to end: the interrupted call must not continue */
}

static void print_file(int tid, const char *name)
{
	char path[64], line[256];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/task/%d/%s", tid, name);
	file = fopen(path, "r");
	if (file && fgets(line, sizeof(line), file))
		fprintf(stderr, "  %s: %s\n", name, line);
	if (file)
		fclose(file);
}

static void print_thread(int tid)
{
	struct timespec deadline;

	fprintf(stderr, "thread %d\n", tid);
	clock_gettime(CLOCK_REALTIME, &deadline);
	deadline.tv_sec += 1;
	if (syscall(SYS_tgkill, getpid(), tid, dump_signal()) == 0 &&
	    sem_timedwait(&stack_printed, &deadline) == 0)
		return;
	fprintf(stderr, "  blocks the signal\n");
	print_file(tid, "wchan");
	print_file(tid, "syscall");
}

static void print_stacks_by_signal(void)
{
	struct sigaction action = { .sa_handler = print_own_stack };
	pid_t self = (pid_t)syscall(SYS_gettid);
	DIR *dir = opendir("/proc/self/task");
	struct dirent *entry;

	sigaction(dump_signal(), &action, NULL);
	while (dir && (entry = readdir(dir)) != NULL) {
		int tid = atoi(entry->d_name);

		if (tid > 0 && tid != self)
			print_thread(tid);
	}
	if (dir)
		closedir(dir);
}

/* Returns whether gdb printed the stacks. As another process, it may not be allowed to attach. */
static bool print_stacks_by_gdb(void)
{
	char pid[16];
	int status = -1;
	sigset_t none;
	pid_t child;

	snprintf(pid, sizeof(pid), "%d", getpid());
#ifdef PR_SET_PTRACER
	prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
#endif
	child = fork();
	if (child == 0) {
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		alarm(GDB_TIME_S);
		dup2(STDERR_FILENO, STDOUT_FILENO);
		execlp("gdb", "gdb", "-nx", "-batch", "-p", pid, "-ex", "thread apply all bt 40",
		       (char *)NULL);
		_exit(127);
	}
	if (child > 0)
		waitpid(child, &status, 0);
	return child > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void *watch(void *arg)
{
	(void)arg;
	while (sem_timedwait(&test_ended, &until) < 0)
		if (errno == ETIMEDOUT) {
			fprintf(stderr, "%s: timed out; the stacks of its threads:\n",
				watched);
			if (!print_stacks_by_gdb())
				print_stacks_by_signal();
			_exit(EXIT_HUNG);
		}
	return NULL;
}

void testing_watchdog_start(const char *what, unsigned seconds)
{
	void *frame[1];
	sigset_t all, old;

	watched = what;
	backtrace(frame, 1); /* the first call loads a library: not in a signal handler */
	sem_init(&test_ended, 0, 0);
	sem_init(&stack_printed, 0, 0);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += seconds;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	if (pthread_create(&thread, NULL, watch, NULL) != 0)
		abort();
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

void testing_watchdog_stop(void)
{
	sem_post(&test_ended);
	pthread_join(thread, NULL);
}
