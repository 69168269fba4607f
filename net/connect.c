/* SPDX-License-Identifier: MIT */
/*
 * connect.c: connecting to one of several addresses as a future.
 *
 *	START ──► RACE ──► END ──► DONE
 *
 * During RACE, attempts start one after the other: the next one after 250 ms without an
 * answer, or at once when one has failed. RACE ends with the first connection, with the
 * last failure, or when the future is cancelled. In END the other attempts are cancelled
 * and waited for, and those that connect in the meantime are closed.
 *
 * The attempts of several addresses are on the heap from START to DONE; a single address
 * needs no memory. Each attempt owns its stream until it wins.
 *
 * Source: RFC 8305 (happy eyeballs, version 2), sections 4 and 5
 */
#include <stdlib.h>
#include <string.h>

#include "core/assert.h"
#include "core/task/task.h"
#include "net/net.h"

#define ATTEMPT_DELAY_NS (250 * WEIR_MSEC)
#define FULL_FIRST_NS WEIR_MSEC
#define FULL_MAX_NS (64 * WEIR_MSEC)

enum phase {
	START,
	RACE,
	END,
	DONE,
};

/* ---- the order ---- */

static int family_of(const struct weir_connect_future *self, unsigned i)
{
	return self->addrs[i].u.sa.sa_family;
}

/* The next untried address, preferably of another family than the last one. */
static unsigned next_addr(const struct weir_connect_future *self)
{
	unsigned last = self->attempts[self->begun - 1].addr, found = self->count;

	for (unsigned k = 0; k < self->count; k++) {
		unsigned i = (self->first + k) % self->count;

		if (self->tried & 1u << i)
			continue;
		if (family_of(self, i) != family_of(self, last))
			return i;
		if (found == self->count)
			found = i;
	}
	return found;
}

/* ---- attempts ---- */

/*
 * Whether the socket has connected to itself. This can happen if nobody listens on the port and the
 * kernel chooses the same port as the local one. It counts as refused.
 */
static bool is_self_connected(struct weir_tcp *conn, const struct weir_addr *addr)
{
	struct weir_addr near, far;

	if (addr->u.sa.sa_family == AF_UNIX || weir_tcp_local_addr(conn, &near) < 0 ||
	    weir_addr_port(&near) != weir_addr_port(addr) || weir_tcp_peer_addr(conn, &far) < 0)
		return false;
	return near.len == far.len && memcmp(&near.u, &far.u, near.len) == 0;
}

static bool has_next(const struct weir_connect_future *self)
{
	return self->begun < self->count;
}

/* Start an attempt for the next address. Returns 0, or the error that prevents it. */
static int begin(struct weir_connect_future *self)
{
	unsigned addr = self->begun ? next_addr(self) : self->first;
	struct weir__attempt *a = &self->attempts[self->begun++];
	const struct weir_addr *to = &self->addrs[addr];
	int rc;

	self->tried |= (uint8_t)(1u << addr);
	a->addr = (uint8_t)addr;
	rc = weir__addr_usable(to) ? weir_tcp_new(to->u.sa.sa_family, &a->conn) : -EINVAL;
	if (rc < 0)
		return rc;
	weir_op_init_connect(&a->op, &a->conn->handle, &to->u.sa, to->len);
	return 0;
}

/* Start an attempt for the next address that can be tried; addresses that cannot have failed. */
static void begin_next(struct weir_connect_future *self)
{
	int rc = -EAGAIN;

	while (rc < 0 && has_next(self)) {
		rc = begin(self);
		if (rc < 0)
			self->error = rc;
	}
	if (rc == 0 && has_next(self))
		weir_sleep_reset(&self->pause, weir_deadline_in(ATTEMPT_DELAY_NS));
}

/* An attempt is over: it wins, or its stream is reset. */
static void settle(struct weir_connect_future *self, struct weir__attempt *a, int rc)
{
	if (rc == 0 && is_self_connected(a->conn, &self->addrs[a->addr]))
		rc = -ECONNREFUSED;
	if (rc == 0 && !self->winner) {
		self->winner = a->conn;
		self->chosen = a->addr;
	} else {
		weir_tcp_reset(a->conn);
		if (rc < 0 && rc != -ECANCELED)
			self->error = rc;
	}
	a->conn = NULL;
}

