/* SPDX-License-Identifier: MIT */
/*
 * listener.c: listeners of one socket, and accepting as a future. Several sockets on
 * one port are shards.c's.
 *
 *	START ──► OP ──► (0) DONE
 *	           │ out of descriptors or memory; connections that died, many in a row
 *	           ├──► SLEEP ──► OP		5 ms, doubled each time up to 1 s
 *	           └──► YIELD ──► OP		the same without a time driver
 *
 * A listener may be closed while accepts are pending in other tasks; each holds a
 * count on it, and the last one frees it. A connection is never lost: cancelled or
 * not, an accept whose operation got one reports it.
 */
#include <stdlib.h>
#include <string.h>

#include "core/assert.h"
#include "core/atomic.h"
#include "core/io/io.h"
#include "core/sized.h"
#include "core/worker.h"
#include "net/net.h"

#define PAUSE_FIRST_NS (5 * WEIR_MSEC)
#define PAUSE_MAX_NS WEIR_SEC

enum accept_phase {
	START,
	OP,
	SLEEP,
	YIELD,
	DONE,
};

void weir__listener_hold(struct weir_listener *listener)
{
	weir__fetch_add(&listener->holds, 1u, WEIR_RELAXED);
}

/* Pairs with itself: the last holder sees what the others did. */
void weir__listener_drop(struct weir_listener *listener)
{
	if (weir__fetch_sub(&listener->holds, 1u, WEIR_ACQ_REL) != 1)
		return;
	if (listener->shards)
		weir__shards_free(listener);
	free(listener);
}

static void listener_released(struct weir_handle *handle)
{
	weir__listener_drop(WEIR_CONTAINER_OF(handle, struct weir_listener, handle));
}

/*
 * The gate, so that no accept starts an operation while the handle is being closed: a count of
 * those who are inside, and a bit that lets nobody in any more. The last one out closes.
 */
#define GATE_CLOSED 1u
#define GATE_ONE 2u

static bool gate_is_closed(const struct weir_listener *listener)
{
	return weir__load(&listener->gate, WEIR_ACQUIRE) & GATE_CLOSED;
}

static bool gate_enter(struct weir_listener *listener)
{
	uint32_t found = weir__load(&listener->gate, WEIR_RELAXED);

	do {
		if (found & GATE_CLOSED)
			return false;
	} while (!weir__cas_weak(&listener->gate, &found, found + GATE_ONE, WEIR_ACQUIRE,
				 WEIR_RELAXED));
	return true;
}

/* Pairs with itself and weir__listener_close_one: who closes sees what the others did. */
static void gate_leave(struct weir_listener *listener)
{
	if (weir__fetch_sub(&listener->gate, GATE_ONE, WEIR_ACQ_REL) == (GATE_CLOSED | GATE_ONE))
		weir__handle_close(&listener->handle, listener_released);
}

/*
 * Accepted sockets inherit these, which saves a system call or more on each. Nothing is lost if
 * that fails: the simulation has none.
 */
static void set_inherited(struct weir_handle *handle, const struct weir_listener_config *cfg)
{
	struct weir_keepalive keepalive = cfg->keepalive;
	int on = 1;

	if (!cfg->no_nodelay)
		weir__handle_control(handle, WEIR_CTL_NODELAY, &on, sizeof(on));
	if (keepalive.idle_s > 0)
		weir__handle_control(handle, WEIR_CTL_KEEPALIVE, &keepalive, sizeof(keepalive));
}

int weir__listener_new(const struct weir_handle_spec *spec, const struct weir_listener_config *cfg,
		       struct weir_listener **ret_listener)
{
	struct weir_listener *self = calloc(1, sizeof(*self));
	int rc;

	if (!self)
		return -ENOMEM;
	self->holds = 1;
	self->shards_len = 1;
	rc = weir__handle_attach(&self->handle, spec);
	if (rc < 0) {
		free(self);
		return rc;
	}
	if (spec->family != AF_UNIX)
		set_inherited(&self->handle, cfg);
	self->worker = (uint16_t)weir_rt_worker_index();
	*ret_listener = self;
	return 0;
}

static int read_config(const struct weir_listener_config *cfg,
		       struct weir_listener_config *ret_cfg)
{
	struct weir_listener_config full = WEIR_LISTENER_CONFIG_INIT;
	int rc = cfg ? weir__sized_read(&full, cfg) : 0;

