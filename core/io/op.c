/* SPDX-License-Identifier: MIT */
/*
 * op.c: operations as futures: submit, complete and cancel, for every backend.
 *
 *	state		who owns the op		leaves it by
 *	IDLE		the caller		poll: submit
 *	INFLIGHT	the backend		weir_backend_complete, weir_backend_retry
 *	DONE		the caller		poll: result
 *	RETRY		the caller		poll: submit again, or -ECANCELED
 *
 * An op goes to the instance of the worker that polls it first. It is sent to the
 * handle's home worker instead if the handle is homed (WEIR_CAP_HOMED). A cancel
 * is sent to the instance's worker if the backend cannot cancel from another
 * thread. core/mailbox.h has the rules.
 */
#include "weir/op.h"

#include <unistd.h>

#include "weir/blocking.h"
#include "core/io/io.h"
#include "core/leaf.h"
#include "core/mailbox.h"
#include "core/task/task.h"
#include "core/time/clock.h"

static const uint32_t caps_needed[WEIR_OP_CODES] = {
	[WEIR_OP_ACCEPT] = WEIR_CAP_STREAM, [WEIR_OP_CONNECT] = WEIR_CAP_STREAM,
	[WEIR_OP_RECV] = WEIR_CAP_STREAM,   [WEIR_OP_RECV_LEASE] = WEIR_CAP_LEASE,
	[WEIR_OP_RECVV] = WEIR_CAP_STREAM,  [WEIR_OP_SEND] = WEIR_CAP_STREAM,
	[WEIR_OP_SENDV] = WEIR_CAP_STREAM,  [WEIR_OP_SEND_LEASE] = WEIR_CAP_STREAM,
	[WEIR_OP_POLL] = WEIR_CAP_FD,	    [WEIR_OP_OPEN] = WEIR_CAP_FILE,
	[WEIR_OP_READ] = WEIR_CAP_FILE,	    [WEIR_OP_WRITE] = WEIR_CAP_FILE,
	[WEIR_OP_STAT] = WEIR_CAP_FILE,	    [WEIR_OP_FSYNC] = WEIR_CAP_FILE,
	[WEIR_OP_RENAME] = WEIR_CAP_FILE,   [WEIR_OP_UNLINK] = WEIR_CAP_FILE,
	[WEIR_OP_MKDIR] = WEIR_CAP_FILE,
};

static bool has_handle(const struct weir_op *op)
{
	return op->code < WEIR_OP_OPEN;
}

static enum weir_homed side_of(const struct weir_op *op)
{
	switch (op->code) {
	case WEIR_OP_CONNECT:
	case WEIR_OP_SEND:
	case WEIR_OP_SENDV:
	case WEIR_OP_SEND_LEASE:
		return WEIR_HOMED_WRITES;
	default:
		return WEIR_HOMED_READS;
	}
}

/* Sends the op to the home of its handle if it must be submitted there. True if it did. */
static bool send_home(struct weir_backend *io, struct weir_op *op)
{
	struct weir_handle *h = op->handle;
	struct weir_backend *home;

	if (WEIR_UNLIKELY(!has_handle(op)))
		return false;
	home = weir__load(&h->backend, WEIR_RELAXED);
	/*
	 * At home, too, an op goes behind those that were mailed before it. The acquire: if the
	 * home has let go of the handle, the backend's state is visible.
	 */
	if (WEIR_LIKELY(home == io && weir__mail_is_empty(&h->mail)) ||
	    !(io->caps & WEIR_CAP_HOMED) || !(weir__load(&h->homed, WEIR_ACQUIRE) & side_of(op)))
		return false;
	weir__asked_queue(&op->asked);
	if (weir__mail_put(&h->mail, &op->link))
		weir__handle_send(home, h);
	return true;
}

