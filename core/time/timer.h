/* SPDX-License-Identifier: MIT */
/* timer.h: what the driver and other core code ask of sleeps (core/time/time.c). */
#ifndef WEIR_CORE_TIME_TIMER_H
#define WEIR_CORE_TIME_TIMER_H

#include "weir/time.h"
#include "core/driver.h"

/* Fire what is due at now; how many. The caller turns this home's driver. [owner, or rescuer] */
int weir__timers_fire(struct weir__wheel_home *home, uint64_t now);

/* Stop a sleep at once, whatever its state; it may be initialized or freed after. [polling task] */
void weir__sleep_stop(struct weir_sleep_future *sleep);

#endif
