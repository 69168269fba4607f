/* SPDX-License-Identifier: MIT */
/* kqueue.h: for tests of kqueue.c. */
#ifndef WEIR_BACKENDS_KQUEUE_KQUEUE_H
#define WEIR_BACKENDS_KQUEUE_KQUEUE_H

#include <stdbool.h>

/* What init makes an instance be woken by: a pipe, or EVFILT_USER where there is one. [setup] */
extern bool weir__kqueue_wakes_by_pipe;

#endif
