/* SPDX-License-Identifier: MIT */
/*
 * config.c: the configuration: options, the backends that can run here, and the CPUs of
 * the server and the load.
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/bench/bench.h"
#include "tools/common/command.h"
#include "tools/common/options.h"
#include "tools/common/outfile.h"

const struct bench_workload_info bench_workloads[BENCH_WORKLOADS] = {
	[BENCH_ECHO] = { "echo", "the server sends each message back", .sockets = true, .conns = 64,
			 .size = 64, .depth = 1 },
	[BENCH_PINGPONG] = { "pingpong", "one message at a time on one connection", .sockets = true,
			     .closed_only = true, .conns = 1, .size = 64, .depth = 1 },
	[BENCH_STREAM] = { "stream", "large messages in one direction, answered by one byte",
			   .sockets = true, .closed = true, .conns = 4, .size = 65536, .depth = 4 },
	[BENCH_CONNECT] = { "connect", "a connection for each message", .sockets = true,
			    .conns = 32, .size = 64, .depth = 1 },
	[BENCH_TIMER] = { "timer", "tasks that sleep until their next deadline", .open_only = true,
			  .conns = 1000, .rate = 100000 },
	[BENCH_SPAWN] = { "spawn", "tasks spawned and joined, in batches", .closed_only = true,
			  .conns = 1000 },
	[BENCH_PROXY] = { "proxy", "echo through a relay", .sockets = true, .conns = 64, .size = 64,
			  .depth = 1 },
};

static const char *const transports[] = { "tcp", "unix", NULL };
static const char *const arrivals[] = { "poisson", "constant", NULL };

#define OFFSET(member) offsetof(struct bench_config, member)

static const struct option_spec specs[] = {
	{ "backends", OPTION_TEXT, OFFSET(backends), 0, 0, NULL, "LIST",
	  "NAME[:OPTIONS],… or all; the first is the reference [all]" },
	{ "transport", OPTION_CHOICE, OFFSET(transport), 0, 0, transports, "KIND",
	  "tcp or unix [tcp]" },
	{ "conns", OPTION_COUNT, OFFSET(conns), 1, 65536, NULL, "N",
	  "connections; for timer and spawn: concurrent tasks [64; see below]" },
	{ "size", OPTION_COUNT, OFFSET(size), 1, 1 << 24, NULL, "BYTES",
	  "size of a message [64; stream: 65536]" },
	{ "depth", OPTION_COUNT, OFFSET(depth), 1, 1024, NULL, "N",
	  "messages in flight per connection [1; stream: 4]" },
	{ "rate", OPTION_COUNT, OFFSET(rate), 1, 10000000, NULL, "N",
	  "open loop: requests per second [half of the first backend's]" },
	{ "arrivals", OPTION_CHOICE, OFFSET(arrivals), 0, 0, arrivals, "KIND",
	  "arrival times of an open loop: poisson or constant [poisson]" },
	{ "closed", OPTION_FLAG, OFFSET(closed), 0, 0, NULL, NULL,
	  "closed loop: measures throughput; latencies look too good" },
	{ "time", OPTION_DURATION, OFFSET(time_ns), 0, 3600 * WEIR_SEC, NULL, "TIME",
	  "length of a repetition [2s]" },
	{ "warmup", OPTION_DURATION, OFFSET(warmup_ns), 0, 600 * WEIR_SEC, NULL, "TIME",
	  "warm-up before each, not counted [300ms]" },
	{ "reps", OPTION_COUNT, OFFSET(reps), 1, BENCH_REPS_MAX, NULL, "N",
	  "repetitions for each backend, in random order [9]" },
	{ "workers", OPTION_COUNT, OFFSET(workers), 1, BENCH_WORKERS_MAX, NULL, "N",
	  "workers of the server [1]" },
	{ "pin", OPTION_TEXT, OFFSET(pin), 0, 0, NULL, "CPUS",
	  "SERVER:CLIENT, such as 0,1:2-3, or off [disjoint CPUs if possible]" },
	PLACE_OPTIONS(struct bench_config, where),
	{ "seed", OPTION_COUNT, OFFSET(seed), 0, INT64_MAX, NULL, "N",
	  "seed for arrivals, order and bootstrap [1]" },
	{ "aa", OPTION_FLAG, OFFSET(aa), 0, 0, NULL, NULL,
	  "run the first backend twice, to measure the noise floor" },
	{ "json", OPTION_TEXT, OFFSET(json), 0, 0, NULL, "FILE",
	  "write the results in Google Benchmark's layout" },
	{ "no-progress", OPTION_FLAG, OFFSET(no_progress), 0, 0, NULL, NULL,
	  "show no progress bar on a terminal" },
};

#define SPECS (sizeof(specs) / sizeof(specs[0]))

void bench_config_help(void)
{
	puts("usage: weir bench WORKLOAD [OPTION...]\n"
	     "       weir bench report FILE... -o report.html\n"
	     "       weir bench diff OLD NEW [--fail-above P]\n\n"
	     "Runs one workload on several I/O backends in turn, with a new server process each\n"
	     "time and always the same load, and reports which differ and by how much.\n");
	for (unsigned i = 0; i < BENCH_WORKLOADS; i++)
		printf("  %-10s %s\n", bench_workloads[i].name, bench_workloads[i].summary);
	putchar('\n');
	options_help(specs, SPECS);
	puts("\nIn an open loop latency is measured from the scheduled start of a request, so a\n"
	     "stall is visible in every answer that it delayed. pingpong, spawn and, without\n"
	     "--rate, stream are closed loops; timer is an open loop of 100000 per second.\n"
	     "connect has 32 connections, stream 4, pingpong 1; timer and spawn have 1000 "
	     "tasks.\n\n"
	     "exit code: 0 done, 1 a repetition failed, 2 invalid usage, or a named backend\n"
	     "cannot run");
}

/* ---- CPUs ---- */

