/* SPDX-License-Identifier: MIT */
/*
 * counters.c: figures as text. The figures are copied under the
 * lock and printed without it.
 */
#include <stdio.h>

#include "tools/proxy/outlet.h"
#include "tools/proxy/proxy.h"

#define U(x) ((unsigned long long)(x))

static void print_connections(const struct proxy *px, const struct counters *c)
{
	char line[OUTLET_LINE_MAX] = "";
	size_t n = 0;

	proxy_say("connections accepted=%llu active=%llu limit=%llu refused=%llu", U(c->accepted),
		  U(c->active), U(px->limit), U(c->refused));
	for (unsigned i = 0; i < END_REASONS; i++)
		n += (size_t)snprintf(line + n, sizeof(line) - n, " %s=%llu",
				      end_reason_name((enum end_reason)i), U(c->ended[i]));
	proxy_say("ended%s", line);
	proxy_say("bytes up=%llu down=%llu, of connections that have ended", U(c->up_bytes),
		  U(c->down_bytes));
	proxy_say("connect-failures=%llu", U(c->connect_failures));
}

static void print_upstream(const struct upstream *up)
{
	proxy_say("upstream %s connections=%llu active=%llu connect-failures=%llu up_bytes=%llu "
		  "down_bytes=%llu",
		  up->name, U(up->connections), U(up->active), U(up->failures), U(up->up_bytes),
		  U(up->down_bytes));
}

static void print_log(struct access_log *log)
{
	uint64_t written, dropped;

	access_log_figures(log, &written, &dropped);
	proxy_say("access-log written=%llu dropped=%llu", U(written), U(dropped));
}

static void print_worker(struct weir_rt *rt, unsigned worker, const struct counters *c)
{
	struct weir_worker_metrics s = WEIR_WORKER_METRICS_INIT;

	if (weir_metrics_worker(rt, worker, &s) < 0)
		return;
	proxy_say("worker %u accepted=%llu polls=%llu completions=%llu driver_polls=%llu "
		  "parks=%llu steals=%llu local=%llu remote=%llu overflows=%llu "
		  "budget_yields=%llu queue=%llu away_polls=%llu busy_ms=%llu syscalls=%llu "
		  "stalls=%llu",
		  worker, U(c->by_worker[worker]), U(s.polls), U(s.completions), U(s.driver_polls),
		  U(s.parks), U(s.steals), U(s.local_schedules), U(s.remote_schedules),
		  U(s.overflows), U(s.budget_yields), U(s.queue_depth), U(s.away_polls),
		  U(s.busy_ns / WEIR_MSEC), U(s.syscalls), U(s.stalls));
}

void proxy_counters_print(struct proxy *px)
{
	struct upstream *up;
	struct upstream copy;
	struct counters counters;

	pthread_mutex_lock(&px->lock);
	counters = px->counters;
	pthread_mutex_unlock(&px->lock);
	print_connections(px, &counters);
	for (up = px->upstreams; up < px->upstreams + px->upstreams_len; up++) {
		pthread_mutex_lock(&px->lock);
		copy = *up;
		pthread_mutex_unlock(&px->lock);
		print_upstream(&copy);
	}
	if (px->log)
		print_log(px->log);
	for (unsigned i = 0; i < weir_rt_workers(px->rt); i++)
		print_worker(px->rt, i, &counters);
}
