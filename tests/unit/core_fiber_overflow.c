/* SPDX-License-Identifier: MIT */
/*
 * core_fiber_overflow.c: tests core/fiber/overflow.c on a guard page without a fiber: the report,
 * signal handlers that were installed before, and the alternate signal stack. core_fiber.c tests
 * overflows of fibers.
 */
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/fiber/overflow.h"
#include "core/fiber/stack.h"
#include "tests/support/testing.h"

static bool starts_with(const char *text, const char *want)
{
	return strncmp(text, want, strlen(want)) == 0;
}

static const char *fault_in_child(void (*child)(void), int *ret_status)
{
	static char text[4096];
	int fd[2], n = 0, got;
	pid_t pid;

	ck_assert_int_eq(pipe(fd), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		struct rlimit none = { 0, 0 };

		setrlimit(RLIMIT_CORE, &none);
		dup2(fd[1], STDERR_FILENO);
		close(fd[0]);
		child();
		_exit(99);
	}
	close(fd[1]);
	while ((got = (int)read(fd[0], text + n, sizeof(text) - 1 - (size_t)n)) > 0)
		n += got;
	text[n] = '\0';
	close(fd[0]);
	ck_assert_int_eq(waitpid(pid, ret_status, 0), pid);
	return text;
}

static void earlier_handler(int sig, siginfo_t *info, void *uc)
{
	(void)sig;
	(void)uc;
	_exit(info->si_addr == (void *)8 ? 42 : 43);
}

static void touch_guard(void)
{
	struct weir__stack_pool pool;
	struct weir__stack s;

	signal(SIGSEGV, SIG_DFL);
	weir__stack_pool_init(&pool, 0, 0, -1);
	if (weir__stack_get(&pool, &s) < 0 || weir__stack_report_overflow_install() < 0)
		_exit(1);
	s.low[-1] = 1;
}

/*
 * An address that is no guard of weir's. Volatile, so that the compiler cannot tell that it is bad.
 */
static volatile char *volatile bad = (volatile char *)8;

static void touch_nothing(void)
{
	signal(SIGSEGV, SIG_DFL);
	weir__stack_report_overflow_install();
	*bad = 1;
}

static void touch_with_earlier(void)
{
	struct sigaction sa = { .sa_sigaction = earlier_handler, .sa_flags = SA_SIGINFO };

	sigaction(SIGSEGV, &sa, NULL);
	weir__stack_report_overflow_install();
	*bad = 1;
}

static void sent_by_kill(void)
{
	signal(SIGSEGV, SIG_DFL);
	weir__stack_report_overflow_install();
	kill(getpid(), SIGSEGV);
	for (;;)
		pause();
}

START_TEST(report_and_chain)
{
	const char *text;
	int status;

	text = fault_in_child(touch_guard, &status);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	ck_assert(starts_with(text, "weir: fiber stack overflow in task \"?\" (stack 65536 "
				    "bytes); raise stack_bytes\n"
				    "weir: it overflowed in core_fiber_overflow_cases("));
	ck_assert_msg(strstr(text, "), the fiber runs ?\n"), "it said: %s", text);
	text = fault_in_child(touch_nothing, &status);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	ck_assert(!starts_with(text, "weir:"));
	text = fault_in_child(touch_with_earlier, &status);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 42);
	ck_assert(!starts_with(text, "weir:"));
	text = fault_in_child(sent_by_kill, &status);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	ck_assert(!starts_with(text, "weir:"));
}
END_TEST

#define THREADS 4

static pthread_barrier_t all_ready;

static void *install_with_others(void *arg)
{
	pthread_barrier_wait(&all_ready);
	return weir__stack_report_overflow_install() < 0 ? arg : NULL;
}

static void install_on_several_threads(void)
{
	struct sigaction sa = { .sa_sigaction = earlier_handler, .sa_flags = SA_SIGINFO };
	pthread_t threads[THREADS];
	void *failed = NULL;

	sigaction(SIGSEGV, &sa, NULL);
	pthread_barrier_init(&all_ready, NULL, THREADS);
	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, install_with_others, &all_ready))
			_exit(1);
	for (int i = 0; i < THREADS && !failed; i++)
		pthread_join(threads[i], &failed);
	if (failed)
		_exit(2);
	*bad = 1;
}

/*
 * Several threads start runtimes at once. None may take weir's own handler for the earlier handler.
 */
START_TEST(installed_by_several_threads_the_handler_before_stays)
{
	int status;

	for (int i = 0; i < 300; i++) {
		fault_in_child(install_on_several_threads, &status);
		ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 42,
			      "the handler that was there before is lost: status %#x", status);
	}
}
END_TEST

static void *altstack_thread(void *arg)
{
	struct weir__altstack alt;
	stack_t now;

	(void)arg;
	if (weir__stack_altstack_init(&alt) < 0 || sigaltstack(NULL, &now) < 0)
		return "init";
	if (now.ss_flags & SS_DISABLE || now.ss_size < (size_t)SIGSTKSZ)
		return "no alternate stack";
	if (alt.base && alt.base != now.ss_sp)
		return "not ours";
	weir__stack_altstack_fini(&alt);
	weir__stack_altstack_fini(&alt);
	return NULL;
}

START_TEST(altstack_per_thread)
{
	pthread_t th;
	void *err;

	ck_assert_int_eq(pthread_create(&th, NULL, altstack_thread, NULL), 0);
	ck_assert_int_eq(pthread_join(th, &err), 0);
	ck_assert_msg(!err, "%s", (char *)err);
}
END_TEST

/* The alternate stack that was there before, for example a sanitizer's, is restored at the end. */
static void *small_altstack_thread(void *arg)
{
	static char small[8192];
	stack_t own = { .ss_sp = small, .ss_size = sizeof(small) }, first, now;
	struct weir__altstack alt;
	const char *err = NULL;

	(void)arg;
	if (sigaltstack(&own, &first) < 0)
		return "too small for the kernel";
	if (weir__stack_altstack_init(&alt) < 0 || sigaltstack(NULL, &now) < 0)
		err = "init";
	else if (now.ss_sp == small || now.ss_size <= sizeof(small))
		err = "the small one is still in use";
	weir__stack_altstack_fini(&alt);
	if (sigaltstack(&first, &now) < 0 || now.ss_sp != small || now.ss_flags & SS_DISABLE)
		err = err ? err : "the small one has not come back";
	return (void *)(uintptr_t)err;
}

START_TEST(a_small_altstack_is_replaced_and_comes_back)
{
	pthread_t th;
	void *err;

	ck_assert_int_eq(pthread_create(&th, NULL, small_altstack_thread, NULL), 0);
	ck_assert_int_eq(pthread_join(th, &err), 0);
	ck_assert_msg(!err, "%s", (char *)err);
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(report_and_chain),
		TESTING(installed_by_several_threads_the_handler_before_stays, .needs = "nosan"),
		TESTING(altstack_per_thread),
		TESTING(a_small_altstack_is_replaced_and_comes_back),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