void weir__op_submit_at_home(struct weir_backend *io, struct weir_op *op)
{
	bool cancelled;

	op->backend = io;
	cancelled = !weir__asked_leave(&op->asked);
	io->ops->submit(io, op);
	if (WEIR_UNLIKELY(cancelled))
		weir__op_arrived(op);
}

/* A stream is attached when it connects. 0, or why the op cannot be started. */
static int attach_first(const struct weir_op *op)
{
	struct weir_handle *h = op->handle;

	if (!h || !weir__handle_is_unattached(h))
		return -EBADF;
	if (op->code != WEIR_OP_CONNECT)
		return -ENOTCONN;
	return weir__handle_attach_to_peer(h, op->u.connect.addr, op->u.connect.len);
}

static void assert_live(const struct weir_backend *home)
{
	(void)home;
	WEIR_ASSERT(weir__live_has(home) &&
		    "a stream, listener or fd is used after its runtime was freed");
}

/*
 * The instance of the calling worker that may serve the op: that of the handle's kind, or, without
 * a handle, the first that has the capability. NULL and *ret_err if there is none.
 */
static WEIR_NOINLINE struct weir_backend *choose_instance(const struct weir__worker *w,
							  const struct weir_op *op, int *ret_err)
{
	struct weir_backend *io, *home;

	if (!has_handle(op)) {
		*ret_err = -EOPNOTSUPP;
		return weir__driver_with_caps(&w->driver, caps_needed[op->code]);
	}
	home = op->handle ? weir__load(&op->handle->backend, WEIR_RELAXED) : NULL;
	if (!home) {
		*ret_err = attach_first(op);
		if (*ret_err < 0)
			return NULL;
		home = op->handle->backend;
	}
	assert_live(home);
	io = weir__driver_of_kind(&w->driver, home->ops);
	if (io && (io->caps & caps_needed[op->code]))
		return io;
	*ret_err = io ? -EOPNOTSUPP : -EXDEV;
	return NULL;
}

/* Whether the worker's first instance serves the op, because it has attached the handle. */
static inline bool is_of_first(const struct weir_backend *io, const struct weir_op *op)
{
	return has_handle(op) && op->handle &&
	       weir__load(&op->handle->backend, WEIR_RELAXED) == io &&
	       io->caps & caps_needed[op->code];
}

static void submit(struct weir__worker *w, struct weir_backend *io, struct weir_op *op)
{
	w->submitting = op;
	if (WEIR_LIKELY(!send_home(io, op))) {
		op->backend = io;
		io->ops->submit(io, op);
	}
	w->submitting = NULL;
}

static int op_take_result(struct weir_op *op)
{
	weir__leaf_disarm(&op->leaf);
	weir__store(&op->state, (uint8_t)WEIR_OP_IDLE, WEIR_RELAXED);
	return op->res;
}

/* The leaf is armed. Returns the result if the backend has it at once. */
static int op_submit(struct weir_backend *io, struct weir_op *op, struct weir_cx *cx)
{
	weir__store(&op->state, (uint8_t)WEIR_OP_INFLIGHT, WEIR_RELAXED);
	submit(cx->worker, io, op);
	if (weir__load(&op->state, WEIR_ACQUIRE) == WEIR_OP_DONE)
		return op_take_result(op);
	weir_coop_refund(cx);
	return WEIR_PENDING;
}

/* The number of bytes that a transfer asks for, at most one more than a result can hold. */
static size_t bytes_asked(const struct weir_op *op)
{
	const size_t most = (size_t)INT32_MAX + 1;
	size_t sum = 0;

	if (op->code == WEIR_OP_RECV || op->code == WEIR_OP_SEND)
		return op->u.io.len;
	for (unsigned i = 0; i < op->u.iov.count && sum < most; i++) {
		size_t len = op->u.iov.iov[i].iov_len;

		sum = len < most - sum ? sum + len : most;
	}
	return sum;
}

