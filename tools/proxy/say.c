/* SPDX-License-Identifier: MIT */
/*
 * say.c: messages on standard error. While the proxy serves, they go through an outlet,
 * because a worker must never wait for the reader of standard error. Before that, they
 * are written directly.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tools/proxy/outlet.h"
#include "tools/proxy/proxy.h"

#define LINES 1024			/* the counters of 256 workers, twice */
#define END_NS WEIR_SEC

static struct outlet *voice;		/* never freed: a late thread may still use it */

static size_t format_text(void *arg, const void *item, char *buf, size_t len)
{
	size_t n = strlen(item);

	(void)arg;
	(void)len;
	memcpy(buf, item, n);
	return n;
}

static void tell_news(void *arg, const char *text)
{
	(void)arg;
	proxy_say("standard error: %s", text);
}

int proxy_say_start(void)
{
	struct outlet_config cfg = {
		.fd = STDERR_FILENO,
		.item_bytes = OUTLET_LINE_MAX,
		.items = LINES,
		.format = format_text,
		.news = tell_news,
	};

	return outlet_open(&cfg, &voice);
}

void proxy_say_end(void)
{
	if (voice)
		outlet_end(voice, END_NS);
}

void proxy_say(const char *fmt, ...)
{
	char line[OUTLET_LINE_MAX] = "weir proxy: ";
	size_t n = strlen(line);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line + n, sizeof(line) - n - 1, fmt, ap);
	va_end(ap);
	strcat(line, "\n");
	if (voice)
		outlet_put(voice, line);
	else
		fputs(line, stderr);
}
