/* SPDX-License-Identifier: MIT */
/*
 * io.h: how net/ and os/ reach the backend of the calling worker. The op itself
 * is in op.h; this is the cold side: which instance, control, close.
 */
#ifndef WEIR_CORE_IO_IO_H
#define WEIR_CORE_IO_IO_H

#include "weir/backend.h"

struct weir__worker;

/* The calling worker's instance; NULL with *ret_err -ENXIO (not a worker) or -ENODEV (no I/O). */
struct weir_backend *weir__io_backend(int *ret_err);

/* Attach a zeroed handle to the calling worker's instance. 0 or a negative errno. */
int weir__handle_attach(struct weir_handle *h, const struct weir_handle_spec *spec);

/* -EBADF for NULL and for a handle that is not attached, else the backend's answer. */
int weir__handle_control(struct weir_handle *h, enum weir_control what, void *value, size_t len);

/*
 * Cancel what is in flight on the handle, detach it, and have released(h) called when nothing
 * refers to it any more (often before this returns): that is where its memory is freed.
 * A handle that was never attached is released at once. [worker]
 */
void weir__handle_close(struct weir_handle *h, void (*released)(struct weir_handle *h));

/* ---- mail: core/mailbox.h has the rules ---- */

/* Who takes in handles that were given to a worker. Embedded in what knows what they are for. */
struct weir__receiver {
	/* On that worker; w is it also where a shutdown stands in for it. */
	void (*received)(struct weir__receiver *receiver, struct weir_handle *h,
			 struct weir__worker *w);
};

/* Have it received by a worker. Its home stays, and nobody else has it meanwhile. [worker] */
void weir__handle_give(struct weir_handle *h, struct weir__worker *to,
		       struct weir__receiver *receiver);

/* Queue a link for the worker of an instance; of a handle that its mail is for. [any] */
void weir__post(struct weir_backend *to, struct weir__link *tagged);
void weir__handle_send(struct weir_backend *to, struct weir_handle *h);

/*
 * Their links have come. [the worker that they were queued for, or who stands in for it when the
 * runtime has ended: on no worker. Then no op is submitted or cancelled, whose task a shutdown has left
 * behind for lack of time.]
 */
void weir__op_arrived(struct weir_op *op);
void weir__handle_arrived(struct weir__worker *w, struct weir_handle *h);
void weir__handle_received(struct weir__worker *w, struct weir_handle *h);

/* Submit an op that was queued in its handle, whose home this is. */
void weir__op_submit_at_home(struct weir_backend *io, struct weir_op *op);

#endif
