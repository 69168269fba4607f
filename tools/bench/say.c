/* SPDX-License-Identifier: MIT */
/* say.c: lines on stderr, and warnings for the report. */
#include <stdarg.h>
#include <string.h>

#include "tools/bench/bench.h"

void bench_say(const char *fmt, ...)
{
	va_list ap;

	fputs("weir bench: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

void bench_warn(struct bench *b, const char *fmt, ...)
{
	char *text = b->warnings[b->warnings_len];
	va_list ap;

	if (b->warnings_len == BENCH_WARNINGS_MAX)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(b->warnings[0]), fmt, ap);
	va_end(ap);
	for (unsigned i = 0; i < b->warnings_len; i++)
		if (strcmp(b->warnings[i], text) == 0)
			return;
	b->warnings_len++;
}
