/* SPDX-License-Identifier: MIT */
/*
 * recv.c: RECV, RECVV and RECV_LEASE.
 *
 * A receive is an entry of its own, into the caller's memory or, for a lease, into a
 * buffer that the kernel picks when bytes have come. A stream of requests and
 * answers does with less: once CALM leases in a row have found no more than half of
 * what a buffer holds, the handle gets a multishot request, which receives for good.
 *
 *	single ──(calm)──► ARMED ──► completions: to the waiting op, or queued
 *	   ▲                 │ queued > QUEUE_MAX, reads from elsewhere, a copying read
 *	   │                 ▼
 *	   └───(all read)── STOPPING ──(the kernel gave it up)
 *
 * A buffer that the kernel has filled belongs to the stream's order: as long as one
 * is queued, or the request is armed, every read takes from the queue.
 */
#include <poll.h>
#include <string.h>
#include <sys/uio.h>

#include "backends/iouring/iouring.h"
#include "backends/plain_calls.h"
#include "backends/socket.h"
#include "backends/transfer.h"
#include "core/worker.h"

#define CALM 4u
/* What the stream's task may fall behind before its multishot is stopped. */
#define QUEUE_MAX 4u
/* Reads in a row from other workers, after which the stream is let go. */
#define AWAY_MAX 16u

static inline bool is_homed(const struct uring_handle *s)
{
	return s->flags & (ARMED | ENDED) || s->queued;
}

static void set_homed(struct uring *u, struct weir_handle *h)
{
	uint8_t homed = is_homed(state_of(h)) || state_of(h)->waiters ? WEIR_HOMED_READS : 0;

	if (!u->alone && h->homed != homed)
		/* Pairs with the load in send_home: who adopts it sees how it was left. */
		weir__store(&h->homed, homed, WEIR_RELEASE);
}

/* ---- the queue of filled buffers ---- */

/* False: no memory for it. */
static bool queue_slice(struct uring *u, struct uring_handle *s, struct uring_slice slice)
{
	uint32_t at = weir__uring_buffers_keep(&u->buffers, slice);

	if (!at)
		return false;
	if (s->queued++)
		u->buffers.slice[s->last - 1].next = at;
	else
		s->first = at;
	s->last = at;
	return true;
}

static struct uring_slice unqueue_slice(struct uring *u, struct uring_handle *s)
{
	struct uring_slice slice = weir__uring_buffers_unkeep(&u->buffers, s->first);

	s->first = slice.next;
	s->queued--;
	return slice;
}

void weir__uring_recv_forget(struct uring *u, struct uring_handle *s)
{
	while (s->queued)
		weir__uring_buffers_give(&u->buffers, unqueue_slice(u, s).token);
}

static int lend(struct uring *u, struct weir_op *op, struct uring_slice slice)
{
	*op->u.lease.lease = (struct weir_lease){ slice.data, slice.len, slice.token, &u->base };
	return (int)slice.len;
}

/* The first of the queue, or as much of it as the op has asked for. */
static int take_lease(struct uring *u, struct uring_handle *s, struct weir_op *op)
{
	struct uring_slice *first = &u->buffers.slice[s->first - 1], part = *first;
	uint32_t max = op->u.lease.max;

	if (WEIR_LIKELY(!max || part.len <= max))
		return lend(u, op, unqueue_slice(u, s));
	weir__lease_pool_hold(&u->buffers.pool, part.token);
	part.len = max;
	first->data += max;
	first->len -= max;
	return lend(u, op, part);
}

