/* SPDX-License-Identifier: MIT */
/*
 * try.c: see try.h. An interrupted call is repeated, up to WEIR__TRIES calls in all.
 * EAGAIN becomes WEIR_PENDING; every other error is the op's result.
 */
#include <poll.h>
#include <string.h>

#include "backends/plain_calls.h"
#include "backends/readiness/try.h"
#include "backends/socket.h"
#include "backends/transfer.h"
#include "core/worker.h"

/*
 * Whether a call that moved less than requested has drained its direction, so that an event will
 * follow when more can be moved. At end of stream it has not: no further event comes.
 */
static bool has_drained(const struct weir_op *op)
{
	uint64_t ready = weir__load(&weir__ready_of(op->handle)->ready, WEIR_RELAXED);

	if (weir__queue_of(op) == WRITE)
		return !(ready & WEIR__READY_WRITE_END);
	return ready & WEIR__READY_EXACT && !(ready & WEIR__READY_READ_END) &&
	       !(op->flags & WEIR_OP_PEEK);
}

/* RECV, SEND, SEND_LEASE and the iovec forms. */
static int try_bytes(struct weir__turn *t, struct weir_op *op)
{
	bool all = weir__transfer_wants_all(op);
	size_t asked;

	for (;;) {
		ssize_t n = weir__transfer_call(op, &asked);

		weir__count_syscalls(t->worker, 1);
		if (n == -EAGAIN)
			return WEIR_PENDING;
		if (WEIR_UNLIKELY(n < 0 || (n == 0 && weir__queue_of(op) == READ)))
			n = weir__socket_end(op->handle, (int)n);
		if (n < 0)
			return (int)n;
		t->drained = n > 0 && (size_t)n < asked && has_drained(op);
		if (WEIR_LIKELY(!all || n == 0 || weir__transfer_is_complete(op)))
			return weir__transfer_result(op);
		if (t->drained)
			return WEIR_PENDING;
	}
}

/* A block is taken for the call, and kept only if bytes were received. */
static int try_lease(struct weir__turn *t, struct weir_op *op)
{
	struct weir_lease *lease = op->u.lease.lease;
	size_t len = t->r->pool.bytes;
	uint32_t token;
	uint8_t *data = weir__lease_pool_take(&t->r->pool, t->owner, &token);
	unsigned tries = 0;
	ssize_t n;

	if (!data)
		return -ENOMEM;
	if (op->u.lease.max && op->u.lease.max < len)
		len = op->u.lease.max;
	do
		n = weir__plain_recv(op->handle->fd, data, len, MSG_DONTWAIT);
	while (WEIR_UNLIKELY(n < 0 && weir__socket_again(&tries)));
	weir__count_syscalls(t->worker, 1);
	if (n > 0) {
		*lease = (struct weir_lease){ data, (uint32_t)n, token, &t->r->base };
		t->drained = (size_t)n < len && has_drained(op);
		return (int)n;
	}
	n = n == 0 ? 0 : -errno;
	weir__lease_pool_give(&t->r->pool, t->owner, token);
	if (n == -EAGAIN)
		return WEIR_PENDING;
	*lease = (struct weir_lease){ .data = NULL };
	return weir__socket_end(op->handle, (int)n);
}

void weir__try_make_handle(struct weir_handle *h, struct weir_backend *be, int fd,
			   enum weir_handle_kind kind, bool tcp)
{
	memset(h, 0, sizeof(*h));
	h->backend = be;
	h->fd = fd;
	h->kind = (uint8_t)kind;
	/* Assume that both directions are ready until a call finds otherwise. */
	weir__ready_of(h)->ready =
		WEIR__READY_READ | WEIR__READY_WRITE | (tcp ? WEIR__READY_EXACT : 0);
}

static int try_accept(struct weir__turn *t, struct weir_op *op)
{
	uint64_t ready = weir__load(&weir__ready_of(op->handle)->ready, WEIR_RELAXED);
	int fd = weir__socket_accept(op->handle->fd);

	weir__count_syscalls(t->worker, 1);
	if (fd < 0)
		return fd == -EAGAIN ? WEIR_PENDING : fd;
	weir__try_make_handle(op->u.accept.handle, op->backend, fd, WEIR_HANDLE_STREAM,
			      ready & WEIR__READY_EXACT);
	op->u.accept.handle->ends = op->handle->ends;
	return 0;
}

static int try_connect(struct weir__turn *t, struct weir_op *op)
{
	int err;

	weir__count_syscalls(t->worker, op->u.connect.started ? 2 : 1);
	if (op->u.connect.started) {
		err = weir__socket_connected(op->handle->fd);
	} else {
		err = weir__socket_connect(op->handle->fd, op->u.connect.addr, op->u.connect.len);
		op->u.connect.started = err == -EINPROGRESS;
	}
	return err == -EINPROGRESS ? WEIR_PENDING : err;
}

static short to_poll(unsigned events)
{
	return (short)((events & WEIR_READABLE ? POLLIN : 0) |
		       (events & WEIR_WRITABLE ? POLLOUT : 0) |
		       (events & WEIR_PRIORITY ? POLLPRI : 0));
}

static unsigned from_poll(short events)
{
	return (events & POLLIN ? WEIR_READABLE : 0u) | (events & POLLOUT ? WEIR_WRITABLE : 0u) |
	       (events & POLLPRI ? WEIR_PRIORITY : 0u) | (events & POLLHUP ? WEIR_HANGUP : 0u) |
	       (events & POLLERR ? WEIR_FAULT : 0u);
}

int weir__try_look(int fd, unsigned events)
{
	struct pollfd p = { .fd = fd, .events = to_poll(events) };
	unsigned tries = 0;
	int n;

	do
		n = poll(&p, 1, 0);
	while (WEIR_UNLIKELY(n < 0 && weir__socket_again(&tries)));
	if (n < 0)
		return -errno;
	return p.revents & POLLNVAL ? -EBADF : (int)from_poll(p.revents);
}

static int try_poll(struct weir__turn *t, struct weir_op *op)
{
	int found = weir__try_look(op->handle->fd, op->u.poll.events);

	weir__count_syscalls(t->worker, 1);
	return found == 0 ? WEIR_PENDING : found;
}

int weir__try_op(struct weir__turn *t, struct weir_op *op)
{
	t->drained = false;
	switch ((enum weir_op_code)op->code) {
	case WEIR_OP_RECV:
	case WEIR_OP_SEND:
	case WEIR_OP_RECVV:
	case WEIR_OP_SENDV:
	case WEIR_OP_SEND_LEASE:
		return try_bytes(t, op);
	case WEIR_OP_RECV_LEASE:
		return try_lease(t, op);
	case WEIR_OP_ACCEPT:
		return try_accept(t, op);
	case WEIR_OP_CONNECT:
		return try_connect(t, op);
	case WEIR_OP_POLL:
		return try_poll(t, op);
	default:
		return -EOPNOTSUPP;
	}
}
