/* SPDX-License-Identifier: MIT */
/*
 * transfer.h: the operations that move bytes between a stream and the caller's memory
 * (RECV, SEND, SEND_LEASE and the iovec forms): their progress, and one non-blocking
 * system call for them. It does not depend on a backend's state.
 */
#ifndef WEIR_BACKENDS_TRANSFER_H
#define WEIR_BACKENDS_TRANSFER_H

#include <sys/types.h>

#include "core/atomic.h"
#include "weir/backend.h"

/* The most bytes of one call, so that its result fits an int. */
#define WEIR__TRANSFER_BYTES (1u << 30)
/* How many iovec elements are copied when a call starts in the middle of one. */
#define WEIR__TRANSFER_PART 16
/* How many elements one call takes. */
#define WEIR__TRANSFER_IOV 1024

/* Whether the bytes are one piece of memory, not an iovec. */
static inline bool weir__transfer_is_single(const struct weir_op *op)
{
	return op->code == WEIR_OP_RECV || op->code == WEIR_OP_SEND ||
	       op->code == WEIR_OP_SEND_LEASE;
}

/* What is left of that piece. */
static inline struct iovec weir__transfer_piece(const struct weir_op *op)
{
	const struct weir_lease *lease = op->u.lease.lease;

	if (op->code == WEIR_OP_SEND_LEASE)
		return (struct iovec){ lease->data + op->u.lease.done,
				       lease->len - op->u.lease.done };
	return (struct iovec){ op->u.io.buf + op->u.io.done, op->u.io.len - op->u.io.done };
}

#define WEIR__DONE_AT(form) offsetof(struct weir_op, u.form.done)
_Static_assert(WEIR__DONE_AT(io) == WEIR__DONE_AT(iov) && WEIR__DONE_AT(io) == WEIR__DONE_AT(lease),
	       "the progress of every transfer is in one place");

static inline uint32_t *weir__transfer_done(struct weir_op *op)
{
	return &op->u.io.done;
}

/*
 * Add n to the moved bytes; n may be negative. Atomic, because a relay reads the progress while its
 * operation is in flight on another worker.
 */
static inline void weir__transfer_moved(struct weir_op *op, ssize_t n)
{
	uint32_t *done = weir__transfer_done(op);

	weir__store(done, *done + (uint32_t)n, WEIR_RELAXED);
}

/* Whether the op continues after a call that moved only a part. */
static inline bool weir__transfer_wants_all(const struct weir_op *op)
{
	return op->flags & WEIR_OP_ALL && !(op->flags & WEIR_OP_PEEK);
}

/* Whether every byte has moved. */
bool weir__transfer_is_complete(const struct weir_op *op);

/* The result of a successful op: the number of bytes. */
static inline int weir__transfer_result(struct weir_op *op)
{
	uint32_t done = *weir__transfer_done(op);

	return done < INT32_MAX ? (int)done : INT32_MAX;
}

/*
 * The rest of an iovec op, from a non-empty element on. It is part of the caller's array if the
 * next element has not been started; otherwise up to WEIR__TRANSFER_PART elements are copied to
 * part. Returns the number of elements; 0 if no byte is left.
 */
unsigned weir__transfer_rest(const struct weir_op *op, struct iovec *part,
			     const struct iovec **ret_iov);

/* Make one call. Returns the bytes, which are added to .done; 0 at the end; or a negative errno. */
ssize_t weir__transfer_call(struct weir_op *op, size_t *ret_asked);

#endif
