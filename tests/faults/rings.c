/* SPDX-License-Identifier: MIT */
/* rings.c: see rings.h. */
#include "tests/faults/rings.h"

#include <errno.h>
#include <liburing.h>
#include <stdatomic.h>
#include <string.h>

/* Only newer kernel headers define it. */
#define NOP_INJECT_RESULT (1u << 0)

#define OPERATION(op, ...) { .name = #op, .number = IORING_OP_##op, __VA_ARGS__ }

const struct faults_call rings_operations[] = {
	OPERATION(NOP, .why_not = "it replaces the operation that fails"),
	OPERATION(ACCEPT, .errors = { EAGAIN, EINTR, ECONNABORTED, EMFILE, ENFILE, ENOBUFS, ENOMEM,
				      EPERM, EINVAL }),
	OPERATION(CONNECT, .errors = { ECONNREFUSED, ETIMEDOUT, ENETUNREACH, EADDRNOTAVAIL, EAGAIN,
				       EACCES, EINTR, ENOMEM }),
	OPERATION(RECV, .errors = { EINTR, EAGAIN, ENOBUFS, ENOMEM, ECONNRESET, ETIMEDOUT }),
	OPERATION(RECVMSG, .errors = { EINTR, EAGAIN, ENOMEM, ECONNRESET }),
	OPERATION(SEND, .errors = { EINTR, EAGAIN, ENOBUFS, ENOMEM, ECONNRESET, EPIPE }),
	OPERATION(SENDMSG, .errors = { EINTR, EAGAIN, ENOBUFS, ENOMEM, ECONNRESET, EPIPE }),
	OPERATION(POLL_ADD, .errors = { EINTR, EAGAIN, ENOMEM, EBADF }),
	OPERATION(POLL_REMOVE, .why_not = "weir cancels polls in another way"),
	OPERATION(ASYNC_CANCEL,
		  .why_not = "its only results are that it cancels, and that there is nothing to "
			     "cancel any more"),
	OPERATION(TIMEOUT, .why_not = "only liburing submits it, on kernels without timed waits"),
	OPERATION(OPENAT, .errors = { EMFILE, ENFILE, ENOMEM, EACCES, EINTR, EAGAIN }),
	OPERATION(READ, .errors = { EIO, EINTR, EAGAIN, ENOMEM }),
	OPERATION(WRITE, .errors = { EIO, ENOSPC, EINTR, EAGAIN, ENOMEM }),
	OPERATION(FSYNC, .errors = { EIO, ENOSPC, EINTR }),
	OPERATION(STATX, .errors = { ENOMEM, EACCES }),
};
const size_t rings_operations_len = sizeof rings_operations / sizeof rings_operations[0];

static int failing = -1, failing_with;
static unsigned failing_nth;
static bool failing_for_good;
static atomic_uint submitted;
static atomic_int unlisted = -1;

void rings_fail(int operation, int error, unsigned nth, bool for_good)
{
	failing = operation;
	failing_with = error;
	failing_nth = nth;
	failing_for_good = for_good;
	atomic_store(&submitted, 0);
}

unsigned rings_submitted(void)
{
	return atomic_load(&submitted);
}

int rings_unlisted(void)
{
	return atomic_load(&unlisted);
}

static void make_fail(struct io_uring_sqe *sqe)
{
	uint64_t user_data = sqe->user_data;

	memset(sqe, 0, sizeof *sqe);
	sqe->opcode = IORING_OP_NOP;
	sqe->fd = -1;
	sqe->rw_flags = NOP_INJECT_RESULT;
	sqe->len = (unsigned)-failing_with;
	sqe->user_data = user_data;
}

static void look_at(struct io_uring_sqe *sqe)
{
	bool listed = false;
	unsigned nth;

	for (size_t i = 0; i < rings_operations_len; i++)
		listed |= rings_operations[i].number == sqe->opcode;
	if (!listed)
		atomic_store(&unlisted, sqe->opcode);
	if (sqe->opcode != failing)
		return;
	nth = atomic_fetch_add(&submitted, 1) + 1;
	if (failing_nth && (nth == failing_nth || (failing_for_good && nth > failing_nth)))
		make_fail(sqe);
}

/* Looks at the entries that were prepared but not yet made visible to the kernel. */
static void look_through(struct io_uring *ring)
{
	struct io_uring_sq *sq = &ring->sq;
	unsigned mask = *sq->kring_mask;

	for (unsigned at = sq->sqe_head; at != sq->sqe_tail; at++)
		look_at(&sq->sqes[at & mask]);
}

int __real_io_uring_submit(struct io_uring *ring);
int __real_io_uring_submit_and_wait(struct io_uring *ring, unsigned wait_nr);
int __real_io_uring_submit_and_wait_timeout(struct io_uring *ring, struct io_uring_cqe **cqe,
					    unsigned wait_nr, struct __kernel_timespec *ts,
					    sigset_t *mask);
int __real_io_uring_submit_and_get_events(struct io_uring *ring);
int __wrap_io_uring_submit(struct io_uring *ring);
int __wrap_io_uring_submit_and_wait(struct io_uring *ring, unsigned wait_nr);
int __wrap_io_uring_submit_and_wait_timeout(struct io_uring *ring, struct io_uring_cqe **cqe,
					    unsigned wait_nr, struct __kernel_timespec *ts,
					    sigset_t *mask);
int __wrap_io_uring_submit_and_get_events(struct io_uring *ring);

int __wrap_io_uring_submit(struct io_uring *ring)
{
	look_through(ring);
	return __real_io_uring_submit(ring);
}

int __wrap_io_uring_submit_and_wait(struct io_uring *ring, unsigned wait_nr)
{
	look_through(ring);
	return __real_io_uring_submit_and_wait(ring, wait_nr);
}

int __wrap_io_uring_submit_and_wait_timeout(struct io_uring *ring, struct io_uring_cqe **cqe,
					    unsigned wait_nr, struct __kernel_timespec *ts,
					    sigset_t *mask)
{
	look_through(ring);
	return __real_io_uring_submit_and_wait_timeout(ring, cqe, wait_nr, ts, mask);
}

int __wrap_io_uring_submit_and_get_events(struct io_uring *ring)
{
	look_through(ring);
	return __real_io_uring_submit_and_get_events(ring);
}

bool rings_can_fail(void)
{
	struct io_uring_cqe *cqe;
	struct io_uring ring;
	bool can = false;

	if (io_uring_queue_init(2, &ring, 0) < 0)
		return false;
	io_uring_prep_nop(io_uring_get_sqe(&ring));
	rings_fail(IORING_OP_NOP, EDOM, 1, false);
	if (__wrap_io_uring_submit_and_wait(&ring, 1) == 1 && io_uring_peek_cqe(&ring, &cqe) == 0)
		can = cqe->res == -EDOM;
	io_uring_queue_exit(&ring);
	rings_fail(-1, 0, 0, false);
	return can;
}
