/* SPDX-License-Identifier: MIT */
/*
 * config.c: the options of `weir proxy`, its help, and the limit of connections. An
 * error message is one line that names the value and says what is expected.
 */
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "tools/common/command.h"
#include "tools/common/options.h"
#include "tools/proxy/proxy.h"

/* Descriptors for everything else: listeners, the backend, the log, the standard descriptors. */
#define FDS_RESERVED 32
#define FDS_PER_WORKER 8
/*
 * Connections that a worker may hold at the limit without serving them: one that waits for room,
 * and those that io_uring has accepted ahead of demand. There may be more for a moment; a
 * connection that then gets no descriptor waits for one (connection.c). At most a quarter of all
 * descriptors is set aside for this.
 */
#define FDS_AHEAD 128

static const char *const balances[] = { "roundrobin", "leastconn", NULL };
static const char *const shards[] = { "one", "group", "worker", NULL };	/* enum weir_shards */
static const char *const dispatches[] = { "local", "least-loaded", NULL }; /* enum weir_dispatch */

#define FIELD(name) offsetof(struct proxy_config, name)

static const struct option_spec specs[] = {
	{ "workers", OPTION_COUNT, FIELD(workers), 1, 256, NULL, "N",
	  "number of worker threads [one for each usable CPU]" },
	{ "backend", OPTION_TEXT, FIELD(backend), 0, 0, NULL, "NAME",
	  "use this I/O backend [the best one that runs here]" },
	PLACE_OPTIONS(struct proxy_config, where),
	{ "connect-timeout", OPTION_DURATION, FIELD(connect_ns), 0, 0, NULL, "TIME",
	  "limit for connecting to an upstream [5s]" },
	{ "idle-timeout", OPTION_DURATION, FIELD(idle_ns), 0, 0, NULL, "TIME",
	  "reset after this long without a byte in either direction [5m]" },
	{ "half-close-timeout", OPTION_DURATION, FIELD(half_close_ns), 0, 0, NULL, "TIME",
	  "the same after one side has ended its stream [30s]" },
	{ "keepalive", OPTION_DURATION, FIELD(keepalive_ns), 0, 7200 * WEIR_SEC, NULL, "TIME",
	  "probe peers that were silent for this long, on both sides [1m]" },
	{ "drain-timeout", OPTION_DURATION, FIELD(drain_ns), 0, 0, NULL, "TIME",
	  "how long connections may continue after SIGTERM [30s]" },
	{ "max-connections", OPTION_COUNT, FIELD(max_connections), 1, 100000000, NULL, "N",
	  "served at the same time [about half of RLIMIT_NOFILE]" },
	{ "balance", OPTION_CHOICE, FIELD(balance), 0, 0, balances, "HOW",
	  "roundrobin or leastconn [roundrobin]" },
	{ "access-log", OPTION_TEXT, FIELD(access_log), 0, 0, NULL, "PATH",
	  "a file, - for standard output, or off [-]" },
	{ "backlog", OPTION_COUNT, FIELD(backlog), 1, 65535, NULL, "N",
	  "queue length of each listening socket [4096]" },
	{ "shards", OPTION_CHOICE, FIELD(shards), 0, 0, shards, "EACH",
	  "listening sockets: one, or one for each group or worker [group]" },
	{ "dispatch", OPTION_CHOICE, FIELD(dispatch), 0, 0, dispatches, "HOW",
	  "local: the accepting worker serves; or least-loaded [local]" },
	{ "steer", OPTION_FLAG, FIELD(steer), 0, 0, NULL, NULL,
	  "use the shard of the CPU that receives a connection's packets" },
	{ "quiet", OPTION_FLAG, FIELD(quiet), 0, 0, NULL, NULL,
	  "print only errors and requested counters on standard error" },
};

#define SPECS (sizeof(specs) / sizeof(specs[0]))

void proxy_help(void)
{
	puts("usage: weir proxy [OPTION...] tcp://LISTEN tcp://UPSTREAM[,tcp://UPSTREAM...]\n\n"
	     "Relays TCP connections. Each goes to one upstream. If that does not answer, the\n"
	     "others are tried, each once.\n\n"
	     "  LISTEN    127.0.0.1:8080, [::1]:8080, *:8080 (any IPv4), [::]:8080 (any)\n"
	     "  UPSTREAM  the same, or a name: example.org:80; or unix:/path\n");
	options_help(specs, SPECS);
	puts("\nA TIME is 500ms, 10s, 2m, 1h; 0 means no limit.\n\n"
	     "signals:  SIGTERM, SIGINT  stop accepting, let connections finish; twice: stop now\n"
	     "          SIGUSR1          print the counters on standard error\n"
	     "          SIGHUP           reopen the access log\n\n"
	     "exit code: 0 drained, 1 failed or stopped at once, 2 invalid usage or input\n"
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
				  : "expected tcp://LISTEN tcp://UPSTREAM; see --help");
	if (arguments > 2) {
		snprintf(why, sizeof(why),
			 "'%.100s' is one address too many; expected several upstreams to be "
			 "separated by commas",
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

/* The soft limit of descriptors. */
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
		proxy_say("--max-connections '%llu': expected at most %llu, because RLIMIT_NOFILE "
			  "is %llu and a connection needs two descriptors",
			  (unsigned long long)cfg->max_connections, (unsigned long long)most,
			  (unsigned long long)have);
		return EXIT_USAGE;
	}
	*ret_limit = cfg->max_connections ? cfg->max_connections : most;
	return 0;
}

/* Four probes, a quarter of the time apart: a dead peer is noticed after twice the time. */
struct weir_keepalive proxy_config_keepalive(const struct proxy_config *cfg)
{
	int seconds = (int)((cfg->keepalive_ns + WEIR_SEC - 1) / WEIR_SEC);

	return (struct weir_keepalive){ seconds, (seconds + 3) / 4, 4 };
}
