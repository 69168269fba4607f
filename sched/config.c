/* SPDX-License-Identifier: MIT */
/*
 * config.c: the configuration of a runtime: fills in the defaults, and says which
 * value is out of range. runtime.c applies it to the machine. The text that
 * weir_rt_why returns is kept here, too.
 */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/fiber/stack.h"
#include "sched/runtime.h"

static _Thread_local char why[1024];

const char *weir_rt_why(void)
{
	return why;
}

void weir__runtime_forget_why(void)
{
	why[0] = '\0';
}

int weir__runtime_refuse(int rc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof why, fmt, ap);
	va_end(ap);
	return rc;
}

void weir__runtime_note(struct runtime *rt, const char *fmt, ...)
{
	va_list ap;

	WEIR_ASSERT(rt->notes_len < sizeof rt->note / sizeof rt->note[0]);
	va_start(ap, fmt);
	vsnprintf(rt->note[rt->notes_len++], sizeof rt->note[0], fmt, ap);
	va_end(ap);
}

#define SPIN_MAX_NS (5 * WEIR_MSEC)	/* half of the default watch_ns */

static int check_range(const char *name, uint64_t value, uint64_t low, uint64_t high)
{
	if (value >= low && value <= high)
		return 0;
	return weir__runtime_refuse(-EINVAL, "%s %llu is out of range: %llu to %llu", name,
			      (unsigned long long)value, (unsigned long long)low,
			      (unsigned long long)high);
}

#define DEFAULT(field, value) ((field) = (field) ? (field) : (value))

static int workers_from_env(unsigned *ret_workers)
{
	const char *text = getenv("WEIR_WORKERS");
	char *end;
	long n;

	if (!text || !*text)
		return 0;
	n = strtol(text, &end, 10);
	if (*end || n < 1 || n > (long)WORKERS_MAX)
		return weir__runtime_refuse(-EINVAL,
				      "WEIR_WORKERS is '%s': expected a number from 1 to %u", text,
				      WORKERS_MAX);
	*ret_workers = (unsigned)n;
	return 0;
}

static int fill_defaults(struct weir_rt_config *c)
{
	int rc;

	if (c->sched == WEIR_SCHED_CURRENT)
		DEFAULT(c->workers, 1);
	if (c->workers == 0 && (rc = workers_from_env(&c->workers)) < 0)
		return rc;
	DEFAULT(c->name, "weir");
	DEFAULT(c->event_interval, 61);
	DEFAULT(c->lifo_max, 3);
	DEFAULT(c->budget, 128);
	DEFAULT(c->busy_events, 64);
	DEFAULT(c->idle_events, 1024);
	DEFAULT(c->remote_after, 4);
	DEFAULT(c->watch_ns, 10 * WEIR_MSEC);
	DEFAULT(c->sample, 256);
	DEFAULT(c->stall_ns, 25 * WEIR_MSEC);
	DEFAULT(c->stall_signal, SIGURG);
	DEFAULT(c->tune_ns, 200 * WEIR_USEC);
	DEFAULT(c->tick_ns, WEIR_MSEC);
	DEFAULT(c->stack_bytes, WEIR__STACK_BYTES_DEFAULT);
	/*
	 * A read that does not fill its buffer has emptied the socket, so no second read is needed
	 * to find that out. With messages of 16 KiB this saves a proxy 7 % of its CPU time against
	 * leases of 16 KiB.
	 */
	DEFAULT(c->lease_bytes, 32 * 1024);
	DEFAULT(c->blocking_max, 512);
	DEFAULT(c->blocking_queue, 65536);
	DEFAULT(c->blocking_keep_ns, 10 * WEIR_SEC);
	if (c->sched == WEIR_SCHED_CURRENT) {
		c->no_lifo = true;
		DEFAULT(c->inject_interval, 31);
	}
	return 0;
}

static int check_spin(uint64_t spin_ns)
{
	if (spin_ns <= SPIN_MAX_NS || spin_ns == WEIR_FOREVER)
		return 0;
	return weir__runtime_refuse(
		-EINVAL,
		"spin_ns %llu is out of range: 0 to %llu, or WEIR_FOREVER to poll "
		"without end",
		(unsigned long long)spin_ns, (unsigned long long)SPIN_MAX_NS);
}

static int check(const struct weir_rt_config *c)
{
	int rc;

	if (c->sched > WEIR_SCHED_CURRENT)
		return weir__runtime_refuse(-EINVAL,
			      "sched %d is neither WEIR_SCHED_MULTI nor WEIR_SCHED_CURRENT",
			      (int)c->sched);
	if (c->sched == WEIR_SCHED_CURRENT && c->workers != 1)
		return weir__runtime_refuse(-EINVAL,
				      "workers is %u, but the current-thread scheduler has 1",
				      c->workers);
	if (c->steal > WEIR_STEAL_OFF)
		return weir__runtime_refuse(-EINVAL,
			      "steal %d is none of WEIR_STEAL_ALL, WEIR_STEAL_NODE, "
			      "WEIR_STEAL_GROUP, WEIR_STEAL_OFF",
			      (int)c->steal);
	if ((rc = check_range("workers", c->workers, 0, WORKERS_MAX)) < 0 ||
	    (rc = check_range("event_interval", c->event_interval, 1, 1u << 20)) < 0 ||
	    (rc = check_range("inject_interval", c->inject_interval, 0, 1u << 20)) < 0 ||
	    (rc = check_range("lifo_max", c->lifo_max, 1, 1u << 20)) < 0 ||
	    (rc = check_range("budget", c->budget, 1, 1u << 20)) < 0 ||
	    (rc = check_range("busy_events", c->busy_events, 1, 4096)) < 0 ||
	    (rc = check_range("idle_events", c->idle_events, 1, 4096)) < 0 ||
	    (rc = check_range("searchers", c->searchers, 0, WORKERS_MAX)) < 0 ||
	    (rc = check_range("remote_after", c->remote_after, 1, 1024)) < 0 ||
	    (rc = check_spin(c->spin_ns)) < 0 ||
	    (rc = check_range("tick_ns", c->tick_ns, 64 * WEIR_USEC, WEIR_SEC)) < 0 ||
	    (rc = check_range("stack_bytes", c->stack_bytes, 16 * 1024, WEIR__STACK_BYTES_MAX)) <
		    0 ||
	    (rc = check_range("guard_bytes", c->guard_bytes, 0, WEIR__STACK_BYTES_MAX)) < 0 ||
	    (rc = check_range("lease_bytes", c->lease_bytes, 1024, 1u << 20)) < 0 ||
	    (rc = check_range("blocking_max", c->blocking_max, 1, 65536)) < 0)
		return rc;
	if (c->sample != WEIR_SAMPLE_NONE &&
	    (rc = check_range("sample", c->sample, 1, 1u << 20)) < 0)
		return rc;
	if (c->stall_ns != WEIR_FOREVER &&
	    (rc = check_range("stall_ns", c->stall_ns, WEIR_MSEC, WEIR_SEC * 3600)) < 0)
		return rc;
	if (c->clock && c->sched != WEIR_SCHED_CURRENT)
		return weir__runtime_refuse(-EINVAL,
					    "a test clock needs the current-thread scheduler");
	return 0;
}

int weir__runtime_check_config(struct weir_rt_config *c)
{
	int rc = fill_defaults(c);

	return rc < 0 ? rc : check(c);
}
