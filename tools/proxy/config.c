/* SPDX-License-Identifier: MIT */
/*
 * config.c: the options of `weir proxy`, its help, and how many connections
 * the process may have. Every mistake is one line that names the value and says
 * what would be right.
 */
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "tools/common/command.h"
#include "tools/common/options.h"
#include "tools/proxy/proxy.h"

/* Descriptors that are no connection's: listeners, the backend's, the log, the standard ones. */
#define FDS_RESERVED 32
#define FDS_PER_WORKER 8
/*
 * What a worker may hold at the limit without serving it: the one that waits for room, and those
 * that io_uring has accepted ahead. It may be more for a moment; who then lacks a descriptor waits
 * for one (connection.c). Where there are few descriptors a quarter of them has to do.
 */
#define FDS_AHEAD 128

static const char *const balances[] = { "roundrobin", "leastconn", NULL };
static const char *const shards[] = { "one", "group", "worker", NULL };	/* enum weir_shards */
static const char *const dispatches[] = { "local", "least-loaded", NULL }; /* enum weir_dispatch */

#define FIELD(name) offsetof(struct proxy_config, name)

static const struct option_spec specs[] = {
	{ "workers", OPTION_COUNT, FIELD(workers), 1, 256, NULL, "N",
	  "worker threads [every CPU the process may use]" },
	{ "backend", OPTION_TEXT, FIELD(backend), 0, 0, NULL, "NAME",
	  "I/O backend, and no other [the best there is]" },
	PLACE_OPTIONS(struct proxy_config, where),
	{ "connect-timeout", OPTION_DURATION, FIELD(connect_ns), 0, 0, NULL, "TIME",
	  "for an upstream to answer [5s]" },
	{ "idle-timeout", OPTION_DURATION, FIELD(idle_ns), 0, 0, NULL, "TIME",
	  "without a byte either way [5m]" },
	{ "half-close-timeout", OPTION_DURATION, FIELD(half_close_ns), 0, 0, NULL, "TIME",
	  "the same once one side has ended [30s]" },
	{ "keepalive", OPTION_DURATION, FIELD(keepalive_ns), 0, 7200 * WEIR_SEC, NULL, "TIME",
	  "probe a peer that was silent for so long, both sides [1m]" },
	{ "drain-timeout", OPTION_DURATION, FIELD(drain_ns), 0, 0, NULL, "TIME",
	  "for connections to end after SIGTERM [30s]" },
	{ "max-connections", OPTION_COUNT, FIELD(max_connections), 1, 100000000, NULL, "N",
	  "at a time [half of what RLIMIT_NOFILE allows]" },
	{ "balance", OPTION_CHOICE, FIELD(balance), 0, 0, balances, "HOW",
	  "roundrobin or leastconn [roundrobin]" },
	{ "access-log", OPTION_TEXT, FIELD(access_log), 0, 0, NULL, "PATH",
	  "a file, - for standard output, or off [-]" },
	{ "backlog", OPTION_COUNT, FIELD(backlog), 1, 65535, NULL, "N",
	  "of each listener [4096]" },
	{ "shards", OPTION_CHOICE, FIELD(shards), 0, 0, shards, "EACH",
	  "a listening socket for each group or worker, or one [group]" },
	{ "dispatch", OPTION_CHOICE, FIELD(dispatch), 0, 0, dispatches, "HOW",
	  "a connection to who accepts it: local, or least-loaded [local]" },
	{ "steer", OPTION_FLAG, FIELD(steer), 0, 0, NULL, NULL,
	  "a connection to the shard of the CPU that takes in its packets" },
	{ "quiet", OPTION_FLAG, FIELD(quiet), 0, 0, NULL, NULL,
	  "say nothing on standard error but errors and what is asked for" },
};

#define SPECS (sizeof(specs) / sizeof(specs[0]))