/* Copy from the queue into the rest of one iovec element; the bytes. */
static size_t copy_some(struct uring *u, struct uring_handle *s, uint8_t *to, size_t room,
			bool peek)
{
	uint32_t at = s->first;
	size_t copied = 0;

	while (room > 0 && at) {
		struct uring_slice *slice = &u->buffers.slice[at - 1];
		size_t n = slice->len < room ? slice->len : room;

		memcpy(to + copied, slice->data, n);
		copied += n;
		room -= n;
		at = slice->next;
		if (peek)
			continue;
		slice->data += n;
		slice->len -= (uint32_t)n;
		if (slice->len == 0)
			weir__uring_buffers_give(&u->buffers, unqueue_slice(u, s).token);
	}
	return copied;
}

static void copy_out(struct uring *u, struct uring_handle *s, struct weir_op *op)
{
	struct iovec part[WEIR__TRANSFER_PART];
	const struct iovec *iov = part;
	unsigned count = 1;

	if (weir__transfer_is_single(op))
		part[0] = (struct iovec){ op->u.io.buf + op->u.io.done,
					  op->u.io.len - op->u.io.done };
	else
		count = weir__transfer_rest(op, part, &iov);
	for (unsigned i = 0; i < count && s->queued; i++) {
		size_t n = copy_some(u, s, iov[i].iov_base, iov[i].iov_len,
				     op->flags & WEIR_OP_PEEK);

		weir__transfer_moved(op, (ssize_t)n);
		if (n < iov[i].iov_len || op->flags & WEIR_OP_PEEK)
			break;
	}
}

/* What the queue has for an op: its result, or WEIR_PENDING. */
static int take(struct uring *u, struct uring_handle *s, struct weir_op *op)
{
	if (s->queued) {
		if (op->code == WEIR_OP_RECV_LEASE)
			return take_lease(u, s, op);
		copy_out(u, s, op);
		if (!weir__transfer_wants_all(op) || weir__transfer_is_complete(op))
			return weir__transfer_result(op);
	}
	if (s->queued || !(s->flags & ENDED))
		return WEIR_PENDING;
	/* Told once; what follows, the kernel knows. */
	s->flags &= (uint8_t)~ENDED;
	if (s->end == 0 && op->code != WEIR_OP_RECV_LEASE)
		return weir__transfer_result(op);
	return s->end;
}

/* ---- entries ---- */

/* A lease without a buffer ring: wait for bytes, then take a buffer and receive. */
static void prep_poll(struct io_uring_sqe *sqe, int fd)
{
	io_uring_prep_poll_add(sqe, fd, POLLIN | POLLRDHUP);
}

static void prep_lease(struct uring *u, struct weir_op *op, struct io_uring_sqe *sqe)
{
	size_t len = op->u.lease.max;

	if (!u->options.buffers) {
		prep_poll(sqe, op->handle->fd);
		return;
	}
	if (len > u->buffers.pool.bytes)
		len = 0;	/* as much as the buffer holds */
	io_uring_prep_recv(sqe, op->handle->fd, NULL, len, 0);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = URING_WHOLE;
}

static void queue_single(struct uring *u, struct weir_op *op)
{
	struct io_uring_sqe *sqe;

	if (op->code != WEIR_OP_RECV_LEASE) {
		weir__uring_queue_transfer(u, op);
		return;
	}
	sqe = weir__uring_sqe(u);
	if (!sqe) {
		weir__uring_finish(u, op, -ENOMEM);
		return;
	}
	prep_lease(u, op, sqe);
	weir__uring_name(u, op->handle, sqe);
	uring_tag(sqe, op, TAG_OP);
}

/* Where a multishot receives into: its messages are small, so they may share a block. */
static inline enum uring_group_id multishot_group(const struct uring *u)
{
	return u->options.incremental ? URING_SHARED : URING_WHOLE;
}

static bool arm(struct uring *u, struct weir_handle *h)
{
	struct io_uring_sqe *sqe = weir__uring_sqe(u);

	if (!sqe)
		return false;
	io_uring_prep_recv_multishot(sqe, h->fd, NULL, 0, 0);
	if (u->options.bundle)
		sqe->ioprio |= IORING_RECVSEND_BUNDLE;
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = (uint16_t)multishot_group(u);
	weir__uring_name(u, h, sqe);
	uring_tag(sqe, h, TAG_RECV);
	state_of(h)->flags |= ARMED;
	return true;
}

