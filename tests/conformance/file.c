/* SPDX-License-Identifier: MIT */
/* file.c: operations on files, in a temporary folder. */
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/conformance/conformance.h"

/* Makes a folder and changes to it. */
static void enter_folder(char *folder, int *ret_before)
{
	strcpy(folder, "/tmp/weir-conformance-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	*ret_before = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_eq(chdir(folder), 0);
}

static void leave_folder(const char *folder, int before)
{
	ck_assert_int_eq(fchdir(before), 0);
	close(before);
	ck_assert_int_eq(rmdir(folder), 0);
}

/* Awaits an operation on a fiber or in a stackless task. Returns its result. */
static int run(struct weir_op *op)
{
	struct waiter waiter;

	begin(&waiter, &op->future);
	return ended(&waiter);
}

static int open_file(const char *path, int flags)
{
	struct weir_op op;

	weir_op_init_open(&op, path, flags, 0600);
	return run(&op);
}

static int remove_path(const char *path, int flags)
{
	struct weir_op op;

	weir_op_init_unlink(&op, path, flags);
	return run(&op);
}

CASE(a_file_is_written_and_read, WEIR_CAP_FILE)
{
	char folder[64], text[16] = "";
	struct weir_op op;
	int before, fd;

	enter_folder(folder, &before);
	fd = open_file("one", O_RDWR | O_CREAT | O_EXCL);
	ck_assert_int_ge(fd, 0);
	ck_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	weir_op_init_write(&op, fd, "hello", 5, 0);
	ck_assert_int_eq(run(&op), 5);
	weir_op_init_write(&op, fd, "J", 1, 0);
	ck_assert_int_eq(run(&op), 1);
	weir_op_init_fsync(&op, fd, false);
	ck_assert_int_eq(run(&op), 0);
	weir_op_init_fsync(&op, fd, true);
	ck_assert_int_eq(run(&op), 0);
	weir_op_init_read(&op, fd, text, sizeof(text), 1);
	ck_assert_int_eq(run(&op), 4);
	ck_assert_int_eq(memcmp(text, "ello", 4), 0);
	/* Reads at the descriptor's position, and advances it. */
	weir_op_init_read(&op, fd, text, 2, WEIR_FILE_POSITION);
	ck_assert_int_eq(run(&op), 2);
	ck_assert_int_eq(memcmp(text, "Je", 2), 0);
	weir_op_init_read(&op, fd, text, 16, WEIR_FILE_POSITION);
	ck_assert_int_eq(run(&op), 3);
	weir_op_init_read(&op, fd, text, 16, 5);
	ck_assert_int_eq(run(&op), 0);
	close(fd);
	ck_assert_int_eq(remove_path("one", 0), 0);
	leave_folder(folder, before);
	return 0;
}

CASE(names_are_made_and_changed, WEIR_CAP_FILE)
{
	struct statx info;
	struct weir_op op;
	char folder[64];
	int before, fd;

	enter_folder(folder, &before);
	weir_op_init_mkdir(&op, "sub", 0700);
	ck_assert_int_eq(run(&op), 0);
	fd = open_file("a", O_WRONLY | O_CREAT);
	ck_assert_int_ge(fd, 0);
	weir_op_init_write(&op, fd, "12345678", 8, 0);
	ck_assert_int_eq(run(&op), 8);
	close(fd);
	weir_op_init_rename(&op, "a", "sub/b");
	ck_assert_int_eq(run(&op), 0);
	weir_op_init_stat(&op, "sub/b", &info);
	ck_assert_int_eq(run(&op), 0);
	ck_assert_uint_eq(info.stx_size, 8);
	ck_assert(S_ISREG(info.stx_mode));
	ck_assert_int_eq(remove_path("sub/b", 0), 0);
	ck_assert_int_eq(remove_path("sub", AT_REMOVEDIR), 0);
	leave_folder(folder, before);
	return 0;
}

CASE(failed_file_operations_return_their_errno, WEIR_CAP_FILE)
{
	struct weir_op op;
	char folder[64], byte;
	int before, fd;

	enter_folder(folder, &before);
	ck_assert_int_eq(open_file("none", O_RDONLY), -ENOENT);
	ck_assert_int_eq(remove_path("none", 0), -ENOENT);
	weir_op_init_mkdir(&op, ".", 0700);
	ck_assert_int_eq(run(&op), -EEXIST);
	weir_op_init_rename(&op, "none", "other");
	ck_assert_int_eq(run(&op), -ENOENT);
	weir_op_init_read(&op, -1, &byte, 1, 0);
	ck_assert_int_eq(run(&op), -EBADF);
	fd = open_file(".", O_RDONLY | O_DIRECTORY);
	ck_assert_int_ge(fd, 0);
	weir_op_init_read(&op, fd, &byte, 1, 0);
	ck_assert_int_eq(run(&op), -EISDIR);
	close(fd);
	leave_folder(folder, before);
	return 0;
}

/* A pending read can be cancelled. An open that finishes after its task was aborted is closed. */
CASE(file_operations_are_cancelled, WEIR_CAP_FILE)
{
	struct waiter waiter;
	struct weir_op op;
	int fds[2], fifo, before, rc;
	char folder[64], byte;

	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	weir_op_init_read(&op, fds[0], &byte, 1, WEIR_FILE_POSITION);
	begin(&waiter, &op.future);
	pending(&waiter);
	ck_assert_int_eq(aborted(&waiter), -ECANCELED);
	close(fds[0]);
	close(fds[1]);
	enter_folder(folder, &before);
	ck_assert_int_eq(mkfifo("fifo", 0600), 0);
	weir_op_init_open(&op, "fifo", O_RDONLY, 0);	/* waits for a writer */
	begin(&waiter, &op.future);
	pending(&waiter);
	fifo = open("fifo", O_RDWR | O_CLOEXEC);
	ck_assert_int_ge(fifo, 0);
	/* If the open wins against the abort, a fiber gets the descriptor. For a stackless task
	 * weir closes it. */
	rc = aborted(&waiter);
	if (rc >= 0)
		close(rc);
	close(fifo);
	ck_assert_int_eq(remove_path("fifo", 0), 0);
	leave_folder(folder, before);
	return 0;
}

/* Closing a file may block, for example on a network file system, so the worker must not do it. */
CASE(a_discarded_open_is_closed_by_the_pool, WEIR_CAP_FILE)
{
	struct weir_metrics m = WEIR_METRICS_INIT;
	struct weir_op op;
	int fd;

	weir_op_init_open(&op, "/dev/null", O_RDONLY, 0);
	fd = weir_await(&op.future);
	OK(fd);
	op.future.ops->discard(&op.future);
	while (fcntl(fd, F_GETFD) >= 0)
		weir_yield();
	OK(weir_metrics_get(env.rt, &m));
	ck_assert_uint_eq(m.blocking_threads, 1);
	return 0;
}

/* ---- writing when the other end is closed ---- */

static atomic_int raised;

static void count_signal(int signo)
{
	(void)signo;
	atomic_fetch_add(&raised, 1);
}

/* Opens a pipe, a FIFO or a socket pair. Bytes go from ends[1] to ends[0]. */
static void open_ends(int kind, int *ret_ends)
{
	struct sockaddr_in addr = { .sin_family = AF_INET };
	socklen_t len = sizeof(addr);
	char folder[64];
	int before;

	switch (kind) {
	case 0:
		ck_assert_int_eq(pipe2(ret_ends, O_CLOEXEC), 0);
		break;
	case 1:
		enter_folder(folder, &before);
		ck_assert_int_eq(mkfifo("fifo", 0600), 0);
		ret_ends[0] = open("fifo", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
		ret_ends[1] = open("fifo", O_WRONLY | O_CLOEXEC);
		unlink("fifo");
		leave_folder(folder, before);
		break;
	case 2:
		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ret_ends), 0);
		break;
	default:
		before = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		ck_assert_int_eq(listen(before, 1), 0);
		getsockname(before, (struct sockaddr *)&addr, &len);
		ret_ends[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		ck_assert_int_eq(connect(ret_ends[1], (struct sockaddr *)&addr, len), 0);
		ret_ends[0] = accept4(before, NULL, NULL, SOCK_CLOEXEC);
		close(before);
	}
	ck_assert(ret_ends[0] >= 0 && ret_ends[1] >= 0);
}

static void close_with_reset(int fd)
{
	const struct linger hard = { .l_onoff = 1 };

	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	close(fd);
}

/* The first writes may succeed or report the reset; in the end the result is -EPIPE. */
static void write_to_nobody(int fd)
{
	struct weir_op op;
	int rc;

	do {
		weir_op_init_write(&op, fd, "x", 1, WEIR_FILE_POSITION);
		rc = run(&op);
		ck_assert(rc == 1 || rc == -EPIPE || rc == -ECONNRESET);
	} while (rc != -EPIPE);
	weir_op_init_write(&op, fd, "x", 1, WEIR_FILE_POSITION);
	ck_assert_int_eq(run(&op), -EPIPE);
}

/* The other end is closed while a write waits for room. */
static void leave_a_write(int kind, bool give_up)
{
	uint8_t *much = calloc(1, LARGE_BYTES);
	struct waiter waiter;
	struct weir_op op;
	int ends[2], rc;

	open_ends(kind, ends);
	do {
		weir_op_init_write(&op, ends[1], much, LARGE_BYTES, WEIR_FILE_POSITION);
		begin(&waiter, &op.future);
		pending(&waiter);
		OK(weir_sleep(SHORT_NS));
		if (give_up) {
			rc = aborted(&waiter);
		} else {
			close_with_reset(ends[0]);
			rc = ended(&waiter);
		}
	} while (give_up && rc > 0);
	ck_assert_msg(rc > 0 || rc == -EPIPE || rc == -ECONNRESET || rc == -ECANCELED, "%d", rc);
	if (give_up)
		close_with_reset(ends[0]);
	write_to_nobody(ends[1]);
	close(ends[1]);
	free(much);
}

CASE(no_write_raises_a_signal, WEIR_CAP_FILE)
{
	struct sigaction count = { .sa_handler = count_signal }, before;
	int ends[2];

	sigaction(SIGPIPE, &count, &before);
	for (int kind = 0; kind < 4; kind++) {
		open_ends(kind, ends);
		close_with_reset(ends[0]);
		write_to_nobody(ends[1]);
		close(ends[1]);
		leave_a_write(kind, false);
		leave_a_write(kind, true);
	}
	ck_assert_int_eq(atomic_load(&raised), 0);
	sigaction(SIGPIPE, &before, NULL);
	return 0;
}

void conformance_file(struct conformance_list *list)
{
	BOTH(list, a_file_is_written_and_read);
	BOTH(list, names_are_made_and_changed);
	BOTH(list, failed_file_operations_return_their_errno);
	BOTH(list, file_operations_are_cancelled);
	BOTH(list, no_write_raises_a_signal);
	ONCE(list, a_discarded_open_is_closed_by_the_pool);
}
