/* SPDX-License-Identifier: MIT */
/*
 * json.c: writes the report as JSON; docs/bench-json.md documents it.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tools/bench/bench.h"
#include "tools/bench/build.h"
#include "tools/common/json_out.h"
#include "tools/common/outfile.h"

#define CURVE_POINTS 200

/* ---- context ---- */

static void put_cpus(struct json_out *j, const struct bench *b, const cpu_set_t *set)
{
	double cpus[CPU_SETSIZE];
	unsigned len = 0;

	for (int cpu = 0; b->place.pinned && cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, set))
			cpus[len++] = cpu;
	json_out_numbers(j, "cpus", cpus, len);
}

static void put_places(struct json_out *j, const struct bench *b)
{
	json_out_open(j, "server", '{');
	put_cpus(j, b, &b->place.server);
	json_out_number(j, "processes", 1);
	json_out_close(j, '}');
	json_out_open(j, "client", '{');
	put_cpus(j, b, &b->place.client);
	json_out_number(j, "processes", b->work->sockets ? 1 : 0);
	json_out_number(j, "threads", b->work->sockets ? b->place.threads : 0);
	json_out_close(j, '}');
	json_out_text(j, "placement", b->place.text);
}

static void put_backends(struct json_out *j, const struct bench *b)
{
	json_out_open(j, "backends", '[');
	for (unsigned i = 0; i < b->backends_len; i++) {
		json_out_open(j, NULL, '{');
		json_out_text(j, "name", b->backends[i].label);
		json_out_text(j, "status", *b->backends[i].reason ? "n/a" : "ok");
		json_out_text(j, "reason", b->backends[i].reason);
		json_out_close(j, '}');
	}
	json_out_close(j, ']');
}

static void put_environment(struct json_out *j, const struct bench *b)
{
	json_out_open(j, "environment", '{');
	for (unsigned i = 0; i < b->env_len; i++) {
		if (*b->env[i].text)
			json_out_text(j, b->env[i].key, b->env[i].text);
		else
			json_out_number(j, b->env[i].key, b->env[i].number);
	}
	json_out_close(j, '}');
}

static void put_lists(struct json_out *j, const struct bench *b)
{
	static const char *const keys[] = { "real_time", "cpu_time", "p50", "p99", "p999" };

	json_out_open_line(j, "order", '[');
	for (unsigned i = 0; i < b->order_len; i++)
		json_out_text(j, NULL, b->backends[b->order[i]].label);
	json_out_close_line(j, ']');
	put_backends(j, b);
	json_out_open(j, "noise_floor_pct", '{');
	for (unsigned i = 0; i <= BENCH_P999; i++)
		json_out_number(j, keys[i], b->noise_pct[i]);
	json_out_close(j, '}');
	json_out_open(j, "warnings", '[');
	for (unsigned i = 0; i < b->warnings_len; i++)
		json_out_text(j, NULL, b->warnings[i]);
	json_out_close(j, ']');
}

static void put_plan(struct json_out *j, const struct bench *b)
{
	static const char *const transports[] = { "tcp", "unix" };
	static const char *const arrivals[] = { "poisson", "constant" };
	const struct bench_config *cfg = &b->cfg;
	bool timer = !b->work->sockets;

	json_out_text(j, "workload", b->work->name);
	json_out_text(j, "transport", timer ? "none" : transports[cfg->transport]);
	json_out_text(j, "loop", cfg->closed ? "closed" : "open");
	if (!cfg->closed) {
		json_out_text(j, "arrivals", timer ? "constant" : arrivals[cfg->arrivals]);
		json_out_number(j, "rate_per_s", (double)cfg->rate);
		json_out_text(j, "rate_from", b->rate_calibrated ? "calibration" : "option");
	}
	json_out_number(j, "conns", (double)cfg->conns);
	json_out_number(j, "size_bytes", (double)cfg->size);
	json_out_number(j, "depth", (double)cfg->depth);
	json_out_number(j, "workers", (double)cfg->workers);
	json_out_text(j, "policy", weir_place_policy_name(b->place.workers.policy));
	json_out_text(j, "bind", place_binds[b->place.workers.bind]);
	json_out_number(j, "time_s", (double)cfg->time_ns / (double)WEIR_SEC);
	json_out_number(j, "warmup_s", (double)cfg->warmup_ns / (double)WEIR_SEC);
	json_out_number(j, "repetitions", (double)cfg->reps);
	json_out_number(j, "seed", (double)cfg->seed);
	json_out_text(j, "reference", b->backends[b->reference].label);
	json_out_bool(j, "aa", b->twin < b->backends_len);
}

