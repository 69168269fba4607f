/* SPDX-License-Identifier: MIT */
/*
 * run.c: one repetition: a new server process, the load against it, and the figures of
 * both for the time of the measurement.
 */
#include <errno.h>
#include <math.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tools/bench/child.h"
#include "tools/bench/load.h"
#include "tools/common/command.h"

/* If the load is busier than this, or later by more of a period, the row is client-bound. */
#define BUSY_MAX 0.9
#define LAG_MAX 0.01

/* If the server has answered nothing after this time, it hangs. This only guards against hangs. */
#define PATIENCE_NS (10 * WEIR_SEC)

/* How often a repetition is tried if the load or the server had no CPU during a measurement. */
#define TRIES 3

struct repetition {
	struct bench *b;
	const struct bench_backend *backend;
	bool open;
	uint64_t run_ns, begin_ns, end_ns;
	uint64_t seed;
	int upstream_fd;
	unsigned tries_left;
	bool late;			/* it must be repeated */
	struct bench_child child;
	struct load *load;
	struct server_mark from, to;
	struct bench_record rec;
};

static void sleep_until(uint64_t ns)
{
	struct timespec ts = { (time_t)(ns / WEIR_SEC), (long)(ns % WEIR_SEC) };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR)
		continue;
}

/* ---- addresses ---- */

/* A free address. It must be new, because the kernel may still hold the last server's port. */
static void free_address(const struct repetition *r, struct weir_addr *ret_addr)
{
	static unsigned number;
	char text[64];

	if (r->b->cfg.transport == BENCH_TCP)
		snprintf(text, sizeof(text), "127.0.0.1:0");
	else
		snprintf(text, sizeof(text), "unix:@weir-bench-%ld-%u", (long)getpid(),
			 number++);
	weir_addr_parse(text, ret_addr);
}

