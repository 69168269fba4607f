/* SPDX-License-Identifier: MIT */
/*
 * net_fd.c: waiting for descriptors that weir did not open.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "weir/net.h"
#include "weir/rt.h"
#include "weir/task.h"
#include "weir/time.h"
#include "tests/support/testing.h"

#define FIBER_CASE(name)                                                                           \
	static int name##_body(void *arg);                                                         \
	START_TEST(name)                                                                           \
	{                                                                                          \
		struct weir_rt_config cfg = WEIR_RT_CONFIG_INIT;                                   \
                                                                                                   \
		cfg.sched = WEIR_SCHED_CURRENT;                                                    \
		ck_assert_int_eq(weir_rt_run(&cfg, name##_body, NULL), 0);                         \
	}                                                                                          \
	END_TEST                                                                                   \
	static int name##_body(void *arg __attribute__((unused)))

static void open_pipe(int *ret_fds)
{
	ck_assert_int_eq(pipe2(ret_fds, O_CLOEXEC | O_NONBLOCK), 0);
}

static int write_one(void *arg)
{
	ck_assert_int_eq(write(*(int *)arg, "x", 1), 1);
	return 0;
}

FIBER_CASE(a_pipe_becomes_readable)
{
	struct weir_fd *in, *out;
	int fds[2];
	char byte;

	open_pipe(fds);
	ck_assert_int_eq(weir_fd_open(fds[0], &in), 0);
	ck_assert_int_eq(weir_fd_open(fds[1], &out), 0);
	ck_assert_int_eq(weir_fd_wait(out, WEIR_WRITABLE, WEIR_FOREVER), WEIR_WRITABLE);
	for (int i = 0; i < 10; i++) {
		ck_assert_int_eq(weir_fd_wait(in, WEIR_READABLE, weir_deadline_in(WEIR_MSEC)),
				 -ETIMEDOUT);
		ck_assert_int_eq(weir_spawn(write_one, &fds[1], NULL), 0);
		ck_assert_int_eq(weir_fd_wait(in, WEIR_READABLE, WEIR_FOREVER), WEIR_READABLE);
		ck_assert_int_eq(read(fds[0], &byte, 1), 1);
	}
	weir_fd_close(out);
	close(fds[1]);
	ck_assert(weir_fd_wait(in, WEIR_READABLE, WEIR_FOREVER) & WEIR_HANGUP);
	weir_fd_close(in);
	/* The caller's descriptor is still open. */
	ck_assert_int_eq(close(fds[0]), 0);
	return 0;
}

static int wait_readable(void *arg)
{
	return weir_fd_wait(arg, WEIR_READABLE, WEIR_FOREVER);
}

FIBER_CASE(closing_ends_a_wait)
{
	struct weir_task *task;
	struct weir_fd *in;
	int rc = WEIR_PENDING;
	int fds[2];

	open_pipe(fds);
	ck_assert_int_eq(weir_fd_open(fds[0], &in), 0);
	ck_assert_int_eq(weir_spawn(wait_readable, in, &task), 0);
	weir_yield();
	weir_yield();
	weir_fd_close(in);
	ck_assert_int_eq(weir_task_join(task, &rc), 0);
	ck_assert_int_eq(rc, -ECANCELED);
	close(fds[0]);
	close(fds[1]);
	return 0;
}

FIBER_CASE(what_cannot_be_waited_for)
{
	char path[] = "/tmp/weir-net-fd-XXXXXX";
	int file = mkstemp(path);
	struct weir_fd *fd;

	ck_assert_int_ge(file, 0);
	unlink(path);
	ck_assert_int_eq(weir_fd_open(file, &fd), -EPERM);
	close(file);
	ck_assert_int_eq(weir_fd_open(-1, &fd), -EBADF);
	ck_assert_int_eq(weir_fd_open(1 << 20, &fd), -EBADF);
	weir_fd_close(NULL);
	return 0;
}

int main(int argc, char **argv)
{
	const struct testing_case cases[] = {
		TESTING(a_pipe_becomes_readable),
		TESTING(closing_ends_a_wait),
		TESTING(what_cannot_be_waited_for),
	};

	return testing_main(argc, argv, cases, TESTING_COUNT(cases));
}