static double env_number(const struct bench *b, const char *key)
{
	for (unsigned i = 0; i < b->env_len; i++)
		if (strcmp(b->env[i].key, key) == 0)
			return b->env[i].number;
	return 0;
}

static const char *env_text(const struct bench *b, const char *key)
{
	for (unsigned i = 0; i < b->env_len; i++)
		if (strcmp(b->env[i].key, key) == 0)
			return b->env[i].text;
	return "";
}

/* Write the context that Google Benchmark has in every file. */
static void put_common(struct json_out *j, const struct bench *b)
{
	const char *governor = env_text(b, "governor");
	char date[64], host[256] = "", version[32];
	double load[3] = { 0, 0, 0 };
	time_t now = time(NULL);
	struct tm tm;

	localtime_r(&now, &tm);
	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S%z", &tm);
	/* +0100 to +01:00 */
	memmove(date + 23, date + 22, strlen(date + 22) + 1);
	date[22] = ':';
	gethostname(host, sizeof(host) - 1);
	getloadavg(load, 3);
	snprintf(version, sizeof(version), "weir %s", weir_version());
	json_out_text(j, "date", date);
	json_out_text(j, "host_name", host);
	json_out_text(j, "executable", "weir bench");
	json_out_number(j, "num_cpus", env_number(b, "cpus_online"));
	json_out_number(j, "mhz_per_cpu", b->mhz);
	json_out_bool(j, "cpu_scaling_enabled", *governor && strcmp(governor, "performance") != 0);
	json_out_numbers(j, "caches", NULL, 0);
	json_out_numbers(j, "load_avg", load, 3);
	json_out_text(j, "library_version", version);
	json_out_text(j, "library_build_type", BENCH_RELEASE ? "release" : "debug");
	json_out_number(j, "json_schema_version", 1);
}

static void put_context(struct json_out *j, const struct bench *b)
{
	json_out_open(j, "context", '{');
	put_common(j, b);
	json_out_open(j, "weir", '{');
	json_out_number(j, "format", 1);
	json_out_text(j, "version", weir_version());
	put_plan(j, b);
	put_places(j, b);
	put_lists(j, b);
	put_environment(j, b);
	json_out_close(j, '}');
	json_out_close(j, '}');
}

/* ---- entries ---- */

/* The entries of a run name. The metric of the run name is stored as real_time. */
struct family {
	const struct bench *b;
	const struct bench_row *row;
	enum bench_metric metric;
	unsigned index;
	char run_name[192];
	unsigned len;			/* repetitions that know it */
	const struct bench_rep *reps[BENCH_REPS_MAX];
};

static const struct {
	const char *key;
	enum bench_metric metric;
} counters[] = {
	{ "items_per_second", BENCH_ITEMS },
	{ "bytes_per_second", BENCH_BYTES },
	{ "cpu_ns_per_req", BENCH_CPU },
	{ "client_cpu_ns_per_req", BENCH_CLIENT_CPU },
	{ "syscalls_per_req", BENCH_SYSCALLS },
	{ "waits_per_req", BENCH_WAITS },
	{ "ctxsw_per_req", BENCH_SWITCHES },
	{ "batch", BENCH_BATCH },
	{ "max_ns", BENCH_MAX },
	{ "service_p50_ns", BENCH_SERVICE_P50 },
	{ "service_p99_ns", BENCH_SERVICE_P99 },
	{ "cycles_per_req", BENCH_CYCLES },
	{ "instructions_per_req", BENCH_INSTRUCTIONS },
	{ "client_busy", BENCH_BUSY },
	{ "send_lag_ns", BENCH_LAG },
	{ "errors", BENCH_ERRORS },
	{ "unanswered", BENCH_UNANSWERED },
};

#define COUNTERS (sizeof(counters) / sizeof(counters[0]))

static const struct {
	const char *name;
	double (*of)(const double *values, unsigned len);
} aggregates[] = {
	{ "mean", stats_mean },	    { "median", stats_median }, { "stddev", stats_stddev },
	{ "cv", stats_cv },	    { "mad", stats_mad },	{ "min", stats_min },
	{ "max", stats_max },
};

static void put_curve(struct json_out *j, const struct weir_histogram *h)
{
	double point[2] = { 0, (double)h->min }, step = 1.0 / CURVE_POINTS, last = 0;
	uint64_t top, n, seen = 0;
	unsigned cursor = 0;

	json_out_open(j, "percentiles", '[');
	if (h->count > 0)
		json_out_numbers(j, NULL, point, 2);
	while (weir_histogram_next(h, &cursor, &top, &n)) {
		seen += n;
		point[0] = (double)seen / (double)h->count;
		/* Steps shrink towards the tail, as the plot's axis does. */
		if (seen < h->count && point[0] - last < step * (1 - last))
			continue;
		last = point[0];
		point[0] *= 100;
		point[1] = (double)top;
		json_out_numbers(j, NULL, point, 2);
	}
	json_out_close(j, ']');
}

