/* SPDX-License-Identifier: MIT */
/*
 * timers.c: sleeping, intervals, a wait with a deadline, and a select between two sleeps.
 *
 *	build/examples/timers	prints each step with its time in ms since the start, and ends
 */
#include <stdio.h>

#include "weir/weir.h"

static uint64_t started;

static unsigned ms(void)
{
	return (unsigned)((weir_now() - started) / WEIR_MSEC);
}

/* The last argument says what happens to ticks that were missed: WEIR_TICK_SKIP skips them. */
static int beat(void)
{
	struct weir_interval interval;
	uint64_t due;
	int rc = weir_interval_init(&interval, weir_now(), 10 * WEIR_MSEC, WEIR_TICK_SKIP);

	for (int i = 0; rc == 0 && i < 3; i++) {
		rc = weir_interval_tick(&interval, &due);
		printf("%4u ms  tick %d, due at %u ms\n", ms(), i,
		       (unsigned)((due - started) / WEIR_MSEC));
	}
	return rc;
}

/* Every wait has a form with a deadline: here, receiving from a channel to which nobody sends. */
static int deadline(void)
{
	struct weir_oneshot *channel;
	int rc = weir_oneshot_new(0, &channel);

	if (rc < 0)
		return rc;
	rc = weir_oneshot_recv_until(channel, weir_deadline_in(20 * WEIR_MSEC), NULL);
	printf("%4u ms  receiving with a deadline: %s\n", ms(), weir_strerror(rc));
	weir_oneshot_close(channel, NULL);
	weir_oneshot_drop(channel);
	return rc == -ETIMEDOUT ? 0 : -EIO;
}

/* Two sleeps. Select cancels the longer one, and has waited for it to finish when it returns. */
static int first_of_two(void)
{
	struct weir_sleep_future slow, fast;
	struct weir_future *futures[] = { &slow.future, &fast.future };
	struct weir_select_future select;
	int results[2], winner;

	weir_sleep_init(&slow, weir_deadline_in(WEIR_SEC));
	weir_sleep_init(&fast, weir_deadline_in(15 * WEIR_MSEC));
	weir_select_init(&select, futures, results, 2);
	winner = weir_await(&select.future);
	printf("%4u ms  select: %s won with \"%s\", the other has \"%s\"\n", ms(),
	       winner == 1 ? "fast" : "slow", weir_strerror(results[winner]),
	       weir_strerror(results[!winner]));
	return winner == 1 ? 0 : -EIO;
}

static int run(void *arg)
{
	int rc;

	(void)arg;
	started = weir_now();
	rc = weir_sleep(5 * WEIR_MSEC);
	printf("%4u ms  slept 5 ms\n", ms());
	if (rc == 0)
		rc = beat();
	if (rc == 0)
		rc = deadline();
	if (rc == 0)
		rc = first_of_two();
	return rc;
}

int main(void)
{
	struct weir_rt_config cfg = WEIR_RT_CONFIG_INIT;
	int rc;

	cfg.sched = WEIR_SCHED_CURRENT;
	rc = weir_rt_run(&cfg, run, NULL);
	return rc < 0 ? fprintf(stderr, "timers: %s\n", weir_strerror(rc)), 1 : 0;
}
