/* SPDX-License-Identifier: MIT */
/* kqueue.h: for tests of kqueue.c. */
#ifndef WEIR_BACKENDS_KQUEUE_KQUEUE_H
#define WEIR_BACKENDS_KQUEUE_KQUEUE_H

#include <stdbool.h>

/* Whether new instances are woken through a pipe instead of EVFILT_USER. [setup] */
extern bool weir__kqueue_wakes_by_pipe;

#endif