/* Parse a list such as 0,2-5. False if it is invalid. */
static bool parse_cpus(const char *text, size_t len, cpu_set_t *ret_set)
{
	const char *end = text + len;
	char *after;

	CPU_ZERO(ret_set);
	while (text < end) {
		unsigned long from, to;

		if (*text < '0' || *text > '9')
			return false;
		from = to = strtoul(text, &after, 10);
		if (after < end && *after == '-' && after[1] >= '0' && after[1] <= '9')
			to = strtoul(after + 1, &after, 10);
		if (after > end || from > to || to >= CPU_SETSIZE)
			return false;
		for (; from <= to; from++)
			CPU_SET(from, ret_set);
		text = after;
		if (text < end && (*text++ != ',' || text == end))
			return false;
	}
	return CPU_COUNT(ret_set) > 0;
}

/* Add all CPUs that share a core with a CPU of the set. */
static void add_siblings(cpu_set_t *set)
{
	cpu_set_t of = *set, siblings;
	char path[96], text[256];
	FILE *file;

	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &of))
			continue;
		snprintf(path, sizeof(path),
			 "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu);
		file = fopen(path, "re");
		if (!file)
			continue;
		if (fgets(text, sizeof(text), file) &&
		    parse_cpus(text, strcspn(text, "\n"), &siblings))
			CPU_OR(set, set, &siblings);
		fclose(file);
	}
}

static void subtract(cpu_set_t *set, const cpu_set_t *from)
{
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, from))
			CPU_CLR(cpu, set);
}

/* The server gets the first CPUs; the load gets CPUs of other cores, or else the rest. */
static void place_by_itself(struct bench *b, const cpu_set_t *allowed)
{
	struct bench_placement *place = &b->place;
	cpu_set_t apart, cores;
	int left = (int)b->cfg.workers;

	CPU_ZERO(&place->server);
	for (int cpu = 0; cpu < CPU_SETSIZE && left > 0; cpu++) {
		if (!CPU_ISSET(cpu, allowed))
			continue;
		CPU_SET(cpu, &place->server);
		left--;
	}
	place->client = *allowed;
	subtract(&place->client, &place->server);
	cores = place->server;
	add_siblings(&cores);
	apart = *allowed;
	subtract(&apart, &cores);
	place->pinned = left == 0 && CPU_COUNT(&place->client) > 0;
	if (place->pinned && CPU_COUNT(&apart) > 0)
		place->client = apart;
	else if (place->pinned && b->work->sockets)
		bench_warn(b, "the server and the load share a core (SMT siblings)");
}

