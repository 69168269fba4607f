/* SPDX-License-Identifier: MIT */
/* wait.c: the operations that move no bytes: CONNECT, and POLL of a foreign descriptor. */
#include <poll.h>

#include "backends/iouring/iouring.h"
#include "backends/socket.h"

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
	weir__uring_handle_ref(u, op->handle);
	queue_connect(u, op);
}

/* The state of a connect whose request did not run: find out by direct system calls. */
static int ask_about_connect(struct weir_op *op)
{
	int fd = op->handle->fd, rc;

	if (op->u.connect.started)
		return weir__socket_connected(fd);
	rc = weir__socket_connect(fd, op->u.connect.addr, op->u.connect.len);
	return rc == -EISCONN ? 0 : rc == -EALREADY ? -EINPROGRESS : rc;
}

static void await_connect(struct uring *u, struct weir_op *op)
{
	struct io_uring_sqe *sqe = weir__uring_sqe(u);

	if (!sqe) {
		weir__uring_finish(u, op, -ENOMEM);
		return;
	}
	op->u.connect.started = 1;
	io_uring_prep_poll_add(sqe, op->handle->fd, POLLOUT);
	uring_tag(sqe, op, TAG_OP);
}

/*
 * -EAGAIN is a result here: a Unix listener's queue is full, and no event tells when it has room.
 */
static void finish_connect(struct uring *u, struct weir_op *op, int res)
{
	struct weir_handle *h = op->handle;

	if (res != -EAGAIN || uring_is_closing(state_of(h)))
		res = uring_result(h, res);
	weir_backend_complete(op, res);
	weir__uring_handle_unref(u, h);
}

static void resume_connect(struct uring *u, struct weir_op *op)
{
	int rc = ask_about_connect(op);

	if (rc != -EINPROGRESS) {
		finish_connect(u, op, rc);
	} else if (uring_is_cancelled(op) || uring_is_closing(state_of(op->handle))) {
		finish_connect(u, op, -ECANCELED);
	} else {
		uring_note_repeat(u, rc);
		await_connect(u, op);
	}
}

void weir__uring_connect_done(struct uring *u, struct weir_op *op, int res)
{
	if (WEIR_UNLIKELY(uring_must_repeat(op, res) || (res > 0 && op->u.connect.started)))
		resume_connect(u, op);
	else
		finish_connect(u, op, res);
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

/* POLL ops of a foreign descriptor are also in its handle's list, so that detach finds them. */
static bool is_listed(const struct weir_op *op)
{
	return op->handle->kind == WEIR_HANDLE_FOREIGN;
}

static void finish_poll(struct uring *u, struct weir_op *op, int res)
{
	if (is_listed(op))
		weir__uring_remove_waiter(state_of(op->handle), op);
	weir__uring_finish(u, op, res);
}

static void queue_poll(struct uring *u, struct weir_op *op)
{
	struct io_uring_sqe *sqe = weir__uring_sqe(u);

	if (!sqe) {
		finish_poll(u, op, -ENOMEM);
		return;
	}
	io_uring_prep_poll_add(sqe, op->handle->fd, to_poll(op->u.poll.events));
	uring_tag(sqe, op, TAG_OP);
}

void weir__uring_submit_poll(struct uring *u, struct weir_op *op)
{
	struct uring_handle *s = state_of(op->handle);

	weir__uring_handle_ref(u, op->handle);
	if (is_listed(op))
		weir__uring_append_waiter(s, op);
	queue_poll(u, op);
}

void weir__uring_poll_done(struct uring *u, struct weir_op *op, int res)
{
	if (WEIR_UNLIKELY(res == -ECANCELED && !(op->u.poll.events & POLL_CANCELLED) &&
			  !uring_is_closing(state_of(op->handle)))) {
		uring_note_repeat(u, res);
		queue_poll(u, op);
		return;
	}
	if (res > 0)
		res = from_poll((unsigned)res);
	finish_poll(u, op, res);
}
