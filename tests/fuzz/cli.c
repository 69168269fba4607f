/* SPDX-License-Identifier: MIT */
/*
 * cli.c: the command line of `weir proxy`. Each line of the input is an argument. The result must
 * be a configuration with every value in its range, or the help, or exactly one line with an error.
 */
#include <stdarg.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "tools/common/command.h"
#include "tools/common/options.h"
#include "tools/proxy/proxy.h"

#define WORDS_MAX 32

static unsigned said;

/* Replaces the function of proxy.c. */
void proxy_say(const char *fmt, ...)
{
	char line[2048];
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	FUZZ_ASSERT(len > 0 && (size_t)len < sizeof(line));
	said++;
}

static void check_config(const struct proxy_config *cfg)
{
	FUZZ_ASSERT(cfg->listen && cfg->upstreams && cfg->access_log);
	FUZZ_ASSERT(cfg->workers <= 256);
	FUZZ_ASSERT(cfg->max_connections <= 100000000);
	FUZZ_ASSERT(cfg->backlog >= 1 && cfg->backlog <= 65535);
	FUZZ_ASSERT(cfg->balance == BALANCE_ROUNDROBIN || cfg->balance == BALANCE_LEASTCONN);
	FUZZ_ASSERT(cfg->connect_ns <= INT64_MAX && cfg->idle_ns <= INT64_MAX);
	FUZZ_ASSERT(cfg->half_close_ns <= INT64_MAX && cfg->drain_ns <= INT64_MAX);
	FUZZ_ASSERT(!cfg->backend || cfg->backend[0]);
}

static void check_values(const char *text)
{
	uint64_t ns = 1, count = 77;

	if (options_duration(text, &ns) < 0)
		FUZZ_ASSERT(ns == 1);
	else
		FUZZ_ASSERT(ns <= INT64_MAX);
	if (options_count(text, 10, 20, &count) < 0)
		FUZZ_ASSERT(count == 77);
	else
		FUZZ_ASSERT(count >= 10 && count <= 20);
}

/* Redirects standard output, to which the help goes, to /dev/null. */
static void be_quiet(void)
{
	static bool quiet;

	if (!quiet && !freopen("/dev/null", "w", stdout))
		abort();
	quiet = true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[1024], name[] = "proxy";
	char *words[WORDS_MAX + 2] = { name };
	struct proxy_config cfg, before;
	int count = 1, rc;

	if (size >= sizeof(text))
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	for (char *at = text; at && count <= WORDS_MAX;)
		words[count++] = strsep(&at, "\n");
	be_quiet();
	check_values(words[1]);
	memset(&cfg, 0xa5, sizeof(cfg));
	before = cfg;
	said = 0;
	rc = proxy_config_parse(count, words, &cfg);
	if (rc == 0) {
		FUZZ_ASSERT(said == 0);
		check_config(&cfg);
	} else {
		FUZZ_ASSERT(rc == EXIT_DONE + 1 || rc == EXIT_USAGE + 1);
		FUZZ_ASSERT(said == (rc == EXIT_USAGE + 1));
		FUZZ_ASSERT(memcmp(&cfg, &before, sizeof(cfg)) == 0);
	}
	return 0;
}
