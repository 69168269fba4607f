/* SPDX-License-Identifier: MIT */
/*
 * demo.c: `weir demo`: an echo server, `weir proxy` in front of it and clients that send
 * load through it, in one process and over real sockets; then a short table.
 *
 * The proxy and the load run on two runtimes, so that the proxy's CPU time can be
 * measured by itself: a hook of the proxy's workers stores their CPU clocks.
 */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tools/common/command.h"
#include "tools/common/options.h"
#include "tools/demo/demo.h"
#include "tools/proxy/proxy.h"

#define WORKERS_MAX 256

struct demo_config {
	const char *backend;
	uint64_t connections, workers, run_ns;
};

struct demo {
	struct demo_config cfg;
	struct proxy_config proxy_cfg;
	struct proxy px;
	struct weir_rt *proxy_rt, *load_rt;
	pthread_mutex_t lock;
	pthread_cond_t noted;
	unsigned clocks_len;			/* under the lock */
	clockid_t clocks[WORKERS_MAX];		/* CPU time of the proxy's workers */
	struct weir_addr echo;
	char upstream[64];
	struct load load;
};

static const struct option_spec specs[] = {
	{ "connections", OPTION_COUNT, offsetof(struct demo_config, connections), 1, 4096, NULL,
	  "N", "number of concurrent clients [64]" },
	{ "time", OPTION_DURATION, offsetof(struct demo_config, run_ns), 0, 3600 * WEIR_SEC, NULL,
	  "TIME", "how long each message size is measured [1s]" },
	{ "workers", OPTION_COUNT, offsetof(struct demo_config, workers), 1, WORKERS_MAX, NULL, "N",
	  "workers of the proxy, and of the load [one for each usable CPU]" },
	{ "backend", OPTION_TEXT, offsetof(struct demo_config, backend), 0, 0, NULL, "NAME",
	  "use this I/O backend [the best one that runs here]" },
};

#define SPECS (sizeof(specs) / sizeof(specs[0]))

void demo_help(void)
{
	puts("usage: weir demo [OPTION...]\n\n"
	     "Runs weir proxy in front of an echo server, sends load through it, checks every\n"
	     "byte, and prints rates, latencies and CPU time. Nothing leaves this machine.\n");
	options_help(specs, SPECS);
	puts("\nexit code: 0 every byte was right, 1 a byte was wrong or it failed, "
	     "2 invalid usage");
}

static int complain(const char *what, int rc)
{
	fprintf(stderr, "weir demo: %s: %s\n", what, weir_strerror(rc));
	return EXIT_FAILED;
}

/* ---- CPU time of the proxy ---- */

static void note_clock(void *arg, unsigned worker)
{
	struct demo *demo = arg;

	pthread_mutex_lock(&demo->lock);
	pthread_getcpuclockid(pthread_self(), &demo->clocks[worker]);
	demo->clocks_len++;
	pthread_cond_signal(&demo->noted);
	pthread_mutex_unlock(&demo->lock);
}

static void wait_for_clocks(struct demo *demo)
{
	pthread_mutex_lock(&demo->lock);
	while (demo->clocks_len < weir_rt_workers(demo->proxy_rt))
		pthread_cond_wait(&demo->noted, &demo->lock);
	pthread_mutex_unlock(&demo->lock);
}

static uint64_t proxy_cpu_ns(const struct demo *demo)
{
	struct timespec ts;
	uint64_t sum = 0;

	for (unsigned i = 0; i < weir_rt_workers(demo->proxy_rt); i++)
		if (clock_gettime(demo->clocks[i], &ts) == 0)
			sum += (uint64_t)ts.tv_sec * WEIR_SEC + (uint64_t)ts.tv_nsec;
	return sum;
}

/* ---- roots ---- */

static int start_echo(void *arg)
{
	return demo_echo_start(&((struct demo *)arg)->echo);
}

static int start_proxy(void *arg)
{
	struct demo *demo = arg;

	if (proxy_upstreams_open(&demo->px) || proxy_listen_resolve(&demo->px) ||
	    proxy_listen(&demo->px))
		return -EIO;		/* the failed function has printed why */
	return proxy_accept_start(&demo->px);
}

static int stop_proxy(void *arg)
{
	proxy_accept_stop(&((struct demo *)arg)->px);
	return 0;
}

static int run_load(void *arg)
{
	return demo_load_run(&((struct demo *)arg)->load);
}

/* ---- the table ---- */

static void print_head(const struct demo *demo)
{
	printf("weir %s, backend %s: %u clients -> weir proxy (%u workers) -> echo server\n\n",
	       weir_version(), weir_rt_backend(demo->proxy_rt), (unsigned)demo->cfg.connections,
	       weir_rt_workers(demo->proxy_rt));
	puts("  message    requests/s    p50 us    p99 us    proxy CPU us/request    bytes checked"
	     "    errors");
}

