/* SPDX-License-Identifier: MIT */
/*
 * core_asserts.c: how a debug build reports misuse of weir: each mistake ends a child process with
 * a message on standard error.
 */
#include <sys/resource.h>
#include <sys/wait.h>

#include "core/time/wheel.h"
#include "tests/unit/leaves.h"

/* ---- a child that dies ------------------------------------------------------------------- */

/* Runs a child. Returns what it wrote to standard error, and stores its exit status. */
static const char *run_child(void (*child)(int arg), int arg, int *ret_status)
{
	static char text[4096];
	size_t used = 0;
	int fds[2];
	ssize_t n;
	pid_t pid;

	ck_assert_int_eq(pipe(fds), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
		signal(SIGABRT, SIG_DFL);
		dup2(fds[1], STDERR_FILENO);
		child(arg);
		_exit(0);
	}
	close(fds[1]);
	while ((n = read(fds[0], text + used, sizeof text - 1 - used)) > 0)
		used += (size_t)n;
	text[used] = '\0';
	close(fds[0]);
	ck_assert_int_eq(waitpid(pid, ret_status, 0), pid);
	return text;
}

static void expect_death(void (*child)(int arg), int arg, const char *says)
{
	int status;
	const char *text = run_child(child, arg, &status);

	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT,
		      "case %d went on, status %#x; it said: %s", arg, status, text);
	ck_assert_msg(strstr(text, says), "case %d said: %s", arg, text);
}

static void expect_life(void (*child)(int arg), int arg)
{
	int status;
	const char *text = run_child(child, arg, &status);

	ck_assert_msg(status == 0, "case %d: status %#x; it said: %s", arg, status, text);
}

/* ---- initialized again ------------------------------------------------------------------- */

/* A future that polls another one once and then finishes. */
struct once {
	struct weir_future future;
	struct weir_future *other;
	int rc;
};

static int once_poll(struct weir_future *future, struct weir_cx *cx)
{
	struct once *once = WEIR_CONTAINER_OF(future, struct once, future);

	once->rc = weir_poll(once->other, cx);
	return 0;
}

static const struct weir_future_ops once_ops = { "once", once_poll, NULL, NULL };

static void poll_once(struct weir_future *other)
{
	struct once once = { { &once_ops }, other, 0 };

	ck_assert_int_eq(weir_await(&once.future), 0);
	ck_assert_int_eq(once.rc, WEIR_PENDING);
}

/* The operation of an accept is initialized only at its first poll. */
static int initialize_twice(void *arg UNUSED)
{
	struct futures futures;
	struct stage s;

	stage_open(&s);
	s.at = &futures;
	poll_once(leaf->set_up(&s));
	if (leaf->set_up == send_full)
		weir_mpsc_send_init(&futures.send, s.mpsc, "x");
	else
		poll_once(leaf->set_up(&s));
	return 0;
}

static void initialize_twice_in(int which)
{
	struct weir_rt_config cfg = runtime_config(ON_ONE);

	leaf = &leaves[which];
	runtime_run(&cfg, initialize_twice, NULL);
}

START_TEST(a_future_initialized_again_while_it_is_pending)
{
	int i;

	for (i = 0; i < (int)LEAVES; i++)
		if (!(leaves[i].how & ALONE))
			expect_death(initialize_twice_in, i,
				     "a future is initialized again while it is pending");
}
END_TEST

/* The wheel notices when the next timer is put into the same slot. */
static void file_twice(int arg UNUSED)
{
	static struct weir__wheel wheel;
	static struct weir__timer timer;

	(void)weir__wheel_init(&wheel, 0, 0);
	timer.deadline_ns = WEIR_SEC;
	weir__wheel_insert(&wheel, &timer);
	timer = (struct weir__timer){ NULL, NULL, WEIR_SEC };
	weir__wheel_insert(&wheel, &timer);
}

START_TEST(a_timer_cleared_while_it_is_filed)
{
	expect_death(file_twice, 0, "head[index]");
}
END_TEST

/* ---- a delay in place of a deadline ------------------------------------------------------ */

enum {
	BY_SLEEP,
	BY_RESET,
	BY_SEMAPHORE,
	BY_TIMEOUT,
	WAITS
};