/* True if a buffer is NULL although its length is not 0. */
static bool lacks_memory(const struct weir_op *op)
{
	if (op->code == WEIR_OP_RECV || op->code == WEIR_OP_SEND)
		return !op->u.io.buf && op->u.io.len;
	if (!op->u.iov.iov)
		return op->u.iov.count;
	for (unsigned i = 0; i < op->u.iov.count; i++)
		if (!op->u.iov.iov[i].iov_base && op->u.iov.iov[i].iov_len)
			return true;
	return false;
}

/*
 * Checks a transfer before a backend sees it. Returns its result if that is known, or
 * WEIR_PENDING.
 */
static int transfer_check(const struct weir_op *op)
{
	bool receives = op->code == WEIR_OP_RECV || op->code == WEIR_OP_RECVV;
	bool all = op->flags & WEIR_OP_ALL;
	size_t bytes;

	/* What the kernel would return; checked here because a backend may copy first. */
	if (lacks_memory(op))
		return -EFAULT;
	bytes = bytes_asked(op);
	if (bytes > INT32_MAX && all)
		return -EINVAL;
	/* With a buffer of 0 bytes, "no data yet" and "end of stream" would look the same. */
	if (bytes == 0 && receives)
		return all ? 0 : -EINVAL;
	return WEIR_PENDING;
}

/* A quick test for the transfers that transfer_check may refuse. */
static inline bool is_transfer_to_check(const struct weir_op *op)
{
	switch (op->code) {
	case WEIR_OP_RECV:
	case WEIR_OP_SEND:
		return !op->u.io.buf || op->u.io.len - 1u >= INT32_MAX;
	case WEIR_OP_RECVV:
	case WEIR_OP_SENDV:
		return true;
	default:
		return false;
	}
}

static int op_start(struct weir_op *op, struct weir_cx *cx)
{
	struct weir__worker *w = cx->worker;
	struct weir_backend *io;
	int err;

	if (WEIR_UNLIKELY(weir__asked_is_cancelled(&op->asked)))
		return -ECANCELED;
	if (WEIR_UNLIKELY(!w))
		return -ENXIO;
	if (WEIR_UNLIKELY(!w->driver.io))
		return -ENODEV;
	io = w->driver.io;
	if (WEIR_UNLIKELY(!is_of_first(io, op)) && !(io = choose_instance(w, op, &err)))
		return err;
	if (WEIR_UNLIKELY(is_transfer_to_check(op))) {
		int rc = transfer_check(op);

		if (rc != WEIR_PENDING)
			return rc;
	}
	if (WEIR_UNLIKELY(!weir_coop_take(cx)))
		return WEIR_PENDING;
	weir__leaf_arm(&op->leaf, cx);
	op->next = NULL;
	return op_submit(io, op, cx);
}

/*
 * The backend returned the op for a retry, but it was cancelled: tell the backend, which completes
 * it.
 */
static int op_give_up(struct weir_op *op)
{
	struct weir__worker *w = weir__worker_current();

	/*
	 * The task may be on any worker now; only backends with WEIR_CAP_POLL_ANY return ops for a
	 * retry.
	 */
	WEIR_ASSERT(op->backend->caps & WEIR_CAP_POLL_ANY);
	weir__store(&op->state, (uint8_t)WEIR_OP_INFLIGHT, WEIR_RELAXED);
	w->submitting = op;
	op->backend->ops->cancel(op->backend, op);
	w->submitting = NULL;
	WEIR_ASSERT(op->state == WEIR_OP_DONE);
	return op_take_result(op);
}

static int op_retry(struct weir_op *op, struct weir_cx *cx)
{
	if (WEIR_UNLIKELY(weir__asked_is_cancelled(&op->asked)))
		return op_give_up(op);
	if (WEIR_UNLIKELY(!weir_coop_take(cx)))
		return WEIR_PENDING;
	return op_submit(weir__driver_of_kind(&cx->worker->driver, op->backend->ops), op, cx);
}

