/* SPDX-License-Identifier: MIT */
/*
 * proxy_counters.c: names and figures as text. The figures are copied under the
 * lock and printed without it, in one write, so that lines do not mix.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/proxy.h"

static const char *const reasons[END_REASONS] = {
	[END_DONE] = "done",
	[END_CLIENT_RESET] = "client-reset",
	[END_UPSTREAM_RESET] = "upstream-reset",
	[END_IDLE] = "idle-timeout",
	[END_HALF_CLOSE] = "half-close-timeout",
	[END_CONNECT_FAILED] = "connect-failed",
	[END_CONNECT_TIMEOUT] = "connect-timeout",
	[END_DRAINED] = "drained",
	[END_CANCELLED] = "cancelled",
	[END_FAILED] = "failed",
};

const char *end_reason_name(enum end_reason reason)
{
	return reasons[reason];
}

const char *errno_name(int error, char *buf, size_t len)
{
#define NAME(e) { e, #e }
	static const struct {
		int error;
		const char *name;
	} names[] = {
		NAME(ECONNREFUSED), NAME(EHOSTUNREACH), NAME(ENETUNREACH),  NAME(ETIMEDOUT),
		NAME(ECONNRESET),   NAME(EADDRNOTAVAIL), NAME(EMFILE),	    NAME(ENFILE),
		NAME(ENOMEM),	    NAME(ENOBUFS),	NAME(EACCES),	    NAME(EPERM),
		NAME(ENOENT),	    NAME(EPIPE),	NAME(EAGAIN),	    NAME(ENETDOWN),
		NAME(EHOSTDOWN),    NAME(EINVAL),	NAME(EAFNOSUPPORT), NAME(ESHUTDOWN),
	};
#undef NAME

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].error == -error)
			return names[i].name;
	snprintf(buf, len, "%d", -error);
	return buf;
}

#define U(x) ((unsigned long long)(x))

static void print_connections(FILE *out, const struct proxy *px, const struct counters *c)
{
	fprintf(out, "weir proxy: connections accepted=%llu active=%llu limit=%llu refused=%llu\n",
		U(c->accepted), U(c->active), U(px->limit), U(c->refused));
	fputs("weir proxy: ended", out);
	for (unsigned i = 0; i < END_REASONS; i++)
		fprintf(out, " %s=%llu", reasons[i], U(c->ended[i]));
	fprintf(out, "\nweir proxy: bytes up=%llu down=%llu, of connections that have ended\n",
		U(c->up_bytes), U(c->down_bytes));
	fprintf(out, "weir proxy: connect-failures=%llu\n", U(c->connect_failures));
}

static void print_upstream(FILE *out, const struct upstream *up)
{
	fprintf(out,
		"weir proxy: upstream %s connections=%llu active=%llu connect-failures=%llu "
		"up_bytes=%llu down_bytes=%llu\n",
		up->name, U(up->connections), U(up->active), U(up->failures), U(up->up_bytes),
		U(up->down_bytes));
}

static void print_log(FILE *out, struct access_log *log)
{
	uint64_t written, dropped;

	access_log_figures(log, &written, &dropped);
	fprintf(out, "weir proxy: access-log written=%llu dropped=%llu\n", U(written), U(dropped));
}

static void print_worker(FILE *out, struct weir_rt *rt, unsigned worker, const struct counters *c)
{
	struct weir_worker_metrics s = WEIR_WORKER_METRICS_INIT;

	if (weir_metrics_worker(rt, worker, &s) < 0)
		return;
	fprintf(out,
		"weir proxy: worker %u accepted=%llu polls=%llu completions=%llu "
		"driver_polls=%llu parks=%llu steals=%llu local=%llu remote=%llu overflows=%llu "
		"budget_yields=%llu queue=%llu "
		"away_polls=%llu busy_ms=%llu syscalls=%llu stalls=%llu\n",
		worker, U(c->by_worker[worker]), U(s.polls), U(s.completions), U(s.driver_polls),
		U(s.parks), U(s.steals), U(s.local_schedules), U(s.remote_schedules),
		U(s.overflows), U(s.budget_yields), U(s.queue_depth), U(s.away_polls),
		U(s.busy_ns / WEIR_MSEC), U(s.syscalls), U(s.stalls));
}

void proxy_counters_print(struct proxy *px)
{
	struct upstream ups[UPSTREAMS_MAX];
	struct counters counters;
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return;
	pthread_mutex_lock(&px->lock);
	counters = px->counters;
	memcpy(ups, px->upstreams, px->upstreams_len * sizeof(ups[0]));
	pthread_mutex_unlock(&px->lock);
	print_connections(out, px, &counters);
	for (unsigned i = 0; i < px->upstreams_len; i++)
		print_upstream(out, &ups[i]);
	if (px->log)
		print_log(out, px->log);
	for (unsigned i = 0; i < weir_rt_workers(px->rt); i++)
		print_worker(out, px->rt, i, &counters);
	if (fclose(out) == 0)
		fwrite(text, 1, len, stderr);
	free(text);
}
