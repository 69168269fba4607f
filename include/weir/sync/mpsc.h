/* SPDX-License-Identifier: MIT */
/*
 * mpsc.h: a bounded channel: many senders, one receiver, messages of one size.
 *
 *	weir_mpsc_new ─┬─► senders:   ref … send … unref
 *	               └─► receiver:  recv … 0 at the end … weir_mpsc_free
 *
 * Messages come out in the order in which they were sent. A sender that finds the
 * channel full waits in line; when room is made, the message of the first in line
 * is in the channel at once, so nobody overtakes and no place is ever lost.
 *
 * The end: when the last sender is gone, or somebody has closed the channel, no
 * message gets in any more (-EPIPE); the receiver still gets those that are in,
 * and then 0.
 *
 * Messages are bytes, copied in and out under a short lock: send a pointer to
 * something large. What is in the channel when it is freed is forgotten; a
 * receiver whose messages own something closes and drains first.
 *
 * Do not: receive in two tasks at a time (-EBUSY); use the channel after the
 * last of one's own holds is given up.
 */
#ifndef WEIR_SYNC_MPSC_H
#define WEIR_SYNC_MPSC_H

#include "weir/sync/wait.h"

struct weir_mpsc;

/* The future of a send: finishes with 0, and the message is in the channel, or with -EPIPE. */
struct weir_mpsc_send_future {
	union {				/* one memory: every future answers to .future */
		struct weir_future future;
		struct weir__wait wait;
	};
	struct weir_mpsc *mpsc;
	const void *message;
};

/* The future of a receive: finishes with how many messages it has stored; 0 at the end. */
struct weir_mpsc_recv_future {
	union {				/* one memory: every future answers to .future */
		struct weir_future future;
		struct weir__wait wait;
	};
	struct weir_mpsc *mpsc;
	void *ret_messages;
	size_t max;
	bool cancelled;
};

WEIR_BEGIN_DECLS

/**
 * Make a channel with room for capacity messages of message_bytes bytes (0: mere signals).
 *
 * Thread:   [any]
 * Owns:     the caller has the receiver (until weir_mpsc_free) and one sender (until
 *           weir_mpsc_unref)
 * Returns:  0; -EINVAL for capacity 0; -ENOMEM
 * Since:    0.1
 */
WEIR_API int weir_mpsc_new(size_t capacity, size_t message_bytes, struct weir_mpsc **ret_mpsc);

/** One more sender; returns the channel. Thread: [any] that has a sender. Since: 0.1 */
WEIR_API struct weir_mpsc *weir_mpsc_ref(struct weir_mpsc *mpsc);

/** One sender less; the last one closes the channel. NULL is allowed. Thread: [any]. Since: 0.1 */
WEIR_API void weir_mpsc_unref(struct weir_mpsc *mpsc);

/** Give the receiver up: close, forget what is in. NULL is allowed. Thread: [any]. Since: 0.1 */
WEIR_API void weir_mpsc_free(struct weir_mpsc *mpsc);

/**
 * Let nothing more in. Senders in line get -EPIPE; what is in can still be received.
 *
 * Thread:   [any] that has a sender or the receiver
 * Waits:    never
 * Since:    0.1
 */
WEIR_API void weir_mpsc_close(struct weir_mpsc *mpsc);

/**
 * Send a message.
 *
 * Thread:   [worker] on a fiber, with a sender
 * Waits:    until there is room and nobody is in line before
 * Cancel:   the message was not sent
 * Returns:  0; -EPIPE if the channel is closed; -EINVAL without a message, unless it is a mere
 *           signal; -ECANCELED; -EPERM outside a fiber (there: the future, or try)
 * Since:    0.1
 */
WEIR_API int weir_mpsc_send(struct weir_mpsc *mpsc, const void *message);

/**
 * The same, up to a deadline. It also returns -ETIMEDOUT and -ENODEV, as weir_await_until does.
 *
 * Thread:   [worker] on a fiber, with a sender
 * Waits:    up to the deadline
 * Since:    0.1
 */
WEIR_API int weir_mpsc_send_until(struct weir_mpsc *mpsc, const void *message, uint64_t deadline);

/** The same without waiting: 0; -EAGAIN if it is full; -EPIPE. Thread: [any]. Since: 0.1 */
WEIR_API int weir_mpsc_send_try(struct weir_mpsc *mpsc, const void *message);

/**
 * Receive a message.
 *
 * Thread:   [worker] on a fiber, the receiver
 * Waits:    until there is one, or the end
 * Cancel:   nothing was received
 * Returns:  1; 0 at the end; -EBUSY if another receive is pending; -EINVAL without room for the
 *           message; -ECANCELED; -EPERM outside a fiber (there: the future, or try)
 * Since:    0.1
 */
WEIR_API int weir_mpsc_recv(struct weir_mpsc *mpsc, void *ret_message);

/**
 * The same, up to a deadline. It also returns -ETIMEDOUT and -ENODEV, as weir_await_until does.
 *
 * Thread:   [worker] on a fiber, the receiver
 * Waits:    up to the deadline
 * Since:    0.1
 */
WEIR_API int weir_mpsc_recv_until(struct weir_mpsc *mpsc, uint64_t deadline, void *ret_message);

/** The same without waiting: 1; 0 at the end; -EAGAIN. Thread: [any]. Since: 0.1 */
WEIR_API int weir_mpsc_recv_try(struct weir_mpsc *mpsc, void *ret_message);

/**
 * Receive as many messages as there are, at least one and up to max, in one go.
 *
 * Thread:   [worker] on a fiber, the receiver
 * Returns:  how many; 0 at the end; -EINVAL for max 0; the rest as weir_mpsc_recv
 * Since:    0.1
 */
WEIR_API int weir_mpsc_recv_many(struct weir_mpsc *mpsc, size_t max, void *ret_messages);

/**
 * The same, up to a deadline. It also returns -ETIMEDOUT and -ENODEV, as weir_await_until does.
 *
 * Thread:   [worker] on a fiber, the receiver
 * Waits:    up to the deadline
 * Since:    0.1
 */
WEIR_API int weir_mpsc_recv_many_until(struct weir_mpsc *mpsc, size_t max, uint64_t deadline,
				       void *ret_messages);

/** Messages in the channel now. Thread: [any]. Since: 0.1 */
WEIR_API size_t weir_mpsc_len(const struct weir_mpsc *mpsc);
/** How many it has room for. Thread: [any]. Since: 0.1 */
WEIR_API size_t weir_mpsc_capacity(const struct weir_mpsc *mpsc);
/** Whether nothing gets in any more. Thread: [any]. Since: 0.1 */
WEIR_API bool weir_mpsc_is_closed(const struct weir_mpsc *mpsc);

/**
 * Set the future of a send up; message must stay until it finishes. Cancel gives the place in
 * line up; if the message was let in first it finishes with 0. Thread: [any]. Since: 0.1
 */
WEIR_API void weir_mpsc_send_init(struct weir_mpsc_send_future *send, struct weir_mpsc *mpsc,
				  const void *message);

/**
 * Set the future of a receive up, of up to max messages. It takes them when it is polled, so a
 * cancelled one has taken none. Thread: [any]. Since: 0.1
 */
WEIR_API void weir_mpsc_recv_init(struct weir_mpsc_recv_future *recv, struct weir_mpsc *mpsc,
				  size_t max, void *ret_messages);

WEIR_END_DECLS

#endif
