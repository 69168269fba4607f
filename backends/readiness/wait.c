/* SPDX-License-Identifier: MIT */
/* wait.c: see wait.h. */
#include "backends/readiness/wait.h"
#include "core/worker.h"

/* The lease pool is trimmed after this long asleep, and after this many polls. */
#define TRIM_NS (50 * WEIR_MSEC)
#define TRIM_POLLS 1024
/* How many blocks are trimmed at a time: each costs a system call. */
#define TRIM_BUSY 16
#define TRIM_IDLE 64

static int64_t timeout_of(struct weir__readiness *r, uint64_t deadline)
{
	uint64_t now;

	if (deadline == 0)
		return 0;
	if (deadline == WEIR_FOREVER)
		return -1;
	now = weir_backend_now(&r->base);
	return now >= deadline ? 0 : deadline - now > INT64_MAX ? -1 : (int64_t)(deadline - now);
}

int weir__readiness_wait_owner(struct weir__readiness *r, uint64_t deadline, bool busy)
{
	int max = (int)(busy ? r->busy_events : r->idle_events);
	bool slept = false;

	if (++r->polls % TRIM_POLLS == 0 || r->trimming)
		r->trimming = weir__lease_pool_trim(&r->pool, false, TRIM_BUSY);
	for (;;) {
		int64_t timeout = timeout_of(r, deadline);
		bool trim = timeout != 0 && weir__lease_pool_excess(&r->pool);
		int n;

		if (trim && slept)
			timeout = 0;
		else if (trim && (timeout < 0 || timeout > (int64_t)TRIM_NS))
			timeout = (int64_t)TRIM_NS;
		else
			trim = false;
		n = r->poller->wait(r, r->events, max, timeout);
		weir__count_wait(r->base.worker, n);
		if (n == 0 && trim) {
			slept = true;
			weir__lease_pool_trim(&r->pool, true, TRIM_IDLE);
		} else {
			return n == -EINTR ? 0 : n;
		}
	}
}

int weir__readiness_wait_sibling(struct weir__readiness *r, struct weir__worker *w,
				 struct weir__event *events, int max, uint64_t deadline)
{
	int n = r->poller->wait(r, events, max, timeout_of(r, deadline));

	weir__count_wait(w, n);
	return n == -EINTR ? 0 : n;
}
