/* SPDX-License-Identifier: MIT */
/*
 * send.c: SEND, SENDV and SEND_LEASE, and what RECV and RECVV have in common with them: an entry for
 * the rest of a transfer, and the handling of its completion.
 *
 * A send nearly always succeeds at once. In a batch, an entry in the ring is cheaper,
 * because one system call makes all of them. A single send is a direct system call, which
 * also saves its task a pass through the scheduler.
 *
 * A transfer of all bytes (WEIR_OP_ALL) does not use MSG_WAITALL: .done would not move in
 * the meantime, and a relay would take the peer for stuck. Also, an error after some of
 * the bytes would be lost: the kernel clears it from the socket and returns the bytes, and
 * the next receive sees a normal end of stream.
 */
#include <stdlib.h>

#include "backends/iouring/iouring.h"
#include "backends/socket.h"
#include "backends/transfer.h"
#include "core/worker.h"

/* Up to this many completions in a turn are not a batch. */
#define FEW 2u

/* The msghdr of an iovec op; it is used from the op's first entry to its result. */
struct uring_vec {
	struct msghdr msg;
	struct iovec part[WEIR__TRANSFER_PART];
	struct uring_vec *next;
};

static inline struct uring_vec *vec_of(const struct weir_op *op)
{
	return (struct uring_vec *)((uintptr_t)op->next & ~(uintptr_t)OP_BITS);
}

static struct uring_vec *vec_take(struct uring *u, struct weir_op *op)
{
	struct uring_vec *vec = vec_of(op);

	if (vec)
		return vec;
	vec = u->vecs ? u->vecs : malloc(sizeof(*vec));
	if (!vec)
		return NULL;
	if (vec == u->vecs)
		u->vecs = vec->next;
	op->next = (struct weir_op *)((uintptr_t)vec | (uintptr_t)op->next);
	return vec;
}

static void vec_give(struct uring *u, struct weir_op *op)
{
	struct uring_vec *vec = vec_of(op);

	if (!vec)
		return;
	vec->next = u->vecs;
	u->vecs = vec;
	op->next = NULL;
}

void weir__uring_vecs_fini(struct uring *u)
{
	while (u->vecs) {
		struct uring_vec *vec = u->vecs;

		u->vecs = vec->next;
		free(vec);
	}
}

/* ---- zero-copy sends ---- */

static inline void set_lends(struct weir_op *op, bool lends)
{
	uintptr_t next = (uintptr_t)op->next & ~(uintptr_t)OP_LENDS;

	op->next = (struct weir_op *)(lends ? next | OP_LENDS : next);
}

static inline bool lends(const struct weir_op *op)
{
	return (uintptr_t)op->next & OP_LENDS;
}

static bool may_lend(const struct uring *u, struct weir_op *op, size_t len)
{
	return u->options.zero_copy_bytes && len >= u->options.zero_copy_bytes &&
	       !weir__load(&state_of(op->handle)->copies, WEIR_RELAXED);
}

/*
 * The socket uses the op's bytes until the peer has acknowledged them. Neither a cancel nor a
 * shutdown ends that, only a reset, so closing such a stream resets it; see end_ops. The fence
 * pairs with the one there: at least one of the two sees the other.
 */
static void lend(struct weir_op *op, int res)
{
	struct uring_handle *s = state_of(op->handle);

	op->res = res;
	if (res <= 0)
		return;
	weir__fetch_add(&s->lent, 1u, WEIR_RELAXED);
	weir__fence(WEIR_SEQ_CST);
	if (uring_is_closing(s))
		weir__socket_reset(op->handle->fd);
}

/* The socket no longer uses the bytes. Returns the result of the send. */
static int give_back(struct weir_op *op)
{
	if (op->res > 0)
		weir__fetch_sub(&state_of(op->handle)->lent, 1u, WEIR_RELAXED);
	return op->res;
}

/* ---- entries ---- */

static void prep_single(struct uring *u, struct weir_op *op, struct io_uring_sqe *sqe)
{
	struct iovec piece = weir__transfer_piece(op);
	size_t len = piece.iov_len;
	int fd = op->handle->fd, flags = 0;

	if (len > WEIR__TRANSFER_BYTES)
		len = WEIR__TRANSFER_BYTES;
	if (op->code == WEIR_OP_RECV) {
		flags = op->flags & WEIR_OP_PEEK ? MSG_PEEK : 0;
		io_uring_prep_recv(sqe, fd, piece.iov_base, len, flags);
	} else if (may_lend(u, op, len)) {
		set_lends(op, true);
		io_uring_prep_send_zc(sqe, fd, piece.iov_base, len, MSG_NOSIGNAL, 0);
	} else {
		set_lends(op, false);
		io_uring_prep_send(sqe, fd, piece.iov_base, len, MSG_NOSIGNAL);
	}
}

