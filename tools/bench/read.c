/* SPDX-License-Identifier: MIT */
/* read.c: how the reader of result files says what is wrong with one. */
#include <stdio.h>

#include "tools/bench/read.h"

int bench_refuse(struct bench_reader *r, const char *fmt, ...)
{
	size_t used = (size_t)snprintf(r->why, BENCH_WHY_LEN, "%.200s: ", r->file->path);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(r->why + used, BENCH_WHY_LEN - used, fmt, ap);
	va_end(ap);
	/* The message may contain text from the file, so control characters are replaced. */
	for (char *at = r->why; *at; at++)
		if ((unsigned char)*at < 0x20 || *at == 0x7f)
			*at = '?';
	return -1;
}

const char *bench_type_name(const json_t *value)
{
	if (!value)
		return "nothing";
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		return "an object";
	case JSON_ARRAY:
		return "an array";
	case JSON_STRING:
		return "a string";
	case JSON_NULL:
		return "null";
	case JSON_TRUE:
	case JSON_FALSE:
		return "true or false";
	default:
		return "a number";
	}
}

int bench_refuse_type(struct bench_reader *r, const char *where, const char *key,
		      const char *wanted, const json_t *found)
{
	return bench_refuse(r, "%s%s%s: expected %s, not %s", where, *where ? "." : "", key,
			    wanted, bench_type_name(found));
}