/* Only a connect to a single Unix address waits for room in the listener's queue. */
static bool waits_for_room(const struct weir_connect_future *self)
{
	return self->count == 1 && family_of(self, 0) == AF_UNIX && !self->cancelled;
}

/*
 * If the queue of a Unix listener is full, no event tells when it has room, so the attempt is
 * repeated after growing pauses.
 */
static int poll_attempt(struct weir_connect_future *self, struct weir__attempt *a,
			struct weir_cx *cx)
{
	const struct weir_addr *to = &self->addrs[a->addr];
	int rc;

	for (;;) {
		if (self->full_ns && self->pausing) {
			rc = weir_poll(&self->pause.future, cx);
			if (rc == WEIR_PENDING)
				return rc;
			self->pausing = false;
			if (rc < 0)
				return rc == -ENODEV ? -EAGAIN : rc;
			weir_op_init_connect(&a->op, &a->conn->handle, &to->u.sa, to->len);
		}
		rc = weir_poll(&a->op.future, cx);
		if (rc != -EAGAIN || !waits_for_room(self))
			return rc;
		self->full_ns = self->full_ns ? 2 * self->full_ns : FULL_FIRST_NS;
		if (self->full_ns > FULL_MAX_NS)
			self->full_ns = FULL_MAX_NS;
		weir_sleep_init(&self->pause, weir_deadline_in(self->full_ns));
		self->pausing = true;
	}
}

/* Poll the pending attempts. Returns how many are still pending, and whether one has failed. */
static unsigned poll_attempts(struct weir_connect_future *self, struct weir_cx *cx,
			      bool *ret_failed)
{
	unsigned left = 0;
	int rc;

	*ret_failed = false;
	for (unsigned i = 0; i < self->begun; i++) {
		struct weir__attempt *a = &self->attempts[i];

		if (!a->conn)
			continue;
		rc = poll_attempt(self, a, cx);
		if (rc == WEIR_PENDING) {
			left++;
			continue;
		}
		settle(self, a, rc);
		*ret_failed |= !self->winner;
	}
	return left;
}

/* ---- the future ---- */

static int finish(struct weir_connect_future *self)
{
	self->phase = DONE;
	if (self->attempts != &self->only)
		free(self->attempts);
	self->attempts = NULL;
	if (!self->winner)
		return self->cancelled ? -ECANCELED : self->error;
	if (family_of(self, self->chosen) != AF_UNIX)
		(void)weir_tcp_set_nodelay(self->winner, true);
	*self->ret_conn = self->winner;
	return 0;
}

static void cancel_all(struct weir_connect_future *self)
{
	for (unsigned i = 0; i < self->begun; i++)
		if (self->attempts[i].conn)
			weir_cancel(&self->attempts[i].op.future);
	if (self->pausing)
		weir_cancel(&self->pause.future);
}

/* Returns WEIR_PENDING until no attempt is pending. */
static int end(struct weir_connect_future *self, struct weir_cx *cx)
{
	bool failed;
	unsigned left = poll_attempts(self, cx, &failed);

	if (self->pausing)
		self->pausing = weir_poll(&self->pause.future, cx) == WEIR_PENDING;
	return left || self->pausing ? WEIR_PENDING : finish(self);
}

static int start(struct weir_connect_future *self)
{
	self->attempts = &self->only;
	if (self->count > 1)
		self->attempts = calloc(self->count, sizeof(*self->attempts));
	if (!self->attempts)
		return -ENOMEM;
	self->phase = RACE;
	begin_next(self);
	return 0;
}

/* True while the race continues: attempts are pending, and none has won. */
static bool race(struct weir_connect_future *self, struct weir_cx *cx)
{
	unsigned left;
	bool failed;

	for (;;) {
		left = poll_attempts(self, cx, &failed);
		if (self->winner || self->cancelled)
			return false;
		if (!has_next(self))
			return left > 0;
		/* Without a time driver the pause ends at once. */
		if (!failed && left) {
			self->pausing = weir_poll(&self->pause.future, cx) == WEIR_PENDING;
			if (self->pausing)
				return true;
		}
		begin_next(self);
	}
}

