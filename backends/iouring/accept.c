/* SPDX-License-Identifier: MIT */
/*
 * accept.c: ACCEPT. A listener has one multishot request that keeps accepting. A
 * connection goes to the op that waits longest, or into a queue, from which the next op
 * takes it at once. When the queue has more than QUEUE_MAX connections, the request is
 * stopped, and the kernel's own queue fills, as it should when no task accepts. Without
 * multishot, a request is made for each connection; everything else is the same.
 *
 * No connection is lost: one that arrives while its op is being cancelled is queued, and
 * one that arrives while the listener is being closed is reset.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "backends/iouring/iouring.h"
#include "backends/socket.h"
#include "core/worker.h"

#define QUEUE_MAX 64u

/* ---- the queue ---- */

static bool queue_fd(struct uring_fds *fds, int fd)
{
	unsigned cap = fds->cap ? 2 * fds->cap : QUEUE_MAX;
	int *bigger;

	if (fds->first >= QUEUE_MAX && fds->first >= fds->len) {
		memcpy(fds->fd, fds->fd + fds->first, fds->len * sizeof(*fds->fd));
		fds->first = 0;
	}
	if (fds->first + fds->len == fds->cap) {
		bigger = realloc(fds->fd, cap * sizeof(*bigger));
		if (!bigger)
			return false;
		fds->fd = bigger;
		fds->cap = cap;
	}
	fds->fd[fds->first + fds->len++] = fd;
	return true;
}

static int unqueue_fd(struct uring_fds *fds)
{
	int fd = fds->fd[fds->first++];

	if (--fds->len == 0)
		fds->first = 0;
	return fd;
}

/* Reset a connection that no task will get, as the kernel does with a closed listener's queue. */
static void refuse(int fd)
{
	weir__socket_will_reset(fd);
	weir__socket_close(fd);
}

void weir__uring_accept_forget(struct weir_handle *h)
{
	struct uring_fds *fds = state_of(h)->fds;

	if (!fds)
		return;
	while (fds->len > 0)
		refuse(unqueue_fd(fds));
	free(fds->fd);
	*fds = (struct uring_fds){ .fd = NULL };
}

/* ---- the request ---- */

static bool arm(struct uring *u, struct weir_handle *h)
{
	struct io_uring_sqe *sqe = weir__uring_sqe(u);

	if (!sqe)
		return false;
	if (u->options.multishot_accept)
		io_uring_prep_multishot_accept(sqe, h->fd, NULL, NULL,
					       SOCK_NONBLOCK | SOCK_CLOEXEC);
	else
		io_uring_prep_accept(sqe, h->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	uring_tag(sqe, h, TAG_ACCEPT);
	state_of(h)->flags |= ARMED;
	weir__uring_handle_ref(u, h);
	return true;
}

static void stop(struct uring *u, struct weir_handle *h)
{
	struct uring_handle *s = state_of(h);

	if ((s->flags & (ARMED | STOPPING)) != ARMED)
		return;
	s->flags |= STOPPING;
	weir__uring_cancel_request(u, (uint64_t)(uintptr_t)h | TAG_ACCEPT);
}

/* Make the handle of an accepted connection, which has inherited the listener's options. */
static void make_stream(struct uring *u, struct weir_op *op, int fd)
{
	weir__uring_handle_make(u, op->u.accept.handle, fd, WEIR_HANDLE_STREAM);
	op->u.accept.handle->ends = op->handle->ends;
}

/* Give the queued connections to the waiting ops, in order. If ops are left, arm the request. */
static void serve(struct uring *u, struct weir_handle *h)
{
	struct uring_handle *s = state_of(h);
	struct weir_op *op;

	while ((op = weir__uring_first_waiter(s)) != NULL && s->fds->len > 0) {
		weir__uring_remove_waiter(s, op);
		make_stream(u, op, unqueue_fd(s->fds));
		weir_backend_complete(op, 0);
	}
	if (op && !(s->flags & ARMED) && !arm(u, h))
		weir__uring_fail_waiters(s, -ENOMEM);
}

/*
 * Accept without waiting. Connections that the kernel has accepted for us come first, so poll it.
 */
static void submit_try(struct uring *u, struct weir_op *op)
{
	struct weir_handle *h = op->handle;
	struct uring_fds *fds = state_of(h)->fds;
	int fd;

	if (fds->len == 0)
		(void)weir__uring_turn(u, 0, u->idle_events);
	if (fds->len > 0) {
		fd = unqueue_fd(fds);
	} else {
		weir__count_syscalls(u->base.worker, 1);
		fd = weir__socket_accept(h->fd);
	}
	if (fd >= 0)
		make_stream(u, op, fd);
	weir_backend_complete(op, fd < 0 ? fd : 0);
}

void weir__uring_submit_accept(struct uring *u, struct weir_op *op)
{
	if (WEIR_UNLIKELY(op->flags & WEIR_OP_TRY)) {
		submit_try(u, op);
		return;
	}
	weir__uring_append_waiter(state_of(op->handle), op);
	serve(u, op->handle);
}

/*
 * Whether an error concerns only one connection or one request, and not the listener. After
 * WEIR__TRIES of them in a row it counts as the listener's.
 */
static bool is_temporary(struct uring_handle *s, int res)
{
	bool temporary = res == -ECANCELED || res == -EAGAIN || res == -EINTR || res == -EFAULT ||
			 weir__socket_died(-res);

	if (temporary && ++s->failed_accepts < WEIR__TRIES)
		return true;
	s->failed_accepts = 0;
	return false;
}

void weir__uring_accept_done(struct uring *u, struct weir_handle *h, const struct io_uring_cqe *cqe)
{
	struct uring_handle *s = state_of(h);
	bool over = !(cqe->flags & IORING_CQE_F_MORE), closing = uring_is_closing(s);
	int res = cqe->res;

	if (over)
		s->flags &= (uint8_t) ~(ARMED | STOPPING);
	if (closing) {
		if (res >= 0)
			refuse(res);
		if (over) {
			weir__uring_unlist_closing(u, h);
			weir__uring_handle_unref(u, h);
		}
		return;
	}
	if (res >= 0 && !queue_fd(s->fds, res)) {
		refuse(res);
		res = -ENOMEM;
	}
	if (res >= 0)
		s->failed_accepts = 0;
	else if (!is_temporary(s, res))
		weir__uring_fail_waiters(s, res);
	serve(u, h);
	if (s->fds->len > QUEUE_MAX)
		stop(u, h);
	if (over)
		weir__uring_handle_unref(u, h);
}