	if (rc < 0)
		return rc;
	if (full.backlog < 0 || full.shards > WEIR_SHARDS_WORKER || full.steer > WEIR_STEER_CPU ||
	    (full.steer && full.reuse_port))
		return -EINVAL;
	if (full.backlog == 0)
		full.backlog = 4096;
	*ret_cfg = full;
	return 0;
}

int weir_listener_open_addr(const struct weir_addr *addr, const struct weir_listener_config *cfg,
			    struct weir_listener **ret_listener)
{
	struct weir_handle_spec spec = { .kind = WEIR_HANDLE_LISTENER, .fd = -1 };
	struct weir_listener_config full;
	int rc = read_config(cfg, &full);
	unsigned shards;

	if (rc < 0)
		return rc;
	if (!weir__addr_usable(addr))
		return -EINVAL;
	spec.addr = &addr->u.sa;
	spec.addr_len = addr->len;
	spec.family = addr->u.sa.sa_family;
	spec.backlog = full.backlog;
	spec.reuse_port = full.reuse_port;
	spec.v6_only = full.v6_only;
	shards = weir__shards_wanted(full.shards, spec.family);
	if (shards > 1)
		return weir__shards_open(&spec, &full, shards, ret_listener);
	return weir__listener_new(&spec, &full, ret_listener);
}

int weir_listener_open(const char *addr, const struct weir_listener_config *cfg,
		       struct weir_listener **ret_listener)
{
	struct weir_addr parsed;
	int rc = weir_addr_parse(addr, &parsed);

	return rc < 0 ? rc : weir_listener_open_addr(&parsed, cfg, ret_listener);
}

int weir_listener_adopt(int fd, const struct weir_listener_config *cfg,
			struct weir_listener **ret_listener)
{
	struct weir_handle_spec spec = { .kind = WEIR_HANDLE_LISTENER, .fd = fd };
	struct weir_listener_config full;
	int rc = read_config(cfg, &full);
	int listening;

	if (rc < 0)
		return rc;
	rc = weir__adoptable(fd, &listening);
	if (rc < 0)
		return rc;
	if (!listening)
		return -EINVAL;
	return weir__listener_new(&spec, &full, ret_listener);
}

int weir_listener_addr(struct weir_listener *listener, struct weir_addr *ret_addr)
{
	return weir__handle_addr(&listener->handle, WEIR_CTL_LOCAL_ADDR, ret_addr);
}

unsigned weir_listener_shards(const struct weir_listener *listener)
{
	return listener->shards_len;
}

int weir_listener_steer_error(const struct weir_listener *listener)
{
	return listener->steer_error;
}

void weir__listener_close_one(struct weir_listener *listener)
{
	if (weir__fetch_or(&listener->gate, GATE_CLOSED, WEIR_ACQ_REL) == 0)
		weir__handle_close(&listener->handle, listener_released);
}

/* The first one last: it has the list of them. */
void weir_listener_close(struct weir_listener *listener)
{
	if (!listener)
		return;
	for (unsigned i = listener->shards_len; i-- > 1;)
		weir__listener_close_one(listener->shards[i]);
	weir__listener_close_one(listener);
}

/* ---- the future ---- */

/* The accept holds nothing from here on. */
static int leave(struct weir_accept *self, int rc)
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
		weir__listener_drop(listener);
	return rc;
}

/* Hold the shard of this worker. The hold is what `listener` != NULL means after START. */
static int begin(struct weir_accept *self, const struct weir_cx *cx)
{
	struct weir_listener *listener = self->listener;

	if (!self->exactly && cx->worker)
		listener = self->listener = weir__shard_of(listener, cx->worker);
	if (self->cancelled || gate_is_closed(listener)) {
		self->listener = NULL;
		return leave(self, -ECANCELED);
	}
	weir__listener_hold(listener);
	return 0;
}

static void pause_accepting(struct weir_accept *self)
{
	weir_sleep_init(&self->u.sleep, self->tries ? 0 : weir_deadline_in(self->pause_ns));
	self->pause_ns *= 2;
	if (self->pause_ns > PAUSE_MAX_NS)
		self->pause_ns = PAUSE_MAX_NS;
	self->phase = SLEEP;
}