static int place_as_told(struct bench *b, const cpu_set_t *allowed)
{
	struct bench_placement *place = &b->place;
	const char *pin = b->cfg.pin, *colon = strchr(pin, ':');
	cpu_set_t all;

	if (strcmp(pin, "off") == 0)
		return 0;
	place->pinned = colon && parse_cpus(pin, (size_t)(colon - pin), &place->server) &&
			parse_cpus(colon + 1, strlen(colon + 1), &place->client);
	CPU_OR(&all, &place->server, &place->client);
	subtract(&all, allowed);
	if (place->pinned && CPU_COUNT(&all) == 0)
		return 0;
	bench_say("--pin '%s': expected SERVER:CLIENT, such as 0:1 or 0,1:2-3, of the CPUs that "
		  "this process may use, or off",
		  pin);
	return EXIT_USAGE;
}

/* Make the server's plan, so that errors are reported before anything runs. */
static int check_plan(struct bench *b)
{
	struct weir_place_config workers = b->place.workers;
	struct weir_cpuset server = { { 0 } };
	struct weir_topo *topo = NULL;
	struct weir_plan *plan = NULL;
	struct weir_why why;
	int rc = weir_topo_new(NULL, &topo, &why);

	for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &b->place.server))
			weir_cpuset_add(&server, cpu);
	if (rc == 0 && b->place.pinned)
		rc = weir_topo_cut(topo, &server, topo->quota_milli);
	workers.workers = (unsigned)b->cfg.workers;
	if (rc == 0)
		rc = weir_plan_new(topo, &workers, &plan, &why);
	if (rc < 0)
		bench_say("%s", *why.text ? why.text : weir_strerror(rc));
	weir_plan_free(plan);
	weir_topo_free(topo);
	return rc < 0 ? EXIT_USAGE : 0;
}

static int place_workers(struct bench *b)
{
	char why[512];

	if (place_options_read(&b->cfg.where, &b->place.workers, why, sizeof(why)) < 0) {
		bench_say("%s", why);
		return EXIT_USAGE;
	}
	if (b->cfg.where.cpus && strlen(b->cfg.where.cpus) >= BENCH_CPUS_TEXT) {
		bench_say("--cpus: expected no more than %d characters", BENCH_CPUS_TEXT - 1);
		return EXIT_USAGE;
	}
	if (b->place.pinned && b->place.workers.bind == WEIR_BIND_AUTO)
		b->place.workers.bind = WEIR_BIND_CPU;
	return check_plan(b);
}

static int place(struct bench *b)
{
	struct bench_placement *p = &b->place;
	cpu_set_t allowed;
	int code = 0;

	CPU_ZERO(&allowed);
	sched_getaffinity(0, sizeof(allowed), &allowed);
	if (b->cfg.pin)
		code = place_as_told(b, &allowed);
	else
		place_by_itself(b, &allowed);
	p->server_cpus = (unsigned)CPU_COUNT(p->pinned ? &p->server : &allowed);
	p->client_cpus = (unsigned)CPU_COUNT(p->pinned ? &p->client : &allowed);
	p->threads = p->client_cpus < b->cfg.workers ? p->client_cpus : (unsigned)b->cfg.workers;
	if (p->threads > b->cfg.conns)
		p->threads = (unsigned)b->cfg.conns;
	if (!b->work->sockets)
		snprintf(p->text, sizeof(p->text), "%s, no network",
			 p->pinned ? "pinned" : "not pinned");
	else if (p->pinned)
		snprintf(p->text, sizeof(p->text), "%u+%u CPUs, loopback", p->server_cpus,
			 p->threads);
	else
		snprintf(p->text, sizeof(p->text), "not pinned, loopback");
	if (b->work->sockets && !p->pinned)
		bench_warn(b, "the server and the load share CPUs, so they disturb each other");
	return code ? code : place_workers(b);
}

/* ---- backends ---- */

static int unknown_backend(const char *name, size_t len)
{
	struct weir_backend_info info = WEIR_BACKEND_INFO_INIT;
	char list[256] = "";

	for (unsigned i = 0; weir_backend_info_get(i, &info) == 0; i++) {
		strncat(list, info.name, sizeof(list) - strlen(list) - 3);
		strncat(list, ", ", sizeof(list) - strlen(list) - 1);
	}
	bench_say("--backends '%.*s': expected %sor all", (int)len, name, list);
	return EXIT_USAGE;
}

