/* SPDX-License-Identifier: MIT */
/*
 * recv.c: RECV, RECVV and RECV_LEASE.
 *
 * A receive is a single request, into the caller's memory or, for a lease, into a buffer
 * that the kernel chooses when bytes arrive. A stream with small messages needs fewer
 * requests: after SMALL_READS leases in a row that filled at most half a buffer, the
 * handle gets a multishot request, which keeps receiving.
 *
 *	single ──(small reads)──► ARMED ──► completions: to the waiting op, or queued
 *	   ▲                        │ queued > QUEUE_MAX, reads from other workers, or a read
 *	   │                        ▼ into the caller's memory
 *	   └──────(all read)───── STOPPING ──(the request has ended)
 *
 * Queued buffers come before later bytes of the stream. So while a buffer is queued, or
 * the request is armed, every read takes from the queue.
 */
#include <poll.h>
#include <string.h>
#include <sys/uio.h>

#include "backends/iouring/iouring.h"
#include "backends/plain_calls.h"
#include "backends/socket.h"
#include "backends/transfer.h"
#include "core/worker.h"

#define SMALL_READS 4u
/* With more queued buffers than this, the task is too slow and its multishot is stopped. */
#define QUEUE_MAX 4u
/* After this many reads in a row from other workers, the stream may get another home. */
#define AWAY_MAX 16u

static inline bool is_homed(const struct uring_handle *s)
{
	return s->flags & (ARMED | ENDED) || s->queued;
}

static void set_homed(struct uring *u, struct weir_handle *h)
{
	uint8_t homed = uring_homed_writes(u);

	if (is_homed(state_of(h)) || state_of(h)->waiters)
		homed |= WEIR_HOMED_READS;
	if (!u->alone && h->homed != homed)
		/* Pairs with the load in send_home: the next home sees the state of the last. */
		weir__store(&h->homed, homed, WEIR_RELEASE);
}

/* ---- the queue of filled buffers ---- */

/* Append a slice; false if there is no memory for it. */
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

/* Lend the first slice, or as much of it as the op asks for. */
static int take_lease(struct uring *u, struct uring_handle *s, struct weir_op *op)
{
	struct uring_slice *first = &u->buffers.slice[s->first - 1], part = *first;
	uint32_t max = op->u.lease.max;

	if (WEIR_LIKELY(!max || part.len <= max))
		return lend(u, op, unqueue_slice(u, s));
	weir__lease_pool_ref(&u->buffers.pool, part.token);
	part.len = max;
	first->data += max;
	first->len -= max;
	return lend(u, op, part);
}

/* Copy from the queue into one iovec element. Returns the number of bytes. */
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
		part[0] = weir__transfer_piece(op);
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

/* Serve an op from the queue. Returns its result or WEIR_PENDING. */
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
	/* Report the end once; after that the kernel reports it. */
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

/* The buffer group of multishot receives: their messages are small, so they may share a block. */
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
	s->small_reads = 0;
	s->away = 0;
	weir__uring_cancel_request(u, (uint64_t)(uintptr_t)h | TAG_RECV);
}

/* ---- submit ---- */

/* Serve the waiting ops, in order. */
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

/* The multishot request is over: make a single request for each op that still waits. */
static void release_waiters(struct uring *u, struct weir_handle *h)
{
	struct uring_handle *s = state_of(h);
	struct weir_op *op;

	while ((op = weir__uring_first_waiter(s)) != NULL) {
		weir__uring_remove_waiter(s, op);
		weir__uring_handle_ref(u, h);
		queue_single(u, op);
	}
}

/* A read on a handle that has a multishot request, or has queued buffers of one. */
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

/* Receive without waiting. Bytes that the kernel has already received come first, so poll it. */
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
	weir__uring_handle_ref(u, h);
	if (op->code == WEIR_OP_RECV_LEASE && s->small_reads >= SMALL_READS &&
	    u->options.multishot_recv && !op->u.lease.max && arm(u, h)) {
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
			weir__uring_handle_ref(u, h);
		queue_single(u, op);
	}
}

/* ---- completions ---- */

/* Count small reads in a row: this lease has len bytes. */
static void note_read(struct uring *u, struct weir_handle *h, uint32_t len, unsigned flags)
{
	struct uring_handle *s = state_of(h);

	if (!is_home(u, h))
		return;
	if (len > u->buffers.pool.bytes / 2 || flags & IORING_CQE_F_SOCK_NONEMPTY)
		s->small_reads = 0;
	else if (s->small_reads < SMALL_READS)
		s->small_reads++;
}

static int leased(struct uring *u, struct weir_op *op, const struct io_uring_cqe *cqe)
{
	unsigned number = cqe->flags >> IORING_CQE_BUFFER_SHIFT;
	uint32_t len = (uint32_t)cqe->res;

	note_read(u, op->handle, len, cqe->flags);
	return lend(u, op,
		    weir__uring_buffers_filled(&u->buffers, URING_WHOLE, number, len, false));
}

/* A receive that ran on a kernel thread has taken a buffer even if it reports the end of stream. */
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
	/* After another error the waiting ops get single requests, which report the reason. */
	bool rearm = !(s->flags & (STOPPING | ENDED)) && s->waiters &&
		     (res >= 0 || res == -ENOBUFS);

	s->flags &= (uint8_t) ~(ARMED | STOPPING);
	if (res == -ENOBUFS && !weir__uring_buffers_more(&u->buffers, multishot_group(u))) {
		weir__uring_fail_waiters(s, -ENOMEM);
		rearm = false;
	}
	if (rearm) {
		weir__uring_handle_ref(u, h);
		if (arm(u, h))
			return;
		weir__uring_handle_unref(u, h);
	}
	if (!(s->flags & ENDED))
		release_waiters(u, h);
}

/* Bytes were dropped for lack of memory, so the stream ends here: later bytes would leave a gap. */
static void lose(struct weir_handle *h)
{
	struct uring_handle *s = state_of(h);

	weir__socket_reset(h->fd);
	s->flags |= ENDED;
	s->end = -ENOMEM;
}

/* Queue the buffers that the kernel has filled: one, or several in a bundle. */
static void take_filled(struct uring *u, struct weir_handle *h, const struct io_uring_cqe *cqe)
{
	struct uring_handle *s = state_of(h);
	struct uring_buffers *b = &u->buffers;
	enum uring_group_id id = multishot_group(u);
	bool more = cqe->flags & IORING_CQE_F_BUF_MORE && id == URING_SHARED;
	unsigned next = cqe->flags >> IORING_CQE_BUFFER_SHIFT, number;
	uint32_t left = (uint32_t)cqe->res;
	bool keep = !uring_is_closing(s) && !(s->flags & ENDED);
	struct uring_slice slice;

	while (left > 0) {
		number = next;
		next = weir__uring_buffers_next(&b->group[id], number);
		slice = weir__uring_buffers_filled(b, id, number, left, more);
		left -= slice.len;
		if (keep && queue_slice(u, s, slice))
			continue;
		weir__uring_buffers_give(b, slice.token);
		if (keep)
			lose(h);
		keep = false;
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
			weir__uring_handle_unref(u, h);
		}
		return;
	}
	serve(u, h);
	if (!(cqe->flags & IORING_CQE_F_MORE)) {
		multishot_over(u, h, cqe->res);
		set_homed(u, h);
		weir__uring_handle_unref(u, h);
		return;
	}
	if (s->queued > QUEUE_MAX)
		weir__uring_recv_stop(u, h);
	set_homed(u, h);
}
