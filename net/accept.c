/* SPDX-License-Identifier: MIT */
/*
 * accept.c: accepting as a future.
 *
 *	START ──► OP ──► (0) DONE
 *	           │ out of descriptors or memory, or many dead connections in a row
 *	           ├──► SLEEP ──► OP		5 ms, doubled each time up to 1 s
 *	           └──► YIELD ──► OP		the same without a time driver
 *
 * No connection is lost: an accept whose operation got one returns it, even if it was
 * cancelled. listener.c says how closing the listener stops accepts.
 */
#include <stdlib.h>
#include <string.h>

#include "core/assert.h"
#include "core/atomic.h"
#include "net/net.h"

#define PAUSE_FIRST_NS (5 * WEIR_MSEC)
#define PAUSE_MAX_NS WEIR_SEC
#define DEAD_MAX 8	/* in a row: enough tries to reach the longest pause */

enum accept_phase {
	START,
	OP,
	SLEEP,
	YIELD,
	DONE,
};

/* Finish with rc: release everything that the accept holds. */
static int leave(struct weir_accept_future *self, int rc)
{
	struct weir_listener *listener = self->listener;

	self->phase = DONE;
	self->listener = NULL;
	if (rc < 0) {
		free(self->conn);
		self->conn = NULL;
	} else {
		*self->ret_conn = self->conn;
	}
	if (listener)
		weir__listener_unref(listener);
	return rc;
}

/* Choose this worker's shard and hold it. After START, `listener` is not NULL while it is held. */
static int begin(struct weir_accept_future *self, const struct weir_cx *cx)
{
	struct weir_listener *listener = self->listener;

	if (!self->exactly && cx->worker)
		listener = self->listener = weir__shard_of(listener, cx->worker);
	if (self->cancelled || weir__listener_is_closed(listener)) {
		self->listener = NULL;
		return leave(self, -ECANCELED);
	}
	weir__listener_ref(listener);
	return 0;
}

static void pause_accepting(struct weir_accept_future *self)
{
	weir_sleep_init(&self->u.sleep, self->tries ? 0 : weir_deadline_in(self->pause_ns));
	self->pause_ns *= 2;
	if (self->pause_ns > PAUSE_MAX_NS)
		self->pause_ns = PAUSE_MAX_NS;
	self->phase = SLEEP;
}

/* Start the next try, with a cleared handle. */
static void submit(struct weir_accept_future *self)
{
	if (!self->conn)
		self->conn = weir__tcp_alloc();
	if (!self->conn) {
		pause_accepting(self);
		return;
	}
	memset(&self->conn->handle, 0, sizeof(self->conn->handle));
	weir_op_init_accept(&self->u.op, &self->listener->handle, &self->conn->handle);
	if (self->tries)
		self->u.op.flags |= WEIR_OP_TRY;
	self->phase = OP;
}

static bool stopped(const struct weir_accept_future *self)
{
	return self->cancelled || weir__listener_is_closed(self->listener);
}

static bool is_shortage(int res)
{
	return res == -EMFILE || res == -ENFILE || res == -ENOBUFS || res == -ENOMEM;
}

/* Errors of connections in the queue that died; the operation has skipped several already. */
static bool is_dead_connection(int res)
{
	switch (res) {
	case -ECONNABORTED:
	case -EPROTO:
	case -ENETDOWN:
	case -ENOPROTOOPT:
	case -EHOSTDOWN:
#ifdef ENONET
	case -ENONET:
#endif
	case -EHOSTUNREACH:
	case -ENETUNREACH:
	case -EINTR:
		return true;
	default:
		return false;
	}
}

/* Whether to try again after a pause: after a shortage, or after not too many dead connections. */
static bool is_temporary(struct weir_accept_future *self, int res)
{
	if (self->tries)
		return false;
	if (is_dead_connection(res))
		return ++self->dead <= DEAD_MAX;
	self->dead = 0;
	return is_shortage(res);
}

/* Handle the operation's result; true if the future ends with *ret_rc. */
static bool answered(struct weir_accept_future *self, int res, int *ret_rc)
{
	if (res >= 0) {
		*ret_rc = leave(self, 0);
		return true;
	}
	if (stopped(self))
		res = -ECANCELED;
	if (is_temporary(self, res)) {
		pause_accepting(self);
		return false;
	}
	*ret_rc = leave(self, res);
	return true;
}

