/* SPDX-License-Identifier: MIT */
/* timer.h: what the driver and other core code ask of sleeps (core/time/time.c). */
#ifndef WEIR_CORE_TIME_TIMER_H
#define WEIR_CORE_TIME_TIMER_H

#include "weir/time.h"
#include "core/driver.h"

/*
 * Fires the timers that are due at now and returns their number. The caller turns this home's
 * driver. [owner, or rescuer]
 */
int weir__timers_fire(struct weir__wheel_home *home, uint64_t now);

/* Stops a sleep at once, in any state; it may be initialized or freed afterwards. [polling task] */
void weir__sleep_stop(struct weir_sleep_future *sleep);

#endif
