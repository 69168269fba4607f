/* SPDX-License-Identifier: MIT */
/*
 * mpsc.h: a bounded channel with many senders, one receiver, and messages of one size.
 *
 *	weir_mpsc_new ─┬─► senders:   ref … send … unref
 *	               └─► receiver:  recv … 0 at the end … weir_mpsc_free
 *
 * Messages come out in the order in which they were sent. A sender that finds the
 * channel full waits in a queue. When the receiver makes room, the message of the first
 * waiting sender moves into the channel at once, so no other sender overtakes it.
 *
 * The end: after the last sender was given up, or the channel was closed, a send returns
 * -EPIPE. The receiver still gets the messages that are in the channel, and then 0.
 *
 * Messages are bytes, copied in and out under a short lock, so send a pointer to
 * something large. Messages that are in the channel when it is freed are lost. If
 * messages own something, the receiver closes the channel and receives the rest first.
 *
 * Do not: receive in two tasks at a time (-EBUSY); use the channel after the task gave
 * up its sender or receiver.
 */
#ifndef WEIR_SYNC_MPSC_H
#define WEIR_SYNC_MPSC_H

#include "weir/sync/wait.h"

struct weir_mpsc;

/* The future of a send. It finishes with 0 when the message is in the channel, or with -EPIPE. */
struct weir_mpsc_send_future {
	union {				/* one memory: every future answers to .future */
		struct weir_future future;
		struct weir__wait wait;
	};
	struct weir_mpsc *mpsc;
	const void *message;
};

/* The future of a receive. It finishes with the number of messages stored; 0 at the end. */
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
 * Make a channel with room for capacity messages of message_bytes bytes each (may be 0).
 *
 * Thread:   [any]
 * Owns:     the caller has the receiver (until weir_mpsc_free) and one sender (until
 *           weir_mpsc_unref)
 * Returns:  0; -EINVAL for capacity 0; -ENOMEM
 * Since:    0.1
 */
WEIR_API int weir_mpsc_new(size_t capacity, size_t message_bytes, struct weir_mpsc **ret_mpsc);

/** Make one more sender. Returns the channel. Thread: [any] that has a sender. Since: 0.1 */
WEIR_API struct weir_mpsc *weir_mpsc_ref(struct weir_mpsc *mpsc);

/** Give a sender up; the last one closes the channel. NULL is allowed. Thread: [any]. Since: 0.1 */
WEIR_API void weir_mpsc_unref(struct weir_mpsc *mpsc);

/** Give the receiver up; messages left are lost. NULL is allowed. Thread: [any]. Since: 0.1 */
WEIR_API void weir_mpsc_free(struct weir_mpsc *mpsc);

/**
 * Close a channel: sends return -EPIPE, also those that wait. What is in it can still be received.
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
 * Waits:    until there is room, behind those that came before
 * Cancel:   the message was not sent
 * Returns:  0; -EPIPE if the channel is closed; -EINVAL without a message, unless message_bytes
 *           is 0; -ECANCELED; -EPERM outside a fiber (use the future or weir_mpsc_send_try there)
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
 *           message; -ECANCELED; -EPERM outside a fiber (the future or _try work there)
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
 * Receive as many messages as there are, at least one and up to max, in one call.
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

/** How many messages are in a channel now. Thread: [any]. Since: 0.1 */
WEIR_API size_t weir_mpsc_len(const struct weir_mpsc *mpsc);
/** How many messages a channel has room for. Thread: [any]. Since: 0.1 */
WEIR_API size_t weir_mpsc_capacity(const struct weir_mpsc *mpsc);
/** Whether sends return -EPIPE. Thread: [any]. Since: 0.1 */
WEIR_API bool weir_mpsc_is_closed(const struct weir_mpsc *mpsc);

/**
 * Set the future of a send up.
 *
 * Thread:   [any]
 * Owns:     message must stay valid until it finishes
 * Cancel:   it leaves the wait queue. If the message was in the channel first, it finishes with 0
 * Since:    0.1
 */
WEIR_API void weir_mpsc_send_init(struct weir_mpsc_send_future *send, struct weir_mpsc *mpsc,
				  const void *message);

/**
 * Set the future of a receive up, for up to max messages. A poll that finishes takes them.
 *
 * Thread:   [any]
 * Owns:     ret_messages must stay valid until it finishes
 * Cancel:   no message was taken
 * Since:    0.1
 */
WEIR_API void weir_mpsc_recv_init(struct weir_mpsc_recv_future *recv, struct weir_mpsc *mpsc,
				  size_t max, void *ret_messages);

WEIR_END_DECLS

#endif