void proxy_help(void)
{
	puts("usage: weir proxy [OPTION...] tcp://LISTEN tcp://UPSTREAM[,tcp://UPSTREAM...]\n\n"
	     "Relays TCP connections. Each goes to one upstream; when that does not answer, to\n"
	     "the next, each tried once.\n\n"
	     "  LISTEN    127.0.0.1:8080, [::1]:8080, *:8080 (any IPv4), [::]:8080 (any)\n"
	     "  UPSTREAM  the same, or a name: example.org:80; or unix:/path\n");
	options_help(specs, SPECS);
	puts("\nA TIME is 500ms, 10s, 2m, 1h; 0 is no limit.\n\n"
	     "signals:  SIGTERM, SIGINT  stop accepting, let connections end; twice: stop now\n"
	     "          SIGUSR1          print the counters on standard error\n"
	     "          SIGHUP           open the access log anew\n\n"
	     "exit code: 0 drained, 1 failed or stopped at once, 2 bad usage or input\n"
	     "See weir-proxy(1).");
}

static int usage(const char *why)
{
	proxy_say("%s", why);
	return EXIT_USAGE + 1;
}

int proxy_config_parse(int argc, char **argv, struct proxy_config *ret_cfg)
{
	struct proxy_config cfg = {
		.access_log = "-",
		.backlog = 4096,
		.shards = WEIR_SHARDS_GROUP,
		.connect_ns = 5 * WEIR_SEC,
		.idle_ns = 300 * WEIR_SEC,
		.half_close_ns = 30 * WEIR_SEC,
		.drain_ns = 30 * WEIR_SEC,
		.keepalive_ns = 60 * WEIR_SEC,
	};
	char why[512];
	int arguments;

	switch (options_parse(specs, SPECS, argc, argv, &cfg, why, sizeof(why), &arguments)) {
	case OPTIONS_HELP:
		proxy_help();
		return EXIT_DONE + 1;
	case OPTIONS_BAD:
		return usage(why);
	default:
		break;
	}
	if (place_options_read(&cfg.where, &cfg.place, why, sizeof(why)) < 0)
		return usage(why);
	if (arguments < 2)
		return usage(
			arguments ? "the upstream is missing: expected tcp://LISTEN tcp://UPSTREAM"
				  : "expected tcp://LISTEN tcp://UPSTREAM; --help has the rest");
	if (arguments > 2) {
		snprintf(why, sizeof(why),
			 "'%.100s' is one address too many: several upstreams are "
			 "joined with commas",
			 argv[3]);
		return usage(why);
	}
	cfg.listen = argv[1];
	cfg.upstreams = argv[2];
	*ret_cfg = cfg;
	return 0;
}

void proxy_config_raise_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

/* The descriptors that this process may have. */
static uint64_t descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return 1024;
	return limit.rlim_cur > UINT32_MAX ? UINT32_MAX : limit.rlim_cur;
}

int proxy_config_limit(const struct proxy_config *cfg, unsigned workers, uint64_t *ret_limit)
{
	uint64_t have = descriptors();
	uint64_t ahead = (uint64_t)FDS_AHEAD * workers;
	uint64_t reserved = FDS_RESERVED + (uint64_t)FDS_PER_WORKER * workers +
			    (ahead < have / 4 ? ahead : have / 4);
	uint64_t most = have > reserved ? (have - reserved) / 2 : 0;

	if (most == 0) {
		proxy_say("RLIMIT_NOFILE %llu leaves no descriptors for connections: expected "
			  "at least %llu",
			  (unsigned long long)have, (unsigned long long)reserved + 2);
		return EXIT_USAGE;
	}
	if (cfg->max_connections > most) {
		proxy_say("--max-connections '%llu': RLIMIT_NOFILE %llu allows %llu (two "
			  "descriptors each)",
			  (unsigned long long)cfg->max_connections, (unsigned long long)have,
			  (unsigned long long)most);
		return EXIT_USAGE;
	}
	*ret_limit = cfg->max_connections ? cfg->max_connections : most;
	return 0;
}

/* Four probes, a quarter of the time apart, in whole seconds: who is gone is noticed after twice it. */
struct weir_keepalive proxy_config_keepalive(const struct proxy_config *cfg)
{
	int seconds = (int)((cfg->keepalive_ns + WEIR_SEC - 1) / WEIR_SEC);

	return (struct weir_keepalive){ seconds, (seconds + 3) / 4, 4 };
}