void weir__uring_recv_stop(struct uring *u, struct weir_handle *h)
{
	struct uring_handle *s = state_of(h);

	if ((s->flags & (ARMED | STOPPING)) != ARMED)
		return;
	s->flags |= STOPPING;
	s->calm = 0;
	s->away = 0;
	weir__uring_cancel_request(u, (uint64_t)(uintptr_t)h | TAG_RECV);
}

/* ---- submit ---- */

/* Serve those who wait, in order. */
static void serve(struct uring *u, struct weir_handle *h)
{
	struct uring_handle *s = state_of(h);
	struct weir_op *op;
	int res;

	while ((op = weir__uring_first_waiter(s)) != NULL &&
	       (res = take(u, s, op)) != WEIR_PENDING) {
		weir__uring_remove_waiter(s, op);
		weir_backend_complete(op, res);
	}
}

/* The kernel has nothing for the handle any more: those who still wait get entries of their own. */
static void release_waiters(struct uring *u, struct weir_handle *h)
{
	struct uring_handle *s = state_of(h);
	struct weir_op *op;

	while ((op = weir__uring_first_waiter(s)) != NULL) {
		weir__uring_remove_waiter(s, op);
		weir__uring_handle_hold(u, h);
		queue_single(u, op);
	}
}

/* A read of a handle that has a multishot, or had one and is not yet empty. */
static void submit_homed(struct uring *u, struct weir_op *op)
{
	struct weir_handle *h = op->handle;
	struct uring_handle *s = state_of(h);

	if (weir__worker_current()->submitting == op)
		s->away = 0;
	else
		s->away++;
	if (op->code != WEIR_OP_RECV_LEASE || s->away == AWAY_MAX)
		weir__uring_recv_stop(u, h);
	weir__uring_append_waiter(s, op);
	serve(u, h);
	if (!(s->flags & ARMED))
		release_waiters(u, h);
	set_homed(u, h);
}

static int recv_now(struct uring *u, struct weir_op *op)
{
	struct uring_slice slice;
	unsigned tries = 0;
	size_t asked;
	ssize_t n;

	weir__count_syscalls(u->base.worker, 1);
	if (op->code != WEIR_OP_RECV_LEASE) {
		n = weir__transfer_call(op, &asked);
		if (n <= 0)
			n = weir__socket_end(op->handle, (int)n);
		return n < 0 ? (int)n : weir__transfer_result(op);
	}
	if (!weir__uring_buffers_take(&u->buffers, &slice))
		return -ENOMEM;
	if (op->u.lease.max && op->u.lease.max < slice.len)
		slice.len = op->u.lease.max;
	do
		n = weir__plain_recv(op->handle->fd, slice.data, slice.len, MSG_DONTWAIT);
	while (WEIR_UNLIKELY(n < 0 && weir__socket_again(&tries)));
	if (n > 0) {
		slice.len = (uint32_t)n;
		return lend(u, op, slice);
	}
	n = n < 0 ? -errno : 0;
	weir__uring_buffers_give(&u->buffers, slice.token);
	return weir__socket_end(op->handle, (int)n);
}

/* Never waits. What the kernel has fetched comes first, so it is asked to deliver. */
static void submit_try(struct uring *u, struct weir_op *op)
{
	struct weir_handle *h = op->handle;
	struct uring_handle *s = state_of(h);
	int res = WEIR_PENDING;

	if (is_home(u, h) && is_homed(s)) {
		if (!s->queued && !(s->flags & ENDED))
			(void)weir__uring_turn(u, 0, u->idle_events);
		if (!s->waiters)
			res = take(u, s, op);
		if (res == WEIR_PENDING && op->code != WEIR_OP_RECV_LEASE &&
		    *weir__transfer_done(op))
			res = weir__transfer_result(op);
		if (res == WEIR_PENDING && s->flags & ARMED)
			res = -EAGAIN;
		set_homed(u, h);
	}
	weir_backend_complete(op, res == WEIR_PENDING ? recv_now(u, op) : res);
}

