/* SPDX-License-Identifier: MIT */
/* options.c: see options.h. One table has all options with their kinds and limits. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "backends/iouring/newer.h"
#include "backends/iouring/options.h"

#define FDS_FOR_MULTISHOT 1024

struct word {
	const char *name;
	size_t at;			/* the offset of the field */
	unsigned long low, high;	/* limits of a number; 0, 0: a "no-" switch */
};

#define SWITCH(name, field) { name, offsetof(struct uring_options, field), 0, 0 }
#define NUMBER(name, field, low, high) \
	{ name, offsetof(struct uring_options, field), low, high }

static const struct word words[] = {
	SWITCH("no-defer", defer),
	SWITCH("no-multishot-accept", multishot_accept),
	SWITCH("no-multishot-recv", multishot_recv),
	SWITCH("no-buffers", buffers),
	SWITCH("no-ring-fd", ring_fd),
	SWITCH("no-inline-send", inline_send),
	NUMBER("entries", entries, 8, 32768),
	NUMBER("buffer-entries", buffer_entries, 16, 32768),
	NUMBER("zero-copy", zero_copy_bytes, 1, UINT32_MAX),
	NUMBER("direct", direct, 1, 1 << 20),
	NUMBER("bundle", bundle, 1, 1),
	NUMBER("incremental", incremental, 1, 1),
	NUMBER("homed-writes", homed_writes, 1, 1),
	NUMBER("napi", napi_us, 1, 1000000),
	NUMBER("min-wait", min_wait_us, 1, 1000000),
};
#define WORDS (sizeof(words) / sizeof(words[0]))

/*
 * A multishot accept takes all connections that are in the kernel's queue at once. With a low limit
 * they could use up all descriptors of the process, so that none is left to serve them.
 */
static bool many_descriptors(void)
{
	struct rlimit limit;

	return getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= FDS_FOR_MULTISHOT;
}

void weir__uring_options_init(struct uring_options *options)
{
	*options = (struct uring_options){
		.defer = true,
		.multishot_accept = many_descriptors(),
		.multishot_recv = true,
		.buffers = true,
		.ring_fd = true,
		.inline_send = true,
		.entries = 512,
		.buffer_entries = 1024,
	};
}

static int unknown(const char *text, size_t text_len, char *why, size_t len)
{
	size_t used = (size_t)snprintf(why, len, "unknown option '%.*s'; expected one of:",
				       (int)text_len, text);

	for (size_t i = 0; i < WORDS && used < len; i++)
		used += (size_t)snprintf(why + used, len - used, "%s %s%s", i ? "," : "",
					 words[i].name, words[i].high ? "=N" : "");
	return -EINVAL;
}

static int set_number(const struct word *word, const char *value, size_t value_len,
		      struct uring_options *options, char *why, size_t len)
{
	char *end;
	unsigned long number = strtoul(value, &end, 10);

	if (value_len == 0 || *value < '0' || *value > '9' || end != value + value_len ||
	    number < word->low || number > word->high) {
		snprintf(why, len, "option %s is '%.*s': expected a number from %lu to %lu",
			 word->name, (int)value_len, value, word->low, word->high);
		return -EINVAL;
	}
	*(uint32_t *)(void *)((char *)options + word->at) = (uint32_t)number;
	return 0;
}

static int set_word(const char *text, size_t text_len, struct uring_options *options, char *why,
		    size_t len)
{
	const char *equals = memchr(text, '=', text_len);
	size_t name_len = equals ? (size_t)(equals - text) : text_len;

	for (size_t i = 0; i < WORDS; i++) {
		if (strlen(words[i].name) != name_len ||
		    memcmp(words[i].name, text, name_len) != 0 || !equals != !words[i].high)
			continue;
		if (equals)
			return set_number(&words[i], equals + 1, text_len - name_len - 1, options,
					  why, len);
		*((char *)options + words[i].at) = false;
		return 0;
	}
	return unknown(text, text_len, why, len);
}

/* The kernel indexes rings by the low bits of a counter, so their sizes are powers of two. */
static bool power_of_two(uint32_t n)
{
	return (n & (n - 1)) == 0;
}

int weir__uring_options_parse(const char *text, struct uring_options *options, char *why,
			      size_t len)
{
	while (text && *text) {
		size_t word_len = strcspn(text, ",");
		int rc = set_word(text, word_len, options, why, len);

		if (rc < 0)
			return rc;
		text += word_len;
		text += *text == ',';
	}
	if (!power_of_two(options->entries) || !power_of_two(options->buffer_entries)) {
		snprintf(why, len, "entries and buffer-entries: expected powers of two");
		return -EINVAL;
	}
	if ((options->napi_us && !URING_LIBRARY_HAS(2, 6)) ||
	    (options->min_wait_us && !URING_LIBRARY_HAS(2, 8))) {
		snprintf(why, len,
			 "this build's liburing is too old: napi needs 2.6, min-wait 2.8");
		return -EINVAL;
	}
	if (options->bundle && options->incremental) {
		snprintf(why, len, "bundle and incremental: expected only one of them");
		return -EINVAL;
	}
	/* A multishot receive needs provided buffers. */
	options->multishot_recv = options->multishot_recv && options->buffers;
	options->incremental = options->incremental && options->multishot_recv;
	return 0;
}
