/* SPDX-License-Identifier: MIT */
/*
 * bench_json.c: the report as docs/bench-json.md has it. A small writer of its own:
 * it keeps the commas, leaves out what is not a number, and escapes strings.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tools/bench.h"
#include "tools/bench_build.h"

#define CURVE_POINTS 200

struct json {
	FILE *out;
	unsigned depth;
	bool first;			/* nothing stands yet at this level */
	bool inline_array;		/* one line, and what is in it */
};

/* ---- the writer ---- */

static void separate(struct json *j)
{
	if (!j->first)
		fputc(',', j->out);
	if (j->inline_array) {
		fputs(j->first ? "" : " ", j->out);
	} else if (j->depth > 0) {
		fprintf(j->out, "\n%*s", (int)j->depth * 2, "");
	}
	j->first = false;
}

/* A byte that continues a character of two bytes or more, well-formed or not, passes. */
static void put_text(struct json *j, const char *text)
{
	fputc('"', j->out);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			fprintf(j->out, "\\%c", *text);
		else if ((unsigned char)*text < 0x20)
			fprintf(j->out, "\\u%04x", (unsigned)*text);
		else
			fputc(*text, j->out);
	}
	fputc('"', j->out);
}

static void put_number(struct json *j, double value)
{
	if (!isfinite(value))
		fputs("null", j->out);
	else if (value == floor(value) && fabs(value) < 1e15)
		fprintf(j->out, "%.0f", value);
	else
		fprintf(j->out, "%.10g", value);
}

static void put_key(struct json *j, const char *key)
{
	separate(j);
	if (!key)
		return;
	put_text(j, key);
	fputs(": ", j->out);
}

static void open_level(struct json *j, const char *key, char bracket)
{
	put_key(j, key);
	fputc(bracket, j->out);
	j->depth++;
	j->first = true;
}

static void close_level(struct json *j, char bracket)
{
	j->depth--;
	if (!j->first && !j->inline_array)
		fprintf(j->out, "\n%*s", (int)j->depth * 2, "");
	fputc(bracket, j->out);
	j->first = false;
}

static void text(struct json *j, const char *key, const char *value)
{
	put_key(j, key);
	put_text(j, value);
}

/* Left out when it is not known. */
static void number(struct json *j, const char *key, double value)
{
	if (!isfinite(value))
		return;
	put_key(j, key);
	put_number(j, value);
}

static void boolean(struct json *j, const char *key, bool value)
{
	put_key(j, key);
	fputs(value ? "true" : "false", j->out);
}

/* An array of numbers on one line, null where one is not known. */
static void numbers(struct json *j, const char *key, const double *values, unsigned len)
{
	bool outer = j->inline_array;

	open_level(j, key, '[');
	j->inline_array = true;
	for (unsigned i = 0; i < len; i++) {
		separate(j);
		put_number(j, values[i]);
	}
	close_level(j, ']');
	j->inline_array = outer;
}

/* ---- context ---- */

static void put_cpus(struct json *j, const struct bench *b, const cpu_set_t *set)
{
	double cpus[CPU_SETSIZE];
	unsigned len = 0;

	for (int cpu = 0; b->place.pinned && cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, set))
			cpus[len++] = cpu;
	numbers(j, "cpus", cpus, len);
}

static void put_places(struct json *j, const struct bench *b)
{
	open_level(j, "server", '{');
	put_cpus(j, b, &b->place.server);
	number(j, "processes", 1);
	close_level(j, '}');
	open_level(j, "client", '{');
	put_cpus(j, b, &b->place.client);
	number(j, "processes", b->work->sockets ? 1 : 0);
	number(j, "threads", b->work->sockets ? b->place.threads : 0);
	close_level(j, '}');
	text(j, "placement", b->place.text);
}

