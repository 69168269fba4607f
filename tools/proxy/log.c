/* SPDX-License-Identifier: MIT */
/*
 * log.c: the access log, with one line per connection. It goes through an outlet, so
 * that a slow disk or a sleeping reader never stops a worker. A worker queues a record,
 * and the outlet's thread formats the line.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tools/proxy/outlet.h"
#include "tools/proxy/proxy.h"

#define RECORDS 8192
#define END_NS WEIR_SEC

struct access_log {
	const struct proxy *px;
	const char *path;		/* "-": standard output */
	struct outlet *outlet;
	bool ended;
};

void small_addr_of(const struct weir_addr *addr, struct small_addr *ret_small)
{
	memset(ret_small, 0, sizeof(*ret_small));
	ret_small->port = weir_addr_port(addr);
	switch (addr->u.sa.sa_family) {
	case AF_INET:
		ret_small->family = 4;
		memcpy(ret_small->ip, &addr->u.in.sin_addr, 4);
		break;
	case AF_INET6:
		ret_small->family = 6;
		memcpy(ret_small->ip, &addr->u.in6.sin6_addr, 16);
		break;
	default:
		break;
	}
}

/* ---- text ---- */

static void format_client(const struct small_addr *a, char *buf, size_t len)
{
	char ip[INET6_ADDRSTRLEN] = "";

	if (a->family != 4 && a->family != 6) {
		snprintf(buf, len, "-");
		return;
	}
	inet_ntop(a->family == 4 ? AF_INET : AF_INET6, a->ip, ip, sizeof(ip));
	snprintf(buf, len, a->family == 4 ? "%s:%u" : "[%s]:%u", ip, a->port);
}

static void format_time(uint64_t wall_ns, char *buf, size_t len)
{
	time_t seconds = (time_t)(wall_ns / WEIR_SEC);
	struct tm tm;
	size_t n;

	gmtime_r(&seconds, &tm);
	n = strftime(buf, len, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(buf + n, len - n, ".%03uZ", (unsigned)(wall_ns / WEIR_MSEC % 1000));
}

static void format_reason(const struct log_record *r, char *buf, size_t len)
{
	char number[16];
	const char *name = end_reason_name((enum end_reason)r->reason);

	if (r->reason == END_CONNECT_FAILED || r->reason == END_FAILED)
		snprintf(buf, len, "%s:%s", name, errno_name(r->error, number, sizeof(number)));
	else
		snprintf(buf, len, "%s", name);
}

static size_t format_line(void *arg, const void *item, char *buf, size_t len)
{
	const struct proxy *px = ((struct access_log *)arg)->px;
	const struct log_record *r = item;
	char when[40], client[64], reason[48];
	int n;

	format_time(r->wall_ns, when, sizeof(when));
	format_client(&r->client, client, sizeof(client));
	format_reason(r, reason, sizeof(reason));
	n = snprintf(buf, len,
		     "%s client=%s listener=%s upstream=%s up_bytes=%llu down_bytes=%llu "
		     "connect_us=%lu duration_ms=%llu end=%s\n",
		     when, client, px->addr_text,
		     r->upstream < 0 ? "-" : px->upstreams[r->upstream].text,
		     (unsigned long long)r->up_bytes, (unsigned long long)r->down_bytes,
		     (unsigned long)r->connect_us,
		     (unsigned long long)(r->duration_ns / WEIR_MSEC), reason);
	return (size_t)n;
}

static void tell_news(void *arg, const char *text)
{
	proxy_say("access log %s: %s", ((struct access_log *)arg)->path, text);
}

/* ---- life ---- */

int access_log_open(const char *path, const struct proxy *px, struct access_log **ret_log)
{
	struct outlet_config cfg = {
		.path = strcmp(path, "-") == 0 ? NULL : path,
		.fd = STDOUT_FILENO,
		.item_bytes = sizeof(struct log_record),
		.items = RECORDS,
		.format = format_line,
		.news = tell_news,
	};
	struct access_log *log;
	int rc;

	*ret_log = NULL;
	if (strcmp(path, "off") == 0)
		return 0;
	log = calloc(1, sizeof(*log));
	if (!log)
		return -ENOMEM;
	log->px = px;
	log->path = path;
	cfg.arg = log;
	rc = outlet_open(&cfg, &log->outlet);
	if (rc < 0)
		free(log);
	else
		*ret_log = log;
	return rc;
}

void access_log_end(struct access_log *log)
{
	if (log)
		log->ended = outlet_end(log->outlet, END_NS);
}

void access_log_free(struct access_log *log)
{
	/* A thread that is stuck in a write still uses the log. The process is about to end. */
	if (!log || !log->ended)
		return;
	outlet_free(log->outlet);
	free(log);
}

/* ---- for the workers ---- */

void access_log_put(struct access_log *log, const struct log_record *record)
{
	outlet_put(log->outlet, record);
}

void access_log_reopen(struct access_log *log)
{
	outlet_reopen(log->outlet);
}

void access_log_figures(struct access_log *log, uint64_t *ret_written, uint64_t *ret_dropped)
{
	outlet_figures(log->outlet, ret_written, ret_dropped);
}