static void print_row(const struct load *load, uint64_t cpu_ns)
{
	double seconds = (double)load->took_ns / (double)WEIR_SEC;
	double requests = load->requests ? (double)load->requests : 1;

	printf("%7zu B %13.0f %9.1f %9.1f %23.2f %16llu %9llu\n", load->message_bytes,
	       (double)load->requests / seconds,
	       (double)weir_histogram_quantile(load->latency_ns, 0.50) / 1000,
	       (double)weir_histogram_quantile(load->latency_ns, 0.99) / 1000,
	       (double)cpu_ns / 1000 / requests, (unsigned long long)load->bytes,
	       (unsigned long long)(load->wrong + load->errors));
	fflush(stdout);
}

/* ---- the run ---- */

static int run_size(struct demo *demo, size_t message_bytes)
{
	static struct weir_histogram latency;
	struct load *load = &demo->load;
	uint64_t cpu;
	int rc;

	weir_histogram_init(&latency);
	memset(load, 0, sizeof(*load));
	load->addr = demo->px.addr;
	load->connections = (unsigned)demo->cfg.connections;
	load->message_bytes = message_bytes;
	load->run_ns = demo->cfg.run_ns;
	load->latency_ns = &latency;
	cpu = proxy_cpu_ns(demo);
	rc = weir_rt_block_on(demo->load_rt, run_load, demo);
	print_row(load, proxy_cpu_ns(demo) - cpu);
	if (rc < 0)
		return complain("a client failed", rc);
	if (load->requests == 0)
		return complain("no request was answered", -EIO);
	return load->wrong ? complain("a byte came back wrong", -EIO) : 0;
}

static int run_sizes(struct demo *demo)
{
	static const size_t sizes[] = { 64, 1024, 16384 };
	int code = 0;

	print_head(demo);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		code |= run_size(demo, sizes[i]);
	printf("\n%s\n", code ? "FAILED" : "every byte was right");
	return code;
}

static int run(struct demo *demo)
{
	int rc = weir_rt_block_on(demo->load_rt, start_echo, demo);
	int code;

	if (rc < 0)
		return complain("echo server", rc);
	memcpy(demo->upstream, "tcp://", 6);
	weir_addr_format(&demo->echo, demo->upstream + 6, sizeof(demo->upstream) - 6);
	rc = weir_rt_block_on(demo->proxy_rt, start_proxy, demo);
	if (rc < 0)
		return complain("proxy", rc);
	code = run_sizes(demo);
	weir_rt_block_on(demo->proxy_rt, stop_proxy, demo);
	return code;
}

static int make_runtimes(struct demo *demo)
{
	struct weir_rt_config cfg = WEIR_RT_CONFIG_INIT;
	int rc;

	cfg.workers = (unsigned)demo->cfg.workers;
	cfg.backend = demo->cfg.backend;
	cfg.name = "load";
	rc = weir_rt_new(&cfg, &demo->load_rt);
	if (rc == 0) {
		cfg.name = "proxy";
		cfg.on_worker_start = note_clock;
		cfg.hook_arg = demo;
		rc = weir_rt_new(&cfg, &demo->proxy_rt);
	}
	if (rc == 0) {
		wait_for_clocks(demo);
		return 0;
	}
	fprintf(stderr, "weir demo: %s\n", *weir_rt_why() ? weir_rt_why() : weir_strerror(rc));
	return rc == -EINVAL || rc == -ENOENT || demo->cfg.backend ? EXIT_USAGE : EXIT_FAILED;
}

static int run_demo(struct demo *demo)
{
	int code = make_runtimes(demo);

	if (code == 0) {
		proxy_init(&demo->px, &demo->proxy_cfg, demo->proxy_rt);
		code = proxy_config_limit(&demo->proxy_cfg, weir_rt_workers(demo->proxy_rt),
					  &demo->px.limit);
		weir_sem_init(&demo->px.room, demo->px.limit);
		if (code == 0)
			code = run(demo);
	}
	/* The load first: when its clients have closed, the proxy's connections end too. */
	if (demo->load_rt && weir_rt_shutdown(demo->load_rt, WEIR_SEC) < 0)
		code = EXIT_FAILED;
	if (demo->proxy_rt && weir_rt_shutdown(demo->proxy_rt, WEIR_SEC) < 0)
		code = EXIT_FAILED;
	weir_rt_free(demo->load_rt);
	if (demo->proxy_rt) {
		weir_rt_free(demo->proxy_rt);
		weir_sem_fini(&demo->px.room);
		proxy_fini(&demo->px);
	}
	return code;
}

int demo_main(int argc, char **argv)
{
	static struct demo demo;
	int end;

	demo.cfg = (struct demo_config){ .connections = 64, .run_ns = WEIR_SEC };
	end = command_options(specs, SPECS, demo_help, argc, argv, &demo.cfg);
	if (end)
		return end - 1;
	demo.proxy_cfg = (struct proxy_config){
		.listen = "tcp://127.0.0.1:0",
		.upstreams = demo.upstream,
		.backlog = 4096,
		.connect_ns = 5 * WEIR_SEC,
		.idle_ns = 60 * WEIR_SEC,
		.half_close_ns = 30 * WEIR_SEC,
	};
	pthread_mutex_init(&demo.lock, NULL);
	pthread_cond_init(&demo.noted, NULL);
	return run_demo(&demo);
}