static int op_poll(struct weir_future *future, struct weir_cx *cx)
{
	struct weir_op *op = WEIR_CONTAINER_OF(future, struct weir_op, future);
	uint8_t state = weir__load(&op->state, WEIR_ACQUIRE);

	if (state == WEIR_OP_IDLE)
		return op_start(op, cx);
	if (state == WEIR_OP_INFLIGHT)
		return WEIR_PENDING;
	if (WEIR_UNLIKELY(weir__asked_is_queued(&op->asked)))
		return WEIR_PENDING;
	return WEIR_LIKELY(state == WEIR_OP_RETRY) ? op_retry(op, cx) : op_take_result(op);
}

/*
 * Returns the op to its caller and wakes it. The task's home becomes w, the calling worker, if w
 * is not NULL.
 */
static void hand_back(struct weir__worker *w, struct weir_op *op, enum weir_op_state state)
{
	struct weir__wakeup wakeup;
	struct weir_task *task;

	weir__leaf_waker(&op->leaf, &wakeup);
	if (w && (task = weir__wakeup_task(&wakeup)))
		weir__store(&task->home, w->index, WEIR_RELAXED);
	/* Pairs with the load in op_poll; the op may be gone after it. */
	weir__store(&op->state, (uint8_t)state, WEIR_RELEASE);
	weir__waker_fire(&wakeup);
}

void weir_backend_complete(struct weir_op *op, int res)
{
	struct weir__worker *w = weir__worker_current();

	/* RETRY is allowed if a cancel was on its way to the backend when it returned the op. */
	WEIR_ASSERT(op->state == WEIR_OP_INFLIGHT ||
		    (op->state == WEIR_OP_RETRY && weir__asked_is_cancelled(&op->asked)));
	op->res = res;
	if (w) {
		weir__count(&w->metrics.completions, 1);
		if (w->submitting == op) {
			weir__store(&op->state, (uint8_t)WEIR_OP_DONE, WEIR_RELAXED);
			return;
		}
	}
	hand_back(w, op, WEIR_OP_DONE);
}

void weir_backend_retry(struct weir_op *op)
{
	WEIR_ASSERT(op->state == WEIR_OP_INFLIGHT);
	hand_back(weir__worker_current(), op, WEIR_OP_RETRY);
}

/* ---- cancel ---- */

void weir__op_arrived(struct weir_op *op)
{
	struct weir__wakeup wakeup;

	/* Off the workers, the op's task never runs again. */
	if (WEIR_UNLIKELY(!weir__worker_current()))
		return;
	if (weir__load(&op->state, WEIR_ACQUIRE) == WEIR_OP_INFLIGHT) {
		(void)weir__asked_take(&op->asked);
		op->backend->ops->cancel(op->backend, op);
		return;
	}
	/* The op's result has waited for its link to arrive. */
	weir__leaf_waker(&op->leaf, &wakeup);
	(void)weir__asked_take(&op->asked);
	weir__waker_fire(&wakeup);
}

static void op_cancel(struct weir_future *future)
{
	struct weir_op *op = WEIR_CONTAINER_OF(future, struct weir_op, future);
	uint8_t state = weir__load(&op->state, WEIR_ACQUIRE);
	struct weir_backend *be;

	if (state == WEIR_OP_DONE || !weir__asked_cancel(&op->asked) || state != WEIR_OP_INFLIGHT)
		return;
	be = op->backend;
	if ((be->caps & WEIR_CAP_POLL_ANY) || be->worker == weir__worker_current()) {
		be->ops->cancel(be, op);
		return;
	}
	weir__asked_queue(&op->asked);
	weir__post(be, weir__mail_tag(&op->link, WEIR__MAIL_OP));
}

/*
 * Closes a connection that nobody accepts, with a reset: its client must not mistake it for an
 * empty response.
 */
