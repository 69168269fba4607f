/* SPDX-License-Identifier: MIT */
/*
 * missing_driver.c: a runtime may be built without its I/O driver or its time driver. Calls that
 * need the missing driver then fail at once with -ENODEV, and everything else works.
 *
 *	build/examples/missing_driver	prints what each call returns, and ends
 */
#include <stdio.h>

#include "weir/weir.h"

static int expect(const char *what, int rc, int expected)
{
	printf("  %-36s %s\n", what, weir_explain(rc));
	return rc == expected ? 0 : -EIO;
}

/* Tasks need only the scheduler, and no driver. */
static int nothing(void *arg)
{
	(void)arg;
	return 0;
}

static int plain_tasks(void)
{
	struct weir_task *task;
	int result = -EIO, rc = weir_spawn(nothing, NULL, &task);

	if (rc == 0)
		rc = weir_task_join(task, &result);
	return expect("spawn and join:", rc < 0 ? rc : result, 0);
}

static int without_io(void *arg)
{
	struct weir_listener *listener;
	struct weir_tcp *conn;
	int rc = 0;

	(void)arg;
	puts("without the I/O driver:");
	rc |= expect("listen on 127.0.0.1:0:", weir_listener_open("127.0.0.1:0", NULL, &listener),
		     -ENODEV);
	rc |= expect("connect to 127.0.0.1:9:",
		     weir_tcp_connect("127.0.0.1:9", WEIR_FOREVER, &conn), -ENODEV);
	rc |= expect("sleep 1 ms:", weir_sleep(WEIR_MSEC), 0);
	rc |= plain_tasks();
	return rc;
}

static int without_time(void *arg)
{
	struct weir_listener *listener;
	struct weir_notify notify;
	int rc = 0;

	(void)arg;
	puts("without the time driver:");
	weir_notify_init(&notify);
	rc |= expect("sleep 1 ms:", weir_sleep(WEIR_MSEC), -ENODEV);
	rc |= expect("wait with a deadline:",
		     weir_notify_wait_until(&notify, weir_deadline_in(WEIR_SEC)), -ENODEV);
	rc |= expect("listen on 127.0.0.1:0:", weir_listener_open("127.0.0.1:0", NULL, &listener),
		     0);
	weir_listener_close(listener);
	rc |= plain_tasks();
	return rc;
}

/* On a thread that runs no runtime, none of these calls works. */
static int outside(void)
{
	struct weir_task *task;
	int rc = 0;

	puts("outside of a runtime:");
	rc |= expect("sleep 1 ms:", weir_sleep(WEIR_MSEC), -EPERM);
	rc |= expect("spawn:", weir_spawn(nothing, NULL, &task), -ENXIO);
	return rc;
}

int main(void)
{
	struct weir_rt_config cfg = WEIR_RT_CONFIG_INIT;
	int rc;

	cfg.sched = WEIR_SCHED_CURRENT;
	cfg.no_io = true;
	rc = weir_rt_run(&cfg, without_io, NULL);
	cfg.no_io = false;
	cfg.no_time = true;
	rc |= weir_rt_run(&cfg, without_time, NULL);
	rc |= outside();
	return rc < 0 ? fprintf(stderr, "missing_driver: unexpected return value\n"), 1 : 0;
}
