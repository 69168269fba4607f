/* SPDX-License-Identifier: MIT */
/* wait.c: operations that only wait: CONNECT, and POLL of a foreign descriptor. */
#include <poll.h>

#include "backends/iouring/iouring.h"

/* ---- connect ---- */

static void queue_connect(struct uring *u, struct weir_op *op)
{
	struct io_uring_sqe *sqe = weir__uring_sqe(u);

	if (!sqe) {
		weir__uring_finish(u, op, -ENOMEM);
		return;
	}
	io_uring_prep_connect(sqe, op->handle->fd, op->u.connect.addr, op->u.connect.len);
	uring_tag(sqe, op, TAG_OP);
}

void weir__uring_submit_connect(struct uring *u, struct weir_op *op)
{
	weir__uring_handle_hold(u, op->handle);
	queue_connect(u, op);
}

void weir__uring_connect_done(struct uring *u, struct weir_op *op, int res)
{
	if (WEIR_UNLIKELY(uring_must_repeat(op, res))) {
		op->u.connect.started = 1;
		queue_connect(u, op);
		return;
	}
	/* One that is made again may find itself connected. */
	weir__uring_finish(u, op, res == -EISCONN && op->u.connect.started ? 0 : res);
}

/* ---- poll ---- */

static unsigned to_poll(unsigned events)
{
	return (events & WEIR_READABLE ? POLLIN : 0u) | (events & WEIR_WRITABLE ? POLLOUT : 0u) |
	       (events & WEIR_PRIORITY ? POLLPRI : 0u);
}

static int from_poll(unsigned events)
{
	unsigned found = (events & POLLIN ? WEIR_READABLE : 0u) |
			 (events & POLLOUT ? WEIR_WRITABLE : 0u) |
			 (events & POLLPRI ? WEIR_PRIORITY : 0u) |
			 (events & POLLHUP ? WEIR_HANGUP : 0u) |
			 (events & POLLERR ? WEIR_FAULT : 0u);

	return events & POLLNVAL ? -EBADF : (int)found;
}

static void queue_poll(struct uring *u, struct weir_op *op)
{
	struct io_uring_sqe *sqe = weir__uring_sqe(u);

	if (!sqe) {
		weir__uring_remove_waiter(state_of(op->handle), op);
		weir__uring_finish(u, op, -ENOMEM);
		return;
	}
	io_uring_prep_poll_add(sqe, op->handle->fd, to_poll(op->u.poll.events));
	uring_tag(sqe, op, TAG_OP);
}

/* In the handle's list too, so that a detach finds it. */
void weir__uring_submit_poll(struct uring *u, struct weir_op *op)
{
	struct uring_handle *s = state_of(op->handle);

	if (s->flags & REGULAR) {
		weir_backend_complete(op, -EPERM);
		return;
	}
	weir__uring_handle_hold(u, op->handle);
	weir__uring_append_waiter(s, op);
	queue_poll(u, op);
}

void weir__uring_poll_done(struct uring *u, struct weir_op *op, int res)
{
	struct uring_handle *s = state_of(op->handle);

	if (WEIR_UNLIKELY(res == -ECANCELED && !(op->u.poll.events & POLL_CANCELLED) &&
			  !(weir__load(&s->refs, WEIR_RELAXED) & CLOSING))) {
		queue_poll(u, op);
		return;
	}
	if (res > 0)
		res = from_poll((unsigned)res);
	weir__uring_remove_waiter(s, op);
	weir__uring_finish(u, op, res);
}