static void put_backends(struct json *j, const struct bench *b)
{
	open_level(j, "backends", '[');
	for (unsigned i = 0; i < b->backends_len; i++) {
		open_level(j, NULL, '{');
		text(j, "name", b->backends[i].label);
		text(j, "status", *b->backends[i].reason ? "n/a" : "ok");
		text(j, "reason", b->backends[i].reason);
		close_level(j, '}');
	}
	close_level(j, ']');
}

static void put_environment(struct json *j, const struct bench *b)
{
	open_level(j, "environment", '{');
	for (unsigned i = 0; i < b->env_len; i++) {
		if (*b->env[i].text)
			text(j, b->env[i].key, b->env[i].text);
		else
			number(j, b->env[i].key, b->env[i].number);
	}
	close_level(j, '}');
}

static void put_lists(struct json *j, const struct bench *b)
{
	static const char *const keys[] = { "real_time", "cpu_time", "p50", "p99", "p999" };

	open_level(j, "order", '[');
	j->inline_array = true;
	for (unsigned i = 0; i < b->order_len; i++)
		text(j, NULL, b->backends[b->order[i]].label);
	close_level(j, ']');
	j->inline_array = false;
	put_backends(j, b);
	open_level(j, "noise_floor_pct", '{');
	for (unsigned i = 0; i <= BENCH_P999; i++)
		number(j, keys[i], b->noise_pct[i]);
	close_level(j, '}');
	open_level(j, "warnings", '[');
	for (unsigned i = 0; i < b->warnings_len; i++)
		text(j, NULL, b->warnings[i]);
	close_level(j, ']');
}

static void put_plan(struct json *j, const struct bench *b)
{
	static const char *const transports[] = { "tcp", "unix" };
	static const char *const arrivals[] = { "poisson", "constant" };
	const struct bench_config *cfg = &b->cfg;
	bool timer = !b->work->sockets;

	text(j, "workload", b->work->name);
	text(j, "transport", timer ? "none" : transports[cfg->transport]);
	text(j, "loop", cfg->closed ? "closed" : "open");
	if (!cfg->closed) {
		text(j, "arrivals", timer ? "constant" : arrivals[cfg->arrivals]);
		number(j, "rate_per_s", (double)cfg->rate);
		text(j, "rate_from", b->rate_calibrated ? "calibration" : "option");
	}
	number(j, "conns", (double)cfg->conns);
	number(j, "size_bytes", (double)cfg->size);
	number(j, "depth", (double)cfg->depth);
	number(j, "workers", (double)cfg->workers);
	text(j, "policy", weir_place_policy_name(b->place.workers.policy));
	text(j, "bind", place_binds[b->place.workers.bind]);
	number(j, "time_s", (double)cfg->time_ns / (double)WEIR_SEC);
	number(j, "warmup_s", (double)cfg->warmup_ns / (double)WEIR_SEC);
	number(j, "repetitions", (double)cfg->reps);
	number(j, "seed", (double)cfg->seed);
	text(j, "reference", b->backends[b->reference].label);
	boolean(j, "aa", b->twin < b->backends_len);
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

/* What Google Benchmark has in every file. */
static void put_common(struct json *j, const struct bench *b)
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
	text(j, "date", date);
	text(j, "host_name", host);
	text(j, "executable", "weir bench");
	number(j, "num_cpus", env_number(b, "cpus_online"));
	number(j, "mhz_per_cpu", b->mhz);
	boolean(j, "cpu_scaling_enabled", *governor && strcmp(governor, "performance") != 0);
	numbers(j, "caches", NULL, 0);
	numbers(j, "load_avg", load, 3);
	text(j, "library_version", version);
	text(j, "library_build_type", BENCH_RELEASE ? "release" : "debug");
	number(j, "json_schema_version", 1);
}

static void put_context(struct json *j, const struct bench *b)
{
	open_level(j, "context", '{');
	put_common(j, b);
	open_level(j, "weir", '{');
	number(j, "format", 1);
	text(j, "version", weir_version());
	put_plan(j, b);
	put_places(j, b);
	put_lists(j, b);
	put_environment(j, b);
	close_level(j, '}');
	close_level(j, '}');
}