/* After a pause: start the next try and return 0, or return the future's result. */
static int resume(struct weir_accept_future *self, int res)
{
	if (self->phase == SLEEP && res == -ENODEV) {
		weir_yield_init(&self->u.yield);
		self->phase = YIELD;
		return 0;
	}
	if (stopped(self))
		return leave(self, -ECANCELED);
	if (res < 0 || self->tries)
		return leave(self, res < 0 ? res : -ENOMEM);
	submit(self);
	return 0;
}

/* A started operation is polled to its end; on a closed listener none is started. */
static int poll_op(struct weir_accept_future *self, struct weir_cx *cx)
{
	struct weir_listener *listener = self->listener;
	int rc;

	if (!weir__listener_enter(listener))
		return weir__load(&self->u.op.state, WEIR_RELAXED) == WEIR_OP_IDLE
			       ? -ECANCELED
			       : weir_poll(&self->u.op.future, cx);
	rc = weir_poll(&self->u.op.future, cx);
	weir__listener_leave(listener);
	return rc;
}

static int accept_poll(struct weir_future *future, struct weir_cx *cx)
{
	struct weir_accept_future *self =
		WEIR_CONTAINER_OF(future, struct weir_accept_future, future);
	int rc;

	if (self->phase == START) {
		rc = begin(self, cx);
		if (rc < 0)
			return rc;
		submit(self);
	}
	for (;;) {
		switch (self->phase) {
		case OP:
			rc = poll_op(self, cx);
			if (rc == WEIR_PENDING || answered(self, rc, &rc))
				return rc;
			break;
		case SLEEP:
			rc = weir_poll(&self->u.sleep.future, cx);
			if (rc == WEIR_PENDING || (rc = resume(self, rc)) < 0)
				return rc;
			break;
		case YIELD:
			rc = weir_poll(&self->u.yield.future, cx);
			if (rc == WEIR_PENDING || (rc = resume(self, rc)) < 0)
				return rc;
			break;
		default:
			WEIR_ASSERT(!"polled after its result");
			return -EINVAL;
		}
	}
}

static void accept_cancel(struct weir_future *future)
{
	struct weir_accept_future *self =
		WEIR_CONTAINER_OF(future, struct weir_accept_future, future);

	self->cancelled = true;
	if (self->phase == OP)
		weir_cancel(&self->u.op.future);
	else if (self->phase == SLEEP)
		weir_cancel(&self->u.sleep.future);
}

static void accept_discard(struct weir_future *future)
{
	struct weir_accept_future *self =
		WEIR_CONTAINER_OF(future, struct weir_accept_future, future);

	weir_accept_fini(self);
	/*
	 * Reset it, as a close resets the connections in its queues: the client was never served.
	 */
	weir_tcp_reset(self->conn);
	self->conn = NULL;
}

static const struct weir_future_ops accept_ops = {
	.name = "accept",
	.poll = accept_poll,
	.cancel = accept_cancel,
	.discard = accept_discard,
};

void weir_accept_init(struct weir_accept_future *accept, struct weir_listener *listener,
		      struct weir_tcp **ret_conn)
{
	accept->future.ops = &accept_ops;
	accept->listener = listener;
	accept->ret_conn = ret_conn;
	accept->conn = NULL;
	accept->pause_ns = PAUSE_FIRST_NS;
	accept->phase = START;
	accept->dead = 0;
	accept->cancelled = accept->tries = accept->exactly = false;
}

/*
 * The task is being unwound. Its operation is over, and a connection that it accepted was
 * discarded, so the handle is empty or open.
 */
void weir_accept_fini(struct weir_accept_future *accept)
{
	if (accept->phase == START || accept->phase == DONE)
		return;
	WEIR_ASSERT(accept->phase != OP || accept->u.op.state != WEIR_OP_INFLIGHT);
	weir_tcp_reset(accept->conn);
	accept->conn = NULL;
	leave(accept, -ECANCELED);
}

int weir_listener_accept_try(struct weir_listener *listener, struct weir_tcp **ret_conn)
{
	struct weir_accept_future accept;

	weir_accept_init(&accept, listener, ret_conn);
	accept.tries = true;
	return weir_await(&accept.future);
}

int weir_listener_accept_until(struct weir_listener *listener, uint64_t deadline,
			       struct weir_tcp **ret_conn)
{
	struct weir_accept_future accept;

	weir_accept_init(&accept, listener, ret_conn);
	return weir__net_await(&accept.future, deadline);
}

int weir_listener_accept(struct weir_listener *listener, struct weir_tcp **ret_conn)
{
	return weir_listener_accept_until(listener, WEIR_FOREVER, ret_conn);
}