/* The next try, with a handle as good as new. */
static void submit(struct weir_accept *self)
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

static bool stopped(const struct weir_accept *self)
{
	return self->cancelled || gate_is_closed(self->listener);
}

static bool is_shortage(int res)
{
	return res == -EMFILE || res == -ENFILE || res == -ENOBUFS || res == -ENOMEM;
}

/* Of connections in the queue; an operation has passed over some already. */
static bool is_of_the_dead(int res)
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

/* A shortage is over some time. Who hears of nothing but the dead until the longest pause, says so. */
static bool is_passing(const struct weir_accept *self, int res)
{
	return !self->tries &&
	       (is_shortage(res) || (is_of_the_dead(res) && self->pause_ns < PAUSE_MAX_NS));
}

/* Take in what the operation answered; true if that ends the future, with *ret_rc. */
static bool answered(struct weir_accept *self, int res, int *ret_rc)
{
	if (res >= 0) {
		*ret_rc = leave(self, 0);
		return true;
	}
	if (stopped(self))
		res = -ECANCELED;
	if (is_passing(self, res)) {
		pause_accepting(self);
		return false;
	}
	*ret_rc = leave(self, res);
	return true;
}

/* After a pause: 0 when the next try is under way, else the future's result. */
static int resume(struct weir_accept *self, int res)
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

/* An operation that has started is polled to its end; none starts on a closed listener. */
static int poll_op(struct weir_accept *self, struct weir_cx *cx)
{
	struct weir_listener *listener = self->listener;
	int rc;

	if (!gate_enter(listener))
		return weir__load(&self->u.op.state, WEIR_RELAXED) == WEIR_OP_IDLE
			       ? -ECANCELED
			       : weir_poll(&self->u.op.leaf.future, cx);
	rc = weir_poll(&self->u.op.leaf.future, cx);
	gate_leave(listener);
	return rc;
}

static int accept_poll(struct weir_future *future, struct weir_cx *cx)
{
	struct weir_accept *self = WEIR_CONTAINER_OF(future, struct weir_accept, future);
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
			rc = weir_poll(&self->u.sleep.leaf.future, cx);
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
	struct weir_accept *self = WEIR_CONTAINER_OF(future, struct weir_accept, future);

	self->cancelled = true;
	if (self->phase == OP)
		weir_cancel(&self->u.op.leaf.future);
	else if (self->phase == SLEEP)
		weir_cancel(&self->u.sleep.leaf.future);
}

static void accept_discard(struct weir_future *future)
{
	struct weir_accept *self = WEIR_CONTAINER_OF(future, struct weir_accept, future);

	weir_accept_fini(self);
	/* As those in the queues of a listener that is closed: its client was never served. */
	weir_tcp_reset(self->conn);
	self->conn = NULL;
}

static const struct weir_future_ops accept_ops = {
	.name = "accept",
	.poll = accept_poll,
	.cancel = accept_cancel,
	.discard = accept_discard,
};

void weir_accept_init(struct weir_accept *accept, struct weir_listener *listener,
		      struct weir_tcp **ret_conn)
{
	accept->future.ops = &accept_ops;
	accept->listener = listener;
	accept->ret_conn = ret_conn;
	accept->conn = NULL;
	accept->pause_ns = PAUSE_FIRST_NS;
	accept->phase = START;
	accept->cancelled = accept->tries = accept->exactly = false;
}

/*
 * The task is being unwound: its operation is over, and what it accepted has been discarded
 * with it, so that the handle is empty or open.
 */
void weir_accept_fini(struct weir_accept *accept)
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
	struct weir_accept accept;

	weir_accept_init(&accept, listener, ret_conn);
	accept.tries = true;
	return weir_await(&accept.future);
}

int weir_listener_accept_until(struct weir_listener *listener, uint64_t deadline,
			       struct weir_tcp **ret_conn)
{
	struct weir_accept accept;

	weir_accept_init(&accept, listener, ret_conn);
	return weir__net_await(&accept.future, deadline);
}

int weir_listener_accept(struct weir_listener *listener, struct weir_tcp **ret_conn)
{
	return weir_listener_accept_until(listener, WEIR_FOREVER, ret_conn);
}
