/* SPDX-License-Identifier: MIT */
/* transfer.c: see transfer.h. An interrupted call is repeated, up to WEIR__TRIES calls in all. */
#include "backends/plain_calls.h"
#include "backends/socket.h"
#include "backends/socket_os.h"
#include "backends/transfer.h"

bool weir__transfer_is_complete(const struct weir_op *op)
{
	size_t left = op->u.iov.done;

	if (weir__transfer_is_single(op))
		return weir__transfer_piece(op).iov_len == 0;
	for (unsigned i = 0; i < op->u.iov.count; i++) {
		if (op->u.iov.iov[i].iov_len > left)
			return false;
		left -= op->u.iov.iov[i].iov_len;
	}
	return true;
}

unsigned weir__transfer_rest(const struct weir_op *op, struct iovec *part,
			     const struct iovec **ret_iov)
{
	const struct iovec *iov = op->u.iov.iov, *end = iov + op->u.iov.count;
	size_t skip = op->u.iov.done;
	unsigned n = 0;

	/* Skip empty elements too: a call with only those returns 0, as at end of stream. */
	for (; iov < end && skip >= iov->iov_len; iov++)
		skip -= iov->iov_len;
	if (skip == 0) {
		*ret_iov = iov;
		n = (unsigned)(end - iov);
		return n < WEIR__TRANSFER_IOV ? n : WEIR__TRANSFER_IOV;
	}
	for (; iov < end && n < WEIR__TRANSFER_PART; iov++, n++, skip = 0)
		part[n] = (struct iovec){ (uint8_t *)iov->iov_base + skip, iov->iov_len - skip };
	*ret_iov = part;
	return n;
}

static ssize_t call_single(struct weir_op *op, size_t *ret_asked)
{
	struct iovec piece = weir__transfer_piece(op);
	size_t len = piece.iov_len;
	unsigned tries = 0;
	ssize_t n;

	if (len > WEIR__TRANSFER_BYTES)
		len = WEIR__TRANSFER_BYTES;
	*ret_asked = len;
	do
		n = op->code == WEIR_OP_RECV
			    ? weir__plain_recv(op->handle->fd, piece.iov_base, len,
					       op->flags & WEIR_OP_PEEK ? MSG_DONTWAIT | MSG_PEEK
									: MSG_DONTWAIT)
			    : weir__plain_send(op->handle->fd, piece.iov_base, len,
					       MSG_DONTWAIT | WEIR__MSG_NOSIGNAL);
	while (WEIR_UNLIKELY(n < 0 && weir__socket_again(&tries)));
	return n;
}

static WEIR_NOINLINE ssize_t call_iov(struct weir_op *op, size_t *ret_asked)
{
	struct iovec part[WEIR__TRANSFER_PART];
	const struct iovec *iov;
	unsigned count = weir__transfer_rest(op, part, &iov);
	struct msghdr msg = { .msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = count };
	unsigned tries = 0;
	ssize_t n;

	*ret_asked = 0;
	for (unsigned i = 0; i < count; i++)
		*ret_asked += iov[i].iov_len;
	do
		n = op->code == WEIR_OP_SENDV
			    ? sendmsg(op->handle->fd, &msg, MSG_DONTWAIT | WEIR__MSG_NOSIGNAL)
			    : recvmsg(op->handle->fd, &msg, MSG_DONTWAIT);
	while (WEIR_UNLIKELY(n < 0 && weir__socket_again(&tries)));
	return n;
}

ssize_t weir__transfer_call(struct weir_op *op, size_t *ret_asked)
{
	ssize_t n = weir__transfer_is_single(op) ? call_single(op, ret_asked)
						 : call_iov(op, ret_asked);

	if (n < 0)
		return -errno;
	weir__transfer_moved(op, n);
	return n;
}