/* ---- entries ---- */

/* A run name's entries. Its figure, of enum bench_metric, is real_time there. */
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

static void put_curve(struct json *j, const struct weir_histogram *h)
{
	double point[2] = { 0, (double)h->min }, step = 1.0 / CURVE_POINTS, last = 0;
	uint64_t top, n, seen = 0;
	unsigned cursor = 0;

	open_level(j, "percentiles", '[');
	if (h->count > 0)
		numbers(j, NULL, point, 2);
	while (weir_histogram_next(h, &cursor, &top, &n)) {
		seen += n;
		point[0] = (double)seen / (double)h->count;
		/* Steps shrink towards the tail, as the plot's axis does. */
		if (seen < h->count && point[0] - last < step * (1 - last))
			continue;
		last = point[0];
		point[0] *= 100;
		point[1] = (double)top;
		numbers(j, NULL, point, 2);
	}
	close_level(j, ']');
}

static void put_over_time(struct json *j, const struct bench *b, const struct bench_rep *rep)
{
	double width = (double)b->cfg.time_ns / (double)WEIR_SEC / BENCH_SLICES;

	open_level(j, "over_time", '[');
	for (unsigned i = 0; i < BENCH_SLICES; i++) {
		const struct bench_slice *slice = &rep->slices[i];
		double point[4] = { i * width, slice->p50, slice->p99, slice->max };

		numbers(j, NULL, point, 4);
	}
	close_level(j, ']');
}

/* What iterations and aggregates have in common. */
static void put_entry_head(struct json *j, const struct family *f, const char *aggregate)
{
	char name[224];

	snprintf(name, sizeof(name), "%s%s%s", f->run_name, aggregate ? "_" : "",
		 aggregate ? aggregate : "");
	text(j, "name", name);
	number(j, "family_index", f->index);
	number(j, "per_family_instance_index", 0);
	text(j, "run_name", f->run_name);
	text(j, "run_type", aggregate ? "aggregate" : "iteration");
	number(j, "repetitions", f->row->reps_len);
}

static void put_iteration(struct json *j, const struct family *f, unsigned i)
{
	const struct bench_rep *rep = f->reps[i];

	open_level(j, NULL, '{');
	put_entry_head(j, f, NULL);
	number(j, "repetition_index", (double)(rep - f->row->reps));
	number(j, "threads", 1);
	number(j, "iterations", (double)rep->requests);
	number(j, "real_time", rep->value[f->metric]);
	number(j, "cpu_time", rep->value[BENCH_CPU]);
	text(j, "time_unit", "ns");
	if (f->metric == BENCH_REAL) {
		for (unsigned k = 0; k < COUNTERS; k++)
			number(j, counters[k].key, rep->value[counters[k].metric]);
		open_level(j, "weir", '{');
		put_curve(j, &rep->latency);
		put_over_time(j, f->b, rep);
		number(j, "samples", (double)rep->samples);
		boolean(j, "client_bound", rep->client_bound);
		close_level(j, '}');
	}
	close_level(j, '}');
}

static unsigned family_values(const struct family *f, enum bench_metric metric, double *values)
{
	unsigned len = 0;

	for (unsigned i = 0; i < f->len; i++)
		if (!isnan(f->reps[i]->value[metric]))
			values[len++] = f->reps[i]->value[metric];
	return len;
}

/* One object with the figure of real_time and that of cpu_time. */
static void put_both(struct json *j, const char *key, const struct family *f, const double *values)
{
	open_level(j, key, '{');
	number(j, "real_time", values[f->metric]);
	number(j, "cpu_time", values[BENCH_CPU]);
	close_level(j, '}');
}