static void submit_here(struct uring *u, struct weir_op *op)
{
	struct weir_handle *h = op->handle;
	struct uring_handle *s = state_of(h);

	if (is_homed(s) || s->waiters) {
		submit_homed(u, op);
		return;
	}
	weir__uring_handle_hold(u, h);
	if (op->code == WEIR_OP_RECV_LEASE && s->calm >= CALM && u->options.multishot_recv &&
	    !op->u.lease.max && arm(u, h)) {
		weir__uring_append_waiter(s, op);
		set_homed(u, h);
		return;
	}
	queue_single(u, op);
}

void weir__uring_submit_recv(struct uring *u, struct weir_op *op)
{
	struct weir_handle *h = op->handle;

	op->next = NULL;
	if (WEIR_UNLIKELY(op->flags & WEIR_OP_TRY)) {
		submit_try(u, op);
	} else if (WEIR_LIKELY(is_home(u, h))) {
		submit_here(u, op);
	} else {
		if (!weir__uring_handle_adopt(u, h))
			weir__uring_handle_hold(u, h);
		queue_single(u, op);
	}
}

/* ---- completions ---- */

/* Whether a stream looks like requests and answers, after a lease of len bytes. */
static void note_calm(struct uring *u, struct weir_handle *h, uint32_t len, unsigned flags)
{
	struct uring_handle *s = state_of(h);

	if (!is_home(u, h))
		return;
	if (len > u->buffers.pool.bytes / 2 || flags & IORING_CQE_F_SOCK_NONEMPTY)
		s->calm = 0;
	else if (s->calm < CALM)
		s->calm++;
}

static int leased(struct uring *u, struct weir_op *op, const struct io_uring_cqe *cqe)
{
	unsigned number = cqe->flags >> IORING_CQE_BUFFER_SHIFT;
	uint32_t len = (uint32_t)cqe->res;

	note_calm(u, op->handle, len, cqe->flags);
	return lend(u, op,
		    weir__uring_buffers_filled(&u->buffers, URING_WHOLE, number, len, false));
}

/* A receive that the kernel's own threads have run takes a buffer along even to an end. */
static void give_back_unfilled(struct uring *u, const struct io_uring_cqe *cqe)
{
	unsigned number = cqe->flags >> IORING_CQE_BUFFER_SHIFT;
	struct uring_slice none;

	none = weir__uring_buffers_filled(&u->buffers, URING_WHOLE, number, 0, false);
	weir__uring_buffers_give(&u->buffers, none.token);
}

void weir__uring_recv_done(struct uring *u, struct weir_op *op, const struct io_uring_cqe *cqe)
{
	int res = cqe->res;

	if (op->code != WEIR_OP_RECV_LEASE) {
		weir__uring_transfer_done(u, op, cqe);
		return;
	}
	if (!u->options.buffers && res > 0) {
		res = recv_now(u, op);
		if (res == -EAGAIN && uring_is_cancelled(op))
			res = -ECANCELED;
	} else if (res > 0) {
		res = leased(u, op, cqe);
	} else if (WEIR_UNLIKELY(cqe->flags & IORING_CQE_F_BUFFER)) {
		give_back_unfilled(u, cqe);
	} else if (res == -ENOBUFS) {
		if (uring_is_cancelled(op))
			res = -ECANCELED;
		else
			res = weir__uring_buffers_more(&u->buffers, URING_WHOLE) ? -EAGAIN
										 : -ENOMEM;
	}
	if (WEIR_LIKELY(!uring_must_repeat(op, res))) {
		weir__uring_finish(u, op, res <= 0 ? weir__socket_end(op->handle, res) : res);
		return;
	}
	uring_note_repeat(u, res);
	queue_single(u, op);
}

