/* SPDX-License-Identifier: MIT */
/*
 * iouring.c: the io_uring backend: its table, a turn, and the dispatch of operations and
 * completions. iouring.h has a diagram.
 */
#include <limits.h>
#include <unistd.h>

#include "backends/iouring/iouring.h"
#include "backends/iouring/probe.h"
#include "backends/socket.h"
#include "core/assert.h"
#include "core/worker.h"

/* The lease pool is trimmed once in this many turns, and after this long asleep. */
#define TRIM_TURNS 1024u
#define TRIM_NS (50 * WEIR_MSEC)
#define TRIM_BUSY 16u

/* ---- completions ---- */

static void op_done(struct uring *u, struct weir_op *op, const struct io_uring_cqe *cqe)
{
	switch ((enum weir_op_code)op->code) {
	case WEIR_OP_RECV:
	case WEIR_OP_RECVV:
	case WEIR_OP_RECV_LEASE:
		weir__uring_recv_done(u, op, cqe);
		break;
	case WEIR_OP_SEND:
	case WEIR_OP_SENDV:
	case WEIR_OP_SEND_LEASE:
		weir__uring_transfer_done(u, op, cqe);
		break;
	case WEIR_OP_CONNECT:
		weir__uring_connect_done(u, op, cqe->res);
		break;
	case WEIR_OP_POLL:
		weir__uring_poll_done(u, op, cqe->res);
		break;
	case WEIR_OP_ACCEPT:
	case WEIR_OP_CODES:
		WEIR_ASSERT(!"an op that is never in the ring by itself");
		break;
	default:
		weir__uring_file_done(u, op, cqe->res);
	}
}

/* The next turn arms the poll again. A completion with an error is not a wake. */
static void wake_done(struct uring *u, const struct io_uring_cqe *cqe)
{
	if (!(cqe->flags & IORING_CQE_F_MORE))
		u->wake_armed = false;
	if (cqe->res >= 0)
		u->woken = true;
	else
		u->repeated_for = cqe->res;
}

static void deliver(struct uring *u, const struct io_uring_cqe *cqe)
{
	void *pointer = (void *)(uintptr_t)(cqe->user_data & ~TAG_MASK);

	switch ((enum uring_tag)(cqe->user_data & TAG_MASK)) {
	case TAG_OP:
		op_done(u, pointer, cqe);
		break;
	case TAG_RECV:
		weir__uring_multishot_done(u, pointer, cqe);
		break;
	case TAG_ACCEPT:
		weir__uring_accept_done(u, pointer, cqe);
		break;
	case TAG_NOBODY:
		if (cqe->user_data == UD_WAKE)
			wake_done(u, cqe);
		break;
	}
}

/* Deliver up to max completions. Returns the number of those with an owner. */
static unsigned reap(struct uring *u, unsigned max)
{
	struct io_uring_cqe *cqe;
	unsigned head, seen = 0, count = 0;

	io_uring_for_each_cqe(&u->ring, head, cqe)
	{
		if (seen == max)
			break;
		seen++;
		count += (cqe->user_data & TAG_MASK) != TAG_NOBODY;
		deliver(u, cqe);
	}
	if (seen > 0)
		io_uring_cq_advance(&u->ring, seen);
	return count;
}

int weir__uring_turn(struct uring *u, uint64_t deadline, unsigned max)
{
	unsigned count;
	int rc;

	u->repeated = 0;
	u->repeated_for = 0;
	weir__uring_buffers_refill(&u->buffers);
	count = reap(u, max);
	rc = weir__uring_enter(u, count > 0 || u->woken ? 0 : deadline);
	if (count < max)
		count += reap(u, max - count);
	weir__count(&u->base.worker->metrics.events, count);
	WEIR_ASSERT(u->repeated <= count);
	count -= u->repeated;
	if (WEIR_LIKELY(count > 0))
		return (int)count;
	return rc < 0 ? rc : u->woken ? 0 : u->repeated_for;
}

/* If there is unused memory, wait no longer than until it may be returned. */
static uint64_t until_trim(struct uring *u, uint64_t deadline)
{
	uint64_t trim;

	if (!weir__uring_buffers_excess(&u->buffers))
		return deadline;
	trim = weir_backend_now(&u->base) + TRIM_NS;
	return trim < deadline ? trim : deadline;
}

/* After a long sleep: return memory, a few blocks at a time, until a completion arrives. */
static int trim(struct uring *u)
{
	int n = 0;

	while (n == 0 && uring_ring_is_empty(u) && weir__uring_buffers_trim(&u->buffers))
		n = weir__uring_turn(u, 0, u->idle_events);
	return n;
}

static int uring_poll(struct weir_backend *be, uint64_t deadline, bool busy)
{
	struct uring *u = uring_of(be);
	uint64_t until = deadline ? until_trim(u, deadline) : 0;
	int n = weir__uring_turn(u, until, busy ? u->busy_events : u->idle_events);

	if (n == 0 && until < deadline && !u->woken)
		n = trim(u);
	else if (WEIR_UNLIKELY(++u->turns % TRIM_TURNS == 0))
		weir__lease_pool_trim(&u->buffers.pool, false, TRIM_BUSY);
	u->woken = false;
	u->batch = n > 0 ? (unsigned)n : 0;
	return n;
}

