/* SPDX-License-Identifier: MIT */
/*
 * relay.c: copies bytes in both directions between two streams, as one stackless future.
 *
 * A direction alternates between a receive into a lease and a send of all of it. So it
 * holds a buffer only while bytes are in transit, and does not read while the other side
 * is slow.
 *
 *	RECV ──► SEND ──► RECV …			bytes
 *	  │ end of stream: shut down writing on the other side
 *	  └──► ENDED					ended normally
 *	any ──(error, limit, cancel: stop)──► OVER	its operation has finished
 *
 * The first problem decides the result (stop). Then both operations are cancelled and
 * waited for, and a lease that no send has taken is returned. A direction that is OVER was cut off: closing
 * resets its destination.
 *
 * The two directions take turns, one chunk each, so that a busy one does not use up the
 * task's budget alone. Limits cost nothing per byte: a sleep ends four times per limit
 * and compares the byte counts.
 */
#include <string.h>

#include "core/assert.h"
#include "core/atomic.h"
#include "core/io/io.h"
#include "core/sized.h"
#include "net/net.h"
#include "weir/relay.h"

#define QUARTERS 4

enum direction_phase {
	RECV,
	SEND,
	ENDED,
	OVER,
};

enum relay_phase {
	IDLE,
	RUNNING,
	STOPPING,
	FINISHED,
};

static bool direction_is_over(const struct weir__relay_direction *direction)
{
	return direction->phase == ENDED || direction->phase == OVER;
}

/* ---- limits ---- */

/* The bytes delivered so far, including those of a send in flight. */
static uint64_t delivered(const struct weir_relay *self)
{
	uint64_t sum = 0;

	for (int i = 0; i < 2; i++) {
		const struct weir__relay_direction *direction = &self->directions[i];

		sum += direction->moved;
		if (direction->phase == SEND)
			sum += weir__load(&direction->op.u.lease.done, WEIR_RELAXED);
	}
	return sum;
}

static uint64_t quarter_from_now(const struct weir_relay *self)
{
	return weir_deadline_in((self->limit_ns - 1) / QUARTERS + 1);
}

/* Restart the clock with another limit. */
static void limit_start(struct weir_relay *self, uint64_t limit_ns)
{
	self->limit_ns = limit_ns;
	self->quiet = 0;
	self->seen = delivered(self);
	if (limit_ns == WEIR_FOREVER)
		return;
	if (self->timing) {
		weir_sleep_reset(&self->sleep, quarter_from_now(self));
	} else {
		weir_sleep_init(&self->sleep, quarter_from_now(self));
		self->timing = true;
	}
}

/* A quarter has passed; true if that was the last one. */
static bool limit_reached(struct weir_relay *self)
{
	uint64_t now = delivered(self);

	if (now != self->seen)
		self->quiet = 0;
	else
		self->quiet++;
	self->seen = now;
	if (self->quiet == QUARTERS)
		return true;
	weir_sleep_reset(&self->sleep, quarter_from_now(self));
	return false;
}

/* ---- the end ---- */

/* Ask everything that is pending to finish. The first caller decides the result. */
static void stop(struct weir_relay *self, enum weir_relay_end end, int error)
{
	if (self->phase == STOPPING)
		return;
	self->phase = STOPPING;
	self->end = (uint8_t)end;
	self->error = error;
	for (int i = 0; i < 2; i++)
		if (!direction_is_over(&self->directions[i]))
			weir_cancel(&self->directions[i].op.future);
}

/* End a relay that was not polled yet: its first poll finishes it. */
static void never_start(struct weir_relay *self, enum weir_relay_end end, int error)
{
	self->directions[0].phase = self->directions[1].phase = OVER;
	stop(self, end, error);
}

/* Errors that say nothing about the peer. */
static bool is_local(int error)
{
	switch (error) {
	case -ENXIO:
	case -ENODEV:
	case -EOPNOTSUPP:
	case -ESHUTDOWN:
	case -ENOMEM:
	case -ENOBUFS:
	case -EBADF:
	case -EINVAL:
		return true;
	default:
		return false;
	}
}

/* An operation on one side failed. */
static void broke(struct weir_relay *self, int side, int error)
{
	if (error == -ECANCELED)
		stop(self, WEIR_RELAY_CANCELED, error);
	else if (is_local(error))
		stop(self, WEIR_RELAY_FAILED, error);
	else
		stop(self, side == 0 ? WEIR_RELAY_RESET_A : WEIR_RELAY_RESET_B, error);
}

/* ---- a direction ---- */