static int connect_poll(struct weir_future *future, struct weir_cx *cx)
{
	struct weir_connect_future *self =
		WEIR_CONTAINER_OF(future, struct weir_connect_future, future);
	int rc;

	WEIR_ASSERT(self->phase != DONE);
	if (self->phase == START) {
		rc = self->cancelled ? -ECANCELED : self->count ? start(self) : -EINVAL;
		if (rc < 0) {
			self->phase = DONE;
			return rc;
		}
	}
	if (self->phase == RACE) {
		if (race(self, cx))
			return WEIR_PENDING;
		self->phase = END;
		cancel_all(self);
	}
	return end(self, cx);
}

static void connect_cancel(struct weir_future *future)
{
	struct weir_connect_future *self =
		WEIR_CONTAINER_OF(future, struct weir_connect_future, future);

	self->cancelled = true;
	if (self->phase == RACE)
		cancel_all(self);
}

static void connect_discard(struct weir_future *future)
{
	struct weir_connect_future *self =
		WEIR_CONTAINER_OF(future, struct weir_connect_future, future);

	weir_tcp_reset(self->winner);
	self->winner = NULL;
}

static const struct weir_future_ops connect_ops = {
	.name = "connect",
	.poll = connect_poll,
	.cancel = connect_cancel,
	.discard = connect_discard,
};

void weir_connect_init(struct weir_connect_future *connect, const struct weir_addr *addrs,
		       unsigned count, struct weir_tcp **ret_conn)
{
	memset(connect, 0, sizeof(*connect));
	connect->future.ops = &connect_ops;
	connect->addrs = addrs;
	connect->count = (uint8_t)(count < WEIR_CONNECT_ADDRS ? count : WEIR_CONNECT_ADDRS);
	connect->ret_conn = ret_conn;
	connect->error = -EINVAL;
	weir_sleep_init(&connect->pause, 0);
}

void weir_connect_fini(struct weir_connect_future *connect)
{
	if (connect->phase == START || connect->phase == DONE)
		return;
	for (unsigned i = 0; i < connect->begun; i++) {
		WEIR_ASSERT(connect->attempts[i].op.state != WEIR_OP_INFLIGHT);
		weir_tcp_reset(connect->attempts[i].conn);
	}
	weir_tcp_reset(connect->winner);
	connect->winner = NULL;
	if (connect->attempts != &connect->only)
		free(connect->attempts);
	connect->attempts = NULL;
	connect->phase = DONE;
}

/* ---- the plain calls ---- */

int weir_tcp_connect_addr(const struct weir_addr *addr, uint64_t deadline,
			  struct weir_tcp **ret_conn)
{
	struct weir_connect_future connect;
	int rc;

	if (!weir__addr_usable(addr))
		return -EINVAL;
	rc = weir__need_fiber();
	if (rc < 0)
		return rc;
	weir_connect_init(&connect, addr, 1, ret_conn);
	return weir__net_await(&connect.future, deadline);
}

static int connect_name(const char *name, uint64_t deadline, struct weir_tcp **ret_conn)
{
	struct weir_addr addrs[WEIR_CONNECT_ADDRS];
	struct weir_connect_future connect;
	int n = weir_resolve(name, WEIR_CONNECT_ADDRS, deadline, addrs);

	if (n < 0)
		return n;
	weir_connect_init(&connect, addrs, (unsigned)n, ret_conn);
	return weir__net_await(&connect.future, deadline);
}

int weir_tcp_connect(const char *addr, uint64_t deadline, struct weir_tcp **ret_conn)
{
	struct weir_addr numeric;
	int rc = weir_addr_parse(addr, &numeric);

	if (rc == 0)
		return weir_tcp_connect_addr(&numeric, deadline, ret_conn);
	return rc == -EINVAL && addr ? connect_name(addr, deadline, ret_conn) : rc;
}