static void refuse(struct weir_handle *h)
{
	int seconds = 0;

	(void)weir__handle_control(h, WEIR_CTL_LINGER, &seconds, sizeof(seconds));
	weir__handle_close(h, NULL);
}

static void close_file(void *fd)
{
	close((int)(intptr_t)fd);
}

static int close_job(void *fd)
{
	close_file(fd);
	return 0;
}

/*
 * Closing a file may block, for example on a network file system or a terminal. So a blocking
 * thread closes it; if there is no memory or thread for that, it is closed here.
 */
static void discard_file(int fd)
{
	(void)weir_blocking_spawn_or_drop(NULL, close_job, (void *)(intptr_t)fd, close_file);
}

/* Releases what the result holds: nobody will look at it. */
static void op_discard(struct weir_future *future)
{
	struct weir_op *op = WEIR_CONTAINER_OF(future, struct weir_op, future);

	if (op->code == WEIR_OP_RECV_LEASE && op->res > 0)
		weir_lease_return(op->u.lease.lease);
	else if (op->code == WEIR_OP_ACCEPT && op->res == 0)
		refuse(op->u.accept.handle);
	else if (op->code == WEIR_OP_OPEN && op->res >= 0)
		discard_file(op->res);
}

static const struct weir_future_ops op_ops = { "I/O operation", op_poll, op_cancel, op_discard };

/* With its result, whatever that is, a send returns the lease, if the backend has not kept it. */
static int send_lease_poll(struct weir_future *future, struct weir_cx *cx)
{
	struct weir_op *op = WEIR_CONTAINER_OF(future, struct weir_op, future);
	int rc = op_poll(future, cx);

	if (rc != WEIR_PENDING)
		weir_lease_return(op->u.lease.lease);
	return rc;
}

static const struct weir_future_ops send_lease_ops = { "I/O operation", send_lease_poll, op_cancel,
						       NULL };

/* ---- setting up ---- */

static void op_init(struct weir_op *op, enum weir_op_code code, struct weir_handle *handle,
		    unsigned flags)
{
	weir__leaf_init(&op->leaf, &op_ops);
	op->code = (uint8_t)code;
	op->state = WEIR_OP_IDLE;
	op->flags = (uint8_t)flags;
	op->asked = 0;
	op->res = 0;
	op->handle = handle;
}

/*
 * A shorter transfer is allowed unless all bytes are required (WEIR_OP_ALL). Then one byte more
 * than the limit is kept, which transfer_check refuses.
 */
static uint32_t clamp_len(size_t len, unsigned flags)
{
	const uint32_t most = flags & WEIR_OP_ALL ? INT32_MAX + 1u : INT32_MAX;

	return len > most ? most : (uint32_t)len;
}

void weir_op_init_recv(struct weir_op *op, struct weir_handle *handle, void *buf, size_t len,
		       unsigned flags)
{
	op_init(op, WEIR_OP_RECV, handle, flags);
	op->u.io.buf = buf;
	op->u.io.len = clamp_len(len, flags);
	op->u.io.done = 0;
}

void weir_op_init_recv_lease(struct weir_op *op, struct weir_handle *handle,
			     struct weir_lease *ret_lease)
{
	op_init(op, WEIR_OP_RECV_LEASE, handle, 0);
	*ret_lease = (struct weir_lease){ NULL, 0, 0, NULL };
	op->u.lease.lease = ret_lease;
	op->u.lease.max = 0;
}

void weir_op_init_recvv(struct weir_op *op, struct weir_handle *handle, const struct iovec *iov,
			unsigned count)
{
	op_init(op, WEIR_OP_RECVV, handle, 0);
	op->u.iov.iov = iov;
	op->u.iov.count = count;
	op->u.iov.done = 0;
}

void weir_op_init_send(struct weir_op *op, struct weir_handle *handle, const void *buf, size_t len,
		       unsigned flags)
{
	op_init(op, WEIR_OP_SEND, handle, flags);
	op->u.io.buf = (uint8_t *)(uintptr_t)buf;
	op->u.io.len = clamp_len(len, flags);
	op->u.io.done = 0;
}

