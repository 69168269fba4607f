/* SPDX-License-Identifier: MIT */
/*
 * weir.h: all public headers, except weir/backend.h for authors of backends.
 *
 * Read them in this order: base.h (results, time, threads), future.h (what
 * "asynchronous" means), task.h, rt.h, time.h, net.h; then what you need.
 */
#ifndef WEIR_WEIR_H
#define WEIR_WEIR_H

#include "weir/base.h"
#include "weir/blocking.h"
#include "weir/future.h"
#include "weir/histogram.h"
#include "weir/metrics.h"
#include "weir/net.h"
#include "weir/op.h"
#include "weir/relay.h"
#include "weir/rt.h"
#include "weir/select_set.h"
#include "weir/signal.h"
#include "weir/sync/mpsc.h"
#include "weir/sync/mutex.h"
#include "weir/sync/notify.h"
#include "weir/sync/oneshot.h"
#include "weir/sync/semaphore.h"
#include "weir/task.h"
#include "weir/time.h"
#include "weir/topo.h"

#endif