static void direction_receive(struct weir_relay *self, int i)
{
	struct weir__relay_direction *direction = &self->directions[i];

	direction->phase = RECV;
	weir_op_init_recv_lease(&direction->op, &self->side[i]->handle, &direction->lease);
}

/* End of stream: pass it on to the other side, and start the limit for a half-closed relay. */
static void direction_end(struct weir_relay *self, int i)
{
	int rc = weir_tcp_shutdown(self->side[!i], SHUT_WR);

	if (WEIR_UNLIKELY(rc < 0)) {	/* the other side is gone */
		self->directions[i].phase = OVER;
		broke(self, !i, rc == -ENOTCONN ? -ECONNRESET : rc);
		return;
	}
	self->directions[i].phase = ENDED;
	if (!direction_is_over(&self->directions[!i]) && self->half_ns <= self->limit_ns) {
		self->half = true;
		limit_start(self, self->half_ns);
	}
}

static void direction_received(struct weir_relay *self, int i, int res)
{
	struct weir__relay_direction *direction = &self->directions[i];

	if (WEIR_LIKELY(res > 0 && self->phase == RUNNING)) {
		direction->phase = SEND;
		weir_op_init_send_lease(&direction->op, &self->side[!i]->handle,
					&direction->lease);
	} else if (res == 0 && self->phase == RUNNING) {
		direction_end(self, i);
	} else {
		weir_lease_return(&direction->lease);
		direction->phase = OVER;
		if (res < 0)
			broke(self, i, res);
	}
}

static void direction_sent(struct weir_relay *self, int i, int res)
{
	struct weir__relay_direction *direction = &self->directions[i];

	direction->moved += direction->op.u.lease.done;
	if (WEIR_LIKELY(res >= 0 && self->phase == RUNNING)) {
		direction_receive(self, i);
		return;
	}
	direction->phase = OVER;
	if (res < 0)
		broke(self, !i, res);
}

/* Move up to one chunk; false if the direction can do no more in this poll. */
static bool direction_step(struct weir_relay *self, int i, struct weir_cx *cx)
{
	struct weir__relay_direction *direction = &self->directions[i];
	int res;

	if (direction->phase == RECV) {
		res = weir_poll(&direction->op.future, cx);
		if (res == WEIR_PENDING)
			return false;
		direction_received(self, i, res);
	}
	if (direction->phase == SEND) {
		res = weir_poll(&direction->op.future, cx);
		if (res == WEIR_PENDING)
			return false;
		direction_sent(self, i, res);
	}
	return !direction_is_over(direction);
}

/* ---- the future ---- */

static void start(struct weir_relay *self)
{
	self->phase = RUNNING;
	direction_receive(self, 0);
	direction_receive(self, 1);
	limit_start(self, self->limit_ns);
}

/* Move what can be moved. After a stop in one direction, the other one is polled again. */
static void poll_directions(struct weir_relay *self, struct weir_cx *cx)
{
	bool more[2] = { true, true };
	uint8_t phase = self->phase;

	while (more[0] || more[1]) {
		for (int i = 0; i < 2; i++)
			if (more[i])
				more[i] = direction_step(self, i, cx);
		if (phase != self->phase) {
			phase = self->phase;
			more[0] = !direction_is_over(&self->directions[0]);
			more[1] = !direction_is_over(&self->directions[1]);
		}
	}
}

static void poll_limit(struct weir_relay *self, struct weir_cx *cx)
{
	int rc;

	while (self->phase == RUNNING) {
		rc = weir_poll(&self->sleep.future, cx);
		if (rc == WEIR_PENDING)
			return;
		if (rc < 0) {
			self->timing = false;
			broke(self, 0, rc);
		} else if (limit_reached(self)) {
			stop(self, self->half ? WEIR_RELAY_HALF_CLOSED : WEIR_RELAY_IDLE,
			     -ETIMEDOUT);
		}
	}
}

/* Both directions are over: cancel the sleep, which takes one poll. */
static int finish(struct weir_relay *self, struct weir_cx *cx)
{
	if (self->timing) {
		weir_cancel(&self->sleep.future);
		if (weir_poll(&self->sleep.future, cx) == WEIR_PENDING)
			return WEIR_PENDING;
		self->timing = false;
	}
	self->phase = FINISHED;
	return self->error;
}

static int relay_poll(struct weir_future *future, struct weir_cx *cx)
{
	struct weir_relay *self = WEIR_CONTAINER_OF(future, struct weir_relay, future);

	WEIR_ASSERT(self->phase != FINISHED);
	if (self->phase == IDLE)
		start(self);
	poll_directions(self, cx);
	if (self->timing && self->phase == RUNNING &&
	    !(direction_is_over(&self->directions[0]) && direction_is_over(&self->directions[1]))) {
		poll_limit(self, cx);
		if (self->phase == STOPPING)
			poll_directions(self, cx);
	}
	if (!direction_is_over(&self->directions[0]) || !direction_is_over(&self->directions[1]))
		return WEIR_PENDING;
	return finish(self, cx);
}