/* Add a backend to the report. reason: why it cannot run, or "". */
static int add_backend(struct bench *b, const char *name, size_t len, const char *reason)
{
	struct bench_backend *backend = &b->backends[b->backends_len];

	if (len >= sizeof(backend->name) ||
	    b->backends_len + 1 == BENCH_BACKENDS_MAX) {	/* the last is the twin's */
		bench_say("--backends: '%.*s' is one too many, or too long", (int)len, name);
		return EXIT_USAGE;
	}
	snprintf(backend->name, sizeof(backend->name), "%.*s", (int)len, name);
	for (unsigned i = 0; i < b->backends_len; i++)
		if (strcmp(b->backends[i].name, backend->name) == 0) {
			bench_say("--backends: '%s' is named twice; expected each once; --aa "
				  "runs the first twice",
				  backend->name);
			return EXIT_USAGE;
		}
	snprintf(backend->label, sizeof(backend->label), "%.*s", (int)len, name);
	snprintf(backend->reason, sizeof(backend->reason), "%s", reason);
	b->backends_len++;
	return 0;
}

static int add_all(struct bench *b)
{
	struct weir_backend_info info = WEIR_BACKEND_INFO_INIT;
	int code = 0;

	for (unsigned i = 0; code == 0 && weir_backend_info_get(i, &info) == 0; i++)
		code = add_backend(b, info.name, strlen(info.name),
				   info.err && !*info.reason ? weir_strerror(info.err)
							     : info.reason);
	return code;
}

/* Whether text begins with the name of a backend, alone or followed by options. */
static bool begins_backend(const char *text)
{
	struct weir_backend_info info = WEIR_BACKEND_INFO_INIT;
	size_t len;

	for (unsigned i = 0; weir_backend_info_get(i, &info) == 0; i++) {
		len = strlen(info.name);
		if (strncmp(text, info.name, len) == 0 && strchr(",:", text[len]))
			return true;
	}
	return false;
}

/* The length of a backend with its options, which may have commas of their own. */
static size_t backend_len(const char *text)
{
	size_t len = strcspn(text, ",");

	if (memchr(text, ':', len))
		while (text[len] && !begins_backend(text + len + 1))
			len += 1 + strcspn(text + len + 1, ",");
	return len;
}

/* Try the backend by creating a runtime, as the server will; it has the error message. */
static int add_named(struct bench *b, const char *name, size_t len)
{
	struct weir_rt_config cfg = WEIR_RT_CONFIG_INIT;
	char text[256];
	struct weir_rt *rt;
	int rc;

	if (!begins_backend(name))
		return unknown_backend(name, len);
	snprintf(text, sizeof(text), "%.*s", (int)len, name);
	cfg.sched = WEIR_SCHED_CURRENT;
	cfg.backend = text;
	rc = weir_rt_new(&cfg, &rt);
	if (rc < 0) {
		bench_say("--backends '%s': %s", text,
			  *weir_rt_why() ? weir_rt_why() : weir_strerror(rc));
		return EXIT_USAGE;
	}
	weir_rt_free(rt);
	return add_backend(b, name, len, "");
}

static int add_list(struct bench *b, const char *list)
{
	size_t len;
	int code;

	for (;; list += len + 1) {
		len = backend_len(list);
		code = add_named(b, list, len);
		if (code || !list[len])
			return code;
	}
}

/* The reference is the first backend that can run; with --aa it is added twice. */
static int choose_backends(struct bench *b)
{
	const char *list = b->cfg.backends;
	int code = !list || strcmp(list, "all") == 0 ? add_all(b) : add_list(b, list);
	struct bench_backend *twin;

	if (code)
		return code;
	while (b->reference < b->backends_len && *b->backends[b->reference].reason)
		b->reference++;
	if (b->reference == b->backends_len) {
		bench_say("no backend can run here: %s",
			  b->backends_len ? b->backends[0].reason : "there is none in this build");
		return EXIT_USAGE;
	}
	b->twin = b->backends_len;
	if (!b->cfg.aa)
		return 0;
	twin = &b->backends[b->backends_len++];
	*twin = b->backends[b->reference];
	strcat(twin->label, "+aa");	/* label is longer than name by more */
	return 0;
}

