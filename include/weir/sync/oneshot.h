/* SPDX-License-Identifier: MIT */
/*
 * oneshot.h: one value from one task to another, once.
 *
 *	weir_oneshot_new ─┬─► sender:    send or drop          then it is out
 *	or _init          └─► receiver:  recv or close         then it is out
 *
 * Each end is used by one task (or thread) and ends with exactly one of its
 * calls; a recv that answers -ECANCELED, -ETIMEDOUT or -EAGAIN has not ended it.
 * An end that is out must not touch the channel again.
 *
 * Two kinds, the same calls:
 *  - weir_oneshot_new: one allocation, freed by the end that is out last;
 *  - weir_oneshot_init: in the caller's memory, and the value goes straight where
 *    the receiver wants it. No allocation, but channel and value must stay until
 *    both ends are out: when recv has answered 0 or -EPIPE they are; a receiver
 *    that closes must know by other means that the sender is out too.
 *
 * The value is bytes. What they refer to (a pointer, a descriptor) is the
 * sender's until send has answered 0, and the receiver's after.
 */
#ifndef WEIR_SYNC_ONESHOT_H
#define WEIR_SYNC_ONESHOT_H

#include "weir/base.h"
#include "weir/future.h"

struct weir_oneshot {
	uint32_t word;			/* sync/oneshot_state.h; atomic */
	bool heap;
	size_t value_bytes;
	void *value;
	struct weir_leaf *rx;		/* whom to wake */
};

/* The future of a receive: finishes with 0 and the value, or -EPIPE. */
struct weir_oneshot_recv_future {
	union {				/* one memory: every future answers to .future */
		struct weir_future future;
		struct weir_leaf leaf;
	};
	struct weir_oneshot *oneshot;
	void *ret_value;
	bool cancelled;
};

WEIR_BEGIN_DECLS

/**
 * Make a channel for a value of value_bytes bytes (0: a mere signal).
 *
 * Thread:   [any]
 * Owns:     both ends are the caller's; the block is freed when both are out
 * Returns:  0; -ENOMEM
 * Since:    0.1
 */
WEIR_API int weir_oneshot_new(size_t value_bytes, struct weir_oneshot **ret_oneshot);

/**
 * Set a channel up in the caller's memory.
 *
 * Thread:   [any]
 * Owns:     *oneshot and the value_bytes bytes at value must stay until both ends are out; send
 *           writes there directly, even where the receiver turns out to have closed
 * Since:    0.1
 */
WEIR_API void weir_oneshot_init(struct weir_oneshot *oneshot, void *value, size_t value_bytes);

/**
 * Send the value: value_bytes bytes are copied from value.
 *
 * Thread:   [any], the sender, once
 * Waits:    never
 * Owns:     the sender is out, whatever the answer
 * Returns:  0; -EPIPE if the receiver has closed (the value stays the sender's); -EINVAL without a
 *           value for value_bytes that are not 0: then the receiver gets -EPIPE
 * Since:    0.1
 */
WEIR_API int weir_oneshot_send(struct weir_oneshot *oneshot, const void *value);

/** End the sender without a value: the receiver gets -EPIPE. Thread: [any]. Since: 0.1 */
WEIR_API void weir_oneshot_drop(struct weir_oneshot *oneshot);

/** Whether the receiver has closed. Thread: [any], the sender. Since: 0.1 */
WEIR_API bool weir_oneshot_is_closed(const struct weir_oneshot *oneshot);

/**
 * Receive the value. ret_value NULL: leave it where _init said, or forget it.
 *
 * Thread:   [worker] on a fiber, the receiver
 * Waits:    until the sender has sent or dropped
 * Owns:     after 0 or -EPIPE the receiver is out
 * Cancel:   nothing was received; the receiver is not out
 * Returns:  0; -EPIPE if the sender dropped; -ECANCELED; -EPERM outside a fiber (there: the
 *           future, or try)
 * Since:    0.1
 */
WEIR_API int weir_oneshot_recv(struct weir_oneshot *oneshot, void *ret_value) WEIR_MUST_CHECK;

/**
 * The same, up to a deadline. It also returns -ETIMEDOUT and -ENODEV, as weir_await_until does.
 *
 * Thread:   [worker] on a fiber, the receiver
 * Waits:    up to the deadline
 * Since:    0.1
 */
WEIR_API int weir_oneshot_recv_until(struct weir_oneshot *oneshot, uint64_t deadline,
				     void *ret_value) WEIR_MUST_CHECK;

/** The same without waiting: 0; -EPIPE; -EAGAIN. Thread: [any]. Since: 0.1 */
WEIR_API int weir_oneshot_recv_try(struct weir_oneshot *oneshot, void *ret_value) WEIR_MUST_CHECK;

/**
 * End the receiver. If the value was sent first it is received, so that nothing is lost.
 *
 * Thread:   [any], the receiver, while no recv is pending
 * Waits:    never
 * Owns:     the receiver is out
 * Returns:  0 with the value; -EPIPE: closed, there is none and a send will be refused
 * Since:    0.1
 */
WEIR_API int weir_oneshot_close(struct weir_oneshot *oneshot, void *ret_value);

/** Set the future of a receive up; as weir_oneshot_recv. Thread: [any]. Since: 0.1 */
WEIR_API void weir_oneshot_recv_init(struct weir_oneshot_recv_future *recv,
				     struct weir_oneshot *oneshot, void *ret_value);

WEIR_END_DECLS

#endif