static void relay_cancel(struct weir_future *future)
{
	struct weir_relay *self = WEIR_CONTAINER_OF(future, struct weir_relay, future);

	if (self->phase == IDLE)
		never_start(self, WEIR_RELAY_CANCELED, -ECANCELED);
	else if (self->phase == RUNNING)
		stop(self, WEIR_RELAY_CANCELED, -ECANCELED);
}

static const struct weir_future_ops relay_ops = {
	.name = "relay",
	.poll = relay_poll,
	.cancel = relay_cancel,
};

static uint64_t or_forever(uint64_t limit_ns)
{
	return limit_ns ? limit_ns : WEIR_FOREVER;
}

void weir_relay_init(struct weir_relay *relay, struct weir_tcp *a, struct weir_tcp *b,
		     const struct weir_relay_config *cfg)
{
	struct weir_relay_config full = WEIR_RELAY_CONFIG_INIT;
	int rc = cfg ? weir__sized_read(&full, cfg) : 0;

	memset(relay, 0, sizeof(*relay));
	relay->future.ops = &relay_ops;
	relay->side[0] = a;
	relay->side[1] = b;
	relay->limit_ns = or_forever(full.idle_ns);
	relay->half_ns = or_forever(full.half_ns);
	if (rc < 0)
		never_start(relay, WEIR_RELAY_FAILED, rc);
}

void weir_relay_fini(struct weir_relay *relay)
{
	if (relay->phase == FINISHED)
		return;
	for (int i = 0; i < 2; i++) {
		struct weir__relay_direction *direction = &relay->directions[i];

		if (relay->phase == IDLE || direction_is_over(direction))
			continue;
		WEIR_ASSERT(direction->op.state != WEIR_OP_INFLIGHT);
		if (direction->phase == SEND)
			direction->moved += direction->op.u.lease.done;
		/* A send that was never polled has not taken it. */
		weir_lease_return(&direction->lease);
		direction->phase = OVER;
	}
	if (relay->phase != STOPPING) {
		relay->end = WEIR_RELAY_CANCELED;
		relay->error = -ECANCELED;
	}
	relay->phase = FINISHED;
}

int weir_relay_result(const struct weir_relay *relay, struct weir_relay_stats *ret_stats)
{
	struct weir_relay_stats stats = WEIR_RELAY_STATS_INIT;
	const struct weir__relay_direction *direction = relay->directions;
	uint64_t sending[2] = { 0, 0 };

	if (!weir__sized_valid(ret_stats))
		return -EINVAL;
	for (int i = 0; i < 2; i++)
		if (direction[i].phase == SEND)
			sending[i] = weir__load(&direction[i].op.u.lease.done, WEIR_RELAXED);
	stats.a_to_b = direction[0].moved + sending[0];
	stats.b_to_a = direction[1].moved + sending[1];
	stats.end = (enum weir_relay_end)relay->end;
	stats.error = relay->error;
	weir__sized_write(&stats, ret_stats);
	return 0;
}

/*
 * Whether a side has received everything: its direction ended normally, and its peer did not fail.
 */
static bool side_is_finished(const struct weir_relay *relay, int i)
{
	return relay->directions[!i].phase == ENDED && relay->end != WEIR_RELAY_RESET_A &&
	       relay->end != WEIR_RELAY_RESET_B;
}

void weir_relay_close(struct weir_relay *relay)
{
	weir_relay_fini(relay);
	for (int i = 0; i < 2; i++) {
		struct weir_tcp *conn = relay->side[i];

		relay->side[i] = NULL;
		if (side_is_finished(relay, i))
			weir_tcp_close(conn);
		else
			weir_tcp_reset(conn);
	}
}

int weir_relay_run(struct weir_tcp *a, struct weir_tcp *b, const struct weir_relay_config *cfg,
		   struct weir_relay_stats *ret_stats)
{
	struct weir_relay relay;
	int rc;

	if (ret_stats && !weir__sized_valid(ret_stats))
		return -EINVAL;
	weir_relay_init(&relay, a, b, cfg);
	rc = weir_await(&relay.future);
	if (relay.phase != FINISHED) {	/* never polled: not on a fiber, or already aborted */
		weir_relay_fini(&relay);
		relay.error = rc;
	}
	if (ret_stats)
		(void)weir_relay_result(&relay, ret_stats);
	return rc;
}