/* ---- operations ---- */

static void uring_submit(struct weir_backend *be, struct weir_op *op)
{
	struct uring *u = uring_of(be);

	op->next = NULL;
	switch ((enum weir_op_code)op->code) {
	case WEIR_OP_RECV:
	case WEIR_OP_RECVV:
	case WEIR_OP_RECV_LEASE:
		weir__uring_submit_recv(u, op);
		break;
	case WEIR_OP_SEND:
	case WEIR_OP_SENDV:
	case WEIR_OP_SEND_LEASE:
		weir__uring_submit_send(u, op);
		break;
	case WEIR_OP_ACCEPT:
		weir__uring_submit_accept(u, op);
		break;
	case WEIR_OP_CONNECT:
		weir__uring_submit_connect(u, op);
		break;
	case WEIR_OP_POLL:
		weir__uring_submit_poll(u, op);
		break;
	default:
		weir__uring_submit_file(u, op);
	}
}

/* Whether the op may be in the handle's list, which is valid only on the home and until detach. */
static bool may_wait(const struct uring *u, const struct weir_op *op)
{
	return (op->code == WEIR_OP_RECV || op->code == WEIR_OP_RECVV ||
		op->code == WEIR_OP_RECV_LEASE || op->code == WEIR_OP_ACCEPT) &&
	       is_home(u, op->handle) && !uring_is_closing(state_of(op->handle));
}

/* An op in a list is completed here; otherwise the kernel is asked to cancel it. */
static void uring_cancel(struct weir_backend *be, struct weir_op *op)
{
	struct uring *u = uring_of(be);

	if (op->code == WEIR_OP_POLL) {
		op->u.poll.events |= POLL_CANCELLED;
	} else if (may_wait(u, op) && weir__uring_remove_waiter(state_of(op->handle), op)) {
		weir_backend_complete(op, -ECANCELED);
		return;
	} else {
		op->next = (struct weir_op *)((uintptr_t)op->next | OP_CANCELLED);
	}
	weir__uring_cancel_request(u, (uint64_t)(uintptr_t)op);
}

static void uring_wake(struct weir_backend *be)
{
	static const uint64_t one = 1;
	unsigned tries = 0;
	int saved = errno;

	weir__count_syscalls(weir__worker_current(), 1);
	/* It can fail only if the counter is full, which takes 2^64 wakes. */
	while (write(uring_of(be)->wake_fd, &one, sizeof(one)) < 0 && weir__socket_again(&tries))
		continue;
	errno = saved;
}

static void uring_lease_return(struct weir_backend *be, struct weir_lease *lease)
{
	weir__lease_pool_give(&uring_of(be)->buffers.pool, weir__worker_current() == be->worker,
			      lease->token);
}

/* ---- life ---- */

static int uring_init(struct weir_backend *be, const struct weir_backend_config *cfg)
{
	struct uring *u = uring_of(be);
	char why[8];
	int rc;

	weir__uring_options_init(&u->options);
	rc = weir__uring_options_parse(cfg->options, &u->options, why, sizeof(why));
	if (rc < 0)
		return rc;
	u->alone = cfg->workers == 1;
	u->node = cfg->node;
	u->moves = cfg->moves;
	WEIR_ASSERT(cfg->busy_events && cfg->idle_events && cfg->lease_bytes);
	u->busy_events = cfg->busy_events;
	u->idle_events = cfg->idle_events;
	if (u->moves)
		be->caps &= ~(uint32_t)WEIR_CAP_BOUND;
	rc = weir__uring_ring_open(u);
	if (rc < 0)
		return rc;
	rc = weir__uring_buffers_init(&u->buffers, &u->ring,
				u->options.buffers ? u->options.buffer_entries : 0,
				u->options.incremental, cfg->lease_bytes, cfg->node);
	if (rc < 0)
		weir__uring_ring_close(u);
	return rc;
}

/*
 * No op is in flight. Multishot requests of recently closed handles may be: they end here, or have
 * ended with their thread.
 */
static void uring_fini(struct weir_backend *be)
{
	struct uring *u = uring_of(be);

	weir__uring_ring_quiesce(u);
	do
		(void)reap(u, UINT_MAX);
	while (weir__uring_ring_flush(u));
	weir__uring_handles_fini(u);
	weir__uring_ring_close(u);
	weir__uring_vecs_fini(u);
	weir__uring_buffers_fini(&u->buffers);
}

extern const struct weir_backend_ops weir__backend_iouring;
const struct weir_backend_ops weir__backend_iouring = {
	.name = "io_uring",
	.abi = WEIR_BACKEND_ABI,
	.caps = WEIR_CAP_STREAM | WEIR_CAP_UNIX | WEIR_CAP_FD | WEIR_CAP_LEASE | WEIR_CAP_HOMED |
		WEIR_CAP_BOUND | WEIR_CAP_FILE,
	.instance_bytes = sizeof(struct uring),
	.probe = weir__uring_probe,
	.init = uring_init,
	.fini = uring_fini,
	.attach = weir__uring_attach,
	.detach = weir__uring_detach,
	.control = weir__uring_control,
	.submit = uring_submit,
	.poll = uring_poll,
	.cancel = uring_cancel,
	.wake = uring_wake,
	.lease_return = uring_lease_return,
};