void weir_op_init_sendv(struct weir_op *op, struct weir_handle *handle, const struct iovec *iov,
			unsigned count, unsigned flags)
{
	op_init(op, WEIR_OP_SENDV, handle, flags);
	op->u.iov.iov = iov;
	op->u.iov.count = count;
	op->u.iov.done = 0;
}

void weir_op_init_send_lease(struct weir_op *op, struct weir_handle *handle,
			     struct weir_lease *lease)
{
	op_init(op, WEIR_OP_SEND_LEASE, handle, WEIR_OP_ALL);
	op->future.ops = &send_lease_ops;
	if (!lease->data)
		lease->len = 0;
	op->u.lease.lease = lease;
	op->u.lease.done = 0;
}

void weir_op_init_accept(struct weir_op *op, struct weir_handle *listener,
			 struct weir_handle *ret_handle)
{
	op_init(op, WEIR_OP_ACCEPT, listener, 0);
	op->u.accept.handle = ret_handle;
}

void weir_op_init_connect(struct weir_op *op, struct weir_handle *handle,
			  const struct sockaddr *addr, socklen_t len)
{
	op_init(op, WEIR_OP_CONNECT, handle, 0);
	op->u.connect.addr = addr;
	op->u.connect.len = len;
	op->u.connect.started = 0;
}

void weir_op_init_poll(struct weir_op *op, struct weir_handle *handle, unsigned events)
{
	op_init(op, WEIR_OP_POLL, handle, 0);
	op->u.poll.events = events;
}

/* ---- files ---- */

static void path_init(struct weir_op *op, enum weir_op_code code, const char *path, const void *to,
		      int flags, unsigned mode)
{
	op_init(op, code, NULL, 0);
	op->u.path.path = path;
	op->u.path.to = (void *)(uintptr_t)to;
	op->how.flags = flags;
	op->how.mode = mode;
}

static void file_init(struct weir_op *op, enum weir_op_code code, int fd, const void *buf,
		      size_t len, uint64_t offset)
{
	op_init(op, code, NULL, 0);
	op->target.fd = fd;
	op->target.len = clamp_len(len, 0);
	op->u.file.buf = (uint8_t *)(uintptr_t)buf;
	op->u.file.offset = offset;
}

void weir_op_init_open(struct weir_op *op, const char *path, int flags, unsigned mode)
{
	path_init(op, WEIR_OP_OPEN, path, NULL, flags, mode);
}

void weir_op_init_read(struct weir_op *op, int fd, void *buf, size_t len, uint64_t offset)
{
	file_init(op, WEIR_OP_READ, fd, buf, len, offset);
}

void weir_op_init_write(struct weir_op *op, int fd, const void *buf, size_t len, uint64_t offset)
{
	file_init(op, WEIR_OP_WRITE, fd, buf, len, offset);
}

void weir_op_init_stat(struct weir_op *op, const char *path, void *ret_statx)
{
	path_init(op, WEIR_OP_STAT, path, ret_statx, 0, 0);
}

void weir_op_init_fsync(struct weir_op *op, int fd, bool data_only)
{
	file_init(op, WEIR_OP_FSYNC, fd, NULL, data_only, 0);
}

void weir_op_init_rename(struct weir_op *op, const char *from, const char *to)
{
	path_init(op, WEIR_OP_RENAME, from, to, 0, 0);
}

void weir_op_init_unlink(struct weir_op *op, const char *path, int flags)
{
	path_init(op, WEIR_OP_UNLINK, path, NULL, flags, 0);
}

void weir_op_init_mkdir(struct weir_op *op, const char *path, unsigned mode)
{
	path_init(op, WEIR_OP_MKDIR, path, NULL, 0, mode);
}
