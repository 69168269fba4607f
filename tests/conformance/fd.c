/* SPDX-License-Identifier: MIT */
/*
 * fd.c: waiting for descriptors that weir did not open: pipes, eventfds, sockets of other
 * libraries; for several at a time, and with several waiters on one.
 */
#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "tests/conformance/conformance.h"

struct foreign {
	int ends[2];			/* read, write */
	struct weir_fd *fd[2];
};

static void foreign_open(struct foreign *f)
{
	ck_assert_int_eq(pipe2(f->ends, O_NONBLOCK | O_CLOEXEC), 0);
	OK(weir_fd_open(f->ends[0], &f->fd[0]));
	OK(weir_fd_open(f->ends[1], &f->fd[1]));
}

static void foreign_close(struct foreign *f)
{
	for (int i = 0; i < 2; i++) {
		weir_fd_close(f->fd[i]);
		if (f->ends[i] >= 0)
			close(f->ends[i]);
	}
}

static void fill_pipe(int fd)
{
	static char page[4096];

	while (write(fd, page, sizeof(page)) > 0)
		;
}

static void empty_pipe(int fd)
{
	char page[4096];

	while (read(fd, page, sizeof(page)) > 0)
		;
}

CASE(a_pipe_becomes_readable, WEIR_CAP_FD)
{
	struct foreign f;
	struct waiter waiter;
	struct weir_op op;

	foreign_open(&f);
	for (int round = 0; round < 3; round++) {
		weir_op_init_poll(&op, weir_fd_handle(f.fd[0]), WEIR_READABLE);
		begin(&waiter, &op.future);
		pending(&waiter);
		ck_assert_int_eq((int)write(f.ends[1], "x", 1), 1);
		ck_assert_int_eq(ended(&waiter), WEIR_READABLE);
		/* Waiting is level-triggered: the pipe is readable until it has been read. */
		ck_assert_int_eq(weir_fd_wait(f.fd[0], WEIR_READABLE, WEIR_FOREVER), WEIR_READABLE);
		empty_pipe(f.ends[0]);
	}
	foreign_close(&f);
	return 0;
}

CASE(a_full_pipe_becomes_writable, WEIR_CAP_FD)
{
	struct foreign f;
	struct waiter waiter;
	struct weir_op op;

	foreign_open(&f);
	ck_assert_int_eq(weir_fd_wait(f.fd[1], WEIR_WRITABLE, WEIR_FOREVER), WEIR_WRITABLE);
	fill_pipe(f.ends[1]);
	weir_op_init_poll(&op, weir_fd_handle(f.fd[1]), WEIR_WRITABLE);
	begin(&waiter, &op.future);
	pending(&waiter);
	empty_pipe(f.ends[0]);
	ck_assert_int_eq(ended(&waiter), WEIR_WRITABLE);
	foreign_close(&f);
	return 0;
}

CASE(a_hang_up_is_always_told, WEIR_CAP_FD)
{
	struct foreign f;
	struct waiter waiter;
	struct weir_op op;

	foreign_open(&f);
	weir_op_init_poll(&op, weir_fd_handle(f.fd[0]), WEIR_READABLE);
	begin(&waiter, &op.future);
	pending(&waiter);
	weir_fd_close(f.fd[1]);
	f.fd[1] = NULL;
	close(f.ends[1]);
	f.ends[1] = -1;
	ck_assert_int_eq(ended(&waiter) & WEIR_HANGUP, WEIR_HANGUP);
	foreign_close(&f);
	return 0;
}

CASE(waiting_for_a_descriptor_ends, WEIR_CAP_FD)
{
	uint64_t deadline = weir_deadline_in(SHORT_NS);
	struct foreign f;
	struct waiter waiter;
	struct weir_op op;

	foreign_open(&f);
	ck_assert_int_eq(weir_fd_wait(f.fd[0], WEIR_READABLE, deadline), -ETIMEDOUT);
	ck_assert_uint_ge(weir_now(), deadline);

	weir_op_init_poll(&op, weir_fd_handle(f.fd[0]), WEIR_READABLE);
	begin(&waiter, &op.future);
	pending(&waiter);
	ck_assert_int_eq(aborted(&waiter), -ECANCELED);

	weir_op_init_poll(&op, weir_fd_handle(f.fd[0]), WEIR_READABLE);
	begin(&waiter, &op.future);
	pending(&waiter);
	weir_fd_close(f.fd[0]);
	f.fd[0] = NULL;
	ck_assert_int_eq(ended(&waiter), -ECANCELED);

	/* The descriptor belongs to the test, and still works. */
	ck_assert_int_eq((int)write(f.ends[1], "x", 1), 1);
	OK(weir_fd_open(f.ends[0], &f.fd[0]));
	ck_assert_int_eq(weir_fd_wait(f.fd[0], WEIR_READABLE, WEIR_FOREVER), WEIR_READABLE);
	foreign_close(&f);
	return 0;
}