/* ---- the line ---- */

static int choose_workload(struct bench *b, const char *name)
{
	for (unsigned i = 0; name && i < BENCH_WORKLOADS; i++) {
		if (strcmp(bench_workloads[i].name, name) != 0)
			continue;
		b->cfg.workload = (enum bench_workload)i;
		b->work = &bench_workloads[i];
		return 0;
	}
	if (name)
		bench_say("unknown workload '%.100s'; expected echo, pingpong, stream, connect, "
			  "timer, spawn or proxy",
			  name);
	else
		bench_say("expected a workload: echo, pingpong, stream, connect, timer, spawn or "
			  "proxy");
	return EXIT_USAGE;
}

/* Fill in defaults, and reject options that contradict each other. */
static int settle(struct bench *b)
{
	struct bench_config *cfg = &b->cfg;
	const struct bench_workload_info *work = b->work;
	const char *wrong = NULL;

	if (cfg->rate && (cfg->closed || work->closed_only))
		wrong = "--rate: expected only with an open loop";
	else if (cfg->closed && work->open_only)
		wrong = "--closed: the timer workload is always an open loop";
	else if (!work->sockets && (cfg->size || cfg->depth || cfg->transport != BENCH_TCP))
		wrong = "--size, --depth and --transport are for workloads with connections";
	else if (cfg->workload == BENCH_CONNECT && cfg->depth > 1)
		wrong = "--depth: expected 1 for connect, which sends one message per connection";
	else if (cfg->time_ns == 0)
		wrong = "--time '0': expected a time above 0";
	if (wrong) {
		bench_say("%s", wrong);
		return EXIT_USAGE;
	}
	cfg->closed |= work->closed_only || (work->closed && cfg->rate == 0);
	cfg->rate = cfg->rate ? cfg->rate : work->rate;
	cfg->conns = cfg->conns ? cfg->conns : work->conns;
	cfg->size = cfg->size ? cfg->size : work->size;
	cfg->depth = cfg->depth ? cfg->depth : work->depth;
	return 0;
}

/*
 * Check before the run that the report can be written. A FIFO must have a reader now, because
 * opening it would wait; it is kept open for the report.
 */
static int check_json(struct bench *b)
{
	const char *path = b->cfg.json;
	int rc = path ? outfile_check(path) : 0;
	struct stat st;

	if (rc == 0 && path && stat(path, &st) == 0 && S_ISFIFO(st.st_mode)) {
		b->json_fd = open(path, O_WRONLY | O_CLOEXEC | O_NONBLOCK);
		rc = b->json_fd < 0 ? -errno : fcntl(b->json_fd, F_SETFL, O_WRONLY);
	}
	if (rc == 0)
		return 0;
	bench_say("--json '%s': %s; expected a writable file", path,
		  rc == -ENXIO ? "it has no reader" : outfile_error(rc));
	return EXIT_USAGE;
}

int bench_config_parse(int argc, char **argv, struct bench *b)
{
	char why[256];
	int arguments = 0, code;

	b->cfg = (struct bench_config){
		.time_ns = 2 * WEIR_SEC,
		.warmup_ns = 300 * WEIR_MSEC,
		.reps = 9,
		.workers = 1,
		.seed = 1,
	};
	switch (options_parse(specs, SPECS, argc, argv, &b->cfg, why, sizeof(why), &arguments)) {
	case OPTIONS_HELP:
		bench_config_help();
		return EXIT_DONE + 1;
	case OPTIONS_BAD:
		bench_say("%s", why);
		return EXIT_USAGE + 1;
	default:
		break;
	}
	code = choose_workload(b, arguments ? argv[1] : NULL);
	if (code == 0 && arguments > 1) {
		bench_say("'%.100s': expected one workload", argv[2]);
		code = EXIT_USAGE;
	}
	if (code == 0)
		code = settle(b);
	if (code == 0)
		code = choose_backends(b);
	if (code == 0)
		code = place(b);
	if (code == 0)
		code = check_json(b);
	return code ? code + 1 : 0;
}