static void put_over_time(struct json_out *j, const struct bench *b, const struct bench_rep *rep)
{
	double width = (double)b->cfg.time_ns / (double)WEIR_SEC / BENCH_SLICES;

	json_out_open(j, "over_time", '[');
	for (unsigned i = 0; i < BENCH_SLICES; i++) {
		const struct bench_slice *slice = &rep->slices[i];
		double point[4] = { i * width, slice->p50, slice->p99, slice->max };

		json_out_numbers(j, NULL, point, 4);
	}
	json_out_close(j, ']');
}

/* Write the fields that iterations and aggregates have in common. */
static void put_entry_head(struct json_out *j, const struct family *f, const char *aggregate)
{
	char name[224];

	snprintf(name, sizeof(name), "%s%s%s", f->run_name, aggregate ? "_" : "",
		 aggregate ? aggregate : "");
	json_out_text(j, "name", name);
	json_out_number(j, "family_index", f->index);
	json_out_number(j, "per_family_instance_index", 0);
	json_out_text(j, "run_name", f->run_name);
	json_out_text(j, "run_type", aggregate ? "aggregate" : "iteration");
	json_out_number(j, "repetitions", f->row->reps_len);
}

static void put_iteration(struct json_out *j, const struct family *f, unsigned i)
{
	const struct bench_rep *rep = f->reps[i];

	json_out_open(j, NULL, '{');
	put_entry_head(j, f, NULL);
	json_out_number(j, "repetition_index", (double)(rep - f->row->reps));
	json_out_number(j, "threads", 1);
	json_out_number(j, "iterations", (double)rep->requests);
	json_out_number(j, "real_time", rep->value[f->metric]);
	json_out_number(j, "cpu_time", rep->value[BENCH_CPU]);
	json_out_text(j, "time_unit", "ns");
	if (f->metric == BENCH_REAL) {
		for (unsigned k = 0; k < COUNTERS; k++)
			json_out_number(j, counters[k].key, rep->value[counters[k].metric]);
		json_out_open(j, "weir", '{');
		put_curve(j, &rep->latency);
		put_over_time(j, f->b, rep);
		json_out_number(j, "samples", (double)rep->samples);
		json_out_bool(j, "client_bound", rep->client_bound);
		json_out_close(j, '}');
	}
	json_out_close(j, '}');
}

static unsigned family_values(const struct family *f, enum bench_metric metric, double *values)
{
	unsigned len = 0;

	for (unsigned i = 0; i < f->len; i++)
		if (!isnan(f->reps[i]->value[metric]))
			values[len++] = f->reps[i]->value[metric];
	return len;
}

/* Write an object with a value for real_time and one for cpu_time. */
static void put_both(struct json_out *j, const char *key, const struct family *f,
		     const double *values)
{
	json_out_open(j, key, '{');
	json_out_number(j, "real_time", values[f->metric]);
	json_out_number(j, "cpu_time", values[BENCH_CPU]);
	json_out_close(j, '}');
}

static void put_intervals(struct json_out *j, const struct family *f)
{
	static const char *const keys[] = { "real_time", "cpu_time" };
	const enum bench_metric metrics[] = { f->metric, BENCH_CPU };
	double values[BENCH_REPS_MAX], ends[2];
	struct stats_interval interval;
	unsigned len;

	json_out_open(j, "interval", '{');
	for (unsigned i = 0; i < 2; i++) {
		len = family_values(f, metrics[i], values);
		interval = stats_median_interval(values, len, f->b->cfg.seed);
		ends[0] = interval.lo;
		ends[1] = interval.hi;
		json_out_numbers(j, keys[i], ends, 2);
	}
	json_out_close(j, '}');
}

static void put_comparison(struct json_out *j, const struct family *f)
{
	const char *real = f->row->verdict[f->metric], *cpu = f->row->verdict[BENCH_CPU];

	if (!real && !cpu)
		return;
	json_out_text(j, "versus", f->b->backends[f->b->reference].label);
	put_both(j, "difference_pct", f, f->row->difference_pct);
	put_both(j, "p_value", f, f->row->p_value);
	json_out_open(j, "verdict", '{');
	if (real)
		json_out_text(j, "real_time", real);
	if (cpu)
		json_out_text(j, "cpu_time", cpu);
	json_out_close(j, '}');
}

