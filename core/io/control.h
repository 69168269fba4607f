/* SPDX-License-Identifier: MIT */
/*
 * control.h: the functions of control.c that io.c calls for the settings that a handle keeps.
 * io.h declares weir__handle_control.
 */
#ifndef WEIR_CORE_IO_CONTROL_H
#define WEIR_CORE_IO_CONTROL_H

#include "weir/backend.h"

/*
 * Applies all settings that the handle keeps. Returns 0, or the first error. Called on the home's
 * worker, or by a shutdown in its place.
 */
int weir__handle_apply(struct weir_backend *be, struct weir_handle *h);

/* Serves MAIL_SET and MAIL_SHUTDOWN. Nothing waits for their results, so errors are dropped. */
void weir__handle_serve_requests(struct weir_backend *be, struct weir_handle *h, uintptr_t mail);

#endif
