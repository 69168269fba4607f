/* SPDX-License-Identifier: MIT */
/*
 * transfer.h: the operations that move bytes between a stream and memory of the
 * caller's (RECV, SEND and their iovec forms): how far one has come, and one
 * system call for it that never waits. Knows no backend's state.
 */
#ifndef WEIR_BACKENDS_TRANSFER_H
#define WEIR_BACKENDS_TRANSFER_H

#include <sys/types.h>

#include "core/atomic.h"
#include "weir/backend.h"

/* Most bytes of one call, so that its result is an int. */
#define WEIR__TRANSFER_BYTES (1u << 30)
/* Elements of an iovec that are copied when a call starts in the middle of one. */
#define WEIR__TRANSFER_PART 16
/* Elements that one call takes. */
#define WEIR__TRANSFER_IOV 1024

static inline bool weir__transfer_is_single(const struct weir_op *op)
{
	return op->code == WEIR_OP_RECV || op->code == WEIR_OP_SEND;
}

static inline uint32_t *weir__transfer_done(struct weir_op *op)
{
	return weir__transfer_is_single(op) ? &op->u.io.done : &op->u.iov.done;
}

/*
 * So many bytes more have moved; less than none: they are taken back. Atomic, for a relay that
 * looks after its progress while its operation is under way on another worker.
 */
static inline void weir__transfer_moved(struct weir_op *op, ssize_t n)
{
	uint32_t *done = weir__transfer_done(op);

	weir__store(done, *done + (uint32_t)n, WEIR_RELAXED);
}

/* Whether it is to go on after a call that moved less than everything. */
static inline bool weir__transfer_wants_all(const struct weir_op *op)
{
	return op->flags & WEIR_OP_ALL && !(op->flags & WEIR_OP_PEEK);
}

/* Whether every byte has moved. */
bool weir__transfer_is_complete(const struct weir_op *op);

/* The result of one that ends well: the bytes. */
static inline int weir__transfer_result(struct weir_op *op)
{
	uint32_t done = *weir__transfer_done(op);

	return done < INT32_MAX ? (int)done : INT32_MAX;
}

/*
 * What is left of an iovec op, from an element that is not empty: the caller's own array where that
 * has not been begun, else (up to WEIR__TRANSFER_PART elements) a copy in part. Returns how many
 * elements; 0 if no byte is left.
 */
unsigned weir__transfer_rest(const struct weir_op *op, struct iovec *part,
			     const struct iovec **ret_iov);

/* One call: the bytes, which are added to .done, 0 at the end, -EAGAIN or what else went wrong. */
ssize_t weir__transfer_call(struct weir_op *op, size_t *ret_asked);

#endif