/* Open the listener that a proxy connects to; the load accepts there. */
static int open_upstream(struct repetition *r, struct weir_addr *ret_addr)
{
	free_address(r, ret_addr);
	r->upstream_fd = socket(ret_addr->u.sa.sa_family,
				SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (r->upstream_fd < 0 || bind(r->upstream_fd, &ret_addr->u.sa, ret_addr->len) < 0 ||
	    listen(r->upstream_fd, 4096) < 0)
		return -errno;
	ret_addr->len = sizeof(ret_addr->u);
	return getsockname(r->upstream_fd, &ret_addr->u.sa, &ret_addr->len) == 0 ? 0 : -errno;
}

/* ---- start ---- */

static int start_server(struct repetition *r, char *why, size_t why_len)
{
	const struct bench_config *cfg = &r->b->cfg;
	struct server_setup setup = {
		.workload = cfg->workload,
		.cpus = r->b->place.server,
		.pinned = r->b->place.pinned,
		.place = r->b->place.workers,
		.workers = (unsigned)cfg->workers,
		.conns = cfg->conns,
		.size = cfg->size,
		.rate = cfg->rate,
		.seed = r->seed,
	};
	int rc = 0;

	snprintf(setup.backend, sizeof(setup.backend), "%s", r->backend->name);
	if (setup.place.cpus)
		snprintf(setup.place_cpus, sizeof(setup.place_cpus), "%s", setup.place.cpus);
	free_address(r, &setup.listen);
	if (cfg->workload == BENCH_PROXY)
		rc = open_upstream(r, &setup.upstream);
	if (rc < 0) {
		snprintf(why, why_len, "no upstream: %s", weir_strerror(rc));
		return rc;
	}
	return bench_child_start(&r->child, &setup, why, why_len);
}

static int start_load(struct repetition *r)
{
	const struct bench_config *cfg = &r->b->cfg;
	const struct bench_placement *place = &r->b->place;
	struct load_plan plan = {
		.server = r->child.addr,
		.upstream_fd = r->upstream_fd,
		.threads = place->threads,
		.conns = cfg->conns,
		.depth = cfg->depth,
		.request_bytes = cfg->size,
		.answer_bytes = cfg->workload == BENCH_STREAM ? 1 : cfg->size,
		.open = r->open,
		.poisson = cfg->arrivals == BENCH_POISSON,
		.reconnect = cfg->workload == BENCH_CONNECT,
		.spin = place->pinned,
		.rate = (double)cfg->rate,
		.patience_ns = PATIENCE_NS,
		.seed = r->seed,
		.cpus = place->pinned ? &place->client : NULL,
	};

	return r->b->work->sockets ? bench_load_new(&plan, &r->load) : 0;
}

/* ---- the measurement ---- */

static int measure(struct repetition *r)
{
	uint64_t start_ns = bench_now();
	int rc = 0;

	r->begin_ns = start_ns + r->b->cfg.warmup_ns;
	r->end_ns = r->begin_ns + r->run_ns;
	bench_record_window(&r->rec, r->begin_ns, r->end_ns);
	if (r->load)
		bench_load_go(r->load, start_ns, r->begin_ns, r->end_ns);
	else
		rc = bench_child_begin(&r->child, r->begin_ns, r->end_ns);
	sleep_until(r->begin_ns);
	if (rc == 0)
		rc = bench_child_mark(&r->child, &r->from);
	sleep_until(r->end_ns);
	if (rc == 0)
		rc = bench_child_mark(&r->child, &r->to);
	return rc;
}

static void collect(struct repetition *r)
{
	if (r->load)
		bench_load_finish(r->load, &r->rec);
	else
		for (unsigned i = 0; i < r->b->cfg.workers; i++)
			bench_record_merge(&r->rec, &r->child.records[i]);
}

/* ---- figures ---- */

static double quantile_or_none(const struct weir_histogram *h, double share)
{
	return bench_known(h, share) ? (double)weir_histogram_quantile(h, share) : NAN;
}

static void server_figures(const struct repetition *r, double *value)
{
	const struct server_mark *a = &r->from, *z = &r->to;
	/*
	 * The marks are a few microseconds off the measurement, so scale the requests to their
	 * time.
	 */
	double requests = (double)r->rec.done * (double)(z->now_ns - a->now_ns) / (double)r->run_ns;
	double waits = (double)(z->waits - a->waits);

	value[BENCH_CPU] = (double)(z->cpu_ns - a->cpu_ns) / requests;
	value[BENCH_SYSCALLS] = (double)(z->syscalls - a->syscalls) / requests;
	value[BENCH_WAITS] = waits / requests;
	value[BENCH_SWITCHES] = (double)(z->switches - a->switches) / requests;
	if (waits > 0)
		value[BENCH_BATCH] = (double)(z->events - a->events) / waits;
	if (!a->pmu || !z->pmu)
		return;
	value[BENCH_CYCLES] = (double)(z->cycles - a->cycles) / requests;
	value[BENCH_INSTRUCTIONS] = (double)(z->instructions - a->instructions) / requests;
}

static void latency_figures(const struct repetition *r, double *value)
{
	const struct weir_histogram *latency = &r->rec.latency;

	value[BENCH_P50] = quantile_or_none(latency, 0.5);
	value[BENCH_P99] = quantile_or_none(latency, 0.99);
	value[BENCH_P999] = quantile_or_none(latency, 0.999);
	if (latency->count > 0)
		value[BENCH_MAX] = (double)latency->max;
	if (!r->open || !r->b->work->sockets)
		return;
	value[BENCH_SERVICE_P50] = quantile_or_none(&r->rec.service, 0.5);
	value[BENCH_SERVICE_P99] = quantile_or_none(&r->rec.service, 0.99);
	value[BENCH_LAG] = (double)weir_histogram_quantile(&r->rec.lag, 0.5);
}

static void client_figures(const struct repetition *r, struct bench_rep *rep)
{
	const struct bench_config *cfg = &r->b->cfg;
	double busy_ns = fmax((double)r->rec.cpu_ns - (double)r->rec.idle_ns, 0);
	double all_ns = (double)r->run_ns * r->b->place.threads;
	double period_ns = (double)cfg->conns / (double)cfg->rate * (double)WEIR_SEC;
	double *value = rep->value;

	value[BENCH_CLIENT_CPU] = busy_ns / (double)r->rec.done;
	/* Time without a CPU counts as busy time. */
	if (r->b->place.pinned)
		busy_ns = fmax(all_ns - (double)r->rec.idle_ns, 0);
	value[BENCH_BUSY] = busy_ns / all_ns;
	rep->client_bound = value[BENCH_BUSY] > BUSY_MAX ||
			    (r->open && value[BENCH_LAG] > LAG_MAX * period_ns);
}

static void slices(const struct bench_record *rec, struct bench_slice *slice)
{
	for (unsigned i = 0; i < BENCH_SLICES; i++, slice++) {
		const struct weir_histogram *h = &rec->slices[i];

		slice->p50 = h->count >= 100 ? (double)weir_histogram_quantile(h, 0.5) : NAN;
		slice->p99 = h->count >= 10000 ? (double)weir_histogram_quantile(h, 0.99) : NAN;
		slice->max = h->count > 0 ? (double)h->max : NAN;
	}
}

static void figures(const struct repetition *r, struct bench_rep *rep)
{
	const struct bench_config *cfg = &r->b->cfg;
	double seconds = (double)r->run_ns / (double)WEIR_SEC, *value = rep->value;

	memset(rep, 0, sizeof(*rep));
	for (unsigned i = 0; i < BENCH_METRICS; i++)
		value[i] = NAN;
	rep->requests = r->rec.done;
	rep->samples = r->rec.latency.count;
	rep->latency = r->rec.latency;
	slices(&r->rec, rep->slices);
	value[BENCH_ITEMS] = (double)r->rec.done / seconds;
	value[BENCH_REAL] = r->open ? weir_histogram_mean(&r->rec.latency)
				    : (double)r->run_ns / (double)r->rec.done;
	value[BENCH_ERRORS] = (double)r->rec.errors;
	value[BENCH_UNANSWERED] = (double)r->rec.unanswered;
	server_figures(r, value);
	latency_figures(r, value);
	if (!r->b->work->sockets)
		return;
	value[BENCH_BYTES] = value[BENCH_ITEMS] * (double)cfg->size;
	client_figures(r, rep);
}

/* ---- all of it ---- */

static int fail(const struct repetition *r, const char *what, int rc)
{
	bench_say("%s: %s: %s", r->backend->label, what, weir_strerror(rc));
	return EXIT_FAILED;
}

/*
 * No request was answered during the measurement. Either the server hangs, and its requests are
 * still in flight; or the machine was too busy, and the repetition may be tried again.
 */
static int nothing_done(struct repetition *r)
{
	r->late = r->load && bench_record_is_late(&r->rec);
	if (!r->late)
		return fail(r, "no request was answered",
			    r->rec.first_error ? r->rec.first_error : -ETIMEDOUT);
	if (r->tries_left == 0)
		return fail(r, "all requests were answered after the measurement, none during it",
			    -ETIMEDOUT);
	bench_warn(r->b, "%s: measured again, because all answers came after the measurement",
		   r->backend->label);
	return 0;
}

static int finish(struct repetition *r, struct bench_rep *ret_rep)
{
	if (r->rec.errors)
		bench_warn(r->b, "%s: %llu connections or tasks failed, the first with: %s",
			   r->backend->label, (unsigned long long)r->rec.errors,
			   weir_strerror(r->rec.first_error));
	if (r->rec.unanswered)
		bench_warn(r->b,
			   "%s: requests were left unanswered: the rate is too high for it",
			   r->backend->label);
	if (r->rec.done == 0)
		return nothing_done(r);
	figures(r, ret_rep);
	return 0;
}

static int run(struct repetition *r, struct bench_rep *ret_rep)
{
	char why[256] = "";
	int rc = start_server(r, why, sizeof(why));

	if (rc < 0) {
		bench_say("%s: %s", r->backend->label, why);
		return EXIT_FAILED;
	}
	rc = start_load(r);
	if (rc < 0)
		return fail(r, "cannot connect", rc);
	rc = measure(r);
	collect(r);
	if (rc < 0)
		return fail(r, "the server is gone", rc);
	return finish(r, ret_rep);
}

/* Start a server, run the load against it, and end both. */
static int attempt(struct repetition *r, struct bench_rep *ret_rep)
{
	int code = run(r, ret_rep);

	if (r->child.pid > 0 && !bench_child_end(&r->child) && code == 0) {
		bench_say("%s: the server process did not exit normally", r->backend->label);
		code = EXIT_FAILED;
	}
	if (r->upstream_fd >= 0)
		close(r->upstream_fd);
	return code;
}

int bench_run(struct bench *b, const struct bench_backend *backend, bool closed, uint64_t run_ns,
	      uint64_t seed, struct bench_rep *ret_rep)
{
	static struct repetition r;		/* large */
	unsigned tries_left = TRIES;
	int code;

	do {
		memset(&r, 0, sizeof(r));
		r.b = b;
		r.backend = backend;
		r.open = !closed;
		r.run_ns = run_ns;
		r.seed = seed;
		r.upstream_fd = -1;
		r.tries_left = --tries_left;
		code = attempt(&r, ret_rep);
	} while (code == 0 && r.late);
	return code;
}
