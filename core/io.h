/* SPDX-License-Identifier: MIT */
/*
 * io.h: how net/ and os/ reach the backend of the calling worker. The op itself
 * is in op.h; this is the cold side: which instance, control, close.
 */
#ifndef WEIR_CORE_IO_H
#define WEIR_CORE_IO_H

#include "weir/backend.h"

/* The calling worker's instance; NULL with *ret_err -ENXIO (not a worker) or -ENODEV (no I/O). */
struct weir_backend *weir__io_backend(int *ret_err);

/* Attach a zeroed handle to the calling worker's instance. 0 or a negative errno. */
int weir__handle_attach(struct weir_handle *h, const struct weir_handle_spec *spec);

/* -EBADF for NULL and for a handle that is not attached, else the backend's answer. */
int weir__handle_control(struct weir_handle *h, enum weir_control what, void *value, size_t len);

/* An operation on the handle travels to its home: a close must not overtake it. [worker] */
void weir__handle_mailed(struct weir_handle *h);

/*
 * Cancel what is in flight on the handle, detach it, and have released(h) called when nothing
 * refers to it any more (often before this returns): that is where its memory is freed.
 * A handle that was never attached is released at once. [worker]
 */
void weir__handle_close(struct weir_handle *h, void (*released)(struct weir_handle *h));

#endif
