/* SPDX-License-Identifier: MIT */
/*
 * file.c: operations on files. They have no handle. The kernel runs operations that would
 * block on its own threads; ring.c limits their number. An operation that already runs
 * there cannot be cancelled, only waited for.
 */
#include <fcntl.h>
#include <sys/stat.h>

#include "backends/iouring/iouring.h"
#include "core/worker.h"

/*
 * A write to a pipe or socket without a reader raises SIGPIPE in the calling thread. Such a write
 * must run on a kernel thread, where the signal is blocked; a worker keeps the signal mask of its
 * process. AT_STATX_DONT_SYNC avoids a request to a file server.
 */
static bool may_raise_a_signal(struct uring *u, int fd)
{
	struct statx st;

	weir__count_syscalls(u->base.worker, 1);
	return statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &st) == 0 &&
	       (S_ISFIFO(st.stx_mode) || S_ISSOCK(st.stx_mode));
}

static void prep(struct weir_op *op, struct io_uring_sqe *sqe)
{
	const char *path = op->u.path.path;
	int fd = op->target.fd;

	switch ((enum weir_op_code)op->code) {
	case WEIR_OP_OPEN:
		io_uring_prep_openat(sqe, AT_FDCWD, path, op->how.flags | O_CLOEXEC,
				     op->how.mode);
		break;
	case WEIR_OP_READ:
		io_uring_prep_read(sqe, fd, op->u.file.buf, op->target.len, op->u.file.offset);
		break;
	case WEIR_OP_WRITE:
		io_uring_prep_write(sqe, fd, op->u.file.buf, op->target.len, op->u.file.offset);
		break;
	case WEIR_OP_STAT:
		io_uring_prep_statx(sqe, AT_FDCWD, path, 0, STATX_BASIC_STATS, op->u.path.to);
		break;
	case WEIR_OP_FSYNC:
		io_uring_prep_fsync(sqe, fd, op->target.len ? IORING_FSYNC_DATASYNC : 0);
		break;
	case WEIR_OP_RENAME:
		io_uring_prep_renameat(sqe, AT_FDCWD, path, AT_FDCWD, op->u.path.to, 0);
		break;
	case WEIR_OP_UNLINK:
		io_uring_prep_unlinkat(sqe, AT_FDCWD, path, op->how.flags);
		break;
	default:
		io_uring_prep_mkdirat(sqe, AT_FDCWD, path, op->how.mode);
		break;
	}
}

void weir__uring_submit_file(struct uring *u, struct weir_op *op)
{
	struct io_uring_sqe *sqe = weir__uring_sqe(u);

	if (!sqe) {
		weir_backend_complete(op, -ENOMEM);
		return;
	}
	prep(op, sqe);
	if (op->code == WEIR_OP_WRITE && may_raise_a_signal(u, op->target.fd))
		sqe->flags |= IOSQE_ASYNC;
	uring_tag(sqe, op, TAG_OP);
}

void weir__uring_file_done(struct uring *u, struct weir_op *op, int res)
{
	bool ran = res != -EINTR && res != -ECANCELED;

	if (WEIR_LIKELY(ran || uring_is_cancelled(op))) {
		weir_backend_complete(op, res);
		return;
	}
	uring_note_repeat(u, res);
	weir__uring_submit_file(u, op);
}
