/* SPDX-License-Identifier: MIT */
/*
 * oneshot.h: one value from one task to another, once.
 *
 *	weir_oneshot_new ─┬─► sender:    send or drop          then it is finished
 *	or _init          └─► receiver:  recv or close         then it is finished
 *
 * One task (or thread) uses each end, and finishes it with exactly one of its calls. A
 * recv that returns -ECANCELED, -ETIMEDOUT or -EAGAIN has not finished its end. An end
 * that is finished must not touch the channel again.
 *
 * There are two kinds, with the same calls:
 *  - weir_oneshot_new makes one allocation, which is freed when both ends are finished;
 *  - weir_oneshot_init uses the caller's memory, and the value goes directly to where
 *    the receiver needs it. There is no allocation, but channel and value must stay
 *    until both ends are finished. They are when recv has returned 0 or -EPIPE. A
 *    receiver that closes must know in another way that the sender is finished, too.
 *
 * The value is bytes. What they refer to (a pointer, a descriptor) belongs to the
 * sender until send has returned 0, and to the receiver after that.
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
	struct weir_leaf *rx;		/* the receive that waits */
};

/* The future of a receive. It finishes with 0 and the value, or with -EPIPE. */
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
 * Make a channel for a value of value_bytes bytes (0: a signal without a value).
 *
 * Thread:   [any]
 * Owns:     the caller has both ends; the channel is freed when both are finished
 * Returns:  0; -ENOMEM
 * Since:    0.1
 */
WEIR_API int weir_oneshot_new(size_t value_bytes, struct weir_oneshot **ret_oneshot);

/**
 * Set a channel up in the caller's memory.
 *
 * Thread:   [any]
 * Owns:     *oneshot and the value_bytes bytes at value must stay until both ends are finished;
 *           send writes there directly, even if the receiver closes meanwhile
 * Since:    0.1
 */
WEIR_API void weir_oneshot_init(struct weir_oneshot *oneshot, void *value, size_t value_bytes);

/**
 * Send the value: value_bytes bytes are copied from value.
 *
 * Thread:   [any], the sender, once
 * Waits:    never
 * Owns:     the sender is finished, whatever the result
 * Returns:  0; -EPIPE if the receiver has closed (the value stays the sender's); -EINVAL without a
 *           value for value_bytes that are not 0: then the receiver gets -EPIPE
 * Since:    0.1
 */
WEIR_API int weir_oneshot_send(struct weir_oneshot *oneshot, const void *value);

/** Finish the sender without a value: the receiver gets -EPIPE. Thread: [any]. Since: 0.1 */
WEIR_API void weir_oneshot_drop(struct weir_oneshot *oneshot);

/** Whether the receiver has closed. Thread: [any], the sender. Since: 0.1 */
WEIR_API bool weir_oneshot_is_closed(const struct weir_oneshot *oneshot);

/**
 * Receive the value. With a ret_value of NULL it stays where weir_oneshot_init said, or is lost.
 *
 * Thread:   [worker] on a fiber, the receiver
 * Waits:    until the sender has sent or dropped
 * Owns:     after 0 or -EPIPE the receiver is finished
 * Cancel:   nothing was received; the receiver is not finished
 * Returns:  0; -EPIPE if the sender dropped; -ECANCELED; -EPERM outside a fiber (use the
 *           future or weir_oneshot_recv_try there)
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
 * Finish the receiver. If the value was sent before, it is received, so that nothing is lost.
 *
 * Thread:   [any], the receiver, while no recv is pending
 * Waits:    never
 * Owns:     the receiver is finished
 * Returns:  0 with the value; -EPIPE if there is none: a send will fail with -EPIPE
 * Since:    0.1
 */
WEIR_API int weir_oneshot_close(struct weir_oneshot *oneshot, void *ret_value);

/** Set the future of a receive up. Thread: [any]. Since: 0.1 */
WEIR_API void weir_oneshot_recv_init(struct weir_oneshot_recv_future *recv,
				     struct weir_oneshot *oneshot, void *ret_value);

WEIR_END_DECLS

#endif
