/* SPDX-License-Identifier: MIT */
/*
 * io.h: what net/ and os/ call to find the calling worker's backend, and to
 * attach, control and close a handle. Operations are elsewhere (core/io/op.c,
 * weir/op.h).
 */
#ifndef WEIR_CORE_IO_IO_H
#define WEIR_CORE_IO_IO_H

#include "weir/backend.h"

struct weir__worker;

/*
 * Attaches a zeroed handle to the first of the calling worker's instances that serves its kind and
 * has its address. 0, -ENXIO off a worker, -ENODEV without I/O, -EOPNOTSUPP, or the backend's
 * error.
 */
int weir__handle_attach(struct weir_handle *h, const struct weir_handle_spec *spec);

/*
 * Makes a zeroed handle a stream that is attached when it connects; until then the core keeps its
 * settings. 0, -ENXIO off a worker, -ENODEV without I/O.
 */
int weir__handle_new_stream(struct weir_handle *h, int family);

/* Whether that is so. No operation but a connect can be started then. */
static inline bool weir__handle_is_unattached(const struct weir_handle *h)
{
	return !h->backend && h->kind == WEIR_HANDLE_STREAM && !h->flags;
}

/*
 * Attaches such a stream to the instance that has its destination, and applies its settings. 0,
 * -EINVAL, -EAFNOSUPPORT for another family, the errors of weir__handle_attach and of the settings.
 */
int weir__handle_attach_to_peer(struct weir_handle *h, const struct sockaddr *peer, socklen_t len);

/*
 * Gets or sets a property (control.c). -EBADF for NULL and for a handle that was detached;
 * otherwise the backend's result, or 0 for a setting or shutdown that is on its way to the home, or
 * kept until the stream connects. Before that a stream has no other properties (-ENOTCONN).
 */
int weir__handle_control(struct weir_handle *h, enum weir_control what, void *value, size_t len);

/*
 * Cancels what is in flight on the handle and detaches it. Calls released(h) once nothing refers
 * to the handle any more, often before this returns; released frees the memory. A handle that was
 * never attached is released at once. [worker]
 */
void weir__handle_close(struct weir_handle *h, void (*released)(struct weir_handle *h));

/* The worker where a homed handle lives; -1: it may be used on any, or it is NULL. */
int weir__handle_home(const struct weir_handle *h);

/* ---- mail: core/mailbox.h has the rules ---- */

/* Receives handles that were passed to a worker. Embedded in the object that uses them. */
struct weir__receiver {
	/*
	 * Called on that worker, or by a shutdown that stands in for it; w is that worker in
	 * either case.
	 */
	void (*received)(struct weir__receiver *receiver, struct weir_handle *h,
			 struct weir__worker *w);
};

/*
 * Passes the handle to a receiver on worker to. The handle's home stays the same, and nobody else
 * may use the handle meanwhile. [worker]
 */
void weir__handle_give(struct weir_handle *h, struct weir__worker *to,
		       struct weir__receiver *receiver);

/*
 * Queues a link for the worker of an instance; the second form, for the worker that serves h.
 * [any]
 */
void weir__post(struct weir_backend *to, struct weir__link *tagged);
void weir__handle_send(struct weir_backend *to, struct weir_handle *h);

/*
 * A queued link has arrived. Called on the worker that it was queued for; after the runtime has
 * ended, by the thread that stands in for it. That thread submits and cancels no ops: they belong
 * to tasks that the shutdown has abandoned for lack of time.
 */
void weir__op_arrived(struct weir_op *op);
void weir__handle_arrived(struct weir__worker *w, struct weir_handle *h);
void weir__handle_received(struct weir__worker *w, struct weir_handle *h);

/* Submits an op that was queued in its handle, on the handle's home. */
void weir__op_submit_at_home(struct weir_backend *io, struct weir_op *op);

#endif