static void multishot_over(struct uring *u, struct weir_handle *h, int res)
{
	struct uring_handle *s = state_of(h);
	/* Without a word why, it may be for good: those who wait get entries of their own, and hear. */
	bool rearm = !(s->flags & (STOPPING | ENDED)) && s->waiters &&
		     (res >= 0 || res == -ENOBUFS);

	s->flags &= (uint8_t) ~(ARMED | STOPPING);
	if (res == -ENOBUFS && !weir__uring_buffers_more(&u->buffers, multishot_group(u))) {
		weir__uring_fail_waiters(s, -ENOMEM);
		rearm = false;
	}
	if (rearm) {
		weir__uring_handle_hold(u, h);
		if (arm(u, h))
			return;
		weir__uring_handle_drop(u, h);
	}
	if (!(s->flags & ENDED))
		release_waiters(u, h);
}

/* Bytes are lost for which there was no memory: nobody may take what follows for the rest. */
static void lose(struct weir_handle *h)
{
	struct uring_handle *s = state_of(h);

	weir__socket_reset(h->fd);
	s->flags |= ENDED;
	s->end = -ENOMEM;
}

/* Queue what the kernel has filled: one buffer, or in a bundle several. */
static void take_filled(struct uring *u, struct weir_handle *h, const struct io_uring_cqe *cqe)
{
	struct uring_handle *s = state_of(h);
	struct uring_buffers *b = &u->buffers;
	enum uring_group_id id = multishot_group(u);
	bool more = cqe->flags & IORING_CQE_F_BUF_MORE && id == URING_SHARED;
	unsigned next = cqe->flags >> IORING_CQE_BUFFER_SHIFT, number;
	uint32_t left = (uint32_t)cqe->res;
	bool wanted = !uring_is_closing(s) && !(s->flags & ENDED);
	struct uring_slice slice;

	while (left > 0) {
		number = next;
		next = weir__uring_buffers_next(&b->group[id], number);
		slice = weir__uring_buffers_filled(b, id, number, left, more);
		left -= slice.len;
		if (wanted && queue_slice(u, s, slice))
			continue;
		weir__uring_buffers_give(b, slice.token);
		if (wanted)
			lose(h);
		wanted = false;
	}
}

static void multishot_result(struct uring *u, struct weir_handle *h, const struct io_uring_cqe *cqe)
{
	struct uring_handle *s = state_of(h);

	if (cqe->res > 0) {
		if (uring_is_closing(s))
			weir__socket_will_reset(h->fd);
		take_filled(u, h, cqe);
	} else if (uring_is_closing(s) || s->flags & ENDED) {
		return;
	} else if (cqe->res != -ENOBUFS && cqe->res != -ECANCELED && cqe->res != -EINTR &&
		   cqe->res != -EAGAIN && cqe->res != -EFAULT) {
		s->flags |= ENDED;
		s->end = (int16_t)weir__socket_end(h, cqe->res);
	}
}

void weir__uring_multishot_done(struct uring *u, struct weir_handle *h,
				const struct io_uring_cqe *cqe)
{
	struct uring_handle *s = state_of(h);

	multishot_result(u, h, cqe);
	if (uring_is_closing(s)) {
		if (!(cqe->flags & IORING_CQE_F_MORE)) {
			weir__uring_unlist_closing(u, h);
			weir__uring_handle_drop(u, h);
		}
		return;
	}
	serve(u, h);
	if (!(cqe->flags & IORING_CQE_F_MORE)) {
		multishot_over(u, h, cqe->res);
		set_homed(u, h);
		weir__uring_handle_drop(u, h);
		return;
	}
	if (s->queued > QUEUE_MAX)
		weir__uring_recv_stop(u, h);
	set_homed(u, h);
}