CASE(two_wait_for_one_descriptor, WEIR_CAP_FD)
{
	struct foreign f;
	struct waiter waiter[2];
	struct weir_op op[2];

	foreign_open(&f);
	for (int i = 0; i < 2; i++) {
		weir_op_init_poll(&op[i], weir_fd_handle(f.fd[0]), WEIR_READABLE);
		begin(&waiter[i], &op[i].future);
		pending(&waiter[i]);
	}
	ck_assert_int_eq((int)write(f.ends[1], "x", 1), 1);
	ck_assert_int_eq(ended(&waiter[0]), WEIR_READABLE);
	ck_assert_int_eq(ended(&waiter[1]), WEIR_READABLE);
	foreign_close(&f);
	return 0;
}

/* Each waiter gets the event that it asked for, and the others go on waiting. */
CASE(waiters_for_different_events_get_their_own, WEIR_CAP_FD)
{
	struct waiter waiter[4];
	struct weir_op op[4];
	struct weir_fd *fd;
	int ends[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends),
			 0);
	OK(weir_fd_open(ends[0], &fd));
	fill_pipe(ends[0]);
	for (int i = 0; i < 4; i++) {
		weir_op_init_poll(&op[i], weir_fd_handle(fd),
				  i < 2 ? WEIR_READABLE : WEIR_WRITABLE);
		begin(&waiter[i], &op[i].future);
		pending(&waiter[i]);
	}
	ck_assert_int_eq((int)write(ends[1], "x", 1), 1);
	ck_assert_int_eq(ended(&waiter[0]), WEIR_READABLE);
	ck_assert_int_eq(ended(&waiter[1]), WEIR_READABLE);
	turns(3);
	ck_assert(!weir_task_is_complete(waiter[2].task));
	ck_assert_int_eq(aborted(&waiter[3]), -ECANCELED);
	empty_pipe(ends[1]);
	ck_assert_int_eq(ended(&waiter[2]), WEIR_WRITABLE);
	/* A waiter that asks for both events gets both at once. */
	ck_assert_int_eq(weir_fd_wait(fd, WEIR_READABLE | WEIR_WRITABLE, WEIR_FOREVER),
			 WEIR_READABLE | WEIR_WRITABLE);
	close(ends[1]);
	ck_assert_int_eq(weir_fd_wait(fd, WEIR_READABLE, WEIR_FOREVER) & WEIR_HANGUP, WEIR_HANGUP);
	weir_fd_close(fd);
	close(ends[0]);
	return 0;
}

/* ---- eventfds ---- */

#define COUNTERS 100
#define TICKS 30

struct counter {
	int fd;
	struct weir_fd *waited;
	unsigned seen;
};

/* Reads its counter whenever it is readable. */
static int count_ticks(void *arg)
{
	struct counter *c = arg;
	uint64_t ticks;

	while (c->seen < TICKS) {
		ck_assert_int_eq(weir_fd_wait(c->waited, WEIR_READABLE, WEIR_FOREVER),
				 WEIR_READABLE);
		ck_assert_int_eq((int)read(c->fd, &ticks, sizeof(ticks)), (int)sizeof(ticks));
		c->seen += (unsigned)ticks;
	}
	return (int)c->seen;
}

CASE(many_eventfds_are_waited_for, WEIR_CAP_FD)
{
	static struct counter counters[COUNTERS];
	struct weir_task *tasks[COUNTERS];
	uint64_t one = 1;

	for (int i = 0; i < COUNTERS; i++) {
		counters[i] = (struct counter){ .fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC) };
		OK(counters[i].fd);
		OK(weir_fd_open(counters[i].fd, &counters[i].waited));
		tasks[i] = spawn(count_ticks, &counters[i]);
	}
	for (int tick = 0; tick < TICKS; tick++) {
		for (int i = 0; i < COUNTERS; i++)
			ck_assert_int_eq((int)write(counters[i].fd, &one, sizeof(one)),
					 (int)sizeof(one));
		turns(tick % 3);
	}
	for (int i = 0; i < COUNTERS; i++) {
		ck_assert_int_eq(finish(tasks[i]), TICKS);
		weir_fd_close(counters[i].waited);
		close(counters[i].fd);
	}
	return 0;
}

