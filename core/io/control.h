/* SPDX-License-Identifier: MIT */
/*
 * control.h: what io.c asks of control.c about the settings that a handle keeps.
 * weir__handle_control is in io.h.
 */
#ifndef WEIR_CORE_IO_CONTROL_H
#define WEIR_CORE_IO_CONTROL_H

#include "weir/backend.h"

/*
 * Applies the settings that the handle keeps, all of them. 0, or the first error. On the home's
 * worker, or by a shutdown that stands in for it.
 */
int weir__handle_apply(struct weir_backend *be, struct weir_handle *h);

/* Serves MAIL_SET and MAIL_SHUTDOWN; nobody waits for their results. */
void weir__handle_serve_requests(struct weir_backend *be, struct weir_handle *h, uintptr_t mail);

#endif