static int prep_vec(struct uring *u, struct weir_op *op, struct io_uring_sqe *sqe)
{
	struct uring_vec *vec = vec_take(u, op);
	const struct iovec *iov;

	if (!vec) {
		io_uring_prep_nop(sqe);
		io_uring_sqe_set_data64(sqe, UD_IGNORE);
		return -ENOMEM;
	}
	vec->msg = (struct msghdr){ .msg_iovlen = weir__transfer_rest(op, vec->part, &iov) };
	vec->msg.msg_iov = (struct iovec *)(uintptr_t)iov;
	if (op->code == WEIR_OP_RECVV)
		io_uring_prep_recvmsg(sqe, op->handle->fd, &vec->msg, 0);
	else
		io_uring_prep_sendmsg(sqe, op->handle->fd, &vec->msg, MSG_NOSIGNAL);
	return 0;
}

void weir__uring_queue_transfer(struct uring *u, struct weir_op *op)
{
	struct io_uring_sqe *sqe = weir__uring_sqe(u);
	int rc = sqe ? 0 : -ENOMEM;

	if (sqe && weir__transfer_is_single(op))
		prep_single(u, op, sqe);
	else if (sqe)
		rc = prep_vec(u, op, sqe);
	if (WEIR_UNLIKELY(rc < 0)) {
		weir__uring_finish(u, op, rc);
		return;
	}
	weir__uring_name(u, op->handle, sqe);
	uring_tag(sqe, op, TAG_OP);
}

/* ---- completions ---- */

static void finish_transfer(struct uring *u, struct weir_op *op, int res)
{
	vec_give(u, op);
	weir__uring_finish(u, op, res);
}

static bool is_receive(const struct weir_op *op)
{
	return op->code == WEIR_OP_RECV || op->code == WEIR_OP_RECVV;
}

/*
 * Requests of a thread that has ended may report -EFAULT for valid memory too. Find out with a
 * system call.
 */
static int ask_about_fault(struct weir_op *op)
{
	size_t asked;
	int n = (int)weir__transfer_call(op, &asked);

	if (n > 0)
		weir__transfer_moved(op, -n);
	return n;
}

void weir__uring_transfer_done(struct uring *u, struct weir_op *op, const struct io_uring_cqe *cqe)
{
	bool fault = false;
	int res = cqe->res;

	/* The first completion of a zero-copy send: the buffer is still in use until the second. */
	if (WEIR_UNLIKELY(cqe->flags & IORING_CQE_F_MORE)) {
		lend(op, res);
		return;
	}
	if (WEIR_UNLIKELY(cqe->flags & IORING_CQE_F_NOTIF))
		res = give_back(op);
	if (WEIR_UNLIKELY(res == -EOPNOTSUPP && lends(op))) {
		/*
		 * The socket does not support zero copy, such as a Unix socket: copy from now on.
		 */
		weir__store(&state_of(op->handle)->copies, true, WEIR_RELAXED);
		res = -EAGAIN;
	}
	if (WEIR_UNLIKELY(res == -EFAULT)) {
		res = ask_about_fault(op);
		fault = res == -EFAULT;
	}
	if (WEIR_UNLIKELY(uring_must_repeat(op, res) && !fault)) {
		uring_note_repeat(u, res);
		weir__uring_queue_transfer(u, op);
		return;
	}
	if (res > 0) {
		weir__transfer_moved(op, res);
		if (WEIR_UNLIKELY(weir__transfer_wants_all(op) &&
				  !weir__transfer_is_complete(op))) {
			/*
			 * The close has cancelled earlier requests and would not cancel a new one.
			 */
			if (!uring_is_cancelled(op) && !uring_is_closing(state_of(op->handle))) {
				weir__uring_queue_transfer(u, op);
				return;
			}
			finish_transfer(u, op, -ECANCELED);
			return;
		}
	}
	/* No bytes: an end of stream, unless the stream is broken or being closed. */
	if (res < 0 || (res == 0 && is_receive(op)))
		res = uring_result(op->handle, weir__socket_end(op->handle, res));
	finish_transfer(u, op, res < 0 ? res : weir__transfer_result(op));
}

/* ---- send ---- */

/* Make a direct call. Returns the result, or WEIR_PENDING if bytes are left to be sent. */
static int send_now(struct weir_op *op)
{
	size_t asked;
	ssize_t n = weir__transfer_call(op, &asked);

	if (n == -EAGAIN)
		return op->flags & WEIR_OP_TRY ? -EAGAIN : WEIR_PENDING;
	if (n < 0)
		return weir__socket_end(op->handle, (int)n);
	if (weir__transfer_wants_all(op) && !(op->flags & WEIR_OP_TRY) &&
	    !weir__transfer_is_complete(op))
		return WEIR_PENDING;
	return weir__transfer_result(op);
}

void weir__uring_submit_send(struct uring *u, struct weir_op *op)
{
	int res;

	if (op->flags & WEIR_OP_TRY || (u->options.inline_send && u->batch <= FEW)) {
		weir__count_syscalls(u->base.worker, 1);
		res = send_now(op);
		if (res != WEIR_PENDING) {
			weir_backend_complete(op, res);
			return;
		}
	}
	weir__uring_handle_ref(u, op->handle);
	weir__uring_queue_transfer(u, op);
}