/* A reused descriptor number is a new object: no event of the old one may be reported for it. */
CASE(a_descriptor_number_is_reused, WEIR_CAP_FD)
{
	struct waiter waiter;
	struct weir_op op;
	struct foreign f;
	int number;

	for (int round = 0; round < 40; round++) {
		foreign_open(&f);
		number = f.ends[0];
		weir_op_init_poll(&op, weir_fd_handle(f.fd[0]), WEIR_READABLE);
		begin(&waiter, &op.future);
		pending(&waiter);
		if (round % 2)
			ck_assert_int_eq((int)write(f.ends[1], "x", 1), 1);
		foreign_close(&f);
		foreign_open(&f);
		ck_assert_int_eq(f.ends[0], number);
		ck_assert_int_eq(weir_fd_wait(f.fd[0], WEIR_READABLE, weir_deadline_in(WEIR_MSEC)),
				 -ETIMEDOUT);
		ck_assert_int_eq((int)write(f.ends[1], "x", 1), 1);
		ck_assert_int_eq(weir_fd_wait(f.fd[0], WEIR_READABLE, WEIR_FOREVER), WEIR_READABLE);
		ended(&waiter);
		foreign_close(&f);
	}
	return 0;
}

/* ---- kinds of files ---- */

/* What weir_fd_open must return for each kind. If it opens, each kind of wait must succeed. */
static const struct kind {
	const char *path;
	int flags, opens;
} kinds[] = {
	{ "/proc/self/exe", O_RDONLY, -EPERM },
	{ "/", O_RDONLY | O_DIRECTORY, -EPERM },
	{ "/dev/null", O_RDWR, 0 },
	{ "/dev/zero", O_RDWR, 0 },
	{ "/dev/urandom", O_RDONLY, 0 },
};

CASE(a_file_is_refused_and_a_device_is_ready, WEIR_CAP_FD)
{
	static const unsigned wanted[] = { WEIR_READABLE, WEIR_WRITABLE,
					   WEIR_READABLE | WEIR_WRITABLE };
	struct weir_fd *foreign;
	struct waiter waiter;
	struct weir_op op;

	for (unsigned i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		int fd = open(kinds[i].path, kinds[i].flags | O_CLOEXEC);
		int rc = weir_fd_open(fd, &foreign);

		OK(fd);
		ck_assert_msg(rc == kinds[i].opens, "%s: %d", kinds[i].path, rc);
		for (unsigned k = 0; rc == 0 && k < 3; k++) {
			weir_op_init_poll(&op, weir_fd_handle(foreign), wanted[k]);
			begin(&waiter, &op.future);
			ck_assert_int_eq(ended(&waiter), (int)wanted[k]);
		}
		if (rc == 0)
			weir_fd_close(foreign);
		close(fd);
	}
	ck_assert_int_eq(weir_fd_open(-1, &foreign), -EBADF);
	ck_assert_int_eq(weir_fd_open(1 << 20, &foreign), -EBADF);
	return 0;
}

/* The two objects are independent. */
CASE(one_descriptor_is_opened_twice, WEIR_CAP_FD)
{
	struct waiter waiter[2];
	struct weir_fd *fd[2];
	struct weir_op op[2];
	int ends[2];
	char byte;

	ck_assert_int_eq(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
	for (int closed = 0; closed < 2; closed++) {
		for (int i = 0; i < 2; i++) {
			OK(weir_fd_open(ends[0], &fd[i]));
			weir_op_init_poll(&op[i], weir_fd_handle(fd[i]), WEIR_READABLE);
			begin(&waiter[i], &op[i].future);
			pending(&waiter[i]);
		}
		ck_assert_int_eq((int)write(ends[1], "x", 1), 1);
		for (int i = 0; i < 2; i++)
			ck_assert_int_eq(ended(&waiter[i]), WEIR_READABLE);
		weir_fd_close(fd[closed]);
		ck_assert_int_eq((int)read(ends[0], &byte, 1), 1);
		weir_op_init_poll(&op[0], weir_fd_handle(fd[!closed]), WEIR_READABLE);
		begin(&waiter[0], &op[0].future);
		pending(&waiter[0]);
		ck_assert_int_eq((int)write(ends[1], "x", 1), 1);
		ck_assert_int_eq(ended(&waiter[0]), WEIR_READABLE);
		ck_assert_int_eq((int)read(ends[0], &byte, 1), 1);
		weir_fd_close(fd[!closed]);
	}
	close(ends[0]);
	close(ends[1]);
	return 0;
}

void conformance_fd(struct conformance_list *list)
{
	BOTH(list, a_pipe_becomes_readable);
	BOTH(list, a_full_pipe_becomes_writable);
	BOTH(list, a_hang_up_is_always_told);
	BOTH(list, waiting_for_a_descriptor_ends);
	BOTH(list, two_wait_for_one_descriptor);
	BOTH(list, waiters_for_different_events_get_their_own);
	ONCE(list, many_eventfds_are_waited_for);
	BOTH(list, a_descriptor_number_is_reused);
	BOTH(list, a_file_is_refused_and_a_device_is_ready);
	BOTH(list, one_descriptor_is_opened_twice);
}