static void put_intervals(struct json *j, const struct family *f)
{
	static const char *const keys[] = { "real_time", "cpu_time" };
	const enum bench_metric metrics[] = { f->metric, BENCH_CPU };
	double values[BENCH_REPS_MAX], ends[2];
	struct stats_interval interval;
	unsigned len;

	open_level(j, "interval", '{');
	for (unsigned i = 0; i < 2; i++) {
		len = family_values(f, metrics[i], values);
		interval = stats_median_interval(values, len, f->b->cfg.seed);
		ends[0] = interval.lo;
		ends[1] = interval.hi;
		numbers(j, keys[i], ends, 2);
	}
	close_level(j, '}');
}

static void put_comparison(struct json *j, const struct family *f)
{
	const char *real = f->row->verdict[f->metric], *cpu = f->row->verdict[BENCH_CPU];

	if (!real && !cpu)
		return;
	text(j, "versus", f->b->backends[f->b->reference].label);
	put_both(j, "difference_pct", f, f->row->difference_pct);
	put_both(j, "p_value", f, f->row->p_value);
	open_level(j, "verdict", '{');
	if (real)
		text(j, "real_time", real);
	if (cpu)
		text(j, "cpu_time", cpu);
	close_level(j, '}');
}

static void put_median_extras(struct json *j, const struct family *f)
{
	open_level(j, "weir", '{');
	put_intervals(j, f);
	put_comparison(j, f);
	if (f->metric == BENCH_REAL) {
		put_curve(j, f->row->latency);
		number(j, "samples", (double)f->row->latency->count);
		boolean(j, "client_bound", f->row->client_bound);
	}
	close_level(j, '}');
}

static void put_aggregate(struct json *j, const struct family *f, unsigned which)
{
	const char *name = aggregates[which].name;
	double values[BENCH_REPS_MAX];
	unsigned len;

	open_level(j, NULL, '{');
	put_entry_head(j, f, name);
	number(j, "threads", 1);
	text(j, "aggregate_name", name);
	text(j, "aggregate_unit", strcmp(name, "cv") == 0 ? "percentage" : "time");
	number(j, "iterations", f->len);
	len = family_values(f, f->metric, values);
	number(j, "real_time", aggregates[which].of(values, len));
	len = family_values(f, BENCH_CPU, values);
	number(j, "cpu_time", aggregates[which].of(values, len));
	text(j, "time_unit", "ns");
	for (unsigned k = 0; k < COUNTERS && f->metric == BENCH_REAL; k++) {
		len = family_values(f, counters[k].metric, values);
		if (len > 0)
			number(j, counters[k].key, aggregates[which].of(values, len));
	}
	if (strcmp(name, "median") == 0)
		put_median_extras(j, f);
	close_level(j, '}');
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

static void put_family(struct json *j, struct family *f)
{
	for (unsigned i = 0; i < f->len; i++)
		put_iteration(j, f, i);
	for (unsigned i = 0; i < sizeof(aggregates) / sizeof(aggregates[0]); i++)
		put_aggregate(j, f, i);
}

static void put_benchmarks(struct json *j, const struct bench *b)
{
	static const enum bench_metric metrics[] = { BENCH_REAL, BENCH_P50, BENCH_P99, BENCH_P999 };
	static const char *const kinds[] = { "real_time", "p50", "p99", "p999" };
	static struct family f;
	unsigned index = 0;

	open_level(j, "benchmarks", '[');
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
	close_level(j, ']');
}

int bench_json_write(const struct bench *b, const char *path)
{
	bool to_stdout = strcmp(path, "-") == 0;
	struct json j = { .out = to_stdout ? stdout : fopen(path, "we"), .first = true };
	int rc;

	if (!j.out)
		return -errno;
	open_level(&j, NULL, '{');
	put_context(&j, b);
	put_benchmarks(&j, b);
	close_level(&j, '}');
	fputc('\n', j.out);
	rc = ferror(j.out) ? -EIO : 0;
	if (!to_stdout && fclose(j.out) != 0 && rc == 0)
		rc = -errno;
	return rc;
}