static void put_median_extras(struct json_out *j, const struct family *f)
{
	json_out_open(j, "weir", '{');
	put_intervals(j, f);
	put_comparison(j, f);
	if (f->metric == BENCH_REAL) {
		put_curve(j, f->row->latency);
		json_out_number(j, "samples", (double)f->row->latency->count);
		json_out_bool(j, "client_bound", f->row->client_bound);
	}
	json_out_close(j, '}');
}

static void put_aggregate(struct json_out *j, const struct family *f, unsigned which)
{
	const char *name = aggregates[which].name;
	double values[BENCH_REPS_MAX];
	unsigned len;

	json_out_open(j, NULL, '{');
	put_entry_head(j, f, name);
	json_out_number(j, "threads", 1);
	json_out_text(j, "aggregate_name", name);
	json_out_text(j, "aggregate_unit", strcmp(name, "cv") == 0 ? "percentage" : "time");
	json_out_number(j, "iterations", f->len);
	len = family_values(f, f->metric, values);
	json_out_number(j, "real_time", aggregates[which].of(values, len));
	len = family_values(f, BENCH_CPU, values);
	json_out_number(j, "cpu_time", aggregates[which].of(values, len));
	json_out_text(j, "time_unit", "ns");
	for (unsigned k = 0; k < COUNTERS && f->metric == BENCH_REAL; k++) {
		len = family_values(f, counters[k].metric, values);
		if (len > 0)
			json_out_number(j, counters[k].key, aggregates[which].of(values, len));
	}
	if (strcmp(name, "median") == 0)
		put_median_extras(j, f);
	json_out_close(j, '}');
}

static void name_family(struct family *f, const char *label, const char *kind)
{
	const struct bench_config *cfg = &f->b->cfg;
	const struct bench_workload_info *work = f->b->work;
	char what[96];

	if (work->sockets)
		snprintf(what, sizeof(what), "%s%s/conns:%llu/size:%llu",
			 cfg->transport == BENCH_UNIX ? "/transport:unix" : "",
			 cfg->closed && !work->closed_only ? "/loop:closed" : "",
			 (unsigned long long)cfg->conns, (unsigned long long)cfg->size);
	else
		snprintf(what, sizeof(what), "/tasks:%llu", (unsigned long long)cfg->conns);
	snprintf(f->run_name, sizeof(f->run_name), "BM_%s/backend:%s%s/%s", work->name, label, what,
		 kind);
}

static void put_family(struct json_out *j, struct family *f)
{
	for (unsigned i = 0; i < f->len; i++)
		put_iteration(j, f, i);
	for (unsigned i = 0; i < sizeof(aggregates) / sizeof(aggregates[0]); i++)
		put_aggregate(j, f, i);
}

static void put_benchmarks(struct json_out *j, const struct bench *b)
{
	static const enum bench_metric metrics[] = { BENCH_REAL, BENCH_P50, BENCH_P99, BENCH_P999 };
	static const char *const kinds[] = { "real_time", "p50", "p99", "p999" };
	static struct family f;
	unsigned index = 0;

	json_out_open(j, "benchmarks", '[');
	for (unsigned i = 0; i < b->backends_len; i++) {
		for (unsigned k = 0; k < sizeof(metrics) / sizeof(metrics[0]); k++) {
			f = (struct family){ .b = b, .row = &b->rows[i], .metric = metrics[k] };
			for (unsigned r = 0; r < f.row->reps_len; r++)
				if (!isnan(f.row->reps[r].value[f.metric]))
					f.reps[f.len++] = &f.row->reps[r];
			if (f.len == 0)
				continue;
			f.index = index++;
			name_family(&f, b->backends[i].label, kinds[k]);
			put_family(j, &f);
		}
	}
	json_out_close(j, ']');
}

static int open_output(const struct bench *b, const char *path, struct outfile *ret_file)
{
	if (!b->json_fd)
		return outfile_open(ret_file, path);
	*ret_file = (struct outfile){ .out = fdopen(b->json_fd, "w") };
	return ret_file->out ? 0 : -errno;
}

int bench_json_write(const struct bench *b, const char *path)
{
	struct json_out j = JSON_OUT_INIT(NULL);
	struct outfile file;
	int rc = open_output(b, path, &file);

	if (rc < 0)
		return rc;
	j.out = file.out;
	json_out_open(&j, NULL, '{');
	put_context(&j, b);
	put_benchmarks(&j, b);
	json_out_close(&j, '}');
	fputc('\n', j.out);
	return outfile_close(&file);
}