static int wait_until(int how, uint64_t deadline)
{
	struct weir_timeout_future timeout;
	struct weir_sleep_future sleep;
	struct weir_sem sem;
	int rc = 0;

	weir_sem_init(&sem, 0);
	switch (how) {
	case BY_SLEEP:
		return weir_sleep_until(deadline);
	case BY_RESET:
		weir_sleep_init(&sleep, WEIR_FOREVER);
		weir_sleep_reset(&sleep, deadline);
		return weir_await(&sleep.future);
	case BY_SEMAPHORE:
		rc = weir_sem_acquire_until(&sem, 1, deadline);
		break;
	default:
		weir_sleep_init(&sleep, WEIR_FOREVER);
		weir_timeout_init(&timeout, &sleep.future, deadline);
		rc = weir_await(&timeout.future);
	}
	return rc == -ETIMEDOUT ? 0 : rc;
}

struct wait_case {
	int how;
	uint64_t deadline;
};

static int wait_in_time(void *arg)
{
	struct wait_case *c = arg;

	return wait_until(c->how, c->deadline);
}

#define STARTED (3600 * WEIR_SEC)

/* Runs on a test clock that showed an hour when the runtime was made. */
static void wait_on_clock(struct wait_case c)
{
	struct weir_rt_config cfg = runtime_config(ON_CURRENT);
	struct weir_clock *clock;

	ck_assert_int_eq(weir_clock_new(&clock), 0);
	weir_clock_advance(clock, STARTED);
	cfg.clock = clock;
	runtime_run(&cfg, wait_in_time, &c);
	weir_clock_free(clock);
}

static void wait_for_a_delay(int how)
{
	wait_on_clock((struct wait_case){ how, 5 * WEIR_SEC });
}

static void wait_for_a_moment(int number)
{
	static const uint64_t moments[] = { 0, 1, STARTED - WEIR_SEC, STARTED + 2 * WEIR_SEC };

	wait_on_clock((struct wait_case){ number % WAITS, moments[number / WAITS] });
}

START_TEST(a_delay_where_a_deadline_is_expected)
{
	int how;

	for (how = 0; how < WAITS; how++)
		expect_death(wait_for_a_delay, how,
			     "a delay is given where a deadline is expected");
}
END_TEST

START_TEST(a_deadline_that_is_over_is_one)
{
	int number;

	for (number = 0; number < 4 * WAITS; number++)
		expect_life(wait_for_a_moment, number);
}
END_TEST

/* ---- streams used after their runtime was freed ------------------------------------------ */

static struct weir_tcp *stale;
static struct weir_listener *stale_listener;

static int open_both(void *arg UNUSED)
{
	struct weir_addr addr;

	ck_assert_int_eq(weir_listener_open("127.0.0.1:0", NULL, &stale_listener), 0);
	ck_assert_int_eq(weir_listener_addr(stale_listener, &addr), 0);
	return weir_tcp_connect_addr(&addr, WEIR_FOREVER, &stale);
}

enum {
	SEND,
	SHUT_DOWN,
	ACCEPT,
	CLOSE,
	USES
};

static int use_stale(void *arg)
{
	switch (*(int *)arg) {
	case SEND:
		(void)weir_tcp_send(stale, "x", 1);
		break;
	case SHUT_DOWN:
		(void)weir_tcp_shutdown(stale, SHUT_WR);
		break;
	case ACCEPT:
		(void)weir_listener_accept(stale_listener, &stale);
		break;
	default:
		weir_tcp_close(stale);
	}
	return 0;
}

/* The second runtime is made before the first is freed, so that their addresses differ. */
static void use_in_the_next(int how)
{
	struct weir_rt_config cfg = runtime_config(ON_ONE);
	struct weir_rt *first = runtime_new(&cfg), *second = runtime_new(&cfg);

	ck_assert_int_eq(weir_rt_block_on(first, open_both, NULL), 0);
	runtime_end(first);
	ck_assert_int_eq(weir_rt_block_on(second, use_stale, &how), 0);
	runtime_end(second);
}

static void close_on_a_plain_thread(int how)
{
	struct weir_rt_config cfg = runtime_config(ON_FOUR);

	runtime_run(&cfg, open_both, NULL);
	(void)use_stale(&how);
}

START_TEST(a_stream_used_after_its_runtime_was_freed)
{
	static const char says[] = "is used after its runtime was freed";
	int how;

	for (how = 0; how < USES; how++)
		expect_death(use_in_the_next, how, says);
	expect_death(close_on_a_plain_thread, SHUT_DOWN, says);
	expect_death(close_on_a_plain_thread, CLOSE, says);
}
END_TEST

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(a_future_initialized_again_while_it_is_pending, .needs = "asserts nosan"),
		TESTING(a_timer_cleared_while_it_is_filed, .needs = "asserts"),
		TESTING(a_delay_where_a_deadline_is_expected, .needs = "asserts nosan"),
		TESTING(a_deadline_that_is_over_is_one),
		TESTING(a_stream_used_after_its_runtime_was_freed, .needs = "asserts nosan"),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
